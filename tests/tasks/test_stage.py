"""What staging says of files beside their records."""

from typing import Any

import pytest

from tests.support.deliveries import Deliveries
from tests.support.records import EVENT, SONG
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.errors import NotAllowedError


def found(deliveries: Deliveries) -> list[tuple[str, ...]]:
    """Run, and return what is said of the event logs' keys."""
    checks = deliveries.run()["stage staging_events"].checks
    return [tuple(row.values()) for check in checks if check.check == "keys_read" for row in check.sample]


def test_keys_that_come_and_go_are_told_by_file(deliveries: Deliveries) -> None:
    deliveries.deliver("song_data/a.json", [SONG])
    for name in "abc":
        deliveries.deliver(f"log_data/{name}.json", [EVENT | {"ts": EVENT["ts"] + ord(name)}])
    assert found(deliveries) == []
    renamed = {key: value for key, value in EVENT.items() if key != "location"} | {"place": "Here", "device": "tv"}
    one_less = {key: value for key, value in EVENT.items() if key != "length"}
    deliveries.deliver("log_data/d.json", [renamed | {"ts": 1}])
    deliveries.deliver("log_data/e.json", [one_less | {"ts": 2}, EVENT | {"ts": 3, "unread": 1}])
    ((file, unread, missing),) = found(deliveries)
    assert file.endswith("log_data/d.json")
    assert (unread, missing) == ("device, place", ""), "a key that one of the files has is not missing"
    deliveries.deliver("log_data/f.json", [renamed | {"ts": 4}])
    assert [row[1:] for row in found(deliveries)] == [("device, place", "location")]


def test_keys_are_not_looked_at_where_the_worker_may_not_read(
    deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(warehouse: Warehouse, url: str) -> Any:
        raise NotAllowedError(url)

    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/a.json", [EVENT | {"unread": 1}])
    monkeypatch.setattr(type(open_warehouse(deliveries.place.target)), "beginning", refuse)
    staged = deliveries.run()["stage staging_events"]
    assert (staged.new, [check.check for check in staged.checks]) == (1, [])

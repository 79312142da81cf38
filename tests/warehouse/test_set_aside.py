"""A file with too many rejects is set aside, and the others are loaded."""

import gzip
import json
from typing import Any

import pytest

from sql import catalog
from tests.support.deliveries import Deliveries
from tests.support.records import EVENT, SONG
from tests.warehouse.test_history import query
from warehouse.errors import CopyError

ASIDE: dict[str, Any] = {"set_aside": True, "max_errors": 1}


@pytest.fixture
def bad(deliveries: Deliveries) -> Deliveries:
    """Of three files one has a reject, and one has two."""
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/good.json", [EVENT])
    broken = {"ts": "yesterday"}
    deliveries.deliver("log_data/one.json", [EVENT | {"ts": EVENT["ts"] + 1}, broken])
    deliveries.deliver("log_data/two.json", [broken, EVENT | {"ts": EVENT["ts"] + 2}, broken])
    return deliveries


def test_the_limit_is_each_files(bad: Deliveries) -> None:
    with pytest.raises(CopyError, match=r"[23] records rejected"):
        bad.run(max_errors=1)
    results = bad.run(**ASIDE)
    staged = results["stage staging_events"]
    assert (staged.new, staged.known, staged.set_aside, staged.staged, staged.rejected) == (2, 0, 1, 2, 1)
    ((url, reason),) = query(bad.place, "select url, set_aside from loaded_files where set_aside is not null")
    assert url.endswith("two.json")
    assert reason.startswith("2 records rejected, max_errors allows 1. Line 1: ")
    (warned,) = [check for check in results["check"] if check.check == "files_not_set_aside"]
    assert (warned.severity, warned.offending) == ("warn", 1)
    assert query(bad.place, "select count(*) from load_errors") == [(1,)], "of the files that were loaded"
    (shown,) = (question for question in catalog.QUESTIONS if question.name == "files_set_aside")
    assert query(bad.place, shown.select) == [(1, "log_data", url, reason, 1)]


def test_a_file_that_was_set_aside_is_tried_again_when_it_has_changed_or_on_demand(bad: Deliveries) -> None:
    bad.run(**ASIDE)
    again = bad.run(**ASIDE)["stage staging_events"]
    assert (again.is_news, again.known, again.set_aside) == (False, 2, 1)
    retried = bad.run(retry_set_aside=True, **ASIDE)["stage staging_events"]
    assert (retried.is_news, retried.changed, retried.set_aside) == (True, 0, 1), "it is as bad as it was"
    loaded = bad.run(retry_set_aside=True, max_errors=2)["stage staging_events"]
    assert (loaded.changed, loaded.set_aside, loaded.staged, loaded.rejected) == (1, 0, 1, 2)
    bad.deliver("log_data/two.json", [EVENT | {"ts": EVENT["ts"] + 3}])
    assert bad.run()["stage staging_events"].changed == 1


def test_a_file_that_was_dismissed_is_named_no_more_and_loaded_when_it_has_changed(bad: Deliveries) -> None:
    bad.run(**ASIDE)
    results = bad.run(dismiss_set_aside=True, **ASIDE)
    staged = results["stage staging_events"]
    assert (staged.is_news, staged.known, staged.set_aside, staged.staged) == (True, 3, 0, 0)
    assert [check.offending for check in results["check"] if check.check == "files_not_set_aside"] == [0]
    (shown,) = (question for question in catalog.QUESTIONS if question.name == "files_set_aside")
    assert query(bad.place, shown.select) == []
    again = bad.run(dismiss_set_aside=True, **ASIDE)["stage staging_events"]
    assert (again.is_news, again.known, again.set_aside) == (False, 3, 0)
    assert not bad.run(retry_set_aside=True, **ASIDE)["stage staging_events"].is_news
    bad.deliver("log_data/two.json", [EVENT | {"ts": EVENT["ts"] + 3}])
    assert bad.run()["stage staging_events"].changed == 1


def test_all_files_may_be_set_aside(deliveries: Deliveries) -> None:
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/good.json", [EVENT])
    deliveries.run()
    (deliveries.folder / "log_data/bad.json").write_text(json.dumps(EVENT) + "\n{")
    staged = deliveries.run(set_aside=True)["stage staging_events"]
    assert (staged.is_news, staged.new, staged.known, staged.set_aside, staged.staged) == (True, 0, 1, 1, 0)
    assert query(deliveries.place, "select count(*) from songplays") == [(1,)]


def test_a_file_that_cannot_be_read_is_not_set_aside(deliveries: Deliveries) -> None:
    """COPY fails for the whole load, and names no file on Redshift. The preflight tries the smallest file only."""
    events = [EVENT | {"ts": EVENT["ts"] + n, "song": str(n * 7919)} for n in range(20_000)]
    for name, records in (("song_data/a.gz", [SONG]), ("log_data/a.gz", [EVENT]), ("log_data/b.gz", events)):
        deliveries.deliver(name, records)
        content = gzip.compress((deliveries.folder / name).read_bytes())
        cut_off = content[: len(content) * 3 // 4] if name.endswith("b.gz") else content
        (deliveries.folder / name).write_bytes(cut_off)
    with pytest.raises(CopyError):
        deliveries.run(set_aside=True, compression="gzip")
    assert query(deliveries.place, "select count(*) from loaded_files where source = 'log_data'") == [(0,)]

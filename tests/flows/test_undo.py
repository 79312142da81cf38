"""A batch is taken back, and what was loaded can be seen."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.history import calendar, history
from flows.undo import describe, parts_of, undo
from tests.support.artifacts import artifacts_of, kinds, rows_of
from tests.support.deliveries import Deliveries
from tests.support.records import EVENT, SONG
from tests.support.warehouses import LOADED
from warehouse.errors import PermanentError

pytestmark = pytest.mark.usefixtures("prefect_server")

DAY = 86_400_000
TABLES = (*LOADED, "events", "catalogue")


def options(deliveries: Deliveries) -> dict[str, Any]:
    return {"warehouse": deliveries.place.target.warehouse, "schema": deliveries.place.target.schema}


@pytest.fixture
def loaded(deliveries: Deliveries) -> tuple[Deliveries, dict[str, Any]]:
    """Two batches, and the tables after the first. The second corrects a play, adds others, and brings their song."""
    deliveries.deliver("log_data/a.json", [EVENT])
    deliveries.deliver("song_data/a.json", [SONG | {"song_id": "SO0", "title": "Comet"}])
    deliveries.run()
    before = deliveries.place.contents(*TABLES)
    others = [EVENT | {"ts": EVENT["ts"] + DAY, "userId": user} for user in "12"]
    deliveries.deliver("log_data/b.json", [EVENT | {"level": "paid", "location": "There"}, *others])
    deliveries.deliver("song_data/b.json", [SONG])
    deliveries.run()
    return deliveries, before


def test_an_undo_brings_back_what_was(loaded: tuple[Deliveries, dict[str, Any]]) -> None:
    deliveries, before = loaded
    with_both = deliveries.place.contents(*TABLES)
    with pytest.raises(PermanentError, match=r"(?s)log_data: 1 file, 3 records, 3 plays .*; 1 of these .*Add --yes"):
        undo(2, **options(deliveries))
    assert deliveries.place.contents(*TABLES) == with_both, "nobody said yes"
    undo(2, yes=True, **options(deliveries))
    assert deliveries.place.contents(*TABLES) == before
    with pytest.raises(PermanentError, match="batch 2: was undone already"):
        undo(2, yes=True, **options(deliveries))
    deliveries.run()
    assert deliveries.place.contents(*TABLES) == before, "its files are known, and as they were"
    deliveries.deliver("log_data/b.json", [EVENT | {"ts": EVENT["ts"] + 2 * DAY}])
    deliveries.run()
    assert [row[-1] for row in deliveries.place.contents("events")["events"]] == [1, 3], "a number never comes back"


def test_a_batch_of_times_in_another_unit_can_be_taken_back(loaded: tuple[Deliveries, dict[str, Any]]) -> None:
    deliveries, _ = loaded
    before = deliveries.place.contents(*TABLES)
    deliveries.deliver("log_data/c.json", [EVENT | {"ts": EVENT["ts"] * 1000}])
    deliveries.run()
    with pytest.raises(PermanentError, match=r"log_data: 1 file, 1 record, 1 play\nNothing was changed"):
        undo(3, **options(deliveries))
    undo(3, yes=True, **options(deliveries))
    assert deliveries.place.contents(*TABLES) == before


def test_one_source_of_a_batch_can_be_taken_back(loaded: tuple[Deliveries, dict[str, Any]]) -> None:
    deliveries, before = loaded
    undo(2, source="song_data", yes=True, **options(deliveries))
    after = deliveries.place.contents("songs", "songplays", "events")
    assert after["songs"] == before["songs"]
    assert len(after["events"]) == 4
    assert [play[4] for play in after["songplays"]] == [None] * 3, "the song is gone from its plays"


NEWEST = {
    "batch_id": 3, "source": "log_data", "status": "loaded", "files": 1, "records": 2000, "plays": 0,
    "delivered_again": 0, "replaced_since": None, "replaced_until": None,
}  # fmt: skip
BATCHES = [NEWEST, NEWEST | {"batch_id": 2, "status": "undone", "plays": None, "delivered_again": None}]


@pytest.mark.parametrize(
    ("batch", "source", "message"),
    [
        (4, "", r"^batch 4: does not exist\. The newest is 3$"),
        (3, "song_data", r"^batch 3: has nothing of song_data\. Name log_data, or no source$"),
        (2, "", r"^batch 2: was undone already\."),
    ],
)
def test_what_cannot_be_undone_is_refused_in_a_line(batch: int, source: Any, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        parts_of(BATCHES, batch, source)


def test_without_batches_none_exists() -> None:
    with pytest.raises(PermanentError, match="Nothing was loaded yet"):
        parts_of([], 1, "")
    assert describe(BATCHES[0]) == "batch 3, log_data: 1 file, 2,000 records"
    reload = BATCHES[0] | {"replaced_since": date(2018, 11, 2), "replaced_until": date(2018, 11, 3)}
    assert describe(reload).endswith("; it replaced 2018-11-02 to 2018-11-03, which will have none of its plays")


def test_history_lists_batches_days_and_files(
    loaded: tuple[Deliveries, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries, _ = loaded
    times = [EVENT | {"ts": ts, "page": "Home"} for ts in (1, EVENT["ts"] * 1000)]  # in another unit
    deliveries.deliver("log_data/a.json", [EVENT, EVENT | {"page": "Home"}, *times])
    deliveries.run()
    state = history(as_json=True, **options(deliveries), return_state=True)
    listing = state.result()
    names = ("batch_id", "source", "files", "records", "plays", "delivered_again")
    assert [tuple(row[name] for name in names) for row in listing.tables["batches"]] == [
        (3, "log_data", 1, 4, 1, 1), (2, "log_data", 1, 3, 3, 1), (2, "song_data", 1, 1, None, None),
        (1, "log_data", 1, 1, 1, 1), (1, "song_data", 1, 1, None, None),
    ]  # fmt: skip
    assert listing.tables["days"] == [
        {"day": "2018-11-01", "weekday": "Thu", "events": 4, "plays": 1, "note": ""},
        {"day": "2018-11-02", "weekday": "Fri", "events": 2, "plays": 2, "note": ""},
    ]
    listing.show()
    assert json.loads(capsys.readouterr().out)["days"] == listing.tables["days"]
    assert rows_of(kinds(artifacts_of(state), deliveries.place.target)["history-days"]) == listing.tables["days"]
    one = history(batch=2, **options(deliveries)).tables["files"]
    assert [Path(row["url"]).name for row in one] == ["b.json", "b.json"]
    versions = history(file="log_data/a.json", **options(deliveries))
    assert [row["batch_id"] for row in versions.tables["files"]] == [3, 1]
    capsys.readouterr()
    versions.show()
    assert "log_data/a.json" in capsys.readouterr().out, "no value is cut off"
    with pytest.raises(PermanentError, match="batch 9: loaded no such file"):
        history(batch=9, **options(deliveries))


def test_the_calendar_notes_gaps_and_days_with_few_plays() -> None:
    days = [(day, 100) for day in (1, 8, 15, 22)] + [(29, 30), (2, 5), (9, 50)]
    rows = [{"day": datetime(2018, 11, day), "events": 200, "plays": plays} for day, plays in days]
    versions = [("a/2018-11-15.json", None), ("a/2018-11-15.json", "bad"), ("2018-11-22.json", "bad"), ("x", "bad")]
    files = [{"url": url, "set_aside": reason} for url, reason in versions]
    notes = {row["day"]: row["note"] for row in calendar(rows, files) if row["note"]}
    assert len(calendar(rows, [])) == 29
    assert notes.pop("2018-11-22") == "1 file set aside", "a newer version of the other was loaded"
    assert notes.pop("2018-11-29") == "few plays: 100 is usual on this weekday"
    assert set(notes.values()) == {"no events"}
    assert "2018-11-03" in notes
    assert "2018-11-02" not in notes, "one other Friday tells nothing"
    assert calendar([], []) == []

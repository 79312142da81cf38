"""The tables contain what an independent computation from the raw files gives."""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import star_schema
from tests.support.records import EVENT, SONG, Record, write_data
from tests.support.warehouses import LOADED, Place


def assert_as_computed(place: Place, data: Path) -> None:
    checks = place.run(data / "log_data", data / "song_data", audited=False)
    assert [check.check for check in checks if check.check == "songplays_complete" and not check.holds] == []
    loaded = place.contents()
    expected = star_schema(data / "log_data", data / "song_data")
    assert set(expected) == set(LOADED)
    wrong = {name: sorted(set(loaded[name]) - set(rows), key=repr)[:2] for name, rows in expected.items()}
    assert {name: rows for name, rows in wrong.items() if rows} == {}, "rows that do not follow from the raw files"
    for name, rows in expected.items():
        assert loaded[name] == sorted(rows, key=repr), f"{name}: a row that is missing, or there twice"


def test_generated_data_loads_as_computed(place: Place, generated: Path) -> None:
    assert_as_computed(place, generated)


def test_real_data_loads_as_computed(place: Place, real_data: Path) -> None:
    assert_as_computed(place, real_data)


MUSIC = {"song": ("Comet", "Harbor"), "artist": ("Foxes", "Wolves"), "length": (200.5, 200.50001)}
DELIVERY = {"level": ("free", "paid"), "location": ("Here", "There"), "userAgent": ("Edge", "Firefox")} | MUSIC
PERSON = {"firstName": ("Ann", "Lily"), "lastName": ("Cruz", "Koch"), "gender": ("F", "M"), "level": ("free", "paid")}
SPELLING = {
    "artist_name": ("Foxes", "Foxes feat. Owls"), "artist_location": ("Here", "There"),
    "artist_latitude": (1.25, 1.5), "artist_longitude": (1.25, 1.5),
}  # fmt: skip
ENTRY = {
    "title": ("Comet", "Harbor"),
    "artist_id": ("AR1", "AR2"),
    "year": (1998, 1999),
    "duration": (200.5, 200.50001),
}
EVENT_BYTES = {
    "artist": 1024, "song": 1024, "location": 1024, "userAgent": 1024, "firstName": 256, "lastName": 256,
    "gender": 16, "level": 16, "auth": 16, "method": 16,
}  # fmt: skip
SONG_BYTES = {"artist_id": 32, "song_id": 32, "artist_name": 1024, "title": 1024, "artist_location": 1024}


def ties(parts: dict[str, tuple[Any, Any]]) -> Iterator[list[Record]]:
    """Yield rows with one key, of which the lowest should stay. They differ in one column, or in two that disagree."""
    for part, (low, high) in parts.items():
        rows = [{part: value} for value in (low, high, *([] if part == "artist_id" else [None]))]
        yield from (rows[n:] + rows[:n] for n in range(len(rows)))
    for (first, (low, high)), (second, (least, most)) in pairwise(parts.items()):
        rows = [{first: low, second: most}, {first: high, second: least}]
        yield from (rows, rows[::-1])


def tied_songs() -> list[Record]:
    songs = [
        SONG | {"song_id": f"SA{n}-{m}", "artist_id": f"AR-{n}"} | row
        for n, rows in enumerate(ties(SPELLING))
        for m, row in enumerate(rows)
    ]
    songs += [
        SONG | {"song_id": f"SO{n}", "artist_name": f"Name {n}"} | row
        for n, rows in enumerate(ties(ENTRY))
        for row in rows
    ]
    texts = enumerate(product(*MUSIC.values()))
    return songs + [SONG | {"song_id": f"SM{n}", "title": t, "artist_name": a, "duration": d} for n, (t, a, d) in texts]


def tied_events(songs: list[Record]) -> list[Record]:
    events: list[Record] = [{"ts": 1000 + n} | row for n, rows in enumerate(ties(DELIVERY)) for row in rows]
    events += [
        {"ts": 2000, "userId": str(100 + n), "itemInSession": m} | row
        for n, rows in enumerate(ties(PERSON))
        for m, row in enumerate(rows)
    ]
    events += [  # the delivery that stays says what its listener is called, whatever comes first in the alphabet
        {"ts": 2500, "userId": str(1000 + n), "firstName": name} | row
        for n, rows in enumerate(ties(DELIVERY))
        for name, row in zip(("Zoe", "Lily", "Ann"), sorted(rows, key=lambda row: str([*row.values()])), strict=False)
    ]
    events += [
        {"ts": 3000 + n, "song": song["title"], "artist": song["artist_name"], "length": song["duration"]}
        for n, song in enumerate(songs)
    ]
    events += 2 * [
        {"ts": 0, key: missing} for key, missing in (("userId", ""), ("sessionId", None), ("itemInSession", None))
    ]
    return [EVENT | event | {"ts": 1541030400000 + event["ts"]} for event in events]


def test_ties_are_decided_by_value_with_missing_values_last(place: Place, tmp_path: Path) -> None:
    """Ties between deliveries, people, spellings, entries and songs with the same text, in any order in the file."""
    songs = tied_songs()
    assert_as_computed(place, write_data(tmp_path / "data", tied_events(songs), songs))


def test_texts_may_have_their_declared_length(place: Place, tmp_path: Path) -> None:
    """A long title also matches its song. Its characters have two bytes each."""
    event = EVENT | {name: "é" * (size // 2) for name, size in EVENT_BYTES.items()}
    song = SONG | {name: "é" * (size // 2) for name, size in SONG_BYTES.items()}
    assert_as_computed(place, write_data(tmp_path / "data", [event], [song]))
    ((*_, song_id, _, _, _, _),) = place.contents()["songplays"]
    assert song_id == song["song_id"]


@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_second_run_changes_nothing(place: Place, generated: Path, *, full_refresh: bool) -> None:
    data = (generated / "log_data", generated / "song_data")
    place.run(*data)
    first = place.contents()
    place.run(*data, full_refresh=full_refresh)
    assert place.contents() == first


def test_plays_with_negative_or_missing_ids_have_keys_of_their_own(place: Place, tmp_path: Path) -> None:
    ids: list[dict[str, int | None]] = [
        {"userId": u, "sessionId": s, "itemInSession": i}
        for u, s, i in product((None, -1, 1), (None, -1, 1), (None, -5, 5))
    ]
    data = write_data(tmp_path, [EVENT | each for each in ids], [SONG])
    place.run(data / "log_data", data / "song_data")
    assert len({row[0] for row in place.contents()["songplays"]}) == len(ids)


def test_checks_hold_on_generated_data(place: Place, generated: Path) -> None:
    checks = place.run(generated / "log_data", generated / "song_data")
    assert checks
    assert [report.check for report in checks if not report.holds] == []

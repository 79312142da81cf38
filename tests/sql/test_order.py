"""The same tables result however the events are split, ordered and repeated."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from sql import catalog
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.stage import stage
from tests.support.warehouses import Rows, duckdb_place
from warehouse.sources import Source

Event = dict[str, Any]

SONG = {
    "num_songs": 1, "artist_id": "AR1", "artist_latitude": None, "artist_longitude": None, "artist_location": "",
    "artist_name": "The Velvet Foxes", "song_id": "SO1", "title": "Harbor", "duration": 200.5, "year": 1999,
}  # fmt: skip

EVENT = {
    "artist": "The Velvet Foxes", "auth": "Logged In", "lastName": "Koch", "length": 200.5, "location": None,
    "method": "PUT", "registration": 1540919166796.0, "status": 200, "userAgent": "Firefox",
}  # fmt: skip


# Few values, so that users, sessions and moments meet; what follows from the key is derived from it, so that an
# event delivered twice is the same event.
def event(ts: int, user: str, session: int, item: int) -> Event:
    return EVENT | {
        "ts": 1541030400000 + ts, "userId": user, "sessionId": session, "itemInSession": item,
        "firstName": ["Lily", "Ann", None][(ts + item) % 3], "gender": "F" if (session + ts) % 2 else None,
        "level": ["free", "paid"][(ts + session + item) % 2], "song": ["Harbor", "Comet"][item % 2],
        "page": "Home" if (ts, item) == (0, 0) else "NextSong",
    }  # fmt: skip


events = st.builds(event, st.integers(0, 3), st.sampled_from(["1", "2", ""]), st.integers(1, 2), st.integers(0, 3))

batches = st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=3)


def write(folder: Path, name: str, records: list[Event]) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches, st.randoms(use_true_random=False))
def test_any_split_order_and_repetition_of_loads_leads_to_the_same_tables(
    split: list[list[Event]], random: Any
) -> None:
    loads = split + random.sample(split, k=1)
    random.shuffle(loads)
    whole = [event for batch in split for event in batch]
    assert loaded(loads) == loaded([whole])


def loaded(batches: list[list[Event]]) -> dict[str, Rows]:
    """Return the tables that result from batches, loaded one after the other under one lease."""
    with tempfile.TemporaryDirectory() as name, disable_run_logger():
        folder = Path(name)
        place = duckdb_place(folder / "test.duckdb")
        take_lease.fn(place.target)
        create_tables.fn(place.target, catalog.TABLES)
        stage.fn(place.target, Source(catalog.STAGING_SONGS, str(write(folder, "songs.json", [SONG]))))
        for number, batch in enumerate(batches):
            stage.fn(place.target, Source(catalog.STAGING_EVENTS, str(write(folder, f"{number}.json", batch))))
            place.load()
        release_lease.fn(place.target)
        return place.contents()

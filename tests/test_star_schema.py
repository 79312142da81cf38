"""The tables hold what the raw files say, by a computation of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle import star_schema
from tests.warehouses import LOADED, Place

STAGED = ("staging_events", "staging_songs")


def assert_as_computed(place: Place, data: Path) -> None:
    place.run(data / "log_data", data / "song_data")
    loaded, expected = place.contents(), star_schema(data / "log_data", data / "song_data")
    assert set(expected) == set(LOADED)
    for table, rows in expected.items():
        assert loaded[table] == sorted(rows, key=repr), table


def test_generated_data_loads_as_computed(place: Place, generated: Path) -> None:
    assert_as_computed(place, generated)


def test_real_data_loads_as_computed(place: Place, real_data: Path) -> None:
    assert_as_computed(place, real_data)


@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_second_run_changes_nothing(place: Place, generated: Path, *, full_refresh: bool) -> None:
    data = (generated / "log_data", generated / "song_data")
    place.run(*data)
    first = place.contents(*LOADED, *STAGED)
    place.run(*data, full_refresh=full_refresh)
    assert place.contents(*LOADED, *STAGED) == first


def test_full_refresh_drops_history_that_is_not_in_the_batch(place: Place, generated: Path) -> None:
    first, *_, last = sorted((generated / "log_data").rglob("*.json"))
    place.run(first, generated / "song_data")
    place.run(last, generated / "song_data", full_refresh=True)
    refreshed = place.contents()
    fresh = replace(place, target=replace(place.target, schema="fresh"))
    fresh.run(last, generated / "song_data")
    assert fresh.contents() == refreshed


def test_checks_hold_on_generated_data(place: Place, generated: Path) -> None:
    checks = place.run(generated / "log_data", generated / "song_data")
    assert checks
    assert [report.check for report in checks if not report.holds] == []

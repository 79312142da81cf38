"""The tables hold what the raw files say, by a computation of its own."""

from pathlib import Path

import pytest

from tests.oracle import star_schema
from tests.warehouses import LOADED, contents, run_tasks


def assert_as_computed(tmp_path: Path, data: Path) -> None:
    run_tasks(tmp_path / "w.duckdb", data / "log_data", data / "song_data")
    loaded = contents(tmp_path / "w.duckdb")
    for table, rows in star_schema(data / "log_data", data / "song_data").items():
        assert sorted(loaded[table], key=repr) == sorted(rows, key=repr), table


def test_generated_data_loads_as_computed(tmp_path: Path, generated: Path) -> None:
    assert_as_computed(tmp_path, generated)


def test_real_data_loads_as_computed(tmp_path: Path, real_data: Path) -> None:
    assert_as_computed(tmp_path, real_data)


@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_second_run_changes_nothing(tmp_path: Path, generated: Path, *, full_refresh: bool) -> None:
    database, data = tmp_path / "w.duckdb", (generated / "log_data", generated / "song_data")
    run_tasks(database, *data)
    first = contents(database, *LOADED, "staging_events", "staging_songs")
    run_tasks(database, *data, full_refresh=full_refresh)
    assert contents(database, *LOADED, "staging_events", "staging_songs") == first


def test_full_refresh_drops_history_that_is_not_in_the_batch(tmp_path: Path, generated: Path) -> None:
    first, *_, last = sorted((generated / "log_data").rglob("*.json"))
    run_tasks(tmp_path / "w.duckdb", first, generated / "song_data")
    run_tasks(tmp_path / "w.duckdb", last, generated / "song_data", full_refresh=True)
    run_tasks(tmp_path / "fresh.duckdb", last, generated / "song_data")
    assert contents(tmp_path / "w.duckdb") == contents(tmp_path / "fresh.duckdb")


def test_checks_hold_on_generated_data(tmp_path: Path, generated: Path) -> None:
    checks = run_tasks(tmp_path / "w.duckdb", generated / "log_data", generated / "song_data")
    assert [report.check for report in checks if not report.holds] == []

"""A killed run that is repeated leaves the same tables as an undisturbed one."""

import shutil
from pathlib import Path

import pytest

from tests.support.crash import ENDS, count_points, run_ended, run_whole

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture
def half_loaded(tmp_path: Path, generated: Path) -> tuple[Path, Path, Path]:
    """A database with the first days, logs that overlap with it and continue, and the catalogue."""
    logs = sorted((generated / "log_data").rglob("*.json"))
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, days in ((first, logs[:4]), (second, logs[3:])):
        folder.mkdir()
        for log in days:
            shutil.copy(log, folder)
    run_whole(tmp_path / "half.duckdb", first, generated / "song_data")
    return tmp_path / "half.duckdb", second, generated / "song_data"


def rerun_mends_every(points: int, end: str, half_loaded: tuple[Path, Path, Path], tmp_path: Path) -> None:
    database, *data = half_loaded
    undisturbed = tmp_path / "undisturbed.duckdb"
    shutil.copy(database, undisturbed)
    last = count_points(undisturbed, *data)
    expected = run_whole(undisturbed, *data)
    for number in range(points):
        point = number * last // points
        killed = tmp_path / f"killed-{point}.duckdb"
        shutil.copy(database, killed)
        run_ended(killed, *data, point=point, end=end)
        assert run_whole(killed, *data) == expected, f"{end} at point {point} of {last}"
        killed.unlink()


def test_the_next_run_completes_a_killed_run(half_loaded: tuple[Path, Path, Path], tmp_path: Path) -> None:
    rerun_mends_every(8, "SIGKILL", half_loaded, tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("end", ENDS)
def test_the_next_run_completes_a_run_that_ended_at_any_of_100_points(
    end: str, half_loaded: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    rerun_mends_every(100, end, half_loaded, tmp_path)

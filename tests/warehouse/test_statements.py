"""What a run sends to Redshift does not grow with the data, and a second run rewrites nothing."""

from pathlib import Path

import pytest

from tests.standin import Standin
from tests.support.traffic import Traffic, measure_runs, write_events, write_songs
from tests.support.warehouses import redshift_place


def traffic(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, folder: Path, *, events: int, files: int
) -> list[Traffic]:
    write_events(folder / "log_data", events, files)
    write_songs(folder / "song_data", files)
    return measure_runs(standin, redshift_place(standin, monkeypatch), folder)


def test_the_number_of_statements_does_not_grow_with_the_data(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small, again = traffic(standin, monkeypatch, tmp_path / "small", events=10, files=1)
    files, _ = traffic(standin, monkeypatch, tmp_path / "files", events=50, files=50)
    events, _ = traffic(standin, monkeypatch, tmp_path / "events", events=2000, files=1)
    assert small.statements == files.statements == events.statements
    assert again.statements < small.statements
    assert again.transactions < small.transactions
    assert small.transactions == files.transactions == events.transactions
    assert events.bytes_sent < 1.01 * small.bytes_sent
    assert files.bytes_sent < 1.01 * small.bytes_sent + 200 * 2 * 49, "each file has a row in the ledger"
    assert small.written > 10
    assert again.written == 0

"""How much memory DuckDB takes, and what it says where that is too little."""

from pathlib import Path
from typing import Any

import duckdb
import duckdb_engine
import pytest

from warehouse.connect import open_warehouse
from warehouse.duckdb import memory
from warehouse.duckdb.errors import explained
from warehouse.duckdb.memory import limits, limits_of
from warehouse.errors import PermanentError
from warehouse.target import Target

GIB = 1 << 30


@pytest.mark.parametrize(
    ("total", "threads", "settings"),
    [
        (24 * GIB, 16, {"memory_limit": "640MiB"}),
        (2 * GIB, 2, {"memory_limit": "640MiB"}),
        (1 * GIB, 8, {"memory_limit": "544MiB", "threads": 5}),
        (640 << 20, 8, {"memory_limit": "160MiB", "threads": 1}),
        (400 << 20, 8, {"memory_limit": "64MiB", "threads": 1}),
    ],
)
def test_memory_and_threads_fit_the_machine(total: int, threads: int, settings: dict[str, object]) -> None:
    assert limits_of(total, threads) == settings


@pytest.mark.parametrize(("share", "total"), [("800 MiB", 1000 << 20), ("1.6 GiB", 2 * GIB)])
def test_the_container_is_known_by_what_duckdb_would_take(
    share: str, total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(memory, "limits_of", lambda total, threads: asked.append(total))
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda: connect(config={"memory_limit": share.replace(" ", "")}))
    limits.__wrapped__()
    assert asked == [pytest.approx(total, rel=0.07)]


def test_too_little_memory_is_named() -> None:
    with (
        duckdb.connect(config={"memory_limit": "8MB", "threads": 1}) as connection,
        pytest.raises(PermanentError, match=r"^DuckDB has too little memory for this, though it uses the disk too\."),
        explained("w.duckdb"),
    ):
        connection.execute("select len(list(range)) from range(10_000_000)")


@pytest.mark.parametrize("ask", ["statement", "driver"])
@pytest.mark.parametrize("session", ["task", "reading"])
def test_too_little_memory_is_named_wherever_it_is_met(tmp_path: Path, session: str, ask: str) -> None:
    """Also in what a task asks DuckDB itself, as of a table's columns."""
    warehouse = open_warehouse(Target(f"duckdb:///{tmp_path}/w.duckdb", "sparkify", "test"))
    warehouse.take_lease()

    def run_out() -> None:
        query = "select len(list(range)) from range(10000000)"
        with getattr(warehouse, session)() as connection:
            connection.exec_driver_sql("set memory_limit = '8MB'")
            if ask == "statement":
                connection.exec_driver_sql(query)
            else:
                connection.connection.driver_connection.execute(query)

    with pytest.raises(PermanentError, match=r"^DuckDB has too little memory for this, though it uses the disk too\."):
        run_out()
    open_warehouse(warehouse.target).release_lease()


def test_a_rollback_that_finds_no_memory_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find_no_memory(*_: Any) -> None:
        raise duckdb.OutOfMemoryException("failed to allocate data of size 2.0 KiB")

    def fail() -> None:
        with monkeypatch.context() as patch, warehouse.task() as connection:
            connection.exec_driver_sql("create table half (done int)")
            patch.setattr(duckdb_engine.Dialect, "do_rollback", find_no_memory)
            raise KeyError

    warehouse = open_warehouse(Target(f"duckdb:///{tmp_path}/w.duckdb", "sparkify", "test"))
    warehouse.take_lease()
    with pytest.raises(KeyError):
        fail()
    assert not caplog.records
    with warehouse.task() as connection:
        connection.exec_driver_sql("create table half (done int)")

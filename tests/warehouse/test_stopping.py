"""An interrupted run stops what its other threads do, and gives its lease back after that."""

import gzip
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection

from tasks import lease
from tests.standin import Standin
from tests.support.copying import Copying
from tests.support.warehouses import Place, duckdb_place, redshift_place
from warehouse.connect import open_warehouse
from warehouse.duckdb.files import uncompressed
from warehouse.errors import is_transient, was_interrupted
from warehouse.files import File
from warehouse.stopping import WORK, Stopped

ENDLESS = "select count(*) from range(1000000000000) as a where range % 7 = 3"


@pytest.fixture
def held(tmp_path: Path) -> Place:
    """A DuckDB warehouse whose lease the run holds, with a table."""
    place = duckdb_place(tmp_path / "test.duckdb")
    place.session(place.target.holder).run("create table t (n integer)")
    return place


def endless_statement(connection: Connection) -> None:
    connection.exec_driver_sql(ENDLESS)


def many_statements(connection: Connection) -> None:
    while True:
        connection.exec_driver_sql("select 1")


@pytest.mark.parametrize("work", [endless_statement, many_statements])
def test_work_in_another_thread_stops_at_once_and_changes_nothing(
    held: Place, work: Callable[[Connection], None]
) -> None:
    begun = Event()

    def write() -> None:
        with open_warehouse(held.target).task() as connection:
            connection.exec_driver_sql("insert into t values (1)")
            begun.set()
            work(connection)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(write)
        assert begun.wait(20)
        started = time.monotonic()
        with WORK.stopped():
            assert time.monotonic() - started < 2
            error = working.exception(timeout=20)
            assert isinstance(error, Stopped)
            assert was_interrupted(error)
            assert not is_transient(error)
    assert held.session(held.target.holder).rows("select * from t") == []


def test_a_statement_on_redshift_is_cancelled(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    place = redshift_place(standin, monkeypatch)
    session = place.session(place.target.holder)
    session.run("create table t (n integer)")
    begun = Event()

    def write() -> None:
        with open_warehouse(place.target).task() as connection:
            connection.exec_driver_sql("insert into t values (1)")
            begun.set()
            connection.exec_driver_sql("select count(*) from generate_series(1, 1000000000000)")

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(write)
        assert begun.wait(20)
        with WORK.stopped():
            assert isinstance(working.exception(timeout=20), Stopped)
    assert session.rows("select * from t") == []


def test_nothing_begins_while_a_run_stops(held: Place) -> None:
    with WORK.stopped(), pytest.raises(Stopped), open_warehouse(held.target).task():
        pass
    with open_warehouse(held.target).task() as connection:
        connection.exec_driver_sql("select 1")


def test_a_failure_is_no_interrupt(held: Place) -> None:
    with pytest.raises(ZeroDivisionError), open_warehouse(held.target).task():
        raise ZeroDivisionError


def test_a_copy_stops_between_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copying = Copying(tmp_path)
    table, data = copying.table("k varchar"), {"a.json": b'{"k": "v"}', "b.json": b'{"k": "v"}\n' * 1000}
    with pytest.raises(Stopped):
        copying.load(table, data, progress=lambda _: monkeypatch.setattr(WORK, "is_stopping", True))


def test_unpacking_stops(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b" " * 1000))
    file = File(str(tmp_path / "a.gz"), "a.gz", 1)
    with WORK.stopped(), pytest.raises(Stopped), uncompressed([file], "gzip"):
        pass


def test_the_lease_is_given_back_after_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    interrupted = Event()

    def work() -> None:
        with WORK.stoppable(interrupted.set):
            interrupted.wait(20)
            order.append("work ended")

    monkeypatch.setattr(lease, "take_lease", lambda target, **_: order.append("taken"))
    monkeypatch.setattr(lease, "release_lease", lambda target, **_: order.append("given back"))
    target: Any = None
    with ThreadPoolExecutor(1) as pool:

        def hold() -> None:
            with lease.lease(target):
                pool.submit(work)
                while not WORK.interrupts:
                    time.sleep(0.01)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            hold()
    assert order == ["taken", "work ended", "given back"]

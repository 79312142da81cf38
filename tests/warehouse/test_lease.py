"""One run at a time in a warehouse, whatever happens to the runs."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread
from time import sleep

import duckdb
import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import tasks.lease
from sql import catalog
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tests.standin import Standin
from tests.support.project import ROOT
from tests.support.warehouses import BUCKET, Place, Session, duckdb_place, redshift_place, select, stage_next
from warehouse import heartbeat, lease
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.duckdb.locks import Lock, TableLocks
from warehouse.errors import LeaseHeldError, LeaseLostError, PermanentError, TransientError, is_transient
from warehouse.sources import Source
from warehouse.target import Target


@pytest.fixture
def first(place: Place) -> Iterator[Session]:
    """A run that holds the lease, in each kind of warehouse."""
    run = place.session("first")
    run.run("create table numbers (n integer)")
    yield run
    run.warehouse.release_lease()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Session]:
    """A run that holds the lease, in a DuckDB file."""
    run = duckdb_place(tmp_path / "test.duckdb").session("first")
    run.run("create table numbers (n integer)")
    yield run
    run.warehouse.release_lease()


def another(first: Session, holder: str = "second") -> Warehouse:
    return open_warehouse(replace(first.target, holder=holder))


def expire(run: Session) -> None:
    run.run("update run_lease set expires_at = dateadd(second, -1, getdate())")


def test_a_second_run_is_refused_and_told_who_holds_the_lease(first: Session) -> None:
    with pytest.raises(LeaseLostError, match=r"in use by first( \(process \d+, \w+\))? until \d{4}-.+ UTC") as raised:
        another(first).take_lease()
    assert not is_transient(raised.value)
    assert first.one("1") == 1


def test_a_run_without_the_lease_loads_nothing(first: Session) -> None:
    with pytest.raises(LeaseLostError, match="in use by first"), another(first).task():
        pass
    first.warehouse.release_lease()
    with pytest.raises(LeaseLostError, match=r"second.* no longer holds the lease"), another(first).task():
        pass
    first.warehouse.take_lease()


def test_a_released_lease_is_free(first: Session) -> None:
    first.warehouse.release_lease()
    second = another(first)
    second.take_lease()
    with second.task() as connection:
        lease = select(connection, "select * from run_lease")
    first.warehouse.release_lease()
    with second.task() as connection:
        assert select(connection, "select * from run_lease") == lease, "a lease that is not the run's own stays so"
    second.release_lease()


def test_a_run_that_lost_its_lease_does_not_touch_the_next_runs_lease(first: Session) -> None:
    expire(first)
    second = another(first)
    second.take_lease()
    with second.task() as connection:
        before = select(connection, "select holder, expires_at from run_lease")
    first.warehouse.release_lease()
    with first.warehouse.reading() as connection:
        lease.renew(connection, first.warehouse.holder)
    with second.task() as connection:
        assert select(connection, "select holder, expires_at from run_lease") == before, "only its holder ends a lease"
    second.release_lease()


def test_the_same_holder_may_take_it_again(first: Session) -> None:
    another(first, "first").take_lease()
    assert first.one("1") == 1


def test_an_expired_lease_is_taken_over_and_the_first_fails_for_good(first: Session) -> None:
    expire(first)
    second = another(first)
    second.take_lease()
    with pytest.raises(LeaseLostError, match="in use by second") as raised:
        first.run("insert into numbers values (1)")
    assert not is_transient(raised.value)
    with second.task() as connection:
        assert select(connection, "select * from numbers") == []
    second.release_lease()


def test_each_task_renews_the_lease(first: Session) -> None:
    expire(first)
    first.run("insert into numbers values (1)")
    with pytest.raises(LeaseLostError, match="in use by first"):
        another(first).take_lease()


@pytest.mark.parametrize(("left", "renewed"), [(70, False), (50, True)])
def test_a_task_renews_the_lease_only_if_heartbeats_did_not(first: Session, left: int, *, renewed: bool) -> None:
    with first.warehouse.reading() as connection:
        set_seconds_left(connection, left)
    assert (seconds_left(first) > 100) == renewed, f"of a lease with {left} s left: renewed below 60 s, to 120 s"


def seconds_left(session: Session) -> int:
    left: int = session.one("datediff(second, getdate(), (select expires_at from run_lease))")
    return left


@pytest.mark.parametrize("left", [20, 40])
def test_no_task_starts_with_too_little_time_on_the_lease(first: Session, left: int) -> None:
    """This happens to a task that waited for the table between checking the lease and its own transaction."""
    with first.warehouse.reading() as connection:
        set_seconds_left(connection, left)
        refused = pytest.raises(LeaseLostError, match="no longer holds the lease") if left < 30 else nullcontext()
        with refused:
            lease.verify(connection, first.warehouse.holder)


def test_runs_in_different_time_zones_agree_on_the_lease(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and clusters have their own: a lease that is written in one of them is read in another."""
    place = redshift_place(standin, monkeypatch)
    behind, ahead = "America/Los_Angeles", "Asia/Kolkata"
    for writers, readers in ((ahead, behind), (behind, ahead)):
        standin.move(writers)
        first = place.session("first")
        standin.move(readers)
        assert 100 < seconds_left(first) <= 120
        with pytest.raises(LeaseLostError, match="in use by first"):
            another(first).take_lease()
        first.warehouse.release_lease()
        with another(first).reading() as connection:
            now = datetime.now(UTC).replace(tzinfo=None)
            assert abs(connection.exec_driver_sql("select getdate()").scalar_one() - now) < timedelta(minutes=1)


def set_seconds_left(connection: Connection, seconds: int) -> None:
    connection.exec_driver_sql(f"update run_lease set expires_at = dateadd(second, {seconds}, getdate())")


def taking_the_lease(warehouse: Warehouse, taken: Event) -> Thread:
    """Return a thread that takes the lease, and then sets the event."""

    def take() -> None:
        warehouse.take_lease()
        taken.set()

    return Thread(target=take)


def test_taking_the_lease_waits_for_a_running_task(first: Session) -> None:
    second, taken = another(first), Event()
    taker = taking_the_lease(second, taken)
    with first.warehouse.task() as connection:
        with first.warehouse.engine.begin() as other:
            other.exec_driver_sql("update sparkify.run_lease set expires_at = dateadd(second, -1, getdate())")
        taker.start()
        assert not taken.wait(0.5)
        connection.exec_driver_sql("insert into numbers values (1)")
    assert taken.wait(10)
    taker.join()
    with second.task() as connection:
        assert select(connection, "select * from numbers") == [(1,)]
    second.release_lease()


def test_a_lease_that_is_renewed_after_it_was_seen_free_is_not_taken(first: Session) -> None:
    second = another(first)
    expire(first)
    with second.reading() as connection:
        seen_free = lease.look(connection, second.holder)
    first.run("insert into numbers values (1)")
    with second.reading() as connection, pytest.raises(LeaseHeldError, match="in use by first"):
        lease.take(connection, second.holder, seen_free)


def test_a_lease_that_expires_while_another_waits_for_the_lock_is_not_taken(first: Session) -> None:
    """A task that waits behind that lock may have seen it as valid. The next look finds it free."""
    second = another(first)
    with second.reading() as connection:
        seen_free = connection.exec_driver_sql("select getdate()").scalar_one()
        set_seconds_left(connection, 1)
    sleep(2)
    with second.reading() as connection, pytest.raises(LeaseHeldError, match="in use by first"):
        lease.take(connection, second.holder, seen_free)
    second.take_lease()
    second.release_lease()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of two seconds, with a heartbeat four times a second."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 2)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.25)
    monkeypatch.setattr(tasks.lease, "LOOK_SECONDS", 0.5)


@pytest.mark.usefixtures("short")
def test_a_copy_may_outlast_the_lease_twice_while_another_run_waits(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = redshift_place(standin, monkeypatch)
    source = Source(catalog.STAGING_SONGS, standin.put(f"{BUCKET}/songs/a", b'{"song_id": "a", "artist_id": "b"}'))
    first = place.session("first")
    create_tables.fn(first.target, catalog.TABLES)
    standin.faults.slow(4.5, pattern="^copy")
    with ThreadPoolExecutor() as pool:
        staged = pool.submit(stage_next, first.target, source)
        refused = 0
        while not staged.done():
            with pytest.raises(LeaseHeldError, match="in use by first"):
                another(first).take_lease()
            refused += 1
            sleep(0.1)
    assert refused > 10
    assert staged.result().staged == 1
    assert first.one("count(*) from songs") == 0, "the run goes on"


@pytest.mark.usefixtures("short")
def test_the_next_run_waits_until_the_lease_of_a_dead_one_ends(first: Session) -> None:
    heartbeat.end(first.target)  # it dies
    second = replace(first.target, holder="second")
    with disable_run_logger():
        take_lease.fn(second)
    with pytest.raises(LeaseLostError, match="in use by second"):
        first.run("insert into numbers values (1)")
    release_lease.fn(second)


@pytest.mark.usefixtures("short")
def test_the_next_run_does_not_wait_for_a_living_one(first: Session) -> None:
    with disable_run_logger(), pytest.raises(LeaseHeldError, match="in use by first"):
        take_lease.fn(replace(first.target, holder="second"))
    assert first.one("1") == 1


@pytest.mark.usefixtures("short")
def test_a_run_does_not_wait_longer_than_a_lease_lasts(first: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease may be of an earlier version, which gave a quarter of an hour."""
    heartbeat.end(first.target)
    with first.warehouse.reading() as connection:
        set_seconds_left(connection, 900)
    monkeypatch.setattr(tasks.lease, "LEASE_SECONDS", 1)
    with disable_run_logger(), pytest.raises(LeaseHeldError, match="in use by first"):
        take_lease.fn(replace(first.target, holder="second"))


@pytest.mark.usefixtures("short")
def test_heartbeats_go_on_after_one_that_failed(in_file: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat.end(in_file.target)
    beats = iter([TransientError("lost"), PermanentError("refused")])

    def beat() -> None:
        if failure := next(beats, None):
            raise failure
        in_file.warehouse._beat()

    heartbeat.begin(in_file.target, beat)
    sleep(3)
    assert next(beats, None) is None
    assert seconds_left(in_file) >= 1


def test_a_late_heartbeat_does_not_renew_a_lease_that_was_given_back(first: Session) -> None:
    first.warehouse.release_lease()
    first.warehouse._beat()
    second = another(first)
    second.take_lease()
    first.warehouse._beat()
    with second.reading() as connection:
        assert connection.exec_driver_sql("select holder from run_lease").scalars().all() == [second.holder]
    second.release_lease()


def test_tasks_of_one_run_neither_conflict_nor_wait_for_each_other(in_file: Session) -> None:
    in_file.run(*(f"create table numbers_{n} (n integer)" for n in range(8)))
    side_by_side = Barrier(8)

    def work(table: int) -> None:
        for _ in range(5):
            with in_file.warehouse.task() as connection:
                connection.exec_driver_sql(f"delete from numbers_{table}")
                connection.exec_driver_sql(f"insert into numbers_{table} values (1)")
                side_by_side.wait(timeout=30)  # raises where one of them waits for another

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


DIES = """
import sys, time
from pathlib import Path
from tests.support.warehouses import duckdb_place
run = duckdb_place(Path(sys.argv[1]) / "test.duckdb").session("dies")
run.run("create table numbers (n integer)", "insert into numbers values (1)")
with run.warehouse.task() as connection:
    connection.exec_driver_sql("insert into numbers values (2)")
    print("in its task", flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("processes")
def test_a_run_that_was_killed_does_not_block_the_next(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", DIES, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout
        assert child.stdout.readline() == "in its task\n"
        with pytest.raises(PermanentError, match=f"in use by process {child.pid} "):
            open_warehouse(Target(f"duckdb:///{tmp_path}/test.duckdb", "sparkify", "second")).take_lease()
        os.kill(child.pid, signal.SIGKILL)
    run = duckdb_place(tmp_path / "test.duckdb").session("next")
    assert run.rows("select * from numbers") == [(1,)]
    run.warehouse.release_lease()


@pytest.mark.usefixtures("processes")
def test_no_other_process_can_open_the_file_between_tasks(in_file: Session, tmp_path: Path) -> None:
    code = f"import duckdb; duckdb.connect({str(tmp_path / 'test.duckdb')!r})"
    held = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"PID {os.getpid()}" in held.stderr
    in_file.warehouse.release_lease()
    assert subprocess.run([sys.executable, "-c", code], check=True).returncode == 0
    in_file.warehouse.take_lease()


def test_a_refused_run_leaves_the_file_closed(in_file: Session) -> None:
    with pytest.raises(LeaseLostError) as refused:
        another(in_file).take_lease()
    in_file.warehouse.release_lease()
    assert not is_open(in_file), f"the run that was refused still has the file: {refused.value}"


def test_a_failed_release_closes_the_file(tmp_path: Path) -> None:
    run = duckdb_place(tmp_path / "test.duckdb").session()
    run.run("drop table run_lease")
    with pytest.raises(DBAPIError) as failed:
        run.warehouse.release_lease()
    assert not is_open(run), f"the run still has the file, after its release failed: {failed.value}"


def is_open(session: Session) -> bool:
    """Whether this process has a session's file open: DuckDB refuses to open it again with other settings."""
    file = session.target.warehouse.removeprefix("duckdb:///")
    try:
        duckdb.connect(file, config={"threads": 1}).close()
    except duckdb.ConnectionException as error:
        assert "different configuration" in str(error)  # noqa: PT017
        return True
    return False


@pytest.mark.parametrize(
    ("held", "wanted", "waits"),
    [
        ("read", "read", False),
        ("read", "write", False),
        ("read", "exclusive", True),
        ("write", "read", False),
        ("write", "write", True),
        ("write", "exclusive", True),
        ("exclusive", "read", True),
        ("exclusive", "write", True),
        ("exclusive", "exclusive", True),
    ],
)
def test_conflicting_locks_wait_for_each_other(held: Lock, wanted: Lock, waits: bool) -> None:  # noqa: FBT001
    locks, holder, other = TableLocks(), object(), object()
    locks.acquire(holder, "songs", held)
    locks.acquire(holder, "songs", wanted)  # an owner never waits for itself
    locks.release(holder)
    locks.acquire(holder, "songs", held)
    locks.acquire(other, "users", wanted)
    if waits:
        with pytest.raises(PermanentError, match="songs is still in use by another transaction after"):
            locks.acquire(other, "songs", wanted, timeout=0.01)
        locks.release(holder)
    locks.acquire(other, "songs", wanted, timeout=0)


def locks_of(warehouse: Warehouse) -> TableLocks:
    locks: TableLocks = warehouse.engine.dialect.locks  # type: ignore[attr-defined]
    return locks


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "invalidate", "forgotten", "failed commit"])
def test_locks_end_with_their_transaction_however_it_ends(in_file: Session, end: str) -> None:
    connection = in_file.warehouse.engine.connect()
    connection.exec_driver_sql("insert into sparkify.numbers values (1)")
    if end == "forgotten":
        del connection
        gc.collect()
    elif end == "failed commit":
        with closing(in_file.warehouse.engine.raw_connection()) as other:
            other.driver_connection.execute("alter table sparkify.numbers add column other integer")  # type: ignore[union-attr]
        with pytest.raises(DBAPIError, match="conflict") as raised:
            connection.commit()
        assert is_transient(raised.value)
        connection.close()
    else:
        getattr(connection, end)()
    locks_of(in_file.warehouse).acquire(object(), "numbers", "exclusive", timeout=0)
    if end in ("commit", "rollback", "invalidate"):
        connection.close()


@pytest.mark.parametrize("way", ["link to it", "link to its folder", "relative path"])
def test_a_file_has_one_set_of_locks_under_all_its_paths(
    in_file: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.duckdb").symlink_to("test.duckdb")
    Path("folder").symlink_to(tmp_path)
    path = {"link to it": "link.duckdb", "link to its folder": f"{tmp_path}/folder/test.duckdb"}.get(way, "test.duckdb")
    other = open_warehouse(replace(in_file.target, warehouse=f"duckdb:///{path}"))
    assert locks_of(other) is locks_of(in_file.warehouse), f"two sets: by its path, and by a {way}"


def test_two_schemas_of_a_file_do_not_wait_for_each_other(in_file: Session) -> None:
    other = open_warehouse(Target(in_file.target.warehouse, "elsewhere", "second"))
    with in_file.warehouse.task():
        other.take_lease()
    other.release_lease()


def test_conflicts_are_transient(in_file: Session) -> None:
    with duckdb.connect() as raw, raw.cursor() as other:
        raw.execute("create table numbers as select 1 as n")
        raw.execute("begin; update numbers set n = 2")
        other.execute("begin")
        with pytest.raises(duckdb.TransactionException) as raised:
            other.execute("update numbers set n = 3")
        assert is_transient(raised.value)
        raw.execute("create table made (n integer)")
        other.execute("rollback; begin")
        with pytest.raises(duckdb.TransactionException) as raised:
            other.execute("create table made (n integer)")
        assert is_transient(raised.value)
    assert not is_transient(duckdb.TransactionException("Failed to commit: No space left on device"))
    assert not is_transient(duckdb.IOException("Conflicting lock is held"))

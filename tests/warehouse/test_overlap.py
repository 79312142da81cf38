"""Two runs in one warehouse never mix. Tested on the stand-in for Redshift, whose table locks are real."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from flows.etl import sources_of
from sql import catalog
from tests.standin import Standin
from tests.standin.isolation import CONFLICTS, Isolation
from tests.support.second_run import Keeper, Tables, contents, make_data, steps_of
from tests.support.steps import Step
from tests.support.warehouses import BUCKET, Place, redshift_place
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.errors import LeaseLostError, TransientError, is_transient


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))[1]


@pytest.fixture
def place(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The empty stand-in."""
    return redshift_place(standin, monkeypatch)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def steps(place: Place, data: Path) -> list[Step]:
    """The steps of the first run without the preflight, which holds nothing."""
    return steps_of(place, data)[1:]


def run(steps: list[Step]) -> None:
    for step in steps:
        step.run(retries=0)


def second(place: Place) -> Warehouse:
    return open_warehouse(replace(place.target, holder="second run"))


def expire(standin: Standin) -> None:
    standin.admin.query("update sparkify.run_lease set expires_at = timestamp '2000-01-01'")


def loaded(standin: Standin) -> Tables:
    """Return all tables except the lease."""
    return {name: rows for name, rows in contents(standin).items() if name != "run_lease"}


def undisturbed(standin: Standin, steps: list[Step]) -> Tables:
    """Return what an undisturbed run loads, then undo it."""
    before = Keeper(standin)
    run(steps)
    tables = loaded(standin)
    before.restore()
    return tables


@contextmanager
def at_statement(text: str, action: Any) -> Iterator[list[Future[Any]]]:
    """Call a function once, after this thread has executed a statement that contains a text."""
    started: list[Future[Any]] = []
    main = threading.get_ident()

    def look(*execution: Any) -> None:
        if threading.get_ident() == main and text in execution[2] and not started:
            started.append(action())

    event.listen(Engine, "after_cursor_execute", look)
    try:
        yield started
    finally:
        event.remove(Engine, "after_cursor_execute", look)


def test_a_second_run_started_at_every_step_of_a_first_is_refused(
    standin: Standin, place: Place, steps: list[Step], pool: ThreadPoolExecutor
) -> None:
    expected = undisturbed(standin, steps)
    take, *work, release = steps
    with at_statement("delete from run_lease", lambda: pool.submit(second(place).take_lease)) as started:
        take.run(retries=0)
    assert_refused(started)
    for step in work:
        with pytest.raises(LeaseLostError, match="in use by test run until"):
            second(place).take_lease()
        with at_statement("select 1 from run_lease", lambda: pool.submit(second(place).take_lease)) as started:
            step.run(retries=0)
        assert_refused(started)
    with at_statement("update run_lease", lambda: pool.submit(second(place).take_lease)) as started:
        release.run(retries=0)
    started[0].result()  # it waited, and came next
    assert loaded(standin) == expected


def assert_refused(started: list[Future[Any]]) -> None:
    error = started[0].exception()
    assert isinstance(error, LeaseLostError), error
    assert "in use by test run until" in str(error)
    assert not is_transient(error)


def test_taking_the_lease_waits_for_a_task_in_its_transaction(
    standin: Standin, place: Place, steps: list[Step], pool: ThreadPoolExecutor
) -> None:
    """Even if the lease has expired meanwhile: the next holder sees what the task loaded."""
    run(steps[:2])
    with open_warehouse(place.target).task() as connection:
        expire(standin)
        taker = pool.submit(second(place).take_lease)
        await_waiting(standin, taker)
        connection.exec_driver_sql("insert into time select getdate(), 1, 1, 1, 1, 1, 1")
        assert not taker.done()
    taker.result()
    assert len(place.contents("time")["time"]) == 1
    assert place.contents("run_lease")["run_lease"][0][0] == "second run"


def await_waiting(standin: Standin, taker: Future[Any]) -> None:
    """Return when a session waits for a lock on the lease's table."""
    waiting = "select 1 from pg_locks where not granted and relation = 'sparkify.run_lease'::regclass"
    while not standin.admin.query(waiting):
        assert not taker.done(), taker.exception()


def test_the_lease_of_a_dead_run_is_taken_over_when_it_expires(
    standin: Standin, place: Place, steps: list[Step]
) -> None:
    expected = undisturbed(standin, steps)
    run(steps[:5])
    standin.faults.hang_up(pattern="^insert into songplays")
    with pytest.raises(TransientError):
        steps[5].run(retries=0)  # it dies in the midst of it
    following = [step.held_by("second run") for step in steps]
    with pytest.raises(LeaseLostError, match=r"in use by test run until .* UTC at the latest"):
        second(place).take_lease()
    expire(standin)
    run(following)
    assert loaded(standin) == expected


@pytest.mark.parametrize("ended", [False, True], ids=["while the other is at work", "after the other has ended"])
def test_a_run_that_stalls_past_its_lease_fails_for_good_and_changes_nothing(
    standin: Standin, steps: list[Step], *, ended: bool
) -> None:
    """The stall may end before any of its tasks."""
    expected = undisturbed(standin, steps)
    run(steps[:1])
    expire(standin)
    following = [step.held_by("second run") for step in steps]
    run(following if ended else following[:4])
    before = contents(standin)
    for step in steps[1:-1]:
        message = "test run no longer holds the lease" if ended else "in use by second run until"
        with pytest.raises(LeaseLostError, match=message) as raised:
            step.run()
        assert not is_transient(raised.value)
    steps[-1].run()  # gives back nothing: the lease is not its own
    assert contents(standin) == before
    if not ended:
        run(following[4:])
    assert loaded(standin) == expected


@pytest.mark.parametrize("seconds", [120, 50], ids=["with time left", "when the lease is to be renewed"])
def test_parallel_loads_of_one_run_do_not_disturb_each_other(
    standin: Standin, steps: list[Step], pool: ThreadPoolExecutor, seconds: int
) -> None:
    expected = undisturbed(standin, steps)
    *before, last, release = steps
    loads = [step for step in before if step.name.startswith("load ") and step.name != "load songplays"]
    run([step for step in before if step not in loads])
    standin.admin.query(
        f"update sparkify.run_lease set expires_at = (now() at time zone 'utc') + interval '{seconds} s'"
    )
    list(pool.map(lambda step: step.run(retries=0), loads))
    run([last, release])
    assert len(loads) == len(catalog.DIMENSIONS)
    assert loaded(standin) == expected


@pytest.mark.parametrize("level", CONFLICTS)
def test_stagings_side_by_side_copy_once(
    standin: Standin, place: Place, pool: ThreadPoolExecutor, level: Isolation
) -> None:
    """Both have rejects, now and before, and write to load_errors and the ledger: a conflict would repeat a COPY."""
    standin.isolate(level)
    bad = b'\n{"ts": "x", "page": "Home", "duration": "x", "song_id": "b", "artist_id": "b"}'
    sources = sources_of(f"{BUCKET}/logs/", f"{BUCKET}/songs/", max_errors=1)
    for number in range(2):
        standin.put(f"{BUCKET}/logs/{number}", b'{"page": "Home", "ts": 1541030400000}' + bad)
        standin.put(f"{BUCKET}/songs/{number}", b'{"song_id": "SO1", "artist_id": "AR1"}' + bad)
        steps = {step.name: step for step in place.steps(sources)}
        for name in ("take lease", "create tables", "open batch"):
            steps[name].run()
        standin.faults.clear()
        standin.faults.slow(0.3, pattern="^copy", times=9)
        list(pool.map(Step.run, (step for name, step in steps.items() if name.startswith("stage"))))
        assert standin.counts.starting("copy") == 2
        assert len(standin.admin.query("select * from sparkify.load_errors")) == 2 * (number + 1)

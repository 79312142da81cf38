"""Wherever a connection breaks, the run completes, or it fails and the next run completes it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from flows.etl import etl
from sql import catalog
from tasks.results import StageResult
from tests.standin import Standin
from tests.standin.faults import When
from tests.standin.isolation import CONFLICTS, Isolation
from tests.support.second_run import Keeper, Tables, contents, make_data, steps_of
from tests.support.steps import RETRIES, Step
from tests.support.warehouses import BUCKET, JSONPATHS, SCHEMA, Place, connector, credentials, redshift_place
from warehouse.errors import TransientError
from warehouse.redshift.errors import ROLLED_BACK

PLACES: tuple[When, ...] = ("before", "inside", "after", "answering")

Cuts = Callable[[int], Sequence[tuple[int, When]]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def place(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The empty stand-in."""
    return redshift_place(standin, monkeypatch)


@pytest.fixture
def half_loaded(place: Place, data: tuple[Path, Path]) -> Place:
    """The stand-in, with the first day's data loaded."""
    run(steps_of(place, data[0]))
    return place


def run(steps: list[Step]) -> None:
    for step in steps:
        step.run()


def two(messages: int) -> list[tuple[int, When]]:
    """Two cuts, which differ between tasks because the numbers of messages do."""
    return [(at, PLACES[at % 4]) for at in (messages // 3, messages - messages // 3)]


def every(messages: int) -> list[tuple[int, When]]:
    """A cut at every message, of alternating kinds."""
    return [(at, PLACES[at % 4]) for at in range(1, messages + 1)]


def assert_cuts_change_nothing(standin: Standin, steps: list[Step], cuts: Cuts) -> int:
    """Run every step from the same tables, first undisturbed, then with each cut. Return the number of cuts."""
    tried = 0
    for step in steps:
        before = Keeper(standin)
        standin.faults.clear()
        step.run(retries=0)
        messages = standin.counts.messages
        expected = contents(standin)
        for at, when in cuts(messages):
            before.restore()
            standin.faults.clear()
            standin.faults.cut(at, when)
            step.run(retries=1)
            where = f"{step.name}: cut {when} message {at} of {messages}"
            assert contents(standin) == expected, where
            assert standin.counts.messages > messages, f"{where}: it was not tried again"
            tried += 1
    return tried


def test_two_lost_connections_in_each_task_of_a_second_run_change_nothing(
    standin: Standin, half_loaded: Place, data: tuple[Path, Path]
) -> None:
    steps = steps_of(half_loaded, data[1])
    assert assert_cuts_change_nothing(standin, steps, two) == 2 * len(steps)


@pytest.mark.sweep
@pytest.mark.parametrize("first", [True, False], ids=["first run", "second run"])
def test_a_connection_lost_at_any_message_changes_nothing(
    standin: Standin, place: Place, data: tuple[Path, Path], capsys: pytest.CaptureFixture[str], *, first: bool
) -> None:
    if not first:
        run(steps_of(place, data[0]))
    started = monotonic()
    tried = assert_cuts_change_nothing(standin, steps_of(place, data[0 if first else 1]), every)
    with capsys.disabled():
        print(
            f"\n{tried} cuts, at every message of a {'first' if first else 'second'} run, {monotonic() - started:.0f} s"
        )
    assert tried > 400


@pytest.mark.parametrize("level", CONFLICTS)
@pytest.mark.sweep
def test_a_conflict_at_any_statement_changes_nothing(
    standin: Standin, half_loaded: Place, data: tuple[Path, Path], level: Isolation
) -> None:
    standin.isolate(level)
    tried = 0
    for step in steps_of(half_loaded, data[1]):
        before = Keeper(standin)
        standin.faults.clear()
        step.run(retries=0)
        sent = list(standin.counts.statements)
        expected = contents(standin)
        for number, statement in enumerate(sent):
            before.restore()
            standin.faults.clear()
            standin.faults.conflict(after=number)
            step.run(retries=1)
            where = f"{step.name}: conflict at statement {number + 1} of {len(sent)}, {statement!r}"
            assert contents(standin) == expected, where
            assert len(standin.counts.statements) > len(sent), f"{where}: it was not tried again"
            tried += 1
    assert tried > 300


COMMITTED = ("stage staging_events", "load songplays", "load users", "load songs", "load time")


@pytest.mark.parametrize("full_refresh", [False, True], ids=["incremental", "full refresh"])
def test_a_commit_whose_answer_was_lost_is_safe(
    standin: Standin, half_loaded: Place, data: tuple[Path, Path], *, full_refresh: bool
) -> None:
    """The last message of a task belongs to its COMMIT: the work is done, but the task cannot know and is repeated."""
    committed = 0
    left = mended if full_refresh else contents  # another full refresh is another load in the ledger
    steps = steps_of(half_loaded, data[1], full_refresh=full_refresh)
    for step in steps:
        before = Keeper(standin)
        standin.faults.clear()
        undisturbed = step.run(retries=0)
        messages, expected = standin.counts.messages, left(standin)
        before.restore()
        if step.name in COMMITTED:
            standin.faults.cut(messages, "after")
            with pytest.raises(TransientError, match=f"the connection to the warehouse was lost, and {ROLLED_BACK}"):
                step.run(retries=0)
            assert standin.counts.statements[-1] == "commit"
            assert left(standin) == expected, f"{step.name} was committed"
            committed += 1
        repeated = step.run(retries=0)
        if isinstance(repeated, StageResult):
            seen = ("new", "changed", "known", "staged", "rejected")
            assert [getattr(repeated, name) for name in seen] == [getattr(undisturbed, name) for name in seen]
        assert left(standin) == expected
    assert committed == len(COMMITTED) - full_refresh, "a full refresh stages nothing"


def assert_a_rerun_mends(standin: Standin, place: Place, data: tuple[Path, Path], names: Sequence[str]) -> None:
    """Interrupt a second run in a step at every attempt, and assert that a third one ends like an undisturbed run."""
    before = Keeper(standin)
    steps = steps_of(place, data[1])
    run(steps)
    expected = mended(standin)
    for name in names:
        before.restore()
        standin.faults.clear()
        *done, broken = steps_until(name, steps)
        run(done)
        standin.faults.hang_up(pattern="^(copy|insert into (songplays|time|users|songs|artists))", times=RETRIES + 1)
        with pytest.raises(TransientError, match="the connection to the warehouse was lost"):
            broken.run()
        steps[-1].run()  # the flow gives the lease back, whatever happens
        run([step.held_by("next run") for step in steps])
        assert mended(standin) == expected, f"after {name} had failed"


def mended(standin: Standin) -> Tables:
    """Return what does not depend on how many runs it took: all but the ledger and the numbers of batches."""
    tables = contents(standin)
    for name in ("events", "catalogue"):
        tables[name] = [row[:-1] for row in tables[name]]
    return {name: rows for name, rows in tables.items() if name not in {table.name for table in catalog.LEDGER}}


def steps_until(name: str, steps: list[Step]) -> list[Step]:
    return steps[: [step.name for step in steps].index(name) + 1]


def test_the_next_run_completes_a_run_that_lost_every_attempt(
    standin: Standin, half_loaded: Place, data: tuple[Path, Path]
) -> None:
    assert_a_rerun_mends(standin, half_loaded, data, ["stage staging_events", "load songplays", "load users"])


CUTS = {
    "preflight": "^copy preflight",
    "take lease": "^lock table run_lease",
    "create tables": "create table if not exists songplays",
    "open batch": r"^select\s+last\.table_name",
    "stage staging_events": "^copy staging_events",
    "stage staging_songs": "^copy staging_songs",
    "load songplays": "^insert into songplays",
    "load users": "^insert into users",
    "load songs": "^insert into songs",
    "load artists": "^select count.* from artists",
    "load time": "^insert into time",
    "check": r"(?s)^select count\(\*\) over \(\).* from time",
    "release lease": "^update run_lease",
}
"""A statement of each task."""


@pytest.mark.usefixtures("prefect_server")
def test_prefect_retries_a_run_that_loses_its_connection_in_every_task(
    standin: Standin, place: Place, data: tuple[Path, Path]
) -> None:
    run(steps_of(place, data[1]))
    expected = place.contents()
    standin.reset()
    connector(standin).save("sparkify-redshift", overwrite=True)
    credentials(standin).save("sparkify-aws", overwrite=True)
    logs, songs = (place.put(data[1] / name) for name in ("log_data", "song_data"))
    for pattern in CUTS.values():
        standin.faults.hang_up(pattern=pattern)
    state = etl(
        logs,
        songs,
        log_jsonpaths=standin.put(f"{BUCKET}/paths.json", JSONPATHS.read_bytes()),
        warehouse="sparkify-redshift",
        schema=SCHEMA,
        aws_credentials="sparkify-aws",
        max_errors=1,
        return_state=True,
    )
    assert state.is_completed(), state.message
    assert place.contents() == expected
    flow_run = FlowRunFilterId(any_=[state.state_details.flow_run_id])
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=flow_run))
    tries = {run.name: run.run_count for run in runs if run.name in CUTS}
    assert tries == dict.fromkeys(CUTS, 2), "each task was cut, and tried again"

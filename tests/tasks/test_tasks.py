"""Tasks are retried when that may help, are safe to repeat, and name the differences of tables."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from time import monotonic
from typing import Any

import duckdb
import pytest
from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import disable_run_logger
from prefect.states import Failed
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

import tasks
import tasks.retries
from flows.etl import etl, sources_of
from sql import catalog
from tasks.create_tables import create_tables
from tasks.lease import lease
from tasks.load import load_dimension, load_fact
from tasks.results import TableResult
from tasks.retries import BACKOFF_SECONDS, RETRIES, is_retryable
from tests.support.records import EVENT, SONG, write_data
from tests.support.warehouses import Place, Session, duckdb_place, stage_next
from warehouse.connect import open_warehouse
from warehouse.errors import ConflictError, CopyError, PermanentError, TransientError, UnavailableError
from warehouse.sources import Source
from warehouse.tables import Table, split_statements

MODULES = [import_module(f"tasks.{module.name}") for module in iter_modules(tasks.__path__)]
TASKS = {each.name: each for module in MODULES for each in vars(module).values() if isinstance(each, Task)}
CONFLICT = DBAPIError("update t", None, duckdb.TransactionException("Conflict on update!"))


@pytest.fixture
def warehouse(place: Place) -> Iterator[Session]:
    run = place.session()
    yield run
    run.warehouse.release_lease()


def test_every_task_is_known_to_these_tests() -> None:
    assert set(TASKS) == {
        "answer", "check", "check_one", "create_tables", "describe_tables", "load_dimension", "load_fact", "look",
        "open_batch", "preflight", "record_audits", "release_lease", "stage", "take_lease", "undo_batch", "write_page",
    }  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_retried_with_growing_delays(name: str) -> None:
    one = TASKS[name]
    assert one.retries == 5, f"{name}: a task tries five times more"
    assert one.retry_delay_seconds is RETRIES["retry_delay_seconds"]
    assert one.retry_condition_fn is is_retryable
    assert one.cache_policy == NO_CACHE


def test_the_retry_delay_is_a_setting_and_zero_in_tests() -> None:
    assert BACKOFF_SECONDS == 0


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("error", "failures", "attempts"),
    [(CONFLICT, 5, 6), (CONFLICT, 6, 6), (PermanentError("fix the file"), 1, 1), (ValueError("a bug"), 1, 1)],
    ids=["transient", "transient for too long", "permanent", "bug"],
)
def test_only_transient_errors_are_retried(error: Exception, failures: int, attempts: int) -> None:
    tried = []

    @task(**RETRIES)
    def work() -> None:
        tried.append(1)
        if len(tried) <= failures:
            raise error

    @flow
    def run() -> State[None]:
        return work(return_state=True)

    state = run(return_state=True)
    assert len(tried) == attempts
    assert state.is_completed() == (failures < attempts)
    assert state.is_failed() == (failures >= attempts)


WAITS = {
    "a lost connection": (TransientError("lost"), [10, 20, 40, 80, 160]),
    "a conflict": (ConflictError("1023"), [2, 4, 8, 16, 32]),
    "a conflict on DuckDB": (CONFLICT, [2, 4, 8, 16, 32]),
    "a cluster that resumes": (UnavailableError("paused"), [30, 60, 120, 240, 480]),
}
"""Seconds before each retry. A resume takes minutes, and a conflict is over when it is reported."""


@pytest.mark.parametrize("what", WAITS)
def test_waits_fit_what_is_waited_for_and_the_log_tells_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    error, waits = WAITS[what]
    monkeypatch.setattr(tasks.retries, "BACKOFF_SECONDS", 10)
    one = TASKS["check"]
    monkeypatch.setattr(tasks.retries, "task_run_logger", lambda run, task: logging.getLogger("waits"))
    caplog.set_level("INFO", "waits")
    for number, seconds in enumerate(waits, 1):
        run = TaskRun(task_key="check", dynamic_key="0", run_count=number)
        before = datetime.now(UTC)
        assert is_retryable(one, run, Failed(data=error))
        waited = one.retry_delay_seconds[0]
        assert seconds / 2 <= waited <= seconds * 1.5
        at = before + timedelta(seconds=waited)
        times = {f"{at + timedelta(seconds=late):%H:%M:%S}" for late in (0, 1)}
        assert caplog.messages[-1] in {f"attempt {number + 1} of 6 is at {time} UTC" for time in times}
    assert not is_retryable(one, run, Failed(data=PermanentError("fix it")))


@pytest.mark.usefixtures("prefect_server")
def test_prefect_waits_as_long_as_the_error_of_the_attempt_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.retries, "BACKOFF_SECONDS", 0.2)
    began: list[float] = []
    errors = iter([UnavailableError("paused"), ConflictError("1023")])

    @task(**RETRIES)
    def work() -> None:
        began.append(monotonic())
        if error := next(errors, None):
            raise error

    @flow
    def run() -> None:
        work()

    run()
    long, short = began[1] - began[0], began[2] - began[1]
    assert long > 0.3, "half of 0.6 s"
    assert short < long


@pytest.mark.usefixtures("prefect_server")
def test_a_run_reports_its_first_error_even_if_the_release_fails_too(tmp_path: Path) -> None:
    def fail(*execution: Any) -> None:
        if execution[2].startswith("update run_lease set expires_at = getdate()"):
            raise PermanentError("the release failed")

    (tmp_path / "bad.json").write_text("bad")
    event.listen(Engine, "before_cursor_execute", fail)
    try:
        state = etl(*[f"{tmp_path}/bad.json"] * 2, warehouse=f"duckdb:///{tmp_path}/w.duckdb", return_state=True)
    finally:
        event.remove(Engine, "before_cursor_execute", fail)
    with pytest.raises(CopyError, match=r"bad\.json, line 1"):
        state.result()


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_is_interrupted_while_it_gives_its_lease_back_gives_it_back(tmp_path: Path) -> None:
    first = duckdb_place(tmp_path / "w.duckdb").target
    interrupts = [KeyboardInterrupt()]

    def interrupt(*execution: Any) -> None:
        if execution[2].startswith("update run_lease set expires_at = getdate()") and interrupts:
            raise interrupts.pop()

    @flow
    def run() -> None:
        with lease(first):
            pass

    event.listen(Engine, "before_cursor_execute", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run()
    finally:
        event.remove(Engine, "before_cursor_execute", interrupt)
    assert not interrupts
    open_warehouse(replace(first, holder="another run")).take_lease()


def create(warehouse: Session, *tables: Table) -> None:
    create_tables.fn(warehouse.target, list(tables))


def differences(warehouse: Session, *tables: Table) -> list[str]:
    with pytest.raises(PermanentError) as raised:
        create(warehouse, *tables)
    head, *lines = str(raised.value).splitlines()
    assert head == "existing tables differ from their declarations:"
    assert f"{REMEDY}\n" in str(raised.value)
    return [line.strip() for line in lines[: lines.index(REMEDY)]]


REMEDY = "Change the SQL files back, or run these statements, and then the pipeline:"


def things(folder: Path, columns: str, name: str = "things") -> Table:
    (folder / f"{name}.sql").write_text(f"-- One row per thing.\ncreate table if not exists {name} ({columns});\n")
    return Table(folder / f"{name}.sql")


DECLARED = "id integer not null, name varchar(16), size decimal(10, 5)"


def test_create_tables_may_be_repeated(warehouse: Session, tmp_path: Path) -> None:
    tables = [*catalog.TABLES, things(tmp_path, DECLARED)]
    create(warehouse, *tables)
    warehouse.run("insert into things values (1, 'a', 0.5)")
    create(warehouse, *tables)
    assert warehouse.rows("select count(*) from things") == [(1,)]


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ("id integer not null, size decimal(10, 5)", ["column name varchar(16) is missing"]),
        ("name varchar(16), size decimal(10, 5)", ["column id integer not null is missing"]),
        (f"{DECLARED}, more integer", ["column more integer is not declared"]),
        (
            "key integer not null, name varchar(16), size decimal(10, 5)",
            ["column id integer not null is missing", "column key integer not null is not declared"],
        ),
        (
            "id bigint not null, name varchar(15), size decimal(10, 4)",
            [
                "column id bigint not null is declared as id integer not null",
                "column name varchar(15) is declared as name varchar(16)",
                "column size decimal(10,4) is declared as size decimal(10,5)",
            ],
        ),
        (
            "id integer, name varchar(16) not null, size decimal(10, 5)",
            [
                "column id integer is declared as id integer not null",
                "column name varchar(16) not null is declared as name varchar(16)",
            ],
        ),
        (
            "name varchar(16), id integer not null, size decimal(10, 5)",
            ["columns are in the order name, id, size, not in the declared one"],
        ),
        (
            "size varchar, id integer not null, more date",
            [
                "column name varchar(16) is missing",
                "column more date is not declared",
                "column size varchar(256) is declared as size decimal(10,5)",
                "columns are in the order size, id, not in the declared one",
            ],
        ),
    ],
    ids=["missing", "required and missing", "extra", "renamed", "types", "nullability", "order", "all at once"],
)
def test_create_tables_names_every_difference(
    warehouse: Session, tmp_path: Path, present: str, expected: list[str]
) -> None:
    warehouse.run(f"create table things ({present})")
    assert differences(warehouse, things(tmp_path, DECLARED)) == [f"things: {line}" for line in expected]


def test_a_table_gets_the_columns_that_it_lacks_at_its_end(warehouse: Session, tmp_path: Path) -> None:
    warehouse.run("create table things (id integer not null)", "insert into things values (1)")
    table = things(tmp_path, DECLARED)
    create(warehouse, table)
    with warehouse.warehouse.task() as connection:
        assert warehouse.warehouse.columns(connection, "things") == table.columns
    assert warehouse.rows("select * from things") == [(1, None, None)]


def test_create_tables_names_the_differences_of_all_tables_and_creates_none(warehouse: Session, tmp_path: Path) -> None:
    warehouse.run("create table things (id integer)", "create table load_errors (id integer)")
    lines = differences(warehouse, things(tmp_path, "id date", "extra"), things(tmp_path, "id bigint"))
    assert "things: column id integer is declared as id bigint" in lines
    assert "load_errors: column id integer is not declared" in lines
    with warehouse.warehouse.task() as connection:
        assert warehouse.warehouse.columns(connection, "extra") == ()
        assert len(warehouse.warehouse.columns(connection, "things")) == 1


def test_the_statements_that_it_gives_make_the_tables_as_declared(warehouse: Session, tmp_path: Path) -> None:
    """What a table keeps is copied; a dimension or a staging table is made anew by the next run."""
    users = next(table for table in catalog.DIMENSIONS if table.name == "users")
    staged = Table(things(tmp_path, "id integer", "staged").path, history=users)
    tables = (things(tmp_path, "id integer not null, size decimal(10, 5)"), *catalog.LEDGER, users, staged)
    warehouse.run(
        "create table things (name varchar(16), id integer not null)", "insert into things values ('a', 7)",
        "create table users (user_id integer)", "create table staged (word varchar(8))",
    )  # fmt: skip
    with pytest.raises(PermanentError) as raised:
        create(warehouse, *tables)
    statements = str(raised.value).partition(f"{REMEDY}\n")[2]
    assert statements.startswith('set search_path to "')
    warehouse.run(*split_statements(statements)[1:])
    create(warehouse, *tables)
    assert warehouse.rows("select * from things") == [(7, None)]
    assert warehouse.rows("select * from things_before") == [("a", 7)]


def test_create_tables_notices_altered_tables(warehouse: Session, tmp_path: Path) -> None:
    table = things(tmp_path, DECLARED)
    create(warehouse, table)
    warehouse.run("alter table things drop column name", "alter table things add column name integer")
    assert differences(warehouse, table) == [
        "things: column name integer is declared as name varchar(16)",
        "things: columns are in the order id, size, name, not in the declared one",
    ]


@pytest.fixture
def staged(warehouse: Session, place: Place, generated: Path) -> Session:
    create(warehouse, *catalog.TABLES)
    for table, folder in ((catalog.STAGING_EVENTS, "log_data"), (catalog.STAGING_SONGS, "song_data")):
        stage_next(warehouse.target, Source(table, place.put(generated / folder)))
    return warehouse


def test_stage_replaces_staging_and_adds_to_history(staged: Session, place: Place, tmp_path: Path) -> None:
    before = staged.rows("select count(*) from events")[0][0]
    (tmp_path / "new.json").write_text(2 * '{"page": "Home", "ts": 1541030400000}\n')
    report = stage_next(staged.target, Source(catalog.STAGING_EVENTS, place.put(tmp_path / "new.json")))
    assert (report.new, report.changed, report.known, report.staged, report.rejected) == (1, 0, 0, 2, 0)
    assert staged.rows("select count(*) from staging_events") == [(2,)]
    assert staged.rows("select count(*), count(distinct batch_id) from events") == [(before + 2, 2)]


def test_a_failed_stage_leaves_the_old_rows(staged: Session, place: Place, tmp_path: Path) -> None:
    before = Counter(staged.rows("select * from staging_events"))
    assert before
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(CopyError, match=r"broken\.json, line 1"):
        stage_next(staged.target, Source(catalog.STAGING_EVENTS, place.put(tmp_path / "broken.json")))
    assert Counter(staged.rows("select * from staging_events")) == before


def test_rejects_are_kept_by_batch(staged: Session, place: Place, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("bad")
    (tmp_path / "good.json").write_text('{"page": "Home", "ts": 1541030400000}')
    before = staged.one("max(batch_id) from batches")
    events, songs = catalog.STAGING
    for table, name in ((events, "bad"), (songs, "bad"), (events, "good")):
        stage_next(staged.target, Source(table, place.put(tmp_path / f"{name}.json"), max_errors=1))
    rejects = staged.rows("select batch_id, load, code from load_errors order by batch_id")
    assert rejects == [(before + 1, "staging_events", 1224), (before + 2, "staging_songs", 1224)]


@pytest.mark.parametrize("full_refresh", [False, True], ids=["incremental", "full refresh"])
def test_loads_may_be_repeated(staged: Session, *, full_refresh: bool) -> None:
    def load(table: Table) -> TableResult:
        task = load_fact if table in catalog.FACTS else load_dimension
        with disable_run_logger():
            return task.fn(staged.target, table, catalog.HISTORY, full_refresh=full_refresh)

    for table in catalog.STAR:
        once = load(table)
        rows = staged.rows(f"select * from {table.name} order by 1")
        assert (once.inserted, once.updated, once.removed, once.present) == (len(rows), 0, 0, len(rows))
        assert rows
        again = load(table)
        replaced = len(rows) if full_refresh else 0
        assert (again.inserted, again.updated, again.removed) == (replaced, 0, replaced)
        assert staged.rows(f"select * from {table.name} order by 1") == rows


def test_the_next_run_completes_what_a_stopped_run_left_whatever_its_files(place: Place, tmp_path: Path) -> None:
    stopped = write_data(tmp_path / "stopped", [EVENT], [SONG])
    other = write_data(tmp_path / "other", [EVENT | {"userId": "2", "ts": EVENT["ts"] + 1}], [SONG])
    sources = sources_of(place.put(stopped / "log_data"), place.put(stopped / "song_data"))
    for step in place.steps(sources):
        step.run()
        if step.name == "load songplays":
            break
    assert [check.check for check in place.run(other / "log_data", other / "song_data") if not check.holds] == []
    assert len(place.contents("users")["users"]) == 2

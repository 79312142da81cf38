"""One table of failures, as a person at the command line meets them: each is told once, and changes nothing."""

import io
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb
import pytest

from flows.command_line import new_app
from flows.declared import declared
from flows.failures import UNTOLD
from sql import catalog
from tests.standin import Standin
from tests.standin.faults import Faults
from tests.support.command import exit_code_of
from tests.support.steps import RETRIES
from tests.support.warehouses import BUCKET, LOADED, Place, duckdb_place, redshift_place
from warehouse.duckdb.dialect import Dialect
from warehouse.duckdb.translate import translate

pytestmark = pytest.mark.usefixtures("prefect_server")

SECONDS = 30
"""A run of this size takes one or two, but a machine that tests is busy."""


@dataclass(frozen=True)
class Setting:
    """A warehouse that all but one day was loaded into, and the data of the next run, which a failure may spoil."""

    place: Place
    data: Path
    patch: pytest.MonkeyPatch
    standin: Any = None

    @property
    def faults(self) -> Faults:
        faults: Faults = self.standin.faults
        return faults

    @property
    def last_log(self) -> Path:
        return max((self.data / "log_data").rglob("*.json"))

    def raising(self, statement: str, error: BaseException) -> None:
        """Let a statement on DuckDB raise an error."""
        execute = Dialect.do_execute

        def fail(dialect: Dialect, cursor: Any, text: str, *others: Any) -> None:
            if text.startswith(statement):
                raise error
            execute(dialect, cursor, text, *others)

        self.patch.setattr(Dialect, "do_execute", fail)

    def answering(self, statement: str, message: str) -> None:
        """Let DuckDB answer a statement with an error."""

        def translated(text: str) -> Any:
            found = translate(text)
            return replace(found, sql=f"select error('{message}')") if text.startswith(statement) else found

        self.patch.setattr("warehouse.duckdb.dialect.translate", translated)


def nothing(_: Setting) -> None:
    """Spoil nothing: the options do."""


@dataclass(frozen=True)
class Failure:
    """What is done, and what is expected: the whole message, the exit code, and how often the task was tried.

    Afterwards, the warehouse holds what it did before, and the next run can begin at once.
    """

    name: str
    do: Callable[[Any], Any]
    message: str
    code: int = 1
    attempts: int = 1
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def add_bad_record(setting: Setting) -> None:
    setting.last_log.write_text("not json\n" + setting.last_log.read_text())


def add_level(setting: Setting) -> None:
    setting.last_log.write_text(
        '{"page": "NextSong", "ts": 1541548800000, "level": "gold", "userId": "1", "sessionId": 1}'
    )


def drop_column(setting: Setting) -> None:
    with duckdb.connect(str(setting.place.target.duckdb_file)) as connection:
        connection.execute("alter table sparkify.users drop column gender")


LEVELS_BROKEN = (
    "checks failed: levels_known\n"
    "error: levels_known, broken by 1 row. The level of every NextSong event is free or paid.\n"
    "  ts=2018-11-07 00:00:00, user_id=1, level=gold"
)
VARYING = (
    (r"\.py, line \d+", ".py, line N"),
    (rf"{BUCKET}/\d+/", f"{BUCKET}/N/"),
    (r", \d+ from staging", ", N from staging"),
    ("(report on them:\n).*", r"\1QUERY"),
)
AGAIN = ". Each step is complete or undone. Run again once this has passed"
INSERTING = "^insert into events"
INSERT = "insert into events ({columns}, batch_id)\nselect {columns}, N from staging_events"

ON_DUCKDB = [
    Failure(
        "a bad record",
        add_bad_record,
        "staging_events: 1 record rejected, max_errors allows 0. Nothing was loaded.\n"
        "  {last}, line 1: Not a JSON object (code 1224)\n"
        "Fix the files, or set --max-errors 1 to keep the rejects in load_errors",
    ),
    Failure(
        "a folder that does not exist",
        lambda setting: shutil.rmtree(setting.data / "song_data"),
        "song_data: {data}/song_data does not exist. Name a directory, a file or an s3:// prefix",
        code=2,
    ),
    Failure(
        "a rule of a batch is broken",
        add_level,
        LEVELS_BROKEN,
    ),
    Failure(
        "a table with other columns",
        drop_column,
        "existing tables differ from their declarations:\n"
        "  users: column gender varchar(16) is missing\n"
        "Change the SQL files back, or run these statements, and then the pipeline:\n"
        'set search_path to "sparkify";\n'
        "drop table users;",
    ),
    Failure(
        "no such block",
        nothing,
        "warehouse: there is no SQLAlchemy Connector block named 'typo'. `prefect block ls` lists the existing blocks. "
        "Save the block first, or use duckdb:///path",
        options={"--warehouse": "typo"},
    ),
    Failure(
        "days the wrong way round",
        nothing,
        "since: 2018-11-05 is after until, 2018-11-04. Swap them",
        code=2,
        options={"--since": "2018-11-05", "--until": "2018-11-04"},
    ),
    Failure(
        "a schema of the system",
        nothing,
        "schema: 'pg_catalog' belongs to the database itself. Name another schema",
        code=2,
        options={"--schema": "pg_catalog"},
    ),
    Failure(
        "fewer than no errors",
        nothing,
        'Invalid value "-1" for --max-errors. Use 0 to 99999.',
        code=2,
        options={"--max-errors": "-1"},
    ),
    Failure(
        "no database",
        lambda setting: Path(str(setting.place.target.duckdb_file)).write_text("some text " * 1000),
        "{file} is not a DuckDB database. Name another file, or a new one",
    ),
    Failure(
        "too little memory",
        lambda setting: setting.patch.setattr("warehouse.duckdb.warehouse.limits", lambda: {"memory_limit": "4MB"}),
        "DuckDB has too little memory for this, though it uses the disk too. Give the machine or the container more, "
        "or stop what else runs there",
    ),
    Failure(
        "a full disk",
        lambda setting: setting.answering("insert into events", "No space left on device"),
        "the disk under {file} is full. Make room on it, or name a file on another disk",
    ),
    Failure(
        "Ctrl-C",
        lambda setting: setting.raising("delete from staging_events", KeyboardInterrupt()),
        "interrupted: each step is complete or undone. Run again to complete the others",
        code=130,
    ),
    Failure(
        "a defect",
        lambda setting: setting.raising("delete from staging_events", KeyError("x")),
        "a defect of the pipeline in tasks/stage.py, line N: KeyError 'x'. Run again with --debug, "
        "which prints where it comes from, and report that",
    ),
]


ON_REDSHIFT = [
    Failure(
        "a connection that breaks at every try",
        lambda setting: setting.faults.hang_up(pattern="^copy staging_events", times=RETRIES + 1),
        "the connection to the warehouse was lost, and any open transaction was rolled back: InterfaceError: "
        "BrokenPipe: server socket closed. Please check that client side networking configurations such as Proxies, "
        "firewalls, VPN, etc. are not affecting your network connection" + AGAIN,
        attempts=RETRIES + 1,
    ),
    Failure(
        "a login that is refused",
        lambda setting: setting.faults.refuse_connections(
            "28000", "password authentication failed for user sparkify", times=9
        ),
        "preflight failed, nothing was changed: connection: Redshift refused: password authentication failed for user "
        "sparkify (SQLSTATE 28000). Fix the user and the password, or the IAM settings, in the warehouse's block",
    ),
    Failure(
        "a privilege that is missing",
        lambda setting: setting.faults.fail(
            "42501", "permission denied for relation t", pattern="^delete from staging_events"
        ),
        "Redshift refused: permission denied for relation t (SQLSTATE 42501). Grant the privileges that a loader "
        "needs; docs/redshift.md lists them\ndelete from staging_events",
    ),
    Failure(
        "a bad record",
        add_bad_record,
        "staging_events: 1 record rejected before Redshift stopped reading, max_errors allows 0. Nothing was loaded "
        "from s3://sparkify-test/N/log_data/.\n"
        "  s3://sparkify-test/N/log_data/2018/11/2018-11-07-events.json, line 1: Not a JSON object (code 1224)\n"
        "Fix the files, or set --max-errors 1 or higher to keep the rejects in load_errors. Redshift's own report on "
        "them:\nQUERY",
    ),
    Failure("a rule of a batch is broken", add_level, LEVELS_BROKEN),
    Failure(
        "a conflict at every try",
        lambda setting: setting.faults.conflict(pattern=INSERTING, times=RETRIES + 1),
        "two transactions were in conflict, and any open transaction was rolled back: could not complete because of "
        "conflict with concurrent transaction (SQLSTATE XX000)" + AGAIN,
        attempts=RETRIES + 1,
    ),
    Failure(
        "a cluster that resumes for longer than a run waits",
        lambda setting: setting.faults.refuse_connections("57P03", "the cluster is resuming", times=99),
        "the cluster is paused or resuming, and any open transaction was rolled back: the cluster is resuming "
        "(SQLSTATE 57P03)" + AGAIN,
        attempts=RETRIES + 1,
    ),
    Failure(
        "a full disk",
        lambda setting: setting.faults.fail("XX000", "Disk Full", pattern=INSERTING),
        "Redshift refused: Disk Full (SQLSTATE XX000). Make room in the cluster: drop what nobody needs, VACUUM, or "
        "resize it. Then run again\n" + INSERT,
    ),
    Failure(
        "a statement that is cancelled",
        lambda setting: setting.faults.fail("57014", "Query (7) cancelled on request", pattern=INSERTING),
        "Redshift refused: Query (7) cancelled on request (SQLSTATE 57014). Set a longer statement_timeout, or 0 "
        "for none\n" + INSERT,
    ),
    Failure(
        "a prefix of no object",
        nothing,
        "preflight failed, nothing was changed: staging_songs COPY, staging_songs objects: {bucket}/nothing/: The "
        "specified S3 prefix 'nothing/' does not exist. Name a prefix that keys in the bucket start with (prefixes are "
        "case-sensitive; try `aws s3 ls {bucket}/nothing/`)",
        options={"--song-data": f"{BUCKET}/nothing/"},
    ),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, generated: Path) -> Path:
    """A DuckDB file that all but the last day was loaded into, and its data."""
    folder = tmp_path_factory.mktemp("loaded")
    shutil.copytree(generated, folder / "data")
    last = max((folder / "data/log_data").rglob("*.json"))
    last.rename(folder / "last.json")
    duckdb_place(folder / "w.duckdb").run(folder / "data/log_data", folder / "data/song_data")
    (folder / "last.json").rename(last)
    return folder


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What a terminal would show of Prefect's log."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.root.addHandler(handler)
    with caplog.at_level(logging.INFO, "prefect"):
        yield written
    logging.root.removeHandler(handler)
    for other in logging.root.handlers:
        other.removeFilter(UNTOLD)


def run(setting: Setting, more: dict[str, str]) -> int:
    app, target = new_app(), setting.place.target
    app.default(declared("flows.etl:etl"))
    options = {
        "--log-data": setting.place.put(setting.data / "log_data"),
        "--song-data": setting.place.put(setting.data / "song_data"),
        "--warehouse": target.warehouse,
        "--schema": target.schema,
        "--aws-credentials": target.aws_credentials,
        **more,
    }
    return exit_code_of(app, *(word for option in options.items() for word in option))


@pytest.mark.parametrize("failure", ON_DUCKDB, ids=str)
def test_a_failure_on_duckdb_is_told_once_and_changes_nothing(
    failure: Failure,
    loaded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(loaded, tmp_path / "w")
    setting = Setting(duckdb_place(tmp_path / "w/w.duckdb"), tmp_path / "w/data", monkeypatch)
    before = setting.place.contents(*LOADED, "events", "load_errors")
    failure.do(setting)
    assert_told_once(failure, setting, log, capsys)
    monkeypatch.undo()
    if failure.name in ("a table with other columns", "no database"):
        return  # what is there is what the test made
    assert setting.place.contents(*LOADED, "events", "load_errors") == before
    setting.place.session("the next run")


def assert_told_once(failure: Failure, setting: Setting, log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    started = monotonic()
    assert run(setting, failure.options) == failure.code
    assert monotonic() - started < SECONDS
    printed = capsys.readouterr().err.strip()
    expected = failure.message.format(
        last=setting.last_log,
        data=setting.data,
        file=setting.place.target.duckdb_file,
        bucket=BUCKET,
        columns=", ".join(column.name for column in catalog.STAGING_EVENTS.columns),
    )
    for varying, name in VARYING:
        printed = re.sub(varying, name, printed, flags=re.DOTALL)
    assert printed == expected
    shown = log.getvalue()
    lines = [line for line in shown.splitlines() if " - Retry " not in line]
    assert not set(expected.splitlines()) & set(lines), "it is told in the last lines only"
    assert not [line for line in lines if expected.splitlines()[0] in line], "it is told in the last lines only"
    assert "Traceback" not in shown
    assert shown.count("- Retry ") == failure.attempts - 1


@pytest.fixture(scope="module")
def on_redshift(running_standin: Standin, loaded: Path) -> Iterator[Place]:
    """The stand-in, into which all data was loaded. Each run finds them under another prefix, so as new."""
    with pytest.MonkeyPatch.context() as patch:
        place = redshift_place(running_standin, patch)
        place.run(loaded / "data/log_data", loaded / "data/song_data")
        yield place


@pytest.mark.parametrize("failure", ON_REDSHIFT, ids=str)
def test_a_failure_on_redshift_is_told_once_and_changes_nothing(
    failure: Failure,
    running_standin: Standin,
    on_redshift: Place,
    loaded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(loaded / "data", tmp_path / "data")
    setting = Setting(on_redshift, tmp_path / "data", monkeypatch, running_standin)
    before = on_redshift.contents(*LOADED, "events", "load_errors")
    failure.do(setting)
    assert_told_once(failure, setting, log, capsys)
    running_standin.faults.clear()
    assert on_redshift.contents(*LOADED, "events", "load_errors") == before
    on_redshift.session("the next run").warehouse.release_lease()

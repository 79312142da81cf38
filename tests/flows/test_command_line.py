"""How a command ends, and its last message."""

import io
import logging
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import httpx
import pytest
from cyclopts import App
from prefect.utilities.callables import parameter_schema

from flows import command_line
from flows.__main__ import COMMANDS, main, sparkify
from flows.analytics import Report
from flows.command_line import new_app
from flows.declared import declared
from flows.etl import etl, where_to_look
from flows.failures import UNTOLD
from flows.history import Listing
from flows.run_events import emit_check_failed, emit_table_loaded
from flows.summary import Places, Summary
from flows.terminal import accept_any_character, terminal
from tasks.answer import Answers
from tasks.results import CheckResult, TableResult
from tests.support.command import exit_code_of
from tests.support.project import ROOT
from warehouse.days import Days
from warehouse.errors import CopyError, PermanentError, TransientError
from warehouse.questions import Answer
from warehouse.target import Target


@pytest.fixture
def hangup() -> Iterator[None]:
    """A process that its terminal's end would kill."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("hangup")
def test_the_end_of_the_terminal_stops_a_command_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "_received", [])
    command_line._stop_on_signals()
    assert signal.getsignal(signal.SIGHUP) != signal.SIG_DFL, "it would be killed here"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)


def because_of(cause: BaseException) -> RuntimeError:
    error = RuntimeError("Prefect's own words")
    error.__cause__ = cause
    return error


def met_by(context: BaseException) -> RuntimeError:
    error = RuntimeError("Prefect's own words")
    error.__context__ = context
    return error


DEFECT = "a defect of the pipeline"
WHAT_TO_DO = "This is a defect of the pipeline. Report it with the lines below"
ENDS = [
    (PermanentError("name another file"), 1, "name another file"),
    (CopyError("a.json, line 3"), 1, "a.json, line 3"),
    (TransientError("the connection was lost"), 1, "the connection was lost"),
    (KeyboardInterrupt(), 130, "interrupted: each step is complete or undone. Run again"),
    (RuntimeError("Query interrupted"), 130, "interrupted: "),
    (met_by(met_by(KeyboardInterrupt())), 130, "interrupted: "),
    (httpx.ConnectError("refused"), 1, "the Prefect server at "),
    (because_of(httpx.ReadTimeout("slow")), 1, "the Prefect server at "),
    (ValueError("a mistake\nof ours"), 1, f"{DEFECT} in flows/command_line.py, line "),
    (because_of(ValueError("no network")), 1, f"{DEFECT} in flows/command_line.py, line "),
]


@pytest.fixture
def ends(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command line, and returns its exit code and what it prints to standard error."""
    return lambda app, *arguments: (exit_code_of(app, *arguments), capsys.readouterr().err)


def app_of(function: Callable[..., Any]) -> App:
    app = new_app()
    app.default(function)
    return app


def raising(error: BaseException) -> App:
    def fail() -> None:
        raise error

    return app_of(fail)


@pytest.mark.parametrize(("error", "code", "message"), ENDS, ids=lambda value: type(value).__name__)
def test_a_failure_ends_with_one_line_and_its_exit_code(
    error: BaseException, code: int, message: str, ends: Callable[..., tuple[int, str]]
) -> None:
    ended, printed = ends(raising(error))
    assert ended == code
    (line,) = printed.strip().splitlines()
    assert line.startswith(message)


def test_debug_adds_the_traceback(ends: Callable[..., tuple[int, str]]) -> None:
    assert "Traceback (most recent call last)" in ends(raising(ValueError("x")), "--debug")[1]


def test_a_defect_names_its_place_in_the_project(ends: Callable[..., tuple[int, str]]) -> None:
    _, printed = ends(app_of(lambda: Days.read(1, "")))  # type: ignore[arg-type]
    assert f"{DEFECT} in warehouse/days.py, line " in printed
    assert ": TypeError fromisoformat: argument must be str. Run again with --debug" in printed


def test_prefect_logs_a_failure_in_four_places_and_the_terminal_shows_it_once(
    ends: Callable[..., tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What another task failed of is told too."""
    other, error = PermanentError("songs: unreadable"), PermanentError("logs: unreadable")

    def fail() -> None:
        console = logging.StreamHandler()
        console.addFilter(UNTOLD)
        for name, text, level, cause in (
            ("task_runs", "Task run failed with exception: %s", logging.ERROR, other),
            ("task_runs", "Task run failed with exception: %s", logging.ERROR, error),
            ("task_runs", "Finished in state Failed('%s')", logging.ERROR, error),
            ("flow_runs", "Encountered exception during execution: %s", logging.ERROR, error),
            ("flow_runs", "Finished in state Failed('%s')", logging.INFO, error),
            ("task_runs", "Finished in state Completed()", logging.INFO, None),
            ("task_runs", "Task run failed with exception: %s - Retry 1/3 will start", logging.INFO, error),
        ):
            info = (type(cause), cause, None) if cause else None
            arguments = (cause,) if "%s" in text else ()
            console.handle(logging.LogRecord(f"prefect.{name}", level, "", 1, text, arguments, info))
        raise error

    code, printed = ends(app_of(fail))
    assert code == 1
    lines = [line for line in printed.splitlines() if line and not line.startswith("warehouse.errors")]
    assert lines == [
        "Finished in state Completed()",
        "Task run failed with exception: logs: unreadable - Retry 1/3 will start",
        "songs: unreadable",
        "logs: unreadable",
    ]
    _, printed = ends(app_of(fail), "--debug")
    assert printed.count("logs: unreadable") > 4


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [
        (PermanentError("x"), False),
        (TransientError("x"), False),
        (KeyboardInterrupt(), False),
        (ValueError("x"), True),
        (None, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_log_of_a_deployed_run_has_tracebacks_of_defects_only_and_each_once_with_what_to_do(
    error: BaseException | None, *, has_traceback: bool
) -> None:
    for name, is_first in (("prefect.task_runs", True), ("prefect.flow_runs", False)):
        info = (type(error), error, None) if error else None
        record = logging.LogRecord(name, logging.ERROR, "", 1, "failed", (), info)
        assert logging.getLogger(name).filter(record)
        is_told = has_traceback and is_first
        assert bool(record.exc_info) == is_told
        assert record.getMessage() == ("failed. " + WHAT_TO_DO if is_told else "failed")


def test_the_log_of_a_deployed_run_does_not_call_a_server_that_does_not_answer_a_defect() -> None:
    error = httpx.ConnectError("refused")
    record = logging.LogRecord("prefect.flow_runs", logging.ERROR, "", 1, "failed", (), (type(error), error, None))
    assert logging.getLogger(record.name).filter(record)
    assert record.getMessage() == "failed"


def test_the_form_in_prefects_ui_knows_the_bounds_that_the_command_line_does() -> None:
    properties = parameter_schema(etl).properties
    bounds = {name: (each["minimum"], each.get("maximum")) for name, each in properties.items() if "minimum" in each}
    assert bounds == {"max_errors": (0, 99_999), "max_age_hours": (0, None), "statement_timeout": (0, None)}


WRONG = {
    "flows.etl:etl": [
        ("--no-such-option", "Unknown option: --no-such-option."),
        ("--max-errors -1", 'Invalid value "-1" for --max-errors. Use 0 to 99999.'),
        ("--max-errors 100000", 'Invalid value "100000" for --max-errors. Use 0 to 99999.'),
        ("--max-errors many", 'Invalid value for --max-errors: unable to convert "many" into int.'),
        ("--since tomorrow", "since: 'tomorrow' is no day. Write it as 2018-11-15"),
        ("--schema x,y", "schema: 'x,y' cannot be a schema's name. Use letters, digits and underscores, at most 127"),
        ("--schema PUBLIC", "schema: 'PUBLIC' is not how the default schema is spelled. Use public"),
        ("--since 2018-11-03 --until 2018-11-02", "since: 2018-11-03 is after until, 2018-11-02. Swap them"),
        ("--log-data logs", "song_data is missing. Name both sources, or neither to run on a generated sample"),
        ("--plan", "plan: only runs on Redshift can be planned. Set warehouse to the name of a Redshift block"),
        ("--warehouse a.duckdb", "warehouse: a DuckDB file needs a URL. Use duckdb:///a.duckdb"),
        ("--log-data no --song-data no", "log_data: no does not exist. Name a directory, a file or an s3:// prefix"),
        ("--schema pg_catalog", "schema: 'pg_catalog' belongs to the database itself. Name another schema"),
        ("--compression zip", 'Invalid value "zip" for --compression. Choose from: "none", "gzip".'),
    ],
    "flows.analytics:analytics": [
        ("--report missing/a.html", "report: missing/a.html cannot be written. Name a file in an existing directory"),
        ("--report s3://bucket/", "report: s3://bucket/ names no object. Use s3://bucket/key, without blanks"),
        ("--statement-timeout -5", 'Invalid value "-5" for --statement-timeout. Use 0 or more.'),
    ],
    "flows.rejects:rejects": [("--warehouse duckdb:///no.duckdb", "no.duckdb does not exist. Load it first")],
    "flows.history:history": [("--batch -1", 'Invalid value "-1" for --batch. Use 0 or more.')],
    "flows.undo:undo": [
        ("", "Parameter --batch requires an argument."),
        ("0", 'Invalid value "0" for BATCH. Use 1 or more.'),
        ("1 --source songs", 'Invalid value "songs" for --source.'),
    ],
    "flows.preflight:preflight": [("logs", "requires an argument")],
    "flows.copy_check:copy_check": [("a.sql files --max-errors -1", 'Invalid value "-1" for --max-errors.')],
    "flows.generate:generate": [("--days none", 'Invalid value for --days: unable to convert "none" into int.')],
    "deployments.serve:serve": [
        ("--port 80000", 'Invalid value "80000" for --port. Use 1 to 65535.'),
        ("--port 0", 'Invalid value "0" for --port. Use 1 to 65535.'),
    ],
}
CASES = [(entrypoint, *case) for entrypoint, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(("entrypoint", "options", "message"), CASES, ids=lambda value: value)
def test_wrong_options_end_with_one_line_and_exit_code_2(
    entrypoint: str, options: str, message: str, ends: Callable[..., tuple[int, str]]
) -> None:
    code, printed = ends(app_of(declared(entrypoint)), *options.split())
    assert code == 2
    (line,) = printed.strip().splitlines()
    assert message in line


LIGHT = """
import os, sys
from flows.command_line import run_command
from tests.support.command import exit_code_of
from tests.support.project import ROOT

class Ended(BaseException): pass
def leave(code): raise Ended(code)
os._exit = leave
for entrypoint, options, code in {cases}:
    sys.argv = ["command", *options.split()]
    try:
        run_command(entrypoint)
    except Ended as ended:
        assert ended.args == (code,), (entrypoint, options, ended.args)
    slow = {{"prefect", "duckdb", "sqlalchemy", "sqlglot", "boto3", "pydantic"}}
    assert not slow & set(sys.modules), (entrypoint, options, slow & set(sys.modules))
"""


@pytest.mark.usefixtures("processes")
def test_help_and_refusals_import_nothing_slow() -> None:
    """Starting Prefect takes seconds, importing DuckDB as long as all of the help."""
    helps = [(f"flows.{name}:{name}", "--help", 0) for name in COMMANDS]
    cases = [*helps, ("deployments.serve:serve", "--help", 0), *((each, options, 2) for each, options, _ in CASES)]
    code = LIGHT.format(cases=cases)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LONG = """
from types import SimpleNamespace
from flows.command_line import new_app, run_app
from flows.terminal import terminal

def show():
    for _ in range(10_000):
        terminal().print("a line that is long enough to fill a pipe")

app = new_app()
app.default(lambda: SimpleNamespace(show=show))
run_app(app)
"""


@pytest.mark.usefixtures("processes")
def test_a_reader_that_has_enough_is_no_failure() -> None:
    command = [sys.executable, "-c", LONG]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(20) == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_declared_as_it_is(name: str) -> None:
    command = getattr(import_module(f"flows.{name}"), name)
    stated = declared(f"flows.{name}:{name}")
    assert signature(stated).parameters == signature(getattr(command, "fn", command)).parameters
    assert stated.__doc__ == command.__doc__


@pytest.mark.parametrize(("environment", "has_codes"), [({"NO_COLOR": "1"}, False), ({}, True)])
def test_no_color_turns_off_all_escape_codes(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, has_codes: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in ({"FORCE_COLOR": "1", "TERM": "xterm-256color"} | environment).items():
        monkeypatch.setenv(name, value)
    terminal().print("[bold red]text[/bold red]")
    assert ("\x1b" in capsys.readouterr().out) == has_codes


TARGET = Target("duckdb:///a.duckdb", "public", "test run")
CONTROL = "a\x1b]0;title\x07\x9b1m\u202eb\rc"
SHOWN = r"a\x1b]0;title\x07\x9b1m\u202eb\rc"


def test_a_terminal_obeys_no_text_of_the_data(
    ends: Callable[..., tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(raising(PermanentError(f"{CONTROL}\n  second line")))[1] == f"\n{SHOWN}\n  second line\n"
    Summary(TARGET, [], [], [CheckResult("c", "A rule.", "warn", 1, [{"x": CONTROL}])], Places("", "")).show()
    Listing({"files": [{"url": f"[red]{CONTROL}"}]}, TARGET).show()
    answer = cast(Answer, SimpleNamespace(question=SimpleNamespace(title="A question"), headline=CONTROL))
    Report(Answers([answer], [], datetime.now(UTC)), TARGET, "report.html").show()
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 3
    assert f"[red]{SHOWN}" in printed
    assert "\x1b" not in printed
    record = logging.LogRecord("prefect.task_runs", logging.INFO, "", 1, "read %s", (CONTROL,), None)
    assert logging.getLogger("prefect.task_runs").filter(record)
    assert record.getMessage() == f"read {SHOWN}"


def test_a_character_that_the_terminal_lacks_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    accept_any_character()
    terminal().print("Bj\N{LATIN SMALL LETTER O WITH DIAERESIS}rk \N{EM DASH} \N{GUITAR}")
    sys.stdout.flush()
    assert written.getvalue() == b"Bj\xf6rk ? ?\n"


def test_the_summary_says_what_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert where_to_look(Target("duckdb:///sparkify.duckdb", "public", "run")).tables.splitlines() == [
        "The tables are in sparkify.duckdb. Next:",
        "  make report   # answers the analysts' questions in a page",
        "  make explore  # opens the tables in an explorer",
        "  make serve    # shows runs in Prefect's UI",
    ]
    block = where_to_look(Target("sparkify-redshift", "music", "run")).tables
    assert block.startswith("The tables are in sparkify-redshift, schema music. Next:\n")
    assert block.count("\n") == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my python"))
    with duckdb.connect("my a.duckdb") as connection:
        connection.execute("create schema music; create table music.songplays as select 'paid' as level")
    first, *steps = where_to_look(Target("duckdb:///my a.duckdb", "music", "run")).tables.splitlines()
    assert first == "The tables are in my a.duckdb. Next:"
    report, serve, query = (shlex.split(step, comments=True) for step in steps)
    assert all(Path(python).samefile(sys.executable) for python, *_ in (report, serve, query))
    _, arguments, _ = app_of(declared("flows.analytics:analytics")).parse_args(report[3:])
    assert arguments.arguments == {"warehouse": "duckdb:///my a.duckdb", "schema": "music"}
    assert (report[1:3], serve[1:]) == (["-m", "flows.analytics"], ["-m", "deployments.serve"])
    exec(compile(query[2], "shown", "exec"), {})


def test_the_command_that_shows_rejects_can_be_pasted() -> None:
    places = where_to_look(Target("duckdb:///my data.duckdb", "music", "run"))
    python, dash, module, *options = shlex.split(places.rejects.splitlines()[1])
    assert Path(python).samefile(sys.executable)
    assert (dash, module) == ("-m", "flows.rejects")
    _, arguments, _ = app_of(declared("flows.rejects:rejects")).parse_args([*options, "--batch", "1"])
    assert arguments.arguments == {"warehouse": "duckdb:///my data.duckdb", "schema": "music", "batch": 1}


def test_events_name_the_table_or_check_in_their_labels_and_contain_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers match labels. Events contain no row, because they go where the data may not."""
    emitted: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("flows.run_events.emit_event", lambda event, **parts: emitted.append((event, parts)))
    emit_table_loaded(TableResult(table="users", inserted=3, updated=1, removed=0, present=7, seconds=0.5))
    emit_check_failed(CheckResult("levels_known", "Every level is known.", "warn", 2, [{"user_id": 1}]))
    loaded, failed = emitted
    assert loaded == (
        "sparkify.table.loaded",
        {
            "resource": {
                "prefect.resource.id": "sparkify.table.users",
                "prefect.resource.name": "users",
                "sparkify.table": "users",
            },
            "payload": {
                "table": "users", "inserted": 3, "updated": 1, "removed": 0, "present": 7, "seconds": 0.5,
            },
        },
    )  # fmt: skip
    assert failed == (
        "sparkify.check.failed",
        {
            "resource": {
                "prefect.resource.id": "sparkify.check.levels_known",
                "prefect.resource.name": "levels_known",
                "sparkify.check": "levels_known",
                "sparkify.severity": "warn",
            },
            "payload": {"rule": "Every level is known.", "offending": 2},
        },
    )


def test_runs_need_no_network_and_have_time_to_start() -> None:
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] == "120"


def test_sparkify_has_each_command_under_its_name(ends: Callable[..., tuple[int, str]]) -> None:
    for name in COMMANDS:
        parsed, *_ = sparkify().parse_args([name, "--help"], exit_on_error=False)
        assert parsed.__name__ == "help_print"
    assert ends(sparkify(), "undo", "0") == (2, '\nInvalid value "0" for BATCH. Use 1 or more.\n')


def test_sparkify_is_installed_as_a_script() -> None:
    (script,) = entry_points(group="console_scripts", name="sparkify")
    assert script.load() is main

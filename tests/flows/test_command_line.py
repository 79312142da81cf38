"""How a command ends, and its last message."""

import logging
import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from flows import command_line
from flows.__main__ import COMMANDS, app_for, main
from flows.etl import where_to_look
from flows.run_events import emit_check_failed, emit_table_loaded
from tasks.results import CheckResult, TableResult
from warehouse.errors import CopyError, PermanentError, TransientError
from warehouse.target import Target


class Ended(BaseException):
    """Raised instead of ending the process."""


def because_of(cause: BaseException) -> RuntimeError:
    error = RuntimeError("Prefect's own words")
    error.__cause__ = cause
    return error


def met_by(context: BaseException) -> RuntimeError:
    error = RuntimeError("Prefect's own words")
    error.__context__ = context
    return error


TRACEBACK = "Traceback (most recent call last):"
ENDS = [
    (PermanentError("name another file"), 1, "name another file"),
    (CopyError("a.json, line 3"), 1, "a.json, line 3"),
    (TransientError("the connection was lost"), 1, "the connection was lost"),
    (KeyboardInterrupt(), 130, "interrupted: each step is complete or undone. Run again"),
    (RuntimeError("Query interrupted"), 130, "interrupted: "),
    (met_by(met_by(KeyboardInterrupt())), 130, "interrupted: "),
    (httpx.ConnectError("refused"), 1, "the Prefect server at "),
    (because_of(httpx.ReadTimeout("slow")), 1, "the Prefect server at "),
    (ValueError("a mistake of ours"), 1, TRACEBACK),
    (because_of(ValueError("no network")), 1, "ValueError: no network"),
]


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
@pytest.mark.parametrize(("error", "code", "message"), ENDS, ids=lambda value: type(value).__name__)
def test_a_failure_ends_with_one_message_and_its_exit_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []

    def leave(code: int, print_last: Any) -> None:
        ended.append(code)
        print_last()
        raise Ended

    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "leave", leave)
    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(Ended):
        command_line.run_command(fail)
    assert ended == [code]
    printed = capsys.readouterr()
    assert printed.err.lstrip().startswith(message)
    assert (TRACEBACK in printed.err) == (type(error).__name__ in printed.err)
    assert printed.out == ""


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
def test_the_log_has_tracebacks_of_bugs_only(error: BaseException | None, *, has_traceback: bool) -> None:
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        info = (type(error), error, None) if error else None
        record = logging.LogRecord(name, logging.ERROR, "", 1, "failed", (), info)
        assert logging.getLogger(name).filter(record)
        assert bool(record.exc_info) == has_traceback


def test_the_summary_says_where_the_tables_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = where_to_look(Target("sparkify-redshift", "music", "run"))
    query = "select level, count(*) as plays from music.songplays group by level"
    assert block == f"The tables are in sparkify-redshift, schema music. Try: {query}"
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("a.duckdb") as connection:
        connection.execute("create schema music; create table music.songplays as select 'paid' as level")
    first, command = where_to_look(Target("duckdb:///a.duckdb", "music", "run")).splitlines()
    assert first == "The tables are in a.duckdb. Try:"
    python, _, code = command.strip().partition(" -c ")
    assert Path(python).samefile(sys.executable)
    exec(compile(code.strip('"'), "shown", "exec"), {})


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


@pytest.mark.parametrize("name", COMMANDS)
def test_sparkify_has_each_command_under_its_name(name: str) -> None:
    command = getattr(import_module(f"flows.{name}"), name)
    arguments = {"preflight": ["logs", "songs"], "copy_check": ["t.sql", "files"], "undo": ["1"]}.get(name, [])
    for app in (app_for([name]), app_for([])):
        parsed, *_ = app.parse_args([name, *arguments], exit_on_error=False)
        assert parsed is command


def test_sparkify_is_installed_as_a_script() -> None:
    (script,) = entry_points(group="console_scripts", name="sparkify")
    assert script.load() is main

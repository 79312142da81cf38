"""The temporary Prefect server: it ends with its parent, and says in one line why it does not start."""

import os
import subprocess
import sys
import time
from threading import Thread

import prefect
import psutil
import pytest
from prefect.settings import PREFECT_HOME

from flows import temporary_server
from flows.temporary_server import TemporaryServer, why_not
from tests.support.project import ROOT
from warehouse.errors import PermanentError

OTHER_VERSION = """Traceback (most recent call last):
  File "alembic/script/base.py", line 252, in _catch_revision_errors
alembic.util.exc.CommandError: Can't locate revision identified by 'abcdef123456'

Application startup failed. Exiting.
"""
NOT_A_FOLDER = "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) unable to open database file\n(Background"
READ_ONLY = "sqlite3.OperationalError: attempt to write a readonly database\n"
NO_RIGHTS = "PermissionError: [Errno 13] Permission denied: '/prefect'\n"
HOME = f"Prefect's home {PREFECT_HOME.value()}"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            OTHER_VERSION,
            f"{HOME}: its database is of another version than Prefect {prefect.__version__} (revision abcdef123456). "
            "Set PREFECT_HOME to another folder, or use that version",
        ),
        (NOT_A_FOLDER, f"{HOME}: cannot be written (unable to open database file). Set PREFECT_HOME to another folder"),
        ("sqlite3.OperationalError: database or disk is full\n", f"{HOME}: cannot be written (disk is full). Set"),
        (READ_ONLY, f"{HOME}: cannot be written (readonly database). Set PREFECT_HOME to another folder"),
        (NO_RIGHTS, f"{HOME}: cannot be written (PermissionError: [Errno 13] Permission denied: '/prefect')."),
        (
            "a\nKeyError: 'x'\n\n09:47:50 | ERROR | Application startup failed. Exiting.\n",
            "the temporary Prefect server did not start (KeyError: 'x'). Run again with --debug",
        ),
        ("", "the temporary Prefect server did not start (it said nothing)."),
    ],
)
def test_a_server_that_does_not_start_is_explained_in_one_line(output: str, message: str) -> None:
    (line,) = why_not(output).splitlines()
    assert line.startswith(message)


@pytest.mark.usefixtures("processes")
def test_the_server_is_not_started_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was, 29 times in two minutes, with all that it printed."""
    monkeypatch.setattr(temporary_server, "_SERVER", "tests.flows.no_such_module")
    monkeypatch.setattr(TemporaryServer, "_instances", {})
    started = time.monotonic()
    with pytest.raises(PermanentError, match=r"did not start \(.*No module named tests\.flows\.no_such_module\)"):
        TemporaryServer().start()
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("processes")
def test_the_server_ends_with_its_parent_even_while_it_starts() -> None:
    """The pipe to its standard input closes whatever ends the parent, be it SIGKILL."""
    command = [sys.executable, "-c", "from flows.server_process import serve; serve(0)"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as server:
        assert server.stdin
        server.stdin.close()
        assert server.wait(timeout=20) == 0


@pytest.mark.usefixtures("processes")
def test_the_server_knows_as_prefects_own_that_it_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect starts fewer services there, and no UI."""
    monkeypatch.setattr(TemporaryServer, "_instances", {})
    server = TemporaryServer()
    server.start()
    try:
        assert server.server_process
        environment = psutil.Process(server.server_process.pid).environ()
    finally:
        server.stop()
    assert environment["PREFECT__SERVER_EPHEMERAL"] == "1"


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_server_that_ends_by_itself_ends_the_command_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_stopped: bool
) -> None:
    """Prefect asked the server that was gone for three minutes, and said "Finished in state Running()"."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(TemporaryServer, "_instances", {})
    server = TemporaryServer()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        server.server_process = process
        watching = Thread(target=server._end_with, args=[process])
        watching.start()
        if is_stopped:
            server.stop()
        else:
            process.kill()
        watching.join(20)
    message = "\nthe temporary Prefect server has ended (signal 9). Run again: each step is complete or undone\n"
    assert (ended, capsys.readouterr().err) == (([], "") if is_stopped else ([1], message))

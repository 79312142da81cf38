"""The command line of a flow: parameters become options, and failures become messages."""

import atexit
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NoReturn

import httpx
from cyclopts import App, Parameter
from prefect import Flow
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL
from rich.console import Console

from warehouse.errors import PermanentError, TransientError, was_interrupted
from warehouse.target import refuse_url

# Pydantic warns about a parameter that has the name of a deprecated method of its models, which is harmless.
warnings.filterwarnings("ignore", message='Field name "schema" in "[A-Za-z]+Model" shadows', category=UserWarning)

WarehouseName = Annotated[str, Parameter(validator=lambda _, name: refuse_url(name))]
"""A parameter that names a warehouse. The command line refuses a URL, except duckdb:///, before Prefect stores it."""


def run_command(command: Callable[..., Any]) -> NoReturn:
    """Run a function or a flow with the options of the command line, and end the process.

    What the function returns is shown last, after all of Prefect's output. The exit code is 0 on success, 1 on
    failure, 2 if the options were wrong, and 130 if interrupted.
    """
    app = new_app()
    app.default(command)
    run_app(app)


def new_app(**options: Any) -> App:
    """Return a command line that has no commands yet."""
    return App(help_format="plaintext", version_flags=[], **options)


def run_app(app: App) -> NoReturn:
    """Run the command that the command line names, and end the process as `run_command` does."""
    try:
        parsed, arguments, _ = app.parse_args()
        if isinstance(parsed, Flow):
            _start_server()
        result = parsed(*arguments.args, **arguments.kwargs)
    except (Exception, KeyboardInterrupt) as error:
        code, message = _exit_message(error)
        leave(code, partial(_print, message) if message else traceback.print_exc)
    leave(0, result.show if result else lambda: None)


def leave(code: int, print_last: Callable[[], None]) -> NoReturn:
    """End the process: let Prefect send its logs and stop its server, then print the last message.

    Skips Python's own teardown. After a failure or an interrupt a traceback still refers to DuckDB's connection, and
    the teardown of DuckDB's module would print 40 lines of "nanobind: leaked".
    """
    logging.shutdown()
    atexit._run_exitfuncs()
    print_last()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_message(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the message for an expected error; no message for any other."""
    if was_interrupted(error):
        return 130, "interrupted: each step is complete or undone. Run again to complete the others"
    if isinstance(error, PermanentError | TransientError):
        return 1, str(error)
    if isinstance(error, httpx.TransportError) or isinstance(error.__cause__, httpx.TransportError):
        return 1, (
            f"the Prefect server at {PREFECT_API_URL.value()} does not answer. Start it (`prefect server start`), use "
            "another (`prefect config set PREFECT_API_URL=...`), or none (`prefect config unset PREFECT_API_URL`)"
        )
    return 1, ""


def _start_server() -> None:
    """Start the temporary server that a flow would start, but out of reach of Ctrl-C.

    The interrupted run still has to report its end to the server. A process inherits which signals are blocked;
    otherwise, Ctrl-C in a terminal would end the server first, and the run would try to reach it for a minute.
    """
    if PREFECT_API_URL.value():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _print(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"\n{message}", style="bold red", markup=False)

"""The command line of a flow: its parameters as options, its failures as messages."""

import atexit
import logging
import os
import signal
import sys
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

# Pydantic's remark on a parameter that bears the name of an old method of its models; it does no harm.
warnings.filterwarnings("ignore", message='Field name "schema" in "[A-Za-z]+Model" shadows', category=UserWarning)

WarehouseName = Annotated[str, Parameter(validator=lambda _, name: refuse_url(name))]
"""A parameter that names a warehouse. On the command line a URL is refused before Prefect stores it."""


def run_command(command: Callable[..., Any]) -> NoReturn:
    """Run a function or a flow with the options given, and end the process.

    What the function returns is shown last, after all that Prefect has to say. The exit code is 0 where it
    is done, 1 where it failed, 2 where the options were wrong, and 130 where it was interrupted.
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
        code, words = _last_words(error)
        leave(code, partial(_print, words))
    leave(0, result.show if result else lambda: None)


def leave(code: int, say: Callable[[], None]) -> NoReturn:
    """End the process: let Prefect send its logs and stop its server, then say the last words.

    Python's own teardown is left out: where it is told of a failure or interrupted, a traceback still holds DuckDB's
    connection then, and its module ends in 40 lines of "nanobind: leaked".
    """
    logging.shutdown()
    atexit._run_exitfuncs()
    say()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _last_words(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an error that is foreseen, and what a person is told; raise any other."""
    if was_interrupted(error):
        return 130, "interrupted: each step is done as a whole or not at all; run again to complete them"
    if isinstance(error, PermanentError | TransientError):
        return 1, str(error)
    if isinstance(error, httpx.TransportError) or isinstance(error.__cause__, httpx.TransportError):
        return 1, (
            f"the Prefect server at {PREFECT_API_URL.value()} does not answer: start it (`prefect server start`), name "
            "another (`prefect config set PREFECT_API_URL=...`), or none (`prefect config unset PREFECT_API_URL`)"
        )
    raise error


def _start_server() -> None:
    """Start the temporary server that a flow would, but out of reach of Ctrl-C: a run that ends tells the server so.

    A process inherits which signals are blocked; without this, Ctrl-C in a terminal ends the server first, and the
    run then tries to reach it for a minute.
    """
    if PREFECT_API_URL.value():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _print(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"\n{words}", style="bold red", markup=False)

"""The command line of a flow: its parameters as options, its failures as messages."""

import atexit
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from cyclopts import App
from rich.console import Console

from warehouse.errors import PermanentError


def run_command(command: Callable[..., Any]) -> NoReturn:
    """Run a function or a flow with the options given, and end the process: 0 done, 1 failed or misused."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)
    app = App(help_format="plaintext", version_flags=[], result_action="return_value")
    app.default(command)
    try:
        result = app()
    except PermanentError as error:
        _end(1, error)
    _end(0, result)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave the traceback out where the error's text says all."""
    if record.exc_info and isinstance(record.exc_info[1], PermanentError):
        record.exc_info = None
    return True


def _end(code: int, last_words: Any) -> NoReturn:
    """Let Prefect stop its server, print the last words, and leave.

    Leaving past Python's own teardown, which would print 40 lines of DuckDB's "nanobind: leaked".
    """
    atexit._run_exitfuncs()
    if isinstance(last_words, Exception):
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"\n{last_words}", style="bold red", markup=False)
    elif last_words is not None:
        last_words.show()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

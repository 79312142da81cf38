"""The command line of a flow: its parameters as options, its failures as messages."""

import atexit
import logging
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from cyclopts import App
from rich.console import Console

from warehouse.errors import PermanentError, TransientError

# Pydantic's remark on a parameter that bears the name of an old method of its models; it does no harm.
warnings.filterwarnings("ignore", message='Field name "schema" in "[A-Za-z]+Model" shadows', category=UserWarning)


def run_command(command: Callable[..., Any]) -> NoReturn:
    """Run a function or a flow with the options given, and end the process.

    What the function returns is shown last, after all that Prefect has to say. The exit code is 0 where it
    is done, 1 where it failed, 2 where the options were wrong, and 130 where it was interrupted.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)
    app = App(
        help_format="plaintext", version_flags=[], result_action="return_value", suppress_keyboard_interrupt=False
    )
    app.default(command)
    try:
        result = app()
    except (PermanentError, TransientError) as error:
        leave(1, partial(_print, str(error)))
    except KeyboardInterrupt:
        leave(130, partial(_print, "interrupted: what was under way is undone; run again to complete the tables"))
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


def _print(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"\n{words}", style="bold red", markup=False)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave the traceback out where the error's text says all."""
    if record.exc_info and isinstance(record.exc_info[1], PermanentError | TransientError):
        record.exc_info = None
    return True

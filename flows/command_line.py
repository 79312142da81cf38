"""The command line: parameters of a function become options, and failures become messages.

Imports nothing slow, so that help is there at once, and wrong options are refused before anything starts.
"""

import atexit
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import BoundArguments
from typing import Any, NoReturn

from cyclopts import App, CycloptsError

from flows.declared import declared
from flows.failures import UNTOLD, last_lines
from flows.parameters import refuse_contradictions, refuse_missing
from flows.terminal import accept_any_character, tell, terminal
from warehouse.errors import PermanentError, was_interrupted

# Pydantic warns about a parameter that has the name of a deprecated method of its models, which is harmless.
warnings.filterwarnings("ignore", message='Field name "schema" in "[A-Za-z]+Model" shadows', category=UserWarning)
# The failure that follows says it in one line.
warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory", category=UserWarning)

_DEBUG = "--debug"
_received = [signal.SIGINT]


def run_command(entrypoint: str) -> NoReturn:
    """Run a function or a flow, `module:function`, with the options of the command line, and end the process.

    What the function returns is shown last, after all of Prefect's output. The exit code is 0 on success, 1 on
    failure, 2 if the options were wrong, 130 if Ctrl-C interrupted it, 143 if SIGTERM did, and 129 if its terminal was
    closed.
    """
    app = new_app()
    app.default(declared(entrypoint))
    run_app(app)


def new_app(**options: Any) -> App:
    """Return a command line that has no commands yet."""
    epilogue = f"{_DEBUG}: print tracebacks, and failures as often as Prefect logs them."
    return App(help_format="plaintext", version_flags=[], help_epilogue=epilogue, **options)


def run_app(app: App) -> NoReturn:
    """Run the command that the command line names, and end the process as `run_command` does."""
    accept_any_character()
    _stop_on_signals()
    UNTOLD.is_off = _DEBUG in sys.argv
    try:
        parsed, arguments = _parsed(app, [token for token in sys.argv[1:] if token != _DEBUG])
    except (CycloptsError, PermanentError) as error:
        leave(2, partial(tell, [str(error)]))
    try:
        result = parsed(*arguments.args, **arguments.kwargs)
    except (Exception, KeyboardInterrupt) as error:
        if UNTOLD.is_off:
            traceback.print_exc()
        leave(128 + _received[-1] if was_interrupted(error) else 1, partial(tell, last_lines(error)))
    leave(0, result.show if result else lambda: None)


def leave(code: int, print_last: Callable[[], None]) -> NoReturn:
    """End the process: let Prefect send its logs and stop its server, then print the last message.

    Skips Python's own teardown. After a failure or an interrupt a traceback still refers to DuckDB's connection, and
    the teardown of DuckDB's module would print 40 lines of "nanobind: leaked".
    """
    logging.shutdown()
    atexit._run_exitfuncs()
    try:
        print_last()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, SystemExit):  # whoever read the output has enough, or is gone; Rich would exit with 1
        pass
    os._exit(code)


def _parsed(app: App, tokens: list[str]) -> tuple[Callable[..., Any], BoundArguments]:
    """Return the function to call, and its arguments. These are checked as far as that is possible without a warehouse.

    Raises:
        CycloptsError: the options cannot be understood.
        PermanentError: a value is out of its bounds, or values contradict each other.
    """
    parsed, arguments, _ = app.parse_args(tokens, console=terminal(width=None), print_error=False, exit_on_error=False)
    if getattr(parsed, "__func__", None) is not App.help_print:
        arguments.apply_defaults()
        refuse_contradictions(**arguments.arguments)
        refuse_missing(**arguments.arguments)
    return parsed, arguments


def _stop_on_signals() -> None:
    """Acknowledge Ctrl-C at once, and treat SIGTERM and the end of the terminal alike.

    Leaves a signal alone that whoever started this ignores, as `nohup` does.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _stop)


def _stop(number: int, _: Any) -> NoReturn:
    _received.append(signal.Signals(number))
    with suppress(OSError):  # the terminal may be gone
        os.write(2, b"\nStopping ...\n")
    raise KeyboardInterrupt

"""The command line of a flow: its parameters as options, its failures as messages."""

import sys
from collections.abc import Callable
from typing import Any

from cyclopts import App
from rich.console import Console

from warehouse.errors import PermanentError


def run_command(command: Callable[..., Any]) -> None:
    """Run a function or a flow with the options given, and end the process: 0 done, 1 failed, 2 misused."""
    app = App(help_format="plaintext", version_flags=[], result_action="return_value")
    app.default(command)
    try:
        result = app(exit_on_error=True)
    except PermanentError as error:
        Console(stderr=True, highlight=False).print(f"\n{error}", style="bold red", markup=False)
        sys.exit(1)
    if result is not None:
        result.show()

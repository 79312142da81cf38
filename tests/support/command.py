"""Runs a command line in this process, as far as it can be run without ending it."""

import sys
from typing import Any, NoReturn

import pytest
from cyclopts import App

from flows import command_line
from flows.failures import UNTOLD


class Ended(BaseException):
    """Raised instead of ending the process, with the exit code."""


def exit_code_of(app: App, *arguments: str) -> int:
    """Run a command line with arguments to its end. What it prints last is printed."""

    def leave(code: int, print_last: Any) -> NoReturn:
        print_last()
        raise Ended(code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setattr(UNTOLD, "errors", [])
        patch.setattr(command_line, "leave", leave)
        patch.setattr(command_line, "_stop_on_signals", lambda: None)
        with pytest.raises(Ended) as ended:
            command_line.run_app(app)
    return int(ended.value.args[0])

"""What commands print, in any terminal."""

import os
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from shlex import quote
from typing import TYPE_CHECKING

from flows.escape import escape_control

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 500  # a table is as wide as it is: a value that is cut off cannot be read or copied


def terminal(*, stderr: bool = False, width: int | None = _WIDTH) -> "Console":
    """Return the console to print on, which wraps no line and cuts nothing. NO_COLOR turns off all its escape codes."""
    from rich.console import Console  # slow to import

    return Console(
        stderr=stderr,
        highlight=False,
        emoji=False,
        soft_wrap=width is not None,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def tell(lines: Iterable[str]) -> None:
    """Print the last lines of a command that failed."""
    terminal(stderr=True).print("", *map(escape_control, lines), sep="\n", style="bold red", markup=False)


def accept_any_character() -> None:
    """Let Python print `?` for a character that the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def this_python() -> str:
    """Return this Python as a person types it into a shell: its path from here, where that is shorter."""
    return quote(min(sys.executable, os.path.relpath(sys.executable), key=len))

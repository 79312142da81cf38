"""`sparkify`, or `python -m flows`: the project's commands under one name."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from cyclopts import App

from flows.command_line import new_app, run_app

COMMANDS = ("etl", "analytics", "history", "undo", "preflight", "generate", "copy_check")


def main() -> NoReturn:
    """Run the subcommand that the command line names, like `python -m flows.<subcommand>`."""
    run_app(app_for(sys.argv[1:]))


def app_for(arguments: Sequence[str]) -> App:
    """Return the command line with the named subcommand only, which loads in half the time, or with all of them."""
    app = new_app(name="sparkify", help="Load Sparkify's event logs and song catalogue, and answer questions.")
    for name in [name for name in COMMANDS if name in arguments[:1]] or COMMANDS:
        app.command(getattr(import_module(f"flows.{name}"), name), name=name)
    return app


if __name__ == "__main__":
    main()

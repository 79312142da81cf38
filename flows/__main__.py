"""`sparkify`, or `python -m flows`: the project's commands under one name."""

from typing import NoReturn

from cyclopts import App

from flows.command_line import new_app, run_app
from flows.declared import declared

COMMANDS = ("etl", "analytics", "history", "rejects", "undo", "preflight", "generate", "copy_check")


def main() -> NoReturn:
    """Run the subcommand that the command line names, like `python -m flows.<subcommand>`."""
    run_app(sparkify())


def sparkify() -> App:
    """Return the command line with all commands."""
    app = new_app(name="sparkify", help="Load Sparkify's event logs and song catalogue, and answer questions.")
    for name in COMMANDS:
        app.command(declared(f"flows.{name}:{name}"), name=name)
    return app


if __name__ == "__main__":
    main()

"""Prefect's own commands, and the work pool of the project's deployments."""

import subprocess
import sys

from warehouse.errors import PermanentError

POOL = "sparkify"

Environment = dict[str, str]


def prefect(environment: Environment, *arguments: str, check: bool = True) -> None:
    """Run a Prefect command to its end.

    Raises:
        PermanentError: it failed; its output is the message.
    """
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if check and done.returncode:
        raise PermanentError(f"prefect {' '.join(arguments)} failed:\n{done.stdout}")


def make_pool(environment: Environment) -> None:
    """Make the work pool, which a worker polls, if it is missing."""
    prefect(environment, "work-pool", "create", POOL, "--type", "process", check=False)  # fails where it exists

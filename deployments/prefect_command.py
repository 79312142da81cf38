"""Runs Prefect's own commands, and creates the work pool of the project's deployments."""

import subprocess
import sys
from contextlib import suppress

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from warehouse.errors import PermanentError

POOL = "sparkify"

Environment = dict[str, str]


def prefect(environment: Environment, *arguments: str) -> None:
    """Run a Prefect command and wait for it.

    Raises:
        PermanentError: the command failed. The message contains its output.
    """
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise PermanentError(f"prefect {' '.join(arguments)} failed:\n{done.stdout}")


def make_pool(client: SyncPrefectClient) -> None:
    """Create the work pool that a worker polls, if it is missing."""
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template))

"""A Prefect worker that ends its runs before itself. Run it with `python -m deployments.worker`.

Prefect's own worker kills its runs. A killed run stays in the state Running, makes the next one wait for minutes, and
keeps the warehouse's lease (https://github.com/PrefectHQ/prefect/issues/16746).
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.worker:work")

import asyncio
import os
import signal
from abc import ABC
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus
from prefect.client.orchestration import PrefectClient
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from deployments.prefect_command import POOL
from warehouse.errors import PermanentError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

_SET_FOLDER = "prefect.deployments.steps.set_working_directory"
MAX_RUNS = 100
"""How many runs may be in progress. Prefect counts a worker's runs only if there is a limit."""


@dataclass
class _Process:
    """Records the id of a run's process when Prefect is notified of it."""

    task_status: TaskStatus[int]
    id: int = 0

    def started(self, value: Any = None) -> None:
        self.id = value
        self.task_status.started(value)

    def terminate(self) -> None:
        """Tell the run to end, once: a second signal would interrupt its cleanup."""
        if self.id:
            with suppress(ProcessLookupError):
                os.killpg(self.id, signal.SIGTERM)
            self.id = 0


class Worker(ProcessWorker, ABC):  # without ABC it would replace ProcessWorker as the worker of type `process`
    """A worker that ends only after its runs have released their lease and reported their end to the server."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limit=MAX_RUNS, **options)
        self._processes: list[_Process] = []

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Run a flow run in a process of its own until it ends.

        Raises:
            PermanentError: the deployment's folder is not on this machine. The run's state then says so.
        """
        await _refuse_missing_folder(self.client, flow_run)
        process = _Process(task_status or anyio.TASK_STATUS_IGNORED)
        self._processes.append(process)
        try:
            return await super().run(flow_run, configuration, process)
        finally:
            self._processes.remove(process)

    async def teardown(self, *exc_info: Any) -> None:
        """End the runs, including those that are just being submitted, and then the worker."""
        while self.limiter.borrowed_tokens:
            for process in self._processes:
                process.terminate()
            await anyio.sleep(0.1)
        await super().teardown(*exc_info)


async def _refuse_missing_folder(client: PrefectClient, flow_run: "FlowRun") -> None:
    if not flow_run.deployment_id:
        return
    deployment = await client.read_deployment(flow_run.deployment_id)
    folders = [step[_SET_FOLDER]["directory"] for step in deployment.pull_steps or () if _SET_FOLDER in step]
    for folder in folders:
        if not os.path.isdir(folder):
            raise PermanentError(
                f"{folder} is not on this machine, and the deployment runs there. Run `make deploy` in a folder that "
                "the worker has too, or start the worker where it was run"
            )


def work(*, healthcheck: bool = False) -> None:
    """Execute the runs of the work pool until Ctrl-C or SIGTERM. Runs in progress then end first, as Crashed.

    Args:
        healthcheck: Answer on port 8080, at /health, whether the worker still polls.
    """
    asyncio.run(_work(healthcheck=healthcheck))


async def _work(*, healthcheck: bool) -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await Worker(work_pool_name=POOL).start(with_healthcheck=healthcheck)

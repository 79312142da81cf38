"""A Prefect worker for a container. On SIGTERM it ends its runs first. Run it with `python -m deployments.worker`.

Prefect's own worker kills its runs. A killed run stays in the state Running, makes the next one wait for minutes, and
keeps the warehouse's lease (https://github.com/PrefectHQ/prefect/issues/16746).
"""

import asyncio
import os
import signal
from abc import ABC
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from deployments.prefect_command import POOL

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

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
        """Run a flow run in a process of its own until it ends."""
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


async def work() -> None:
    """Execute the runs of the work pool until SIGTERM."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await Worker(work_pool_name=POOL).start(with_healthcheck=True)


if __name__ == "__main__":
    asyncio.run(work())

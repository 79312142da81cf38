"""Prefect's worker for a container: told to end, it ends its runs first. Run it with `python -m deployments.worker`.

Prefect's own kills them: such a run stays Running, keeps the next one waiting for minutes, and keeps the warehouse's
lease (https://github.com/PrefectHQ/prefect/issues/16746).
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
"""At a time. Prefect counts the runs of a worker only if there is a limit."""


@dataclass
class _Process:
    """Learns the id of a run's process as Prefect is told it."""

    told: TaskStatus[int]
    id: int = 0

    def started(self, value: Any = None) -> None:
        self.id = value
        self.told.started(value)

    def terminate(self) -> None:
        """Tell the run to end, once: a second time would break off how it ends."""
        if self.id:
            with suppress(ProcessLookupError):
                os.killpg(self.id, signal.SIGTERM)
            self.id = 0


class Worker(ProcessWorker, ABC):  # else it would replace ProcessWorker as what the type `process` means
    """A worker whose runs give their lease back, and tell the server of their end, before it goes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limit=MAX_RUNS, **options)
        self._processes: list[_Process] = []

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Run a flow run in a process of its own, to its end."""
        process = _Process(task_status or anyio.TASK_STATUS_IGNORED)
        self._processes.append(process)
        try:
            return await super().run(flow_run, configuration, process)
        finally:
            self._processes.remove(process)

    async def teardown(self, *exc_info: Any) -> None:
        """End the runs, those included that are only just being submitted, and then the worker."""
        while self.limiter.borrowed_tokens:
            for process in self._processes:
                process.terminate()
            await anyio.sleep(0.1)
        await super().teardown(*exc_info)


async def work() -> None:
    """Run what the work pool is given, until SIGTERM."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await Worker(work_pool_name=POOL).start(with_healthcheck=True)


if __name__ == "__main__":
    asyncio.run(work())

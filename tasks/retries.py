"""Which failures are retried, and when."""

import os
from datetime import UTC, datetime, timedelta
from random import uniform
from threading import local
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging.loggers import task_run_logger

from warehouse.errors import TransientError, is_transient, wait_of

BACKOFF_SECONDS = float(os.environ.get("SPARKIFY_RETRY_BACKOFF_SECONDS", "10"))
"""The wait before the first retry after a lost connection. Waits for other errors change in proportion."""

_ATTEMPTS = 6
_next = local()


def is_retryable(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed with an error that a retry may fix. Sets, and logs, when that will be.

    The waits before the five retries double, plus or minus half: about one minute in all for a conflict, five for a
    lost connection, and a quarter of an hour for a cluster that is resuming.
    """
    error = state.data
    if not (isinstance(error, BaseException) and is_transient(error)):
        return False
    wait = wait_of(error) * BACKOFF_SECONDS / TransientError.wait * 2 ** (task_run.run_count - 1)
    _next.seconds = wait * uniform(0.5, 1.5)
    at = f"{datetime.now(UTC) + timedelta(seconds=_next.seconds):%H:%M:%S}"
    task_run_logger(task_run, task=task).info("attempt %s of %s is at %s UTC", task_run.run_count + 1, _ATTEMPTS, at)
    return True


class _Waits(list[float]):
    """What Prefect takes for the list of a task's waits. Each is the one that fits the error that has just come."""

    def __getitem__(self, place: Any) -> Any:
        return _next.seconds


RETRIES: dict[str, Any] = {
    "retries": _ATTEMPTS - 1,
    "retry_delay_seconds": _Waits([BACKOFF_SECONDS]),
    "retry_condition_fn": is_retryable,
    "cache_policy": NO_CACHE,
}
"""Options for a task that is one transaction and safe to repeat."""

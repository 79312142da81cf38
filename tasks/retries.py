"""Which failures are retried, and when."""

import os
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from warehouse.errors import is_transient

BACKOFF_SECONDS = float(os.environ.get("SPARKIFY_RETRY_BACKOFF_SECONDS", "10"))
"""The delay before the first retry. It doubles with each further retry, plus or minus half."""


def is_retryable(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed with an error that a retry may fix."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(BACKOFF_SECONDS),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_retryable,
    "cache_policy": NO_CACHE,
}
"""Options for a task that is one transaction and safe to repeat."""

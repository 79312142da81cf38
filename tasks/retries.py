"""Which failures are tried again, and when."""

import os
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from warehouse.errors import is_transient

BACKOFF_SECONDS = float(os.environ.get("SPARKIFY_RETRY_BACKOFF_SECONDS", "10"))
"""The delay before the first retry; each further one waits twice as long, give or take half."""


def may_pass(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Retry what another try may mend, and nothing else."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(BACKOFF_SECONDS),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
    "cache_policy": NO_CACHE,
}
"""The options of a task of one transaction that is safe to repeat."""

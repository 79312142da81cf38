"""The lease that keeps two runs out of one warehouse."""

from tasks.retries import retrying_task
from warehouse.base import Target
from warehouse.connect import open_warehouse


@retrying_task
def take_lease(target: Target) -> None:
    """Reserve the warehouse for this run.

    Raises:
        LeaseLostError: another run holds it.
    """
    open_warehouse(target).take_lease()


@retrying_task
def release_lease(target: Target) -> None:
    """Let the next run in."""
    open_warehouse(target).release_lease()

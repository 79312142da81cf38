"""The lease that prevents two runs from using a warehouse at once."""

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.target import Target


@task(task_run_name="take lease", **RETRIES)
def take_lease(target: Target) -> None:
    """Reserve the warehouse for this run.

    Raises:
        LeaseLostError: another run holds it.
    """
    open_warehouse(target).take_lease()


@task(task_run_name="release lease", **RETRIES)
def release_lease(target: Target) -> None:
    """Give the lease back, so that the next run can start."""
    open_warehouse(target).release_lease()

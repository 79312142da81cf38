"""The lease that prevents two runs from using a warehouse at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.stopping import WORK
from warehouse.target import Target


@contextmanager
def lease(target: Target) -> Iterator[None]:
    """Hold the lease in the block. What an interrupted block still does in other threads ends before it is given back.

    Raises:
        LeaseLostError: another run holds it.
    """
    take_lease(target)
    try:
        yield
    finally:
        with WORK.stopped():
            release_lease(target, return_state=True)


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

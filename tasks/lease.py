"""The lease that prevents two runs from using a warehouse at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic, sleep

from prefect import task
from prefect.logging import get_run_logger

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.errors import LeaseHeldError
from warehouse.lease import LEASE_SECONDS
from warehouse.stopping import WORK
from warehouse.target import Target

LOOK_SECONDS = 10.0


@contextmanager
def lease(target: Target, after: object = None) -> Iterator[datetime]:
    """Hold the lease in the block. What an interrupted block still does in other threads ends before it is given back.

    `after` is what the task before returned. Gives what the block's first task waits for: when the lease was taken.

    Raises:
        LeaseLostError: another run holds it.
    """
    taken_at = take_lease(target, wait_for=[after])
    try:
        yield taken_at
    finally:
        with WORK.stopped():
            _give_back(target, taken_at)


@task(task_run_name="take lease", **RETRIES)
def take_lease(target: Target) -> datetime:
    """Reserve the warehouse for this run. Where a run has died, wait until its lease ends, two minutes at most.

    Returns:
        When it was taken.

    Raises:
        LeaseHeldError: another run holds it, and is alive.
    """
    warehouse = open_warehouse(target)
    deadline = monotonic() + LEASE_SECONDS + LOOK_SECONDS
    held: LeaseHeldError | None = None
    while True:
        try:
            warehouse.take_lease()
        except LeaseHeldError as error:
            is_renewed = held and (error.holder, error.expires_at) != (held.holder, held.expires_at)
            if is_renewed or monotonic() > deadline:
                raise
            if not held:
                get_run_logger().info("%s. If that run is dead, this one begins then", str(error).partition(".")[0])
            held = error
        else:
            return datetime.now(UTC)
        sleep(LOOK_SECONDS)


def _give_back(target: Target, taken_at: datetime) -> None:
    try:
        release_lease(target, return_state=True, wait_for=[taken_at])
    except BaseException:  # a run that was about to end was interrupted here
        open_warehouse(target).release_lease()
        raise


@task(task_run_name="release lease", **RETRIES)
def release_lease(target: Target) -> None:
    """Give the lease back, so that the next run can start."""
    open_warehouse(target).release_lease()

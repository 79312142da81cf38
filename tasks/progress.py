"""Progress of long tasks."""

from collections.abc import Callable
from time import monotonic

from prefect.logging import get_run_logger

_SECONDS = 10


def report_progress() -> Callable[[str], None]:
    """Return the function to call with each progress message. One is logged every few seconds."""
    logger, due = get_run_logger(), monotonic() + _SECONDS

    def report(message: str) -> None:
        nonlocal due
        if monotonic() >= due:
            logger.info(message)
            due = monotonic() + _SECONDS

    return report

"""Progress of long work: one line that renews itself in a terminal, lines of the log elsewhere."""

import sys
from collections.abc import Callable

from prefect.logging import get_run_logger


def report_progress() -> Callable[[str], None]:
    """Return what to call with each piece of news."""
    return _renew_line if sys.stderr.isatty() else get_run_logger().info


def _renew_line(news: str) -> None:
    sys.stderr.write(f"\r\x1b[K{news}\r")
    sys.stderr.flush()

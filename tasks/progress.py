"""Progress of long tasks: one line that is rewritten in a terminal, log lines elsewhere."""

import sys
from collections.abc import Callable

from prefect.logging import get_run_logger


def report_progress() -> Callable[[str], None]:
    """Return the function to call with each progress message."""
    return _rewrite_line if sys.stderr.isatty() else get_run_logger().info


def _rewrite_line(message: str) -> None:
    sys.stderr.write(f"\r\x1b[K{message}\r")
    sys.stderr.flush()

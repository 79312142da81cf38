"""The flows: what runs, in which order, and with which parameters."""

import atexit
import logging
import os
import sys

from warehouse.errors import PermanentError, TransientError, was_interrupted

# Runs need no network, so Prefect's server on this machine should not try to report its use and log that it failed.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first run sets up Prefect's own database, which takes longer than the default of 20 s on a small machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Drop the traceback if the error's message says it all, or if somebody interrupted the run."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, PermanentError | TransientError) or was_interrupted(error):
        record.exc_info = None
    return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_without_traceback)


@atexit.register
def _empty_duckdb() -> None:
    """Empty DuckDB's modules. Otherwise Python's teardown ends a deployed run's log with 40 lines about leaks."""
    for name, module in sys.modules.items():
        if name.partition(".")[0] in ("duckdb", "_duckdb"):
            vars(module).clear()

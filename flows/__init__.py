"""The flows: what runs, in which order, and with which parameters."""

import atexit
import os
import sys

from flows.failures import tidy_logs

# Runs need no network, so Prefect's server on this machine should not try to report its use and log that it failed.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first run sets up Prefect's own database, which takes longer than the default of 20 s on a small machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


tidy_logs()


@atexit.register
def _empty_duckdb() -> None:
    """Empty DuckDB's modules. Otherwise Python's teardown ends a deployed run's log with 40 lines about leaks."""
    for name, module in sys.modules.items():
        if name.partition(".")[0] in ("duckdb", "_duckdb"):
            vars(module).clear()

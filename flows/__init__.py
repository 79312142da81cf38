"""The flows: what runs, in which order, with which parameters."""

import atexit
import os
import sys

# Runs need no network: Prefect's server on this machine is not to report its use, and to fail at it loudly.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# A first run sets up Prefect's own database, which takes longer than the default 20 s on a small machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


@atexit.register
def _empty_duckdb() -> None:
    """Empty DuckDB's modules: what they hold at Python's teardown ends a deployed run's log in 40 lines of leaks."""
    for name, module in sys.modules.items():
        if name.partition(".")[0] in ("duckdb", "_duckdb"):
            vars(module).clear()

"""The flows: what runs, in which order, with which parameters."""

import os

# Runs need no network: Prefect's server on this machine is not to report its use, and to fail at it loudly.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# A first run sets up Prefect's own database, which takes longer than the default 20 s on a small machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

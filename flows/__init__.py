"""The flows: what runs, in which order, with which parameters."""

import os

# A first run sets up Prefect's own database, which takes longer than the default 20 s on a small machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

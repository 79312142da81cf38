"""Keys of artifacts: each warehouse and schema has its own."""

import re
from hashlib import sha256
from pathlib import Path

from warehouse.target import Target


def artifact_key(name: str, target: Target) -> str:
    """Return a key under which a kind of artifact is kept for one warehouse and schema, the same in each run.

    A path or a schema has characters that a key may not have, so a digest tells apart what is spelled alike.
    """
    file = target.duckdb_file
    warehouse = str(Path(file).absolute()) if file else target.warehouse
    digest = sha256(f"{warehouse}\n{target.schema}".encode()).hexdigest()[:6]
    words = re.sub("[^a-z0-9]+", "-", f"{name} {Path(warehouse).stem} {target.schema}".lower()).strip("-")
    return f"{words}-{digest}"


def about_target(target: Target) -> str:
    """Say which warehouse and schema something is about."""
    return f"{target.warehouse}, schema {target.schema}"

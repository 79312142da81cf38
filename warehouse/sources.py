"""What a COPY loads, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from warehouse.tables import Table

Compression = Literal["none", "gzip"]

Progress = Callable[[str], None]
"""Is called with each piece of news."""


@dataclass(frozen=True)
class Source:
    """Everything under `location`, a key prefix or a directory, for a COPY ... FORMAT JSON into a table.

    `jsonpaths` is where the JSONPaths file lies; empty, it is the table's own. Up to `max_errors` rows
    may be rejected.
    """

    table: Table
    location: str
    jsonpaths: str = ""
    max_errors: int = 0
    compression: Compression = "none"


@dataclass(frozen=True)
class CopyResult:
    """Rows that a COPY loaded, and rejected into load_errors. Together they are the records it read."""

    rows: int
    rejected: int = 0

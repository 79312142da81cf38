"""What a COPY loads, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from warehouse.tables import Table

Compression = Literal["none", "gzip"]

Progress = Callable[[str], None]
"""Called with each progress message."""


@dataclass(frozen=True)
class Source:
    """Everything under `location`, a key prefix or a directory, for a COPY ... FORMAT JSON into a table.

    `jsonpaths` says where the JSONPaths file is; if empty, it is the table's own. Up to `max_errors` records may be
    rejected.
    """

    table: Table
    location: str
    jsonpaths: str = ""
    max_errors: int = 0
    compression: Compression = "none"


@dataclass(frozen=True)
class CopyResult:
    """Records that a COPY loaded, and that it rejected into load_errors; together, all that it read."""

    rows: int
    rejected: int = 0

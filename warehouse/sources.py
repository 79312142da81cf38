"""What a COPY is told, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from warehouse.tables import Table

Compression = Literal["none", "gzip"]

KEPT_CHARACTERS = 16_000
"""So much of a rejected value or record is kept in load_errors, at most 64,000 bytes. Where it holds NUL, which no
VARCHAR does, or bytes that are not UTF-8, U+FFFD stands for them."""

LOAD_ERRORS_DDL = """\
create table if not exists load_errors (
    load varchar(128) not null,
    file varchar(2048) not null,
    line bigint,
    "column" varchar(128),
    value varchar(65535),
    code integer,
    message varchar(1024),
    raw_record varchar(65535),
    loaded_at timestamp not null
)
diststyle even
sortkey (loaded_at)"""


@dataclass(frozen=True)
class Source:
    """A COPY ... FORMAT JSON of everything under `source` (a key prefix) into a table.

    `jsonpaths` is where the JSONPaths file lies; empty, it is the table's own. Up to `max_errors` rows
    may be rejected.
    """

    table: Table
    source: str
    jsonpaths: str = ""
    max_errors: int = 0
    compression: Compression = "none"


@dataclass(frozen=True)
class CopyResult:
    """Rows that a COPY loaded, and rejected into load_errors. Together they are the records it read."""

    rows: int
    rejected: int = 0

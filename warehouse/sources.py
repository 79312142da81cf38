"""What a COPY loads, and its result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from warehouse.days import Days
from warehouse.files import SourceFile

if TYPE_CHECKING:
    from warehouse.tables import Table  # slow to import

Compression = Literal["none", "gzip"]

Progress = Callable[[str], None]
"""Called with each progress message."""


@dataclass(frozen=True)
class Source:
    """Everything under `location`, a key prefix or a directory, for a COPY ... FORMAT JSON into a table.

    `jsonpaths` says where the JSONPaths file is; if empty, it is the table's own. Up to `max_errors` records may be
    rejected. Of the files only those of some `days` are loaded.
    """

    table: "Table"
    location: str
    jsonpaths: str = ""
    max_errors: int = 0
    compression: Compression = "none"
    days: Days = field(default_factory=Days)


@dataclass(frozen=True)
class Arrivals:
    """The files of a source, compared with those that were loaded before.

    `new` ones never were, `changed` ones were in another version, and `known` ones are as they were, or of other days.
    What is loaded becomes part of a `batch`.
    """

    new: Sequence[SourceFile] = ()
    changed: Sequence[SourceFile] = ()
    known: Sequence[SourceFile] = ()
    batch: int = 0

    @property
    def files(self) -> list[SourceFile]:
        """The files to load, sorted by URL."""
        return sorted([*self.new, *self.changed], key=attrgetter("url"))


@dataclass(frozen=True)
class CopyResult:
    """Records that a COPY loaded, and that it rejected into load_errors; together, all that it read."""

    rows: int
    rejected: int = 0

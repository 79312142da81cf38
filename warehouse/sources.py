"""What a COPY loads, and its result."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, Self

from warehouse.days import Days
from warehouse.files import SourceFile

if TYPE_CHECKING:
    from warehouse.tables import Table  # slow to import

Compression = Literal["none", "gzip"]

MOST_REJECTS = 99_999
"""COPY fails at 100,000 rejects (https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-load.html)."""

Progress = Callable[[str], None]
"""Called with each progress message."""


@dataclass(frozen=True)
class Source:
    """Everything under `location`, a key prefix or a directory, for a COPY ... FORMAT JSON into a table.

    `jsonpaths` says where the JSONPaths file is; if empty, it is the table's own. Up to `max_errors` records may be
    rejected. Of the files only those of some `days` are loaded.

    With `set_aside` that limit is each file's: a file with more rejects is set aside, and the others are loaded. Files
    that earlier runs set aside are tried again with `retry_set_aside`, and off the list with `dismiss_set_aside`.
    """

    table: "Table"
    location: str
    jsonpaths: str = ""
    max_errors: int = 0
    compression: Compression = "none"
    days: Days = field(default_factory=Days)
    set_aside: bool = False
    retry_set_aside: bool = False
    dismiss_set_aside: bool = False

    @cached_property
    def root(self) -> str:
        """What the URLs of its files begin with."""
        return self.location if "://" in self.location else os.path.abspath(self.location)


@dataclass(frozen=True)
class Arrivals:
    """The files of a source, compared with those that were loaded before.

    `new` ones never were, `changed` ones were in another version, and `known` ones are as they were, or of other days.
    What is loaded becomes part of a `batch`. Some are `set_aside` for a reason instead, others have been by an earlier
    run, of which some are `dismissed` now; and some are `gone` from the source.

    A reload also reads files at the `margin` of its days, and takes these days out of the batches that it `replaces`.
    Of any other load `replaces` is None.
    """

    new: Sequence[SourceFile] = ()
    changed: Sequence[SourceFile] = ()
    known: Sequence[SourceFile] = ()
    batch: int = 0
    set_aside: Mapping[SourceFile, str] = field(default_factory=dict)
    set_aside_before: int = 0
    dismissed: Sequence[SourceFile] = ()
    gone: int = 0
    margin: Sequence[SourceFile] = ()
    replaces: Sequence[int] | None = None

    @property
    def files(self) -> list[SourceFile]:
        """The files that become part of the batch, sorted by URL."""
        return sorted([*self.new, *self.changed], key=attrgetter("url"))

    @property
    def read(self) -> list[SourceFile]:
        """The files to read, sorted by URL."""
        return sorted([*self.new, *self.changed, *self.margin], key=attrgetter("url"))

    def setting_aside(self, reasons: Mapping[str, str]) -> Self:
        """Return the same arrivals, but set some files aside, each URL for a reason."""
        bad = {file: reasons[file.url] for file in self.files if file.url in reasons}
        new, changed = ([file for file in files if file not in bad] for files in (self.new, self.changed))
        return replace(self, new=new, changed=changed, known=[*self.known, *bad], set_aside=bad)


@dataclass(frozen=True)
class CopyResult:
    """Records that a COPY loaded, and that it rejected into load_errors; together, all that it read.

    `rejected` is None where Redshift has not reported on the COPY.
    """

    rows: int
    rejected: int | None = 0

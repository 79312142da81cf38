"""Checks of the tables: each a SELECT of the rows that break a rule."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warehouse.tables import Table

Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class Check:
    """A rule in words, and the SELECT of the rows that break it.

    The SELECT may read what new batches added to a table of history, as `arrived_<table>`, and the rows of a table that
    they may have touched, as `touched_<table>`: so it costs the same however much the tables hold.
    """

    name: str
    rule: str
    select: str
    severity: Severity = "error"

    @classmethod
    def read(cls, path: Path, severity: Severity = "error") -> "Check":
        """Read a check from a file: its rule in a comment, then its SELECT. The file's name is the check's name."""
        select = path.read_text(encoding="utf-8")
        return cls(path.stem, select.partition("\n")[0].removeprefix("-- "), select, severity)

    @property
    def whole(self) -> str:
        """The SELECT over all rows of the tables."""
        return re.sub(r"\b(?:arrived|touched)_(\w+)", r"\1", self.select)


def table_checks(table: Table) -> Iterator[Check]:
    """Yield the checks that follow from a table's entry in the catalogue."""
    name, key = table.name, ", ".join(table.key)
    empty = f"select '{name}' as table_name where not exists (select 1 from {name})"
    yield Check(f"{name}_not_empty", f"{name} has rows.", empty)
    if key:
        missing = " or ".join(f"{column} is null" for column in table.key)
        yield Check(f"{name}_key_not_null", f"{key} is never null in {name}.", f"select * from {name} where {missing}")
        rows = f"touched_{name}" if table.touched else name
        repeated = f"select {key}, count(*) as count_rows from {rows} group by {key} having count(*) > 1"
        yield Check(f"{name}_key_unique", f"{key} is unique in {name}.", repeated)

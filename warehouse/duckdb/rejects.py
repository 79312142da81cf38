"""What a COPY on DuckDB rejects: counted, described, and kept in load_errors."""

from typing import Any

from warehouse.duckdb.files import MARK
from warehouse.errors import CopyError
from warehouse.files import File
from warehouse.load_errors import KEPT_CHARACTERS
from warehouse.sources import Source

_SHOWN = 3
_COUNTED_OVER_LIMIT = 1000
"""So many rejects over the limit are counted, for a person to see what there is; then the load stops."""

_DDL = """
create or replace temp table copy_rejects (
    file varchar, line bigint, "column" varchar, value varchar, code integer, message varchar, raw_record varchar
)"""


class Rejects:
    """The rejects of one COPY, on a DuckDB cursor that is in its transaction."""

    def __init__(self, cursor: Any, source: Source) -> None:
        self.cursor = cursor
        self.source = source
        cursor.execute(_DDL)

    def add(self, examined: str, files: list[File]) -> None:
        """Add the records with a problem from a table that the reader has examined."""
        self.cursor.execute(
            f"""
            insert into copy_rejects
            select
                (?::varchar[])[file_index::bigint + 1], line, problem."column", {_kept("problem.value")},
                problem.code, problem.message, {_kept("record")}
            from {examined}
            where problem is not null""",
            [[file.name for file in files]],
        )

    def count(self) -> int:
        self.cursor.execute("select count(*) from copy_rejects")
        return int(self.cursor.fetchone()[0])

    def keep(self) -> int:
        """Replace the table's rows in load_errors by these; return how many there are.

        Raises:
            CopyError: there are more than `max_errors`.
        """
        self._refuse_over(self.source.max_errors)
        self.cursor.execute("delete from load_errors where load = ?", [self.source.table.name])
        self.cursor.execute(
            "insert into load_errors select ?, *, make_timestamp(epoch_us(now())) from copy_rejects order by all",
            [self.source.table.name],
        )
        return self.count()

    def refuse_far_too_many(self) -> None:
        """
        Raises:
            CopyError: there are so many over `max_errors` that reading on tells a person nothing.
        """
        self._refuse_over(self.source.max_errors + _COUNTED_OVER_LIMIT)

    def _refuse_over(self, limit: int) -> None:
        rejected = self.count()
        if rejected <= limit:
            return
        self.cursor.execute(
            'select file, line, "column", value, code, message from copy_rejects order by file, line limit ?', [_SHOWN]
        )
        lines = [_describe(*row) for row in self.cursor.fetchall()]
        if rejected > len(lines):
            lines.append(f"... and {rejected - len(lines)} more")
        raise CopyError(
            f"{self.source.table.name}: {rejected} rejected, where {self.source.max_errors} may be; "
            "nothing was loaded.\n  "
            + "\n  ".join(lines)
            + "\nMend the files (or name the right ones), or let so many rows be rejected, and kept in load_errors: "
            + f"max_errors = {rejected}{' or more' if limit > self.source.max_errors else ''}"
        )


def _kept(text: str) -> str:
    return f"left(translate({text}, '{MARK}' || chr(0), repeat(chr(65533), 2)), {KEPT_CHARACTERS})"


def _describe(file: str, line: int, column: str | None, value: str | None, code: int, message: str) -> str:
    where = f", column {column}, value {_shortened(value)}" if column else ""
    return f"{file}, line {line}{where}: {message} (code {code})"


def _shortened(value: str | None) -> str:
    return repr(value) if value is None or len(value) <= 80 else f"{value[:80]!r}... ({len(value)} characters)"

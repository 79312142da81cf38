"""The records that a COPY on DuckDB rejects: counted, described, and kept in load_errors."""

import duckdb

from warehouse.duckdb.chunks import MARK, TOO_LARGE, LargeRecord
from warehouse.duckdb.formats import other_format
from warehouse.errors import CopyError
from warehouse.files import File
from warehouse.load_errors import KEPT_CHARACTERS
from warehouse.sources import Source
from warehouse.wording import counted

_DESCRIBED = 3
_COUNTED_OVER_LIMIT = 1000
"""How many rejects over the limit are counted before the load stops, to give a person an idea of the extent."""

_DDL = """
create or replace temp table copy_rejects (
    file varchar, line bigint, "column" varchar, value varchar, code integer, message varchar, raw_record varchar
)"""


class Rejects:
    """The rejects of one COPY, on a DuckDB cursor that is in the COPY's transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, source: Source, batch: int, bracket: str) -> None:
        """Prepare to keep the rejects of a batch's files, whose records should begin with a bracket."""
        self.cursor = cursor
        self.source = source
        self.batch = batch
        self.bracket = bracket
        self.first: str | None = None
        self.kind: str | None = None
        cursor.execute(_DDL)

    def add(self, examined: str, files: list[File]) -> None:
        """Add the records that have a problem, from a table that the reader has examined."""
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
        self._look_at_first(files)

    def add_large(self, file: File, record: LargeRecord) -> None:
        """Add a record that is too large to be examined."""
        self.cursor.execute(
            f"insert into copy_rejects select $1, $2, null, null, 1224, '{TOO_LARGE}', {_kept('$3')}",
            [file.name, record.last_line, record.beginning],
        )
        self._look_at_first([file])

    def _look_at_first(self, files: list[File]) -> None:
        """Find out what the first file with rejects looks like, as long as it is there."""
        self.cursor.execute("select min(file) from copy_rejects")
        ((first,),) = self.cursor.fetchall()
        for file in files:
            if file.name == first != self.first:
                self.first, self.kind = first, other_format(file.path, self.bracket)

    def count(self) -> int:
        self.cursor.execute("select count(*) from copy_rejects")
        return int(self.cursor.fetchall()[0][0])

    def keep(self) -> int:
        """Add the rejects to load_errors, and return their number.

        Raises:
            CopyError: there are more than `max_errors`.
        """
        self._refuse_over(self.source.max_errors)
        self.cursor.execute(
            "insert into load_errors select ?, *, make_timestamp(epoch_us(now())), ? from copy_rejects order by all",
            [self.source.table.name, self.batch],
        )
        return self.count()

    def refuse_far_too_many(self) -> None:
        """Stop a load early that is far over its limit.

        Raises:
            CopyError: there are so many rejects over `max_errors` that reading on would tell a person nothing new.
        """
        self._refuse_over(self.source.max_errors + _COUNTED_OVER_LIMIT)

    def _refuse_over(self, limit: int) -> None:
        rejected = self.count()
        if rejected <= limit:
            return
        self.cursor.execute(
            'select file, line, "column", value, code, message from copy_rejects order by file, line limit ?',
            [_DESCRIBED],
        )
        rows = self.cursor.fetchall()
        lines = [_describe(*row) for row in rows]
        if rejected > len(lines):
            lines.append(f"... and {rejected - len(lines)} more")
        or_higher = " or higher" if limit > self.source.max_errors else ""
        advice = f"Fix the files, or set --max-errors {rejected}{or_higher} to keep the rejects in load_errors"
        if self.kind:
            advice = f"{self.first} {self.kind}"
        raise CopyError(
            f"{self.source.table.name}: {counted(rejected, 'record')} rejected, "
            f"max_errors allows {self.source.max_errors}. Nothing was loaded.\n  " + "\n  ".join(lines) + f"\n{advice}"
        )


def _kept(text: str) -> str:
    return f"left(translate({text}, '{MARK}' || chr(0), repeat(chr(65533), 2)), {KEPT_CHARACTERS})"


def _describe(file: str, line: int, column: str | None, value: str | None, code: int, message: str) -> str:
    where = f", column {column}, value {_shortened(value)}" if column else ""
    return f"{file}, line {line}{where}: {message} (code {code})"


def _shortened(value: str | None) -> str:
    return repr(value) if value is None or len(value) <= 80 else f"{value[:80]!r}... ({len(value)} characters)"

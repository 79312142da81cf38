"""Tells whether COPY would load files into a table, and what it would reject. Keeps nothing.

Run it with `python -m flows.copy_check TABLE.sql FILE`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.copy_check:copy_check")

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flows.parameters import Count
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.errors import CopyError, PermanentError
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.sources import Arrivals, Compression, Source
from warehouse.tables import COPIED_TYPES, Column, Table, columns_in
from warehouse.target import Target
from warehouse.wording import counted

_SHOWN_ROWS = 3
_SHOWN_REJECTS = 10
_MOST_REJECTS = 100_000


class Reject(NamedTuple):
    """A record that COPY rejects."""

    code: int
    file: str
    line: int
    column: str | None
    value: str | None
    message: str

    def __str__(self) -> str:
        where = f", column {self.column}, value {_shortened(self.value)}" if self.column else ""
        return f"{self.file}, line {self.line}{where}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What COPY loads: the number of rows, some of them as text, and the rejects, which may be too many."""

    rows: int
    sample: list[str]
    rejects: list[Reject]
    too_many: bool = False

    def show(self) -> None:
        """Print the report."""
        print("\n".join(self.lines()))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        condition = f" with --max-errors {len(self.rejects)}" if self.too_many else ""
        yield f"{counted(self.rows, 'row')} would load{condition}{', for example:' if self.sample else ''}"
        yield from (f"  {row}" for row in self.sample)
        yield f"{counted(len(self.rejects), 'record')} would be rejected"
        by_code = defaultdict(list)
        for reject in self.rejects:
            by_code[reject.code].append(reject)
        for code, rejects in sorted(by_code.items()):
            yield f"  code {code}: {counted(len(rejects), 'record')}"
            yield from (f"    {reject}" for reject in rejects[:_SHOWN_REJECTS])
            if len(rejects) > _SHOWN_REJECTS:
                yield f"    ... and {len(rejects) - _SHOWN_REJECTS:,} more"


def copy_check(
    table: Path,
    files: str,
    *,
    jsonpaths: str = "auto",
    compression: Compression = "none",
    time_format: str = "",
    max_errors: Count = 0,
) -> Report:
    """Tell whether COPY ... FORMAT JSON would load files into a table, and what it would reject. Keeps nothing.

    Args:
        table: SQL file with the table's CREATE TABLE.
        files: A file, or a directory of files.
        jsonpaths: JSONPaths file, or `auto` or `auto-ignorecase`: keys have the names of the columns.
        compression: Compression of the files.
        time_format: COPY's TIMEFORMAT: epochsecs or epochmillisecs.
        max_errors: Number of records that may be rejected.

    Raises:
        PermanentError: COPY would fail, or the rules do not cover a column's type.
    """
    columns = columns_in(table)
    uncovered = [str(column) for column in columns if column.type.partition("(")[0] not in COPIED_TYPES]
    if uncovered:
        raise PermanentError(
            f"{table}: the rules do not cover {', '.join(uncovered)}. Use other types, or leave these columns out; "
            f"they cover {', '.join(COPIED_TYPES)}"
        )
    with TemporaryDirectory(prefix="sparkify-") as folder:
        file = None if jsonpaths in ("auto", "auto-ignorecase") else Path(jsonpaths)
        checked = Table(
            _declaration(Path(folder), columns),
            jsonpaths=file,
            time_format=time_format or None,
            ignore_case=jsonpaths == "auto-ignorecase",
        )
        warehouse = _warehouse(folder, table, checked)
        return _checked(warehouse, Source(checked, files, "", max_errors, compression))


def _declaration(folder: Path, columns: tuple[Column, ...]) -> Path:
    """Write a CREATE TABLE of the columns only, which DuckDB takes whatever else the table's own says."""
    path = folder / "copy_check.sql"
    listed = [str(replace(column, name='"' + column.name.replace('"', '""') + '"')) for column in columns]
    path.write_text(f"create table {path.stem} ({', '.join(listed)})", encoding="utf-8")
    return path


def _warehouse(folder: str, sql: Path, table: Table) -> Warehouse:
    warehouse = open_warehouse(Target(f"duckdb:///{folder}/check.duckdb", "public", "copy check"))
    warehouse.take_lease()
    with warehouse.task() as connection:
        connection.exec_driver_sql(LOAD_ERRORS_DDL)
        try:
            connection.exec_driver_sql(table.ddl)
        except DBAPIError as error:
            raise PermanentError(f"{sql}: no such table can be created ({error.orig}). Fix the SQL file") from None
    return warehouse


def _checked(warehouse: Warehouse, source: Source) -> Report:
    """Load the files.

    Raises:
        CopyError: COPY would fail. If that is for its rejects, they have been shown.
    """
    try:
        return _loaded(warehouse, source)
    except CopyError as failure:
        replace(_loaded(warehouse, replace(source, max_errors=_MOST_REJECTS)), too_many=True).show()
        raise failure from None


def _loaded(warehouse: Warehouse, source: Source) -> Report:
    with warehouse.task() as connection:
        copied = warehouse.copy(connection, source, Arrivals(warehouse.files(source)), lambda news: None)
        return Report(copied.rows, _sample(connection, source.table), _rejects(connection))


def _sample(connection: Connection, table: Table) -> list[str]:
    rows = connection.exec_driver_sql(f"select * from {table.name} limit {_SHOWN_ROWS}").mappings()
    return [", ".join(f"{name}={_shortened(value)}" for name, value in row.items()) for row in rows]


def _rejects(connection: Connection) -> list[Reject]:
    query = 'select code, file, line, "column", value, message from load_errors order by file, line'
    return [Reject(*row) for row in connection.exec_driver_sql(query)]


def _shortened(value: object) -> str:
    text = repr(value) if isinstance(value, str | None) else str(value)
    return text if len(text) <= 80 else f"{text[:80]}... ({len(text) - 2} characters)"

"""Loads bytes into a table on DuckDB, and returns the result."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.sources import Arrivals, Compression, CopyResult, Progress, Source
from warehouse.tables import Table
from warehouse.target import Target


class Reject(NamedTuple):
    """A row of load_errors."""

    file: str
    line: int
    column: str | None
    value: str | None
    code: int
    message: str
    raw_record: str


@dataclass(frozen=True)
class Loaded:
    """What a COPY reported, what it left in the table (as text), and the records it rejected."""

    reported: tuple[int, int | None]
    rows: list[tuple[str | None, ...]]
    rejects: list[Reject]


def copy_all(
    warehouse: Warehouse, connection: Connection, source: Source, progress: Progress = lambda news: None, batch: int = 1
) -> CopyResult:
    """COPY all files of a source."""
    return warehouse.copy(connection, source, Arrivals(warehouse.files(source), batch=batch), progress)


class Copying:
    """A warehouse in a folder, with a new table and new files for each load."""

    def __init__(self, folder: Path, aws_credentials: str = "", statement_timeout: int = 0) -> None:
        self.folder = folder
        self.numbers = count()
        target = Target(f"duckdb:///{folder}/test.duckdb", "sparkify", "test", statement_timeout, aws_credentials)
        self.warehouse = open_warehouse(target)
        self.warehouse.take_lease()
        with self.warehouse.task() as connection:
            connection.exec_driver_sql(LOAD_ERRORS_DDL)

    def new_folder(self) -> Path:
        folder = self.folder / f"{next(self.numbers):04}"
        folder.mkdir()
        return folder

    def write(self, files: dict[str, bytes] | bytes) -> Path:
        """Write files, or one, into a new folder, and return it."""
        folder = self.new_folder()
        for name, content in (files if isinstance(files, dict) else {"data.json": files}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def table(self, columns: str, paths: str | bytes | None = None, time_format: str | None = None) -> Table:
        """Declare a table, with the content of its JSONPaths file."""
        folder = self.new_folder()
        path = folder / f"t{folder.name}.sql"
        path.write_text(f"create table if not exists {path.stem} ({columns})")
        if paths is None:
            return Table(path, time_format=time_format)
        jsonpaths = folder / "paths.json"
        jsonpaths.write_bytes(paths if isinstance(paths, bytes) else paths.encode())
        return Table(path, jsonpaths=jsonpaths, time_format=time_format)

    def load(
        self,
        table: Table,
        source: dict[str, bytes] | bytes | Path | str,
        max_errors: int = 0,
        compression: Compression = "none",
        progress: Any = lambda text: None,
        jsonpaths: str = "",
    ) -> Loaded:
        """COPY files into a table, which is created if it is missing."""
        path = source if isinstance(source, Path | str) else self.write(source)
        self.create(table)
        with self.warehouse.task() as connection:
            copy = Source(table, str(path), jsonpaths, max_errors, compression)
            batch = next(self.numbers)
            copied = copy_all(self.warehouse, connection, copy, progress, batch)
            rows, rejects = self.rows(connection, table), self.rejects(connection, batch)
        return Loaded((copied.rows, copied.rejected), rows, rejects)

    def create(self, table: Table) -> None:
        with self.warehouse.task() as connection:
            connection.exec_driver_sql(table.ddl)

    def present(self, table: Table) -> list[tuple[str | None, ...]]:
        """Return the content of a table after a load."""
        with self.warehouse.task() as connection:
            return self.rows(connection, table)

    @staticmethod
    def rows(connection: Connection, table: Table) -> list[tuple[str | None, ...]]:
        texts = ", ".join(f"cast({column.name} as varchar(65535))" for column in table.columns)
        rows = connection.exec_driver_sql(f"select {texts} from {table.name}").all()
        return sorted((tuple(row) for row in rows), key=repr)

    @staticmethod
    def rejects(connection: Connection, batch: int) -> list[Reject]:
        rows = connection.exec_driver_sql(
            'select file, line, "column", value, code, message, raw_record from load_errors '
            f"where batch_id = {batch} order by file, line, raw_record"
        )
        return [Reject(*row) for row in rows]

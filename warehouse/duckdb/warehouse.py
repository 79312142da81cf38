"""The DuckDB warehouse: a file on this machine that takes Redshift SQL."""

import os
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, PoolProxiedConnection, create_engine, text

from warehouse.base import Comments, Transaction, Values, Warehouse
from warehouse.duckdb.copy import DuckDBCopy
from warehouse.duckdb.dialect import READ_ONLY, Dialect, deadline, may_write
from warehouse.duckdb.errors import explained, without_connections
from warehouse.duckdb.files import list_files, read_beginning
from warehouse.duckdb.locks import TableLocks
from warehouse.duckdb.memory import limits
from warehouse.duckdb.preflight import file_findings
from warehouse.errors import PermanentError
from warehouse.files import File, SourceFile
from warehouse.first_records import BEGINNING_BYTES
from warehouse.jsonpaths import read_local
from warehouse.preflight import Finding
from warehouse.s3.client import S3, is_s3
from warehouse.s3.preflight import object_findings
from warehouse.sources import Arrivals, CopyResult, Progress, Source
from warehouse.tables import Column
from warehouse.target import DUCKDB_URL, Target, refuse_missing_file

_PROCESS = f"process {os.getpid()}, {uuid.uuid4().hex[:8]}"
_LOCKS: dict[tuple[str, str], TableLocks] = defaultdict(TableLocks)
_KEPT_OPEN: dict[tuple[str, str], PoolProxiedConnection] = {}
_CONFIG = {
    "integer_division": True,  # as in Redshift, 1 / 2 = 0
    "preserve_insertion_order": False,
}
_REDSHIFT_TYPES = {"double": "double precision", "float": "real"}


class DuckDBWarehouse(Warehouse):
    """A DuckDB file as a warehouse, which needs no configuration."""

    def __init__(self, path: str, target: Target) -> None:
        if path in ("", ":memory:"):
            raise PermanentError(
                f"{DUCKDB_URL}{path} names no file, and each task opens the database again. Use {DUCKDB_URL}path"
            )
        if os.path.splitext(os.path.basename(path))[0] == target.schema:
            raise PermanentError(
                f"{path} and the schema {target.schema} have the same name, so DuckDB cannot tell them apart. "
                "Rename one of them"
            )
        super().__init__(_engine(path, target.schema, _CONFIG), target)
        self.s3 = S3(target.aws_credentials)
        self.holder = f"{target.holder} ({_PROCESS})"

    @contextmanager
    def session(self) -> Iterator[Transaction]:
        with without_connections(), explained(self._path), super().session() as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One connection and one read-only transaction. It needs no lease, and no right to write.

        Raises:
            PermanentError: another process has the file open, or it does not exist.
        """
        refuse_missing_file(self._path)
        if not may_write(self._path):
            self.engine = _engine(self._path, self.target.schema, _CONFIG | {"access_mode": READ_ONLY})
        with without_connections(), explained(self._path), super().reading() as connection:
            yield connection

    @without_connections()
    def take_lease(self) -> None:
        """Take the lease for the run, and keep the file open until the lease is released.

        So no other process can open the file between two tasks, and each task finds it open.

        Raises:
            LeaseLostError: another run of this process holds it.
            PermanentError: another process has the file open, or it cannot be used.
        """
        kept = self.engine.raw_connection()
        try:
            super().take_lease()
        except BaseException:
            kept.close()
            raise
        self._close_kept()
        _KEPT_OPEN[self._lease] = kept

    def release_lease(self) -> None:
        """Give the lease back, and close the file."""
        try:
            super().release_lease()
        finally:
            self._close_kept()

    def _close_kept(self) -> None:
        if kept := _KEPT_OPEN.pop(self._lease, None):
            kept.close()

    @property
    def _lease(self) -> tuple[str, str]:
        return str(self.engine.url), self.holder

    @property
    def _path(self) -> str:
        return self.engine.url.database or ""

    def interrupt(self, connection: Connection) -> None:
        _raw(connection).interrupt()

    def forget_dead_holders(self, connection: Connection) -> None:
        """Delete the lease of any other process: a run keeps the file open, so that process has ended."""
        connection.execute(text("delete from run_lease where holder not like :ours"), {"ours": f"%({_PROCESS})"})

    def files(self, source: Source) -> list[SourceFile]:
        return self.s3.objects(source.location) if is_s3(source.location) else list_files(source.location)

    def beginning(self, url: str) -> bytes:
        return self.s3.read(url, BEGINNING_BYTES) if is_s3(url) else read_beginning(url)

    def name_of(self, source: Source, file: SourceFile) -> str:
        """Return its path as a person would write it, relative if the source's is."""
        is_relative = not is_s3(source.location) and not os.path.isabs(source.location)
        # not os.path.relpath, which asks for the working directory twice
        return os.path.normpath(source.location + file.url.removeprefix(source.root)) if is_relative else file.url

    def copy(self, connection: Connection, source: Source, arrivals: Arrivals, progress: Progress) -> CopyResult:
        cursor, columns = _raw(connection), self.columns(connection, source.table.name)
        loading = DuckDBCopy(cursor, source, arrivals.batch, columns, self._read, progress)
        timeout = deadline(cursor, self.target.statement_timeout)
        with self._fetched(source, arrivals.read, progress) as files, timeout:
            return loading.run(files, sum(file.size for file in arrivals.read))

    def insert(self, connection: Connection, table: str, rows: Sequence[Values]) -> None:
        columns = _columns(_raw(connection), table)
        lists = ", ".join(f"unnest(${number}::{column.type}[])" for number, column in enumerate(columns, 1))
        _raw(connection).execute(f"insert into {table} select {lists}", [*map(list, zip(*rows, strict=True))])

    def _read(self, name: str) -> bytes:
        return self.s3.read(name) if is_s3(name) else read_local(name)

    @contextmanager
    def _fetched(self, source: Source, files: list[SourceFile], progress: Progress) -> Iterator[Iterable[list[File]]]:
        if is_s3(source.location):
            with self.s3.downloaded(files, lambda message: progress(f"{source.table.name}: {message}")) as fetched:
                yield fetched
        else:
            yield [[File(each.url, self.name_of(source, each), each.size) for each in files]]

    def preflight(self, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
        findings: list[Finding] = []
        for source in sources:
            in_s3 = is_s3(source.location)
            findings += object_findings(self.s3, source, sources) if in_s3 else file_findings(source, sources)
        return findings

    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        return _columns(_raw(connection), table)

    def comments(self, connection: Connection) -> Comments:
        cursor = _raw(connection).cursor()
        cursor.execute(
            r"""
            select table_name, '', comment
            from duckdb_tables()
            where lower(schema_name) = current_schema()
            union all
            select table_name, column_name, regexp_replace(comment, '^(var)?char\(\d+\)(: )?', '')
            from duckdb_columns()
            where lower(schema_name) = current_schema() and comment is not null"""
        )
        return {(table, column): comment for table, column, comment in cursor.fetchall()}


def _engine(path: str, schema: str, config: dict[str, Any]) -> Engine:
    engine = create_engine(
        URL.create("redshift+duckdb", database=path),  # not parsed: a path may contain what has a meaning in a URL
        poolclass=NullPool,
        connect_args={"config": config | limits()},
        hide_parameters=True,
    )
    assert isinstance(engine.dialect, Dialect)
    engine.dialect.locks = _LOCKS[os.path.realpath(path), schema]
    return engine


def _columns(connection: Any, table: str) -> tuple[Column, ...]:
    cursor = connection.cursor()
    cursor.execute(
        r"""
        select
            column_name,
            case
                when data_type = 'VARCHAR' and regexp_matches(comment, '^(var)?char\(\d+\)(: |$)')
                    then split_part(comment, ': ', 1)
                else lower(data_type)
            end,
            is_nullable
        from duckdb_columns()
        where lower(schema_name) = current_schema() and table_name = ?
        order by column_index""",
        [table],
    )
    return tuple(Column(name, _REDSHIFT_TYPES.get(kind, kind), nullable) for name, kind, nullable in cursor.fetchall())


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection

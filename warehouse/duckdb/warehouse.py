"""DuckDB in Redshift's place: a file on this machine that takes Redshift SQL."""

import os
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from typing import Any

import duckdb
import duckdb_engine
from rich.filesize import decimal
from sqlalchemy import URL, Connection, NullPool, PoolProxiedConnection, create_engine, text
from sqlalchemy.dialects import registry

from warehouse.base import Progress, Target, Warehouse
from warehouse.sources import CopyResult, Source
from warehouse.errors import PermanentError
from warehouse.preflight import Finding, look
from warehouse.duckdb.json_reader import Reader
from warehouse.jsonpaths import read_local
from warehouse.duckdb.copy import DuckDBCopy
from warehouse.duckdb.files import File, list_files
from warehouse.duckdb.locks import TableLocks
from warehouse.s3.client import S3, is_s3
from warehouse.s3.preflight import Sources
from warehouse.tables import Column
from warehouse.duckdb.translate import STATEMENT_TIME, translate

URL_PREFIX = "duckdb:///"
_PROCESS = f"process {os.getpid()}, {uuid.uuid4().hex[:8]}"
_LOCKS: dict[tuple[str, str], TableLocks] = defaultdict(TableLocks)
_KEPT_OPEN: dict[tuple[str, str], PoolProxiedConnection] = {}
_CONFIG = {
    "integer_division": True,  # as in Redshift, 1 / 2 = 0
    "preserve_insertion_order": False,
    "memory_limit": "768MiB",
}
_NO_DATABASE = "{path} is not a DuckDB database: name another file, or a new one"
_REDSHIFT_TYPES = {"double": "double precision", "float": "real"}


class Dialect(duckdb_engine.Dialect):
    """SQLAlchemy's dialect of a DuckDB file that is spoken to in Redshift SQL."""

    supports_statement_cache = True
    locks: TableLocks
    statement_timeout = 0.0

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement as Redshift would: translated, under its table locks, within its time."""
        if statement.startswith("set "):
            self._set(cursor, statement)
            return
        translation = translate(statement)
        for table, lock in translation.locks:
            self.locks.acquire(cursor.connection, table, lock)
        if translation.reads_clock:
            cursor.execute(f"set variable {STATEMENT_TIME} = ?", [datetime.now(UTC).replace(tzinfo=None)])
        new = translation.declares and not _exists(cursor, translation.declares[0])
        with deadline(cursor, self.statement_timeout):
            cursor.execute(translation.sql, parameters or None)
        if new and translation.declares:
            _remember_types(cursor, *translation.declares)

    def _set(self, cursor: Any, statement: str) -> None:
        if match := re.fullmatch(r"set statement_timeout to (\d+)", statement):
            self.statement_timeout = int(match[1]) / 1000
        else:
            cursor.execute(statement)

    def do_commit(self, dbapi_connection: Any) -> None:
        dbapi_connection.commit()
        self.locks.release(dbapi_connection.dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:
        try:
            super().do_rollback(dbapi_connection)
        finally:
            self.locks.release(dbapi_connection.dbapi_connection)

    def do_close(self, dbapi_connection: Any) -> None:
        try:
            dbapi_connection.close()
        finally:
            self.locks.release(dbapi_connection)

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Open the file.

        Raises:
            PermanentError: it is in use by another process, or cannot be opened or written.
        """
        path = options["database"]
        _refuse_unusable(path)
        try:
            connection = super().connect(*arguments, **options)
        except duckdb.Error as error:
            raise PermanentError(_why_not_opened(path, str(error))) from None
        if _is_in_memory(connection):
            connection.close()
            raise PermanentError(_NO_DATABASE.format(path=path))
        return connection


registry.register("redshift.duckdb", __name__, "Dialect")


class DuckDBWarehouse(Warehouse):
    """The warehouse on a machine with nothing configured."""

    def __init__(self, path: str, target: Target) -> None:
        if path in ("", ":memory:"):
            raise PermanentError(f"{URL_PREFIX}{path} names no file: each task opens it anew, so it has to be one")
        if os.path.splitext(os.path.basename(path))[0] == target.schema:
            raise PermanentError(
                f"{path} and the schema {target.schema} bear one name, which DuckDB takes for either's"
            )
        engine = create_engine(
            URL.create("redshift+duckdb", database=path),  # not parsed: a path may hold what means something in a URL
            poolclass=NullPool,
            connect_args={"config": _CONFIG},
            hide_parameters=True,
        )
        assert isinstance(engine.dialect, Dialect)
        engine.dialect.locks = _LOCKS[os.path.realpath(path), target.schema]
        super().__init__(engine, target)
        self.s3 = S3(target.aws_credentials)
        self.holder = f"{target.holder} ({_PROCESS})"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One connection and one transaction that only reads: it needs no lease.

        Raises:
            PermanentError: another process has the file open, or there is none.
        """
        path = self.engine.url.database or ""
        if not os.path.exists(path):
            raise PermanentError(f"{path} is not there: load it first (`python -m flows.etl`), or name another file")
        with super().reading() as connection:
            yield connection

    def take_lease(self) -> None:
        """Take the lease for the run, and keep the file open until it is given back.

        So no other process gets at the file between two tasks, and each task finds it open.

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
        """Give the lease back, and the file."""
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

    def forget_dead_holders(self, connection: Connection) -> None:
        """Delete the lease of any other process: a run keeps the file open, so the other has ended."""
        connection.execute(text("delete from run_lease where holder not like :ours"), {"ours": f"%({_PROCESS})"})

    def copy(self, connection: Connection, source: Source, progress: Progress) -> CopyResult:
        cursor = _raw(connection)
        reader = Reader(copy, self.columns(connection, source.table.name), self._read)
        loading = DuckDBCopy(cursor, copy, reader, progress)
        with self._files(copy, progress) as files, deadline(cursor, self.target.statement_timeout):
            return loading.run(files)

    def _read(self, name: str) -> bytes:
        return self.s3.read(name) if is_s3(name) else read_local(name)

    @contextmanager
    def _files(self, source: Source, progress: Progress) -> Iterator[list[File]]:
        if is_s3(source.location):
            with self.s3.downloaded(source.location, lambda news: progress(f"{source.table.name}: {news}")) as files:
                yield files
        else:
            yield list_files(source.location)

    def preflight(self, sources: list[Source], tables: list[str]) -> list[Finding]:
        findings = [look(f"{c.table.name} files", partial(_found, c)) for c in sources if not is_s3(c.source)]
        return [*findings, *Sources(self.s3, [copy for source in sources if is_s3(source.location)]).objects()]

    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        cursor = _raw(connection).cursor()
        cursor.execute(
            r"""
            select
                column_name,
                case
                    when data_type = 'VARCHAR' and regexp_full_match(comment, '(var)?char\(\d+\)') then comment
                    else lower(data_type)
                end,
                is_nullable
            from duckdb_columns()
            where schema_name = current_schema() and table_name = ?
            order by column_index""",
            [table],
        )
        return tuple(
            Column(name, _REDSHIFT_TYPES.get(kind, kind), nullable) for name, kind, nullable in cursor.fetchall()
        )


@contextmanager
def deadline(cursor: Any, seconds: float) -> Iterator[None]:
    """Interrupt what DuckDB does in the block when the time is over (0: never), as statement_timeout does.

    Raises:
        PermanentError: it was interrupted.
    """
    if not seconds:
        yield
        return
    ended = Event()
    Thread(target=_interrupt, args=(cursor, seconds, ended), daemon=True).start()
    try:
        yield
    except duckdb.InterruptException:
        raise PermanentError(
            f"a statement ran longer than statement_timeout, {seconds:g} s, and was cancelled: allow it more, or 0"
        ) from None
    finally:
        ended.set()


def _interrupt(cursor: Any, seconds: float, ended: Event) -> None:
    """Interrupt again and again: it does nothing between two statements."""
    if not ended.wait(seconds):
        cursor.interrupt()
        while not ended.wait(0.05):
            cursor.interrupt()


def _found(source: Source) -> str:
    files = list_files(source.location)
    return f"{len(files):,} under {source.location}, {decimal(sum(file.size for file in files))}"


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _exists(cursor: Any, table: str) -> bool:
    cursor.execute("select 1 from duckdb_tables() where schema_name = current_schema() and table_name = ?", [table])
    return bool(cursor.fetchone())


def _remember_types(cursor: Any, table: str, columns: tuple[Column, ...]) -> None:
    """Keep the lengths of strings, which DuckDB's types do not have, as the columns' comments."""
    for column in columns:
        if "char(" in column.type:
            cursor.execute(f'comment on column "{table}"."{column.name}" is \'{column.type}\'')


def _refuse_unusable(path: str) -> None:
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise PermanentError(
            f"{path} is a directory: name a file in it, such as {os.path.join(path, 'sparkify.duckdb')}"
        )
    if not os.path.isdir(parent):
        raise PermanentError(f"{path} cannot be made: there is no directory {parent}: make it, or name another file")
    for needed in (parent, path):  # DuckDB writes its log beside the file
        if os.path.exists(needed) and not os.access(needed, os.R_OK | os.W_OK):
            raise PermanentError(
                f"{path} cannot be written: this user may not read and write {needed}: allow it, or name another file"
            )


def _is_in_memory(connection: Any) -> bool:
    """Whether DuckDB took a file of JSON, CSV or Parquet for views in an empty database in memory.

    It is asked, and the file not looked into: closing a file drops the locks that the process has on it.
    """
    connection.execute("select path is null from duckdb_databases() where database_name = current_database()")
    return bool(connection.fetchone()[0])


def _why_not_opened(path: str, error: str) -> str:
    if "Could not set lock" in error:
        match = re.search(r"held in (.+?) \(PID (\d+)\)", error)
        user = f"process {match[2]} ({match[1]})" if match else "another process"
        return f"{path} is in use by {user}: wait until it ends, or name another file"
    if "not a valid DuckDB database" in error:
        return _NO_DATABASE.format(path=path)
    reason = error.splitlines()[0].removeprefix("IO Error: ")
    return f"{path} cannot be opened as the warehouse: {reason} (name another file, or mend this one)"

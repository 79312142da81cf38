"""SQLAlchemy's dialect for a DuckDB file that takes Redshift SQL."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy.dialects import registry

from warehouse.duckdb.blanks import MACROS
from warehouse.duckdb.errors import explained
from warehouse.duckdb.locks import TableLocks
from warehouse.duckdb.translate import STATEMENT_TIME, translate
from warehouse.errors import PermanentError
from warehouse.tables import Column

READ_ONLY = "READ_ONLY"
"""DuckDB's access mode for a file that nothing is written to."""

_NO_DATABASE = "{path} is not a DuckDB database. Name another file, or a new one"


class Dialect(duckdb_engine.Dialect):
    """SQLAlchemy's dialect for a DuckDB file that takes Redshift SQL."""

    supports_statement_cache = True
    locks: TableLocks
    path = ""
    statement_timeout = 0.0

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement as Redshift would: translated, under its table locks, and within the statement timeout."""
        if statement.startswith("set "):
            self._set(cursor, statement)
            return
        translation = translate(statement)
        for table, lock in translation.locks:
            self.locks.acquire(cursor.connection, table, lock)
        if translation.reads_clock:
            cursor.execute(f"set variable {STATEMENT_TIME} = ?", [datetime.now(UTC).replace(tzinfo=None)])
        is_new = translation.declares and not _exists(cursor, translation.declares[0])
        length = _length(cursor, *translation.describes) if translation.describes else ""
        with deadline(cursor, self.statement_timeout), explained(self.path):
            cursor.execute(translation.sql, parameters or None)
        if declared := translation.declares if is_new else translation.adds:
            _remember_types(cursor, *declared)
        if length and translation.describes:
            _keep_length(cursor, *translation.describes, length)

    def _set(self, cursor: duckdb.DuckDBPyConnection, statement: str) -> None:
        if match := re.fullmatch(r"set statement_timeout to (\d+)", statement):
            self.statement_timeout = int(match[1]) / 1000
        else:
            cursor.execute(statement)

    def do_commit(self, dbapi_connection: Any) -> None:
        with explained(self.path):
            dbapi_connection.commit()
        self.locks.release(dbapi_connection.dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:
        try:
            super().do_rollback(dbapi_connection)
        except duckdb.OutOfMemoryException:
            dbapi_connection.close()  # it undoes the transaction too, and takes no memory
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
            PermanentError: another process uses the file, or it cannot be opened or written.
        """
        path = options["database"]
        if options["config"].get("access_mode") != READ_ONLY:
            _refuse_unusable(path)
        self.path = path
        try:
            with explained(path):
                connection = super().connect(*arguments, **options)
        except duckdb.Error as error:
            raise PermanentError(_why_not_opened(path, str(error))) from None
        if _is_in_memory(connection):
            connection.close()
            raise PermanentError(_NO_DATABASE.format(path=path))
        connection.execute(MACROS)
        return connection


registry.register("redshift.duckdb", __name__, "Dialect")


@contextmanager
def deadline(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt DuckDB in the block after some seconds (0: never), as statement_timeout does on Redshift.

    Raises:
        PermanentError: the statement was interrupted.
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
            f"a statement ran longer than statement_timeout ({seconds:g} s) and was cancelled. "
            "Set a longer timeout, or 0 for none"
        ) from None
    finally:
        ended.set()


def _interrupt(cursor: duckdb.DuckDBPyConnection, seconds: float, ended: Event) -> None:
    """Interrupt again and again, because an interrupt between two statements does nothing."""
    if not ended.wait(seconds):
        cursor.interrupt()
        while not ended.wait(0.05):
            cursor.interrupt()


def _exists(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    cursor.execute(
        "select 1 from duckdb_tables() where lower(schema_name) = current_schema() and table_name = ?", [table]
    )
    return bool(cursor.fetchone())


def _remember_types(cursor: duckdb.DuckDBPyConnection, table: str, columns: tuple[Column, ...]) -> None:
    """Keep the lengths of strings, which DuckDB's types lack, as comments on the columns."""
    for column in columns:
        if "char(" in column.type:
            cursor.execute(f'comment on column "{table}"."{column.name}" is \'{column.type}\'')


def _comment(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> str:
    cursor.execute(
        "select comment from duckdb_columns() "
        "where lower(schema_name) = current_schema() and table_name = ? and column_name = ?",
        [table, column],
    )
    row = cursor.fetchone()
    return (row and row[0]) or ""


def _length(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> str:
    """Return the type of a string's column, with its length; "" for other columns."""
    known = re.match(r"(var)?char\(\d+\)", _comment(cursor, table, column))
    return known[0] if known else ""


def _keep_length(cursor: duckdb.DuckDBPyConnection, table: str, column: str, length: str) -> None:
    """Put the type of a string's column before a new comment on it."""
    text = f"{length}: {_comment(cursor, table, column)}".replace("'", "''")
    cursor.execute(f'comment on column "{table}"."{column}" is \'{text}\'')


def _refuse_unusable(path: str) -> None:
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise PermanentError(
            f"{path} is a directory. Name a file in it, such as {os.path.join(path, 'sparkify.duckdb')}"
        )
    if not os.path.isdir(parent):
        raise PermanentError(
            f"{path} cannot be created: the directory {parent} does not exist. Create it, or name another file"
        )
    if needed := _unwritable(path):
        raise PermanentError(
            f"{path} cannot be written: this user may not read and write {needed}. "
            "Change the permissions, or name another file"
        )


def may_write(path: str) -> bool:
    """Whether this user may write a database at a path."""
    return _unwritable(path) is None


def _unwritable(path: str) -> str | None:
    """Return what this user may not write: the file, or its directory, as DuckDB writes its log beside the file."""
    needed = (os.path.dirname(os.path.abspath(path)), path)
    return next((name for name in needed if os.path.exists(name) and not os.access(name, os.R_OK | os.W_OK)), None)


def _is_in_memory(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB opened a JSON, CSV or Parquet file as views in an empty in-memory database.

    DuckDB is asked because opening the file here and closing it again would drop the locks that the process has on it.
    """
    connection.execute("select path is null from duckdb_databases() where database_name = current_database()")
    return bool(connection.fetchall()[0][0])


def _why_not_opened(path: str, error: str) -> str:
    if "Could not set lock" in error:
        match = re.search(r"held in (.+?) \(PID (\d+)\)", error)
        user = f"process {match[2]} ({match[1]})" if match else "another process"
        return f"{path} is in use by {user}. Wait until it ends, or name another file"
    if "not a valid DuckDB database" in error:
        return _NO_DATABASE.format(path=path)
    reason = error.splitlines()[0].removeprefix("IO Error: ")
    return f"{path} cannot be opened as the warehouse: {reason}. Fix the file, or name another"

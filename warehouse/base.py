"""A warehouse: its connections, its transactions, and what a run needs to know about it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from warehouse import heartbeat, lease
from warehouse.errors import PermanentError
from warehouse.files import SourceFile
from warehouse.preflight import Finding
from warehouse.sources import Arrivals, CopyResult, Progress, Source
from warehouse.stopping import WORK
from warehouse.tables import Column
from warehouse.target import Target

Values = tuple[Any, ...]
Comments = dict[tuple[str, str], str | None]
"""Comments by table and column. That on a table itself has the column "", and is None if there is none."""

Transaction = Callable[[], AbstractContextManager[Connection]]
"""Begins a transaction, which commits when its block ends, and rolls back if it raises."""

_STOPPABLE = {"sparkify_stoppable": True}


@event.listens_for(Engine, "before_cursor_execute")
def _refuse_if_stopping(connection: Connection, *_: Any) -> None:
    if _STOPPABLE.items() <= connection.get_execution_options().items():
        WORK.refuse_if_stopping()


class Warehouse(ABC):
    """What the Redshift and the DuckDB warehouse have in common."""

    def __init__(self, engine: Engine, target: Target) -> None:
        self.engine = engine
        self.target = target
        self.holder = target.holder

    @contextmanager
    def task(self) -> Iterator[Connection]:
        """One connection and one transaction for a task of the run that holds the lease.

        Commits when the block ends, and rolls back if it raises.

        Raises:
            LeaseLostError: the run does not hold the lease, or no longer does.
        """
        with self.session() as transaction, transaction() as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[Transaction]:
        """One connection for a task of the run that holds the lease. Yields what begins each of its transactions.

        Raises:
            LeaseLostError: the run does not hold the lease, or no longer does.
        """
        with self.engine.connect() as connection, WORK.stoppable(partial(self.interrupt, connection)):
            connection = connection.execution_options(**_STOPPABLE)
            with connection.begin():
                self._prepare(connection)
                renewal_due = lease.is_renewal_due(connection, self.holder)
            if renewal_due:
                with connection.begin():
                    lease.renew(connection, self.holder)
            yield partial(self._transaction, connection)

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[Connection]:
        with connection.begin():
            lease.verify(connection, self.holder)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One connection and one read-only transaction. It needs no lease and blocks no run."""
        with self.engine.connect() as connection, connection.begin():
            self._refuse_missing_schema(connection)
            self._prepare(connection)
            yield connection

    def take_lease(self) -> None:
        """Take the lease for the run, and keep it until it is given back. Creates the schema if it is missing.

        Raises:
            LeaseHeldError: another run holds it.
        """
        with self.engine.connect() as connection:
            with connection.begin():
                self._create_schema(connection)
                self._prepare(connection)
                connection.exec_driver_sql(lease.DDL)
            with connection.begin():
                self.forget_dead_holders(connection)
                seen_free = lease.look(connection, self.holder)
            with connection.begin():
                lease.take(connection, self.holder, seen_free)
        heartbeat.begin(self.target, self._beat)

    def _beat(self) -> None:
        with self.engine.connect() as connection, connection.begin():
            self._prepare(connection)
            lease.beat(connection, self.holder)

    def release_lease(self) -> None:
        """Give the lease back."""
        heartbeat.end(self.target)
        with self.engine.connect() as connection, connection.begin():
            self._prepare(connection)
            lease.release(connection, self.holder)

    def interrupt(self, connection: Connection) -> None:  # noqa: B027
        """Cancel the statement that a connection executes in another thread, where the warehouse can do that."""

    @abstractmethod
    def forget_dead_holders(self, connection: Connection) -> None:
        """Delete the lease of a holder that has ended, where the warehouse can know that."""

    @abstractmethod
    def preflight(self, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
        """Check that a run would find what it needs, sources and writable tables. Changes nothing."""

    @abstractmethod
    def files(self, source: Source) -> list[SourceFile]:
        """Return all files of a source, by URL.

        Raises:
            CopyError: there are none, or they cannot be listed.
        """

    @abstractmethod
    def beginning(self, url: str) -> bytes:
        """Return what a file begins with, some kilobytes.

        Raises:
            NotAllowedError: it may not be read here.
        """

    def name_of(self, source: Source, file: SourceFile) -> str:
        """Return how messages and load_errors name a file."""
        return file.url

    @abstractmethod
    def copy(self, connection: Connection, source: Source, arrivals: Arrivals, progress: Progress) -> CopyResult:
        """Load the files that arrived into a staging table, and rejected records into load_errors.

        Part of the connection's transaction.

        Raises:
            CopyError: more than `max_errors` records were rejected, or the files cannot be read.
            TransientError: a file is no longer as it was listed.
        """

    @abstractmethod
    def insert(self, connection: Connection, table: str, rows: Sequence[Values]) -> None:
        """Insert rows, each with a value for every column, in few statements. Part of the connection's transaction."""

    @abstractmethod
    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        """Return the columns of a table in the warehouse, in order; none if the table does not exist."""

    @abstractmethod
    def comments(self, connection: Connection) -> Comments:
        """Return the comments on the login's own tables in the schema, and on their columns."""

    def _create_schema(self, connection: Connection) -> None:
        """Create the schema if it is missing. IF NOT EXISTS alone would need a database privilege even if it exists."""
        if not self._has_schema(connection):
            connection.exec_driver_sql(f"create schema if not exists {self.schema}")

    def _refuse_missing_schema(self, connection: Connection) -> None:
        if not self._has_schema(connection):
            query = "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema)' order by nspname"
            names = ", ".join(connection.exec_driver_sql(query).scalars())
            raise PermanentError(f"schema {self.target.schema}: does not exist. Load it first, or set one of {names}")

    def _has_schema(self, connection: Connection) -> bool:
        known = text("select 1 from pg_namespace where lower(nspname) = :schema")
        return connection.execute(known, {"schema": self.target.schema}).first() is not None

    def _prepare(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"set search_path to {self.schema}")
        connection.exec_driver_sql("set timezone to 'UTC'")  # getdate() is in the session's, which may be another
        connection.exec_driver_sql(f"set statement_timeout to {self.target.statement_timeout * 1000}")

    @property
    def schema(self) -> str:
        """The schema's name, quoted."""
        return '"' + self.target.schema.replace('"', '""') + '"'

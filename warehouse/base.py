"""A warehouse: connections to it, transactions in it, and what a run needs to know of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from warehouse import lease
from warehouse.preflight import Finding
from warehouse.sources import CopyResult, Progress, Source
from warehouse.tables import Column
from warehouse.target import Target


class Warehouse(ABC):
    """What Redshift and the warehouse in its place have in common."""

    def __init__(self, engine: Engine, target: Target) -> None:
        self.engine = engine
        self.target = target
        self.holder = target.holder

    @contextmanager
    def task(self) -> Iterator[Connection]:
        """One connection and one transaction for a task of the run that holds the lease.

        Commits where the block ends, rolls back where it raises.

        Raises:
            LeaseLostError: the run does not hold the lease (any more).
        """
        with self.engine.connect() as connection:
            with connection.begin():
                self._prepare(connection)
                due = lease.is_due(connection, self.holder)
            if due:
                with connection.begin():
                    lease.renew(connection, self.holder)
            with connection.begin():
                lease.verify(connection, self.holder)
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One connection and one transaction that only reads: it needs no lease, and stops no run."""
        with self.engine.connect() as connection, connection.begin():
            if self._has_schema(connection):
                self._prepare(connection)
            yield connection

    def take_lease(self) -> None:
        """Take the lease for the run, in a schema that is made if it is missing.

        Raises:
            LeaseLostError: another run holds it.
        """
        with self.engine.connect() as connection:
            with connection.begin():
                self._create_schema(connection)
                self._prepare(connection)
                connection.exec_driver_sql(lease.DDL)
            with connection.begin():
                self.forget_dead_holders(connection)
                lease.take(connection, self.holder)

    def release_lease(self) -> None:
        """Give the lease back."""
        with self.engine.connect() as connection, connection.begin():
            self._prepare(connection)
            lease.release(connection, self.holder)

    @abstractmethod
    def forget_dead_holders(self, connection: Connection) -> None:
        """Delete the lease of a holder that is known to have ended, where that can be known."""

    @abstractmethod
    def preflight(self, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
        """Look whether a run would find all that it needs: sources, tables that it may write. Changes nothing."""

    @abstractmethod
    def copy(self, connection: Connection, source: Source, progress: Progress) -> CopyResult:
        """Load files into a staging table, in the connection's transaction; rejected rows into load_errors.

        Raises:
            CopyError: more rows than `max_errors` were rejected, or the files cannot be read.
        """

    @abstractmethod
    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        """Return the columns that a table has in the warehouse, in order; none if it does not exist."""

    def _create_schema(self, connection: Connection) -> None:
        """Create the schema if it is missing: IF NOT EXISTS needs a privilege on the database even where it is not."""
        if not self._has_schema(connection):
            connection.exec_driver_sql(f"create schema if not exists {self._schema}")

    def _has_schema(self, connection: Connection) -> bool:
        known = text("select 1 from pg_namespace where nspname = :schema")
        return connection.execute(known, {"schema": self.target.schema}).first() is not None

    def _prepare(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"set search_path to {self._schema}")
        connection.exec_driver_sql(f"set statement_timeout to {self.target.statement_timeout * 1000}")

    @property
    def _schema(self) -> str:
        return '"' + self.target.schema.replace('"', '""') + '"'

"""A warehouse that records what a run would send to Redshift."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prefect.runtime import task_run
from sqlalchemy import Connection, event

from warehouse.base import Comments, Values
from warehouse.duckdb.warehouse import DuckDBWarehouse
from warehouse.files import SourceFile
from warehouse.plan import write_statement
from warehouse.preflight import Finding
from warehouse.redshift import copy, preflight
from warehouse.redshift.copy_statement import Access, literal
from warehouse.redshift.errors import RefusedError, redacted
from warehouse.redshift.warehouse import COLUMNS, COMMENTS
from warehouse.s3.client import Keys
from warehouse.sources import Arrivals, CopyResult, Progress, Source
from warehouse.tables import Column
from warehouse.target import Target

_REDACTED = Keys("***", "***")
_COPY_ANSWERS = {
    copy.SESSION: [SimpleNamespace(session_id=0, asked_at=None)],
    copy.COUNTS: [SimpleNamespace(loaded=0, query_id=0, scanned=0)],
}
_PREFLIGHT_ANSWERS = {
    preflight.SESSION: [SimpleNamespace(user_name="", database_name="", version="")],
    preflight.DATABASE: [SimpleNamespace(may_create=True)],
}

Write = Callable[[str], None]


class PlannedWarehouse(DuckDBWarehouse):
    """Stands in for Redshift in a run that only plans.

    Statements are executed on an empty DuckDB file, so that those that depend on earlier results come out right. What
    DuckDB cannot execute is recorded as Redshift's own classes send it, and answered as a Redshift would that has no
    schema yet and no problems.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(str(Path(target.plan, "plan.duckdb")), target)
        self.holder = target.holder
        self.task_name = str(task_run.name)
        event.listen(self.engine, "before_cursor_execute", self._write_executed)
        for end in ("commit", "rollback"):
            event.listen(self.engine, end, lambda _, end=end: self._write(end))
        event.listen(self.engine, "begin", lambda _: self._write("begin"))

    def forget_dead_holders(self, connection: Connection) -> None:
        """Do nothing, as on Redshift."""

    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        self._write(_bound(COLUMNS, {"schema": self.target.schema, "table": table}))
        return super().columns(connection, table)

    def comments(self, connection: Connection) -> Comments:
        self._write(_bound(COMMENTS, {"schema": self.target.schema}))
        return super().comments(connection)

    def files(self, source: Source) -> list[SourceFile]:
        """Return one that stands for all: S3 is not asked, and a warehouse without history loads everything."""
        return [SourceFile(source.location, 0, "etag", datetime.now(UTC))]

    def beginning(self, url: str) -> bytes:
        """Return nothing: S3 is not asked."""
        return b""

    def copy(self, connection: Connection, source: Source, arrivals: Arrivals, progress: Progress) -> CopyResult:
        manifest = copy.manifest_url(self.target, source, arrivals.batch)
        return _PlannedCopy(self._write, connection, source, arrivals, self._access(), self.s3, manifest).run(progress)

    def insert(self, connection: Connection, table: str, rows: Sequence[Values]) -> None:
        super().insert(connection, table, rows)
        values = ",\n".join(f"({', '.join(map(_written, row))})" for row in rows)
        self._write(f"insert into {table} values {values}")

    def preflight(self, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
        planned = _PlannedPreflight(self._write, self.engine, self.target, self._access, self.s3)
        return list(planned.findings(sources, tables))

    def _access(self) -> Access:
        return Access(self.target.copy_role, _REDACTED if self.target.aws_credentials else None, self.s3.region)

    def _write(self, statement: str) -> None:
        write_statement(self.target.plan, self.task_name, statement)

    def _write_executed(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        """Record a statement with its parameters filled in, as a person would write it."""
        self._write(re.sub(r"\$(\d+)", lambda match: _written(parameters[int(match[1]) - 1]), statement))


class _PlannedCopy(copy.RedshiftCopy):
    def __init__(self, write: Write, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.write = write

    def ask(self, query: str) -> Sequence[Any]:
        self.write(query)
        return _COPY_ANSWERS.get(query, [])

    def send(self, statement: str) -> RefusedError | None:
        self.write(redacted(statement))
        return None

    def write_manifest(self) -> None:
        """Do nothing: nothing is sent."""

    def refuse_changed(self, copied: Sequence[str]) -> None:
        """Do nothing: S3 is not asked."""


class _PlannedPreflight(preflight.RedshiftPreflight):
    def __init__(self, write: Write, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.write = write

    def ask(self, query: str, **parameters: str) -> Sequence[Any]:
        for statement in ("begin", _bound(query, parameters), "rollback"):
            self.write(statement)
        return _PREFLIGHT_ANSWERS.get(query, [])

    def may_copy(self, source: Source) -> str:
        """Record what is known without asking S3 for its objects."""
        self.write("begin")
        self.write(f"{preflight.TRIAL_TABLE} -- for a COPY with NOLOAD of the smallest object\n")
        self.write("rollback")
        return "planned"


def _written(value: Any) -> str:
    if value is None:
        return "null"
    return str(value) if isinstance(value, int) else literal(str(value))


def _bound(query: str, parameters: dict[str, str]) -> str:
    """Return a query with its parameters filled in, as a person would write it."""
    return re.sub(r":(\w+)", lambda match: literal(parameters[match[1]]), query)

"""A Redshift that writes down what a run would send it."""

import re
from typing import Any

from sqlalchemy import Connection, event

from warehouse.redshift.warehouse import copy as redshift_copy

from warehouse.redshift.warehouse import preflight as redshift_preflight
from warehouse.base import Progress, Target
from warehouse.sources import CopyResult, Source
from warehouse.redshift.copy_statement import Access, Keys, copy_statement, literal
from warehouse.preflight import Finding
from warehouse.duckdb.warehouse import DuckDBWarehouse
from warehouse.plan import Plan
from warehouse.redshift.warehouse import COLUMNS
from warehouse.s3.client import S3
from warehouse.redshift.errors import redacted
from warehouse.tables import Column

_REDACTED = Keys("***", "***")


class PlannedWarehouse(DuckDBWarehouse):
    """Stands in Redshift's place for a run that only plans."""

    def __init__(self, plan: Plan, target: Target) -> None:
        super().__init__(str(plan.folder / "plan.duckdb"), target)
        self.holder = target.holder
        self.s3 = S3(target.aws_credentials)
        self.statements = plan.groups.setdefault(plan.title(), [])
        event.listen(self.engine, "before_cursor_execute", self._write_executed)
        for what in ("commit", "rollback"):
            event.listen(self.engine, what, lambda _, what=what: self._write(what))
        event.listen(self.engine, "begin", lambda _: self._write("begin"))

    def forget_dead_holders(self, connection: Connection) -> None:
        """Do nothing, as for Redshift."""

    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        names = {"schema": literal(self.target.schema), "table": literal(table)}
        self._write(re.sub(r":(\w+)", lambda match: names[match[1]], COLUMNS))
        return super().columns(connection, table)

    def copy(self, connection: Connection, source: Source, progress: Progress) -> CopyResult:
        access = Access(self.target.copy_role, _REDACTED if self.target.aws_credentials else None, self.s3.region)
        self._write(redshift_copy.SESSION)
        self._write(redacted(copy_statement(copy, access)))
        self._write(redshift_copy.COUNTS)
        if source.max_errors:
            self._write(redshift_copy.rejects_of("pg_last_copy_id()"))
        redshift_copy.forget_rejects(connection, copy)
        return CopyResult(rows=0)

    def preflight(self, sources: list[Source], tables: list[str]) -> list[Finding]:
        for statement in redshift_preflight.statements(self.target.schema, tables):
            self._write(statement)
        return []

    def _write(self, statement: str) -> None:
        self.statements.append(statement)

    def _write_executed(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        """Write a statement with its parameters in their places, as a person would."""
        self._write(re.sub(r"\$(\d+)", lambda match: literal(str(parameters[int(match[1]) - 1])), statement))

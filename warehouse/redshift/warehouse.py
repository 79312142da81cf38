"""Amazon Redshift: its connections, and what it is asked."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    ExceptionContext,
    NullPool,
    create_engine,
    event,
    text,
)

from warehouse.base import Comments, Values, Warehouse
from warehouse.errors import PermanentError, TransientError
from warehouse.files import SourceFile
from warehouse.first_records import BEGINNING_BYTES
from warehouse.preflight import Finding
from warehouse.redshift.copy import RedshiftCopy, manifest_url
from warehouse.redshift.copy_statement import Access, s3_location
from warehouse.redshift.errors import close_failed_connection, disconnect, explain, explain_login
from warehouse.redshift.insert import insert_rows
from warehouse.redshift.preflight import RedshiftPreflight, jsonpaths_finding, region_finding
from warehouse.s3.client import S3
from warehouse.s3.preflight import object_findings
from warehouse.sources import Arrivals, CopyResult, Progress, Source
from warehouse.tables import Column
from warehouse.target import Target

CONNECT_ARGS: dict[str, Any] = {
    "ssl": True,
    "sslmode": "verify-full",
    "application_name": "sparkify-etl",
    # a NAT gateway drops a connection that is silent for 350 s, as during a long COPY
    "tcp_keepalive": True,
    "tcp_keepalive_idle": 60,
    "tcp_keepalive_interval": 15,
    "tcp_keepalive_count": 8,
}
"""Defaults that the block's connect_args may override."""

_SECRET_ARGUMENTS = ("access_key_id", "client_secret", "password", "secret_access_key", "session_token", "token")

COLUMNS = """\
select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, is_nullable
from svv_columns
where table_schema = :schema and table_name = :table
order by ordinal_position"""

COMMENTS = """\
select pg_class.relname, coalesce(pg_attribute.attname, ''), pg_description.description
from pg_class
inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace
left join pg_description on pg_description.objoid = pg_class.oid
left join pg_attribute on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum = pg_description.objsubid
    and pg_description.objsubid > 0
where pg_namespace.nspname = :schema and pg_class.relkind = 'r' and pg_get_userbyid(pg_class.relowner) = current_user"""
"""What this login owns: only an owner may comment."""

_SPELLINGS = {
    "character varying": "varchar({0})",
    "numeric": "decimal({1},{2})",
    "timestamp without time zone": "timestamp",
}


class RedshiftWarehouse(Warehouse):
    """A Redshift cluster, or a Serverless workgroup."""

    def __init__(self, url: URL, connect_args: dict[str, Any], target: Target) -> None:
        """Prepare to connect.

        Raises:
            PermanentError: `connect_args` contain a secret.
        """
        secrets = ", ".join(name for name in _SECRET_ARGUMENTS if name in connect_args)
        if secrets:
            raise PermanentError(
                f"block {target.warehouse!r}: connect_args contain {secrets}, but are stored and shown in plain text. "
                "Move a password to connection_info, and use a profile or a role for an IAM login"
            )
        engine = create_engine(url, connect_args=CONNECT_ARGS | connect_args, poolclass=NullPool, hide_parameters=True)
        engine.dialect.initialize = _ask_nothing  # type: ignore[method-assign]
        engine.dialect.do_close = disconnect  # type: ignore[method-assign,assignment]
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "handle_error", _explain, retval=True)
        event.listen(engine, "before_cursor_execute", _accept_percent)
        super().__init__(engine, target)
        self.s3 = S3(target.aws_credentials)

    def interrupt(self, connection: Connection) -> None:
        """Cancel the statement from another connection. Where that fails, the statement goes on to its end."""
        with suppress(Exception), self.engine.connect() as other:
            driver: Any = connection.connection.driver_connection
            process = int.from_bytes(driver._backend_key_data[:4])  # it came with the login
            other.execute(text("select pg_cancel_backend(:process)"), {"process": process})

    def forget_dead_holders(self, connection: Connection) -> None:
        """Do nothing: Redshift cannot know that a run has died. Its lease expires."""

    def preflight(self, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
        may_be_denied = bool(self.target.copy_role)
        findings = [*RedshiftPreflight(self.engine, self.target, self.access, self.s3).findings(sources, tables)]
        for source in sources:
            findings += object_findings(self.s3, source, sources, may_be_denied=may_be_denied)
        for source in sources:
            if source.table.jsonpaths:
                findings.append(jsonpaths_finding(self.s3, source, may_be_denied=may_be_denied))
            findings.append(region_finding(self.s3, source, may_be_denied=may_be_denied))
        return findings

    def columns(self, connection: Connection, table: str) -> tuple[Column, ...]:
        rows = connection.execute(text(COLUMNS), {"schema": self.target.schema, "table": table})
        return tuple(
            Column(name, _SPELLINGS.get(kind, kind).format(*sizes), nullable.strip().upper() == "YES")
            for name, kind, *sizes, nullable in rows
        )

    def comments(self, connection: Connection) -> Comments:
        rows = connection.execute(text(COMMENTS), {"schema": self.target.schema})
        return {(table, column): comment for table, column, comment in rows}

    def files(self, source: Source) -> list[SourceFile]:
        return self.s3.objects(s3_location(source))

    def beginning(self, url: str) -> bytes:
        return self.s3.read(url, BEGINNING_BYTES)

    def copy(self, connection: Connection, source: Source, arrivals: Arrivals, progress: Progress) -> CopyResult:
        manifest = manifest_url(self.target, source, arrivals.batch)
        return RedshiftCopy(connection, source, arrivals, self.access(), self.s3, manifest).run(progress)

    def insert(self, connection: Connection, table: str, rows: Sequence[Values]) -> None:
        insert_rows(connection, table, rows)

    def access(self) -> Access:
        """Return what COPY reads with: the role if there is one, otherwise the keys of the AWS credentials."""
        if self.target.copy_role:
            return Access(role=self.target.copy_role, region=self.s3.region)
        return Access(keys=self.s3.keys(), region=self.s3.region)


def _ask_nothing(connection: Connection) -> None:
    """Skip the queries that SQLAlchemy sends to a server first: they serve reflection, which is not used."""


def _connect(dialect: Dialect, record: Any, arguments: Any, options: Any) -> Any:
    """Connect, and explain any error: SQLAlchemy's handler sees only those of the driver's own classes."""
    try:
        return dialect.connect(*arguments, **options)
    except Exception as error:
        close_failed_connection(error)
        raise explain_login(error, options.get("host")) from None


def _explain(context: ExceptionContext) -> Exception:
    """Explain an error of anything that SQLAlchemy executes, and drop a connection that may be broken."""
    failure = explain(context.original_exception, context.statement)
    context.is_disconnect = isinstance(failure, TransientError)
    return failure


def _accept_percent(
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    many: bool,  # noqa: FBT001
) -> None:
    """Let SQL without parameters contain the operator %, which the driver takes for the mark of one."""
    if not parameters:
        cursor.paramstyle = "qmark"

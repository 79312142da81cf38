"""What is found in Redshift before a run."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import Engine, Row, text

from warehouse.base import Target
from warehouse.sources import Source
from warehouse.redshift.copy_statement import Access, literal, trial_statement
from warehouse.errors import PermanentError
from warehouse.preflight import Finding, look
from warehouse.redshift.copy import send
from warehouse.s3.client import S3

SESSION = "select current_user as user_name, current_database() as database_name, version() as version"

SCHEMA = """\
select
    has_schema_privilege(current_user, nspname, 'usage') as may_use,
    has_schema_privilege(current_user, nspname, 'create') as may_create
from pg_namespace
where nspname = :schema"""

DATABASE = "select has_database_privilege(current_user, current_database(), 'create') as may_create"

TABLES = """\
select tablename
from pg_tables
where schemaname = :schema
    and tablename in ({names})
    and not (
        has_table_privilege(current_user, quote_ident(schemaname) || '.' || quote_ident(tablename), 'select')
        and has_table_privilege(current_user, quote_ident(schemaname) || '.' || quote_ident(tablename), 'insert')
        and has_table_privilege(current_user, quote_ident(schemaname) || '.' || quote_ident(tablename), 'update')
        and has_table_privilege(current_user, quote_ident(schemaname) || '.' || quote_ident(tablename), 'delete')
    )
order by tablename"""

TRIAL_TABLE = "create temp table preflight (record varchar(1))"


def statements(schema: str, tables: list[str]) -> list[str]:
    """Return what is asked, but for the trial of COPY, whose object is not known before."""
    asked = [SESSION, SCHEMA.replace(":schema", literal(schema)), _tables(tables).replace(":schema", literal(schema))]
    return [*asked, f"{TRIAL_TABLE} -- for a COPY with NOLOAD of the smallest object\n", "rollback"]


def _tables(names: list[str]) -> str:
    return TABLES.format(names=", ".join(literal(name) for name in names))


class RedshiftPreflight:
    """Asks a Redshift whether a run could do its work in a schema."""

    def __init__(self, engine: Engine, target: Target, access: Callable[[], Access], s3: S3) -> None:
        self.engine = engine
        self.schema = target.schema
        self.role = target.copy_role
        self.access = access
        self.s3 = s3

    def findings(self, sources: list[Source], tables: list[str]) -> Iterator[Finding]:
        """Look at the login, the privileges, and what COPY reads with. Changes nothing."""
        connection = look("connection", self._connects)
        yield connection
        if connection.result == "passed":
            yield look("schema", self._may_create)
            yield look("tables", partial(self._may_write, tables))
            yield look("COPY", partial(self._may_copy, sources[0]), may_be_barred=bool(self.role))

    def _connects(self) -> str:
        (row,) = self._ask(SESSION)
        return f"as {row.user_name} to {row.database_name}, {row.version.rpartition(', ')[2]}"

    def _may_create(self) -> str:
        """
        Raises:
            PermanentError: tables cannot be made there.
        """
        schema = self._ask(SCHEMA, schema=self.schema)
        if not schema:
            if not self._ask(DATABASE)[0].may_create:
                raise PermanentError(
                    f"there is no schema {self.schema}: create it, or grant create on database to this user"
                )
            return f"{self.schema} is not there yet, and may be created"
        if not (schema[0].may_use and schema[0].may_create):
            raise PermanentError(f"tables may not be created: grant usage, create on schema {self.schema} to this user")
        return f"tables may be created in {self.schema}"

    def _may_write(self, tables: list[str]) -> str:
        """
        Raises:
            PermanentError: there are tables that may not be written.
        """
        barred = [row.tablename for row in self._ask(_tables(tables), schema=self.schema)]
        if barred:
            raise PermanentError(
                f"{', '.join(barred)} may not be written: grant select, insert, update, delete on these tables "
                "to this user, or make it their owner"
            )
        return "those that exist may be read and written"

    def _may_copy(self, source: Source) -> str:
        """Let COPY parse the smallest object, and load nothing."""
        smallest = min((found for found in self.s3.list(source.location) if found.size), key=lambda found: found.size)
        with self.engine.connect() as connection:
            connection.exec_driver_sql(TRIAL_TABLE)
            refused = send(connection, trial_statement("preflight", smallest.url, self.access(), source.compression))
            connection.rollback()
        if refused:
            raise PermanentError(f"cannot read {smallest.url}: {refused}")
        return f"may read {smallest.url}"

    def _ask(self, query: str, **parameters: str) -> list[Row[Any]]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), parameters))

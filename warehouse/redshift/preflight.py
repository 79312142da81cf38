"""What a preflight checks in Redshift."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine, text

from warehouse.errors import CopyError, PermanentError
from warehouse.files import SourceFile
from warehouse.jsonpaths import paths_of
from warehouse.preflight import Finding, UntriedError, probe
from warehouse.redshift.copy import manifest_of, send
from warehouse.redshift.copy_statement import Access, jsonpaths_url, literal, trial_statement
from warehouse.s3.client import S3
from warehouse.sources import Source
from warehouse.target import Target

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

LEASE_OWNER = """\
select tableowner
from pg_tables
where schemaname = :schema and tablename = 'run_lease'"""

_LOCK_MILLISECONDS = 2000
_CANCELLED = "57014"

TRIAL_TABLE = "create temp table preflight (record varchar(1))"


def _tables(names: Sequence[str]) -> str:
    return TABLES.format(names=", ".join(literal(name) for name in names))


class RedshiftPreflight:
    """Asks Redshift whether a run could do its work in a schema."""

    def __init__(self, engine: Engine, target: Target, access: Callable[[], Access], s3: S3) -> None:
        self.engine = engine
        self.schema = target.schema
        self.manifests = target.manifests
        self.access = access
        self.s3 = s3

    def findings(self, sources: Sequence[Source], tables: Sequence[str]) -> Iterator[Finding]:
        """Check the login, the privileges, and what COPY reads with. Changes nothing."""
        connection = probe("connection", self._connects)
        yield connection
        if connection.result == "passed":
            yield probe("schema", self._may_create)
            yield probe("tables", partial(self._may_write, tables))
            yield probe("lease", self._may_lock)
            for source in sources:
                yield probe(f"{source.table.name} COPY", partial(self.may_copy, source))

    def _connects(self) -> str:
        (row,) = self.ask(SESSION)
        return f"as {row.user_name} to {row.database_name}, {row.version.rpartition(', ')[2]}"

    def _may_create(self) -> str:
        """Check that the run may create the schema or, if it exists, tables in it.

        Raises:
            PermanentError: it may not.
        """
        schema = self.ask(SCHEMA, schema=self.schema)
        if not schema:
            if not self.ask(DATABASE)[0].may_create:
                raise PermanentError(
                    f"{self.schema} does not exist. Create it, or grant create on database to this user"
                )
            return f"{self.schema} does not exist yet and may be created"
        if not (schema[0].may_use and schema[0].may_create):
            raise PermanentError(
                f"this user may not create tables. Grant usage, create on schema {self.schema} to the user"
            )
        return f"tables may be created in {self.schema}"

    def _may_write(self, tables: Sequence[str]) -> str:
        """Check that the run may write the tables that exist.

        Raises:
            PermanentError: it may not write some of them.
        """
        denied = [row.tablename for row in self.ask(_tables(tables), schema=self.schema)]
        if denied:
            raise PermanentError(
                f"this user may not write {', '.join(denied)}. Grant select, insert, update, delete on these tables to "
                "the user, or make the user their owner"
            )
        return "all existing tables may be read and written"

    def _may_lock(self) -> str:
        """Check, by doing it, that the run may lock the table of the lease, and say who owns it.

        Raises:
            PermanentError: it may not.
        """
        if not (found := self.ask(LEASE_OWNER, schema=self.schema)):
            return "run_lease does not exist yet"
        owner = found[0].tableowner
        with self.engine.connect() as connection:
            (user,) = connection.exec_driver_sql("select current_user").one()
            connection.exec_driver_sql(f"set statement_timeout to {_LOCK_MILLISECONDS}")
            refused = send(connection, f'lock table "{self.schema}".run_lease')
            connection.rollback()
        if refused and refused.sqlstate != _CANCELLED:
            raise PermanentError(
                f"run_lease belongs to {owner}, and this user may not lock it. Run "
                f"`alter table {self.schema}.run_lease owner to {user}`, or load as {owner}"
            )
        return f"run_lease belongs to {owner}, and {'is in use' if refused else 'may be locked'}"

    def may_copy(self, source: Source) -> str:
        """Let COPY parse the smallest object without loading anything. Writes a manifest of it where a load does.

        Raises:
            PermanentError: COPY cannot read it, or the manifest cannot be written.
            UntriedError: there is none that COPY can be given alone.
        """
        smallest = _smallest(source, self.s3.objects(source.location))
        manifest = f"{self.manifests.rstrip('/')}/preflight-{self.schema}.json" if self.manifests else ""
        if manifest:
            self.s3.write(manifest, manifest_of([smallest.url]))
        trial = trial_statement("preflight", smallest.url, self.access(), source.compression, manifest)
        with self.engine.connect() as connection:
            connection.exec_driver_sql(TRIAL_TABLE)
            refused = send(connection, trial)
            connection.rollback()
        what = f"{smallest.url}{f' by {manifest}' if manifest else ''}"
        if refused:
            raise PermanentError(f"cannot read {what}. {refused}")
        return f"may read {what}"

    def ask(self, query: str, **parameters: str) -> Sequence[Any]:
        """Return the rows that answer a query, which runs in a transaction of its own."""
        with self.engine.connect() as connection:
            return connection.execute(text(query), parameters).all()


def _smallest(source: Source, objects: Sequence[SourceFile]) -> SourceFile:
    filled = sorted((each for each in objects if each.size), key=attrgetter("size"))
    if not filled:
        raise UntriedError(f"every object under {source.location} is empty")
    for each in filled:
        with suppress(CopyError):
            literal(each.url)
            return each
    raise UntriedError(f"COPY cannot be given {filled[0].url!r} alone")


def jsonpaths_finding(s3: S3, source: Source, *, may_be_denied: bool) -> Finding:
    """Check that COPY would find a JSONPaths file that fits the table."""
    return probe(f"{source.table.name} JSONPaths", partial(_jsonpaths, s3, source), may_be_denied=may_be_denied)


def region_finding(s3: S3, source: Source, *, may_be_denied: bool) -> Finding:
    """Check that COPY would use the region of the source's bucket."""
    return probe(f"{source.table.name} region", partial(_region, s3, source), may_be_denied=may_be_denied)


def _jsonpaths(s3: S3, source: Source) -> str:
    """
    Raises:
        CopyError: the file cannot be read, does not fit the table, or would itself be loaded.
    """
    url = jsonpaths_url(source)
    paths = paths_of(source.table.columns, url, source.table.name, s3.read)
    if url.startswith(source.location):
        raise CopyError(f"{url} is under {source.location}, so it would be loaded as data. Move it elsewhere")
    names, keys = list(paths), [_snake_case(str(path[-1])) for path in paths.values()]
    if keys != names and sorted(keys) == sorted(names):
        place, key, name = next((n, k, c) for n, (k, c) in enumerate(zip(keys, names, strict=True), 1) if k != c)
        raise CopyError(
            f"{url}: path {place} leads to {key}, but column {place} of the table is {name}. "
            "Put the paths in the order of the columns"
        )
    return f"{url} has one path for each of the {len(names)} columns"


def _region(s3: S3, source: Source) -> str:
    """
    Raises:
        CopyError: the bucket is not in the region that COPY would use.
    """
    bucket = source.location.split("/")[2]
    region = s3.bucket_region(bucket)
    if s3.region and s3.region != region:
        raise CopyError(
            f"bucket {bucket} is in {region}, but COPY would use {s3.region}. "
            "Set region_name of the AWS Credentials block to the bucket's region"
        )
    known = ", which COPY uses" if s3.region else ". COPY is given no region, so the cluster has to be in the same one"
    return f"bucket {bucket} is in {region}{known}"


def _snake_case(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()

"""COPY ... FORMAT JSON, from S3 into PostgreSQL, by Redshift's rules."""

import bz2
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from threading import Lock
from typing import Any

from tests.standin.copy_statement import CopyStatement, parse_copy
from tests.standin.errors import ServerError, unsupported
from tests.standin.faults import Faults
from tests.standin.json_paths import Path, parse_paths
from tests.standin.json_records import Record, RejectedError, read_records, value_at
from tests.standin.s3 import S3, Uri, no_such_prefix, slow_down
from tests.standin.values import Column, Convert, converter, is_text
from tests.standin.wire import Backend, ClosedError, quote

NULL = "\\N"
_CHUNK_ROWS = 1000
_ESCAPED = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass
class File:
    """The result of reading a file."""

    name: str
    size: int
    lines: int
    started: datetime
    ended: datetime


@dataclass
class Run:
    """A running COPY."""

    statement: CopyStatement
    backend: Backend
    table_id: str
    columns: list[Column]
    query_id: str
    transaction_id: str
    started: datetime = field(default_factory=lambda: _now())
    files: list[File] = field(default_factory=list)
    errors: list[tuple[str, int, RejectedError]] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    @property
    def table(self) -> str:
        """The table's name, without its schema and quotes."""
        return re.split(r'"\."', self.statement.table)[-1].strip('"')

    @property
    def limit(self) -> int:
        """The number of errors that fails the load."""
        return max(self.statement.max_errors, 1)


@dataclass(frozen=True)
class Field:
    """How a column gets its value from a record."""

    column: Column
    path: Path
    convert: Convert
    empty_is_null: bool
    ignore_case: bool

    def text(self, record: Record) -> str:
        """Return the column's value as PostgreSQL reads it in a COPY.

        Raises:
            RejectedError: it may not be loaded.
        """
        try:
            value = value_at(record, self.path, ignore_case=self.ignore_case)
            if value is None or (value == "" and self.empty_is_null):
                return self._null()
            if isinstance(value, bool):
                value = "true" if value else "false"
            text = self.convert(value)
            if not text and self.empty_is_null:
                return self._null()
            return text.translate(_ESCAPES) if _ESCAPED.search(text) else text
        except RejectedError as rejected:
            if rejected.message != "Key given twice":
                rejected.column = self.column.name
            raise

    def _null(self) -> str:
        if self.column.required:
            raise RejectedError(1213, "Missing data for not-null field")
        return NULL


class Loader:
    """Runs COPYs, and reports them on a connection of its own, because reports survive a rollback."""

    def __init__(self, s3: S3, faults: Faults, reports: Backend) -> None:
        self.s3 = s3
        self.faults = faults
        self._reports = reports
        self._lock = Lock()

    def load(self, backend: Backend, sql: str, lock_table: Callable[[str], None], *, breaks: bool = False) -> None:
        """Run a COPY in the transaction of a connection, which may break while its rows arrive.

        Raises:
            ServerError: it failed; the transaction may not have.
            ClosedError: the connection broke.
        """
        statement = parse_copy(sql)
        run = self._begin(backend, statement)
        self._check_source(statement)
        lock_table(statement.table)
        self._count(run, count=0)
        try:
            self._load_files(run, breaks=breaks)
        except ServerError:
            self._report(run, "aborted")
            raise
        self._count(run, count=run.rows)
        self._report(run, "completed")
        self.faults.count(rows_copied=run.rows)

    def await_end(self, pid: int) -> None:
        """Wait until PostgreSQL has ended a session."""
        while self._query(f"select 1 from pg_stat_activity where pid = {pid}"):
            pass

    def _begin(self, backend: Backend, statement: CopyStatement) -> Run:
        name = quote(statement.table)
        found = backend.query(f"select to_regclass({name})::oid, has_table_privilege(to_regclass({name}), 'insert')")
        table_id, allowed = found[0]
        if table_id is None:
            raise ServerError("42P01", f"Cannot COPY into nonexistent table {statement.table}")
        if allowed != "t":
            raise ServerError("42501", f"permission denied for relation {statement.table}")
        columns = _selected(statement, _columns(backend, table_id))
        ids = backend.query("select pg_backend_pid(), coalesce(txid_current_if_assigned(), 0)")
        query_id = self._query("select nextval('redshift.query_ids')")[0][0]
        return Run(statement, backend, table_id, columns, str(query_id), str(ids[0][1]))

    def _check_source(self, statement: CopyStatement) -> None:
        self.s3.check_access(statement.credentials[0])
        if self.faults.take_slow_down():
            raise slow_down()
        self.s3.check_region(Uri.parse(statement.source).bucket, statement.region)

    def _load_files(self, run: Run, *, breaks: bool) -> None:
        """Read every file, then write the good rows.

        Raises:
            ServerError: there are no files, they cannot be read, or too much in them is wrong.
            ClosedError: the connection broke after half of the rows.
        """
        statement = run.statement
        fields = self._fields(run)
        files = self._files(statement)
        rows = list(chain.from_iterable(self._rows(run, fields, uri) for uri in files))
        if "noload" in statement.flags:
            return
        run.rows = len(rows)
        names = ", ".join(f'"{column.name}"' for column in run.columns)
        target = f"copy {statement.table} ({names}) from stdin"
        run.backend.copy_in(target, _broken(rows) if breaks else _chunks(rows))

    def _fields(self, run: Run) -> list[Field]:
        paths = self._paths(run.statement, run.columns)
        ignore_case = run.statement.json == "auto ignorecase"
        empty = "emptyasnull" in run.statement.flags
        blanks = "blanksasnull" in run.statement.flags
        return [
            Field(column, path, converter(column, run.statement), not is_text(column) or empty or blanks, ignore_case)
            for column, path in zip(run.columns, paths, strict=True)
        ]

    def _paths(self, statement: CopyStatement, columns: list[Column]) -> list[Path]:
        names: list[Path] = [(column.name.lower(),) for column in columns]
        if not (statement.json or "").startswith("s3://"):
            return names
        paths = parse_paths(self._object(Uri.parse(str(statement.json)), statement))
        if paths is not None and len(paths) != len(columns):
            raise ServerError(
                "XX000",
                "Number of jsonpaths and the number of columns should match. "
                f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(columns)}",
            )
        if paths and len({isinstance(path[0], int) for path in paths}) > 1:
            raise unsupported("JSONPaths into objects and into arrays in one file are not in the stand-in")
        return names if paths is None else paths

    def _object(self, uri: Uri, statement: CopyStatement) -> bytes:
        self.s3.check_region(uri.bucket, statement.region)
        return self.s3.read(uri)

    def _files(self, statement: CopyStatement) -> list[Uri]:
        source = Uri.parse(statement.source)
        if "manifest" in statement.flags:
            return list(self._manifest_entries(source, statement))
        files = self.s3.keys_under(source)
        if not files:
            raise no_such_prefix(source)
        return files

    def _manifest_entries(self, manifest: Uri, statement: CopyStatement) -> Iterator[Uri]:
        if manifest not in self.s3.keys_under(manifest):
            raise no_such_prefix(manifest)
        try:
            entries = [(Uri.parse(e["url"]), e.get("mandatory", False)) for e in _entries(self.s3.read(manifest))]
        except (ValueError, KeyError, TypeError):
            raise ServerError("XX000", f"Invalid manifest file: {manifest}") from None
        for uri, mandatory in entries:
            self.s3.check_region(uri.bucket, statement.region)
            if uri in self.s3.keys_under(uri):
                yield uri
            elif mandatory:
                raise ServerError("XX000", f"Mandatory url is not present in manifest, or missing in S3: {uri}")

    def _rows(self, run: Run, fields: list[Field], uri: Uri) -> Iterator[str]:
        """Yield a file's good rows as lines for PostgreSQL's COPY.

        Raises:
            ServerError: as many errors as fail the load.
        """
        started, line = _now(), 0
        content = _decompressed(self.s3.read(uri), run.statement.compression, uri)
        run.size += len(content)
        bracket = "[" if fields and isinstance(fields[0].path[0], int) else "{"
        for record in read_records(content, run.statement.invalid_characters, bracket):
            line = record.line
            try:
                yield _row(record, fields)
            except RejectedError as rejected:
                self._reject(run, uri, record.line, rejected)
        run.files.append(File(str(uri), len(content), line, started, _now()))

    def _reject(self, run: Run, uri: Uri, line: int, rejected: RejectedError) -> None:
        run.errors.append((str(uri), line, rejected))
        if len(run.errors) >= run.limit:
            message = f"Load into table '{run.table}' failed.  Check 'sys_load_error_detail' system table for details."
            raise ServerError("XX000", message)

    # reports

    def _count(self, run: Run, *, count: int) -> None:
        run.backend.query(
            f"select setval('pg_temp.last_copy_id', {run.query_id}), setval('pg_temp.last_copy_count', {count})"
        )

    def _report(self, run: Run, status: str) -> None:
        session, database = run.backend.pid, "current_database()"
        common = f"{run.query_id}, {run.transaction_id}, {session}, {database}"
        ended = _now()
        duration = int((ended - run.started).total_seconds() * 1_000_000)
        rows = run.rows if status == "completed" else 0
        statements = [
            f"insert into redshift.load_history values (100, {common}, '{status}', {quote(run.table)}, "
            f"'{run.started}', '{ended}', {duration}, {quote(run.statement.source)}, 'json', {rows}, {run.size}, "
            f"{len(run.files)}, {run.size}, {len(run.files)}, {run.size}, {len(run.errors)}, 0)"
        ]
        statements += [
            f"insert into redshift.load_detail values (100, {run.query_id}, {_char(file.name, 256)}, {file.size}, "
            f"{file.lines}, '{file.ended}', 1, '{file.started}', '{file.ended}')"
            for file in run.files
        ]
        statements += [_error_report(run, common, *error) for error in run.errors]
        self._query(";".join(statements))

    def _query(self, sql: str) -> list[tuple[str | None, ...]]:
        with self._lock:
            return self._reports.query(sql)


def _chunks(rows: list[str]) -> Iterator[bytes]:
    for first in range(0, len(rows), _CHUNK_ROWS):
        yield "".join(rows[first : first + _CHUNK_ROWS]).encode()


def _broken(rows: list[str]) -> Iterator[bytes]:
    yield from _chunks(rows[: len(rows) // 2])
    raise ClosedError


def _row(record: Record, fields: list[Field]) -> str:
    if record.rejected:
        raise record.rejected
    return "\t".join([field.text(record) for field in fields]) + "\n"


def _columns(backend: Backend, table_id: str) -> list[Column]:
    rows = backend.query(
        "select attname, format_type(atttypid, atttypmod), attnotnull, atthasdef or attidentity <> '' "
        f"from pg_attribute where attrelid = {table_id} and attnum > 0 and not attisdropped order by attnum"
    )
    return [_column(*(str(value) for value in row)) for row in rows]


def _column(name: str, kind: str, required: str, has_default: str) -> Column:
    match = re.fullmatch(r"([^(]+)(?:\((.*)\))?", kind)
    assert match
    sizes = tuple(int(size) for size in match[2].split(",")) if match[2] else ()
    return Column(name, match[1], sizes, required == "t", has_default == "t")


def _selected(statement: CopyStatement, columns: list[Column]) -> list[Column]:
    """Return the columns of the column list, or all; the others get their defaults.

    Raises:
        ServerError: the list names no column of the table, or leaves out one that needs a value.
    """
    if statement.columns is None:
        return columns
    named = {f'"{column.name}"': column for column in columns}
    for name in statement.columns:
        if name not in named:
            raise ServerError("42703", f"column {name} of relation {statement.table} does not exist")
    if len(set(statement.columns)) < len(statement.columns):
        raise ServerError("42701", "column specified more than once")
    for name, column in named.items():
        if column.required and not column.has_default and name not in statement.columns:
            raise ServerError("XX000", f"column {name} is NOT NULL, has no default, and is not in the column list")
    return [named[name] for name in statement.columns]


def _entries(content: bytes) -> Any:
    return json.loads(content)["entries"]


def _decompressed(content: bytes, compression: str | None, uri: Uri) -> bytes:
    try:
        if compression == "gzip":
            return gzip.decompress(content)
        if compression == "bzip2":
            return bz2.decompress(content)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ServerError("XX000", f"{compression} decompression of {uri} failed: {error}") from None
    return content


def _error_report(run: Run, common: str, name: str, line: int, rejected: RejectedError) -> str:
    column = next((c for c in run.columns if c.name == rejected.column), None)
    kind, length = (column.kind, ",".join(map(str, column.sizes))) if column else ("", "")
    return (
        f"insert into redshift.load_error_detail values (100, {common}, {run.table_id}, '{run.started}', "
        f"{_char(name, 256)}, {line}, {_char(rejected.column or '', 127)}, {_char(_SHORT_KINDS.get(kind, kind), 10)}, "
        f"{_char(length, 10)}, {rejected.position}, {rejected.code}, {_char(rejected.message, 512)})"
    )


_SHORT_KINDS = {
    "character varying": "varchar",
    "character": "char",
    "integer": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "timestamp without time zone": "timestamp",
}


def _char(text: str, size: int) -> str:
    return quote(text[:size])


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)

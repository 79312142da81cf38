"""COPY in Redshift: what it loaded, and what Redshift says about the records that it rejected."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import md5
from time import monotonic, sleep
from typing import Any, NamedTuple

from sqlalchemy import Connection

from warehouse.errors import CopyError, PermanentError, TransientError
from warehouse.jsonpaths import Steps, paths_of
from warehouse.redshift.copy_statement import Access, copy_statement, jsonpaths_url
from warehouse.redshift.errors import RefusedError, explain, secrets_in
from warehouse.redshift.insert import insert_rows
from warehouse.redshift.prefixes import prefixes
from warehouse.redshift.rejected_records import Record, RejectedRecords
from warehouse.s3.client import S3, refuse_changed
from warehouse.sources import Arrivals, CopyResult, Progress, Source
from warehouse.target import Target
from warehouse.wording import counted

REPORT_SECONDS = 30.0
_LOOK_SECONDS = 1.0
_DESCRIBED_REJECTS = 3

SESSION = "select pg_backend_pid() as session_id, getdate() as asked_at"

COUNTS = """\
select
    pg_last_copy_count() as loaded,
    pg_last_copy_id() as query_id,
    (select sum(lines_scanned) from sys_load_detail where query_id = pg_last_copy_id()) as scanned"""

_REJECTS = """\
select
    trim(file_name) as file,
    line_number as line,
    nullif(trim(column_name), '') as "column",
    trim(column_type) as type,
    error_code as code,
    trim(error_message) as message
from sys_load_error_detail
where query_id = {query_id}
order by file_name, line_number"""

_LAST_OF_SESSION = """(
    select max(query_id)
    from sys_load_error_detail
    where session_id = {session_id} and start_time >= '{asked_at:%Y-%m-%d %H:%M:%S}'
)"""


class Reject(NamedTuple):
    """A row of SYS_LOAD_ERROR_DETAIL. `line` is the last line of the record."""

    file: str
    line: int
    column: str | None
    type: str
    code: int
    message: str


def rejects_of(query_id: str) -> str:
    """Return the query for what a COPY rejected."""
    return _REJECTS.format(query_id=query_id)


def manifest_url(target: Target, source: Source, batch: int) -> str:
    """Return where the manifest of a batch is written, or "" if none is. No other run writes there."""
    if not target.manifests:
        return ""
    run = md5(target.holder.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{target.manifests.rstrip('/')}/{target.schema}-{batch}-{source.table.name}-{run}.json"


def manifest_of(urls: Sequence[str]) -> bytes:
    """Return a manifest of objects that must all be there: by default COPY passes over those that are missing."""
    return json.dumps({"entries": [{"url": url, "mandatory": True} for url in urls]}, indent=1).encode()


class RedshiftCopy:
    """One COPY into a table, on a connection that is in a transaction."""

    def __init__(
        self, connection: Connection, source: Source, arrivals: Arrivals, access: Access, s3: S3, manifest: str = ""
    ) -> None:
        """Prepare to load what arrived, from a manifest that is written to a URL, or else from prefixes."""
        self.manifest = manifest
        self.connection = connection
        self.source = source
        self.arrivals = arrivals
        self.access = access
        self.s3 = s3

    def run(self, progress: Progress) -> CopyResult:
        """Load the objects that arrived, by one COPY of a manifest, or by one for each of their prefixes.

        Raises:
            CopyError: more than `max_errors` records were rejected, or objects cannot be read. Nothing was loaded.
            TransientError: objects were written or deleted meanwhile.
        """
        loaded, are_reported = 0, True
        rejects: list[Reject] = []
        copied = [] if self.manifest else prefixes(self.source.location, self.arrivals)
        if self.manifest:
            self.write_manifest()
        for prefix in copied or [self.source.location]:
            rows, rejected, is_reported = self._load(prefix, self.source.max_errors - len(rejects), progress)
            loaded += rows
            rejects += rejected
            are_reported &= is_reported
        self.refuse_changed(copied)
        self._keep(rejects)
        return CopyResult(loaded, len(rejects) if are_reported else None)

    def write_manifest(self) -> None:
        """List what is to be read in a manifest, in which a missing object fails COPY."""
        self.s3.write(self.manifest, manifest_of([each.url for each in self.arrivals.read]))

    def _load(self, prefix: str, max_errors: int, progress: Progress) -> tuple[int, list[Reject], bool]:
        """Load the objects of the manifest, or those under a prefix.

        Returns the number of rows, the rejects, and whether Redshift has reported on them.
        """
        name = self.source.table.name
        progress(f"{name}: COPY from {self.manifest or prefix}")
        (session,) = self.ask(SESSION)
        source = replace(self.source, location=prefix, max_errors=max_errors)
        refused = self.send(copy_statement(source, self.access, self.manifest))
        if refused:
            if self.manifest:
                self.refuse_changed([])  # COPY fails at an object that has gone: the next attempt will not list it
            raise self._why_not_loaded(refused, session)
        may_reject = bool(self.source.max_errors)
        (counts,) = self._reported(COUNTS, lambda rows: rows[0].scanned is not None or not may_reject)
        rejects = self._rejects(rejects_of("pg_last_copy_id()")) if may_reject else []
        is_reported = counts.scanned is not None or not may_reject
        if not is_reported:
            progress(
                f"{name}: WARNING: Redshift has not reported on this COPY, so it is not known whether it rejected "
                f"records. Look at query {counts.query_id} in SYS_LOAD_ERROR_DETAIL"
            )
        elif counts.scanned is not None and counts.scanned != counts.loaded + len(rejects):
            progress(
                f"{name}: WARNING: COPY read {counts.scanned} lines, but loaded {counts.loaded} rows and rejected "
                f"{len(rejects)}. Unless records share or span lines, look at query {counts.query_id} in "
                "SYS_LOAD_DETAIL"
            )
        return counts.loaded, rejects, is_reported

    def refuse_changed(self, copied: Sequence[str]) -> None:
        """List the objects again: nothing pins a version, and the copied prefixes match objects that came meanwhile.

        Raises:
            TransientError: COPY may have read others than were listed.
        """
        listed = {each.url: each for each in [*self.arrivals.read, *self.arrivals.known]}
        now = {each.url: each for each in self.s3.objects(self.source.location)}
        for each in self.arrivals.read:
            refuse_changed(each, now[each.url].etag if each.url in now else None)
        came = next((url for url in now if url not in listed and url.startswith(tuple(copied))), None)
        if came:
            raise TransientError(f"{came}: written while COPY read its neighbours. Nothing was loaded. Run again")

    def ask(self, query: str) -> Sequence[Any]:
        """Return the rows that answer a query."""
        return self.connection.exec_driver_sql(query).all()

    def _reported(self, query: str, is_there: Callable[[Sequence[Any]], bool]) -> Sequence[Any]:
        """Return the rows that answer a query of the views that report on COPY. Wait for them, as the views lag."""
        deadline = monotonic() + REPORT_SECONDS
        while not is_there(rows := self.ask(query)) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        return rows

    def send(self, statement: str) -> RefusedError | None:
        """Send the COPY. Return the server's error if it refuses."""
        return send(self.connection, statement)

    def _rejects(self, query: str) -> list[Reject]:
        return [Reject(*row) for row in self.ask(query)]

    def _keep(self, rejects: list[Reject]) -> None:
        load, batch = self.source.table.name, self.arrivals.batch
        now = datetime.now(UTC).replace(tzinfo=None)
        rows = (
            (load, r.file, r.line, r.column, record.value, r.code, r.message, record.raw, now, batch)
            for r, record in self._with_records(rejects)
        )
        insert_rows(self.connection, "load_errors", rows)

    def _with_records(self, rejects: Sequence[Reject]) -> Iterator[tuple[Reject, Record]]:
        """Look up the records in S3, if the worker may read there."""
        records = RejectedRecords(self.s3.read, self.source.compression)
        paths = self._paths() if rejects else {}
        for reject in rejects:
            yield reject, records.record(reject.file, reject.line, paths.get(reject.column or ""))

    def _paths(self) -> dict[str, Steps]:
        table = self.source.table
        try:
            return paths_of(table.columns, jsonpaths_url(self.source), table.name, self.s3.read)
        except PermanentError:
            return {}

    def _why_not_loaded(self, refused: RefusedError, session: Any) -> CopyError:
        """Roll the COPY back, so that the session answers again, and ask it for the rejected records."""
        self.connection.exec_driver_sql("rollback")
        query = rejects_of(_LAST_OF_SESSION.format(session_id=session.session_id, asked_at=session.asked_at))
        are_reported = "load_error" in refused.message.lower()  # it names the view where they are to be found
        rejects = [Reject(*row) for row in self._reported(query, lambda rows: bool(rows) or not are_reported)]
        name, location, count = self.source.table.name, self.source.location, len(rejects)
        if not rejects:
            return CopyError(f"{name}: nothing was loaded from {location}. {refused}")
        lines = [_describe(reject, record) for reject, record in self._with_records(rejects[:_DESCRIBED_REJECTS])]
        if count > len(lines):
            lines.append(f"... and {count - len(lines)} more")
        return CopyError(
            f"{name}: {counted(count, 'record')} rejected before Redshift stopped reading, "
            f"max_errors allows {self.source.max_errors}. Nothing was loaded from {location}.\n  "
            + "\n  ".join(lines)
            + f"\nFix the files, or set --max-errors {count} or higher to keep the rejects in load_errors. "
            + f"Redshift's own report on them:\n{query}"
        )


def send(connection: Connection, statement: str) -> RefusedError | None:
    """Execute a statement that may contain keys, bypassing SQLAlchemy, whose logs and errors would show it.

    A refusal is returned, not raised, so that the caller's own error has no other error as its context.

    Raises:
        TransientError: a retry may succeed.
    """
    try:
        connection.connection.cursor().execute(statement)
    except Exception as error:
        failure = explain(error, secrets=secrets_in(statement))
    else:
        return None
    if isinstance(failure, RefusedError):
        return failure
    connection.invalidate()
    raise failure


def _describe(reject: Reject, record: Record) -> str:
    where = f"{reject.file}, line {reject.line}"
    if reject.column:
        value = f", value {record.value[:80]!r}" if record.value is not None else ""
        where += f", column {reject.column} {reject.type}{value}"
    return f"{where}: {reject.message} (code {reject.code})"

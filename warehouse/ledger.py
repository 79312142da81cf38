"""History: every record that was ever loaded, by batch, and the ledger of the files that it came from.

A file is in history and in the ledger, or in neither: both are written in the transaction that stages it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, cast

from sqlalchemy import Connection, bindparam, text

from warehouse.base import Warehouse
from warehouse.checks import Check
from warehouse.days import day_of
from warehouse.errors import PermanentError
from warehouse.files import SourceFile
from warehouse.loads import LoadResult
from warehouse.sources import Arrivals, CopyResult, Source
from warehouse.tables import Table, time_column

DISMISSED = "dismissed"
"""Why a file stays out that was set aside, and that nobody wants."""
CHECKS = "checks"
"""What `table_loads` has, beside the tables, to record that the checks hold."""


@dataclass(frozen=True)
class Opening:
    """What a run begins with: the number of its batch, and whether tables and checks have seen all earlier ones.

    `newest` is when the newest of these was loaded, and `at` when the run began, by the warehouse's clock.
    """

    batch: int
    is_current: bool
    newest: datetime | None = None
    at: datetime | None = None


def open_batch(connection: Connection, tables: Sequence[Table], checks: Sequence[Check]) -> Opening:
    """Return the number of the next batch, which only the run that holds the lease may use, and what is behind.

    A table that was edited or emptied is built from all of history: the next checks look at all of it too.
    """
    loaded, never = states(connection)
    definitions = {table.name: table.definition for table in tables} | {CHECKS: _select_of(checks)}
    is_current = all(loaded.get(name, never).is_current(definition) for name, definition in definitions.items())
    filled = {t.name: connection.exec_driver_sql(f"select 1 from {t.name} limit 1").first() for t in tables}
    if any(t.name in loaded and not (filled[t.name] and loaded[t.name].follows(t.definition)) for t in tables):
        compare_all(connection, only=CHECKS)
    times = connection.exec_driver_sql("select max(loaded_at) as newest, getdate() as now from batches").one()
    return Opening(never.newest_batch + 1, is_current and all(filled.values()), times.newest, times.now)


def compare(connection: Connection, source: Source, files: Sequence[SourceFile], batch: int) -> Arrivals:
    """Compare the files of a source with the newest versions of them that earlier batches loaded or set aside.

    Raises:
        PermanentError: none is of the source's days, or days without dates in the files' names are to be reloaded.
    """
    chosen = source.days.choose(history_of(source).source, files)
    is_reload = _is_reload(source, files)
    rows = _versions(connection, source)
    versions = {row.url: row for row in rows}
    states: dict[str, list[SourceFile]] = {"new": [], "changed": [], "known": [], "margin": [], "dismissed": []}
    for file in files:
        version = versions.get(file.url)
        if file.url in chosen:
            is_due = is_reload or _is_due(source, file, version)
            state = "new" if not version else "changed" if is_due else "known"
            if state == "known" and version and version.is_aside and source.dismiss_set_aside:
                state = "dismissed"
        else:
            is_read = is_reload and version and version.is_loaded and source.days.is_at_margin(file)
            state = "margin" if is_read else "known"
        states[state].append(file)
    listed = {file.url for file in files}
    read = {file.url for state in ("changed", "margin") for file in states[state]}
    return Arrivals(
        new=states["new"],
        changed=states["changed"],
        known=[*states["known"], *states["dismissed"]],
        margin=states["margin"],
        batch=batch,
        set_aside_before=sum(versions[f.url].is_aside for f in states["known"] if f.url in versions),
        dismissed=states["dismissed"],
        gone=sum(url not in listed and url.startswith(source.root) for url in versions),
        replaces=sorted({row.batch_id for row in rows if row.is_loaded and row.url in read}) if is_reload else None,
    )


def _is_reload(source: Source, files: Sequence[SourceFile]) -> bool:
    if not source.days.reload or not time_column(source.table.columns):
        return False
    if not any(day_of(file.url) for file in files):
        name = history_of(source).source
        raise PermanentError(f"{name}: no file has a date in its name. Run without --reload, or undo a batch instead")
    return True


def _versions(connection: Connection, source: Source) -> Sequence[Any]:
    """Return every version of the files of a source, the newest of each file last."""
    query = text(f"""\
select
    loaded_files.url,
    loaded_files.etag,
    loaded_files.size,
    loaded_files.batch_id,
    loaded_files.set_aside is not null and loaded_files.set_aside <> '{DISMISSED}' as is_aside,
    loaded_files.set_aside is null and batches.status = 'loaded' as is_loaded
from loaded_files
inner join batches
    on batches.batch_id = loaded_files.batch_id
    and batches.source = loaded_files.source
where loaded_files.source = :source
order by loaded_files.batch_id""")
    return connection.execute(query, {"source": history_of(source).source}).all()


def _is_due(source: Source, file: SourceFile, version: Any) -> bool:
    """Whether a file is to be loaded: it is another version than the newest, or that was set aside and is retried."""
    is_retried = version and version.is_aside and source.retry_set_aside
    return not version or bool(is_retried) or (file.etag, file.size) != (version.etag, version.size)


def committed(connection: Connection, source: Source, batch: int) -> tuple[int, CopyResult] | None:
    """Return how many files of a source a batch loaded, and what of them; None if that was not committed."""
    query = text("select files, records, rejected from batches where batch_id = :batch and source = :source")
    row = connection.execute(query, {"batch": batch, "source": history_of(source).source}).first()
    return (row.files, CopyResult(row.records, row.rejected)) if row else None


def add(
    warehouse: Warehouse,
    connection: Connection,
    source: Source,
    arrivals: Arrivals,
    copied: CopyResult,
) -> None:
    """Add what was staged to history, and its files to the ledger. Part of the staging's transaction."""
    staging, history, batch, files = source.table, history_of(source), arrivals.batch, arrivals.files
    names = ", ".join(column.name for column in staging.columns)
    connection.exec_driver_sql(
        f"insert into {history.name} ({names}, batch_id)\nselect {names}, {batch} from {staging.name}"
    )
    run = warehouse.target.holder
    now = connection.exec_driver_sql("select getdate()").scalar_one()
    replaced = (None, None) if arrivals.replaces is None else (source.days.since, source.days.until)
    row = (batch, history.source, "loaded", len(files), copied.rows, copied.rejected or 0, run, now)
    warehouse.insert(connection, "batches", [(*row, _last_event(connection, staging), *replaced)])
    reasons = [*((file, None) for file in files), *arrivals.set_aside.items()]
    reasons += [(file, DISMISSED) for file in arrivals.dismissed]
    rows = [(history.source, each.url, each.etag, each.size, _utc(each), batch, reason) for each, reason in reasons]
    warehouse.insert(connection, "loaded_files", rows)


def _utc(file: SourceFile) -> datetime:
    return file.modified.astimezone(UTC).replace(tzinfo=None)


def _last_event(connection: Connection, staging: Table) -> datetime | None:
    """Return the newest plausible time in staging: a time in another unit would be the newest for good."""
    name = time_column(staging.columns)
    if not name:
        return None
    newest = f"select max({name}) from {staging.name} where {name} between '1970-01-01' and '2100-01-01'"
    return cast(datetime | None, connection.exec_driver_sql(newest).scalar_one())


@dataclass(frozen=True)
class TableState:
    """Up to which batch a table has taken history in, by which definition, and in how many loads."""

    batch: int
    definition: str
    loads: int
    newest_batch: int

    def is_current(self, definition: str) -> bool:
        """Whether the table has taken in all of history by the definition that it has now."""
        return self.batch == self.newest_batch and self.follows(definition)

    def follows(self, definition: str) -> bool:
        """Whether the table was loaded by the definition that it has now."""
        return self.definition == digest(definition)

    def was_edited(self, definition: str) -> bool:
        """Whether the table was loaded, and by another definition than it has now."""
        return bool(self.loads) and not self.follows(definition)


def states(connection: Connection) -> tuple[dict[str, TableState], TableState]:
    """Return how far each table is that was ever loaded, and how far one is that never was."""
    query = """\
select
    last.table_name,
    last.batch_id,
    last.definition,
    last.load,
    newest.batch_id as newest_batch
from (select coalesce(max(batch_id), 0) as batch_id from batches) as newest
left join (
    select
        table_name,
        batch_id,
        definition,
        load,
        row_number() over (partition by table_name order by load desc) as recency
    from table_loads
) as last
    on last.recency = 1"""
    rows = connection.exec_driver_sql(query).all()
    newest = rows[0].newest_batch
    loaded = {row.table_name: TableState(row.batch_id, row.definition, row.load, newest) for row in rows if row.load}
    return loaded, TableState(0, "", 0, newest)


def state_of(connection: Connection, name: str) -> TableState:
    """Return how far a table is."""
    loaded, never = states(connection)
    return loaded.get(name, never)


def record_load(
    warehouse: Warehouse, connection: Connection, table: Table, state: TableState, loaded: LoadResult
) -> None:
    """Record that a table has taken in all of history. Part of the load's transaction."""
    _record(warehouse, connection, table.name, table.definition, state, loaded)


def record_checks(warehouse: Warehouse, connection: Connection, checks: Sequence[Check], *, all_hold: bool) -> None:
    """Record whether checks hold for all of history. If they do, a run without news need not look again."""
    select = _select_of(checks) if all_hold else ""
    state = state_of(connection, CHECKS)
    if not (state.loads and state.is_current(select)):  # an attempt may have got no answer to its COMMIT
        _record(warehouse, connection, CHECKS, select, state, LoadResult())


def checked_up_to(connection: Connection, checks: Sequence[Check]) -> int:
    """Return the batch up to which all of history is known to keep these rules. 0 after all tables were compared."""
    state = state_of(connection, CHECKS)
    return state.batch if state.follows(_select_of(checks)) else 0


def record_results(
    warehouse: Warehouse, connection: Connection, found: Mapping[tuple[str, str], int], began_at: datetime | None
) -> None:
    """Record how many rows break each rule, by its name and severity.

    It replaces what the run has recorded of them, such as in an attempt that got no answer to its COMMIT.
    """
    run = warehouse.target.holder
    recorded = text("delete from check_results where run = :run and check_name in :names")
    names = [name for name, _ in found]
    connection.execute(recorded.bindparams(bindparam("names", expanding=True)), {"run": run, "names": names})
    query = "select coalesce(max(batch_id), 0) as batch, getdate() as now from batches"
    newest = connection.exec_driver_sql(query).one()
    rows = [(newest.batch, *rule, count, run, began_at, newest.now) for rule, count in found.items()]
    warehouse.insert(connection, "check_results", rows)


def unchecked(connection: Connection) -> list[int]:
    """Return the batches that were loaded since the checks last held."""
    query = text("""\
select distinct batch_id
from batches
where
    status = 'loaded'
    and batch_id > (
        select coalesce(max(batch_id), 0)
        from table_loads
        where table_name = :checks and definition <> ''
    )
order by batch_id""")
    return list(connection.execute(query, {"checks": CHECKS}).scalars())


def _record(
    warehouse: Warehouse, connection: Connection, name: str, definition: str, state: TableState, loaded: LoadResult
) -> None:
    now = connection.exec_driver_sql("select getdate()").scalar_one()
    reached = (name, state.loads + 1, state.newest_batch, digest(definition))
    warehouse.insert(connection, "table_loads", [(*reached, loaded.inserted, loaded.updated, loaded.removed, now)])


def is_due(connection: Connection, table: Table, history: Iterable[Table], state: TableState) -> bool:
    """Whether a table lacks something of the history that its SELECT names, or was loaded by another definition."""
    if not state.follows(table.definition):
        return True
    query = text("select distinct source from batches where batch_id > :taken")
    arrived = set(connection.execute(query, {"taken": state.batch}).scalars())
    return any(each.source in arrived and re.search(rf"\b{each.name}\b", table.select) for each in history)


def history_of(source: Source) -> Table:
    """Return the table that keeps what is staged from a source."""
    assert source.table.history, f"{source.table.name} has no history"
    return source.table.history


def digest(definition: str) -> str:
    """Return what tells an edited definition from the one that a table was loaded by; "" for none."""
    return md5(definition.encode(), usedforsecurity=False).hexdigest() if definition else ""


def _select_of(checks: Sequence[Check]) -> str:
    return "\n".join(check.select for check in checks)


def undo(connection: Connection, batch: int, history: Iterable[Table]) -> None:
    """Take a batch out of some tables of history, and let every table be compared with what is left.

    The files stay in the ledger, so they are not loaded again until they change.
    """
    for table in history:
        connection.exec_driver_sql(f"delete from {table.name} where batch_id = {batch}")
        done = text("update batches set status = 'undone' where batch_id = :batch and source = :source")
        connection.execute(done, {"batch": batch, "source": table.source})
    compare_all(connection)


def compare_all(connection: Connection, *, only: str = "") -> None:
    """Let the next load and the next checks, or one `only`, look at all of history, not only at what batches touch."""
    which = f"\nwhere table_name = '{only}'" if only else ""
    connection.exec_driver_sql(f"""\
insert into table_loads
select table_name, max(load) + 1, max(batch_id), '', 0, 0, 0, getdate()
from table_loads{which}
group by table_name""")

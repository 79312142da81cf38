"""Load facts and dimensions from history."""

from collections.abc import Sequence
from time import monotonic

from prefect import task
from prefect.logging import get_run_logger
from sqlalchemy import Connection

from tasks.results import TableResult
from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.ledger import TableState
from warehouse.loads import LoadResult, is_empty, refresh, replace
from warehouse.tables import Table
from warehouse.target import Target


@task(task_run_name="load {table.name}", **RETRIES)
def load_fact(target: Target, table: Table, history: Sequence[Table], *, full_refresh: bool = False) -> TableResult:
    """Make a fact table equal to its SELECT over history. One transaction; safe to repeat.

    Raises:
        PermanentError: rows would go that an earlier version loaded, and history does not have.
    """
    return _load(target, table, history, full_refresh=full_refresh)


@task(task_run_name="load {table.name}", **RETRIES)
def load_dimension(
    target: Target, table: Table, history: Sequence[Table], *, full_refresh: bool = False
) -> TableResult:
    """Make a dimension equal to its SELECT over history. One transaction; safe to repeat.

    Raises:
        PermanentError: rows would go that an earlier version loaded, and history does not have.
    """
    return _load(target, table, history, full_refresh=full_refresh)


def _load(target: Target, table: Table, history: Sequence[Table], *, full_refresh: bool) -> TableResult:
    started = monotonic()
    warehouse = open_warehouse(target)
    with warehouse.session() as transaction:
        with transaction() as connection:  # of its own: two loads that also read what both write would conflict
            state = ledger.state_of(connection, table.name)
        with transaction() as connection:
            loaded = _bring_up(warehouse, connection, table, history, state, full_refresh=full_refresh)
            present = _count(connection, table)
    return TableResult(
        table=table.name,
        inserted=loaded.inserted,
        updated=loaded.updated,
        removed=loaded.removed,
        present=present,
        seconds=round(monotonic() - started, 2),
    )


def _bring_up(
    warehouse: Warehouse,
    connection: Connection,
    table: Table,
    history: Sequence[Table],
    state: TableState,
    *,
    full_refresh: bool,
) -> LoadResult:
    """Load what the table lacks of history, and record it."""
    loaded = LoadResult()
    if state.was_edited(table.definition):
        _follow_columns(warehouse, connection, table)
    if full_refresh:
        loaded = _replace(connection, table)
    elif is_empty(connection, table) or ledger.is_due(connection, table, history, state):
        loaded = _refresh(connection, table, history, state, warehouse.schema)
    if loaded != LoadResult() or not state.is_current(table.definition):
        ledger.record_load(warehouse, connection, table, state, loaded)
    return loaded


def _follow_columns(warehouse: Warehouse, connection: Connection, table: Table) -> None:
    """Make the table anew, without rows, if its file declares other columns than it has."""
    if warehouse.columns(connection, table.name) != table.columns:
        connection.exec_driver_sql(f"drop table {table.name}")
        connection.exec_driver_sql(table.ddl)
        get_run_logger().warning("%s: made anew, as its columns have changed. Grant again what was granted", table.name)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.exec_driver_sql(f"select count(*) from {table.name}").scalar_one())


def _replace(connection: Connection, table: Table) -> LoadResult:
    loaded = replace(connection, table)
    if loaded.removed > loaded.inserted:
        get_run_logger().warning(
            "%s: the full refresh leaves %s of %s rows", table.name, f"{loaded.inserted:,}", f"{loaded.removed:,}"
        )
    return loaded


def _refresh(
    connection: Connection, table: Table, history: Sequence[Table], state: TableState, schema: str
) -> LoadResult:
    is_same = state.follows(table.definition)
    if state.definition and not is_same:
        get_run_logger().info("%s: its SQL file has changed since its last load. All rows follow it now", table.name)
    loaded = refresh(connection, table, history, schema, state.batch if is_same else None)
    if loaded.removed and not state.loads:
        raise PermanentError(
            f"{table.name}: {loaded.removed:,} of its rows come from files that an earlier version loaded, and that "
            "this run did not find. Run with all files, or with --full-refresh to lose these rows"
        )
    return loaded

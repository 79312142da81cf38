"""Load facts and dimensions from staging."""

from time import monotonic

from prefect import task
from prefect.logging import get_run_logger

from tasks.results import TableResult
from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.loads import load
from warehouse.tables import Table
from warehouse.target import Target


@task(task_run_name="load {table.name}", **RETRIES)
def load_fact(target: Target, table: Table) -> TableResult:
    """Load a fact table from its SELECT. One transaction; safe to repeat."""
    return _load(target, table)


@task(task_run_name="load {table.name}", **RETRIES)
def load_dimension(target: Target, table: Table) -> TableResult:
    """Load a dimension from its SELECT. One transaction; safe to repeat."""
    return _load(target, table)


def _load(target: Target, table: Table) -> TableResult:
    started = monotonic()
    with open_warehouse(target).task() as connection:
        loaded = load(connection, table)
        if loaded.removed > loaded.inserted:
            get_run_logger().warning(
                "%s: the full refresh leaves %s of %s rows", table.name, f"{loaded.inserted:,}", f"{loaded.removed:,}"
            )
        present = connection.exec_driver_sql(f"select count(*) from {table.name}").scalar_one()
    return TableResult(
        table=table.name,
        inserted=loaded.inserted,
        updated=loaded.updated,
        removed=loaded.removed,
        present=present,
        seconds=round(monotonic() - started, 2),
    )

"""Reloads days: what their files hold now takes the place of what history has of them."""

from sqlalchemy import Connection

from warehouse import ledger
from warehouse.sources import Arrivals, Source
from warehouse.tables import time_column


def replace_days(connection: Connection, source: Source, arrivals: Arrivals) -> int:
    """Take the reloaded days out of history, and all other days out of staging. Return how many records go from there.

    What goes from history stays in the session's temporary table `replaced`, for audits to compare. Only batches that
    hold a file which is read lose records: those of a late file that is not read stay. Part of a staging's transaction.
    """
    staging, history = source.table, ledger.history_of(source)
    time = time_column(staging.columns)
    within = f"{time} >= '{source.days.since}' and {time} <= '{source.days.until} 23:59:59.999999'"
    outside = connection.exec_driver_sql(f"delete from {staging.name} where not ({within})").rowcount
    batches = ", ".join(map(str, arrivals.replaces or [0]))  # no batch has the number 0
    rows = f"from {history.name} where {within} and batch_id in ({batches})"
    connection.exec_driver_sql(f"create temp table replaced as\nselect * {rows}")
    connection.exec_driver_sql(f"delete {rows}")
    ledger.compare_all(connection)
    return outside

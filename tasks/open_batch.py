"""Begin a batch."""

from collections.abc import Sequence

from prefect import task

from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.checks import Check
from warehouse.connect import open_warehouse
from warehouse.ledger import Opening
from warehouse.tables import Table
from warehouse.target import Target


@task(task_run_name="open batch", **RETRIES)
def open_batch(target: Target, tables: Sequence[Table], checks: Sequence[Check]) -> Opening:
    """Draw the number of the run's batch, and look whether tables and checks have seen all of history.

    One transaction that only reads.
    """
    with open_warehouse(target).task() as connection:
        return ledger.open_batch(connection, tables, checks)

"""Take a batch back."""

from collections.abc import Sequence

from prefect import task

from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.connect import open_warehouse
from warehouse.tables import Table
from warehouse.target import Target


@task(task_run_name="undo batch {batch}", **RETRIES)
def undo_batch(target: Target, batch: int, history: Sequence[Table]) -> list[str]:
    """Take a batch out of tables of history. One transaction; safe to repeat.

    The next load of each table makes it equal to its SELECT over what is left.

    Returns:
        The names of the tables.
    """
    with open_warehouse(target).task() as connection:
        ledger.undo(connection, batch, history)
    return [table.name for table in history]

"""Load files into a staging table."""

from time import monotonic

from prefect import task

from tasks.progress import report_progress
from tasks.results import TableResult
from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.sources import Source
from warehouse.target import Target


@task(task_run_name="stage {source.table.name}", **RETRIES)
def stage(target: Target, source: Source) -> TableResult:
    """Replace a staging table's rows with those of the files: DELETE and COPY in one transaction; safe to repeat.

    Raises:
        CopyError: the files cannot be loaded. The table is unchanged.
    """
    started = monotonic()
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        connection.exec_driver_sql(f"delete from {source.table.name}")
        copied = warehouse.copy(connection, source, report_progress())
    return TableResult(
        table=source.table.name,
        staged=copied.rows,
        rejected=copied.rejected,
        present=copied.rows,
        seconds=round(monotonic() - started, 2),
    )

"""Look at history: what was loaded, when, and from where."""

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.questions import Row, python_value
from warehouse.target import Target


@task(task_run_name="look", **RETRIES)
def look(target: Target, query: str) -> list[Row]:
    """Return the rows of a query. One read-only transaction, without the lease."""
    with open_warehouse(target).reading() as connection:
        rows = connection.exec_driver_sql(query).mappings()
        return [{name: python_value(value) for name, value in row.items()} for row in rows]

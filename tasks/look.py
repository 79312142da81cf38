"""Look at history: what was loaded, when, and from where."""

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.questions import Row, python_value
from warehouse.target import Target


@task(task_run_name="look", **RETRIES)
def look(target: Target, query: str, table: str) -> list[Row]:
    """Return the rows of a query, which reads a table. One read-only transaction, without the lease.

    Raises:
        PermanentError: the table does not exist yet.
    """
    warehouse = open_warehouse(target)
    with warehouse.reading() as connection:
        if not warehouse.columns(connection, table):
            raise PermanentError(f"schema {target.schema}: has no table {table} yet. Load it first, or name another")
        rows = connection.exec_driver_sql(query).mappings()
        return [{name: python_value(value) for name, value in row.items()} for row in rows]

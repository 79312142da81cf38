"""Create the tables that are missing, and report differences in existing ones."""

from collections.abc import Sequence

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.tables import Column, Table, declared_columns
from warehouse.target import Target

Columns = tuple[Column, ...]


@task(task_run_name="create tables", **RETRIES)
def create_tables(target: Target, tables: Sequence[Table]) -> None:
    """Create the tables that do not exist, including load_errors. One transaction; safe to repeat.

    Drops and alters nothing, and creates nothing if it raises.

    Raises:
        PermanentError: a table exists with other columns. The message names every difference.
    """
    warehouse = open_warehouse(target)
    ddl = {"load_errors": LOAD_ERRORS_DDL} | {table.name: table.ddl for table in tables}
    with warehouse.task() as connection:
        differences = []
        for name, statement in ddl.items():
            connection.exec_driver_sql(statement)
            differences += _differences(name, warehouse.columns(connection, name), declared_columns(statement))
        if differences:
            raise PermanentError(
                "existing tables differ from their declarations. Rename or drop them, or change the SQL files:\n  "
                + "\n  ".join(differences)
            )


def _differences(table: str, present: Columns, declared: Columns) -> list[str]:
    existing, expected = ({column.name: column for column in columns} for columns in (present, declared))
    lines = [f"column {column} is missing" for column in declared if column.name not in existing]
    lines += [f"column {column} is not declared" for column in present if column.name not in expected]
    pairs = [(existing[column.name], column) for column in declared if column.name in existing]
    lines += [f"column {actual} is declared as {column}" for actual, column in pairs if actual != column]
    in_order = [column.name for column in present if column.name in expected]
    if in_order != [column.name for _, column in pairs]:
        lines.append(f"columns are in the order {', '.join(in_order)}, not in the declared one")
    return [f"{table}: {line}" for line in lines]

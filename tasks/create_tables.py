"""Make the tables that are missing, and name what differs in those that are not."""

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
    """Create the tables that do not exist, load_errors among them. One transaction; safe to repeat.

    Drops and alters nothing, and creates nothing where it raises.

    Raises:
        PermanentError: a table exists with other columns; every difference is named.
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
                "tables differ from what is declared: rename or drop them, or change the SQL files\n  "
                + "\n  ".join(differences)
            )


def _differences(table: str, present: Columns, declared: Columns) -> list[str]:
    there, wanted = ({column.name: column for column in columns} for columns in (present, declared))
    lines = [f"column {column} is missing" for column in declared if column.name not in there]
    lines += [f"column {column} is not declared" for column in present if column.name not in wanted]
    pairs = [(there[column.name], column) for column in declared if column.name in there]
    lines += [f"column {found} is declared as {column}" for found, column in pairs if found != column]
    in_order = [column.name for column in present if column.name in wanted]
    if in_order != [column.name for _, column in pairs]:
        lines.append(f"columns stand in the order {', '.join(in_order)}, which is not the declared one")
    return [f"{table}: {line}" for line in lines]

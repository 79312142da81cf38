"""Make the tables that are missing, and name what differs in those that are not."""

from prefect import task
from sqlalchemy import Connection

from tasks.retries import RETRIES
from warehouse.base import Target, Warehouse
from warehouse.connect import open_warehouse
from warehouse.copy import LOAD_ERRORS_DDL
from warehouse.errors import PermanentError
from warehouse.tables import Column, Table


@task(**RETRIES)
def create_tables(target: Target, tables: list[Table]) -> None:
    """Create the tables that do not exist. Drops and alters nothing; one transaction; safe to repeat.

    Raises:
        PermanentError: a table exists with other columns; every difference is named.
    """
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        connection.exec_driver_sql(LOAD_ERRORS_DDL)
        for table in tables:
            connection.exec_driver_sql(table.ddl)
        differences = [line for table in tables for line in _differences(warehouse, connection, table)]
        if differences:
            raise PermanentError(
                "tables differ from what is declared: rename or drop them, or change the SQL files\n  "
                + "\n  ".join(differences)
            )


def _differences(warehouse: Warehouse, connection: Connection, table: Table) -> list[str]:
    present = warehouse.columns(connection, table.name)
    return [
        f"{table.name}: column {number} is {_spell(there)}, declared {_spell(declared)}"
        for number, there, declared in _pairs(present, table.columns)
        if there != declared
    ]


def _pairs(present: tuple[Column, ...], declared: tuple[Column, ...]) -> list[tuple[int, Column | None, Column | None]]:
    length = max(len(present), len(declared))
    padded = [columns + (None,) * (length - len(columns)) for columns in (present, declared)]
    return [(number + 1, padded[0][number], padded[1][number]) for number in range(length)]


def _spell(column: Column | None) -> str:
    return str(column) if column else "missing"

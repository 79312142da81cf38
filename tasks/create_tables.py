"""Create tables and columns that are missing, and report other differences in existing ones."""

from collections.abc import Sequence

from prefect import task
from sqlalchemy import Connection

from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.base import Warehouse
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.tables import Column, Table, declared_columns
from warehouse.target import Target

Columns = tuple[Column, ...]


@task(task_run_name="create tables", **RETRIES)
def create_tables(target: Target, tables: Sequence[Table]) -> list[str]:
    """Create the tables that do not exist, including load_errors. One transaction; safe to repeat.

    A table that keeps what was loaded gets the columns that it lacks at its end, if they may be null. A fact or
    dimension whose SQL file was edited is left as it is: its load makes it anew. Changes nothing if it raises.

    Returns:
        The names of all of them.

    Raises:
        PermanentError: a table exists with other columns. The message names every difference, and has the statements
            that make the table as it is declared.
    """
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        connection.exec_driver_sql(LOAD_ERRORS_DDL)
        found = {"load_errors": _adapt(warehouse, connection, "load_errors", declared_columns(LOAD_ERRORS_DDL))}
        for table in tables:
            connection.exec_driver_sql(table.ddl)
            if not table.select:
                found[table.name] = _adapt(warehouse, connection, table.name, table.columns)
            elif lines := _differences(table.name, warehouse.columns(connection, table.name), table.columns):
                state = ledger.state_of(connection, table.name)
                found[table.name] = [] if state.was_edited(table.definition) else lines
        differing = [name for name, lines in found.items() if lines]
        if differing:
            kept = {"load_errors": LOAD_ERRORS_DDL} | {t.name: t.ddl for t in tables if not t.select and not t.history}
            remedies = [_remedy(warehouse, connection, name, kept.get(name)) for name in differing]
            differences = "\n  ".join(line for name in differing for line in found[name])
            statements = "\n".join([f"set search_path to {warehouse.schema};", *remedies])
            raise PermanentError(
                f"existing tables differ from their declarations:\n  {differences}\n"
                f"Change the SQL files back, or run these statements, and then the pipeline:\n{statements}"
            )
    return ["load_errors", *(table.name for table in tables)]


def _remedy(warehouse: Warehouse, connection: Connection, name: str, ddl: str | None) -> str:
    """Return statements that make a table as its DDL declares it. Without DDL, the next run creates it and fills it."""
    if ddl is None:
        return f"drop table {name};"
    declared = [column.name for column in declared_columns(ddl)]
    both = ", ".join(f'"{c.name}"' for c in warehouse.columns(connection, name) if c.name in declared)
    copy = f"\ninsert into {name} ({both}) select {both} from {name}_before;" if both else ""
    return f"alter table {name} rename to {name}_before;\n{ddl};{copy}"


def _adapt(warehouse: Warehouse, connection: Connection, name: str, declared: Columns) -> list[str]:
    """Add the columns that follow those present, if they may be null. Return the differences that are left."""
    present = warehouse.columns(connection, name)
    missing = declared[len(present) :]
    if present + missing == declared and all(column.nullable for column in missing):
        for column in missing:
            connection.exec_driver_sql(f'alter table {name} add column "{column.name}" {column.type}')
        return []
    return _differences(name, present, declared)


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

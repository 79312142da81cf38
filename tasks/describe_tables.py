"""Give tables and columns the comments of their SQL files."""

from collections.abc import Sequence

from prefect import task

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.tables import Table
from warehouse.target import Target


@task(task_run_name="describe tables", **RETRIES)
def describe_tables(target: Target, tables: Sequence[Table]) -> int:
    """Comment on tables and columns as their SQL files do, where the warehouse has another comment or none.

    One transaction; safe to repeat. Leaves tables of other owners alone, because only an owner may comment.

    Returns:
        The number of comments that changed.
    """
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        present = warehouse.comments(connection)
        owned = {table for table, _ in present}
        statements = []
        for table in (table for table in tables if table.name in owned):
            wanted = {"": table.description} | {column.name: column.description for column in table.columns}
            changed = {name: text for name, text in wanted.items() if text and present.get((table.name, name)) != text}
            # a new column of an edited table is there only once the table is loaded anew
            there = {"", *(column.name for column in warehouse.columns(connection, table.name))} if changed else ()
            statements += [_statement(table.name, name, text) for name, text in changed.items() if name in there]
        for statement in statements:
            connection.exec_driver_sql(statement)
        return len(statements)


def _statement(table: str, column: str, comment: str) -> str:
    thing = f'column "{table}"."{column}"' if column else f'table "{table}"'
    text = comment.replace("'", "''")
    return f"comment on {thing} is '{text}'"

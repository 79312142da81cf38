"""A warehouse in a file of its own, spoken to in Redshift SQL."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from warehouse.base import Target
from warehouse.connect import open_warehouse


class Embedded:
    """Runs statements as tasks of a run that holds the lease."""

    def __init__(self, folder: Path, holder: str = "test run") -> None:
        self.target = Target(f"duckdb:///{folder}/test.duckdb", "sparkify", holder)
        self.warehouse = open_warehouse(self.target)
        self.warehouse.take_lease()

    def run(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self.warehouse.task() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.warehouse.task() as connection:
            return select(connection, query)

    def one(self, expression: str) -> Any:
        """Return the value of an expression."""
        return self.rows(f"select {expression}")[0][0]


def select(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in a transaction that is open."""
    return [tuple(row) for row in connection.exec_driver_sql(query)]

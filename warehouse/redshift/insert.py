"""INSERT of many rows: Redshift takes few large statements much faster than many small ones."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from warehouse.files import batches

_STATEMENT_BYTES = 4 << 20  # Redshift takes 16 MB
_STATEMENT_VALUES = 9_000  # the driver counts to 32,767


def insert_rows(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows, each with a value for every column. Part of the connection's transaction."""
    for batch in batches(rows, _STATEMENT_BYTES, size=_size):
        marks = ", ".join("(" + ", ".join(["%s"] * len(row)) + ")" for row in batch)
        values = tuple(value for row in batch for value in row)
        connection.exec_driver_sql(f"insert into {table} values {marks}", values)


def _size(row: tuple[Any, ...]) -> int:
    """Return the bytes of a row's texts, or more, so that a statement has no more values than the driver can count."""
    texts = sum(len(value.encode()) for value in row if isinstance(value, str))
    return max(texts, len(row) * _STATEMENT_BYTES // _STATEMENT_VALUES)

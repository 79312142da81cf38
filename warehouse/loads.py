"""How the rows of a SELECT over history get into a table: all of them, or those that differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from warehouse.tables import Table
from warehouse.touched import restrict


@dataclass(frozen=True)
class LoadResult:
    """The numbers of rows that one load inserted into a table, updated in it and removed from it."""

    inserted: int = 0
    updated: int = 0
    removed: int = 0


def is_empty(connection: Connection, table: Table) -> bool:
    """Whether the table has no rows."""
    return connection.exec_driver_sql(f"select 1 from {table.name} limit 1").first() is None


def replace(connection: Connection, table: Table) -> LoadResult:
    """Delete all rows, then insert those of the SELECT. TRUNCATE would commit in between."""
    removed = connection.exec_driver_sql(f"delete from {table.name}").rowcount
    return LoadResult(_insert(connection, table), removed=removed)


def refresh(
    connection: Connection, table: Table, history: Sequence[Table] = (), schema: str = "", taken: int | None = None
) -> LoadResult:
    """Make the table equal to its SELECT, and write only rows that differ. Part of one transaction; safe to repeat.

    If the table has followed its SELECT up to the batch `taken`, only what later batches touch is compared. The session
    then sees only that part of the tables of `history` in the schema, and should end.
    DELETE and INSERT, not MERGE: that cannot also remove rows. EXCEPT treats NULLs as equal, unlike <>.
    """
    name, names = table.name, _names(table)
    if is_empty(connection, table):
        return LoadResult(_insert(connection, table))
    present = restrict(connection, table, history, schema, taken) if table.touched and taken is not None else name
    # with the table's own types: values that only the types change would differ each time
    connection.exec_driver_sql(f"create temp table {name}_arriving as\nselect * from {name} where 1 = 0")
    connection.exec_driver_sql(f"insert into {name}_arriving ({names})\n{table.select}")
    _create_difference(connection, table, "fresh", f"{name}_arriving", present)
    _create_difference(connection, table, "stale", present, f"{name}_arriving")
    fresh, stale = (_count(connection, f"{name}_{part}") for part in ("fresh", "stale"))
    updated = _count(connection, f"{name}_fresh inner join {name}_stale on {_keys_match(table, '_fresh', '_stale')}")
    if stale:
        connection.exec_driver_sql(f"delete from {name}\nusing {name}_stale\nwhere {_keys_match(table, '', '_stale')}")
    if fresh:
        connection.exec_driver_sql(f"insert into {name} ({names})\nselect {names} from {name}_fresh")
    return LoadResult(fresh - updated, updated, stale - updated)


def _insert(connection: Connection, table: Table) -> int:
    return connection.exec_driver_sql(f"insert into {table.name} ({_names(table)})\n{table.select}").rowcount


def _create_difference(connection: Connection, table: Table, part: str, rows: str, others: str) -> None:
    names = _names(table)
    connection.exec_driver_sql(
        f"create temp table {table.name}_{part} as\nselect {names} from {rows}\nexcept\nselect {names} from {others}"
    )


def _count(connection: Connection, rows: str) -> int:
    return int(connection.exec_driver_sql(f"select count(*) from {rows}").scalar_one())


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def _keys_match(table: Table, left: str, right: str) -> str:
    name = table.name
    return " and ".join(f"{name}{left}.{column} = {name}{right}.{column}" for column in table.key)

"""The part of history that new batches touch, so that a load costs the same however much history there is."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy import Connection

from warehouse.tables import Column, Table, time_column

_EPOCH = date(1970, 1, 1)
_DAYS = range(date.min.toordinal() - _EPOCH.toordinal(), date.max.toordinal() - _EPOCH.toordinal())
_RANGES = 8
"""So many spans of time are read at most. One late event does not make a load read all that lies between."""


def restrict(connection: Connection, table: Table, history: Sequence[Table], schema: str, taken: int) -> str:
    """Let the session see only what batches after `taken` touch of history. Return where the present rows of it are.

    Temporary tables hide those of the schema from a SELECT that names no schema. They last as long as the session, and
    are not dropped: where there is none, DROP TABLE would drop the schema's.
    """
    _create_arrived(connection, history, taken)
    columns = _create_touched(connection, table, "touched")
    _create(connection, f"{table.name}_present", _rows(table, columns, "touched"))
    for each in history:
        if common := _common(columns, each):
            rows = _rows(each, columns, "touched", f"{schema}.")
            _create(connection, each.name, "\nunion all\n".join(rows + bound for bound in _bounds(connection, common)))
    return f"{table.name}_present"


def expose(connection: Connection, tables: Sequence[Table], taken: int) -> None:
    """Give the session what batches after `taken` added to a table of history, and the rows that they touch of others.

    As temporary tables, `arrived_<table>` and `touched_<table>`, which last as long as the session.
    """
    _create_arrived(connection, [table for table in tables if table.source], taken)
    for table in tables:
        if table.touched:
            columns = _create_touched(connection, table, f"{table.name}_keys")
            _create(connection, f"touched_{table.name}", _rows(table, columns, f"{table.name}_keys"))


def _create_arrived(connection: Connection, history: Sequence[Table], taken: int) -> None:
    for each in history:
        _create(connection, f"arrived_{each.name}", f"select * from {each.name} where batch_id > {taken}")


def _create_touched(connection: Connection, table: Table, name: str) -> list[str]:
    """Create the table of what arrived rows touch of a table. Return its columns."""
    _create(connection, name, f"select distinct * from (\n{table.touched}\n) as touched")
    return list(connection.exec_driver_sql(f"select * from {name} where 1 = 0").keys())


def _common(names: Sequence[str], table: Table) -> list[Column]:
    return [column for column in table.columns if column.name in names]


def _create(connection: Connection, name: str, select: str) -> None:
    connection.exec_driver_sql(f"create temp table {name} as\n{select}")


def _rows(table: Table, columns: Sequence[str], touched: str, schema: str = "") -> str:
    """Return the SELECT of a table's rows with touched values. NULL is not among them: no key is NULL."""
    names = [column.name for column in _common(columns, table)]
    keys = " and ".join(f"keys.{name} = present.{name}" for name in names)
    return (
        f"select present.*\nfrom {schema}{table.name} as present\n"
        f"inner join (select distinct {', '.join(names)} from {touched}) as keys\n    on {keys}"
    )


def _bounds(connection: Connection, columns: Sequence[Column]) -> list[str]:
    """Return conditions that let the warehouse skip blocks: one for each span of days, all that the driver can date."""
    name = time_column(columns)
    if not name:
        return [""]
    query = f"select distinct datediff(day, timestamp 'epoch', {name}) from touched order by 1"
    days = [int(day) for day in connection.exec_driver_sql(query).scalars()]
    if not days or not all(day in _DAYS for day in days):
        return [""]
    return [
        f"\nwhere present.{name} >= '{_EPOCH + timedelta(first)}' and present.{name} < '{_EPOCH + timedelta(last + 1)}'"
        for first, last in spans(days)
    ]


def spans(days: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and the last day of each span of ordered days, split at the widest gaps of over a day."""
    gaps = sorted(
        ((after - before, before, after) for before, after in pairwise(days) if after - before > 1), reverse=True
    )
    cuts = sorted((before, after) for _, before, after in gaps[: _RANGES - 1])
    edges = [days[0], *(day for cut in cuts for day in cut), days[-1]] if days else []
    return list(zip(edges[::2], edges[1::2], strict=True))

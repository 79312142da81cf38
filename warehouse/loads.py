"""How the rows of a SELECT get into a table: append, replace or merge."""

from dataclasses import dataclass

from sqlalchemy import Connection

from warehouse.tables import Table


@dataclass(frozen=True)
class LoadResult:
    """The numbers of rows that one load inserted into a table, updated in it and removed from it."""

    inserted: int
    updated: int = 0
    removed: int = 0


def load(connection: Connection, table: Table) -> LoadResult:
    """Load the rows of the table's SELECT by the table's mode. Part of one transaction; safe to repeat."""
    return {"append": append, "replace": replace, "merge": merge}[table.mode](connection, table)


def append(connection: Connection, table: Table) -> LoadResult:
    """Insert the rows whose key is new."""
    insert = f"""\
insert into {table.name} ({_names(table)})
select {_names(table, "arriving.")}
from (
{table.select}
) as arriving
left join {table.name} as present
    on {_keys_match(table, "arriving", "present")}
where present.{table.key[0]} is null"""
    return LoadResult(connection.exec_driver_sql(insert).rowcount)


def replace(connection: Connection, table: Table) -> LoadResult:
    """Delete all rows, then insert. TRUNCATE would commit in between."""
    removed = connection.exec_driver_sql(f"delete from {table.name}").rowcount
    insert = f"insert into {table.name} ({_names(table)})\n{table.select}"
    return LoadResult(connection.exec_driver_sql(insert).rowcount, removed=removed)


def merge(connection: Connection, table: Table) -> LoadResult:
    """Insert new rows and update changed ones, so that the newest row of each key stays.

    Rows that would not change are not written. Of two equally new rows the first by value stays, whichever arrived
    first, so the result does not depend on the order of loads.
    """
    if len(table.columns) == len(table.key):
        return append(connection, table)  # nothing to update
    changes = f"{table.name}_changes"
    # Redshift's MERGE takes its source from a table only, not from a query. The table also lets inserts and updates be
    # counted: the driver reports no count, or one for both together.
    connection.exec_driver_sql(f"create temp table {changes} as\n{_changes(table)}")
    updated = connection.exec_driver_sql(
        f"select count(*) from {changes} inner join {table.name} on {_keys_match(table, changes, table.name)}"
    ).scalar_one()
    written = connection.exec_driver_sql(f"select count(*) from {changes}").scalar_one()
    connection.exec_driver_sql(_merge(table, changes))
    connection.exec_driver_sql(f"drop table {changes}")
    return LoadResult(inserted=written - updated, updated=updated)


def _changes(table: Table) -> str:
    """Return the SELECT of the rows that MERGE has to write.

    With `newest_by`, arriving rows compete with the present rows of their keys: the newest wins, and ties are decided
    by the other columns, so that the winner is the same each time. EXCEPT drops the rows that are already in the
    table; unlike <>, it treats NULLs as equal.
    """
    arriving = f"select {_names(table)} from (\n{table.select}\n) as arriving"
    present = f"select {_names(table)} from {table.name}"
    if table.newest_by is None:
        return f"{arriving}\nexcept\n{present}"
    others = ", ".join(f"{c.name} nulls last" for c in table.columns if c.name not in (*table.key, table.newest_by))
    return f"""\
with arriving as (
{arriving}
),

candidates as (
    select {_names(table)} from arriving
    union all
    select {_names(table, "present.")}
    from {table.name} as present
    inner join arriving on {_keys_match(table, "arriving", "present")}
),

ranked as (
    select
        {_names(table)},
        row_number() over (
            partition by {", ".join(table.key)}
            order by {table.newest_by} desc nulls last, {others}
        ) as recency
    from candidates
)

select {_names(table)} from ranked where recency = 1
except
{present}"""


def _merge(table: Table, changes: str) -> str:
    updates = ", ".join(f"{c.name} = {changes}.{c.name}" for c in table.columns if c.name not in table.key)
    return f"""\
merge into {table.name}
using {changes}
on {_keys_match(table, table.name, changes)}
when matched then update set {updates}
when not matched then insert ({_names(table)}) values ({_names(table, f"{changes}.")})"""


def _names(table: Table, prefix: str = "") -> str:
    return ", ".join(prefix + column.name for column in table.columns)


def _keys_match(table: Table, left: str, right: str) -> str:
    return " and ".join(f"{left}.{name} = {right}.{name}" for name in table.key)

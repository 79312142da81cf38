"""Look for rows that break a rule."""

from prefect import task
from sqlalchemy import Connection

from tasks.report import CheckReport
from tasks.retries import RETRIES
from warehouse.base import Target
from warehouse.connect import open_warehouse
from warehouse.tables import Check, Severity, Table

SAMPLE_ROWS = 5


@task(**RETRIES)
def check(target: Target, tables: list[Table], checks: list[Check]) -> list[CheckReport]:
    """Check that each table has rows and that its key is one, then each rule. Reads only; one transaction."""
    with open_warehouse(target).task() as connection:
        reports = [_check(connection, *rule) for table in tables for rule in _table_rules(table)]
        return reports + [_check(connection, c.name, c.rule, c.select, c.severity) for c in checks]


def _table_rules(table: Table) -> list[tuple[str, str, str]]:
    name, key = table.name, ", ".join(table.key)
    empty = f"select '{name}' as table_name where not exists (select 1 from {name})"
    rules = [(f"{name}_not_empty", f"{name} has rows.", empty)]
    if key:
        missing = " or ".join(f"{column} is null" for column in table.key)
        repeated = f"select {key}, count(*) as count_rows from {name} group by {key} having count(*) > 1"
        rules += [
            (
                f"{name}_key_not_null",
                f"{key} is never null in {name}.",
                f"select * from {name} where {missing}",
            ),
            (f"{name}_key_unique", f"{key} is unique in {name}.", repeated),
        ]
    return rules


def _check(connection: Connection, name: str, rule: str, select: str, severity: Severity = "error") -> CheckReport:
    query = f"select count(*) over () as offending_rows, broken.* from (\n{select}\n) as broken limit {SAMPLE_ROWS}"
    rows = [dict(row._mapping) for row in connection.exec_driver_sql(query)]
    offending = rows[0]["offending_rows"] if rows else 0
    sample = [{name: value for name, value in row.items() if name != "offending_rows"} for row in rows]
    return CheckReport(name, rule, severity, offending, sample)

"""Look for rows that break a rule."""

from collections.abc import Iterator
from typing import NamedTuple

from prefect import task
from sqlalchemy import Connection

from tasks.results import CheckResult
from tasks.retries import RETRIES
from warehouse.base import Target
from warehouse.connect import open_warehouse
from warehouse.tables import Check, Severity, Table

SAMPLE_ROWS = 5


class Rule(NamedTuple):
    """A rule in words, and the SELECT of the rows that break it."""

    name: str
    text: str
    select: str
    severity: Severity = "error"


@task(task_run_name="check", **RETRIES)
def check(target: Target, tables: list[Table], checks: list[Check]) -> list[CheckResult]:
    """Check that each table has rows and that its key is one, then each rule. Reads only; one transaction."""
    with open_warehouse(target).task() as connection:
        return [offending_rows(connection, rule) for rule in all_rules(tables, checks)]


def all_rules(tables: list[Table], checks: list[Check]) -> list[Rule]:
    """Return the rules of tables, then the checks'."""
    rules = [rule for table in tables for rule in table_rules(table)]
    return rules + [Rule(c.name, c.rule, c.select, c.severity) for c in checks]


def table_rules(table: Table) -> Iterator[Rule]:
    """Yield the rules that follow from a table's line in the catalogue."""
    name, key = table.name, ", ".join(table.key)
    empty = f"select '{name}' as table_name where not exists (select 1 from {name})"
    yield Rule(f"{name}_not_empty", f"{name} has rows.", empty)
    if key:
        missing = " or ".join(f"{column} is null" for column in table.key)
        yield Rule(f"{name}_key_not_null", f"{key} is never null in {name}.", f"select * from {name} where {missing}")
        repeated = f"select {key}, count(*) as count_rows from {name} group by {key} having count(*) > 1"
        yield Rule(f"{name}_key_unique", f"{key} is unique in {name}.", repeated)


def offending_rows(connection: Connection, rule: Rule) -> CheckResult:
    """Count the rows that break a rule, and take a sample of them."""
    query = f"""\
select count(*) over () as offending_rows, broken.*
from (
{rule.select}
) as broken
limit {SAMPLE_ROWS}"""
    sample = [dict(row) for row in connection.exec_driver_sql(query).mappings()]
    counts = [row.pop("offending_rows") for row in sample]
    return CheckResult(rule.name, rule.text, rule.severity, counts[0] if counts else 0, sample)

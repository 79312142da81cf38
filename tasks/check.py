"""Check the tables for rows that break a rule."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from prefect import task
from sqlalchemy import Connection

from tasks.results import CheckResult
from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.checks import Check
from warehouse.connect import open_warehouse
from warehouse.tables import Table
from warehouse.target import Target
from warehouse.touched import expose

SAMPLE_ROWS = 5


@task(task_run_name="check", **RETRIES)
def check(
    target: Target,
    checks: Sequence[Check],
    tables: Sequence[Table] = (),
    *,
    began_at: datetime | None = None,
    audits: Sequence[CheckResult] = (),
) -> list[CheckResult]:
    """Return what breaks each rule: among all rows, or among those that batches touch of `tables` since all rules held.

    One transaction. It only reads, but for the record of what it and the audits found in the run that began at a time.
    """
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        taken = ledger.checked_up_to(connection, checks)
        if only_touched := bool(tables and taken):
            expose(connection, tables, taken)
        results = [offending_rows(connection, rule, only_touched=only_touched) for rule in checks]
        unchecked = ledger.unchecked(connection)
        ledger.record_checks(warehouse, connection, checks, all_hold=not any(result.fails_run for result in results))
        ledger.record_results(warehouse, connection, _counts([*audits, *results]), began_at)
    return [replace(result, unchecked=unchecked) if result.fails_run else result for result in results]


@task(task_run_name="record audits", **RETRIES)
def record_audits(target: Target, audits: Sequence[CheckResult], began_at: datetime) -> None:
    """Record what audits found in a run that loads nothing because of it. One transaction; safe to repeat."""
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        ledger.record_results(warehouse, connection, _counts(audits), began_at)


def _counts(results: Sequence[CheckResult]) -> Mapping[tuple[str, str], int]:
    """Return how many rows break each rule: of one that is checked for each source, of all of them."""
    counts: Counter[tuple[str, str]] = Counter()
    for result in results:
        counts[result.check, result.severity] += result.offending
    return counts


@task(task_run_name="check {rule.name}", **RETRIES)
def check_one(target: Target, rule: Check, began_at: datetime | None = None) -> CheckResult:
    """Check a rule that time alone may break.

    One transaction. It only reads, unless the run has loaded tables: then it records what it found in the run that
    began at a time.
    """
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        result = offending_rows(connection, rule)
        if began_at:
            ledger.record_results(warehouse, connection, _counts([result]), began_at)
    return result


def offending_rows(connection: Connection, check: Check, *, only_touched: bool = False) -> CheckResult:
    """Count the rows that break a rule, among all or those that the session exposes, and return a sample of them."""
    query = f"""\
select count(*) over () as offending_rows, broken.*
from (
{check.select if only_touched else check.whole}
) as broken
limit {SAMPLE_ROWS}"""
    sample = [dict(row) for row in connection.exec_driver_sql(query).mappings()]
    counts = [row.pop("offending_rows") for row in sample]
    return CheckResult(check.name, check.rule, check.severity, counts[0] if counts else 0, sample)

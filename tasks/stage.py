"""Load the new files of a source into its staging table, and add them to history."""

from collections.abc import Sequence
from time import monotonic

from prefect import task

from tasks.check import offending_rows
from tasks.progress import report_progress
from tasks.results import CheckResult, StageResult
from tasks.retries import RETRIES
from warehouse import ledger
from warehouse.base import Warehouse
from warehouse.checks import Check
from warehouse.connect import open_warehouse
from warehouse.sources import Arrivals, CopyResult, Source
from warehouse.target import Target


class _AuditError(Exception):
    """Rolls a staging back."""


@task(task_run_name="stage {source.table.name}", **RETRIES)
def stage(target: Target, source: Source, batch: int, audits: Sequence[Check]) -> StageResult:
    """Stage the files that are new or changed, audit them, and add them to history as part of a batch.

    One transaction; safe to repeat. Nothing is changed if no file is new, or if an audit of severity `error` finds
    rows.

    Raises:
        CopyError: the files cannot be loaded. Nothing is changed.
    """
    started = monotonic()
    warehouse = open_warehouse(target)
    with warehouse.task() as connection:
        committed = ledger.committed(connection, source, batch)  # by an attempt that got no answer to its COMMIT
        arrivals = ledger.compare(connection, source, warehouse.files(source), batch)
    files, copied = committed or (len(arrivals.new), None)
    checks: list[CheckResult] = []
    if not committed and arrivals.files:
        copied, checks = _load(warehouse, source, arrivals, audits)
    return StageResult(
        table=source.table.name,
        source=ledger.history_of(source).source,
        staged=copied.rows if copied else 0,
        rejected=copied.rejected if copied else 0,
        new=files,
        changed=len(arrivals.changed),
        known=len(arrivals.known) - (files if committed else 0),
        seconds=round(monotonic() - started, 2),
        checks=checks,
    )


def _load(
    warehouse: Warehouse, source: Source, arrivals: Arrivals, audits: Sequence[Check]
) -> tuple[CopyResult | None, list[CheckResult]]:
    checks: list[CheckResult] = []
    try:
        with warehouse.task() as connection:
            connection.exec_driver_sql(f"delete from {source.table.name}")
            copied = warehouse.copy(connection, source, arrivals, report_progress())
            checks += [offending_rows(connection, audit) for audit in audits]
            _roll_back_if_broken(checks)
            ledger.add(warehouse, connection, source, arrivals, copied)
    except _AuditError:
        return None, checks
    return copied, checks


def _roll_back_if_broken(checks: Sequence[CheckResult]) -> None:
    if any(result.fails_run for result in checks):
        raise _AuditError

"""Load the new files of a source into its staging table, and add them to history."""

from collections.abc import Sequence
from dataclasses import replace
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
from warehouse.errors import CopyError, NotAllowedError
from warehouse.first_records import unexpected_keys
from warehouse.reload import replace_days
from warehouse.set_aside import bad_files
from warehouse.sources import MOST_REJECTS, Arrivals, CopyResult, Source
from warehouse.target import Target


class _AuditError(Exception):
    """Rolls a staging back."""


@task(task_run_name="stage {source.table.name}", **RETRIES)
def stage(target: Target, source: Source, batch: int, audits: Sequence[Check]) -> StageResult:
    """Stage the files that are new or changed, audit them, and add them to history as part of a batch.

    One transaction; safe to repeat. Nothing is changed if no file is new, or if an audit of severity `error` finds
    rows. If the source says so, files with too many rejects are set aside, and the others loaded; and files that
    earlier runs set aside are dismissed.

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
    if not committed and (arrivals.files or arrivals.dismissed):
        keys = _check_keys(warehouse, source, arrivals)
        arrivals, copied, checks = _load(warehouse, source, arrivals, audits)
        checks += keys
        files = len(arrivals.new)
    set_aside = arrivals.set_aside_before + len(arrivals.set_aside)
    return StageResult(
        table=source.table.name,
        source=ledger.history_of(source).source,
        is_news=bool(files or arrivals.changed or arrivals.set_aside or arrivals.dismissed),
        staged=copied.rows if copied else 0,
        rejected=copied.rejected if copied else 0,
        new=files,
        changed=len(arrivals.changed),
        known=len(arrivals.known) + len(arrivals.margin) - set_aside - (files if committed else 0),
        set_aside=set_aside,
        gone=arrivals.gone,
        seconds=round(monotonic() - started, 2),
        checks=checks,
    )


def _check_keys(warehouse: Warehouse, source: Source, arrivals: Arrivals) -> list[CheckResult]:
    """Compare the keys of a few new files with those that columns read. Return no result where they may not be read."""
    rule = "The new files have the keys that columns read, and no others. Looks at the first records of three."
    try:
        rows = unexpected_keys(source, [file.url for file in arrivals.files if file.size], warehouse.beginning)
    except NotAllowedError:
        return []
    return [CheckResult("keys_read", rule, "warn", len(rows), rows)]


def _load(
    warehouse: Warehouse, source: Source, arrivals: Arrivals, audits: Sequence[Check]
) -> tuple[Arrivals, CopyResult | None, list[CheckResult]]:
    """Load what arrived. Return what of it was loaded and set aside, the counts of records, and what audits found."""
    checks: list[CheckResult] = []
    try:
        return arrivals, _add(warehouse, source, arrivals, audits, checks), checks
    except _AuditError:
        return arrivals, None, checks
    except CopyError:
        bad = bad_files(warehouse, source, arrivals, report_progress()) if source.set_aside else {}
        if not bad:
            raise
    # each of the others is within the limit, though all together may not be
    each = replace(source, max_errors=MOST_REJECTS, set_aside=False)
    return _load(warehouse, each, arrivals.setting_aside(bad), audits)


def _add(
    warehouse: Warehouse, source: Source, arrivals: Arrivals, audits: Sequence[Check], checks: list[CheckResult]
) -> CopyResult:
    """Stage the files, and add them to history, in one transaction. What audits find is added to `checks`.

    Raises:
        CopyError: the files cannot be loaded.
        _AuditError: they break a rule.
    """
    with warehouse.task() as connection:
        connection.exec_driver_sql(f"delete from {source.table.name}")
        copied = warehouse.copy(connection, source, arrivals, report_progress()) if arrivals.files else CopyResult(0)
        if arrivals.replaces is not None:
            copied = replace(copied, rows=copied.rows - replace_days(connection, source, arrivals))
        checks += [offending_rows(connection, audit) for audit in audits]
        if any(result.fails_run for result in checks):
            raise _AuditError
        ledger.add(warehouse, connection, source, arrivals, copied)
    return copied

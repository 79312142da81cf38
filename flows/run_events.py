"""Events of a run, for automations and other deployments to wait for. Triggers match labels, never the payload."""

from dataclasses import asdict

from prefect.events import emit_event

from tasks.results import CheckResult, TableResult


def emit_table_loaded(result: TableResult) -> None:
    """Emit `sparkify.table.loaded` with the row counts."""
    emit_event(
        "sparkify.table.loaded",
        resource={
            "prefect.resource.id": f"sparkify.table.{result.table}",
            "prefect.resource.name": result.table,
            "sparkify.table": result.table,
        },
        payload=asdict(result),
    )


def emit_check_failed(result: CheckResult) -> None:
    """Emit `sparkify.check.failed` with the number of rows that break the rule, but not the rows."""
    emit_event(
        "sparkify.check.failed",
        resource={
            "prefect.resource.id": f"sparkify.check.{result.check}",
            "prefect.resource.name": result.check,
            "sparkify.check": result.check,
            "sparkify.severity": result.severity,
        },
        payload={"rule": result.rule, "offending": result.offending},
    )

"""Events of a run, which automations and other deployments may wait for. Triggers match labels, never the payload."""

from dataclasses import asdict

from prefect.events import emit_event

from tasks.results import CheckResult, TableResult


def tell_loaded(report: TableResult) -> None:
    """Emit `sparkify.table.loaded`, with the figures."""
    emit_event(
        "sparkify.table.loaded",
        resource={
            "prefect.resource.id": f"sparkify.table.{report.table}",
            "prefect.resource.name": report.table,
            "sparkify.table": report.table,
        },
        payload=asdict(report),
    )


def tell_failed(report: CheckResult) -> None:
    """Emit `sparkify.check.failed`, with the number of rows but none of them."""
    emit_event(
        "sparkify.check.failed",
        resource={
            "prefect.resource.id": f"sparkify.check.{report.check}",
            "prefect.resource.name": report.check,
            "sparkify.check": report.check,
            "sparkify.severity": report.severity,
        },
        payload={"rule": report.rule, "offending": report.offending},
    )

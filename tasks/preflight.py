"""Check before a run that it would find what it needs."""

from collections.abc import Sequence

from prefect import task
from prefect.logging import get_run_logger

from tasks.retries import RETRIES
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.preflight import Finding
from warehouse.sources import Source
from warehouse.target import Target


@task(task_run_name="preflight", **RETRIES)
def preflight(target: Target, sources: Sequence[Source], tables: Sequence[str]) -> list[Finding]:
    """Check that the run will find what it needs. Changes nothing.

    Raises:
        PermanentError: something is missing. The message names everything that is.
    """
    findings = open_warehouse(target).preflight(sources, tables)
    failed: dict[str, list[str]] = {}
    for finding in findings:
        if finding.result == "failed":
            failed.setdefault(finding.text, []).append(finding.subject)
    if failed:
        reasons = "; ".join(f"{', '.join(subjects)}: {text}" for text, subjects in failed.items())
        raise PermanentError(f"preflight failed, nothing was changed: {reasons}")
    for finding in findings:
        get_run_logger().info("%s", finding)
    return findings

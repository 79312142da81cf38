"""What a run did: for a person at a terminal, and for the Prefect UI."""

from dataclasses import asdict, dataclass
from typing import Any

from prefect.artifacts import create_table_artifact
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from flows.escape import escape_cell
from flows.run_events import tell_failed, tell_loaded
from tasks.results import CheckResult, TableResult
from warehouse.errors import ChecksFailedError


@dataclass(frozen=True)
class Summary:
    """The tables and the checks of one run, and where the tables are."""

    tables: list[TableResult]
    checks: list[CheckResult]
    where_to_look: str

    def publish(self) -> None:
        """Keep the tables and the checks as artifacts of the run, and emit its events."""
        create_table_artifact(
            [asdict(report) for report in self.tables], key="sparkify-tables", description="Rows by table"
        )
        create_table_artifact(
            [_check_row(report) for report in self.checks], key="sparkify-checks", description="Checks"
        )
        for table in self.tables:
            tell_loaded(table)
        for check in self.checks:
            if not check.holds:
                tell_failed(check)

    def show(self) -> None:
        """Print the summary."""
        console = Console(highlight=False, soft_wrap=True)
        console.print(_table_grid(self.tables), _check_grid(self.checks))
        for report in self.checks:
            if not report.holds and not report.fails_run:
                console.print(describe(report), markup=False)
        if any(report.rejected for report in self.tables):
            console.print("The records that were rejected are in the table load_errors, each with its reason.")
        console.print(self.where_to_look, markup=False)

    def raise_for_checks(self) -> None:
        """Fail where a check of severity `error` found rows.

        Raises:
            ChecksFailedError: with each rule, the number of rows that break it, and some of them.
        """
        failed = [report for report in self.checks if report.fails_run]
        if failed:
            self.show()
            names = ", ".join(report.check for report in failed)
            raise ChecksFailedError("\n".join([f"checks failed: {names}", *map(describe, failed)]))


def describe(report: CheckResult) -> str:
    """Tell what a check found: the rule, the number of rows, and a sample of them."""
    rows = _sample(report)
    more = [f"... and {report.offending - len(rows)} more"] if report.offending > len(rows) else []
    count = f"{report.offending:,} row{'' if report.offending == 1 else 's'}"
    head = f"{report.severity}: {report.check}: broken by {count}: {report.rule}"
    return "\n  ".join([head, *rows, *more])


def _sample(report: CheckResult) -> list[str]:
    return [", ".join(f"{name}={value}" for name, value in row.items()) for row in report.sample]


def _check_row(report: CheckResult) -> dict[str, Any]:
    result = "holds" if report.holds else report.severity
    return {"check": report.check, "result": result, "rule": report.rule, "rows": report.offending} | (
        {"sample": escape_cell("; ".join(_sample(report)))} if report.sample else {}
    )


def _table_grid(reports: list[TableResult]) -> Grid:
    grid = Grid("table", box=SIMPLE_HEAD)
    for name in ("staged", "rejected", "inserted", "updated", "present", "seconds"):
        grid.add_column(name, justify="right")
    for report in reports:
        counts = (report.staged, report.rejected, report.inserted, report.updated, report.present)
        grid.add_row(report.table, *("" if n is None else f"{n:,}" for n in counts), f"{report.seconds:.2f}")
    return grid


def _check_grid(reports: list[CheckResult]) -> Grid:
    grid = Grid("check", "result", box=SIMPLE_HEAD)
    grid.add_column("rows that break it", justify="right")
    for report in reports:
        grid.add_row(report.check, "holds" if report.holds else report.severity, f"{report.offending:,}")
    return grid

"""What a run did: for a person at a terminal, and for the Prefect UI."""

from dataclasses import asdict, dataclass
from typing import Any

from prefect.artifacts import create_table_artifact
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from flows.escape import escape_cell
from flows.run_events import emit_check_failed, emit_table_loaded
from tasks.results import CheckResult, TableResult
from warehouse.errors import ChecksFailedError


@dataclass(frozen=True)
class Summary:
    """The results of one run by table and by check, and where the tables are."""

    tables: list[TableResult]
    checks: list[CheckResult]
    where_to_look: str

    def publish(self) -> None:
        """Save the tables and the checks as artifacts of the run, and emit its events."""
        create_table_artifact(
            [asdict(result) for result in self.tables], key="sparkify-tables", description="Rows by table"
        )
        create_table_artifact(
            [_check_row(result) for result in self.checks], key="sparkify-checks", description="Checks"
        )
        for table in self.tables:
            emit_table_loaded(table)
        for check in self.checks:
            if not check.holds:
                emit_check_failed(check)

    def show(self) -> None:
        """Print the summary."""
        console = Console(highlight=False, soft_wrap=True)
        console.print(_table_grid(self.tables), _check_grid(self.checks))
        for result in self.checks:
            if not result.holds and not result.fails_run:
                console.print(describe(result), markup=False)
        if any(result.rejected for result in self.tables):
            console.print("The rejected records are in the table load_errors, each with its reason.")
        console.print(self.where_to_look, markup=False)

    def raise_for_checks(self) -> None:
        """Fail if a check of severity `error` found rows.

        Raises:
            ChecksFailedError: the message has each rule, the number of rows that break it, and a sample of them.
        """
        failed = [result for result in self.checks if result.fails_run]
        if failed:
            self.show()
            names = ", ".join(result.check for result in failed)
            raise ChecksFailedError("\n".join([f"checks failed: {names}", *map(describe, failed)]))


def describe(result: CheckResult) -> str:
    """Describe what a check found: the rule, the number of rows, and a sample of them."""
    rows = _sample(result)
    more = [f"... and {result.offending - len(rows)} more"] if result.offending > len(rows) else []
    count = f"{result.offending:,} row{'' if result.offending == 1 else 's'}"
    head = f"{result.severity}: {result.check}, broken by {count}. {result.rule}"
    return "\n  ".join([head, *rows, *more])


def _sample(result: CheckResult) -> list[str]:
    return [", ".join(f"{name}={value}" for name, value in row.items()) for row in result.sample]


def _check_row(result: CheckResult) -> dict[str, Any]:
    outcome = "holds" if result.holds else result.severity
    return {"check": result.check, "result": outcome, "rule": result.rule, "rows": result.offending} | (
        {"sample": escape_cell("; ".join(_sample(result)))} if result.sample else {}
    )


def _table_grid(results: list[TableResult]) -> Grid:
    grid = Grid("table", box=SIMPLE_HEAD)
    names = ["staged", "rejected", "inserted", "updated", "removed", "present"]
    if not any(result.removed for result in results):
        names.remove("removed")
    for name in (*names, "seconds"):
        grid.add_column(name, justify="right")
    for result in results:
        counts = (getattr(result, name) for name in names)
        grid.add_row(result.table, *("" if n is None else f"{n:,}" for n in counts), f"{result.seconds:.2f}")
    return grid


def _check_grid(results: list[CheckResult]) -> Grid:
    grid = Grid("check", "result", box=SIMPLE_HEAD)
    grid.add_column("rows that break it", justify="right")
    for result in results:
        grid.add_row(result.check, "holds" if result.holds else result.severity, f"{result.offending:,}")
    return grid

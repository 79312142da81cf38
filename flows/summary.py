"""What a run did: for a person at a terminal, and for the Prefect UI."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from prefect.artifacts import create_table_artifact
from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from flows.artifacts import about_target, artifact_key
from flows.escape import escape_cell, escape_control, escape_markdown
from flows.run_events import emit_check_failed, emit_table_loaded
from flows.terminal import terminal
from tasks.results import CheckResult, StageResult, TableResult
from warehouse.errors import ChecksFailedError
from warehouse.ledger import Opening
from warehouse.target import Target
from warehouse.wording import counted

_NAMED_BATCHES = 3
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Places:
    """Where the tables and the rejected records of a run are, with a command that shows each."""

    tables: str
    rejects: str


@dataclass(frozen=True)
class Summary:
    """The results of one run by source, by table and by check, and where to look for more."""

    target: Target
    sources: list[StageResult]
    tables: list[TableResult]
    checks: list[CheckResult]
    where_to_look: Places
    opening: Opening | None = None

    def published(self) -> Self:
        """Publish the summary, and return it.

        Raises:
            ChecksFailedError: a check of severity `error` found rows.
        """
        self.publish()
        self.raise_for_checks()
        return self

    def publish(self) -> None:
        """Save sources, tables and checks as artifacts of the run, and emit its events."""
        artifacts = {
            "sources": ("Files by source", [_source_row(result) for result in self.sources]),
            "tables": ("Rows by table", [asdict(result) for result in self.tables]),
            "checks": ("Checks", [_check_row(result) for result in self.checks]),
        }
        about = escape_markdown(f"Of {about_target(self.target)}{f', batch {self.batch}' if self.batch else ''}.")
        for name, (title, rows) in artifacts.items():
            key = artifact_key(f"sparkify {name}", self.target)
            create_table_artifact(rows, key=key, description=f"{title}\n\n{about}")
        for table in self.tables:
            emit_table_loaded(table)
        for check in self.checks:
            if not check.holds:
                emit_check_failed(check)

    def show(self) -> None:
        """Print the summary."""
        console = terminal()
        if self.sources:
            console.print(_source_grid(self.sources), self.headline)
        if self.tables:
            console.print(_table_grid(self.tables))
        if self.checks:
            console.print(_outcome(self.checks))
        for result in self.checks:
            if not result.holds and not result.fails_run:
                console.print(escape_control(describe(result)), markup=False)
        if any(result.rejected for result in self.sources):
            console.print(f"{self.where_to_look.rejects} --batch {self.batch}", markup=False)
        console.print(self.where_to_look.tables, markup=False)

    @property
    def batch(self) -> int:
        """The number of the batch; 0 if the run had none."""
        return self.opening.batch if self.opening else 0

    @property
    def headline(self) -> str:
        """Say which batch was loaded, or that there was nothing to load."""
        if any(result.fails_run for each in self.sources for result in each.checks):
            return "The new files break a rule, so they were not added to history."
        if any(each.is_news for each in self.sources):
            return f"The new files are batch {self.batch}."
        newest = self.opening and self.opening.newest
        when = f" ({newest:%-d %b %Y %H:%M} UTC)" if newest else ""
        return f"Nothing is new since batch {self.batch - 1}{when}, and all tables are up to date."

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
    head = f"{result.severity}: {result.check}, broken by {counted(result.offending, 'row')}. {result.rule}"
    return "\n  ".join([head, *rows, *more, *_suspects(result.unchecked)])


def _suspects(batches: Sequence[int]) -> list[str]:
    """Name the batches that may have broken a rule, and what to do about the newest."""
    if not batches:
        return []
    names = ", ".join(map(str, batches[-_NAMED_BATCHES:]))
    look, undo = (f"`python -m flows.{name} --batch {batches[-1]}`" for name in ("history", "undo"))
    return [f"Loaded since all checks held: batch {names}. {look} lists its files, {undo} takes it back"]


def _sample(result: CheckResult) -> list[str]:
    return [", ".join(f"{name}={value}" for name, value in row.items()) for row in result.sample]


def _check_row(result: CheckResult) -> dict[str, Any]:
    outcome = "holds" if result.holds else result.severity
    return {"check": result.check, "result": outcome, "rule": result.rule, "rows": result.offending} | (
        {"sample": escape_cell("; ".join(_sample(result)))} if result.sample else {}
    )


def _source_row(result: StageResult) -> dict[str, Any]:
    values = {name: value for name, value in asdict(result).items() if name not in ("checks", "is_news")}
    return values | ({"rejected": _UNKNOWN} if result.rejected is None else {})


def _source_grid(results: list[StageResult]) -> Grid:
    grid = Grid("source", box=SIMPLE_HEAD)
    names = ["new", "changed", "known", "set_aside", "gone", "staged", "rejected"]
    return _with_counts(grid, [(r.source, r) for r in results], names)


def _table_grid(results: list[TableResult]) -> Grid:
    grid = Grid("table", box=SIMPLE_HEAD)
    return _with_counts(grid, [(r.table, r) for r in results], ["inserted", "updated", "removed", "present"])


def _with_counts(grid: Grid, rows: list[tuple[str, Any]], names: list[str]) -> Grid:
    for name in (*names, "seconds"):
        grid.add_column(name.replace("_", " "), justify="right")
    for title, result in rows:
        counts = (getattr(result, name) for name in names)
        cells = (_UNKNOWN if count is None else f"{count:,}" for count in counts)
        grid.add_row(title, *cells, f"{result.seconds:.2f}")
    return grid


def _outcome(results: list[CheckResult]) -> str:
    held = sum(result.holds for result in results)
    return f"All {held} checks hold." if held == len(results) else f"{held} of {len(results)} checks hold."

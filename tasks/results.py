"""The results that tasks return."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warehouse.checks import Severity
from warehouse.tables import Table


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """Rows of a fact or dimension: those that a run inserted, updated and removed, and those that are present."""

    table: str
    inserted: int
    updated: int
    removed: int
    present: int
    seconds: float


@dataclass(frozen=True)
class CheckResult:
    """A rule, the number of rows that break it, and a sample of them.

    `unchecked` are the batches that were loaded since all rules held, if this one broke.
    """

    check: str
    rule: str
    severity: Severity
    offending: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)
    unchecked: Sequence[int] = ()

    @property
    def holds(self) -> bool:
        return self.offending == 0

    @property
    def fails_run(self) -> bool:
        return not self.holds and self.severity == "error"


@dataclass(frozen=True)
class TableContent:
    """How many rows a table has, when it was last loaded, and a few of its rows."""

    table: Table
    rows: int
    loaded_at: datetime | None
    sample: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a run staged from a source: its files by what is known of them, its records, and what audits found.

    `is_news` if anything was loaded or set aside. `rejected` is None where Redshift has not reported it.
    """

    table: str
    source: str
    is_news: bool
    new: int
    changed: int
    known: int
    set_aside: int
    gone: int
    staged: int
    rejected: int | None
    seconds: float
    checks: list[CheckResult] = field(default_factory=list)

"""The results that tasks return."""

from dataclasses import dataclass, field
from typing import Any

from warehouse.checks import Severity


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """Row counts of a table in a run: staged or rejected by COPY; inserted, updated or removed by a load; present."""

    table: str
    staged: int | None = None
    rejected: int | None = None
    inserted: int | None = None
    updated: int | None = None
    removed: int | None = None
    present: int
    seconds: float


@dataclass(frozen=True)
class CheckResult:
    """A rule, the number of rows that break it, and a sample of them."""

    check: str
    rule: str
    severity: Severity
    offending: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.offending == 0

    @property
    def fails_run(self) -> bool:
        return not self.holds and self.severity == "error"

"""The report's dictionary: what each table and column means, where it comes from, and whether it can be trusted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sql import catalog
from tasks.answer import Answers
from tasks.results import CheckResult, TableContent
from warehouse.tables import Table


@dataclass(frozen=True)
class Entry:
    """A table with what it holds, the tables or the source that it is made from, and the checks that read it."""

    content: TableContent
    made_from: list[str]
    checks: list[CheckResult]

    @property
    def table(self) -> Table:
        return self.content.table

    @property
    def broken(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.holds]


def dictionary(answers: Answers) -> list[Entry]:
    """Return an entry for each table that the answers have looked into."""
    read = {check.name: tables_in(check.select) for check in catalog.CHECKS}
    return [
        Entry(
            content,
            sorted(_origins(content.table)),
            [result for result in answers.checks if content.table.name in read.get(result.check, set())],
        )
        for content in answers.tables
    ]


def tables_in(select: str) -> set[str]:
    """Return the tables of the catalogue that a SELECT reads."""
    code = re.sub(r"--.*", "", select)
    return set(re.findall(r"\b(?:from|join)\s+(?:arrived_|touched_)?(\w+)", code)) & {
        table.name for table in catalog.TABLES
    }


def _origins(table: Table) -> Iterator[str]:
    """Yield where a table's rows come from: other tables, or files of a source."""
    yield from tables_in(table.select)
    for staging in catalog.STAGING:
        if staging.history and table == staging:
            yield f"files of {staging.history.source}"
        if table == staging.history:
            yield staging.name

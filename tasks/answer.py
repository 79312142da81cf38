"""Ask the warehouse questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect import task
from sqlalchemy import Connection

from tasks.check import offending_rows
from tasks.results import CheckResult
from tasks.retries import RETRIES
from warehouse.checks import Check
from warehouse.connect import open_warehouse
from warehouse.questions import Answer, Question, python_value
from warehouse.target import Target


@dataclass(frozen=True)
class Answers:
    """What the warehouse answered at one moment, whether its rules hold, and when it was last loaded.

    Times are in UTC. While a load is running, `loaded_at` is in the future: it is when the lease expires.
    """

    items: list[Answer]
    checks: list[CheckResult]
    asked_at: datetime
    loaded_at: datetime | None = None

    @property
    def broken(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.holds]

    @property
    def is_loading(self) -> bool:
        return self.loaded_at is not None and self.loaded_at > self.asked_at


@task(task_run_name="answer", **RETRIES)
def answer(target: Target, tables: Sequence[str], checks: Sequence[Check], questions: Sequence[Question]) -> Answers:
    """Answer questions about tables, and check rules. One read-only transaction, without the lease.

    If the tables do not exist yet, no question has an answer and no rule is checked.
    """
    warehouse = open_warehouse(target)
    with warehouse.reading() as connection:
        asked_at = connection.exec_driver_sql("select getdate()").scalar_one()
        if not all(warehouse.columns(connection, name) for name in tables):
            return Answers([Answer(question) for question in questions], [], asked_at)
        return Answers(
            [ask(connection, question) for question in questions],
            [offending_rows(connection, each) for each in checks],
            asked_at,
            connection.exec_driver_sql("select max(expires_at) from run_lease").scalar_one(),
        )


def ask(connection: Connection, question: Question) -> Answer:
    """Return the rows that answer a question."""
    result = connection.exec_driver_sql(question.select)
    columns = tuple(result.keys())
    rows = (dict(zip(columns, map(python_value, row), strict=True)) for row in result)
    return Answer(question, columns, tuple(rows))

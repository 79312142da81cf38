"""Ask the warehouse questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

from prefect import task
from sqlalchemy import Connection

from tasks.check import offending_rows
from tasks.results import CheckResult, TableContent
from tasks.retries import RETRIES
from warehouse.base import Warehouse
from warehouse.checks import Check
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.questions import Answer, Choice, Question, python_value
from warehouse.tables import Table
from warehouse.target import Target

SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Answers:
    """What the warehouse answered at one moment, whether its rules hold, and when it was last loaded.

    `filters` are the choices that a reader has, and `filtered` the answers for each choice, or choices together, that
    changes them. Times are in UTC. While a load is running, `loaded_at` is in the future: it is when the lease expires.
    """

    items: list[Answer]
    checks: list[CheckResult]
    asked_at: datetime
    loaded_at: datetime | None = None
    filters: dict[str, list[Choice]] = field(default_factory=dict)
    filtered: list[Answer] = field(default_factory=list)
    tables: list[TableContent] = field(default_factory=list)

    @property
    def broken(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.holds]

    @property
    def is_loading(self) -> bool:
        return self.loaded_at is not None and self.loaded_at > self.asked_at


@task(task_run_name="answer", **RETRIES)
def answer(
    target: Target,
    tables: Sequence[Table],
    checks: Sequence[Check],
    questions: Sequence[Question],
    filters: Mapping[str, Sequence[Choice]] | None = None,
) -> Answers:
    """Answer questions about tables, and check rules. One read-only transaction, without the lease.

    Answers the questions also for each choice that a filter has. One that leaves the answer to the first question as it
    is, or without rows, is not offered.

    Raises:
        PermanentError: the schema lacks tables or columns. The message names them.
    """
    warehouse = open_warehouse(target)
    with warehouse.reading() as connection:
        _refuse_other_tables(warehouse, connection, tables)
        items = [ask(connection, question) for question in questions]
        offered = {
            name: [each for each in choices if _matters(connection, items[0], each)]
            for name, choices in (filters or {}).items()
        }
        return Answers(
            items,
            [offending_rows(connection, each) for each in checks],
            connection.exec_driver_sql("select getdate()").scalar_one(),
            connection.exec_driver_sql("select max(expires_at) from run_lease").scalar_one(),
            {name: choices for name, choices in offered.items() if choices},
            [ask(connection, question) for question in _restricted(questions, offered)],
            [_content(connection, table) for table in tables],
        )


def combinations(filters: Mapping[str, Sequence[Choice]]) -> list[tuple[Choice, ...]]:
    """Return what a reader may choose: of each filter nothing or one choice. The first is nothing at all."""
    chosen = product(*([(), *((choice,) for choice in choices)] for choices in filters.values()))
    return [tuple(choice for one in each for choice in one) for each in chosen]


def _restricted(questions: Sequence[Question], filters: Mapping[str, Sequence[Choice]]) -> list[Question]:
    """Return each question with each combination of choices that it takes."""
    asked = (question.chosen(choices) for question in questions for choices in combinations(filters))
    return [question for question in dict.fromkeys(asked) if question.choices]


def _content(connection: Connection, table: Table) -> TableContent:
    """Look into a table. What is copied from a source is as new as the source's newest batch."""
    rows = connection.exec_driver_sql(f"select count(*) from {table.name}").scalar_one()
    source = table.history.source if table.history else table.source
    loaded = f"select max(loaded_at) from batches where source = '{source}' or '' = '{source}'"
    if table.select:
        loaded = f"select max(loaded_at) from table_loads where table_name = '{table.name}'"
    sample = connection.exec_driver_sql(f"select * from {table.name} limit {SAMPLE_ROWS}").mappings()
    found = [{name: python_value(value) for name, value in row.items()} for row in sample]
    return TableContent(table, rows, connection.exec_driver_sql(loaded).scalar_one(), found)


def _matters(connection: Connection, first: Answer, choice: Choice) -> bool:
    rows = ask(connection, first.question.chosen([choice])).rows
    return bool(rows) and rows != first.rows


def _refuse_other_tables(warehouse: Warehouse, connection: Connection, tables: Sequence[Table]) -> None:
    lacking = []
    for table in tables:
        present = {column.name for column in warehouse.columns(connection, table.name)}
        missing = [column.name for column in table.columns if column.name not in present]
        if not present:
            lacking.append(f"no table {table.name}")
        elif missing:
            lacking.append(f"a table {table.name} without {', '.join(missing)}")
    if lacking:
        raise PermanentError(
            f"schema {warehouse.target.schema}: the pipeline never loaded it ({'; '.join(lacking)}). "
            "Load it first, or name another warehouse or schema"
        )


def ask(connection: Connection, question: Question) -> Answer:
    """Return the rows that answer a question."""
    result = connection.exec_driver_sql(question.select)
    columns = tuple(result.keys())
    rows = (dict(zip(columns, map(python_value, row), strict=True)) for row in result)
    return Answer(question, columns, tuple(rows))

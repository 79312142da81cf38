"""Questions to a warehouse, each in an SQL file, and the rows that answer them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any

from warehouse.errors import PermanentError

Row = dict[str, Any]

HEAD = ("title", "question", "chart", "x", "y", "value", "series", "headline", "nothing")
CHARTS = ("figures", "lines", "columns", "bars", "heatmap", "table")


@dataclass(frozen=True)
class Axis:
    """A column that a chart shows, and its label: the meaning and the unit."""

    column: str
    label: str


@dataclass(frozen=True)
class Question:
    """A file that asks one question: a head of `-- word: text` lines, then the SELECT that answers it.

    The head has a title, the question in words, the kind of chart, its axes as `column (label)`, the headline, which
    is a sentence with placeholders that the rows fill (see `Answer.headline`), and `nothing`, the sentence to use
    instead if there are no rows. The file's name, without the number that orders the questions, is the question's
    name.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem.partition("_")[2]

    @cached_property
    def select(self) -> str:
        return self.path.read_text(encoding="utf-8").strip().removesuffix(";")

    @cached_property
    def head(self) -> dict[str, str]:
        """The lines of the head, by their first word.

        Raises:
            PermanentError: a line is missing or unknown, or the kind of chart is.
        """
        lines = re.match(r"(?:-- .*\n)*", self.select)
        head = dict(re.findall(r"-- (\w+): (.+)", lines[0] if lines else ""))
        missing = [word for word in ("title", "question", "chart", "headline") if word not in head]
        unknown = [word for word in head if word not in HEAD]
        problems = []
        if missing:
            problems.append(f"the head lacks {', '.join(missing)}. Add a line for each")
        if unknown:
            problems.append(f"the head has unknown lines ({', '.join(unknown)}). Use only {', '.join(HEAD)}")
        if "chart" in head and head["chart"] not in CHARTS:
            problems.append(f"the chart {head['chart']!r} is unknown. Use one of {', '.join(CHARTS)}")
        if problems:
            raise PermanentError("\n".join(f"{self.path.name}: {problem}" for problem in problems))
        return head

    @property
    def title(self) -> str:
        return self.head["title"]

    @property
    def chart(self) -> str:
        return self.head["chart"]

    def axes(self, word: str) -> list[Axis]:
        """Return the columns that the head's line `word` names, in order."""
        return [Axis(*pair) for pair in re.findall(r"(\w+) \(([^)]*)\)", self.head.get(word, ""))]

    @property
    def series(self) -> str | None:
        """The column whose values are drawn as separate series."""
        return self.head.get("series")


@dataclass(frozen=True)
class Answer:
    """The rows that answer a question, and the names of their columns."""

    question: Question
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def headline(self) -> str:
        """The question's headline, filled from the rows.

        Its placeholders are `{first[column]}`, `{last[column]}`, `{peak[column][other]}` (from the row where column
        is highest), `{total[column]}`, `{ratio[column/other]}` of two totals in percent, and `{each[name column]}`.
        If a placeholder's format is a word, as in `{total[plays]:play}`, it is counted: "1 play", "2,000 plays".
        """
        if not self.rows:
            return self.question.head.get("nothing", "There is no data for this yet.")
        return _Sentence().format(self.question.head["headline"], **self._placeholders())

    def _placeholders(self) -> dict[str, object]:
        return {
            "first": self.rows[0],
            "last": self.rows[-1],
            "peak": _Lookup(lambda column: max(self.rows, key=lambda row: _number(row[column]))),
            "total": _Lookup(self._total),
            "ratio": _Lookup(self._ratio),
            "each": _Lookup(self._each),
        }

    def _total(self, column: str) -> float:
        return sum(_number(row[column]) for row in self.rows)

    def _ratio(self, columns: str) -> float:
        part, whole = (self._total(column) for column in columns.split("/"))
        return 100 * part / whole if whole else 0.0

    def _each(self, columns: str) -> str:
        name, column = columns.split()
        return ", ".join(f"{row[name]} {readable(row[column])}" for row in self.rows)


class _Lookup:
    """Answers `[key]` with the result of a function."""

    def __init__(self, function: Callable[[str], object]) -> None:
        self.function = function

    def __getitem__(self, key: str) -> object:
        return self.function(key)


class _Sentence(Formatter):
    """Formats numbers with separators, days by name, and counts of things."""

    def format_field(self, value: object, format_spec: str) -> str:
        if format_spec.isalpha():
            return f"{readable(value)} {format_spec}{'' if value == 1 else 's'}"
        if isinstance(value, date):
            return f"{value.day} {value:%B %Y}"
        return str(format(value, format_spec)) if format_spec else readable(value)


def readable(value: object) -> str:
    """Return a value as people read it, with separators and at most one decimal; `-` for NULL."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}".removesuffix(".0")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def python_value(value: object) -> object:
    """Return a database value with a Decimal turned into an int or a float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0

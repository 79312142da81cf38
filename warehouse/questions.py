"""Questions to a warehouse, each in an SQL file, and the rows that answer them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from string import Formatter
from textwrap import indent
from typing import Any, Self

from warehouse.errors import PermanentError

Row = dict[str, Any]

HEAD = (
    "title", "question", "section", "chart", "x", "y", "value", "series", "mark", "with", "whole", "rank", "few",
    "headline", "nothing",
)  # fmt: skip
CHARTS = ("figures", "lines", "columns", "bars", "heatmap", "signs", "table")
FEW = 20
"""A group with fewer members than this is too small to be compared."""


@dataclass(frozen=True)
class Axis:
    """A column that a chart shows, and its label: the meaning and the unit."""

    column: str
    label: str


@dataclass(frozen=True)
class Choice:
    """What a reader may restrict the answers to: a condition on a column of the views that questions read."""

    name: str
    column: str
    condition: str


@dataclass(frozen=True)
class Question:
    """A file that asks one question: a head of `-- word: text` lines, then the SELECT that answers it.

    The head has a title, the question in words, the section of the page, the kind of chart, its axes as `column
    (label)`, the headline, which is a sentence with placeholders that the rows fill (see `Answer.headline`), and
    `nothing`, the sentence to use instead if there are no rows. `with` names views that the SELECT reads: files in the
    folder `views` beside it. `rank` is the column by which the headline calls something the most, `few` the column with
    the size of each group that it compares, and `mark` one in which "no" sets a bar apart. `whole` names columns of the
    views whose choices the question does not take, because it compares their values. The file's name, without the
    number that orders the questions, is the question's name.
    """

    path: Path
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        return self.path.stem.partition("_")[2]

    @cached_property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8").strip().removesuffix(";")

    @cached_property
    def _lines(self) -> dict[str, str]:
        return dict(re.findall(r"-- (\w+): (.+)", _comments(self._text)))

    @property
    def views(self) -> list[Path]:
        """The files of the views that the SELECT reads."""
        return [self.path.parent / f"views/{name}.sql" for name in re.findall(r"\w+", self._lines.get("with", ""))]

    @cached_property
    def select(self) -> str:
        """The statement that answers the question, complete: the views that it reads stand before it."""
        if not self.views:
            return self._text
        tables = ",\n\n".join(
            f"{path.stem} as (\n{indent(_chosen(path, self.choices), '    ')}\n)" for path in self.views
        )
        comments = _comments(self._text)
        body = self._text.removeprefix(comments)
        more = ",\n\n" if body.startswith("with ") else "\n\n"
        return f"{comments}with {tables}{more}{body.removeprefix('with ')}"

    def chosen(self, choices: Iterable[Choice]) -> Self:
        """Return the question about the rows of its views that meet those of the choices which it takes."""
        whole = re.findall(r"\w+", self.head.get("whole", ""))
        columns = {column for path in self.views for column in _filtered(path)} - {*whole}
        return replace(self, choices=tuple(choice for choice in choices if choice.column in columns))

    @cached_property
    def head(self) -> dict[str, str]:
        """The lines of the head, by their first word.

        Raises:
            PermanentError: a line is missing or unknown, or the kind of chart is.
        """
        head = self._lines
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
    def section(self) -> str:
        return self.head.get("section", "")

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


def _comments(text: str) -> str:
    """Return the lines of comments that a text begins with."""
    lines = re.match(r"(?:-- .*\n)*", text)
    return lines[0] if lines else ""


def _filtered(view: Path) -> list[str]:
    """Return the columns of a view by which its rows may be chosen, as its head tells."""
    return re.findall(r"\w+", dict(re.findall(r"-- (\w+): (.+)", view.read_text(encoding="utf-8"))).get("filters", ""))


def _chosen(view: Path, choices: Iterable[Choice]) -> str:
    """Return a view's SELECT of the rows that meet the choices of columns that it has."""
    text = view.read_text(encoding="utf-8").strip()
    conditions = [choice.condition for choice in choices if choice.column in _filtered(view)]
    if not conditions:
        return text
    return f"select *\nfrom (\n{indent(text, '    ')}\n) as {view.stem}_of_all\nwhere " + "\n    and ".join(conditions)


@dataclass(frozen=True)
class Answer:
    """The rows that answer a question, and the names of their columns."""

    question: Question
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def headline(self) -> str:
        """The question's headline, filled from the rows, with what limits it.

        Its placeholders are `{first[column]}`, `{last[column]}`, `{peak[column][other]}` (from the row where column
        is highest), `{total[column]}`, `{ratio[column/other]}` of two totals in percent, and `{each[name column
        size]:thing}`, a list of each row's name and value with the number of things that it rests on. If another
        placeholder's format is a word, as in `{total[plays]:play}`, it is counted: "1 play", "2,000 plays".
        """
        if not self.rows:
            return self.question.head.get("nothing", "There is no data for this yet.")
        sentence = _Sentence().format(self.question.head["headline"], **self._placeholders())
        return " ".join(filter(None, [sentence, self._tie(), self._few()]))

    def _tie(self) -> str:
        """Say how many others have as much as what the headline calls the most."""
        column = self.question.head.get("rank")
        if not column:
            return ""
        most = max(_number(row[column]) for row in self.rows)
        ties = {self._group(row) for row in self.rows if _number(row[column]) == most}
        others = len(ties) - 1
        return f"{others} other{' has' if others == 1 else 's have'} as much." if others else ""

    def _few(self) -> str:
        """Say how many of the groups that the headline compares are too small for that."""
        column = self.question.head.get("few")
        if not column:
            return ""
        sizes = {self._group(row): row[column] for row in self.rows}
        few = sum(size < FEW for size in sizes.values())
        verb = "is" if few == 1 else "are"
        return (
            f"{few} of {len(sizes)} groups {verb} too small to compare (fewer than {FEW} {column.replace('_', ' ')})."
            if few
            else ""
        )

    def _group(self, row: Row) -> tuple[Any, ...]:
        """Return what tells a row's bar, cell or point from others."""
        words = {"bars": ("y",), "heatmap": ("y",) if "few" in self.question.head else ("x", "y")}
        axes = (axis for word in words.get(self.question.chart, ("x",)) for axis in self.question.axes(word))
        return tuple(row[axis.column] for axis in axes)

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

    def _each(self, columns: str) -> list[tuple[str, object, object]]:
        name, column, size = columns.split()
        return [(row[name], row[column], row[size]) for row in self.rows]


class _Lookup:
    """Answers `[key]` with the result of a function."""

    def __init__(self, function: Callable[[str], object]) -> None:
        self.function = function

    def __getitem__(self, key: str) -> object:
        return self.function(key)


class _Sentence(Formatter):
    """Formats numbers with separators, days by name, and counts of things."""

    def format_field(self, value: object, format_spec: str) -> str:
        if isinstance(value, list):
            return ", ".join(
                f"{name} {readable(each)} ({self.format_field(n, format_spec)})" for name, each, n in value
            )
        if format_spec.isalpha():
            number = "an unknown number of" if value is None else readable(value)
            return f"{number} {format_spec}{'' if value == 1 else 's'}"
        if isinstance(value, date):
            return day_name(value)
        return str(format(value, format_spec)) if format_spec else readable(value)


def day_name(day: date) -> str:
    """Return a day as people write it."""
    return f"{day.day} {day:%B %Y}"


def readable(value: object) -> str:
    """Return a value as people read it, with separators and one decimal, below 1 two digits; `-` for NULL."""
    if value is None:
        return "-"
    if isinstance(value, float):
        text = f"{float(f'{value:.2g}'):.9f}".rstrip("0") if abs(value) < 1 else f"{value:,.1f}".removesuffix(".0")
        return text.removesuffix(".")
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

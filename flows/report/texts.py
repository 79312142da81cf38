"""How values are written: numbers with their units, and texts in a broken encoding repaired."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from typing import TypeGuard

from warehouse.questions import Answer, readable

MARK = "\N{DOUBLE DAGGER}"


class Repaired(str):
    """A text that arrived in a broken encoding: repaired, with a mark behind it. `loaded` is what arrived."""

    loaded: str

    def __new__(cls, text: str, loaded: str) -> "Repaired":
        repaired = super().__new__(cls, f"{text}{MARK}")
        repaired.loaded = loaded
        return repaired


def with_repairs(answer: Answer) -> Answer:
    """Return the answer with its broken texts repaired and marked."""
    return replace(answer, rows=tuple({name: _value(value) for name, value in row.items()} for row in answer.rows))


def repaired(text: str) -> str:
    """Return a text as it was before UTF-8 was read as Latin-1, however often; other texts unchanged."""
    for encoding in ("latin-1", "cp1252"):
        try:
            before = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return text if before == text else repaired(before)
    return text


def shown(column: str, value: object) -> str:
    """Return a value as people read it, with a percent sign if its column has percentages."""
    return f"{readable(value)} %" if column.startswith("percent") and value is not None else readable(value)


def loaded_texts(answers: Iterable[Answer]) -> set[str]:
    """Return the broken texts in answers, as they arrived."""
    return {value.loaded for each in answers for row in each.rows for value in row.values() if is_repaired(value)}


def csv_of(answer: Answer) -> str:
    """Return the rows as CSV, with texts as they arrived."""
    text = StringIO()
    rows = csv.writer(text)
    rows.writerow(answer.columns)
    rows.writerows([value.loaded if is_repaired(value) else value for value in row.values()] for row in answer.rows)
    return text.getvalue()


def is_repaired(value: object) -> TypeGuard[Repaired]:
    """Say whether a value is a text that arrived broken."""
    return isinstance(value, Repaired)


def _value(value: object) -> object:
    return Repaired(repaired(value), value) if isinstance(value, str) and repaired(value) != value else value

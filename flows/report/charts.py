"""Draws answers as charts: HTML and SVG without a script, as wide as the page lets them be."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import ceil, log10
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flows.report.texts import shown
from warehouse.questions import Answer, Axis, Row, day_name

PLANS = ("free", "paid")
"""The plans, which have a colour each. Every measure that is not split by plan has the accent."""
STRONGEST = 54
"""Percentage of a cell's colour that is the accent at the highest value: a number on it stays legible."""
MANY_DAYS = 62  # lines over more days have no dots
MANY_TIPS = 400  # nobody can point at one of more places
FEW_COLUMNS = 14  # of cells, which then have room for their numbers
MANY_NAMES = 10  # more names of columns would run into each other on a phone
SIGNS = {"holds": "\N{MIDDLE DOT}", "warns": "!", "breaks": "\N{MULTIPLICATION SIGN}"}
"""What stands for a check's result, so that nobody needs colours to tell them apart."""

STYLE = (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Panel:
    """One measure over all places of the x axis. Sizes are percentages of the height; x counts places."""

    label: str
    ticks: Mapping[str, float]
    lines: list[tuple[str, str]]
    columns: list[tuple[str, int, float, float]]
    tips: list[str]


@dataclass(frozen=True)
class Panels:
    """Panels over the same places, and the names of some places."""

    panels: list[Panel]
    count: int
    names: Mapping[str, float]
    caption: str
    series: list[str]
    unknown: list[tuple[float, float]]
    is_dated: bool


def templates() -> Environment:
    """Return the report's templates. Everything from the data is escaped."""
    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)


_MACROS: Any = templates().get_template("charts.html").module


def chart(answer: Answer) -> Markup:
    """Draw an answer as its question's kind of chart. Returns "" if there is nothing to draw."""
    draw = _CHARTS.get(answer.question.chart)
    return Markup(draw(answer)) if draw and answer.rows else Markup("")


def _lines(answer: Answer) -> str:
    """Lines over days, one panel per measure. They break at days without rows, of which nothing is known."""
    (x,) = answer.question.axes("x")
    known = {row[x.column] for row in answer.rows}
    days = _days_between(known)

    def panel(measure: Axis) -> Panel:
        none = None if _is_percent(measure) else 0  # a percentage of nothing is undefined, not zero
        values: dict[str, list[float | None]] = {}
        for name, rows in _series(answer).items():
            found = {row[x.column]: row[measure.column] for row in rows}
            values[name] = [found.get(day, none) if day in known else None for day in days]
        top, ticks = _scale(measure, answer, (v for each in values.values() for v in each if v is not None))
        lines = [(_colour(name), _path(numbers, top)) for name, numbers in values.items()]
        tips = [
            _tip(day_name(day), measure, {name: numbers[n] for name, numbers in values.items()})
            for n, day in enumerate(days)
        ]
        return Panel(measure.label, ticks, lines, [], tips)

    return _drawn(answer, [panel(measure) for measure in answer.question.axes("y")], sorted(known))


def _columns(answer: Answer) -> str:
    """Columns in the order of the rows, one panel per measure, with series stacked."""
    (x,) = answer.question.axes("x")
    known = list(dict.fromkeys(row[x.column] for row in answer.rows))
    gap = _gap(known) if isinstance(known[0], date) else 0
    places = _days_between(known, gap) if gap else known

    def panel(measure: Axis) -> Panel:
        values = {name: {row[x.column]: row[measure.column] for row in rows} for name, rows in _series(answer).items()}
        totals = [sum(found.get(place) or 0 for found in values.values()) for place in places]
        top, ticks = _scale(measure, answer, totals)
        columns, floors = [], dict.fromkeys(places, 0.0)
        for name, found in values.items():
            for n, place in enumerate(places):
                if height := 100 * (found.get(place) or 0) / top:
                    columns.append((_colour(name), n, _round(floors[place]), _round(height)))
                    floors[place] += height
        tips = [
            _tip(
                day_name(place) if gap else place,
                measure,
                {name: found.get(place) for name, found in values.items() if len(values) == 1 or place in found},
            )
            for place in places
        ]
        return Panel(measure.label, ticks, [], columns, tips)

    return _drawn(answer, [panel(measure) for measure in answer.question.axes("y")], known)


def _drawn(answer: Answer, panels: list[Panel], known: list[date] | list[str]) -> str:
    """Draw panels over days from the first to the last known, or over names."""
    (x,) = answer.question.axes("x")
    series = [name for name in _series(answer) if name]
    if not isinstance(known[0], date):
        step = ceil(len(known) / MANY_NAMES)
        middles = {str(name): (n + 0.5) * 100 / len(known) for n, name in enumerate(known) if n % step == 0}
        return str(_MACROS.panels(Panels(panels, len(known), middles, x.label, series, [], is_dated=False), MANY_TIPS))
    days = [day for day in known if isinstance(day, date)]
    gap = _gap(days)
    first, last = days[0], days[-1]
    count = (last - first).days // gap + 1
    unknown = [(100 * start / count, 100 * length / count) for start, length in _unknown(days)] if gap == 1 else []
    names = {name: ((day - first).days / gap + 0.5) * 100 / count for name, day in _ticks(days, gap).items()}
    years = str(first.year) if first.year == last.year else f"{first.year}\N{EN DASH}{last.year}"
    caption = f"{x.label}, {years}{'. Hatched: no data' if unknown else ''}"
    return str(_MACROS.panels(Panels(panels, count, names, caption, series, unknown, is_dated=True), MANY_TIPS))


def _bars(answer: Answer) -> str:
    """Horizontal bars, one for each row, one column per measure. A bar whose mark is "no" is open."""
    measures = answer.question.axes("x")
    highest = {m.column: max((float(row[m.column] or 0) for row in answer.rows), default=0) or 1 for m in measures}
    rows = [
        (
            _label(answer, row),
            f"{_colour(str(row.get('level')) if row.get('level') in PLANS else '')}{' open' * _is_open(answer, row)}",
            [
                (_round(100 * float(row[m.column] or 0) / highest[m.column]), shown(m.column, row[m.column]))
                for m in measures
            ],
        )
        for row in answer.rows
    ]
    marks = [axis.label for axis in answer.question.axes("mark") if any(_is_open(answer, row) for row in answer.rows)]
    return str(_MACROS.bars([m.label for m in measures], rows, _axis_label(answer), marks))


def _heatmap(answer: Answer) -> str:
    """Cells whose colour is stronger the higher their value is. A pair without a row is hatched: nothing is known."""
    (x,), (value,) = (answer.question.axes(word) for word in ("x", "value"))
    highest = max(float(row[value.column]) for row in answer.rows) or 1
    found = {(_label(answer, row), row[x.column]): row[value.column] for row in answer.rows}
    places = range(min(column for _, column in found), max(column for _, column in found) + 1)

    def cell(label: str, column: int) -> tuple[float | None, str, str]:
        if (label, column) not in found:
            return None, "", ""
        amount = found[label, column]
        number = shown(value.column, amount)
        share = _round(4 + (STRONGEST - 4) * float(amount) / highest)
        return share, number, f"{label}, {x.label} {column}, {value.label}: {number}"

    rows = [(label, [cell(label, column) for column in places]) for label in dict.fromkeys(label for label, _ in found)]
    is_known = all(share is not None for _, cells in rows for share, *_ in cells)
    caption = f"{x.label}. Colour: {value.label}. The strongest: {shown(value.column, highest)}."
    caption += "" if is_known else " Hatched: no data."
    has_numbers = len(places) <= FEW_COLUMNS
    return str(_MACROS.cells(places, rows, _axis_label(answer), caption, has_numbers))


def _signs(answer: Answer) -> str:
    """A sign for each result, by time. A pair without a row is hatched: nothing was checked."""
    (x,), (value,) = (answer.question.axes(word) for word in ("x", "value"))
    found = {(_label(answer, row), row[x.column]): row for row in answer.rows}
    times = sorted({time for _, time in found})
    names = [f"{time.day} {time:%b %H:%M}" for time in times]

    def cell(label: str, time: datetime, name: str) -> tuple[str, str, str]:
        row = found.get((label, time))
        if not row:
            return "unknown", "", f"{label}, {name}: not checked"
        result, number = row[str(answer.question.series)], shown(value.column, row[value.column])
        return result, SIGNS[result], f"{label}, {name}: {result}, {value.label}: {number}"

    pairs = list(zip(times, names, strict=True))
    rows = [(label, [cell(label, *pair) for pair in pairs]) for label in dict.fromkeys(label for label, _ in found)]
    legend = ", ".join(f"{sign} {result}" for result, sign in SIGNS.items())
    caption = f"{x.label}. {legend}.{' Hatched: not checked.' if len(found) < len(rows) * len(times) else ''}"
    return str(_MACROS.signs(names, rows, _axis_label(answer), caption))


_CHARTS: dict[str, Callable[[Answer], str]] = {
    "lines": _lines,
    "columns": _columns,
    "bars": _bars,
    "heatmap": _heatmap,
    "signs": _signs,
}


def _series(answer: Answer) -> dict[str, list[Row]]:
    """Return each plan's rows by its name; without series, all rows."""
    column = answer.question.series
    if not column:
        return {"": list(answer.rows)}
    names = sorted({str(row[column]) for row in answer.rows})
    return {name: [row for row in answer.rows if str(row[column]) == name] for name in names}


def _colour(name: str) -> str:
    """Return the class of a series: the plan, the accent of a single one, or quiet."""
    return name if name in PLANS else "quiet" if name else "accent"


def _path(numbers: list[float | None], top: float) -> str:
    """Return a line through the middles of places, with a dot at each of few, and at one without a neighbour."""
    drawn, gaps = "", [True, *(number is None for number in numbers), True]
    for n, number in enumerate(numbers):
        if number is not None:
            drawn += f"{'M' if gaps[n] else 'L'}{n + 0.5:g} {_round(100 - 100 * number / top):g}"
    dots = [
        f"M{n + 0.5:g} {_round(100 - 100 * number / top):g}h0"
        for n, number in enumerate(numbers)
        if number is not None and (len(numbers) <= MANY_DAYS or (gaps[n] and gaps[n + 2]))
    ]
    return f"{drawn}|{''.join(dots)}"


def _scale(measure: Axis, answer: Answer, numbers: Iterable[float]) -> tuple[float, dict[str, float]]:
    """Return the top of an axis from zero, and where at most five round numbers stand on it, in percent."""
    whole = all(isinstance(row[measure.column], int | None) for row in answer.rows)
    highest = float(max(numbers, default=0)) or 1.0
    magnitude = 10.0 ** ceil(log10(highest / 4) - 1)
    step = next(n * magnitude for n in (1, 2, 5, 10) if n * magnitude * 4 >= highest * 0.999999)
    step = max(step, 1.0) if whole else step
    count = ceil(highest / step - 1e-6)
    return step * count, {f"{step * n:,.10g}": 100 * n / count for n in range(count + 1)}


def _tip(place: object, measure: Axis, values: Mapping[str, float | None]) -> str:
    """Say what is at a place."""
    known = [f"{name} {shown(measure.column, value)}".strip() for name, value in values.items() if value is not None]
    return f"{place}, {measure.label}: {', '.join(known) or 'no data'}"


def _gap(days: list[date]) -> int:
    """Return how many days lie between days that have data: 1, or 7 between weeks."""
    return min(((after - before).days for before, after in pairwise(days)), default=1)


def _days_between(known: Iterable[date], gap: int = 1) -> list[date]:
    days = sorted(known)
    return [days[0] + timedelta(n) for n in range(0, (days[-1] - days[0]).days + 1, gap)]


def _ticks(days: list[date], gap: int) -> dict[str, date]:
    """Return at most six days by what they are called: days in a season, months in a few years, years beyond."""
    span = (days[-1] - days[0]).days
    named = days if gap > 1 else _days_between(days)
    if span < 100:
        ticks = {f"{day.day} {day:%b}": day for day in named}
    elif span < 1000:
        ticks = {f"{day:%b %Y}": day for day in reversed(named)}
    else:
        ticks = {f"{day:%Y}": day for day in reversed(named) if day.month == 1}
    names = sorted(ticks, key=lambda name: ticks[name])
    return {name: ticks[name] for name in names[:: ceil(len(names) / 6)]}


def _unknown(days: list[date]) -> list[tuple[int, int]]:
    """Return the place and the number of days of each run that is missing between others."""
    pairs = (((before - days[0]).days, (after - before).days) for before, after in pairwise(days))
    return [(place + 1, distance - 1) for place, distance in pairs if distance > 1]


def _is_percent(measure: Axis) -> bool:
    return measure.column.startswith("percent")


def _is_open(answer: Answer, row: Row) -> bool:
    return any(row[axis.column] == "no" for axis in answer.question.axes("mark"))


def _label(answer: Answer, row: Row) -> str:
    """Return the name of a bar or a line of cells: one column, or two where one is not enough to tell rows apart."""
    text = " · ".join(shown(axis.column, row[axis.column]) for axis in answer.question.axes("y"))
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)


def _axis_label(answer: Answer) -> str:
    return " · ".join(axis.label for axis in answer.question.axes("y"))


def _round(number: float) -> float:
    return round(number, 1)

"""Draws answers as charts: SVG by matplotlib, in which text stays text."""

import re
import warnings
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from io import StringIO
from itertools import pairwise, product
from math import ceil, isnan, nan
from textwrap import fill
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flows.report.texts import shown
from warehouse.questions import Answer, Axis, Row, day_name

INK, QUIET, GRID = "#1f2430", "#5d6472", "#dfe2e8"
ACCENT = "#2f62cc"
"""The colour of every measure that is not split by plan."""
PLANS = {"free": "#c25a12", "paid": "#2a7d5a"}
STRONGEST = 0.54
"""How much of a cell the accent covers at the highest value: a number on it stays legible."""
WIDE, NARROW = 7.4, 3.7  # inches: a column on a desktop, and on a phone
MANY_DAYS = 62  # lines over more days have no dots

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a song may be called $x$
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_EPOCH = date(1970, 1, 1)
_ROW = 0.27  # inches of a bar or a cell


def svg(answer: Answer, width: float = WIDE) -> str:
    """Draw an answer as its question's kind of chart. Returns an <svg> element, or "" if there is nothing to draw."""
    draw = _CHARTS.get(answer.question.chart)
    if not draw or not answer.rows:
        return ""
    settings: Any = _SETTINGS | {"svg.hashsalt": f"{answer.question.name} {width}"}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph"
        )  # the font is needed in the reader's browser, not on this machine
        figure = draw(answer, width)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return _element(text.getvalue())


def _element(document: str) -> str:
    """Return a document's <svg> element. What was told of a shape is its title, which browsers show on hover.

    The ids of groups are dropped, because a page holds several charts.
    """
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r"""<g id=(["'])told: (.*?)\1([^>]*)>""", r"<g\3><title>\2</title>", element)
    return re.sub(r'<g id="[^"]*"', "<g", element)


def _tell(shape: Artist, *parts: str) -> None:
    """Give a shape the words that say its value."""
    shape.set_gid("told: " + _clean(", ".join(filter(None, parts))))
    shape.set_in_layout(False)  # it lies within its panel, and measuring thousands takes minutes


def _lines(answer: Answer, width: float) -> Figure:
    """Lines over days, one panel per measure. They break at days without rows, of which nothing is known."""
    (x,), measures = answer.question.axes("x"), answer.question.axes("y")
    figure, panels = _panels(len(measures), 1, width, 1.7 * len(measures) + 0.5, sharex=True)
    known = {row[x.column] for row in answer.rows}
    days: Any = _all_days(known)
    for panel, measure in zip(panels, measures, strict=True):
        for name, colour, rows in _series(answer):
            values = {row[x.column]: row[measure.column] for row in rows}
            none = nan if _is_percent(measure) else 0  # a percentage of nothing is undefined, not zero
            numbers = [values.get(day, none) if day in known else nan for day in days]
            panel.plot(
                days, numbers, color=colour, linewidth=1.8, label=name, marker="o", markersize=3,
                markevery=None if len(days) <= MANY_DAYS else _alone(numbers),
            )  # fmt: skip
            for day, number in zip(days, numbers, strict=True):
                if len(days) <= MANY_DAYS and not isnan(number):
                    (dot,) = panel.plot([day], [number], "o", markersize=9, alpha=0)
                    _tell(dot, day_name(day), name, f"{measure.label}: {shown(measure.column, number)}")
        _number_axis(panel.yaxis, measure, answer)
        panel.set_ylim(bottom=0)
    _day_axis(panels, x, sorted(known))
    _legend(figure, panels[0])
    return figure


def _columns(answer: Answer, width: float) -> Figure:
    """Columns in the order of the rows, one panel per measure, with series stacked."""
    (x,), measures = answer.question.axes("x"), answer.question.axes("y")
    figure, panels = _panels(len(measures), 1, width, 1.7 * len(measures) + 0.6, sharex=True)
    places: list[Any] = list(dict.fromkeys(row[x.column] for row in answer.rows))
    is_dated = isinstance(places[0], date)
    gap = min((after - before).days for before, after in pairwise(places)) if is_dated and places[1:] else 1
    for panel, measure in zip(panels, measures, strict=True):
        floor = dict.fromkeys(places, 0.0)
        for name, colour, rows in _series(answer):
            # ten years have thousands of days, most of them without an upgrade
            drawn = [row for row in rows if row[measure.column] or not is_dated]
            own = [row[x.column] for row in drawn]
            heights = [row[measure.column] or 0 for row in drawn]
            found = panel.bar(own, heights, 0.78 * gap, bottom=[floor[p] for p in own], color=colour, label=name)
            for bar, place, height in zip(found, own, heights, strict=True):
                _tell(
                    bar,
                    day_name(place) if is_dated else place,
                    name,
                    f"{measure.label}: {shown(measure.column, height)}",
                )
                floor[place] += height
        _number_axis(panel.yaxis, measure, answer)
        panel.grid(visible=False, axis="x")
    if is_dated:
        _day_axis(panels, x, places, gap)
    else:
        panels[-1].set_xlabel(x.label)
        panels[-1].set_xticks(range(len(places)), [str(p).replace(" ", "\n" if width < WIDE else " ") for p in places])
    _legend(figure, panels[0])
    return figure


def _bars(answer: Answer, width: float) -> Figure:
    """Horizontal bars, one for each row, one panel per measure. A bar whose mark is "no" is open."""
    measures = answer.question.axes("x")
    labels = [_label(answer, row) for row in answer.rows]
    height = _ROW * len(labels) + (0.75 if width == WIDE else 1.05)
    figure, panels = _panels(1, len(measures), width, height, sharey=True)
    is_alone = width == WIDE and len(panels) == 1
    for panel, measure in zip(panels, measures, strict=True):
        for place, (row, label) in enumerate(zip(answer.rows, labels, strict=True)):
            length, is_open = float(row[measure.column] or 0), _is_open(answer, row)
            colour = PLANS.get(str(row.get("level")), ACCENT)
            (bar,) = panel.barh([place], [length], 0.72, color="none" if is_open else colour, edgecolor=colour)
            number = shown(measure.column, row[measure.column])
            _tell(bar, label, f"{measure.label}: {number}")
            panel.annotate(
                number, (length, place), (4, 0), textcoords="offset points", va="center", color=QUIET, fontsize=8
            )
        _number_axis(panel.xaxis, measure, answer, ticks=4 if is_alone else 2)
        panel.set_xlabel(measure.label if len(panels) == 1 else fill(measure.label, 30 if width == WIDE else 13))
        panel.margins(x=0.16 if is_alone else 0.35, y=0.02)
        panel.grid(visible=False, axis="y")
        panel.set_yticks(range(len(labels)), [_short(label, width) for label in labels], color=INK)
    panels[0].set_ylim(max(len(labels), 2) - 0.5, -0.5)
    panels[0].set_ylabel(_axis_label(answer, "y"))
    open_bars = [Patch(facecolor="none", edgecolor=ACCENT)] if any(_is_open(answer, row) for row in answer.rows) else []
    _legend(figure, panels[0], open_bars, [axis.label for axis in answer.question.axes("mark")])
    return figure


def _heatmap(answer: Answer, width: float) -> Figure:
    """Cells whose colour is stronger the higher their value is. A pair without a row is hatched: nothing is known."""
    (x,), (value,) = (answer.question.axes(word) for word in ("x", "value"))
    highest = max(float(row[value.column]) for row in answer.rows) or 1
    labels = list(dict.fromkeys(_label(answer, row) for row in answer.rows))
    found = {(labels.index(_label(answer, row)), row[x.column]): row[value.column] for row in answer.rows}
    first, last = min(column for _, column in found), max(column for _, column in found)
    figure, (panel,) = _panels(1, 1, width, _ROW * max(len(labels), 3) + (1.0 if width == WIDE else 1.3))
    few = last - first < (14 if width == WIDE else 4)
    for (place, column), amount in found.items():
        colour = to_rgba(ACCENT, 0.04 + (STRONGEST - 0.04) * float(amount) / highest)
        (cell,) = panel.barh([place], [0.94], 0.9, [column - 0.47], color=[colour])
        _tell(cell, f"{labels[place]}, {x.label} {column}", f"{value.label}: {shown(value.column, amount)}")
        if few:
            number = shown(value.column, amount)
            panel.annotate(number, (column, place), ha="center", va="center", fontsize=8, color=INK)
    missing = [(p, c) for p in range(len(labels)) for c in range(first, last + 1) if (p, c) not in found]
    for place, column in missing:
        panel.barh([place], [0.94], 0.9, [column - 0.47], color="none", edgecolor=GRID, hatch="///", linewidth=0)
    panel.grid(visible=False)
    panel.set_xlim(first - 0.5, max(last, first + (5 if width == WIDE else 3)) + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12 if width == WIDE else 6, steps=[1, 2, 3, 4, 6]))
    panel.set_yticks(range(len(labels)), labels, color=INK)
    panel.set_ylim(max(len(labels), 3) - 0.5, -0.5)
    scale = f"Colour: {value.label}. The strongest: {shown(value.column, highest)}."
    scale += " Hatched: no data." if missing else ""
    panel.set_xlabel(f"{x.label}\n{scale if width == WIDE else fill(scale, 36)}")
    panel.set_ylabel(_axis_label(answer, "y"))
    panel.spines["bottom"].set_visible(False)
    return figure


_CHARTS: dict[str, Callable[[Answer, float], Figure]] = {
    "lines": _lines,
    "columns": _columns,
    "bars": _bars,
    "heatmap": _heatmap,
}


def _panels(rows: int, columns: int, width: float, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure((width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat)


def _series(answer: Answer) -> list[tuple[str, str, list[Row]]]:
    """Return each plan's name, colour and rows; without series, all rows in the accent."""
    column = answer.question.series
    if not column:
        return [("", ACCENT, list(answer.rows))]
    names = sorted({str(row[column]) for row in answer.rows})
    return [(name, PLANS.get(name, QUIET), [row for row in answer.rows if str(row[column]) == name]) for name in names]


def _legend(figure: Figure, panel: Axes, handles: list[Any] | None = None, names: list[str] | None = None) -> None:
    if handles is None:
        handles, names = panel.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names or [], loc="outside upper left", ncols=4, handlelength=1, borderpad=0)


def _number_axis(axis: Any, measure: Axis, answer: Answer, ticks: int = 4) -> None:
    whole = all(isinstance(row[measure.column], int | None) for row in answer.rows)
    axis.set_label_text(measure.label)
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10], integer=whole))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))


def _day_axis(panels: list[Axes], axis: Axis, days: list[date], gap: int = 1) -> None:
    """Show days from the first to the last, which have data every `gap` days. Days without data are hatched."""
    first, last = days[0], days[-1]
    room = max((last - first).days * 0.02, 0.6 * gap if len(days) > 1 else 2)
    bottom, unknown = panels[-1], _unknown(days) if gap == 1 else []
    for panel, (start, end) in product(panels, unknown):
        span = panel.axvspan(start - 0.5, end + 0.5, facecolor="none", edgecolor=GRID, hatch="///", linewidth=0)
        span.set_in_layout(False)
    bottom.set_xlim(_number(first) - room, _number(last) + room)
    ticks = _ticks(days if gap > 1 else _all_days(days))
    bottom.set_xticks([*map(_number, ticks.values())], [*ticks])
    years = str(first.year) if first.year == last.year else f"{first.year}\N{EN DASH}{last.year}"
    bottom.set_xlabel(f"{axis.label}, {years}{'. Hatched: no data' if unknown else ''}")


def _ticks(days: list[date]) -> dict[str, date]:
    """Return at most six days by what they are called: days in a season, months in a few years, years beyond."""
    span = (days[-1] - days[0]).days
    if span < 100:
        ticks = {f"{day.day} {day:%b}": day for day in days}
    elif span < 1000:
        ticks = {f"{day:%b %Y}": day for day in reversed(days)}
    else:
        ticks = {f"{day:%Y}": day for day in reversed(days) if day.month == 1}
    names = sorted(ticks, key=lambda name: ticks[name])
    return {name: ticks[name] for name in names[:: ceil(len(names) / 6)]}


def _number(day: date) -> int:
    """Return matplotlib's number of a day."""
    return (day - _EPOCH).days


def _unknown(days: list[date]) -> list[tuple[int, int]]:
    """Return the first and the last of each run of days that are missing between others."""
    pairs = ((_number(before), _number(after)) for before, after in pairwise(days))
    return [(before + 1, after - 1) for before, after in pairs if after - before > 1]


def _all_days(known: Iterable[date]) -> list[date]:
    days = sorted(known)
    return [days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)]


def _alone(numbers: list[float]) -> list[int]:
    """Return the places of numbers without a neighbour, which no line reaches."""
    gaps = [True, *map(isnan, numbers), True]
    return [n for n in range(len(numbers)) if gaps[n] and not gaps[n + 1] and gaps[n + 2]]


def _is_percent(measure: Axis) -> bool:
    return measure.column.startswith("percent")


def _is_open(answer: Answer, row: Row) -> bool:
    return any(row[axis.column] == "no" for axis in answer.question.axes("mark"))


def _label(answer: Answer, row: Row) -> str:
    """Return the name of a bar or a line of cells: one column, or two where one is not enough to tell rows apart."""
    return " · ".join(shown(axis.column, row[axis.column]) for axis in answer.question.axes("y"))


def _axis_label(answer: Answer, word: str) -> str:
    return " · ".join(axis.label for axis in answer.question.axes(word))


def _clean(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)


def _short(label: str, width: float) -> str:
    text, most = _clean(label), 38 if width == WIDE else 22
    return text if len(text) <= most else text[: most - 1] + "…"

"""Draws answers as charts: SVG by matplotlib, in which text stays text."""

import re
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from io import StringIO
from math import nan
from textwrap import fill
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from warehouse.questions import Answer, Axis, Row, readable

INK, QUIET, GRID = "#1f2430", "#5d6472", "#dfe2e8"
SERIES = ("#3b6fd8", "#e0752d", "#2f9c74", "#9a5bc4", "#c94f6d", "#8a8f2a", "#4aa3b8")
WIDE, NARROW = 7.4, 3.7  # inches: a column on a desktop, and on a phone

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
    """Return a document's <svg> element without the ids of its groups, because a page holds several charts."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    return re.sub(r'<g id="[^"]*"', "<g", element)


def _lines(answer: Answer, width: float) -> Figure:
    """Lines over days, one panel per measure. A day without rows counts as one without plays."""
    (x,), measures = answer.question.axes("x"), answer.question.axes("y")
    figure, panels = _panels(len(measures), 1, width, 1.7 * len(measures) + 0.5, sharex=True)
    for panel, measure in zip(panels, measures, strict=True):
        for name, colour, rows in _series(answer):
            values = {row[x.column]: row[measure.column] for row in rows}
            days: Any = _all_days([row[x.column] for row in answer.rows])
            none = nan if "%" in measure.label else 0  # a percentage of nothing is undefined, not zero
            numbers = [values.get(day, none) for day in days]
            panel.plot(days, numbers, color=colour, linewidth=1.8, label=name, marker="o", markersize=_dot(days))
        _number_axis(panel.yaxis, measure)
        panel.set_ylim(bottom=0)
    _day_axis(panels[-1], x)
    _legend(figure, panels[0], answer)
    return figure


def _columns(answer: Answer, width: float) -> Figure:
    """Columns in the order of the rows, one panel per measure, with series stacked."""
    (x,), measures = answer.question.axes("x"), answer.question.axes("y")
    figure, panels = _panels(len(measures), 1, width, 1.7 * len(measures) + 0.6, sharex=True)
    places: list[Any] = list(dict.fromkeys(row[x.column] for row in answer.rows))
    for number, (panel, measure) in enumerate(zip(panels, measures, strict=True)):
        floor = dict.fromkeys(places, 0.0)
        for name, colour, rows in _series(answer, number):
            values = {row[x.column]: row[measure.column] or 0 for row in rows}
            heights = [values.get(place, 0) for place in places]
            panel.bar(places, heights, 0.78, bottom=[floor[p] for p in places], color=colour, label=name)
            floor = {p: floor[p] + h for p, h in zip(places, heights, strict=True)}
        _number_axis(panel.yaxis, measure)
        panel.grid(visible=False, axis="x")
    if isinstance(places[0], date):
        _day_axis(panels[-1], x)
    else:
        panels[-1].set_xlabel(x.label)
        panels[-1].set_xticks(range(len(places)), [str(p).replace(" ", "\n" if width < WIDE else " ") for p in places])
    _legend(figure, panels[0], answer)
    return figure


def _bars(answer: Answer, width: float) -> Figure:
    """Horizontal bars, one panel per measure, with series stacked."""
    measures, (y,) = answer.question.axes("x"), answer.question.axes("y")
    # rows with the same name, such as two songs, are two bars; with series, each name is one bar
    names = [row[y.column] if answer.question.series else index for index, row in enumerate(answer.rows)]
    places = list(dict.fromkeys(names))
    labels = {place: _short(row[y.column], width) for place, row in zip(names, answer.rows, strict=True)}
    height = _ROW * len(places) + (0.75 if width == WIDE else 1.05)
    figure, panels = _panels(1, len(measures), width, height, sharey=True)
    for number, (panel, measure) in enumerate(zip(panels, measures, strict=True)):
        start = dict.fromkeys(places, 0.0)
        for name, colour, rows in _series(answer, number):
            own = [places.index(names[answer.rows.index(row)]) for row in rows]
            lengths = [float(row[measure.column] or 0) for row in rows]
            panel.barh(own, lengths, 0.72, [start[places[place]] for place in own], color=colour, label=name)
            for place, length in zip(own, lengths, strict=True):
                start[places[place]] += length
        for place, end in start.items():
            panel.annotate(
                readable(end if end % 1 else int(end)), (end, places.index(place)), (4, 0), textcoords="offset points",
                va="center", color=QUIET, fontsize=8,
            )  # fmt: skip
        _number_axis(panel.xaxis, measure, ticks=4 if width == WIDE and len(panels) == 1 else 2)
        panel.set_xlabel(fill(measure.label, 13) if len(panels) > 1 and width < WIDE else measure.label)
        panel.margins(x=0.16 if width == WIDE and len(panels) == 1 else 0.3, y=0.02)
        panel.grid(visible=False, axis="y")
        panel.set_yticks(range(len(places)), [labels[p] for p in places], color=INK)
    panels[0].set_ylim(max(len(places), 2) - 0.5, -0.5)
    panels[0].set_ylabel(y.label)
    _legend(figure, panels[0], answer)
    return figure


def _heatmap(answer: Answer, width: float) -> Figure:
    """Cells whose colour is stronger the higher their value is. A pair without a row counts as zero."""
    (x,), (y,), (value,) = (answer.question.axes(word) for word in ("x", "y", "value"))
    highest = max(float(row[value.column]) for row in answer.rows) or 1
    columns = [row[x.column] for row in answer.rows]
    lines = list(dict.fromkeys(row[y.column] for row in answer.rows))
    figure, (panel,) = _panels(1, 1, width, _ROW * max(len(lines), 3) + (0.8 if width == WIDE else 1.1))
    few = max(columns) - min(columns) < (14 if width == WIDE else 7)
    amounts = [float(row[value.column]) for row in answer.rows]
    heights = [lines.index(row[y.column]) for row in answer.rows]
    colours = [to_rgba(SERIES[0], 0.04 + 0.72 * amount / highest) for amount in amounts]
    panel.barh(heights, 0.94, 0.9, [column - 0.47 for column in columns], color=colours)
    for column, height, amount in zip(columns, heights, amounts if few else [], strict=few):
        panel.annotate(f"{amount:,.0f}", (column, height), ha="center", va="center", fontsize=8, color=INK)
    panel.grid(visible=False)
    panel.set_xlim(min(columns) - 0.5, max(max(columns), min(columns) + 5) + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12 if width == WIDE else 6, steps=[1, 2, 3, 4, 6]))
    panel.set_yticks(range(len(lines)), [str(line) for line in lines], color=INK)
    panel.set_ylim(max(len(lines), 3) - 0.5, -0.5)
    scale = f"The stronger the colour, the more {value.label}. The strongest: {highest:,.0f}"
    panel.set_xlabel(f"{x.label}\n{scale if width == WIDE else fill(scale, 36)}")
    panel.set_ylabel(y.label)
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


def _series(answer: Answer, number: int = 0) -> list[tuple[str, str, list[Row]]]:
    """Return each series' name, colour and rows; without series, all rows in the panel's colour."""
    column = answer.question.series
    if not column:
        return [("", SERIES[number % len(SERIES)], list(answer.rows))]
    names = sorted({str(row[column]) for row in answer.rows})
    return [
        (name, SERIES[n % len(SERIES)], [row for row in answer.rows if str(row[column]) == name])
        for n, name in enumerate(names)
    ]


def _legend(figure: Figure, panel: Axes, answer: Answer) -> None:
    if answer.question.series:
        handles, names = panel.get_legend_handles_labels()
        once = dict(zip(names, handles, strict=True))
        figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=4, handlelength=1, borderpad=0)


def _number_axis(axis: Any, measure: Axis, ticks: int = 4) -> None:
    axis.set_label_text(measure.label)
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10], integer=not re.search("%|average", measure.label)))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))


def _day_axis(panel: Axes, axis: Axis) -> None:
    locator = AutoDateLocator(minticks=2, maxticks=6)  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_locator(locator)
    names = ["", "%Y", *["%B %Y"] * 4]  # of the span that the ticks are in: a decade, a year, a month
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, offset_formats=names))  # type: ignore[no-untyped-call]
    low, high = panel.get_xlim()
    if high - low < 4:  # a single day
        panel.set_xlim((low + high) / 2 - 2, (low + high) / 2 + 2)
    panel.set_xlabel(axis.label)


def _all_days(values: list[Any]) -> list[date]:
    days = [value for value in values if isinstance(value, date)]
    return [min(days) + timedelta(n) for n in range((max(days) - min(days)).days + 1)]


def _dot(days: list[date]) -> float:
    return 3 if len(days) <= 62 else 0


def _short(value: object, width: float) -> str:
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", readable(value))
    most = 34 if width == WIDE else 20
    return text if len(text) <= most else text[: most - 1] + "…"

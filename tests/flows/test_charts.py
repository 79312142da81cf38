"""Charts draw what the rows contain."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from numpy.typing import ArrayLike

from flows.report import charts
from flows.report.charts import NARROW, SERIES, WIDE, svg
from warehouse.questions import Answer, Question, Row

DAY = date(2018, 11, 1)
HEADS = {
    "lines": "-- x: day (day, UTC)\n-- y: plays (plays a day), share (% of plays)\n-- series: level",
    "columns": "-- x: size (songs)\n-- y: sessions (sessions)\n-- series: level",
    "bars": "-- x: plays (plays of the song), listeners (listeners)\n-- y: song (song)",
    "heatmap": "-- x: hour (hour)\n-- y: weekday (weekday)\n-- value: plays (plays)",
    "table": "-- x: hour (hour)",
}
Kind = TypeVar("Kind", bound=Artist)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def answer(folder: Path, chart: str, rows: list[Row], head: str = "") -> Answer:
    path = folder / f"1_{chart}.sql"
    text = f"-- title: T\n-- question: Q?\n-- chart: {chart}\n{head or HEADS[chart]}\n-- headline: F\nselect 1"
    path.write_text(text, encoding="utf-8")
    return Answer(Question(path), tuple(rows[0]) if rows else (), tuple(rows))


def drawn(found: Answer, width: float = WIDE) -> Figure:
    return charts._CHARTS[found.question.chart](found, width)


def bars(panel: Axes) -> dict[str, list[tuple[float, float, float, float]]]:
    """Return the middle, width, bottom and height of each bar, by series."""
    return {
        str(group.get_label()): [
            (
                round(bar.get_x() + bar.get_width() / 2, 6),
                round(bar.get_width(), 6),
                round(bar.get_y(), 6),
                bar.get_height(),
            )
            for bar in group
        ]
        for group in panel.containers
    }


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def only(kind: type[Kind], artists: Iterable[Artist]) -> list[Kind]:
    """Return artists, which all have to be of one kind."""
    found = [artist for artist in artists if isinstance(artist, kind)]
    assert found == list(artists)
    return found


def drawn_values(numbers: ArrayLike) -> list[Any]:
    values: list[Any] = np.asarray(numbers).tolist()
    return values


def place_of(panel: Axes, day: date) -> float:
    place: float = panel.convert_xunits(day)  # type: ignore[no-untyped-call]  # not annotated in matplotlib
    return place


def tick_labels(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


LEVELS = [
    {"day": DAY, "level": "paid", "plays": 7, "share": 70.0},
    {"day": DAY, "level": "free", "plays": 3, "share": 30.0},
    {"day": DAY + timedelta(3), "level": "paid", "plays": 5, "share": 100.0},
]


def test_a_line_covers_every_day_and_a_day_without_rows_has_zero_plays_and_no_share(folder: Path) -> None:
    figure = drawn(answer(folder, "lines", LEVELS))
    plays, shares = figure.axes
    lines = {line.get_label(): [str(y) for y in drawn_values(line.get_ydata())] for line in plays.lines}
    assert lines == {"free": ["3", "0", "0", "0"], "paid": ["7", "0", "0", "5"]}
    lines = {line.get_label(): [str(y) for y in drawn_values(line.get_ydata())] for line in shares.lines}
    assert lines == {"free": ["30.0", "nan", "nan", "nan"], "paid": ["70.0", "nan", "nan", "100.0"]}
    for panel in (plays, shares):
        assert [drawn_values(line.get_xdata()) for line in panel.lines] == [[DAY + timedelta(n) for n in range(4)]] * 2
        assert [line.get_color() for line in panel.lines] == list(SERIES[:2])
        assert panel.get_ylim()[0] == 0
    assert (plays.get_ylabel(), shares.get_ylabel(), shares.get_xlabel()) == ("plays a day", "% of plays", "day, UTC")
    assert legend(figure) == ["free", "paid"]


@pytest.mark.parametrize(("days", "dots"), [(1, True), (62, True), (63, False)])
def test_few_days_are_drawn_as_dots_and_a_single_day_is_centred(folder: Path, days: int, *, dots: bool) -> None:
    (panel,) = drawn(
        answer(
            folder,
            "lines",
            [{"day": DAY + timedelta(n), "plays": n} for n in range(days)],
            "-- x: day (day)\n-- y: plays (plays)",
        )
    ).axes
    (line,) = panel.lines
    assert bool(line.get_markersize()) == dots
    low, high = panel.get_xlim()
    assert high - low >= 4
    middle = place_of(panel, DAY) + (days - 1) / 2
    assert (low + high) / 2 == pytest.approx(middle)


def test_columns_keep_the_order_of_rows_and_series_are_stacked(folder: Path) -> None:
    rows: list[Row] = [
        {"size": "1 song", "level": "paid", "sessions": 2},
        {"size": "1 song", "level": "free", "sessions": 5},
        {"size": "2-5 songs", "level": "free", "sessions": 4},
        {"size": "9 songs", "level": "paid", "sessions": None},
    ]
    found = answer(folder, "columns", rows)
    for width, space in ((WIDE, " "), (NARROW, "\n")):
        figure = drawn(found, width)
        (panel,) = figure.axes
        assert bars(panel) == {
            "free": [(0, 0.78, 0, 5), (1, 0.78, 0, 4), (2, 0.78, 0, 0)],
            "paid": [(0, 0.78, 5, 2), (1, 0.78, 4, 0), (2, 0.78, 0, 0)],
        }
        assert tick_labels(panel.xaxis) == [f"1{space}song", f"2-5{space}songs", f"9{space}songs"]
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("songs", "sessions")
        assert legend(figure) == ["free", "paid"]


def test_columns_of_days_are_placed_by_date(folder: Path) -> None:
    head = "-- x: day (day)\n-- y: ups (upgrades), downs (downgrades)"
    rows: list[Row] = [{"day": DAY, "ups": 1, "downs": 2}, {"day": DAY + timedelta(9), "ups": 3, "downs": 4}]
    figure = drawn(answer(folder, "columns", rows, head))
    days = [place_of(figure.axes[0], row["day"]) for row in rows]
    for panel, measure, colour in zip(figure.axes, ("ups", "downs"), SERIES, strict=False):
        ((_, found),) = bars(panel).items()
        assert [(bar[0], bar[3]) for bar in found] == [(day, row[measure]) for day, row in zip(days, rows, strict=True)]
        assert to_hex(panel.patches[0].get_facecolor()) == colour
    assert figure.axes[1].get_xlabel() == "day"
    assert legend(figure) == []


def test_rows_with_the_same_name_are_separate_bars_with_their_numbers(folder: Path) -> None:
    rows = [
        {"song": "Army of Me", "plays": 1200, "listeners": 3},
        {"song": "Army of Me", "plays": 7, "listeners": None},
        {"song": "x" * 40 + "\x07", "plays": 1.5, "listeners": 1},
    ]
    figure = drawn(answer(folder, "bars", rows))
    plays, listeners = figure.axes
    for panel, lengths, numbers in (
        (plays, [1200, 7, 1.5], ["1,200", "7", "1.5"]),
        (listeners, [3, 0, 1], ["3", "0", "1"]),
    ):
        shapes = only(Rectangle, panel.patches)
        assert [(bar.get_x(), bar.get_width()) for bar in shapes] == [(0, length) for length in lengths]
        assert [round(bar.get_y() + bar.get_height() / 2, 6) for bar in shapes] == [0, 1, 2]
        assert [text.get_text() for text in panel.texts] == numbers
        assert [text.xy for text in only(Annotation, panel.texts)] == list(zip(lengths, range(3), strict=True))
    assert plays.get_ylim() == (2.5, -0.5)  # the first is on top
    assert tick_labels(plays.yaxis) == ["Army of Me", "Army of Me", "x" * 33 + "…"]
    assert (plays.get_ylabel(), plays.get_xlabel(), listeners.get_xlabel()) == (
        "song",
        "plays of the song",
        "listeners",
    )


def test_on_a_phone_names_are_shortened_and_labels_are_wrapped(folder: Path) -> None:
    rows = [{"song": name, "plays": 1, "listeners": 1} for name in ("x" * 20, "x" * 21, "a\x00b")]
    panel, _ = drawn(answer(folder, "bars", rows), NARROW).axes
    assert tick_labels(panel.yaxis) == ["x" * 20, "x" * 19 + "…", "a b"]
    assert panel.get_xlabel() == "plays of the\nsong"


def test_series_are_stacked_in_one_bar(folder: Path) -> None:
    head = "-- x: plays (plays)\n-- y: browser (browser)\n-- series: system"
    rows = [
        {"browser": "Firefox", "system": "Windows", "plays": 3},
        {"browser": "Firefox", "system": "Linux", "plays": 2},
        {"browser": "Safari", "system": "macOS", "plays": 4},
    ]
    figure = drawn(answer(folder, "bars", rows, head))
    (panel,) = figure.axes
    placed = {
        group.get_label(): [(bar.get_x(), bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in group]
        for group in panel.containers
    }
    assert placed == {"Linux": [(0, 2, 0)], "Windows": [(2, 3, 0)], "macOS": [(0, 4, 1)]}
    assert [text.get_text() for text in panel.texts] == ["5", "4"]
    assert legend(figure) == ["Linux", "Windows", "macOS"]


def test_a_cells_colour_is_stronger_the_higher_its_value(folder: Path) -> None:
    rows = [
        {"hour": 3, "weekday": "Monday", "plays": 2000},
        {"hour": 4, "weekday": "Monday", "plays": 0},
        {"hour": 3, "weekday": "Sunday", "plays": 500},
    ]
    (panel,) = drawn(answer(folder, "heatmap", rows)).axes
    cells = only(Rectangle, panel.patches)
    found = [(cell.get_x() + 0.47, cell.get_y() + 0.45, round(to_rgba(cell.get_facecolor())[3], 6)) for cell in cells]
    assert found == [(3, 0, 0.76), (4, 0, 0.04), (3, 1, 0.22)]
    notes = [(text.get_text(), text.xy) for text in only(Annotation, panel.texts)]
    assert notes == [("2,000", (3, 0)), ("0", (4, 0)), ("500", (3, 1))]
    assert tick_labels(panel.yaxis) == ["Monday", "Sunday"]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    assert panel.get_xlabel() == "hour\nThe stronger the colour, the more plays. The strongest: 2,000"
    assert panel.get_ylabel() == "weekday"
    low, high = panel.get_xlim()
    assert low == 2.5
    assert high >= 4.5


@pytest.mark.parametrize(("width", "columns"), [(WIDE, 14), (NARROW, 7)])
def test_cells_show_their_numbers_if_there_is_room(folder: Path, width: float, columns: int) -> None:
    for number, labelled in ((columns, columns), (columns + 1, 0)):
        rows = [{"hour": hour, "weekday": "Monday", "plays": 1} for hour in range(number)]
        (panel,) = drawn(answer(folder, "heatmap", rows), width).axes
        assert len(panel.texts) == labelled
        assert panel.get_xlim() == (-0.5, number - 0.5)


def test_a_heatmap_of_zeros_is_drawn(folder: Path) -> None:
    (panel,) = drawn(answer(folder, "heatmap", [{"hour": 1, "weekday": "Monday", "plays": 0}])).axes
    assert [text.get_text() for text in panel.texts] == ["0"]
    assert panel.get_xlim() == (0.5, 6.5)


@pytest.mark.parametrize("chart", HEADS)
def test_no_chart_is_drawn_without_rows_or_for_a_table(folder: Path, chart: str) -> None:
    assert svg(answer(folder, chart, [])) == ""
    assert svg(answer(folder, "table", [{"hour": 1}])) == ""


def test_a_chart_can_share_a_page_with_others(folder: Path) -> None:
    found = answer(folder, "bars", [{"song": "$x$ \N{DANGO}", "plays": 1, "listeners": 2}])
    element = svg(found)
    assert element.startswith("<svg")
    assert "<g id=" not in element
    assert "<metadata" not in element
    assert "$x$" in element


def test_charts_on_a_page_share_no_id(folder: Path) -> None:
    bar = answer(folder, "bars", [{"song": "a", "plays": 1, "listeners": 2}])
    cell = answer(folder, "heatmap", [{"hour": 1, "weekday": "Monday", "plays": 1}])
    ids = [re.findall(' id="([^"]+)"', element) for element in (svg(bar), svg(bar, NARROW), svg(cell))]
    assert all(ids)
    assert len(set().union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize(("label", "whole"), [("plays", True), ("% of plays", False), ("average plays", False)])
def test_ticks_of_counts_are_whole_numbers(folder: Path, label: str, *, whole: bool) -> None:
    head = f"-- x: day (day)\n-- y: plays ({label})"
    rows = [{"day": DAY + timedelta(n), "plays": n} for n in range(2)]
    (panel,) = drawn(answer(folder, "lines", rows, head)).axes
    assert all(float(tick).is_integer() for tick in panel.get_yticks()) == whole
    assert panel.yaxis.get_major_formatter()(1234567.5, None) == "1,234,567.5"

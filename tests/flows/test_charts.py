"""Charts draw what the rows contain."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from time import monotonic
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
from flows.report.charts import ACCENT, NARROW, PLANS, QUIET, WIDE, svg
from warehouse.questions import Answer, Question, Row

DAY = date(2018, 11, 1)
TO = "\N{EN DASH}"
HEADS = {
    "lines": "-- x: day (day, UTC)\n-- y: plays (plays a day), percent_of (% of plays)\n-- series: level",
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
    {"day": DAY, "level": "paid", "plays": 7, "percent_of": 70.0},
    {"day": DAY, "level": "free", "plays": 3, "percent_of": 30.0},
    {"day": DAY + timedelta(1), "level": "trial", "plays": 1, "percent_of": 100.0},
    {"day": DAY + timedelta(3), "level": "paid", "plays": 5, "percent_of": 100.0},
]


def lines(panel: Axes) -> dict[str, list[str]]:
    """Return the values of each series; the dots that tell values have no name."""
    named = [line for line in panel.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): [str(y) for y in drawn_values(line.get_ydata())] for line in named}


def test_a_line_breaks_at_days_without_rows_and_a_plan_without_a_row_has_zero_plays_and_no_share(folder: Path) -> None:
    figure = drawn(answer(folder, "lines", LEVELS))
    plays, shares = figure.axes
    assert lines(plays) == {
        "free": ["3.0", "0.0", "nan", "0.0"],
        "paid": ["7.0", "0.0", "nan", "5.0"],
        "trial": ["0.0", "1.0", "nan", "0.0"],
    }
    assert lines(shares) == {
        "free": ["30.0", "nan", "nan", "nan"],
        "paid": ["70.0", "nan", "nan", "100.0"],
        "trial": ["nan", "100.0", "nan", "nan"],
    }
    colours = {"free": PLANS["free"], "paid": PLANS["paid"], "trial": QUIET}
    for panel in (plays, shares):
        named = [line for line in panel.lines if line.get_label() in colours]
        assert [drawn_values(line.get_xdata()) for line in named] == [[DAY + timedelta(n) for n in range(4)]] * 3
        assert [line.get_color() for line in named] == list(colours.values())
        assert panel.get_ylim()[0] == 0
        (unknown,) = [patch for patch in panel.patches if patch.get_hatch()]
        middle = unknown.get_path().get_extents(unknown.get_patch_transform()).get_points()[:, 0].mean()
        assert middle == place_of(panel, DAY + timedelta(2))
    assert (plays.get_ylabel(), shares.get_ylabel()) == ("plays a day", "% of plays")
    assert shares.get_xlabel() == "day, UTC, 2018. Hatched: no data"
    assert legend(figure) == ["free", "paid", "trial"]


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
    assert (panel.lines[0].get_markevery() is None) == dots
    low, high = panel.get_xlim()
    assert high - low >= 4
    middle = place_of(panel, DAY) + (days - 1) / 2
    assert (low + high) / 2 == pytest.approx(middle)


def test_a_day_alone_among_many_is_a_dot(folder: Path) -> None:
    numbers = [0, 1, 3, 90, 91, 93]
    rows = [{"day": DAY + timedelta(n), "plays": n} for n in numbers]
    (panel,) = drawn(answer(folder, "lines", rows, "-- x: day (day)\n-- y: plays (plays)")).axes
    assert panel.lines[0].get_markevery() == [3, 93]


@pytest.mark.parametrize(
    ("first", "days", "labels", "below"),
    [
        (date(2018, 11, 1), 30, ["1 Nov", "6 Nov", "11 Nov", "16 Nov", "21 Nov", "26 Nov"], "day, 2018"),
        (
            date(2018, 12, 20),
            30,
            ["20 Dec", "25 Dec", "30 Dec", "4 Jan", "9 Jan", "14 Jan"],
            "day, 2018\N{EN DASH}2019",
        ),
        (date(2018, 1, 1), 365, ["Jan 2018", "Mar 2018", "May 2018", "Jul 2018", "Sep 2018", "Nov 2018"], "day, 2018"),
        (date(2010, 1, 1), 3652, ["2010", "2012", "2014", "2016", "2018"], f"day, 2010{TO}2019"),
    ],
)
def test_an_axis_of_days_names_only_days_that_are_drawn(
    folder: Path, first: date, days: int, labels: list[str], below: str
) -> None:
    rows = [{"day": first + timedelta(n), "plays": n} for n in range(days)]
    figure = drawn(answer(folder, "lines", rows, "-- x: day (day)\n-- y: plays (plays)"))
    figure.canvas.draw()
    (panel,) = figure.axes
    assert tick_labels(panel.xaxis) == labels
    assert panel.get_xlabel() == below


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
            "free": [(0, 0.78, 0, 5), (1, 0.78, 0, 4)],
            "paid": [(0, 0.78, 5, 2), (2, 0.78, 0, 0)],
        }
        assert tick_labels(panel.xaxis) == [f"1{space}song", f"2-5{space}songs", f"9{space}songs"]
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("songs", "sessions")
        assert legend(figure) == ["free", "paid"]


@pytest.mark.parametrize(("gap", "hatched"), [(1, 1), (7, 0)])
def test_columns_of_days_and_weeks_are_placed_by_date(folder: Path, gap: int, hatched: int) -> None:
    head = "-- x: day (day)\n-- y: ups (upgrades), downs (downgrades)"
    rows: list[Row] = [{"day": DAY + timedelta(n * gap), "ups": n, "downs": up} for n, up in ((0, 2), (1, 4), (3, 1))]
    figure = drawn(answer(folder, "columns", rows, head))
    days = [place_of(figure.axes[0], row["day"]) for row in rows]
    for panel, measure in zip(figure.axes, ("ups", "downs"), strict=False):
        ((_, found),) = bars(panel).items()
        expected = [(day, row[measure]) for day, row in zip(days, rows, strict=True) if row[measure]]
        assert [(bar[0], bar[3]) for bar in found] == expected
        assert {bar[1] for bar in found} == {round(0.78 * gap, 6)}
        assert to_hex(panel.patches[0].get_facecolor()) == ACCENT
        assert len([patch for patch in panel.patches if patch.get_hatch()]) == hatched, "a week has all of its days"
        low, high = panel.get_xlim()
        assert low <= days[0] - 0.39 * gap
        assert high >= days[-1] + 0.39 * gap
    assert figure.axes[1].get_xlabel() == ("day, 2018" if gap == 7 else "day, 2018. Hatched: no data")
    assert legend(figure) == []


def test_each_row_is_a_bar_with_its_number_and_names_that_tell_it_from_others(folder: Path) -> None:
    rows: list[Row] = [
        {"song": "Army of Me", "artist": "Björk", "plays": 1200, "percent_of": 3},
        {"song": "Army of Me", "artist": "Skunk", "plays": 7, "percent_of": None},
        {"song": "x" * 50 + "\x07", "artist": None, "plays": 1.5, "percent_of": 0.034},
    ]
    head = "-- x: plays (plays of the song), percent_of (% of all)\n-- y: song (song), artist (artist)"
    found = answer(folder, "bars", rows, head)
    figure = drawn(found)
    plays, shares = figure.axes
    for panel, lengths, numbers in (
        (plays, [1200, 7, 1.5], ["1,200", "7", "1.5"]),
        (shares, [3, 0, 0.034], ["3 %", "-", "0.034 %"]),
    ):
        shapes = only(Rectangle, panel.patches)
        assert [(bar.get_x(), bar.get_width()) for bar in shapes] == [(0, length) for length in lengths]
        assert [round(bar.get_y() + bar.get_height() / 2, 6) for bar in shapes] == [0, 1, 2]
        assert {to_hex(bar.get_facecolor()) for bar in shapes} == {ACCENT}
        assert [text.get_text() for text in panel.texts] == numbers
        assert [text.xy for text in only(Annotation, panel.texts)] == list(zip(lengths, range(3), strict=True))
    assert plays.get_ylim() == (2.5, -0.5)  # the first is on top
    assert tick_labels(plays.yaxis) == ["Army of Me · Björk", "Army of Me · Skunk", "x" * 37 + "…"]
    assert (plays.get_ylabel(), plays.get_xlabel(), shares.get_xlabel()) == (
        "song · artist", "plays of the song", "% of all",
    )  # fmt: skip
    assert "<title>Army of Me · Björk, plays of the song: 1,200</title>" in svg(found)
    assert f"<title>{'x' * 50}  · -, % of all: 0.034 %</title>" in svg(found)


def test_a_bar_that_is_marked_is_open_and_plans_have_their_colours(folder: Path) -> None:
    head = "-- x: plays (plays)\n-- y: level (plan)\n-- mark: known (not in the catalogue)"
    rows: list[Row] = [
        {"level": level, "known": known, "plays": 1}
        for level, known in (("free", "yes"), ("paid", "no"), ("other", "no"))
    ]
    figure = drawn(answer(folder, "bars", rows, head))
    shapes = only(Rectangle, figure.axes[0].patches)
    assert [to_hex(bar.get_edgecolor()) for bar in shapes] == [PLANS["free"], PLANS["paid"], ACCENT]
    assert [to_rgba(bar.get_facecolor())[3] for bar in shapes] == [1, 0, 0]
    assert legend(figure) == ["not in the catalogue"]
    assert legend(drawn(answer(folder, "bars", rows[:1], head))) == []


def test_on_a_phone_names_are_shortened_and_labels_are_wrapped(folder: Path) -> None:
    rows = [{"song": name, "plays": 1, "listeners": 1} for name in ("x" * 22, "x" * 23, "a\x00b")]
    panel, _ = drawn(answer(folder, "bars", rows), NARROW).axes
    assert tick_labels(panel.yaxis) == ["x" * 22, "x" * 21 + "…", "a b"]
    assert panel.get_xlabel() == "plays of the\nsong"


def test_a_cells_colour_is_stronger_the_higher_its_value_and_one_without_data_is_hatched(folder: Path) -> None:
    rows = [
        {"hour": 3, "weekday": "Monday", "plays": 2000},
        {"hour": 4, "weekday": "Monday", "plays": 0},
        {"hour": 3, "weekday": "Sunday", "plays": 500},
    ]
    found = answer(folder, "heatmap", rows)
    (panel,) = drawn(found).axes
    *shapes, unknown = only(Rectangle, panel.patches)
    cells = [(cell.get_x() + 0.47, cell.get_y() + 0.45, round(to_rgba(cell.get_facecolor())[3], 6)) for cell in shapes]
    assert cells == [(3, 0, 0.54), (4, 0, 0.04), (3, 1, 0.165)]
    assert not any(cell.get_hatch() for cell in shapes)
    assert (unknown.get_x() + 0.47, unknown.get_y() + 0.45, unknown.get_hatch()) == (4, 1, "///")
    notes = [(text.get_text(), text.xy) for text in only(Annotation, panel.texts)]
    assert notes == [("2,000", (3, 0)), ("0", (4, 0)), ("500", (3, 1))]
    assert tick_labels(panel.yaxis) == ["Monday", "Sunday"]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    assert panel.get_xlabel() == "hour\nColour: plays. The strongest: 2,000. Hatched: no data."
    assert panel.get_ylabel() == "weekday"
    low, high = panel.get_xlim()
    assert low == 2.5
    assert high >= 4.5
    assert "<title>Monday, hour 3, plays: 2,000</title>" in svg(found)
    (whole,) = drawn(answer(folder, "heatmap", rows[:2])).axes
    assert whole.get_xlabel() == "hour\nColour: plays. The strongest: 2,000."


@pytest.mark.parametrize(("width", "columns"), [(WIDE, 14), (NARROW, 4)])
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


@pytest.mark.parametrize(("first", "whole"), [(0, True), (0.5, False), (None, True)])
def test_ticks_of_counts_are_whole_numbers(folder: Path, first: float | None, *, whole: bool) -> None:
    rows: list[Row] = [{"day": DAY, "plays": first}, {"day": DAY + timedelta(1), "plays": 1}]
    (panel,) = drawn(answer(folder, "columns", rows, "-- x: day (day)\n-- y: plays (plays)")).axes
    assert all(float(tick).is_integer() for tick in panel.get_yticks()) == whole
    assert panel.yaxis.get_major_formatter()(1234567.5, None) == "1,234,567.5"


def test_what_hostile_text_says_of_itself_stays_text(folder: Path) -> None:
    texts = ["it's", '"><script>&\n</title>', "\" and '>"]
    found = answer(folder, "bars", [{"song": text, "plays": 1, "listeners": 2} for text in texts])
    assert re.findall("<title>(.*), plays of the song: 1</title>", svg(found)) == [
        "it's", '"&gt;&lt;script&gt;&amp; &lt;/title&gt;', "&quot; and &apos;&gt;",
    ]  # fmt: skip


def test_ten_years_are_drawn_in_seconds(folder: Path) -> None:
    head = "-- x: day (day)\n-- y: ups (upgrades), downs (downgrades)"
    rows: list[Row] = [{"day": DAY + timedelta(n), "ups": n % 9 == 0, "downs": 0} for n in range(3650) if n % 97]
    started = monotonic()
    drawing = svg(answer(folder, "columns", rows, head))
    assert monotonic() - started < 30, "it took minutes when each day was measured for the layout"
    assert len(drawing) < 500_000

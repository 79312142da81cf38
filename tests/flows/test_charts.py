"""Charts draw what the rows contain."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flows.report.charts import MANY_TIPS, STRONGEST, chart
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
OF_DAYS = "-- x: day (day)\n-- y: plays (plays)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def answer(folder: Path, kind: str, rows: list[Row], head: str = "") -> Answer:
    path = folder / f"1_{kind}.sql"
    text = f"-- title: T\n-- question: Q?\n-- chart: {kind}\n{head or HEADS[kind]}\n-- headline: F\nselect 1"
    path.write_text(text, encoding="utf-8")
    return Answer(Question(path), tuple(rows[0]) if rows else (), tuple(rows))


class Drawn:
    """A chart's elements."""

    def __init__(self, found: Answer) -> None:
        self.root = ElementTree.fromstring(f"<figure>{chart(found)}</figure>")

    def all(self, path: str) -> list[ElementTree.Element]:
        return self.root.findall(f".//{path}")

    def texts(self, path: str) -> list[str]:
        return ["".join(element.itertext()) for element in self.all(path)]

    def styles(self, path: str) -> list[dict[str, float]]:
        pairs = [re.findall(r"(\w[\w-]*):([\d.]+)", element.get("style", "")) for element in self.all(path)]
        return [{name: float(value) for name, value in each} for each in pairs]

    @property
    def tips(self) -> list[str]:
        return [element.attrib["data-tip"] for element in self.all("*[@data-tip]")]

    @property
    def names(self) -> list[str]:
        return [
            text for element in self.all("div") if "names" in element.get("class", "") for text in element.itertext()
        ]

    @property
    def caption(self) -> str:
        return self.texts("p[@class='caption']")[0]

    def of_panels(self, path: str) -> list[list[ElementTree.Element]]:
        return [panel.findall(path) for panel in self.all("div[@class='plot']")]


LEVELS = [
    {"day": DAY, "level": "paid", "plays": 7, "percent_of": 70.0},
    {"day": DAY, "level": "free", "plays": 3, "percent_of": 30.0},
    {"day": DAY + timedelta(1), "level": "trial", "plays": 1, "percent_of": 100.0},
    {"day": DAY + timedelta(3), "level": "paid", "plays": 5, "percent_of": 100.0},
]


def test_a_line_breaks_at_days_without_rows_and_a_plan_without_a_row_has_zero_plays_and_no_share(folder: Path) -> None:
    drawn = Drawn(answer(folder, "lines", LEVELS))
    plays, shares = ([(e.get("class"), e.get("d")) for e in found] for found in drawn.of_panels("svg/path"))
    assert plays == [
        ("free", "M0.5 62.5L1.5 100M3.5 100"),
        ("dots free", "M0.5 62.5h0M1.5 100h0M3.5 100h0"),
        ("paid", "M0.5 12.5L1.5 100M3.5 37.5"),
        ("dots paid", "M0.5 12.5h0M1.5 100h0M3.5 37.5h0"),
        ("quiet", "M0.5 100L1.5 87.5M3.5 100"),
        ("dots quiet", "M0.5 100h0M1.5 87.5h0M3.5 100h0"),
    ]
    assert shares[::2] == [("free", "M0.5 70"), ("paid", "M0.5 30M3.5 0"), ("quiet", "M1.5 0")]
    assert [e.get("viewBox") for e in drawn.all("svg")] == ["0 0 4 100"] * 2
    assert drawn.styles("b[@class='unknown']") == [{"left": 50, "width": 25}] * 2
    assert drawn.texts("div[@class='measure']") == ["plays a day", "% of plays"]
    assert drawn.caption == "day, UTC, 2018. Hatched: no data"
    assert drawn.texts("p[@class='legend']/span") == ["free", "paid", "trial"]
    assert drawn.tips[0] == "1 November 2018, plays a day: free 3, paid 7, trial 0"
    assert drawn.tips[2] == "3 November 2018, plays a day: no data"
    assert drawn.tips[4] == "1 November 2018, % of plays: free 30 %, paid 70 %"


def test_a_measure_without_any_value_has_an_axis_all_the_same(folder: Path) -> None:
    drawn = Drawn(answer(folder, "lines", [{"day": DAY, "level": "free", "plays": 3, "percent_of": None}]))
    assert drawn.texts("div[@class='measure']") == ["plays a day", "% of plays"]
    assert drawn.tips[-1].endswith("% of plays: no data")


@pytest.mark.parametrize(("days", "dots"), [(1, 1), (62, 62), (63, 0)])
def test_few_days_are_drawn_as_dots(folder: Path, days: int, dots: int) -> None:
    rows = [{"day": DAY + timedelta(n), "plays": n} for n in range(days)]
    drawn = Drawn(answer(folder, "lines", rows, OF_DAYS))
    assert [(element.get("d") or "").count("h0") for element in drawn.all("path")] == [0, dots]
    assert {element.get("class") for element in drawn.all("path")} == {"accent", "dots accent"}


def test_a_day_alone_among_many_is_a_dot(folder: Path) -> None:
    rows = [{"day": DAY + timedelta(n), "plays": n} for n in (0, 1, 3, 90, 91, 93)]
    drawn = Drawn(answer(folder, "lines", rows, OF_DAYS))
    assert re.findall(r"M([\d.]+)", drawn.all("path")[1].attrib["d"]) == ["3.5", "93.5"]


@pytest.mark.parametrize(("days", "tips"), [(MANY_TIPS, MANY_TIPS), (MANY_TIPS + 1, 0)])
def test_values_are_told_where_a_reader_can_point_at_them(folder: Path, days: int, tips: int) -> None:
    rows = [{"day": DAY + timedelta(n), "plays": n} for n in range(days)]
    assert len(Drawn(answer(folder, "lines", rows, OF_DAYS)).tips) == tips


@pytest.mark.parametrize(
    ("first", "days", "labels", "below"),
    [
        (date(2018, 11, 1), 30, ["1 Nov", "6 Nov", "11 Nov", "16 Nov", "21 Nov", "26 Nov"], "day, 2018"),
        (date(2018, 12, 20), 30, ["20 Dec", "25 Dec", "30 Dec", "4 Jan", "9 Jan", "14 Jan"], f"day, 2018{TO}2019"),
        (date(2018, 1, 1), 365, ["Jan 2018", "Mar 2018", "May 2018", "Jul 2018", "Sep 2018", "Nov 2018"], "day, 2018"),
        (date(2010, 1, 1), 3652, ["2010", "2012", "2014", "2016", "2018"], f"day, 2010{TO}2019"),
    ],
)
def test_an_axis_of_days_names_only_days_that_are_drawn(
    folder: Path, first: date, days: int, labels: list[str], below: str
) -> None:
    rows = [{"day": first + timedelta(n), "plays": n} for n in range(days)]
    drawn = Drawn(answer(folder, "lines", rows, OF_DAYS))
    assert drawn.names == labels
    assert drawn.caption == below
    lefts = [style["left"] for style in drawn.styles("div[@class='names dated']/span")]
    assert lefts[0] == pytest.approx(50 / days, abs=0.1)
    assert lefts == sorted(lefts)


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (5, ["0", "2", "4", "6"]),
        (479, ["0", "200", "400", "600"]),
        (1000, ["0", "500", "1,000"]),
        (0.29, ["0", "0.1", "0.2", "0.3"]),
    ],
)
def test_an_axis_begins_at_zero_and_has_round_numbers(folder: Path, highest: float, ticks: list[str]) -> None:
    rows = [{"day": DAY, "plays": highest}, {"day": DAY + timedelta(1), "plays": 0}]
    drawn = Drawn(answer(folder, "lines", rows, OF_DAYS))
    assert drawn.texts("span[@class='tick']") == ticks
    places = [style["bottom"] for style in drawn.styles("span[@class='tick']")]
    assert places == pytest.approx([100 * n / (len(ticks) - 1) for n in range(len(ticks))], abs=0.1)
    top = float(ticks[-1].replace(",", ""))
    assert f"M0.5 {round(100 - 100 * highest / top, 1):g}" in drawn.all("path")[0].attrib["d"]


def rectangles(found: list[ElementTree.Element]) -> list[tuple[str, float, float, float]]:
    """Return the class, the place, the upper edge and the height of each column."""
    return [
        (e.attrib["class"], float(e.attrib["x"]) - 0.11, float(e.attrib["y"]), float(e.attrib["height"])) for e in found
    ]


def test_columns_keep_the_order_of_rows_and_series_are_stacked(folder: Path) -> None:
    rows: list[Row] = [
        {"size": "1 song", "level": "paid", "sessions": 3},
        {"size": "1 song", "level": "free", "sessions": 5},
        {"size": "2-5 songs", "level": "free", "sessions": 4},
        {"size": "9 songs", "level": "paid", "sessions": None},
    ]
    drawn = Drawn(answer(folder, "columns", rows))
    assert rectangles(drawn.all("rect")) == [
        ("free", 0, 37.5, 62.5), ("free", 1, 50, 50), ("paid", 0, 0, 37.5),
    ]  # fmt: skip
    assert drawn.names == ["1 song", "2-5 songs", "9 songs"]
    assert (drawn.caption, drawn.texts("div[@class='measure']")) == ("songs", ["sessions"])
    assert drawn.texts("p[@class='legend']/span") == ["free", "paid"]
    assert drawn.tips == [
        "1 song, sessions: free 5, paid 3", "2-5 songs, sessions: free 4", "9 songs, sessions: no data",
    ]  # fmt: skip


@pytest.mark.parametrize(("gap", "hatched"), [(1, 1), (7, 0)])
def test_columns_of_days_and_weeks_are_placed_by_date(folder: Path, gap: int, hatched: int) -> None:
    head = "-- x: day (day)\n-- y: ups (upgrades), downs (downgrades)"
    rows: list[Row] = [{"day": DAY + timedelta(n * gap), "ups": n, "downs": up} for n, up in ((0, 2), (1, 4), (3, 1))]
    drawn = Drawn(answer(folder, "columns", rows, head))
    ups, downs = map(rectangles, drawn.of_panels("svg/rect"))
    assert [bar[:2] for bar in ups] == [("accent", 1), ("accent", 3)]
    assert [(bar[1], bar[3]) for bar in downs] == [(0, 50), (1, 100), (3, 25)]
    assert len(drawn.all("b[@class='unknown']")) == 2 * hatched, "a week has all of its days"
    assert drawn.caption == ("day, 2018" if gap == 7 else "day, 2018. Hatched: no data")
    assert drawn.all("p[@class='legend']") == []
    assert drawn.tips[2].endswith(", upgrades: no data")


def test_each_row_is_a_bar_with_its_number_and_names_that_tell_it_from_others(folder: Path) -> None:
    rows: list[Row] = [
        {"song": "Army of Me", "artist": "Björk", "plays": 1200, "percent_of": 3},
        {"song": "Army of Me", "artist": "Skunk", "plays": 600, "percent_of": None},
        {"song": "x" * 50 + "<\x07", "artist": None, "plays": 1.5, "percent_of": 0.03},
    ]
    head = "-- x: plays (plays of the song), percent_of (% of all)\n-- y: song (song), artist (artist)"
    drawn = Drawn(answer(folder, "bars", rows, head))
    assert drawn.texts("div/b") == ["song · artist", "plays of the song", "% of all"]
    cells = [cell for cell in drawn.texts("div/span") if cell]
    assert cells == [
        *("Army of Me · Björk", "1,200", "3 %"),
        *("Army of Me · Skunk", "600", "-"),
        *("x" * 50 + "<  · -", "1.5", "0.03 %"),
    ]
    assert [style["share"] for style in drawn.styles("i")] == [100, 100, 50, 0, 0.1, 1]
    assert {element.get("class") for element in drawn.all("i")} == {"accent"}
    assert drawn.styles("div[@class='bars']") == [{"measures": 2}]


def test_a_bar_that_is_marked_is_open_and_plans_have_their_colours(folder: Path) -> None:
    head = "-- x: plays (plays)\n-- y: level (plan)\n-- mark: known (not in the catalogue)"
    rows: list[Row] = [
        {"level": level, "known": known, "plays": 1}
        for level, known in (("free", "yes"), ("paid", "no"), ("other", "no"))
    ]
    drawn = Drawn(answer(folder, "bars", rows, head))
    assert [element.get("class") for element in drawn.all("i")] == ["free", "paid open", "accent open"]
    assert drawn.texts("p[@class='legend open']/span") == ["not in the catalogue"]
    assert Drawn(answer(folder, "bars", rows[:1], head)).all("p") == []


def test_a_cells_colour_is_stronger_the_higher_its_value_and_one_without_data_is_hatched(folder: Path) -> None:
    rows = [
        {"hour": 3, "weekday": "Monday", "plays": 2000},
        {"hour": 4, "weekday": "Monday", "plays": 0},
        {"hour": 3, "weekday": "Sunday", "plays": 500},
    ]
    drawn = Drawn(answer(folder, "heatmap", rows))
    assert [style.get("share") for style in drawn.styles("i")] == [STRONGEST, 4, 16.5, None]
    assert [element.get("class") for element in drawn.all("i")] == [None, None, None, "unknown"]
    assert drawn.texts("i") == ["2,000", "0", "500", ""]
    assert drawn.texts("div/span") == ["Monday", "Sunday"]
    assert drawn.texts("b") == ["weekday", "3", "4"]
    assert drawn.caption == "hour. Colour: plays. The strongest: 2,000. Hatched: no data."
    assert drawn.tips[0] == "Monday, hour 3, plays: 2,000"
    whole = Drawn(answer(folder, "heatmap", rows[:2]))
    assert whole.caption == "hour. Colour: plays. The strongest: 2,000."


@pytest.mark.parametrize(("columns", "numbers"), [(14, 14), (15, 0)])
def test_cells_show_their_numbers_if_there_is_room(folder: Path, columns: int, numbers: int) -> None:
    rows = [{"hour": hour, "weekday": "Monday", "plays": 1} for hour in range(columns)]
    drawn = Drawn(answer(folder, "heatmap", rows))
    assert sum(bool(text) for text in drawn.texts("i")) == numbers
    assert len(drawn.tips) == columns


def test_a_heatmap_of_zeros_is_drawn(folder: Path) -> None:
    drawn = Drawn(answer(folder, "heatmap", [{"hour": 1, "weekday": "Monday", "plays": 0}]))
    assert drawn.texts("i") == ["0"]
    assert drawn.styles("i") == [{"share": 4}]


def test_a_sign_stands_for_each_result_and_what_was_not_checked_is_hatched(folder: Path) -> None:
    head = "-- x: at (checked, UTC)\n-- y: name (check)\n-- value: rows (rows that break it)\n-- series: result"
    results = [("a", 9, "holds", 0), ("a", 10, "breaks", 1200), ("b", 10, "warns", 3)]
    rows: list[Row] = [
        {"name": name, "at": datetime(2018, 11, 1, hour), "result": result, "rows": count}
        for name, hour, result, count in results
    ]
    drawn = Drawn(answer(folder, "signs", rows, head))
    cells = [(cell.get("class"), cell.text) for cell in drawn.all("i")]
    assert cells == [
        ("holds", "\N{MIDDLE DOT}"),
        ("breaks", "\N{MULTIPLICATION SIGN}"),
        ("unknown", None),
        ("warns", "!"),
    ]
    assert drawn.texts("b") == ["check", "1 Nov 09:00", "1 Nov 10:00"]
    assert drawn.texts("div/span") == ["a", "b"]
    assert drawn.tips[1:3] == ["a, 1 Nov 10:00: breaks, rows that break it: 1,200", "b, 1 Nov 09:00: not checked"]
    legend = "checked, UTC. \N{MIDDLE DOT} holds, ! warns, \N{MULTIPLICATION SIGN} breaks."
    assert drawn.caption == f"{legend} Hatched: not checked."
    assert Drawn(answer(folder, "signs", rows[:2], head)).caption == legend
    many = [{"name": "a", "at": datetime(2018, 11, day), "result": "holds", "rows": 0} for day in range(1, 25)]
    names = [name for name in Drawn(answer(folder, "signs", many, head)).texts("b") if name]
    assert names == ["check", "1 Nov 00:00", "9 Nov 00:00", "17 Nov 00:00"]


def test_of_many_columns_only_some_have_names(folder: Path) -> None:
    head = "-- x: batch_id (batch)\n-- y: records (records)"
    rows: list[Row] = [{"batch_id": n, "records": n} for n in range(1, 31)]
    drawn = Drawn(answer(folder, "columns", rows, head))
    assert drawn.names == ["1", "4", "7", "10", "13", "16", "19", "22", "25", "28"]
    assert drawn.styles("div[@class='names']/span")[1]["left"] == pytest.approx(100 * 3.5 / 30, abs=0.1)
    assert Drawn(answer(folder, "columns", rows[:10], head)).names == [*map(str, range(1, 11))]


@pytest.mark.parametrize("kind", HEADS)
def test_no_chart_is_drawn_without_rows_or_for_a_table(folder: Path, kind: str) -> None:
    assert chart(answer(folder, kind, [])) == ""
    assert chart(answer(folder, "table", [{"hour": 1}])) == ""


@pytest.mark.parametrize(("first", "whole"), [(0, True), (0.5, False), (None, True)])
def test_ticks_of_counts_are_whole_numbers(folder: Path, first: float | None, *, whole: bool) -> None:
    rows: list[Row] = [{"day": DAY, "plays": first}, {"day": DAY + timedelta(1), "plays": 1}]
    ticks = Drawn(answer(folder, "columns", rows, OF_DAYS)).texts("span[@class='tick']")
    assert all(float(tick).is_integer() for tick in ticks) == whole


def test_hostile_text_stays_text(folder: Path) -> None:
    texts = ["it's", '"><script>&\n</title>', "\" and '>", "{{ 1 }}"]
    bars = Drawn(answer(folder, "bars", [{"song": text, "plays": 1, "listeners": 2} for text in texts]))
    seen = [text.replace("\n", " ") for text in texts]
    assert bars.texts("div/span")[::3] == seen
    cells = [{"hour": 1, "weekday": text, "plays": 1} for text in texts]
    assert Drawn(answer(folder, "heatmap", cells)).tips == [f"{text}, hour 1, plays: 1" for text in seen]


def test_ten_years_are_drawn_in_little(folder: Path) -> None:
    head = "-- x: day (day)\n-- y: ups (upgrades), downs (downgrades)"
    rows: list[Row] = [{"day": DAY + timedelta(n), "ups": n % 9 == 0, "downs": 0} for n in range(3650) if n % 97]
    assert len(chart(answer(folder, "columns", rows, head))) < 50_000

"""The questions, their answers, and the page that shows them."""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from csv import reader
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import unescape
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from markupsafe import escape
from prefect import flow

from flows.analytics import Report, analytics
from flows.escape import escape_cell
from flows.generate import generate
from flows.report.charts import PLANS, STRONGEST, chart
from flows.report.dictionary import tables_in
from flows.report.headlines import about, change, verdict, weeks
from flows.report.page import DARK, LIGHT, page
from flows.report.texts import repaired, with_repairs
from sql import catalog
from tasks.answer import Answers, answer, combinations
from tasks.results import CheckResult
from tests.sql.test_catalog import not_in_redshift
from tests.support import analytics_oracle, data_dictionary
from tests.support.artifacts import artifacts_of, kinds
from tests.support.artifacts import rows_of as table_of
from tests.support.browser import Page
from tests.support.deployed import wait_for
from tests.support.oracle import EPOCH, read_records
from tests.support.records import EVENT, SONG, Record, write_data
from tests.support.warehouses import Place, duckdb_place
from warehouse.documents import write_document
from warehouse.errors import PermanentError
from warehouse.questions import Answer, Axis, Choice, Question, python_value, readable
from warehouse.target import Target

NASTY = "<script>alert('x')</script> $x$ [a](javascript:b) {0} & **b** | \u0007"


def html_text(html: str) -> str:
    """Return what a reader of a page sees, without styles."""
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)))


Filters = Mapping[str, Sequence[Choice]]


def ask(target: Target, filters: Filters = catalog.FILTERS) -> Answers:
    return answer.fn(target, catalog.TABLES, catalog.CHECKS, catalog.QUESTIONS, filters)


def rows_of(answers: Iterable[Answer]) -> dict[str, list[tuple[Any, ...]]]:
    return {found.question.name: [tuple(row.values()) for row in found.rows] for found in answers}


def assert_answers(found: Answers, data: Path) -> None:
    """Compare the answers, with each combination of choices, with those from raw files."""
    events, songs = (list(read_records(data / name)) for name in ("log_data", "song_data"))
    answered = rows_of(found.items)
    for name in OF_RUNS:
        assert len(answered.pop(name)) > 0
    assert_rows(answered, analytics_oracle.answers_of(events, songs))
    for choices in combinations(found.filters)[1:]:
        answers = rows_of(each for each in found.filtered if each.question.choices == choices)
        chosen: Any = dict(RESTRICTIONS[choice.name] for choice in choices)
        right = analytics_oracle.answers_of(events, songs, **chosen)
        assert_rows(answers, {name: right[name] for name in answers})
        assert len(answers) >= 14


OF_RUNS = ("latest_batches", "batches_over_time", "check_results")
"""The questions that the files alone do not answer."""

RESTRICTIONS = {
    "free plan": ("level", "free"),
    "paid plan": ("level", "paid"),
    "last 28 days": ("last_days", 28),
    "last 7 days": ("last_days", 7),
}


def assert_rows(answered: dict[str, list[tuple[Any, ...]]], expected: dict[str, list[tuple[Any, ...]]]) -> None:
    assert set(answered) == set(expected)
    for name, rows in answered.items():
        assert len(rows) == len(expected[name]), name
        for row, right in zip(rows, expected[name], strict=True):
            assert row == tuple(pytest.approx(v) if isinstance(v, float) else v for v in right), name


def event(**changes: Any) -> Record:
    first = {"artist": "Björk", "firstName": "A", "lastName": "B", "song": "Army of Me", "ts": 1541106106796}
    return EVENT | first | {"userAgent": "Mozilla/5.0 Firefox/31.0", "userId": "7"} | changes


def song(**changes: Any) -> Record:
    first = {"artist_id": "AR1", "artist_latitude": None, "artist_longitude": None, "artist_location": ""}
    return SONG | first | {"artist_name": "Björk", "song_id": "SO1", "title": "Army of Me", "year": 1995} | changes


def load(folder: Path, data: Path) -> Place:
    place = duckdb_place(folder / "warehouse.duckdb")
    place.run(data / "log_data", data / "song_data")
    return place


@pytest.mark.parametrize("question", catalog.QUESTIONS, ids=lambda question: question.name)
class TestQuestion:
    def test_the_select_is_valid_redshift_sql(self, question: Question) -> None:
        assert not_in_redshift(question.select) == []
        for choices in combinations(catalog.FILTERS):
            assert not_in_redshift(question.chosen(choices).select) == []

    def test_the_head_names_existing_columns(self, question: Question, answered: Answers) -> None:
        (columns,) = (found.columns for found in answered.items if found.question == question)
        axes = [axis.column for word in ("x", "y", "value") for axis in question.axes(word)]
        assert {*axes, *([question.series] if question.series else [])} <= set(columns)
        assert bool(axes) == (question.chart != "table")
        assert question.head["question"].endswith("?")


def test_a_head_without_a_headline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "10_a.sql").write_text("-- title: A\n-- question: A?\n-- chart: pie\nselect 1 as a\n")
    with pytest.raises(PermanentError) as raised:
        Question(tmp_path / "10_a.sql").head  # noqa: B018
    assert str(raised.value).splitlines() == [
        "10_a.sql: the head lacks headline. Add a line for each",
        "10_a.sql: the chart 'pie' is unknown. Use one of figures, lines, columns, bars, heatmap, signs, table",
    ]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, generated: Path) -> Answers:
    return ask(load(tmp_path_factory.mktemp("answered"), generated).target)


def test_answers_on_generated_data_match_the_raw_files(place: Place, generated: Path) -> None:
    place.run(generated / "log_data", generated / "song_data")
    found = ask(place.target)
    assert_answers(found, generated)
    assert all(check.holds for check in found.checks)
    assert found.loaded_at
    assert not found.is_loading
    assert abs((found.asked_at - found.loaded_at).total_seconds()) < 60


def test_answers_on_real_data_match_the_raw_files(place: Place, real_data: Path) -> None:
    place.run(real_data / "log_data", real_data / "song_data")
    filters = catalog.FILTERS if place.target.duckdb_file else {}  # the stand-in needs a minute for all choices
    assert_answers(ask(place.target, filters), real_data)


def test_answers_are_right_for_each_choice_of_plan_and_period(tmp_path: Path) -> None:
    """Of a period nothing from before is known: neither plays, nor days, nor who was there."""
    generate(days=40, users=15, songs=40, seed=3, out=tmp_path / "data")
    found = ask(load(tmp_path, tmp_path / "data").target)
    assert {name: [each.name for each in choices] for name, choices in found.filters.items()} == {
        "Plan": ["free plan", "paid plan"], "Period": ["last 28 days", "last 7 days"],
    }  # fmt: skip
    assert_answers(found, tmp_path / "data")


AGENTS = [
    "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 Chrome/36.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/64.0 Safari/537.36 Edge/17.0",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/99.0 Safari/537.36 Edg/99.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/36.0 Safari/537.36 OPR/23.0",
    "Opera/9.80 (Macintosh; Intel Mac OS X) Presto/2.12",
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (Android 4.4; Mobile; Linux) Gecko/41.0 Firefox/41.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 7_1, like Macintosh) AppleWebKit/537.51 Version/7.0 Safari/9537.53",
    "Mozilla/5.0 (iPad; CPU OS 7_1 like Macintosh) AppleWebKit/537.51 CriOS/36.0 Safari/9537.53",
    "Mozilla/5.0 (Macintosh) AppleWebKit/600.1",
    "Lynx/2.8",
    None,
]  # fmt: skip
SESSION_SIZES = [1, 2, 5, 6, 10, 11, 20, 21, 50, 51]


def crowd(folder: Path) -> Path:
    """Write data with ties, with more rows than any list shows, and with both sides of every bound in a question."""
    draw = Random(1)
    songs = [
        song(song_id=f"S{n}", artist_id=f"A{n % 20}", artist_name=f"Artist {n % 20}", title=f"Song {n}")
        for n in range(40)
    ]
    songs += [
        song(song_id=f"T{n}-{m}", artist_id=f"B{n}", artist_name=f"Twin {n}", title=f"{title} {n}", duration=duration)
        for n in range(8)
        for m, (title, duration) in enumerate([("Double", 200.5), ("DOUBLE", 200.5), ("dou ble", 210.5)])
    ]
    played = [{"song": s["title"], "artist": s["artist_name"], "length": s["duration"]} for s in songs]
    played += [
        {"song": text(of["song"]), "artist": text(of["artist"]), "length": length}
        for of in played[::3]
        for text in (str, str.upper, lambda words: words.replace(" ", "-"))
        for length in (200.5, 205.5, 300.25)
    ]
    played += [{"song": f"Unheard {n}", "artist": f"Nobody {n % 3}"} for n in range(20)]
    events = []
    for session, size in enumerate(SESSION_SIZES * 6):
        user = draw.randrange(1, 16)
        start = 1541106106796 + (user + draw.choice([0, 0, 1, 5])) * 7 * 86_400_000 + draw.randrange(7 * 24) * 3_600_000
        of_session = {"userAgent": draw.choice(AGENTS), "location": f"Place {draw.randrange(20)}", "sessionId": session}
        level = draw.choice(["free", "paid"] if user % 4 else ["free"])
        for item in range(size):
            if user % 4 > 1 and not item % 2 and draw.random() < 0.2:
                level = {"free": "paid", "paid": "free"}[level]
            own = {"userId": str(user) if user > 1 else "", "level": level, "ts": start + session + item // 2 * 95_500}
            heard = draw.choice(played[: draw.choice([10, len(played)])])
            events.append(event(itemInSession=item, **of_session, **own, **heard))
            if draw.random() < 0.05:  # the same again, with another song
                events.append(events[-1] | draw.choice(played))
    draw.shuffle(events)
    return write_data(folder, events, songs)


def test_answers_are_right_at_ties_and_bounds(tmp_path: Path) -> None:
    data = crowd(tmp_path / "data")
    found = ask(load(tmp_path, data).target)
    assert_answers(found, data)
    rows = {name: len(rows) for name, rows in rows_of(found.items).items()}
    assert [rows[name] for name in ("session_sizes", "near_misses", "missing_songs")] == [11, 50, 15], "a crowd of all"


def test_answers_on_dirty_data_match_the_loaded_events(place: Place, tmp_path: Path) -> None:
    """Which records COPY loads is tested elsewhere; here the events that it loaded are counted in plain Python."""
    generate(days=15, users=12, songs=30, seed=3, out=tmp_path / "data", dirty=True)
    odd: list[Record] = [
        {"ts": 1000}, {"ts": 99_999_999_999_999}, {"userId": "", "level": "paid"}, {"gender": None}, {"gender": "X"},
        {"song": None}, {"artist": None}, {"length": None}, {"location": None, "sessionId": None}, {"userAgent": None},
        {"firstName": None}, {"lastName": None}, {"song": "SÃO", "artist": "BjÃ\x83Â¶rk"}, {"song": NASTY},
    ]  # fmt: skip
    events = [event(userId=str(100 + n), itemInSession=n, ts=1540000000000 + n) | each for n, each in enumerate(odd)]
    write_data(tmp_path / "data" / "log_data" / "odd", events, [])
    place.run(tmp_path / "data/log_data", tmp_path / "data/song_data", max_errors=100)
    session = place.session()
    loaded, songs = (
        [dict(zip(columns, row, strict=True)) for row in session.rows(f"select {', '.join(columns)} from {table.name}")]
        for table in catalog.HISTORY
        for columns in [[column.name for column in table.columns]]
    )
    rejects = session.one("(select count(*) from load_errors)")
    session.warehouse.release_lease()
    found = ask(place.target, {})
    newest = max(e["ts"] for e in loaded if e["ts"].year == 2018)
    batch = [(1, "log_data", len(loaded), rejects), (1, "song_data", len(songs), 0)]
    latest = next(item for item in found.items if item.question.name == "latest_batches").rows
    assert [(r["batch_id"], r["source"], r["records"], r["rejected"]) for r in latest] == batch
    everything = len(loaded) + len(songs) + rejects
    names = ("all_rejected", "all_records", "newest_event", "taken_back")
    assert {tuple(row[name] for name in names) for row in latest} == {(rejects, everything, newest, 0)}
    answered = rows_of(found.items)
    for name in OF_RUNS:
        assert answered.pop(name)
    assert_rows(answered, analytics_oracle.answers_of([as_delivered(row) for row in loaded], songs))
    rows = {name: len(rows) for name, rows in rows_of(found.items).items()}
    assert [rows[name] for name in ("implausible_times", "days_without_events", "broken_texts")] == [2, 1, 1]
    assert {row[0] for row in rows_of(found.items)["listeners_by_gender"]} == {"female", "male", "not known"}
    assert None not in rows_of(found.items)["overview"][0], "two whole weeks can be compared"


def as_delivered(row: dict[str, Any]) -> Record:
    """Return a row of `events` as a record of the logs."""
    names = {name: re.sub("_(.)", lambda part: part[1].upper(), name) for name in row}
    moment = round((row["ts"] - EPOCH) / timedelta(milliseconds=1))
    user = "" if row["user_id"] is None else str(row["user_id"])
    return {names[name]: value for name, value in row.items()} | {"ts": moment, "userId": user}


def test_batches_and_checks_are_told_run_by_run(place: Place, generated: Path) -> None:
    """Batch 37 was loaded by a run that recorded no checks, and a late run took batch 40 back."""
    place.run(generated / "log_data", generated / "song_data")
    batches = [
        f"insert into batches select {n}, source, 'loaded', files, {n}, {n % 2}, 'run {n}', "
        f"dateadd(hour, {n}, timestamp '2018-12-01 00:00:00'), null, null, null from batches where batch_id = 1"
        for n in range(2, 41)
    ]
    runs = [(n, f"run {n}", f"dateadd(second, -{n}, {{}})", n == 38, n == 39) for n in range(2, 41) if n != 37]
    runs.append((40, "undo", "null", True, True))
    checks = [
        f"insert into check_results select {batch}, '{name}', '{severity}', {3 * broken}, '{run}', "
        f"{began.format(ended)}, {ended} from (select 1) as one"
        for batch, run, began, warns, breaks in runs
        for ended in [f"dateadd(minute, {61 if run == 'undo' else 1}, timestamp '2018-12-01 {batch % 24:02}:00:00')"]
        for ended in [f"dateadd(day, {batch // 24}, {ended})"]
        for name, severity, broken in (("must", "error", breaks), ("may", "warn", warns))
    ]
    session = place.session()
    session.run("delete from check_results", *batches, *checks)
    session.warehouse.release_lease()
    found = {item.question.name: item for item in ask(place.target, {}).items}
    shown = found["batches_over_time"].rows
    assert [(r["batch_id"], r["records"], r["rejected"], r["seconds"]) for r in shown] == [
        (n, 2 * n, 2 * (n % 2), None if n == 37 else n) for n in range(11, 41)
    ]
    sentence = "Batch 40 brought 80 records in 40 seconds, and 0 more were rejected."
    assert found["batches_over_time"].headline == sentence
    results = [
        (r["check_name"], r["batch_id"], r["checked_at"].minute, r["result"]) for r in found["check_results"].rows
    ]
    told = [*range(17, 37), 38, 39, 40, 40]
    assert [row for row in results if row[3] != "holds"] == [
        ("must", 39, 1, "breaks"), ("must", 40, 1, "breaks"), ("may", 38, 1, "warns"), ("may", 40, 1, "warns"),
    ]  # fmt: skip
    assert [batch for name, batch, *_ in results if name == "may"] == told
    headline = "Of the latest 24 runs, 21 kept every rule, 1 had warnings only, and 2 broke one."
    assert found["check_results"].headline == headline


def test_a_warehouse_without_recorded_checks_goes_on(place: Place, generated: Path) -> None:
    """As an earlier version of the project left it."""
    place.run(generated / "log_data", generated / "song_data")
    session = place.session()
    session.run("drop table check_results")
    session.warehouse.release_lease()
    place.run(generated / "log_data", generated / "song_data")
    session = place.session()
    session.run("delete from check_results")
    session.warehouse.release_lease()
    found = {item.question.name: item.headline for item in ask(place.target, {}).items}
    assert found["check_results"] == "No run has recorded its checks yet."
    assert " in an unknown number of seconds" in found["batches_over_time"]


def test_near_misses_say_what_to_fix(place: Place, tmp_path: Path) -> None:
    texts: list[Record] = [
        {"length": 201.5},
        {"song": "ARMY  of me"},
        {"artist": "BjÃ¶rk"},  # UTF-8 read as Latin-1
        {"song": "日本", "artist": "東京"},
        {},
        {"song": "Hyperballad"},
    ]
    events = [event(ts=1541106106796 + n, itemInSession=n, **text) for n, text in enumerate(texts)]
    songs = [song(), song(song_id="SO2", title="日", artist_name="東")]
    tied = {"duration": (201.25, 201.75), "title": ("Army of ME", "Army Of Me"), "artist_name": ("BJörk", "BjöRK")}
    songs += [
        song(song_id=f"SO{number}", duration=duration, title=title, artist_name=artist)
        for number, (duration, title, artist) in enumerate(product(*tied.values()), 3)
    ]
    events.append(event(ts=1541106106796, itemInSession=len(texts), length=201.5, song="army of me", artist="björk"))
    data = write_data(tmp_path / "data", events, songs)
    place.run(data / "log_data", data / "song_data")
    found = ask(place.target, {})
    assert_answers(found, data)
    assert {row[3] for row in rows_of(found.items)["near_misses"]} == {
        "another duration", "case or spacing", "encoding or punctuation",
    }  # fmt: skip


def test_plan_changes_are_counted_by_day(place: Place, tmp_path: Path) -> None:
    levels = ["free", "free", "paid", "free", "paid"]
    events = [event(ts=1541106106796 + n * 60_000, itemInSession=n, level=level) for n, level in enumerate(levels)]
    data = write_data(tmp_path / "data", events, [song()])
    place.run(data / "log_data", data / "song_data")
    found = ask(place.target, {})
    assert_answers(found, data)
    assert [row[1:] for row in rows_of(found.items)["plan_changes"]] == [(2, 1, 1, 1)]


def test_times_in_another_unit_spoil_neither_users_nor_the_report(place: Place, tmp_path: Path) -> None:
    """Seconds are read as 1970, microseconds as the year 50803."""
    day = 86_400_000
    good = [event(ts=1541106106796 + n * day, itemInSession=n, level="paid") for n in range(10)]
    other = [event(ts=1541106106796 // 1000, itemInSession=11), event(ts=1541106106796000, itemInSession=12)]
    other.append(event(ts=1541106106796000, userId="8", itemInSession=13))
    first = write_data(tmp_path / "first", [*good[:5], *other], [song()])
    second = write_data(tmp_path / "second", good[5:], [song()])
    for data in (first, second):
        checks = place.run(data / "log_data", data / "song_data")
        broken = {check.check: check.offending for check in checks if not check.holds}
        assert broken == {"songplays_times_plausible": 3}, data
    users = {user: (level, updated) for user, *_, level, updated in place.contents("users")["users"]}
    assert users == {7: ("paid", datetime(2018, 11, 10, 21, 1, 46, 796000)), 8: ("free", datetime(1970, 1, 1))}

    found = ask(place.target, {})
    answers = {answer.question.name: answer for answer in found.items}
    assert answers["overview"].headline == "1 listener played 10 songs from 1 November 2018 to 10 November 2018 (UTC)."
    assert [row[0].day for row in rows_of(found.items)["daily_activity"]] == list(range(1, 11))
    assert rows_of(found.items)["sessions"][0][2:4] == (9 * 24 * 60, 9 * 24 * 60)
    days = {
        row[0]
        for name in ("plan_changes", "weekly_retention", "catalogue_coverage")
        for row in rows_of(found.items)[name]
    }
    assert {day.year for day in days} == {2018}
    assert all(chart(answer) for answer in found.items if answer.question.chart in ("lines", "columns"))
    assert [row[:2] for row in rows_of(found.items)["implausible_times"]] == [("before 2000", 1), ("after tomorrow", 2)]
    assert answers["implausible_times"].headline == (
        "Left out everywhere else, for times from the year 1970 to the year 50805: 3 plays."
    )
    assert answers["implausible_times"].headline in html_text(page(found, "here"))


def test_headlines_count_both_plans_and_say_how_many_weeks_later(tmp_path: Path) -> None:
    """For one plan alone, the last day and its session have the most plays."""
    day = 86_400_000
    plays = [
        (0, 1, "free"),
        (0, 1, "free"),
        (0, 2, "paid"),
        (0, 2, "paid"),
        (21, 3, "paid"),
        (21, 3, "paid"),
        (21, 3, "paid"),
    ]
    events = [
        event(
            ts=1541106106796 + days * day + n, itemInSession=n, sessionId=session, level=level, userId=str(session % 2)
        )
        for n, (days, session, level) in enumerate(plays)
    ]
    headlines = {
        a.question.name: a.headline
        for a in ask(load(tmp_path, write_data(tmp_path / "data", events, [song()])).target).items
    }
    assert headlines["daily_activity"] == (
        "1 November 2018 was the busiest day, with 4 plays. A day had 3.5 on average (2 days with events)."
    )
    assert headlines["session_sizes"] == "Sessions of 2–5 songs are the most common: 3 of 3 sessions."  # noqa: RUF001
    assert headlines["weekly_retention"].endswith(
        "50 % came back 3 weeks later (1 day of which have events). "
        "1 of 1 groups is too small to compare (fewer than 20 new listeners)."
    )


def answers_with(folder: Path, checks: list[CheckResult], loaded_at: datetime | None = None, plays: int = 3) -> Answers:
    """Return the answers to a question with figures and to one with bars."""
    found = []
    for number, kind in enumerate(("figures", "bars")):
        path = folder / f"{number}_{kind}_of_plays.sql"
        section = "" if kind == "figures" else "-- section: A <b>\n"
        path.write_text(
            f"-- title: T {kind}\n-- question: Q?\n{section}"
            f"-- chart: {kind}\n-- x: plays (plays)\n-- y: who (a < b)\n"
            "-- value: plays (plays in all)\n-- headline: {total[plays]:play} heard.\nselect 1"
        )
        rows: tuple[dict[str, Any], ...] = ({"who": "x", "plays": 1}, {"who": 7, "plays": 1234}) if plays else ()
        found.append(Answer(Question(path), ("who", "plays"), rows[-1:] if kind == "figures" else rows))
    return Answers(found, checks, datetime(2018, 11, 30, 12, 5), loaded_at)


BROKEN = [
    CheckResult("a_holds", "A & b.", "error"),
    CheckResult("b", "B <c>.", "warn", 1),
    CheckResult("c", "C.", "error", 2345),
]
ASKED = datetime(2018, 11, 30, 12, 5)


class TestPage:
    @pytest.mark.parametrize(
        ("loaded_at", "loaded"),
        [
            (None, "never loaded"),
            (ASKED - timedelta(hours=2), "last loaded 2018-11-30 10:05 UTC"),
            (ASKED, "last loaded 2018-11-30 12:05 UTC"),
            (ASKED + timedelta(seconds=1), "a load is running or was interrupted, so the data may be incomplete"),
        ],
    )
    def test_says_when_the_tables_were_loaded_and_read(
        self, tmp_path: Path, loaded_at: datetime | None, loaded: str
    ) -> None:
        answers = answers_with(tmp_path, BROKEN, loaded_at)
        assert about(answers, "here") == ["1,234 plays heard.", f"From here: {loaded}, read 2018-11-30 12:05 UTC."]

    def test_says_how_many_checks_hold(self, tmp_path: Path) -> None:
        verdicts = [verdict(answers_with(tmp_path, BROKEN[:number])) for number in range(1, 4)]
        assert verdicts == [
            "The check holds.",
            "1 of 2 checks of the data fails.",
            "2 of 3 checks of the data fail.",
        ]
        classes = [page(answers_with(tmp_path, BROKEN[:number], plays=0), "here") for number in range(1, 4)]
        assert [text.count('<p class="good">') for text in classes] == [1, 0, 0]

    def test_shows_figures_headlines_charts_and_numbers(self, tmp_path: Path) -> None:
        html = page(answers_with(tmp_path, BROKEN), "here")
        assert "<li>B &lt;c&gt;. (b, warn: 1 row)</li>\n<li>C. (c, error: 2,345 rows)</li>\n</ul>" in html
        assert "<div><dt>plays in all</dt><dd>1,234</dd></div>" in html
        assert [part.partition('"')[0] for part in html.split('<section id="')[1:]] == ["bars_of_plays"]
        assert '<th scope="col">who</th><th scope="col" class="number">plays</th>' in html
        assert '<td>7</td><td class="number">1,234</td>' in html
        label = "Chart (bars) of plays, a &lt; b, plays in all. 1,235 plays heard. The values are in the table below."
        assert f'<div class="chart" role="img" aria-label="{label}">\n<div class="bars"' in html

    def test_charts_use_the_colours_of_the_light_and_dark_theme(self, tmp_path: Path) -> None:
        html = page(answers_with(tmp_path, []), "here")
        names = [*LIGHT]
        assert names == [*DARK] == ["ink", "quiet", "grid", "accent", "free", "paid"]
        for colours in (LIGHT, DARK):
            assert " ".join(f"--{name}: {colours[name]};" for name in names) in html
            assert len(set(colours.values())) == len(names)
            assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours.values())
        body = html.partition("</style>")[2]
        assert not re.findall("#[0-9a-f]{6}", body)
        assert set(re.findall('class="bar"><i class="([^"]*)"', body)) == {"accent"}

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_works_with_no_event_one_event_or_a_few(self, tmp_path: Path, count: int) -> None:
        place = duckdb_place(tmp_path / "warehouse.duckdb")
        session = place.session()
        session.run(*(table.ddl for table in catalog.TABLES))
        session.warehouse.release_lease()
        if count:
            events = [event(ts=1541106106796 + n * 60_000, itemInSession=n) for n in range(count)]
            data = write_data(tmp_path / "data", events, [song()])
            place.run(data / "log_data", data / "song_data")
        html = page(ask(place.target), "here")
        assert ("There are no plays yet" in html) == (not count)
        assert ("<figure>" in html) == bool(count)
        assert not re.search(r"\bnan\b", html)

    def test_refuses_a_schema_of_something_else(self, place: Place) -> None:
        session = place.session()
        session.run("create table songplays (songplay_id varchar(32), start_time timestamp)")
        session.warehouse.release_lease()
        with pytest.raises(PermanentError) as raised:
            ask(place.target)
        message = str(raised.value)
        assert message.startswith("schema sparkify: the pipeline never loaded it (no table staging_events; ")
        assert "a table songplays without user_id, level, song_id, artist_id, session_id, location" in message
        assert message.endswith("Load it first, or name another warehouse or schema")

    def test_refuses_a_schema_that_does_not_exist(self, place: Place, generated: Path) -> None:
        place.run(generated / "log_data", generated / "song_data")
        with pytest.raises(PermanentError, match=r"schema typo: does not exist\. .*sparkify"):
            ask(replace(place.target, schema="typo"))

    def test_names_the_checks_that_fail(self, tmp_path: Path, generated: Path) -> None:
        place = load(tmp_path, generated)
        session = place.session()
        session.run("update time set hour = 24 where hour = 23")
        session.warehouse.release_lease()
        answers = ask(place.target)
        html = page(answers, "here")
        assert f"1 of {len(answers.checks)} checks of the data fails" in html
        assert "Every part of a time is in its range" in html
        assert "Broken by" in html.partition('id="table-time"')[2]

    def test_shows_strings_from_the_data_as_text_as_artifacts_do(self, prefect_server: None, tmp_path: Path) -> None:
        data = write_data(
            tmp_path / "data",
            [event(song=NASTY, artist=NASTY, location=NASTY, level="free", userAgent=NASTY)],
            [song(title=NASTY, artist_name=NASTY), song(song_id="SO2", title=NASTY, artist_name=NASTY, duration=9)],
        )
        target = load(tmp_path, data).target
        found = Report(ask(target), target, "report.html")
        html = page(found.answers, "here")
        assert "<script>alert" not in html
        assert html.partition('id="table-events"')[2].count(escape(NASTY)) >= 3, "the sample"
        assert "&lt;script&gt;alert" in html
        artifacts = kinds(artifacts_of(flow(found.publish)(return_state=True)), target)
        assert len(artifacts) == len(catalog.QUESTIONS) + 1
        escaped = r"\<script\>alert\(\'x\'\)\<\/script\> \$x\$ \[a\]\(javascript\:b\)"
        assert escaped in str(artifacts["analytics"].data)
        assert escaped in str(artifacts["analytics-most-played-songs"].description)
        (played,) = table_of(artifacts["analytics-most-played-songs"])
        assert escape_cell(NASTY) in played.values()
        for key, artifact in artifacts.items():
            assert "<script" not in f"{artifact.data} {artifact.description}".replace(r"\<", ""), key

    def test_repairs_marks_and_counts_texts_in_a_broken_encoding(self, tmp_path: Path) -> None:
        broken = "BjÃ\x83Â¶rk"
        events = [event(artist=broken, level="paid"), event(artist="Mañana", itemInSession=1)]
        answers = ask(load(tmp_path, write_data(tmp_path / "data", events, [song()])).target)
        repaired_answers = replace(answers, items=[with_repairs(item) for item in answers.items])
        html = page(repaired_answers, "here")
        assert f"<td>Björk‡ <small>(loaded as “{broken}”)</small></td>" in html
        assert "<span>Army of Me · Björk‡</span>" in html
        assert "<td>Mañana</td>" in html
        note = "‡ marks 1 text on this page that arrived in a broken encoding"
        assert note in html
        chosen = [with_repairs(item) for item in answers.filtered]
        assert note in page(
            replace(answers, items=[replace(item, rows=()) for item in answers.items], filtered=chosen), ""
        )
        (counted,) = (item for item in answers.items if item.question.name == "broken_texts")
        assert counted.headline.startswith("1 name of songs and artists in the plays, 1 different ones, arrived in a")
        assert broken in csv_on(html, "most_played_artists")[1]

    def test_offers_each_answer_as_csv_and_its_sql(self, tmp_path: Path, answered: Answers) -> None:
        html = page(answered, "here")
        for item in answered.items:
            if item.question.section and item.rows:
                head, *rows = csv_on(html, item.question.name)
                assert tuple(head) == item.columns
                assert rows == [["" if v is None else str(v) for v in row.values()] for row in item.rows]
            if item.question.section:
                assert item.question.select in unescape(html)

    @pytest.mark.parametrize(
        ("row", "changes", "note"),
        [
            (
                {"latest_days": 7, "earlier_days": 7, "plays_change": 12.34, "percent_paid_change": -0.5},
                ["+12.3 % in a week", "−0.5 points in a week"],  # noqa: RUF001
                "Changes compare the 7 days to 7 November 2018 with the 7 days before.",
            ),
            (
                {"latest_days": 7, "earlier_days": 7, "plays_change": 0.0, "percent_paid_change": None},
                ["±0 % in a week", ""],
                "Changes compare the 7 days to 7 November 2018 with the 7 days before.",
            ),
            (
                {"latest_days": 2, "earlier_days": 7, "plays_change": None, "percent_paid_change": None},
                ["", ""],
                "No change in a week is given, because the latest 7 days and the 7 before have events on only 2 and 7 "
                "days.",
            ),
        ],
    )
    def test_says_how_figures_changed_in_a_week(self, row: dict[str, Any], changes: list[str], note: str) -> None:
        axes = [Axis("plays", "songs played"), Axis("percent_paid", "of plays on the paid plan")]
        assert [change(row, axis) for axis in axes] == changes
        assert weeks(row | {"last_day": date(2018, 11, 7)}) == note

    def test_refers_to_no_external_resource(self, report: Path) -> None:
        html = report.read_text(encoding="utf-8")
        assert "http" not in html


def test_a_missing_file_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"nothing\.duckdb does not exist\. Load it first"):
        ask(duckdb_place(tmp_path / "nothing.duckdb").target)
    assert list(tmp_path.iterdir()) == []


def test_a_running_load_is_mentioned(tmp_path: Path, generated: Path) -> None:
    place = load(tmp_path, generated)
    session = place.session()
    found = ask(place.target)
    session.warehouse.release_lease()
    assert found.is_loading
    assert "a load is running" in about(found, "here")[1]


@pytest.mark.parametrize(
    ("headline", "sentence"),
    [
        ("{first[a]:play} of {total[a]}", "1 play of 3,001"),
        ("{last[a]:play}", "3,000 plays"),
        ("{peak[a][name]}", "{b}"),
        ("{peak[b][name]} of {first[name]} and {last[name]}", "x of x and {b}"),
        ("{ratio[b/a]:.1f}", "0.1"),
        ("{ratio[a/none]}", "0"),
        ("{each[name a b]:thing}", "x 1 (2 things), {b} 3,000 (an unknown number of things)"),
        ("{first[share]}, {last[share]}", "1,234.5, 12"),
        ("{first[day]}", "1 November 2018"),
    ],
)
def test_headlines_are_filled_from_the_rows(tmp_path: Path, headline: str, sentence: str) -> None:
    (tmp_path / "1_q.sql").write_text(
        f"-- title: T\n-- question: Q?\n-- chart: table\n-- headline: {headline}\nselect 1"
    )
    rows = (
        {"name": "x", "a": 1, "b": 2, "none": None, "share": 1234.46, "day": date(2018, 11, 1)},
        {"name": "{b}", "a": 3000, "b": None, "none": 0, "share": 12.04, "day": None},
    )
    assert Answer(Question(tmp_path / "1_q.sql"), tuple(rows[0]), rows).headline == sentence


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([20, 21], "F"),
        ([19, 20], "F 1 of 2 groups is too small to compare (fewer than 20 new listeners)."),
        ([19, 0, 20], "F 2 of 3 groups are too small to compare (fewer than 20 new listeners)."),
    ],
)
def test_a_headline_says_which_of_its_groups_are_small(tmp_path: Path, sizes: list[int], sentence: str) -> None:
    (tmp_path / "1_q.sql").write_text(
        "-- title: T\n-- question: Q?\n-- chart: heatmap\n-- y: week (week)\n-- few: new_listeners\n-- headline: F\n"
        "select 1"
    )
    rows = tuple({"week": week, "new_listeners": size} for week, size in enumerate(sizes) for _ in range(2))
    assert Answer(Question(tmp_path / "1_q.sql"), tuple(rows[0]), rows).headline == sentence


@pytest.mark.parametrize(
    ("plays", "sentence"),
    [
        ([3, 2, 2], "F"),
        ([3, 3, 2], "F 1 other has as much."),
        ([3, 3, 3], "F 2 others have as much."),
        ([2, None, 2], "F 1 other has as much."),
    ],
)
def test_a_headline_says_how_many_others_are_as_high(tmp_path: Path, plays: list[int | None], sentence: str) -> None:
    (tmp_path / "1_q.sql").write_text(
        "-- title: T\n-- question: Q?\n-- chart: bars\n-- y: song (song), artist (by)\n-- rank: plays\n-- headline: F\n"
        "select 1"
    )
    rows = tuple(
        {"song": "A", "artist": artist, "plays": count} for artist, count in enumerate(plays) for _ in range(2)
    )
    assert Answer(Question(tmp_path / "1_q.sql"), tuple(rows[0]), rows).headline == sentence


@pytest.mark.parametrize(
    ("loaded", "text"),
    [
        ("BjÃ¶rk", "Björk"),
        ("BjÃ\x83Â¶rk", "Björk"),
        ("Donâ€™t", "Don\N{RIGHT SINGLE QUOTATION MARK}t"),
        ("SÃO PAULO", "SÃO PAULO"),
        ("Björk", "Björk"),
        ("Älä", "Älä"),
        ("日本 Ã¶", "日本 Ã¶"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_texts_in_a_broken_encoding_are_repaired(loaded: str, text: str) -> None:
    assert repaired(loaded) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.5, "0.5"),
        (0.034, "0.034"),
        (-0.26, "-0.26"),
        (0.000012345, "0.000012"),
        (0.999, "1"),
        (1.04, "1"),
    ],
)
def test_numbers_below_one_keep_two_digits(value: float, text: str) -> None:
    assert readable(value) == text


def test_the_select_is_complete_with_its_views(tmp_path: Path) -> None:
    (tmp_path / "views").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"views/{name}.sql").write_text(f"-- View {name}.\nselect 1 as {name}\n")
    head = "-- title: T\n-- question: Q?\n-- chart: table\n-- with: a, b\n-- headline: F\n"
    views = "with a as (\n    -- View a.\n    select 1 as a\n),\n\nb as (\n    -- View b.\n    select 1 as b\n)"
    for body, whole in (
        ("select * from a, b", "\n\nselect * from a, b"),
        ("with c as (select 2)\nselect 3", ",\n\nc as (select 2)\nselect 3"),
    ):
        (tmp_path / "1_q.sql").write_text(f"{head}{body};\n")
        assert Question(tmp_path / "1_q.sql").select == f"{head}{views}{whole}"


def test_a_question_takes_the_choices_that_its_views_have_columns_for(tmp_path: Path) -> None:
    (tmp_path / "views").mkdir()
    for name, filters in (("a", "-- filters: level, day\n"), ("b", "-- filters: day\n"), ("c", "")):
        (tmp_path / f"views/{name}.sql").write_text(f"-- View.\n{filters}select 1\n")
    head = "-- title: T\n-- question: Q?\n-- chart: table\n-- with: a, b, c\n{}-- headline: F\nselect 2"
    (tmp_path / "1_q.sql").write_text(head.format(""))
    (tmp_path / "2_q.sql").write_text(head.format("-- whole: level\n"))
    level, day = Choice("free", "level", "level = 'free'"), Choice("new", "day", "day > 3")
    question, compares = (Question(tmp_path / f"{number}_q.sql") for number in (1, 2))
    assert question.chosen([level, day]).choices == (level, day)
    assert compares.chosen([level, day]).choices == (day,)
    select = " ".join(question.chosen([level, day]).select.split())
    assert "-- filters: level, day select 1 ) as a_of_all where level = 'free' and day > 3 )" in select
    assert "-- filters: day select 1 ) as b_of_all where day > 3 )" in select
    assert "c as ( -- View. select 1 )" in select


@pytest.mark.parametrize(
    ("value", "kept"), [(Decimal("2.00"), "2"), (Decimal("2.50"), "2.5"), (7, "7"), ("x", "'x'"), (None, "None")]
)
def test_a_decimal_becomes_an_int_or_a_float(value: Any, kept: str) -> None:
    assert repr(python_value(value)) == kept


def test_a_head_is_parsed_and_unknown_lines_are_refused(tmp_path: Path) -> None:
    head = "-- title: A: b\n-- question: A?\n-- chart: bars\n-- x: n (plays, of all), share (%)\n-- series: level\n"
    (tmp_path / "10_two_words.sql").write_text(f"{head}-- headline: F\n-- nothing: None yet.\nselect 1 -- x: no\n;\n")
    question = Question(tmp_path / "10_two_words.sql")
    assert (question.name, question.title, question.chart, question.series) == ("two_words", "A: b", "bars", "level")
    assert question.axes("x") == [Axis("n", "plays, of all"), Axis("share", "%")]
    assert question.axes("y") == []
    assert question.select.endswith("select 1 -- x: no\n")
    assert Answer(question).headline == "None yet."
    (tmp_path / "20_q.sql").write_text(head.replace("title", "tittle").replace("A?", "A?\n-- headline: F") + "select 1")
    with pytest.raises(
        PermanentError, match=r"the head lacks title\. Add(.|\n)*the head has unknown lines \(tittle\)\. Use"
    ):
        Question(tmp_path / "20_q.sql").head  # noqa: B018


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    def test_writes_the_page_and_artifacts_with_stable_keys(
        self, place: Place, tmp_path: Path, generated: Path
    ) -> None:
        place.run(generated / "log_data", generated / "song_data")
        report = tmp_path / "report.html"
        state = analytics(
            warehouse=place.target.warehouse, schema=place.target.schema, report=str(report), return_state=True
        )
        assert "checks of the data hold" in report.read_text(encoding="utf-8")
        found, artifacts = state.result(), kinds(artifacts_of(state), place.target)
        about = re.sub(r"\\", "", str(artifacts["analytics-sessions"].description))
        assert about.endswith(f"From {place.target.warehouse}, schema {place.target.schema}, up to batch 1.")
        assert artifacts.pop("analytics").data == found.markdown
        assert {key: len(table_of(artifact)) for key, artifact in artifacts.items()} == {
            f"analytics-{one.question.name.replace('_', '-')}": len(one.rows) for one in found.answers.items
        }

    def test_a_page_is_not_replaced_if_the_schema_does_not_exist(self, tmp_path: Path, generated: Path) -> None:
        target, old = load(tmp_path, generated).target, tmp_path / "report.html"
        old.write_text("old")
        with pytest.raises(PermanentError, match=r"schema typo: does not exist"):
            analytics(warehouse=target.warehouse, schema="typo", report=str(old))
        assert old.read_text() == "old"

    def test_refuses_a_report_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match=r"cannot be written\. Name a file in an existing directory"):
            analytics(report=str(tmp_path / "missing" / "report.html"))


def csv_on(html: str, name: str) -> list[list[str]]:
    """Return the rows of the CSV file that a page offers."""
    found = re.search(f'download="{name}.csv" href="data:text/csv;base64,([^"]*)"', html)
    assert found
    return list(reader(b64decode(found[1]).decode("utf-8-sig").splitlines()))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, answered: Answers) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_document(page(answered, "duckdb:///sparkify.duckdb, schema public"), str(path), "")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
    return path


@pytest.mark.parametrize(
    ("width", "dark"), [(1200, False), (1200, True), (360, False)], ids=["desktop", "dark", "phone"]
)
def test_renders_completely_in_a_browser_without_requests_or_errors(
    browser: Page, report: Path, width: int, *, dark: bool
) -> None:
    browser.open(report, width=width, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    labels = browser.evaluate("[...document.querySelectorAll('[role=img]')].map(chart => chart.ariaLabel)")
    assert labels
    assert all(labels)
    drawn = "[...document.querySelectorAll('figure .chart')].filter(chart => chart.offsetHeight > 40).length"
    assert browser.evaluate(drawn) == browser.evaluate("document.querySelectorAll('section:has(figure)').length") == 20
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
    assert light != dark
    assert browser.requests == []
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 500, 768, 1215, 1217, 1920])
def test_the_page_fits_and_its_contents_stay_in_sight(browser: Page, report: Path, width: int) -> None:
    browser.open(report, width=width)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    browser.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    top, bottom, links = browser.evaluate("""(() => {
        const place = document.querySelector('.side').getBoundingClientRect()
        const shown = [...document.querySelectorAll('nav a')].filter(link => link.getBoundingClientRect().width > 0)
        return [place.top, place.bottom, shown.length]
    })()""")
    assert 0 <= top < bottom <= 900
    assert links == (6 if width < 1216 else 6 + len(catalog.QUESTIONS) - 1 + len(catalog.TABLES))


def test_paper_has_the_values_but_neither_links_nor_sql(browser: Page, report: Path) -> None:
    browser.open(report, width=1200)
    chosen = (
        "[...document.querySelectorAll('.variant td')].filter(cell => cell.closest('.variant').offsetHeight).length"
    )
    values = browser.evaluate(chosen)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    seen = "[...document.querySelectorAll('{}')].filter(each => each.getBoundingClientRect().height > 0).length"
    assert browser.evaluate(seen.format(".variant td")) == values > 1000
    assert browser.evaluate(seen.format("nav, pre, a[download], summary")) == 0
    browser.ask("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(tmp_path: Path, theme: dict[str, str]) -> None:
    """https://www.w3.org/TR/WCAG22/: 4.5 for text (1.4.3), 3 for lines and shapes (1.4.11)."""
    styles = re.findall(r":root \{([^}]*)\}", page(answers_with(tmp_path, []), "here"))
    (declared,) = (style for style in styles if f"--ink: {theme['ink']};" in style)
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", declared))
    for ground in ("card", "page"):
        for name in ("ink", "quiet", "accent", "warn", "good"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for name in ("accent", *PLANS):
        assert contrast(colours[name], colours["card"]) >= 3, name
    strongest = mixed(colours["accent"], colours["card"], STRONGEST / 100)
    assert contrast(colours["ink"], strongest) >= 4.5, "a number in a cell"
    assert contrast(colours["card"], colours["ink"]) >= 4.5, "what is told on hover"


INKS = """(() => {
    const point = new OffscreenCanvas(1, 1).getContext("2d")
    const mixed = colours => {
        colours.forEach(colour => { point.fillStyle = colour; point.fillRect(0, 0, 1, 1) })
        return "#" + [...point.getImageData(0, 0, 1, 1).data].slice(0, 3).map(
            part => part.toString(16).padStart(2, "0")).join("")
    }
    const own = element => getComputedStyle(element).backgroundColor
    const grounds = element => element ? [...grounds(element.parentElement), own(element)] : []
    const inks = {}
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let text; text = texts.nextNode();) {
        const element = text.parentElement
        if (!text.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue
        const ground = ["white", ...grounds(element)]
        inks[[mixed([...ground, getComputedStyle(element).color]), mixed(ground)]] = text.data.trim()
    }
    return inks
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_that_a_browser_draws_has_the_contrast_of_wcag_aa(browser: Page, report: Path, *, dark: bool) -> None:
    browser.open(report, width=1000, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    inks = browser.evaluate(INKS)
    assert len(inks) > 10
    assert {colours: text for colours, text in inks.items() if contrast(*colours.split(",")) < 4.5} == {}


def mixed(colour: str, ground: str, share: float) -> str:
    """Return a colour as it looks if it covers a share of a ground."""
    pairs = zip(_parts(colour), _parts(ground), strict=True)
    return "#" + "".join(f"{round(share * one + (1 - share) * other):02x}" for one, other in pairs)


def contrast(one: str, other: str) -> float:
    light, dark = sorted(map(_luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in _parts(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(colour: str) -> list[int]:
    digits = colour.removeprefix("#")
    return [
        int(pair, 16) for pair in ([digit * 2 for digit in digits] if len(digits) == 3 else re.findall("..", digits))
    ]


def test_ten_questions_are_answered_by_the_text_of_the_page(answered: Answers, generated: Path) -> None:
    """What a reader finds, against numbers from the raw files."""
    text = " ".join(html_text(page(answered, "here")).split())
    right = analytics_oracle.answers(generated / "log_data", generated / "song_data")
    plays, listeners, sessions, *_ = right["overview"][0]
    day = max(right["daily_activity"], key=lambda row: row[5])
    hour = max(right["hours_and_weekdays"], key=lambda row: row[4])
    (song, by, times, heard_by, *_), artist = right["most_played_songs"][0], right["most_played_artists"][0]
    name, _, _, most, *_ = right["top_listeners"][0]
    place, there, *_ = right["top_locations"][0]
    agent, with_it, *_ = right["browsers_and_platforms"][0]
    covered = sum(row[2] for row in right["catalogue_coverage"])
    answers = {
        "how much?": f"{listeners} listeners played {plays:,} songs from",
        "in how many sessions?": f"sessions {sessions:,}",
        "on which day the most?": f"{day[0].day} {day[0]:%B %Y} was the busiest day, with {day[5]:,} plays",
        "when in the week?": f"The peak is {hour[0]} from {hour[1]}:00 UTC, with {readable(hour[4])} play",
        "which song?": f"“{song}” by {by} is played the most, with {times:,} plays by {heard_by} listener",
        "which artist?": f"{artist[0]} is played the most, with {artist[1]:,} plays of {artist[3]} song",
        "who?": f"{name} plays the most, {most:,} songs or",
        "where?": f"{place} has the most listeners: {there} of {listeners}",
        "with what?": f"{agent} has the most listeners: {with_it} of {listeners}",
        "what of it is in the catalogue?": f"The catalogue has the song of {covered:,} plays out of {plays:,}",
    }
    assert [question for question, found in answers.items() if found not in text] == []


def test_the_dictionary_tells_what_each_table_and_column_means(answered: Answers) -> None:
    html = page(answered, "here").partition('<h2 id="dictionary">')[2]
    parts = html.split('<section id="table-')[1:]
    texts = {part.partition('"')[0]: " ".join(html_text(part).split()) for part in parts}
    assert list(texts) == [table.name for table in catalog.TABLES]
    for table in catalog.TABLES:
        assert table.description in texts[table.name]
        for column in table.columns:
            kind = f"{column.type}{'' if column.nullable else ', not null'}"
            assert f" {column.name} {kind} {column.description} " in texts[table.name]
    (plays,) = (content for content in answered.tables if content.table.name == "songplays")
    loaded = f"{plays.rows:,} rows, last loaded {plays.loaded_at:%Y-%m-%d %H:%M} UTC. Key: songplay_id."
    assert plays.rows == answered.items[0].rows[0]["plays"]
    assert f"{loaded} Made from catalogue, events. 12 checks read it, and all hold." in texts["songplays"]
    assert str(plays.sample[0]["songplay_id"]) in texts["songplays"]
    assert "Made from files of log_data." in texts["staging_events"]


def test_the_dictionary_finds_the_tables_that_a_statement_reads() -> None:
    for select in (*(table.select for table in catalog.TABLES if table.select), *(c.select for c in catalog.CHECKS)):
        assert tables_in(select) == data_dictionary._tables_in(select) & {table.name for table in catalog.TABLES}


def test_labels_stay_inside_their_charts(browser: Page, report: Path) -> None:
    texts = "[...document.querySelectorAll('figure :is(em, b, span, p)')].filter(text => text.offsetWidth)"
    outside = (
        f"{texts}.filter(text => {{"
        + """
        const [ours, chart] = [text, text.closest('figure')].map(element => element.getBoundingClientRect())
        const isWide = ours.left < chart.left - 4 || ours.right > chart.right + 4
        return isWide || ours.top < chart.top - 4 || ours.bottom > chart.bottom + 4
    }).map(text => text.textContent)"""
    )
    for width in (1200, 360):
        browser.open(report, width=width)
        assert browser.evaluate(f"{texts}.length") > 50
        assert browser.evaluate(outside) == []


def test_a_person_filters_the_page_without_a_script(browser: Page, report: Path, answered: Answers) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(report, width=1000)
    shown = "[...document.querySelectorAll('.variant')].filter(each => each.offsetHeight).map(each => each.innerText)"
    before = browser.evaluate(shown)
    assert len(before) == browser.evaluate("document.querySelectorAll('section:has(.variant)').length") + 1
    browser.click("label:has(#f0-2)")
    after = browser.evaluate(shown)
    restricted = {
        each.question.name: each for each in answered.filtered if each.question.choices[0].name == "paid plan"
    }
    texts = dict(zip([item.question.name for item in answered.items], zip(before, after, strict=True), strict=True))
    for name, (whole, paid) in texts.items():
        assert ("paid plan" in paid and whole != paid) == (name in restricted), name
        assert name not in restricted or restricted[name].headline in paid, name
    browser.press("ArrowLeft")
    assert "Restricted to: free plan." in browser.evaluate(shown)[1]
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_a_person_points_at_a_value_or_reads_it_by_keys(browser: Page, report: Path, answered: Answers) -> None:
    browser.open(report, width=1000)
    (daily,) = (item for item in answered.items if item.question.name == "daily_activity")
    free, paid = daily.rows[:2]
    value = (
        f"{free['day'].day} {free['day']:%B %Y}, listeners a day: free {free['listeners']}, paid {paid['listeners']}"
    )
    place = "#daily_activity .variant:not([hidden]) [data-tip]"
    browser.point(place)
    assert browser.evaluate(f"getComputedStyle(document.querySelector('{place}'), '::after').content") == f'"{value}"'
    tip = f"getComputedStyle(document.querySelector('{place}'), '::after').position"
    browser.point("h1")
    assert browser.evaluate(tip) != "absolute"
    browser.evaluate("document.querySelector('#daily_activity .chart').focus()")
    assert browser.evaluate(tip) == "absolute"
    told = "document.querySelector('[aria-live]').textContent"
    assert browser.evaluate(told) == value
    for key, row in (("ArrowRight", daily.rows[2]), ("Home", daily.rows[0]), ("ArrowLeft", daily.rows[0])):
        browser.press(key)
        assert browser.evaluate(told).startswith(f"{row['day'].day} {row['day']:%B}"), key
    browser.press("Tab")
    assert browser.evaluate(told) == ""
    assert browser.complaints == []


def test_a_person_downloads_the_values_that_are_shown(browser: Page, report: Path, tmp_path: Path) -> None:
    browser.open(report, width=1000)
    browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click("label:has(#f0-1)")
    browser.click("#most_played_songs .variant:nth-of-type(2) a[download]")
    file = tmp_path / "most_played_songs-free-plan.csv"
    wait_for(lambda: file.exists() and file.stat().st_size)
    head, *rows = reader(file.read_text(encoding="utf-8-sig").splitlines())
    assert head[:3] == ["song", "artist", "plays"]
    assert len(rows) == 15

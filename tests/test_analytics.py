"""The questions, their answers, and the page that shows them."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prefect import flow

from flows.analytics import Report, analytics
from flows.charts import svg
from flows.escape import escape_cell
from flows.report import about, page, write_report
from sql import catalog
from tasks.answer import Answers, answer
from tests import analytics_oracle
from tests.artifacts import artifacts_of
from tests.artifacts import rows_of as table_of
from tests.browser import Page
from tests.test_catalog import not_in_redshift
from tests.warehouses import Place, embedded
from warehouse.base import Target
from warehouse.errors import PermanentError
from warehouse.questions import Answer, Question

NASTY = "<script>alert('x')</script> $x$ [a](javascript:b) {0} & **b** | \u0007"


def ask(target: Target) -> Answers:
    return answer.fn(target, list(catalog.TABLES), list(catalog.CHECKS), list(catalog.QUESTIONS))


def rows_of(answers: Answers) -> dict[str, list[tuple[Any, ...]]]:
    return {found.question.name: [tuple(row.values()) for row in found.rows] for found in answers.answers}


def assert_answers(found: Answers, data: Path) -> None:
    expected = analytics_oracle.answers(data / "log_data", data / "song_data")
    assert set(rows_of(found)) == set(expected)
    for name, rows in rows_of(found).items():
        assert len(rows) == len(expected[name]), name
        for row, right in zip(rows, expected[name], strict=True):
            assert row == tuple(pytest.approx(v) if isinstance(v, float) else v for v in right), name


def write(folder: Path, events: list[dict[str, Any]], songs: list[dict[str, Any]]) -> Path:
    for name, records in (("log_data", events), ("song_data", songs)):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.json").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return folder


def event(**changes: Any) -> dict[str, Any]:
    first = {
        "artist": "Björk", "auth": "Logged In", "firstName": "A", "gender": "F", "itemInSession": 0, "lastName": "B",
        "length": 200.5, "level": "free", "location": "Here", "method": "PUT", "page": "NextSong",
        "registration": 1540919166796.0, "sessionId": 1, "song": "Army of Me", "status": 200, "ts": 1541106106796,
        "userAgent": "Mozilla/5.0 Firefox/31.0", "userId": "7",
    }  # fmt: skip
    return first | changes


def song(**changes: Any) -> dict[str, Any]:
    first = {
        "num_songs": 1, "artist_id": "AR1", "artist_latitude": None, "artist_longitude": None, "artist_location": "",
        "artist_name": "Björk", "song_id": "SO1", "title": "Army of Me", "duration": 200.5, "year": 1995,
    }  # fmt: skip
    return first | changes


def load(folder: Path, data: Path) -> Place:
    place = embedded(folder / "warehouse.duckdb")
    place.run(data / "log_data", data / "song_data")
    return place


@pytest.mark.parametrize("question", catalog.QUESTIONS, ids=lambda question: question.name)
class TestQuestion:
    def test_is_redshifts(self, question: Question) -> None:
        assert not_in_redshift(question.select) == []

    def test_head_names_columns_that_the_rows_have(self, question: Question, answered: Answers) -> None:
        (columns,) = (found.columns for found in answered.answers if found.question == question)
        axes = [axis.column for word in ("x", "y", "value") for axis in question.axes(word)]
        assert {*axes, *([question.series] if question.series else [])} <= set(columns)
        assert bool(axes) == (question.chart != "table")
        assert question.head["question"].endswith("?")


def test_a_head_that_lacks_its_finding_is_named(tmp_path: Path) -> None:
    (tmp_path / "10_a.sql").write_text("-- title: A\n-- question: A?\n-- chart: pie\nselect 1 as a\n")
    with pytest.raises(PermanentError, match=r"10_a\.sql: its head lacks \['finding'\] and has \['pie'\]"):
        Question(tmp_path / "10_a.sql").head  # noqa: B018


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, generated: Path) -> Answers:
    return ask(load(tmp_path_factory.mktemp("answered"), generated).target)


def test_answers_are_those_of_the_raw_files(place: Place, generated: Path) -> None:
    place.run(generated / "log_data", generated / "song_data")
    found = ask(place.target)
    assert_answers(found, generated)
    assert all(check.holds for check in found.checks)
    assert found.loaded_at
    assert not found.is_loading
    assert abs((found.asked_at - found.loaded_at).total_seconds()) < 60


def test_answers_on_real_data(place: Place, real_data: Path) -> None:
    place.run(real_data / "log_data", real_data / "song_data")
    assert_answers(ask(place.target), real_data)


def test_near_misses_tell_what_to_repair(place: Place, tmp_path: Path) -> None:
    texts = [
        {"length": 201.5},
        {"song": "ARMY  of me"},
        {"artist": "BjÃ¶rk"},  # UTF-8 read as Latin-1
        {"song": "日本", "artist": "東京"},
        {},
        {"song": "Hyperballad"},
    ]
    events = [event(ts=1541106106796 + n, itemInSession=n, **text) for n, text in enumerate(texts)]
    data = write(tmp_path / "data", events, [song(), song(song_id="SO2", title="日", artist_name="東")])
    place.run(data / "log_data", data / "song_data")
    found = ask(place.target)
    assert_answers(found, data)
    assert {row[3] for row in rows_of(found)["near_misses"]} == {
        "another duration", "case or spacing", "encoding or punctuation",
    }  # fmt: skip


def test_a_day_with_changes_of_plan(place: Place, tmp_path: Path) -> None:
    levels = ["free", "free", "paid", "free", "paid"]
    events = [event(ts=1541106106796 + n * 60_000, itemInSession=n, level=level) for n, level in enumerate(levels)]
    data = write(tmp_path / "data", events, [song()])
    place.run(data / "log_data", data / "song_data")
    found = ask(place.target)
    assert_answers(found, data)
    assert [row[1:] for row in rows_of(found)["plan_changes"]] == [(2, 1)]


def test_findings_count_both_plans_and_tell_how_many_weeks_later(tmp_path: Path) -> None:
    """Of one plan alone the last day and its session have the most."""
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
    findings = {
        a.question.name: a.finding
        for a in ask(load(tmp_path, write(tmp_path / "data", events, [song()])).target).answers
    }
    assert findings["daily_activity"] == "1 November 2018 was the busiest day: listeners played 4 songs."
    assert findings["session_sizes"] == "Most common are sessions of 2–5 songs: there were 3."  # noqa: RUF001
    assert findings["weekly_retention"].endswith("50 % were back 3 weeks later.")


class TestPage:
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_of_few_events(self, tmp_path: Path, count: int) -> None:
        place = embedded(tmp_path / "warehouse.duckdb")
        session = place.session()
        session.run(*(table.ddl for table in catalog.TABLES))
        session.warehouse.release_lease()
        if count:
            events = [event(ts=1541106106796 + n * 60_000, itemInSession=n) for n in range(count)]
            data = write(tmp_path / "data", events, [song()])
            place.run(data / "log_data", data / "song_data")
        html = page(ask(place.target), "here")
        assert ("There are no plays yet" in html) == (not count)
        assert ("<svg" in html) == bool(count)
        assert "nan" not in html.replace("finance", "")

    def test_of_a_warehouse_without_tables_or_schema(self, tmp_path: Path) -> None:
        duckdb.connect(str(tmp_path / "empty.duckdb")).close()
        html = page(ask(embedded(tmp_path / "empty.duckdb").target), "here")
        assert "There are no plays yet" in html
        assert "No check was made" in html

    def test_tells_which_checks_do_not_hold(
        self, tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flows.report.WIDTHS", {})
        place = load(tmp_path, generated)
        session = place.session()
        session.run("update songplays set level = 'gold' where level = 'paid'")
        session.warehouse.release_lease()
        answers = ask(place.target)
        html = page(answers, "here")
        assert f"1 of {len(answers.checks)} checks of the data does not hold" in html
        assert "Every level is free or paid" in html

    def test_and_artifacts_show_strings_as_text(self, prefect_server: None, tmp_path: Path) -> None:
        data = write(
            tmp_path / "data",
            [event(song=NASTY, artist=NASTY, location=NASTY, level="free", userAgent=NASTY)],
            [song(title=NASTY, artist_name=NASTY), song(song_id="SO2", title=NASTY, artist_name=NASTY, duration=9)],
        )
        found = Report(ask(load(tmp_path, data).target), "here", tmp_path / "report.html")
        html = page(found.answers, found.source)
        assert "<script" not in html
        assert "&lt;script&gt;alert" in html
        artifacts = artifacts_of(flow(found.publish)(return_state=True))
        assert len(artifacts) == len(catalog.QUESTIONS) + 1
        escaped = r"\<script\>alert\(\'x\'\)\<\/script\> \$x\$ \[a\]\(javascript\:b\)"
        assert escaped in artifacts["analytics-summary"].data
        assert escaped in artifacts["analytics-most-played-songs"].description
        (played,) = table_of(artifacts["analytics-most-played-songs"])
        assert escape_cell(NASTY) in played.values()
        for key, artifact in artifacts.items():
            assert "<script" not in f"{artifact.data} {artifact.description}".replace(r"\<", ""), key

    def test_names_no_address(self, report: Path) -> None:
        html = report.read_text(encoding="utf-8")
        assert {part.split('"')[0] for part in html.split("http")[1:]} <= {
            "://www.w3.org/2000/svg", "://www.w3.org/1999/xlink",
        }  # fmt: skip


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"nothing\.duckdb is not there: load it first"):
        ask(embedded(tmp_path / "nothing.duckdb").target)
    assert list(tmp_path.iterdir()) == []


def test_a_load_under_way_is_told(tmp_path: Path, generated: Path) -> None:
    place = load(tmp_path, generated)
    session = place.session()
    found = ask(place.target)
    session.warehouse.release_lease()
    assert found.is_loading
    assert "a load is under way" in about(found, "here")[1]


def test_charts_are_the_same_each_time(answered: Answers) -> None:
    found = answered.answers[1]
    assert svg(found) == svg(found) != svg(found, 3)


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        ("{first[a]:play} of {total[a]}", "1 play of 3,001"),
        ("{last[a]:play}", "3,000 plays"),
        ("{peak[a][name]}", "{b}"),
        ("{ratio[b/a]:.1f}", "0.1"),
        ("{each[name a]}", "x 1, {b} 3,000"),
    ],
)
def test_findings_are_filled_from_the_rows(tmp_path: Path, finding: str, sentence: str) -> None:
    (tmp_path / "1_q.sql").write_text(f"-- title: T\n-- question: Q?\n-- chart: table\n-- finding: {finding}\nselect 1")
    rows = ({"name": "x", "a": 1, "b": 2}, {"name": "{b}", "a": 3000, "b": None})
    assert Answer(Question(tmp_path / "1_q.sql"), ("name", "a", "b"), rows).finding == sentence


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    def test_writes_the_page_and_artifacts_with_stable_keys(
        self, place: Place, tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flows.report.WIDTHS", {})
        place.run(generated / "log_data", generated / "song_data")
        report = tmp_path / "report.html"
        state = analytics(
            warehouse=place.target.warehouse, schema=place.target.schema, report=str(report), return_state=True
        )
        assert "checks of the data hold" in report.read_text(encoding="utf-8")
        found, artifacts = state.result(), artifacts_of(state)
        assert artifacts.pop("analytics-summary").data == found.markdown
        assert {key: len(table_of(artifact)) for key, artifact in artifacts.items()} == {
            f"analytics-{one.question.name.replace('_', '-')}": len(one.rows) for one in found.answers.answers
        }

    def test_refuses_a_report_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="cannot be written: name a file in a directory that there is"):
            analytics(report=str(tmp_path / "missing" / "report.html"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, answered: Answers) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(answered, "duckdb:///sparkify.duckdb, schema public", path)
    return path


@pytest.mark.parametrize(
    ("width", "dark"), [(1200, False), (1200, True), (360, False)], ids=["desktop", "dark", "phone"]
)
def test_in_a_browser(browser: Page, report: Path, width: int, *, dark: bool) -> None:
    browser.open(report, width=width, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    labels = browser.evaluate("[...document.querySelectorAll('[role=img]')].map(chart => chart.ariaLabel)")
    assert labels
    assert all(labels)
    drawn = (
        "[...document.querySelectorAll('figure svg')].filter(chart => chart.getBoundingClientRect().width > 0).length"
    )
    assert browser.evaluate(drawn) == browser.evaluate("document.querySelectorAll('figure').length") == 13
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
    assert light != dark
    assert browser.requests == []
    assert browser.complaints == []


def test_texts_of_charts_stay_within_them(browser: Page, report: Path) -> None:
    texts = "[...document.querySelectorAll('figure svg text')].filter(text => text.getBoundingClientRect().width)"
    outside = (
        f"{texts}.filter(text => {{"
        + """
        const [ours, chart] = [text, text.ownerSVGElement].map(element => element.getBoundingClientRect())
        const isWide = ours.left < chart.left - 4 || ours.right > chart.right + 4
        return isWide || ours.top < chart.top - 4 || ours.bottom > chart.bottom + 4
    }).map(text => text.textContent)"""
    )
    for width in (1200, 360):
        browser.open(report, width=width)
        assert browser.evaluate(f"{texts}.length") > 50
        assert browser.evaluate(outside) == []

"""Every check holds on good tables, and finds rows planted to break it."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sql import catalog
from tasks.check import SAMPLE_ROWS, check, check_one, offending_rows
from tasks.results import CheckResult
from tests.standin import Standin
from tests.support.steps import TOUCHED
from tests.support.warehouses import Session, declared, duckdb_place, redshift_place
from warehouse import ledger
from warehouse.checks import Check
from warehouse.tables import Table

AUDITS = [audit for audits in catalog.AUDITS.values() for audit in audits]
RULES = [*catalog.CHECKS, *AUDITS]
LOADED = "select {}, source, '{}', files, records, rejected, run, loaded_at, last_event, null, null from batches"
CHECKS = [rule.name for rule in RULES]
LONG_AGO = datetime(1999, 1, 1)


@dataclass(frozen=True)
class Violation:
    """Statements that break a rule, the number of rows that break it, and the sample's rows (`...`: any value)."""

    statements: list[str]
    rows: int = 1
    sample: list[dict[str, Any]] = field(default_factory=list)


def planted_play(**values: str) -> str:
    """A copy of a songplay with some values changed."""
    columns = [column.name for column in catalog.FACTS[0].columns]
    values = {"songplay_id": "'planted'"} | values
    selected = ", ".join(values.get(name, name) for name in columns)
    return f"insert into songplays ({', '.join(columns)}) select {selected} from songplays limit 1"


def planted_event(table: str = "staging_events", **values: str) -> str:
    """A copy of a NextSong event with some values changed."""
    columns = [column.name for column in declared(table).columns]
    selected = ", ".join(values.get(name, name) for name in columns)
    return (
        f"insert into {table} ({', '.join(columns)}) select {selected} from {table} "
        f"where page = 'NextSong' and ts = (select min(ts) from {table} where page = 'NextSong') limit 1"
    )


def redelivered(**values: str) -> str:
    """The first play, once more in batch 2, with some values changed."""
    columns = [column.name for column in declared("events").columns]
    selected = ", ".join(({"batch_id": "2"} | values).get(name, name) for name in columns)
    return (
        f"insert into events ({', '.join(columns)}) select {selected} from events where batch_id = 1 "
        "and page = 'NextSong' and ts = (select min(ts) from events where page = 'NextSong') limit 1"
    )


def plays_on(days: dict[int, int]) -> list[str]:
    """A number of plays on days in December 2018."""
    return [
        "insert into songplays (songplay_id, start_time) "
        f"select 'planted', timestamp '2018-12-{day:02} 10:00:00' from events limit {plays}"
        for day, plays in days.items()
    ]


def planted_time(**values: int) -> str:
    columns = ("hour", "day", "week", "month", "year", "weekday")
    good = dict.fromkeys(columns, 1) | values
    # as many rows as calls, each with a time of its own
    return (
        f"insert into time (start_time, {', '.join(columns)}) "
        f"select dateadd(second, -1, min(start_time)), {', '.join(str(good[name]) for name in columns)} from time"
    )


VIOLATIONS = {
    "songplays_users_exist": Violation(
        [planted_play(user_id="999999"), planted_play(user_id="null")],
        sample=[{"songplay_id": "planted", "user_id": 999999}],
    ),
    "songplays_songs_exist": Violation(
        [planted_play(song_id="'SONONE'"), planted_play(song_id="null")],
        sample=[{"songplay_id": "planted", "song_id": "SONONE"}],
    ),
    "songplays_artists_exist": Violation(
        [planted_play(artist_id="'ARNONE'"), planted_play(artist_id="null")],
        sample=[{"songplay_id": "planted", "artist_id": "ARNONE"}],
    ),
    "songplays_times_exist": Violation(
        [planted_play(start_time="timestamp '1999-01-01 00:00:00'")],
        sample=[{"songplay_id": "planted", "start_time": LONG_AGO}],
    ),
    "songplays_complete": Violation(
        [
            planted_event("events", ts="timestamp '1999-01-01 00:00:00'", user_id="null", batch_id="2"),
            planted_event("events", ts="timestamp '1999-01-01 00:00:00'", user_id="null", batch_id="2"),
            planted_event("events", ts="timestamp '1999-01-01 00:00:00'", page="'Home'", batch_id="2"),
        ],
        sample=[{"ts": LONG_AGO, "user_id": None, "session_id": ..., "item_in_session": ...}],
    ),
    "levels_known": Violation(
        [
            planted_event(level="'gold'"),
            planted_event(level="'Paid'"),
            planted_event(level="null"),
            planted_event(level="null", page="'Home'"),
        ],
        rows=3,
        sample=[
            {"ts": ..., "user_id": ..., "level": "gold"},
            {"ts": ..., "user_id": ..., "level": "Paid"},
            {"ts": ..., "user_id": ..., "level": None},
        ],
    ),
    "time_parts_in_range": Violation(
        [
            *(planted_time(hour=hour) for hour in (-1, 24, 0, 23)),
            *(planted_time(day=day) for day in (0, 32, 31)),
            *(planted_time(week=week) for week in (0, 54, 53)),
            *(planted_time(month=month) for month in (0, 13, 12)),
            *(planted_time(weekday=weekday) for weekday in (-1, 7, 0, 6)),
        ],
        rows=10,
    ),
    "users_up_to_date": Violation(
        [
            f"update users set updated_at = dateadd(ms, {ms}, updated_at) where user_id = (select {which} from users)"
            for ms, which in ((-1, "max(user_id)"), (1, "min(user_id)"))
        ],
        sample=[{"user_id": ..., "level": ..., "updated_at": ..., "played_at": ...}],
    ),
    "deliveries_agree": Violation(
        [
            "delete from staging_events where page = 'NextSong' "
            "and ts > (select min(ts) from staging_events where page = 'NextSong')",
            planted_event(),  # the same content: no offence
            planted_event(page="'Home'", level="'gold'"),  # no play
            planted_event(session_id="null", user_id="-1"),  # two plays
            planted_event(session_id="null", user_id="null", level="'gold'"),
            planted_event(session_id="null", user_id="null", level="null", item_in_session="1"),  # and one that differs
            planted_event(session_id="null", user_id="null", level="'gold'", item_in_session="1"),
            planted_event(session_id="null", user_id="null", level="'gold'", item_in_session="1"),
        ],
        sample=[{"ts": ..., "user_id": None, "session_id": None, "item_in_session": 1, "count_contents": 2}],
    ),
    "songplays_matched": Violation(
        ["update songplays set song_id = null"],
        sample=[{"count_songplays": ..., "count_matched": 0, "percent_matched": 0}],
    ),
    "deliveries_agree_with_earlier": Violation(
        [
            "insert into loaded_files (source, url, etag, size, modified_at, batch_id) "
            "values ('log_data', 'new.json', 'x', 1, getdate(), 2)",
            redelivered(),
            redelivered(page="'Home'", level="'gold'"),  # no play
            redelivered(session_id="1000", level="'gold'"),  # another play
            redelivered(level="'gold'"),
            redelivered(song="null"),
        ],
        sample=[
            {
                "ts": ...,
                "user_id": ...,
                "session_id": ...,
                "item_in_session": ...,
                "batch_id": 2,
                "file": "new.json",
                "earlier_batch_id": 1,
                "earlier_file": ...,
            },
        ],
    ),
    "days_usual": Violation(
        [
            "delete from songplays",
            "update batches set last_event = timestamp '2018-12-31 12:00:00'",
            *plays_on({7: 3, 14: 3, 21: 3, 28: 10}),  # Fridays, and too many plays on the last
            *plays_on({8: 4, 15: 4, 22: 4, 29: 1}),  # Saturdays, and too few
            *plays_on({9: 3, 23: 3, 30: 1}),  # Sundays: with the one without plays, two are usual
            *plays_on({13: 3, 20: 3, 27: 99}),  # Thursdays: two others tell too little
            *plays_on({31: 99}),  # the newest day has not ended
        ],
        rows=2,
        sample=[
            {"day": datetime(2018, 12, 28), "plays": 10, "usual_plays": 3.0, "weeks": 3},
            {"day": datetime(2018, 12, 29), "plays": 1, "usual_plays": 4.0, "weeks": 3},
        ],
    ),
    "files_not_set_aside": Violation(
        [
            "insert into loaded_files (source, url, etag, size, modified_at, batch_id, set_aside) "
            f"values ('log_data', '{url}', 'x', 1, getdate(), {batch}, {reason})"
            for url, batch, reason in (("a", 1, "'bad'"), ("a", 2, "null"), ("b", 1, "null"), ("b", 2, "'bad'"))
        ],
        sample=[{"source": "log_data", "url": "b", "batch_id": 2, "set_aside": "bad"}],
    ),
    "songplays_times_plausible": Violation(
        [
            planted_play(start_time="timestamp '1999-12-31 23:59:59'"),
            planted_play(start_time="timestamp '2000-01-01'", songplay_id="'first'"),
            planted_play(start_time="dateadd(hour, 23, getdate())", songplay_id="'soon'"),
            planted_play(start_time="dateadd(hour, 25, getdate())", songplay_id="'too late'"),
            planted_play(start_time="dateadd(year, 48785, timestamp '2018-11-01')", songplay_id="'µs'"),
        ],
        rows=3,
        sample=[
            {"songplay_id": "planted", "start_time": "1999-12-31 23:59:59", "user_id": ..., "session_id": ...},
            {"songplay_id": "too late", "start_time": ..., "user_id": ..., "session_id": ...},
            {"songplay_id": "µs", "start_time": "50803-11-01 00:00:00", "user_id": ..., "session_id": ...},
        ],
    ),
}


def table_violations(table: Table) -> Iterator[tuple[str, Violation]]:
    """Yield violations of the rules that follow from a table's entry in the catalogue."""
    name = table.name
    yield f"{name}_not_empty", Violation([f"delete from {name}"], sample=[{"table_name": name}])
    for key in table.key:
        first = f"{key} = (select min({key}) from {name})"
        nullable = f"alter table {name} alter column {key} drop not null"
        yield f"{name}_key_not_null", Violation([nullable, f"update {name} set {key} = null where {first}"])
        twice = f"insert into {name} select * from {name} where {first}"
        yield f"{name}_key_unique", Violation([twice, twice], sample=[{key: ..., "count_rows": 4}])


VIOLATIONS |= dict(violation for table in catalog.STAR for violation in table_violations(table))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, generated: Path) -> Path:
    file = tmp_path_factory.mktemp("checks") / "test.duckdb"
    duckdb_place(file).run(generated / "log_data", generated / "song_data")
    return file


@pytest.fixture
def warehouse(tmp_path: Path, good: Path) -> Iterator[Session]:
    shutil.copy(good, tmp_path)
    copy = duckdb_place(tmp_path / "test.duckdb").session()
    yield copy
    copy.warehouse.release_lease()


def reports(warehouse: Session, *, anew: bool = False) -> dict[str, CheckResult]:
    found = check.fn(warehouse.target, RULES, () if anew else TOUCHED)
    return {report.check: report for report in found}


def broken(found: dict[str, CheckResult]) -> dict[str, int]:
    return {name: report.offending for name, report in found.items() if not report.holds}


def test_every_check_has_a_violation_to_test_it_with() -> None:
    assert sorted(VIOLATIONS) == sorted(CHECKS)
    assert len(set(CHECKS)) == len(CHECKS)


def test_all_checks_hold_on_good_tables(warehouse: Session) -> None:
    found = reports(warehouse)
    assert list(found) == CHECKS
    assert {name: report.sample for name, report in found.items() if not report.holds} == {}
    assert not any(report.fails_run for report in found.values())


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_finds_its_violation(warehouse: Session, name: str) -> None:
    violation = VIOLATIONS[name]
    warehouse.run(*violation.statements)
    assert_found(violation, reports(warehouse)[name])


def assert_found(violation: Violation, report: CheckResult) -> None:
    assert report.offending == violation.rows
    assert len(report.sample) == min(violation.rows, SAMPLE_ROWS)
    shown = sorted(report.sample, key=str)
    for row, expected in zip(shown, sorted(violation.sample, key=str), strict=False):
        assert row == {key: row[key] if value is ... else value for key, value in expected.items()}
    assert report.fails_run == (report.severity == "error")


def test_each_check_finds_its_violation_in_redshift(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, generated: Path
) -> None:
    place = redshift_place(standin, monkeypatch)
    place.run(generated / "log_data", generated / "song_data")
    session = place.session()
    for rule in RULES:
        if rule.name.endswith("_key_not_null"):
            continue  # Redshift lets nobody take NOT NULL from a column
        with contextlib.suppress(UndoneError), session.warehouse.task() as connection:
            assert offending_rows(connection, rule).holds, rule.name
            for statement in VIOLATIONS[rule.name].statements:
                connection.exec_driver_sql(statement)
            assert_found(VIOLATIONS[rule.name], offending_rows(connection, rule))
            raise UndoneError


class UndoneError(Exception):
    """Rolls back a transaction."""


def test_only_checks_of_the_sources_are_warnings() -> None:
    assert {rule.name for rule in RULES if rule.severity == "warn"} == {
        "days_usual", "deliveries_agree", "deliveries_agree_with_earlier", "files_not_set_aside", "songplays_matched",
        "songplays_times_plausible",
    }  # fmt: skip


def test_a_broken_check_names_the_batches_since_all_checks_held(warehouse: Session) -> None:
    """The fixture's run is batch 1, and its checks held."""
    broken = planted_play(song_id="'SONONE'")
    warehouse.run(broken)
    assert reports(warehouse)["songplays_songs_exist"].unchecked == [], "no batch did it"
    warehouse.run(*(f"insert into batches {LOADED.format(*batch)}" for batch in ((2, "undone"), (3, "loaded"))))
    found = reports(warehouse)
    assert found["songplays_songs_exist"].unchecked == [3]
    assert {report.unchecked for report in found.values() if report.holds} == {()}
    warehouse.run("delete from songplays where song_id = 'SONONE'")
    reports(warehouse)
    warehouse.run(broken)
    assert reports(warehouse, anew=True)["songplays_songs_exist"].unchecked == [], "all checks have held since"


def test_checks_look_at_rows_that_batches_may_have_touched_since_they_held_or_anew_at_all(warehouse: Session) -> None:
    reports(warehouse)
    day, other = "timestamp '2001-01-01 00:00:00'", "timestamp '2001-01-02 00:00:00'"
    planted = {"song_id": "'SONONE'", "songplay_id": "'one'", "start_time": day}
    warehouse.run(planted_play(**planted), planted_play(**planted | {"songplay_id": "'two'", "start_time": other}))
    assert broken(reports(warehouse)) == {}, "no batch did it"
    whole = {"songplays_songs_exist": 2, "songplays_times_exist": 2}
    assert broken(reports(warehouse, anew=True)) == whole

    session = warehouse.warehouse
    with session.task() as connection:
        ledger.record_checks(session, connection, RULES, all_hold=True)
    warehouse.run(
        f"insert into batches {LOADED.format(2, 'loaded')}",
        planted_event("events", ts=day, batch_id="2"),
    )
    found = broken(reports(warehouse))
    assert found == {**dict.fromkeys(whole, 1), "songplays_complete": 1}
    assert broken(reports(warehouse)) == found | whole, "nothing is taken for checked while a check is broken"


def test_checks_look_at_all_rows_once_a_table_was_edited_or_emptied(warehouse: Session) -> None:
    reports(warehouse)
    warehouse.run(planted_play(song_id="'SONONE'"), "create table kept as select * from time")
    for spoil, repair in (
        ("update table_loads set definition = 'other' where table_name = 'users'", ""),
        ("delete from time", "insert into time select * from kept"),
    ):
        with warehouse.warehouse.task() as connection:
            ledger.record_checks(warehouse.warehouse, connection, RULES, all_hold=True)
            ledger.open_batch(connection, catalog.STAR, RULES)
        assert broken(reports(warehouse)) == {}, "nothing was changed"
        warehouse.run(spoil)
        with warehouse.warehouse.task() as connection:
            ledger.open_batch(connection, catalog.STAR, RULES)
        warehouse.run(*([repair] if repair else []))
        assert broken(reports(warehouse)) == {"songplays_songs_exist": 1}
        warehouse.run("delete from table_loads where definition = 'other'")


def test_checks_look_at_all_rows_once_they_have_changed_or_history_was_taken_back(
    warehouse: Session,
) -> None:
    reports(warehouse)
    warehouse.run(planted_play(song_id="'SONONE'"))
    assert broken(reports(warehouse)) == {}
    edited = [*RULES[1:], replace(RULES[0], select="select 1 as one where 1 = 0")]
    found = check.fn(warehouse.target, edited, TOUCHED)
    assert [each.check for each in found if not each.holds] == ["songplays_songs_exist"]

    warehouse.run("delete from table_loads where table_name = 'checks' and load > 1")
    with warehouse.warehouse.task() as connection:
        ledger.record_checks(warehouse.warehouse, connection, RULES, all_hold=True)
    assert broken(reports(warehouse)) == {}
    with warehouse.warehouse.task() as connection:
        ledger.compare_all(connection)
    assert broken(reports(warehouse)) == {"songplays_songs_exist": 1}


RECORDED = "select check_name, severity, offending_rows, batch_id, run, began_at from check_results order by check_name"


def test_what_each_check_found_is_recorded_once_by_run(warehouse: Session) -> None:
    """A second attempt, after a COMMIT without an answer, replaces what the first recorded. The fixture's run keeps."""
    began = datetime(2018, 12, 1, 10)
    warehouse.run("update check_results set run = 'earlier'", planted_play(song_id="'SONONE'"))
    for _ in range(2):
        check.fn(warehouse.target, RULES, began_at=began)
    broken = {"songplays_songs_exist": 1}
    found = [row for row in warehouse.rows(RECORDED) if row[4] != "earlier"]
    assert found == [
        (rule.name, rule.severity, broken.get(rule.name, 0), 1, "test run", began)
        for rule in sorted(RULES, key=lambda rule: rule.name)
    ]
    earlier = "(select count(*) from check_results where run = 'earlier' and offending_rows = 0)"
    assert warehouse.one(earlier) == len(catalog.CHECKS)
    assert warehouse.one("(select max(checked_at) <= getdate() from check_results)")
    warehouse.run("delete from songplays where song_id = 'SONONE'")
    reports(warehouse)
    assert warehouse.one("(select max(offending_rows) from check_results)") == 0, "a later attempt found another state"


def test_what_audits_found_is_recorded_too_of_both_sources_together(warehouse: Session) -> None:
    audits = [CheckResult("keys_read", "", "warn", 2), CheckResult("keys_read", "", "warn", 3)]
    check.fn(warehouse.target, RULES, audits=audits)
    recorded = {name: offending for name, _, offending, *_ in warehouse.rows(RECORDED)}
    assert recorded == {"keys_read": 5, **{rule.name: 0 for rule in RULES}}


def test_what_a_check_of_time_found_is_recorded_beside_the_others_where_the_run_loaded_tables(
    warehouse: Session,
) -> None:
    began, rule = datetime(2018, 12, 1, 10), catalog.newest_event(1)
    for begins in (None, began, began):
        check.fn(warehouse.target, RULES, began_at=began)
        check_one.fn(warehouse.target, rule, begins)
        fresh = [row for row in warehouse.rows(RECORDED) if row[0] == rule.name]
        assert fresh == ([(rule.name, "warn", 1, 1, "test run", began)] if begins else [])
        assert len(warehouse.rows(RECORDED)) == len(RULES) + len(fresh)


def test_the_newest_event_may_be_late(warehouse: Session) -> None:
    def late(hours: int) -> list[Any]:
        return check_one.fn(warehouse.target, catalog.newest_event(hours)).sample

    warehouse.run("update batches set last_event = dateadd(minute, -119, getdate()) where source = 'log_data'")
    assert late(2) == []
    assert len(late(1)) == 1
    warehouse.run("update batches set last_event = null")
    assert late(1_000_000) == [{"last_event": None}], "no event at all is late too"


KEY = {"user_id": "1", "session_id": "1", "item_in_session": "1"}
CONTENT = {
    "level": ("'free'", "'paid'"), "location": ("'Here'", "'There'"), "user_agent": ("'Lynx'", "'Links'"),
    "song": ("'Harbor'", "'Comet'"), "artist": ("'Foxes'", "'Wolves'"), "length": ("200.50000", "200.50001"),
}  # fmt: skip


def test_deliveries_that_differ_in_one_column_disagree(warehouse: Session) -> None:
    content = {part: this for part, (this, _) in CONTENT.items()}
    pairs = {
        f"{part}: {one} and {other}": (KEY, {part: one}, {part: other})
        for part, (this, that) in CONTENT.items()
        for one, other in ((this, that), (this, "null"))
    }
    pairs |= {f"no {part}": (KEY | {part: "null"}, {"level": "'free'"}, {"level": "'paid'"}) for part in KEY}
    select = catalog_check("deliveries_agree").select
    unnoticed = []
    for name, (key, one, other) in pairs.items():
        warehouse.run(
            "delete from staging_events",
            insert_event(key | content | one),
            insert_event(key | content | other),
        )
        unnoticed += [] if len(warehouse.rows(select)) == 1 else [name]
    assert unnoticed == [], "two different deliveries of an event pass as equal"


def catalog_check(name: str) -> Check:
    return next(check for check in RULES if check.name == name)


def insert_event(values: dict[str, str]) -> str:
    values = {"ts": "timestamp '2018-11-01 00:00:00'", "page": "'NextSong'"} | values
    return f"insert into staging_events ({', '.join(values)}) values ({', '.join(values.values())})"


def test_matching_warns_below_one_in_a_hundred(warehouse: Session) -> None:
    some = "select song_id from songs limit 1"
    hundred = "insert into songplays select songplay_id || {n}, start_time, user_id, level, null, null, session_id, "
    hundred += "location, user_agent from songplays where songplay_id = 'planted'"
    warehouse.run(
        planted_play(song_id=f"({some})"),
        "delete from songplays where songplay_id <> 'planted'",
        *(hundred.format(n=n) for n in range(99)),
    )
    assert reports(warehouse)["songplays_matched"].holds
    warehouse.run(hundred.format(n=99))
    report = reports(warehouse)["songplays_matched"]
    assert report.sample == [{"count_songplays": 101, "count_matched": 1, "percent_matched": Decimal("0.99")}]

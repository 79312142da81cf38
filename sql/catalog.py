"""Sparkify's tables and checks, in load order. A new table is one SQL file and one line here.

A new question is one SQL file in analytics/ and needs no line: questions are asked in the order of their file names.
"""

from pathlib import Path

from warehouse.checks import Check, table_checks
from warehouse.questions import Choice, Question
from warehouse.tables import Table

SQL = Path(__file__).parent

STAGING_EVENTS = Table(
    SQL / "staging/staging_events.sql",
    history=Table(SQL / "history/events.sql", source="log_data"),
    jsonpaths=SQL / "staging/log_json_path.json",
    time_format="epochmillisecs",
)
STAGING_SONGS = Table(
    SQL / "staging/staging_songs.sql",
    history=Table(SQL / "history/catalogue.sql", source="song_data"),
)

LEDGER = (
    Table(SQL / "history/batches.sql", key=("batch_id", "source")),
    Table(SQL / "history/loaded_files.sql", key=("url", "batch_id")),
    Table(SQL / "history/table_loads.sql", key=("table_name", "load")),
    Table(SQL / "history/check_results.sql", key=("run", "check_name")),
)

FACTS = (Table(SQL / "facts/songplays.sql", key=("songplay_id",)),)

DIMENSIONS = (
    Table(SQL / "dimensions/users.sql", key=("user_id",)),
    Table(SQL / "dimensions/songs.sql", key=("song_id",)),
    Table(SQL / "dimensions/artists.sql", key=("artist_id",)),
    Table(SQL / "dimensions/time.sql", key=("start_time",)),
)

STAGING = (STAGING_EVENTS, STAGING_SONGS)

STAR = (*FACTS, *DIMENSIONS)

HISTORY = tuple(table.history for table in STAGING if table.history)

TABLES = (*STAGING, *HISTORY, *LEDGER, *STAR)

AUDITS = {
    STAGING_EVENTS: (
        Check.read(SQL / "audits/levels_known.sql"),
        Check.read(SQL / "audits/deliveries_agree.sql", severity="warn"),
    ),
    STAGING_SONGS: (),
}
"""What is checked of a batch before it is added to history."""

RELOAD_AUDITS = {STAGING_EVENTS: (Check.read(SQL / "audits/reloaded_plays_kept.sql"),), STAGING_SONGS: ()}
"""What is checked of a reload before it replaces days of history."""

TABLE_CHECKS = tuple(check for table in STAR for check in table_checks(table))

CHECKS = (
    *TABLE_CHECKS,
    Check.read(SQL / "checks/songplays_users_exist.sql"),
    Check.read(SQL / "checks/songplays_songs_exist.sql"),
    Check.read(SQL / "checks/songplays_artists_exist.sql"),
    Check.read(SQL / "checks/songplays_times_exist.sql"),
    Check.read(SQL / "checks/songplays_complete.sql"),
    Check.read(SQL / "checks/time_parts_in_range.sql"),
    Check.read(SQL / "checks/users_up_to_date.sql"),
    Check.read(SQL / "checks/songplays_matched.sql", severity="warn"),
    Check.read(SQL / "checks/songplays_times_plausible.sql", severity="warn"),
    Check.read(SQL / "checks/deliveries_agree_with_earlier.sql", severity="warn"),
    Check.read(SQL / "checks/days_usual.sql", severity="warn"),
    Check.read(SQL / "checks/files_not_set_aside.sql", severity="warn"),
)


def newest_event(hours: int) -> Check:
    """Return the check that the newest event is not older than some hours."""
    return Check(
        "events_fresh",
        f"The newest event is at most {hours:,} hours old.",
        f"""\
select newest.last_event
from (select max(last_event) as last_event from batches where status = 'loaded') as newest
where newest.last_event is null or newest.last_event < dateadd(hour, -{hours}, getdate())""",
        severity="warn",
    )


OVERVIEW = {path.stem: path.read_text(encoding="utf-8") for path in sorted((SQL / "overview").glob("*.sql"))}
"""What `flows.history` shows of the ledger, and `flows.rejects` of the rejected records."""

QUESTIONS = tuple(Question(path) for path in sorted((SQL / "analytics").glob("*.sql")))


def _last_days(count: int) -> Choice:
    plausible = "ts between timestamp '2000-01-01' and dateadd(day, 1, getdate())"
    last = f"select max(ts)::date from events where {plausible}"
    return Choice(f"last {count} days", "day", f"day > dateadd(day, -{count}, ({last}))")


FILTERS = {
    "Plan": tuple(Choice(f"{level} plan", "level", f"level = '{level}'") for level in ("free", "paid")),
    "Period": (_last_days(28), _last_days(7)),
}
"""By what a reader of the report may restrict it."""

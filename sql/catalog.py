"""Sparkify's tables and checks, in load order. A new table is one SQL file and one line here.

A new question is one SQL file in analytics/ and needs no line: questions are asked in the order of their file names.
"""

from pathlib import Path

from warehouse.checks import Check
from warehouse.questions import Question
from warehouse.tables import Table

SQL = Path(__file__).parent

STAGING_EVENTS = Table(
    SQL / "staging/staging_events.sql",
    jsonpaths=SQL / "staging/log_json_path.json",
    time_format="epochmillisecs",
)
STAGING_SONGS = Table(SQL / "staging/staging_songs.sql")

FACTS = (Table(SQL / "facts/songplays.sql", mode="append", key=("songplay_id",)),)

DIMENSIONS = (
    Table(SQL / "dimensions/users.sql", mode="merge", key=("user_id",), newest_by="updated_at"),
    Table(SQL / "dimensions/songs.sql", mode="merge", key=("song_id",)),
    Table(SQL / "dimensions/artists.sql", mode="merge", key=("artist_id",)),
    Table(SQL / "dimensions/time.sql", mode="append", key=("start_time",)),
)

STAGING = (STAGING_EVENTS, STAGING_SONGS)

TABLES = (*STAGING, *FACTS, *DIMENSIONS)

CHECKS = (
    Check.read(SQL / "checks/songplays_users_exist.sql"),
    Check.read(SQL / "checks/songplays_songs_exist.sql"),
    Check.read(SQL / "checks/songplays_artists_exist.sql"),
    Check.read(SQL / "checks/songplays_times_exist.sql"),
    Check.read(SQL / "checks/songplays_complete.sql"),
    Check.read(SQL / "checks/levels_known.sql"),
    Check.read(SQL / "checks/time_parts_in_range.sql"),
    Check.read(SQL / "checks/users_up_to_date.sql"),
    Check.read(SQL / "checks/deliveries_agree.sql", severity="warn"),
    Check.read(SQL / "checks/songplays_matched.sql", severity="warn"),
    Check.read(SQL / "checks/songplays_times_plausible.sql", severity="warn"),
)

QUESTIONS = tuple(Question(path) for path in sorted((SQL / "analytics").glob("*.sql")))

"""docs/data-dictionary.md says what the SQL files say, and every column is described once."""

import re

import pytest

from sql import catalog
from tests.support.data_dictionary import DOCUMENT, SCHEMA, document, lineage_of, table_lineage
from warehouse.tables import Table, declared_columns

SOURCES = ("log_data", "song_data")


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"


@pytest.mark.parametrize("table", catalog.TABLES, ids=lambda table: table.name)
def test_each_table_and_column_is_described_once(table: Table) -> None:
    assert re.match(r"One row per .+\.$", table.description)
    for column in table.columns:
        assert re.fullmatch(r"[^.]{3,90}", column.description), f"{table.name}.{column.name}"
    if table.history:
        own = [column.description for column in declared_columns(table.ddl)]
        assert not any(own), "described in its history"


@pytest.mark.parametrize("table", [*catalog.STAGING, *catalog.HISTORY, *catalog.STAR], ids=lambda table: table.name)
def test_each_column_comes_from_known_columns(table: Table) -> None:
    made = table_lineage(table)
    assert set(made) == {column.name for column in table.columns} - {"batch_id"}
    for column, found in made.items():
        assert found, column
        assert all(source in SOURCES or name in SCHEMA[source] for source, name in found), column


def test_lineage_of_the_star_schema_is_what_a_person_reads_in_its_sql() -> None:
    """Written by hand from the SELECTs."""
    (songplays,) = catalog.FACTS
    event, key = "events", ("ts", "user_id", "session_id", "item_in_session")
    assert table_lineage(songplays) == {
        "songplay_id": {(event, name) for name in key},
        "start_time": {(event, "ts")},
        "song_id": {("catalogue", "song_id")},
        "artist_id": {("catalogue", "artist_id")},
    } | {name: {(event, name)} for name in ("user_id", "level", "session_id", "location", "user_agent")}
    users, songs, artists, time = map(table_lineage, catalog.DIMENSIONS)
    assert users == {name: {(event, name)} for name in ("user_id", "first_name", "last_name", "gender", "level")} | {
        "updated_at": {(event, "ts")}
    }
    assert songs == {name: {("catalogue", name)} for name in ("song_id", "title", "artist_id", "year", "duration")}
    assert artists == {
        column: {("catalogue", name)}
        for column, name in (
            ("artist_id", "artist_id"), ("name", "artist_name"), ("location", "artist_location"),
            ("latitude", "artist_latitude"), ("longitude", "artist_longitude"),
        )
    }  # fmt: skip
    assert set(map(frozenset, time.values())) == {frozenset({(event, "ts")})}


def test_lineage_follows_views_unions_and_expressions_but_not_conditions() -> None:
    select = """
        with both as (
            select title as text, duration as seconds, batch_id from catalogue
            union all
            select song as text, length as seconds, batch_id from events where page = 'NextSong'
        )
        select upper(text) as text, sum(seconds) over (partition by batch_id) as seconds, 1 as one from both
    """
    assert lineage_of(select) == {
        "text": {("catalogue", "title"), ("events", "song")},
        "seconds": {
            ("catalogue", "duration"), ("catalogue", "batch_id"), ("events", "length"), ("events", "batch_id"),
        },
        "one": set(),
    }  # fmt: skip

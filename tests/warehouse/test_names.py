"""The names of schemas fold as on Redshift, in each kind of warehouse, and those that cannot work are refused."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from prefect.logging import disable_run_logger

from sql import catalog
from tasks.answer import answer
from tests.support.warehouses import Place
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.questions import Question
from warehouse.target import Target


def test_a_schema_is_loaded_and_read_under_its_name_in_any_case(place: Place, generated: Path, tmp_path: Path) -> None:
    upper = replace(place, target=replace(place.target, schema="SparkiFY"))
    for each in (upper, place, upper):
        each.run(generated / "log_data", generated / "song_data")
    assert upper.contents() == place.contents()
    question = tmp_path / "01_plays.sql"
    head = "-- title: T\n-- question: Q?\n-- chart: table\n-- headline: H\n"
    question.write_text(f"{head}select count(*) as plays from songplays")
    with disable_run_logger():
        asked = answer.fn(upper.target, catalog.STAR, (), [Question(question)])
    assert asked.items[0].rows[0]["plays"] > 0
    with open_warehouse(place.target).engine.connect() as connection:
        query = "select nspname from pg_namespace where lower(nspname) = 'sparkify'"
        assert connection.exec_driver_sql(query).scalars().all() == ["sparkify"]


def test_a_schema_that_duckdb_keeps_in_capitals_is_found(tmp_path: Path, generated: Path) -> None:
    """An earlier version, or another program, made it."""
    file = tmp_path / "test.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute('create schema "Sparkify"')
    place = Place(Target(f"duckdb:///{file}", "Sparkify", "test run"))
    place.run(generated / "log_data", generated / "song_data")
    assert len(place.contents()["songs"]) > 0


REFUSED = {
    "x,y": "", 'x"y': "", "": "", " ": "", " sparkify": "", "sparkify ": "", "a\nb": "", "x" * 128: "",
    "pg_catalog": "", "PG_temp_1": "", "information_schema": "", "Information_Schema": "",
    "Public": "Use public", "PUBLIC": "Use public",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_cannot_work_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(PermanentError) as raised:
        Target("duckdb:///test.duckdb", name, "test")
    assert str(raised.value).startswith(f"schema: {name!r} ")
    assert REFUSED[name] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["public", "sparkify", "sparkify_2", "Sparkify", "my-schema", "x" * 127])
def test_other_schemas_are_not_refused(name: str) -> None:
    assert Target("duckdb:///test.duckdb", name, "test").schema == name.lower()

"""Tables and columns have the comments of their SQL files in the warehouse."""

from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from sql import catalog
from tasks.create_tables import create_tables
from tasks.describe_tables import describe_tables
from tests.standin import Standin
from tests.support.warehouses import Place, redshift_place
from warehouse.connect import open_warehouse
from warehouse.tables import Table


@pytest.fixture
def made(place: Place) -> Place:
    place.session()
    create_tables.fn(place.target, catalog.TABLES)
    return place


def comments(place: Place) -> dict[tuple[str, str], str | None]:
    with open_warehouse(place.target).reading() as connection:
        names = {table.name for table in catalog.TABLES}
        found = open_warehouse(place.target).comments(connection)
    return {key: comment for key, comment in found.items() if key[0] in names and comment}


def test_all_are_described_once_and_keep_their_columns(made: Place) -> None:
    with disable_run_logger():
        changed = describe_tables.fn(made.target, catalog.TABLES)
        assert describe_tables.fn(made.target, catalog.TABLES) == 0
    wanted = {(table.name, ""): table.description for table in catalog.TABLES}
    wanted |= {(table.name, column.name): column.description for table in catalog.TABLES for column in table.columns}
    assert comments(made) == wanted
    assert changed == len(wanted)
    warehouse = open_warehouse(made.target)
    with warehouse.reading() as connection:
        for table in catalog.TABLES:
            assert warehouse.columns(connection, table.name) == table.columns


def test_only_what_differs_is_changed(made: Place, tmp_path: Path) -> None:
    path = tmp_path / "users.sql"
    path.write_text(
        "-- One row per user's id.\ncreate table users (\n    user_id integer not null,  -- it's the number\n"
        "    first_name varchar(256),   -- first name\n    level varchar(16),\n"
        "    new integer                -- made when the table is loaded anew\n);\nselect 1;\n"
    )
    with disable_run_logger():
        describe_tables.fn(made.target, catalog.TABLES)
        assert describe_tables.fn(made.target, [Table(path)]) == 2
    found = comments(made)
    assert (found["users", ""], found["users", "user_id"]) == ("One row per user's id.", "it's the number")
    assert found["users", "first_name"] == "first name"


def test_tables_of_others_are_left_alone(standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = redshift_place(standin, monkeypatch)
    place.session()
    with disable_run_logger():
        create_tables.fn(place.target, catalog.TABLES)
        standin.admin.query("alter table sparkify.songs owner to postgres")
        described = describe_tables.fn(place.target, catalog.TABLES)
    left = [column for table in catalog.TABLES if table.name != "songs" for column in ("", *table.columns)]
    assert described == len(left)
    assert standin.admin.query("select obj_description('sparkify.songs'::regclass)") == [(None,)]

"""A load makes a table equal to its SELECT, writes only what differs, and is safe to repeat."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from tests.support.warehouses import Place, duckdb_place, select
from warehouse.errors import is_transient
from warehouse.loads import LoadResult, refresh, replace
from warehouse.redshift.errors import RefusedError
from warehouse.tables import Table

FILE = """\
-- One row per id.
create table if not exists things (id integer not null, name varchar(16), size decimal(4, 1), at timestamp not null);

select id, name, size, at from arrivals;
"""
Row = tuple[int, str | None, float | None, str]
Load = Callable[[Connection, Table], LoadResult]


class Things:
    """A table of things, and the table that it is loaded from."""

    def __init__(self, folder: Path, place: Place) -> None:
        (folder / "things.sql").write_text(FILE)
        self.table = Table(folder / "things.sql", key=("id",))
        self.warehouse = place.session()
        arrivals = "create table arrivals (id integer, name varchar(16), size double precision, at timestamp)"
        self.warehouse.run(self.table.ddl, arrivals)

    def arrive(self, *rows: Row) -> None:
        self.warehouse.run("delete from arrivals", *(_insert(row) for row in rows))

    def load(self, load: Load, *rows: Row) -> LoadResult:
        self.arrive(*rows)
        with self.warehouse.warehouse.task() as connection:
            return load(connection, self.table)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        query = "select id, name, size::float, to_char(at, 'YYYY-MM-DD') from things order by 1, 2"
        return self.warehouse.rows(query)


@pytest.fixture
def things(tmp_path: Path, place: Place) -> Things:
    return Things(tmp_path, place)


def _insert(row: Row) -> str:
    values = ", ".join("null" if value is None else repr(value) for value in row)
    return f"insert into arrivals (id, name, size, at) values ({values})"


MONDAY, TUESDAY = "2018-11-05", "2018-11-06"
A, B = (1, "a", 1.5, MONDAY), (2, "b", None, MONDAY)
EACH = pytest.mark.parametrize("load", [refresh, replace])


@EACH
def test_a_load_is_safe_to_repeat(things: Things, load: Load) -> None:
    assert things.load(load, A, B) == LoadResult(inserted=2)
    again = things.load(load, A, B)
    assert again == (LoadResult(inserted=2, removed=2) if load is replace else LoadResult())
    assert things.rows == [A, B]


@EACH
def test_a_load_leaves_only_what_the_select_returns(things: Things, load: Load) -> None:
    things.load(load, A, B)
    changed, new = (2, None, 5, TUESDAY), (3, None, None, TUESDAY)
    counts = LoadResult(2, removed=2) if load is replace else LoadResult(inserted=1, updated=1, removed=1)
    assert things.load(load, changed, new) == counts
    assert things.rows == [changed, new]


@EACH
def test_a_failed_load_leaves_the_table_unchanged(things: Things, load: Load) -> None:
    things.load(load, A)
    things.arrive(B, (3, "c", 3, None))  # type: ignore[arg-type]
    with (
        pytest.raises((DBAPIError, RefusedError), match=r"(?i)not[- ]null") as raised,
        things.warehouse.warehouse.task() as connection,
    ):
        load(connection, things.table)
    assert not is_transient(raised.value)
    assert things.rows == [A]


@EACH
def test_a_load_is_rolled_back_with_its_transaction(things: Things, load: Load) -> None:
    things.load(load, A)
    things.arrive(B)
    with things.warehouse.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("set search_path to sparkify")
        load(connection, things.table)
        assert select(connection, "select id from things") == [(2,)]
        connection.rollback()
    assert things.rows == [A]


def test_rows_are_compared_as_the_table_holds_them(things: Things) -> None:
    """A value that the column's type changes would differ at each load, and each load would write it again."""
    things.load(refresh, A)
    assert things.load(refresh, (1, "a", 1.4999999999, MONDAY)) == LoadResult()
    assert things.rows == [A]


def test_all_columns_of_the_key_are_compared(things: Things) -> None:
    things.table = Table(things.table.path, key=("id", "name"))
    things.load(refresh, A)
    assert things.load(refresh, A, (1, "b", 1, MONDAY)) == LoadResult(inserted=1)
    assert things.load(refresh, A) == LoadResult(removed=1)


def test_only_the_rows_that_differ_are_touched(tmp_path: Path) -> None:
    things = Things(tmp_path, duckdb_place(tmp_path / "test.duckdb"))  # Redshift's driver does not count them
    rows: list[Row] = [(number, None, None, MONDAY) for number in range(20)]
    things.load(refresh, *rows)
    touched: list[int] = []

    @event.listens_for(things.warehouse.warehouse.engine, "after_cursor_execute")
    def _count(_connection: Any, cursor: Any, statement: str, *_others: Any) -> None:
        if statement.startswith(("delete from things", "insert into things ")):
            touched.append(cursor.rowcount)

    assert things.load(refresh, *rows[1:], (0, "new", None, TUESDAY)) == LoadResult(updated=1)
    assert touched == [1, 1]
    things.load(refresh, *rows[1:], (0, "new", None, TUESDAY))
    assert touched == [1, 1], "nothing differs, nothing is written"


def test_a_load_leaves_a_users_table_of_the_same_name_alone(things: Things) -> None:
    things.warehouse.run("create table things_fresh (mine integer)")
    things.load(refresh, A)
    things.load(refresh, B)
    assert things.rows == [B]
    assert things.warehouse.rows("select count(*) from things_fresh") == [(0,)]

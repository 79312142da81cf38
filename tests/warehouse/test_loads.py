"""Rows are loaded by append, replace and merge, and each is safe to repeat."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from tests.support.warehouses import Place, duckdb_place, select
from warehouse.errors import is_transient
from warehouse.loads import LoadResult, load
from warehouse.redshift.errors import RefusedError
from warehouse.tables import Mode, Table

FILE = """\
-- One row per id.
create table if not exists things (id integer not null, name varchar(16), size integer, at timestamp not null);

select id, name, size, at from arrivals;
"""
Row = tuple[int, str | None, int | None, str]


class Things:
    """A table of things, and the staging table that it is loaded from."""

    def __init__(self, folder: Path, place: Place, newest_by: str | None = "at") -> None:
        (folder / "things.sql").write_text(FILE)
        self.table = Table(folder / "things.sql", key=("id",), newest_by=newest_by)
        self.warehouse = place.session()
        self.warehouse.run(self.table.ddl, self.table.ddl.replace("exists things", "exists arrivals"))

    def arrive(self, *rows: Row) -> None:
        self.warehouse.run("delete from arrivals", *(_insert(row) for row in rows))

    def load(self, mode: Mode, *rows: Row) -> LoadResult:
        self.arrive(*rows)
        with self.warehouse.warehouse.task() as connection:
            return load(connection, replace(self.table, mode=mode))

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows("select id, name, size, to_char(at, 'YYYY-MM-DD') from things order by 1, 2")


@pytest.fixture
def things(tmp_path: Path, place: Place) -> Things:
    return Things(tmp_path, place)


def _insert(row: Row) -> str:
    values = ", ".join("null" if value is None else repr(value) for value in row)
    return f"insert into arrivals (id, name, size, at) values ({values})"


MONDAY, TUESDAY = "2018-11-05", "2018-11-06"
A, B = (1, "a", 1, MONDAY), (2, "b", None, MONDAY)


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_a_load_is_safe_to_repeat(things: Things, mode: Mode) -> None:
    assert things.load(mode, A, B) == LoadResult(inserted=2)
    again = things.load(mode, A, B)
    assert again == (LoadResult(inserted=2, removed=2) if mode == "replace" else LoadResult(inserted=0))
    assert things.rows == [A, B]


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_a_load_leaves_no_temporary_table_behind(things: Things, mode: Mode) -> None:
    things.arrive(A, B)
    with things.warehouse.warehouse.task() as connection:
        first = load(connection, replace(things.table, mode=mode))
        connection.exec_driver_sql("delete from things")
        assert load(connection, replace(things.table, mode=mode)) == first == LoadResult(inserted=2)


def test_append_inserts_the_rows_whose_key_is_new(things: Things) -> None:
    things.load("append", A)
    assert things.load("append", (1, "changed", 9, TUESDAY), B) == LoadResult(inserted=1)
    assert things.rows == [A, B]


def test_append_compares_all_columns_of_the_key(tmp_path: Path, place: Place) -> None:
    things = Things(tmp_path, place)
    things.table = Table(things.table.path, key=("id", "name"))
    things.load("append", A)
    assert things.load("append", A, (1, "b", 1, MONDAY)) == LoadResult(inserted=1)


def test_replace_leaves_only_what_arrived(things: Things) -> None:
    things.load("append", A)
    assert things.load("replace", B) == LoadResult(inserted=1, removed=1)
    assert things.rows == [B]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_failed_load_leaves_the_table_unchanged(things: Things, mode: Mode) -> None:
    things.load("append", A)
    lenient = "create table arrivals (id integer, name varchar(16), size integer, at timestamp)"
    things.warehouse.run("drop table arrivals", lenient)
    things.arrive(B, (3, "c", 3, None))  # type: ignore[arg-type]
    with (
        pytest.raises((DBAPIError, RefusedError), match=r"(?i)not[- ]null") as raised,
        things.warehouse.warehouse.task() as connection,
    ):
        load(connection, replace(things.table, mode=mode))
    assert not is_transient(raised.value)
    assert things.rows == [A]


def test_replace_is_rolled_back_with_its_transaction(things: Things) -> None:
    things.load("append", A)
    things.arrive(B)
    with things.warehouse.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("set search_path to sparkify")
        assert load(connection, replace(things.table, mode="replace")) == LoadResult(inserted=1, removed=1)
        assert select(connection, "select id from things") == [(2,)]
        connection.rollback()
    assert things.rows == [A]


def test_merge_counts_what_it_inserted_and_updated(things: Things) -> None:
    things.load("merge", A, B)
    changed, new = (2, "b", 5, TUESDAY), (3, None, None, TUESDAY)
    assert things.load("merge", A, changed, new) == LoadResult(inserted=1, updated=1)
    assert things.rows == [A, changed, new]


def test_merge_keeps_the_newest_row_in_any_order_of_arrival(things: Things) -> None:
    rows: list[Row] = [
        (1, "old", 1, MONDAY),
        (1, "b", 1, TUESDAY),
        (1, "a", None, TUESDAY),
        (1, "a", 2, TUESDAY),
        (1, None, 0, TUESDAY),
    ]
    for order in list(permutations(rows))[::10]:
        things.warehouse.run("delete from things")
        for row in order:
            things.load("merge", row)
        assert things.rows == [(1, "a", 2, TUESDAY)], "the newest; of those the first by value, NULLs last"


def test_merge_of_older_rows_changes_nothing(things: Things) -> None:
    newer = (1, "paid", 1, TUESDAY)
    things.load("merge", newer)
    assert things.load("merge", (1, "free", 1, MONDAY)) == LoadResult(inserted=0)
    assert things.rows == [newer]


def test_merge_writes_nothing_if_nothing_changes(tmp_path: Path) -> None:
    things = Things(tmp_path, duckdb_place(tmp_path / "test.duckdb"))  # Redshift's driver does not count them
    merged: list[int] = []

    def remember(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if statement.startswith("merge into things"):
            merged.append(cursor.rowcount)

    event.listen(things.warehouse.warehouse.engine, "after_cursor_execute", remember)
    things.load("merge", A, B)
    things.load("merge", A, B)
    assert merged == [2, 0]


def test_merge_touches_only_the_rows_that_change(tmp_path: Path) -> None:
    things = Things(tmp_path, duckdb_place(tmp_path / "test.duckdb"))  # Redshift's driver does not count them
    rows: list[Row] = [(number, None, None, MONDAY) for number in range(20)]
    things.load("merge", *rows)
    touched: list[int] = []

    @event.listens_for(things.warehouse.warehouse.engine, "after_cursor_execute")
    def _count(_connection: Any, cursor: Any, statement: str, *_others: Any) -> None:
        if statement.startswith("merge into things"):
            touched.append(cursor.rowcount)

    assert things.load("merge", *rows[1:], (0, "new", None, TUESDAY)) == LoadResult(inserted=0, updated=1)
    assert touched == [1]


def test_merge_without_newest_by_takes_the_arriving_rows(tmp_path: Path, place: Place) -> None:
    things = Things(tmp_path, place, newest_by=None)
    things.load("merge", A, B)
    changed = (1, None, 1, MONDAY)
    assert things.load("merge", changed, B) == LoadResult(inserted=0, updated=1)
    assert things.load("merge", changed, B) == LoadResult(inserted=0)
    assert things.rows == [changed, B]


def test_merge_leaves_a_users_table_of_the_same_name_alone(things: Things) -> None:
    things.warehouse.run("create table things_changes (mine integer)")
    things.load("merge", A)
    assert things.rows == [A]
    assert things.warehouse.rows("select count(*) from things_changes") == [(0,)]


def test_merge_into_a_table_of_key_columns_only_inserts_new_rows(tmp_path: Path, place: Place) -> None:
    sql = "create table if not exists names (name varchar(16));\nselect name from arrivals"
    (tmp_path / "names.sql").write_text(sql)
    table = Table(tmp_path / "names.sql", mode="merge", key=("name",))
    warehouse = place.session()
    warehouse.run(table.ddl, "create table arrivals (name varchar(16))", "insert into arrivals (name) select 'a'")
    for inserted in (1, 0):
        with warehouse.warehouse.task() as connection:
            assert load(connection, table) == LoadResult(inserted)

"""Redshift SQL returns Redshift's values on DuckDB. The expected values are written by hand."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests.support.project import ROOT
from tests.support.warehouses import Session, duckdb_place, select
from warehouse.duckdb.translate import translate
from warehouse.tables import Column, declared_columns, split_statements


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return duckdb_place(tmp_path_factory.mktemp("translate") / "test.duckdb").session()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 % 2", 1),
        ("extract(week from timestamp '2018-12-31 12:00:00')", 1),
        ("extract(week from timestamp '2021-01-03 12:00:00')", 53),
        ("extract(dow from timestamp '2018-11-04 12:00:00')", 0),  # a Sunday
        ("extract(dow from timestamp '2018-11-10 12:00:00')", 6),
        ("extract(hour from timestamp '2018-11-10 23:59:59')", 23),
        ("datediff(ms, timestamp 'epoch', timestamp '2018-11-15 00:30:26.796')", 1542241826796),
        ("datediff(ms, timestamp 'epoch', timestamp '1969-12-31 23:59:59.999')", -1),
        ("timestamp 'epoch' + 1542241826796 / 1000.0 * interval '1 second'", datetime(2018, 11, 15, 0, 30, 26, 796000)),
        ("dateadd(second, 900, timestamp '2018-11-15 00:30:00')", datetime(2018, 11, 15, 0, 45)),
        ("md5('1542241826796-1-2-3')", hashlib.md5(b"1542241826796-1-2-3").hexdigest()),
        ("md5('É')", hashlib.md5("É".encode()).hexdigest()),
        ("'a' || null", None),
        ("nvl(null, 'x')", "x"),
        ("coalesce(12::varchar, '')", "12"),
        ("'' is null", False),
        ("'100%'", "100%"),
        ("'a' = 'a '", True),
        ("'Z' < 'a'", True),  # by bytes, not by a language's order
        ("'z' < 'É'", True),
        ("round(100.0 * 1 / 3, 2)", Decimal("33.33")),
        ("1.005::decimal(10, 5)", Decimal("1.00500")),
        ("count(*) from (select 1 as a union all select 1) as twice", 2),
        ("listagg(a, ',') within group (order by a) from (select 'x' as a union all select 'y') as letters", "x,y"),
    ],
)
def test_an_expression_has_redshifts_value(warehouse: Session, expression: str, value: Any) -> None:
    found = warehouse.one(expression)
    assert float(found) == float(value) if isinstance(value, Decimal) else found == value


@pytest.mark.parametrize(
    ("order", "expected"),
    [("a", ["B", "a", "É", None]), ("a desc", [None, "É", "a", "B"]), ("a desc nulls last", ["É", "a", "B", None])],
)
def test_nulls_sort_last_and_strings_sort_by_bytes(warehouse: Session, order: str, expected: list[str | None]) -> None:
    letters = "select null as a union all select 'a' union all select 'É' union all select 'B'"
    assert [a for (a,) in warehouse.rows(f"select a from ({letters}) as letters order by {order}")] == expected
    ranked = f"select a, row_number() over (order by {order}) as place from ({letters}) as letters"
    assert [a for a, _ in sorted(warehouse.rows(ranked), key=lambda row: row[1])] == expected


@pytest.mark.usefixtures("processes")
def test_getdate_is_utc_whatever_the_time_zone(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.support.warehouses import duckdb_place;"
        f"print(duckdb_place(Path({str(tmp_path / 'test.duckdb')!r})).session().one('getdate()::varchar'))"
    )
    environment = os.environ | {"TZ": "America/New_York"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    shown = datetime.fromisoformat(done.stdout.strip()).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - shown) < timedelta(minutes=1)


def test_getdate_is_the_start_of_the_statement_not_of_the_transaction(warehouse: Session) -> None:
    with warehouse.warehouse.task() as connection:
        [(before,)] = select(connection, "select getdate()")
        sleep(0.05)
        assert select(connection, "select getdate()") >= [(before + timedelta(seconds=0.05),)]


DDL = """\
create table if not exists kinds (
    id integer primary key,
    name varchar(256) not null unique,
    letter char(1),
    words text,
    plain varchar,
    other integer references kinds (id),
    amount numeric(10, 5),
    half real,
    whole float,
    at timestamptz,
    constraint kinds_pk primary key (id),
    foreign key (other) references kinds (id),
    unique (name)
)
distkey (id)
compound sortkey (id, name)"""

COLUMNS = (
    Column("id", "integer", nullable=False),
    Column("name", "varchar(256)", nullable=False),
    Column("letter", "char(1)"),
    Column("words", "varchar(256)"),
    Column("plain", "varchar(256)"),
    Column("other", "integer"),
    Column("amount", "decimal(10,5)"),
    Column("half", "real"),
    Column("whole", "double precision"),
    Column("at", "timestamp with time zone"),
)


def test_types_keep_redshifts_spelling(warehouse: Session) -> None:
    warehouse.run(DDL)
    with warehouse.warehouse.task() as connection:
        assert warehouse.warehouse.columns(connection, "kinds") == declared_columns(DDL) == COLUMNS


def test_a_comment_is_not_mistaken_for_a_type(warehouse: Session) -> None:
    warehouse.run(DDL, DDL.replace("varchar(256)", "varchar(16)"), "comment on column kinds.id is 'varchar(3)'")
    with warehouse.warehouse.task() as connection:
        assert warehouse.warehouse.columns(connection, "kinds") == COLUMNS


def test_keys_are_not_enforced(warehouse: Session) -> None:
    warehouse.run(DDL, *["insert into kinds (id, name, other) values (1, 'a', 9)"] * 2)
    assert warehouse.rows("select count(*) from kinds where id = 1") == [(2,)]


def test_a_temporary_table_stays_temporary(warehouse: Session) -> None:
    warehouse.run("create temp table passing (a integer) diststyle all")
    with warehouse.warehouse.task() as connection:
        assert warehouse.warehouse.columns(connection, "passing") == ()


def test_a_statement_takes_the_locks_that_it_needs() -> None:
    assert translate("select * from a join b on a.x = b.x").locks == (("a", "read"), ("b", "read"))
    assert translate("insert into a (x) select x from b").locks == (("a", "write"), ("b", "read"))
    assert translate("delete from a").locks == (("a", "write"),)
    assert translate("update a set x = 1 where y in (select y from b)").locks == (("a", "write"), ("b", "read"))
    merge = "merge into a using b on a.x = b.x when matched then update set y = b.y when not matched then"
    assert translate(f"{merge} insert (x, y) values (b.x, b.y)").locks == (("a", "write"), ("b", "read"))
    assert translate("lock table a").locks == (("a", "exclusive"),)


def test_statements_are_split_without_changing_their_text() -> None:
    text = "-- a; b\nselect ';' as c;\n\n/* d; */ select 2;\n"
    assert split_statements(text) == ["-- a; b\nselect ';' as c", "/* d; */ select 2"]

"""The stand-in accepts what Redshift accepts, refuses what it refuses, and fails when told to.

Expected values are written by hand, from Redshift's documentation.
"""

import gc
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redshift_connector
from redshift_connector.error import InterfaceError, ProgrammingError
from sqlalchemy import create_engine, text

from tests.standin import Standin
from tests.standin.isolation import Isolation
from warehouse.redshift.errors import disconnect

Connect = Callable[[], Any]
Connection = Any


@pytest.fixture
def connect(standin: Standin) -> Iterator[Connect]:
    """A function that opens connections, which are closed at the end."""
    opened: list[Connection] = []

    def connect() -> Connection:
        opened.append(
            redshift_connector.connect(
                host=standin.host,
                port=standin.port,
                user=standin.user,
                password=standin.password,
                database=standin.database,
                ssl=False,
            )
        )
        return opened[-1]

    yield connect
    for connection in opened:
        disconnect(connection)


@pytest.fixture
def connection(connect: Connect) -> Connection:
    return connect()


def run(connection: Connection, sql: str, *parameters: object) -> list[list[Any]]:
    """Run a statement and return its rows, if it returns any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


def value(connection: Connection, expression: str) -> Any:
    return run(connection, f"select {expression}")[0][0]


def failure(connection: Connection, sql: str, *parameters: object) -> tuple[str, str]:
    """Run a statement that fails; return the SQLSTATE and the message, with the transaction rolled back."""
    with pytest.raises(ProgrammingError) as caught:
        run(connection, sql, *parameters)
    connection.rollback()
    return caught.value.args[0]["C"], caught.value.args[0]["M"]


def make(connection: Connection, *statements: str) -> None:
    for statement in statements:
        run(connection, statement)
    connection.commit()


# values


VALUES = {
    "5 / 2": 2,
    "-5 / 2": -2,
    "5 % 3": 2,
    "5.0 / 2": Decimal("2.5"),
    "'a' || 'b' || null": None,
    "'it''s' || ' a \\\\ '": "it's a \\ ",
    "concat('a', null)": None,
    "md5('')": "d41d8cd98f00b204e9800998ecf8427e",
    "trunc(7)": 7,
    "round(1.25::double precision, 1)": 1.3,
    "len('été')": 3,
    "octet_length('été')": 5,
    "nvl(null, 2)": 2,
    "nvl2(null, 1, 2)": 2,
    "nvl2(0, 1, 2)": 1,
    "decode(null, null, 'none', 'some')": "none",
    "decode(3, 1, 'one', 2, 'two')": None,
    "strtol('ff', 16)": 255,
    "trunc(-3.7)": Decimal("-3"),
    "trunc(timestamp '2018-11-02 23:59:59')": date(2018, 11, 2),
    "round(2.5)": Decimal("3"),
    "regexp_replace('a-b-c', '-', '+')": "a+b+c",
    "regexp_substr('a12b34', '[0-9]+')": "12",
    "regexp_substr('ab', '[0-9]+')": "",
    "charindex('b', 'abc')": 2,
    "split_part('a-b-c', '-', 2)": "b",
    "json_extract_path_text('{\"a\": {\"b\": 1}}', 'a', 'b')": "1",
    "to_char(timestamp '2018-11-02 01:25:34', 'YYYY-MM-DD HH24:MI:SS')": "2018-11-02 01:25:34",
    "timestamp 'epoch' + 1541121934796 / 1000.0 * interval '1 second'": datetime(2018, 11, 2, 1, 25, 34, 796000),
    "datediff(ms, timestamp 'epoch', timestamp '2018-11-02 01:25:34.796')": 1541121934796,
    "datediff(day, '2018-11-02 23:59:59', '2018-11-03 00:00:00')": 1,
    "datediff(month, '2018-01-31', '2018-02-01')": 1,
    "datediff(year, '2018-12-31', '2019-01-01')": 1,
    "datediff(year, '2019-01-01', '2018-12-31')": -1,
    "datediff(qtr, '1998-07-01', '2008-12-31')": 41,
    "datediff(week, '2009-01-01', '2009-12-31')": 52,
    "datediff(hour, '2018-11-02 01:59:59', '2018-11-02 02:00:00')": 1,
    "datediff(second, '2018-11-02 02:00:00', '2018-11-02 01:59:59.5')": -1,
    "dateadd(month, 1, '2018-01-31')": datetime(2018, 2, 28),
    "dateadd(day, -1, date '2018-03-01')": datetime(2018, 2, 28),
    "dateadd(ms, 5, timestamp '2018-01-01')": datetime(2018, 1, 1, 0, 0, 0, 5000),
    "add_months('2018-02-28', 1)": datetime(2018, 3, 31),
    "last_day('2020-02-03')": date(2020, 2, 29),
    "date_trunc('week', timestamp '2018-11-04 12:00:00')": datetime(2018, 10, 29),
    "date_trunc('month', date '2018-11-04')": datetime(2018, 11, 1),
    "date_part(dow, timestamp '2018-11-04')": 0.0,
    "date_part('dow', timestamp '2018-11-10')": 6.0,
    "extract(dow from timestamp '2018-11-04')": 0,
    "extract(weekday from timestamp '2018-11-05')": 1,
    "extract(week from timestamp '2018-12-31')": 1,
    "extract(week from timestamp '2021-01-03')": 53,
    "extract(hour from timestamp '2018-11-04 13:14:15.678')": 13,
    "extract(second from timestamp '2018-11-04 13:14:15.678')": 15,
    "extract(epoch from timestamp '2018-11-02 01:25:34')": 1541121934,
    "convert_timezone('Europe/Berlin', timestamp '2018-07-01 10:00:00')": datetime(2018, 7, 1, 12),
    "cast(1.005 as decimal(10, 2))": Decimal("1.01"),
    "'12'::integer + 1": 13,
    "1.9::decimal": Decimal("2"),
    "current_user": "sparkify",
    "current_schema()": "public",
    "has_schema_privilege('sparkify', 'public', 'create')": True,
    "pg_last_copy_count()": 0,
    "pg_last_copy_id()": -1,
    "case when null = null then 1 else 2 end": 2,
    "greatest(1, null, 3)": 3,
}


def test_expressions_have_redshifts_values(connection: Connection) -> None:
    assert {expression: value(connection, expression) for expression in VALUES} == VALUES


ROWS = {
    "select listagg(name, ', ') within group (order by name desc) from t": [["c, b, b, a"]],
    "select listagg(distinct name, ',') within group (order by name) from t": [["a,b,c"]],
    "select listagg(grade) from t where grade = 4": [["4"]],
    "select median(grade) from t": [[2.5]],
    "select avg(grade) from t": [[2]],
    "select avg(grade::decimal(5, 2)) from t": [[Decimal("2.5")]],
    "select avg(grade::double precision) from t": [[2.5]],
    "select count(distinct name), count(*), sum(grade) from t": [[3, 4, 10]],
    "select name from t as s qualify row_number() over (partition by name order by grade) = 2": [["b"]],
    "select name, ratio_to_report(grade) over () from t where grade < 3 and name > 'a' order by 1": [["b", 1.0]],
    "select name from t where grade > 2 except select 'c' order by 1": [["b"]],
    "select null::integer except select null::integer": [],
    "select 1 minus select 2": [[1]],
    "select top 1 name from t order by name": [["a"]],
    "select name from t order by name limit 1 offset 3": [["c"]],
    "select sum(grade) over (order by grade rows unbounded preceding) from t order by 1": [[1], [3], [6], [10]],
    "select lag(grade) over (order by grade) from t order by 1 nulls first": [[None], [1], [2], [3]],
    "with s as (select max(grade) as grade from t) select name from t join s using (grade)": [["c"]],
    "select name from t where name similar to '(a|c)' order by 1": [["a"], ["c"]],
    "select name from t where grade = any(select 4)": [["c"]],
    "select name from (select name, grade from t where grade between 1 and 2) as s order by grade": [["a"], ["b"]],
    "select percentile_cont(0.5) within group (order by grade) from t": [[2.5]],
}


def test_queries_return_the_rows_that_redshift_would(connection: Connection) -> None:
    make(connection, "create table t (name varchar(8), grade integer)")
    make(connection, "insert into t values ('a', 1), ('b', 2), ('b', 3), ('c', 4)")
    assert {query: run(connection, query) for query in ROWS} == ROWS


def test_the_clock_is_in_utc_and_has_no_zone(connection: Connection) -> None:
    began, ours = value(connection, "getdate()"), datetime.now(UTC).replace(tzinfo=None)
    assert began.tzinfo is None
    assert began.microsecond == 0
    assert abs(began - ours) < timedelta(seconds=5)


def test_getdate_is_the_statements_time_and_sysdate_the_transactions(connection: Connection) -> None:
    early = run(connection, "select getdate(), sysdate")[0]
    time.sleep(1.01)
    late = run(connection, "select getdate(), sysdate")[0]
    assert late[0] > early[0]
    assert late[1] == early[1]
    connection.rollback()
    assert value(connection, "sysdate") > early[1]


def test_the_version_is_redshifts(connection: Connection) -> None:
    assert value(connection, "version()").startswith("PostgreSQL 8.0.2 on i686-pc-linux-gnu")
    assert "Redshift 1.0." in value(connection, "pg_catalog.version()")


# tables


DDL = [
    "create table t (a integer) diststyle all",
    "create table t (a integer not null, b varchar) diststyle key distkey (a) compound sortkey (a, b)",
    "create table t (a integer encode az64 distkey sortkey, b varchar(10) encode zstd)",
    "create table if not exists t (a integer primary key, b integer references t2 (b), unique (b))",
    "create table t (a integer default 3, foreign key (a) references t2 (b)) backup no sortkey auto",
    "create table t (a bigint identity(0, 1), b varchar(max))",
    "create table t (like t2)",
    "create temp table t as select b from t2",
    "create temporary table t (a integer)",
    "create table t distkey (b) as select b from t2",
    "create view t as select b from t2 with no schema binding",
    "create schema if not exists s authorization sparkify",
    "alter table t2 add column c varchar(5) default 'x'",
    "alter table t2 drop column b",
    "alter table t2 rename to t",
    "alter table t2 rename column b to c",
    "drop table if exists t, t2 cascade",
    "drop schema if exists s cascade",
    "truncate t2",
    "truncate table t2",
    "lock table t2",
    "lock t2",
    "analyze t2",
    "grant select on t2 to public",
    "comment on table t2 is 'rows'",
    "begin",
    "start transaction",
    "set query_group to 'loads'",
    "set statement_timeout to 1000",
    'set search_path to "public", "t"',
    "set enable_result_cache_for_session = off",
    "show search_path",
    "reset query_group",
    "delete from t2",
    "delete from t2 using t2 as t3 where t2.b = t3.b",
    "update t2 set b = t3.b from t2 as t3 where t2.b = t3.b",
    "insert into t2 select b from t2",
    "insert into t2 (b) values (1), (default)",
    "insert into t2 default values",
    "select * from svv_columns",
    "select * from svv_tables",
    "select * from sys_load_history",
    "select * from sys_load_detail",
    "select * from sys_load_error_detail where query_id = pg_last_copy_id()",
    "select 1 as level, 2 as time, 3 as users, 4 as key, 5 as value",
    'select 1 as "user", 2 as "timestamp", 3 as "tag"',
    "select current_timestamp",
]


@pytest.mark.parametrize("statement", DDL)
def test_statements_of_redshift_are_accepted(connection: Connection, statement: str) -> None:
    make(connection, "create table t2 (b integer)")
    run(connection, statement)
    connection.commit()


REFUSED = {
    "insert into t values (1, 'a') on conflict do nothing": "42601",
    "insert into t values (1, 'a') returning a": "42601",
    "delete from t returning a": "42601",
    "select distinct on (a) a, b from t": "0A000",
    "select array[1, 2]": "42601",
    "select a[1] from t": "42601",
    "create table u (a serial)": "0A000",
    "create table u (a uuid)": "0A000",
    "create table u (a json)": "0A000",
    "create table u (a jsonb)": "0A000",
    "create table u (a integer[])": "0A000",
    "create table u (a integer check (a > 1))": "42601",
    "create table u (a integer, check (a > 1))": "42601",
    "create table u (a varchar(65536))": "0A000",
    "create index i on t (a)": "42601",
    "create unique index i on t (a)": "42601",
    "create sequence s": "42601",
    "create table if not exists u as select 1 as a": "42601",
    "create or replace table u (a integer)": "42601",
    "select * from (values (1), (2)) as v (a)": "0A000",
    "values (1)": "42601",
    "select string_agg(b, ',') from t": "42883",
    "select array_agg(b) from t": "42883",
    "select * from generate_series(1, 3)": "42883",
    "select generate_series(1, 3)": "42883",
    "select gen_random_uuid()": "42883",
    "select json_build_object('a', 1)": "42883",
    "select a is distinct from 1 from t": "42601",
    "select a is not distinct from 1 from t": "42601",
    "savepoint s": "0A000",
    "rollback to savepoint s": "0A000",
    "release savepoint s": "0A000",
    "select sum(a) filter (where a > 1) from t": "42601",
    "select * from t, lateral (select t.a) as l": "42601",
    "select now() from t": "0A000",
    "select current_timestamp from t": "0A000",
    "insert into t select 1, current_timestamp::varchar from t": "0A000",
    "select t.a from t, pg_catalog.pg_class": "0A000",
    "select a from t for update": "42601",
    "select sum(a) over (order by a) from t": "0A000",
    "select a from t qualify row_number() over (order by a) = 1": "42601",
    "select a as user from t": "42601",
    "select a as timestamp from t": "42601",
    "select a as tag from t": "42601",
    "select a as system from t": "42601",
    "select a as open from t": "42601",
    "select a as offset from t": "42601",
    "select a as oid from t": "42601",
    "create table u (user integer)": "42601",
    "create table u (timestamp timestamp)": "42601",
    "create table u (tag varchar)": "42601",
    "create table user (a integer)": "42601",
    "select 1; select 2": "42601",
    "set nonsense to 1": "42704",
    "lock table t in share mode": "42601",
    "truncate t cascade": "42601",
    "truncate t, t": "42601",
    "vacuum t": "42601",
    "do $$ begin end $$": "42601",
    "notify t": "42601",
    "select a from": "42601",
    "selec 1": "42601",
    "select 'open": "42601",
    "select c from t": "42703",
    "select a from nowhere": "42P01",
    "merge into t using s on t.a = s.a when matched then update set b = s.b": "42601",
    "merge into t using s on t.a = s.a when not matched then insert (a, b) values (s.a, s.b)": "42601",
    "merge into t as x using s on x.a = s.a when matched then update set b = s.b "
    "when not matched then insert (a, b) values (s.a, s.b)": "42601",
    "merge into t using (select * from s) as s on t.a = s.a when matched then update set b = s.b "
    "when not matched then insert (a, b) values (s.a, s.b)": "0A000",
    "merge into t using s on t.a = s.a when matched and s.a > 1 then update set b = s.b "
    "when not matched then insert (a, b) values (s.a, s.b)": "42601",
    "merge into t using s on t.a = s.a when matched then update set t.b = s.b "
    "when not matched then insert (a, b) values (s.a, s.b)": "42601",
    "merge into t using s on t.a = s.a when matched then update set b = s.b "
    "when not matched by source then delete when not matched then insert (a, b) values (s.a, s.b)": "42601",
}


def refused(connection: Connection, statement: str) -> list[str]:
    """Return the SQLSTATEs of a statement in a transaction, and of the next one in it."""
    run(connection, "insert into t values (1, 'a')")
    with pytest.raises(ProgrammingError) as caught:
        run(connection, statement)
    return [caught.value.args[0]["C"], failure(connection, "select 1")[0]]


def test_statements_that_redshift_lacks_are_refused(connection: Connection) -> None:
    make(connection, "create table t (a integer, b varchar(10))", "create table s (a integer, b varchar(10))")
    outcomes = {statement: refused(connection, statement) for statement in REFUSED}
    assert outcomes == {statement: [code, "25P02"] for statement, code in REFUSED.items()}
    assert run(connection, "select * from t") == []


@pytest.mark.parametrize(
    "statement",
    [
        "create table u (a integer default %s)",
        "copy t from %s iam_role default json 'auto'",
        "set statement_timeout to %s",
        "truncate %s",
        "create temp table u as select %s as a",
    ],
)
def test_parameters_are_accepted_in_queries_only(connection: Connection, statement: str) -> None:
    assert failure(connection, statement, 3) == ("42601", 'syntax error at or near "$1"')


def test_parameters_of_a_query_are_bound(connection: Connection) -> None:
    make(connection, "create table t (a integer, b varchar(10), c timestamp)")
    run(connection, "insert into t values (%s, %s, %s)", 1, "it's", datetime(2018, 11, 2))
    assert run(connection, "select a from t where b = %s and c = %s", "it's", datetime(2018, 11, 2)) == [[1]]


def test_the_length_of_strings_counts_bytes(connection: Connection) -> None:
    make(connection, "create table t (a varchar(4), b varchar, c text)")
    run(connection, "insert into t values ('éé', null, null)")
    too_long = ("22001", "value too long for type character varying(4)")
    assert failure(connection, "insert into t (a) values ('ééé')") == too_long
    assert failure(connection, "insert into t (a) values ('abcde')") == too_long
    for column in ("b", "c"):
        assert failure(connection, f"insert into t ({column}) values (repeat('é', 129))")[0] == "22001"
        run(connection, f"insert into t ({column}) values (repeat('é', 128))")
    run(connection, "alter table t add column d varchar(2)")
    assert failure(connection, "insert into t (d) values ('éé')")[0] == "22001"


def test_the_catalogue_knows_the_types_from_any_search_path(connection: Connection) -> None:
    make(connection, "create schema s", "set search_path to s")
    make(connection, "create table T (a integer not null, B varchar, c text, d decimal, e double precision)")
    rows = run(
        connection,
        "select column_name, data_type, is_nullable, character_maximum_length, numeric_precision, numeric_scale "
        "from svv_columns where table_schema = 's' and table_name = 't' order by ordinal_position",
    )
    assert rows == [
        ["a", "integer", "NO", None, 32, 0],
        ["b", "character varying", "YES", 256, None, None],
        ["c", "character varying", "YES", 256, None, None],
        ["d", "numeric", "YES", None, 18, 0],
        ["e", "double precision", "YES", None, 53, None],
    ]


def test_keys_are_not_enforced_but_a_primary_key_is_not_null(connection: Connection) -> None:
    make(
        connection,
        "create table t (a integer primary key, b integer unique)",
        "create table u (a integer, primary key (a))",
    )
    run(connection, "insert into t values (1, 1), (1, 1)")
    assert failure(connection, "insert into t values (null, 1)")[0] == "23502"
    assert failure(connection, "insert into u values (null)")[0] == "23502"


def test_inserts_round_decimals(connection: Connection) -> None:
    make(connection, "create table t (a decimal(10, 2))")
    run(connection, "insert into t values (1.999), (-0.005)")
    assert run(connection, "select a from t order by a desc") == [[Decimal("2.00")], [Decimal("-0.01")]]


MERGE = """
    merge into t using s on t.a = s.a
    when matched then update set b = s.b
    when not matched then insert (a, b) values (s.a, s.b)"""


@pytest.fixture
def merging(connection: Connection) -> Connection:
    make(connection, "create table t (a integer, b varchar(10))", "create table s (a integer, b varchar(10))")
    make(connection, "insert into t values (1, 'old'), (2, 'old')")
    return connection


def test_merge_updates_and_inserts(merging: Connection) -> None:
    make(merging, "insert into s values (2, 'new'), (3, 'new')", MERGE)
    assert run(merging, "select * from t order by a") == [[1, "old"], [2, "new"], [3, "new"]]


@pytest.mark.parametrize("key", [1, 9])
def test_merge_refuses_a_source_with_a_duplicate_key(merging: Connection, key: int) -> None:
    make(merging, f"insert into s values ({key}, 'x'), ({key}, 'y')")
    assert failure(merging, MERGE) == ("XX000", "Found multiple matches to update the same tuple")
    assert len(run(merging, "select * from t")) == 2


def test_truncate_commits(connection: Connection) -> None:
    make(connection, "create table t (a integer)", "create table u (a integer)", "insert into t values (1)")
    run(connection, "insert into u values (1)")
    run(connection, "truncate t")
    connection.rollback()
    assert run(connection, "select * from t") == []
    assert run(connection, "select * from u") == [[1]]


def test_delete_does_not_commit(connection: Connection) -> None:
    make(connection, "create table t (a integer)", "insert into t values (1)")
    run(connection, "delete from t")
    connection.rollback()
    assert run(connection, "select * from t") == [[1]]


def test_quoted_names_fold_to_lower_case(standin: Standin, connection: Connection) -> None:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_names.html"""
    make(connection, 'create schema "Music"', 'create table "Music"."Songs" ("Title" varchar(9))')
    make(connection, 'set search_path to "MUSIC"', """insert into "SONGS" ("TITLE") select 'Up "Here"'""")
    assert run(connection, "select title from music.songs") == [['Up "Here"']]
    found = "select table_schema, table_name, column_name from svv_columns where table_schema = "
    assert run(connection, f"{found}'music'") == [["music", "songs", "title"]]
    assert run(connection, f"{found}'Music'") == []
    make(connection, 'drop schema "Music" cascade')


def test_a_temporary_table_belongs_to_its_session(connect: Connect) -> None:
    one, other = connect(), connect()
    make(one, "create temp table t as select 1 as a")
    assert run(one, "select a from t") == [[1]]
    assert failure(other, "select a from t")[0] == "42P01"


# sessions


@pytest.mark.parametrize("clock", ["getdate()", "sysdate"])
def test_the_clock_is_in_the_time_zone_of_the_session(standin: Standin, connect: Connect, clock: str) -> None:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_GETDATE.html"""
    in_utc = value(connect(), clock)
    standin.move("Asia/Kolkata")
    assert value(connect(), clock) - in_utc > timedelta(hours=5, minutes=29)
    connection = connect()
    run(connection, "set timezone to 'UTC'")
    assert value(connection, clock) - in_utc < timedelta(minutes=1)


def refusal(connect: Callable[..., object], **options: object) -> dict[str, str]:
    """Return what the server says to a connection that it refuses.

    The driver leaves the connection's socket open, and the collector warns of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            connect(**options)
        except ProgrammingError as error:
            fields = dict(error.args[0])
        gc.collect()
    return fields


def test_a_wrong_password_is_refused(standin: Standin) -> None:
    address = {"host": standin.host, "port": standin.port, "database": standin.database, "ssl": False}
    for login in ({"user": standin.user, "password": "wrong"}, {"user": "nobody", "password": standin.password}):
        assert refusal(redshift_connector.connect, **address, **login)["C"] == "28P01"


def test_sqlalchemy_can_connect(standin: Standin) -> None:
    engine = create_engine(standin.url, connect_args={"ssl": False})
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (a integer, b varchar(10))")
        connection.execute(text("insert into t values (:a, :b)"), [{"a": 1, "b": "x"}, {"a": 2, "b": "100%"}])
        assert connection.execute(text("select b from t where a = :a"), {"a": 2}).scalar_one() == "100%"
        assert connection.exec_driver_sql("update t set a = 3").rowcount == 2
    engine.dispose()


def test_a_transaction_sees_one_snapshot_of_the_tables(connect: Connect) -> None:
    one, other = connect(), connect()
    make(one, "create table t (a integer)")
    assert run(one, "select * from t") == []
    make(other, "insert into t values (1)")
    assert run(one, "select * from t") == []
    one.rollback()
    assert run(one, "select * from t") == [[1]]


CONFLICT = {
    "snapshot": ("could not complete because of conflict with concurrent transaction", None),
    "serializable": ("1023", "Serializable isolation violation on table"),
}
"""What Redshift says in each isolation level, and the beginning of the detail.

https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
"""
LEVELS = pytest.mark.parametrize("level", CONFLICT)


@LEVELS
def test_two_transactions_that_change_one_row_are_in_conflict(
    standin: Standin, connect: Connect, level: Isolation
) -> None:
    standin.isolate(level)
    one, other = connect(), connect()
    make(one, "create table t (a integer)", "insert into t values (1)")
    run(one, "select * from t")
    make(other, "update t set a = 2")
    with pytest.raises(ProgrammingError) as caught:
        run(one, "update t set a = 3")
    error = caught.value.args[0]
    message, detail = CONFLICT[level]
    assert (error["C"], error["M"]) == ("XX000", message)
    assert error.get("D", "").startswith(detail or "")


@LEVELS
def test_only_a_serializable_database_refuses_write_skew(standin: Standin, connect: Connect, level: Isolation) -> None:
    """Two transactions look at both tables, and each writes another one of them."""
    standin.isolate(level)
    one, other = connect(), connect()
    make(one, "create table t (a integer)", "create table u (a integer)")
    for connection, table in ((one, "t"), (other, "u")):
        run(connection, "select * from t union all select * from u")
        run(connection, f"insert into {table} values (1)")
    one.commit()
    if level == "snapshot":
        other.commit()
        return
    with pytest.raises(ProgrammingError) as caught:
        other.commit()
    assert caught.value.args[0]["M"] == CONFLICT[level][0]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_locked_table_makes_readers_wait(connect: Connect) -> None:
    one, other = connect(), connect()
    make(one, "create table t (a integer)")
    run(one, "lock table t")
    thread = in_thread(lambda: run(other, "select * from t"))
    thread.join(0.3)
    assert thread.is_alive()
    run(one, "insert into t values (1)")
    one.commit()
    thread.join(10)
    assert not thread.is_alive()


def test_only_its_owner_locks_a_table(standin: Standin, connection: Connection) -> None:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_Privileges.html"""
    make(connection, "create table own (a integer)")
    standin.admin.query("create table public.others (a integer); grant all on public.others to sparkify")
    make(connection, "insert into public.others values (1)", "lock table own")
    assert failure(connection, "lock table public.others")[0] == "42501"
    assert failure(connection, "lock own, public.others")[0] == "42501"


def test_writers_of_one_table_wait_for_each_other(connect: Connect) -> None:
    one, other = connect(), connect()
    make(one, "create table t (a integer)")
    run(one, "insert into t values (1)")
    thread = in_thread(lambda: run(other, "insert into t values (2)"))
    thread.join(0.3)
    assert thread.is_alive()
    one.commit()
    thread.join(10)
    assert not thread.is_alive()


def test_a_disconnected_client_leaves_no_locks(connect: Connect) -> None:
    one, other, third = connect(), connect(), connect()
    make(one, "create table t (a integer)")
    run(one, "lock table t")

    def wait() -> None:
        with pytest.raises((InterfaceError, OSError)):
            run(other, "lock table t")

    thread = in_thread(wait)
    thread.join(0.3)
    other._usock.shutdown(2)  # while it waits for the lock
    thread.join(10)
    one._usock.shutdown(2)
    run(third, "lock table t")


def test_a_statement_over_the_timeout_is_cancelled(connection: Connection, connect: Connect) -> None:
    other = connect()
    make(other, "create table t (a integer)")
    run(other, "lock table t")
    make(connection, "set statement_timeout to 100")
    assert failure(connection, "select * from t")[0] == "57014"


def test_reset_deletes_everything(standin: Standin, connection: Connection, connect: Connect) -> None:
    make(connection, "create schema s", "create table s.t (a integer)", "create table public.t (a integer)")
    standin.put("s3://bucket/key", b"x")
    standin.faults.fail("XX000", "never", times=9)
    standin.reset()
    assert standin.counts.statements == []
    assert run(connect(), "select * from svv_tables") == []
    assert standin.s3_client.list_buckets()["Buckets"] == []


# faults


def test_counts_record_what_clients_did(standin: Standin, connection: Connection) -> None:
    before = standin.counts.messages
    make(connection, "create table t (a integer)", "insert into t values (1)")
    counts = standin.counts
    assert counts.statements == [
        "begin transaction",
        "create table t (a integer)",
        "insert into t values (1)",
        "commit",
    ]
    assert counts.starting("begin", "start") == counts.starting("commit") == 1
    assert counts.connections == 1
    assert counts.messages > before
    assert counts.bytes_in > 0
    assert counts.bytes_out > 0


def test_a_statement_can_be_told_to_fail_with_its_transaction(standin: Standin, connection: Connection) -> None:
    make(connection, "create table t (a integer)")
    standin.faults.fail("42501", "permission denied for relation t", pattern="^insert into t")
    run(connection, "select 1")
    with pytest.raises(ProgrammingError, match="permission denied"):
        run(connection, "insert into t values (1)")
    assert failure(connection, "select 1")[0] == "25P02"
    run(connection, "insert into t values (1)")


@LEVELS
def test_a_conflict_can_be_raised_a_given_number_of_times(
    standin: Standin, connection: Connection, level: Isolation
) -> None:
    standin.isolate(level)
    standin.faults.conflict(pattern="select", times=2)
    assert [failure(connection, "select 1") for _ in range(2)] == [("XX000", CONFLICT[level][0])] * 2
    assert value(connection, "1") == 1


def test_a_shutdown_closes_the_connection(standin: Standin, connect: Connect) -> None:
    connection = connect()
    standin.faults.fail("57P01", "terminating connection due to administrator command", fatal=True)
    with pytest.raises((KeyError, struct.error)):  # the driver reads on after the server's last message
        run(connection, "select 1")
    with pytest.raises((InterfaceError, OSError)):
        run(connection, "select 1")
    assert value(connect(), "1") == 1


def test_connections_can_be_refused(standin: Standin, connect: Connect) -> None:
    standin.faults.refuse_connections("53300", "too many connections for user", times=2)
    assert [refusal(connect)["C"] for _ in range(2)] == ["53300", "53300"]
    assert value(connect(), "1") == 1


def test_statements_can_be_slowed_down(standin: Standin, connection: Connection) -> None:
    standin.faults.slow(0.3, pattern="select 1")
    started = time.monotonic()
    run(connection, "select 1")
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("when", "kept"), [("before", []), ("inside", []), ("after", [[1]])])
def test_a_connection_can_be_cut_at_the_commit(standin: Standin, connect: Connect, when: Any, kept: list[Any]) -> None:
    connection = connect()
    make(connection, "create table t (a integer)")
    run(connection, "insert into t values (1)")
    standin.faults.cut(at=1, when=when)
    with pytest.raises((InterfaceError, OSError)):
        connection.commit()
    assert run(connect(), "select * from t") == kept


def test_a_connection_can_be_cut_at_every_message(standin: Standin, connect: Connect) -> None:
    make(connect(), "create table t (a integer)")
    connection = connect()
    before = standin.counts.messages
    make(connection, "delete from t", "insert into t values (1)")
    messages = standin.counts.messages - before
    assert messages > 5
    for at in range(1, messages + 1):
        connection = connect()
        standin.faults.cut(at=at, when="before")
        with pytest.raises((InterfaceError, OSError)):
            make(connection, "delete from t", "insert into t values (2)")
        assert run(connect(), "select * from t") == [[1]]

"""Trailing blanks do not count where text is compared, and stay in the data.

https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html#r_Character_types-significance-of-trailing-blanks
"""

from typing import Any

import pytest

from tests.support.warehouses import Place, Rows, Session

SETUP = (
    "create table t (k integer, s varchar(20), n integer)",
    "create table u (k integer, s varchar(20))",
    "insert into t values (1, 'a', 1), (2, 'a ', 1), (3, 'a  ', 2), (4, 'b', 1), (5, ' a', 1), (6, 'a' || chr(9), 1), "
    "(7, '', 1), (8, '  ', 1), (9, null, 1), (10, null, 1)",
    "insert into u values (1, 'a   '), (2, 'c'), (3, ' '), (4, null)",
)

QUERIES: dict[str, tuple[str, list[Any]]] = {
    "=": ("select k from t where s = 'a'", [1, 2, 3]),
    "= and blanks in the literal": ("select k from t where s = 'a   '", [1, 2, 3]),
    "= of the empty text": ("select k from t where s = ''", [7, 8]),
    "= of expressions": ("select k from t where s || ' ' = s", [1, 2, 3, 4, 5, 6, 7, 8]),
    "<>": ("select k from t where s <> 'a'", [4, 5, 6, 7, 8]),
    "> is no more": ("select k from t where s > 'a'", [4, 6]),
    ">=": ("select k from t where s >= 'a  '", [1, 2, 3, 4, 6]),
    "<": ("select k from t where s < 'a '", [5, 7, 8]),
    "<=": ("select k from t where s <= 'a'", [1, 2, 3, 5, 7, 8]),
    "between": ("select k from t where s between 'a ' and 'a'", [1, 2, 3]),
    "in a list": ("select k from t where s in ('a', 'b ')", [1, 2, 3, 4]),
    "not in a list": ("select k from t where s not in ('a', 'b ')", [5, 6, 7, 8]),
    "in a subquery": ("select k from t where s in (select s from u)", [1, 2, 3, 7, 8]),
    "not in a subquery": ("select k from t where s not in (select s from u where s is not null)", [4, 5, 6]),
    "in a subquery of its row": ("select k from t where s in (select s from u where u.k = t.k + 2 - t.n)", []),
    "pairs in a subquery": ("select k from t where (s, n) in (select s, k from u)", [1, 2]),
    "exists": ("select k from t where exists (select 1 from u where u.s = t.s)", [1, 2, 3, 7, 8]),
    "<> and not": ("select k from t where not (s <> 'a') and k < 9", [1, 2, 3]),
    "= as a value": ("select count(*) from t where (s <> 'a') = true", [5]),
    "a join": ("select t.k from t inner join u on t.s = u.s", [1, 2, 3, 7, 8]),
    "an outer join": ("select u.k from u left join t on t.s = u.s where t.k is null", [2, 4]),
    "case": ("select sum(case s when 'a' then 1 else 0 end) from t", [3]),
    "case with a condition": ("select sum(case when s = 'a' then 1 else 0 end) from t", [3]),
    "decode": ("select sum(decode(s, 'a', 1, null, 10, 0)) from t", [23]),
    "nullif": ("select k from t where k < 9 and nullif(s, 'a') is null", [1, 2, 3]),
    "coalesce in a comparison": ("select k from t where coalesce(s, 'a ') = 'a'", [1, 2, 3, 9, 10]),
    "group by": ("select count(*) from t group by s", [1, 1, 1, 2, 2, 3]),
    "group by a place": ("select s, count(*) from t group by 1 having count(*) = 3", [("a", 3)]),
    "group by a name": ("select upper(s) as big, count(*) from t group by big having count(*) = 3", [("A", 3)]),
    "group by a qualified name": ("select max(t.k), t.s from t group by t.s having t.s = 'b '", [(4, "b")]),
    "group by and number": ("select count(*) from t group by s, n", [1, 1, 1, 1, 2, 2, 2]),
    "group by in an expression": ("select coalesce(s, 'x') = 'a', count(*) from t where k < 5 group by s",
                                  [(False, 1), (True, 3)]),
    "group by and aggregates of the key": ("select count(s), count(distinct s) from t where s = 'a' group by s",
                                           [(3, 1)]),
    "group by, ordered": ("select s, count(*) from t where k in (1, 2, 4) group by s order by s", [("a", 2), ("b", 1)]),
    "having with numbers": ("select n from t group by n having n = 1 and count(s) * 2 > count(*)", [1]),
    "having with aggregates of text": ("select n from t group by n having max(s) = 'a ' or min(s) = ' '", [1, 2]),
    "ordered by a qualified key": ("select t.n as m, t.s from t where k < 3 group by t.s, t.n order by t.s",
                                   [(1, "a")]),
    "group by under a window": ("select distinct sum(count(*)) over (partition by s) from t group by s, n",
                                [1, 2, 3]),
    "distinct": ("select count(*) from (select distinct s from t) as d", [6]),
    "distinct of all columns": ("select count(*) from (select distinct * from t) as d", [10]),
    "distinct of two": ("select count(*) from (select distinct s, n from t) as d", [7]),
    "count of distinct": ("select count(distinct s) from t", [5]),
    "partition by": ("select k from (select k, row_number() over (partition by s order by k) as r from t) as d "
                     "where r = 1", [1, 4, 5, 6, 7, 9]),
    "order by in a window": ("select k from (select k, row_number() over (order by s, k desc) as r from t "
                             "where k < 4) as d where r = 1", [3]),
    "lag": ("select k from (select k, s, lag(s) over (order by k) as before from t) as d where s = before",
            [2, 3, 8]),
    "except": ("select count(*) from (select s from t except select s from u) as d", [3]),
    "except of two": ("select count(*) from (select s, n from t except select s, k from u) as d", [6]),
    "intersect": ("select count(*) from (select s from t intersect select s from u) as d", [3]),
    "union": ("select count(*) from (select s from t union select s from u) as d", [7]),
    "union all": ("select count(*) from (select s from t union all select s from u) as d", [14]),
    "except after with": ("with w as (select s from t where k < 4) select s from w except select s from u", []),
    "len": ("select len(s) from t where k < 4", [1, 2, 3]),
    "what is stored": ("select '<' || s || '>' from t where k in (1, 2, 3)", ["<a  >", "<a >", "<a>"]),
    "like": ("select k from t where s like 'a '", [2]),
}  # fmt: skip


@pytest.fixture
def session(place: Place) -> Session:
    session = place.session()
    session.run(*SETUP)
    return session


def test_queries_disregard_trailing_blanks(session: Session) -> None:
    found = {what: sorted_rows(session.rows(query)) for what, (query, _) in QUERIES.items()}
    assert found == {what: expected for what, (_, expected) in QUERIES.items()}


def sorted_rows(rows: Rows) -> list[Any]:
    """Return single values as such, and text beside others without its blanks: which of a group's is shown is open."""
    values = [row[0] if len(row) == 1 else tuple(v.rstrip() if isinstance(v, str) else v for v in row) for row in rows]
    return sorted(values, key=lambda value: (isinstance(value, str), value))


CHANGES = {
    "delete": ("delete from t where s = 'a'", "select k from t", [4, 5, 6, 7, 8, 9, 10]),
    "update": ("update t set s = 'z ' where s = 'a'", "select '<' || s || '>' from t where s = 'z'", ["<z >"] * 3),
    "update from": ("update t set n = u.k from u where u.s = t.s", "select k from t where n = 3", [7, 8]),
    "delete using": ("delete from t using u where u.s = t.s", "select k from t", [4, 5, 6, 9, 10]),
    "merge": (
        "merge into t using v on t.s = v.s when matched then update set n = v.n "
        "when not matched then insert (k, s, n) values (v.k, v.s, v.n)",
        "select k from t where n > 90", [1, 2, 3, 12],
    ),
    "create as": ("create table w as select s from t where s = 'a '", "select len(s) from w", [1, 2, 3]),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_changes_disregard_trailing_blanks(session: Session, what: str) -> None:
    change, query, expected = CHANGES[what]
    session.run("create table v as select 11 as k, 'a    ' as s, 91 as n union all select 12, 'y ', 92", change)
    assert sorted_rows(session.rows(query)) == expected

"""Redshift SQL in DuckDB's words."""

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp

from warehouse.locks import Lock
from warehouse.tables import Column, declared_columns

_NOT_ENFORCED = (exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint, exp.PrimaryKeyColumnConstraint)


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, the tables it touches and how, and the columns of the table it declares."""

    sql: str
    locks: tuple[tuple[str, Lock], ...] = ()
    declares: tuple[str, tuple[Column, ...]] | None = None


@lru_cache(maxsize=512)
def translate(statement: str) -> Translation:
    """Translate one statement.

    Keys are dropped, because Redshift does not enforce them either, and so are distribution, sort
    keys and the length of VARCHAR, which DuckDB does not have.
    """
    if statement.startswith("lock table "):
        return Translation("select 1", locks=((statement.removeprefix("lock table "), "exclusive"),))
    tree = sqlglot.parse_one(statement, read="redshift")
    declares = None
    if isinstance(tree, exp.Create) and tree.kind == "TABLE" and isinstance(tree.this, exp.Schema):
        declares = (tree.this.this.name, declared_columns(statement))
        _simplify(tree)
    return Translation(tree.transform(_utc).sql(dialect="duckdb"), _locks(tree), declares)


def _utc(node: exp.Expr) -> exp.Expr:
    """Give GETDATE() as Redshift does, in UTC and without a time zone, whatever the machine's."""
    return (
        exp.maybe_parse("make_timestamp(epoch_us(now()))", dialect="duckdb")
        if isinstance(node, exp.CurrentTimestamp)
        else node
    )


def _simplify(create: exp.Create) -> None:
    create.set("properties", None)
    create.this.set("expressions", [e for e in create.this.expressions if not isinstance(e, _NOT_ENFORCED)])


def _locks(tree: exp.Expr) -> tuple[tuple[str, Lock], ...]:
    written = _written(tree)
    tables = {table.name for table in tree.find_all(exp.Table)}
    return tuple((name, "write" if name == written else "read") for name in sorted(tables))


def _written(tree: exp.Expr) -> str | None:
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        table = tree.this.find(exp.Table)
        return table.name if table else None
    return None

"""Redshift SQL in DuckDB's words."""

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp

from warehouse.duckdb.locks import Lock
from warehouse.tables import Column, declared_columns

STATEMENT_TIME = "statement_time"
"""The DuckDB variable that holds what GETDATE() is: DuckDB has no clock but that of the transaction's start."""

_NOT_ENFORCED = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, the tables it touches and how, and the columns of the table it declares.

    One that `reads_clock` is to be run with the variable STATEMENT_TIME set.
    """

    sql: str
    locks: tuple[tuple[str, Lock], ...] = ()
    declares: tuple[str, tuple[Column, ...]] | None = None
    reads_clock: bool = False


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
    reads_clock = tree.find(exp.CurrentTimestamp) is not None
    return Translation(_as_redshift(tree).sql(dialect="duckdb"), _locks(tree), declares, reads_clock)


def _as_redshift(tree: exp.Expr) -> exp.Expr:
    """Keep what Redshift means where DuckDB means something else by the same words."""
    for replacement in tree.find_all(exp.RegexpReplace):
        replacement.set("modifiers", exp.Literal.string("g"))  # every match, not the first
    return tree.transform(_clock)


def _clock(node: exp.Expr) -> exp.Expr:
    """Give GETDATE() as Redshift does: when the statement began, in UTC and without a time zone."""
    return (
        exp.func("getvariable", exp.Literal.string(STATEMENT_TIME)) if isinstance(node, exp.CurrentTimestamp) else node
    )


def _simplify(create: exp.Create) -> None:
    """Leave a CREATE TABLE its columns' names, types, defaults and NOT NULL, and whether it is temporary."""
    kept = [p for p in create.args["properties"] or () if isinstance(p, exp.TemporaryProperty)]
    create.set("properties", exp.Properties(expressions=kept) if kept else None)
    create.this.set("expressions", [e for e in create.this.expressions if isinstance(e, exp.ColumnDef)])
    for constraint in list(create.find_all(exp.ColumnConstraint)):
        if isinstance(constraint.kind, _NOT_ENFORCED):
            constraint.pop()


def _locks(tree: exp.Expr) -> tuple[tuple[str, Lock], ...]:
    written = _written(tree)
    tables = {table.name for table in tree.find_all(exp.Table)}
    return tuple((name, "write" if name == written else "read") for name in sorted(tables))


def _written(tree: exp.Expr) -> str | None:
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        table = tree.this.find(exp.Table)
        return table.name if table else None
    return None

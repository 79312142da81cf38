"""Translates Redshift SQL for DuckDB."""

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp

from warehouse.duckdb.blanks import without_blanks
from warehouse.duckdb.locks import Lock
from warehouse.tables import Column, declared_columns

STATEMENT_TIME = "statement_time"
"""The DuckDB variable with the value of GETDATE(): DuckDB's own clock stands still at the transaction's start."""

_NOT_ENFORCED = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, the tables it touches and how, and the columns it declares of a table or adds to one.

    `describes` is the table and the column that it comments on.

    If it `reads_clock`, the variable STATEMENT_TIME has to be set before it runs.
    """

    sql: str
    locks: tuple[tuple[str, Lock], ...] = ()
    declares: tuple[str, tuple[Column, ...]] | None = None
    adds: tuple[str, tuple[Column, ...]] | None = None
    reads_clock: bool = False
    describes: tuple[str, str] | None = None


@lru_cache(maxsize=512)
def translate(statement: str) -> Translation:
    """Translate one statement.

    Of keys only NOT NULL stays, because Redshift does not enforce them either. Distribution, sort keys and lengths of
    VARCHAR are dropped because DuckDB does not have them.
    """
    if statement.startswith("lock table "):
        return Translation("select 1", locks=((statement.removeprefix("lock table "), "exclusive"),))
    tree = sqlglot.parse_one(statement, read="redshift")
    declares = None
    if isinstance(tree, exp.Create) and tree.kind == "TABLE" and isinstance(tree.this, exp.Schema):
        declares = (tree.this.this.name, declared_columns(statement))
        _simplify(tree, {column.name for column in declares[1] if not column.nullable})
    reads_clock = tree.find(exp.CurrentTimestamp) is not None
    sql = _as_redshift(tree).sql(dialect="duckdb")
    return Translation(sql, _locks(tree), declares, _added(tree), reads_clock, _described(tree))


def _described(tree: exp.Expr) -> tuple[str, str] | None:
    is_of_column = isinstance(tree, exp.Comment) and tree.args["kind"].upper() == "COLUMN"
    return (tree.this.table, tree.this.name) if is_of_column else None


def _added(tree: exp.Expr) -> tuple[str, tuple[Column, ...]] | None:
    if not isinstance(tree, exp.Alter):
        return None
    added = [action for action in tree.args["actions"] if isinstance(action, exp.ColumnDef)]
    listed = ", ".join(column.sql(dialect="redshift") for column in added)
    return (tree.this.name, declared_columns(f"create table added ({listed})")) if added else None


def _as_redshift(tree: exp.Expr) -> exp.Expr:
    """Keep Redshift's meaning where DuckDB gives the same words another one."""
    for replacement in tree.find_all(exp.RegexpReplace):
        replacement.set("modifiers", exp.Literal.string("g"))  # every match, not the first
    return without_blanks(tree.transform(_clock))


def _clock(node: exp.Expr) -> exp.Expr:
    """Replace GETDATE() by the statement's start, in UTC and without a time zone, as in Redshift."""
    return (
        exp.func("getvariable", exp.Literal.string(STATEMENT_TIME)) if isinstance(node, exp.CurrentTimestamp) else node
    )


def _simplify(create: exp.Create, required: set[str]) -> None:
    """Strip a CREATE TABLE down to its columns' names, types, defaults and NOT NULL, and to TEMPORARY."""
    kept = [p for p in create.args["properties"] or () if isinstance(p, exp.TemporaryProperty)]
    create.set("properties", exp.Properties(expressions=kept) if kept else None)
    create.this.set("expressions", [e for e in create.this.expressions if isinstance(e, exp.ColumnDef)])
    for constraint in list(create.find_all(exp.ColumnConstraint)):
        if isinstance(constraint.kind, _NOT_ENFORCED):
            constraint.pop()
    for column in create.this.expressions:
        if column.name.lower() in required and not column.find(exp.NotNullColumnConstraint):
            column.append("constraints", exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))


def _locks(tree: exp.Expr) -> tuple[tuple[str, Lock], ...]:
    written = _written(tree)
    tables = {table.name for table in tree.find_all(exp.Table)}
    return tuple((name, "write" if name == written else "read") for name in sorted(tables))


def _written(tree: exp.Expr) -> str | None:
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        table = tree.this.find(exp.Table)
        return table.name if table else None
    return None

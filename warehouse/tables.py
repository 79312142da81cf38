"""Tables as their SQL files declare them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import sqlglot
from sqlglot import exp

from warehouse.errors import PermanentError

Mode = Literal["append", "replace", "merge"]


@dataclass(frozen=True)
class Column:
    """A column as Redshift knows it: `type` is Redshift's own spelling, such as `varchar(256)`."""

    name: str
    type: str
    nullable: bool = True

    def __str__(self) -> str:
        return f"{self.name} {self.type}{'' if self.nullable else ' not null'}"


@dataclass(frozen=True)
class Table:
    """A table's SQL file, whose name is the table's: its DDL, then (not for staging) the SELECT of its rows.

    `mode` says how rows are loaded: `append` those whose key is new, `replace` all, or `merge` so that the newest by
    the column `newest_by` stay (the arriving ones if there is no such column). For a staging table, `jsonpaths` maps
    JSON keys to its columns (without it, columns have the names of the keys, in any case if `ignore_case`), and
    `time_format` is COPY's TIMEFORMAT.
    """

    path: Path
    mode: Mode = "append"
    key: tuple[str, ...] = ()
    newest_by: str | None = None
    jsonpaths: Path | None = None
    time_format: str | None = None
    ignore_case: bool = False

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def statements(self) -> list[str]:
        return split_statements(self.path.read_text(encoding="utf-8"))

    @property
    def ddl(self) -> str:
        return self.statements[0]

    @property
    def select(self) -> str:
        return self.statements[1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return declared_columns(self.ddl)


def split_statements(text: str) -> list[str]:
    """Return the statements of a file as written, including comments, without the semicolons."""
    ends = [t.start for t in sqlglot.tokenize(text, read="redshift") if t.token_type.name == "SEMICOLON"]
    starts = [0, *(end + 1 for end in ends)]
    pieces = (text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True))
    return [piece for piece in pieces if piece]


def declared_columns(ddl: str) -> tuple[Column, ...]:
    """Return the columns of a CREATE TABLE, in order.

    Raises:
        PermanentError: the statement is not a CREATE TABLE with columns.
    """
    tree = sqlglot.parse_one(ddl, read="redshift")
    if not isinstance(tree, exp.Create) or not isinstance(tree.this, exp.Schema):
        raise PermanentError(f"{ddl.partition('(')[0].strip()}: not a CREATE TABLE with columns. Fix the SQL file")
    return tuple(_column(c) for c in tree.this.expressions if isinstance(c, exp.ColumnDef))


def _column(definition: exp.ColumnDef) -> Column:
    declared = definition.args["kind"]
    kind = "varchar" if declared.is_type("text") else declared.sql(dialect="redshift").lower().replace(", ", ",")
    required = any(isinstance(c.kind, exp.NotNullColumnConstraint) for c in definition.constraints)
    return Column(definition.name, _SPELLINGS.get(kind, kind), nullable=not required)


_SPELLINGS = {
    "int": "integer",
    "double": "double precision",
    "varchar": "varchar(256)",
}

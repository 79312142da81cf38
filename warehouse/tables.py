"""Tables as their SQL files declare them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from warehouse.errors import PermanentError

COPIED_TYPES = (
    "smallint", "integer", "bigint", "decimal", "numeric", "real", "double precision", "boolean", "timestamp", "varchar"
)  # fmt: skip
"""The types that COPY's rules cover, without their sizes."""

_UNREADABLE = "{path}: {why}. Write the table's CREATE TABLE there, as Redshift takes it"


@dataclass(frozen=True)
class Column:
    """A column as Redshift knows it: `type` is Redshift's own spelling, such as `varchar(256)`.

    `description` is the comment behind its declaration. Columns that differ in nothing else are equal.
    """

    name: str
    type: str
    nullable: bool = True
    description: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.name} {self.type}{'' if self.nullable else ' not null'}"


@dataclass(frozen=True)
class Table:
    """A table's SQL file, whose name is the table's: its DDL, then (for facts and dimensions) the SELECT of its rows.

    A third statement, for large tables, tells what new batches touch, in columns of `events`, of the table, or of both:
    a load then compares only rows with these values. It reads `arrived_events` and `arrived_catalogue`, which hold the
    rows of the new batches. The SELECT's rows must depend only on events that have the same values.

    A staging table has a `history`, the table that keeps what is staged and names its `source`. `jsonpaths` maps JSON
    keys to the staging table's columns (without it, columns have the names of the keys, in any case if `ignore_case`),
    and `time_format` is COPY's TIMEFORMAT.
    """

    path: Path
    key: tuple[str, ...] = ()
    history: "Table | None" = None
    source: str = ""
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
        """The SELECT of the table's rows over history; "" if it is loaded otherwise."""
        return self.statements[1] if len(self.statements) > 1 else ""

    @property
    def touched(self) -> str:
        """The SELECT of what new batches touch; "" if that may be anything."""
        return self.statements[2] if len(self.statements) > 2 else ""

    @property
    def definition(self) -> str:
        """What decides the rows of the table: its columns and its SELECT."""
        return "\n".join([*map(str, self.columns), self.select])

    @property
    def description(self) -> str:
        """The comment at the head of the file, which begins with the grain."""
        return " ".join(re.findall(r"^-- (.+)$", self.ddl.partition("create table")[0], re.MULTILINE))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns. Those of a staging table are described where they are kept, in its history."""
        columns = declared_columns(self.ddl)
        kept = {column.name: column.description for column in self.history.columns} if self.history else {}
        return tuple(replace(c, description=c.description or kept.get(c.name, "")) for c in columns)


def time_column(columns: Iterable[Column]) -> str | None:
    """Return the name of the first column that is a time."""
    return next((column.name for column in columns if column.type == "timestamp"), None)


def split_statements(text: str) -> list[str]:
    """Return the statements of a file as written, including comments, without the semicolons."""
    ends = [t.start for t in sqlglot.tokenize(text, read="redshift") if t.token_type.name == "SEMICOLON"]
    starts = [0, *(end + 1 for end in ends)]
    pieces = (text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True))
    return [piece for piece in pieces if piece]


def columns_in(path: Path) -> tuple[Column, ...]:
    """Return the columns of the first table that a SQL file declares, whatever else the file says.

    Raises:
        PermanentError: the file cannot be read, or declares no table that can be understood.
    """
    try:
        for statement in split_statements(path.read_text(encoding="utf-8")):
            if re.match(r"create (\w+ )?table\b", " ".join(_words(statement)[:3])):
                return declared_columns(_without_keys(statement))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text in UTF-8, or not SQL"
        raise PermanentError(_UNREADABLE.format(path=path, why=f"cannot be read ({reason})")) from None
    except SqlglotError as error:
        raise PermanentError(_UNREADABLE.format(path=path, why=str(error).splitlines()[0].rstrip("."))) from None
    raise PermanentError(_UNREADABLE.format(path=path, why="has no CREATE TABLE"))


def _words(sql: str) -> list[str]:
    return [token.text.lower() for token in sqlglot.tokenize(sql, read="redshift")]


def _without_keys(ddl: str) -> str:
    """Drop SORTKEY and DISTKEY behind a column, and SORTKEY AUTO, none of which sqlglot reads."""
    kept, tokens = "", sqlglot.tokenize(ddl, read="redshift")
    dropped = False
    for token, following in zip_longest(tokens, tokens[1:]):
        word = ddl[token.start : token.end + 1].lower()
        is_key = word in ("sortkey", "distkey") and (following is None or following.text != "(")
        if not is_key and not (dropped and word == "auto"):
            kept += " " + ddl[token.start : token.end + 1]
        dropped = is_key
    return kept


def declared_columns(ddl: str) -> tuple[Column, ...]:
    """Return the columns of a CREATE TABLE, in order.

    Raises:
        PermanentError: the statement is not a CREATE TABLE with columns.
    """
    tree = sqlglot.parse_one(ddl, read="redshift")
    if not isinstance(tree, exp.Create) or not isinstance(tree.this, exp.Schema):
        raise PermanentError(f"{ddl.partition('(')[0].strip()}: not a CREATE TABLE with columns. Fix the SQL file")
    keys = {name.name for key in tree.this.find_all(exp.PrimaryKey) for name in key.expressions}
    comments = dict(re.findall(r"^ +(\w+) .*-- (.+)$", ddl, re.MULTILINE))
    return tuple(_column(c, keys, comments) for c in tree.this.expressions if isinstance(c, exp.ColumnDef))


def _column(definition: exp.ColumnDef, keys: set[str], comments: dict[str, str]) -> Column:
    """Return a column as Redshift sees it: its name in lower case, and NOT NULL if it is of the primary key."""
    declared = definition.args["kind"]
    kind = "varchar" if declared.is_type("text") else declared.sql(dialect="redshift").lower().replace(", ", ",")
    constraints = [constraint.kind for constraint in definition.constraints]
    required = definition.name in keys or any(isinstance(constraint, _REQUIRING) for constraint in constraints)
    identity = any(isinstance(constraint, exp.GeneratedAsIdentityColumnConstraint) for constraint in constraints)
    spelled = _SPELLINGS.get(kind, kind) + (" identity" if identity else "")
    return Column(definition.name.lower(), spelled, not required, comments.get(definition.name, ""))


_REQUIRING = (exp.NotNullColumnConstraint, exp.PrimaryKeyColumnConstraint)
_SPELLINGS = {
    "int": "integer",
    "double": "double precision",
    "varchar": "varchar(256)",
    "varchar(max)": "varchar(65535)",
}

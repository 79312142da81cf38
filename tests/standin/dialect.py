"""Translates Redshift's SQL for PostgreSQL, and refuses what Redshift does not have."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.parsers.redshift import RedshiftParser
from sqlglot.tokenizer_core import Token

from tests.standin.ddl import create, define, without_attributes
from tests.standin.errors import ServerError, syntax_error, unsupported
from tests.standin.vocabulary import (
    FRAMED,
    FUNCTIONS,
    IGNORED_SETTINGS,
    LEADER_NODE_ONLY,
    LEADER_NODE_TABLES,
    MISSING_TYPES,
    RESERVED,
    REWRITTEN,
    SETTINGS,
    SHIMMED,
    SYSTEM_TABLES,
)


class Dialect(Redshift):
    """Redshift as sqlglot reads it, except that functions keep their names."""

    class Parser(RedshiftParser):
        FUNCTIONS = {}  # noqa: RUF012
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: RedshiftParser.FUNCTION_PARSERS[name]
            for name in ("CAST", "CONVERT", "EXTRACT", "POSITION", "SUBSTRING", "TRIM", "OVERLAY")
        }


@dataclass(frozen=True)
class Statement:
    """A statement for PostgreSQL.

    `writes` is the table that it writes, which is to be locked before. `repeated` is a query that gives a row where a
    MERGE's source has a key twice, and `denied` one where the user may not run the statement. A statement that
    `commits` ends the transaction it is in. One that `copies` is Redshift's COPY, which PostgreSQL cannot run.
    """

    sql: str
    writes: str | None = None
    denied: str | None = None
    repeated: str | None = None
    commits: bool = False
    copies: bool = False


@lru_cache(maxsize=512)
def translate(sql: str) -> Statement:
    """Translate a statement.

    Raises:
        ServerError: it is not one that Redshift takes.
    """
    tokens = _tokens(sql)
    if not tokens:
        return Statement("")
    sql = _folded(sql, tokens)[tokens[0].start :]  # without comments before it
    tokens = _tokens(sql)
    word = tokens[0].text.lower()
    if word in _UTILITIES:
        return _UTILITIES[word](sql, tokens)
    if word not in ("select", "with", "(", "insert", "update", "delete", "merge", "create", "drop", "alter"):
        raise syntax_error(f'syntax error at or near "{tokens[0].text}"')
    if word in ("create", "drop", "alter"):
        _refuse_parameters(tokens)
        if re.match(r"(create|drop)\s+schema\b", sql, re.IGNORECASE):
            return Statement(_plain(sql))
        if re.match(r"create\s+(temp(orary)?\s+)?table\b", sql, re.IGNORECASE):
            sql = without_attributes(sql, tokens)
    return _translate_tree(_parse(sql))


def _tokens(sql: str) -> list[Token]:
    try:
        tokens = sqlglot.tokenize(sql, read=Dialect)
    except SqlglotError as error:
        raise syntax_error(f"syntax error: {error}") from None
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if any(token.token_type.name == "SEMICOLON" for token in tokens):
        raise syntax_error("cannot insert multiple commands into a prepared statement")
    return tokens


def _folded(sql: str, tokens: list[Token]) -> str:
    """Fold quoted names too, as Redshift does unless enable_case_sensitive_identifier is on.

    https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
    """
    for token in tokens:
        if token.token_type.name == "IDENTIFIER":
            sql = sql[: token.start] + sql[token.start : token.end + 1].lower() + sql[token.end + 1 :]
    return sql


def _parse(sql: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(sql, read=Dialect)
    except SqlglotError as error:
        raise syntax_error(f"syntax error: {str(error).splitlines()[0]}") from None
    if isinstance(tree, exp.Command):
        raise syntax_error(f'syntax error at or near "{tree.expression}"')
    return tree


def _refuse_parameters(tokens: list[Token]) -> None:
    for before, token in pairwise(tokens):
        if before.token_type.name == "PARAMETER":
            raise syntax_error(f'syntax error at or near "${token.text}"')


def _plain(sql: str) -> str:
    return sql.strip().rstrip(";")


# statements that are no queries


def _as_it_is(sql: str, tokens: list[Token]) -> Statement:
    return Statement(_plain(sql))


def _rollback(sql: str, tokens: list[Token]) -> Statement:
    if any(token.text.lower() in ("to", "savepoint") for token in tokens):
        raise unsupported("SAVEPOINT is not supported")
    return Statement(_plain(sql))


def _savepoint(sql: str, tokens: list[Token]) -> Statement:
    raise unsupported("SAVEPOINT is not supported")


def _set(sql: str, tokens: list[Token]) -> Statement:
    _refuse_parameters(tokens)
    match = re.fullmatch(r"set\s+(?:session\s+|local\s+)?(\w+)\s*(?:\bto\b|=)\s*(.+)", _plain(sql), re.I | re.S)
    if re.match(r"set\s+(session\s+characteristics|transaction)\b", sql, re.IGNORECASE):
        return Statement(_plain(sql))
    if not match:
        raise syntax_error(f"syntax error in {sql}")
    name = match[1].lower()
    if name in IGNORED_SETTINGS:
        return Statement(f"set redshift.{name} to {match[2]}")
    if name not in SETTINGS:
        raise ServerError("42704", f'unrecognized configuration parameter "{match[1]}"')
    return Statement(_plain(sql))


def _reset(sql: str, tokens: list[Token]) -> Statement:
    name = tokens[-1].text.lower()
    return Statement(f"reset redshift.{name}" if name in IGNORED_SETTINGS else _plain(sql))


def _lock(sql: str, tokens: list[Token]) -> Statement:
    match = re.fullmatch(r"lock\s+(?:table\s+)?([\w\".,\s]+)", _plain(sql), re.IGNORECASE)
    if not match or re.search(r"\bin\b|\bmode\b", sql, re.IGNORECASE):
        raise syntax_error("syntax error: LOCK [ TABLE ] table [, ...] has no mode in Redshift")
    return Statement(f"lock table {match[1]} in access exclusive mode", denied=_others(match[1]))


def _others(tables: str) -> str:
    """Return a query for those of the tables that are another user's.

    The guide names no privilege for LOCK, and says that owners alone may do what no privilege is named for.
    https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html and r_Privileges.html
    """
    names = ", ".join(f"to_regclass({exp.Literal.string(table.strip())})" for table in tables.split(","))
    return f"select 1 from pg_class where oid in ({names}) and not pg_has_role(relowner, 'usage')"


def _truncate(sql: str, tokens: list[Token]) -> Statement:
    _refuse_parameters(tokens)
    match = re.fullmatch(r"truncate\s+(?:table\s+)?([\w\".]+)", _plain(sql), re.IGNORECASE)
    if not match:
        raise syntax_error("syntax error: TRUNCATE [ TABLE ] table takes one table and no option")
    return Statement(f"truncate table {match[1]}", commits=True)


def _copy(sql: str, tokens: list[Token]) -> Statement:
    _refuse_parameters(tokens)
    return Statement("", copies=True)


_UTILITIES: dict[str, Callable[[str, list[Token]], Statement]] = {
    **dict.fromkeys(("begin", "start", "commit", "end", "show", "grant", "revoke", "analyze", "comment"), _as_it_is),
    **dict.fromkeys(("rollback", "abort"), _rollback),
    **dict.fromkeys(("savepoint", "release"), _savepoint),
    "reset": _reset,
    "set": _set,
    "lock": _lock,
    "truncate": _truncate,
    "copy": _copy,
}


# statements that are trees


def _translate_tree(tree: exp.Expr) -> Statement:
    _refuse(tree)
    if isinstance(tree, exp.Create) and tree.kind == "TABLE" and isinstance(tree.this, exp.Schema):
        _rewrite(tree)
        return Statement(create(tree))
    repeated = _repeated_keys(tree) if isinstance(tree, exp.Merge) else None
    _rewrite(tree)
    if isinstance(tree, exp.Create):
        tree.set("no_schema_binding", None)
    if isinstance(tree, exp.Alter) and (added := _added_column(tree)):
        return Statement(f"alter table {_sql(tree.this)} add column {define(added)}")
    return Statement(_sql(tree), writes=_written(tree), repeated=repeated)


def _sql(tree: exp.Expr) -> str:
    return tree.sql(dialect=Postgres)


def _written(tree: exp.Expr) -> str | None:
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        table = tree.find(exp.Table)
        assert table
        return _sql(exp.Table(this=table.this.copy(), db=table.args.get("db")))
    return None


def _added_column(tree: exp.Alter) -> exp.ColumnDef | None:
    actions = tree.args["actions"]
    added = [action for action in actions if isinstance(action, exp.ColumnDef)]
    if added and len(actions) > 1:
        raise unsupported("ALTER TABLE ADD COLUMN takes one column")
    return added[0] if added else None


_MISSING: dict[type[exp.Expr], str] = {
    exp.OnConflict: "ON CONFLICT",
    exp.Returning: "RETURNING",
    exp.Array: "ARRAY",
    exp.Bracket: "array subscript",
    exp.CheckColumnConstraint: "CHECK",
    exp.Filter: "FILTER",
    exp.Lateral: "LATERAL",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
    exp.Lock: "FOR UPDATE",
    exp.Fetch: "FETCH",
}


def _refuse(tree: exp.Expr) -> None:
    """Raise Redshift's error for a syntax tree that it does not support."""
    for kind, name in _MISSING.items():
        if tree.find(kind):
            raise syntax_error(f'syntax error: {name} is not supported by Redshift: "{tree.find(kind)}"')
    if isinstance(tree, exp.Create):
        _refuse_create(tree)
    if isinstance(tree, exp.Merge):
        _refuse_merge(tree)
    if properties := tree.args.get("properties"):
        _refuse_properties(properties)
    for node in tree.walk():
        _refuse_node(node)
    _refuse_leader_node(tree)


def _refuse_create(tree: exp.Create) -> None:
    if tree.kind not in ("TABLE", "VIEW"):
        raise syntax_error(f'syntax error at or near "{tree.kind}"')
    if tree.kind == "TABLE" and tree.args.get("replace"):
        raise syntax_error('syntax error at or near "table"')
    if tree.kind == "TABLE" and tree.args.get("exists") and tree.expression:
        raise syntax_error('syntax error at or near "as": CREATE TABLE AS has no IF NOT EXISTS')


def _refuse_properties(properties: exp.Properties) -> None:
    for known in properties.expressions:
        if not isinstance(known, exp.TemporaryProperty):
            raise syntax_error(f'syntax error at or near "{known}"')


def _refuse_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Identifier) and not node.quoted and _is_reserved(node):
        raise syntax_error(f'syntax error at or near "{node.name}": a reserved word')
    if isinstance(node, exp.Distinct) and node.args.get("on"):
        raise unsupported("SELECT DISTINCT ON is not supported")
    if isinstance(node, exp.Values) and not isinstance(node.parent, exp.Insert):
        raise unsupported("VALUES lists are not supported as a table")
    if isinstance(node, exp.DataType):
        _refuse_type(node)
    if isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS:
        raise ServerError("42883", f"function {node.name.lower()} does not exist")
    if isinstance(node, exp.Window):
        _refuse_window(node)
    if isinstance(node, exp.Select):
        _refuse_qualify(node)


def _is_reserved(name: exp.Identifier) -> bool:
    of_the_catalogue = name.name.lower() == "oid" and isinstance(name.parent, exp.Column) and name.parent.table
    return name.name.lower() in RESERVED and not of_the_catalogue


def _refuse_type(kind: exp.DataType) -> None:
    name = kind.this.name if isinstance(kind.this, exp.DataType.Type) else "UNKNOWN"
    if name in MISSING_TYPES:
        raise unsupported(f'type "{kind.sql(dialect=Postgres).lower()}" is not supported')


def _refuse_window(window: exp.Window) -> None:
    if window.args.get("order") and not window.args.get("spec") and window.this.name.lower() in FRAMED:
        raise unsupported("Aggregate window functions with an ORDER BY clause require a frame clause")


def _refuse_qualify(select: exp.Select) -> None:
    source = select.args.get("from_")
    if not source or not select.args.get("qualify"):
        return
    if not source.this.alias and not any(select.args.get(part) for part in ("where", "group", "having", "joins")):
        raise syntax_error('syntax error at or near "qualify": after FROM it needs a table alias')


def _refuse_leader_node(tree: exp.Expr) -> None:
    """Refuse functions and tables of the leader node together with users' tables."""
    ours = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [t for t in tree.find_all(exp.Table) if t.name not in ours and not t.name.startswith("sys_")]
    users = [t for t in tables if not f"{t.db}{t.name}".startswith(LEADER_NODE_TABLES)]
    functions = [f for f in tree.find_all(exp.Anonymous) if f.name.lower() in LEADER_NODE_ONLY]
    clocks = [c for c in tree.find_all(exp.CurrentTimestamp, exp.Localtimestamp) if not c.args.get("sysdate")]
    if users and (functions or clocks or len(users) < len(tables)):
        raise unsupported("Specified types or functions (one per INFO message) not supported on Redshift tables.")


def _refuse_merge(merge: exp.Merge) -> None:
    if merge.this.alias:
        raise syntax_error('syntax error at or near "using": MERGE takes no alias of its target')
    if not isinstance(merge.args["using"], exp.Table):
        raise unsupported("MERGE takes no subquery as its source")
    whens = merge.args["whens"].expressions
    if sorted(bool(when.args["matched"]) for when in whens) != [False, True]:
        raise syntax_error("syntax error: MERGE needs WHEN MATCHED and WHEN NOT MATCHED, once each")
    for when in whens:
        if when.args.get("condition") or when.args.get("source"):
            raise syntax_error('syntax error at or near "and": MERGE takes no condition after WHEN')
        for assignment in when.find_all(exp.EQ) if when.args["matched"] else ():
            if isinstance(assignment.parent, exp.Update) and assignment.this.table:
                raise syntax_error(f'syntax error at or near ".": SET takes no table name: "{assignment}"')


def _repeated_keys(merge: exp.Merge) -> str:
    """Return a query for keys that the source has more than once."""
    source = merge.args["using"]
    keys = [
        side
        for equality in merge.args["on"].find_all(exp.EQ)
        for side in (equality.left, equality.right)
        if isinstance(side, exp.Column) and side.table == source.alias_or_name
    ]
    if not keys:
        raise unsupported("the stand-in sees no key of the source in the condition of a MERGE")
    names = ", ".join(_sql(key) for key in keys)
    present = " and ".join(f"{_sql(key)} is not null" for key in keys)
    return f"select 1 from {_sql(source)} where {present} group by {names} having count(*) > 1 limit 1"


# other words for the same


def _rewrite(tree: exp.Expr) -> None:
    for table in tree.find_all(exp.Table):
        if table.name.lower() in SYSTEM_TABLES and table.db in ("", "pg_catalog"):
            table.set("db", exp.to_identifier("redshift"))
    for kind in tree.find_all(exp.DataType):
        if kind.is_type("decimal") and not kind.expressions:
            kind.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(n)) for n in (18, 0)])
    functions = list(tree.find_all(exp.Extract, exp.CurrentTimestamp, exp.Anonymous))
    for function in reversed(functions):  # the inner ones first
        _rewrite_function(function)


def _rewrite_function(node: exp.Expr) -> None:
    if isinstance(node, exp.Extract):
        part = exp.Literal.string(node.this.name)
        node.replace(_shim("extracted", part, node.expression.copy()))
    elif isinstance(node, exp.CurrentTimestamp) and node.args.get("sysdate"):
        node.replace(_shim("sysdate"))
    elif isinstance(node, exp.Anonymous):
        _rewrite_call(node)


def _rewrite_call(call: exp.Anonymous) -> None:
    name = call.name.lower()
    if name in REWRITTEN:
        _REWRITERS[name](call)
        return
    if name in ("datediff", "date_diff", "dateadd", "date_part", "date_trunc"):
        part = call.expressions[0]
        if isinstance(part, exp.Column):
            part.replace(exp.Literal.string(part.name))
    if name in SHIMMED:
        place = call.parent if isinstance(call.parent, exp.Dot) else call
        place.replace(_shim("datediff" if name == "date_diff" else name, *(e.copy() for e in call.expressions)))


def _shim(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Dot(this=exp.to_identifier("redshift"), expression=exp.Anonymous(this=name, expressions=list(arguments)))


def _nvl(call: exp.Anonymous) -> None:
    call.set("this", "coalesce")


def _nvl2(call: exp.Anonymous) -> None:
    value, given, missing = (e.copy() for e in call.expressions)
    call.replace(exp.Case(ifs=[exp.If(this=exp.Is(this=value, expression=exp.Null()), true=missing)], default=given))


def _decode(call: exp.Anonymous) -> None:
    """Compare like DECODE, for which NULL equals NULL."""
    value, *rest = (e.copy() for e in call.expressions)
    default = rest.pop() if len(rest) % 2 else None
    branches = [
        exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=search), true=result)
        for search, result in zip(rest[::2], rest[1::2], strict=True)
    ]
    call.replace(exp.Case(ifs=branches, default=default))


def _median(call: exp.Anonymous) -> None:
    order = exp.Order(expressions=[exp.Ordered(this=call.expressions[0].copy())])
    half = exp.Anonymous(this="percentile_cont", expressions=[exp.Literal.number("0.5")])
    call.replace(exp.WithinGroup(this=half, expression=order))


def _listagg(call: exp.Anonymous) -> None:
    """Move the order of WITHIN GROUP, and the text of the values, into STRING_AGG."""
    outer = call.parent if isinstance(call.parent, exp.WithinGroup) else call
    arguments = call.expressions
    distinct = isinstance(arguments[0], exp.Distinct)
    values = [e.copy() for e in (arguments[0].expressions if distinct else arguments)]
    delimiter = values[1] if len(values) > 1 else arguments[1].copy() if len(arguments) > 1 else exp.Literal.string("")
    text = f"{_sql(values[0])}::text"
    order = f" {_sql(outer.expression)}" if outer is not call else ""
    if distinct and order:
        order = re.sub(rf"(?i)order by {re.escape(_sql(values[0]))}\b", f"ORDER BY {text}", order.strip()).join(
            (" ", "")
        )
    outer.replace(exp.Var(this=f"string_agg({'distinct ' if distinct else ''}{text}, {_sql(delimiter)}{order})"))


def _ratio_to_report(call: exp.Anonymous) -> None:
    window = call.parent
    assert isinstance(window, exp.Window)
    value = call.expressions[0].copy()
    call.set("this", "sum")
    double = exp.Cast(this=value, to=exp.DataType.build("double"))
    window.replace(exp.Paren(this=exp.Div(this=double, expression=window.copy(), typed=True)))


_REWRITERS: dict[str, Callable[[exp.Anonymous], None]] = {
    "decode": _decode,
    "isnull": _nvl,
    "listagg": _listagg,
    "median": _median,
    "nvl": _nvl,
    "nvl2": _nvl2,
    "ratio_to_report": _ratio_to_report,
}

"""Comparisons of text without its trailing blanks, which Redshift disregards and DuckDB does not.

https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html#r_Character_types-significance-of-trailing-blanks

The text itself keeps its blanks. What is compared goes through the macro SIGNIFICANT, and of values that are equal but
for blanks, one stands for all.
"""

from collections.abc import Callable

from sqlglot import exp

SIGNIFICANT = "significant_text"
EQUALS = "equals_text"
MACROS = f"""
create or replace temp macro {SIGNIFICANT}
    (value varchar) as case when ends_with(value, ' ') then rtrim(value, ' ') else value end,
    (value) as value;
create or replace temp macro {EQUALS}
    (value varchar, literal) as
        value = literal or (starts_with(value, literal || ' ') and rtrim(value, ' ') = literal),
    (value, literal) as value = literal"""
"""DuckDB picks the definition by the argument's type, which the translation of a statement does not know. A filter by a
literal is frequent, and has a definition of its own that is as fast as a plain comparison."""

_AS_THEY_ARE = (exp.Placeholder, exp.Parameter, exp.Null, exp.Boolean, exp.Count, exp.Extract)


def without_blanks(tree: exp.Expr) -> exp.Expr:
    """Return a statement in which comparisons disregard trailing blanks: =, <, IN, BETWEEN, CASE, NULLIF, DECODE,
    PARTITION BY, GROUP BY, DISTINCT, UNION, EXCEPT and INTERSECT.

    EXCEPT and INTERSECT do so if the first SELECT lists its columns. JOIN USING and a query's ORDER BY do not.
    """  # fmt: skip
    nodes = list(tree.walk())
    for node in reversed(nodes):  # the inner ones first
        if type(node) in _REWRITERS:
            _REWRITERS[type(node)](node)
    for node in reversed(nodes):
        if isinstance(node, exp.Select):
            _group(node)
            _distinct(node)
    for node in reversed(nodes):
        if isinstance(node, exp.SetOperation):
            tree = _combine(node, tree)
    return tree


def _significant(value: exp.Expr) -> exp.Expr:
    """Return the expression of what counts in a comparison of a value."""
    if isinstance(value, exp.Literal):
        return exp.Literal.string(value.this.rstrip(" ")) if value.is_string else value
    if isinstance(value, exp.Tuple):
        return exp.Tuple(expressions=[_significant(e) for e in value.expressions])
    if isinstance(value, exp.Min | exp.Max):
        value.set("this", _significant(value.this))
        return value
    if isinstance(value, _AS_THEY_ARE) or _is_cast_to_other(value) or _aggregates(value):
        return value
    return exp.Anonymous(this=SIGNIFICANT, expressions=[value.copy()])


def _aggregates(value: exp.Expr) -> bool:
    """Whether a value is computed from aggregates: most are numbers, and HAVING does not know the type of any."""
    return any(not isinstance(aggregate.parent, exp.Window) for aggregate in value.find_all(exp.AggFunc))


def _is_cast_to_other(value: exp.Expr) -> bool:
    return isinstance(value, exp.Cast) and not value.to.is_type(*exp.DataType.TEXT_TYPES)


def _compare(node: exp.Expr) -> None:
    is_assignment = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
    if is_assignment:
        return
    if isinstance(node, exp.EQ | exp.NEQ) and isinstance(node.this, exp.Column) and node.expression.is_string:
        literal = _significant(node.expression)
        equals = exp.Anonymous(this=EQUALS, expressions=[node.this.copy(), literal])
        node.replace(equals if isinstance(node, exp.EQ) else exp.paren(exp.Not(this=equals)))
    else:
        node.set("this", _significant(node.this))
        node.set("expression", _significant(node.expression))


def _in(node: exp.Expr) -> None:
    node.set("expressions", [_significant(e) for e in node.expressions])
    if query := node.args.get("query"):
        width = len(node.this.expressions) if isinstance(node.this, exp.Tuple) else 1
        names = [f"c{number}" for number in range(width)]
        alias = exp.TableAlias(this=exp.to_identifier("listed"), columns=[exp.to_identifier(name) for name in names])
        source = exp.Subquery(this=query.this.copy() if isinstance(query, exp.Subquery) else query.copy(), alias=alias)
        listed = exp.select(*(_significant(exp.column(name)) for name in names)).from_(source)
        node.set("query", exp.Subquery(this=listed))
    node.set("this", _significant(node.this))


def _between(node: exp.Expr) -> None:
    for part in ("this", "low", "high"):
        node.set(part, _significant(node.args[part]))


def _case(node: exp.Expr) -> None:
    if node.this:
        node.set("this", _significant(node.this))
        for branch in node.args["ifs"]:
            branch.set("this", _significant(branch.this))


def _nullif(node: exp.Expr) -> None:
    equal = exp.EQ(this=_significant(node.this), expression=_significant(node.expression))
    node.replace(exp.Case(ifs=[exp.If(this=equal, true=exp.Null())], default=node.this.copy()))


def _decode(node: exp.Expr) -> None:
    first, *others = node.expressions
    has_default = len(others) % 2
    searches = others[: len(others) - has_default : 2]
    for value in (first, *searches):
        value.replace(_significant(value))


def _window(node: exp.Expr) -> None:
    node.set("partition_by", [_significant(e) for e in node.args.get("partition_by") or ()])
    for ordered in node.args["order"].expressions if node.args.get("order") else ():
        ordered.set("this", _significant(ordered.this))


def _distinct_argument(node: exp.Expr) -> None:
    if not isinstance(node.parent, exp.Select):
        node.set("expressions", [_significant(e) for e in node.expressions])


_REWRITERS: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.EQ: _compare,
    exp.NEQ: _compare,
    exp.GT: _compare,
    exp.GTE: _compare,
    exp.LT: _compare,
    exp.LTE: _compare,
    exp.In: _in,
    exp.Between: _between,
    exp.Case: _case,
    exp.Nullif: _nullif,
    exp.DecodeCase: _decode,
    exp.Window: _window,
    exp.Distinct: _distinct_argument,
}


def _group(select: exp.Select) -> None:
    """Group by what counts in the keys. Elsewhere, the least of a group's values stands for its key."""
    group = select.args.get("group")
    if not group or any(group.args.get(kind) for kind in ("rollup", "cube", "grouping_sets", "all")):
        return
    keys = [_grouped(key, select) for key in group.expressions]
    texts = [key for key in keys if _significant(key) is not key]
    for part in ("expressions", "having", "qualify", "order"):
        value = select.args.get(part)
        for root in value if isinstance(value, list) else [value] if value else []:
            for node in [n for n in root.walk() if any(_is_same(n, key) for key in texts) and _is_free(n, select)]:
                _stand_for_group(node)
    group.set("expressions", [_significant(key) for key in keys])


def _grouped(key: exp.Expr, select: exp.Select) -> exp.Expr:
    """Return the expression that a key stands for: a place in the list, the name of an expression there, or itself."""
    if isinstance(key, exp.Literal) and key.is_int:
        expression: exp.Expr = select.expressions[int(key.this) - 1]
        return expression.unalias().copy()
    if isinstance(key, exp.Column) and not key.table:
        named: list[exp.Expr] = [e.this for e in select.expressions if isinstance(e, exp.Alias) and e.alias == key.name]
        if named and not isinstance(named[0], exp.Column):
            return named[0].copy()
    return key.copy()


def _is_same(node: exp.Expr, key: exp.Expr) -> bool:
    if isinstance(node, exp.Column) and isinstance(key, exp.Column):
        return node.name == key.name and (not node.table or not key.table or node.table == key.table)
    return node == key


def _is_free(node: exp.Expr, select: exp.Select) -> bool:
    """Whether a value is one of the group's, and not inside an aggregate, which takes those of its rows."""
    if _names_output(node, select):
        return False
    ancestor = node.parent
    while ancestor and ancestor is not select:
        in_aggregate = isinstance(ancestor, exp.AggFunc) and not isinstance(ancestor.parent, exp.Window)
        if in_aggregate or isinstance(ancestor, exp.Query):
            return False
        ancestor = ancestor.parent
    return True


def _names_output(node: exp.Expr, select: exp.Select) -> bool:
    """Whether a column in ORDER BY is one of the SELECT's own."""
    is_ordered = isinstance(node.parent, exp.Ordered) and node.parent.parent is select.args.get("order")
    return is_ordered and isinstance(node, exp.Column) and not node.table and node.name in select.named_selects


def _stand_for_group(node: exp.Expr) -> None:
    if isinstance(node.parent, exp.Anonymous) and node.parent.name == SIGNIFICANT:
        node = node.parent
    least: exp.Expr = exp.Min(this=node.copy())
    if isinstance(node.parent, exp.Select) and node.alias_or_name:
        least = exp.alias_(least, node.alias_or_name, quoted=True)
    node.replace(least)


def _distinct(select: exp.Select) -> None:
    if select.args.get("distinct"):
        values = [_all_columns() if e.is_star else _significant(e.unalias()) for e in select.expressions]
        select.set("distinct", exp.Distinct(on=exp.Tuple(expressions=values)))


def _all_columns() -> exp.Expr:
    return exp.Anonymous(this=SIGNIFICANT, expressions=[exp.Columns(this=exp.Star())])


def _combine(operation: exp.SetOperation, tree: exp.Expr) -> exp.Expr:
    """Replace a UNION, EXCEPT or INTERSECT of distinct rows, and return the statement."""
    if not operation.args.get("distinct"):
        return tree
    combined = _distinct_rows(operation)
    for part in ("order", "limit", "offset", "with_"):
        combined.set(part, operation.args.get(part))
        operation.set(part, None)
    if operation is tree:
        return combined
    operation.replace(combined)
    return tree


def _distinct_rows(operation: exp.SetOperation) -> exp.Select:
    query: exp.Query = operation.copy()
    for part in ("order", "limit", "offset", "with_"):
        query.set(part, None)
    names = operation.left.named_selects
    conditions = []
    if isinstance(operation, exp.Union):
        query.set("distinct", value=False)
    elif "*" not in names:
        conditions = [_is_listed(operation, names)]
        if isinstance(operation, exp.Intersect):  # while EXCEPT leaves few rows to look up
            query = operation.left.copy()
    rows = exp.select("*").from_(exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("mine"))))
    rows.set("distinct", exp.Distinct(on=exp.Tuple(expressions=[_all_columns()])))
    return rows.where(*conditions)


def _is_listed(operation: exp.SetOperation, names: list[str]) -> exp.Expr:
    """Return the condition that a row is among those of the second SELECT, or that it is not."""
    columns = [exp.to_identifier(f"c{number}") for number in range(len(names))]
    alias = exp.TableAlias(this=exp.to_identifier("theirs"), columns=columns)
    same = [
        exp.NullSafeEQ(
            this=_significant(exp.column(name, "mine", quoted=True)),
            expression=_significant(exp.column(f"c{number}", "theirs")),
        )
        for number, name in enumerate(names)
    ]
    theirs = exp.select("1").from_(exp.Subquery(this=operation.right.copy(), alias=alias)).where(*same)
    listed = exp.Exists(this=theirs)
    return exp.Not(this=listed) if isinstance(operation, exp.Except) else listed

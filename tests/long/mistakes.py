"""The mistakes that one may make in a file of Python or SQL, each one change of its text."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

Change = tuple[int, int, str]
"""What stands between two offsets of a text, and what it becomes."""


class Mistake(NamedTuple):
    """A change of a file's text.

    Tests that read one of its `lines` may notice it, or those that read a line with one of the names `used_as`.
    """

    path: str
    start: int
    end: int
    text: str
    lines: range
    used_as: tuple[str, ...]
    line: int
    before: str
    after: str

    def made_in(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]

    @property
    def name(self) -> str:
        """What it is known by, wherever its line moves."""
        return f"{self.path}: {self.before} → {self.after}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before} → {self.after}"


def mistakes_in(root: Path, folder: str) -> list[Mistake]:
    """Return all mistakes in the files of a folder, each once."""
    found: dict[str, Mistake] = {}
    for path in files_in(root, folder):
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(root))
        for mistake in _python(name, text) if path.suffix == ".py" else _sql(name, text):
            if mistake.made_in(text) != text:
                found.setdefault(mistake.name, mistake)
    return list(found.values())


def files_in(root: Path, folder: str) -> list[Path]:
    """Return the files in which mistakes are made."""
    return [path for path in sorted((root / folder).rglob("*.*")) if path.suffix in (".py", ".sql")]


def _mistake(path: str, text: str, change: Change, lines: range, used_as: Iterable[str] = ()) -> Mistake:
    start, end, new = change
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end) % (len(text) + 1)
    before, after = text[first:last], text[first:start] + new + text[end:last]
    shown = (" ".join(piece.split()) for piece in (before, after))
    return Mistake(path, start, end, new, lines, tuple(used_as), text.count("\n", 0, start) + 1, *shown)


# SQL, and SQL in Python's strings

_TOKEN = re.compile(r"--[^\n]*|'(?:[^'\n]|'')*'|\{\{|\}\}|\{[^{}]*\}|\w+(?:\.\w+)*|<>|<=|>=|\|\||::|[^\s\w]")
_SWAPPED = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "=", "+": "-", "and": "or", "or": "and",
    "min": "max", "max": "min", "inner": "left", "desc": "", "distinct": "", "not": "", "true": "false",
    "false": "true", "where": "where true or", "first": "last", "last": "first",
}  # fmt: skip
_CLAUSE_ENDS = {
    "group", "order", "having", "limit", "union", "except", "then", "else", "when", "end", "left", "inner", "where",
    "qualify", ";", "rows", "as", "or",
}  # fmt: skip
_LOOKS_LIKE_SQL = re.compile(
    r"\bselect\b|\bcase\s+when\b|\bwhere \w|\bset \w+ =|\border by\b|\{\{?text|\binsert into\b|\(\{"
)


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    depth: int


def _tokens(text: str) -> list[_Token]:
    tokens, depth = [], 0
    for match in _TOKEN.finditer(text):
        depth -= match[0] == ")"
        if not match[0].startswith("--"):
            tokens.append(_Token(match[0].lower(), *match.span(), depth))
        depth += match[0] == "("
    return tokens


def _sql(path: str, text: str) -> Iterator[Mistake]:
    for change in sql_changes(text):
        if path == "flows/generate/events.sql" and text[change[0] - 1] == "(" and change[2] == "''":
            continue  # the seed of a draw: another one makes other data, no worse ones
        yield _mistake(path, text, change, range(0))


def sql_changes(text: str) -> Iterator[Change]:
    """Yield what may go wrong in SQL: comparisons, conjuncts, orders, joins, aggregates, numbers, lengths, NOT NULL."""
    tokens = _tokens(text)
    for place, token in enumerate(tokens):
        before, after = ((tokens[n].text if 0 <= n < len(tokens) else "") for n in (place - 1, place + 1))
        if token.text == "and" and _closes_between(tokens, place):
            continue
        if token.text in _SWAPPED and not (token.text in ("first", "last") and before != "nulls"):
            yield token.start, token.end, _SWAPPED[token.text]
        if (token.text, after) == ("left", "join"):
            yield token.start, token.end, "inner"
        if (before, token.text) == ("union", "all"):
            yield token.start, token.end, ""
        if (token.text, after) == ("not", "null") and before != "is":
            yield token.start, tokens[place + 1].end, ""
        if (token.text, after) == ("is", "null"):
            yield token.end, token.end, " not"
        if token.text.isdigit():
            yield token.start, token.end, str(int(token.text) + 1)
            yield token.start, token.end, str(max(int(token.text) - 1, 0))
        if token.text.startswith("'") and len(token.text) > 2:
            yield token.start, token.end, "''"
        if token.text == "and":
            yield from _without_conjunct(tokens, place)
        if token.text == "by" and before in ("order", "partition"):
            yield from _other_lists(tokens, place, ordered=before == "order")


def _without_conjunct(tokens: list[_Token], place: int) -> Iterator[Change]:
    """Yield the drop of what follows an AND, and of what precedes the first one."""
    depth, begin, end = tokens[place].depth, place - 1, place + 1
    while end < len(tokens) and not _ends(tokens[end], depth, {"and"}):
        end += 1
    while begin >= 0 and tokens[begin].depth >= depth and tokens[begin].text not in ("and", "where", "on", "when"):
        begin -= 1
    yield tokens[place].start, tokens[end - 1].end, ""
    if begin >= 0 and tokens[begin].text in ("where", "on", "when"):
        yield tokens[begin + 1].start, tokens[place + 1].start, ""


def _closes_between(tokens: list[_Token], place: int) -> bool:
    before = (token.text for token in reversed(tokens[:place]) if token.depth == tokens[place].depth)
    return next((word for word in before if word in ("between", "and", "or", "where", "on", "when")), "") == "between"


def _ends(token: _Token, depth: int, more: set[str]) -> bool:
    return token.depth < depth or (token.depth == depth and token.text in _CLAUSE_ENDS | more)


def _other_lists(tokens: list[_Token], place: int, *, ordered: bool) -> Iterator[Change]:
    """Yield the drop of each column of an ORDER BY or PARTITION BY, and the other direction."""
    items: list[list[_Token]] = []
    current: list[_Token] = []
    for token in tokens[place + 1 :]:
        if _ends(token, tokens[place].depth, {'"'}):
            break
        if token.text == "," and token.depth == tokens[place].depth:
            items.append(current)
            current = []
        else:
            current.append(token)
    items = [item for item in [*items, current] if item]
    for number, item in enumerate(items):
        if len(items) > 1:
            start, end = (item[0].start, items[1][0].start) if not number else (items[number - 1][-1].end, item[-1].end)
            yield start, end, ""
        if ordered and "desc" not in [token.text for token in item]:
            end = next((token.start - 1 for token in item if token.text == "nulls"), item[-1].end)
            yield end, end, " desc"


# Python

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"), ast.And: ("and", "or"), ast.Or: ("or", "and"), ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"), ast.Mult: (r"\*", "//"), ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "//"), ast.Div: ("/", "*"),
    ast.LShift: ("<<", ">>"),
}  # fmt: skip
_FUNCTIONS = {
    "min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "startswith": "endswith",
    "endswith": "startswith", "lower": "upper", "removeprefix": "removesuffix", "search": "match", "fullmatch": "match",
}  # fmt: skip
_NO_DIFFERENCE = {"encoding", "title", "description", "label", "strict", "frozen", "validator", "help", "style"}
"""Keywords without which all is the same here, or only words and colours differ."""

_ONLY_LOOKS = {"flows/report/charts.py"}
"""Numbers and names there place and tint ink; what is drawn is held by tests that look at it."""


class _Python:
    """Yields what may go wrong in a file of Python."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def offset(self, line: int, column: int) -> int:
        start, end = self.starts[line - 1 : line + 1]
        return start + len(self.text[start:end].encode()[:column].decode())

    def start(self, node: ast.AST) -> int:
        return self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        return self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def source(self, node: ast.AST) -> str:
        return self.text[self.start(node) : self.end(node)]

    def walk(
        self, node: ast.AST, lines: range, used_as: tuple[str, ...] = (), *, inside: bool = False
    ) -> Iterator[Mistake]:
        """Yield the mistakes in a node and all that is in it, but for words that only people read."""
        if isinstance(node, ast.keyword) and node.arg in _NO_DIFFERENCE:
            return
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in (
            "tuple",
            "list",
            "dict",
            "Callable",
            "Literal",
        ):
            return  # a type's name
        if isinstance(node, ast.stmt):
            if _is_words(node):
                return
            body = getattr(node, "body", None)
            lines = range(node.lineno, max(node.lineno + 1, body[0].lineno if body else (node.end_lineno or 0) + 1))
        for change in self.changes(node):
            yield _mistake(self.path, self.text, change, lines, used_as)
        if isinstance(node, ast.JoinedStr | ast.Raise):
            return
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                within = inside or (name == "body" and isinstance(node, ast.FunctionDef))
                names = () if within else _names(node) or used_as
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from self.walk(child, lines, names, inside=within)

    def changes(self, node: ast.AST) -> Iterator[Change]:
        """Yield the changes of one node."""
        here = (self.start(node), self.end(node)) if hasattr(node, "lineno") else (0, 0)
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                yield from (self._swap(*pair, op) for pair, op in zip(pairwise(sides), node.ops, strict=True))
            case ast.BoolOp():
                yield from (self._swap(*pair, node.op) for pair in pairwise(node.values))
                word = f" {_OPERATORS[type(node.op)][0]} "
                for left_out in node.values:
                    yield *here, word.join(f"({self.source(v)})" for v in node.values if v is not left_out)
            case ast.BinOp() if type(node.op) in _OPERATORS and not (_is_text(node.left) or _is_text(node.right)):
                yield self._swap(node.left, node.right, node.op)
            case ast.AugAssign() if type(node.op) in _OPERATORS:
                yield self._swap(node.target, node.value, node.op)
            case ast.UnaryOp(op=ast.Not()):
                yield *here, f"({self.source(node.operand)})"
            case ast.If() | ast.While() | ast.IfExp():
                yield from ((self.start(node.test), self.end(node.test), word) for word in ("True", "False"))
            case ast.comprehension():
                yield from ((self.start(test), self.end(test), "True") for test in node.ifs)
            case ast.Return() if node.value and self.source(node.value) != "None":
                yield *here, "return None"
            case ast.Raise() | ast.Break() | ast.Expr(value=ast.Call()):
                yield *here, "pass"
            case ast.Continue():
                yield *here, "break"
            case ast.ExceptHandler():
                yield self.start(node.body[0]), self.end(node.body[-1]), "pass"
            case ast.Constant() | ast.JoinedStr():
                yield from self._other_constants(node)
            case ast.Dict() if len(node.keys) > 1:
                pairs = zip(node.keys, node.values, strict=True)
                places = [(self.start(key) if key else self.start(value) - 2, self.end(value)) for key, value in pairs]
                yield from self._without_one(places)
            case ast.List(ctx=ast.Load()) | ast.Tuple(ctx=ast.Load()) | ast.Set() if len(node.elts) > 1:
                yield from self._without_one([(self.start(each), self.end(each)) for each in node.elts])
            case ast.Call():
                yield from self._other_calls(node)

    def _swap(self, left: ast.AST, right: ast.AST, operator: ast.AST) -> Change:
        start, end = self.end(left), self.start(right)
        old, new = _OPERATORS[type(operator)]
        return start, end, re.sub(rf"(?<!\w){old}", new, self.text[start:end], count=1)

    def _other_constants(self, node: ast.Constant | ast.JoinedStr) -> Iterator[Change]:
        start, end, source = self.start(node), self.end(node), self.source(node)
        value = node.value if isinstance(node, ast.Constant) else source
        if isinstance(value, bool):
            yield start, end, str(not value)
        elif isinstance(value, str) and _LOOKS_LIKE_SQL.search(value):
            yield from ((start + first, start + last, new) for first, last, new in sql_changes(source))
        elif self.path in _ONLY_LOOKS:
            return
        elif isinstance(value, int | float):
            yield from ((start, end, str(number)) for number in (value + 1, value - 1))
        elif isinstance(node, ast.Constant) and isinstance(value, str) and value and " " not in value:
            yield start, end, '""'

    def _other_calls(self, node: ast.Call) -> Iterator[Change]:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in _FUNCTIONS:
            yield self.end(node.func) - len(name), self.end(node.func), _FUNCTIONS[name]
        given = sorted([*node.args, *node.keywords], key=self.start)
        dropped = self._without_one([(self.start(each), self.end(each)) for each in given])
        for each, change in zip(given, dropped, strict=True):
            if isinstance(each, ast.keyword) and each.arg not in _NO_DIFFERENCE:
                yield change

    @staticmethod
    def _without_one(places: list[tuple[int, int]]) -> Iterator[Change]:
        """Yield a comma-separated list without each of its items."""
        for number, (start, end) in enumerate(places):
            if number:
                yield places[number - 1][1], end, ""
            else:
                yield start, places[1][0] if len(places) > 1 else end, ""


def _python(path: str, text: str) -> Iterator[Mistake]:
    yield from _Python(path, text).walk(ast.parse(text), range(0))


def _is_words(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, an import, or what only a type checker or a script's start runs."""
    words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    guarded = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
    return words or guarded or isinstance(node, ast.Import | ast.ImportFrom | ast.Assert)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _names(node: ast.AST) -> tuple[str, ...]:
    """Return the names that a statement outside of functions gives."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign():
            return tuple(each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            return (name,)
    return ()

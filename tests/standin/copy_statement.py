"""Parses COPY by a small grammar of its own, for the options that go with FORMAT JSON."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.standin.errors import ServerError, syntax_error, unsupported
from tests.standin.s3 import DEFAULT_ROLE, Keys

MAX_ERRORS = 100_000
_TOKEN = re.compile(
    r"""\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*
    (?: (?P<string>'(?:[^'\\]|''|\\.)*') | (?P<quoted>"(?:[^"]|"")+")
    | (?P<number>\d+) | (?P<word>\w+) | (?P<sign>[(),.;=]) )""",
    re.VERBOSE | re.DOTALL,
)
_OTHER_FORMATS = ("csv", "parquet", "orc", "avro", "delimiter", "fixedwidth", "shapefile")
_NOT_WITH_JSON = ("escape", "fillrecord", "ignoreblanklines", "null", "removequotes", "quote", "ignoreheader")
_UNSUPPORTED = ("zstd", "lzop", "encrypted", "master_symmetric_key", "explicit_ids", "readratio", "ssh", "encoding")


@dataclass
class CopyStatement:
    """A parsed COPY. `json` is 'auto', 'auto ignorecase' or the URL of a JSONPaths file."""

    table: str
    source: str
    columns: list[str] | None = None
    credentials: list[Keys | str] = field(default_factory=list)
    json: str | None = None
    region: str | None = None
    max_errors: int = 0
    time_format: str | None = None
    date_format: str | None = None
    compression: str | None = None
    flags: set[str] = field(default_factory=set)
    invalid_characters: str | None = None


@dataclass
class _KeyParts:
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str | None = None


class _Parser:
    def __init__(self, sql: str) -> None:
        self.tokens = list(_tokens(sql))
        self.keys = _KeyParts()
        self.seen: set[str] = set()

    def parse(self) -> CopyStatement:
        self.expect("copy")
        table = self.name()
        while self.accept("."):
            table += "." + self.name()
        columns = self.columns() if self.accept("(") else None
        self.expect("from")
        statement = CopyStatement(table, self.string(), columns)
        while self.tokens:
            self.option(statement)
        if self.keys != _KeyParts():
            statement.credentials.append(Keys(**vars(self.keys)))
        return statement

    def columns(self) -> list[str]:
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        self.expect(")")
        return names

    def option(self, statement: CopyStatement) -> None:
        kind, text = self.next()
        word = text.lower()
        if word == "with":
            self.expect("credentials")
            word = "credentials"
        once = "json" if word == "format" else word
        if kind != "word" or once in self.seen:
            raise syntax_error(f'syntax error at or near "{text}"')
        self.seen.add(once)
        if word in _OTHER_FORMATS or word in _UNSUPPORTED:
            raise unsupported(f"COPY option {text.upper()} is not in the stand-in")
        if word in _NOT_WITH_JSON:
            raise syntax_error(f"COPY option {text.upper()} is not allowed with JSON")
        if word not in _OPTIONS:
            raise syntax_error(f'syntax error at or near "{text}"')
        _OPTIONS[word](self, statement)

    # tokens

    def next(self) -> tuple[str, str]:
        if not self.tokens:
            raise syntax_error("syntax error at end of input")
        return self.tokens.pop(0)

    def accept(self, *words: str) -> str | None:
        if self.tokens and self.tokens[0][0] != "string" and self.tokens[0][1].lower() in words:
            return self.tokens.pop(0)[1].lower()
        return None

    def expect(self, word: str) -> None:
        kind, text = self.next()
        if kind == "string" or text.lower() != word:
            raise syntax_error(f'syntax error at or near "{text}"')

    def name(self) -> str:
        kind, text = self.next()
        if kind == "quoted":
            return text.lower()  # folds as well
        if kind != "word":
            raise syntax_error(f'syntax error at or near "{text}"')
        return f'"{text.lower()}"'

    def string(self) -> str:
        self.accept("as")
        kind, text = self.next()
        if kind != "string":
            raise syntax_error(f'syntax error at or near "{text}"')
        return re.sub(r"''|\\(.)", lambda m: m[1] or "'", text[1:-1])

    def number(self) -> int:
        self.accept("as")
        kind, text = self.next()
        if kind != "number":
            raise syntax_error(f'syntax error at or near "{text}"')
        return int(text)


def parse_copy(sql: str) -> CopyStatement:
    """Parse a COPY.

    Raises:
        ServerError: it is not one that Redshift takes, or not one of the stand-in.
    """
    statement = _Parser(sql).parse()
    if statement.json is None:
        raise unsupported("COPY is in the stand-in for FORMAT JSON only")
    if len(statement.credentials) != 1:
        raise syntax_error("COPY needs credentials of exactly one kind")
    return statement


def _tokens(sql: str) -> list[tuple[str, str]]:
    tokens, place, end = [], 0, len(sql.rstrip().rstrip(";").rstrip())
    while place < end:
        match = _TOKEN.match(sql, place, end)
        if not match or not match.lastgroup:
            raise syntax_error(f'syntax error at or near "{sql[place:].strip()[:10]}"')
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


def _format(parser: _Parser, statement: CopyStatement) -> None:
    parser.accept("as")
    _, text = parser.next()
    if text.lower() != "json":
        raise unsupported(f"COPY format {text.upper()} is not in the stand-in")
    _json(parser, statement)


def _json(parser: _Parser, statement: CopyStatement) -> None:
    statement.json = parser.string()
    if not (statement.json in ("auto", "auto ignorecase") or statement.json.startswith("s3://")):
        raise unsupported(f"COPY JSON '{statement.json}' is not in the stand-in")


def _iam_role(parser: _Parser, statement: CopyStatement) -> None:
    statement.credentials.append(DEFAULT_ROLE if parser.accept("default") else parser.string())


def _key_part(name: str) -> Callable[[_Parser, CopyStatement], None]:
    return lambda parser, statement: setattr(parser.keys, name, parser.string())


def _credentials(parser: _Parser, statement: CopyStatement) -> None:
    text = parser.string()
    pairs = dict(pair.partition("=")[::2] for pair in text.split(";"))
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "token": "session_token",
    }
    if set(pairs) == {"aws_iam_role"}:
        statement.credentials.append(pairs["aws_iam_role"])
    elif set(pairs) <= set(names) and {"aws_access_key_id", "aws_secret_access_key"} <= set(pairs):
        statement.credentials.append(Keys(**{names[name]: value for name, value in pairs.items()}))
    else:
        raise ServerError("XX000", "Invalid credentials. Must be of the format: credentials 'aws_iam_role=...' or "
                          "'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'")  # fmt: skip


def _region(parser: _Parser, statement: CopyStatement) -> None:
    statement.region = parser.string()


def _max_error(parser: _Parser, statement: CopyStatement) -> None:
    statement.max_errors = parser.number()
    if statement.max_errors > MAX_ERRORS:
        raise syntax_error(f"MAXERROR must be between 0 and {MAX_ERRORS}")


def _time_format(parser: _Parser, statement: CopyStatement) -> None:
    statement.time_format = parser.string()


def _date_format(parser: _Parser, statement: CopyStatement) -> None:
    statement.date_format = parser.string()


def _compression(name: str) -> Callable[[_Parser, CopyStatement], None]:
    def set_compression(parser: _Parser, statement: CopyStatement) -> None:
        if statement.compression:
            raise syntax_error(f'syntax error at or near "{name}"')
        statement.compression = name

    return set_compression


def _flag(name: str) -> Callable[[_Parser, CopyStatement], None]:
    return lambda parser, statement: statement.flags.add(name)


def _switch(*states: str) -> Callable[[_Parser, CopyStatement], None]:
    def read(parser: _Parser, statement: CopyStatement) -> None:
        if parser.tokens and parser.tokens[0][1].lower() not in _OPTIONS and not parser.accept(*states):
            raise syntax_error(f'syntax error at or near "{parser.tokens[0][1]}"')

    return read


def _accept_invalid_characters(parser: _Parser, statement: CopyStatement) -> None:
    given = parser.accept("as") or (parser.tokens and parser.tokens[0][0] == "string")
    statement.invalid_characters = parser.string() if given else "?"


_OPTIONS: dict[str, Callable[[_Parser, CopyStatement], None]] = {
    "format": _format,
    "json": _json,
    "iam_role": _iam_role,
    "access_key_id": _key_part("access_key_id"),
    "secret_access_key": _key_part("secret_access_key"),
    "session_token": _key_part("session_token"),
    "credentials": _credentials,
    "region": _region,
    "maxerror": _max_error,
    "timeformat": _time_format,
    "dateformat": _date_format,
    "gzip": _compression("gzip"),
    "bzip2": _compression("bzip2"),
    "acceptinvchars": _accept_invalid_characters,
    "compupdate": _switch("on", "off", "true", "false", "preset"),
    "statupdate": _switch("on", "off", "true", "false"),
    **{
        name: _flag(name)
        for name in ("manifest", "emptyasnull", "blanksasnull", "truncatecolumns", "roundec", "noload")
    },
}

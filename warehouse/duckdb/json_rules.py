"""Redshift's rules for COPY ... FORMAT JSON, as DuckDB expressions.

A record is first read the fast way, by DuckDB's JSON parser, which is more lenient than Redshift and
rewrites numbers. Where that could matter the record is *in doubt*, and is examined: its values are cut out
of its text as they were written, and each rule is applied.

Sources of the rules and the error codes:
https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-json.html
https://docs.aws.amazon.com/redshift/latest/dg/r_Load_Error_Reference.html
"""

import json
import re
from dataclasses import dataclass

from warehouse.duckdb.files import MARK
from warehouse.errors import CopyError
from warehouse.jsonpaths import Steps
from warehouse.tables import Column

ASSUMPTIONS = {
    "byte order mark": "A file's first record that follows a byte order mark is rejected.",
    "NUL": "A string for a VARCHAR column that holds the character NUL is rejected.",
    "invalid UTF-8": "A record with invalid UTF-8 is rejected even if it lies in a key that no column takes.",
    "NaN": "NaN and Infinity are not JSON: the record is rejected; as text they are no numbers.",
    "trailing comma": "A comma before a closing bracket is not JSON: the record is rejected.",
    "root array": "An array at the root is one rejected record, whatever it holds.",
    "adjacent objects": "Objects at the root need no white space between them.",
    "junk after an object": "What follows an object and is no object is a rejected record, up to the line's end.",
    "unclosed object": "An object that is never closed, or has a string that its line does not close, is a rejected "
    "record up to its line's end, and so is each line after it that begins no object.",
    "white space": "Form feed and vertical tab are white space between records, as in C.",
    "line of its own": "A line that begins with an object, where no value before it goes on, begins a record.",
    "duplicate keys": "A record that has a key on a column's path twice is rejected.",
    "lone surrogate": "A \\u escape that is half of a pair is rejected with its record.",
    "uncertain text": "A number or nested value for a VARCHAR is rejected where its text cannot be cut out: "
    "after or in a value nested over 16 deep, or under a key written with escapes.",
    "number text": "A number given as text loads if it is written as JSON would write it, leading zeros aside.",
    "exponent": "1e3 loads into DECIMAL and DOUBLE PRECISION, and is rejected for integers, as 1.0 is.",
    "boolean": "Only true and false, as JSON values or text, are booleans.",
    "epoch": "A negative epoch, or one that is no whole number, is rejected.",
    "not null": "A missing or null value for a NOT NULL column rejects its record, not the whole load.",
    "large record": "A record over 4 MB is rejected; one over 32 MB fails the load, as nothing can hold it.",
}
"""Readings that the documentation leaves open; each loses nothing, and has its test."""

STRING = r'"(?:[^"\\\n]|\\.)*"'
_NEST = rf'(?:[^"{{}}\[\]]|{STRING})'
for _ in range(16):
    _NEST = rf'(?:[^"{{}}\[\]]|{STRING}|[{{\[]{_NEST}*[}}\]])'
NESTED = rf"[{{\[]{_NEST}*[}}\]]"
_VALUE = rf'(?:{STRING}|[^\s",\[\]{{}}]+|{NESTED})'
_INTEGER = r"-?[0-9]+"
_NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"

MAX_RECORD_BYTES = 4 << 20


def quote(text: str) -> str:
    """Return a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Rule:
    """How text becomes a column's value: the expression, when the fast reading of it is in doubt, and what
    is wrong with text that is examined (pairs of condition, code and message). `{text}` is the text."""

    value: str
    doubt: str
    wrong: tuple[tuple[str, int, str], ...]
    exact: str | None = None
    empty_is_null: bool = True


def rule_for(column: Column, time_format: str | None) -> Rule:
    """Return the rule of a column's type.

    Raises:
        CopyError: the type, or the time format for it, is not one that is loaded here.
    """
    kind, _, arguments = column.type.partition("(")
    sizes = [int(n) for n in arguments.rstrip(")").split(",") if n]
    if kind == "varchar":
        return _varchar(sizes[0])
    if kind in ("smallint", "integer", "bigint"):
        return _integer(kind)
    if kind in ("decimal", "numeric"):
        return _decimal(*(sizes or [18]))
    if kind in ("real", "double precision"):
        return _float(kind)
    if kind == "boolean":
        return _boolean()
    if kind == "timestamp" and time_format in _EPOCHS:
        return _epoch(time_format)
    formats = f" with time format {time_format}" if kind == "timestamp" else ""
    raise CopyError(f"column {column.name}: {column.type}{formats} is not loaded by the embedded warehouse")


def _varchar(size: int) -> Rule:
    number_like = r"""(ord({text}) between 43 and 57 or ord({text}) in (73, 78, 91, 123))
        and regexp_matches({text}, '^([-+]?[0-9.]+([eE][-+]?[0-9]+)?$|[{{\[]|-?Inf|NaN)')"""
    return Rule(
        value="{text}",
        doubt=f"(strlen({{text}}) > {size} or case when {number_like} then true else false end)",
        wrong=(
            (f"strlen({{text}}) > {size}", 1204, "String length exceeds DDL length"),
            ("contains({text}, chr(0))", 1220, "String holds the character NUL"),
        ),
        empty_is_null=False,
    )


def _integer(kind: str) -> Rule:
    return Rule(
        value=f"try_cast({{text}} as {kind})",
        doubt=f"coalesce(try_cast({{text}} as {kind})::varchar <> {{text}}, {{text}} <> '')",
        wrong=(
            (f"not regexp_full_match({{text}}, '{_INTEGER}')", 1207, "Invalid digit"),
            (f"try_cast({{text}} as {kind}) is null", 1222, f"Overflow for {kind}"),
        ),
    )


def _decimal(precision: int, scale: int = 0) -> Rule:
    kind = f"decimal({precision}, {scale})"
    plain = rf"-?[0-9]{{1,{precision - scale}}}" + (rf"(\.[0-9]{{1,{scale}}})?" if scale else "")
    plain = plain.replace("{", "{{").replace("}", "}}")
    exact = f"try_cast({_truncated('{text}', scale)} as {kind})"
    return Rule(
        value=f"try_cast({{text}} as {kind})",
        doubt=f"({{text}} <> '' and (strlen({{text}}) > 16 or not regexp_full_match({{text}}, '{plain}')))",
        wrong=(
            (f"not regexp_full_match({{text}}, '{_NUMBER}')", 1209, "Invalid number for decimal"),
            (f"{exact} is null", 1204, f"Overflow for decimal({precision},{scale})"),
        ),
        exact=exact,
    )


def _truncated(number: str, scale: int) -> str:
    """Return an expression for a number's text without exponent, cut to a scale: NULL if it is 1e100 away from 1."""
    exponent = f"try_cast(coalesce(nullif(regexp_extract({number}, '[eE][+]?(.+)$', 1), ''), '0') as integer)"
    whole = f"regexp_extract({number}, '^-?([0-9]+)', 1)"
    digits = f"repeat('0', 99) || {whole} || regexp_extract({number}, '[.]([0-9]+)', 1) || repeat('0', 99)"
    point = f"99 + strlen({whole}) + {exponent}"
    return f"""case when {number} <> '' and abs({exponent}) < 100 then
        case when starts_with({number}, '-') then '-0' else '0' end || ltrim(left({digits}, {point}), '0')
        || '.' || substr({digits}, {point} + 1, {scale}) || '0' end"""


def _float(kind: str) -> Rule:
    return Rule(
        value=f"try_cast({{text}} as {kind})",
        doubt=f"({{text}} <> '' and not regexp_full_match({{text}}, '{_NUMBER}'))",
        wrong=(
            (f"not regexp_full_match({{text}}, '{_NUMBER}')", 1208, f"Invalid number for {kind}"),
            (f"not coalesce(isfinite(try_cast({{text}} as {kind})), false)", 1204, f"Overflow for {kind}"),
        ),
    )


def _boolean() -> Rule:
    unknown = "{text} not in ('true', 'false')"
    return Rule(
        value="try_cast({text} as boolean)",
        doubt=f"({{text}} <> '' and {unknown})",
        wrong=((unknown, 1210, "Invalid boolean"),),
    )


_EPOCHS = {"epochmillisecs": 1, "epochsecs": 1000}
_LATEST_EPOCH_MS = 9_223_372_036_854_775  # the last millisecond that DuckDB's timestamps hold


def _epoch(time_format: str) -> Rule:
    unit = _EPOCHS[time_format]
    number = "try_cast({text} as bigint)"
    in_range = f"{number} <= {_LATEST_EPOCH_MS // unit}"
    return Rule(
        value=f"epoch_ms(case when {in_range} then {number} * {unit} end)",
        doubt="({text} <> '' and not regexp_full_match({text}, '[0-9]{{1,13}}'))",
        wrong=(
            ("not regexp_full_match({text}, '[0-9]+')", 1206, f"Invalid {time_format}"),
            (f"not coalesce({in_range}, false)", 1206, f"{time_format} out of range"),
        ),
    )


def pointer(steps: Steps) -> str:
    """Return a DuckDB literal of the JSON pointer (RFC 6901) for a path."""
    return quote("".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps))


def reached(record: str, steps: Steps, value: str) -> str:
    """Return an expression for a value that a path leads to: NULL where an index meets an object, or a key an array.

    JSON pointers write indexes and keys alike.
    """
    meets = [
        f"json_type({record}, {pointer(steps[:place])}) = '{'ARRAY' if isinstance(step, int) else 'OBJECT'}'"
        for place, step in enumerate(steps)
        if place and str(step).isdigit()
    ]
    return f"case when {' and '.join(meets)} then {value} end" if meets else value


def text_as_written(record: str, steps: Steps) -> str:
    """Return an expression for the text of a value that is no string, as it stands in the record; '' if it
    cannot be cut out (nested over 16 deep, or a key spelled with escapes)."""
    for step in steps:
        if isinstance(step, int):
            before = rf"^\s*\[(?:\s*{_VALUE}\s*,){{{step}}}\s*"
        else:
            key = re.escape(json.dumps(step, ensure_ascii=False))
            before = rf"^\s*\{{(?:\s*{STRING}\s*:\s*{_VALUE}\s*,)*?\s*{key}\s*:\s*"
        record = f"regexp_extract({record}, {quote(f'{before}({_VALUE})')}, 1)"
    return record


def examined_text(record: str, steps: Steps, kind: str, text: str) -> str:
    """Return an expression for the exact text of a record's value: NULL for null or none, '' where uncertain.

    `kind` and `text` are what DuckDB's json_type and json_extract_string say of the value.
    """
    exact = f"""case
        when {kind} is null or {kind} = 'NULL' then null
        when {kind} in ('DOUBLE', 'OBJECT', 'ARRAY') or ({kind} <> 'VARCHAR' and {text} = '0')
            then {text_as_written(record, steps)}
        else {text}
    end"""
    return reached(record, steps, exact)


def problem(column: Column, rule: Rule, text: str, kind: str) -> str:
    """Return an expression for what is wrong with a column's examined text, or NULL."""
    lost = f"{text} = '' and {kind} not in ('VARCHAR', 'NULL')"
    missing = f"{text} is null" + (f" or {text} = ''" if rule.empty_is_null else "")
    conditions = [(lost, 1224, "Value nested too deep, or its key written with escapes")]
    if not column.nullable:
        conditions.append((missing, 1213, "Missing data for not-null field"))
    conditions.append((missing, 0, ""))
    conditions += [(condition.format(text=text), code, message) for condition, code, message in rule.wrong]
    cases = "\n".join(f"when {c} then {_reject(code, message, column.name, text)}" for c, code, message in conditions)
    return f"case {cases} end"


def repeats(record: str, container: Steps) -> str:
    """Return an expression for whether an object in a record has a key twice."""
    keys = f"json_keys({record}, {pointer(container)})" if container else f"json_keys({record})"
    return f"coalesce(list_unique({keys}) < len({keys}), false)"


def record_problem(record: str, keys: list[str], containers: list[Steps]) -> str:
    """Return an expression for what is wrong with a record as a whole, or NULL.

    `keys` are those of the root that columns take, `containers` the values inside that paths go through.
    """
    names = ", ".join(quote(key) for key in keys)
    column_keys = f"list_filter(json_keys({record}), lambda key: list_contains([{names}], key))"
    blanked = f"regexp_replace({record}, {quote(STRING)}, '\"\"', 'g')"
    conditions = [
        (f"strlen({record}) > {MAX_RECORD_BYTES}", 1224, "Record over 4 MB"),
        (f"contains({record}, {quote(MARK)})", 1220, "Record holds bytes that are not UTF-8"),
        (f"starts_with({record}, chr(65279))", 1224, "File begins with a byte order mark"),
        (f"starts_with({record}, '[')", 1224, "An array at the root, where an object belongs"),
        (f"not json_valid({record})", 1224, "Not a JSON object"),
        (f"json_type({record}) <> 'OBJECT'", 1224, "Not a JSON object"),
        (
            rf"regexp_matches({blanked}, '(?i),\s*[}}\]]|nan|inf')",
            1224,
            "Not JSON: a trailing comma, NaN or Infinity",
        ),
        (f"list_unique({column_keys}) < len({column_keys})", 1224, "Key given twice"),
        *((repeats(record, container), 1224, "Key given twice") for container in containers),
    ]
    cases = "\n".join(f"when {c} then {_reject(code, message)}" for c, code, message in conditions)
    return f"case {cases} end"


def _reject(code: int, message: str, column: str | None = None, value: str = "null") -> str:
    if not code:
        return "null"
    name = quote(column) if column else "null::varchar"
    return f"{{'column': {name}, 'value': {value}::varchar, 'code': {code}, 'message': {quote(message)}}}"

"""Redshift's rules for COPY ... FORMAT JSON, as DuckDB expressions.

A record is read the fast way first, by DuckDB's JSON parser, which is more lenient than Redshift and rewrites numbers.
If that could matter, the record is *in doubt* and is examined: its values are cut out of its text as they were written,
and every rule is applied. A doubt may be unfounded, which costs time only. A missing doubt would load what Redshift
rejects, so each rule's `doubt` covers all that its `wrong` and its `exact` could change.

Sources of the rules and the error codes:
https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-json.html
https://docs.aws.amazon.com/redshift/latest/dg/r_Load_Error_Reference.html
"""

import json
import re
from dataclasses import dataclass

from warehouse.duckdb.chunks import MARK, MAX_RECORD_BYTES, TOO_LARGE
from warehouse.errors import CopyError
from warehouse.jsonpaths import Steps
from warehouse.tables import Column

ASSUMPTIONS = {
    "byte order mark": "A file's first record that follows a byte order mark is rejected.",
    "NUL": "A string for a VARCHAR column that contains the character NUL is rejected.",
    "invalid UTF-8": "A record with invalid UTF-8 is rejected, even if no column takes the key that it is under.",
    "NaN": "NaN and Infinity are not JSON: the record is rejected; as text they are not numbers.",
    "trailing comma": "A comma before a closing bracket is not JSON: the record is rejected.",
    "root array": "An array at the root is one rejected record, whatever it contains, and so is an object if the "
    "JSONPaths start with an index.",
    "adjacent objects": "Objects at the root need no white space between them.",
    "junk after an object": "What follows an object and is not an object is a rejected record, up to its line's end.",
    "unclosed object": "An object that is never closed, or has a string that its line does not close, is a rejected "
    "record up to its line's end, and so is each line after it that does not start an object.",
    "white space": "Form feed and vertical tab are white space between records, as in C.",
    "line of its own": "A line that starts with an object starts a record unless it continues a value.",
    "duplicate keys": "A record that has a key of a column's path twice is rejected.",
    "a name in two cases": "With 'auto ignorecase', a record that has a column's name twice, in whatever case, is "
    "rejected.",
    "lone surrogate": "A record with a \\u escape that is half of a pair is rejected.",
    "uncertain text": "A number or nested value for a VARCHAR is rejected where its text cannot be cut out: "
    "after or in a value nested over 16 deep, or under a key written with escapes.",
    "number text": "A number given as text loads if JSON could write it so; leading zeros are allowed.",
    "exponent": "1e3 loads into DECIMAL and DOUBLE PRECISION, and is rejected for integers, as 1.0 is.",
    "boolean": "Only true and false, as JSON values or text, are booleans.",
    "epoch": "An epoch that is negative or not a whole number is rejected.",
    "not null": "A missing or null value for a NOT NULL column rejects its record, not the whole load.",
    "large record": "A record over 4 MB is rejected, however large it is.",
}
"""How points are read that the documentation leaves open. No reading loses data silently, and each has its test."""

STRING = r'"(?:[^"\\\n]|\\.)*"'

# DuckDB's regular expressions (RE2) have no recursion, so nesting is unrolled. _NEST matches one piece of the inside of
# an object or array: first any character but quotes and brackets, or a whole string; then each pass allows, as one more
# piece, brackets around pieces of the pass before. Brackets inside strings do not count, since a string is one piece.
# That an opening bracket is closed by one of its kind is left to json_valid.
_NEST = rf'(?:[^"{{}}\[\]]|{STRING})'
for _ in range(16):
    _NEST = rf'(?:[^"{{}}\[\]]|{STRING}|[{{\[]{_NEST}*[}}\]])'
NESTED = rf"[{{\[]{_NEST}*[}}\]]"
_VALUE = rf'(?:{STRING}|[^\s",\[\]{{}}]+|{NESTED})'
_INTEGER = r"-?[0-9]+"
_NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"


@dataclass(frozen=True)
class Root:
    """What a record is: how it begins, its type in Python and in DuckDB, and what to say of one that is not."""

    bracket: str
    kind: type
    name: str
    other: str
    unlike: str
    unlike_message: str


OBJECTS = Root("{", dict, "OBJECT", "Not a JSON object", "[", "An array at the root, where an object belongs")
ARRAYS = Root("[", list, "ARRAY", "Not a JSON array", "{", "An object at the root, where an array belongs")


def quote(text: str) -> str:
    """Return a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Rule:
    """How text becomes a column's value, as expressions in which `{text}` stands for the text.

    `value` is the value by the fast reading, and `doubt` says when that reading may be wrong. `wrong` lists what can be
    wrong with examined text (condition, error code, message), and `exact` is the value of examined text, if it differs
    from `value`.
    """

    value: str
    doubt: str
    wrong: tuple[tuple[str, int, str], ...]
    exact: str | None = None
    empty_is_null: bool = True


def rule_for(column: Column, time_format: str | None) -> Rule:
    """Return the rule of a column's type.

    Raises:
        CopyError: DuckDB does not load this type, or not with this time format.
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
    formats = f" with the time format {time_format or 'auto'}" if kind == "timestamp" else ""
    raise CopyError(
        f"column {column.name}: {column.type}{formats} cannot be loaded into DuckDB. Use another type, or for a "
        "timestamp the time format epochsecs or epochmillisecs"
    )


def _varchar(size: int) -> Rule:
    # DuckDB may have rewritten what is not a string in the record: numbers, objects, arrays. The text does not say
    # which it was, so all text that looks like one is in doubt. The first character is tested first, as it is cheap:
    # + , - . / and digits are 43 to 57, I is 73, N is 78, [ is 91 and { is 123.
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
    fitting = rf"-?[0-9]{{1,{precision - scale}}}" + (rf"(\.[0-9]{{1,{scale}}})?" if scale else "")
    fitting = fitting.replace("{", "{{").replace("}", "}}")
    exact = f"try_cast({_truncated('{text}', scale)} as {kind})"
    return Rule(
        value=f"try_cast({{text}} as {kind})",
        doubt=f"({{text}} <> '' and (strlen({{text}}) > 16 or not regexp_full_match({{text}}, '{fitting}')))",
        wrong=(
            (f"not regexp_full_match({{text}}, '{_NUMBER}')", 1209, "Invalid number for decimal"),
            (f"{exact} is null", 1204, f"Overflow for decimal({precision},{scale})"),
        ),
        exact=exact,
    )


def _truncated(number: str, scale: int) -> str:
    """Return an expression for a number's text without exponent, truncated to a scale; NULL if the exponent exceeds 99.

    COPY truncates surplus decimals, while DuckDB's cast rounds, so the decimal point is moved in the text.
    """
    # All digits in a row, with 99 zeros on either side, so that the point can move by up to 99 places in both
    # directions. `point` is the number of digits before the point after the exponent has moved it. The '0' in front
    # stands for an empty whole part, and the '0' behind for an empty fraction where the scale is 0.
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
_LATEST_EPOCH_MS = 9_223_372_036_854_775  # the last millisecond that a DuckDB timestamp can hold


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
    """Return an expression for the value at a path: NULL if an index meets an object, or a key an array.

    The types have to be tested because JSON pointers write indexes and numeric keys alike.
    """
    meets = [
        f"json_type({record}, {pointer(steps[:place])}) = '{'ARRAY' if isinstance(step, int) else 'OBJECT'}'"
        for place, step in enumerate(steps)
        if place and str(step).isdigit()
    ]
    return f"case when {' and '.join(meets)} then {value} end" if meets else value


def text_as_written(record: str, steps: Steps, *, ignore_case: bool = False) -> str:
    """Return an expression for the text of a value other than a string, as written in the record.

    The text is '' if it cannot be cut out: after or in a value nested over 16 deep, or under a key with escapes.
    """
    # Each step cuts its value out of the result of the step before. For a key, one expression skips the members before
    # it. For an index, the values are listed as far as they follow each other from the array's start: RE2 has no
    # expression that skips a large number of them.
    for step in steps:
        if isinstance(step, int):
            item = rf"[\[,]\s*({_VALUE})\s*"
            items = rf"^\s*(?:{item})+"
            values = f"regexp_extract_all(regexp_extract({record}, {quote(items)}), {quote(item)}, 1)"
            record = f"coalesce({values}[{step + 1}], '')"
        else:
            key = ("(?i)" if ignore_case else "") + re.escape(json.dumps(step, ensure_ascii=False))
            before = rf"^\s*\{{(?:\s*{STRING}\s*:\s*{_VALUE}\s*,)*?\s*(?:{key})\s*:\s*"
            record = f"regexp_extract({record}, {quote(f'{before}({_VALUE})')}, 1)"
    return record


def examined_text(record: str, steps: Steps, kind: str, text: str, *, ignore_case: bool = False) -> str:
    """Return an expression for the exact text of a record's value: NULL for null or no value, '' if uncertain.

    `kind` and `text` are the results of DuckDB's json_type and json_extract_string for the value.
    """
    # Only fractions, objects and arrays change on their way through DuckDB, and of the integers only -0: it becomes 0.
    exact = f"""case
        when {kind} is null or {kind} = 'NULL' then null
        when {kind} in ('DOUBLE', 'OBJECT', 'ARRAY') or ({kind} <> 'VARCHAR' and {text} = '0')
            then {text_as_written(record, steps, ignore_case=ignore_case)}
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
    """Return an expression for whether an object in a record has a duplicate key."""
    keys = f"json_keys({record}, {pointer(container)})" if container else f"json_keys({record})"
    return f"coalesce(list_unique({keys}) < len({keys}), false)"


def keys_of(record: str, *, ignore_case: bool) -> str:
    """Return an expression for the keys of a record, in lower case if their case is ignored."""
    return f"list_transform(json_keys({record}), lambda key: lower(key))" if ignore_case else f"json_keys({record})"


def repeats_any(record: str, names: list[str], *, ignore_case: bool) -> str:
    """Return an expression for whether a record has one of the keys twice."""
    listed = ", ".join(quote(name) for name in names)
    keys = f"list_filter({keys_of(record, ignore_case=ignore_case)}, lambda key: list_contains([{listed}], key))"
    return f"list_unique({keys}) < len({keys})"


POINTER_OF_KEY = "'/' || replace(replace(key, '~', '~0'), '/', '~1')"
"""The JSON pointer of a record's member, as an expression of its key."""


def pointer_in_any_case(record: str, name: str) -> str:
    """Return an expression for the JSON pointer of a record's member with a name in any case; NULL if it has none."""
    keys = f"list_filter(json_keys({record}), lambda key: lower(key) = {quote(name)})"
    return f"list_transform({keys}, lambda key: {POINTER_OF_KEY})[1]"


def record_problem(record: str, root: Root, repeated: list[str]) -> str:
    """Return an expression for what is wrong with a record as a whole, or NULL.

    `repeated` are the conditions under which it has a key twice that a column's path goes through.
    """
    # Strings are blanked first, so that what is searched for after that cannot be inside one.
    blanked = f"regexp_replace({record}, {quote(STRING)}, '\"\"', 'g')"
    conditions = [
        (f"strlen({record}) > {MAX_RECORD_BYTES}", 1224, TOO_LARGE),
        (f"contains({record}, {quote(MARK)})", 1220, "Record holds bytes that are not UTF-8"),
        (f"starts_with({record}, chr(65279))", 1224, "File begins with a byte order mark"),
        (f"starts_with({record}, '{root.unlike}')", 1224, root.unlike_message),
        (f"not json_valid({record})", 1224, root.other),
        (f"json_type({record}) <> '{root.name}'", 1224, root.other),
        (
            rf"regexp_matches({blanked}, '(?i),\s*[}}\]]|nan|inf')",
            1224,
            "Not JSON: a trailing comma, NaN or Infinity",
        ),
        *((condition, 1224, "Key given twice") for condition in repeated),
    ]
    cases = "\n".join(f"when {c} then {_reject(code, message)}" for c, code, message in conditions)
    return f"case {cases} end"


def _reject(code: int, message: str, column: str | None = None, value: str = "null") -> str:
    if not code:
        return "null"
    name = quote(column) if column else "null::varchar"
    return f"{{'column': {name}, 'value': {value}::varchar, 'code': {code}, 'message': {quote(message)}}}"

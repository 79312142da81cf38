"""The records of a file, and the values in a record, as COPY ... FORMAT JSON sees them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from tests.standin.json_paths import Path, Step

MAX_RECORD_BYTES = 4 << 20
MAX_DEPTH = 500
"""Undocumented. Python's decoder accepts deeper nesting in some of its versions only."""

_SPACE = re.compile(r"[ \t\r\n\f\v]*")
_LINE_SPACE = re.compile(r"[ \t\r\f\v]*")
_JSON_SPACE = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|"|[{}\[\]\n]')
_NAMES = {"{": "object", "[": "array"}
_INVALID_BYTE = re.compile("[\udc80-\udcff]")


class RejectedError(Exception):
    """A record that is not loaded, and the reason."""

    def __init__(self, code: int, message: str, column: str | None = None, position: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.column = column
        self.position = position


class Number(str):
    """A number's text."""

    __slots__ = ()


class Object(dict[str, Any]):
    """An object with duplicate keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = {key for key, _ in pairs if key in seen or seen.add(key)}  # type: ignore[func-returns-value]


@dataclass
class Record:
    """A record's text, the line it ends on, and its value, or the reason why it has none."""

    text: str
    line: int
    value: dict[str, Any] | list[Any] = field(default_factory=dict)
    rejected: RejectedError | None = None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else Object(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_refuse_constant, object_pairs_hook=_object
)


def read_records(content: bytes, invalid_characters: str | None = None, bracket: str = "{") -> Iterator[Record]:
    """Yield the records of a file: objects, or arrays if the bracket is theirs, and whatever is in the place of one."""
    text = content.decode(errors="surrogateescape")
    place, line = 0, 1
    while True:
        start = _skip(_SPACE, text, place)
        line += text.count("\n", place, start)
        if start == len(text):
            return
        record, place = _next_record(text, start, bracket)
        line += record.text.count("\n")
        record.line = line
        yield _examined(record, invalid_characters)


def _skip(space: re.Pattern[str], text: str, place: int) -> int:
    match = space.match(text, place)
    assert match
    return match.end()


def _next_record(text: str, start: int, bracket: str) -> tuple[Record, int]:
    """Cut out the record that starts at a place, and return where it ends."""
    line_end = text.find("\n", start)
    line = text[start : line_end if line_end >= 0 else len(text)]
    if line[0] == bracket:
        try:
            value, size = _DECODER.raw_decode(line)
        except (ValueError, RecursionError):
            pass  # it goes on after the line, or is no JSON
        else:
            return Record(line[:size], 0, value), start + size
    if line[0] not in "{[":
        return Record(line, 0, rejected=RejectedError(1224, f"Not a JSON {_NAMES[bracket]}")), start + len(line)
    end = _end_of(text, start, bracket)
    record = Record(text[start:end].rstrip(" \t\r\n\f\v"), 0)
    try:
        record.value = _parse(record.text, bracket)
    except RejectedError as rejected:
        record.rejected = rejected
    return record, end


def _end_of(text: str, start: int, bracket: str) -> int:
    """Return where an object or array ends: where its brackets close.

    Where they do not, before a line begins another record or a string goes on past its line, it is its first line.
    """
    depth = 0
    for match in _STRUCTURE.finditer(text, start):
        token = match[0]
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
            if not depth:
                return match.end()
        elif token == '"' or (token == "\n" and _begins_record(text, start, match.end(), bracket)):
            break
    line_end = text.find("\n", start)
    return line_end if line_end >= 0 else len(text)


def _begins_record(text: str, start: int, place: int, bracket: str) -> bool:
    """Whether a line starts with a bracket that does not continue a value."""
    begin = _skip(_LINE_SPACE, text, place)
    if text[begin : begin + 1] != bracket:
        return False
    end = place
    while end > start and text[end - 1] in " \t\r\n\f\v":
        end -= 1
    return text[end - 1] not in "[,:"


def _parse(text: str, bracket: str) -> dict[str, Any] | list[Any]:
    if text[0] != bracket:
        raise RejectedError(1224, f"An {_NAMES[text[0]]} at the root, where an {_NAMES[bracket]} belongs")
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise RejectedError(1224, f"Invalid JSON {_NAMES[bracket]}") from None
    assert isinstance(value, dict | list)  # the text starts with a bracket
    return value


def _examined(record: Record, invalid_characters: str | None) -> Record:
    """Reject a record that is invalid whatever its values are."""
    text = record.text
    if len(text) > MAX_RECORD_BYTES // 4 and len(text.encode(errors="surrogateescape")) > MAX_RECORD_BYTES:
        record.rejected = RejectedError(1224, "JSON object size exceeds the maximum of 4194304 bytes")
    elif _depth(text) > MAX_DEPTH:
        record.rejected = RejectedError(1224, "Invalid JSON object")
    elif not text.isascii() and _INVALID_BYTE.search(text):
        if invalid_characters is None:
            record.rejected = RejectedError(1220, "String contains invalid or unsupported UTF-8 codepoints")
        elif not record.rejected:
            record.value = _DECODER.decode(_INVALID_BYTE.sub(lambda _: invalid_characters, text))
    elif not record.rejected and ("\\ud" in text or "\\uD" in text) and _half_pair(text):
        record.rejected = RejectedError(1224, "Half of a surrogate pair")
    elif text.startswith("\ufeff"):
        record.rejected = RejectedError(1224, "The file begins with a byte order mark")
    return record


def _depth(text: str) -> int:
    """Return the depth of nesting, or a lower bound of it if the depth is within the limit anyway."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    steps = ((token in "{[") - (token in "}]") for token in _STRUCTURE.findall(text))
    return max(accumulate(steps))


def _half_pair(text: str) -> bool:
    pairs = re.sub(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", "", text.replace("\\\\", ""))
    return bool(re.search(r"\\u[dD][89a-fA-F]", pairs))


def value_at(record: Record, path: Path, *, ignore_case: bool = False) -> Any:
    """Return the value at a path: text, a Number, a boolean, None, or a nested value as its text.

    Raises:
        RejectedError: it has a key on the path twice, or the text of the value cannot be cut out.
    """
    value: Any = record.value
    for step in path:
        value = _member(value, step, ignore_case=ignore_case)
    if isinstance(value, dict | list):
        return _written(record.text, path, ignore_case=ignore_case)
    return value


def _member(value: Any, step: Step, *, ignore_case: bool) -> Any:
    if type(value) is dict and not ignore_case:  # the usual case, without repeated keys
        return value.get(step)
    if isinstance(value, dict) and isinstance(step, str):
        if ignore_case:
            matching = [key for key in value if key.lower() == step]
            if len(matching) > 1:
                raise RejectedError(1224, "Key given twice")
            step = matching[0] if matching else step
        if isinstance(value, Object) and step in value.repeated:
            raise RejectedError(1224, "Key given twice")
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else None
    return None


def _written(text: str, path: Path, *, ignore_case: bool) -> str:
    """Return the text of a nested value as written in the record."""
    place = 0
    for step in path:
        place = _find(text, place, step, ignore_case=ignore_case)
    return text[place : _value_end(text, place)]


def _find(text: str, place: int, step: Step, *, ignore_case: bool) -> int:
    """Return where a member of the object or array at a place starts."""
    place = _skip(_JSON_SPACE, text, place + 1)
    index = 0
    while True:
        found = index == step
        if isinstance(step, str):
            key, place = _DECODER.raw_decode(text, place)
            place = _skip(_JSON_SPACE, text, _skip(_JSON_SPACE, text, place) + 1)
            found = (key.lower() if ignore_case else key) == step
        if found:
            return place
        place = _skip(_JSON_SPACE, text, _skip(_JSON_SPACE, text, _value_end(text, place)) + 1)
        index += 1


def _value_end(text: str, place: int) -> int:
    return _DECODER.raw_decode(text, place)[1]

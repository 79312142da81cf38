"""Rejected records as they stand in S3: Redshift's system views hold neither the record nor the value."""

import gzip
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from warehouse.errors import CopyError, TransientError
from warehouse.jsonpaths import Steps
from warehouse.load_errors import KEPT_CHARACTERS
from warehouse.sources import Compression

_LONGEST_RECORD = 200  # lines
_SPACE = " \t\n\r\f\v"


class Record(NamedTuple):
    """The value of one column of a record, and the record: None where they cannot be had."""

    value: str | None = None
    raw: str | None = None


class RejectedRecords:
    """Looks records up in objects, of which it holds one at a time."""

    def __init__(self, read: Callable[[str], bytes], compression: Compression) -> None:
        self.read = read
        self.compression = compression
        self.name = ""
        self.lines: list[str] = []

    def record(self, name: str, line: int, path: Steps | None) -> Record:
        """Return the record whose last line is `line`, and the value at a path in it."""
        if name != self.name:
            self.name, self.lines = name, self._lines(name)
        if not 0 < line <= len(self.lines):
            return Record()
        raw = "\n".join(self.lines[self._beginning(line - 1) : line]).strip(_SPACE)
        try:
            content = json.loads(raw, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return Record(None, _kept(self.lines[line - 1].strip(_SPACE)))
        return Record(_kept(_value(content, path)), _kept(raw))

    def _beginning(self, last: int) -> int:
        """Return the line on which the record that ends on a line begins: with a bracket, where no value goes on."""
        for start in range(last, max(last - _LONGEST_RECORD, 0), -1):
            goes_on = self.lines[start - 1].rstrip(_SPACE).endswith(("[", ",", ":"))
            if self.lines[start].lstrip(_SPACE).startswith(("{", "[")) and not goes_on:
                return start
        return max(last - _LONGEST_RECORD, 0)

    def _lines(self, name: str) -> list[str]:
        try:
            content = self.read(name)
            plain = gzip.decompress(content) if self.compression == "gzip" else content
        except (CopyError, TransientError, OSError, EOFError):
            return []  # the worker need not be allowed to read what COPY may
        return plain.decode("utf-8", "replace").split("\n")


def _kept(text: str | None) -> str | None:
    return text and text[:KEPT_CHARACTERS].replace("\0", "\ufffd")


def _value(content: Any, path: Steps | None) -> str | None:
    for step in path or ("no path",):
        try:
            content = content[step]
        except (LookupError, TypeError):
            return None
    if isinstance(content, bool):
        return str(content).lower()
    return content if isinstance(content, str) else None

"""Rejected records, read back from S3: Redshift's system views contain neither the record nor the value."""

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
    """The value of one column of a record, and the record itself; None if unavailable."""

    value: str | None = None
    raw: str | None = None


class RejectedRecords:
    """Looks up records in objects. Keeps one object in memory at a time."""

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
        raw = "\n".join(self.lines[self._first_line(line - 1) : line]).strip(_SPACE)
        try:
            content = json.loads(raw, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return Record(None, _kept(self.lines[line - 1].strip(_SPACE)))
        return Record(_kept(_value(content, path)), _kept(raw))

    def _first_line(self, last: int) -> int:
        """Return the first line of the record that ends on a line: it starts with a bracket and continues no value."""
        for start in range(last, max(last - _LONGEST_RECORD, 0), -1):
            continues = self.lines[start - 1].rstrip(_SPACE).endswith(("[", ",", ":"))
            if self.lines[start].lstrip(_SPACE).startswith(("{", "[")) and not continues:
                return start
        return max(last - _LONGEST_RECORD, 0)

    def _lines(self, name: str) -> list[str]:
        try:
            content = self.read(name)
            uncompressed = gzip.decompress(content) if self.compression == "gzip" else content
        except (CopyError, TransientError, OSError, EOFError):
            return []  # the worker may lack permissions that COPY has
        return uncompressed.decode("utf-8", "replace").split("\n")


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

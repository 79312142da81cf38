"""The text of a file in chunks of whole records, however the file is laid out, in bounded memory."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from warehouse.load_errors import KEPT_CHARACTERS

MARK = "\x1a"
"""Stands for bytes that are not UTF-8 in a decoded text: SUBSTITUTE, which no JSON text may hold either."""

MAX_RECORD_BYTES = 4 << 20
TOO_LARGE = "Record over 4 MB"

_BLOCK_BYTES = 4 << 20
_HELD_BYTES = 8 << 20
"""So much text without a boundary is held, and split by the reader. What is larger is scanned here."""

_TRACKED_DEPTH = 10_000

# Quantifiers are possessive, or end where nothing before them could: no text takes more than linear time. A group that
# may fail midway is not possessive, because Python before 3.11.5 then stays where it failed, but bounded: what a group
# could go back to takes memory.
_SPACE = re.compile(rb"\s*+")
_BOUNDARY = {bracket: re.compile(rb"[^\s\[,:][^\S\n]*+\n\s*+" + re.escape(bracket)) for bracket in (b"{", b"[")}
_CLOSING = {b"{": b"}", b"[": b"]"}
_STRING = rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
_OUTSIDE = re.compile(rb'[^"{}\[\]\n]*+(?:%s[^"{}\[\]\n]*+){0,1000}' % _STRING)
_INSIDE = re.compile(rb'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+')

codecs.register_error("mark", lambda error: (MARK, getattr(error, "end", 0)))


Event = Literal["end", "boundary", "unclosed", "large", "more"]


class Chunk(NamedTuple):
    """Whole records, and the number of the line on which the first begins."""

    first_line: int
    text: str


class LargeRecord(NamedTuple):
    """A record of more than MAX_RECORD_BYTES: its last line, and how it begins."""

    last_line: int
    beginning: str


def read_chunks(path: str, bracket: bytes = b"{") -> Iterator[Chunk | LargeRecord]:
    """Give a file's text in order. Bytes that are not UTF-8 become MARK. Records begin with the bracket.

    A chunk ends at a boundary: where a line begins with a record, and no value before it goes on. Where a file has
    none for long (objects end to end on one line, an array of all records, one huge record), it ends between two
    records, and what is too large for a record is given by its beginning only.
    """
    line, buffer = 1, b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            searched = len(buffer.rstrip()) - 1
            buffer += block
            if cut := _last_boundary(buffer, max(0, searched), bracket):
                yield Chunk(line, _decoded(buffer[:cut]))
                line += buffer.count(b"\n", 0, cut)
                buffer = buffer[cut:]
            if len(buffer) > _HELD_BYTES:
                part = _LargePart(file, buffer, line, bracket)
                yield from part.pieces()
                line, buffer = part.line, part.buffer
    if buffer:
        yield Chunk(line, _decoded(buffer))


def _last_boundary(buffer: bytes, start: int, bracket: bytes) -> int:
    """Return where the last boundary is, 0 if there is none."""
    common = buffer.rfind(_CLOSING[bracket] + b"\n" + bracket, start)
    if common >= 0:
        return common + 2
    found = 0
    for match in _BOUNDARY[bracket].finditer(buffer, start):
        found = match.end() - 1
    return found


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "mark")


class _LargePart:
    """Scans a text that has no boundary for long, record by record, and holds some blocks of it at a time.

    `buffer` is what is not given yet, and `line` the number of its first line. `position` is how far the scan is in it,
    and `depth` how many brackets are open there. Of a record that is too large only the beginning is kept.
    """

    def __init__(self, file: BinaryIO, buffer: bytes, line: int, bracket: bytes) -> None:
        self.file = file
        self.bracket = bracket
        self.buffer = buffer
        self.line = line
        self.position = 0
        self.depth = 0
        self.in_string = False
        self.is_large = False
        self.dropped = 0
        self.last_line = line  # that of the last character dropped that is no white space
        self.previous = b""  # the last character dropped that is no white space, and whether a line ended after it
        self.on_new_line = False
        self.opened: list[int] = []  # where the open brackets are, counted from the part's beginning
        self.never_closed: set[int] = set()

    def pieces(self) -> Iterator[Chunk | LargeRecord]:
        """Give what comes before the next boundary, or the file's end; that is where `buffer` then begins."""
        while True:
            start = self._next_record()
            if start == len(self.buffer):
                yield from self._give(self.position)
                self._drop(start)
                if not self._fill():
                    return
            elif self._is_boundary(self.position, start):
                yield from self._give(start)
                return
            else:
                event = self._to_end(start)
                if event == "large":
                    yield from self._give(start)
                    beginning = self.buffer[:KEPT_CHARACTERS]
                    event = self._to_end_of_large()
                    yield LargeRecord(self.last_line, codecs.getincrementaldecoder("utf-8")("mark").decode(beginning))
                if event == "boundary" or self.position > _BLOCK_BYTES:
                    yield from self._give(self.position)
                if event == "boundary":
                    return

    def _next_record(self) -> int:
        return _end(_SPACE, self.buffer, self.position)

    def _to_end(self, start: int) -> Event:
        """Go on to the end of the record that begins at `start`, or find that it is too large."""
        self.position, self.depth, self.in_string, self.is_large = start, 0, False, False
        self.opened = []
        self.on_new_line = False
        self.advance = self._in_structure if self.buffer[start] in b"{[" else self._in_line
        while (event := self.advance()) == "more":
            if len(self.buffer) - start > MAX_RECORD_BYTES:
                return "large"
            if not self._fill():
                self.position = len(self.buffer)
                return "end"
        if event == "unclosed":  # no object or array, so it ends with its line
            self.never_closed.update(self.opened)
            self.position = self.buffer.index(b"\n", start)
            return "end"
        return event

    def _to_end_of_large(self) -> Event:
        self.is_large = True
        while (event := self.advance()) == "more":
            self._drop(self.position)
            if not self._fill():
                return "end"
        self._drop(self.position)
        return event

    def _in_line(self) -> Event:
        end = self.buffer.find(b"\n", self.position)
        self.position = len(self.buffer) if end < 0 else end
        return "more" if end < 0 else "end"

    def _in_structure(self) -> Event:
        """Go on in brackets, until something happens or more of the file is needed."""
        while True:
            if self.in_string:
                self.position = _end(_INSIDE, self.buffer, self.position)
                closing = self.buffer[self.position : self.position + 1]
                if closing in (b"", b"\\"):
                    return "more"
                self.in_string = False  # the end of the line closes it too
                self.position += closing == b'"'
            self.position = _end_of_outside(self.buffer, self.position)
            found = self.buffer[self.position : self.position + 1]
            if found in (b"{", b"[", b"}", b"]"):
                event = self._at_bracket(found)
            elif found == b"\n":
                event = self._at_line_end()
            elif found and self.is_large:
                self.in_string, event = True, None
                self.position += 1
            else:
                event = "unclosed" if found and self.buffer.find(b"\n", self.position) >= 0 else "more"
            if event:
                return event

    def _at_bracket(self, bracket: bytes) -> Event | None:
        begins = bracket == self.bracket and self.on_new_line and not self.buffer[: self.position].strip()
        if begins and self._is_boundary(0, self.position):
            return "boundary"
        if bracket in (b"{", b"["):
            place = self.dropped + self.position
            if place in self.never_closed:
                return "unclosed"
            if self.depth < _TRACKED_DEPTH and not self.is_large:
                self.opened.append(place)
            self.depth += 1
        else:
            self.depth -= 1
            del self.opened[self.depth :]
        self.position += 1
        return None if self.depth else "end"

    def _at_line_end(self) -> Event | None:
        start = self._next_record()
        if start == len(self.buffer):
            if self.is_large:
                self.position = start
            return "more"
        if self._is_boundary(self.position, start):
            self.position = start
            return "boundary"
        self.position = start
        return None

    def _is_boundary(self, end: int, start: int) -> bool:
        """Whether there is a boundary between the end of a text and the start of the next."""
        if self.buffer[start] != ord(self.bracket) or not (self.on_new_line or b"\n" in self.buffer[end:start]):
            return False
        before = _last_character(self.buffer, end) or self.previous
        return bool(before) and before not in b"[,:"

    def _give(self, end: int) -> Iterator[Chunk]:
        """Give the buffer up to an end, if there is anything in it, and drop it."""
        if self.buffer[:end].strip():
            yield Chunk(self.line, _decoded(self.buffer[:end]))
        self._drop(end)

    def _drop(self, end: int) -> None:
        dropped = self.buffer[:end]
        kept = dropped.rstrip()
        self.on_new_line = b"\n" in dropped[len(kept) :] or (not kept and self.on_new_line)
        if kept:
            self.previous = kept[-1:]
            self.last_line = self.line + kept.count(b"\n")
        self.line += dropped.count(b"\n")
        self.buffer = self.buffer[end:]
        self.position = max(0, self.position - end)
        self.dropped += end
        if self.never_closed:
            self.never_closed = {place for place in self.never_closed if place >= self.dropped}

    def _fill(self) -> bool:
        block = self.file.read(_BLOCK_BYTES)
        self.buffer += block
        return bool(block)


def _last_character(text: bytes, end: int) -> bytes:
    """Return the last character before an end that is no white space."""
    size = 64
    while not (found := text[max(0, end - size) : end].rstrip()) and size < end:
        size *= 8
    return found[-1:]


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    match = pattern.match(text, start)
    assert match  # each of the patterns matches the empty text
    return match.end()


def _end_of_outside(text: bytes, start: int) -> int:
    """Return where a text outside strings meets a bracket, a line's end, or a string that the line does not close."""
    while (end := _end(_OUTSIDE, text, start)) > start:
        start = end
    return end

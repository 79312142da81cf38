"""Files of every shape that a source may have, and what a COPY makes of them, noted record by record.

Sizes are drawn around the reader's borders, which the tests lower so that small files cross them all.
"""

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st

from warehouse.sources import Compression

COLUMNS = "k varchar(20), n integer"
NAMES = (
    "a.json",
    "b c.json",
    "deep/été.json",
    "[1]*?.json",
    "x'y\"z.json",
    "%20+&=#@.json",
    "deep/er/_under",
    ".hidden",
)
LOWERED = {
    "chunks._BLOCK_BYTES": 256,
    "chunks._HELD_BYTES": 512,
    "copy.SMALL_FILE_BYTES": 200,
    "copy._TEXT_BATCH_BYTES": 2000,
    "copy.BATCH_BYTES": 3000,
    "copy._FILE_BYTES": 10,
    "files._LINE_BYTES": 2000,
}
"""Where the reader works in blocks or batches, or takes another way."""

_SIZES = st.one_of(st.integers(0, 40), st.sampled_from([150, 200, 256, 512, 1000, 2000, 3000]).flatmap(
    lambda border: st.integers(border - 60, border + 60)
))  # fmt: skip
_SPACES = ("", " ", "\n", "\r\n", "\t\n \r\n", "\n" * 40, " \n" * 300)
_LINE_ENDS = tuple(space for space in _SPACES if "\n" in space)


@dataclass
class Shape:
    """A file's text, the rows that it holds, and its rejects as line and code."""

    text: bytes = b""
    rows: Counter[str] = field(default_factory=Counter)
    rejects: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, text: str | bytes, code: int | None = None, key: str | None = None) -> None:
        """Add the text of a record, which becomes a row or a reject; or of white space, which becomes neither."""
        self.text += text.encode() if isinstance(text, str) else text
        if code:
            self.rejects[1 + self.text.count(b"\n"), code] += 1
        if key:
            self.rows[key] += 1


def lower_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files cross all of the reader's borders."""
    for name, value in LOWERED.items():
        monkeypatch.setattr(f"warehouse.duckdb.{name}", value)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """A file of records of all kinds, in all layouts."""
    shape = Shape()
    if draw(st.integers(0, 9)) == 9:
        shape.add('\ufeff{"k": "marked"}', 1224)
        shape.add(draw(st.sampled_from(_LINE_ENDS)))
    shape.add(draw(st.sampled_from(_SPACES)))
    must_be_object = False
    for number in range(draw(st.integers(0, 8))):
        kinds = _OBJECTS if must_be_object else _KINDS
        kind = draw(st.sampled_from(kinds))
        must_be_object = kind == "unclosed"
        _add(shape, kind, str(number), draw)
        shape.add(draw(st.sampled_from(_LINE_ENDS if kind in ("unclosed", "junk") else _SPACES)))
    return shape


_OBJECTS = ("compact", "pretty", "lines", "end to end", "a bad number", "a trailing comma", "bytes")
_KINDS = (*_OBJECTS, "array", "array over lines", "junk", "unclosed")


def _add(shape: Shape, kind: str, key: str, draw: st.DrawFn) -> None:
    record = {"k": key, "n": 7, "x": ['}"{', {"y": "é" * draw(_SIZES)}]}
    indent = draw(st.sampled_from([1, 4]))
    line = json.dumps(record, ensure_ascii=draw(st.booleans()))
    match kind:
        case "compact":
            shape.add(line, key=key)
        case "pretty":
            shape.add(json.dumps(record, indent=indent), key=key)
        case "lines" | "end to end":
            for _ in range(draw(st.integers(2, 30))):
                shape.add(line, key=key)
                shape.add("\n" if kind == "lines" else "")
        case "a bad number":
            shape.add(line.replace('"n": 7', '"n": "x"'), 1207)
        case "a trailing comma":
            shape.add(line[:-1] + ",}", 1224)
        case "bytes":
            shape.add(line[:-1].encode() + b', "z": "\xff"}', 1220)
        case "array":
            shape.add(json.dumps([record] * draw(st.integers(0, 9))), 1224)
        case "array over lines":
            shape.add(json.dumps([record] * draw(st.integers(1, 9)), indent=indent), 1224)
        case "junk":
            shape.add("no, record", 1224)
        case _:
            shape.add(line[:-1], 1224)


@dataclass
class Folder:
    """Files by name, their compression, and what a COPY of them all makes."""

    shapes: dict[str, Shape]
    compression: Compression

    def packed(self, text: bytes) -> bytes:
        return gzip.compress(text) if self.compression == "gzip" else text

    @property
    def files(self) -> dict[str, bytes]:
        return {name: self.packed(shape.text) for name, shape in self.shapes.items()}

    @property
    def rows(self) -> Counter[str]:
        return sum((shape.rows for shape in self.shapes.values()), Counter())

    @property
    def rejects(self) -> Counter[tuple[str, int, int]]:
        """How often each file, line and code is rejected."""
        return Counter(
            {(name, *reject): times for name, shape in self.shapes.items() for reject, times in shape.rejects.items()}
        )


def folders() -> st.SearchStrategy[Folder]:
    """Up to four files with names of all kinds."""
    files = st.dictionaries(st.sampled_from(NAMES), shapes(), min_size=1, max_size=4)
    return st.builds(Folder, files, st.sampled_from(["none", "gzip"]))

"""Bad records of every kind, and a manifest of how a COPY by Redshift's rules should handle them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from warehouse.errors import PermanentError

MANIFEST = "dirty.json"

_FIRST_SESSION = 1_000_000_000
_FOUR_BYTES = "\N{GUITAR}"
_TEXT_BYTES = 1024  # staging_events declares artist as VARCHAR(1024)


@dataclass(frozen=True)
class Record:
    """A record as written in its file. If it is rejected, `code` says why, and `column` because of which value."""

    text: bytes
    code: int | None = None
    column: str | None = None


@dataclass(frozen=True)
class Kind:
    """A file with one kind of bad records. `repeated` of them are in another file as well."""

    name: str
    records: list[Record]
    separator: bytes = b"\n"
    start: bytes = b""
    folder: str = "log_data"
    repeated: int = 0

    @property
    def file(self) -> str:
        return f"{self.folder}/dirty/{self.name}.json"

    @cached_property
    def content(self) -> bytes:
        return self.start + self.separator.join(record.text for record in self.records)

    def expected(self) -> dict[str, Any]:
        """Return the manifest's entry. A rejected record's line is its last one, as in Redshift."""
        rejected, line = [], 1
        for record in self.records:
            line += record.text.count(b"\n")
            if record.code:
                rejected.append({"line": line, "column": record.column, "code": record.code})
            line += self.separator.count(b"\n")
        return {
            "kind": self.name,
            "file": self.file,
            "loaded": len(self.records) - len(rejected),
            "repeated": self.repeated,
            "rejected": rejected,
        }


class _Events:
    """Makes copies of a good event, each in a session of its own and a millisecond after the one before."""

    def __init__(self, good: dict[str, Any]) -> None:
        self.good = good
        self.made = 0

    def event(self, **changes: Any) -> dict[str, Any]:
        self.made += 1
        own = {"sessionId": _FIRST_SESSION + self.made, "ts": self.good["ts"] + self.made}
        return {**self.good, **own, **changes}

    def text(self, **changes: Any) -> bytes:
        return _spell(self.event(**changes))

    def loads(self, **changes: Any) -> Record:
        return Record(self.text(**changes))

    def fails(self, code: int, column: str, **changes: Any) -> Record:
        return Record(self.text(**changes), code, column)

    def fails_as_a_whole(self, old: bytes, new: bytes, code: int = 1224) -> Record:
        text = self.text()
        assert old in text
        return Record(text.replace(old, new, 1), code)

    def lacks(self, key: str) -> bytes:
        return _spell({name: value for name, value in self.event().items() if name != key})


def write_dirty(out: Path) -> None:
    """Add a file of every kind to log_data and song_data in a directory, and the manifest next to them.

    Raises:
        PermanentError: the logs have no played song, or there is no song file, to make the records from.
    """
    logs = (line for path in sorted((out / "log_data").rglob("*.json")) for line in path.read_bytes().splitlines())
    event = next((line for line in logs if b'"page":"NextSong"' in line), None)
    song = next(iter(sorted((out / "song_data").rglob("*.json"))), None)
    if event is None or song is None:
        raise PermanentError(f"{out}: no played song to make dirty records from. Generate more days or users")
    kinds = [*_event_kinds(event), Kind("same_song", [Record(song.read_bytes())], folder="song_data", repeated=1)]
    for kind in kinds:
        (out / kind.file).parent.mkdir(exist_ok=True)
        (out / kind.file).write_bytes(kind.content)
    manifest = json.dumps([kind.expected() for kind in kinds], indent=2)
    (out / MANIFEST).write_text(manifest + "\n", encoding="utf-8")


def _event_kinds(line: bytes) -> Iterator[Kind]:
    events = _Events(json.loads(line))
    yield Kind("same_event", [Record(line)], repeated=1)
    yield from _kinds_of_files(events)
    yield from _kinds_of_bytes(events)
    yield from _kinds_of_texts(events)
    yield from _kinds_of_numbers(events)
    yield from _kinds_of_times(events)
    yield from _kinds_of_keys(events)


def _kinds_of_files(of: _Events) -> Iterator[Kind]:
    array = b"[" + of.text() + b"," + of.text() + b"]"
    spread = json.dumps(of.event(), indent=4).encode()
    yield Kind("empty", [])
    yield Kind("truncated", [of.loads(), of.loads(), Record(of.text()[:-100], 1224)])
    yield Kind("not_json", [of.loads(), Record(b"this is not JSON", 1224), of.loads()])
    yield Kind("root_array", [Record(array, 1224)])
    yield Kind("one_line", [of.loads(), of.loads(), of.loads()], separator=b" ")
    yield Kind("adjacent", [of.loads(), of.loads(), of.loads()], separator=b"")
    yield Kind("spread", [of.loads(), Record(spread), of.fails(1207, "status", status="none"), of.loads()])


def _kinds_of_bytes(of: _Events) -> Iterator[Kind]:
    yield Kind("byte_order_mark", [Record(of.text(), 1224), of.loads()], start=b"\xef\xbb\xbf")
    yield Kind("crlf", [of.loads(), of.fails(1207, "status", status="none"), of.loads()], separator=b"\r\n")
    yield Kind("invalid_utf8", [of.loads(), of.fails_as_a_whole(b'"artist":"', b'"artist":"\xff', 1220), of.loads()])
    yield Kind("nul_byte", [of.loads(), of.fails_as_a_whole(b'"artist":"', b'"artist":"\0'), of.loads()])
    yield Kind("nul_escape", [of.loads(), of.fails(1220, "artist", artist="a\0b"), of.loads()])


def _kinds_of_texts(of: _Events) -> Iterator[Kind]:
    full = _FOUR_BYTES * (_TEXT_BYTES // 4)
    ascii_text = [of.loads(artist="x" * _TEXT_BYTES), of.fails(1204, "artist", artist="x" * (_TEXT_BYTES + 1))]
    wide = [of.event(artist=full), of.event(artist=f"x{full}")]
    raw = [json.dumps(event, ensure_ascii=False).encode() for event in wide]
    yield Kind("long_ascii", ascii_text)
    yield Kind("long_four_bytes", [Record(raw[0]), Record(raw[1], 1204, "artist")])
    yield Kind("long_escaped", [of.loads(artist=full), of.fails(1204, "artist", artist=f"x{full}")])
    yield Kind("number_as_text", [of.loads(artist=311), of.loads(song=1.5), of.loads()])


def _kinds_of_numbers(of: _Events) -> Iterator[Kind]:
    yield Kind(
        "text_as_number",
        [
            of.loads(status="200"),
            of.fails(1207, "user_id", userId="somebody"),
            of.fails(1209, "length", length="long"),
            of.fails(1208, "registration", registration="early"),
        ],
    )
    yield Kind("empty_user_id", [of.loads(userId="", page="Home"), of.loads()])
    yield Kind("fraction", [of.loads(), of.fails(1207, "item_in_session", itemInSession=1.5)])
    yield Kind("exponent", [of.loads(), Record(_unquoted(of.text(status="1e3")), 1207, "status")])
    yield Kind("large_integer", [of.loads(), of.fails(1222, "status", status=99999999999)])
    yield Kind("nan", [of.loads(), Record(of.text(length=float("nan")), 1224)])
    yield Kind("infinity", [of.loads(), *(Record(of.text(length=float(f"{s}inf")), 1224) for s in "+-")])


def _kinds_of_times(of: _Events) -> Iterator[Kind]:
    yield Kind("negative_ts", [of.loads(), of.fails(1206, "ts", ts=-1)])
    yield Kind("zero_ts", [of.loads(ts=0)])
    yield Kind("future_ts", [of.loads(ts=99999999999999), of.fails(1206, "ts", ts=99999999999999999999)])


def _kinds_of_keys(of: _Events) -> Iterator[Kind]:
    twice = b'"song":"One","song":"Two"'
    yield Kind("missing_key", [Record(of.lacks("location")), Record(of.lacks("ts"), 1213, "ts")])
    yield Kind("extra_key", [of.loads(device="radio"), of.loads(device={"kind": ["radio"]})])
    yield Kind("null", [of.loads(location=None), of.fails(1213, "ts", ts=None)])
    yield Kind("nested", [of.loads(artist={"names": ["A", {"b": 1}]}), of.fails(1207, "status", status={"code": 200})])
    yield Kind("duplicate_key", [of.loads(), Record(of.text(song="?").replace(b'"song":"?"', twice), 1224)])


def _spell(event: dict[str, Any]) -> bytes:
    """Return an event as the logs write it."""
    return json.dumps(event, separators=(",", ":")).replace("/", "\\/").encode()


def _unquoted(text: bytes) -> bytes:
    return text.replace(b'"1e3"', b"1e3")

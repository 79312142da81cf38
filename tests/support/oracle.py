"""The star schema computed from raw files in plain Python, without the project's SQL."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in every file under a directory."""
    decoder = json.JSONDecoder(parse_float=Decimal)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8").strip()
        while text:
            record, end = decoder.raw_decode(text)
            yield record
            text = text[end:].lstrip()


def star_schema(log_data: Path, song_data: Path) -> dict[str, list[Row]]:
    """Return the sorted rows of every table that a first run on the data loads."""
    events, songs = list(read_records(log_data)), list(read_records(song_data))
    plays = _songplays([event for event in events if event["page"] == "NextSong"], songs)
    return {
        "songplays": plays,
        "users": _users(events),
        "songs": _first(songs, "song_id", ["song_id", "title", "artist_id", "year", "duration"]),
        "artists": _first(
            songs,
            "artist_id",
            ["artist_id", "artist_name", "artist_location", "artist_latitude", "artist_longitude"],
        ),
        "time": _time({play[1] for play in plays}),
    }


def _songplays(events: list[dict[str, Any]], songs: list[dict[str, Any]]) -> list[Row]:
    catalogue = {}
    for song in sorted(songs, key=lambda s: (s["song_id"], s["artist_id"]), reverse=True):
        catalogue[song["title"], song["artist_name"], song["duration"]] = (song["song_id"], song["artist_id"])
    deliveries: dict[str, list[Row]] = {}
    for event in events:
        deliveries.setdefault(songplay_id(event), []).append((_content(event), event))
    rows = []
    for key, delivered in deliveries.items():
        content, event = min(delivered, key=lambda d: _nulls_last(d[0]))
        song_id, artist_id = (None, None) if None in content[3:] else catalogue.get(content[3:], (None, None))
        session = event["sessionId"]
        rows.append(
            (key, _moment(event), _user_id(event), content[0], song_id, artist_id, session, content[1], content[2])
        )
    return sorted(rows)


def _content(event: dict[str, Any]) -> Row:
    """Return what decides between deliveries of a play."""
    return tuple(event[name] for name in ("level", "location", "userAgent", "song", "artist", "length"))


def songplay_id(event: dict[str, Any]) -> str:
    """Return the md5 of what identifies a play."""
    parts = (event["ts"], event["userId"], event["sessionId"], event["itemInSession"])
    return hashlib.md5("-".join("null" if part in (None, "") else str(part) for part in parts).encode()).hexdigest()


def _users(events: list[dict[str, Any]]) -> list[Row]:
    plays: dict[str, Row] = {}
    for event in events:
        user = _user_id(event)
        if event["page"] != "NextSong" or user is None:
            continue
        row = (event["firstName"], event["lastName"], event["gender"], event["level"])
        delivery = (_nulls_last((*_content(event), *row)), event["ts"], user, row, _moment(event))
        plays[songplay_id(event)] = min(delivery, plays.get(songplay_id(event), delivery))
    latest: dict[int, Row] = {}
    for _, ts, user, row, moment in plays.values():
        ranked = ((-ts, _nulls_last(row)), (user, *row, moment))
        latest[user] = min(ranked, latest.get(user, ranked))
    return sorted(row for _, row in latest.values())


def _first(songs: list[dict[str, Any]], key: str, names: list[str]) -> list[Row]:
    rows: dict[str, Row] = {}
    for song in songs:
        row = tuple(float(v) if n.endswith("itude") and v is not None else v for n, v in ((n, song[n]) for n in names))
        rows[song[key]] = min(row, rows.get(song[key], row), key=_nulls_last)
    return sorted(rows.values())


def _time(moments: Iterable[datetime]) -> list[Row]:
    parts: Callable[[datetime], Row] = lambda m: (  # noqa: E731
        m, m.hour, m.day, m.isocalendar().week, m.month, m.year, m.isoweekday() % 7,
    )  # fmt: skip
    return sorted(parts(moment) for moment in moments)


def _moment(event: dict[str, Any]) -> datetime:
    return EPOCH + timedelta(milliseconds=event["ts"])


def _user_id(event: dict[str, Any]) -> int | None:
    return int(event["userId"]) if event["userId"] else None


def _nulls_last(row: Row) -> Row:
    return tuple((value is None, value) for value in row)

"""Generates event logs and a song catalogue in the formats of the real ones.

Run it with `python -m flows.generate`.
"""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.generate.dirty import write_dirty
from warehouse.errors import PermanentError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

START = datetime(2018, 11, 1, tzinfo=UTC)
SESSION_SIZE = 14  # average number of steps

_CHUNK_LINES = 2048  # about a megabyte, which fits into the processor's cache
_HERE = Path(__file__).parent


def generate(
    *,
    days: int = 30,
    users: int = 100,
    songs: int = 500,
    seed: int = 1,
    out: Path = Path("data"),
    dirty: bool = False,
) -> None:
    """Generate event logs and a song catalogue. The same options always generate the same data.

    Args:
        days: Number of days of logs, from 2018-11-01. One file each.
        users: Number of users. Most are active on some days only.
        songs: Number of songs in the catalogue, one file each. Users also play songs that are not in it.
        seed: Seed of the random choices. Another seed generates other data.
        out: Directory for log_data and song_data, written completely or not at all. If it exists, it must be empty.
        dirty: Add bad records of every kind, and dirty.json, which lists the expected results.
    """
    import duckdb  # slow, and not needed for --help

    _refuse_wrong_options(days=days, users=users, songs=songs, out=out)
    part = out.absolute().with_name(f"{out.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with duckdb.connect() as connection:
            count = _write(connection, part, days=days, users=users, songs=songs, seed=seed)
        if dirty:
            write_dirty(part)
        part.rename(out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PermanentError(
            f"{out}: cannot be written ({reason}). Make room there, or name another directory"
        ) from None
    print(f"{out}: {count:,} events of {days} days, {songs:,} songs")


def _refuse_wrong_options(*, out: Path, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise PermanentError(f"{name}: {count} is too low. Use at least 1")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise PermanentError(f"{out}: not an empty directory. Name another, or delete it first")


def _write(connection: "DuckDBPyConnection", out: Path, *, days: int, **counts: int) -> int:
    _set_variables(connection, days=days, **counts)
    connection.execute((_HERE / "events.sql").read_text(encoding="utf-8"))
    _write_catalogue(connection, out / "song_data")
    return sum(_write_day(connection, out / "log_data", START + timedelta(day)) for day in range(days))


def _set_variables(connection: "DuckDBPyConnection", **numbers: int) -> None:
    weekday = START.isoweekday() % 7
    for name, number in {**numbers, "start": _ms(START), "weekday": weekday, "session_size": SESSION_SIZE}.items():
        connection.execute(f"set variable {name} = {number}::bigint")
    for name, words in json.loads((_HERE / "words.json").read_text(encoding="utf-8")).items():
        connection.execute(f"set variable {name} = ?", [[json.dumps(word)[1:-1] for word in words]])


def _write_day(connection: "DuckDBPyConnection", folder: Path, day: datetime) -> int:
    """Write a day's log if it has events, and return their number."""
    lines = connection.execute(
        "select line from log_lines where ts >= ? and ts < ? order by ts, session_id, item",
        [_ms(day), _ms(day + timedelta(1))],
    )
    chunk = lines.fetchmany(_CHUNK_LINES)
    count = len(chunk)
    if not chunk:
        return 0
    path = folder / f"{day:%Y/%m/%Y-%m-%d}-events.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(_joined(chunk))
        while chunk := lines.fetchmany(_CHUNK_LINES):
            file.write(b"\n" + _joined(chunk))
            count += len(chunk)
    return count


def _joined(lines: list[tuple[str]]) -> bytes:
    return "\n".join(line for (line,) in lines).encode()


def _write_catalogue(connection: "DuckDBPyConnection", folder: Path) -> None:
    songs = connection.execute("select track_id, text from song_files order by track_id").fetchall()
    for shelf in {track[2:5] for track, _ in songs}:
        (folder / "/".join(shelf)).mkdir(parents=True)
    for track, text in songs:
        (folder / "/".join(track[2:5]) / f"{track}.json").write_bytes(text.encode())


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000

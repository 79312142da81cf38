"""What a run sends to Redshift, counted by the stand-in."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from tests.standin import Standin
from tests.support.warehouses import LOADED, SCHEMA, Place


@dataclass(frozen=True)
class Traffic:
    """Statements, transactions and bytes of one run, and the rows it wrote into facts and dimensions."""

    statements: int
    transactions: int
    bytes_sent: int
    bytes_received: int
    written: int


def measure_runs(standin: Standin, place: Place, folder: Path) -> list[Traffic]:
    """Run twice on the same objects in S3, and count each run."""
    data = [folder / name for name in ("log_data", "song_data")]
    urls = {path: place.put(path) for path in data}
    return [_measure(standin, replace(place, put=urls.__getitem__), *data) for _ in range(2)]


def _measure(standin: Standin, place: Place, log_data: Path, song_data: Path) -> Traffic:
    before = _written(standin)
    standin.faults.clear()
    place.run(log_data, song_data)
    counts = standin.counts
    return Traffic(
        len(counts.statements), counts.starting("begin"), counts.bytes_in, counts.bytes_out, _written(standin) - before
    )


def _written(standin: Standin) -> int:
    """Count the rows ever inserted, updated and deleted in facts and dimensions."""
    tables = ", ".join(f"'{name}'" for name in LOADED)
    standin.proxy.close_sessions()  # PostgreSQL counts what a session did when it ends
    standin.admin.query("select pg_stat_clear_snapshot()")
    ((count,),) = standin.admin.query(
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables "
        f"where schemaname = '{SCHEMA}' and relname in ({tables})"
    )
    return int(str(count))


def write_events(folder: Path, count: int, files: int) -> None:
    """Write song plays, each by a different user, distributed over files."""
    folder.mkdir(parents=True)
    for number in range(files):
        lines = [json.dumps(_event(n)) for n in range(number, count, files)]
        (folder / f"{number}.json").write_text("\n".join(lines))


def _event(number: int) -> dict[str, object]:
    return {
        "artist": "A", "auth": "Logged In", "firstName": "F", "gender": "F", "itemInSession": 1, "lastName": "L",
        "length": 100.5, "level": "free", "location": "L", "method": "PUT", "page": "NextSong", "registration": 1.5e12,
        "sessionId": number, "song": "S", "status": 200, "ts": 1541121934796 + 1000 * number, "userAgent": "U",
        "userId": str(number),
    }  # fmt: skip


def write_songs(folder: Path, files: int) -> None:
    """Write songs, one per file."""
    folder.mkdir(parents=True)
    for n in range(files):
        song = {"num_songs": 1, "artist_id": f"AR{n}", "artist_latitude": None, "artist_longitude": None,
                "artist_location": "", "artist_name": "A", "song_id": f"SO{n}", "title": "T", "duration": 1.5,
                "year": 0}  # fmt: skip
        (folder / f"{n}.json").write_text(json.dumps(song))

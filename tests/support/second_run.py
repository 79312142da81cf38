"""A first and a second run on the stand-in: their data, and the resulting tables."""

import json
import shutil
from pathlib import Path

from flows.etl import sources_of
from flows.generate import generate
from tests.standin import Standin
from tests.support.steps import Step
from tests.support.warehouses import SCHEMA, Place

Tables = dict[str, list[tuple[str | None, ...]]]


def steps_of(place: Place, data: Path, *, full_refresh: bool = False) -> list[Step]:
    """Return the flow's steps for some data, in order."""
    sources = sources_of(place.put(data / "log_data"), place.put(data / "song_data"), max_errors=1)
    return place.steps(sources, full_refresh=full_refresh)


def make_data(folder: Path) -> tuple[Path, Path]:
    """Return one day of data, and two days of data with a renamed song and a rejected line."""
    generate(days=2, users=3, songs=5, seed=3, out=folder / "second")
    shutil.copytree(folder / "second", folder / "first")
    day, last = sorted((folder / "first").rglob("*-events.json"))
    last.unlink()
    with (folder / "second" / day.relative_to(folder / "first")).open("a") as log:
        log.write('\n{"ts": "yesterday", "page": "NextSong"}')
    song = min((folder / "second/song_data").rglob("*.json"))
    song.write_text(json.dumps(json.loads(song.read_text()) | {"title": "Renamed"}))
    return folder / "first", folder / "second"


class Keeper:
    """Saves the schema, to restore it later. It bypasses everything that clients see."""

    def __init__(self, standin: Standin) -> None:
        self.query = standin.admin.query
        self.query("drop schema if exists kept cascade; create schema kept")
        self.there = bool(self.query(f"select 1 from pg_namespace where nspname = '{SCHEMA}'"))
        self.tables = _tables(standin)
        for table in self.tables:
            self._copy(f"{SCHEMA}.{table}", f"kept.{table}")

    def restore(self) -> None:
        """Restore the schema. Waits for open transactions in it."""
        self.query(f"drop schema if exists {SCHEMA} cascade")
        if self.there:
            self.query(f"create schema {SCHEMA} authorization sparkify")
        for table in self.tables:
            self._copy(f"kept.{table}", f"{SCHEMA}.{table}")
            self.query(f"alter table {SCHEMA}.{table} owner to sparkify")

    def _copy(self, table: str, copy: str) -> None:
        self.query(f"create table {copy} (like {table} including all); insert into {copy} select * from {table}")


def contents(standin: Standin) -> Tables:
    """Return the sorted rows of all tables, without the columns that say who wrote them and when."""
    rows = {table: standin.admin.query(f"select * from {SCHEMA}.{table}") for table in _tables(standin)}
    written = {"run_lease": 0, "load_errors": 8, "batches": 6, "table_loads": 7, "check_results": 4}
    return {table: sorted((row[: written.get(table)] for row in rows[table]), key=repr) for table in rows}


def _tables(standin: Standin) -> list[str]:
    found = standin.admin.query(f"select tablename from pg_tables where schemaname = '{SCHEMA}'")
    return [str(name) for (name,) in found]

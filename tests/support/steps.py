"""A run in the stand-in, step by step, each tried again as Prefect would."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from prefect.logging import disable_run_logger

from flows.etl import TABLES, sources_of
from flows.generate import generate
from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.preflight import preflight
from tasks.stage import stage
from tests.standin import Standin
from tests.standin.faults import When
from tests.support.warehouses import SCHEMA, Place
from warehouse.base import Target
from warehouse.errors import is_transient

PLACES: tuple[When, ...] = ("before", "inside", "after", "answering")
RETRIES = 3

Tables = dict[str, list[tuple[str | None, ...]]]


@dataclass(frozen=True)
class Step:
    """A task of a run, with its arguments."""

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]

    def run(self, retries: int = RETRIES) -> Any:
        """Do it, again where it failed at what may pass."""
        try:
            with disable_run_logger():
                return self.work(*self.arguments)
        except Exception as error:
            if not (retries and is_transient(error)):
                raise
        return self.run(retries - 1)

    def held_by(self, holder: str) -> Self:
        """Return the same step of another run."""
        target, *others = self.arguments
        return replace(self, arguments=(replace(target, holder=holder), *others))


def steps_of(place: Place, data: Path, *, full_refresh: bool = False) -> list[Step]:
    """Return what the flow does, in its order."""
    sources = sources_of(place.put(data / "log_data"), place.put(data / "song_data"), max_errors=1)
    return list(_steps(place.target, sources, full_refresh=full_refresh))


def _steps(target: Target, sources: list[Any], *, full_refresh: bool) -> Iterator[Step]:
    yield Step("preflight", preflight.fn, (target, sources, TABLES))
    yield Step("take lease", take_lease.fn, (target,))
    yield Step("create tables", create_tables.fn, (target, list(catalog.TABLES)))
    for source in sources:
        yield Step(f"stage {source.table.name}", stage.fn, (target, copy))
    for load, tables in ((load_fact, catalog.FACTS), (load_dimension, catalog.DIMENSIONS)):
        for table in tables:
            yield Step(f"load {table.name}", load.fn, (target, table, "replace" if full_refresh else table.mode))
    yield Step("check", check.fn, (target, list(catalog.TABLES), list(catalog.CHECKS)))
    yield Step("release lease", release_lease.fn, (target,))


def make_data(folder: Path) -> tuple[Path, Path]:
    """Return a first day's data, and those of two days with a renamed song and a line that is rejected."""
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
    """Keeps the schema as it is, to bring it back later. It looks past all that clients see."""

    def __init__(self, standin: Standin) -> None:
        self.query = standin.admin.query
        self.query("drop schema if exists kept cascade; create schema kept")
        self.there = bool(self.query(f"select 1 from pg_namespace where nspname = '{SCHEMA}'"))
        self.tables = _tables(standin)
        for table in self.tables:
            self._copy(f"{SCHEMA}.{table}", f"kept.{table}")

    def restore(self) -> None:
        """Bring it back. Waits for transactions that are under way in it."""
        self.query(f"drop schema if exists {SCHEMA} cascade")
        if self.there:
            self.query(f"create schema {SCHEMA} authorization sparkify")
        for table in self.tables:
            self._copy(f"kept.{table}", f"{SCHEMA}.{table}")
            self.query(f"alter table {SCHEMA}.{table} owner to sparkify")

    def _copy(self, table: str, copy: str) -> None:
        self.query(f"create table {copy} (like {table} including all); insert into {copy} select * from {table}")


def contents(standin: Standin) -> Tables:
    """Return the rows of all tables, sorted, without who wrote them and when."""
    rows = {table: standin.admin.query(f"select * from {SCHEMA}.{table}") for table in _tables(standin)}
    written = {"run_lease": 0, "load_errors": 8}
    return {table: sorted((row[: written.get(table)] for row in rows[table]), key=repr) for table in rows}


def _tables(standin: Standin) -> list[str]:
    found = standin.admin.query(f"select tablename from pg_tables where schemaname = '{SCHEMA}'")
    return [str(name) for (name,) in found]

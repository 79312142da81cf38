"""The order of a run, for all tests: the flow's steps, each retried as Prefect would."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from prefect.logging import disable_run_logger

from flows.etl import TABLES
from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.preflight import preflight
from tasks.stage import stage
from warehouse.errors import is_transient
from warehouse.sources import Source
from warehouse.target import Target

RETRIES = 3


@dataclass(frozen=True)
class Step:
    """A task of a run, with its arguments."""

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]

    def run(self, retries: int = RETRIES) -> Any:
        """Run the step, and retry it after transient errors."""
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


def run_steps(target: Target, sources: Sequence[Source], *, full_refresh: bool = False) -> Iterator[Step]:
    """Yield the steps of a run, in the flow's order."""
    yield Step("preflight", preflight.fn, (target, sources, TABLES))
    yield Step("take lease", take_lease.fn, (target,))
    yield Step("create tables", create_tables.fn, (target, catalog.TABLES))
    for source in sources:
        yield Step(f"stage {source.table.name}", stage.fn, (target, source))
    yield Step("check staging", check.fn, (target, catalog.STAGING, ()))
    yield from load_steps(target, full_refresh=full_refresh)
    yield Step("check", check.fn, (target, [*catalog.FACTS, *catalog.DIMENSIONS], catalog.CHECKS))
    yield Step("release lease", release_lease.fn, (target,))


def load_steps(target: Target, *, full_refresh: bool = False) -> Iterator[Step]:
    """Yield the loads of facts and dimensions from staging."""
    for load, tables in ((load_fact, catalog.FACTS), (load_dimension, catalog.DIMENSIONS)):
        for table in tables:
            loaded = replace(table, mode="replace") if full_refresh else table
            yield Step(f"load {table.name}", load.fn, (target, loaded))

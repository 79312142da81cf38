"""The order of a run, for all tests: the flow's steps, each retried as Prefect would."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from prefect.logging import disable_run_logger

from flows.etl import TABLES, audits_of
from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.open_batch import open_batch
from tasks.preflight import preflight
from tasks.results import StageResult
from tasks.stage import stage
from tasks.undo import undo_batch
from warehouse.errors import ChecksFailedError, is_transient
from warehouse.sources import Source
from warehouse.target import Target

RETRIES = 5


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


TOUCHED = (*catalog.HISTORY, *catalog.STAR)


def run_steps(
    target: Target, sources: Sequence[Source], *, full_refresh: bool = False, audited: bool = True
) -> Iterator[Step]:
    """Yield the steps of a run, in the flow's order."""
    sources = [] if full_refresh else sources
    yield Step("preflight", preflight.fn, (target, sources, TABLES))
    yield Step("take lease", take_lease.fn, (target,))
    batch = _Batch(audited)
    yield Step("create tables", create_tables.fn, (target, catalog.TABLES))
    yield Step("open batch", batch.open, (target,))
    for source in sources:
        yield Step(f"stage {source.table.name}", batch.stage, (target, source))
    yield from load_steps(target, full_refresh=full_refresh)
    yield Step("check", check.fn, (target, catalog.CHECKS, () if full_refresh else TOUCHED))
    yield Step("release lease", release_lease.fn, (target,))


def undo_steps(target: Target, batch: int) -> Iterator[Step]:
    """Yield the steps that take a batch back, in the flow's order."""
    yield Step("take lease", take_lease.fn, (target,))
    yield Step("undo", undo_batch.fn, (target, batch, catalog.HISTORY))
    yield from load_steps(target)
    yield Step("check", check.fn, (target, catalog.CHECKS, TOUCHED))
    yield Step("release lease", release_lease.fn, (target,))


def load_steps(target: Target, *, full_refresh: bool = False) -> Iterator[Step]:
    """Yield the loads of facts and dimensions from history."""
    for load, tables in ((load_fact, catalog.FACTS), (load_dimension, catalog.DIMENSIONS)):
        work = partial(load.fn, history=catalog.HISTORY, full_refresh=full_refresh)
        yield from (Step(f"load {table.name}", work, (target, table)) for table in tables)


class _Batch:
    """Hands the number of the batch from the step that draws it to those that stage."""

    def __init__(self, audited: bool) -> None:  # noqa: FBT001
        self.audited = audited
        self.number = 0

    def open(self, target: Target) -> None:
        self.number = open_batch.fn(target, catalog.STAR, catalog.CHECKS).batch

    def stage(self, target: Target, source: Source) -> StageResult:
        """Stage as part of the batch.

        Raises:
            ChecksFailedError: an audit failed, and the flow would end.
        """
        result = stage.fn(target, source, self.number, audits_of(source) if self.audited else ())
        if failed := [check.check for check in result.checks if check.fails_run]:
            raise ChecksFailedError(f"checks failed: {failed}")
        return result

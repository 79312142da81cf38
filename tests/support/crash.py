"""Kill a run at a chosen point, for real: SIGKILL in a forked process, between any two things it does."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.warehouses import embedded
from warehouse.duckdb.copy import DuckDBCopy
from warehouse.duckdb.dialect import Dialect

Rows = dict[str, list[tuple[Any, ...]]]

_POINTS = [(Dialect, "do_execute"), (Dialect, "do_commit"), (DuckDBCopy, "_execute")]
_fork = multiprocessing.get_context("fork")


def count_points(database: Path, *data: Path) -> int:
    """Run undisturbed, and count the points before and after everything that is sent to the database."""
    return _in_child(_count_points, database, *data)


def run_killed(database: Path, *data: Path, point: int) -> None:
    """Run until the given point, and die there."""
    child = _fork.Process(target=_run_until, args=(point, database, *data))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL, f"point {point}: exit code {child.exitcode}"


def run_whole(database: Path, *data: Path) -> Rows:
    """Run undisturbed, and return the tables."""
    return _in_child(_run_whole, database, *data)


def _run_whole(database: Path, *data: Path) -> Rows:
    embedded(database).run(*data)
    return embedded(database).contents()


def _count_points(database: Path, *data: Path) -> int:
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1

    _watch(count)
    embedded(database).run(*data)
    return passed


def _run_until(point: int, database: Path, *data: Path) -> None:
    left = point

    def count_down() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(count_down)
    embedded(database).run(*data)


def _watch(passing: Callable[[], None]) -> None:
    for owner, name in _POINTS:
        setattr(owner, name, _watched(getattr(owner, name), passing))


def _watched(method: Callable[..., Any], passing: Callable[[], None]) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        passing()
        result = method(*arguments, **options)
        passing()
        return result

    return watched


def _in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    with _fork.Pool(1) as pool:
        return pool.apply(function, arguments)

"""Really kill a run at a chosen point: SIGKILL in a forked process, between any two of its steps."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.support.warehouses import duckdb_place
from warehouse.duckdb.copy import DuckDBCopy
from warehouse.duckdb.dialect import Dialect

Rows = dict[str, list[tuple[Any, ...]]]
Returned = TypeVar("Returned")

_POINTS = [(Dialect, "do_execute"), (Dialect, "do_commit"), (DuckDBCopy, "_execute")]
_fork = multiprocessing.get_context("fork")


def count_points(database: Path, *data: Path) -> int:
    """Run undisturbed, and count the points before and after each statement that is sent to the database."""
    return _in_child(_count_points, database, *data)


def run_killed(database: Path, *data: Path, point: int) -> None:
    """Run until the given point, and get killed there."""
    child = _fork.Process(target=_run_until, args=(point, database, *data))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL, f"point {point}: exit code {child.exitcode}"


def run_whole(database: Path, *data: Path) -> Rows:
    """Run undisturbed, and return the tables."""
    return _in_child(_run_whole, database, *data)


def _run_whole(database: Path, *data: Path) -> Rows:
    duckdb_place(database).run(*data)
    return duckdb_place(database).contents()


def _count_points(database: Path, *data: Path) -> int:
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1

    _watch(count)
    duckdb_place(database).run(*data)
    return passed


def _run_until(point: int, database: Path, *data: Path) -> None:
    left = point

    def count_down() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(count_down)
    duckdb_place(database).run(*data)


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


def _in_child(function: Callable[..., Returned], *arguments: Any) -> Returned:
    with _fork.Pool(1) as pool:
        return pool.apply(function, arguments)

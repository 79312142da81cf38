"""Really end a run at a chosen point, in a forked process: by a signal or a full disk, between any two of its steps."""

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from flows import command_line
from tests.support.warehouses import duckdb_place
from warehouse.duckdb.copy import DuckDBCopy
from warehouse.duckdb.dialect import Dialect
from warehouse.duckdb.errors import explained
from warehouse.errors import PermanentError

Rows = dict[str, list[tuple[Any, ...]]]
Returned = TypeVar("Returned")

_POINTS = [(Dialect, "do_execute"), (Dialect, "do_commit"), (DuckDBCopy, "_execute")]
_ENDED = 3
_fork = multiprocessing.get_context("fork")


def count_points(database: Path, *data: Path) -> int:
    """Run undisturbed, and count the points before and after each statement that is sent to the database."""
    return _in_child(_count_points, database, *data)


def run_ended(database: Path, *data: Path, point: int, end: str) -> None:
    """Run until the given point, and end there in one of the ENDS."""
    child = _fork.Process(target=_run_until, args=(point, end, database, *data))
    child.start()
    child.join()
    assert child.exitcode == (-signal.SIGKILL if end == "SIGKILL" else _ENDED), f"point {point}: {child.exitcode}"


def _send(number: signal.Signals) -> None:
    """Send this process a signal, which the command line's own handler takes."""
    signal.signal(number, signal.SIG_DFL)  # ignored where tests run in background
    command_line._stop_on_signals()
    os.kill(os.getpid(), number)


def _fill_disk() -> None:
    with explained("w.duckdb"):
        raise duckdb.IOException(os.strerror(errno.ENOSPC))


ENDS: dict[str, Callable[[], None]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: _send(signal.SIGTERM),
    "SIGINT": lambda: _send(signal.SIGINT),
    "full disk": _fill_disk,
}


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


def _run_until(point: int, end: str, database: Path, *data: Path) -> None:
    left = point

    def count_down() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            ENDS[end]()

    _watch(count_down)
    try:
        duckdb_place(database).run(*data)
    except (KeyboardInterrupt, PermanentError):
        os._exit(_ENDED)


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

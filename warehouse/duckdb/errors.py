"""What DuckDB's errors mean that a person can do something about."""

import atexit
import errno
import gc
import os
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from warehouse.errors import PermanentError

_NO_ROOM = (*map(os.strerror, (errno.ENOSPC, errno.EDQUOT)), "max_temp_directory_size")
"""What DuckDB says where there is no room for the file, or beside it for what does not fit into memory."""


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Explain why the block could not write the database at a path.

    Raises:
        PermanentError: the disk is full, or the memory too small.
    """
    try:
        yield
    except duckdb.Error as error:
        if any(reason in str(error) for reason in _NO_ROOM):
            raise PermanentError(
                f"the disk under {path} is full. Make room on it, or name a file on another disk"
            ) from None
        if isinstance(error, duckdb.OutOfMemoryException):
            raise PermanentError(
                "DuckDB has too little memory for this, though it uses the disk too. "
                "Give the machine or the container more, or stop what else runs there"
            ) from None
        raise


@contextmanager
def without_connections() -> Iterator[None]:
    """Take DuckDB's connections out of an error that leaves the block: the frames of its traceback refer to them.

    Whoever keeps the error, as Prefect does, would keep the file open, and at the end of the process DuckDB would print
    "nanobind: leaked" and 40 lines more.
    """
    try:
        yield
    except BaseException as error:
        _clear_frames(error)
        _LEFT.append(error)
        raise


_LEFT: deque[BaseException] = deque(maxlen=100)


@atexit.register
def _clear_running_frames() -> None:
    """Clear the frames that were still running when their error left the block, and what they referred to."""
    while _LEFT:
        _clear_frames(_LEFT.pop())
    gc.collect()


def _clear_frames(error: BaseException) -> None:
    traceback.clear_frames(error.__traceback__)
    if cause := error.__cause__ or error.__context__:
        _clear_frames(cause)

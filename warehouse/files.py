"""Files to load: as a source lists them, as they are read, and how they are grouped."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source as it was listed: its URL or absolute path, and its size in bytes.

    Another `etag` or size means another version. S3 gives the etag; that of a local file is its time of modification.
    """

    url: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class File:
    """A file to load: the path of its bytes, the name that messages use, and its size in bytes."""

    path: str
    name: str
    size: int


def batches(
    items: Iterable[Item], max_size: int, size: Callable[[Item], int] = attrgetter("size")
) -> Iterator[list[Item]]:
    """Group items in order so that their sizes add up to at most `max_size`. A larger item is a batch of its own."""
    batch: list[Item] = []
    batch_size = 0
    for item in items:
        if batch and batch_size + size(item) > max_size:
            yield batch
            batch, batch_size = [], 0
        batch.append(item)
        batch_size += size(item)
    if batch:
        yield batch

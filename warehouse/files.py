"""Files to load, and how many at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class File:
    """A file to load: where its bytes are, and the name it is known by."""

    path: str
    name: str
    size: int


def batches(
    items: Iterable[Item], max_size: int, size: Callable[[Item], int] = attrgetter("size")
) -> Iterator[list[Item]]:
    """Group files, or what else has a size, in order, so that no group of several is over `max_size`."""
    batch: list[Item] = []
    held = 0
    for item in items:
        if batch and held + size(item) > max_size:
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size(item)
    if batch:
        yield batch

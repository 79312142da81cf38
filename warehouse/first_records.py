"""A look at the first records of a source: whether the sources are swapped, and whether keys came or went."""

import json
import zlib
from collections.abc import Callable, Sequence

from warehouse.errors import CopyError
from warehouse.jsonpaths import paths_of, read_local
from warehouse.sources import Compression, Source

BEGINNING_BYTES = 64 << 10

ReadBeginning = Callable[[str], bytes]
"""Returns up to BEGINNING_BYTES of a file or an object."""


def refuse_swapped(source: Source, sources: Sequence[Source], names: Sequence[str], read: ReadBeginning) -> str:
    """Look at the first record of a few files: the first, the last, and one between them.

    Raises:
        CopyError: each of them has keys of another source's table, and none of this one's.
    """
    sample = _sample(names)
    found = {_table_of(_first_record(read(name), source.compression), source, sources) for name in sample}
    if source.table.name in found or len(found) != 1:
        return f"those looked at are not another source's ({len(sample):,} of {len(names):,} files)"
    raise CopyError(
        f"{sample[0]} has the keys of {found.pop()}, and none of {source.table.name}. Swap the sources, or name another"
    )


def unexpected_keys(source: Source, names: Sequence[str], read: ReadBeginning) -> list[dict[str, str]]:
    """Return the few files looked at whose first record has keys that no column reads, or that lack keys of columns.

    COPY says nothing of either. A key counts as missing if none of the files has it.
    """
    own = _keys(source)
    records = {name: _first_record(read(name), source.compression) for name in _sample(names)}
    records = {name: record for name, record in records.items() if record}
    if not own or not records:
        return []
    missing = ", ".join(sorted(own.difference(*records.values())))
    found = {name: ", ".join(sorted(record - own)) for name, record in records.items()}
    return [{"file": name, "unread": keys, "missing": missing} for name, keys in found.items() if keys or missing]


def _sample(names: Sequence[str]) -> list[str]:
    """Return the first, the last, and one between them."""
    if not names:
        return []
    return list(dict.fromkeys(names[place] for place in (0, len(names) // 2, -1)))


def _table_of(record: frozenset[str], source: Source, sources: Sequence[Source]) -> str:
    """Return the table whose keys a record has: the source's own if it has any of them, or none of any other's."""
    own = _keys(source)
    others = {other.table.name: len(record & _keys(other)) for other in sources}
    best = max(others, key=lambda name: others[name])
    return best if own and not record & own and others[best] else source.table.name


def _keys(source: Source) -> frozenset[str]:
    """Return the keys that the table's own JSONPaths lead to; none if it is loaded by others."""
    if source.jsonpaths:
        return frozenset()
    paths = paths_of(source.table.columns, str(source.table.jsonpaths or ""), source.table.name, read_local)
    return frozenset(str(path[0]) for path in paths.values())


def _first_record(beginning: bytes, compression: Compression) -> frozenset[str]:
    """Return the keys of the record that a file begins with; none if it is no object, or larger than what was read."""
    try:
        if compression == "gzip":
            beginning = zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(beginning, BEGINNING_BYTES)
        record, _ = json.JSONDecoder().raw_decode(beginning.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError, zlib.error):
        return frozenset()
    return frozenset(record) if isinstance(record, dict) else frozenset()

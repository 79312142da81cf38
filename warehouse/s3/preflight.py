"""What the preflight finds of a source's objects in S3."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.filesize import decimal

from warehouse.errors import CopyError
from warehouse.preflight import Finding, look
from warehouse.s3.client import S3, Object
from warehouse.sources import Source

_NAMED_NEIGHBOURS = 3
_COMPRESSED = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".lzo": "lzop"}


def object_findings(s3: S3, source: Source, *, may_be_barred: bool = False) -> Iterator[Finding]:
    """Look at the objects that would be loaded; S3 may bar the worker where COPY reads with a role of its own."""
    name = source.table.name
    objects: list[Object] = []

    def found() -> str:
        objects.extend(s3.objects(source.location))
        return _summary(source, objects)

    yield look(f"{name} objects", found, may_be_barred=may_be_barred)
    if objects:
        yield look(f"{name} prefix", lambda: _neighbours(source, objects))
        yield look(f"{name} compression", lambda: _compression(source, objects))


def _summary(source: Source, objects: list[Object]) -> str:
    newest = max(each.modified for each in objects)
    size = decimal(sum(each.size for each in objects))
    return f"{len(objects):,} under {source.location}, {size}, the newest {_age(newest)} old"


def _neighbours(source: Source, objects: list[Object]) -> str:
    """A prefix is no directory: without its slash, whatever begins alike is loaded too.

    Raises:
        CopyError: there is something that does.
    """
    prefix = source.location
    neighbours = sorted({_top(each, prefix) for each in objects} - {prefix})
    meant = {prefix + "/"}
    if prefix.endswith("/") or len(neighbours) <= 1 or not set(neighbours) - meant:
        return f"{prefix} matches nothing but what it names"
    others = [name for name in neighbours if name not in meant]
    more = f" and {len(others) - _NAMED_NEIGHBOURS} more" if len(others) > _NAMED_NEIGHBOURS else ""
    raise CopyError(
        f"{prefix} also matches {', '.join(others[:_NAMED_NEIGHBOURS])}{more}: end it with / to load "
        "only what lies under it"
    )


def _compression(source: Source, objects: list[Object]) -> str:
    """
    Raises:
        CopyError: the keys' endings disagree with the compression, or with each other.
    """
    kinds = {_compression_of(each): each.url for each in objects if each.size}
    wrong = {kind: url for kind, url in kinds.items() if kind != source.compression}
    if wrong:
        told = ", ".join(f"{url} looks like {kind}" for kind, url in sorted(wrong.items()))
        raise CopyError(
            f"said to be {source.compression}, but {told}: COPY infers nothing from names, and takes one kind at a time"
        )
    return f"{source.compression}, as the keys end"


def _top(found: Object, prefix: str) -> str:
    """Return a key's beginning: up to the first slash after the prefix."""
    rest = found.url[len(prefix) :]
    return prefix + rest[: rest.index("/") + 1] if "/" in rest else found.url


def _compression_of(found: Object) -> str:
    return next((kind for ending, kind in _COMPRESSED.items() if found.url.endswith(ending)), "none")


def _age(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600), int(seconds // 60)
    return f"{days} days" if days > 1 else f"{hours} hours" if hours > 1 else f"{minutes} minutes"

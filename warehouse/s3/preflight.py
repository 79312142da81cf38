"""What a preflight checks about a source's objects in S3."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.filesize import decimal

from warehouse.errors import CopyError
from warehouse.files import SourceFile
from warehouse.first_records import BEGINNING_BYTES, refuse_swapped
from warehouse.preflight import Finding, probe
from warehouse.s3.client import S3
from warehouse.sources import Source

_NAMED_NEIGHBOURS = 3
_COMPRESSED = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".lzo": "lzop"}


def object_findings(
    s3: S3, source: Source, sources: Sequence[Source], *, may_be_denied: bool = False
) -> Iterator[Finding]:
    """Check the objects that would be loaded from one of the sources.

    The worker lists them to tell what is new. It `may_be_denied` to read them where COPY has a role of its own.
    """
    name = source.table.name
    objects: list[SourceFile] = []

    def list_objects() -> str:
        objects.extend(s3.objects(source.location))
        return _summary(source, objects)

    yield probe(f"{name} objects", list_objects)
    if objects:
        yield probe(f"{name} prefix", lambda: _neighbours(source, objects))
        yield probe(f"{name} compression", lambda: _compression(source, objects))
    if filled := [each.url for each in objects if each.size]:
        records = partial(refuse_swapped, source, sources, filled, partial(s3.read, first_bytes=BEGINNING_BYTES))
        yield probe(f"{name} records", records, may_be_denied=may_be_denied)


def _summary(source: Source, objects: list[SourceFile]) -> str:
    newest = max(each.modified for each in objects)
    size = decimal(sum(each.size for each in objects))
    return f"{len(objects):,} under {source.location}, {size}, the newest {_age(newest)} old"


def _neighbours(source: Source, objects: list[SourceFile]) -> str:
    """Check that the prefix matches no more than it should: without a final slash it also matches longer names.

    Raises:
        CopyError: it does match others.
    """
    prefix = source.location
    neighbours = sorted({_top(each, prefix) for each in objects} - {prefix})
    meant = {prefix + "/"}
    if prefix.endswith("/") or len(neighbours) <= 1 or not set(neighbours) - meant:
        return f"{prefix} matches no other names"
    others = [name for name in neighbours if name not in meant]
    more = f" and {len(others) - _NAMED_NEIGHBOURS} more" if len(others) > _NAMED_NEIGHBOURS else ""
    raise CopyError(
        f"{prefix} also matches {', '.join(others[:_NAMED_NEIGHBOURS])}{more}. End it with / to load "
        "only what is under it"
    )


def _compression(source: Source, objects: list[SourceFile]) -> str:
    """Check the compression against the keys' endings.

    Raises:
        CopyError: the endings disagree with the compression, or with each other.
    """
    kinds = {_compression_of(each): each.url for each in objects if each.size}
    wrong = {kind: url for kind, url in kinds.items() if kind != source.compression}
    if wrong:
        others = ", ".join(f"{url} looks like {kind}" for kind, url in sorted(wrong.items()))
        raise CopyError(
            f"set to {source.compression}, but {others}. COPY does not infer compression from names, and takes one "
            "kind at a time. Set --compression, or separate the kinds"
        )
    return f"{source.compression}, in line with the keys' endings"


def _top(each: SourceFile, prefix: str) -> str:
    """Return the start of an object's URL, up to the first slash after the prefix."""
    rest = each.url[len(prefix) :]
    return prefix + rest[: rest.index("/") + 1] if "/" in rest else each.url


def _compression_of(each: SourceFile) -> str:
    return next((kind for ending, kind in _COMPRESSED.items() if each.url.endswith(ending)), "none")


def _age(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600), int(seconds // 60)
    return f"{days} days" if days > 1 else f"{hours} hours" if hours > 1 else f"{minutes} minutes"

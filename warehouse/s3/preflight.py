"""What is found of the sources in S3 before they are loaded."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, partial

from rich.filesize import decimal

from warehouse.sources import Source
from warehouse.redshift.copy_statement import jsonpaths_url
from warehouse.errors import CopyError
from warehouse.preflight import Finding, look
from warehouse.jsonpaths import read_jsonpaths
from warehouse.s3.client import S3, Object

_NAMED_NEIGHBOURS = 3
_COMPRESSED = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".lzo": "lzop"}


class Sources:
    """The sources of a run, as they lie in S3."""

    def __init__(self, s3: S3, sources: list[Source], *, may_be_barred: bool = False) -> None:
        """Look as an S3 lets one, which may bar the worker where COPY reads with a role of its own."""
        self.s3 = s3
        self.sources = sources
        self.look = partial(look, may_be_barred=may_be_barred)
        self.list = cache(s3.list)

    def objects(self) -> Iterator[Finding]:
        """Look at the objects that would be loaded."""
        for source in self.sources:
            name = source.table.name
            objects = self.look(f"{name} objects", partial(self._objects, copy))
            yield objects
            if objects.result == "passed":
                yield self.look(f"{name} prefix", partial(self._neighbours, copy))
                yield self.look(f"{name} compression", partial(self._compression, copy))

    def surroundings(self) -> Iterator[Finding]:
        """Look at what else Redshift's COPY needs: the JSONPaths files, and the buckets' regions."""
        for source in self.sources:
            name = source.table.name
            if source.table.jsonpaths:
                yield self.look(f"{name} JSONPaths", partial(self._jsonpaths, copy))
            yield self.look(f"{name} region", partial(self._region, copy))

    def _objects(self, source: Source) -> str:
        objects = self.list(source.location)
        newest = max(found.modified for found in objects)
        return (
            f"{len(objects):,} under {source.location}, {decimal(sum(found.size for found in objects))}, "
            f"the newest {_age(newest)} old"
        )

    def _neighbours(self, source: Source) -> str:
        """A prefix is no directory: without its slash, whatever begins alike is loaded too.

        Raises:
            CopyError: there is something that does.
        """
        neighbours = sorted({_top(found, source.location) for found in self.list(source.location)} - {source.location})
        meant = {source.location + "/"}
        if source.location.endswith("/") or len(neighbours) <= 1 or not set(neighbours) - meant:
            return f"{source.location} matches nothing but what it names"
        others = [name for name in neighbours if name not in meant]
        more = f" and {len(others) - _NAMED_NEIGHBOURS} more" if len(others) > _NAMED_NEIGHBOURS else ""
        raise CopyError(
            f"{source.location} also matches {', '.join(others[:_NAMED_NEIGHBOURS])}{more}: end it with / to load "
            "only what lies under it"
        )

    def _compression(self, source: Source) -> str:
        """
        Raises:
            CopyError: the keys' endings disagree with the compression, or with each other.
        """
        kinds = {_compression_of(found): found.url for found in self.list(source.location) if found.size}
        said = source.compression
        wrong = {kind: url for kind, url in kinds.items() if kind != said}
        if wrong:
            told = ", ".join(f"{url} looks like {kind}" for kind, url in sorted(wrong.items()))
            raise CopyError(
                f"said to be {said}, but {told}: COPY infers nothing from names, and takes one kind at a time"
            )
        return f"{said}, as the keys end"

    def _jsonpaths(self, source: Source) -> str:
        """
        Raises:
            CopyError: the file cannot be read, does not fit the table, or would itself be loaded.
        """
        url = jsonpaths_url(copy) or ""
        names = [column.name for column in source.table.columns]
        paths = read_jsonpaths(url, len(names), source.table.name, self.s3.read)
        if url.startswith(source.location):
            raise CopyError(f"{url} lies under {source.location}, so it would be loaded as data: move it elsewhere")
        keys = [_snake_case(str(path[-1])) for path in paths]
        if keys != names and sorted(keys) == sorted(names):
            place, key, name = next((n, k, c) for n, (k, c) in enumerate(zip(keys, names, strict=True), 1) if k != c)
            raise CopyError(
                f"{url}: path {place} leads to {key}, where the table's column is {name}: put them in order"
            )
        return f"{url} has one path for each of the {len(names)} columns"

    def _region(self, source: Source) -> str:
        """
        Raises:
            CopyError: the bucket is not in the region that COPY is told.
        """
        bucket = source.location.split("/")[2]
        region = self.s3.bucket_region(bucket)
        if self.s3.region and self.s3.region != region:
            raise CopyError(
                f"bucket {bucket} is in {region}, and COPY would be told {self.s3.region}: "
                "set the AWS Credentials block's region_name to the bucket's"
            )
        told = "as COPY is told" if self.s3.region else "and COPY is told none: it has to be the cluster's own"
        return f"bucket {bucket} is in {region}, {told}"


def _top(found: Object, source: str) -> str:
    """Return a key's beginning: up to the first slash after the source's end."""
    rest = found.url[len(source) :]
    return source + rest[: rest.index("/") + 1] if "/" in rest else found.url


def _compression_of(found: Object) -> str:
    return next((kind for ending, kind in _COMPRESSED.items() if found.url.endswith(ending)), "none")


def _snake_case(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _age(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600), int(seconds // 60)
    return f"{days} days" if days > 1 else f"{hours} hours" if hours > 1 else f"{minutes} minutes"

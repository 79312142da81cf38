"""What a preflight checks about a source's files on this machine."""

from collections.abc import Iterator, Sequence
from functools import partial

from rich.filesize import decimal

from warehouse.duckdb.files import list_files, read_beginning
from warehouse.files import SourceFile
from warehouse.first_records import refuse_swapped
from warehouse.preflight import Finding, probe
from warehouse.sources import Source


def file_findings(source: Source, sources: Sequence[Source]) -> Iterator[Finding]:
    """Check the files that would be loaded from one of the sources."""
    name = source.table.name
    files: list[SourceFile] = []

    def count_files() -> str:
        files.extend(list_files(source.location))
        return f"{len(files):,} under {source.location}, {decimal(sum(file.size for file in files))}"

    yield probe(f"{name} files", count_files)
    if filled := [file.url for file in files if file.size]:
        yield probe(f"{name} records", partial(refuse_swapped, source, sources, filled, read_beginning))

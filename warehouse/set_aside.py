"""Finds the files of a source that have too many rejects, so that the others can be loaded."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, text

from warehouse.base import Warehouse
from warehouse.sources import MOST_REJECTS, Arrivals, Progress, Source
from warehouse.wording import counted

_REASON_CHARACTERS = 500


def bad_files(warehouse: Warehouse, source: Source, arrivals: Arrivals, progress: Progress) -> dict[str, str]:
    """Return the URL of each file with more rejects than `max_errors` allows, and why it cannot be loaded.

    A COPY that takes any number of rejects is tried, and rolled back: one that fails names only the first.

    Raises:
        CopyError: there are more rejects than COPY takes, or a file cannot be read.
    """
    with warehouse.task() as connection:
        warehouse.copy(connection, replace(source, max_errors=MOST_REJECTS), arrivals, progress)
        bad = _over_limit(warehouse, connection, source, arrivals)
        connection.rollback()
    return bad


def _over_limit(warehouse: Warehouse, connection: Connection, source: Source, arrivals: Arrivals) -> dict[str, str]:
    query = text("""\
select
    file,
    line,
    message,
    count(*) over (partition by file) as rejects,
    row_number() over (partition by file order by line) as place
from load_errors
where batch_id = :batch and load = :load""")
    rows = connection.execute(query, {"batch": arrivals.batch, "load": source.table.name})
    urls = {warehouse.name_of(source, file): file.url for file in arrivals.files}
    return {
        urls[row.file]: _reason(row, source.max_errors)
        for row in rows
        if row.place == 1 and row.rejects > source.max_errors and row.file in urls
    }


def _reason(first: Any, allowed: int) -> str:
    count = counted(first.rejects, "record")
    return f"{count} rejected, max_errors allows {allowed:,}. Line {first.line}: {first.message}"[:_REASON_CHARACTERS]

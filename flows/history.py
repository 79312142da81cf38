"""Shows what was loaded: batches, days, and files.

Run it with `python -m flows.history`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.history:history")

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table as Grid

from flows.artifacts import about_target, artifact_key
from flows.escape import escape_cell, escape_control, escape_markdown
from flows.parameters import Count, SchemaName, WarehouseName
from flows.run_names import named
from flows.terminal import terminal
from sql import catalog
from tasks.look import look
from warehouse.days import day_of
from warehouse.errors import PermanentError
from warehouse.ledger import DISMISSED
from warehouse.questions import Row
from warehouse.target import Target
from warehouse.wording import counted

_FEW = 3
"""A day has few plays if the others of its weekday have three times as many in the middle, and are three or more."""


@dataclass(frozen=True)
class Listing:
    """Rows by title, for people or for programs."""

    tables: dict[str, list[Row]]
    target: Target
    as_json: bool = False

    def publish(self) -> None:
        """Keep each table as an artifact of the run."""
        for title, rows in self.tables.items():
            cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
            description = f"History: {title}\n\n{escape_markdown(f'Of {about_target(self.target)}.')}"
            create_table_artifact(cells, key=artifact_key(f"history {title}", self.target), description=description)

    def show(self) -> None:
        """Print the tables."""
        if self.as_json:
            print(json.dumps(self.tables, default=str, indent=2))
            return
        console = terminal()
        for title, rows in self.tables.items():
            console.print(_grid(rows) if rows else f"no {title}", markup=False)


@flow(name="sparkify-history", flow_run_name=named("history of {schema} in {warehouse}"))
def history(
    *,
    batch: Count = 0,
    file: str = "",
    as_json: bool = False,
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
) -> Listing:
    """Show the batches that were loaded, and the days that they have events of. Changes nothing.

    Args:
        batch: Show the files of this batch instead.
        file: Show the versions of this file instead, named by its URL or the end of it.
        as_json: Print JSON, for programs.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables.
    """
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}")
    if batch or file:
        listing = Listing({"files": _files(target, batch, file)}, target, as_json)
    else:
        batches, days, files = (
            look(target, catalog.OVERVIEW[name], "batches") for name in ("batches", "days", "files")
        )
        listing = Listing({"batches": batches, "days": calendar(days, files)}, target, as_json)
    listing.publish()
    return listing


def _files(target: Target, batch: int, file: str) -> list[Row]:
    """
    Raises:
        PermanentError: there are none.
    """
    rows = look(target, catalog.OVERVIEW["files"], "batches")
    found = [row for row in rows if batch in (0, row["batch_id"]) and str(row["url"]).endswith(file)]
    if not found:
        what = f"batch {batch}" if batch else f"file {file}"
        raise PermanentError(f"{what}: loaded no such file. `python -m flows.history` lists the batches")
    return found


def calendar(days: list[Row], files: list[Row]) -> list[Row]:
    """Return a row for every day from the first to the last.

    Notes which have no events, few plays, or files that are set aside: of `files`, all versions, the newest come first.
    """
    newest = {row["url"]: row for row in reversed(files)}
    aside = Counter(day_of(url) for url, row in newest.items() if row["set_aside"] not in (None, DISMISSED))
    known = {row["day"]: row for row in days}
    calendar = []
    day = min(known, default=None)
    while day and day <= max(known):
        row = known.get(day, {"day": day, "events": 0, "plays": 0})
        others = [r["plays"] for d, r in known.items() if d != day and d.weekday() == day.weekday()]
        note = _note(row, others, aside[day.date()])
        calendar.append({"day": f"{day:%Y-%m-%d}", "weekday": f"{day:%a}", **_counts(row), "note": note})
        day += timedelta(days=1)
    return calendar


def _counts(row: Row) -> Row:
    return {name: row[name] for name in ("events", "plays")}


def _note(row: Row, others: list[int], set_aside: int) -> str:
    notes = [f"{counted(set_aside, 'file')} set aside"] if set_aside else []
    if not row["events"]:
        notes.append("no events")
    elif len(others) >= _FEW and row["plays"] * _FEW < median(others):
        notes.append(f"few plays: {median(others):,.0f} is usual on this weekday")
    return "; ".join(notes)


def _grid(rows: list[Row]) -> Grid:
    grid = Grid(box=SIMPLE_HEAD)
    for name, value in rows[0].items():
        grid.add_column(name.replace("_", " "), justify="right" if isinstance(value, int) else "left")
    for row in rows:
        grid.add_row(*(escape(escape_control(_text(value))) for value in row.values()))
    return grid


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _cell(value: object) -> object:
    return value if isinstance(value, int | float | None) else escape_cell(_text(value))

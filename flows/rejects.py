"""Shows why records were rejected: reasons with counts and an example, and files.

Run it with `python -m flows.rejects`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.rejects:rejects")

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.history import Listing
from flows.parameters import Count, SchemaName, WarehouseName
from flows.run_names import named
from sql import catalog
from tasks.look import look
from warehouse.questions import Row
from warehouse.target import Target

_SHOWN_CHARACTERS = 100


@flow(name="sparkify-rejects", flow_run_name=named("rejects of {schema} in {warehouse}"))
def rejects(
    *,
    batch: Count = 0,
    as_json: bool = False,
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
) -> Listing:
    """Show why records were rejected, with an example of each reason, and in which files they are. Changes nothing.

    The table load_errors has each record.

    Args:
        batch: Show the rejects of this batch only.
        as_json: Print JSON, for programs, with whole records.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables.
    """
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}")
    tables = {"rejects": "rejects", "rejected-files": "rejected_files"}
    found = {title: look(target, catalog.OVERVIEW[name], "load_errors") for title, name in tables.items()}
    chosen = {title: [row for row in rows if batch in (0, row["batch_id"])] for title, rows in found.items()}
    listing = Listing({title: [_row(row, as_json) for row in rows] for title, rows in chosen.items()}, target, as_json)
    listing.publish()
    return listing


def _row(row: Row, whole: bool) -> Row:  # noqa: FBT001
    """Return a row, with what is too long to be read in a table cut off unless it is wanted whole."""
    return row if whole else {name: _cut(value) for name, value in row.items()}


def _cut(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > _SHOWN_CHARACTERS
    return f"{value[:_SHOWN_CHARACTERS]}..." if is_long else value

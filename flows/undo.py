"""Takes a batch back: its records leave history, and the star schema becomes what the others give.

Run it with `python -m flows.undo --batch N`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.undo:undo")

import sys

from prefect import flow
from prefect.runtime import flow_run

from flows.etl import load_star, where_to_look
from flows.parameters import Count, Number, SchemaName, SourceName, WarehouseName
from flows.run_names import named
from flows.summary import Summary
from sql import catalog
from tasks.lease import lease
from tasks.look import look
from tasks.undo import undo_batch
from warehouse.errors import PermanentError
from warehouse.questions import Row
from warehouse.target import Target
from warehouse.wording import counted


@flow(name="sparkify-undo", flow_run_name=named("undo batch {batch} of {schema} in {warehouse}"))
def undo(
    batch: Number,
    *,
    source: SourceName = "",
    yes: bool = False,
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
    statement_timeout: Count = 0,
) -> Summary:
    """Take a batch back. Shows what goes, and asks on a terminal.

    Its files are not loaded again until they change. What earlier batches delivered of its plays counts again.

    Args:
        batch: Number of the batch, as `python -m flows.history` shows it.
        source: Take back only what the batch loaded from this source. By default both.
        yes: Do not ask. Needed where nobody can be asked.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables.
        statement_timeout: Seconds after which a single statement is cancelled. 0: no limit.
    """
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}", statement_timeout)
    batches = look(target, catalog.OVERVIEW["batches"], "batches")
    parts = parts_of(batches, batch, source)
    if not yes:
        _ask(parts)
    with lease(target, after=batches) as taken_at:
        sources = {part["source"] for part in parts}
        history = [table for table in catalog.HISTORY if table.source in sources]
        undone = undo_batch(target, batch, history, wait_for=[taken_at])
        tables, checks = load_star(target, after=undone)
    return Summary(target, [], tables, checks, where_to_look(target)).published()


def parts_of(batches: list[Row], batch: int, source: SourceName) -> list[Row]:
    """Return what there is to take back: the rows of a batch among those of all batches.

    Raises:
        PermanentError: there is no such batch, it has nothing of the source, or it was undone already.
    """
    found = [row for row in batches if row["batch_id"] == batch]
    if not found:
        newest = f"The newest is {batches[0]['batch_id']}" if batches else "Nothing was loaded yet"
        raise PermanentError(f"batch {batch}: does not exist. {newest}")
    parts = [row for row in found if source in ("", row["source"])]
    if not parts:
        raise PermanentError(f"batch {batch}: has nothing of {source}. Name {found[0]['source']}, or no source")
    loaded = [row for row in parts if row["status"] == "loaded"]
    if not loaded:
        raise PermanentError(f"batch {batch}: was undone already. Its files are loaded again when they change")
    return loaded


def describe(part: Row) -> str:
    """Say what goes."""
    counts = [counted(part["files"], "file"), counted(part["records"], "record")]
    text = f"batch {part['batch_id']}, {part['source']}: {', '.join(counts)}"
    if part["plays"]:
        text += f", {counted(part['plays'], 'play')}"
        if part["first_play"]:
            text += f" from {part['first_play']:%Y-%m-%d} to {part['last_play']:%Y-%m-%d}"
    if part["delivered_again"]:
        text += f"; {part['delivered_again']:,} of these came in other batches too, and will be as they were there"
    if part["replaced_since"]:
        text += f"; it replaced {part['replaced_since']} to {part['replaced_until']}, which will have none of its plays"
    return text


def _ask(parts: list[Row]) -> None:
    """Show what goes, and ask whether it should.

    Raises:
        PermanentError: nobody can be asked, or the answer is not yes.
    """
    lines = "\n".join(f"  {describe(part)}" for part in parts)
    if not sys.stdin.isatty():
        raise PermanentError(f"undo: would take back\n{lines}\nNothing was changed. Add --yes to do it")
    if input(f"This takes back\n{lines}\nGo on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise PermanentError("undo: nothing was changed. Answer y to take the batch back")

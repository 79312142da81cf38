"""A run's tasks without Prefect, and what they left."""

from pathlib import Path
from typing import Any

import duckdb
from prefect.logging import disable_run_logger

from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.report import CheckReport
from tasks.stage import stage
from warehouse.base import Target
from warehouse.copy import Copy

LOADED = ("songplays", "users", "songs", "artists", "time")


def run_tasks(
    database: Path, log_data: Path, song_data: Path, *, max_errors: int = 0, full_refresh: bool = False
) -> list[CheckReport]:
    """Run what the flow runs, in its order, as plain functions."""
    target = Target(f"duckdb:///{database}", "sparkify", "test run")
    with disable_run_logger():
        take_lease.fn(target)
        create_tables.fn(target, list(catalog.TABLES))
        stage.fn(target, Copy(catalog.STAGING_EVENTS, str(log_data), max_errors=max_errors))
        stage.fn(target, Copy(catalog.STAGING_SONGS, str(song_data), max_errors=max_errors))
        for load, tables in ((load_fact, catalog.FACTS), (load_dimension, catalog.DIMENSIONS)):
            for table in tables:
                load.fn(target, table, "replace" if full_refresh else table.mode)
        checks = check.fn(target, list(catalog.TABLES), list(catalog.CHECKS))
        release_lease.fn(target)
    return checks


def contents(database: Path, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the sorted rows of tables; of the loaded ones where none is named."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {name: connection.execute(f"from sparkify.{name} order by all").fetchall() for name in tables or LOADED}

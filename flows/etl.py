"""Sparkify's pipeline: stage the logs and the catalogue, load the star schema, check it.

Run it with `python -m flows.etl`.
"""

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import flow
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.command_line import run_command
from flows.generate import generate
from flows.summary import Summary
from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.report import TableReport
from tasks.stage import stage
from warehouse.base import Target
from warehouse.connect import refuse_url
from warehouse.copy import Compression, Copy
from warehouse.errors import PermanentError
from warehouse.local import URL_PREFIX
from warehouse.tables import Mode, Table

SAMPLE = Path("data")

# Pydantic's remark on a parameter that bears the name of an old method of its models; it does no harm.
warnings.filterwarnings("ignore", message='Field name "schema" in "EtlModel" shadows', category=UserWarning)


@flow(name="sparkify-etl")
def etl(
    log_data: str | None = None,
    song_data: str | None = None,
    *,
    log_jsonpaths: str | None = None,
    warehouse: Annotated[str, Parameter(validator=lambda _, name: refuse_url(name))] = "duckdb:///sparkify.duckdb",
    schema: str = "public",
    aws_credentials: str | None = None,
    copy_role: str | None = None,
    compression: Compression | None = None,
    max_errors: Annotated[int, Field(ge=0, lt=100_000)] = 0,
    full_refresh: bool = False,
    statement_timeout: Annotated[int, Field(ge=0)] = 0,
) -> Summary:
    """Load Sparkify's event logs and song catalogue into the star schema, and check it.

    Safe to run again at any time: the same data leads to the same tables.

    Args:
        log_data: Event logs: a directory, a file or an s3:// prefix. A sample is generated where no data is given.
        song_data: Song catalogue: a directory, a file or an s3:// prefix.
        log_jsonpaths: JSONPaths file that maps event keys to columns. The project's own unless given; on Redshift
            log_json_path.json at the root of the logs' bucket.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables. Created if it is missing.
        aws_credentials: Name of an AWS Credentials block that may read the s3:// prefixes.
        copy_role: Redshift only: the IAM role that COPY reads with, `default` or an ARN. Wins over keys.
        compression: Compression of the files under both prefixes: none unless given.
        max_errors: Rows of each source that may be rejected, and kept in load_errors, before its load fails.
        full_refresh: Replace the fact and all dimensions by this run's data. History that is not in it goes.
        statement_timeout: Seconds after which a single statement is cancelled. 0: never.
    """
    log_data, song_data = _sources(log_data, song_data)
    copies = [
        Copy(catalog.STAGING_EVENTS, log_data, log_jsonpaths, max_errors, compression),
        Copy(catalog.STAGING_SONGS, song_data, None, max_errors, compression),
    ]
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}", statement_timeout, aws_credentials, copy_role)
    take_lease(target)
    try:
        summary = load_and_check(target, copies, full_refresh=full_refresh)
    finally:
        release_lease(target, return_state=True)
    summary.publish()
    summary.raise_for_checks()
    return summary


def load_and_check(target: Target, copies: list[Copy], *, full_refresh: bool) -> Summary:
    """Run the tasks, those that do not need each other side by side."""
    create_tables(target, list(catalog.TABLES))
    staged = _results([stage.submit(target, copy) for copy in copies])
    facts = [load_fact(target, table, _mode(table, full_refresh=full_refresh)) for table in catalog.FACTS]
    dimensions = _results(
        [load_dimension.submit(target, table, _mode(table, full_refresh=full_refresh)) for table in catalog.DIMENSIONS]
    )
    checks = check(target, list(catalog.TABLES), list(catalog.CHECKS))
    return Summary([*staged, *facts, *dimensions], checks, _where_to_look(target))


def _sources(log_data: str | None, song_data: str | None) -> tuple[str, str]:
    if log_data and song_data:
        return log_data, song_data
    if log_data or song_data:
        missing = "song_data" if log_data else "log_data"
        raise PermanentError(f"{missing} is missing: name both sources, or neither to run on a generated sample")
    logger = get_run_logger()
    if SAMPLE.exists():
        logger.info("no data given: running on the sample in %s/", SAMPLE)
    else:
        logger.info("no data given: generating a sample in %s/", SAMPLE)
        generate(out=SAMPLE)
    return str(SAMPLE / "log_data"), str(SAMPLE / "song_data")


def _mode(table: Table, *, full_refresh: bool) -> Mode:
    return "replace" if full_refresh else table.mode


def _results(futures: list[PrefectFuture[TableReport]]) -> list[TableReport]:
    wait(futures)
    return [future.result() for future in futures]


def _where_to_look(target: Target) -> str:
    query = f"select level, count(*) as plays from {target.schema}.songplays group by level"
    if not target.warehouse.startswith(URL_PREFIX):
        return f"The tables are in {target.warehouse}, schema {target.schema}. Try: {query}"
    file = target.warehouse.removeprefix(URL_PREFIX)
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    command = f"import duckdb; duckdb.connect('{file}').sql('{query}').show()"
    return f'The tables are in {file}. Try:\n  {python} -c "{command}"'


if __name__ == "__main__":
    run_command(etl)

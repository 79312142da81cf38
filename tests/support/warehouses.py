"""The warehouses that tests load into: DuckDB in a file, and Redshift's stand-in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from prefect_aws import AwsCredentials
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from sqlalchemy import Connection

from flows.etl import sources_of
from sql import catalog
from tasks.results import CheckResult, StageResult
from tasks.stage import stage
from tests.standin import Standin
from tests.support.steps import Step, load_steps, run_steps
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.ledger import open_batch
from warehouse.sources import Source
from warehouse.tables import Table
from warehouse.target import Target

SCHEMA = "sparkify"
BUCKET = "s3://sparkify-test"
WAREHOUSE, CREDENTIALS = "sparkify-redshift", "sparkify-aws"
JSONPATHS = Path(str(catalog.STAGING_EVENTS.jsonpaths))
LOADED = ("songplays", "users", "songs", "artists", "time")

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A warehouse, and how to put files where it reads them."""

    target: Target
    put: Callable[[Path], str] = str

    def run(
        self, log_data: Path, song_data: Path, *, max_errors: int = 0, full_refresh: bool = False, audited: bool = True
    ) -> list[CheckResult]:
        """Run the flow's steps as plain functions, in order. Return the results of the checks."""
        sources = sources_of(self.put(log_data), self.put(song_data), max_errors=max_errors)
        steps = run_steps(self.target, sources, full_refresh=full_refresh, audited=audited)
        results = {step.name: step.run(0) for step in steps}
        checks: list[CheckResult] = results["check"]
        return checks

    def steps(self, sources: Sequence[Source], *, full_refresh: bool = False) -> list[Step]:
        """Return the flow's steps, in order."""
        return list(run_steps(self.target, sources, full_refresh=full_refresh))

    def load(self) -> None:
        """Load facts and dimensions from history, for the run that holds the lease."""
        for step in load_steps(self.target):
            step.run(0)

    def contents(self, *tables: str) -> dict[str, Rows]:
        """Return the sorted rows of tables, by default of the loaded ones."""
        with open_warehouse(self.target).engine.connect() as connection:
            return {
                name: sorted(select(connection, f"select * from {self.target.schema}.{name}"), key=repr)
                for name in tables or LOADED
            }

    def session(self, holder: str = "test run") -> "Session":
        """Open a session as a run that takes the lease."""
        return Session(replace(self.target, holder=holder))


class Session:
    """Runs statements as tasks of a run that holds the lease."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.warehouse = open_warehouse(target)
        self.warehouse.take_lease()

    def run(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self.warehouse.task() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> Rows:
        """Return the rows of a query."""
        with self.warehouse.task() as connection:
            return select(connection, query)

    def one(self, expression: str) -> Any:
        """Return the value of an expression."""
        return self.rows(f"select {expression}")[0][0]


def stage_next(target: Target, source: Source) -> StageResult:
    """Stage the new files of a source as a batch of their own."""
    with disable_run_logger():
        with open_warehouse(target).task() as connection:
            batch = open_batch(connection, (), ()).batch
        return stage.fn(target, source, batch, catalog.AUDITS.get(source.table, ()))


def select(connection: Connection, query: str) -> Rows:
    """Return the rows of a query in an open transaction."""
    return [tuple(row) for row in connection.exec_driver_sql(query)]


def declared(table: str) -> Table:
    """Return a table's entry in the catalogue."""
    return next(line for line in catalog.TABLES if line.name == table)


def duckdb_place(database: Path, schema: str = SCHEMA) -> Place:
    """Return a DuckDB file as a place to load into."""
    return Place(Target(f"duckdb:///{database}", schema, "test run"))


def redshift_place(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return the emptied stand-in as a place to load into. Its blocks are patched in, without a Prefect server."""
    standin.reset()
    standin.put(f"{BUCKET}/{JSONPATHS.name}", JSONPATHS.read_bytes())
    load_connector, load_credentials = blocks.load_connector, blocks.load_credentials
    monkeypatch.setattr(
        blocks, "load_connector", lambda name: connector(standin) if name == WAREHOUSE else load_connector(name)
    )
    monkeypatch.setattr(
        blocks, "load_credentials", lambda name: credentials(standin) if name == CREDENTIALS else load_credentials(name)
    )
    numbers = count()

    def put(path: Path) -> str:
        folder = f"{BUCKET}/{next(numbers)}/{path.name}"
        return standin.put(folder, path.read_bytes()) if path.is_file() else standin.put_folder(folder, path) + "/"

    return Place(Target(WAREHOUSE, SCHEMA, "test run", aws_credentials=CREDENTIALS), put)


def connector(standin: Standin) -> SqlAlchemyConnector:
    """Return the block for a connection to the stand-in, which does not use TLS."""
    components = ConnectionComponents(
        driver="redshift+redshift_connector",
        username=standin.user,
        password=standin.password,
        host=standin.host,
        port=standin.port,
        database=standin.database,
    )
    return SqlAlchemyConnector(connection_info=components, connect_args={"ssl": False})


def credentials(standin: Standin) -> AwsCredentials:
    """Return the block for the stand-in's S3."""
    return AwsCredentials(
        aws_access_key_id=standin.keys.access_key_id,
        aws_secret_access_key=standin.keys.secret_access_key,
        region_name="us-west-2",
        aws_client_parameters={"endpoint_url": standin.s3_endpoint},
    )

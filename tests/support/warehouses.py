"""The warehouses that tests load into: DuckDB in a file, and Redshift's stand-in."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from prefect_aws import AwsCredentials
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from sqlalchemy import Connection

from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.results import CheckResult
from tasks.stage import stage
from tests.standin import Standin
from warehouse.base import Target
from warehouse.connect import open_warehouse
from warehouse.sources import Source
from warehouse.tables import Table

SCHEMA = "sparkify"
BUCKET = "s3://sparkify-test"
JSONPATHS = Path(str(catalog.STAGING_EVENTS.jsonpaths))
LOADED = ("songplays", "users", "songs", "artists", "time")

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A warehouse, and how files get to where it reads them."""

    target: Target
    put: Callable[[Path], str] = str

    def run(
        self, log_data: Path, song_data: Path, *, max_errors: int = 0, full_refresh: bool = False
    ) -> list[CheckResult]:
        """Run what the flow runs, in its order, as plain functions."""
        logs, songs = self.put(log_data), self.put(song_data)
        with disable_run_logger():
            take_lease.fn(self.target)
            create_tables.fn(self.target, list(catalog.TABLES))
            stage.fn(self.target, Source(catalog.STAGING_EVENTS, logs, max_errors=max_errors))
            stage.fn(self.target, Source(catalog.STAGING_SONGS, songs, max_errors=max_errors))
            self.load(full_refresh=full_refresh)
            checks = check.fn(self.target, list(catalog.TABLES), list(catalog.CHECKS))
            release_lease.fn(self.target)
        return checks

    def load(self, *, full_refresh: bool = False) -> None:
        """Load facts and dimensions from staging, for the run that holds the lease."""
        for load, tables in ((load_fact, catalog.FACTS), (load_dimension, catalog.DIMENSIONS)):
            for table in tables:
                load.fn(self.target, table, "replace" if full_refresh else table.mode)

    def contents(self, *tables: str) -> dict[str, Rows]:
        """Return the sorted rows of tables; of the loaded ones where none is named."""
        with open_warehouse(self.target).engine.connect() as connection:
            return {
                name: sorted(select(connection, f"select * from {self.target.schema}.{name}"), key=repr)
                for name in tables or LOADED
            }

    def session(self, holder: str = "test run") -> "Session":
        """Speak to it as a run that takes the lease."""
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


def select(connection: Connection, query: str) -> Rows:
    """Return the rows of a query in a transaction that is open."""
    return [tuple(row) for row in connection.exec_driver_sql(query)]


def declared(table: str) -> Table:
    """Return the catalogue's line of a table."""
    return next(line for line in catalog.TABLES if line.name == table)


def embedded(database: Path, schema: str = SCHEMA) -> Place:
    """Return the warehouse in a DuckDB file."""
    return Place(Target(f"duckdb:///{database}", schema, "test run"))


def redshift(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return the stand-in, emptied, with its blocks at hand where there is no Prefect server to load them from."""
    standin.reset()
    standin.put(f"{BUCKET}/{JSONPATHS.name}", JSONPATHS.read_bytes())
    monkeypatch.setattr("warehouse.connect._load_block", lambda _: connector(standin))
    monkeypatch.setattr("warehouse.s3.client.S3._block", credentials(standin))
    numbers = count()

    def put(path: Path) -> str:
        folder = f"{BUCKET}/{next(numbers)}/{path.name}"
        return standin.put(folder, path.read_bytes()) if path.is_file() else standin.put_folder(folder, path) + "/"

    return Place(Target("sparkify-redshift", SCHEMA, "test run", aws_credentials="sparkify-aws"), put)


def connector(standin: Standin) -> SqlAlchemyConnector:
    """Return the block of a connection to the stand-in, which speaks no TLS."""
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
    """Return the block of the stand-in's S3."""
    return AwsCredentials(
        aws_access_key_id=standin.keys.access_key_id,
        aws_secret_access_key=standin.keys.secret_access_key,
        region_name="us-west-2",
        aws_client_parameters={"endpoint_url": standin.s3_endpoint},
    )

"""Starts and stops the parts of the stand-in: PostgreSQL, the proxy in front of it, and moto's S3."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from tests.standin.faults import Counts, Faults
from tests.standin.isolation import IN_POSTGRESQL, Isolation
from tests.standin.postgres import SUPERUSER, run_postgres
from tests.standin.proxy import Proxy
from tests.standin.s3 import S3, Keys
from tests.standin.wire import Backend

USER = "sparkify"
PASSWORD = "Sparkify1"
DATABASE = "dev"
REGION = "us-west-2"
_SHIMS = Path(__file__).with_name("shims.sql")


@dataclass(frozen=True)
class Standin:
    """A running stand-in: where it listens, what it accepts, and its faults."""

    host: str
    port: int
    s3_endpoint: str
    s3: S3
    faults: Faults
    proxy: Proxy
    admin: Backend
    user: str = USER
    password: str = PASSWORD
    database: str = DATABASE
    keys: Keys = field(default_factory=lambda: Keys("AKIASTANDIN", "standin-secret"))

    @property
    def counts(self) -> Counts:
        """What clients did since the last reset."""
        return self.faults.counts

    @property
    def s3_client(self) -> Any:
        """A boto3 client of the S3 here."""
        return self.s3.client

    @property
    def url(self) -> str:
        """SQLAlchemy's URL, for use with connect_args={"ssl": False}."""
        return f"redshift+redshift_connector://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def put(self, uri: str, content: bytes) -> str:
        """Write an object, in a bucket that is created if it is missing, and return its URL."""
        self.s3.put(uri, content)
        return uri

    def put_folder(self, uri: str, folder: Path) -> str:
        """Write the files under a folder, and return the prefix of their URLs."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.s3.put(f"{uri.rstrip('/')}/{path.relative_to(folder)}", path.read_bytes())
        return uri

    def isolate(self, level: Isolation) -> None:
        """Set the database's isolation level, for new connections. After a reset it is SNAPSHOT, the default."""
        self.proxy.isolation = level
        name = IN_POSTGRESQL[level]
        self.admin.query(f"alter database {self.database} set default_transaction_isolation to '{name}'")

    def move(self, zone: str) -> None:
        """Set the time zone of the user's sessions, from the next one on. After a reset it is UTC, the default."""
        self.admin.query(f"alter role {self.user} set timezone to '{zone}'")

    def lag(self, seconds: float) -> None:
        """Let the views that report on COPY be empty for some seconds from now, also about what was before."""
        ends_at = f"clock_timestamp() + interval '{seconds} s'"
        self.admin.query(f"truncate redshift.lag; insert into redshift.lag select {ends_at}")

    def reset(self) -> None:
        """End every connection, and delete tables, reports, objects in S3, faults and counts."""
        self.admin.query("rollback")  # what a test that failed may have left open
        self.proxy.close_sessions()
        self.faults.clear()
        self.isolate("snapshot")
        self.move("UTC")
        self.s3.reset(self.keys)
        schemas = self.admin.query(
            "select quote_ident(nspname) from pg_namespace "
            "where nspname not in ('redshift', 'information_schema') and nspname not like 'pg\\_%'"
        )
        for (schema,) in schemas:
            self.admin.query(f"drop schema {schema} cascade")
        self.admin.query(f"create schema public authorization {self.user}")
        self.admin.query(
            "truncate redshift.load_history, redshift.load_detail, redshift.load_error_detail, redshift.lag"
        )


@contextmanager
def run_standin(region: str = REGION) -> Iterator[Standin]:
    """Start a stand-in for a cluster in a region, and stop it at the end of the block. Takes some seconds."""
    with run_postgres() as socket_path, run_moto() as endpoint:
        _prepare(socket_path)
        faults, s3 = Faults(), S3(endpoint, region)
        with (
            closing(_connect(socket_path, DATABASE)) as admin,
            closing(_connect(socket_path, DATABASE)) as reports,
            Proxy(socket_path, s3, faults, reports) as proxy,
        ):
            standin = Standin("127.0.0.1", proxy.port, endpoint, s3, faults, proxy, admin)
            standin.reset()
            yield standin


@contextmanager
def run_moto() -> Iterator[str]:
    """Start moto's S3, yield its address, and stop it at the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def _prepare(socket_path: Path) -> None:
    """Create the database, its user, and what PostgreSQL lacks."""
    with closing(_connect(socket_path, SUPERUSER)) as admin:
        admin.query(f"create role {USER} login password '{PASSWORD}'")
        admin.query(f"create database {DATABASE}")
        admin.query(f"grant create on database {DATABASE} to {USER}")
    with closing(_connect(socket_path, DATABASE)) as admin:
        admin.query(_SHIMS.read_text(encoding="utf-8"))


def _connect(socket_path: Path, database: str) -> Backend:
    backend = Backend(socket_path, {"user": SUPERUSER, "database": database})
    backend.start()
    return backend

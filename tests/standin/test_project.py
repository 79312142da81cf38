"""The project's own SQL runs on the stand-in, with the results of plain Python."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine

from flows.generate import generate
from sql import catalog
from tests.standin import Standin
from tests.support import oracle
from warehouse import lease, loads
from warehouse.load_errors import LOAD_ERRORS_DDL

CREDENTIALS = "iam_role default"


@pytest.fixture
def engine(standin: Standin) -> Iterator[Engine]:
    engine = create_engine(standin.url, poolclass=NullPool, connect_args={"ssl": False})
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("standin") / "data"
    generate(days=2, users=10, songs=20, seed=1, out=out)
    return out


def prepare(connection: Connection) -> None:
    connection.exec_driver_sql('set search_path to "sparkify"')
    connection.exec_driver_sql("set statement_timeout to 60000")


def create_tables(connection: Connection) -> None:
    connection.exec_driver_sql('create schema if not exists "sparkify"')
    prepare(connection)
    for ddl in (lease.DDL, LOAD_ERRORS_DDL, *(table.ddl for table in catalog.TABLES)):
        connection.exec_driver_sql(ddl)


def stage(connection: Connection) -> None:
    prepare(connection)
    paths = "json 's3://sparkify/log_json_path.json' timeformat 'epochmillisecs'"
    for table, history, prefix, options in (
        ("staging_events", "events", "log_data", paths),
        ("staging_songs", "catalogue", "song_data", "json 'auto'"),
    ):
        connection.exec_driver_sql(f"delete from {table}")
        connection.exec_driver_sql(
            f"copy {table} from 's3://sparkify/{prefix}/' {CREDENTIALS} format {options} compupdate off statupdate off"
        )
        connection.exec_driver_sql(f"insert into {history} select *, 1 from {table}")


def test_the_whole_pipeline_computes_what_plain_python_does(standin: Standin, engine: Engine, data: Path) -> None:
    standin.put_folder("s3://sparkify", data)
    standin.put("s3://sparkify/log_json_path.json", (catalog.SQL / "staging/log_json_path.json").read_bytes())
    for _ in range(2):  # the second run changes nothing
        with engine.connect() as connection:
            with connection.begin():
                create_tables(connection)
            with connection.begin():
                seen_free = lease.look(connection, "test")
            with connection.begin():
                lease.take(connection, "test", seen_free)
            with connection.begin():
                stage(connection)
            with connection.begin():
                lease.verify(connection, "test")
                loaded = {table.name: loads.refresh(connection, table) for table in catalog.STAR}

    expected = oracle.star_schema(data / "log_data", data / "song_data")
    with engine.connect() as connection:
        prepare(connection)
        present = {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(f"select * from {name}")) for name in expected
        }
        for check in catalog.CHECKS:
            assert connection.exec_driver_sql(check.whole).all() == [], check.name
    assert present == expected
    assert set(loaded.values()) == {loads.LoadResult(0, 0)}
    assert len(expected["songplays"]) > 10

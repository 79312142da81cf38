"""How Redshift is connected to."""

from typing import Any

import pytest
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from sqlalchemy import text

from tests.standin import Standin
from tests.support.warehouses import connector
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError, TransientError
from warehouse.redshift.warehouse import RedshiftWarehouse
from warehouse.target import Target

DRIVER = "redshift+redshift_connector"
IAM = {"iam": True, "cluster_identifier": "sparkify", "db_user": "loader", "region": "us-west-2", "profile": "etl"}


def open_block(monkeypatch: pytest.MonkeyPatch, block: SqlAlchemyConnector) -> RedshiftWarehouse:
    monkeypatch.setattr(blocks, "load_connector", lambda _: block)
    warehouse = open_warehouse(Target("sparkify-redshift", "public", "test run"))
    assert isinstance(warehouse, RedshiftWarehouse)
    return warehouse


def what_the_driver_is_told(monkeypatch: pytest.MonkeyPatch, warehouse: RedshiftWarehouse) -> dict[str, Any]:
    told: dict[str, Any] = {}

    def connect(**options: Any) -> None:
        told.update(options)
        raise OSError("not here")

    monkeypatch.setattr("redshift_connector.connect", connect)
    with pytest.raises(TransientError, match="not here"):
        warehouse.engine.connect()
    return told


def components(**options: Any) -> ConnectionComponents:
    return ConnectionComponents(driver=DRIVER, database="dev", **options)


def test_a_password_login_is_verified_kept_alive_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=components(username="u", password="hunter2", host="h", port=5439))
    assert what_the_driver_is_told(monkeypatch, open_block(monkeypatch, block)) == {
        "user": "u", "password": "hunter2", "host": "h", "port": 5439, "database": "dev",
        "ssl": True, "sslmode": "verify-full", "application_name": "sparkify-etl",
        "tcp_keepalive": True, "tcp_keepalive_idle": 60, "tcp_keepalive_interval": 15, "tcp_keepalive_count": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    "login",
    [IAM, {"iam": True, "is_serverless": True, "serverless_work_group": "sparkify", "region": "us-west-2"}],
    ids=["cluster", "Serverless"],
)
def test_an_iam_login_takes_no_password(monkeypatch: pytest.MonkeyPatch, login: dict[str, Any]) -> None:
    block = SqlAlchemyConnector(connection_info=components(), connect_args=login)
    told = what_the_driver_is_told(monkeypatch, open_block(monkeypatch, block))
    assert told | login == told
    assert told["sslmode"] == "verify-full"
    assert "password" not in told


def test_the_block_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=components(host="h"), connect_args={"sslmode": "verify-ca"})
    assert what_the_driver_is_told(monkeypatch, open_block(monkeypatch, block))["sslmode"] == "verify-ca"


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token", "password", "client_secret"])
def test_a_secret_in_the_clear_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    block = SqlAlchemyConnector(connection_info=components(), connect_args=IAM | {name: "hunter2"})
    with pytest.raises(PermanentError, match=f"'sparkify-redshift'.* hold {name}: take it out") as raised:
        open_block(monkeypatch, block)
    assert "hunter2" not in str(raised.value)


def test_a_url_with_a_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=f"{DRIVER}://u:hunter2@h:5439/dev")
    with pytest.raises(PermanentError, match="save the connection as ConnectionComponents") as raised:
        open_block(monkeypatch, block)
    assert "hunter2" not in str(raised.value)


def test_a_dba_recognises_the_session(monkeypatch: pytest.MonkeyPatch, standin: Standin) -> None:
    warehouse = open_block(monkeypatch, connector(standin))
    with warehouse.engine.connect() as connection:
        connection.execute(text("select 1"))
        named = standin.admin.query("select count(*) from pg_stat_activity where application_name = 'sparkify-etl'")
    assert named == [("1",)]

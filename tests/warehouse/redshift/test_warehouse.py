"""How the project connects to Redshift."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from sqlalchemy import text

from tests.standin import Standin
from tests.support.warehouses import Place, connector
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError, TransientError, is_transient
from warehouse.redshift.warehouse import RedshiftWarehouse
from warehouse.target import Target

DRIVER = "redshift+redshift_connector"
IAM = {"iam": True, "cluster_identifier": "sparkify", "db_user": "loader", "region": "us-west-2", "profile": "etl"}


def open_block(monkeypatch: pytest.MonkeyPatch, block: SqlAlchemyConnector) -> RedshiftWarehouse:
    monkeypatch.setattr(blocks, "load_connector", lambda _: block)
    warehouse = open_warehouse(Target("sparkify-redshift", "public", "test run"))
    assert isinstance(warehouse, RedshiftWarehouse)
    return warehouse


def arguments_of_the_driver(monkeypatch: pytest.MonkeyPatch, warehouse: RedshiftWarehouse) -> dict[str, Any]:
    arguments: dict[str, Any] = {}

    def connect(**options: Any) -> None:
        arguments.update(options)
        raise OSError("not here")

    monkeypatch.setattr("redshift_connector.connect", connect)
    with pytest.raises(TransientError, match="not here"):
        warehouse.engine.connect()
    return arguments


def components(**options: Any) -> ConnectionComponents:
    return ConnectionComponents(driver=DRIVER, database="dev", **options)


def test_a_password_login_verifies_the_server_keeps_alive_and_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=components(username="u", password="hunter2", host="h", port=5439))
    assert arguments_of_the_driver(monkeypatch, open_block(monkeypatch, block)) == {
        "user": "u", "password": "hunter2", "host": "h", "port": 5439, "database": "dev",
        "ssl": True, "sslmode": "verify-full", "application_name": "sparkify-etl",
        "tcp_keepalive": True, "tcp_keepalive_idle": 60, "tcp_keepalive_interval": 15, "tcp_keepalive_count": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    "login",
    [IAM, {"iam": True, "is_serverless": True, "serverless_work_group": "sparkify", "region": "us-west-2"}],
    ids=["cluster", "Serverless"],
)
def test_an_iam_login_needs_no_password(monkeypatch: pytest.MonkeyPatch, login: dict[str, Any]) -> None:
    block = SqlAlchemyConnector(connection_info=components(), connect_args=login)
    arguments = arguments_of_the_driver(monkeypatch, open_block(monkeypatch, block))
    assert arguments | login == arguments
    assert arguments["sslmode"] == "verify-full"
    assert "password" not in arguments


def test_the_blocks_arguments_override_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=components(host="h"), connect_args={"sslmode": "verify-ca"})
    assert arguments_of_the_driver(monkeypatch, open_block(monkeypatch, block))["sslmode"] == "verify-ca"


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token", "password", "client_secret"])
def test_a_secret_in_connect_args_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    block = SqlAlchemyConnector(connection_info=components(), connect_args=IAM | {name: "hunter2"})
    with pytest.raises(PermanentError, match=f"'sparkify-redshift': connect_args contain {name}, but") as raised:
        open_block(monkeypatch, block)
    assert "hunter2" not in str(raised.value)


def test_a_url_with_a_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    block = SqlAlchemyConnector(connection_info=f"{DRIVER}://u:hunter2@h:5439/dev")
    with pytest.raises(PermanentError, match="Save the connection as ConnectionComponents") as raised:
        open_block(monkeypatch, block)
    assert "hunter2" not in str(raised.value)


HOST = "etl.abc123.us-west-2.redshift.amazonaws.com"


@pytest.mark.parametrize("pasted", [f" {HOST} ", f"{HOST}:5440", f"{HOST}:5440/dev", f"jdbc:redshift:iam://{HOST}/dev"])
def test_a_blocks_host_is_taken_apart_as_the_console_shows_it(monkeypatch: pytest.MonkeyPatch, pasted: str) -> None:
    block = SqlAlchemyConnector(connection_info=components(host=pasted))
    arguments = arguments_of_the_driver(monkeypatch, open_block(monkeypatch, block))
    assert (arguments["host"], arguments["database"]) == (HOST, "dev")
    assert arguments.get("port") == (5440 if "5440" in pasted else None)


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        (f"{HOST}:5440", "contains another port than the port that is set. Remove one of them"),
        (f"{HOST}/sparkify", "contains another database than the database that is set. Remove one of them"),
        (f"{HOST}?ssl=true", "not the host of a Redshift. Use its endpoint, without options"),
        ("my redshift", "not the host of a Redshift. Use its endpoint, without options"),
        (f"https://u:hunter2@{HOST}", "not the host of a Redshift. Use its endpoint, without options"),
    ],
)
def test_a_blocks_host_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, pasted: str, reason: str) -> None:
    block = SqlAlchemyConnector(connection_info=components(host=pasted, port=5439))
    with pytest.raises(PermanentError) as raised:
        open_block(monkeypatch, block)
    assert str(raised.value) == f"block 'sparkify-redshift': its host: {reason}"


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_host_that_does_not_resolve_is_named(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A retry may help only if the name server could not be asked."""

    def resolve(*arguments: Any, **options: Any) -> None:
        raise socket.gaierror(code, "not known")

    warehouse = open_block(monkeypatch, SqlAlchemyConnector(connection_info=components(host=HOST, port=5439)))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    kind = TransientError if code == socket.EAI_AGAIN else PermanentError
    with pytest.raises(kind, match=f"^{HOST}: this host ") as raised:
        warehouse.engine.connect()
    assert is_transient(raised.value) == (code == socket.EAI_AGAIN)
    assert "connection to the warehouse was lost" not in str(raised.value)


def test_an_iam_login_without_credentials_says_what_would_give_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    login = {"iam": True, "cluster_identifier": "etl", "group_federation": True}
    block = SqlAlchemyConnector(connection_info=components(host=HOST, port=5439), connect_args=login)
    with pytest.raises(PermanentError) as raised:
        open_block(monkeypatch, block).engine.connect()
    assert "Unable to locate credentials" in str(raised.value)
    for remedy in ("a role", "`profile`", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "a password"):
        assert remedy in str(raised.value)


def test_a_dba_can_recognise_the_session(monkeypatch: pytest.MonkeyPatch, standin: Standin) -> None:
    warehouse = open_block(monkeypatch, connector(standin))
    with warehouse.engine.connect() as connection:
        connection.execute(text("select 1"))
        named = standin.admin.query("select count(*) from pg_stat_activity where application_name = 'sparkify-etl'")
    assert named == [("1",)]


def test_the_operator_percent_works_in_sql_files(place: Place) -> None:
    session = place.session()
    assert session.rows("select 17 % 5, 'a%s' || '%(x)s %%'") == [(2, "a%s%(x)s %%")]

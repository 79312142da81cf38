"""Prefect blocks, by their names: the connection to a warehouse, and what S3 is read with."""

from typing import TYPE_CHECKING, cast

from warehouse.errors import PermanentError

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials
    from prefect_sqlalchemy import SqlAlchemyConnector


def load_connector(name: str) -> "SqlAlchemyConnector":
    """Return a SQLAlchemy Connector block.

    Raises:
        PermanentError: there is none of this name.
    """
    from prefect_sqlalchemy import SqlAlchemyConnector  # slow to import, and seldom needed

    try:
        return SqlAlchemyConnector.load(name)
    except ValueError:
        raise PermanentError(
            f"warehouse: there is no SQLAlchemy Connector block named {name!r}: `prefect block ls` lists those "
            "there are; save it, or give duckdb:///path"
        ) from None


def load_credentials(name: str) -> "AwsCredentials":
    """Return an AWS Credentials block.

    Raises:
        PermanentError: there is none of this name, or it cannot be used.
    """
    from prefect_aws import AwsCredentials  # slow to import, and seldom needed

    try:
        return cast(AwsCredentials, AwsCredentials.load(name))
    except ValueError:
        raise PermanentError(
            f"aws_credentials: there is no AWS Credentials block named {name!r}, or not a good one: "
            "`prefect block ls` lists those there are; save it, or name another"
        ) from None

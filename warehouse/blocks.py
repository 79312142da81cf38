"""Loads Prefect blocks by name: the connection to a warehouse, and the credentials for S3."""

from typing import TYPE_CHECKING, cast

from warehouse.errors import PermanentError

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials
    from prefect_sqlalchemy import SqlAlchemyConnector


def load_connector(name: str) -> "SqlAlchemyConnector":
    """Return a SQLAlchemy Connector block.

    Raises:
        PermanentError: no block has this name.
    """
    from prefect_sqlalchemy import SqlAlchemyConnector  # slow to import and rarely needed

    try:
        return SqlAlchemyConnector.load(name)
    except ValueError:
        raise PermanentError(
            f"warehouse: there is no SQLAlchemy Connector block named {name!r}. `prefect block ls` lists the existing "
            "blocks. Save the block first, or use duckdb:///path"
        ) from None


def load_credentials(name: str) -> "AwsCredentials":
    """Return an AWS Credentials block.

    Raises:
        PermanentError: no block has this name, or the block is invalid.
    """
    from prefect_aws import AwsCredentials  # slow to import and rarely needed

    try:
        return cast(AwsCredentials, AwsCredentials.load(name))
    except ValueError:
        raise PermanentError(
            f"aws_credentials: there is no valid AWS Credentials block named {name!r}. `prefect block ls` lists the "
            "existing blocks. Save the block first, or name another"
        ) from None

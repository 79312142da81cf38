"""Opens the warehouse that a name refers to."""

from typing import TYPE_CHECKING

from sqlalchemy import URL, make_url

from warehouse import blocks
from warehouse.base import Warehouse
from warehouse.duckdb.warehouse import DuckDBWarehouse
from warehouse.endpoint import Endpoint
from warehouse.errors import PermanentError
from warehouse.target import REDSHIFT_DRIVER, Target, refuse_url

if TYPE_CHECKING:
    from prefect_sqlalchemy import SqlAlchemyConnector


def open_warehouse(target: Target) -> Warehouse:
    """Return the warehouse that a target names. Opens no connection yet.

    Raises:
        PermanentError: the name is neither a duckdb:/// URL nor a SQLAlchemy Connector block of Redshift or DuckDB.
    """
    refuse_url(target.warehouse)
    if target.plan:
        from warehouse.planned import PlannedWarehouse  # slow to import and rarely needed

        return PlannedWarehouse(target)
    if target.duckdb_file is not None:
        return DuckDBWarehouse(target.duckdb_file, target)
    block = blocks.load_connector(target.warehouse)
    url = _url(block, target.warehouse)
    if url.drivername == REDSHIFT_DRIVER:
        from warehouse.redshift.warehouse import RedshiftWarehouse  # slow to import, and DuckDB does without

        url = _taken_apart(url, f"block {target.warehouse!r}: its host")
        return RedshiftWarehouse(url, block.connect_args or {}, target)
    if url.get_backend_name() == "duckdb":
        return DuckDBWarehouse(url.database or "", target)
    raise PermanentError(
        f"warehouse: block {target.warehouse!r} is a {url.drivername} connection. "
        f"Name a block with the driver {REDSHIFT_DRIVER} or a duckdb driver, or use duckdb:///path"
    )


def _taken_apart(url: URL, place: str) -> URL:
    """Return a URL whose host is one, also if it was pasted with more."""
    if not url.host:
        return url
    endpoint = Endpoint.read(url.host, place).fill(place, url.port, url.database)
    return url.set(host=endpoint.host, port=endpoint.port, database=endpoint.database)


def _url(block: "SqlAlchemyConnector", name: str) -> URL:
    info = block.connection_info
    url = make_url(info.create_url() if hasattr(info, "create_url") else str(info))
    if url.password and isinstance(info, str):
        raise PermanentError(
            f"block {name!r}: its URL contains a password, which Prefect shows in plain text. "
            "Save the connection as ConnectionComponents, which keep the password secret"
        )
    return url

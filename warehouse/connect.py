"""Which warehouse a name means."""

import re
from typing import TYPE_CHECKING

from sqlalchemy import URL, make_url

from warehouse.base import Target, Warehouse
from warehouse.errors import PermanentError
from warehouse.duckdb.warehouse import URL_PREFIX, DuckDBWarehouse
from warehouse.planned import PlannedWarehouse
from warehouse.redshift.warehouse import DRIVER, RedshiftWarehouse

if TYPE_CHECKING:
    from prefect_sqlalchemy import SqlAlchemyConnector


def open_warehouse(target: Target) -> Warehouse:
    """Return the warehouse that a target names. It opens no connection yet.

    Raises:
        PermanentError: the name is no duckdb:/// URL, and no SQLAlchemy Connector block of Redshift or a DuckDB file.
    """
    refuse_url(target.warehouse)
    if target.plan:
        return PlannedWarehouse(target.plan, target)
    if target.warehouse.startswith(URL_PREFIX):
        return DuckDBWarehouse(target.warehouse.removeprefix(URL_PREFIX), target)
    block = _load_block(target.warehouse)
    url = _url(block, target.warehouse)
    if url.drivername == DRIVER:
        return RedshiftWarehouse(url, block.connect_args or {}, target)
    if url.get_backend_name() == "duckdb":
        return DuckDBWarehouse(url.database or "", target)
    raise PermanentError(
        f"block {target.warehouse!r} is a {url.drivername} connection: name one of {DRIVER}, or of a duckdb driver, "
        "or a duckdb:///path"
    )


def refuse_url(name: str) -> None:
    """Refuse URLs, which may hold a password: parameters are stored and shown. So the name is not repeated.

    Raises:
        PermanentError: the name is neither a duckdb:/// URL nor such as a block may have.
    """
    if name.startswith(URL_PREFIX) or re.fullmatch(r"[a-z0-9-]+", name):
        return
    if name.startswith("duckdb:") and "@" not in name:
        raise PermanentError("warehouse: a DuckDB file is named duckdb:///path, with three slashes, four before a root")
    if name.endswith(".duckdb") and not {":", "@"} & set(name):
        raise PermanentError(f"warehouse: a DuckDB file is named duckdb:///{name}")
    what = "a URL may hold a password, which would be stored and shown with the run" if ":" in name else "not a name"
    raise PermanentError(
        f"warehouse: {what}: save the connection as a SQLAlchemy Connector block and give the block's name "
        "(lower-case letters, digits and dashes), or give duckdb:///path"
    )


def _load_block(name: str) -> "SqlAlchemyConnector":
    from prefect_sqlalchemy import SqlAlchemyConnector  # slow to import, and seldom needed

    try:
        return SqlAlchemyConnector.load(name)
    except ValueError:
        raise PermanentError(
            f"warehouse: there is no SQLAlchemy Connector block named {name!r}: `prefect block ls` lists those "
            "there are; save it, or give duckdb:///path"
        ) from None


def _url(block: "SqlAlchemyConnector", name: str) -> URL:
    info = block.connection_info
    url = make_url(info.create_url() if hasattr(info, "create_url") else str(info))
    if url.password and isinstance(info, str):
        raise PermanentError(
            f"block {name!r}: its URL is shown in clear, and holds a password: save the connection as "
            "ConnectionComponents, which keep it secret"
        )
    return url

"""Which warehouse a name means."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from warehouse.base import Target, Warehouse
from warehouse.errors import PermanentError
from warehouse.local import URL_PREFIX, Embedded


def open_warehouse(target: Target) -> Warehouse:
    """Return the warehouse that a target names. It opens no connection yet.

    Raises:
        PermanentError: the name is no duckdb:/// URL and no SQLAlchemy Connector block, or a URL of another kind.
    """
    refuse_url(target.warehouse)
    if target.warehouse.startswith(URL_PREFIX):
        return Embedded(target.warehouse.removeprefix(URL_PREFIX), target)
    raise PermanentError(f"warehouse {target.warehouse!r}: no such block")


def refuse_url(name: str) -> None:
    """Refuse URLs, which may hold a password: parameters are stored and shown.

    Raises:
        PermanentError: the name is a URL, and of no DuckDB file.
    """
    if name.startswith(URL_PREFIX):
        return
    try:
        url = make_url(name)
    except ArgumentError:
        return
    secret = " with a password, which would be stored and shown with the run" if url.password else ""
    raise PermanentError(
        f"warehouse: a {url.drivername} URL{secret}: save the connection as a SQLAlchemy Connector block, "
        "and give the block's name"
    )

"""Where a run loads."""

import re
from dataclasses import dataclass

from warehouse.errors import PermanentError

DUCKDB_URL = "duckdb:///"
REDSHIFT_DRIVER = "redshift+redshift_connector"
"""SQLAlchemy's name of the driver."""


@dataclass(frozen=True)
class Target:
    """Where a run loads, in plain values that hold no secret.

    `warehouse` is a block's name or a duckdb:/// URL, `holder` names the run, `statement_timeout` is in seconds
    (0: none), and what S3 is read with may be empty. Where `plan` names a directory, statements are written there
    and nothing is sent.
    """

    warehouse: str
    schema: str
    holder: str
    statement_timeout: int = 0
    aws_credentials: str = ""
    copy_role: str = ""
    plan: str = ""

    @property
    def duckdb_file(self) -> str | None:
        """The path of the DuckDB file; None where a block is named."""
        return self.warehouse.removeprefix(DUCKDB_URL) if self.warehouse.startswith(DUCKDB_URL) else None


def refuse_url(name: str) -> None:
    """Refuse URLs, which may hold a password: parameters are stored and shown. So the name is not repeated.

    Raises:
        PermanentError: the name is neither a duckdb:/// URL nor such as a block may have.
    """
    if name.startswith(DUCKDB_URL) or re.fullmatch(r"[a-z0-9-]+", name):
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

"""Where a run loads to."""

import os
import re
from dataclasses import dataclass

from warehouse.errors import PermanentError

DUCKDB_URL = "duckdb:///"
REDSHIFT_DRIVER = "redshift+redshift_connector"
"""SQLAlchemy's name for the driver."""


@dataclass(frozen=True)
class Target:
    """Where a run loads to, in plain values without secrets.

    `warehouse` is a block's name or a duckdb:/// URL, `schema` is folded to lower case, as Redshift folds names (quoted
    ones too), `holder` names the run, `statement_timeout` is in seconds (0: none), and `aws_credentials` and
    `copy_role`, what S3 is read with, may be empty. COPY's manifests are written under `manifests`, an s3:// prefix; if
    it is empty, COPY takes prefixes. If `plan` names a directory, statements are recorded there and nothing is sent.
    """

    warehouse: str
    schema: str
    holder: str
    statement_timeout: int = 0
    aws_credentials: str = ""
    copy_role: str = ""
    manifests: str = ""
    plan: str = ""

    def __post_init__(self) -> None:
        """
        Raises:
            PermanentError: no schema can have the name.
        """
        object.__setattr__(self, "schema", fold(self.schema))

    @property
    def duckdb_file(self) -> str | None:
        """The path of the DuckDB file; None if a block is named."""
        return self.warehouse.removeprefix(DUCKDB_URL) if self.warehouse.startswith(DUCKDB_URL) else None


def fold(schema: str) -> str:
    """Return a schema's name as Redshift has it.

    Raises:
        PermanentError: no schema can have the name.
    """
    folded = schema.lower()
    if folded == "public" != schema:
        raise PermanentError(f"schema: {schema!r} is not how the default schema is spelled. Use public")
    if re.match("pg_|information_schema$", folded):
        raise PermanentError(f"schema: {schema!r} belongs to the database itself. Name another schema")
    if (
        not folded.isprintable()
        or folded != folded.strip()
        or {",", '"'} & set(folded)
        or not 0 < len(folded.encode()) < 128
    ):
        raise PermanentError(
            f"schema: {schema!r} cannot be a schema's name. Use letters, digits and underscores, at most 127"
        )
    return folded


def refuse_missing_file(path: str) -> None:
    """Refuse a DuckDB file that should be read.

    Raises:
        PermanentError: it does not exist.
    """
    if not os.path.exists(path):
        raise PermanentError(f"{path} does not exist. Load it first (`python -m flows.etl`), or name another file")


def refuse_url(name: str) -> None:
    """Refuse URLs, which may contain a password: Prefect stores and shows parameters. Messages do not repeat them.

    Raises:
        PermanentError: the name is neither a duckdb:/// URL nor a valid block name.
    """
    if name.startswith(DUCKDB_URL) or re.fullmatch(r"[a-z0-9-]+", name):
        return
    if name.startswith("duckdb:") and "@" not in name:
        raise PermanentError(
            "warehouse: a DuckDB URL needs three slashes, or four for an absolute path. Use duckdb:///path"
        )
    if name.endswith(".duckdb") and not {":", "@"} & set(name):
        raise PermanentError(f"warehouse: a DuckDB file needs a URL. Use duckdb:///{name}")
    looks_like_url = ":" in name
    reason = "a URL may contain a password, which would be stored and shown" if looks_like_url else "not a block name"
    raise PermanentError(
        f"warehouse: {reason}. Save the connection as a SQLAlchemy Connector block and use the block's name "
        "(lower-case letters, digits and dashes), or use duckdb:///path"
    )

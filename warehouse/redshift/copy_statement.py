"""The COPY statement that Redshift is sent.

It is written here, as sqlalchemy-redshift's CopyCommand can say neither IAM_ROLE nor a default role, which are what a
COPY should read with, and binds what COPY takes only as literals.
https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
"""

import re
from dataclasses import dataclass

from warehouse.errors import CopyError, PermanentError
from warehouse.s3.client import Keys
from warehouse.sources import Compression, Source

ROLE = re.compile(r"default|arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+(,arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+)*")


@dataclass(frozen=True)
class Access:
    """What COPY reads S3 with, a role or keys, and the region of the buckets where it is not the cluster's."""

    role: str = ""
    keys: Keys | None = None
    region: str | None = None

    def clauses(self) -> list[str]:
        """Return COPY's options.

        Raises:
            PermanentError: the role is none, or there is neither role nor keys.
        """
        region = [f"region {literal(self.region)}"] if self.region else []
        return [*(self._role(self.role) if self.role else self._keys(self.keys)), *region]

    @staticmethod
    def _role(role: str) -> list[str]:
        if not ROLE.fullmatch(role):
            raise PermanentError(
                f"copy_role: {role!r} is no role: give `default`, or an ARN as arn:aws:iam::...:role/..."
            )
        return [f"iam_role {role if role == 'default' else literal(role)}"]

    @staticmethod
    def _keys(keys: Keys | None) -> list[str]:
        if not keys:
            raise PermanentError(
                "COPY has nothing to read S3 with: give copy_role (`default` or an ARN), or aws_credentials, "
                "the name of an AWS Credentials block"
            )
        given = {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "session_token": keys.token}
        return [f"{name} {literal(value)}" for name, value in given.items() if value]


def copy_statement(source: Source, access: Access) -> str:
    """Return the COPY of a source into its table.

    Raises:
        CopyError: a name in it is not one that Redshift can read, or be told.
        PermanentError: there is nothing to read with.
    """
    columns = ", ".join(f'"{column.name}"' for column in source.table.columns)
    jsonpaths = jsonpaths_url(source)
    options = [
        *access.clauses(),
        f"format json {literal(jsonpaths or 'auto')}",
        *([source.compression] if source.compression != "none" else []),
        *([f"timeformat {literal(source.table.time_format)}"] if source.table.time_format else []),
        f"maxerror {source.max_errors + 1}",  # the load fails at so many, or more
        "compupdate off",
        "statupdate off",
    ]
    return "\n".join([f"copy {source.table.name} ({columns})", f"from {literal(_source(source))}", *options])


def trial_statement(table: str, url: str, access: Access, compression: Compression) -> str:
    """Return a COPY that reads one object as a load would, whatever is in it, and loads nothing."""
    options = [
        *access.clauses(),
        "format json 'auto'",
        *([compression] if compression != "none" else []),
        "maxerror 100000",
        "noload",
    ]
    return "\n".join([f"copy {table}", f"from {literal(url)}", *options])


def jsonpaths_url(source: Source) -> str:
    """Return where the JSONPaths file lies: at the root of the source's bucket unless it is given; "" without one.

    Raises:
        CopyError: it is no s3:// URL.
    """
    if source.table.jsonpaths is None:
        return ""
    url = source.jsonpaths or f"s3://{_source(source).split('/')[2]}/{source.table.jsonpaths.name}"
    if not url.startswith("s3://"):
        raise CopyError(f"{url}: Redshift reads JSONPaths files from S3: upload it and give its s3:// URL")
    return url


def _source(source: Source) -> str:
    if not re.match("s3://[^/]+", source.location):
        raise CopyError(f"{source.location}: Redshift loads from S3 only: upload the files and give their s3:// prefix")
    return source.location


def literal(value: str) -> str:
    """Return a string literal.

    Raises:
        CopyError: it holds what Redshift might read as an escape, or no printable characters.
    """
    if "\\" in value or not value.isprintable():
        raise CopyError("a name for COPY holds a backslash or a control character, which cannot be told to Redshift")
    return "'" + value.replace("'", "''") + "'"

"""The COPY statement that Redshift is sent.

It is written here because sqlalchemy-redshift's CopyCommand supports neither IAM_ROLE nor a default role, which a COPY
should read with, and binds parameters where COPY takes literals only.
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
    """What COPY reads S3 with: a role or keys, and the buckets' region if it is not the cluster's."""

    role: str = ""
    keys: Keys | None = None
    region: str | None = None

    def clauses(self) -> list[str]:
        """Return COPY's options.

        Raises:
            PermanentError: the role is invalid, or there is neither a role nor keys.
        """
        region = [f"region {literal(self.region)}"] if self.region else []
        return [*(self._role(self.role) if self.role else self._keys(self.keys)), *region]

    @staticmethod
    def _role(role: str) -> list[str]:
        if not ROLE.fullmatch(role):
            raise PermanentError(
                f"copy_role: {role!r} is not a role. Use `default`, or an ARN like arn:aws:iam::123456789012:role/name"
            )
        return [f"iam_role {role if role == 'default' else literal(role)}"]

    @staticmethod
    def _keys(keys: Keys | None) -> list[str]:
        if not keys:
            raise PermanentError(
                "copy_role: missing, and there are no keys, so COPY cannot read S3. Set copy_role to `default` or an "
                "ARN, or aws_credentials to the name of an AWS Credentials block"
            )
        options = {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "session_token": keys.token}
        return [f"{name} {literal(value, name=name)}" for name, value in options.items() if value]


def copy_statement(source: Source, access: Access, manifest: str = "") -> str:
    """Return the COPY of a source, or of those of its objects that the manifest at a URL lists, into its table.

    Raises:
        CopyError: a location is not in S3, or a name cannot be written as a literal.
        PermanentError: there is neither a valid role nor keys to read with.
    """
    columns = ", ".join(f'"{column.name}"' for column in source.table.columns)
    by_name = "auto ignorecase" if source.table.ignore_case else "auto"
    options = [
        *access.clauses(),
        *(["manifest"] if manifest else []),
        f"format json {literal(jsonpaths_url(source) or by_name)}",
        *([source.compression] if source.compression != "none" else []),
        *([f"timeformat {literal(source.table.time_format)}"] if source.table.time_format else []),
        f"maxerror {source.max_errors + 1}",  # COPY fails when this many records are rejected
        "compupdate off",
        "statupdate off",
    ]
    return "\n".join(
        [f"copy {source.table.name} ({columns})", f"from {literal(manifest or s3_location(source))}", *options]
    )


def trial_statement(table: str, url: str, access: Access, compression: Compression, manifest: str = "") -> str:
    """Return a COPY that reads one object as a load would, tolerates any content, and loads nothing."""
    options = [
        *access.clauses(),
        *(["manifest"] if manifest else []),
        "format json 'auto'",
        *([compression] if compression != "none" else []),
        "maxerror 100000",
        "noload",
    ]
    return "\n".join([f"copy {table}", f"from {literal(manifest or url)}", *options])


def jsonpaths_url(source: Source) -> str:
    """Return the URL of the JSONPaths file, by default at the root of the source's bucket; "" if there is none.

    Raises:
        CopyError: it is not an s3:// URL.
    """
    if source.table.jsonpaths is None:
        return ""
    url = source.jsonpaths or f"s3://{s3_location(source).split('/')[2]}/{source.table.jsonpaths.name}"
    if not url.startswith("s3://"):
        raise CopyError(f"{url}: Redshift reads JSONPaths files from S3 only. Upload the file and use its s3:// URL")
    return url


def s3_location(source: Source) -> str:
    """Return the location of a source.

    Raises:
        CopyError: it is not in S3.
    """
    if not re.match("s3://[^/]+", source.location):
        raise CopyError(f"{source.location}: Redshift loads from S3 only. Upload the files and use their s3:// prefix")
    return source.location


def literal(value: str, name: str = "") -> str:
    """Return a string literal. A message shows the value, unless it has a name.

    Raises:
        CopyError: the value contains a backslash, which Redshift might take for an escape, or unprintable characters.
    """
    if "\\" in value or not value.isprintable():
        raise CopyError(
            f"COPY: {name or repr(value)} contains a backslash or a control character, which cannot be quoted safely. "
            "Rename it"
        )
    return "'" + value.replace("'", "''") + "'"

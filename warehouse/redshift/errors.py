"""What Redshift's errors mean: which of them a retry may fix, and what to tell a person about the others."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from socket import EAI_AGAIN, gaierror
from traceback import walk_tb
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from redshift_connector.core import Connection
from redshift_connector.error import Error, InterfaceError, OperationalError

from warehouse.errors import ConflictError, PermanentError, TransientError, UnavailableError

ROLLED_BACK = "any open transaction was rolled back"


@dataclass(frozen=True)
class Cause:
    """A cause of errors, recognised by SQLSTATE (a regular expression for all of it) or by message (for a part).

    `kind` says how long it takes to pass, if it does.
    """

    name: str
    sqlstate: str | None = None
    message: str | None = None
    kind: type[TransientError] = TransientError

    def explains(self, sqlstate: str, message: str) -> bool:
        """Whether an error has this cause."""
        by_code = self.sqlstate is not None and re.fullmatch(self.sqlstate, sqlstate)
        return bool(by_code or (self.message is not None and re.search(self.message, message)))


TRANSIENT = (
    Cause(
        "the cluster is paused or resuming",
        message=r"(?i)\b(is|being) (paused|resuming|pausing|resumed)\b",
        kind=UnavailableError,
    ),
    Cause("the connection was lost", sqlstate="08.{3}"),
    Cause("the server ended the session", sqlstate="57P0[123]"),
    Cause(
        "there are too many connections",
        sqlstate="53300",
        message="(?i)too many (clients|connections)|connection limit .*exceeded",
    ),
    Cause(
        "two transactions were in conflict",
        sqlstate="40001",
        message=r"^1023\b|(?i:serializable isolation|conflict with concurrent transaction)",
        kind=ConflictError,
    ),
    Cause("two transactions waited for each other", sqlstate="40P01", kind=ConflictError),
    Cause("S3 asked for fewer requests", message="SlowDown|(?i:reduce your request rate)"),
    Cause(
        "S3 was not ready", message=r"S3\w*Exception.*(InternalError|ServiceUnavailable|RequestTimeout|Status 50[03])"
    ),
    Cause("AWS asked for fewer requests", message="Throttling|TooManyRequests"),
)
"""Errors that a retry may fix. All others are permanent: syntax, permissions, missing objects, bad rows.

https://www.postgresql.org/docs/8.0/errcodes-appendix.html
https://docs.aws.amazon.com/redshift/latest/dg/r_STV_locks-ser-isolation.html
"""

ADVICE = (
    (
        Cause("login", "28.{3}", "no password was provided"),
        "Fix the user and the password, or the IAM settings, in the warehouse's block",
    ),
    (
        Cause(
            "no credentials", message="Unable to locate credentials|Partial credentials|profile .* could not be found"
        ),
        "For an IAM login give the worker's machine a role, the warehouse's block a `profile` in connect_args, or the "
        "worker's environment AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Or log in with a password",
    ),
    (Cause("database", "3D000"), "Name an existing database in the warehouse's block"),
    (Cause("syntax", "42601"), "Fix the SQL file that the statement comes from"),
    (Cause("permission", "42501"), "Grant the privileges that a loader needs; docs/redshift.md lists them"),
    (Cause("cancelled", "57014"), "Set a longer statement_timeout, or 0 for none"),
    (
        Cause("no room", "53100", "^Disk Full"),
        "Make room in the cluster: drop what nobody needs, VACUUM, or resize it. Then run again",
    ),
    (
        Cause("no TLS", message="Server refuses SSL"),
        "Check host and port in the warehouse's block, because Redshift uses TLS. connect_args of "
        '{"ssl": false} turn TLS off, and send the password and the data in plain text',
    ),
    (
        Cause("another's certificate", message="CERTIFICATE_VERIFY_FAILED"),
        "Use the host name in the server's certificate as the host of the warehouse's block",
    ),
    (
        Cause("objects", message="S3 prefix .* does not exist|NoSuch(Key|Bucket)"),
        "Name a prefix that keys in the bucket start with (prefixes are case-sensitive)",
    ),
    (
        Cause("objects that may not be read", message="S3ServiceException:Access ?Denied|not authorized to assume"),
        "Allow COPY's role or keys s3:ListBucket on the bucket and s3:GetObject on its objects, "
        "and attach the role to the cluster",
    ),
)

_WRONG_SETTINGS = (
    "Server refuses SSL|CERTIFICATE_VERIFY_FAILED|no password was provided|password authentication|not supported"
)
"""Reasons why the driver could not connect that no retry will fix."""

_SECRETS = re.compile(r"(?i)\b(access_key_id|secret_access_key|session_token)\s+'((?:[^']|'')*)'")


class RefusedError(PermanentError):
    """A statement or a login that Redshift refused. `message` is Redshift's own."""

    def __init__(self, text: str, sqlstate: str, message: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.message = message

    def __reduce__(self) -> Any:
        return type(self), (*self.args, self.sqlstate, self.message)


def redacted(statement: str) -> str:
    """Return a statement with its keys masked."""
    return _SECRETS.sub(r"\1 '***'", statement)


def secrets_in(statement: str) -> list[str]:
    """Return the keys in a statement, both as quoted there and as they are."""
    written = [value for _, value in _SECRETS.findall(statement) if value]
    return [*written, *(value.replace("''", "'") for value in written)]


def explain(error: BaseException, statement: str | None = None, secrets: Iterable[str] = ()) -> Exception:
    """Return what an error of the driver means: a TransientError, or a PermanentError that says what to do.

    `secrets` are masked, because the server may have quoted them. An error without an answer from the server is a lost
    connection, which the driver reports in many ways.
    """
    answer = _answer(error)
    if answer is None:
        return _without_answer(error, secrets)
    sqlstate, message = answer[0], _mask(secrets, answer[1])
    cause = next((cause for cause in TRANSIENT if cause.explains(sqlstate, message)), None)
    if cause:
        return cause.kind(f"{cause.name}, and {ROLLED_BACK}: {message} (SQLSTATE {sqlstate})")
    asked = f"\n{_shortened(redacted(statement))}" if statement else ""
    return RefusedError(
        f"Redshift refused: {message} (SQLSTATE {sqlstate}){_advice(sqlstate, message)}{asked}", sqlstate, message
    )


def explain_login(error: BaseException, host: str | None) -> Exception:
    """Return what an error of a login means, as `explain` does. A host whose name is unknown is named."""
    causes = (error, *error.args, error.__context__)
    if unresolved := next((each for each in causes if isinstance(each, gaierror)), None):
        if unresolved.errno == EAI_AGAIN:
            return TransientError(f"{host}: this host cannot be looked up now, as no name server answers")
        text = f"{host}: this host is unknown. Check the host in the warehouse's block, and this machine's name server"
        return RefusedError(text, "", str(unresolved))
    return explain(error)


def _answer(error: BaseException) -> tuple[str, str] | None:
    """Return the SQLSTATE and the message (with details) of the server's answer, if the error is one."""
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        return "", f"{answer.get('Code')}: {answer.get('Message')}"
    if isinstance(error, Error) and error.args and isinstance(error.args[0], dict):
        fields = error.args[0]
        return str(fields.get("C", "")), ": ".join(str(fields[key]).strip() for key in "MD" if fields.get(key))
    # a server that ends a session says why, but the driver keeps that to itself, reads on and fails
    last = getattr(_driver_connection(error), "error", None)
    if isinstance(last, Error) and last is not error and not isinstance(error, OSError):
        return _answer(last)
    return None


def _driver_connection(error: BaseException) -> Connection | None:
    """Return the driver's connection from the traceback: the driver returns none that it failed to open."""
    objects = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    return next((each for each in objects if isinstance(each, Connection)), None)


def close_failed_connection(error: BaseException) -> None:
    """Close the sockets of a connection that the driver failed to open, which it leaves open itself."""
    connection = _driver_connection(error)
    for name in ("_sock", "_usock"):
        with suppress(AttributeError, OSError):  # it did not get that far
            getattr(connection, name).close()


def disconnect(connection: Connection) -> None:
    """Close a connection and its file, which the driver leaves open if it cannot reach the server."""
    file = connection._sock
    try:
        connection.close()
    finally:
        with suppress(AttributeError, OSError):  # already closed, or its buffer cannot be sent
            file.close()


def _advice(sqlstate: str, message: str) -> str:
    return "".join(f". {text}" for known, text in ADVICE if known.explains(sqlstate, message))


def _mask(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _without_answer(error: BaseException, secrets: Iterable[str]) -> Exception:
    reason = _mask(secrets, f"{type(error).__name__}: {error}")
    if _is_misuse(error) or re.search(_WRONG_SETTINGS, reason):
        text = f"the warehouse cannot be reached with these settings: {reason}{_advice('', reason)}"
        return RefusedError(text, "", reason)
    return TransientError(f"the connection to the warehouse was lost, and {ROLLED_BACK}: {reason}")


def _is_misuse(error: BaseException) -> bool:
    """Whether the driver, or AWS's library, rejected its arguments before it contacted anything."""
    if isinstance(error, InterfaceError | OperationalError | OSError | HTTPClientError):
        return False
    return isinstance(error, Error) or not hasattr(_driver_connection(error), "_sock")


def _shortened(statement: str) -> str:
    return statement if len(statement) <= 500 else f"{statement[:500]} ..."

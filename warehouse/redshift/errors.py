"""What Redshift's errors mean: which of them pass with time, and what a person is told of the others."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from redshift_connector.core import Connection
from redshift_connector.error import Error, InterfaceError, OperationalError

from warehouse.errors import PermanentError, TransientError

ROLLED_BACK = "what it had begun is undone"


@dataclass(frozen=True)
class Cause:
    """A cause of errors, known by their SQLSTATE or their message: regular expressions, the first for all of it."""

    name: str
    sqlstate: str | None = None
    message: str | None = None

    def explains(self, sqlstate: str, message: str) -> bool:
        """Tell whether it is this cause that an error has."""
        by_code = self.sqlstate is not None and re.fullmatch(self.sqlstate, sqlstate)
        return bool(by_code or (self.message is not None and re.search(self.message, message)))


TRANSIENT = (
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
    ),
    Cause("two transactions waited for each other", sqlstate="40P01"),
    Cause("S3 asked for fewer requests", message="SlowDown|(?i:reduce your request rate)"),
    Cause(
        "S3 was not ready", message=r"S3\w*Exception.*(InternalError|ServiceUnavailable|RequestTimeout|Status 50[03])"
    ),
    Cause("AWS asked for fewer requests", message="Throttling|TooManyRequests"),
    Cause("the cluster is paused or resuming", message=r"(?i)\b(is|being) (paused|resuming|pausing|resumed)\b"),
)
"""Errors that another try may not meet. All others are permanent: syntax, permissions, missing objects, bad rows.

https://www.postgresql.org/docs/8.0/errcodes-appendix.html
https://docs.aws.amazon.com/redshift/latest/dg/r_STV_locks-ser-isolation.html
"""

ADVICE = (
    (
        Cause("login", "28.{3}", "no password was provided"),
        "mend the user and the password, or the IAM settings, in the warehouse's block",
    ),
    (Cause("database", "3D000"), "name a database that exists in the warehouse's block"),
    (Cause("syntax", "42601"), "mend the SQL file that the statement comes from"),
    (Cause("permission", "42501"), 'the README, "Run it on Redshift", lists the privileges that a loader needs'),
    (Cause("cancelled", "57014"), "allow statements more seconds by statement_timeout, or 0 for any time"),
    (
        Cause("no TLS", message="Server refuses SSL"),
        "check host and port in the warehouse's block, as Redshift speaks TLS; connect_args of "
        '{"ssl": false} do without, and send the password and the data in clear',
    ),
    (
        Cause("another's certificate", message="CERTIFICATE_VERIFY_FAILED"),
        "give the warehouse's block the host by the name that its certificate bears",
    ),
    (
        Cause("objects", message="S3 prefix .* does not exist|NoSuch(Key|Bucket)"),
        "name a prefix that keys in the bucket begin with, upper and lower case told apart",
    ),
    (
        Cause("objects that may not be read", message="S3ServiceException:Access ?Denied|not authorized to assume"),
        "COPY's role or keys need s3:ListBucket on the bucket and s3:GetObject on its objects, the cluster the role",
    ),
)

_SURE = "Server refuses SSL|CERTIFICATE_VERIFY_FAILED|no password was provided|password authentication|not supported"
"""Where the driver could not connect, and no other try will."""

_SECRETS = re.compile(r"(?i)\b(access_key_id|secret_access_key|session_token)\s+'((?:[^']|'')*)'")


class RefusedError(PermanentError):
    """A statement or a login that Redshift refused. `message` is its own."""

    def __init__(self, text: str, sqlstate: str, message: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.message = message

    def __reduce__(self) -> Any:
        return type(self), (*self.args, self.sqlstate, self.message)


def redacted(statement: str) -> str:
    """Return a statement without the keys in it."""
    return _SECRETS.sub(r"\1 '***'", statement)


def secrets_in(statement: str) -> list[str]:
    """Return the keys in a statement, as they are written there and as they are."""
    written = [value for _, value in _SECRETS.findall(statement) if value]
    return [*written, *(value.replace("''", "'") for value in written)]


def explain(error: BaseException, statement: str | None = None, secrets: Iterable[str] = ()) -> Exception:
    """Return what an error of the driver means: a TransientError, or a PermanentError that says what to do.

    `secrets` are what the server may have quoted. What is no answer of the server's is a conversation that broke
    off: the driver meets that in many ways.
    """
    answer = _answer(error)
    if answer is None:
        return _without_answer(error, secrets)
    sqlstate, message = answer[0], _without(secrets, answer[1])
    cause = next((cause for cause in TRANSIENT if cause.explains(sqlstate, message)), None)
    if cause:
        return TransientError(f"{cause.name}, and {ROLLED_BACK}: {message} (SQLSTATE {sqlstate})")
    asked = f"\n{_shortened(redacted(statement))}" if statement else ""
    return RefusedError(
        f"Redshift refused: {message} (SQLSTATE {sqlstate}){_advice(sqlstate, message)}{asked}", sqlstate, message
    )


def _answer(error: BaseException) -> tuple[str, str] | None:
    """Return the SQLSTATE and the message (with its details) of the server's answer, if the error is one."""
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        return "", f"{answer.get('Code')}: {answer.get('Message')}"
    if isinstance(error, Error) and error.args and isinstance(error.args[0], dict):
        fields = error.args[0]
        return str(fields.get("C", "")), ": ".join(str(fields[key]).strip() for key in "MD" if fields.get(key))
    last = getattr(_speaker(error), "error", None)  # a server that ends a session says why, and the driver reads on
    if isinstance(last, Error) and last is not error and not isinstance(error, OSError):
        return _answer(last)
    return None


def _speaker(error: BaseException) -> Connection | None:
    """Return the connection that the driver was speaking over: it shows none that it failed to open."""
    speakers = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    return next((speaker for speaker in speakers if isinstance(speaker, Connection)), None)


def hang_up(error: BaseException) -> None:
    """Close the connection that the driver failed to open, and has forgotten."""
    speaker = _speaker(error)
    for name in ("_sock", "_usock"):
        with suppress(AttributeError, OSError):  # it had not come so far
            getattr(speaker, name).close()


def disconnect(connection: Connection) -> None:
    """Close a connection with its file, which the driver leaves open where the server cannot be told."""
    file = connection._sock
    try:
        connection.close()
    finally:
        with suppress(AttributeError, OSError):  # closed before; what it still holds cannot be sent
            file.close()


def _advice(sqlstate: str, message: str) -> str:
    return "".join(f": {text}" for known, text in ADVICE if known.explains(sqlstate, message))


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _without_answer(error: BaseException, secrets: Iterable[str]) -> Exception:
    reason = _without(secrets, f"{type(error).__name__}: {error}")
    if _is_misuse(error) or re.search(_SURE, reason):
        text = f"the warehouse cannot be reached so: {reason}{_advice('', reason)}"
        return RefusedError(text, "", reason)
    return TransientError(f"the connection to the warehouse was lost, and {ROLLED_BACK}: {reason}")


def _is_misuse(error: BaseException) -> bool:
    """Whether the driver, or AWS's own, could not even begin with what it was given."""
    if isinstance(error, InterfaceError | OperationalError | OSError | HTTPClientError):
        return False
    return isinstance(error, Error) or not hasattr(_speaker(error), "_sock")


def _shortened(statement: str) -> str:
    return statement if len(statement) <= 500 else f"{statement[:500]} ..."

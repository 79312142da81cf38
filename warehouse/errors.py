"""What a failure means: retry, or tell a person."""

from datetime import datetime
from typing import Any


class PermanentError(Exception):
    """A failure that a retry would run into again. Its message says what to do instead."""


class TransientError(Exception):
    """A failure that a retry may fix, such as a lost connection.

    `wait` is the time in seconds before the first retry. Before each further one it doubles, because what it takes to
    pass is known by its order of magnitude only.
    """

    wait = 10.0


class ConflictError(TransientError):
    """Another transaction was in the way. It has ended, or will soon."""

    wait = 2.0


class UnavailableError(TransientError):
    """The warehouse is stopped, or starts, which takes minutes."""

    wait = 30.0


class CopyError(PermanentError):
    """A COPY that loaded nothing. The message says why: file, line, column, value and reason."""


class NotAllowedError(CopyError):
    """There are no credentials for S3, or they do not allow an operation."""


class LeaseLostError(PermanentError):
    """A run does not hold the lease of the warehouse."""


class LeaseHeldError(LeaseLostError):
    """Another run holds the lease. Times are in UTC."""

    def __init__(self, holder: str, expires_at: datetime) -> None:
        super().__init__(
            f"the warehouse is in use by {holder} until {expires_at:%Y-%m-%d %H:%M:%S} UTC at the latest. "
            "Wait for that run to end, or stop it"
        )
        self.holder = holder
        self.expires_at = expires_at

    def __reduce__(self) -> Any:
        return type(self), (self.holder, self.expires_at)


class ChecksFailedError(PermanentError):
    """The tables are loaded, but break a rule of severity `error`."""


def is_transient(error: BaseException) -> bool:
    """Whether a retry of the same transaction may succeed.

    DuckDB raises a TransactionException that mentions a conflict when two transactions write the same rows or create
    the same table. None of its other errors goes away with time: a full disk at COMMIT is a TransactionException too,
    but mentions no conflict.
    """
    if isinstance(error, TransientError):
        return True
    cause = getattr(error, "orig", error)  # SQLAlchemy's DBAPIError has the driver's; its import would slow --help down
    return type(cause).__name__ == "TransactionException" and "conflict" in str(cause).lower()


def wait_of(error: BaseException) -> float:
    """Return the time in seconds before the first retry after a transient error."""
    return error.wait if isinstance(error, TransientError) else ConflictError.wait


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error was caused by Ctrl-C.

    DuckDB raises an error of its own if Ctrl-C hits it during a statement, and so does Prefect when a task starts.
    """
    if error is None or isinstance(error, KeyboardInterrupt):
        return error is not None
    return str(error) == "Query interrupted" or was_interrupted(error.__context__)

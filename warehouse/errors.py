"""What a failure means: try again, or tell a person."""

from sqlalchemy.exc import DBAPIError


class PermanentError(Exception):
    """A failure that another try would meet again; its text says what to do instead."""


class TransientError(Exception):
    """A failure that another try may mend."""


class CopyError(PermanentError):
    """A COPY that loaded nothing, and why: file, line, column, value and reason."""


class NotAllowedError(CopyError):
    """These credentials may not look at something in S3, or there are none."""


class LeaseLostError(PermanentError):
    """Another run holds the warehouse."""


class ChecksFailedError(PermanentError):
    """The tables are loaded, and break a rule of severity `error`."""


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again.

    DuckDB reports two transactions that wrote the same rows, or made the same table, as a TransactionException
    of a conflict; nothing else that it reports passes with time (a full disk at COMMIT is one without).
    """
    if isinstance(error, TransientError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    return type(cause).__name__ == "TransactionException" and "conflict" in str(cause).lower()


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error came of Ctrl-C.

    DuckDB makes an error of its own of one that meets it in a statement, and so does Prefect as a task begins.
    """
    if error is None or isinstance(error, KeyboardInterrupt):
        return error is not None
    return str(error) == "Query interrupted" or was_interrupted(error.__context__)

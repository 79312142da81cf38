"""What a preflight finds: one line each, passed, or failed with what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from warehouse.errors import NotAllowedError, PermanentError


class UntriedError(Exception):
    """There is nothing to try. The message says why."""


@dataclass(frozen=True)
class Finding:
    """Whether a run can rely on something. `unknown` means that the worker cannot look, and does not have to."""

    subject: str
    result: Literal["passed", "failed", "unknown"]
    text: str

    def __str__(self) -> str:
        return f"{self.result:<7}  {self.subject}: {self.text}"


def probe(subject: str, question: Callable[[], str], *, may_be_denied: bool = False) -> Finding:
    """Ask a question. Its answer is the text of a finding that passed, its PermanentError that of one that failed.

    An UntriedError makes the finding `unknown` instead, and with `may_be_denied` a NotAllowedError does too.
    """
    try:
        return Finding(subject, "passed", question())
    except UntriedError as error:
        return Finding(subject, "unknown", f"not tried, as {error}")
    except PermanentError as error:
        denied = may_be_denied and isinstance(error, NotAllowedError)
        return Finding(subject, "unknown" if denied else "failed", str(error))

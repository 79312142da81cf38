"""What is found before a run: one line each, passed or failed with what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from warehouse.errors import NotAllowedError, PermanentError


@dataclass(frozen=True)
class Finding:
    """Whether something is as a run needs it; `unknown` where the worker may not look, and need not."""

    subject: str
    result: Literal["passed", "failed", "unknown"]
    text: str

    def __str__(self) -> str:
        return f"{self.result:<7}  {self.subject}: {self.text}"


def look(subject: str, question: Callable[[], str], *, may_be_barred: bool = False) -> Finding:
    """Ask; what is answered is the finding's text, and what is refused is why it failed."""
    try:
        return Finding(subject, "passed", question())
    except PermanentError as error:
        barred = may_be_barred and isinstance(error, NotAllowedError)
        return Finding(subject, "unknown" if barred else "failed", str(error))

"""What a person is told of a failure: one line, once."""

import logging
import re
import sys
import traceback
from pathlib import Path

from flows.escape import escape_control
from warehouse.errors import PermanentError, TransientError, was_interrupted

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("deployments", "flows", "sql", "tasks", "warehouse")
_RUNS = ("prefect.flow_runs", "prefect.task_runs")
_BAD_ENDS = ("Finished in state Failed", "Finished in state Crashed", "Finished in state Running")
_REPEATED = re.compile(r"^(Finished in state Failed)\(.*", re.DOTALL)
"""The line before it has the reason."""


class _Untold(logging.Filter):
    """Keeps failures of runs out of a log: Prefect tells of each for its task, its flow and the state of both."""

    def __init__(self) -> None:
        super().__init__()
        self.is_off = False
        self.errors: list[BaseException] = []

    def filter(self, record: logging.LogRecord) -> bool:
        ended_badly = record.levelno >= logging.ERROR or record.getMessage().startswith(_BAD_ENDS)
        if self.is_off or record.name not in _RUNS or not ended_badly:
            return True
        error = record.exc_info[1] if record.exc_info else None
        if error and error not in self.errors:
            self.errors.append(error)
        return False


UNTOLD = _Untold()
"""What a command keeps out of its own log, for its last lines."""


def tidy_logs() -> None:
    """Drop what the logs of runs say twice, and escape what comes from the data.

    There is no traceback where the error's message says it all, or somebody interrupted the run. A defect has one, and
    a word on what to do with it, once, though both its task and its flow tell of it.
    """
    for name in _RUNS:
        logging.getLogger(name).addFilter(_tidy)


def _tidy(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    record.msg, record.args = escape_control(record.getMessage()), ()
    if error and (isinstance(error, PermanentError | TransientError) or was_interrupted(error) or _is_told(error)):
        record.exc_info = None
    elif error and not _is_unanswered(error):
        record.msg += ". This is a defect of the pipeline. Report it with the lines below"
    if record.name == _RUNS[0]:
        record.msg = _REPEATED.sub(r"\1", record.msg)
    return True


def _is_told(error: BaseException) -> bool:
    """Whether this was asked of the error before."""
    told = hasattr(error, "told_by_sparkify")
    error.told_by_sparkify = True  # type: ignore[attr-defined]
    return told


def last_lines(error: BaseException) -> list[str]:
    """Return the message of each failure that was not told of, and that of the error which ended the command."""
    others = [each for each in UNTOLD.errors if each is not error and not was_interrupted(each)]
    return list(dict.fromkeys(_message(each) for each in [*others, error]))


def _message(error: BaseException) -> str:
    if was_interrupted(error):
        return "interrupted: each step is complete or undone. Run again to complete the others"
    if isinstance(error, TransientError):
        return f"{str(error).removesuffix('.')}. Each step is complete or undone. Run again once this has passed"
    if isinstance(error, PermanentError):
        return str(error)
    if _is_unanswered(error) or _is_unanswered(error.__cause__):
        from prefect.settings import PREFECT_API_URL  # it was imported before it could fail

        return (
            f"the Prefect server at {PREFECT_API_URL.value()} does not answer. Start it (`prefect server start`), use "
            "another (`prefect config set PREFECT_API_URL=...`), or none (`prefect config unset PREFECT_API_URL`)"
        )
    return _defect(error)


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _PACKAGES


def _is_unanswered(error: BaseException | None) -> bool:
    httpx = sys.modules.get("httpx")
    return httpx is not None and isinstance(error, httpx.TransportError)


def _defect(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{path.relative_to(_ROOT)}, line {f.lineno}" for f in frames if _is_ours(path := Path(f.filename))][-1]
    cause = getattr(error, "orig", None) or error  # a driver's error, without the statement that SQLAlchemy adds
    reason = " ".join(f"{type(cause).__name__} {cause}".split())
    return (
        f"a defect of the pipeline in {place}: {reason[:200]}. "
        "Run again with --debug, which prints where it comes from, and report that"
    )

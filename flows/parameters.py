"""The kinds of values that commands and flows take. Imports nothing slow, so that wrong ones are refused at once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from cyclopts import Parameter

from warehouse.days import Days
from warehouse.errors import PermanentError
from warehouse.sources import MOST_REJECTS
from warehouse.target import DUCKDB_URL, Target, fold, refuse_missing_file, refuse_url

SchemaName = Annotated[str, Parameter(validator=lambda _, name: fold(name))]
"""Names a schema. The command line refuses a name that no schema can have."""

WarehouseName = Annotated[str, Parameter(validator=lambda _, name: refuse_url(name))]
"""Names a warehouse. The command line refuses a URL, except duckdb:///, before Prefect stores it."""


@dataclass(frozen=True)
class _Bounds:
    """An `Interval` of annotated_types, whose import takes as long as the rest of `--help`, once Prefect reads it."""

    __is_annotated_types_grouped_metadata__: ClassVar = True

    least: int
    most: int | None = None

    def __iter__(self) -> Iterator[Any]:
        from annotated_types import Interval

        return iter(Interval(ge=self.least, le=self.most))


def _within(bounds: _Bounds) -> Parameter:
    """Let the command line refuse what is out of bounds. Prefect reads the bounds themselves."""
    least, most = bounds.least, bounds.most
    words = f"{least} or more" if most is None else f"{least} to {most}"

    def refuse(_: Any, value: int) -> None:
        if value < least or (most is not None and value > most):
            raise ValueError(f"Use {words}.")

    return Parameter(validator=refuse)


_COUNT, _NUMBER = _Bounds(0), _Bounds(1)
_ERRORS, _PORT = _Bounds(0, MOST_REJECTS), _Bounds(1, 65_535)
Count = Annotated[int, _COUNT, _within(_COUNT)]
Number = Annotated[int, _NUMBER, _within(_NUMBER)]
MaxErrors = Annotated[int, _ERRORS, _within(_ERRORS)]
Port = Annotated[int, _PORT, _within(_PORT)]
SourceName = Literal["", "log_data", "song_data"]


def refuse_contradictions(**parameters: Any) -> None:
    """Refuse parameters that cannot work together, of any command.

    Raises:
        PermanentError: the message names them.
    """
    given = {name: value for name, value in parameters.items() if value}
    Days.read(given.get("since", ""), given.get("until", ""), reload="reload" in given)
    if "reload" in given and "set_aside" in given:
        raise PermanentError("reload: a file that is set aside would leave its days empty. Run without --set-aside")
    if "retry_set_aside" in given and "dismiss_set_aside" in given:
        raise PermanentError("retry_set_aside: contradicts dismiss_set_aside. Choose one of them")
    sources = [name for name in ("log_data", "song_data") if name in given]
    if len(sources) == 1:
        (missing,) = {"log_data", "song_data"} - set(sources)
        raise PermanentError(f"{missing} is missing. Name both sources, or neither to run on a generated sample")
    if "plan" in given and given.get("warehouse", "").startswith(DUCKDB_URL):
        raise PermanentError(
            "plan: only runs on Redshift can be planned. Set warehouse to the name of a Redshift block"
        )
    if report := given.get("report"):
        refuse_unwritable(report)


def refuse_missing(**parameters: Any) -> None:
    """Refuse parameters of a command that name nothing on this machine: a source, or a DuckDB file that is only read.

    Raises:
        PermanentError: the message names it.
    """
    for name in ("log_data", "song_data"):
        location = parameters.get(name)
        if location and not location.startswith("s3://") and not Path(location).exists():
            raise PermanentError(f"{name}: {location} does not exist. Name a directory, a file or an s3:// prefix")
    if "warehouse" in parameters:
        file = Target(parameters["warehouse"], parameters["schema"], "").duckdb_file
        if file and "log_data" not in parameters:
            refuse_missing_file(file)


def refuse_unwritable(report: str) -> None:
    """Refuse a page that cannot be written.

    Raises:
        PermanentError: it is no object in S3, there is no directory for it, or it is one.
    """
    page = Path(report)
    if report.lower().startswith("s3:/"):
        if not re.fullmatch(r"s3://[\w.-]+/\S*[^/\s]", report):
            raise PermanentError(f"report: {report} names no object. Use s3://bucket/key, without blanks")
    elif page.is_dir() or not page.parent.is_dir():
        raise PermanentError(
            f"report: {page} cannot be written. Name a file in an existing directory, or s3://bucket/key"
        )

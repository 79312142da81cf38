"""The days of a backfill, by the dates in the names of files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from warehouse.errors import PermanentError
from warehouse.files import SourceFile

_DATE = re.compile(r"(?<!\d)(\d{4})([-/])(\d{2})\2(\d{2})(?!\d)")


@dataclass(frozen=True)
class Days:
    """Days from `since` to `until`, both inclusive. None: from the first, or to the last.

    A `reload` reads files of these days again.
    """

    since: date | None = None
    until: date | None = None
    reload: bool = False

    @classmethod
    def read(cls, since: str, until: str, *, reload: bool = False) -> Self:
        """Read days as a person writes them: YYYY-MM-DD, or nothing.

        Raises:
            PermanentError: one is no day, they are the wrong way round, or a reload lacks one.
        """
        days = cls(_day("since", since), _day("until", until), reload)
        if reload and not (days.since and days.until):
            raise PermanentError("reload: replaces days. Name the first and the last one with --since and --until")
        if days.since and days.until and days.since > days.until:
            raise PermanentError(f"since: {since} is after until, {until}. Swap them")
        return days

    def choose(self, name: str, files: Sequence[SourceFile]) -> set[str]:
        """Return the URLs of the files of a source that are of these days: all, if none has a date in its name.

        Raises:
            PermanentError: there are none.
        """
        is_bounded = self.since or self.until
        days = {file.url: day for file in files if (day := day_of(file.url))} if is_bounded else {}
        if not days:
            return {file.url for file in files}
        first, last = self.since or date.min, self.until or date.max
        chosen = {url for url, day in days.items() if first <= day <= last}
        if not chosen:
            raise PermanentError(
                f"{name}: no file is of the days {self.since or '...'} to {self.until or '...'}. "
                f"There are files of {min(days.values())} to {max(days.values())}"
            )
        return chosen

    def is_at_margin(self, file: SourceFile) -> bool:
        """Whether a file is of the day before, or of the day after."""
        if not (self.since and self.until):
            return False
        return day_of(file.url) in (self.since - timedelta(1), self.until + timedelta(1))


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise PermanentError(f"{name}: {text!r} is no day. Write it as 2018-11-15") from None


def day_of(url: str) -> date | None:
    """Return the last date in a name: 2018-11-15 or 2018/11/15."""
    for year, _, month, day in reversed(_DATE.findall(url)):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None

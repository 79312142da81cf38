"""How text becomes a column's value in COPY: a function for each type, from text to what PostgreSQL reads.

Each raises RejectedError with the code of Redshift's load error reference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from math import isfinite
from struct import pack

from tests.standin.copy_statement import CopyStatement
from tests.standin.errors import unsupported
from tests.standin.json_records import RejectedError

Convert = Callable[[str], str]

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DEFAULT_TIME = "YYYY-MM-DD HH24:MI:SS"
_EXACT = Context(prec=1000, Emax=10_000, Emin=-10_000)
_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
_LAST_EPOCH_MS = 9_224_318_015_999_999  # the end of the year 294276


@dataclass(frozen=True)
class Column:
    """A column of the table: `kind` is its type without size, `sizes` the numbers in the type's brackets."""

    name: str
    kind: str
    sizes: tuple[int, ...]
    required: bool
    has_default: bool


def converter(column: Column, copy: CopyStatement) -> Convert:
    """Return the function for a column.

    Raises:
        ServerError: the stand-in does not load such a column.
    """
    if column.kind in ("character varying", "character"):
        return _string(column.sizes[0] if column.sizes else 1, copy)
    if column.kind in _BITS:
        return _integer(column.kind, _BITS[column.kind])
    if column.kind == "numeric":
        return _decimal(*column.sizes, rounding=ROUND_HALF_UP if "roundec" in copy.flags else ROUND_DOWN)
    if column.kind in ("real", "double precision"):
        return _float(column.kind)
    if column.kind == "boolean":
        return _boolean
    if column.kind == "timestamp without time zone":
        return _timestamp(copy.time_format)
    if column.kind == "date":
        return _date(copy.date_format)
    raise unsupported(f"COPY into a column of type {column.kind} is not in the stand-in")


def is_text(column: Column) -> bool:
    return column.kind.startswith("character")


def _string(size: int, copy: CopyStatement) -> Convert:
    truncates = "truncatecolumns" in copy.flags
    blanks_are_null = "blanksasnull" in copy.flags

    def convert(text: str) -> str:
        if "\0" in text:
            raise RejectedError(
                1220, "String contains invalid or unsupported UTF-8 codepoints", position=text.index("\0")
            )
        if len(text) * 4 > size and len(text.encode()) > size:
            if not truncates:
                raise RejectedError(1204, "String length exceeds DDL length", position=size)
            return text.encode()[:size].decode(errors="ignore")
        return "" if blanks_are_null and not text.strip(" ") else text

    return convert


def _integer(kind: str, bits: int) -> Convert:
    def convert(text: str) -> str:
        if not _INTEGER.fullmatch(text):
            place = next((n for n, c in enumerate(text) if not (c in "0123456789" or (c == "-" and not n))), len(text))
            shown = text[place : place + 1]
            raise RejectedError(
                1207, f"Invalid digit, Value '{shown}', Pos {place}, Type: {kind.title()}", position=place
            )
        if not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
            raise RejectedError(1222, f"Overflow, Column type: {kind.title()}")
        return text

    return convert


def _decimal(precision: int, scale: int, *, rounding: str) -> Convert:
    limit = Decimal(10) ** (precision - scale)
    unit = Decimal(1).scaleb(-scale)

    def convert(text: str) -> str:
        if not _NUMBER.fullmatch(text):
            raise RejectedError(1209, "Invalid DECIMAL format")
        number = _EXACT.create_decimal(text)
        if abs(number) < limit:
            number = number.quantize(unit, rounding, _EXACT)
        if abs(number) >= limit:
            raise RejectedError(1204, f"Overflow for NUMERIC({precision},{scale})")
        return f"{number:f}"

    return convert


def _float(kind: str) -> Convert:
    def convert(text: str) -> str:
        if not _NUMBER.fullmatch(text):
            raise RejectedError(1208, f"Invalid {kind.upper()} format")
        if not isfinite(float(text)) or (kind == "real" and not _fits_real(float(text))):
            raise RejectedError(1204, f"Overflow, Column type: {kind.title()}")
        return text if float(text) else f"{float(text)}"

    return convert


def _fits_real(number: float) -> bool:
    try:
        pack("<f", number)
    except OverflowError:
        return False
    return True


def _boolean(text: str) -> str:
    if text not in ("true", "false"):
        raise RejectedError(1210, "Invalid BOOLEAN format")
    return text


def _timestamp(time_format: str | None) -> Convert:
    units = {"epochsecs": 1000, "epochmillisecs": 1}
    if time_format in units:
        return _epoch(time_format, units[time_format])
    if time_format not in (None, "auto", "YYYY-MM-DD HH:MI:SS"):
        raise unsupported(f"TIMEFORMAT '{time_format}' is not in the stand-in")

    shape = r"\d{4}-\d\d-\d\d" + (r"([ T].+)?" if time_format == "auto" else " .+")

    def convert(text: str) -> str:
        try:
            moment = datetime.fromisoformat(text) if re.fullmatch(shape, text) else None
        except ValueError:
            moment = None
        if moment is None:
            raise RejectedError(1206, f"Invalid timestamp format or value [{_DEFAULT_TIME}]")
        return moment.replace(tzinfo=None).isoformat(" ")

    return convert


def _epoch(name: str, unit: int) -> Convert:
    def convert(text: str) -> str:
        if not (text.isascii() and text.isdigit()) or int(text) * unit > _LAST_EPOCH_MS:
            raise RejectedError(1206, f"Invalid timestamp format or value [{name}]")
        return _moment(int(text) * unit)

    return convert


def _moment(milliseconds: int) -> str:
    """Write a moment since 1970, even after the year 9999: the calendar repeats every 400 years."""
    days, rest = divmod(milliseconds, 86_400_000)
    cycles, days = divmod(days, 146_097)
    day = date(1970, 1, 1) + timedelta(days)
    hours, minutes, seconds = rest // 3_600_000, rest // 60_000 % 60, rest // 1000 % 60
    return f"{day.year + 400 * cycles:04}-{day:%m-%d} {hours:02}:{minutes:02}:{seconds:02}.{rest % 1000:03}"


def _date(date_format: str | None) -> Convert:
    if date_format not in (None, "auto", "YYYY-MM-DD"):
        raise unsupported(f"DATEFORMAT '{date_format}' is not in the stand-in")

    def convert(text: str) -> str:
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise RejectedError(1205, "Invalid Date Format - length must be 10 or more") from None

    return convert

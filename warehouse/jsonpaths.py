"""JSONPaths: which value of a JSON record goes into which column."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from warehouse.errors import CopyError
from warehouse.tables import Column

Steps = tuple[str | int, ...]
ReadFile = Callable[[str], bytes]

_INDEX = "([0-9]{1,9})"  # a record of 4 MB has no room for more values
_DOT = re.compile(rf"\.([^.\[\]*\s]+)|\[{_INDEX}\]")
_BRACKET = re.compile(rf"\[\s*(?:'([^']*)'|\"([^\"]*)\"|{_INDEX})\s*\]")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read_local(path: str) -> bytes:
    """Return the content of a local JSONPaths file.

    Raises:
        CopyError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CopyError(
            f"{path}: the JSONPaths file cannot be read ({error.strerror}). Check the path and its permissions"
        ) from None


def paths_of(columns: Sequence[Column], file: str, table: str, read: ReadFile) -> dict[str, Steps]:
    """Return the path of each column, from the JSONPaths file or, if `file` is empty, from the column's name.

    Raises:
        CopyError: the file cannot be read, or does not fit the table.
    """
    names = [column.name for column in columns]
    if not file:
        return {name: (name,) for name in names}
    return dict(zip(names, read_jsonpaths(file, len(names), table, read), strict=True))


def read_jsonpaths(path: str, columns: int, table: str, read: ReadFile = read_local) -> list[Steps]:
    """Return one path per column, in the table's order, from a JSONPaths file.

    https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-json.html

    Raises:
        CopyError: the file is missing or malformed, does not have one path per column, or mixes paths into objects
            and into arrays.
    """
    paths = _parse(path, read(path))
    if len(paths) != columns:
        raise CopyError(
            f"{path}: has {len(paths)} paths, but {table} needs {columns}. "
            "List one path per column, in the order of the table's columns"
        )
    parsed = [parse_path(path, expression) for expression in paths]
    if len({isinstance(steps[0], int) for steps in parsed}) > 1:
        raise CopyError(
            f"{path}: some paths start with a key, and some with an index, but each record is an object or an array. "
            "Write all paths one way"
        )
    return parsed


def parse_path(path: str, expression: object) -> Steps:
    """Return the keys and indexes that make up a JSONPath expression.

    Raises:
        CopyError: Redshift cannot read the expression. It knows keys and indexes, either all in dot notation
            or all in brackets.
    """
    text = expression if isinstance(expression, str) else ""
    if _HALF_PAIR.search(text):
        raise CopyError(f"{path}: {text!a} holds half of a surrogate pair. Write the character itself")
    for notation in (_DOT, _BRACKET):
        if re.fullmatch(rf"\$(?:{notation.pattern})+", text):
            return tuple(_step(match) for match in notation.finditer(text))
    raise CopyError(
        f"{path}: {expression!r} is not a JSONPath that Redshift reads. "
        "Use $.key or $['key'], but do not mix them, and do not use wildcards"
    )


def _step(match: re.Match[str]) -> str | int:
    *keys, index = match.groups()
    return int(index) if index is not None else next(key for key in keys if key is not None)


def _parse(path: str, text: bytes) -> list[object]:
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CopyError(f"{path}: the JSONPaths file is not valid JSON ({error}). Fix the file") from None
    paths = content.get("jsonpaths") if isinstance(content, dict) else None
    if not isinstance(paths, list):
        raise CopyError(
            f'{path}: the JSONPaths file has no list "jsonpaths", so Redshift would ignore it and load by names. '
            'Write it as {"jsonpaths": ["$.key", ...]}'
        )
    return paths

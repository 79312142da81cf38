"""JSONPaths: the file, and the paths in it."""

import json
import re

from tests.standin.errors import ServerError

Step = str | int
Path = tuple[Step, ...]

_DOT = re.compile(r"\.([^.\[\]\s*]+)|\[([0-9]{1,9})\]")
_BRACKET = re.compile(r"""\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([0-9]{1,9}))\]""")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def parse_paths(content: bytes) -> list[Path] | None:
    """Return the paths of a JSONPaths file; None if its top-level key is another, which COPY treats like 'auto'.

    Raises:
        ServerError: it is no JSON, or holds what is no path.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ServerError("XX000", "Invalid JSONPath format: not a JSON object") from None
    if not isinstance(value, dict) or "jsonpaths" not in value:
        return None
    paths = value["jsonpaths"]
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ServerError("XX000", "Invalid JSONPath format: Member is not a string")
    return [_parse(path) for path in paths]


def _parse(path: str) -> Path:
    notation = _DOT if re.match(r"\$(?:\[\d+\])*\.", path) else _BRACKET
    place, steps = 1, []
    while match := notation.match(path, place):
        index = match[match.re.groups]
        text = next((g for g in match.groups()[:-1] if g is not None), "")
        steps.append(int(index) if index is not None else re.sub(r"\\(.)", r"\1", text))
        place = match.end()
    if not path.startswith("$") or place < len(path) or not steps or _HALF_PAIR.search(path):
        raise ServerError(
            "XX000",
            f"Invalid JSONPath format. Supported notations are 'dot-notation' and 'bracket-notation': {path!a}",
        )
    return tuple(steps)

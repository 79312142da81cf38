"""What a file that is not JSON looks like, and what to do with it."""

import re

_BEGINNING_BYTES = 4096
_JSON_WANTED = "Set the source to a location of JSON files only"
_DECOMPRESS = "Decompress it, or compress it with gzip and set --compression gzip"
_SIGNATURES = (
    (rb"\x1f\x8b", "a gzip file", "Set --compression gzip"),
    (rb"PK\x03\x04", "a zip archive", "Unpack it"),
    (rb"BZh\d", "a bzip2 file", _DECOMPRESS),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", _DECOMPRESS),
    (rb"PAR1", "a Parquet file", _JSON_WANTED),
    (rb"Obj\x01", "an Avro file", _JSON_WANTED),
    (rb"\s*<", "an HTML or XML page", "Check how the file was downloaded"),
    (rb"\s*\[", "a list of records", "Write each record as an object, without the list around them"),
    (rb"[^{\[\n]*?([,;\t])[^{\[\n]*\n(?:[^{\[\n]*?\1)", "a CSV file", _JSON_WANTED),
)


def other_format(path: str, bracket: str) -> str | None:
    """Return what a file looks like, and what to do, where it does not begin like a record."""
    with open(path, "rb") as file:
        beginning = file.read(_BEGINNING_BYTES)
    if beginning.lstrip().startswith(bracket.encode()):
        return None
    for signature, name, advice in _SIGNATURES:
        if re.match(signature, beginning):
            return f"looks like {name}. {advice}"
    return None

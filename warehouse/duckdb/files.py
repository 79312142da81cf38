"""Local files that stand for the objects under an S3 prefix."""

import codecs
import errno
import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from warehouse.errors import CopyError
from warehouse.files import File
from warehouse.sources import Compression

MARK = "\x1a"
"""Stands for bytes that are not UTF-8 in a decoded text: SUBSTITUTE, which no JSON text may hold either."""

_CHUNK_BYTES = 4 << 20
_BETWEEN_RECORDS = re.compile(rb"\}\s*?\n\s*(?=\{)")

codecs.register_error("mark", lambda error: (MARK, getattr(error, "end", 0)))


def list_files(source: str) -> list[File]:
    """Return every file under a directory, or the one file, by name. Hidden files too, as COPY would.

    Raises:
        CopyError: there is nothing there, or something that cannot be read.
    """
    try:
        files = [_file(name) for name in (_names_under(source) if os.path.isdir(source) else [source])]
    except OSError as error:
        raise _unreadable(error) from None
    if not files:
        raise CopyError(f"{source}: no files in this directory: name one that holds JSON files")
    return files


def _names_under(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise error

    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder, onerror=refuse) for name in names)


def _file(name: str) -> File:
    found = os.stat(name)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    if not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return File(name, name, found.st_size)


def _unreadable(error: OSError) -> CopyError:
    return CopyError(f"{error.filename}: cannot be read: {error.strerror}: name what is there, or allow it to be read")


def begins_with_a_line(path: str) -> bool:
    """Tell whether a file's first line is an object, or too long to tell, rather than a part of one."""
    with open(path, "rb") as file:
        line = file.readline(_CHUNK_BYTES)
    try:
        return len(line) == _CHUNK_BYTES or isinstance(json.loads(line), dict)
    except ValueError:
        return False


def as_pattern(path: str) -> str:
    """Return the pattern that, where DuckDB looks for patterns, means the one file of this name."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


@contextmanager
def uncompressed(files: list[File], compression: Compression) -> Iterator[list[File]]:
    """Give the files as plain ones, which last until the block ends.

    Raises:
        CopyError: a file is not compressed as it was said to be, or cut short.
    """
    if compression == "none":
        _refuse_compressed(files)
        yield files
        return
    with TemporaryDirectory(prefix="sparkify-") as folder:
        yield [_gunzip(file, f"{folder}/{number}") for number, file in enumerate(files)]


def _refuse_compressed(files: list[File]) -> None:
    compressed = next((file.name for file in files if file.name.endswith(".gz")), None)
    if compressed:
        raise CopyError(f"{compressed}: compressed, as it seems: COPY infers nothing from a name, so say `gzip`")


def _gunzip(file: File, path: str) -> File:
    size = 0
    try:
        with gzip.open(file.path, "rb") as source, open(path, "wb") as target:
            while block := source.read(1 << 20):
                size += target.write(block)
    except EOFError:
        raise CopyError(f"{file.name}: the gzip file is cut short: get it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CopyError(f"{file.name}: not a good gzip file: {error}") from None
    except OSError as error:
        raise _unreadable(error) from None
    return File(path, file.name, size)


def read_chunks(path: str) -> Iterator[tuple[int, str]]:
    """Give a file's text in chunks of whole records, each with the number of its first line.

    Bytes that are not UTF-8 become MARK. A chunk ends where one object ends a line and another begins
    the next, so a file that has no such place is one chunk.
    """
    line, rest = 1, b""
    with open(path, "rb") as file:
        while block := file.read(_CHUNK_BYTES):
            rest += block
            cuts = list(_BETWEEN_RECORDS.finditer(rest, max(0, len(rest) - _CHUNK_BYTES)))
            if cuts:
                chunk, rest = rest[: cuts[-1].end()], rest[cuts[-1].end() :]
                yield line, chunk.decode("utf-8", "mark")
                line += chunk.count(b"\n")
    if rest:
        yield line, rest.decode("utf-8", "mark")

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
"""Replaces bytes that are not UTF-8 in a decoded text: SUBSTITUTE, which a JSON text may not contain either."""

_CHUNK_BYTES = 4 << 20
_BETWEEN_RECORDS = re.compile(rb"\}\s*?\n\s*(?=\{)")

codecs.register_error("mark", lambda error: (MARK, getattr(error, "end", 0)))


def list_files(source: str) -> list[File]:
    """Return every file under a directory, or the single file, sorted by name. Includes hidden files, as COPY does.

    Raises:
        CopyError: there are no files, or one cannot be read.
    """
    try:
        files = [_file(name) for name in (_names_under(source) if os.path.isdir(source) else [source])]
    except OSError as error:
        raise _unreadable(error) from None
    if not files:
        raise CopyError(f"{source}: no files in this directory. Name a directory that holds JSON files")
    return files


def _names_under(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise error

    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder, onerror=refuse) for name in names)


def _file(name: str) -> File:
    status = os.stat(name)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    if not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return File(name, name, status.st_size)


def _unreadable(error: OSError) -> CopyError:
    return CopyError(f"{error.filename}: cannot be read ({error.strerror}). Check the path and its permissions")


def begins_with_a_line(path: str) -> bool:
    """Whether a file's first line is a whole object, or too long to tell, rather than part of one."""
    with open(path, "rb") as file:
        line = file.readline(_CHUNK_BYTES)
    try:
        return len(line) == _CHUNK_BYTES or isinstance(json.loads(line), dict)
    except ValueError:
        return False


def as_pattern(path: str) -> str:
    """Escape a path so that DuckDB, which expects a glob pattern, matches only this file."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


@contextmanager
def uncompressed(files: list[File], compression: Compression) -> Iterator[list[File]]:
    """Yield the files uncompressed; copies are deleted when the block ends.

    Raises:
        CopyError: a file does not have the given compression, or is truncated.
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
        raise CopyError(
            f"{compressed}: looks compressed. COPY does not infer compression from names. Set --compression gzip"
        )


def _gunzip(file: File, path: str) -> File:
    size = 0
    try:
        with gzip.open(file.path, "rb") as source, open(path, "wb") as target:
            while block := source.read(1 << 20):
                size += target.write(block)
    except EOFError:
        raise CopyError(f"{file.name}: the gzip file is truncated. Fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CopyError(f"{file.name}: not a valid gzip file ({error}). Fix it, or set --compression none") from None
    except OSError as error:
        raise _unreadable(error) from None
    return File(path, file.name, size)


def read_chunks(path: str) -> Iterator[tuple[int, str]]:
    """Yield a file's text in chunks of whole records, each with the number of its first line.

    Bytes that are not UTF-8 become MARK. A chunk ends where one line ends with an object and the next starts with one;
    a file without such a place is a single chunk.
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

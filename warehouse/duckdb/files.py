"""Local files that stand for the objects under an S3 prefix."""

import errno
import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import duckdb

from warehouse.duckdb.chunks import MAX_RECORD_BYTES
from warehouse.errors import CopyError
from warehouse.files import File, SourceFile
from warehouse.first_records import BEGINNING_BYTES
from warehouse.sources import Compression
from warehouse.stopping import WORK

_STILL = "Nothing was loaded. Run again once nothing moves or writes the files"
_LINE_BYTES = 15 << 20
"""DuckDB's reader of lines takes none of over 16 MB."""


def list_files(source: str) -> list[SourceFile]:
    """Return every file under a directory, or the single file, by absolute path. Includes hidden files, as COPY does.

    Raises:
        CopyError: there are no files, or one cannot be read.
    """
    path = os.path.abspath(source)
    try:
        files = [_file(name) for name in (_names_under(path) if os.path.isdir(path) else [path])]
    except OSError as error:
        raise _unreadable(error) from None
    if not files:
        raise CopyError(f"{source}: no files in this directory. Name a directory that holds JSON files")
    return files


@contextmanager
def unchanged(files: list[File]) -> Iterator[None]:
    """Make sure that files which the block reads are as they were when they were listed.

    DuckDB passes over a file that has gone, and takes one that grows for what it holds at that moment.

    Raises:
        CopyError: a file has gone, or has another size.
    """
    try:
        yield
    except (duckdb.IOException, OSError):
        _refuse_changed(files)
        raise
    _refuse_changed(files)


def _refuse_changed(files: list[File]) -> None:
    for file in files:
        try:
            size = os.stat(file.path).st_size
        except OSError as error:
            raise CopyError(f"{file.name}: gone while files were read ({error.strerror}). {_STILL}") from None
        if size != file.size:
            raise CopyError(f"{file.name}: changed while files were read, {file.size:,} to {size:,} bytes. {_STILL}")


def _names_under(folder: str) -> list[str]:
    """Return the names of all files under a folder. Links are followed, but for one that leads back to where it is."""

    def refuse(error: OSError) -> None:
        raise error

    names = []
    for path, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not _leads_back(os.path.join(path, name))]
        names += [os.path.join(path, name) for name in files]
    return sorted(names)


def _leads_back(folder: str) -> bool:
    """Whether a link leads to one of the folders that were walked through on the way to it."""
    if not os.path.islink(folder):
        return False
    target = os.path.realpath(folder)
    return any(os.path.realpath(parent) == target for parent in Path(folder).parents)


def _file(name: str) -> SourceFile:
    if not _is_utf8(name):
        raise CopyError(f"{os.fsencode(name)!r}: the name is not UTF-8, as names in S3 are. Rename the file")
    status = os.stat(name)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    if not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return SourceFile(name, status.st_size, str(status.st_mtime_ns), modified)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(error: OSError) -> CopyError:
    return CopyError(f"{error.filename}: cannot be read ({error.strerror}). Check the path and its permissions")


def read_beginning(path: str) -> bytes:
    """Return the first BEGINNING_BYTES of a file.

    Raises:
        CopyError: it cannot be read (any more).
    """
    try:
        with open(path, "rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError as error:
        raise _unreadable(error) from None


def is_of_lines(file: File, kind: type) -> bool:
    """Tell whether a file begins with a record of a kind on a line, and has no line that is too long for DuckDB.

    Raises:
        CopyError: the file cannot be read (any more).
    """
    try:
        with open(file.path, "rb") as opened:
            first = opened.readline(MAX_RECORD_BYTES)
            return _is_record(first, kind) and (file.size <= _LINE_BYTES or not _has_long_line(opened))
    except OSError as error:
        raise _unreadable(error) from None


def _is_record(line: bytes, kind: type) -> bool:
    try:
        return isinstance(json.loads(line), kind)
    except (ValueError, RecursionError):
        return False


def _has_long_line(opened: BinaryIO) -> bool:
    length = 0
    while length <= _LINE_BYTES and (block := opened.read(1 << 20)):
        end = block.rfind(b"\n")
        length = length + len(block) if end < 0 else len(block) - end
    return length > _LINE_BYTES


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
                WORK.refuse_if_stopping()
                size += _write(target, block)
    except EOFError:
        raise CopyError(f"{file.name}: the gzip file is truncated. Fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CopyError(f"{file.name}: not a valid gzip file ({error}). Fix it, or set --compression none") from None
    except OSError as error:
        raise _unreadable(error) from None
    return File(path, file.name, size)


def _write(target: BinaryIO, block: bytes) -> int:
    try:
        return target.write(block)
    except OSError as error:
        folder = os.path.dirname(target.name)
        raise CopyError(f"{folder}: cannot be written ({error.strerror}). Make room there, or set TMPDIR") from None

"""COPY ... FORMAT JSON from local files into DuckDB, by Redshift's rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import duckdb
from rich.filesize import decimal

from warehouse.base import Progress
from warehouse.sources import KEPT_CHARACTERS, CopyResult, Source
from warehouse.errors import CopyError
from warehouse.duckdb.json_reader import RECORDS_OF_TEXTS, Reader, Shape
from warehouse.duckdb.files import (
    MARK,
    File,
    as_pattern,
    batches,
    begins_with_a_line,
    read_chunks,
    uncompressed,
)

LINES_BATCH_BYTES = 1 << 30
BATCH_BYTES = 128 << 20
SMALL_FILE_BYTES = 4096
"""Up to this size a file is read whole, with thousands of others: opening DuckDB's JSON reader costs more."""

_TEXT_BATCH_BYTES = 4 << 20
_ASIDE_CHARACTERS = 64 << 20
_PROGRESS_SECONDS = 2
_SHOWN_REJECTS = 3
_COUNTED_REJECTS = 1000
"""So many rejects over the limit are counted, for a person to see what there is; then the load stops."""

_NO_WHOLES = "create or replace temp table copy_wholes (file_index ubigint, content varchar)"

_DOUBTFUL = """
create or replace temp table copy_doubtful as
select unnest($1::ubigint[]) as file_index, unnest($2::varchar[]) as record"""

_SCRATCH = """
set enable_progress_bar = true;
set enable_progress_bar_print = false;
create or replace temp table copy_texts (file_index ubigint, chunk bigint, first_line bigint, text varchar);
create or replace temp table copy_rejects (
    file varchar, line bigint, "column" varchar, value varchar, code integer, message varchar, raw_record varchar
);
"""


class DuckDBCopy:
    """One COPY into a table, on a DuckDB connection that is in a transaction.

    Files go through DuckDB's readers in batches. A file in which any record turns out to be broken is taken
    again, record by record with line numbers, so that what is good in it is loaded and the rest explained.
    """

    def __init__(self, cursor: Any, source: Source, reader: Reader, progress: Progress) -> None:
        self.cursor = cursor
        self.source = source
        self.progress = progress
        self.reader = reader
        self.rows = 0

    def run(self, files: list[File]) -> CopyResult:
        """Load all files.

        Raises:
            CopyError: more rows than `max_errors` were rejected, or a file cannot be read.
        """
        self._execute(_SCRATCH)
        try:
            with uncompressed(files, self.source.compression) as plain:
                self._load_files([file for file in plain if file.size])
        except duckdb.InvalidInputException as error:
            if "maximum_object_size" not in str(error):
                raise
            raise CopyError(f"{self.source.location}: a record over 32 MB: {str(error).splitlines()[0]}") from None
        self._refuse_rejects_over(self.source.max_errors)
        self._keep_rejects()
        return CopyResult(self.rows, self._count_rejects())

    def _load_files(self, files: list[File]) -> None:
        large = [file for file in files if file.size > SMALL_FILE_BYTES]
        lines: list[File] = []
        texts: list[File] = []
        for file in large:
            (lines if begins_with_a_line(file.path) else texts).append(file)
        small = [file for file in files if file.size <= SMALL_FILE_BYTES]
        self.total = _size(files)
        self.done = 0
        for load, group, size in (
            (self._load_lines, lines, LINES_BATCH_BYTES),
            (self._load_texts, texts, BATCH_BYTES),
            (self._load_wholes, small, BATCH_BYTES),
        ):
            for batch in batches(group, size):
                self._execute("set variable copy_paths = ?", [[as_pattern(file.path) for file in batch]])
                load(batch)
                self._refuse_rejects_over(self.source.max_errors + _COUNTED_REJECTS)
                self.done += _size(batch)
                self._tell(self.done)

    def _load_lines(self, files: list[File]) -> None:
        """Load files that begin with an object on a line of its own."""
        self._execute(_NO_WHOLES)
        source = """
            select file_index, json as record
            from read_json_objects(
                getvariable('copy_paths'), format = 'newline_delimited', compression = 'uncompressed',
                ignore_errors = true
            )"""
        self._load_batch(files, source)

    def _load_texts(self, files: list[File]) -> None:
        """Load files that begin otherwise: record by record, as if they were broken."""
        self._execute(_NO_WHOLES)
        self._execute(
            f"create or replace temp table copy_broken as select range as file_index from range({len(files)})"
        )
        self._load_broken(files)

    def _load_wholes(self, files: list[File]) -> None:
        """Load small files, most of which are one object each."""
        self._execute("""
            create or replace temp table copy_wholes as
            select file_index, try(decode(content)) as content
            from read_blob(getvariable('copy_paths'))""")
        source = "select file_index, case when json_valid(content) then content end as record from copy_wholes"
        self._load_batch(files, source)

    def _load_batch(self, files: list[File], source: str) -> None:
        """Load what is sure straight into the table, then what is in doubt; if files are broken, again without them."""
        if self.rows == 0:
            self.shape = self._choose_shape(source)
        self._execute("create or replace temp table copy_broken (file_index ubigint)")
        start = self._end_of_table()
        self._load_unbroken(files, source)
        if self._any("copy_broken"):
            self._execute(f"delete from {self.source.table.name} where rowid >= ?", [start])
            self.rows -= self.cursor.fetchone()[0]
            self._load_unbroken(files, f"from ({source}) where file_index not in (from copy_broken)")
            self._load_broken(files)

    def _load_unbroken(self, files: list[File], source: str) -> None:
        """Load a batch; where files are broken, name them in copy_broken."""
        with self._putting_aside() as (keep, aside):
            sure = f"case when doubt then {keep}(file_index, record) else true end"
            read = self.reader.read(source, self.shape)
            with self._watching(_size(files)):
                self._insert(f"({read})", sure)
        if not aside:
            return
        self._execute(_DOUBTFUL, [list(column) for column in zip(*aside, strict=True)])
        self._examine("select file_index, 0 as line, record from copy_doubtful where record is not null")
        self._execute("""
            insert into copy_broken
            select file_index from copy_doubtful where record is null
            union
            select file_index from copy_examined where problem is not null""")
        self._insert("copy_examined", "problem is null")

    @contextmanager
    def _putting_aside(self) -> Iterator[tuple[str, list[tuple[int, str | None]]]]:
        """Yield the name of an SQL function that keeps a record and answers no, and what it kept.

        Of so many records that memory would not hold them it keeps the file only, which is then read again.
        """
        name = f"keep_{self.source.table.name}"  # functions are the database's, and other tables are loaded side by side
        aside: list[tuple[int, str | None]] = []
        room = _ASIDE_CHARACTERS

        def keep(file_index: int, record: str | None) -> bool:
            nonlocal room
            room -= len(record or "")
            aside.append((file_index, record if room > 0 else None))
            return False

        self.cursor.create_function(
            name, keep, ["UBIGINT", "VARCHAR"], "BOOLEAN", null_handling="special", side_effects=True
        )
        yield name, aside
        self.cursor.remove_function(name)  # after an error the rollback does it, and this would raise one of its own

    @contextmanager
    def _watching(self, size: int) -> Iterator[None]:
        """Tell how far the statement in the block is with its bytes, every now and then."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(_PROGRESS_SECONDS):
                if (percent := self.cursor.query_progress()) > 0:
                    self._tell(self.done + size * percent / 100)

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _tell(self, done: float) -> None:
        self.progress(f"{self.source.table.name}: {done / self.total:.0%} of {decimal(self.total)} read")

    def _load_broken(self, files: list[File]) -> None:
        for _ in self._texts_of_broken(files):
            self._examine(RECORDS_OF_TEXTS)
            self._insert("copy_examined", "problem is null")
            self._reject(files)

    def _end_of_table(self) -> int:
        self._execute(f"select coalesce(max(rowid) + 1, 0) from {self.source.table.name}")
        return int(self.cursor.fetchall()[0][0])

    def _choose_shape(self, source: str) -> Shape:
        """Tell by the first records whether all have all keys: quick to rely on where it is so, slow where not."""
        first, *others = self.reader.shapes
        if not others:
            return first
        self._execute(f"from (select {first.fields} as fields from ({source}) limit 100) where fields is null")
        return others[0] if len(self.cursor.fetchall()) > 5 else first

    def _examine(self, records: str) -> None:
        self._execute(f"create or replace temp table copy_examined as {self.reader.examine(records)}")

    def _insert(self, table: str, condition: str) -> None:
        names = self.reader.names
        self._execute(f"insert into {self.source.table.name} ({names}) select {names} from {table} where {condition}")
        self.rows += self.cursor.fetchone()[0]

    def _texts_of_broken(self, files: list[File]) -> Iterator[None]:
        """Fill copy_texts with the texts of the broken files, some at a time."""
        self._execute("delete from copy_texts")
        self._execute("""
            insert into copy_texts
            select file_index, 0, 1, content
            from copy_wholes
            where content is not null and file_index in (from copy_broken)""")
        if self.cursor.fetchone()[0]:
            yield
        self._execute("from copy_broken where file_index not in (select file_index from copy_texts) order by all")
        chunks = _chunks(files, [index for (index,) in self.cursor.fetchall()])
        for texts in batches(chunks, _TEXT_BATCH_BYTES, size=lambda chunk: len(chunk[3])):
            self._execute("delete from copy_texts")
            self.cursor.executemany("insert into copy_texts values (?, ?, ?, ?)", texts)
            yield

    def _reject(self, files: list[File]) -> None:
        self._execute(
            f"""
            insert into copy_rejects
            select
                (?::varchar[])[file_index::bigint + 1], line, problem."column", {_kept("problem.value")},
                problem.code, problem.message, {_kept("record")}
            from copy_examined
            where problem is not null""",
            [[file.name for file in files]],
        )

    def _any(self, rows: str) -> bool:
        self._execute(f"select 1 from {rows} limit 1")
        return bool(self.cursor.fetchall())

    def _count_rejects(self) -> int:
        self._execute("select count(*) from copy_rejects")
        return int(self.cursor.fetchone()[0])

    def _keep_rejects(self) -> None:
        self._execute("delete from load_errors where load = ?", [self.source.table.name])
        self._execute(
            "insert into load_errors select ?, *, make_timestamp(epoch_us(now())) from copy_rejects order by all",
            [self.source.table.name],
        )

    def _refuse_rejects_over(self, limit: int) -> None:
        rejected = self._count_rejects()
        if rejected <= limit:
            return
        self._execute(
            'select file, line, "column", value, code, message from copy_rejects order by file, line limit ?',
            [_SHOWN_REJECTS],
        )
        lines = [_describe(*row) for row in self.cursor.fetchall()]
        if rejected > len(lines):
            lines.append(f"... and {rejected - len(lines)} more")
        raise CopyError(
            f"{self.source.table.name}: {rejected} rejected, where {self.source.max_errors} may be; nothing was loaded.\n  "
            + "\n  ".join(lines)
            + "\nMend the files (or name the right ones), or let so many rows be rejected, and kept in load_errors: "
            + f"max_errors = {rejected}{' or more' if limit > self.source.max_errors else ''}"
        )

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> None:
        self.cursor.execute(statement, parameters)


def _kept(text: str) -> str:
    return f"left(translate({text}, '{MARK}' || chr(0), repeat(chr(65533), 2)), {KEPT_CHARACTERS})"


def _size(files: list[File]) -> int:
    return sum(file.size for file in files)


def _describe(file: str, line: int, column: str | None, value: str | None, code: int, message: str) -> str:
    where = f", column {column}, value {_shortened(value)}" if column else ""
    return f"{file}, line {line}{where}: {message} (code {code})"


def _shortened(value: str | None) -> str:
    return repr(value) if value is None or len(value) <= 80 else f"{value[:80]!r}... ({len(value)} characters)"


def _chunks(files: list[File], indexes: list[int]) -> Iterator[tuple[int, int, int, str]]:
    for index in indexes:
        for number, (first_line, text) in enumerate(read_chunks(files[index].path)):
            yield index, number, first_line, text

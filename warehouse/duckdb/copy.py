"""COPY ... FORMAT JSON from local files into DuckDB, by Redshift's rules."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from duckdb import DuckDBPyConnection
from rich.filesize import decimal

from warehouse.duckdb.chunks import LargeRecord, read_chunks
from warehouse.duckdb.files import as_pattern, is_of_lines, unchanged, uncompressed
from warehouse.duckdb.json_reader import TEXTS, TEXTS_DDL, Reader, Shape, records_of_texts
from warehouse.duckdb.rejects import Rejects
from warehouse.files import File, batches
from warehouse.jsonpaths import ReadFile
from warehouse.sources import CopyResult, Progress, Source
from warehouse.stopping import WORK
from warehouse.tables import Column

BATCH_BYTES = 128 << 20
SMALL_FILE_BYTES = 4096
"""A file up to this size is read whole, together with thousands of others: opening DuckDB's JSON reader costs more."""

_FILE_BYTES = 12 << 10
"""What a file is counted for beside its content: DuckDB keeps 3 kB of memory for each of the files that it reads."""

_TEXT_BATCH_BYTES = 4 << 20
_PROGRESS_SECONDS = 2

_SETTINGS = "set enable_progress_bar = true; set enable_progress_bar_print = false"
_NO_WHOLE_FILES = "create or replace temp table copy_whole_files (file_index ubigint, content varchar)"
_SPLIT = """
with read as materialized ({read}),
doubtful as (insert into copy_doubtful select file_index, record from read where doubt returning file_index)"""


class DuckDBCopy:
    """One COPY into a table, on a DuckDB connection that is in a transaction.

    Files go through DuckDB's readers in batches. A file with a broken record is read again, record by record and with
    line numbers, so that its good records are loaded and the others explained.
    """

    def __init__(
        self,
        cursor: DuckDBPyConnection,
        source: Source,
        batch: int,
        columns: tuple[Column, ...],
        read: ReadFile,
        progress: Progress,
    ) -> None:
        """Prepare to load a batch into the columns; `read` returns the content of the JSONPaths file.

        Raises:
            CopyError: the JSONPaths file or a column's type is not supported on DuckDB.
        """
        self.cursor = cursor
        self.source = source
        self.table = source.table.name
        self.reader = Reader(source, columns, read)
        self.rejects = Rejects(cursor, source, batch, self.reader.root.bracket)
        self.meter = _Meter(cursor, lambda message: progress(f"{self.table}: {message}"))
        self.shape: Shape | None = None
        self.rows = 0

    def run(self, files: Iterable[list[File]], size: int) -> CopyResult:
        """Load all files, of so many bytes, as they come.

        Raises:
            CopyError: more than `max_errors` records were rejected, or a file cannot be read.
        """
        self._execute(_SETTINGS)
        self._execute(TEXTS_DDL)
        self.meter.total = size
        for some in files:
            with uncompressed(some, self.source.compression) as plain:
                self.meter.scale = _size(some) / (_size(plain) or 1)
                self._load_files([file for file in plain if file.size])
        return CopyResult(self.rows, self.rejects.keep())

    def _load_files(self, files: list[File]) -> None:
        small = [file for file in files if file.size <= SMALL_FILE_BYTES]
        lines: list[File] = []
        texts: list[File] = []
        for file in files:
            if file.size > SMALL_FILE_BYTES:
                (lines if is_of_lines(file, self.reader.root.kind) else texts).append(file)
        for load, group in ((self._load_lines, lines), (self._load_texts, texts), (self._load_whole_files, small)):
            for batch in batches(group, BATCH_BYTES, size=lambda file: file.size + _FILE_BYTES):
                self._execute("set variable copy_paths = ?", [[as_pattern(file.path) for file in batch]])
                with unchanged(batch):
                    load(batch)
                self.rejects.refuse_far_too_many()
                self.meter.advance(_size(batch))

    def _load_lines(self, files: list[File]) -> None:
        """Load files that start with a record on a line of its own."""
        self._execute(_NO_WHOLE_FILES)
        records = """
            select file_index, json as record
            from read_json_objects(
                getvariable('copy_paths'), format = 'newline_delimited', compression = 'uncompressed',
                ignore_errors = true
            )"""
        self._load_batch(files, records)

    def _load_texts(self, files: list[File]) -> None:
        """Load files that start in any other way, record by record, as if they were broken."""
        self._execute(_NO_WHOLE_FILES)
        self._execute(
            f"create or replace temp table copy_broken as select range as file_index from range({len(files)})"
        )
        self._load_broken(files)

    def _load_whole_files(self, files: list[File]) -> None:
        """Load small files, most of which hold one object."""
        self._execute("""
            create or replace temp table copy_whole_files as
            select file_index, try(decode(content)) as content
            from read_blob(getvariable('copy_paths'))""")
        records = "select file_index, case when json_valid(content) then content end as record from copy_whole_files"
        self._load_batch(files, records)

    def _load_batch(self, files: list[File], records: str) -> None:
        """Load a batch. If files turn out to be broken, undo it, load the others again, then the broken ones."""
        if self.shape is None or self.rows == 0:
            self.shape = self._choose_shape(records)
        self._execute("create or replace temp table copy_broken (file_index ubigint)")
        start = self._end_of_table()
        self._load_unbroken(files, records, self.shape)
        if self._has_rows("copy_broken"):
            self._execute(f"delete from {self.table} where rowid >= ?", [start])
            self.rows -= self.cursor.fetchall()[0][0]
            self._load_unbroken(files, f"from ({records}) where file_index not in (from copy_broken)", self.shape)
            self._load_broken(files)

    def _load_unbroken(self, files: list[File], records: str, shape: Shape) -> None:
        """Load a batch, and list files with broken records in copy_broken.

        One pass over the records: those whose fast reading is certain go into the table, the doubtful ones into
        copy_doubtful, for a second, exact reading. So most records are read once, at full speed.
        """
        self._execute("create or replace temp table copy_doubtful (file_index ubigint, record varchar)")
        with self.meter.watching(_size(files)):
            self._insert("read", "not doubt", _SPLIT.format(read=self.reader.read(records, shape)))
        if not self._has_rows("copy_doubtful"):
            return
        # A file without a record is a broken one, and so is that of a record which the exact reading rejects. Broken
        # files are read again as texts, which gives each reject its line.
        self._examine("select file_index, 0 as line, record from copy_doubtful where record is not null")
        self._execute("""
            insert into copy_broken
            select file_index from copy_doubtful where record is null
            union
            select file_index from copy_examined where problem is not null""")
        self._insert("copy_examined", "problem is null")

    def _load_broken(self, files: list[File]) -> None:
        for _ in self._texts_of_broken(files):
            self._examine(records_of_texts(self.reader.root.bracket))
            self._insert("copy_examined", "problem is null")
            self.rejects.add("copy_examined", files)

    def _texts_of_broken(self, files: list[File]) -> Iterator[None]:
        """Fill the table of texts with the texts of the broken files, a batch at a time."""
        self._execute(f"delete from {TEXTS}")
        self._execute(f"""
            insert into {TEXTS}
            select file_index, 0, 1, content
            from copy_whole_files
            where content is not null and file_index in (from copy_broken)""")
        if self.cursor.fetchall()[0][0]:
            yield
        self._execute(f"from copy_broken where file_index not in (select file_index from {TEXTS}) order by all")
        chunks = self._chunks(files, [index for (index,) in self.cursor.fetchall()])
        for texts in batches(chunks, _TEXT_BATCH_BYTES, size=lambda chunk: len(chunk[3])):
            self._execute(f"delete from {TEXTS}")
            self.cursor.executemany(f"insert into {TEXTS} values (?, ?, ?, ?)", texts)
            yield

    def _chunks(self, files: list[File], indexes: list[int]) -> Iterator[tuple[int, int, int, str]]:
        for index in indexes:
            for number, chunk in enumerate(read_chunks(files[index].path, self.reader.root.bracket.encode())):
                if isinstance(chunk, LargeRecord):
                    self.rejects.add_large(files[index], chunk)
                else:
                    yield index, number, *chunk

    def _end_of_table(self) -> int:
        self._execute(f"select coalesce(max(rowid) + 1, 0) from {self.table}")
        return int(self.cursor.fetchall()[0][0])

    def _choose_shape(self, records: str) -> Shape:
        """Choose by the first records. Relying on all keys is fast if records have them, and slow if they do not."""
        first, *others = self.reader.shapes
        if not others:
            return first
        self._execute(f"from (select {first.fields} as fields from ({records}) limit 100) where fields is null")
        return others[0] if len(self.cursor.fetchall()) > 5 else first

    def _examine(self, records: str) -> None:
        self._execute(f"create or replace temp table copy_examined as {self.reader.examine(records)}")

    def _insert(self, rows: str, condition: str, before: str = "") -> None:
        names = self.reader.names
        self._execute(f"{before} insert into {self.table} ({names}) select {names} from {rows} where {condition}")
        self.rows += self.cursor.fetchall()[0][0]

    def _has_rows(self, table: str) -> bool:
        self._execute(f"select 1 from {table} limit 1")
        return bool(self.cursor.fetchall())

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> None:
        self.cursor.execute(statement, parameters)


class _Meter:
    """Reports how many of the bytes are read."""

    def __init__(self, cursor: DuckDBPyConnection, progress: Callable[[str], None]) -> None:
        self.cursor = cursor
        self.progress = progress
        self.total = 0
        self.done = 0.0
        self.scale = 1.0  # bytes as listed to bytes as read, which are more where files are compressed

    def advance(self, size: int) -> None:
        WORK.refuse_if_stopping()
        self.done += size * self.scale
        self._report(self.done)

    @contextmanager
    def watching(self, size: int) -> Iterator[None]:
        """Report every few seconds how far the statement in the block is with its bytes."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(_PROGRESS_SECONDS):
                if (percent := self.cursor.query_progress()) > 0:
                    self._report(self.done + size * self.scale * percent / 100)

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _report(self, done: float) -> None:
        self.progress(f"{done / self.total:.0%} of {decimal(self.total)} read")


def _size(files: list[File]) -> int:
    return sum(file.size for file in files)

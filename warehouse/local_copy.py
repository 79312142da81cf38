"""COPY ... FORMAT JSON from local files into DuckDB, by Redshift's rules."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from warehouse.base import Progress
from warehouse.copy import Copied, Copy
from warehouse.errors import CopyError
from warehouse.json_rules import (
    MAX_RECORD_BYTES,
    NESTED,
    examined_text,
    pointer,
    problem,
    quote,
    reached,
    record_problem,
    repeats,
    rule_for,
)
from warehouse.jsonpaths import Steps, read_jsonpaths
from warehouse.local_files import MARK, File, as_pattern, batches, list_files, read_chunks, uncompressed
from warehouse.tables import Column

BATCH_BYTES = 128 << 20
SMALL_FILE_BYTES = 4096
"""Up to this size a file is read whole, with thousands of others: opening DuckDB's JSON reader costs more."""

_TEXT_BATCH_BYTES = 4 << 20
_SPLIT = "\x1e"  # RECORD SEPARATOR, which no JSON text may hold
_SHOWN_REJECTS = 3
_RECORD = rf"\s*(?:{NESTED}|[^\n]+)"
_LINE_OF_ITS_OWN = r"([^\[,:\s])(\s*\n\s*\{)"
"""Where a line begins with an object that continues no value before it: a record begins there."""

_RECORDS_OF_TEXTS = rf"""
    with marked as (
        select * replace (regexp_replace(text, '{_LINE_OF_ITS_OWN}', '\1{_SPLIT}\2', 'g') as text)
        from (select * replace (translate(text, '{_SPLIT}', chr(31)) as text) from copy_texts)
    ),
    parts as (
        select file_index, chunk, first_line, generate_subscripts(parts, 1) as part, unnest(parts) as part_text
        from (select file_index, chunk, first_line, string_split(text, '{_SPLIT}') as parts from marked)
    ),
    pieces as (
        select file_index, chunk, first_line, part, generate_subscripts(pieces, 1) as place, unnest(pieces) as piece
        from (
            select file_index, chunk, first_line, part, regexp_extract_all(part_text, {quote(_RECORD)}) as pieces
            from parts
        )
    )
    select file_index, line, record
    from (
        select
            file_index,
            first_line + sum(strlen(piece) - strlen(replace(piece, chr(10), ''))) over (
                partition by file_index, chunk order by part, place
            ) as line,
            trim(piece, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)) as record
        from pieces
    )
    where record <> ''"""
TEXT_DOUBT = rf"""(
    regexp_matches(record, ',\s*[}}\]]') or contains(record, '\u0000') or strlen(record) > {MAX_RECORD_BYTES}
    or regexp_matches(record, ':\s*-?(?i:nan|inf)')
    or case when contains(record, '[') then regexp_matches(record, '(?i)[\[,]\s*-?(?:nan|inf)') else false end
)"""
"""What DuckDB reads and Redshift does not, wherever it stands. Each is looked for by what is quickest."""

_CUT = 16_000  # characters, which are at most 64,000 bytes

_SCRATCH = """
create or replace temp table copy_texts (file_index ubigint, chunk bigint, first_line bigint, text varchar);
create or replace temp table copy_rejects (
    file varchar, line bigint, "column" varchar, value varchar, code integer, message varchar, raw_record varchar
);
"""


class LocalCopy:
    """One COPY into a table, on a DuckDB connection that is in a transaction.

    Files go through DuckDB's readers in batches. A file in which any record turns out to be broken is taken
    again, record by record with line numbers, so that what is good in it is loaded and the rest explained.
    """

    def __init__(self, cursor: Any, copy: Copy, columns: tuple[Column, ...], progress: Progress) -> None:
        self.cursor = cursor
        self.copy = copy
        self.columns = columns
        self.progress = progress
        self.rules = [rule_for(column, copy.table.time_format) for column in columns]
        self.paths = self._read_paths()
        self.rows = 0

    def run(self) -> Copied:
        """Load all files.

        Raises:
            CopyError: more rows than `max_errors` were rejected, or a file cannot be read.
        """
        self._execute(_SCRATCH)
        try:
            with uncompressed(list_files(self.copy.source), self.copy.compression) as files:
                self._load_files([file for file in files if file.size])
        except duckdb.InvalidInputException as error:
            if "maximum_object_size" not in str(error):
                raise
            raise CopyError(f"{self.copy.source}: a record over 32 MB: {str(error).splitlines()[0]}") from None
        self._keep_rejects()
        return Copied(self.rows, self._count_rejects())

    def _load_files(self, files: list[File]) -> None:
        large = [file for file in files if file.size > SMALL_FILE_BYTES]
        small = [file for file in files if file.size <= SMALL_FILE_BYTES]
        total = sum(file.size for file in files)
        done = 0
        for read, group in ((self._read_lines, large), (self._read_whole, small)):
            for batch in batches(group, BATCH_BYTES):
                self._load_batch(batch, read([as_pattern(file.path) for file in batch]))
                self._refuse_too_many_rejects()
                done += sum(file.size for file in batch)
                self.progress(f"{self.copy.table.name}: {done / total:.0%} of {total / 1e6:,.0f} MB read")

    def _read_lines(self, paths: list[str]) -> str:
        self._execute("set variable copy_paths = ?", [paths])
        self._execute("create or replace temp table copy_wholes (file_index ubigint, content varchar)")
        return """
            select file_index, json as record
            from read_json_objects(
                getvariable('copy_paths'), format = 'newline_delimited', compression = 'uncompressed',
                ignore_errors = true
            )"""

    def _read_whole(self, paths: list[str]) -> str:
        self._execute("set variable copy_paths = ?", [paths])
        self._execute("""
            create or replace temp table copy_wholes as
            select file_index, try(decode(content)) as content
            from read_blob(getvariable('copy_paths'))""")
        return "select file_index, case when json_valid(content) then content end as record from copy_wholes"

    def _load_batch(self, files: list[File], source: str) -> None:
        self._read_fast(source)
        if not self._any("copy_fast where doubt"):
            self._insert("copy_fast", "true")
            return
        self._examine("select file_index, 0 as line, record from copy_fast where doubt and record is not null")
        self._execute("""
            create or replace temp table copy_broken as
            select file_index from copy_fast where doubt and record is null
            union
            select file_index from copy_examined where problem is not null""")
        self._insert("copy_fast", "not doubt and file_index not in (from copy_broken)")
        self._insert("copy_examined", "file_index not in (from copy_broken)")
        for _ in self._texts_of_broken(files):
            self._examine(_RECORDS_OF_TEXTS)
            self._insert("copy_examined", "problem is null")
            self._reject(files)

    def _read_fast(self, source: str) -> None:
        if self.rows == 0:
            self.shape = self._shape_of(source)
        texts = [self._fast_text(steps) for steps in self.paths]
        doubts = [rule.doubt.format(text=text) for rule, text in zip(self.rules, texts, strict=True)]
        doubts += [repeats("record", container) for container in self._containers()]
        doubts += [f"{text} is null" for column, text in zip(self.columns, texts, strict=True) if not column.nullable]
        self._execute(f"""
            create or replace temp table copy_fast as
            select file_index, doubt, case when doubt then record end as record, {self._values(texts)}
            from (
                select *, coalesce({self.shape.doubt} or {TEXT_DOUBT} or {" or ".join(doubts)}, false) as doubt
                from (select *, {self.shape.fields} as fields from ({source}))
            )""")

    def _examine(self, records: str) -> None:
        """Fill copy_examined. A record is parsed once for all columns: each JSON function keeps memory of its own."""
        texts = [f"text_{number}" for number in range(len(self.columns))]
        kinds = [f"kinds[{number + 1}]" for number in range(len(self.columns))]
        cut = [
            f"case when broken is null then {examined_text('record', steps, kind, f'strings[{number}]')} end as {text}"
            for number, (steps, kind, text) in enumerate(zip(self.paths, kinds, texts, strict=True), start=1)
        ]
        problems = [
            problem(column, rule, text, kind)
            for column, rule, text, kind in zip(self.columns, self.rules, texts, kinds, strict=True)
        ]
        keys = [str(steps[0]) for steps in self.paths]
        places = f"[{', '.join(pointer(steps) for steps in self.paths)}]"
        self._execute(f"""
            create or replace temp table copy_examined as
            select file_index, line, record, {self._values(texts, exact=True)},
                case when broken is null then coalesce({", ".join(problems)}) else broken end as problem
            from (
                select *, {", ".join(cut)}
                from (
                    select *,
                        case when broken is null then json_type(record, {places}) end as kinds,
                        case when broken is null then json_extract_string(record, {places}) end as strings
                    from (select *, {record_problem("record", keys, self._containers())} as broken from ({records}))
                )
            )""")

    def _insert(self, table: str, condition: str) -> None:
        names = ", ".join(_quoted(column.name) for column in self.columns)
        self._execute(f"insert into {self.copy.table.name} ({names}) select {names} from {table} where {condition}")
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
        for texts in _grouped(_chunks(files, [index for (index,) in self.cursor.fetchall()])):
            self._execute("delete from copy_texts")
            self.cursor.executemany("insert into copy_texts values (?, ?, ?, ?)", texts)
            yield

    def _reject(self, files: list[File]) -> None:
        self._execute(
            f"""
            insert into copy_rejects
            select
                (?::varchar[])[file_index::bigint + 1], line, problem."column", left(problem.value, {_CUT}),
                problem.code, problem.message, left(replace(record, '{MARK}', chr(65533)), {_CUT})
            from copy_examined
            where problem is not null""",
            [[file.name for file in files]],
        )

    def _any(self, rows: str) -> bool:
        self._execute(f"select 1 from {rows} limit 1")
        return self.cursor.fetchone() is not None

    def _count_rejects(self) -> int:
        self._execute("select count(*) from copy_rejects")
        return int(self.cursor.fetchone()[0])

    def _keep_rejects(self) -> None:
        self._execute("delete from load_errors where load = ?", [self.copy.table.name])
        self._execute(
            "insert into load_errors select ?, *, make_timestamp(epoch_us(now())) from copy_rejects order by all",
            [self.copy.table.name],
        )

    def _refuse_too_many_rejects(self) -> None:
        rejected = self._count_rejects()
        if rejected <= self.copy.max_errors:
            return
        self._execute(
            'select file, line, "column", value, code, message from copy_rejects order by file, line limit ?',
            [_SHOWN_REJECTS],
        )
        lines = [_describe(*row) for row in self.cursor.fetchall()]
        if rejected > len(lines):
            lines.append(f"... and {rejected - len(lines)} more")
        raise CopyError(
            f"{self.copy.table.name}: {rejected} rejected, where {self.copy.max_errors} may be; nothing was loaded.\n  "
            + "\n  ".join(lines)
            + f"\nMend the files, or let so many rows be rejected, or more: max_errors = {rejected}"
        )

    def _read_paths(self) -> list[Steps]:
        file = self.copy.jsonpaths or self.copy.table.jsonpaths
        if file is None:
            return [(column.name,) for column in self.columns]
        paths = read_jsonpaths(Path(file), len(self.columns), self.copy.table.name)
        if any(isinstance(path[0], int) for path in paths):
            raise CopyError(f"{file}: arrays at the root are not loaded by the embedded warehouse")
        return paths

    def _shape_of(self, source: str) -> "_Shape":
        """Tell whether the records have all keys, which is cheap to rely on where it is so and dear where not."""
        keys = self._field_names()
        if len(keys) < len({path[0] for path in self.paths}):
            return _Shape.any_keys(keys)
        strict = _Shape.all_keys(keys)
        self._execute(f"from (select {strict.fields} as fields from ({source}) limit 100) where fields is null")
        return _Shape.any_keys(keys) if len(self.cursor.fetchall()) > 5 else strict

    def _field_names(self) -> list[str]:
        """Return the keys that are read as struct fields: of one step, not empty, one of each that differ by case."""
        names = {str(path[0]).lower(): str(path[0]) for path in reversed(self.paths) if len(path) == 1 and path[0]}
        return list(names.values())

    def _containers(self) -> list[Steps]:
        """Return the values inside a record that paths go through."""
        return sorted({path[:end] for path in self.paths for end in range(1, len(path))}, key=repr)

    def _fast_text(self, steps: Steps) -> str:
        if len(steps) == 1 and steps[0] in self._field_names():
            return f"fields.{_quoted(str(steps[0]))}"
        return reached("record", steps, f"json_extract_string(record, {pointer(steps)})")

    def _values(self, texts: list[str], *, exact: bool = False) -> str:
        return ", ".join(
            f"{(rule.exact if exact and rule.exact else rule.value).format(text=text)} as {_quoted(column.name)}"
            for column, rule, text in zip(self.columns, self.rules, texts, strict=True)
        )

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> None:
        self.cursor.execute(statement, parameters)


@dataclass(frozen=True)
class _Shape:
    """How the columns' keys are read from a record, and when such a reading is in doubt."""

    fields: str
    doubt: str

    @classmethod
    def all_keys(cls, keys: list[str]) -> "_Shape":
        """Every record has every key: DuckDB fails on a missing and on a repeated one."""
        return cls(f"try(json_transform_strict(record, {_struct(keys)}))", "fields is null")

    @classmethod
    def any_keys(cls, keys: list[str]) -> "_Shape":
        fields = f"json_transform(record, {_struct(keys)})" if keys else "record"
        return cls(fields, f"fields is null or not starts_with(ltrim(record), '{{') or {repeats('record', ())}")


def _struct(keys: list[str]) -> str:
    return quote(json.dumps(dict.fromkeys(keys, "VARCHAR"), ensure_ascii=False))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _describe(file: str, line: int, column: str | None, value: str | None, code: int, message: str) -> str:
    where = f", column {column}, value {_shortened(value)}" if column else ""
    return f"{file}, line {line}{where}: {message} (code {code})"


def _shortened(value: str | None) -> str:
    return repr(value) if value is None or len(value) <= 80 else f"{value[:80]!r}... ({len(value)} characters)"


def _chunks(files: list[File], indexes: list[int]) -> Iterator[tuple[int, int, int, str]]:
    for index in indexes:
        for number, (first_line, text) in enumerate(read_chunks(files[index].path)):
            yield index, number, first_line, text


def _grouped(chunks: Iterable[tuple[int, int, int, str]]) -> Iterator[list[tuple[int, int, int, str]]]:
    group: list[tuple[int, int, int, str]] = []
    for chunk in chunks:
        group.append(chunk)
        if sum(len(text) for *_, text in group) >= _TEXT_BATCH_BYTES:
            yield group
            group = []
    if group:
        yield group

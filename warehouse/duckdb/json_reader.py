"""How JSON records are read into columns: the SELECTs of a COPY on DuckDB.

A record has two readings, both SELECTs. The fast one (`Reader.read`) leaves the parsing to DuckDB and marks records in
doubt: those for which Redshift might decide otherwise. The exact one (`Reader.examine`) applies Redshift's rules to
every value, as it is written in the record.
"""

import json
from dataclasses import dataclass

from warehouse.duckdb.chunks import MAX_RECORD_BYTES
from warehouse.duckdb.json_rules import (
    ARRAYS,
    NESTED,
    OBJECTS,
    POINTER_OF_KEY,
    examined_text,
    pointer,
    pointer_in_any_case,
    problem,
    quote,
    reached,
    record_problem,
    repeats,
    repeats_any,
    rule_for,
)
from warehouse.jsonpaths import ReadFile, Steps, paths_of
from warehouse.sources import Source
from warehouse.tables import Column

_SPLIT = "\x1e"  # RECORD SEPARATOR, which a JSON text may not contain
_RECORD = rf"\s*(?:{NESTED}|[^\n]+)"


def _marked(text: str, bracket: str) -> str:
    """Return an expression for a text with its boundaries marked, but for those that overlap another.

    A boundary is where a line starts with a record that does not continue a value of the line before.
    """
    line_of_its_own = rf"([^\[,:\s{_SPLIT}])(\s*\n\s*\{bracket})"
    return rf"regexp_replace({text}, '{line_of_its_own}', '\1{_SPLIT}\2', 'g')"


TEXTS = "copy_texts"
TEXTS_DDL = f"create or replace temp table {TEXTS} (file_index ubigint, chunk bigint, first_line bigint, text varchar)"


def records_of_texts(bracket: str = "{") -> str:
    """Return the SELECT of the records in the table of texts, which begin with a bracket."""
    # Finds the records in texts, in three phases:
    # 1. `marked` puts a separator where a line starts with a record that does not continue a value. (A separator that
    #    the text contains becomes another control character first; neither is valid JSON, so the record is rejected.)
    # 2. `parts` are the texts between separators. A broken record cannot swallow the next one across a separator.
    # 3. `pieces` are what a part consists of: objects and arrays, and any junk between them, line by line.
    # A record's line is its last one: the first line of the chunk, plus the line breaks in all pieces up to the record.
    return rf"""
    with marked as (
        select * replace ({_marked(_marked("text", bracket), bracket)} as text)
        from (select * replace (translate(text, '{_SPLIT}', chr(31)) as text) from {TEXTS})
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


_TEXT_DOUBT = rf"""(
    regexp_matches(record, ',\s*[}}\]]') or contains(record, '\u0000') or strlen(record) > {MAX_RECORD_BYTES}
    or regexp_matches(record, ':\s*-?(?i:nan|inf)')
    or case when contains(record, '[') then regexp_matches(record, '(?i)[\[,]\s*-?(?:nan|inf)') else false end
)"""
"""What DuckDB accepts and Redshift does not, anywhere in a record. Each test is the fastest one for its case."""


@dataclass(frozen=True)
class Shape:
    """How the columns' keys are read from a record, and when this reading is in doubt."""

    fields: str
    doubt: str

    @classmethod
    def all_keys(cls, keys: list[str]) -> "Shape":
        """Assume that every record has every key: DuckDB's strict function fails on a missing or repeated key."""
        return cls(f"try(json_transform_strict(record, {_struct(keys)}))", "fields is null")

    @classmethod
    def any_keys(cls, keys: list[str]) -> "Shape":
        fields = f"json_transform(record, {_struct(keys)})" if keys else "record"
        return cls(fields, f"fields is null or not starts_with(ltrim(record), '{{') or {repeats('record', ())}")

    @classmethod
    def any_case(cls) -> "Shape":
        """Take all keys in lower case: a map fails on a repeated one."""
        member = f"(lower(key), json_extract_string(record, {POINTER_OF_KEY}))"
        fields = f"try(map_from_entries(list_transform(json_keys(record), lambda key: {member})))"
        return cls(fields, "fields is null or not starts_with(ltrim(record), '{')")

    @classmethod
    def array(cls) -> "Shape":
        return cls("record", "fields is null or not starts_with(ltrim(record), '[')")


def _struct(keys: list[str]) -> str:
    return quote(json.dumps(dict.fromkeys(keys, "VARCHAR"), ensure_ascii=False))


class Reader:
    """Builds the SELECTs that read records into the columns of one table."""

    def __init__(self, source: Source, columns: tuple[Column, ...], read: ReadFile) -> None:
        """Prepare the rules and paths of the columns; `read` returns the content of the JSONPaths file.

        Raises:
            CopyError: the JSONPaths file cannot be read or does not fit the table, or DuckDB does not support it.
        """
        file = source.jsonpaths or str(source.table.jsonpaths or "")
        self.columns = columns
        self.rules = [rule_for(column, source.table.time_format) for column in columns]
        self.paths = list(paths_of(columns, file, source.table.name, read).values())
        self.root = ARRAYS if isinstance(self.paths[0][0], int) else OBJECTS
        self.ignore_case = source.table.ignore_case and not file
        if self.ignore_case:
            self.paths = [(str(name).lower(),) for (name,) in self.paths]

    @property
    def names(self) -> str:
        """The columns, quoted and in order."""
        return ", ".join(_quoted(column.name) for column in self.columns)

    @property
    def shapes(self) -> list[Shape]:
        """The ways to read the records, from the fastest to the one that always works."""
        if self.root is ARRAYS:
            return [Shape.array()]
        if self.ignore_case:
            return [Shape.any_case()]
        keys = self._field_names()
        unambiguous = len(keys) == len({path[0] for path in self.paths})
        return [*([Shape.all_keys(keys)] if unambiguous else []), Shape.any_keys(keys)]

    def read(self, source: str, shape: Shape) -> str:
        """Return the fast reading of records: their values, whether these are in doubt, and the record if so."""
        texts = [self._fast_text(steps) for steps in self.paths]
        doubts = [rule.doubt.format(text=text) for rule, text in zip(self.rules, texts, strict=True)]
        doubts += [repeats("record", container) for container in self._containers()]
        doubts += [f"{text} is null" for column, text in zip(self.columns, texts, strict=True) if not column.nullable]
        return f"""
            select file_index, doubt, case when doubt then record end as record, {self._values(texts)}
            from (
                select *, coalesce({shape.doubt} or {_TEXT_DOUBT} or {" or ".join(doubts)}, false) as doubt
                from (select *, {shape.fields} as fields from ({source}))
            )"""

    def examine(self, records: str) -> str:
        """Return the exact reading of records: their values, and what is wrong with them.

        A record is parsed once for all columns, because each call of a JSON function takes memory of its own.
        """
        texts = [f"text_{number}" for number in range(len(self.columns))]
        kinds = [f"kinds[{number + 1}]" for number in range(len(self.columns))]
        strings = [f"strings[{number + 1}]" for number in range(len(self.columns))]
        exact = [
            examined_text("record", steps, kind, string, ignore_case=self.ignore_case)
            for steps, kind, string in zip(self.paths, kinds, strings, strict=True)
        ]
        cut = [f"case when broken is null then {x} end as {text}" for x, text in zip(exact, texts, strict=True)]
        problems = [
            problem(column, rule, text, kind)
            for column, rule, text, kind in zip(self.columns, self.rules, texts, kinds, strict=True)
        ]
        return f"""
            select file_index, line, record, {self._values(texts, exact=True)},
                case when broken is null then coalesce({", ".join(problems)}) else broken end as problem
            from (
                select *, {", ".join(cut)}
                from (
                    select *,
                        case when broken is null then {self._at_paths("json_type")} end as kinds,
                        case when broken is null then {self._at_paths("json_extract_string")} end as strings
                    from (select *, {record_problem("record", self.root, self._repeated())} as broken from ({records}))
                )
            )"""

    def _at_paths(self, function: str) -> str:
        """Return a list of what a function of DuckDB gives at each path. It takes them at once if they are constant."""
        if not self.ignore_case:
            return f"{function}(record, [{', '.join(pointer(steps) for steps in self.paths)}])"
        pointers = [pointer_in_any_case("record", str(name)) for (name,) in self.paths]
        return f"[{', '.join(f'{function}(record, {at})' for at in pointers)}]"

    def _repeated(self) -> list[str]:
        """Return the conditions under which a record has a key twice that a path goes through."""
        keys = [str(steps[0]) for steps in self.paths]
        at_root = [repeats_any("record", keys, ignore_case=self.ignore_case)] if self.root is OBJECTS else []
        return [*at_root, *(repeats("record", container) for container in self._containers())]

    def _field_names(self) -> list[str]:
        """Return the keys that can be struct fields: single steps, not empty, and one of those that differ in case."""
        names = {str(path[0]).lower(): str(path[0]) for path in reversed(self.paths) if len(path) == 1 and path[0]}
        return list(names.values())

    def _containers(self) -> list[Steps]:
        """Return the paths of the objects and arrays inside a record that columns' paths go through."""
        return sorted({path[:end] for path in self.paths for end in range(1, len(path))}, key=repr)

    def _fast_text(self, steps: Steps) -> str:
        if self.ignore_case:
            return f"fields[{quote(str(steps[0]))}]"
        if len(steps) == 1 and steps[0] in self._field_names():
            return f"fields.{_quoted(str(steps[0]))}"
        return reached("record", steps, f"json_extract_string(record, {pointer(steps)})")

    def _values(self, texts: list[str], *, exact: bool = False) -> str:
        return ", ".join(
            f"{(rule.exact if exact and rule.exact else rule.value).format(text=text)} as {_quoted(column.name)}"
            for column, rule, text in zip(self.columns, self.rules, texts, strict=True)
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

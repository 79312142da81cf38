"""The same run leaves the same tables on DuckDB, from files or from S3, and in Redshift's stand-in."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flows.generate import generate
from sql import catalog
from tests.standin import Standin
from tests.support.copying import copy_all
from tests.support.warehouses import BUCKET, Place, Rows, Session, duckdb_place, redshift_place
from tests.warehouse.duckdb.test_copy import BAD_RECORDS, CASES, GOOD, MISSING, PATHS, among_good, type_ids
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.sources import Compression, Source
from warehouse.tables import Table

LINE = (
    "Redshift reports a record's last line, not its position in it, so text that is not JSON is kept as that whole line"
)
UNCERTAIN = "the assumption `uncertain text`: a limit of the DuckDB reader, which rejects rather than guesses"
SUBSTITUTE = "the DuckDB reader replaces bytes that are not UTF-8 by 0x1A; the record is rejected either way"
SEPARATOR = "the DuckDB reader splits texts at 0x1E, so it shows 0x1F instead"
YEAR = "Python has no year 10000: DuckDB's driver gives the text, Redshift's the last moment that Python has"
NESTED = "Redshift reports no values, and only values that are not nested are read back from S3; see the record"
MESSAGE = "the words are each warehouse's own; codes are the same"

KNOWN = {
    "a NUL byte after a record": (LINE, {"records"}),
    "a bad object among several on a line": (LINE, {"records"}),
    "a bad object over lines": (LINE, {"records"}),
    "a brace too many": (LINE, {"records"}),
    "a comma between objects": (LINE, {"records"}),
    "a comment": (LINE, {"records"}),
    "junk after an object": (LINE, {"records"}),
    "a root array that begins on an object's line": (LINE, {"records"}),
    "a record separator": (SEPARATOR, {"records"}),
    "a substitute character": (SUBSTITUTE, {"rejects", "records"}),
    "a number after deep nesting": (UNCERTAIN, {"reported", "rows", "rejects", "records"}),
    "a number in a key written with escapes": (UNCERTAIN, {"reported", "rows", "rejects", "records"}),
}
"""Bad inputs with different results, the reason, and where they differ. NESTED and MESSAGE apply to all inputs."""

REJECTS = 'select load, file, line, "column", code, value from load_errors'
RECORDS = "select file, line, code, raw_record from load_errors"


@dataclass(frozen=True)
class Places:
    """The places where a run is repeated. The two that read S3 read the same objects."""

    files: Place
    s3: Place
    redshift: Place


@pytest.fixture
def places(standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Places:
    there = redshift_place(standin, monkeypatch)
    urls: dict[Path, str] = {}

    def put_once(path: Path) -> str:
        if path not in urls:
            urls[path] = there.put(path)
        return urls[path]

    s3 = replace(duckdb_place(tmp_path / "s3.duckdb").target, aws_credentials="sparkify-aws")
    return Places(duckdb_place(tmp_path / "files.duckdb"), Place(s3, put_once), replace(there, put=put_once))


@pytest.fixture(scope="session")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dirty")
    generate(days=3, users=20, songs=30, seed=7, out=out, dirty=True)
    return out


@pytest.mark.parametrize("source", ["dirty", "real_data"])
def test_a_run_leaves_equal_tables_on_duckdb_and_redshift(
    places: Places, source: str, request: pytest.FixtureRequest
) -> None:
    data: Path = request.getfixturevalue(source)
    left = {}
    for name, place in vars(places).items():
        checks = place.run(data / "log_data", data / "song_data", max_errors=100)
        found = [replace(check, sample=sorted(check.sample, key=repr)) for check in checks]
        left[name] = all_tables(place.session()) | {"checks": [(check,) for check in found]}
    if source == "dirty":
        assert len(left["redshift"]["rejects"]) > 20
    assert_equal(left["s3"], left["redshift"])
    assert_equal(*(with_base_names(left[name]) for name in ("files", "redshift")))


WRITTEN = {
    "batches": "batch_id, source, status, files, records, rejected, run",
    "loaded_files": "count(*), sum(size)::bigint, max(batch_id)",
    "table_loads": "table_name, load, batch_id, definition, inserted, updated, removed",
    "check_results": "batch_id, check_name, severity, offending_rows, run",
}
"""What of the ledger does not depend on when and from where a run loads."""


def all_tables(session: Session) -> dict[str, Rows]:
    """Return the rows and the declared columns of every table."""
    names = [table.name for table in catalog.TABLES]
    tables = {name: session.rows(f"select * from {name}") for name in names if name not in WRITTEN}
    tables |= {name: session.rows(f"select {columns} from {name}") for name, columns in WRITTEN.items()}
    tables |= {"rejects": session.rows(REJECTS), "records": session.rows(RECORDS)}
    with session.warehouse.task() as connection:
        columns = {name: session.warehouse.columns(connection, name) for name in (*names, "load_errors", "run_lease")}
    return tables | {f"columns of {name}": [(str(column),) for column in found] for name, found in columns.items()}


def with_base_names(tables: dict[str, Rows]) -> dict[str, Rows]:
    rejects = [(load, Path(file).name, *others) for load, file, *others in tables["rejects"]]
    records = [(Path(file).name, *others) for file, *others in tables["records"]]
    return tables | {"rejects": rejects, "records": records}


def assert_equal(on_duckdb: dict[str, Rows], on_redshift: dict[str, Rows]) -> None:
    """Fail with the rows that differ in value or in type."""
    assert on_duckdb.keys() == on_redshift.keys()
    found = [line for name in on_duckdb for line in differences(name, on_duckdb[name], on_redshift[name])]
    assert not found, "\n".join(found)


def differences(name: str, on_duckdb: Rows, on_redshift: Rows) -> Iterator[str]:
    """Yield a line for each row that one side has more often."""
    if name == "rejects":
        on_duckdb = without_unknown_values(on_duckdb, on_redshift)
    ours, theirs = (Counter(map(repr, rows)) for rows in (on_duckdb, on_redshift))
    for side, rows in (("DuckDB only", ours - theirs), ("Redshift only", theirs - ours)):
        yield from (f"{name}, {side}: {row} x {times}" for row, times in sorted(rows.items()))


def without_unknown_values(on_duckdb: Rows, on_redshift: Rows) -> Rows:
    """Blank the values of rejects that Redshift's side does not know."""
    unknown = {reject[:-1] for reject in on_redshift if reject[-1] is None}
    return [(*reject[:-1], None) if reject[:-1] in unknown else reject for reject in on_duckdb]


@dataclass
class Pair:
    """Loads the same objects into the same table on both sides."""

    standin: Standin
    sessions: list[Session]
    folder: Path

    def load(
        self, columns: str, files: dict[str, bytes], *, time_format: str | None = None, **options: Any
    ) -> list[dict[str, Rows]]:
        """Return the rows and the rejects of DuckDB and of Redshift."""
        path = self.folder / f"t{len(list(self.folder.iterdir()))}.sql"
        path.write_text(f"create table {path.stem} ({columns})")
        table = Table(path, jsonpaths=path if "jsonpaths" in options else None, time_format=time_format)
        source = f"{BUCKET}/{path.stem}/"
        for name, content in files.items():
            self.standin.put(source + name, content)
        copy = Source(table, source, max_errors=10_000, **options)
        return [self._load(session, copy) for session in self.sessions]

    @staticmethod
    def _load(session: Session, source: Source) -> dict[str, Rows]:
        session.run("delete from load_errors", source.table.ddl)
        with session.warehouse.task() as connection:
            copied = copy_all(session.warehouse, connection, source)
        return {
            "reported": [(copied.rows, copied.rejected)],
            "rows": session.rows(f"select * from {source.table.name}"),
            "rejects": session.rows(REJECTS),
            "records": session.rows(RECORDS),
        }


@pytest.fixture
def pair(places: Places, standin: Standin, tmp_path: Path) -> Pair:
    sessions = [place.session() for place in (places.s3, places.redshift)]
    for session in sessions:
        session.run(LOAD_ERRORS_DDL)
    (tmp_path / "tables").mkdir()
    return Pair(standin, sessions, tmp_path / "tables")


def bad_files(what: str) -> dict[str, bytes]:
    """Return a bad input in a small and in a larger file, which different readers handle."""
    text, first = BAD_RECORDS[what][0], what == "a byte order mark"
    return {f"{what} {pads}.json": among_good(text, pads, first=first) for pads in (1, 300)}


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_bad_records_are_treated_equally(pair: Pair, compression: Compression) -> None:
    inputs = [what for what in BAD_RECORDS if what not in KNOWN][:: 8 if compression == "gzip" else 1]
    files = {name: text for what in inputs for name, text in bad_files(what).items()}
    files |= {f"{name}, over 4 MB": b'{"k": "a", "x": "%s"}' % (b"x" * size) for name, size in LARGE.items()}
    if compression == "gzip":
        files = {name: gzip.compress(text, 1) for name, text in files.items()}
    assert_equal(*pair.load("k varchar not null", files, compression=compression))


LARGE = {"not": 4_100_000, "just": 4_194_300, "well": 5_000_000}


def test_known_differences_are_the_only_ones(pair: Pair) -> None:
    for what, (_, where) in KNOWN.items():
        ours, theirs = pair.load("k varchar not null", bad_files(what))
        assert {part for part in ours if list(differences(part, ours[part], theirs[part]))} == where, what


def test_damaged_bytes_are_treated_equally(pair: Pair) -> None:
    generator = random.Random(1)
    files = {f"{number}.json": damaged(generator) for number in range(100)}
    ours, theirs = pair.load("k varchar, n integer, v varchar(100)", files)
    for side in ours, theirs:
        del side["records"]  # see LINE
    assert_equal(ours, theirs)


WHOLE = b'{"k": "a\xc3\xa9\\n\\u00e9", "n": 17, "v": 1.50}\n{"n": "4", "v": {"w": [1, null, ""]}, "k": "b"}\n' + GOOD
PIECES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b" ",
    b"\n",
    b"nan",
    b"0",
    b"-",
    b".5",
    b"\xff",
    b"\r",
    b"",
    b"",
)


def damaged(generator: random.Random) -> bytes:
    """Return good records with some bytes changed."""
    text = bytearray(WHOLE)
    for _ in range(generator.randint(1, 3)):
        start = generator.randrange(len(text))
        text[start : start + generator.randint(0, 3)] = generator.choice(PIECES)
    return bytes(text)


@pytest.mark.parametrize(("kind", "time_format"), type_ids())
def test_values_are_treated_equally(pair: Pair, kind: str, time_format: str | None) -> None:
    values = [case.written for case in CASES if (case.kind, case.time_format) == (kind, time_format)]
    values = [value for value in values if not value.startswith("2534023008")]  # see YEAR
    records = [f'"k": {json.dumps(value)}' + (f', "v": {value}' if value != MISSING else "") for value in values]
    text = "".join(f"{{{record}}}\n" for record in records).encode()
    files = {"few.json": text, "many.json": text + GOOD * 300}
    assert_equal(*pair.load(f"k varchar(500), v {kind}", files, time_format=time_format))


def test_jsonpaths_are_treated_equally(pair: Pair) -> None:
    paths = ", ".join(f'"{path}"' for path, _, _ in PATHS.values())
    url = pair.standin.put(f"{BUCKET}/paths.json", f'{{"jsonpaths": [{paths}]}}'.encode())
    records = "\n".join(record for _, record, _ in PATHS.values()).encode()
    columns = ", ".join(f"v{n} varchar" for n in range(len(PATHS)))
    files = {"few.json": records, "many.json": records + b"\n" + GOOD * 300}
    assert_equal(*pair.load(columns, files, jsonpaths=url))

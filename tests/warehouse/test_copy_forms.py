"""What the forms of COPY's JSON option load: names, names in any case, and JSONPaths into objects and arrays.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY_command_examples.html#r_COPY_command_examples-copy-from-json
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.copying import copy_all
from tests.support.warehouses import Place, Session
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.sources import Source
from warehouse.tables import Table

CATEGORY = "catid smallint, catgroup varchar(10), catname varchar(10), catdesc varchar(50)"
ROWS = [
    (1, "Sports", "MLB", "Major League Baseball"),
    (2, "Sports", "NHL", "National Hockey League"),
    (3, "Sports", "NFL", "National Football League"),
    (4, "Sports", "NBA", "National Basketball Association"),
    (5, "Shows", "Musicals", "All symphony, concerto, and choir concerts"),
]
NAMES = ("catid", "catgroup", "catname", "catdesc")


def objects(*keys: str) -> bytes:
    """Write the rows as the documentation does: objects over lines, keys in any order, one more, two on a line."""
    records = []
    for number, row in enumerate(ROWS):
        pairs = [(key, value) for key, value in zip(keys, row, strict=True)]
        pairs = pairs[number % 4 :] + pairs[: number % 4]
        records.append(dict([("bogus", "Bogus Sports LLC"), *pairs] if number == 3 else pairs))
    texts = [json.dumps(record, indent=4) for record in records]
    return "\n".join([texts[0], texts[1] + texts[2], *texts[3:]]).encode() + b"\n"


class Form(NamedTuple):
    """A form of the option: the data, the JSONPaths, and whether names are taken in any case."""

    data: bytes
    paths: tuple[str, ...] = ()
    ignore_case: bool = False


AWS = {
    "auto": Form(objects(*NAMES)),
    "auto ignorecase": Form(objects("CatID", "CatGroup", "CatName", "CatDesc"), ignore_case=True),
    "JSONPaths": Form(objects("one", "two", "three", "four"), ("$['one']", "$['two']", "$['three']", "$['four']")),
    "JSONPaths into arrays": Form(
        "".join(f"{json.dumps(row)}\n" for row in ROWS).encode(), ("$[0]", "$[1]", "$[2]", "$[3]")
    ),
}


@pytest.fixture
def session(place: Place) -> Session:
    session = place.session()
    session.run(LOAD_ERRORS_DDL)
    return session


def load(
    place: Place, session: Session, folder: Path, columns: str, form: Form, max_errors: int = 0
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows that are loaded, and line, column and code of each reject."""
    folder = folder / f"{len(list(folder.iterdir()))}"
    (folder / "data").mkdir(parents=True)
    (folder / "data/a.json").write_bytes(form.data)
    jsonpaths = folder / "paths.json"
    jsonpaths.write_text(json.dumps({"jsonpaths": form.paths}))
    sql = folder / f"t{folder.name}.sql"
    sql.write_text(f"create table {sql.stem} ({columns})")
    table = Table(sql, jsonpaths=jsonpaths if form.paths else None, ignore_case=form.ignore_case)
    paths = place.put(jsonpaths) if form.paths else ""
    session.run(table.ddl)
    source = Source(table, place.put(folder / "data"), paths, max_errors)
    with session.warehouse.task() as connection:
        copy_all(session.warehouse, connection, source)
    rows = session.rows(f"select * from {table.name}")
    rejects = session.rows(f"select line, \"column\", code from load_errors where load = '{table.name}'")
    return sorted(rows, key=repr), sorted(rejects)


@pytest.mark.parametrize("padding", [0, 300], ids=["few", "many"])
@pytest.mark.parametrize("name", AWS)
def test_the_examples_of_the_documentation_load(
    place: Place, session: Session, tmp_path: Path, name: str, padding: int
) -> None:
    form = AWS[name]
    loaded, _ = load(place, session, tmp_path, CATEGORY, form._replace(data=form.data * (1 + padding)))
    assert loaded == sorted(ROWS * (1 + padding), key=repr)


ARRAYS = Form(b"", ("$[0]", "$[1]"))
ANY_CASE = Form(b"", ignore_case=True)
CASES: dict[str, tuple[Form, bytes, list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {
    # the form, the text, the rows loaded into `k VARCHAR, n INTEGER`, the rejects (line, column, code)
    "arrays on a line": (ARRAYS, b'["a", 1]["b", 2] ["c", 3]', [("a", 1), ("b", 2), ("c", 3)], []),
    "an array over lines": (ARRAYS, b'[\n"a",\n[\n1\n]\n]\n["b", 2]', [("b", 2)], [(6, "n", 1207)]),
    "a line that begins with an inner array": (ARRAYS, b'[\n["a"],\n1]\n["b", 2]', [('["a"]', 1), ("b", 2)], []),
    "an array that is too short": (ARRAYS, b'["a"]\n[]\n["b", null]', [("a", None), ("b", None), (None, None)], []),
    "an array that is too long": (ARRAYS, b'["a", 1, {"x": [2]}]', [("a", 1)], []),
    "values inside an array": (
        Form(b"", ("$[0].x", "$[1][0]")), b'[{"x": 1.50}, [7]]\n[["x"], {"0": 7}]', [("1.50", 7), (None, None)], []
    ),
    "a number as text": (ARRAYS, b'[1.50, 1]\n["b", 2]', [("1.50", 1), ("b", 2)], []),
    "an object among arrays": (ARRAYS, b'["a", 1]\n{"0": "b"}\n["c", 3]', [("a", 1), ("c", 3)], [(2, None, 1224)]),
    "an unclosed array": (ARRAYS, b'["a", 1\n["b", 2]', [("b", 2)], [(1, None, 1224)]),
    "a broken array": (ARRAYS, b'["a", 1,]\n["b", 2]', [("b", 2)], [(1, None, 1224)]),
    "arrays with commas between": (ARRAYS, b'["a", 1],\n["b", 2]', [("a", 1), ("b", 2)], [(1, None, 1224)]),
    "an array of arrays": (ARRAYS, b'[["a", 1],\n["b", 2]]', [], [(2, "n", 1207)]),
    "names in any case": (ANY_CASE, b'{"K": "a", "N": 1}\n{"k": "b", "n": 2}', [("a", 1), ("b", 2)], []),
    "a name in two cases": (ANY_CASE, b'{"K": "a", "k": "b"}\n{"K": "c"}', [("c", None)], [(1, None, 1224)]),
    "a name twice": (ANY_CASE, b'{"K": "a", "K": "a"}\n{"K": "c"}', [("c", None)], [(1, None, 1224)]),
    "another name in two cases": (ANY_CASE, b'{"K": "a", "X": 1, "x": 2}', [("a", None)], []),
    "a number in a name of any case": (ANY_CASE, b'{"x": {"K": 2}, "K": 1.50, "N": "7"}', [("1.50", 7)], []),
    "an inner object keeps its names": (ANY_CASE, b'{"K": {"K" : 1.0}}', [('{"K" : 1.0}', None)], []),
    "names with escapes and signs": (ANY_CASE, b'{"\\u004b": "a", "a/~b": 1}', [("a", None)], []),
    "a bad value under a name of any case": (ANY_CASE, b'{"K": "a", "N": "x"}', [], [(1, "n", 1207)]),
    "an array among names of any case": (ANY_CASE, b'["a"]\n{"K": "b"}', [("b", None)], [(1, None, 1224)]),
    "names in lower case only": (Form(b""), b'{"K": "a", "n": 1}', [(None, 1)], []),
}  # fmt: skip


@pytest.mark.parametrize("padding", [0, 300], ids=["few", "many"])
def test_forms_load_or_reject(place: Place, session: Session, tmp_path: Path, padding: int) -> None:
    for what, (form, text, rows, rejects) in CASES.items():
        good = b'["good", 0]\n' if form.paths else b'{"k": "good", "n": 0}\n'
        if form.paths == ("$[0].x", "$[1][0]"):
            good = b'[{"x": "good"}, [0]]\n'
        data = good * padding + text + b"\n" + good * padding
        loaded = load(place, session, tmp_path, "k varchar, n integer", form._replace(data=data), max_errors=10)
        expected = sorted([*rows, *[("good", 0)] * 2 * padding], key=repr)
        assert loaded == (expected, [(line + padding, *other) for line, *other in rejects]), what

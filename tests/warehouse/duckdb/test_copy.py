"""COPY on DuckDB: Redshift's rules, and what happens to bad input."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.copying import Copying, Loaded
from tests.warehouse.test_copy_forms import AWS, CATEGORY
from tests.warehouse.test_copy_forms import CASES as FORMS
from warehouse.duckdb.copy import SMALL_FILE_BYTES, DuckDBCopy
from warehouse.duckdb.json_rules import ASSUMPTIONS
from warehouse.duckdb.rejects import _describe
from warehouse.errors import CopyError

READERS = {"whole files": 1, "lines": 300}
"""How many good records surround a file's own, so that each of the two readers handles it once."""


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Copying:
    return Copying(tmp_path_factory.mktemp("copying"))


@pytest.fixture(params=READERS)
def pads(request: pytest.FixtureRequest) -> int:
    return READERS[request.param]


GOOD = b'{"k": "good neighbour"}\n'


def among_good(content: bytes, pads: int, *, first: bool = False, last: bool = False) -> bytes:
    """Return a file of good records with the content between them, or before or after them all."""
    if first or last:
        return content + b"\n" + GOOD * 2 * pads if first else GOOD * 2 * pads + content
    return GOOD * pads + content + b"\n" + GOOD * pads


def own_rows(loaded: Loaded, pads: int) -> list[tuple[str | None, ...]]:
    """Return the loaded rows without the good neighbours, all of which must be present."""
    own = [row for row in loaded.rows if row[0] != "good neighbour"]
    assert len(loaded.rows) - len(own) == 2 * pads
    assert loaded.reported == (len(loaded.rows), len(loaded.rejects))
    return own


class Case:
    """A value for a column's type as written in JSON, and what is loaded, or the code of its rejection."""

    def __init__(self, kind: str, written: str, expected: str | int | None, time_format: str | None = None) -> None:
        self.kind, self.written, self.expected, self.time_format = kind, written, expected, time_format


MISSING = "missing"


def cases(kind: str, values: dict[str, str | int | None], time_format: str | None = None) -> list[Case]:
    return [Case(kind, written, expected, time_format) for written, expected in values.items()]


INTEGERS = {
    MISSING: None, "null": None, '""': None, "0": "0", "7": "7", "-7": "-7", "-0": "0", '"12"': "12", '"-12"': "-12",
    '"007"': "7", "1.5": 1207, "1.0": 1207, "-0.0": 1207, "1e3": 1207, "1E3": 1207, '"1.5"': 1207, '"1e3"': 1207,
    '"x"': 1207, '" 1"': 1207, '"1 "': 1207, '" "': 1207, '"+1"': 1207, '"1_000"': 1207, '"0x1F"': 1207,
    '"\\u0661"': 1207, '"NaN"': 1207, '"Infinity"': 1207, "true": 1207, "{}": 1207, "[]": 1207, "[1]": 1207,
    '{"a": 1}': 1207, '"1\\n"': 1207, '"true"': 1207, '"-"': 1207, '"1,000"': 1207, '"\\u0031"': "1",
}  # fmt: skip
CASES = [
    *cases("smallint", INTEGERS | {"32767": "32767", "32768": 1222, "-32768": "-32768", "-32769": 1222}),
    *cases("integer", INTEGERS | {"2147483647": "2147483647", "2147483648": 1222, '"99999999999"': 1222,
                                  "99999999999": 1222, "123456789012345678901234567890": 1222}),
    *cases("bigint", INTEGERS | {"9223372036854775807": "9223372036854775807", "9223372036854775808": 1222,
                                 "-9223372036854775808": "-9223372036854775808", "-9223372036854775809": 1222,
                                 "123456789012345678901234567890": 1222, "9007199254740993": "9007199254740993"}),
    *cases("decimal(10, 2)", {
        MISSING: None, "null": None, '""': None, "0": "0.00", "1": "1.00", "1.5": "1.50", "1.999": "1.99",
        "-1.999": "-1.99", "-0.009": "0.00", "0.995": "0.99", "12345678.999": "12345678.99",
        "99999999.999": "99999999.99",
        "100000000": 1204, "-100000000.0": 1204, "1e3": "1000.00", "1.2345e2": "123.45", "1.23456e2": "123.45",
        "1E-3": "0.00", "-1e-2": "-0.01", "1e8": 1204, '"1.999"': "1.99", '"1e3"': "1000.00", '"007.509"': "7.50",
        '"x"': 1209, '"1,5"': 1209, '" 1"': 1209, '"+1"': 1209, '"NaN"': 1209, '".5"': 1209, '"5."': 1209,
        "true": 1209, "{}": 1209, "[1]": 1209, "1.9949999999999999999999": "1.99", "1e40": 1204, "1e400": 1204,
        "0.1e-30": "0.00", "123456789012345678901234567890.5": 1204, "-0": "0.00", '"1e"': 1209, '"1\\n"': 1209,
        "299.9949999999999999": "299.99", '"\\u0031.5"': "1.50",
    }),
    *cases("decimal(5)", {"1.9": "1", "-1.9": "-1", "99999.9": "99999", "100000": 1204, "1e2": "100", '""': None}),
    *cases("decimal(38, 0)", {"12345678901234567890123456789012345678": "12345678901234567890123456789012345678"}),
    *cases("decimal(38, 18)", {"12345678901234567890.1234567890123456789": "12345678901234567890.123456789012345678",
                               "0.1": "0.100000000000000000", "1e-18": "0.000000000000000001",
                               "15e-19": "0.000000000000000001", "19e-19": "0.000000000000000001"}),
    *cases("decimal(38, 30)", {"1.5e-25": "0.000000000000000000000000150000"}),
    *cases("double precision", {
        MISSING: None, "null": None, '""': None, "0": "0.0", "1.5": "1.5", "1e3": "1000.0", '"1e3"': "1000.0",
        "-2.5E-3": "-0.0025", "1e400": 1204, "-1e400": 1204, '"NaN"': 1208, '"Infinity"': 1208, '"inf"': 1208,
        '"x"': 1208, '" 1"': 1208, '"1_0"': 1208, "true": 1208, "[]": 1208, '{"a": 1}': 1208, '"007"': "7.0",
        '"1."': 1208, '".5"': 1208, "1537014411796.0": "1537014411796.0", "0.1": "0.1", '"1e400"': 1204, "-0": "-0.0",
        "-0.0": "-0.0", '"1\\n"': 1208,
    }),
    *cases("real", {"1.5": "1.5", "1e39": 1204, '"x"': 1208, '""': None, "null": None, "0.5": "0.5"}),
    *cases("boolean", {
        MISSING: None, "null": None, '""': None, "true": "true", "false": "false", '"true"': "true",
        '"false"': "false", '"t"': 1210, '"1"': 1210, "1": 1210, "0": 1210, '"TRUE"': 1210, '"yes"': 1210,
        "[]": 1210, '{"a": true}': 1210, "1.5": 1210,
    }),
    *cases("varchar(20)", {
        MISSING: None, "null": None, '""': "", '"a"': "a", "1.50": "1.50", "1e3": "1e3", "-0": "-0", "-0.0": "-0.0",
        "0": "0", '"0"': "0", '"1.50"': "1.50", '"-0"': "-0", "1E+3": "1E+3", "true": "true", "false": "false",
        '"null"': "null", '{"b": 1.50}': '{"b": 1.50}', "{}": "{}", "[]": "[]", "[1,  2.0]": "[1,  2.0]",
        '{"b" : "\\/"}': '{"b" : "\\/"}', '"{}"': "{}", '"[1]"': "[1]", '"\\u00e9\\/"': "é/", '"\\ud83c\\udfb5"': "🎵",
        "12345678901234567890": "12345678901234567890", "123456789012345678901": 1204, '"NaN"': "NaN",
        '"Infinity"': "Infinity", '"-Infinity"': "-Infinity", '"12345678901234567890"': "12345678901234567890",
        '"aaaaaaaaaaaaaaaaaaaa"': "a" * 20, '"aaaaaaaaaaaaaaaaaaaaa"': 1204, '"🎵🎵🎵🎵🎵"': "🎵" * 5,
        '"🎵🎵🎵🎵🎵a"': 1204, '"éééééééééé"': "é" * 10, '"ééééééééééa"': 1204, '"\\u0000"': 1220, '"a\\u0000b"': 1220,
        '"a\\nb"': "a\nb", '"+1"': "+1", '".5"': ".5", '" 1"': " 1", "0.1234567890123456789": 1204,
        "0.12345678901234567": "0.12345678901234567", '"a,}"': "a,}", '"\\\\u0000"': "\\u0000", '"nan"': "nan",
        '["a", {"b": [1.0]}]': '["a", {"b": [1.0]}]', '[ "]" ]': '[ "]" ]', '"\\""': '"', "1.0": "1.0",
    }),
    *cases("varchar", {'"' + "a" * 256 + '"': "a" * 256, '"' + "a" * 257 + '"': 1204}),
    *cases("timestamp", {
        MISSING: None, "null": None, '""': None, "1541121934796": "2018-11-02 01:25:34.796",
        '"1541121934796"': "2018-11-02 01:25:34.796", "0": "1970-01-01 00:00:00", "-1": 1206, "1.5": 1206, "1e3": 1206,
        "1541121934796.0": 1206, '"x"': 1206, "true": 1206, "[]": 1206, "253402300800000": "10000-01-01 00:00:00",
        "99999999999999999999": 1206, "9223372036854775807": 1206, '"2018-11-02"': 1206, "-0": 1206,
    }, "epochmillisecs"),
    *cases("timestamp", {
        "1541121934": "2018-11-02 01:25:34", "0": "1970-01-01 00:00:00", "-1": 1206, "1.5": 1206, '""': None,
        "9223372036854775": 1206, "253402300800": "10000-01-01 00:00:00",
    }, "epochsecs"),
]  # fmt: skip


def type_ids() -> list[tuple[str, str | None]]:
    return list(dict.fromkeys((case.kind, case.time_format) for case in CASES))


def _lines(cases_: list[Case]) -> bytes:
    """Return a record per case, with the case's number in `k`."""
    values = [("" if case.written == MISSING else f', "v": {case.written}') for case in cases_]
    return "\n".join(f'{{"k": "{number}"{value}}}' for number, value in enumerate(values)).encode()


@pytest.mark.parametrize(("kind", "time_format"), type_ids())
def test_values_of_a_type_load_or_are_rejected(copying: Copying, pads: int, kind: str, time_format: str | None) -> None:
    all_cases = [case for case in CASES if (case.kind, case.time_format) == (kind, time_format)]
    table = copying.table(f"k varchar, v {kind}", time_format=time_format)
    loaded = copying.load(table, among_good(_lines(all_cases), pads), max_errors=1000)

    outcomes: dict[str | None, str | int | None] = dict(own_rows(loaded, pads))  # type: ignore[arg-type]
    outcomes |= {str(reject.line - pads - 1): reject.code for reject in loaded.rejects}
    assert {c.written: outcomes.get(str(n), "lost") for n, c in enumerate(all_cases)} == {
        c.written: c.expected for c in all_cases
    }
    assert all(reject.column == "v" for reject in loaded.rejects)


@pytest.mark.parametrize(("kind", "time_format"), type_ids())
def test_good_values_load_without_a_second_reading_of_the_file(
    copying: Copying, monkeypatch: pytest.MonkeyPatch, pads: int, kind: str, time_format: str | None
) -> None:
    good = [
        case
        for case in CASES
        if (case.kind, case.time_format) == (kind, time_format) and not isinstance(case.expected, int)
    ]
    table = copying.table(f"k varchar, v {kind}", time_format=time_format)

    def look_again(*_: object) -> None:
        raise AssertionError("the file was taken for broken, and looked at again")

    if pads == READERS["lines"]:  # a small file of several records is always looked at again
        monkeypatch.setattr(DuckDBCopy, "_load_broken", look_again)
    loaded = copying.load(table, among_good(_lines(good), pads))

    assert dict(own_rows(loaded, pads)) == {str(n): case.expected for n, case in enumerate(good)}  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["auto ignorecase", "JSONPaths into arrays"])
def test_names_in_any_case_and_arrays_load_without_a_second_reading_of_the_file(
    copying: Copying, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def look_again(*_: object) -> None:
        raise AssertionError("the file was taken for broken, or for one that is not of lines")

    monkeypatch.setattr(DuckDBCopy, "_load_broken", look_again)
    paths = json.dumps({"jsonpaths": AWS[form].paths}) if AWS[form].paths else None
    table = replace(copying.table(CATEGORY, paths), ignore_case=AWS[form].ignore_case)
    records = AWS["JSONPaths into arrays"].data if paths else b'{"CatID": 1, "CatGroup": "Sports"}\n'
    count = records.count(b"\n")
    assert copying.load(table, records * 300).reported == (300 * count, 0)


BIG = b"x" * 5_000_000
BAD_RECORDS: dict[str, tuple[bytes, list[tuple[int, int]], list[str]]] = {
    # the text, the rejects (line, code), the rows loaded from it
    "a line that is not JSON": (b"what is this?", [(1, 1224)], []),
    "an unclosed object": (b'{"k": "a", "v": 1', [(1, 1224)], []),
    "an unclosed object, then a good one": (b'{"k": "a", "v": 1\n{"k": "b"}', [(1, 1224)], ["b"]),
    "an unclosed object, then a good one and a stray brace": (b'{"k": 1\n{"k": "b"}\n}', [(1, 1224), (3, 1224)], ["b"]),
    "an unclosed string": (b'{"k": "a}\n{"k": "b"}', [(1, 1224)], ["b"]),
    "an unclosed object over lines": (b'{\n"k": "a"\n{"k": "b"}', [(1, 1224), (2, 1224)], ["b"]),
    "an unclosed string over lines": (b'{"k":\n"a\n}\n{"k": "b"}', [(1, 1224), (2, 1224), (3, 1224)], ["b"]),
    "an unclosed array": (b'{"k": ["a"}\n{"k": "b"}', [(1, 1224)], ["b"]),
    "a brace too many": (b'{"k": "a"}}\n{"k": "b"}', [(1, 1224)], ["a", "b"]),
    "a root array": (b'[{"k": "a"}, {"k": "b"}]', [(1, 1224)], []),
    "a root array over lines": (b'[\n{"k": "a"},\n{"k": "b"}\n]', [(4, 1224)], []),
    "a root array that begins on an object's line": (b'{"k": "a"}[\n{"k": "b"}\n]', [(3, 1224)], ["a"]),
    "an empty root array": (b"[]", [(1, 1224)], []),
    "a root string": (b'"text"', [(1, 1224)], []),
    "a root number": (b"5", [(1, 1224)], []),
    "a root null": (b"null", [(1, 1224)], []),
    "several objects on a line": (b'{"k": "a"} {"k": "b"}\t{"k": "c"}', [], ["a", "b", "c"]),
    "objects with nothing between": (b'{"k": "a"}{"k": "b"}', [], ["a", "b"]),
    "a bad object among several on a line": (b'{"k": "a"} {"k": 01} {"k": "c"}', [(1, 1224)], ["a", "c"]),
    "junk after an object": (b'{"k": "a"} junk {"k": "b"}', [(1, 1224)], ["a"]),
    "a comma between objects": (b'{"k": "a"},\n{"k": "b"}', [(1, 1224)], ["a", "b"]),
    "an object over lines": (b'{\n  "k":\n  "a"\n}', [], ["a"]),
    "an object over lines that hold objects": (b'{\n"k": "a",\n"n": [\n{"k": "b"},\n{\n"k": "c"}\n]\n}', [], ["a"]),
    "a bad object over lines": (b'{\n"k": nan,\n"n": [\n{"k": "b"}\n]\n}', [(6, 1224)], []),
    "an object over lines, another on its last": (b'{"k":\n"a"} {"k": "b"}', [], ["a", "b"]),
    "blank lines": (b'\n  \n\r\n{"k": "a"}\n\n\t\n', [], ["a"]),
    "CRLF": (b'{"k": "a"}\r\n{"k": "b"}\r', [], ["a", "b"]),
    "CRLF around a bad line": (b'{"k": "a"}\r\n{"k": b}\r\n{"k": "c"}\r', [(2, 1224)], ["a", "c"]),
    "form feed and vertical tab": (b'\x0b{"k": "a"}\x0c\n{"k": "b"}\x0b', [], ["a", "b"]),
    "invalid UTF-8": (b'{"k": "\xff"}\n{"k": "b"}', [(1, 1220)], ["b"]),
    "invalid UTF-8 that is a surrogate": (b'{"k": "\xed\xa0\x80"}', [(1, 1220)], []),
    "invalid UTF-8 that is overlong": (b'{"k": "\xc0\x80"}', [(1, 1220)], []),
    "invalid UTF-8 in a key no column takes": (b'{"k": "a", "x": "\xff"}', [(1, 1220)], []),
    "invalid UTF-8 outside strings": (b'{"k": "a"\xff}', [(1, 1220)], []),
    "invalid UTF-8 cut at the line's end": (b'{"k": "\xc3\n{"k": "b"}', [(1, 1220)], ["b"]),
    "a NUL byte": (b'{"k": "\x00"}\n{"k": "b"}', [(1, 1224)], ["b"]),
    "a NUL byte after a record": (b'{"k": "a"}\x00\n{"k": "b"}', [(1, 1224)], ["a", "b"]),
    "a NUL escape": (b'{"k": "\\u0000"}\n{"k": "b"}', [(1, 1220)], ["b"]),
    "a control character": (b'{"k": "\x01"}', [(1, 1224)], []),
    "a record separator": (b'{"k": "a\x1eb"}\n\x1e{"k": "b"}', [(1, 1224), (2, 1224)], []),
    "a substitute character": (b'{"k": "\x1a"}', [(1, 1220)], []),
    "a tab in a string": (b'{"k": "\t"}', [(1, 1224)], []),
    "a byte order mark": (b'\xef\xbb\xbf{"k": "a"}', [(1, 1224)], []),
    "NaN": (b'{"k": NaN}', [(1, 1224)], []),
    "NaN in another case": (b'{"k": nAn}', [(1, 1224)], []),
    "NaN in a key no column takes": (b'{"k": "a", "x": nan}', [(1, 1224)], []),
    "NaN in a key no column takes, nested": (b'{"k": "a", "x": [ NaN ]}', [(1, 1224)], []),
    "Infinity": (b'{"k": Infinity}', [(1, 1224)], []),
    "minus inf in a key no column takes": (b'{"k": "a", "x": -inf}', [(1, 1224)], []),
    "NaN as text": (b'{"k": "NaN", "x": ": nan, inf"}', [], ["NaN"]),
    "a trailing comma": (b'{"k": "a",}', [(1, 1224)], []),
    "a trailing comma, nested": (b'{"k": "a", "x": [1 , ]}', [(1, 1224)], []),
    "a comma before a bracket in text": (b'{"k": ",}", "x": ", ]"}', [], [",}"]),
    "a key twice": (b'{"k": "a", "k": "a"}', [(1, 1224)], []),
    "a key twice, once with escapes": (b'{"k": "a", "\\u006b": "b"}', [(1, 1224)], []),
    "a key twice, once null": (b'{"k": "a", "k": null}', [(1, 1224)], []),
    "a key twice that no column takes": (b'{"k": "a", "x": 1, "x": 2}', [], ["a"]),
    "a key written with escapes": (b'{"\\u006b": "a"}', [], ["a"]),
    "a number in a key written with escapes": (b'{"\\u006b": 1.50}', [(1, 1224)], []),
    "half a surrogate pair": (b'{"k": "\\ud83c"}', [(1, 1224)], []),
    "a comment": (b'{"k": "a"} // said', [(1, 1224)], ["a"]),
    "single quotes": (b"{'k': 'a'}", [(1, 1224)], []),
    "a missing value": (b'{"k": }', [(1, 1224)], []),
    "Python": (b"{'k': None}", [(1, 1224)], []),
    "a truncated escape": (b'{"k": "\\u00"}', [(1, 1224)], []),
    "an empty object": (b"{}", [(1, 1213)], []),
    "another key": (b'{"K": "a"}', [(1, 1213)], []),
    "null where it may not be": (b'{"k": null}', [(1, 1213)], []),
    "a value one byte too long": (b'{"k": "' + b"x" * 257 + b'"}', [(1, 1204)], []),
    "a long value that fits": (b'{"k": "' + b"x" * 256 + b'"}', [], ["x" * 256]),
    "text after deep nesting": (b'{"x": ' + b"[" * 30 + b"]" * 30 + b', "k": "a"}', [], ["a"]),
    "a number after deep nesting": (b'{"x": ' + b"[" * 30 + b"]" * 30 + b', "k": 1.0}', [(1, 1224)], []),
}


@pytest.mark.parametrize("what", BAD_RECORDS)
def test_a_bad_record_is_rejected_alone(copying: Copying, pads: int, what: str) -> None:
    text, rejects, rows = BAD_RECORDS[what]
    first = what == "a byte order mark"
    offset = 0 if first else pads
    table = copying.table("k varchar not null")
    loaded = copying.load(table, among_good(text, pads, first=first), max_errors=10)

    assert sorted(row[0] or "" for row in own_rows(loaded, pads)) == rows
    assert [(reject.line - offset, reject.code) for reject in loaded.rejects] == rejects
    for reject in loaded.rejects:
        assert reject.file.endswith("data.json")
        assert reject.message
        assert reject.raw_record.isprintable() or not text.isascii() or b"\n" in text or not text.decode().isprintable()


@pytest.mark.parametrize("what", [what for what, (_, rejects, _) in BAD_RECORDS.items() if rejects])
def test_a_reject_over_max_errors_fails_the_load(copying: Copying, what: str) -> None:
    pads = 1 + SMALL_FILE_BYTES // len(GOOD)
    text, rejects, _ = BAD_RECORDS[what]
    first = what == "a byte order mark"
    table = copying.table("k varchar not null")
    copying.load(table, GOOD)

    with pytest.raises(CopyError) as caught:
        copying.load(table, among_good(text, pads, first=first), max_errors=len(rejects) - 1)
    line = rejects[0][0] + (0 if first else pads)
    assert re.search(rf"data\.json, line {line}[:,] .*\(code {rejects[0][1]}\)", str(caught.value))
    assert str(caught.value).endswith(f"set --max-errors {len(rejects)} to keep the rejects in load_errors")
    assert copying.present(table) == [("good neighbour",)]


@pytest.mark.parametrize(
    "record", ['{"k": "x"', '{"k": "x', '{"k"', "{", '{"k": "caf\N{LATIN SMALL LETTER E WITH ACUTE}']
)
def test_a_truncated_last_line_is_rejected(copying: Copying, pads: int, record: str) -> None:
    text = record.encode()[: -1 if not record.isascii() else None]
    loaded = copying.load(copying.table("k varchar"), among_good(text, pads, last=True), max_errors=1)

    assert not own_rows(loaded, pads)
    assert [reject.line for reject in loaded.rejects] == [2 * pads + 1]


def test_the_last_line_needs_no_line_break(copying: Copying, pads: int) -> None:
    loaded = copying.load(copying.table("k varchar"), among_good(b'{"k": "a"}', pads, last=True))
    assert own_rows(loaded, pads) == [("a",)]


@pytest.mark.parametrize("size", [2 << 20, 5 << 20, 40 << 20])
def test_a_record_over_4_mb_is_rejected(copying: Copying, pads: int, size: int) -> None:
    text = b'{"k": "a", "x": "' + b"x" * size + b'"}'
    loaded = copying.load(copying.table("k varchar"), among_good(text, pads), max_errors=1)

    assert own_rows(loaded, pads) == ([("a",)] if size < 4 << 20 else [])
    assert [(reject.line, reject.code) for reject in loaded.rejects] == ([(pads + 1, 1224)] if size > 4 << 20 else [])


def test_ten_thousand_tiny_files_load(copying: Copying) -> None:
    files = {f"{n % 100}/{n}.json": b'{"k": "%d"}' % n for n in range(10_000)} | {"7/bad.json": b"bad"}
    loaded = copying.load(copying.table("k varchar"), files, max_errors=1)

    assert loaded.reported == (10_000, 1)
    assert len(set(loaded.rows)) == 10_000
    assert loaded.rejects[0].file.endswith("7/bad.json")


def test_rejects_name_their_own_file(copying: Copying) -> None:
    files = {
        f"{kind}-{n}.json": GOOD * pads + b"%d\n" % n + GOOD * pads
        for kind, pads in (("large", 300), ("small", 1))
        for n in range(20)
    }
    loaded = copying.load(copying.table("k varchar"), files, max_errors=40)

    assert loaded.reported == (2 * 20 * 301, 40)
    assert {(Path(reject.file).name, reject.line, reject.raw_record) for reject in loaded.rejects} == {
        (name, text.count(b"\n") // 2 + 1, name.removesuffix(".json").partition("-")[2]) for name, text in files.items()
    }


def test_line_numbers_continue_across_chunks_of_a_file(copying: Copying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.duckdb.chunks._BLOCK_BYTES", 1000)
    monkeypatch.setattr("warehouse.duckdb.copy._TEXT_BATCH_BYTES", 3000)
    monkeypatch.setattr("warehouse.duckdb.copy.BATCH_BYTES", 5000)
    lines = [b'{"k":\n"%d"}' % n if n % 3 else b"bad %d" % n for n in range(2000)]
    loaded = copying.load(copying.table("k varchar"), {"a.json": b"\n".join(lines), "b.json": GOOD * 500}, 1000)

    numbers = [sum(line.count(b"\n") + 1 for line in lines[: n + 1]) for n in range(0, 2000, 3)]
    assert [(reject.line, reject.raw_record) for reject in loaded.rejects] == [
        (number, f"bad {3 * n}") for n, number in enumerate(numbers)
    ]
    assert loaded.reported == (2000 - 667 + 500, 667)


def test_a_broken_file_does_not_disturb_existing_rows(copying: Copying) -> None:
    table = copying.table("k varchar")
    copying.load(table, b'{"k": "there before"}')
    files = {
        "a.json": GOOD * 300 + b'{"k": 1.50}\n',
        "b.json": GOOD * 300 + b"bad\n" + GOOD * 300,
        "c.json": GOOD * 300,
    }
    loaded = copying.load(table, files, max_errors=1)

    assert loaded.reported == (1201, 1)
    assert sorted(set(loaded.rows), key=str) == [("1.50",), ("good neighbour",), ("there before",)]
    assert len(loaded.rows) == 1202


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the bytes that a process reads are counted by Linux")
@pytest.mark.parametrize("record", [b'{"k": "a", "n": 1}', b'{"k": 1.50, "n": 1}'], ids=["sure", "in doubt"])
def test_files_without_rejects_are_read_once(copying: Copying, record: bytes) -> None:
    lines = b'{"k": "a", "n": 1, "pad": "%s"}\n' % (b"x" * 400)
    files = copying.write({f"{n}.json": lines * 2000 + record + b"\n" for n in range(80)})
    table = copying.table("k varchar, n integer")
    copying.load(table, GOOD)  # imports what is imported late
    total = sum(file.stat().st_size for file in files.iterdir())
    before = bytes_read()
    loaded = copying.load(table, files)

    assert loaded.reported == (80 * 2001, 0)
    assert bytes_read() - before < 1.5 * total  # the beginning is looked at before


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_load_errors_contain_column_value_code_reason_and_record(copying: Copying, pads: int) -> None:
    record = b'{"k": "a",  "n": 1.50}'
    loaded = copying.load(copying.table("k varchar, n integer"), among_good(record, pads), max_errors=1)

    (reject,) = loaded.rejects
    assert reject._replace(file="") == ("", pads + 1, "n", "1.50", 1207, "Invalid digit", record.decode())


def test_a_long_reject_is_kept_truncated(copying: Copying, pads: int) -> None:
    text = '{"k": "' + "🎵" * 40_000 + '"}'
    loaded = copying.load(copying.table("k varchar"), among_good(text.encode(), pads), max_errors=1)

    (reject,) = loaded.rejects
    assert text.startswith(reject.raw_record)
    assert 60_000 < len(reject.raw_record.encode()) < 65_535
    assert reject.value
    assert set(reject.value) == {"🎵"}


def test_an_error_describes_a_few_rejects_and_counts_all(copying: Copying, pads: int) -> None:
    table = copying.table("k varchar, n integer")
    text = b"\n".join(b'{"k": "a", "n": "%s"}' % (b"x" * 200) for _ in range(50))
    with pytest.raises(
        CopyError,
        match=r"50 records rejected, max_errors allows 9\. Nothing was loaded(.|\n)*column n, value 'xx(.|\n)*47 more",
    ) as caught:
        copying.load(table, among_good(text, pads), max_errors=9)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "None"), ("it's", '"it\'s"'), ("x" * 80, repr("x" * 80)), ("x" * 81, f"{'x' * 80!r}... (81 characters)")],
)
def test_a_long_value_is_shortened_in_messages(value: str | None, shown: str) -> None:
    place = "a.json, line 3"
    assert _describe("a.json", 3, "n", value, 1207, "Invalid digit") == (
        f"{place}, column n, value {shown}: Invalid digit (code 1207)"
    )
    assert _describe("a.json", 3, None, value, 1224, "Not JSON") == f"{place}: Not JSON (code 1224)"


def test_auto_matches_first_level_keys_in_lower_case(copying: Copying, pads: int) -> None:
    text = b'{"k": "a", "v": "b", "V": "c"}\n{"k": "b", "V": "c"}\n{"k": "c", "x": {"v": "d"}}\n{"K": "d", "k": null}'
    loaded = copying.load(copying.table("k varchar, v varchar"), among_good(text, pads))
    assert own_rows(loaded, pads) == [("a", "b"), ("b", None), ("c", None), (None, None)]


PATHS = {
    "dot": ("$.k", '{"k": "a"}', "a"),
    "bracket": ("$['k']", '{"k": "a"}', "a"),
    "double quotes": ('$[\\"k\\"]', '{"k": "a"}', "a"),
    "nested": ("$.x.y.z", '{"x": {"y": {"z": 1.50}}}', "1.50"),
    "nested in brackets": ("$['x']['y']", '{"x": {"y": "a"}}', "a"),
    "index": ("$.x[1]", '{"x": [1, 2.0, 3]}', "2.0"),
    "first index": ("$.x[0]", '{"x": [{"a": [1.0, 2]}, 3]}', '{"a": [1.0, 2]}'),
    "an index over 1000": ("$.x[1200]", f'{{"x": [{"[0.0, {}], " * 1200}1.50, 2]}}', "1.50"),
    "an index after deep nesting": ("$.x[1]", f'{{"x": [{"[" * 9}1{"]" * 9}, 1.50]}}', "1.50"),
    "index, then key": ("$['x'][1]['y']", '{"x": [{"y": 1}, {"y": 2.50}]}', "2.50"),
    "indexes": ("$.x[1][0]", '{"x": [[1, 2], [3.0]]}', "3.0"),
    "index out of range": ("$.x[5]", '{"x": [1, 2]}', None),
    "index into an object": ("$.x[0]", '{"x": {"0": "a"}}', None),
    "key into an array": ("$.x.0", '{"x": ["a"]}', None),
    "key into text": ("$.x.y", '{"x": "a"}', None),
    "nested null": ("$.x.y", '{"x": null}', None),
    "an object": ("$.x", '{"x": {"y" : 1.50,  "z":[]}}', '{"y" : 1.50,  "z":[]}'),
    "a key with a dot": ("$['x.y']", '{"x.y": 1.0, "x": {"y": 2}}', "1.0"),
    "a key with a slash and tilde": ("$['x/y~z']", '{"x/y~z": 1.0}', "1.0"),
    "a key with a star": ("$['*']", '{"a": 2.0, "*": 1.0}', "1.0"),
    "a key with a space and an accent": ("$['été 1']", '{"été 1": 1.0}', "1.0"),
    "a key in capitals": ("$.X", '{"x": 2.0, "X": 1.0}', "1.0"),
    "a key like a regular expression": ("$['a|(b']", '{"a": 2.0, "a|(b": 1.0}', "1.0"),
    "a key with a quote": ("$['a\\\"b']", '{"a\\"b": 1.0}', "1.0"),
    "an empty key": ("$['']", '{"": 1.0}', "1.0"),
}


@pytest.mark.parametrize("what", PATHS)
def test_jsonpaths_select_the_right_values(copying: Copying, pads: int, what: str) -> None:
    path, record, expected = PATHS[what]
    table = copying.table("k varchar, v varchar", f'{{"jsonpaths": ["$[\'good\']", "{path}"]}}')
    good = b'{"good": "good neighbour"}\n'
    loaded = copying.load(table, good * pads + record.encode() + b"\n" + good * pads)
    assert own_rows(loaded, pads) == [(None, expected)]


@pytest.mark.parametrize("place", [1, 1200])
def test_a_number_after_a_value_that_is_nested_too_deep_is_rejected(copying: Copying, pads: int, place: int) -> None:
    table = copying.table("k varchar, v varchar", f'{{"jsonpaths": ["$.k", "$.x[{place}]"]}}')
    deep = [f"[{'[' * depth}{']' * depth}, {'0, ' * (place - 1)}9.50]" for depth in range(15, 19)]
    text = "\n".join(f'{{"x": [{"[" * 13}{array}{"]" * 13}, {"0, " * (place - 1)}1.50, 2.0]}}' for array in deep)
    loaded = copying.load(table, among_good(text.encode(), pads), max_errors=4)
    assert own_rows(loaded, pads) == []
    assert [reject.column for reject in loaded.rejects] == ["v"] * 4


def test_jsonpaths_are_positional_and_may_repeat(copying: Copying, pads: int) -> None:
    table = copying.table("k varchar, b integer, c varchar", '{"jsonpaths": ["$.K", "$.n", "$.n"]}')
    text = (b'{"K": "good neighbour"}\n' * pads) + b'{"n": 7, "K": "a"}\n' + (b'{"K": "good neighbour"}\n' * pads)
    assert own_rows(copying.load(table, text), pads) == [("a", "7", "7")]


@pytest.mark.parametrize(
    ("paths", "good", "bad"),
    [
        ('"$.x.y", "$.x.z"', '{"x": {"y": "a", "z": ""}}', '{"x": {"y": "a", "y": "b", "z": ""}}'),
        ('"$.x.y", "$.q"', '{"x": {"y": "a"}, "q": ""}', '{"x": {"y": "a"}, "x": {"y": "b"}, "q": ""}'),
        ('"$.x[0].y", "$.q"', '{"x": [{"y": "a"}], "q": ""}', '{"x": [{"y": "a", "y": "a"}], "q": ""}'),
        ('"$.X", "$.x"', '{"x": "", "X": ""}', '{"x": "", "X": "", "X": ""}'),
        ('"$.X", "$.x"', '{"x": "", "X": ""}', '{"x": "", "X": "", "x": ""}'),
        ('"$.x", "$.y"', '{"x": "", "y": ""}', '{"x": "", "y": "", "x": ""}'),
    ],
)
def test_a_duplicate_key_on_a_path_is_rejected(copying: Copying, pads: int, paths: str, good: str, bad: str) -> None:
    table = copying.table("k varchar, v varchar", f'{{"jsonpaths": [{paths}]}}')
    lines = [good] * pads + [bad] + [good] * pads
    loaded = copying.load(table, "\n".join(lines).encode(), max_errors=1)
    assert [(reject.line, reject.message) for reject in loaded.rejects] == [(pads + 1, "Key given twice")]
    assert loaded.reported == (2 * pads, 1)


@pytest.mark.parametrize("columns", ["k varchar, v time", "k varchar, v timestamp", "k varchar, v date"])
def test_an_unsupported_type_is_named(copying: Copying, columns: str) -> None:
    with pytest.raises(CopyError, match=r"column v: .* cannot be loaded into DuckDB"):
        copying.load(copying.table(columns), GOOD)


def test_a_copy_reports_its_progress(copying: Copying) -> None:
    messages: list[str] = []
    copying.load(copying.table("k varchar"), {"a.json": GOOD, "b.json": GOOD * 300}, progress=messages.append)
    assert [re.sub(r"^t\d+: ", "", text) for text in messages] == ["100% of 7.2 kB read", "100% of 7.2 kB read"]


def test_the_progress_of_compressed_files_is_that_of_their_compressed_bytes(copying: Copying) -> None:
    messages: list[str] = []
    packed = gzip.compress(GOOD * 300)
    copying.load(copying.table("k varchar"), packed, compression="gzip", progress=messages.append)
    assert messages[-1].endswith(f": 100% of {len(packed)} bytes read")


def test_a_long_copy_reports_its_progress_while_it_runs(copying: Copying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.duckdb.copy._PROGRESS_SECONDS", 0.01)
    messages: list[str] = []
    copying.load(copying.table("k varchar"), GOOD * 1_000_000, progress=messages.append)
    found = [re.findall(r"(\d+)% of", text) for text in messages]
    shares = [int(share) for (share,) in found]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 100 == shares[-1]


def test_every_assumption_has_its_test() -> None:
    assert set(ASSUMPTIONS) == set(TESTED_ASSUMPTIONS)
    for names in TESTED_ASSUMPTIONS.values():
        assert set() < set(names) <= set(BAD_RECORDS) | set(FORMS) | set(globals())


TESTED_ASSUMPTIONS = {
    "byte order mark": ["a byte order mark"],
    "NUL": ["a NUL escape", "test_values_of_a_type_load_or_are_rejected"],
    "invalid UTF-8": ["invalid UTF-8 in a key no column takes"],
    "NaN": ["NaN", "NaN in a key no column takes", "NaN as text", "test_values_of_a_type_load_or_are_rejected"],
    "trailing comma": ["a trailing comma", "a trailing comma, nested"],
    "root array": ["a root array", "an empty root array", "a root array over lines", "an object among arrays"],
    "a name in two cases": ["a name in two cases", "a name twice"],
    "adjacent objects": ["objects with nothing between"],
    "junk after an object": ["junk after an object"],
    "unclosed object": ["an unclosed object over lines", "an unclosed string over lines"],
    "white space": ["form feed and vertical tab"],
    "line of its own": ["an unclosed object, then a good one and a stray brace"],
    "duplicate keys": ["a key twice", "a key twice that no column takes", "test_a_duplicate_key_on_a_path_is_rejected"],
    "lone surrogate": ["half a surrogate pair"],
    "uncertain text": ["a number after deep nesting", "a number in a key written with escapes"],
    "number text": ["test_values_of_a_type_load_or_are_rejected"],
    "exponent": ["test_values_of_a_type_load_or_are_rejected"],
    "boolean": ["test_values_of_a_type_load_or_are_rejected"],
    "epoch": ["test_values_of_a_type_load_or_are_rejected"],
    "not null": ["an empty object", "null where it may not be"],
    "large record": ["test_a_record_over_4_mb_is_rejected"],
}


COLUMNS = "n varchar, a varchar(65535), b varchar(65535), été varchar(65535)"
TABLE_KEYS = ("a", "b", "été")
SPACE = st.sampled_from(["", "", " ", "\t ", "  "])


def written_string(text: str, draw: st.DrawFn) -> str:
    """Write text as a JSON string, with some characters as escapes."""
    short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\r": "\\r"}
    out = []
    for character in text:
        units = character.encode("utf-16-be")
        long = "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))
        plain = [] if character in '"\\' or character < " " else [character] * 4
        out.append(draw(st.sampled_from([*plain, *([short[character]] if character in short else []), long])))
    return '"' + "".join(out) + '"'


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SCALARS = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?", fullmatch=True).map(str.strip),
    st.sampled_from(["true", "false", "null", "{}", "[]", '""', '"0"', '"1.50"', '"[1]"', '"{"', '"NaN"', "-0", "0"]),
)


@st.composite
def written_values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind < 2:
        return draw(SCALARS)
    if kind == 2:
        return written_string(draw(TEXTS), draw)
    inner = draw(st.lists(written_values(depth=depth - 1), max_size=3))
    if kind == 3:
        return "[" + ",".join(f"{draw(SPACE)}{value}{draw(SPACE)}" for value in inner) + "]"
    return "{" + ",".join(f'{draw(SPACE)}"{n}"{draw(SPACE)}: {value}' for n, value in enumerate(inner)) + "}"


@st.composite
def written_records(draw: st.DrawFn) -> str:
    """Write an object with some of the table's keys and some others, in any order."""
    keys = draw(st.lists(st.sampled_from([*TABLE_KEYS, "A", "x", "B b"]), unique=True))
    members = [f'{draw(SPACE)}"{key}"{draw(SPACE)}:{draw(SPACE)}{draw(written_values())}{draw(SPACE)}' for key in keys]
    return "{" + ",".join(members) + "}"


def loaded_text(value: object, written: str) -> str | None:
    return None if value is None else value if isinstance(value, str) else written


def members(record: str) -> dict[str, str | None]:
    """Return the texts of an object's members, cut out where Python's decoder finds them."""
    decoder, found, place = json.JSONDecoder(), {}, 1
    while key_at := re.compile(r'[\s,]*(?=")').match(record, place):
        key, end = decoder.raw_decode(record, key_at.end())
        colon = re.compile(r"\s*:\s*").match(record, end)
        assert colon
        value, place = decoder.raw_decode(record, colon.end())
        found[key] = loaded_text(value, record[colon.end() : place])
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(written_records(), min_size=1, max_size=20), st.sampled_from(list(READERS.values())))
def test_text_loads_as_an_independent_implementation_reads_it(copying: Copying, records: list[str], pads: int) -> None:
    lines = [f'{{"n": "{n}"' + (", " if record.strip("{} ") else "") + record[1:] for n, record in enumerate(records)]
    lines += ['{"n": "good neighbour"}'] * pads * 2
    loaded = copying.load(copying.table(COLUMNS), "\n".join(lines).encode())

    expected = {str(n): tuple(members(record).get(key) for key in TABLE_KEYS) for n, record in enumerate(records)}
    assert {row[0]: row[1:] for row in own_rows(loaded, pads)} == expected


GOOD_LINES = [
    json.dumps({"k": str(n), "n": n, "x": {"y": [n, None, "é/"]}}, ensure_ascii=n % 2 == 0).encode() for n in range(5)
]


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """Damage a good line with bytes other than line breaks, so that it stays one line."""
    line = bytearray(draw(st.sampled_from(GOOD_LINES)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.integers(0, 5)))
        line[start:end] = draw(
            st.one_of(
                st.binary(max_size=3), st.sampled_from([b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b" ", b"nan"])
            )
        ).translate(None, b"\r\n")
    assume(not line.rstrip().endswith((b"[", b",", b":")))  # such a line says that the next one continues a value
    return bytes(line)


def is_object(line: bytes) -> bool:
    def refuse(text: str) -> None:
        raise ValueError(text)

    try:
        return isinstance(json.loads(line.decode(), parse_constant=refuse), dict)
    except ValueError:
        return False


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(damaged_lines(), min_size=1, max_size=6), st.sampled_from(list(READERS.values())))
def test_damage_affects_its_own_line_only(copying: Copying, lines: list[bytes], pads: int) -> None:
    between = b"".join(line + b"\n" + GOOD for line in lines)
    content = GOOD * (2 * pads - len(lines)) if len(lines) < 2 * pads else b""
    neighbours = (content + between).count(GOOD)
    loaded = copying.load(copying.table("k varchar, n integer"), content + between, max_errors=100)

    assert sum(row[0] == "good neighbour" for row in loaded.rows) >= neighbours
    damaged = [line for line in lines if line.strip(b" \t\x0b\x0c") and not is_object(line)]
    intact = sum(is_object(line) for line in lines)
    read = loaded.reported[0] + len(loaded.rejects)
    assert read >= neighbours + intact + len(damaged)
    if not damaged:
        assert read == neighbours + intact
    assert not damaged or loaded.rejects

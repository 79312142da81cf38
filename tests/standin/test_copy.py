"""COPY in the stand-in follows Redshift's rules. Expected values are written by hand, from the documentation."""

import bz2
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redshift_connector
from redshift_connector.error import InterfaceError, ProgrammingError

from tests.standin import Standin
from tests.standin.s3 import ROLE, Keys
from warehouse.redshift.errors import disconnect

Connection = Any
DATA = "s3://bucket/data/"


@contextmanager
def connect(standin: Standin) -> Iterator[Connection]:
    connection = redshift_connector.connect(
        host=standin.host,
        port=standin.port,
        user=standin.user,
        password=standin.password,
        database=standin.database,
        ssl=False,
    )
    try:
        yield connection
    finally:
        disconnect(connection)


@pytest.fixture
def connection(standin: Standin) -> Iterator[Connection]:
    with connect(standin) as connection:
        yield connection


def run(connection: Connection, sql: str) -> list[list[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


def failure(connection: Connection, sql: str) -> tuple[str, str]:
    with pytest.raises(ProgrammingError) as caught:
        run(connection, sql)
    connection.rollback()
    return caught.value.args[0]["C"], caught.value.args[0]["M"]


def make(connection: Connection, columns: str) -> None:
    run(connection, f"create table t ({columns})")
    connection.commit()


def copy(options: str = "json 'auto'", source: str = DATA, authorization: str = "iam_role default") -> str:
    return f"copy t from '{source}' {authorization} {options}"


def texts(connection: Connection, *columns: str) -> list[tuple[str | None, ...]]:
    """Return a table's rows as text, sorted."""
    listed = ", ".join(f"{column}::varchar" for column in columns)
    return sorted((tuple(row) for row in run(connection, f"select {listed} from t")), key=repr)


def rejects(connection: Connection) -> list[list[Any]]:
    return run(
        connection,
        "select line_number, error_code from sys_load_error_detail where query_id = pg_last_copy_id() order by 1",
    )


MISSING = "missing"
INTEGERS: dict[str, str | int | None] = {
    MISSING: None, "null": None, '""': None, "0": "0", "-7": "-7", "-0": "0", '"12"': "12", '"007"': "7",
    "1.5": 1207, "1.0": 1207, "1e3": 1207, '"x"': 1207, '" 1"': 1207, '"+1"': 1207, '"\\u0661"': 1207, "true": 1207,
    "{}": 1207, "[1]": 1207, '"1\\n"': 1207, '"NaN"': 1207, '"-"': 1207,
}  # fmt: skip
VALUES: dict[tuple[str, str], dict[str, str | int | None]] = {
    ("smallint", ""): INTEGERS | {"32767": "32767", "32768": 1222, "-32768": "-32768", "-32769": 1222},
    ("integer", ""): INTEGERS | {"2147483647": "2147483647", "2147483648": 1222},
    ("bigint", ""): INTEGERS | {"9223372036854775807": "9223372036854775807", "9223372036854775808": 1222},
    ("decimal(10, 2)", ""): {
        MISSING: None, "null": None, '""': None, "1": "1.00", "1.999": "1.99", "-1.999": "-1.99",
        "99999999.999": "99999999.99",
        "100000000": 1204, "1e3": "1000.00", "1.2345e2": "123.45", "1e8": 1204, "1e400": 1204, "0.1e-30": "0.00",
        '"1.5"': "1.50", '"x"': 1209, '".5"': 1209, '"5."': 1209, '" 1"': 1209, "true": 1209, '"NaN"': 1209, "[]": 1209,
        "1.9949999999999999999999": "1.99",
    },
    ("decimal(10, 2)", "roundec"): {"1.999": "2.00", "-1.995": "-2.00", "1.994": "1.99", "99999999.999": 1204},
    ("double precision", ""): {
        MISSING: None, "null": None, '""': None, "0": "0", "1.5": "1.5", "1e3": "1000", '"1e3"': "1000", "1e400": 1204,
        '"NaN"': 1208, '"Infinity"': 1208, '"x"': 1208, "true": 1208, '"1."': 1208, "1537014411796.0": "1537014411796",
    },
    ("real", ""): {"1.5": "1.5", "1e39": 1204, '""': None, '"x"': 1208},
    ("boolean", ""): {
        MISSING: None, "null": None, '""': None, "true": "true", "false": "false", '"true"': "true", '"t"': 1210,
        "1": 1210, '"TRUE"': 1210, "[]": 1210,
    },
    ("varchar(20)", ""): {
        MISSING: None, "null": None, '""': "", '"a"': "a", "1.50": "1.50", "1e3": "1e3", "-0": "-0", "true": "true",
        '{"b": 1.50}': '{"b": 1.50}', "[1,  2.0]": "[1,  2.0]", "[]": "[]", '{"b" : "\\/"}': '{"b" : "\\/"}',
        '"\\u00e9\\/"': "é/", '"\\ud83c\\udfb5"': "🎵", '"a\\tb\\\\c\\nd"': "a\tb\\c\nd", '"éééééééééé"': "é" * 10,
        '"ééééééééééa"': 1204, '"aaaaaaaaaaaaaaaaaaaaa"': 1204, '"a\\u0000b"': 1220, '"\\\\N"': "\\N", '" "': " ",
    },
    ("varchar(3)", "truncatecolumns"): {'"abcd"': "abc", '"éé"': "é", '"ab"': "ab"},
    ("varchar(3)", "emptyasnull"): {'""': None, '" "': " "},
    ("varchar(3)", "blanksasnull"): {'" "': None, '"a "': "a "},
    ("timestamp", "timeformat 'epochmillisecs'"): {
        MISSING: None, "null": None, '""': None, "1541121934796": "2018-11-02 01:25:34.796", "0": "1970-01-01 00:00:00",
        '"1541121934796"': "2018-11-02 01:25:34.796", "-1": 1206, "1.5": 1206, "1e3": 1206,
        "99999999999999999999": 1206,
        "253402300800000": "10000-01-01 00:00:00", '"2018-11-02"': 1206, "true": 1206,
    },
    ("timestamp", "timeformat as 'epochsecs'"): {"1541121934": "2018-11-02 01:25:34", "1541121934.5": 1206},
    ("timestamp", "timeformat 'auto'"): {
        '"2018-11-02 01:25:34"': "2018-11-02 01:25:34", '"2018-11-02T01:25:34.5"': "2018-11-02 01:25:34.5",
        "1541121934796": 1206, '"soon"': 1206,
    },
    ("timestamp", ""): {'"2018-11-02 01:25:34"': "2018-11-02 01:25:34", "1541121934796": 1206},
    ("date", ""): {'"2018-11-02"': "2018-11-02", '"02.11.2018"': 1205},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), VALUES)
def test_values_load_or_are_rejected(standin: Standin, connection: Connection, kind: str, options: str) -> None:
    cases = VALUES[kind, options]
    lines = [f'{{"k": {n}' + ("" if v == MISSING else f', "v": {v}') + "}" for n, v in enumerate(cases)]
    make(connection, f"k integer, v {kind}")
    standin.put(f"{DATA}a.json", "\n".join(lines).encode())
    run(connection, copy(f"json 'auto' maxerror 1000 {options}"))

    outcomes: dict[int, Any] = {int(k or 0): v for k, v in texts(connection, "k", "v")}
    outcomes |= {line - 1: code for line, code in rejects(connection)}
    assert {v: outcomes.get(n, "lost") for n, v in enumerate(cases)} == cases


RECORDS: dict[str, tuple[bytes, list[list[int]], list[str]]] = {
    # the text, the rejects (line, code), the rows loaded from it
    "no JSON": (b"what is this?", [[1, 1224]], []),
    "an unclosed object, then a good one": (b'{"k": "a", "v": 1\n{"k": "b"}', [[1, 1224]], ["b"]),
    "an unclosed object, and a stray brace": (b'{"k": 1\n{"k": "b"}\n}', [[1, 1224], [3, 1224]], ["b"]),
    "an unclosed string": (b'{"k": "a}\n{"k": "b"}', [[1, 1224]], ["b"]),
    "an unclosed array": (b'{"k": ["a"}\n{"k": "b"}', [[1, 1224]], ["b"]),
    "a brace too many": (b'{"k": "a"}}\n{"k": "b"}', [[1, 1224]], ["a", "b"]),
    "a root array over lines": (b'[\n{"k": "a"},\n{"k": "b"}\n]', [[4, 1224]], []),
    "an empty root array": (b"[]", [[1, 1224]], []),
    "a root number": (b"5", [[1, 1224]], []),
    "objects on a line": (b'{"k": "a"} {"k": "b"}\t{"k": "c"}{"k": "d"}', [], ["a", "b", "c", "d"]),
    "a bad one among them": (b'{"k": "a"} {"k": 01} {"k": "c"}', [[1, 1224]], ["a", "c"]),
    "junk after an object": (b'{"k": "a"} junk {"k": "b"}', [[1, 1224]], ["a"]),
    "a comma between objects": (b'{"k": "a"},\n{"k": "b"}', [[1, 1224]], ["a", "b"]),
    "an object over lines": (b'{\n  "k":\n  "a"\n}', [], ["a"]),
    "an object that holds objects": (b'{\n"k": "a",\n"n": [\n{"k": "b"},\n{\n"k": "c"}\n]\n}', [], ["a"]),
    "a bad object over lines": (b'{\n"k": nan,\n"n": [\n{"k": "b"}\n]\n}', [[6, 1224]], []),
    "blank lines": (b'\n  \n\r\n{"k": "a"}\r\n\x0b\x0c\t\n', [], ["a"]),
    "invalid UTF-8": (b'{"k": "\xff"}\n{"k": "b"}', [[1, 1220]], ["b"]),
    "invalid UTF-8 that is a surrogate": (b'{"k": "\xed\xa0\x80"}', [[1, 1220]], []),
    "invalid UTF-8 in another key": (b'{"k": "a", "x": "\xff"}', [[1, 1220]], []),
    "a NUL byte": (b'{"k": "\x00"}\n{"k": "b"}', [[1, 1224]], ["b"]),
    "a control character": (b'{"k": "\x01"}', [[1, 1224]], []),
    "a record separator": (b'\x1e{"k": "b"}', [[1, 1224]], []),
    "a byte order mark": (b'\xef\xbb\xbf{"k": "a"}\n{"k": "b"}', [[1, 1224]], ["b"]),
    "NaN": (b'{"k": NaN}', [[1, 1224]], []),
    "Infinity in another key": (b'{"k": "a", "x": -Infinity}', [[1, 1224]], []),
    "a trailing comma": (b'{"k": "a",}', [[1, 1224]], []),
    "a key twice": (b'{"k": "a", "k": "a"}', [[1, 1224]], []),
    "a key twice, once with escapes": (b'{"k": "a", "\\u006b": "b"}', [[1, 1224]], []),
    "another key twice": (b'{"k": "a", "x": 1, "x": 2}', [], ["a"]),
    "half a surrogate pair": (b'{"k": "\\ud83c"}', [[1, 1224]], []),
    "half a pair in another key": (b'{"k": "a", "x": "\\udfb5"}', [[1, 1224]], []),
    "an escaped backslash before ud8": (b'{"k": "\\\\ud83c"}', [], ["\\ud83c"]),
    "single quotes": (b"{'k': 'a'}", [[1, 1224]], []),
    "a missing value": (b'{"k": }', [[1, 1224]], []),
    "an empty object": (b"{}", [[1, 1213]], []),
    "a key in another case": (b'{"K": "a"}', [[1, 1213]], []),
    "null": (b'{"k": null}', [[1, 1213]], []),
    "deep nesting": (b'{"k": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", [[1, 1224]], []),
    "nesting": (b'{"k": "a", "x": ' + b"[" * 400 + b"]" * 400 + b"}", [], ["a"]),
    "many brackets side by side": (b'{"k": "a", "x": [' + b"[]," * 5000 + b"0]}", [], ["a"]),
    "a record of 2 MB": (b'{"k": "a", "x": "' + b"x" * (2 << 20) + b'"}', [], ["a"]),
    "a record over 4 MB": (b'{"k": "a", "x": "' + b"x" * (4 << 20) + b'"}', [[1, 1224]], []),
    "the last line cut": (b'{"k": "a"}\n{"k": "b', [[2, 1224]], ["a"]),
    "nothing": (b"", [], []),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_bad_record_is_rejected_alone(standin: Standin, connection: Connection, what: str) -> None:
    content, expected, rows = RECORDS[what]
    make(connection, "k varchar not null")
    standin.put(f"{DATA}a.json", content)
    run(connection, copy("json 'auto' maxerror 10"))

    assert texts(connection, "k") == [(row,) for row in rows]
    assert rejects(connection) == expected


# paths


def test_auto_takes_keys_in_lower_case_only(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar, v varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a", "v": "b", "V": "c"} {"k": "b", "V": "c"} {"k": "c", "x": {"v": "d"}}')
    run(connection, copy())
    assert texts(connection, "k", "v") == [("a", "b"), ("b", None), ("c", None)]


def test_auto_ignorecase_takes_keys_in_any_case(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"K": "a"} {"k": "b"} {"K": [1]} {"k": "c", "K": "d"}')
    run(connection, copy("json 'auto ignorecase' maxerror 2"))
    assert texts(connection, "k") == [("[1]",), ("a",), ("b",)]


PATHS: dict[str, tuple[str, str, str | None]] = {
    "dot": ("$.k", '{"k": "a"}', "a"),
    "bracket": ("$['k']", '{"k": "a"}', "a"),
    "double quotes": ('$["k"]', '{"k": "a"}', "a"),
    "nested": ("$.x.y.z", '{"x": {"y": {"z": 1.50}}}', "1.50"),
    "index": ("$.x[1]", '{"x": [1, 2.0, 3]}', "2.0"),
    "a nested value": ("$.x[1]", '{"x": [{"a": [1.0, 2]}, {"b" : 3.0}]}', '{"b" : 3.0}'),
    "index, then key": ("$['x'][1]['y']", '{"x": [{"y": 1}, {"y": [2.50]}]}', "[2.50]"),
    "index out of range": ("$.x[5]", '{"x": [1, 2]}', None),
    "index into an object": ("$.x[0]", '{"x": {"0": "a"}}', None),
    "key into text": ("$.x.y", '{"x": "a"}', None),
    "a key with a dot": ("$['x.y']", '{"x.y": 1.0, "x": {"y": 2}}', "1.0"),
    "a key in capitals": ("$.X", '{"x": 2.0, "X": 1.0}', "1.0"),
    "an object": ("$.x", '{"w": [{"x": 1}], "x": {"y" : 1.50,  "z":[]}}', '{"y" : 1.50,  "z":[]}'),
}


@pytest.mark.parametrize("what", PATHS)
def test_jsonpaths_select_the_right_values(standin: Standin, connection: Connection, what: str) -> None:
    path, record, expected = PATHS[what]
    make(connection, "v varchar")
    standin.put("s3://bucket/paths.json", json.dumps({"jsonpaths": [path]}).encode())
    standin.put(f"{DATA}a.json", record.encode())
    run(connection, copy("format as json 's3://bucket/paths.json'"))
    assert texts(connection, "v") == [(expected,)]


def test_jsonpaths_go_by_position_and_column_list(standin: Standin, connection: Connection) -> None:
    make(connection, "a varchar, b integer default 7, c varchar")
    standin.put("s3://bucket/paths.json", b'{"jsonpaths": ["$.n", "$.n"]}')
    standin.put(f"{DATA}a.json", b'{"n": 1, "b": 2}')
    run(connection, copy("json 's3://bucket/paths.json'").replace("copy t", "copy t (c, a)"))
    assert texts(connection, "a", "b", "c") == [("1", "7", "1")]
    number = "Number of jsonpaths and the number of columns should match. JSONPath size: 2, "
    assert failure(connection, copy("json 's3://bucket/paths.json'"))[1].startswith(number)


def test_a_jsonpaths_file_with_another_key_means_auto(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put("s3://bucket/paths.json", b'{"jsonPaths": ["$.other"]}')
    standin.put(f"{DATA}a.json", b'{"k": "a", "other": "b"}')
    run(connection, copy("json 's3://bucket/paths.json'"))
    assert texts(connection, "k") == [("a",)]


@pytest.mark.parametrize(
    "path", ["k", "$", "$.*", "$..k", "$.a['b']", "$['a'].b", "$[*]", "$.k[\u0663]", "$['\ud800']"]
)
def test_an_invalid_jsonpath_fails_the_load(standin: Standin, connection: Connection, path: str) -> None:
    make(connection, "k varchar")
    standin.put("s3://bucket/paths.json", json.dumps({"jsonpaths": [path]}).encode())
    standin.put(f"{DATA}a.json", b"{}")
    assert failure(connection, copy("json 's3://bucket/paths.json'"))[1].startswith("Invalid JSONPath format")


# options


def test_a_load_fails_when_errors_reach_maxerror(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar not null")
    standin.put(f"{DATA}a.json", b'{"k": "a"} bad\nbad\nbad\n{"k": "b"}')
    message = "Load into table 't' failed.  Check 'sys_load_error_detail' system table for details."
    for limit, recorded in ((0, 1), (1, 1), (3, 3)):
        assert failure(connection, copy(f"json 'auto' maxerror {limit}")) == ("XX000", message)
        assert len(rejects(connection)) == recorded
        assert texts(connection, "k") == []
    run(connection, copy("json 'auto' maxerror as 4"))
    assert texts(connection, "k") == [("a",), ("b",)]


def test_a_rolled_back_load_leaves_only_its_load_errors(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar(1) not null")
    standin.put(f"{DATA}a.json", b'{"k": "a"}\n{"k": "bb"}')
    run(connection, copy("json 'auto' maxerror 2"))
    connection.rollback()
    assert texts(connection, "k") == []
    (row,) = run(connection, "select * from sys_load_error_detail")
    names = ("file_name", "line_number", "column_name", "column_type", "column_length", "error_code", "error_message")
    columns = [c[0] for c in run_description(connection, "select * from sys_load_error_detail limit 0")]
    padded = [row[columns.index(name)] for name in names]
    assert padded[0] == f"{DATA}a.json".ljust(256)
    assert [v.rstrip() if isinstance(v, str) else v for v in padded[1:]] == [
        2, "k", "varchar", "1", 1204, "String length exceeds DDL length",
    ]  # fmt: skip
    assert run(connection, "select trim(file_name), lines_scanned, bytes_scanned from sys_load_detail") == [
        [f"{DATA}a.json", 2, 22]
    ]
    assert run(
        connection,
        "select table_name, status, loaded_rows, error_count, source_file_count, data_source from sys_load_history",
    ) == [["t", "completed", 1, 1, 1, DATA]]


def run_description(connection: Connection, sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.description)


def test_the_last_copy_is_the_last_that_started_to_load(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar not null")
    standin.put(f"{DATA}a.json", b'{"k": "a"} {"k": "b"}')
    standin.put("s3://bucket/bad/a.json", b"bad")

    def last() -> list[int]:
        return run(connection, "select pg_last_copy_count(), pg_last_copy_id()")[0]

    run(connection, copy())
    count, loaded = last()
    assert count == 2
    connection.rollback()
    assert last() == [2, loaded]
    assert failure(connection, "copy t from nonsense")[0] == "42601"
    assert failure(connection, "copy nowhere from 's3://bucket/data/' iam_role default json 'auto'")[0] == "42P01"
    assert failure(connection, copy(authorization="iam_role 'arn:aws:iam::1:role/other'"))[0] == "XX000"
    assert last() == [2, loaded]
    assert failure(connection, copy(source="s3://bucket/bad/"))[0] == "XX000"
    assert last()[0] == 0
    assert last()[1] > loaded
    assert rejects(connection) == [[1, 1224]]


def test_noload_loads_nothing(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a"}')
    run(connection, copy("json 'auto' noload"))
    assert texts(connection, "k") == []
    standin.put(f"{DATA}b.json", b"bad")
    assert failure(connection, copy("json 'auto' noload"))[0] == "XX000"


@pytest.mark.parametrize(("option", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
def test_compression_has_to_match_the_option(standin: Standin, connection: Connection, option: str, pack: Any) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json.gz", pack(b'{"k": "a"}'))
    assert failure(connection, copy())[0] == "XX000"
    run(connection, copy(f"json 'auto' {option}"))
    assert texts(connection, "k") == [("a",)]
    standin.put(f"{DATA}plain.json", b'{"k": "b"}')
    assert "decompression" in failure(connection, copy(f"json 'auto' {option}"))[1]


def test_acceptinvchars_replaces_invalid_characters(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a\xff\xfeb"}')
    run(connection, copy("json 'auto' acceptinvchars"))
    run(connection, copy("json 'auto' acceptinvchars as '^'"))
    assert texts(connection, "k") == [("a??b",), ("a^^b",)]


def test_the_path_is_a_prefix_and_files_load_each_time(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    for name in ("data/1.json", "data/_2.json", "data_other/3.json", "data.log"):
        standin.put(f"s3://bucket/{name}", b'{"k": "%s"}' % name.encode())
    run(connection, copy(source="s3://bucket/data"))
    assert len(texts(connection, "k")) == 4
    run(connection, copy(source="s3://bucket/data/"))
    assert len(texts(connection, "k")) == 6


def test_a_manifest_names_files(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    for name in ("a", "b"):
        standin.put(f"{DATA}{name}.json", b'{"k": "%s"}' % name.encode())
    entries: list[dict[str, Any]] = [{"url": f"{DATA}a.json"}, {"url": f"{DATA}a.json"}, {"url": f"{DATA}none.json"}]
    standin.put("s3://bucket/manifest", json.dumps({"entries": entries}).encode())
    run(connection, copy("json 'auto' manifest", source="s3://bucket/manifest"))
    assert texts(connection, "k") == [("a",), ("a",)]
    standin.put("s3://bucket/manifest", json.dumps({"entries": [entries[2] | {"mandatory": True}]}).encode())
    assert "none.json" in failure(connection, copy("json 'auto' manifest", source="s3://bucket/manifest"))[1]
    assert "does not exist" in failure(connection, copy("json 'auto' manifest", source="s3://bucket/mani"))[1]


WRONG = [
    "json 'auto' json 'auto'",
    "json 'auto' format json 'auto'",
    "with json 'auto'",
    "json 'auto' csv",
    "json 'auto' delimiter ','",
    "json 'auto' escape",
    "json 'auto' fillrecord",
    "json 'auto' ignoreblanklines",
    "json 'auto' null as 'x'",
    "json 'auto' removequotes",
    "json 'auto' maxerror 5 maxerror 6",
    "json 'auto' maxerror 100001",
    "json 'auto' maxerror -1",
    "json 'auto' maxerror 'x'",
    "json 'auto' gzip bzip2",
    "json 'auto' nonsense",
    "json 'auto' compupdate maybe",
    "json auto",
    "",
    "csv",
    "json 'auto' iam_role default",
    "json 'auto' access_key_id 'x' secret_access_key 'y'",
]


@pytest.mark.parametrize("options", WRONG)
def test_options_that_redshift_refuses_are_refused(standin: Standin, connection: Connection, options: str) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b"{}")
    assert failure(connection, copy(options))[0] in ("42601", "0A000")


def test_options_may_be_in_any_order(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a"}')
    run(
        connection,
        'COPY "public"."t" ("k") FROM \'s3://bucket/data/\' compupdate OFF STATUPDATE off maxerror 3 '
        "timeformat 'auto' region 'us-west-2' truncatecolumns FORMAT AS JSON 'auto' IAM_ROLE default;",
    )
    run(connection, copy("json 'auto' compupdate statupdate on"))
    assert texts(connection, "k") == [("a",), ("a",)]


# who may read


@pytest.mark.parametrize(
    "authorization",
    [
        "iam_role default",
        f"iam_role '{ROLE}'",
        f"credentials 'aws_iam_role={ROLE}'",
        "access_key_id 'AKIASTANDIN' secret_access_key 'standin-secret'",
        "credentials 'aws_access_key_id=AKIASTANDIN;aws_secret_access_key=standin-secret'",
        "with credentials as 'aws_access_key_id=ASIA;aws_secret_access_key=temporary;token=session'",
        "access_key_id 'ASIA' secret_access_key 'temporary' session_token 'session'",
    ],
)
def test_each_kind_of_credentials_is_accepted(standin: Standin, connection: Connection, authorization: str) -> None:
    standin.s3.keys.add(Keys("ASIA", "temporary", "session"))
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a"}')
    run(connection, copy(authorization=authorization))
    assert texts(connection, "k") == [("a",)]


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("iam_role 'arn:aws:iam::1:role/other'", "is not authorized to assume IAM Role"),
        ("access_key_id 'x' secret_access_key 'y'", "Status 403,Error InvalidAccessKeyId"),
        ("access_key_id 'AKIASTANDIN' secret_access_key 'y'", "Status 403,Error SignatureDoesNotMatch"),
        ("access_key_id 'AKIASTANDIN' secret_access_key 'standin-secret' session_token 'z'", "Error InvalidToken"),
        ("credentials 'nonsense'", "Invalid credentials"),
    ],
)
def test_wrong_credentials_are_refused(
    standin: Standin, connection: Connection, authorization: str, message: str
) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b"{}")
    assert message in failure(connection, copy(authorization=authorization))[1]


def test_missing_buckets_and_objects_are_reported(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b"{}")
    assert failure(connection, copy(source="s3://bucket/other/")) == (
        "XX000",
        "The specified S3 prefix 'other/' does not exist",
    )
    assert "NoSuchBucket" in failure(connection, copy(source="s3://no-such-bucket/x"))[1]
    assert "NoSuchKey" in failure(connection, copy("json 's3://bucket/paths.json'"))[1]


def test_another_region_must_be_named(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.s3.make_bucket("far-away", "eu-central-1")
    standin.put("s3://far-away/data/a.json", b'{"k": "a"}')
    source = "s3://far-away/data/"
    assert "in a different region from this cluster" in failure(connection, copy(source=source))[1]
    assert "in a different region" in failure(connection, copy("json 'auto' region 'us-east-1'", source=source))[1]
    run(connection, copy("json 'auto' region 'eu-central-1'", source=source))
    assert texts(connection, "k") == [("a",)]


def test_s3_can_be_told_to_slow_down(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a"}')
    standin.faults.s3_slow_down()
    assert "Status 503,Error SlowDown" in failure(connection, copy())[1]
    run(connection, copy())
    assert standin.counts.rows_copied == 1


@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_an_interrupted_copy_leaves_nothing(standin: Standin, connection: Connection, when: Any) -> None:
    make(connection, "k varchar")
    run(connection, "insert into t values ('before')")
    connection.commit()
    standin.put(f"{DATA}a.json", b'{"k": "a"}' * 10)
    run(connection, "select 1")
    standin.faults.cut(at=2, when=when)  # COPY is prepared first
    with pytest.raises((InterfaceError, OSError)):
        run(connection, copy())
    with connect(standin) as other:
        assert texts(other, "k") == [("before",)]
        loaded = run(other, "select status, loaded_rows from sys_load_history")
    assert loaded == ([["completed", 10]] if when == "after" else [])


def test_a_copy_is_part_of_its_transaction(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar")
    standin.put(f"{DATA}a.json", b'{"k": "a"}')
    run(connection, "insert into t values ('before')")
    run(connection, copy())
    assert texts(connection, "k") == [("a",), ("before",)]
    connection.rollback()
    assert texts(connection, "k") == []
    with pytest.raises(ProgrammingError):
        run(connection, copy(source="s3://bucket/other/"))
    assert failure(connection, "select 1")[0] == "25P02"


def test_an_omitted_column_takes_its_default(standin: Standin, connection: Connection) -> None:
    make(connection, "k varchar, n integer default 7, r integer not null")
    standin.put(f"{DATA}a.json", b'{"k": "a", "n": 1, "r": 2}')
    run(connection, copy().replace("copy t", "copy t (k, r)"))
    assert texts(connection, "k", "n", "r") == [("a", "7", "2")]
    assert "NOT NULL" in failure(connection, copy().replace("copy t", "copy t (k)"))[1]
    assert failure(connection, copy().replace("copy t", "copy t (x)"))[0] == "42703"

"""JSONPaths files, valid and invalid."""

from pathlib import Path

import pytest

from warehouse.errors import CopyError
from warehouse.jsonpaths import parse_path, read_jsonpaths

GOOD = {
    "$.a": ("a",),
    "$.a.b": ("a", "b"),
    "$.a[0]": ("a", 0),
    "$.a[12].b": ("a", 12, "b"),
    "$['a']": ("a",),
    '$["a"]': ("a",),
    "$['a']['b'][3]": ("a", "b", 3),
    "$[ 'a' ]": ("a",),
    "$['a.b c']": ("a.b c",),
    "$['0']": ("0",),
    "$.0": ("0",),
    "$['']": ("",),
    "$[0]": (0,),
    "$[0].a": (0, "a"),
    "$[1]['a']": (1, "a"),
}
BAD = ["", "$", "a", "$a", "$.", "$..a", "$.*", "$[*]", "$.a.*", "$.a['b']", "$['a'].b", "$[a]", "$['a", "$.a[-1]",
       "$.a[1:2]", "$.a b", "$['a'] ", "$[?(@.a)]", "$.a[\u0663]", f"$.a[{'9' * 5000}]", None, 5, ["$.a"]]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_path_is_parsed_into_keys_and_indexes(text: str) -> None:
    assert parse_path("paths.json", text) == GOOD[text]


@pytest.mark.parametrize("expression", BAD)
def test_expressions_that_redshift_does_not_read_are_refused(expression: object) -> None:
    with pytest.raises(CopyError, match=r"paths\.json: .*not a JSONPath that Redshift reads"):
        parse_path("paths.json", expression)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not valid JSON"),
        (b'{"jsonpaths": [', "is not valid JSON"),
        (b'{"jsonpaths": ["\xff"]}', "is not valid JSON"),
        (b'\xef\xbb\xbf{"jsonpaths": ["$.a"]}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'["$.a"]', r'no list "jsonpaths"'),
        (b'{"JSONPaths": ["$.a"]}', r'no list "jsonpaths"'),
        (b'{"jsonpath": ["$.a"]}', r'no list "jsonpaths"'),
        (b'{"jsonpaths": "$.a"}', r'no list "jsonpaths"'),
        (b'{"jsonpaths": []}', "has 0 paths, but events needs 1"),
        (b'{"jsonpaths": ["$.a", "$.b"]}', "has 2 paths, but events needs 1"),
        (b'{"jsonpaths": [1]}', "1 is not a JSONPath"),
        (b'{"jsonpaths": ["$[\'\\ud800\']"]}', "holds half of a surrogate pair"),
    ],
)
def test_an_invalid_file_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "paths.json").write_bytes(content)
    with pytest.raises(CopyError, match=rf"paths\.json: .*{reason}"):
        read_jsonpaths(f"{tmp_path}/paths.json", 1, "events")


def test_paths_into_objects_and_into_arrays_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "paths.json").write_text('{"jsonpaths": ["$[0]", "$[\'k\']"]}')
    with pytest.raises(CopyError, match=r"paths\.json: some paths start with a key, and some with an index"):
        read_jsonpaths(f"{tmp_path}/paths.json", 2, "events")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CopyError, match=r"none\.json: the JSONPaths file cannot be read \(No such file"):
        read_jsonpaths(f"{tmp_path}/none.json", 1, "events")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CopyError, match=r"cannot be read \(Is a directory\)"):
        read_jsonpaths(str(tmp_path), 1, "events")

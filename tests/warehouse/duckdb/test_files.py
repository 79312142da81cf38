"""The files that a COPY finds, and the problems with them."""

import gzip
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sql import catalog
from tests.support.copying import Copying
from tests.support.unprivileged import run_unprivileged
from warehouse.connect import open_warehouse
from warehouse.duckdb import copy, files
from warehouse.duckdb.files import list_files, uncompressed
from warehouse.errors import CopyError
from warehouse.files import File, batches
from warehouse.sources import Source
from warehouse.target import Target

GOOD = b'{"k": "a"}\n'


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Copying:
    return Copying(tmp_path_factory.mktemp("copying"))


def test_a_directory_means_all_files_under_it_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.json", "a/z.json", "a/b/c", ".hidden", "_under", "été.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(GOOD)
    names = [".hidden", "_under", "a/b/c", "a/z.json", "b.json", "été.json"]
    found = list_files(str(tmp_path))
    assert [(file.url, file.size) for file in found] == [(f"{tmp_path}/{name}", 11) for name in names]
    assert [file.etag for file in found] == [str((tmp_path / name).stat().st_mtime_ns) for name in names]


def test_a_compressed_file_of_another_kind_is_recognised(copying: Copying) -> None:
    with pytest.raises(CopyError, match=r"looks like a CSV file"):
        copying.load(copying.table("k varchar"), {"a.gz": gzip.compress(b"a,b\n1,2\n")}, compression="gzip")


def test_a_file_name_means_that_file(copying: Copying) -> None:
    folder = copying.write({"a.json": GOOD, "a.json.more": GOOD})
    assert copying.load(copying.table("k varchar"), folder / "a.json").rows == [("a",)]


def test_names_are_not_taken_for_patterns(copying: Copying) -> None:
    names = [
        f"{kind}{name}" for kind in "sl" for name in ("[ab].json", "a.json", "b.json", "*.json", "?.json", "'.json")
    ]
    counts = {name: 500 if name.startswith("l") else 1 for name in names}
    files = {name: b'{"k": "%s"}\n' % name.encode() * count for name, count in counts.items()}
    loaded = copying.load(copying.table("k varchar"), files)
    assert Counter(name for (name,) in loaded.rows) == counts, "each file is loaded once"
    for name in names:
        alone = copying.load(copying.table("k varchar"), copying.write(files) / name)
        assert alone.rows == [(name,)] * counts[name], "a name means the file of that name"


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    for name in ("source/a.json", "source/deep/b.json", "elsewhere/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(GOOD)
    (tmp_path / "source/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source/deep/up").symlink_to("..")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "source")
    (tmp_path / "source/file.json").symlink_to(tmp_path / "elsewhere/c.json")
    names = [Path(file.url).relative_to(tmp_path / "source") for file in list_files(str(tmp_path / "source"))]
    assert [str(name) for name in names] == ["a.json", "deep/b.json", "file.json", "linked/c.json"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json")).write_bytes(GOOD)
    with pytest.raises(CopyError, match=r"caf\\xe9\.json': the name is not UTF-8"):
        list_files(str(tmp_path))


@pytest.mark.parametrize("count", [1, 400], ids=["small files", "files of lines"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "gone while files were read"),
        (lambda path: path.write_bytes(GOOD), "changed while files were read"),
    ],
    ids=["gone", "changed"],
)
@pytest.mark.parametrize("moment", ["copy.is_of_lines", "copy.as_pattern", "files._refuse_changed"])
def test_a_file_that_changes_during_the_load_fails_it(
    copying: Copying,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    change: Callable[[Path], Any],
    message: str,
    moment: str,
) -> None:
    folder = copying.write({f"{n}.json": GOOD * (count + n) for n in range(1, 9)})
    table = copying.table("k varchar")
    copying.load(table, GOOD)
    module, _, name = moment.partition(".")
    act = getattr({"copy": copy, "files": files}[module], name)

    def interfere(*arguments: Any) -> Any:
        if (folder / "5.json").exists() and (folder / "5.json").stat().st_size > len(GOOD):
            change(folder / "5.json")
        return act(*arguments)

    monkeypatch.setattr(f"warehouse.duckdb.{moment}", interfere)
    if name == "is_of_lines" and count == 1:
        pytest.skip("the beginning of a small file is not looked at")
    with pytest.raises(CopyError, match=rf"5\.json: ({message}|cannot be read \(No such file)"):
        copying.load(table, folder)
    assert copying.present(table) == [("a",)]


OTHER_FORMATS = {
    "a zip archive. Unpack it": b"PK\x03\x04" + bytes(40),
    "a gzip file. Set --compression gzip": gzip.compress(GOOD),
    "a bzip2 file. Decompress it": b"BZh91AY&SY\n",
    "a Zstandard file. Decompress it": b"\x28\xb5\x2f\xfd\x04",
    "a Parquet file. Set the source": b"PAR1\x15\x04",
    "an Avro file. Set the source": b"Obj\x01\x04\x14",
    "an HTML or XML page. Check": b"\n<!DOCTYPE html><title>404</title>\n",
    "a list of records. Write each": b'[\n{"k": "a"},\n{"k": "b"}\n]\n',
    "a CSV file. Set the source": b"k,v\na,1\nb,2\n",
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_a_file_in_another_format_is_recognised(copying: Copying, kind: str) -> None:
    with pytest.raises(CopyError, match=rf"\n.*data\.json looks like {kind}") as caught:
        copying.load(copying.table("k varchar"), OTHER_FORMATS[kind])
    assert "--max-errors" not in str(caught.value)


@pytest.mark.parametrize("text", [b"this is not JSON\n", b'{"k": "a", "v"\n', b'"k", "v"\n', b"{}, {}\n"])
def test_broken_json_is_not_taken_for_another_format(copying: Copying, text: bytes) -> None:
    with pytest.raises(CopyError, match=r"\nFix the files, or set --max-errors 1 to keep"):
        copying.load(copying.table("k varchar"), text)


def test_a_missing_directory_is_named(copying: Copying, tmp_path: Path) -> None:
    with pytest.raises(CopyError, match=r"none: cannot be read \(No such file or directory\)"):
        copying.load(copying.table("k varchar"), tmp_path / "none")


def test_an_empty_directory_is_named(copying: Copying, tmp_path: Path) -> None:
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    with pytest.raises(CopyError, match=r"empty: no files in this directory"):
        copying.load(copying.table("k varchar"), tmp_path / "empty")


def test_a_directory_without_json_fails_with_its_lines_rejected(copying: Copying) -> None:
    files = {"README.md": b"# Logs\n\nnone yet\n", "table.csv": b"a,b\n" * 2000}
    table = copying.table("k varchar")
    with pytest.raises(
        CopyError,
        match=r"2,000 records rejected(.|\n)*csv, line 1: Not a JSON object(.|\n)*csv looks like a CSV file",
    ):
        copying.load(table, files)
    assert copying.load(table, files, max_errors=2002).reported == (0, 2002)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\t\n", b"\n" * 5000])
def test_an_empty_file_has_no_records(copying: Copying, content: bytes) -> None:
    loaded = copying.load(copying.table("k varchar"), {"empty.json": content, "good.json": GOOD})
    assert loaded.reported == (1, 0)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\x00", b"\xff", b"{", b"\\"])
@pytest.mark.parametrize("count", [1, 5000])
def test_a_file_without_a_record_is_rejected(copying: Copying, content: bytes, count: int) -> None:
    loaded = copying.load(copying.table("k varchar"), {"bad.json": content * count, "good.json": GOOD}, max_errors=1)
    assert loaded.reported == (1, 1)


@pytest.mark.parametrize("count", [1, 500])
def test_gzip_files_load(copying: Copying, count: int) -> None:
    files = {"a.json.gz": gzip.compress(GOOD * count), "b.json": gzip.compress(GOOD) + gzip.compress(GOOD + b"bad")}
    loaded = copying.load(copying.table("k varchar"), files, max_errors=1, compression="gzip")

    assert loaded.reported == (count + 2, 1)
    assert loaded.rejects[0].file.endswith("b.json")
    assert loaded.rejects[0].line == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(GOOD * 500)[:-9], "truncated"),
        (gzip.compress(GOOD * 500)[:5], "truncated"),
        (GOOD, "not a valid gzip file"),
        (gzip.compress(GOOD)[:-8] + b"12345678", "not a valid gzip file"),
        (gzip.compress(GOOD) + b"more", "not a valid gzip file"),
    ],
    # not by their bytes: gzip writes the time into its head, and all workers of a test run have to find the same tests
    ids=["cut in its body", "cut in its head", "not gzip", "wrong checksum", "more after its end"],
)
def test_an_invalid_gzip_file_fails_the_load(copying: Copying, content: bytes, reason: str) -> None:
    table = copying.table("k varchar")
    with pytest.raises(CopyError, match=rf"bad\.gz: .*{reason}"):
        copying.load(table, {"a.gz": gzip.compress(GOOD), "bad.gz": content}, max_errors=9, compression="gzip")
    assert copying.present(table) == []


def test_an_empty_gzip_file_has_no_records(copying: Copying) -> None:
    assert copying.load(copying.table("k varchar"), {"a.gz": b"", "b.gz": gzip.compress(b"")}, 0, "gzip").rows == []


def test_a_gzip_file_without_the_compression_option_is_named(copying: Copying) -> None:
    table = copying.table("k varchar")
    with pytest.raises(CopyError, match=r"b\.json\.gz: looks compressed. .*Set --compression gzip"):
        copying.load(table, {"a.json": GOOD, "b.json.gz": gzip.compress(GOOD)}, max_errors=9)
    with pytest.raises(CopyError, match=r"a\.json, line 1"):
        copying.load(table, {"a.json": gzip.compress(GOOD * 900)})


def test_a_broken_link_is_named(copying: Copying) -> None:
    folder = copying.write(GOOD)
    (folder / "link.json").symlink_to(folder / "none.json")
    with pytest.raises(CopyError, match=r"link\.json: cannot be read \(No such file or directory\)"):
        copying.load(copying.table("k varchar"), folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are Unix's")
def test_a_pipe_is_refused(copying: Copying) -> None:
    folder = copying.write(GOOD)
    os.mkfifo(folder / "pipe.json")
    with pytest.raises(CopyError, match=r"pipe\.json: cannot be read \(not a regular file\)"):
        copying.load(copying.table("k varchar"), folder)


LOAD = """
import sys
from pathlib import Path
from tests.support.copying import Copying
from warehouse.errors import CopyError
copying = Copying(Path(sys.argv[1]))
for data in sys.argv[2:]:
    try:
        copying.load(copying.table("k varchar"), data)
    except CopyError as error:
        print(error)
"""


@pytest.mark.usefixtures("processes")
def test_an_unreadable_file_or_folder_is_named(tmp_path: Path) -> None:
    """Whether it would be read whole or in lines. One process loads them all, as it takes seconds to start."""
    (tmp_path / "database").mkdir()
    shut = [tmp_path / f"data{count}{kind}" / kind for count in (1, 500) for kind in ("shut.json", "shut")]
    for count, place in zip((1, 1, 500, 500), shut, strict=True):
        for name, text in (("good.json", GOOD), ("shut.json", GOOD * count), ("shut/a.json", GOOD)):
            (place.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (place.parent / name).write_bytes(text)
        place.chmod(0)
    try:
        refusals = run_unprivileged("-c", LOAD, str(tmp_path / "database"), *(str(place.parent) for place in shut))
    finally:
        for place in shut:
            place.chmod(0o755)
    for place, refusal in zip(shut, refusals.splitlines(), strict=True):
        assert f"{place}: cannot be read (Permission denied)" in refusal


def test_a_file_that_disappears_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(CopyError, match=r"gone\.gz: cannot be read"),
        uncompressed([File("gone.gz", "gone.gz", 1)], "gzip"),
    ):
        pass


def test_batches_keep_the_order_and_the_size_limit() -> None:
    files = [File(str(n), str(n), size) for n, size in enumerate([5, 5, 1, 20, 3, 3, 3, 3, 3])]
    sizes = [[file.size for file in batch] for batch in batches(files, 10)]
    assert sizes == [[5, 5], [1], [20], [3, 3, 3], [3, 3]]
    assert list(batches([], 10)) == []


@pytest.mark.parametrize("location", [".", "./in", "in/", "in//deep", "in/../in", "in/deep/a.json"])
def test_a_file_of_a_relative_source_is_named_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    (tmp_path / "here/in/deep").mkdir(parents=True)
    (tmp_path / "here/in/deep/a.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")
    warehouse = open_warehouse(Target("duckdb:///a.duckdb", "sparkify", "test"))
    source = Source(catalog.STAGING_SONGS, location)
    assert [warehouse.name_of(source, file) for file in warehouse.files(source)] == ["in/deep/a.json"]

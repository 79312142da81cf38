"""A file in chunks holds the same records as the file in one piece, however it is laid out."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.duckdb import chunks
from warehouse.duckdb.chunks import MARK, Chunk, LargeRecord, read_chunks
from warehouse.duckdb.json_reader import TEXTS, TEXTS_DDL, records_of_texts

PIECES = (
    '{"k": 1}', '{"k": "a} {b"}', '{"k":\n"b"}', '[{"k": 1},\n{"k": 2}]', '{"n": {"m": [1, {"o": "\\"{"}]}}',
    "{", "}", "[", "]", '"', "\\", ",", ":", " ", "\t", "\n", "\r\n", "\n\n\n", "x", "nan", '"a', '{"k": "é"}', "\n{",
    ",\n{", "}\n{", "] \n\n {", "]\n[", "} \n\n [", "{" * 5, "[\n" * 4, "]" * 4,
)  # fmt: skip


DUCKDB = duckdb.connect()


def records(texts: Iterable[tuple[int, str]], bracket: str = "{") -> list[tuple[int, str]]:
    """Return the line and the text of each record that the reader finds in texts."""
    DUCKDB.execute(TEXTS_DDL)
    rows = [(0, number, line, text) for number, (line, text) in enumerate(texts)]
    if rows:
        DUCKDB.executemany(f"insert into {TEXTS} values (?, ?, ?, ?)", rows)
    return sorted((line, record) for _, line, record in DUCKDB.execute(records_of_texts(bracket)).fetchall())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    block=st.integers(1, 40),
    bracket=st.sampled_from("{["),
)
def test_chunks_hold_the_records_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int, bracket: str
) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text.encode())
    monkeypatch.setattr(chunks, "_BLOCK_BYTES", block)
    monkeypatch.setattr(chunks, "_HELD_BYTES", 2 * block)
    given = [chunk for chunk in read_chunks(str(file), bracket.encode()) if isinstance(chunk, Chunk)]
    assert records(given, bracket) == records([(1, text)], bracket)


def test_chunks_are_whole_records_with_their_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_BLOCK_BYTES", 30)
    text = '{"k": "é"}\n{"k":\n"b"}\n\n {"k": "}"}\nbad\n{"k": "' + "x" * 100 + '"}\n{"k": 1}\n'
    (tmp_path / "a.json").write_text(text)
    parts = list(read_chunks(str(tmp_path / "a.json")))

    assert len(parts) == 4
    assert "".join(chunk for _, chunk in parts) == text
    for line, chunk in parts:
        assert "".join(text.splitlines(keepends=True)[line - 1 :]).lstrip().startswith(chunk.lstrip())


def test_bytes_that_are_not_utf8_are_marked(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"a\xff\xc3\xa9\xed\xa0\x80\xc3")
    ((line, text),) = read_chunks(str(tmp_path / "a.json"))
    assert (line, text) == (1, f"a{MARK}é{MARK * 3}{MARK}")


RECORD = '{"k": "a}{b", "x": [{"y": 1}]}'


def write(path: Path, *parts: str) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts)
    return str(path)


def test_objects_end_to_end_on_one_line_are_cut_between_objects(tmp_path: Path) -> None:
    count = (20 << 20) // len(RECORD)
    parts = list(read_chunks(write(tmp_path / "a.json", RECORD * count)))
    assert all(isinstance(part, Chunk) and part.first_line == 1 for part in parts)
    assert max(len(part[1]) for part in parts) < 10 << 20
    assert "".join(part[1] for part in parts) == RECORD * count
    assert all(part[1].startswith(RECORD) and part[1].endswith(RECORD) for part in parts)


LARGE = {
    "an array of all records": "[\n" + ",\n".join([RECORD] * 400_000) + "\n]",
    "an object over lines": "{\n" + '"k": "a",\n' * 2_000_000 + '"x": 1}',
    "a string without an end": '{"k": "' + "x" * (13 << 20),
    "brackets only": "[" * (13 << 20) + "1",
    "a line that is not JSON": "x, " * (5 << 20),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_is_too_large_for_a_record_is_one_record_however_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before, after = f"{RECORD}\n\n", f"\n{RECORD}\n"
    path = write(tmp_path / "a.json", before, LARGE[what], after)
    held: list[int] = []
    drop = chunks._LargePart._drop

    def watch(part: chunks._LargePart, end: int) -> None:
        held.append(len(part.buffer))
        drop(part, end)

    monkeypatch.setattr(chunks._LargePart, "_drop", watch)
    first, large, *others = read_chunks(path)
    assert 8 << 20 < max(held) < 17 << 20
    assert isinstance(large, LargeRecord)
    assert LARGE[what].startswith(large.beginning)
    assert (first[1].strip(), large.last_line) == (RECORD, 3 + LARGE[what].count("\n"))
    assert "".join(part[1] for part in others).strip() == RECORD
    assert others[0][0] + others[0][1].index("{") - others[0][1].lstrip("\n").index("{") == 4 + LARGE[what].count("\n")


@pytest.mark.parametrize(
    "text",
    [
        RECORD + "\n" * (9 << 20) + RECORD,
        "{\n" + " \n" * (4 << 20) + '"k": 1}' + RECORD,
        "[\n" * (3 << 20) + '"',
        ("[\n" * 1000 + '"a\n') * 4000,
        '{"k": "' + "\\" * (9 << 20) + '"}',
        '"' * (9 << 20),
    ],
    ids=["blank lines", "blanks in a record", "arrays that never end", "broken arrays", "backslashes", "quotes"],
)
def test_no_text_takes_more_than_linear_time(tmp_path: Path, text: str) -> None:
    """It takes seconds, and minutes or hours where a run of characters is looked at again from each of them."""
    parts = list(read_chunks(write(tmp_path / "a.json", text)))
    assert sum(part[1].count(RECORD) for part in parts if isinstance(part, Chunk)) == text.count(RECORD)

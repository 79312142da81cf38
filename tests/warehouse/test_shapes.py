"""Whatever shape the files have, a COPY loads and rejects what a reading of them record by record does."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.copying import Copying
from tests.support.shapes import COLUMNS, Folder, folders, lower_borders
from tests.warehouse.test_parity import Pair, pair, places  # noqa: F401
from warehouse.duckdb.files import uncompressed
from warehouse.errors import CopyError
from warehouse.files import File

MAX_ERRORS = 10_000


def few_or_many(few: int, many: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.sweep)])


def bounded(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Copying:
    return Copying(tmp_path_factory.mktemp("shapes"))


@few_or_many(20, 2000)
def test_files_of_any_shape_load_on_duckdb(copying: Copying, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    lower_borders(monkeypatch)

    @bounded(examples)
    @given(folder=folders(), linked=st.booleans())
    def loads_what_was_written(folder: Folder, *, linked: bool) -> None:
        path = copying.write(folder.files)
        source = linked_to(path, copying) if linked else path
        loaded = copying.load(copying.table(COLUMNS), source, MAX_ERRORS, folder.compression)
        assert Counter(row[0] for row in loaded.rows) == folder.rows
        found = Counter((str(Path(r.file).relative_to(source)), r.line, r.code) for r in loaded.rejects)
        assert found == Counter({(f"{'link/' * linked}{name}", *at): n for (name, *at), n in folder.rejects.items()})
        assert loaded.reported == (folder.rows.total(), folder.rejects.total())

    loads_what_was_written()


def linked_to(path: Path, copying: Copying) -> Path:
    """Return a folder in which a link leads to another."""
    folder = copying.new_folder()
    (folder / "link").symlink_to(path)
    return folder


@few_or_many(6, 300)
def test_a_file_of_any_shape_that_goes_away_is_named(
    copying: Copying, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    lower_borders(monkeypatch)
    doomed: list[Path] = []

    @contextmanager
    def meanwhile(*arguments: Any) -> Iterator[list[File]]:
        while doomed:
            doomed.pop().unlink()
        with uncompressed(*arguments) as plain:
            yield plain

    monkeypatch.setattr("warehouse.duckdb.copy.uncompressed", meanwhile)

    @bounded(examples)
    @given(folder=folders(), place=st.integers(0, 3))
    def is_named(folder: Folder, place: int) -> None:
        path = copying.write(folder.files)
        gone = path / list(folder.shapes)[place % len(folder.shapes)]
        assume(gone.stat().st_size)
        table = copying.table(COLUMNS)
        copying.create(table)
        doomed.append(gone)
        with pytest.raises(CopyError, match=f"{re.escape(str(gone))}: "):
            copying.load(table, path, MAX_ERRORS, folder.compression)
        assert copying.present(table) == []

    is_named()


@few_or_many(10, 300)
def test_objects_of_any_shape_load_on_redshift(pair: Pair, examples: int) -> None:  # noqa: F811
    redshift = replace(pair, sessions=pair.sessions[1:])

    @bounded(examples)
    @given(folder=folders())
    def loads_what_was_written(folder: Folder) -> None:
        (found,) = redshift.load(COLUMNS, folder.files, compression=folder.compression)
        assert Counter(row[0] for row in found["rows"]) == folder.rows
        rejects = Counter((file.split("/", 4)[4], line, code) for _, file, line, _, code, _ in found["rejects"])
        assert rejects == folder.rejects
        assert found["reported"] == [(folder.rows.total(), folder.rejects.total())]

    loads_what_was_written()

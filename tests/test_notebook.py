"""The notebook runs from top to bottom, on generated data."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.project import ROOT
from tests.support.warehouses import duckdb_place

NOTEBOOK = ROOT / "notebooks" / "dwh.ipynb"


def read_notebook() -> NotebookNode:
    notebook: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # no annotations
    return notebook


@pytest.mark.usefixtures("processes")
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = duckdb_place(tmp_path / "test.duckdb")
    place.run(generated / "log_data", generated / "song_data")
    monkeypatch.setenv("SPARKIFY_WAREHOUSE", place.target.warehouse)
    monkeypatch.setenv("SPARKIFY_SCHEMA", place.target.schema)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    notebook = read_notebook()
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "Day by day: " in printed


def test_the_notebook_is_saved_with_outputs_and_without_local_paths() -> None:
    notebook = read_notebook()
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(codes) > 1
    assert all(cell.outputs for cell in codes[1:])
    assert not any(folder in NOTEBOOK.read_text(encoding="utf-8") for folder in ("/tmp", "/home/", "/Users/", "/root"))

"""The notebook runs from top to bottom, on generated data."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.project import ROOT
from tests.support.warehouses import embedded

NOTEBOOK = ROOT / "notebooks" / "dwh.ipynb"


@pytest.mark.usefixtures("processes")
def test_runs_from_top_to_bottom(tmp_path: Path, generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = embedded(tmp_path / "test.duckdb")
    place.run(generated / "log_data", generated / "song_data")
    monkeypatch.setenv("SPARKIFY_WAREHOUSE", place.target.warehouse)
    monkeypatch.setenv("SPARKIFY_SCHEMA", place.target.schema)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "Day by day: " in said


def test_is_kept_with_its_outputs_and_no_path_of_a_machine() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(codes) > 1
    assert all(cell.outputs for cell in codes[1:])
    assert not any(folder in NOTEBOOK.read_text(encoding="utf-8") for folder in ("/tmp", "/home/", "/Users/", "/root"))

"""The README says what is so: its example of a new dimension works as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

RUN = """
import sys
from pathlib import Path
from tests.support.warehouses import embedded
checks = embedded(Path("w.duckdb")).run(Path(sys.argv[1]) / "log_data", Path(sys.argv[1]) / "song_data")
print(*(report.check for report in checks if report.holds))
"""


@pytest.mark.usefixtures("processes")
def test_a_dimension_is_one_file_and_one_line(tmp_path: Path, generated: Path) -> None:
    for folder in ("flows", "tasks", "warehouse", "sql", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (file,) = re.findall(r"`(sql/dimensions/\w+\.sql)`", README)
    (sql,) = re.findall(r"```sql\n(--.*?)```", README, re.DOTALL)
    (line,) = re.findall(r"```python\n(    Table.*?)```", README, re.DOTALL)
    (tmp_path / file).write_text(sql, encoding="utf-8")
    catalog = tmp_path / "sql/catalog.py"
    catalog.write_text(catalog.read_text().replace("DIMENSIONS = (\n", f"DIMENSIONS = (\n{line}"), encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-c", RUN, str(generated)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "locations_key_unique" in run.stdout, run.stderr
    rules = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/sql/test_catalog.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert rules.returncode == 0, rules.stdout
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        assert connection.execute("select count(*) > 5 from sparkify.locations").fetchone() == (True,)


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|    )make ([a-z]+)", README))
    assert {"etl", "test", "serve", "deploy"} <= named <= targets

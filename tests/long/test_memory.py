"""A load finishes in the least memory that DuckDB is given, by spilling."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.generate import generate
from tests.support.project import ROOT
from warehouse.duckdb.memory import LEAST, MIB

STATUS = Path("/proc/self/status")
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.usefixtures("processes"),
    pytest.mark.skipif(not STATUS.exists(), reason="Linux tells the peak of a process's memory there"),
]

LOAD = r"""
import re, sys
from pathlib import Path
from tests.support.warehouses import duckdb_place
from warehouse.duckdb import warehouse
from warehouse.duckdb.memory import limits_of

warehouse.limits = lambda: limits_of(0, 8)
folder = Path(sys.argv[1])
for full_refresh in (False, True):
    duckdb_place(folder / "w.duckdb").run(folder / "d/log_data", folder / "d/song_data", full_refresh=full_refresh)
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
# not getrusage: its maximum begins with what the process had that started this one
PYTHON = 300
"""MiB that Python takes with everything that it imports for a run."""


def test_a_load_of_280_mb_finishes_in_the_least_memory(tmp_path: Path) -> None:
    generate(users=3000, out=tmp_path / "d")
    done = subprocess.run([sys.executable, "-c", LOAD, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < LEAST // MIB + PYTHON

"""What a new user's machine installs: locked versions for each supported Python, and a message if it is too old."""

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.support.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOWEST = PROJECT["requires-python"].removeprefix(">=")
PYTHONS = (LOWEST, "3.12", "3.13", "3.14")
UV = str(Path(sys.executable).with_name("uv"))


def pins(text: str) -> set[str]:
    return set(re.findall(r"^[\w.-]+==\S+", text, re.MULTILINE))


@pytest.mark.usefixtures("processes")
def test_the_lock_file_fits_every_supported_python() -> None:
    with ThreadPoolExecutor() as pool:  # they wait for the package index
        resolutions = list(pool.map(resolve, PYTHONS))
    for python, done in zip(PYTHONS, resolutions, strict=True):
        if "Failed to fetch" in done.stderr or "error sending request" in done.stderr:
            pytest.skip("no package index can be reached")
        assert done.returncode == 0, f"constraints.txt does not resolve on Python {python}: `make lock`\n{done.stderr}"
        resolved = pins(done.stdout)
        assert len(resolved) > 100
        assert resolved <= pins((ROOT / "constraints.txt").read_text()), f"no pin on Python {python}: `make lock`"


def resolve(python: str) -> subprocess.CompletedProcess[str]:
    """Resolve the project on the first patch release of a Python, with wheels only and within the lock file."""
    options = ["--python-version", f"{python}.0", "--all-extras", "--only-binary", ":all:"]
    command = [UV, "pip", "compile", "--quiet", *options, "--constraint", "constraints.txt", "pyproject.toml"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_all_files_agree_on_the_lowest_python() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"--python-version (\S+)", makefile) == [LOWEST]
    assert re.findall(r"sys\.version_info >= \((\d+), (\d+)\)", makefile) == [tuple(LOWEST.split("."))]
    assert re.findall(r"With Python (\S+) or newer", (ROOT / "README.md").read_text()) == [LOWEST]


def test_the_workflow_tests_every_supported_python() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
    assert tuple(job["strategy"]["matrix"]["python"]) == PYTHONS
    assert job["steps"][-1]["run"] == "bash .ci/run"


@pytest.mark.usefixtures("processes")
def test_make_refuses_a_python_that_is_too_old_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    script = f'shift; exec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 2); $1"'
    old.write_text(f"#!/bin/sh\n{script}\n")
    old.chmod(0o755)
    command = ["make", f"VENV={tmp_path}/venv", f"PYTHON={old}", f"{tmp_path}/venv/ready"]
    # as for a person, and not as under `make test`
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    first, last = done.stderr.strip().splitlines()
    assert first == f"{old} is Python 3.9. Use 3.11 or newer, for example make PYTHON=python3.12"
    assert last.startswith("make: *** ")
    assert not (tmp_path / "venv").exists()


def test_the_hooks_download_nothing_and_call_what_is_installed() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    programs = [Path(hook["entry"].split()[0]) for hook in repository["hooks"]]
    assert {str(program.parent) for program in programs} == {".venv/bin"}
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {program.name for program in programs} <= set(re.findall(r"\$\(BIN\)/(\S+)", recipe))
    assert all(Path(sys.executable).with_name(program.name).exists() for program in programs)

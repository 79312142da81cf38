"""What takes minutes to see: a machine that dies, `make serve` left by its parts, and the image's own environment."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from sql import catalog
from tests import warehouses
from tests.deployed import ROOT, SETTINGS, Json, answers, clone, free_port, kill, running, served, server, wait_for
from tests.standin.postgres import SUPERUSER, run_postgres
from tests.standin.server import run_moto

pytestmark = pytest.mark.usefixtures("processes")

COMPOSE = yaml.safe_load((ROOT / "deployments/compose.yaml").read_text())["services"]


@pytest.mark.sweep
def test_a_run_whose_machine_died_is_marked_crashed_and_the_next_completes_the_tables(tmp_path: Path) -> None:
    with clone(tmp_path, **SETTINGS) as project, server(project):
        project.deploy(**SETTINGS)

        def under_way() -> list[Json]:
            names = {"name": {"any_": ["load songplays"]}, "state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}
            found: list[Json] = project.ask("task_runs/filter", task_runs=names)
            return found

        def in_state(name: str) -> list[Json]:
            found: list[Json] = project.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": [name]}}})
            return found

        with running(project, "prefect", "worker", "start", "--pool", "sparkify") as worker:
            run = project.start_run("local")
            wait_for(under_way, 120)
            kill(worker)
        assert [each["id"] for each in in_state("RUNNING")] == [run["id"]]
        (run,) = wait_for(lambda: in_state("CRASHED"), 240)
        assert "no heartbeat for 90 s" in run["state"]["message"]

        with running(project, "prefect", "worker", "start", "--pool", "sparkify"):
            command, run = project.run("local")
        assert command.returncode == 0, command.stdout
    contents = warehouses.embedded(tmp_path / "sparkify.duckdb", "public").contents()
    assert all(contents[table.name] for table in (*catalog.FACTS, *catalog.DIMENSIONS))


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "script"])
def _interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Interrupts as a terminal has them, and ignored, as they are by what a script starts in the background."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.sweep
@pytest.mark.usefixtures("_interrupts")
def test_serve_that_is_told_to_end_ends_all_that_it_started(tmp_path: Path) -> None:
    with clone(tmp_path) as project, served(project) as process:
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(60) == 0
        assert_ended(started)


@pytest.mark.sweep
@pytest.mark.parametrize("part", ["server", "worker"])
def test_serve_that_a_part_has_left_says_so_and_ends_the_other(tmp_path: Path, part: str) -> None:
    with clone(tmp_path) as project, served(project) as process:
        started = psutil.Process(process.pid).children(recursive=True)
        kill(next(child for child in started if f" {part} start" in " ".join(child.cmdline())))
        assert process.wait(60) == 1
        assert f"the {part} has ended" in project.log("deployments.serve").read_text()
        assert_ended(started)


def assert_ended(processes: list[psutil.Process]) -> None:
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


@pytest.mark.sweep
def test_the_images_environment_runs_what_compose_starts(tmp_path: Path) -> None:
    """Install as the Dockerfile does, in a clean virtual environment, and run there the commands of compose.yaml."""
    dockerfile = (ROOT / "deployments/Dockerfile").read_text().replace("\\\n", "")
    (install,) = re.findall(r"^RUN (.*pip install.*)$", dockerfile, re.MULTILINE)
    (worker,) = re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)
    virtual = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", virtual], check=True)
    port = free_port()
    (tmp_path / "app").mkdir()
    with run_moto() as s3, run_postgres() as socket:
        environment = COMPOSE["first-run"]["environment"] | {
            "AWS_ENDPOINT_URL_S3": s3,
            "PATH": f"{virtual / 'bin'}:{os.environ['PATH']}",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{SUPERUSER}@/postgres?host={socket.parent}",
            "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        }
        del environment["PREFECT_API_URL"]
        with clone(tmp_path / "app", **environment) as here:
            image = replace(here, python=str(virtual / "bin/python"))
            image.shell(install)
            with server(image), running(image, *json.loads(worker)):
                wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"))
                image.shell(COMPOSE["worker"]["healthcheck"]["test"].replace("8080", str(port)))
                said = image.shell(COMPOSE["first-run"]["command"][-1])
    assert "Completed" in said
    contents = warehouses.embedded(tmp_path / "app/sparkify.duckdb", "public").contents()
    assert all(contents[table.name] for table in (*catalog.FACTS, *catalog.DIMENSIONS))

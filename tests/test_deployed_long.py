"""What deployed runs go through that takes minutes to see: a machine that dies, and the image's own environment."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sql import catalog
from tests import warehouses
from tests.deployed import ROOT, SETTINGS, Json, answers, clone, free_port, kill, running, server, wait_for
from tests.standin.postgres import SUPERUSER, run_postgres
from tests.standin.server import run_moto

COMPOSE = yaml.safe_load((ROOT / "deployments/compose.yaml").read_text())["services"]


@pytest.mark.sweep
def test_a_run_whose_machine_died_is_marked_crashed_and_the_next_completes_the_tables(tmp_path: Path) -> None:
    with clone(tmp_path, **SETTINGS) as project, server(project):
        for command in (
            "prefect work-pool create sparkify --type process",
            "prefect --no-prompt deploy --name local",
            "deployments.automations",
        ):
            assert project.command(*command.split()).returncode == 0

        def under_way() -> list[Json]:
            names = {"name": {"any_": ["load songplays"]}, "state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}
            found: list[Json] = project.ask("task_runs/filter", task_runs=names)
            return found

        def crashed() -> list[Json]:
            state = {"type": {"any_": ["CRASHED"]}}
            found: list[Json] = project.ask("flow_runs/filter", flow_runs={"state": state})
            return found

        with running(project, "prefect", "worker", "start", "--pool", "sparkify") as worker:
            project.command("prefect", "deployment", "run", "sparkify-etl/local")
            wait_for(under_way, 120)
            kill(worker)
        assert project.ask("flow_runs/filter")[0]["state"]["type"] == "RUNNING"
        (run,) = wait_for(crashed, 240)
        assert "no heartbeat for 90 s" in run["state"]["message"]

        with running(project, "prefect", "worker", "start", "--pool", "sparkify"):
            command, run = project.run("local")
        assert command.returncode == 0, command.stdout
    contents = warehouses.embedded(tmp_path / "sparkify.duckdb", "public").contents()
    assert all(contents[table.name] for table in (*catalog.FACTS, *catalog.DIMENSIONS))


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

"""The image, the compose file, the Docker work pool and new machines on a Docker engine, where one is reachable."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml
from docker import DockerClient
from docker.errors import DockerException
from docker.models.containers import Container

from tests.support.deployed import SETTINGS, Clone, answers, clone, free_port, running, server, stop, wait_for
from tests.support.project import ROOT

COMPOSE = yaml.safe_load((ROOT / "deployments/compose.yaml").read_text())["services"]
(PYTHON,) = re.findall("^FROM (.*)$", (ROOT / "deployments/Dockerfile").read_text(), re.MULTILINE)
NAME = "sparkify-test"
VERSION = version("sparkify-pipeline")
POOL_WORKER = ("prefect", "worker", "start", "--pool", "sparkify-docker", "--type", "docker")  # makes the pool, too
S3 = {"log_data": "s3://sparkify/log_data/", "song_data": "s3://sparkify/song_data/"}
EMBEDDED = dict.fromkeys(("log_data", "song_data", "copy_role", "aws_credentials"), "") | {
    "warehouse": "duckdb:///sparkify.duckdb", "schema": "public"
}  # fmt: skip
AT_HAND = {"network_mode": "host"}  # a container reaches the server of this machine

NEW_MACHINE = """
FROM {system}
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git make python3 python3-venv
RUN useradd --create-home newcomer
USER {user}
"""
TWO_COMMANDS = """
git config --global safe.directory '*'
cd
mkdir -m 700 closed
git clone --quiet /project.git 'closed/my clone'
cd 'closed/my clone'
make etl
make test
"""

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("processes")]


@dataclass(frozen=True)
class Stack:
    """The containers of the compose file, by another name and on another port than a user's."""

    project: Clone
    override: Path

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run docker-compose."""
        command = [str(Path(sys.executable).with_name("docker-compose")), "--project-name", NAME]
        files = ["--file", "deployments/compose.yaml", "--file", str(self.override)]
        return subprocess.run(
            [*command, *files, *arguments],
            cwd=ROOT, env=self.project.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def first_run(self) -> str:
        """Start the stack, wait for the end of the first run, and return what it said."""
        started = self.compose("up", "--build", "--detach")
        assert started.returncode == 0, started.stdout + started.stderr
        ended = self.compose("wait", "first-run")
        said = self.compose("logs", "--no-log-prefix", "first-run").stdout
        assert ended.returncode == 0, said
        return said


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerClient]:
    """The Docker engine of DOCKER_HOST, or of this machine, with the image's base image."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine is reachable: {error}")
    need(client, PYTHON)
    yield client
    client.close()


@pytest.fixture
def stack(engine: DockerClient, tmp_path: Path) -> Iterator[Stack]:
    """Nothing of the stack yet, and nothing of it afterwards."""
    ours = [name for name, service in COMPOSE.items() if "build" in service]
    for name in COMPOSE.keys() - set(ours):
        need(engine, COMPOSE[name]["image"])
    override = tmp_path / "override.yaml"
    override.write_text(json.dumps({"services": {name: {"image": NAME} for name in ours}}))
    port = str(free_port())
    environment = {**os.environ, "PORT": port, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    stack = Stack(Clone(ROOT, environment), override)
    yield stack
    stack.compose("down", "--volumes", "--timeout", "0")
    engine.images.remove(NAME, force=True)


def need(client: DockerClient, image: str) -> None:
    """See that an image is there, from its registry if need be."""
    try:
        if not client.images.list(image):
            client.images.pull(image)
    except DockerException as error:
        pytest.skip(f"the image {image} cannot be had: {error}")


@pytest.mark.parametrize(
    ("system", "user"), [("debian:12", "newcomer"), ("debian:13", "newcomer"), ("debian:13", "root")]
)
def test_a_new_user_needs_the_two_commands(engine: DockerClient, tmp_path: Path, system: str, user: str) -> None:
    need(engine, system)
    (tmp_path / "Dockerfile").write_text(NEW_MACHINE.format(system=system, user=user))
    machine, _ = engine.images.build(path=str(tmp_path), network_mode="host", rm=True)
    project = tmp_path / "project.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, project], check=True)
    container = engine.containers.run(
        machine, ["bash", "-euc", TWO_COMMANDS], detach=True, network_mode="host",
        volumes={str(project): {"bind": "/project.git", "mode": "ro"}},
    )  # fmt: skip
    try:
        code, said = container.wait()["StatusCode"], container.logs().decode()
    finally:
        container.remove(force=True)
        engine.images.remove(machine.id, force=True)
    assert code == 0, said
    assert "The tables are in sparkify.duckdb" in said
    assert re.search(r"\d+ passed", said), said


def test_the_stack_starts_and_its_first_run_completes_also_after_a_stop_that_met_a_run(stack: Stack) -> None:
    assert "Flow run finished successfully" in stack.first_run()

    project = stack.project
    run = project.start_run("local", parameters=S3)
    wait_for(lambda: project.tasks(run, "create tables"), 300)
    stack.compose("stop")
    worker = json.loads(stack.compose("ps", "--all", "--format", "json", "worker").stdout)
    assert worker["ExitCode"] == 0, "the worker was killed: it did not end in time"

    assert "Flow run finished successfully" in stack.first_run()
    ended = project.state(run)
    assert (ended["type"], ended["message"]) == ("CRASHED", "Execution was aborted by a termination signal.")
    (released,) = project.tasks(run, "release lease")
    assert released["state_type"] == "COMPLETED", "the run that was stopped has kept the lease"


def test_the_image_is_built_and_pushed_and_a_run_has_a_container_of_its_own(
    engine: DockerClient, tmp_path: Path
) -> None:
    with registry(tmp_path) as address, clone(project_folder(tmp_path), SPARKIFY_IMAGE=f"{address}/{NAME}") as project:
        image = f"{address}/{NAME}:{VERSION}"
        try:
            with server(project), running(project, *POOL_WORKER) as worker:
                on_the_base: dict[str, Any] = {"all": True, "filters": {"ancestor": PYTHON}}
                before = engine.containers.list(**on_the_base)
                wait_for(lambda: "started" in project.log("prefect").read_text())
                deploy(project)
                assert engine.containers.list(**on_the_base) == before, "the build has left containers behind"
                assert httpx.get(f"http://{address}/v2/{NAME}/tags/list").json()["tags"] == [VERSION]
                engine.images.remove(image, force=True)  # what runs is what the registry has
                run = project.start_run("manual", parameters=EMBEDDED, job_variables=AT_HAND)
                wait_for(lambda: project.tasks(run, "take lease"), 300)
                worker.terminate()
                worker.wait(60)
                state = project.end_of(run, 120)  # its container goes on
            assert state["type"] == "COMPLETED", state["message"]
            (container,) = containers(engine, image)
            assert container.attrs["State"]["ExitCode"] == 0
        finally:
            for container in containers(engine, image):
                container.remove(force=True)
            if engine.images.list(image):
                engine.images.remove(image, force=True)


def containers(engine: DockerClient, image: str) -> list[Container]:
    """Return what was made to run in an image of this very name."""
    return [each for each in engine.containers.list(all=True) if each.attrs["Config"]["Image"] == image]


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run an image registry on this machine, and give its address."""
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("there is no image registry: `apt install docker-registry`")
    address = f"127.0.0.1:{free_port()}"
    settings = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}}}
    (folder / "registry.yaml").write_text(yaml.safe_dump(settings | {"http": {"addr": address}}))
    process = subprocess.Popen(
        [program, "serve", folder / "registry.yaml"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: answers(f"http://{address}/v2/"))
        yield address
    finally:
        stop(process)


def project_folder(folder: Path) -> Path:
    """Make the folder of a clone that sends the engine what the project's own does."""
    (folder / "project").mkdir()
    shutil.copy(ROOT / ".dockerignore", folder / "project")
    return folder / "project"


def deploy(project: Clone) -> None:
    """Build, push and deploy as the head of the file says, with the base image that is at hand."""
    file = "deployments/prefect.docker.yaml"
    step = "      dockerfile: deployments/Dockerfile\n"
    steps = (project.folder / file).read_text()
    assert step in steps
    (project.folder / file).write_text(steps.replace(step, f"{step}      pull: false\n"))
    done = project.command("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file, **SETTINGS)
    assert done.returncode == 0, done.stdout + done.stderr

"""A Prefect server, a worker and the project's deployments, each as a process of its own, for tests."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import psutil
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.project import ROOT

PARTS = (
    "deployments",
    "flows",
    "sql",
    "tasks",
    "warehouse",
    "Makefile",
    "prefect.yaml",
    "pyproject.toml",
    "constraints.txt",
)
SETTINGS = {
    "SPARKIFY_REDSHIFT_HOST": "sparkify.210987654321.us-west-2.redshift-serverless.amazonaws.com",
    "SPARKIFY_REDSHIFT_USER": "loader",
    "SPARKIFY_REDSHIFT_PASSWORD": "canary-of-redshift",
    "SPARKIFY_AWS_ACCESS_KEY_ID": "AKIACANARY",
    "SPARKIFY_AWS_SECRET_ACCESS_KEY": "canary-of-aws",
    "SPARKIFY_LOG_DATA": "s3://sparkify-test/log_data/",
    "SPARKIFY_SONG_DATA": "s3://sparkify-test/song_data/",
}
Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Clone:
    """A clone of the project, and the environment in which its commands speak to a server."""

    folder: Path
    environment: dict[str, str]

    @property
    def api(self) -> str:
        return self.environment["PREFECT_API_URL"]

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m` with these arguments."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder, env=self.environment | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def shell(self, script: str) -> str:
        """Run a script of the shell, and return what it prints."""
        done = subprocess.run(
            ["sh", "-euc", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, **settings: str) -> str:
        """Run `make deploy` with settings in .env, in the virtual environment that runs the tests."""
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return self.shell("make --old-file=.venv/ready deploy 2>&1")

    def log(self, module: str) -> Path:
        """Return where what was started as `python -m` of this module writes."""
        return self.folder / f"{module}.log"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `python -m` with these arguments, in a process group of its own."""
        with self.log(arguments[0]).open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder, env=self.environment, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    def ask(self, what: str, **body: Any) -> Any:
        """Ask the server's API."""
        return self.send("POST", what, json=body).json()

    def send(self, method: str, what: str, **options: Any) -> httpx.Response:
        """Send the server's API a request that it is to grant. While its database is busy it asks for another try."""
        # it speaks no TLS: to load what TLS needs takes ten times as long as the answer
        for _ in range(10):
            answer = httpx.request(method, f"{self.api}/{what}", timeout=60, verify=False, **options)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer.raise_for_status()

    def run(self, deployment: str, **parameters: Any) -> tuple[subprocess.CompletedProcess[str], Json]:
        """Run a deployment of the pipeline to its end as docs/deploying.md does, and return the command and the run."""
        options = [f"--param={name}={json.dumps(value)}" for name, value in parameters.items()]
        done = self.command("prefect", "deployment", "run", f"sparkify-etl/{deployment}", "--watch", *options)
        found = re.search(r"UUID: ([0-9a-f-]{36})", done.stdout)
        assert found, done.stdout + done.stderr
        return done, self.send("GET", f"flow_runs/{found[1]}").json()

    def start_run(self, deployment: str, **how: Any) -> Json:
        """Start a run of a deployment of the pipeline as the UI does, and return it."""
        found = self.send("GET", f"deployments/name/sparkify-etl/{deployment}").json()
        run: Json = self.ask(f"deployments/{found['id']}/create_flow_run", **how)
        return run

    def state(self, run: Json) -> Json:
        """Return the state that a run is in now."""
        state: Json = self.send("GET", f"flow_runs/{run['id']}").json()["state"]
        return state

    def end_of(self, run: Json, seconds: float) -> Json:
        """Return the state that a run ended in, once it has."""

        def ended() -> Json | None:
            state = self.state(run)
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        state = wait_for(ended, seconds)
        assert state
        return state

    def tasks(self, run: Json, name: str) -> list[Json]:
        """Return a run's tasks of this name."""
        wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}, "task_runs": {"name": {"any_": [name]}}}
        found: list[Json] = self.ask("task_runs/filter", **wanted)
        return found

    def events(self, run: Json, kind: str) -> list[Json]:
        """Return the events of one kind of a run."""
        related = {"id": [f"prefect.flow-run.{run['id']}"]}
        wanted = {"any_resource": related, "event": {"name": [kind]}}
        found: list[Json] = self.ask("events/filter", filter=wanted, limit=50)["events"]
        return found


@contextmanager
def clone(folder: Path, **environment: str) -> Iterator[Clone]:
    """Give a clone of the project whose commands speak to a server on a free port, with a home of its own."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    (folder / ".venv").symlink_to(sys.prefix)
    home = {
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_HOME": str(folder / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # SQLite's, which a machine under load needs
        "PWD": str(folder),
    }
    # a session of tests has a server of its own, which these are not to meet
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SPARKIFY_"))}
    yield Clone(folder, inherited | home | environment)


@contextmanager
def speaking_to(project: Clone) -> Iterator[None]:
    """Let this process speak to a clone's server until the block ends.

    Its events, too: Prefect sends all of a process to where the first one went, and tries each for seconds if nothing
    is there any more.
    """
    EventsWorker.drain_all()
    with temporary_settings({PREFECT_API_URL: project.api}):
        try:
            yield
        finally:
            EventsWorker.drain_all()


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(project: Clone, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m` with these arguments until the block ends."""
    process = project.start(*arguments)
    try:
        yield process
    finally:
        stop(process)


@contextmanager
def server(project: Clone) -> Iterator[None]:
    """Run a Prefect server until the block ends."""
    with running(project, "prefect", "server", "start", "--port", str(httpx.URL(project.api).port)):
        wait_for(lambda: answers(f"{project.api}/health"), 180)
        yield


@contextmanager
def served(project: Clone) -> Iterator[subprocess.Popen[bytes]]:
    """Run what `make serve` starts until the block ends: a server, a worker, and the deployment `local`."""
    with running(project, "deployments.serve", "--port", str(httpx.URL(project.api).port)) as process:
        log = project.log("deployments.serve")
        wait_for(lambda: process.poll() is not None or "The UI is at" in log.read_text(), 180)
        assert process.poll() is None, log.read_text()
        yield process


def answers(url: str) -> bool:
    """Whether something answers well."""
    try:
        return httpx.get(url, verify=False).is_success
    except httpx.TransportError:
        return False


def kill(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    """Kill a process and all that it started, as the end of their machine does."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        member.kill()
    process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process group as Ctrl-C does, and wait for its end."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(look: Callable[[], T], seconds: float = 60) -> T:
    """Look until there is something to see, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen := look():
            return seen
        time.sleep(0.1)
    raise AssertionError(f"nothing came in {seconds} s")


@contextmanager
def webhook() -> Iterator[tuple[str, list[Json]]]:
    """Receive what is posted: give the URL, and the list of what came."""
    received: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()

"""Starts Prefect's UI for a try: a server, a worker and the deployment `local`, all on this machine.

Run it with `python -m deployments.serve`, and stop it with Ctrl-C or SIGTERM.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.serve:serve")

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.error import URLError
from urllib.request import urlopen

from prefect.client.orchestration import SyncPrefectClient

from deployments.prefect_command import Environment, make_pool, prefect
from flows.parameters import Port
from flows.terminal import this_python
from warehouse.errors import PermanentError

DEPLOYMENT = "sparkify-etl/local"
START_SECONDS = 120
END_SECONDS = 120
"""A worker ends its runs first, each after its current statement."""

Process = subprocess.Popen[bytes]


def serve(*, port: Port = 4200) -> None:
    """Start a Prefect server and a worker, deploy `local`, and print how to run it. Stops with Ctrl-C or SIGTERM.

    Args:
        port: Port of the server, which listens on this machine only.

    Raises:
        PermanentError: the server or the worker cannot be started, or stopped by itself.
    """
    with suppress(KeyboardInterrupt), server(port) as (environment, served), worker(environment) as working:
        prefect(environment, "--no-prompt", "deploy", "--name", DEPLOYMENT.split("/")[1])
        url = environment["PREFECT_API_URL"]
        command = f"{this_python()} -m prefect deployment run {DEPLOYMENT} --watch"
        print(
            f"\nThe UI is at {url.removesuffix('/api')}. To run the pipeline, press Run there, or use:\n"
            f"  PREFECT_API_URL={url} {command}\n"
            "Ctrl-C stops the server and the worker.",
            flush=True,
        )
        raise PermanentError(
            f"the {_first_to_end(server=served, worker=working)} has ended. `make serve` starts both again"
        )


@contextmanager
def server(port: int) -> Iterator[tuple[Environment, Process]]:
    """Run a Prefect server until the block ends. Yields the environment for commands that use the server.

    Raises:
        PermanentError: the port is in use, or the server does not start.
    """
    _refuse_taken(port)
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {"PREFECT_API_URL": url, "PWD": os.getcwd()}
    with running(environment, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)) as process:
        _wait_for(f"{url}/health", process)
        yield environment, process


@contextmanager
def worker(environment: Environment) -> Iterator[Process]:
    """Run a worker of the work pool until the block ends. Creates the pool if it is missing."""
    with SyncPrefectClient(environment["PREFECT_API_URL"]) as client:
        make_pool(client)
    with running(environment, "deployments.worker") as process:
        yield process


@contextmanager
def running(environment: Environment, *arguments: str) -> Iterator[Process]:
    """Run `python -m` with these arguments until the block ends, then stop it.

    Ctrl-C reaches only this process, which stops the worker before the server that the worker's runs report to.
    """
    process = subprocess.Popen([sys.executable, "-m", *arguments], env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _refuse_taken(port: int) -> None:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            raise PermanentError(
                f"port {port} is in use. Stop the program that listens there, or use `make serve PORT=...`"
            ) from None


def _wait_for(url: str, process: Process) -> None:
    for _ in range(START_SECONDS * 2):
        if process.poll() is not None:
            raise PermanentError("the Prefect server stopped while starting. Its output above says why")
        with suppress(URLError, OSError), urlopen(url):
            return
        time.sleep(0.5)
    raise PermanentError(f"the Prefect server did not start within {START_SECONDS} s. Its output above says why")


def _first_to_end(**processes: Process) -> str:
    """Wait until one of the processes ends, and return its name."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                return name
        time.sleep(0.5)

"""Prefect for a command: its log, and a server that lasts as long as the command if none is configured."""

import atexit
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import IO

import prefect
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
)

from flows.failures import UNTOLD
from flows.terminal import tell
from warehouse.errors import PermanentError

_END_SECONDS = 5
_SERVER = "flows.server_process"
_AS_PREFECT_DOES = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
_UNWRITABLE = re.compile(
    r"(?:PermissionError|Read-only file system|unable to open database file|readonly database|disk is full)[^\n]*"
)


def prepare_prefect() -> None:
    """Keep failures out of Prefect's log on this terminal, which the command's last line tells, and start a server.

    Raises:
        PermanentError: the server does not start.
    """
    for handler in logging.root.handlers:
        handler.addFilter(UNTOLD)
    if not PREFECT_API_URL.value():
        TemporaryServer().start()


class TemporaryServer(SubprocessASGIServer):
    """The server that Prefect would start for a flow, as a process that ends with this one, whatever ends this one.

    Ctrl-C does not reach it, because the interrupted run still has to report its end.
    """

    def start(self, timeout: int | None = None) -> None:
        """Start the server and wait until it answers.

        Raises:
            PermanentError: it does not start. The message says why.
        """
        if self.running:
            return
        self.running = True
        with tempfile.TemporaryFile() as output:
            self.server_process = process = self._started(None if UNTOLD.is_off else output)
            atexit.register(self.stop)
            try:
                self._wait(process, output, timeout or PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value())
            except BaseException:
                self.server_process = None  # its orderly end would take seconds, and it has nothing to do yet
                process.kill()
                process.communicate()
                raise
        Thread(target=self._end_with, args=[process], daemon=True).start()

    def _end_with(self, process: subprocess.Popen[bytes]) -> None:
        """End the command if its server ends first. Prefect would ask a server that is gone for minutes."""
        code = process.wait()
        if self.server_process is process:
            cause = f"exit code {code}" if code >= 0 else f"signal {-code}"
            tell([f"the temporary Prefect server has ended ({cause}). Run again: each step is complete or undone"])
            os._exit(1)

    def stop(self) -> None:
        """Stop the server."""
        process, self.server_process, self.running = self.server_process, None, False
        if process:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.stdin:
                process.stdin.close()

    def _wait(self, process: subprocess.Popen[bytes], output: IO[bytes], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                output.seek(0)
                raise PermanentError(why_not(output.read().decode(errors="replace")))
            time.sleep(0.1)

    def _started(self, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        with socket.socket() as bound:  # here, so that no other process can take the port
            bound.bind(("127.0.0.1", 0))
            self.port = bound.getsockname()[1]
            settings = get_current_settings().to_environment_variables(exclude_unset=True)
            return subprocess.Popen(
                [sys.executable, "-m", _SERVER, str(bound.fileno())],
                env={**os.environ, **_AS_PREFECT_DOES, **settings},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[bound.fileno()],
                start_new_session=True,
            )

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def why_not(output: str) -> str:
    """Say why a server with this output did not start, and what to do."""
    home = f"Prefect's home {PREFECT_HOME.value()}"
    remedy = "Set PREFECT_HOME to another folder"
    if unknown := re.search(r"Can't locate revision identified by '(\w+)'", output):
        return (
            f"{home}: its database is of another version than Prefect {prefect.__version__} (revision {unknown[1]}). "
            f"{remedy}, or use that version"
        )
    if reason := _UNWRITABLE.search(output):
        return f"{home}: cannot be written ({reason[0].strip()}). {remedy}, one that can be"
    errors = re.findall(r"^\S*(?:Error|Exception)\b.*", output, re.MULTILINE) or output.strip().split("\n")[-1:]
    last = errors[-1] or "it said nothing"
    return f"the temporary Prefect server did not start ({last[:200]}). Run again with --debug to see its output"

"""A client's connection to the stand-in, and the one to PostgreSQL behind it: from the login to the end."""

import socket
import struct
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

from tests.standin.faults import Faults, When
from tests.standin.wire import (
    GSS_REQUEST,
    PROTOCOL,
    SSL_REQUEST,
    Backend,
    ClosedError,
    Message,
    Stream,
    error_message,
)

_PASSED_PARAMETERS = ("user", "database", "application_name")
_SERVER_VERSION = b"server_version\x008.0.2\0"
_SESSION_SETUP = (
    "create temp sequence last_copy_count minvalue -1 start 0; create temp sequence last_copy_id minvalue -1 start -1"
)


class Connection(Thread):
    """Logs a client in, passes on its messages, and cuts the answers if a fault says so."""

    def __init__(
        self, socket_path: Path, client: socket.socket, faults: Faults, await_end: Callable[[int], None]
    ) -> None:
        super().__init__(daemon=True)
        self.socket_path = socket_path
        self.faults = faults
        self.await_end = await_end
        self.client = Stream(client)
        self.backend: Backend | None = None
        self.cut: When | None = None

    def abort(self) -> None:
        """Make the thread end, whatever it is waiting for."""
        with suppress(OSError):  # it may have ended by itself
            self.client.socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            if self._start():
                while True:
                    self.serve(self._request())
        except ClosedError:
            pass
        finally:
            self._end()
            self.ended()

    @abstractmethod
    def serve(self, request: list[Message]) -> None:
        """Answer what the client sent before it waits."""

    @abstractmethod
    def ended(self) -> None:
        """Note that the connection has ended."""

    def _end(self) -> None:
        self.client.close()
        if self.backend:
            self.backend.close()
            if self.backend.key:  # until PostgreSQL has rolled back and given the locks free
                self.await_end(self.backend.pid)

    def _start(self) -> bool:
        parameters = self._parameters()
        if parameters is None:
            return False
        self.take_message(sum(len(word) + 1 for pair in parameters.items() for word in pair) + 9)
        for failure in self.faults.take_startup():
            if failure.error:
                self.send(error_message(failure.error, "FATAL"))
                return False
        self.backend = Backend(self.socket_path, {k: parameters[k] for k in _PASSED_PARAMETERS if k in parameters})
        return self._authenticate(self.backend)

    def _parameters(self) -> dict[str, str] | None:
        while True:
            code, body = self.client.read_startup()
            if code in (SSL_REQUEST, GSS_REQUEST):
                self.client.send(b"N")
            elif code == PROTOCOL:
                words = body.decode().split("\0")
                return dict(zip(words[::2], words[1::2], strict=False))
            else:
                return None

    def _authenticate(self, backend: Backend) -> bool:
        while True:
            message = backend.read()
            if message.kind == b"S" and message.body.startswith(b"server_version\0"):
                message = Message(b"S", _SERVER_VERSION)
            if message.kind == b"Z":
                backend.query(_SESSION_SETUP)
            self.send(message)
            if message.kind in (b"E", b"Z"):
                return message.kind == b"Z"
            if message.kind == b"R" and struct.unpack("!i", message.body[:4])[0] in (3, 5, 10, 11):
                answer = self.client.read().encode()
                self.take_message(len(answer))
                backend.stream.send(answer)

    def _request(self) -> list[Message]:
        """Read what the client sends before it waits: up to Sync, or Terminate."""
        messages: list[Message] = []
        while not messages or messages[-1].kind not in (b"S", b"X", b"Q"):
            message = self.client.read()
            if message.kind != b"H":  # Flush: everything is answered at Sync
                messages.append(message)
        return messages

    def take_message(self, size: int) -> None:
        self.cut = self.faults.take_message(size)
        if self.cut == "before":
            raise ClosedError

    @property
    def postgres(self) -> Backend:
        assert self.backend
        return self.backend

    def send(self, *messages: Message) -> None:
        """Answer for as long as the connection lasts.

        Raises:
            ClosedError: it does not.
        """
        data = b"".join(message.encode() for message in messages)
        if self.cut:
            data = data[: len(data) // 2] if self.cut == "answering" else b""
        self.faults.count(bytes_out=len(data))
        self.client.send(data)
        if self.cut:
            raise ClosedError

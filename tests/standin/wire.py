"""PostgreSQL's protocol, version 3: messages, streams of them, and a connection to a backend."""

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.standin.errors import ServerError

PROTOCOL = 196608
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104

Row = tuple[str | None, ...]


class ClosedError(Exception):
    """The other end closed the connection."""


class Message(NamedTuple):
    """A message: its kind is one byte."""

    kind: bytes
    body: bytes = b""

    def encode(self) -> bytes:
        return self.kind + struct.pack("!i", len(self.body) + 4) + self.body


class Stream:
    """Messages over a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._file = sock.makefile("rb")

    def read(self) -> Message:
        """Read a message.

        Raises:
            ClosedError: there is none any more.
        """
        return Message(self._exactly(1), self._sized())

    def read_startup(self) -> tuple[int, bytes]:
        """Read a message that has no kind: a code, and the rest."""
        body = self._sized()
        return struct.unpack("!i", body[:4])[0], body[4:]

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            raise ClosedError from None

    def close(self) -> None:
        """Close it, even while a thread reads from it."""
        with suppress(OSError):  # the other end may be faster
            self.socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self.socket.close()

    def _sized(self) -> bytes:
        return self._exactly(struct.unpack("!i", self._exactly(4))[0] - 4)

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except (OSError, ValueError):
            raise ClosedError from None
        if len(data) < size:
            raise ClosedError
        return data


class Backend:
    """A connection to PostgreSQL, whose transaction status is `status`: b"I", b"T" or b"E"."""

    def __init__(self, path: Path, parameters: dict[str, str]) -> None:
        self.path = path
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        self.stream = Stream(sock)
        self.status = b"I"
        self.key = b""
        pairs = "".join(f"{name}\0{value}\0" for name, value in parameters.items())
        body = struct.pack("!i", PROTOCOL) + pairs.encode() + b"\0"
        self.stream.send(struct.pack("!i", len(body) + 4) + body)

    def read(self) -> Message:
        message = self.stream.read()
        if message.kind == b"Z":
            self.status = message.body
        elif message.kind == b"K":
            self.key = message.body
        return message

    @property
    def pid(self) -> int:
        return int(struct.unpack("!i", self.key[:4])[0])

    def answer(self) -> list[Message]:
        """Read up to ReadyForQuery."""
        messages = [self.read()]
        while messages[-1].kind != b"Z":
            messages.append(self.read())
        return messages

    def start(self) -> None:
        """Read everything up to the first ReadyForQuery, when no password is needed."""
        raise_error(self.answer())

    def request(self, sql: str) -> list[Message]:
        """Send a simple query and return the whole answer."""
        self.stream.send(Message(b"Q", sql.encode() + b"\0").encode())
        return self.answer()

    def query(self, sql: str) -> list[Row]:
        """Run a simple query and return its rows, as text.

        Raises:
            ServerError: it failed.
        """
        messages = self.request(sql)
        raise_error(messages)
        return [_row(message.body) for message in messages if message.kind == b"D"]

    def copy_in(self, sql: str, chunks: Iterable[bytes]) -> None:
        """Run a COPY ... FROM STDIN.

        Raises:
            ServerError: it failed.
        """
        self.stream.send(Message(b"Q", sql.encode() + b"\0").encode())
        first = self.read()
        if first.kind == b"G":
            for chunk in chunks:
                self.stream.send(Message(b"d", chunk).encode())
            self.stream.send(Message(b"c").encode())
        raise_error([first, *self.answer()])

    def cancel(self) -> None:
        """Ask PostgreSQL to cancel the statement that runs on this connection."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sock.sendall(struct.pack("!ii", 8 + len(self.key), CANCEL_REQUEST) + self.key)
            sock.recv(1)  # PostgreSQL closes when it has dealt with it

    def close(self) -> None:
        self.stream.close()


def error_message(error: ServerError, severity: str = "ERROR") -> Message:
    """Return the ErrorResponse for an error."""
    fields = {"S": severity, "C": error.sqlstate, "M": error.message, "D": error.detail}
    return Message(b"E", b"".join(f"{k}{v}\0".encode() for k, v in fields.items() if v) + b"\0")


def error_of(message: Message) -> ServerError:
    """Return the error that an ErrorResponse reports."""
    fields = {field[:1]: field[1:].decode() for field in message.body.split(b"\0") if field}
    return ServerError(fields[b"C"], fields[b"M"], fields.get(b"D", ""))


def raise_error(messages: Iterable[Message]) -> None:
    for message in messages:
        if message.kind == b"E":
            raise error_of(message)


def quote(text: str) -> str:
    """Return a string literal."""
    return "'" + text.replace("'", "''") + "'"


def _row(body: bytes) -> Row:
    values: list[str | None] = []
    place = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        size = struct.unpack("!i", body[place : place + 4])[0]
        place += 4
        values.append(None if size < 0 else body[place : place + size].decode())
        place += max(size, 0)
    return tuple(values)

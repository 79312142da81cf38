"""What clients connect to: it speaks as Redshift does, and has PostgreSQL do the work."""

import select
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Self

from tests.standin.copy import Loader
from tests.standin.dialect import Statement, translate
from tests.standin.errors import ServerError, syntax_error
from tests.standin.faults import SERIALIZATION_DETAIL, Faults, When
from tests.standin.s3 import S3
from tests.standin.wire import (
    GSS_REQUEST,
    PROTOCOL,
    SSL_REQUEST,
    Backend,
    ClosedError,
    Message,
    Stream,
    error_message,
    error_of,
    quote,
)

_PASSED_PARAMETERS = ("user", "database", "application_name")
_SERVER_VERSION = b"server_version\x008.0.2\0"
_SESSION_SETUP = (
    "create temp sequence last_copy_count minvalue -1 start 0; create temp sequence last_copy_id minvalue -1 start -1"
)
_POLL_SECONDS = 0.05


class Proxy:
    """A server on a port of its own. A thread serves each connection."""

    def __init__(self, socket_path: Path, s3: S3, faults: Faults, reports: Backend) -> None:
        self.socket_path = socket_path
        self.faults = faults
        self.loader = Loader(s3, faults, reports)
        self._sessions: set[Session] = set()
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.close_sessions()

    def close_sessions(self) -> None:
        """End every connection, and wait until their transactions are rolled back."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.abort()
        for session in sessions:
            session.join()

    def forget(self, session: "Session") -> None:
        with self._lock:
            self._sessions.discard(session)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            session = Session(self, client)
            with self._lock:
                self._sessions.add(session)
            session.start()


class Session(Thread):
    """A client's connection, and the one to PostgreSQL behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        super().__init__(daemon=True)
        self.proxy = proxy
        self.faults = proxy.faults
        self.client = Stream(client)
        self.backend: Backend | None = None
        self.cut: When | None = None
        self.texts: dict[bytes, str] = {}

    def abort(self) -> None:
        """Have the thread end, whatever it waits for."""
        with suppress(OSError):  # it may have ended by itself
            self.client.socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            if self._start():
                while True:
                    self._serve(self._request())
        except ClosedError:
            pass
        finally:
            self._end()
            self.proxy.forget(self)

    def _end(self) -> None:
        self.client.close()
        if self.backend:
            self.backend.close()
            self._await_end(self.backend)

    def _await_end(self, backend: Backend) -> None:
        """Wait until PostgreSQL has rolled back and given the locks free."""
        if backend.key:
            self.proxy.loader.await_end(backend.pid)

    # starting

    def _start(self) -> bool:
        parameters = self._parameters()
        if parameters is None:
            return False
        self._take_message(sum(len(word) + 1 for pair in parameters.items() for word in pair) + 9)
        for failure in self.faults.take_startup():
            if failure.error:
                self._send(error_message(failure.error, "FATAL"))
                return False
        self.backend = Backend(
            self.proxy.socket_path, {k: parameters[k] for k in _PASSED_PARAMETERS if k in parameters}
        )
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
            self._send(message)
            if message.kind in (b"E", b"Z"):
                return message.kind == b"Z"
            if message.kind == b"R" and struct.unpack("!i", message.body[:4])[0] in (3, 5, 10, 11):
                answer = self.client.read().encode()
                self._take_message(len(answer))
                backend.stream.send(answer)

    # serving

    def _request(self) -> list[Message]:
        """Read what the client sends before it waits: up to Sync, or Terminate."""
        messages: list[Message] = []
        while not messages or messages[-1].kind not in (b"S", b"X", b"Q"):
            message = self.client.read()
            if message.kind != b"H":  # Flush: everything is answered at Sync
                messages.append(message)
        return messages

    def _take_message(self, size: int) -> None:
        self.cut = self.faults.take_message(size)
        if self.cut == "before":
            raise ClosedError

    def _serve(self, request: list[Message]) -> None:
        if request[-1].kind == b"X":
            raise ClosedError
        self._take_message(sum(len(m.body) + 5 for m in request))
        try:
            self._work(request)
        except ServerError as error:
            self._send(error_message(_in_redshifts_words(error)), Message(b"Z", self._backend.status))

    def _work(self, request: list[Message]) -> None:
        """Do what the client asks for.

        Raises:
            ServerError: it failed, and so has the transaction.
        """
        translated = self._translated(request)
        executed = self._executed(request)
        if executed is not None:
            self._misbehave(executed)
        statement = translate(executed) if executed is not None else None
        if statement and statement.sources and executed is not None:
            answer = self._copy(executed)
        else:
            if statement:
                self._prepare(statement)
            answer = self._forwarded(translated)
        if statement and statement.commits and not any(m.kind == b"E" for m in answer):
            answer[-1:] = self._committed(answer[-1])
        self._send(*(_mend(message) for message in answer))

    @property
    def _backend(self) -> Backend:
        assert self.backend
        return self.backend

    def _translated(self, request: list[Message]) -> list[Message]:
        """Return the messages for PostgreSQL, the statements that they prepare in its words."""
        translated = []
        for message in request:
            if message.kind == b"Q":
                self._raise(syntax_error("the stand-in speaks the extended protocol only"))
            if message.kind == b"P":
                name, text, rest = message.body.split(b"\0", 2)
                self.texts[name] = text.decode()
                self._lock_written(text.decode())
                message = Message(b"P", b"\0".join([name, self._sql(text.decode()).encode(), rest]))
            translated.append(message)
        return translated

    def _sql(self, text: str) -> str:
        try:
            return translate(text).sql
        except ServerError as error:
            self.faults.take_statement(text)
            self._raise(error)
            raise

    def _executed(self, request: list[Message]) -> str | None:
        """Return the text of the statement that is executed, if one is."""
        if not any(message.kind == b"E" for message in request):
            return None
        bind = next(message for message in request if message.kind == b"B")
        return self.texts[bind.body.split(b"\0", 2)[1]]

    def _misbehave(self, text: str) -> None:
        for failure in self.faults.take_statement(text):
            self._sleep(failure.seconds)
            if failure.error and not failure.fatal:
                self._raise(failure.error)
            elif failure.error:
                self._send(error_message(failure.error, "FATAL"))
            if failure.fatal:
                raise ClosedError

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._refuse_gone_client(min(left, _POLL_SECONDS))

    def _prepare(self, statement: Statement) -> None:
        """Do what Redshift does before it runs a statement.

        Raises:
            ServerError: a MERGE's source has a key twice.
        """
        if self._backend.status != b"E":
            if statement.writes:
                self._lock_table(statement.writes)
            if statement.repeated and self._backend.query(statement.repeated):
                self._raise(ServerError("XX000", "Found multiple matches to update the same tuple"))

    def _lock_written(self, text: str) -> None:
        """Lock before PostgreSQL parses, and so takes a weaker lock: two that then want more would wait in a circle."""
        table = None
        with suppress(ServerError):  # said again where the statement is translated
            table = translate(text).writes
        if table:
            self._lock_table(table)

    def _lock_table(self, table: str) -> None:
        """Have writers of one table wait for each other, as in Redshift."""
        if self._backend.status == b"T":
            self._query(f"lock table {table} in share row exclusive mode")

    def _query(self, sql: str) -> None:
        """Run a statement that may wait for another client's."""
        self._backend.stream.send(Message(b"Q", sql.encode() + b"\0").encode())
        for message in self._answer():
            if message.kind == b"E":
                raise error_of(message)

    def _forwarded(self, request: list[Message]) -> list[Message]:
        data = b"".join(message.encode() for message in request)
        if self.cut == "inside":
            self._backend.stream.send(data[: len(data) // 2])
            raise ClosedError
        self._backend.stream.send(data)
        return self._answer()

    def _answer(self) -> list[Message]:
        """Wait for PostgreSQL's answer for as long as the client does."""
        while not select.select([self._backend.stream.socket], [], [], 0)[0]:
            self._refuse_gone_client(_POLL_SECONDS)
        return self._backend.answer()

    def _refuse_gone_client(self, seconds: float) -> None:
        """Wait for PostgreSQL or the client to say something, and end if the client has gone."""
        sockets = [self.client.socket, self._backend.stream.socket]
        if self.client.socket in select.select(sockets, [], [], seconds)[0]:
            if not self.client.socket.recv(1, socket.MSG_PEEK):
                self._backend.cancel()
                raise ClosedError
            time.sleep(seconds)

    def _raise(self, error: ServerError) -> None:
        """Have PostgreSQL raise an error, so that the transaction has really failed."""
        options = f"errcode = {quote(error.sqlstate)}, message = {quote(error.message)}"
        if error.detail:
            options += f", detail = {quote(error.detail)}"
        self._backend.query(f"do $standin$ begin raise exception using {options}; end $standin$")

    def _committed(self, ready: Message) -> list[Message]:
        if self._backend.status == b"T":
            self._backend.query("commit")
        return [ready._replace(body=self._backend.status)]

    def _copy(self, sql: str) -> list[Message]:
        if self._backend.status == b"E":
            text = "current transaction is aborted, commands ignored until end of transaction block"
            raise ServerError("25P02", text)
        try:
            self.proxy.loader.load(self._backend, sql, self._lock_table, breaks=self.cut == "inside")
        except ServerError as error:
            if self._backend.status != b"E":
                self._raise(error)
            raise
        return [Message(b"2"), Message(b"C", b"COPY\0"), Message(b"Z", self._backend.status)]

    def _send(self, *messages: Message) -> None:
        """Answer, as far as the connection holds.

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


def _in_redshifts_words(error: ServerError) -> ServerError:
    if error.sqlstate == "40001":
        return ServerError("XX000", "1023", SERIALIZATION_DETAIL)
    return error


def _mend(message: Message) -> Message:
    return error_message(_in_redshifts_words(error_of(message))) if message.kind == b"E" else message

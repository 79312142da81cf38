"""The server that clients connect to. It behaves like Redshift, and lets PostgreSQL do the work."""

import select
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Self

from tests.standin.connection import Connection
from tests.standin.copy import Loader
from tests.standin.dialect import Statement, translate
from tests.standin.errors import ServerError, syntax_error
from tests.standin.faults import SERIALIZATION_FAILURE, Faults
from tests.standin.isolation import CONFLICTS, Isolation
from tests.standin.s3 import S3
from tests.standin.wire import (
    Backend,
    ClosedError,
    Message,
    error_message,
    error_of,
    quote,
)

_POLL_SECONDS = 0.05


class Proxy:
    """A server on a port of its own. A thread serves each connection."""

    def __init__(self, socket_path: Path, s3: S3, faults: Faults, reports: Backend) -> None:
        self.socket_path = socket_path
        self.faults = faults
        self.isolation: Isolation = "snapshot"
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
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each login waits 40 ms for an ACK
            session = Session(self, client)
            with self._lock:
                self._sessions.add(session)
            session.start()


class Session(Connection):
    """Answers what a client asks, as Redshift would."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        super().__init__(proxy.socket_path, client, proxy.faults, proxy.loader.await_end)
        self.proxy = proxy
        self.texts: dict[bytes, str] = {}

    def ended(self) -> None:
        self.proxy.forget(self)

    def serve(self, request: list[Message]) -> None:
        if request[-1].kind == b"X":
            raise ClosedError
        self.take_message(sum(len(m.body) + 5 for m in request))
        try:
            self._work(request)
        except ServerError as error:
            self.send(error_message(self._in_redshifts_words(error)), Message(b"Z", self.postgres.status))

    def _work(self, request: list[Message]) -> None:
        """Execute what the client asks for.

        Raises:
            ServerError: it failed, and so has the transaction.
        """
        translated = self._translated(request)
        executed = self._executed(request)
        if executed is not None:
            self._misbehave(executed)
        statement = translate(executed) if executed is not None else None
        if statement and statement.copies and executed is not None:
            answer = self._copy(executed)
        else:
            if statement:
                self._prepare(statement)
            answer = self._forwarded(translated)
        if statement and statement.commits and not any(m.kind == b"E" for m in answer):
            answer[-1:] = self._committed(answer[-1])
        self.send(*(self._mend(message) for message in answer))

    def _translated(self, request: list[Message]) -> list[Message]:
        """Return the messages for PostgreSQL, with prepared statements translated."""
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
                self.send(error_message(failure.error, "FATAL"))
            if failure.fatal:
                raise ClosedError

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._refuse_gone_client(min(left, _POLL_SECONDS))

    def _prepare(self, statement: Statement) -> None:
        """Do what Redshift does before it runs a statement.

        Raises:
            ServerError: a MERGE's source has a key twice, or a table to lock is another user's.
        """
        if self.postgres.status != b"E":
            if statement.denied and self.postgres.query(statement.denied):
                self._raise(ServerError("42501", "permission denied: must be owner of relation"))
            if statement.writes:
                self._lock_table(statement.writes)
            if statement.repeated and self.postgres.query(statement.repeated):
                self._raise(ServerError("XX000", "Found multiple matches to update the same tuple"))

    def _lock_written(self, text: str) -> None:
        """Lock before PostgreSQL parses, which takes a weaker lock: two clients that then need more would deadlock."""
        table = None
        with suppress(ServerError):  # raised again where the statement is translated
            table = translate(text).writes
        if table:
            self._lock_table(table)

    def _lock_table(self, table: str) -> None:
        """Make writers of one table wait for each other, as in Redshift."""
        if self.postgres.status == b"T":
            self._query(f"lock table {table} in share row exclusive mode")

    def _query(self, sql: str) -> None:
        """Run a statement that may wait for another client's."""
        self.postgres.stream.send(Message(b"Q", sql.encode() + b"\0").encode())
        for message in self._answer():
            if message.kind == b"E":
                raise error_of(message)

    def _forwarded(self, request: list[Message]) -> list[Message]:
        data = b"".join(message.encode() for message in request)
        if self.cut == "inside":
            self.postgres.stream.send(data[: len(data) // 2])
            raise ClosedError
        self.postgres.stream.send(data)
        return self._answer()

    def _answer(self) -> list[Message]:
        """Wait for PostgreSQL's answer for as long as the client does."""
        while not select.select([self.postgres.stream.socket], [], [], 0)[0]:
            self._refuse_gone_client(_POLL_SECONDS)
        return self.postgres.answer()

    def _refuse_gone_client(self, seconds: float) -> None:
        """Wait for a message of PostgreSQL or the client, and end if the client has disconnected."""
        sockets = [self.client.socket, self.postgres.stream.socket]
        if self.client.socket in select.select(sockets, [], [], seconds)[0]:
            if not self.client.socket.recv(1, socket.MSG_PEEK):
                self.postgres.cancel()
                raise ClosedError
            time.sleep(seconds)

    def _raise(self, error: ServerError) -> None:
        """Make PostgreSQL raise an error, so that the transaction really fails."""
        options = f"errcode = {quote(error.sqlstate)}, message = {quote(error.message)}"
        if error.detail:
            options += f", detail = {quote(error.detail)}"
        self.postgres.query(f"do $standin$ begin raise exception using {options}; end $standin$")

    def _committed(self, ready: Message) -> list[Message]:
        if self.postgres.status == b"T":
            self.postgres.query("commit")
        return [ready._replace(body=self.postgres.status)]

    def _copy(self, sql: str) -> list[Message]:
        if self.postgres.status == b"E":
            text = "current transaction is aborted, commands ignored until end of transaction block"
            raise ServerError("25P02", text)
        try:
            self.proxy.loader.load(self.postgres, sql, self._lock_table, breaks=self.cut == "inside")
        except ServerError as error:
            if self.postgres.status != b"E":
                self._raise(error)
            raise
        return [Message(b"2"), Message(b"C", b"COPY\0"), Message(b"Z", self.postgres.status)]

    def _in_redshifts_words(self, error: ServerError) -> ServerError:
        return CONFLICTS[self.proxy.isolation] if error.sqlstate == SERIALIZATION_FAILURE else error

    def _mend(self, message: Message) -> Message:
        return error_message(self._in_redshifts_words(error_of(message))) if message.kind == b"E" else message

"""Faults that tests can order, and counts of what clients did."""

import re
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from tests.standin.errors import ServerError

When = Literal["before", "inside", "after", "answering"]
SERIALIZATION_FAILURE = "40001"
"""PostgreSQL's code for a conflict of two transactions."""


@dataclass
class Counts:
    """What clients sent, over all connections, since the last reset.

    A message is what a client sends before it waits for an answer, those of the login included. `statements`
    holds the texts that were executed or refused, in order.
    """

    connections: int = 0
    messages: int = 0
    statements: list[str] = field(default_factory=list)
    bytes_in: int = 0
    bytes_out: int = 0
    rows_copied: int = 0

    def starting(self, *words: str) -> int:
        """Count the statements that start with one of some words."""
        return sum(statement.lstrip().lower().startswith(words) for statement in self.statements)


@dataclass
class Cut:
    """The connection breaks at the n-th message."""

    at: int
    when: When


@dataclass
class Failure:
    """The next statements that match fail, or wait first. `fatal` closes the connection as well.

    The first ones that match, as many as `after` says, pass.
    """

    pattern: re.Pattern[str]
    error: ServerError | None
    times: int
    seconds: float = 0
    fatal: bool = False
    after: int = 0


class Faults:
    """The faults that are ordered. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Cancel every fault and reset every count."""
        with self._lock:
            self.counts = Counts()
            self._cuts: list[Cut] = []
            self._statements: list[Failure] = []
            self._startups: list[Failure] = []
            self._slow_downs = 0

    def cut(self, at: int, when: When = "before") -> None:
        """Close the connection at the n-th message from now on, of all clients.

        `before` the server gets it, with half of its bytes `inside` the server, `after` the server acted on
        it, and before its answer reaches the client, or `answering`: with half of the answer's bytes at the client.
        """
        with self._lock:
            self._cuts.append(Cut(self.counts.messages + at, when))

    def hang_up(self, *, pattern: str, times: int = 1) -> None:
        """Close the connection when the next statements arrive that match a pattern."""
        self._order(self._statements, Failure(_compiled(pattern), None, times, fatal=True))

    def fail(self, sqlstate: str, message: str, *, pattern: str = "", times: int = 1, fatal: bool = False) -> None:
        """Answer the next statements that match a pattern with an error, and close the connection if it is fatal."""
        self._order(self._statements, Failure(_compiled(pattern), ServerError(sqlstate, message), times, fatal=fatal))

    def conflict(self, *, pattern: str = "", times: int = 1, after: int = 0) -> None:
        """Let another transaction be in the way of the next statements that match, after some that do not fail.

        The server says so in the words of its isolation level.
        """
        error = ServerError(SERIALIZATION_FAILURE, "could not serialize access")
        self._order(self._statements, Failure(_compiled(pattern), error, times, after=after))

    def refuse_connections(self, sqlstate: str, message: str, *, times: int = 1) -> None:
        """Refuse the next connections, as a cluster that is paused, resuming or full does."""
        error = ServerError(sqlstate, message)
        self._order(self._startups, Failure(_compiled(""), error, times, fatal=True))

    def slow(self, seconds: float, *, pattern: str = "", times: int = 1) -> None:
        """Wait before the next statements that match run."""
        self._order(self._statements, Failure(_compiled(pattern), None, times, seconds))

    def s3_slow_down(self, times: int = 1) -> None:
        """Make S3 throttle the next COPYs."""
        with self._lock:
            self._slow_downs += times

    def take_message(self, size: int) -> When | None:
        """Count a message, and return whether and when it is cut."""
        with self._lock:
            self.counts.messages += 1
            self.counts.bytes_in += size
            return next((cut.when for cut in self._cuts if cut.at == self.counts.messages), None)

    def take_statement(self, sql: str) -> list[Failure]:
        """Record a statement, and return what should happen to it."""
        with self._lock:
            self.counts.statements.append(sql)
            return _take(self._statements, sql)

    def take_startup(self) -> list[Failure]:
        with self._lock:
            self.counts.connections += 1
            return _take(self._startups, "")

    def take_slow_down(self) -> bool:
        with self._lock:
            due = self._slow_downs > 0
            self._slow_downs -= due
            return due

    def count(self, *, bytes_out: int = 0, rows_copied: int = 0) -> None:
        with self._lock:
            self.counts.bytes_out += bytes_out
            self.counts.rows_copied += rows_copied

    def _order(self, orders: list[Failure], failure: Failure) -> None:
        with self._lock:
            orders.append(failure)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _take(orders: list[Failure], sql: str) -> list[Failure]:
    matching = [order for order in orders if order.pattern.search(sql) and order.times]
    taken = [order for order in matching if not order.after]
    for order in matching:
        order.times -= order in taken
        order.after -= order not in taken
    return taken

"""Stops the transactions of an interrupted run, in whichever thread, before its lease is given back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

_RETRY_SECONDS = 0.05  # an interrupt between two statements does nothing


class Stopped(KeyboardInterrupt):
    """The run was interrupted while another of its threads worked."""


class _Work:
    """What is under way in this process, each with the function that interrupts it."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.interrupts: list[Callable[[], None]] = []
        self.is_stopping = False

    def refuse_if_stopping(self) -> None:
        if self.is_stopping:
            raise Stopped

    @contextmanager
    def stoppable(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Let `stopped` end the block, by `interrupt` from another thread.

        Raises:
            Stopped: it did, or the block would begin while it stops others.
        """
        self.refuse_if_stopping()
        with self.changed:
            self.interrupts.append(interrupt)
        try:
            yield
        except Exception:
            self.refuse_if_stopping()  # otherwise an interrupted statement would look like a failure of its own
            raise
        finally:
            with self.changed:
                self.interrupts.remove(interrupt)
                self.changed.notify_all()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop what is under way and wait until it has ended. Nothing else begins until the block ends."""
        self.is_stopping = True
        try:
            with self.changed:
                while self.interrupts:
                    for interrupt in self.interrupts:
                        interrupt()
                    self.changed.wait(_RETRY_SECONDS)
            yield
        finally:
            self.is_stopping = False


WORK = _Work()

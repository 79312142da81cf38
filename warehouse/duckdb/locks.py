"""Redshift's table locks, for DuckDB, which has none. They are held within one process."""

from collections import defaultdict
from collections.abc import Set
from threading import Condition
from typing import Literal

from warehouse.errors import PermanentError

Lock = Literal["read", "write", "exclusive"]

_CONFLICTS: dict[Lock, set[Lock]] = {
    "read": {"exclusive"},
    "write": {"write", "exclusive"},
    "exclusive": {"read", "write", "exclusive"},
}


class TableLocks:
    """Locks that transactions hold on tables until they end.

    They are Redshift's: AccessShare (SELECT, here "read"), ShareRowExclusive (writes) and AccessExclusive (LOCK TABLE).
    The owner is an object that identifies the transaction.

    https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
    """

    def __init__(self) -> None:
        self._held: dict[tuple[object, str], set[Lock]] = defaultdict(set)
        self._changed = Condition()

    def acquire(self, owner: object, table: str, lock: Lock, timeout: float = 600) -> None:
        """Wait until no other owner holds a conflicting lock, then take it.

        Raises:
            PermanentError: the others did not release theirs within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._conflicts(owner, table, lock), timeout):
                raise PermanentError(
                    f"{table} is still in use by another transaction after {timeout:g} s. Retry when it has ended"
                )
            self._held[owner, table].add(lock)

    def release(self, owner: object) -> None:
        """Release all locks of an owner."""
        with self._changed:
            for key in [key for key in self._held if key[0] is owner]:
                del self._held[key]
            self._changed.notify_all()

    def _conflicts(self, owner: object, table: str, lock: Lock) -> Set[Lock]:
        others = (held for (who, what), held in self._held.items() if who is not owner and what == table)
        return _CONFLICTS[lock] & set().union(*others)

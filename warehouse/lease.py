"""One run at a time in a warehouse: a lease of one row, which a run holds from its start to its end.

Redshift's table locks make the lease safe. A task's transaction reads the lease first, so it holds a share lock on it
until it ends. A run that takes the lease locks the whole table, so it waits for those transactions to end. Whoever
holds the lease therefore knows that no task of an earlier run can still commit.

A heartbeat renews the lease, so it outlasts any statement. A run that died renews nothing, and its lease ends soon.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from warehouse.errors import LeaseHeldError, LeaseLostError

LEASE_SECONDS = 120

DDL = """\
create table if not exists run_lease (
    holder varchar(256) not null,
    expires_at timestamp not null
)
diststyle all"""


def look(connection: Connection, holder: str) -> datetime:
    """Return the time of the warehouse's clock at which nobody else holds the lease.

    To be asked before `take`, in a transaction of its own. A LOCK that waits makes heartbeats wait behind it, so that
    a living run would lose its lease: nobody may ask for one as long as the lease is held.

    Raises:
        LeaseHeldError: another run holds it.
    """
    now: datetime = connection.exec_driver_sql("select getdate()").scalar_one()
    _refuse_other(connection, holder, since=now)
    return now


def take(connection: Connection, holder: str, seen_free: datetime) -> None:
    """Take the lease, which was seen to be free at some time, unless it has been taken or renewed meanwhile.

    That time decides also after a wait for the lock: whoever read the lease later has seen it expired.

    Raises:
        LeaseHeldError: another run holds it.
    """
    # waits for every task that has read the lease, and makes later readers wait until this transaction ends
    connection.exec_driver_sql("lock table run_lease")
    _refuse_other(connection, holder, since=seen_free)
    connection.exec_driver_sql("delete from run_lease")
    connection.execute(text(f"insert into run_lease values (:holder, {_in(LEASE_SECONDS)})"), {"holder": holder})


def is_renewal_due(connection: Connection, holder: str) -> bool:
    """Whether heartbeats have failed to renew the lease.

    Tasks ask this first, because even an UPDATE that changes no row takes a lock, and tasks of one run would wait for
    each other or conflict.
    """
    query = f"select 1 from run_lease where holder = :holder and expires_at < {_in(LEASE_SECONDS // 2)}"
    return connection.execute(text(query), {"holder": holder}).first() is not None


def renew(connection: Connection, holder: str) -> None:
    """Extend the lease, even if it has expired and nobody has taken it. Runs in a transaction of its own."""
    statement = f"update run_lease set expires_at = {_in(LEASE_SECONDS)} where holder = :holder"
    connection.execute(text(statement), {"holder": holder})


def beat(connection: Connection, holder: str) -> None:
    """Extend the lease if it has not expired: one that was given back stays so. Runs in a transaction of its own."""
    held = "holder = :holder and expires_at > getdate()"
    statement = f"update run_lease set expires_at = {_in(LEASE_SECONDS)} where {held}"
    connection.execute(text(statement), {"holder": holder})


def verify(connection: Connection, holder: str) -> None:
    """Make sure that no other run can load until this transaction ends. Has to be its first statement.

    A run that takes the lease may have locked the table before that, and this statement may see the lease as it was
    before the wait. It then has expired, by the clock of the other run, which may be ahead by a moment.

    Raises:
        LeaseLostError: another run holds the lease, or none does.
    """
    _refuse_other(connection, holder)
    query = f"select 1 from run_lease where holder = :holder and expires_at >= {_in(LEASE_SECONDS // 4)}"
    if not connection.execute(text(query), {"holder": holder}).first():
        raise LeaseLostError(f"{holder} no longer holds the lease of the warehouse. Start a new run")


def release(connection: Connection, holder: str) -> None:
    """Give the lease back if the holder still has it. It expires now, so its time says when the last run ended."""
    connection.execute(text("update run_lease set expires_at = getdate() where holder = :holder"), {"holder": holder})


def _in(seconds: int) -> str:
    return f"dateadd(second, {seconds}, getdate())"


def _refuse_other(connection: Connection, holder: str, since: datetime | None = None) -> None:
    moment = ":since" if since else "getdate()"
    query = text(f"select holder, expires_at from run_lease where holder <> :holder and expires_at > {moment}")
    other = connection.execute(query, {"holder": holder, "since": since}).first()
    if other:
        raise LeaseHeldError(other.holder, other.expires_at)

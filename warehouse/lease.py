"""One run at a time in a warehouse: a lease of one row, which a run holds from its start to its end.

Redshift's table locks make the lease safe. A task's transaction reads the lease first, so it holds a share lock on it
until it ends. A run that takes the lease locks the whole table, so it waits for those transactions to end. Whoever
holds the lease therefore knows that no task of an earlier run can still commit.
"""

from sqlalchemy import Connection, text

from warehouse.errors import LeaseLostError

LEASE_SECONDS = 900

DDL = """\
create table if not exists run_lease (
    holder varchar(256) not null,
    expires_at timestamp not null
)
diststyle all"""

_RENEWED_BELOW_SECONDS = 600
_NEEDED_SECONDS = 300
"""A task does not start with less time than this left.

A run that wants the lease may have locked the table just before the task's first read. The task then waits for that
lock, and the margin makes sure that the other run still saw a valid lease and gave up.
"""

_EXPIRY = f"dateadd(second, {LEASE_SECONDS}, getdate())"


def take(connection: Connection, holder: str) -> None:
    """Take the lease if it is free, expired or the holder's own.

    Raises:
        LeaseLostError: another run holds the lease.
    """
    # waits for every task that has read the lease, and makes later readers wait until this transaction ends
    connection.exec_driver_sql("lock table run_lease")
    _refuse_other(connection, holder)
    connection.exec_driver_sql("delete from run_lease")
    connection.execute(text(f"insert into run_lease values (:holder, {_EXPIRY})"), {"holder": holder})


def is_renewal_due(connection: Connection, holder: str) -> bool:
    """Whether the lease should be renewed.

    Tasks ask this first, because even an UPDATE that changes no row takes a lock, and tasks of one run would wait for
    each other or conflict.
    """
    query = f"select 1 from run_lease where holder = :holder and {_expires_within(_RENEWED_BELOW_SECONDS)}"
    return connection.execute(text(query), {"holder": holder}).first() is not None


def renew(connection: Connection, holder: str) -> None:
    """Extend the lease if it expires soon. Runs in a transaction of its own, so that tasks of one run do not wait."""
    due = _expires_within(_RENEWED_BELOW_SECONDS)
    statement = f"update run_lease set expires_at = {_EXPIRY} where holder = :holder and {due}"
    connection.execute(text(statement), {"holder": holder})


def verify(connection: Connection, holder: str) -> None:
    """Make sure that no other run can load until this transaction ends. Has to be its first statement.

    Raises:
        LeaseLostError: another run holds the lease, or none does.
    """
    _refuse_other(connection, holder)
    query = f"select 1 from run_lease where holder = :holder and not {_expires_within(_NEEDED_SECONDS)}"
    if not connection.execute(text(query), {"holder": holder}).first():
        raise LeaseLostError(f"{holder} no longer holds the lease of the warehouse. Start a new run")


def release(connection: Connection, holder: str) -> None:
    """Give the lease back if the holder still has it. It expires now, so its time says when the last run ended."""
    connection.execute(text("update run_lease set expires_at = getdate() where holder = :holder"), {"holder": holder})


def _expires_within(seconds: int) -> str:
    return f"expires_at < dateadd(second, {seconds}, getdate())"


def _refuse_other(connection: Connection, holder: str) -> None:
    query = text("select holder, expires_at from run_lease where holder <> :holder and expires_at > getdate()")
    other = connection.execute(query, {"holder": holder}).first()
    if other:
        raise LeaseLostError(
            f"the warehouse is in use by {other.holder} until {other.expires_at:%Y-%m-%d %H:%M:%S} UTC at the latest. "
            "Wait for that run to end, or stop it"
        )

"""One run at a time in a warehouse: a lease of one row, which a run holds from its start to its end.

Redshift's table locks make it safe. A task's transaction reads the lease first, and so holds a share
lock on it until it ends; a run that takes the lease locks the table, and so waits for such transactions.
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
"""A task does not begin with less: so long, a taker that locked the table just before it sees no expired lease."""

_EXPIRY = f"dateadd(second, {LEASE_SECONDS}, getdate())"


def take(connection: Connection, holder: str) -> None:
    """Take the lease: it must be free, expired, or the holder's own.

    Raises:
        LeaseLostError: another run holds the lease.
    """
    connection.exec_driver_sql("lock table run_lease")
    _refuse_other(connection, holder)
    connection.exec_driver_sql("delete from run_lease")
    connection.execute(text(f"insert into run_lease values (:holder, {_EXPIRY})"), {"holder": holder})


def is_due(connection: Connection, holder: str) -> bool:
    """Whether the lease is to be renewed. Read first, as even an update of no row would have tasks wait or conflict."""
    query = f"select 1 from run_lease where holder = :holder and {_left(_RENEWED_BELOW_SECONDS)}"
    return connection.execute(text(query), {"holder": holder}).first() is not None


def renew(connection: Connection, holder: str) -> None:
    """Put the lease's expiry off, if it is near. In a transaction of its own: tasks of one run do not wait for it."""
    statement = (
        f"update run_lease set expires_at = {_EXPIRY} where holder = :holder and {_left(_RENEWED_BELOW_SECONDS)}"
    )
    connection.execute(text(statement), {"holder": holder})


def verify(connection: Connection, holder: str) -> None:
    """Make sure, until the end of the transaction, that no other run can load. Its first statement.

    Raises:
        LeaseLostError: another run holds the lease, or none does.
    """
    _refuse_other(connection, holder)
    query = f"select 1 from run_lease where holder = :holder and not {_left(_NEEDED_SECONDS)}"
    if not connection.execute(text(query), {"holder": holder}).first():
        raise LeaseLostError(f"{holder} no longer holds the lease of the warehouse: start a new run")


def release(connection: Connection, holder: str) -> None:
    """Give the lease back, if it is still the holder's: it expires now, and so tells when the last run ended."""
    connection.execute(text("update run_lease set expires_at = getdate() where holder = :holder"), {"holder": holder})


def _left(seconds: int) -> str:
    return f"expires_at < dateadd(second, {seconds}, getdate())"


def _refuse_other(connection: Connection, holder: str) -> None:
    query = text("select holder, expires_at from run_lease where holder <> :holder and expires_at > getdate()")
    other = connection.execute(query, {"holder": holder}).first()
    if other:
        raise LeaseLostError(
            f"the warehouse is in use by {other.holder} until {other.expires_at:%Y-%m-%d %H:%M:%S} UTC, or until it "
            "ends before: wait for it, or stop it"
        )

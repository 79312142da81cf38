"""The isolation levels that a database of Redshift can have, and what it says when two transactions are in conflict.

https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
"""

from typing import Literal

from tests.standin.errors import ServerError

Isolation = Literal["snapshot", "serializable"]

IN_POSTGRESQL: dict[Isolation, str] = {"snapshot": "repeatable read", "serializable": "serializable"}

CONFLICTS: dict[Isolation, ServerError] = {
    "snapshot": ServerError("XX000", "could not complete because of conflict with concurrent transaction"),
    "serializable": ServerError(
        "XX000",
        "1023",
        "Serializable isolation violation on table - 100167, "
        "transactions forming the cycle are: 1745830, 1745762 (pid:15021)",
    ),
}

"""What the server answers over the wire, and whether a retry may help."""

import pickle
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from redshift_connector.error import InterfaceError, ProgrammingError

from sql import catalog
from tasks.create_tables import create_tables
from tests.standin import Standin
from tests.standin.faults import Faults, When
from tests.standin.isolation import CONFLICTS, Isolation
from tests.support.copying import copy_all
from tests.support.warehouses import BUCKET, Place, redshift_place, stage_next
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import ChecksFailedError, PermanentError, TransientError, is_transient
from warehouse.files import SourceFile
from warehouse.redshift.errors import ROLLED_BACK, TRANSIENT, explain
from warehouse.sources import Arrivals, Source
from warehouse.target import REDSHIFT_DRIVER

SONG = b'{"song_id": "a", "artist_id": "b", "title": "c"}'
Order = Callable[[Faults], None]


@pytest.fixture
def warehouse(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The stand-in with all tables, leased by a run."""
    place = redshift_place(standin, monkeypatch)
    open_warehouse(place.target).take_lease()
    create_tables.fn(place.target, catalog.TABLES)
    return place


def failure(place: Place, statement: str = "select count(*) from songs") -> Exception:
    """Run a statement in a task that fails, and return the error."""
    with pytest.raises((TransientError, PermanentError)) as raised, open_warehouse(place.target).task() as connection:
        connection.exec_driver_sql(statement)
    return raised.value


def staging_failure(place: Place, source: str, *, max_errors: int = 0) -> Exception:
    with pytest.raises((TransientError, PermanentError)) as raised, disable_run_logger():
        stage_next(place.target, Source(catalog.STAGING_SONGS, source, max_errors=max_errors))
    return raised.value


def login(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, *, ssl: dict[str, Any] | None = None, **given: Any
) -> None:
    """Replace the warehouse's block by one that differs from the right one."""
    right = {"username": standin.user, "password": standin.password, "host": standin.host, "port": standin.port}
    components = ConnectionComponents(driver=REDSHIFT_DRIVER, **({"database": standin.database} | right | given))
    block = SqlAlchemyConnector(connection_info=components, connect_args=ssl or {"ssl": False})
    monkeypatch.setattr(blocks, "load_connector", lambda _: block)


def assert_permanent(error: Exception, *words: str) -> None:
    """Assert that an error is not retried, contains all the words, and can be stored by Prefect."""
    assert not is_transient(error)
    assert [word for word in words if word not in str(error)] == []
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def refuses(sqlstate: str, message: str) -> Order:
    return lambda faults: faults.refuse_connections(sqlstate, message)


def answers(sqlstate: str, message: str, *, pattern: str = "^select count", fatal: bool = False) -> Order:
    return lambda faults: faults.fail(sqlstate, message, pattern=pattern, fatal=fatal)


def in_copy(message: str) -> Order:
    return answers("XX000", message, pattern="^copy")


PAUSED = "The cluster is paused; resume it to connect"
PASSING: dict[str, list[Order]] = {
    "the cluster is paused or resuming": [
        refuses("XX000", PAUSED),
        refuses("57000", "The workgroup is being resumed, try again later"),
        refuses("XX000", "cluster is resuming"),
        answers("XX000", PAUSED, fatal=True),
    ],
    "the connection was lost": [
        answers("08006", "connection failure"),
        answers("08P01", "protocol violation", fatal=True),
        refuses("08004", "server rejected the connection"),
    ],
    "the server ended the session": [
        answers("57P01", "terminating connection due to administrator command", fatal=True),
        answers("57P01", "terminating connection due to administrator command", pattern="^commit", fatal=True),
        answers("57P02", "terminating connection because of crash of another server process", fatal=True),
        refuses("57P03", "the database system is starting up"),
    ],
    "there are too many connections": [
        refuses("53300", "sorry, too many clients already"),
        refuses("XX000", 'too many connections for user "sparkify"'),
        refuses("XX000", 'connection limit "500" exceeded for non-bootstrap users'),
    ],
    "two transactions were in conflict": [
        lambda faults: faults.conflict(pattern="^select count"),
        lambda faults: faults.conflict(pattern="^commit"),
        answers("40001", "could not serialize access"),
    ],
    "two transactions waited for each other": [answers("40P01", "deadlock detected")],
    "S3 asked for fewer requests": [lambda faults: faults.s3_slow_down(), in_copy("SlowDown")],
    "S3 was not ready": [
        in_copy("S3ServiceException:We encountered an internal error.,Status 500,Error InternalError,Rid A,CanRetry 1"),
        in_copy("S3ServiceException:Please try again.,Status 503,Error ServiceUnavailable,Rid A,CanRetry 1"),
        in_copy("S3CurlException: idle,Status 400,Error RequestTimeout,Rid A,CanRetry 1"),
    ],
    "AWS asked for fewer requests": [in_copy("Throttling: Rate exceeded"), in_copy("TooManyRequestsException")],
}


def test_every_transient_cause_is_tested() -> None:
    assert list(PASSING) == [cause.name for cause in TRANSIENT]


LOST, ENDED, FULL = "the connection was lost", "the server ended the session", "there are too many connections"
CONFLICT, THROTTLED, PAUSING = "two transactions were in conflict", "AWS asked for fewer requests", next(iter(PASSING))
SLOW, NOT_READY = "S3 asked for fewer requests", "S3 was not ready"
MEANINGS = [
    ("08000", "", LOST), ("08P01", "", LOST), ("57P01", "", ENDED), ("57P02", "", ENDED), ("57P03", "", ENDED),
    ("57P04", "database dropped", ""), ("57014", "canceling statement", ""),
    ("53300", "", FULL), ("XX000", "sorry, Too many clients already", FULL), ("XX000", "too many connections", FULL),
    ("XX000", 'Connection limit "500" exceeded', FULL), ("53200", "out of memory", ""),
    ("40001", "", CONFLICT), ("XX000", "1023", CONFLICT), ("XX000", "Serializable isolation violation", CONFLICT),
    ("XX000", "could not complete because of conflict with concurrent transaction", CONFLICT),
    ("XX000", "10231", ""), ("XX000", "pid=1023", ""), ("40P01", "", "two transactions waited for each other"),
    ("40002", "", ""),
    ("XX000", "S3ServiceException: SlowDown", SLOW), ("XX000", "Please reduce your request rate.", SLOW),
    ("XX000", "S3ServiceException:x,Error InternalError", NOT_READY),
    ("XX000", "S3ServiceException:x,Error ServiceUnavailable", NOT_READY),
    ("XX000", "S3CurlException:x,Error RequestTimeout", NOT_READY),
    ("XX000", "S3ServiceException:x,Status 500", NOT_READY), ("XX000", "S3ServiceException:x,Status 503", NOT_READY),
    ("XX000", "S3ServiceException:x,Status 403", ""), ("XX000", "InternalError", ""),
    ("XX000", "Throttling: rate exceeded", THROTTLED), ("XX000", "TooManyRequestsException", THROTTLED),
    *(("XX000", f"The cluster {words}", PAUSING) for words in ("is paused", "is resuming", "is pausing")),
    *(("XX000", f"The workgroup is being {words}", PAUSING) for words in ("paused", "resumed", "pausing")),
    ("42601", "the column paused is", ""), ("58030", "could not read file", ""), ("23505", "duplicate key", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sqlstate", "message", "cause"), MEANINGS)
def test_each_code_and_message_has_its_cause(sqlstate: str, message: str, cause: str) -> None:
    meaning = explain(ProgrammingError({"C": sqlstate, "M": message}))
    assert is_transient(meaning) == bool(cause), f"SQLSTATE {sqlstate}, {message!r}: {cause or 'it does not pass'}"
    assert str(meaning).startswith(cause or "Redshift refused")


ADVISED = {
    "Fix the user and the password": [("28000", ""), ("28P01", ""), ("", "no password was provided")],
    "Name an existing database": [("3D000", "")],
    "Fix the SQL file": [("42601", "")],
    "Grant the privileges that a loader needs": [("42501", "")],
    "Set a longer statement_timeout": [("57014", "")],
    "Check host and port": [("", "Server refuses SSL")],
    "Use the host name in the server's certificate": [("", "CERTIFICATE_VERIFY_FAILED")],
    "Name a prefix that keys in the bucket start with": [
        ("XX000", "The specified S3 prefix 'x' does not exist"), ("XX000", "NoSuchKey"), ("XX000", "NoSuchBucket"),
    ],
    "Allow COPY's role or keys s3:ListBucket": [
        ("XX000", "S3ServiceException:Access Denied"), ("XX000", "S3ServiceException:AccessDenied"),
        ("XX000", "User is not authorized to assume IAM Role"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("advice", ADVISED)
def test_each_permanent_error_says_what_to_do(advice: str) -> None:
    for sqlstate, message in ADVISED[advice]:
        error = explain(ProgrammingError({"C": sqlstate, "M": message}))
        assert_permanent(error, advice)


@pytest.mark.parametrize(
    "reason",
    ["Server refuses SSL", "CERTIFICATE_VERIFY_FAILED", "no password was provided", "password authentication failed",
     "method not supported"],
)  # fmt: skip
def test_a_login_that_no_retry_can_fix_is_permanent(reason: str) -> None:
    assert not is_transient(explain(InterfaceError(reason))), reason
    assert is_transient(explain(InterfaceError("communication error")))


@pytest.mark.parametrize(
    ("name", "order"),
    [(name, order) for name, orders in PASSING.items() for order in orders],
)
def test_a_transient_error_is_retryable_and_rolled_back(
    standin: Standin, warehouse: Place, name: str, order: Order
) -> None:
    """A row is inserted, then the server fails at a given point. A retry finds nothing of the row."""
    source = standin.put(f"{BUCKET}/songs/a.json", SONG)
    standin.faults.clear()
    order(standin.faults)
    with pytest.raises(TransientError) as raised:
        count_and_copy(warehouse, source)
    assert is_transient(raised.value)
    assert str(raised.value).startswith(f"{name}, and {ROLLED_BACK}: ")
    count_and_copy(warehouse, source)


@pytest.mark.parametrize("level", CONFLICTS)
def test_a_conflict_is_transient_in_each_isolation_level(standin: Standin, warehouse: Place, level: Isolation) -> None:
    """Whatever the statement: each message of a task is tried, its COMMITs and its COPY included."""
    source = standin.put(f"{BUCKET}/songs/a.json", SONG)
    standin.isolate(level)
    standin.faults.clear()
    count_and_copy(warehouse, source)
    sent = list(standin.counts.statements)
    assert [sum(text.startswith(word) for text in sent) for word in ("commit", "copy")] == [2, 1]
    for number in range(len(sent)):
        standin.admin.query("delete from sparkify.songs; delete from sparkify.staging_songs")
        standin.faults.clear()
        standin.faults.conflict(after=number)
        with pytest.raises(TransientError, match=f"^two transactions were in conflict, and {ROLLED_BACK}: "):
            count_and_copy(warehouse, source)
    count_and_copy(warehouse, source)


def count_and_copy(place: Place, source: str) -> None:
    with open_warehouse(place.target).task() as connection:
        connection.exec_driver_sql("insert into songs (song_id, title, artist_id) select 'a', 'b', 'c'")
        assert connection.exec_driver_sql("select count(*) from songs").scalar_one() == 1
        copy_all(open_warehouse(place.target), connection, Source(catalog.STAGING_SONGS, source))
        assert connection.exec_driver_sql("select count(*) from staging_songs").scalar_one() == 1


PLACES: list[When] = ["before", "inside", "after", "answering"]


@pytest.mark.parametrize("when", PLACES)
def test_a_connection_lost_at_any_message_is_transient(standin: Standin, warehouse: Place, when: When) -> None:
    """During the login, the driver's own queries, the statements and each COMMIT."""
    standin.faults.clear()
    delete_songs(warehouse)
    messages = standin.counts.messages
    assert messages > 15
    for at in range(1, messages + 1):
        standin.faults.cut(at, when)
        with pytest.raises(TransientError, match=ROLLED_BACK):
            delete_songs(warehouse)
    delete_songs(warehouse)


def delete_songs(place: Place) -> None:
    with open_warehouse(place.target).task() as connection:
        connection.exec_driver_sql("delete from songs")


def test_an_unreachable_server_is_transient(
    standin: Standin, warehouse: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    login(standin, monkeypatch, port=port)
    assert is_transient(failure(warehouse))


# what does not pass


def test_a_syntax_error_is_permanent(warehouse: Place) -> None:
    error = failure(warehouse, "selekt 1")
    assert_permanent(error, "Redshift refused: syntax error", "(SQLSTATE 42601)", "Fix the SQL file", "\nselekt 1")


def test_a_missing_privilege_is_permanent(standin: Standin, warehouse: Place) -> None:
    standin.admin.query("revoke all on sparkify.songs from sparkify")
    error = failure(warehouse)
    assert_permanent(error, "permission denied for", "songs", "(SQLSTATE 42501)", "docs/redshift.md")


def test_a_missing_table_is_permanent(warehouse: Place) -> None:
    assert_permanent(
        failure(warehouse, "select * from nothing"), 'relation "nothing" does not exist', "(SQLSTATE 42P01)"
    )


def test_a_statement_over_the_timeout_is_cancelled(standin: Standin, warehouse: Place) -> None:
    impatient = replace(warehouse, target=replace(warehouse.target, statement_timeout=1))
    standin.admin.query("begin; lock table sparkify.songs")
    try:
        assert_permanent(failure(impatient), "(SQLSTATE 57014)", "Set a longer statement_timeout")
    finally:
        standin.admin.query("rollback")


def test_missing_objects_are_permanent(standin: Standin, warehouse: Place) -> None:
    """They may be gone since they were listed."""
    reason = "The specified S3 prefix 'nothing/' does not exist"
    advice = "Name a prefix that keys in the bucket start with"
    assert_permanent(staging_failure(warehouse, f"{BUCKET}/nothing/"), reason, advice)
    source = Source(catalog.STAGING_SONGS, f"{BUCKET}/nothing/")
    gone = Arrivals([SourceFile(f"{BUCKET}/nothing/a", 1, "x", datetime.now(UTC))])
    opened = open_warehouse(warehouse.target)
    with pytest.raises(PermanentError) as raised, opened.task() as connection:
        opened.copy(connection, source, gone, lambda news: None)
    assert_permanent(raised.value, "staging_songs: nothing was loaded from", reason, "8001", advice)


def test_a_permanent_error_that_mentions_1023_stays_permanent(standin: Standin, warehouse: Place) -> None:
    message = "The specified S3 prefix 'a' does not exist query: 1023 process: padbmaster [pid=1023]"
    standin.put(f"{BUCKET}/a/x", SONG)
    standin.faults.fail("XX000", message, pattern="^copy")
    assert_permanent(staging_failure(warehouse, f"{BUCKET}/a/"), "[pid=1023]")


def test_rejected_records_are_permanent(standin: Standin, warehouse: Place) -> None:
    source = standin.put(f"{BUCKET}/songs/a.json", SONG + b'\n{"song_id": "b", "artist_id": "b", "year": "x"}')
    error = staging_failure(warehouse, source)
    assert_permanent(error, "a.json, line 2", "column year", "value 'x'", "set --max-errors 1 or higher")


def test_an_unreadable_bucket_is_permanent(standin: Standin, warehouse: Place) -> None:
    standin.put(f"{BUCKET}/a/x", SONG)
    standin.faults.fail("XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied", pattern="^copy")
    assert_permanent(staging_failure(warehouse, f"{BUCKET}/a/"), "Access Denied", "keys s3:ListBucket")


def test_a_failed_check_is_permanent() -> None:
    assert_permanent(ChecksFailedError("users_key_unique: 2 rows"), "users_key_unique")


LOGINS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "wrong password": ({"password": "wrong"}, ["(SQLSTATE 28P01)", "Fix the user and the password"]),
    "no password": ({"password": None}, ["(SQLSTATE 28P01)", "Fix the user and the password"]),
    "unknown user": ({"username": "nobody"}, ["(SQLSTATE 28P01)", "Fix the user and the password"]),
    "unknown database": (
        {"database": "none"},
        ['"none" does not exist', "(SQLSTATE 3D000)", "Name an existing database"],
    ),
}


@pytest.mark.parametrize(("given", "words"), LOGINS.values(), ids=LOGINS)
def test_a_refused_login_is_permanent(
    standin: Standin, warehouse: Place, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], words: list[str]
) -> None:
    login(standin, monkeypatch, **given)
    assert_permanent(failure(warehouse), *words)


@pytest.mark.filterwarnings("ignore:ssl:DeprecationWarning:redshift_connector")
@pytest.mark.parametrize("sslmode", ["verify-full", "verify-ca"])
def test_a_server_without_tls_is_refused(
    standin: Standin, warehouse: Place, monkeypatch: pytest.MonkeyPatch, sslmode: str
) -> None:
    login(standin, monkeypatch, ssl={"ssl": True, "sslmode": sslmode})
    assert_permanent(failure(warehouse), "Server refuses SSL", "Check host and port", '{"ssl": false}')


def test_unknown_connect_args_are_permanent(
    standin: Standin, warehouse: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    login(standin, monkeypatch, ssl={"ssl": False, "no_such_option": 1})
    assert_permanent(failure(warehouse), "cannot be reached with these settings", "no_such_option")

"""Planted secrets appear nowhere, whatever fails.

The one exception is prefect-aws's own repr of the AWS Credentials block, which holds the access key id and the session
token in clear; nothing of ours shows it.
"""

import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.logging import disable_run_logger
from prefect.logging.handlers import APILogHandler
from redshift_connector.error import ProgrammingError

import tasks.preflight
from flows.etl import TABLES, etl, sources_of
from flows.preflight import preflight
from tests.standin import Standin
from tests.standin.s3 import Keys
from tests.support.warehouses import BUCKET, JSONPATHS, SCHEMA, Place, connector, credentials
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError, TransientError
from warehouse.redshift.copy_statement import Access
from warehouse.redshift.errors import explain, redacted, secrets_in
from warehouse.redshift.warehouse import RedshiftWarehouse
from warehouse.s3.client import Keys as S3Keys
from warehouse.target import Target

PASSWORD = "p/w+Canary%1"
KEYS = Keys("AKIACANARYKEY", "canary/Secret+key'", "Canary//session+token=")
LOGGERS = {
    "": logging.INFO,
    "sqlalchemy.engine": logging.INFO,
    "redshift_connector": logging.INFO,
    "prefect": logging.DEBUG,
    "prefect.flow_runs": logging.DEBUG,
    "prefect.task_runs": logging.DEBUG,
}


class Records(logging.Handler):
    """Collects log records as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{self.format(record)} {record.args!r}")


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages of all loggers, at verbose levels."""
    handler = Records()
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name, level in LOGGERS.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addHandler(handler)
    yield handler.texts
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).removeHandler(handler)


@dataclass(frozen=True)
class Planted:
    """A stand-in that accepts the planted secrets, and the target and options that read them from blocks."""

    standin: Standin
    target: Target
    options: dict[str, Any]


@pytest.fixture(scope="module")
def _blocks(running_standin: Standin, prefect_server: None) -> None:
    """The blocks of somebody who holds the secrets."""
    holder = replace(running_standin, password=PASSWORD, keys=KEYS)
    connector(holder).save("planted-redshift", overwrite=True)
    block = credentials(holder)
    block.aws_session_token = KEYS.session_token
    block.save("planted-aws", overwrite=True)


@pytest.fixture
def planted(standin: Standin, _blocks: None, generated: Path) -> Iterator[Planted]:
    standin.admin.query(f"alter role {standin.user} password '{PASSWORD}'")
    standin.s3.keys = {KEYS}
    standin.put(f"{BUCKET}/{JSONPATHS.name}", JSONPATHS.read_bytes())
    log = next((generated / "log_data").rglob("*.json")).read_bytes()
    standin.put(f"{BUCKET}/log_data/a.json", log + b"\nnot JSON\n")
    standin.put(f"{BUCKET}/song_data/a.json", next((generated / "song_data").rglob("*.json")).read_bytes())
    options = {
        "log_data": f"{BUCKET}/log_data/", "song_data": f"{BUCKET}/song_data/",
        "warehouse": "planted-redshift", "aws_credentials": "planted-aws", "schema": SCHEMA, "max_errors": 1,
    }  # fmt: skip
    yield Planted(standin, Target("planted-redshift", SCHEMA, "test", aws_credentials="planted-aws"), options)
    standin.admin.query(f"alter role {standin.user} password '{standin.password}'")


def assert_clean(*texts: object) -> None:
    for text in texts:
        place = str(text).lower().find("canary")
        assert place < 0, f"a secret in: ...{str(text)[max(place - 300, 0) : place + 100]}"


def formatted(error: BaseException) -> str:
    """Return an exception with all its causes and contexts, even suppressed ones."""
    seen: list[BaseException | None] = [None]
    texts = []
    while error not in seen:
        seen.append(error)
        texts += [repr(error), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "\n".join(texts)


Fault = Callable[[Standin], object]

WRITTEN = KEYS.secret_access_key.replace("'", "''")
ECHO = f"syntax error at or near \"secret_access_key '{WRITTEN}'\", of {vars(KEYS)}"
"""A key as the statement has it, and all as they are."""
IN_TASKS: dict[str, tuple[Fault, str]] = {
    "preflight": (lambda s: s.faults.fail("42501", "permission denied", pattern="pg_tables"), "permission denied"),
    "trial of COPY": (lambda s: s.faults.fail("42601", ECHO, pattern="noload"), "syntax error"),
    "lease": (lambda s: s.faults.fail("42501", "permission denied", pattern="lock table run_lease"), "denied"),
    "create tables": (lambda s: s.faults.fail("42501", "permission denied", pattern="not exists songs"), "denied"),
    "COPY is cut": (lambda s: s.faults.fail("57P01", "ended", pattern="^copy staging", fatal=True), "the session"),
    "secret is wrong": (lambda s: swap_keys(s, replace(KEYS, secret_access_key="x")), "SignatureDoesNotMatch"),
    "token is wrong": (lambda s: swap_keys(s, replace(KEYS, session_token="x")), "InvalidToken"),
    "no JSONPaths": (lambda s: s.s3_client.delete_object(Bucket=BUCKET[5:], Key=JSONPATHS.name), "no such object"),
    "load": (lambda s: s.faults.fail("22012", "division by zero", pattern="insert into songplays"), "division by"),
    "check": (lambda s: s.faults.fail("57014", "cancelled", pattern=r"count\(\*\) over"), "cancelled"),
}
IN_FLOWS: dict[str, tuple[Fault, str]] = {
    "login": (lambda s: s.admin.query(f"alter role {s.user} password 'other'"), "password authentication failed"),
    "COPY is refused": (lambda s: s.faults.fail("42601", ECHO, pattern="^copy staging"), "syntax error"),
    "COPY is throttled": (
        lambda s: s.faults.fail("XX000", f"SlowDown {ECHO}", pattern="^copy s", times=99),
        "S3 asked",
    ),
    "keys are not known": (lambda s: s.s3.keys.clear(), "InvalidAccessKeyId"),
    "too many rejects": (lambda s: s.put(f"{BUCKET}/log_data/b.json", b"bad\n" * 9), "2 records rejected"),
    "load": (lambda s: s.faults.conflict(pattern="insert into users", times=99), "in conflict"),
}


def swap_keys(standin: Standin, keys: Keys) -> None:
    standin.s3.keys = {keys}


DRIVER_LEAVES_A_SOCKET = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize("what", IN_TASKS)
@DRIVER_LEAVES_A_SOCKET
def test_a_failed_task_reveals_no_secret(
    planted: Planted, logged: list[str], capfd: pytest.CaptureFixture[str], what: str
) -> None:
    fault, message = IN_TASKS[what]
    fault(planted.standin)
    with pytest.raises((PermanentError, TransientError), match=message) as caught:
        run_tasks(planted)
    assert_clean(formatted(caught.value), *logged, *capfd.readouterr(), *tables(planted))


def run_tasks(planted: Planted) -> None:
    logs, songs = planted.options["log_data"], planted.options["song_data"]
    with disable_run_logger():
        tasks.preflight.preflight.fn(planted.target, sources_of(logs, songs), TABLES)
    Place(planted.target, str).run(logs, songs, max_errors=1)


@pytest.mark.parametrize("what", IN_FLOWS)
@DRIVER_LEAVES_A_SOCKET
def test_a_failed_flow_reveals_no_secret(
    planted: Planted, logged: list[str], capfd: pytest.CaptureFixture[str], what: str
) -> None:
    fault, message = IN_FLOWS[what]
    fault(planted.standin)
    state = etl(**planted.options, return_state=True)
    assert state.is_failed()
    error = state.result(raise_on_failure=False)
    assert isinstance(error, Exception)
    assert message in str(error)
    assert_clean(formatted(error), state, *logged, *capfd.readouterr(), *kept_by_prefect(state), *tables(planted))


def kept_by_prefect(state: Any) -> list[str]:
    """Return everything that Prefect's server stores about a run."""
    APILogHandler().flush()
    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(
            task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run])), limit=200
        )
        kept = [client.read_flow_run(run), *tasks, *states(client, run, tasks)]
        kept += client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run])))
        kept += client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), limit=200)
    assert tasks
    return [model.model_dump_json() for model in kept]


def states(client: SyncPrefectClient, run: Any, tasks: list[Any]) -> list[Any]:
    found = client.read_flow_run_states(run)
    return [*found, *(state for task in tasks for state in client.read_task_run_states(task.id))]


def tables(planted: Planted) -> list[str]:
    """Return every row of every table, including the warehouse's own tables about COPY."""
    admin = planted.standin.admin
    names = admin.query("select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables "
                        "where schemaname not in ('pg_catalog', 'information_schema')")  # fmt: skip
    return [str(admin.query(f"select * from {name}")) for (name,) in names]


def test_a_successful_run_reveals_no_secret(
    planted: Planted, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    state = etl(**planted.options, return_state=True)
    summary = state.result()
    summary.show()
    preflight(**{name: value for name, value in planted.options.items() if name != "max_errors"})
    kept, rows = kept_by_prefect(state), tables(planted)
    assert any("sparkify-tables" in text for text in kept)
    assert any("not JSON" in text for text in rows)
    assert any("create table" in text for text in logged)
    assert_clean(summary, *logged, *capfd.readouterr(), *kept, *rows)
    assert any("canary" in statement.lower() for statement in planted.standin.counts.statements)


def test_a_plan_reveals_no_secret(planted: Planted, logged: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    state = etl(**planted.options, plan=True, return_state=True)
    plan = state.result()
    plan.show()
    out, err = capfd.readouterr()
    assert "access_key_id '***'" in out
    assert_clean(plan, out, err, *logged, *kept_by_prefect(state))


def test_no_repr_reveals_a_secret(planted: Planted) -> None:
    warehouse = open_warehouse(planted.target)
    assert isinstance(warehouse, RedshiftWarehouse)
    access = warehouse.access()
    assert access.keys
    assert access.keys.secret_key == KEYS.secret_access_key
    block = connector(replace(planted.standin, password=PASSWORD))
    shown = [
        planted.target,
        warehouse,
        warehouse.engine,
        warehouse.engine.url,
        warehouse.s3,
        access,
        access.keys,
        block,
    ]
    assert_clean(*map(repr, shown), *map(str, shown), block.model_dump_json(), vars(warehouse))
    aws = repr(warehouse.s3._block)
    assert KEYS.secret_access_key not in aws  # the other two are: see above


def test_an_error_without_an_answer_reveals_no_secret() -> None:
    access = Access(keys=S3Keys(KEYS.access_key_id, KEYS.secret_access_key, KEYS.session_token))
    statement = "\n".join(access.clauses())
    for error in (
        OSError(f"lost while sending {statement}"),
        ProgrammingError(str(vars(KEYS))),
        ValueError(vars(KEYS)),
    ):
        assert_clean(formatted(explain(error, secrets=secrets_in(statement))), redacted(statement))


@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_a_connection_lost_during_copy_reveals_no_secret(planted: Planted, logged: list[str], when: Any) -> None:
    warehouse = open_warehouse(planted.target)
    assert isinstance(warehouse, RedshiftWarehouse)
    from warehouse.redshift.copy import send  # the one door that keys go through

    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql("select 1")
        planted.standin.faults.cut(1, when)
        statement = "\n".join(["copy t from 's3://b/x'", *warehouse.access().clauses(), "format json 'auto'"])
        with pytest.raises(TransientError) as caught:
            send(connection, statement)
    assert_clean(formatted(caught.value), *logged)

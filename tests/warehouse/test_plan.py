"""`--plan` prints what a run sends to Redshift, and sends nothing."""

import re
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redshift_connector
from prefect.logging import disable_run_logger

from flows.etl import etl
from sql import catalog
from tasks.check import check
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.load import load_dimension, load_fact
from tasks.stage import stage
from tests.standin import Standin
from tests.support.warehouses import BUCKET, Place, declared, redshift
from warehouse.sources import Source
from warehouse.errors import CopyError, PermanentError
from warehouse.plan import Plan
from warehouse.tables import split_statements

LOGS, SONGS = f"{BUCKET}/log_data/", f"{BUCKET}/song_data/"
ROLE = "arn:aws:iam::123456789012:role/copy"

Task = Callable[[Place], Any]
TASKS: dict[str, Task] = {
    "take lease": lambda place: take_lease.fn(place.target),
    "create tables": lambda place: create_tables.fn(place.target, list(catalog.TABLES)),
    "stage staging_events": lambda place: stage.fn(place.target, Source(catalog.STAGING_EVENTS, LOGS, max_errors=1)),
    "stage staging_songs": lambda place: stage.fn(place.target, Source(catalog.STAGING_SONGS, SONGS, max_errors=1)),
    "load songplays": lambda place: load_fact.fn(place.target, declared("songplays"), "append"),
    "load users": lambda place: load_dimension.fn(place.target, declared("users"), "merge"),
    "load time": lambda place: load_dimension.fn(place.target, declared("time"), "append"),
    "check": lambda place: check.fn(place.target, list(catalog.TABLES), list(catalog.CHECKS)),
    "release lease": lambda place: release_lease.fn(place.target),
}


@pytest.fixture
def ready(standin: Standin, monkeypatch: pytest.MonkeyPatch, generated: Path) -> Place:
    place = redshift(standin, monkeypatch)
    standin.put_folder(LOGS, generated / "log_data")
    standin.put_folder(SONGS, generated / "song_data")
    return replace(place, target=replace(place.target, copy_role=ROLE))


def planned(tmp_path: Path, place: Place) -> dict[str, list[str]]:
    titles = iter(TASKS)
    plan = Plan(tmp_path, title=lambda: next(titles))
    with disable_run_logger():
        for run in TASKS.values():
            run(replace(place, target=replace(place.target, plan=plan)))
    return plan.groups


def sent(standin: Standin, place: Place) -> dict[str, list[str]]:
    groups = {}
    with disable_run_logger():
        for title, run in TASKS.items():
            before = len(standin.counts.statements)
            run(place)
            groups[title] = standin.counts.statements[before:]
    return groups


def comparable(statement: str) -> str:
    """A statement without its parameters' values and marks, and what the driver says in its own words."""
    words = " ".join(statement.lower().split())
    words = re.sub(r"'test run'|'sparkify'|(?<=load = )'\w+'|'\w+'(?= order by ordinal)|\$\d+|%s", "?", words)
    return words.replace("begin transaction", "begin").rstrip(";")


def test_what_is_planned_is_what_is_sent(tmp_path: Path, standin: Standin, ready: Place) -> None:
    plan, run = planned(tmp_path, ready), sent(standin, ready)
    for title in TASKS:
        assert [comparable(statement) for statement in plan[title]] == [
            comparable(statement) for statement in run[title]
        ], title


def test_nothing_is_sent_and_nothing_read(tmp_path: Path, ready: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert "copy staging_events" in str(planned(tmp_path, ready))


def by_hand(standin: Standin) -> Any:
    connection = redshift_connector.connect(
        host=standin.host, port=standin.port, user=standin.user, password=standin.password,
        database=standin.database, ssl=False,
    )  # fmt: skip
    connection.autocommit = True
    return connection


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    def plan(self, **options: Any) -> Plan:
        result = etl(LOGS, SONGS, plan=True, **{"warehouse": "sparkify-redshift", "copy_role": "default"} | options)
        assert isinstance(result, Plan)
        return result

    def test_it_is_sql_in_groups(self) -> None:
        plan = self.plan(schema="music", max_errors=5)
        side_by_side = [f"load {table.name}" for table in catalog.DIMENSIONS]
        groups = list(plan.groups)
        assert groups[:3] == ["preflight", "take lease", "create tables"]
        assert set(groups[3:5]) == {"stage staging_events", "stage staging_songs"}
        assert [groups[5], *groups[-2:]] == ["load songplays", "check", "release lease"]
        assert sorted(groups[6:-2]) == sorted(side_by_side)
        assert f"from '{LOGS}'\niam_role default\nformat json '{BUCKET}/log_json_path.json'" in str(plan)
        assert "maxerror 6" in str(plan)
        assert 'set search_path to "music";' in str(plan)

    def test_a_dba_can_run_it_as_it_stands(self, standin: Standin, ready: Place, generated: Path) -> None:
        plan = self.plan(schema="sparkify")
        with closing(by_hand(standin)) as connection:
            cursor = connection.cursor()
            for statement in split_statements(str(plan)):
                cursor.execute(statement)
        run_by_hand = ready.contents()
        ready.run(generated / "log_data", generated / "song_data")
        assert ready.contents() == run_by_hand

    def test_keys_are_not_in_it(self, standin: Standin, ready: Place) -> None:
        text = str(self.plan(copy_role="", aws_credentials="sparkify-aws"))
        assert "access_key_id '***'\nsecret_access_key '***'\nregion 'us-west-2'" in text
        assert standin.keys.secret_access_key not in text
        assert standin.keys.access_key_id not in text

    def test_it_is_of_redshift(self) -> None:
        with pytest.raises(PermanentError, match="plan: it is Redshift's statements"):
            self.plan(warehouse="duckdb:///w.duckdb")
        with pytest.raises(CopyError, match="Redshift loads from S3 only"):
            etl("data", "data", plan=True, warehouse="sparkify-redshift", copy_role="default")

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

from flows.etl import etl, sources_of
from sql import catalog
from tests.standin import Standin
from tests.support.warehouses import BUCKET, Place, redshift_place
from warehouse.errors import CopyError, PermanentError
from warehouse.plan import Plan
from warehouse.tables import split_statements

LOGS, SONGS = f"{BUCKET}/log_data/", f"{BUCKET}/song_data/"
ROLE = "arn:aws:iam::123456789012:role/copy"

SOURCES = sources_of(LOGS, SONGS, max_errors=1)


@pytest.fixture
def ready(standin: Standin, monkeypatch: pytest.MonkeyPatch, generated: Path) -> Place:
    place = redshift_place(standin, monkeypatch)
    standin.put_folder(LOGS, generated / "log_data")
    standin.put_folder(SONGS, generated / "song_data")
    return replace(place, target=replace(place.target, copy_role=ROLE))


def planned(folder: Path, place: Place) -> dict[str, list[str]]:
    """Return the statements of a run that only plans, by step."""

    def written() -> list[str]:
        return [statement for group in Plan.read(str(folder)).groups.values() for statement in group]

    return by_step(replace(place, target=replace(place.target, plan=str(folder))), written)


def by_step(place: Place, statements: Callable[[], list[str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for step in place.steps(SOURCES):
        before = sum(map(len, groups.values()))
        step.run(0)
        groups[step.name] = statements()[before:]
    return groups


def comparable(statement: str) -> str:
    """Return a statement without its parameters' values and marks, and without the driver's own wording."""
    words = " ".join(statement.lower().partition(" -- ")[0].split())
    values = r"'test run'|'sparkify'|(?<=(load|urce|name) = )'\w+'|(?<=batch_id = )\d+|'\w+'(?= order by ordinal)"
    values += r"|(?<=expires_at > )'[^']+'|(?<=check_name in )\(.*\)"
    words = re.sub(rf"{values}|\$\d+|%s", "?", words)
    words = re.sub(r"^(insert into (batches|loaded_files|table_loads|check_results) values ).*", r"\1?", words)
    return words.replace("begin transaction", "begin").rstrip(";")


def is_known_before(statement: str) -> bool:
    """Whether a plan can contain a statement. The preflight's COPY names an object, which S3 would have to list."""
    return not statement.lower().startswith("copy preflight")


def test_a_plan_equals_what_a_run_sends(tmp_path: Path, standin: Standin, ready: Place) -> None:
    before = len(standin.counts.statements)
    plan, run = planned(tmp_path, ready), by_step(ready, lambda: standin.counts.statements[before:])
    assert list(plan) == list(run)
    for step, statements in run.items():
        assert [*map(comparable, plan[step])] == [*map(comparable, filter(is_known_before, statements))], step


def test_planning_sends_and_reads_nothing(tmp_path: Path, ready: Place, monkeypatch: pytest.MonkeyPatch) -> None:
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

    def test_a_plan_is_sql_grouped_by_task(self) -> None:
        plan = self.plan(schema="music", max_errors=5)
        side_by_side = [f"load {table.name}" for table in catalog.DIMENSIONS]
        groups = list(plan.groups)
        assert groups[:5] == ["preflight", "take lease", "create tables", "describe tables", "open batch"]
        assert set(groups[5:7]) == {"stage staging_events", "stage staging_songs"}
        assert [groups[7], *groups[-2:]] == ["load songplays", "check", "release lease"]
        assert sorted(groups[8:-2]) == sorted(side_by_side)
        assert f"from '{LOGS}'\niam_role default\nformat json '{BUCKET}/log_json_path.json'" in str(plan)
        assert "maxerror 6" in str(plan)
        assert 'set search_path to "music";' in str(plan)

    def test_a_plan_can_be_run_as_is(self, standin: Standin, ready: Place, generated: Path) -> None:
        plan = self.plan(schema="sparkify")
        with closing(by_hand(standin)) as connection:
            cursor = connection.cursor()
            for statement in split_statements(str(plan)):
                cursor.execute(statement)
        run_by_hand = ready.contents()
        ready.run(generated / "log_data", generated / "song_data")
        assert ready.contents() == run_by_hand

    def test_a_plan_contains_no_keys(self, standin: Standin, ready: Place) -> None:
        text = str(self.plan(copy_role="", aws_credentials="sparkify-aws"))
        assert "access_key_id '***'\nsecret_access_key '***'\nregion 'us-west-2'" in text
        assert standin.keys.secret_access_key not in text
        assert standin.keys.access_key_id not in text

    def test_only_runs_on_redshift_can_be_planned(self) -> None:
        with pytest.raises(PermanentError, match="plan: only runs on Redshift can be planned"):
            self.plan(warehouse="duckdb:///w.duckdb")
        with pytest.raises(CopyError, match="Redshift loads from S3 only"):
            etl("data", "data", plan=True, warehouse="sparkify-redshift", copy_role="default")

"""Every parameter of a flow or a command reaches the statements that it is for."""

import gzip
from collections.abc import Callable, Iterable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow

from flows.analytics import analytics
from flows.etl import etl
from flows.preflight import preflight
from flows.summary import Places, Summary
from sql import catalog
from tests.standin import Standin
from tests.standin.s3 import Uri
from tests.support.artifacts import artifacts_of, kinds
from tests.support.warehouses import BUCKET, JSONPATHS, Place, connector, credentials
from warehouse.days import Days
from warehouse.errors import PermanentError
from warehouse.target import Target

pytestmark = pytest.mark.usefixtures("prefect_server")

LOGS, SONGS, PATHS = f"{BUCKET}/logs/", f"{BUCKET}/songs/", f"{BUCKET}/paths.json"
SOURCES: dict[str, tuple[Any, str]] = {
    "log_data": (LOGS, f"from '{LOGS}"),
    "song_data": (SONGS, f"from '{SONGS}"),
    "log_jsonpaths": (PATHS, f"format json '{PATHS}'"),
}
CONNECTION: dict[str, tuple[Any, str]] = {
    "warehouse": ("parameters-redshift", "music"),
    "schema": ("music", 'set search_path to "music"'),
    "statement_timeout": (77, "set statement_timeout to 77000"),
}
ACCESS: dict[str, tuple[Any, str]] = {
    "aws_credentials": ("parameters-aws", "region 'us-west-2'"),
    "copy_role": ("default", "iam_role default"),
    "compression": ("gzip", "\ngzip\n"),
}
"""The value of a parameter, and the text that shows that it took effect."""
MANIFESTS: dict[str, tuple[Any, str]] = {"manifests": (f"{BUCKET}/manifests/", f"from '{BUCKET}/manifests/")}
"""With it, COPY no longer names the source."""


@pytest.fixture(autouse=True)
def _ready(standin: Standin) -> None:
    """The stand-in with one gzip file per source, and its blocks."""
    connector(standin).save("parameters-redshift", overwrite=True)
    credentials(standin).save("parameters-aws", overwrite=True)
    standin.put(PATHS, JSONPATHS.read_bytes())
    standin.put(f"{LOGS}a.json.gz", gzip.compress(b'{"page": "Home", "ts": 1541030400000}'))
    standin.put(f"{SONGS}a.json.gz", gzip.compress(b'{"song_id": "SO1", "artist_id": "AR1"}'))
    standin.admin.query(f"create schema music authorization {standin.user}")
    standin.faults.clear()


def values(given: dict[str, tuple[Any, str]]) -> dict[str, Any]:
    return {name: value for name, (value, _) in given.items()}


def assert_reached(given: dict[str, tuple[Any, str]], text: str) -> None:
    lost = {name: (value, mark) for name, (value, mark) in given.items() if mark not in text}
    assert lost == {}, "parameters that do not arrive: each with its value, and what would show it"


def assert_all_covered(command: Callable[..., Any], given: Iterable[str]) -> None:
    parameters = signature(command.fn if isinstance(command, Flow) else command).parameters
    assert set(parameters) == set(given), "a parameter without a test"


def test_every_parameter_of_a_run_reaches_redshift(standin: Standin) -> None:
    given = SOURCES | CONNECTION | ACCESS
    given |= {"max_errors": (5, "maxerror 6")}
    assert_all_covered(etl, [*given, *MANIFESTS, *OF_FILES, "set_aside", "dismiss_set_aside", "full_refresh", "plan"])
    with pytest.raises(PermanentError, match="since: 2018-11-02 is after until, 2018-11-01"):
        etl(**values(given), since="2018-11-02", until="2018-11-01")
    plan = etl(**values(given), plan=True)
    assert standin.counts.statements == [], "a plan sends nothing"
    assert_reached(given, str(plan))
    assert_reached(MANIFESTS, str(etl(**values(given | MANIFESTS), plan=True)))
    etl(**values(given), return_state=True)  # there are no plays: its checks fail
    assert_reached(given, "\n".join(standin.counts.statements))
    by_preflight = "\n".join(sent for sent in standin.counts.statements if sent.startswith("copy preflight"))
    assert_reached(ACCESS | {"log_data": SOURCES["log_data"]}, by_preflight)
    etl(**values(CONNECTION), full_refresh=True, return_state=True)
    assert "delete from songplays" in standin.counts.statements


OF_FILES: dict[str, Any] = {
    "since": "2018-11-01", "until": "2018-11-02", "reload": True, "yes": True, "retry_set_aside": True,
    "max_age_hours": 77,
}  # fmt: skip


def test_every_parameter_about_files_reaches_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def run(target: Any, sources: Any, rules: Any, **options: Any) -> Summary:
        runs.append((sources, rules, options))
        return Summary(target, [], [], [], Places("", ""))

    monkeypatch.setattr("flows.etl.run_tasks", run)
    etl("logs", "songs", **OF_FILES)
    etl("logs", "songs", set_aside=True, dismiss_set_aside=True)
    (sources, (rule,), options), (others, rules, _) = runs
    assert {source.days for source in sources} == {Days.read("2018-11-01", "2018-11-02", reload=True)}
    assert {source.retry_set_aside for source in sources} == {True}
    assert "-77, getdate()" in rule.select
    assert options["may_lose"]
    assert {(source.set_aside, source.dismiss_set_aside) for source in others} == {(True, True)}
    assert list(rules) == []


def test_every_parameter_of_the_preflight_command_takes_effect(
    standin: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ACCESS | {
        "log_data": SOURCES["log_data"],
        "song_data": (SONGS, f"1 under {SONGS}"),
        "log_jsonpaths": (PATHS, f"{PATHS} has one path for each"),
        "warehouse": ("parameters-redshift", "connection: as sparkify to dev"),
        "schema": ("music", "tables may be created in music"),
    }
    assert_all_covered(preflight, given | MANIFESTS)
    preflight(**values(given))
    assert_reached(given, "\n".join([*standin.counts.statements, capsys.readouterr().out]))
    preflight(**values(given | MANIFESTS))
    assert_reached(MANIFESTS, "\n".join(standin.counts.statements))


def test_every_parameter_of_the_analytics_flow_takes_effect(standin: Standin, tmp_path: Path) -> None:
    report = tmp_path / "given.html"
    session = Place(Target("parameters-redshift", "music", "test run")).session()
    session.run(*(table.ddl for table in catalog.TABLES))
    session.warehouse.release_lease()
    assert_all_covered(analytics, [*CONNECTION, "report", "aws_credentials"])
    analytics(**values(CONNECTION), report=str(report))
    assert_reached(CONNECTION, "\n".join(standin.counts.statements))
    assert report.exists(), "report: the page is at the given path"

    url = f"{BUCKET}/report.html"
    state = analytics(**values(CONNECTION), report=url, aws_credentials="parameters-aws", return_state=True)
    pages = kinds(artifacts_of(state), Target("parameters-redshift", "music", ""))
    assert f"({standin.s3_endpoint}/{url.removeprefix('s3://')})" in str(pages["analytics-page"].data)
    assert standin.s3.read(Uri.parse(url)).startswith(b"<!doctype html>")

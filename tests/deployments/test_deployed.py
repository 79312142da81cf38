"""Deployments on a real Prefect server, run by a real worker, with the commands of docs/deploying.md."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client

from deployments.deploy import deploy
from flows.artifacts import artifact_key
from flows.escape import escape_cell, escape_markdown
from flows.terminal import this_python
from sql import catalog
from tests.standin import Standin
from tests.standin.postgres import SUPERUSER, run_postgres
from tests.support import warehouses
from tests.support.browser import Page
from tests.support.deployed import SETTINGS, Clone, Json, clone, served, speaking_to, wait_for, webhook
from tests.support.project import ROOT
from tests.support.records import EVENT, SONG, write_data
from warehouse.target import Target

SETTINGS_AND_ALERTS = SETTINGS | {"SPARKIFY_NOTIFICATION_BLOCK": "custom-webhook/alerts"}
MARKUP = [  # ten, as Prefect's second UI shows so many rows at once
    "<script>alert('x')</script> <b>bold</b> <img src=x>",
    "[a](javascript:b) ![c](https://d.example/e.png) https://f.example/ www.g.example h@i.example",
    "*i* **b** _i_ __b__ ~~d~~",
    r"R&B &amp; Rock & Roll a\*b\_ \<",
    "# one",
    "- two",
    "1. three",
    "> four | a | b |",
    "----",
    "AC/DC: T.N.T. (Live) [2012] $x$ {y} 100% +1",
]
SOON = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
}


@pytest.fixture(scope="module")
def received(processes: None) -> Iterator[tuple[str, list[Json]]]:
    with webhook() as hook:
        yield hook


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, received: tuple[str, list[Json]]) -> Iterator[Clone]:
    """What `make serve` and then `make deploy` leave: a server, a worker, blocks, deployments and automations.

    The server has PostgreSQL, as on SQLite it handles an event twice when it meets a lock.
    """
    folder = tmp_path_factory.mktemp("deployed")
    alerts = CustomWebhookNotificationBlock(
        name="alerts", url=received[0], json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    with run_postgres() as socket, clone(folder, **SOON, **database(socket)) as project, served(project):
        with speaking_to(project):
            alerts.save("alerts")
        project.log("deploy").write_text(project.deploy(**SETTINGS_AND_ALERTS))
        yield project


TRIGGER = "analytics__automation_1"


def database(socket: Path) -> dict[str, str]:
    url = f"postgresql+asyncpg://{SUPERUSER}@/postgres?host={socket.parent}"
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}


def test_deploying_again_updates_only_what_changed(
    deployed: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = deployed.log("deploy").read_text()
    monkeypatch.chdir(deployed.folder)
    for name, value in (deployed.environment | SETTINGS_AND_ALERTS | {"SPARKIFY_AWS_REGION": "eu-west-1"}).items():
        monkeypatch.setenv(name, value)
    with speaking_to(deployed), _paused(deployed, "hourly") as is_paused:
        with get_client(sync_client=True) as client:
            (trigger,) = client.read_automations_by_name(TRIGGER)
            client.pause_automation(trigger.id)
            deploy()
            (trigger,) = client.read_automations_by_name(TRIGGER)
            client.resume_automation(trigger.id)
        assert not trigger.enabled, "and so does the automation behind a trigger, which Prefect makes anew"
        assert is_paused(), "a paused deployment stays paused"
    again = capsys.readouterr().out
    assert f"Workers run them in {deployed.folder}\n" in again
    assert [what_was_done(first), what_was_done(again)] == [
        ["created"] * 7, ["unchanged", "updated", *["unchanged"] * 5]
    ]  # fmt: skip
    url = re.escape(deployed.environment["PREFECT_API_URL"].removesuffix("/api"))
    names = r"sparkify-(etl/(local|manual|hourly)|analytics/analytics|history/history|undo/undo)"
    for output, hourly in ((first, r"runs next at \S+ \d\d:00 UTC"), (again, "paused")):
        assert len(re.findall(rf"^  {names} +{url}/deployments/deployment/\S+(?=  |$)", output, re.MULTILINE)) == 6
        assert re.search(rf"^  sparkify-etl/hourly +\S+  {hourly}$", output, re.MULTILINE)
    assert again.splitlines()[-3:] == ["Next, in two terminals:", *(f"  {line}" for line in typed())]
    ours = [one["name"] for one in deployed.ask("automations/filter") if one["name"].startswith("sparkify: ")]
    assert len(ours) == 5
    deployments = deployed.ask("deployments/filter")
    assert {one["name"] for one in deployments} == {"local", "manual", "hourly", "analytics", "history", "undo"}
    assert {one["version"] for one in deployments} == {version("sparkify-pipeline")}


def typed() -> list[str]:
    """Return the commands that the guide tells to type after `make deploy`, with this environment's own path."""
    guide = (ROOT / "docs/deploying.md").read_text(encoding="utf-8").partition("make deploy\n")[2]
    lines = [line.partition("#")[0].strip() for line in guide.splitlines()[:2]]
    return [line.replace(".venv/bin/python", this_python()) for line in lines]


@contextmanager
def _paused(deployed: Clone, deployment: str) -> Iterator[Callable[[], bool]]:
    """Pause a deployment until the block ends, as the UI does. Yields a function that says whether it is paused."""

    def now() -> Json:
        found: list[Json] = deployed.ask("deployments/filter", deployments={"name": {"any_": [deployment]}})
        return found[0]

    path = f"deployments/{now()['id']}"
    deployed.send("PATCH", path, json={"paused": True})
    try:
        yield lambda: bool(now()["paused"])
    finally:
        deployed.send("PATCH", path, json={"paused": False})


def what_was_done(output: str) -> list[str]:
    """Return what `make deploy` printed for each block and automation."""
    return re.findall(r"^(?:sqlalchemy-connector/|aws-credentials/|sparkify: ).*: (\w+)$", output, re.MULTILINE)


def test_secrets_are_stored_in_secret_fields_only(deployed: Clone) -> None:
    stored = json.dumps([deployed.ask("block_documents/filter"), deployed.ask("deployments/filter")])
    assert "loader" in stored
    assert "canary" not in stored + deployed.log("deploy").read_text()


def _where(deployed: Clone) -> str:
    """Return the end of the keys of artifacts about the tables that `local` loads."""
    return artifact_key("", Target(f"duckdb:///{deployed.folder / 'sparkify.duckdb'}", "public", ""))


def test_the_local_deployment_loads_tables_and_publishes_artifacts_and_events(deployed: Clone) -> None:
    command, run = deployed.run("local")

    assert command.returncode == 0, command.stdout
    assert run["state"]["type"] == "COMPLETED"
    tasks = deployed.ask("task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}
    assert len(tasks) == 9 + len(catalog.FACTS) + len(catalog.DIMENSIONS)
    artifacts = deployed.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    assert {artifact["key"].removesuffix(f"-{_where(deployed)}") for artifact in artifacts} == {
        "sparkify-sources", "sparkify-tables", "sparkify-checks"
    }  # fmt: skip
    present = warehouses.duckdb_place(deployed.folder / "sparkify.duckdb", "public").contents()
    loaded = wait_for(lambda: _of_kind(deployed, run, "sparkify.table.loaded", len(catalog.STAR)))
    assert {event["resource"]["sparkify.table"]: event["payload"]["present"] for event in loaded} == {
        name: len(rows) for name, rows in present.items()
    }


def test_a_failed_run_says_why_and_sends_a_notification(
    deployed: Clone, received: tuple[str, list[Json]], tmp_path: Path
) -> None:
    before = len(_workers_log(deployed))
    data = write_data(tmp_path / "new", [EVENT], [SONG])
    sources = {name: str(data / name) for name in ("log_data", "song_data")}
    run = deployed.start_run("local", parameters=sources | {"log_jsonpaths": "nowhere"})  # found in the midst of a load
    state = deployed.end_of(run, 120)

    why = "nowhere: the JSONPaths file cannot be read (No such file or directory)"
    assert state["type"] == "FAILED"
    assert why in state["message"]
    assert "\n" not in state["message"]
    notified = wait_for(lambda: [news for news in received[1] if run["id"] in news["body"] and why in news["body"]])
    assert notified[0]["subject"] == "Sparkify: a failed run"
    log = wait_for(lambda: _log_that_says(deployed, why, before))
    assert "Traceback" not in log, "the worker's terminal shows no traceback"
    assert "nanobind" not in log, "nor DuckDB's leaks"


def _workers_log(deployed: Clone) -> str:
    return deployed.log("deployments.serve").read_text()


def _log_that_says(deployed: Clone, why: str, start: int) -> str:
    log = _workers_log(deployed)[start:]
    return log if why in log and "exited" in log else ""


@pytest.mark.parametrize("ui", ["artifacts", "v2/artifacts"])
@pytest.mark.parametrize(
    ("kind", "data", "places"),
    [
        ("table", json.dumps([{"text": escape_cell(text)} for text in MARKUP]), "tbody td"),
        (
            "markdown",
            "\n".join(f"- {escape_markdown(text)}" for text in MARKUP),
            "li.markdown-renderer__list-item, .prose li",
        ),
    ],
)
def test_prefects_uis_show_strings_from_the_data_as_text(
    deployed: Clone, browser: Page, ui: str, kind: str, data: str, places: str
) -> None:
    artifact = deployed.ask("artifacts/", key="markup", type=kind, data=data)
    browser.open(f"{deployed.api.removesuffix('/api')}/{ui}/artifact/{artifact['id']}", width=1280)
    script = f"[...document.querySelectorAll('{places}')]"
    # the page fills its places one by one
    wait_for(lambda: browser.evaluate(f"{script}.length > 0 && {script}.every(place => place.textContent.trim())"))
    seen = browser.evaluate(f"{script}.map(place => place.textContent.replaceAll('\ufeff', ''))")
    assert seen == MARKUP
    made = "b, img, script, strong, em, del, h1, ul, ol, blockquote, table, hr"
    assert browser.evaluate(f"{script}.flatMap(place => [...place.querySelectorAll('{made}')]).length") == 0
    # an address may be a link to what it says
    links = f"{script}.flatMap(place => [...place.querySelectorAll('a')])"
    assert browser.evaluate(f"{links}.every(link => link.href.includes(link.textContent))")


def test_a_late_run_sends_a_notification(deployed: Clone, received: tuple[str, list[Json]]) -> None:
    deployed.send("PATCH", "work_pools/sparkify", json={"is_paused": True})
    try:
        run = deployed.start_run("local")
        notified = wait_for(lambda: [news["body"] for news in received[1] if run["id"] in news["body"]])
        deployed.send("DELETE", f"flow_runs/{run['id']}")
    finally:
        deployed.send("PATCH", "work_pools/sparkify", json={"is_paused": False})
    assert ": Late: " in notified[0]


@pytest.mark.parametrize(
    ("deployment", "meanwhile"),
    [("hourly", "Cancelled"), ("local", "AwaitingConcurrencySlot"), ("manual", "Pending")],
)
def test_a_second_run_is_cancelled_or_waits_while_one_is_running(
    deployed: Clone, deployment: str, meanwhile: str
) -> None:
    """A run of `manual` starts, and is recognised by its lease."""
    first, second = (_planned(deployed, deployment) for _ in range(2))
    try:
        assert _set_state(deployed, first, "PENDING") == "Pending"
        assert _set_state(deployed, second, "PENDING") == meanwhile, f"while a run of {deployment} is in progress"
    finally:
        for run in (first, second):
            _set_state(deployed, run, "CANCELLED")
            deployed.send("DELETE", f"flow_runs/{run['id']}")


def test_each_failed_or_crashed_run_sends_one_notification(deployed: Clone, received: tuple[str, list[Json]]) -> None:
    runs = {state: _planned(deployed, "manual")["id"] for state in ("FAILED", "CRASHED")}
    for state, run in runs.items():
        _set_state(deployed, {"id": run}, state)

    def notified(run: str) -> list[str]:
        return [news["subject"] for news in received[1] if run in news["body"]]

    wait_for(lambda: all(map(notified, runs.values())))
    for state, run in runs.items():
        assert notified(run) == ["Sparkify: a failed run"], f"of a run that is {state} there is one notification"
    bodies = [news["body"] for news in received[1]]
    assert len(bodies) == len(set(bodies)), "no notification is sent twice"


def _planned(deployed: Clone, deployment: str) -> Json:
    """Return a new run that no worker starts, because it is scheduled far in the future."""
    (found,) = deployed.ask("deployments/filter", deployments={"name": {"any_": [deployment]}})
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": later}}
    run: Json = deployed.ask(f"deployments/{found['id']}/create_flow_run", state=state)
    return run


def _set_state(deployed: Clone, run: Json, state: str) -> str:
    """Propose a state as a worker does, and return the name of the resulting one."""
    return str(deployed.ask(f"flow_runs/{run['id']}/set_state", state={"type": state})["state"]["name"])


def test_the_schedule_creates_runs_at_the_next_full_hours(deployed: Clone) -> None:
    def next_three() -> list[Json]:
        hourly = {"name": {"any_": ["hourly"]}}
        runs = deployed.ask("flow_runs/filter", deployments=hourly, sort="EXPECTED_START_TIME_ASC", limit=3)
        return runs if len(runs) == 3 else []

    times = [datetime.fromisoformat(run["expected_start_time"]) for run in wait_for(next_three, 90)]
    assert {(time.minute, time.second, time.utcoffset()) for time in times} == {(0, 0, timedelta(0))}
    assert [later - time for time, later in pairwise(times)] == [timedelta(hours=1)] * 2
    assert timedelta(0) < times[0] - datetime.now(UTC) <= timedelta(hours=1)


def test_a_run_on_redshift_loads_its_tables_and_sends_its_warning(
    deployed: Clone,
    received: tuple[str, list[Json]],
    standin: Standin,
    generated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = warehouses.redshift_place(standin, monkeypatch)
    data = _with_a_contradiction(generated, tmp_path)
    for source in ("log_data", "song_data"):
        standin.put_folder(f"{warehouses.BUCKET}/{source}", data / source)
    with _blocks(deployed, standin):
        _assert_manual_then_analytics(deployed, received, place)


@contextmanager
def _blocks(deployed: Clone, standin: Standin) -> Iterator[None]:
    """Make the deployments' blocks refer to the stand-in until the block ends."""
    wanted = {"sparkify-redshift": warehouses.connector(standin), "sparkify-aws": warehouses.credentials(standin)}
    with speaking_to(deployed):
        before = {name: type(block).load(name) for name, block in wanted.items()}
        for name, block in wanted.items():
            block.save(name, overwrite=True)
        yield
        for name, block in before.items():
            block.save(name, overwrite=True)


def _assert_manual_then_analytics(deployed: Clone, received: tuple[str, list[Json]], place: warehouses.Place) -> None:
    run = deployed.start_run("manual")
    state = deployed.end_of(run, 180)

    assert state["type"] == "COMPLETED", state["message"]
    assert run["parameters"]["log_data"] == SETTINGS["SPARKIFY_LOG_DATA"]
    loaded = wait_for(lambda: _of_kind(deployed, run, "sparkify.table.loaded", len(catalog.STAR)))
    plays = next(event["payload"]["present"] for event in loaded if event["resource"]["sparkify.table"] == "songplays")
    assert plays == len(place.contents("songplays")["songplays"]) > 0
    (event,) = wait_for(lambda: _of_kind(deployed, run, "sparkify.check.failed", 1))
    assert (event["resource"]["sparkify.severity"], event["payload"]["offending"]) == ("warn", 1)
    (notified,) = wait_for(lambda: [news for news in received[1] if news["subject"] == "Sparkify: a warning"])
    assert notified["body"].startswith("deliveries_agree: 1 rows break: ")

    # that run has triggered the analytics, once; those of `local` have not
    (asked,) = wait_for(lambda: _runs_of(deployed, "analytics"))
    answered = deployed.end_of(asked, 180)
    assert answered["type"] == "COMPLETED", answered["message"]
    artifacts = deployed.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [asked["id"]]}})
    assert len(artifacts) == len(catalog.QUESTIONS) + 1
    assert re.search(r"All \d+ checks of the data hold", (deployed.folder / "report.html").read_text())
    assert len(_runs_of(deployed, "analytics")) == 1


def _with_a_contradiction(data: Path, folder: Path) -> Path:
    """Return a copy of the data in which one event is delivered twice, with different content."""
    copy = folder / "contradicting"
    shutil.copytree(data, copy)
    log = next(path for path in sorted((copy / "log_data").rglob("*.json")) if "NextSong" in path.read_text())
    event = json.loads(next(line for line in log.read_text().splitlines() if "NextSong" in line))
    log.write_text(log.read_text() + json.dumps(event | {"userAgent": "another"}) + "\n")
    return copy


def _runs_of(deployed: Clone, deployment: str) -> list[Json]:
    """Return a deployment's runs that were asked for, without those of its schedule."""
    runs: list[Json] = deployed.ask("flow_runs/filter", deployments={"name": {"any_": [deployment]}})
    return [run for run in runs if not run["auto_scheduled"]]


def _of_kind(deployed: Clone, run: Json, kind: str, count: int) -> list[Any]:
    found = deployed.events(run, kind)
    return found if len(found) == count else []

"""Automations keep what people changed, and end dead runs only."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.utilities.user_templates import render_user_template_sync, validate_user_template

from deployments.automations import _RUN, SILENCE, end_silent_runs, end_stuck_runs, save
from tests.support.project import ROOT

FILES = ("prefect.yaml", "deployments/prefect.docker.yaml")


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def automation(client: SyncPrefectClient) -> Iterator[AutomationCore]:
    automation = end_silent_runs()
    yield automation
    for saved in client.read_automations_by_name(automation.name):
        client.delete_automation(saved.id)


@pytest.mark.parametrize("enabled", [True, False], ids=["enabled", "paused"])
def test_saving_an_automation_keeps_it_enabled_or_paused(
    client: SyncPrefectClient, automation: AutomationCore, *, enabled: bool
) -> None:
    assert save(client, automation) == "created"
    (saved,) = client.read_automations_by_name(automation.name)
    (client.resume_automation if enabled else client.pause_automation)(saved.id)
    for description, expected in (("", "unchanged"), ("changed", "updated"), ("changed", "unchanged")):
        what_was_done = save(client, automation.model_copy(update={"description": description}))
        (now,) = client.read_automations_by_name(automation.name)
        assert now.enabled == enabled, "an automation that somebody paused stays so"
        assert (what_was_done, now.id, now.description) == (expected, saved.id, description)


def heartbeats() -> list[object]:
    """Return the seconds between heartbeats for each deployment."""
    entries = [e for file in FILES for e in yaml.safe_load((ROOT / file).read_text())["deployments"]]
    return [
        pytest.param(e["work_pool"]["job_variables"]["env"].get("PREFECT_FLOWS_HEARTBEAT_FREQUENCY"), id=f"{e['name']}")
        for e in entries
    ]


@pytest.mark.parametrize("seconds", heartbeats())
def test_a_run_is_marked_crashed_after_three_missed_heartbeats(seconds: str | None) -> None:
    assert seconds, "a run that sends no heartbeat is never marked Crashed"
    assert timedelta(seconds=3 * int(seconds)) == SILENCE, "one heartbeat that is late is no death"


ENDS = {f"prefect.flow-run.{state.value.capitalize()}" for state in TERMINAL_STATES}


def test_a_finished_run_is_not_marked_crashed() -> None:
    trigger = end_silent_runs().trigger
    assert isinstance(trigger, EventTrigger)
    assert trigger.within == SILENCE
    assert trigger.expect == {"prefect.flow-run.heartbeat", *ENDS}, "whatever its end was"
    assert trigger.after == {"prefect.flow-run.heartbeat"}


def test_a_run_that_begins_ends_or_waits_its_turn_is_not_stuck() -> None:
    trigger = end_stuck_runs().trigger
    assert isinstance(trigger, EventTrigger)
    assert trigger.after == {"prefect.flow-run.Pending"}
    assert {event.rpartition(".")[2] for event in trigger.expect - ENDS} == {"Running", "AwaitingConcurrencySlot"}


def test_text_of_the_data_calls_nobody_and_hides_no_address() -> None:
    """A failure's message holds values of the data."""
    hostile = "value '<!channel> <http://a.example|the bank> [the bank](http://a.example) @everyone'"
    state = SimpleNamespace(name="Failed", message=f"logs: {hostile}")
    context = {"flow": SimpleNamespace(name="sparkify-etl"), "flow_run": SimpleNamespace(name="run", state=state)}
    validate_user_template(_RUN)
    body = render_user_template_sync(_RUN.partition("\n")[0], context)
    assert body.startswith("sparkify-etl/run: Failed: logs: value '")
    assert not [sign for sign in ("<", ">", "](", "@everyone") if sign in body]
    assert "http://a.example" in body
    state.message = None
    assert render_user_template_sync(_RUN.partition("\n")[0], context) == "sparkify-etl/run: Failed: "

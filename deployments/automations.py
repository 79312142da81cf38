"""Watches deployed runs: notifies of problems, and ends runs whose machine died.

Run it with `python -m deployments.automations`, as often as you like.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.automations:save_automations")

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from deployments.prefect_command import POOL
from deployments.settings import read_settings
from warehouse.errors import PermanentError

SILENCE = timedelta(seconds=90)
"""Three heartbeats of prefect.yaml's PREFECT_FLOWS_HEARTBEAT_FREQUENCY."""

START = timedelta(seconds=60)
"""A process takes ten seconds from Pending to Running. A container may have to fetch its image first."""

_ENDS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
_FLOWS = {"prefect.resource.role": "flow", "prefect.resource.name": "sparkify-*"}
_PLAIN = "replace('<', '\u2039') | replace('>', '\u203a') | replace('](', '] (') | replace('@', '@\u2060')"
"""Jinja filters: a message may hold text of the data, which should call nobody and hide no address behind words."""
_RUN = (
    "{{ flow.name }}/{{ flow_run.name }}: {{ flow_run.state.name }}: "
    f"{{{{ flow_run.state.message | default('', true) | {_PLAIN} }}}}\n"
    "{{ flow_run|ui_url }}"
)
_CHECK = "{{ event.resource['sparkify.check'] }}: {{ event.payload.offending }} rows break: {{ event.payload.rule }}"


def save_automations() -> None:
    """Create or update the automations, and print what was done."""
    block = read_settings().notification_block
    with get_client(sync_client=True) as client:
        wanted = [end_silent_runs(), end_stuck_runs(), *(notifications(client, block) if block else [])]
        for automation in wanted:
            print(f"{automation.name}: {save(client, automation)}")
    if not block:
        print("SPARKIFY_NOTIFICATION_BLOCK is not set, so nobody is notified of failed runs, late runs and warnings")


def end_silent_runs() -> AutomationCore:
    """Mark a run as Crashed that no longer sends heartbeats, so that it does not block the next one."""
    return AutomationCore(
        name="sparkify: end runs that fell silent",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *_ENDS},
            match_related=_FLOWS,
            for_each={"prefect.resource.id"},
            within=SILENCE,
        ),
        actions=[_crashed(f"no heartbeat for {SILENCE.seconds} s: the machine or the process died")],
    )


def end_stuck_runs() -> AutomationCore:
    """Mark a run as Crashed that a worker took and did not start, so that it does not block the next one."""
    return AutomationCore(
        name="sparkify: end runs that did not begin",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={"prefect.flow-run.Pending"},
            expect={"prefect.flow-run.Running", "prefect.flow-run.AwaitingConcurrencySlot", *_ENDS},
            match_related=[_FLOWS, {"prefect.resource.role": "work-pool", "prefect.resource.name": POOL}],
            for_each={"prefect.resource.id"},
            within=START,
        ),
        actions=[_crashed(f"not begun {START.seconds} s after a worker took it: the worker died")],
    )


def _crashed(reason: str) -> ChangeFlowRunState:
    message = f"{reason}. The next run completes the tables"
    return ChangeFlowRunState(state=StateType.CRASHED, message=message)


def notifications(client: SyncPrefectClient, block: str) -> list[AutomationCore]:
    """Notify of failed runs, late runs and warnings through a notification block, `type/name`."""
    block_id = _block_id(client, block)
    return [
        AutomationCore(
            name=f"sparkify: tell of {subject}",
            trigger=trigger,
            actions=[SendNotification(block_document_id=block_id, subject=f"Sparkify: {subject}", body=body)],
        )
        for subject, trigger, body in (
            ("a failed run", _on_run("Failed", "Crashed"), _RUN),
            ("a late run", _on_run("Late"), _RUN),
            ("a warning", _on_warning(), _CHECK),
        )
    ]


def save(client: SyncPrefectClient, automation: AutomationCore) -> str:
    """Save an automation if it is new or differs from the saved one of its name. A paused one stays paused."""
    for saved in client.read_automations_by_name(automation.name):
        wanted = automation.model_copy(update={"enabled": saved.enabled})
        if AutomationCore.model_validate(saved.model_dump()) == wanted:
            return "unchanged"
        client.update_automation(saved.id, wanted)
        return "updated"
    client.create_automation(automation)
    return "created"


def _on_run(*states: str) -> EventTrigger:
    return EventTrigger(expect={f"prefect.flow-run.{state}" for state in states}, match_related=_FLOWS)


def _on_warning() -> EventTrigger:
    return EventTrigger(expect={"sparkify.check.failed"}, match={"sparkify.severity": "warn"})


def _block_id(client: SyncPrefectClient, block: str) -> UUID:
    slug, name = block.split("/")
    try:
        return client.read_block_document_by_name(name, slug).id
    except ObjectNotFound:
        raise PermanentError(
            f"SPARKIFY_NOTIFICATION_BLOCK: there is no block {block!r}. `prefect block ls` lists the existing blocks"
        ) from None

"""Deploys to the configured Prefect server or Cloud workspace, with the settings in .env.

Run it with `python -m deployments.deploy`, as often as you like.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.deploy:deploy")

import asyncio
import os

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.server.schemas import schedules
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for

from deployments.automations import save_automations
from deployments.blocks import save_blocks
from deployments.prefect_command import POOL, make_pool, prefect
from flows.terminal import this_python
from warehouse.errors import PermanentError

OURS = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))


def deploy() -> None:
    """Save the blocks and the automations, create the work pool, and send the deployments of prefect.yaml.

    What somebody paused stays paused: deployments, and the automations behind their triggers.

    Raises:
        PermanentError: no server is configured, a setting is missing or wrong, or Prefect refuses. No deployment is
            sent.
    """
    if not PREFECT_API_URL.value():
        raise PermanentError(
            "no Prefect server is configured. Use `prefect cloud login`, or start one (`prefect server start`) and use "
            "`prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    save_blocks()
    save_automations()
    with get_client(sync_client=True) as client:
        make_pool(client)
        paused = [automation.name for automation in client.read_automations() if not automation.enabled]
        ours = client.read_deployments(work_pool_filter=OURS)
        try:
            prefect(os.environ | {"PWD": os.getcwd()}, "--no-prompt", "deploy", "--all")
        finally:  # Prefect's command resumes what is paused, even if it fails after that
            for deployment in ours:
                if deployment.paused:
                    client.pause_deployment(deployment.id)
            for automation in client.read_automations():
                if automation.enabled and automation.name in paused:
                    client.pause_automation(automation.id)
                    print(f"{automation.name}: made anew, and paused as it was")
        print(f"sent the deployments of prefect.yaml to {PREFECT_API_URL.value()}. Workers run them in {os.getcwd()}")
        _tell(client)


def _tell(client: SyncPrefectClient) -> None:
    """Print where the deployments are, when each runs next, and what to type next."""
    names = {}
    for deployment in client.read_deployments(work_pool_filter=OURS):
        flow = client.read_flow(deployment.flow_id).name
        names[f"{flow}/{deployment.name}"] = f"{url_for('deployment', obj_id=deployment.id)}{_next_run(deployment)}"
    width = max(map(len, names))
    for name in sorted(names):
        print(f"  {name:<{width}}  {names[name]}")
    python = this_python()
    print(f"Next, in two terminals:\n  {python} -m deployments.worker")
    print(f"  {python} -m prefect deployment run sparkify-etl/manual --watch")


def _next_run(deployment: DeploymentResponse) -> str:
    if deployment.paused:
        return "  paused"
    crons = [each.schedule for each in deployment.schedules if each.active and isinstance(each.schedule, CronSchedule)]
    dates = [asyncio.run(schedules.CronSchedule(**cron.model_dump()).get_dates(1))[0] for cron in crons]
    return f"  runs next at {min(dates):%Y-%m-%d %H:%M %Z}" if dates else ""

"""Deploys to the configured Prefect server or Cloud workspace, with the settings in .env.

Run it with `python -m deployments.deploy`, as often as you like.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.deploy:deploy")

import os

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.settings import PREFECT_API_URL

from deployments.automations import save_automations
from deployments.blocks import save_blocks
from deployments.prefect_command import POOL, make_pool, prefect
from warehouse.errors import PermanentError


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
        ours = client.read_deployments(work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])))
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

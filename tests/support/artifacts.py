"""The artifacts that a run leaves in Prefect's UI."""

import json
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact, State

from flows.artifacts import artifact_key
from warehouse.target import Target


def artifacts_of(state: State[Any]) -> dict[str, Artifact]:
    """Return the artifacts of the run with this final state, by key."""
    run = state.state_details.flow_run_id
    assert isinstance(run, UUID)
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run])))
    return {str(artifact.key): artifact for artifact in found}


def kinds(artifacts: dict[str, Artifact], target: Target) -> dict[str, Artifact]:
    """Return artifacts of a warehouse and a schema by their kinds: their keys without what they are about."""
    where = artifact_key("", target)
    assert all(key.endswith(f"-{where}") for key in artifacts)
    return {key.removesuffix(f"-{where}"): artifact for key, artifact in artifacts.items()}


def rows_of(artifact: Artifact) -> list[dict[str, Any]]:
    """Return the rows of a table artifact."""
    assert artifact.type == "table"
    rows: list[dict[str, Any]] = json.loads(str(artifact.data))
    return rows

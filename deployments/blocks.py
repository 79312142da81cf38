"""Saves the credentials of runs on Redshift as Prefect blocks, from settings in the environment.

Run it with `python -m deployments.blocks`, as often as you like.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.blocks:save_blocks")

from typing import Any

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector

from deployments.settings import Settings, read_settings
from warehouse.target import REDSHIFT_DRIVER

REDSHIFT = "sparkify-redshift"
AWS = "sparkify-aws"


def save_blocks() -> None:
    """Create or update the blocks that the deployments on Redshift use, and print what was done."""
    settings = read_settings()
    for name, block in {REDSHIFT: redshift(settings), AWS: aws(settings)}.items():
        print(f"{block.get_block_type_slug()}/{name}: {save(name, block)}")


def redshift(settings: Settings) -> SqlAlchemyConnector:
    """Return the connection block, with a password or with IAM as the worker's profile or role."""
    components = ConnectionComponents(
        driver=REDSHIFT_DRIVER,
        host=settings.redshift_host,
        port=settings.redshift_port,
        database=settings.redshift_database,
        username=settings.redshift_user,
        password=settings.redshift_password,
    )
    return SqlAlchemyConnector(connection_info=components, connect_args=_iam(settings) if settings.redshift_iam else {})


def aws(settings: Settings) -> AwsCredentials:
    """Return the block for reading S3, with keys, a profile, or nothing, which means the worker's own role."""
    return AwsCredentials(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=settings.aws_secret_access_key,
        profile_name=settings.aws_profile,
        region_name=settings.aws_region,
    )


def save(name: str, block: Block) -> str:
    """Save a block if it is new or differs from the saved one."""
    try:
        saved: Any = type(block).load(name)
    except ValueError:
        block.save(name)
        return "created"
    fields = set(type(block).model_fields)
    if saved.model_dump(include=fields) == block.model_dump(include=fields):
        return "unchanged"
    block.save(name, overwrite=True)
    return "updated"


def _iam(settings: Settings) -> dict[str, Any]:
    """Return what the driver asks AWS for a login with. It derives workgroup and region from a Serverless host only."""
    login: dict[str, Any] = {"iam": True}
    if settings.aws_profile:
        login["profile"] = settings.aws_profile
    if not settings.tells_warehouse:
        login["region"] = settings.aws_region
    if settings.redshift_workgroup:
        login |= {"is_serverless": True, "serverless_work_group": settings.redshift_workgroup}
    elif settings.redshift_cluster or ".redshift-serverless." not in settings.redshift_host:
        cluster = settings.redshift_cluster or settings.redshift_host.split(".")[0]
        login |= {"cluster_identifier": cluster, "group_federation": True}
    return login

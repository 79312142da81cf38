"""Uploads data to S3 where a run on Redshift expects it, with boto3's own credentials.

Run it with `python -m deployments.upload FOLDER s3://BUCKET`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("deployments.upload:upload")

from pathlib import Path
from typing import Any

import boto3

from sql import catalog
from warehouse.errors import PermanentError

JSONPATHS = Path(str(catalog.STAGING_EVENTS.jsonpaths))


def upload(folder: Path, bucket: str) -> None:
    """Upload a folder's files, and the JSONPaths file, which COPY expects at the root of the bucket.

    Args:
        folder: Folder with log_data and song_data, as `python -m flows.generate` writes it.
        bucket: Destination, as s3://BUCKET. Created if it is missing.
    """
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.json"))}
    if not files:
        raise PermanentError(f"{folder}: no .json files in this folder. Name a folder with log_data and song_data")
    client: Any = boto3.client("s3")
    name = bucket.removeprefix("s3://").rstrip("/")
    if name not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
        _create(client, name)
    for key, path in {**files, JSONPATHS.name: JSONPATHS}.items():
        client.upload_file(str(path), name, key)
    print(f"s3://{name}: {len(files):,} files and {JSONPATHS.name}")


def _create(client: Any, bucket: str) -> None:
    region = client.meta.region_name
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=bucket, **place)

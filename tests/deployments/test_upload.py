"""Uploaded data is complete for a run on Redshift."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from deployments.upload import upload
from sql import catalog
from tests.support.s3 import KEYS, moto
from warehouse.errors import PermanentError
from warehouse.redshift.copy_statement import jsonpaths_url
from warehouse.sources import Source


@pytest.fixture(scope="module")
def endpoint(processes: None) -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture(params=["us-west-2", "us-east-1"])
def s3(request: pytest.FixtureRequest, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An S3 client with boto3's own settings, like the upload's."""
    for name, value in {**KEYS, "aws_endpoint_url_s3": endpoint, "aws_default_region": request.param}.items():
        monkeypatch.setenv(name.upper(), value)
    return boto3.client("s3")


def objects(s3: Any, bucket: str) -> dict[str, bytes]:
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    return {f"s3://{bucket}/{key}": s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def test_files_and_the_jsonpaths_file_are_uploaded_where_copy_looks(
    s3: Any, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = f"sparkify-{s3.meta.region_name}"
    url = f"s3://{bucket}"
    for _ in range(2):  # it may be repeated: the bucket is made once
        upload(generated, url)
    found = objects(s3, bucket)
    jsonpaths = catalog.STAGING_EVENTS.jsonpaths
    assert jsonpaths
    where = jsonpaths_url(Source(catalog.STAGING_EVENTS, f"{url}/log_data/"))
    assert found.pop(str(where), b"") == jsonpaths.read_bytes(), f"COPY looks for its JSONPaths file at {where}"
    files = [path for path in generated.rglob("*") if path.is_file()]
    assert found == {f"{url}/{path.relative_to(generated)}": path.read_bytes() for path in files}
    assert capsys.readouterr().out == f"{url}: {len(files)} files and {jsonpaths.name}\n" * 2
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] in (s3.meta.region_name, None)


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        PermanentError, match=r"no \.json files in this folder\. Name a folder with log_data and song_data"
    ):
        upload(tmp_path, "s3://nothing")

"""The S3 that COPY reads from: moto's, with keys, roles and regions as S3 and Redshift check them."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import boto3
from botocore.exceptions import ClientError

from tests.standin.errors import ServerError

DEFAULT_ROLE = "default"
ROLE = "arn:aws:iam::123456789012:role/copy"


@dataclass(frozen=True)
class Keys:
    """An access key, with a session token if it is a temporary one."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class Uri(NamedTuple):
    """The bucket of an s3:// URL, and the key or prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Uri":
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not text.startswith("s3://") or not bucket:
            raise ServerError("XX000", f"The S3 path '{text}' is not valid: s3://bucket/prefix is expected")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class S3:
    """Objects in buckets, and who may read them."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.region = region
        self.endpoint = endpoint
        self.client = self._client(region)
        self.keys: set[Keys] = set()
        self.roles: set[str] = set()

    def reset(self, *keys: Keys) -> None:
        """Delete every bucket, and accept these keys, the default role and ROLE."""
        self.keys = set(keys)
        self.roles = {DEFAULT_ROLE, ROLE}
        urlopen(Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()

    def put(self, uri: str, content: bytes) -> None:
        """Write an object, in a bucket that is created if it is missing."""
        bucket, key = Uri.parse(uri)
        try:
            self.client.put_object(Bucket=bucket, Key=key, Body=content)
        except self.client.exceptions.NoSuchBucket:
            self.make_bucket(bucket, self.region)
            self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def make_bucket(self, bucket: str, region: str) -> None:
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client = self.client if region == self.region else self._client(region)
        client.create_bucket(Bucket=bucket, **location)

    def _client(self, region: str) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=region, aws_access_key_id="any", aws_secret_access_key="any"
        )

    def check_access(self, credentials: Keys | str) -> None:
        """Refuse keys that S3 does not know, and roles that the cluster may not assume.

        Raises:
            ServerError: as S3 or the cluster answers.
        """
        if isinstance(credentials, str):
            if credentials not in self.roles:
                raise ServerError("XX000", f"User is not authorized to assume IAM Role {credentials}", _detail(8001))
        elif credentials not in self.keys:
            raise self._refusal(credentials)

    def _refusal(self, keys: Keys) -> ServerError:
        known = {k.access_key_id: k for k in self.keys}.get(keys.access_key_id)
        if not known:
            return s3_error(
                "The AWS Access Key Id you provided does not exist in our records.", 403, "InvalidAccessKeyId"
            )
        if known.secret_access_key != keys.secret_access_key:
            text = "The request signature we calculated does not match the signature you provided."
            return s3_error(text, 403, "SignatureDoesNotMatch")
        return s3_error("The provided token is malformed or otherwise invalid.", 400, "InvalidToken")

    def check_region(self, bucket: str, region: str | None) -> None:
        """Refuse a bucket in another region than the one COPY is given, or the cluster's.

        Raises:
            ServerError: it lies elsewhere, or does not exist.
        """
        try:
            location = self.client.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        except ClientError as error:
            raise _translated(error) from None
        if location != (region or self.region):
            text = "The S3 bucket addressed by the query is in a different region from this cluster."
            raise s3_error(text, 301, "PermanentRedirect")

    def keys_under(self, uri: Uri) -> list[Uri]:
        """List the objects whose keys start with a prefix, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=uri.bucket, Prefix=uri.key)
        return [Uri(uri.bucket, entry["Key"]) for page in pages for entry in page.get("Contents", [])]

    def read(self, uri: Uri) -> bytes:
        """Read an object.

        Raises:
            ServerError: it does not exist.
        """
        try:
            return bytes(self.client.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read())
        except ClientError as error:
            raise _translated(error) from None


def s3_error(text: str, status: int, code: str) -> ServerError:
    """Return the error for an answer of S3, in Redshift's wording."""
    message = f"S3ServiceException:{text},Status {status},Error {code},Rid 0123456789ABCDEF,ExtRid x,CanRetry 1"
    return ServerError("XX000", message, _detail(8001))


def no_such_prefix(uri: Uri) -> ServerError:
    return ServerError("XX000", f"The specified S3 prefix '{uri.key}' does not exist", _detail(8001))


def slow_down() -> ServerError:
    return s3_error("Please reduce your request rate.", 503, "SlowDown")


def _detail(code: int) -> str:
    return f"\n  -----------------------------------------------\n  error:  S3\n  code:      {code}\n"


def _translated(error: ClientError) -> ServerError:
    answer = error.response
    return s3_error(answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])

"""Objects in S3, or in another store with its API."""

import os
import re
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rich.filesize import decimal

from warehouse import blocks
from warehouse.errors import CopyError, PermanentError, TransientError
from warehouse.files import File, SourceFile, batches
from warehouse.s3.errors import CUT_SHORT, explained
from warehouse.sources import Progress
from warehouse.stopping import WORK

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials

_PARALLEL = 32
_BODY_ATTEMPTS = 3  # boto3 retries a request that gets no answer, but not a body that breaks off
_BLOCK_BYTES = 1 << 20
_BATCH_BYTES = 64 << 20
_LEAST_BYTES = 64 << 10
"""What a small object is counted for, so that a thousand are loaded at a time."""
_PROGRESS_SECONDS = 2
_URL = re.compile(r"s3://([\w.-]{1,255})(?:/(.*))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Keys:
    """AWS keys. Those of a role come with a token."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def is_s3(name: str) -> bool:
    """Whether a name is meant as an S3 URL, valid or not."""
    return name.lower().startswith("s3:/")


class S3:
    """Reads and writes S3 with an AWS Credentials block, or with boto3's own credentials if no block is named.

    The block is loaded, and S3 contacted, on first use. Every method raises a PermanentError if a person has to change
    something (a CopyError that names the URL, if there is one), and a TransientError if a retry may fix it.
    """

    def __init__(self, block: str) -> None:
        self.block = block
        self.name = f"AWS Credentials block {block!r}" if block else "boto3's own credentials"

    def keys(self) -> Keys:
        """Return the keys as they are now.

        Raises:
            PermanentError: there are none.
        """
        with explained(self.name):
            credentials = self._session.get_credentials()
            keys = credentials and credentials.get_frozen_credentials()
        if not keys:
            raise PermanentError(
                f"{self.name}: no keys found. Save them in an AWS Credentials block, and name it as aws_credentials"
            )
        return Keys(keys.access_key, keys.secret_key, keys.token)

    @property
    def region(self) -> str | None:
        """The region that the block names."""
        return self._block.region_name if self._block else None

    def bucket_region(self, bucket: str) -> str:
        """Return the region that a bucket is in."""
        with explained(f"s3://{bucket}"):
            place: str | None = self._client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
        return {"EU": "eu-west-1"}.get(place, place) if place else "us-east-1"

    def objects(self, url: str) -> list[SourceFile]:
        """Return every object whose key starts with the URL's, by key. As in COPY, `log` matches `log_old/x` too.

        Raises:
            CopyError: there are none.
        """
        bucket, prefix = _bucket_and_key(url)
        with explained(url):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            objects = [_source_file(bucket, entry) for page in pages for entry in page.get("Contents", ())]
        if not objects:
            raise CopyError(
                f"{url}: The specified S3 prefix '{prefix}' does not exist. Name a prefix that keys in the bucket "
                f"start with (prefixes are case-sensitive; try `aws s3 ls {url}`)"
            )
        return sorted(objects, key=lambda each: each.url)

    def read(self, url: str, first_bytes: int | None = None) -> bytes:
        """Return the content of one object, or its beginning. It must not be empty to have one."""
        bucket, key = _bucket_and_key(url)
        if not key:
            raise CopyError(f"{url}: names a bucket, not an object. Use s3://bucket/key")
        part = {"Range": f"bytes=0-{first_bytes - 1}"} if first_bytes else {}
        with explained(url), closing(self._client.get_object(Bucket=bucket, Key=key, **part)["Body"]) as body:
            content: bytes = body.read()
        return content

    def write(self, url: str, content: bytes, kind: str = "application/json") -> None:
        """Write one object."""
        bucket, key = _bucket_and_key(url)
        with explained(url):
            self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)

    def address(self, url: str) -> str:
        """Return where a browser finds an object: in AWS's console, which asks who may read it, or in another store."""
        bucket, key = _bucket_and_key(url)
        endpoint: str = self._client.meta.endpoint_url
        if ".amazonaws.com" in endpoint:
            return f"https://console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key)}"
        return f"{endpoint}/{bucket}/{quote(key)}"

    @contextmanager
    def downloaded(self, objects: Iterable[SourceFile], progress: Progress) -> Iterator[Iterator[list[File]]]:
        """Yield the objects, except empty ones, as local files until the block ends: in order, some at a time.

        The next ones are fetched while the block is busy with these.

        Raises:
            TransientError: an object is no longer the one that was listed.
        """
        # after a failure, abandoned threads may still be writing there
        with TemporaryDirectory(prefix="sparkify-", ignore_cleanup_errors=True) as folder:
            filled = [each for each in objects if each.size]
            with closing(_Download(self._client, folder, progress).run(filled)) as files:
                yield files

    @cached_property
    def _block(self) -> "AwsCredentials | None":
        return blocks.load_credentials(self.block) if self.block else None

    @cached_property
    def _session(self) -> Any:
        import boto3  # slow to import and rarely needed

        session = self._block.get_boto3_session() if self._block else boto3.Session()
        session._session.register_component("data_loader", _loader())
        return session

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config  # slow to import and rarely needed

        config = Config(max_pool_connections=_PARALLEL, retries={"mode": "standard", "max_attempts": 5})
        try:
            options = self._block.aws_client_parameters.get_params_override() if self._block else {}
            if block_config := options.pop("config", None):
                config = config.merge(block_config)
                config.signature_version = block_config.signature_version  # `unsigned`, which merging drops
            return self._session.client("s3", config=config, **options)
        except (TypeError, ValueError):
            raise PermanentError(
                f"{self.name}: the client parameters are invalid. Check endpoint_url (http://host:port), "
                "region_name, and the names in config"
            ) from None


class _Download:
    """Downloads objects into a folder, many in parallel."""

    def __init__(self, client: Any, folder: str, progress: Progress) -> None:
        self.client = client
        self.folder = folder
        self.progress = progress
        self.bytes = 0
        self.counting = Lock()
        self.stopped = Event()

    def run(self, objects: list[SourceFile]) -> Generator[list[File]]:
        """Yield the files, in order. After a failure no new download starts, and running ones are abandoned."""
        pool = ThreadPoolExecutor(_PARALLEL, "s3")
        try:
            futures = [(pool.submit(self._fetch, each, str(number)), each) for number, each in enumerate(objects)]
            fetched = 0
            for batch in batches(futures, _BATCH_BYTES, size=lambda pair: max(pair[1].size, _LEAST_BYTES)):
                files = self._wait([future for future, _ in batch], fetched, len(objects))
                fetched += len(files)
                yield files
        finally:
            self.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _wait(self, futures: list[Future[File]], before: int, total: int) -> list[File]:
        """Wait for some of all files, and report how many are there with those before."""
        pending = set(futures)
        while pending:
            WORK.refuse_if_stopping()
            done, pending = wait(pending, _PROGRESS_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
            fetched = before + len(futures) - len(pending)
            self.progress(f"{fetched:,} of {total:,} objects, {decimal(self.bytes)} fetched")
        return [future.result() for future in futures]

    def _fetch(self, item: SourceFile, name: str) -> File:
        path, url = os.path.join(self.folder, name), item.url
        try:
            with explained(url):
                return File(path, url, self._write(item, path))
        except OSError as error:
            raise CopyError(
                f"{url}: cannot be saved in {self.folder} ({error.strerror}). Free some space there, or set TMPDIR"
            ) from None

    def _write(self, item: SourceFile, path: str, attempts: int = _BODY_ATTEMPTS) -> int:
        try:
            return self._write_once(item, path)
        except CUT_SHORT:
            if attempts == 1:
                raise
        return self._write(item, path, attempts - 1)

    def _write_once(self, item: SourceFile, path: str) -> int:
        bucket, key = _bucket_and_key(item.url)
        size = 0
        answer = self.client.get_object(Bucket=bucket, Key=key)
        with closing(answer["Body"]) as body, open(path, "wb") as file:
            refuse_changed(item, answer["ETag"].strip('"'))
            while block := body.read(_BLOCK_BYTES):
                if self.stopped.is_set():
                    raise CancelledError
                size += file.write(block)
                with self.counting:
                    self.bytes += len(block)
        return size


def refuse_changed(item: SourceFile, etag: str | None) -> None:
    """Make sure that an object still is the one that was listed.

    Raises:
        TransientError: it has another etag, or none because it is gone.
    """
    if etag != item.etag:
        what = "written again" if etag else "deleted"
        raise TransientError(f"{item.url}: {what} while it was read. Nothing was loaded. Run again")


@cache
def _loader() -> Any:
    """Return what reads boto3's own files, so that a process reads them once: they cost each client half a second."""
    from botocore.loaders import create_loader  # slow to import and rarely needed

    return create_loader()


def _source_file(bucket: str, entry: dict[str, Any]) -> SourceFile:
    return SourceFile(f"s3://{bucket}/{entry['Key']}", entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])


def _bucket_and_key(url: str) -> tuple[str, str]:
    if match := _URL.fullmatch(url):
        return match[1], match[2] or ""
    masked = re.sub(r"//.*@", "//...@", url)  # some people write keys in front of an @
    raise CopyError(f"{masked}: not a valid S3 URL. Use s3://bucket/prefix")

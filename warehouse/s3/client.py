"""Objects in S3, or in what speaks its API."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import Any

from rich.filesize import decimal

from warehouse import blocks
from warehouse.errors import CopyError, PermanentError
from warehouse.files import File
from warehouse.s3.errors import CUT_SHORT, explained
from warehouse.sources import Progress

_AT_ONCE = 32
_TRIES_OF_A_BODY = 3  # boto3 asks again for an answer that does not come, but not for one that breaks off
_BLOCK_BYTES = 1 << 20
_PROGRESS_SECONDS = 2
_URL = re.compile(r"s3://([\w.-]{1,255})(?:/(.*))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Keys:
    """Keys of AWS; those of a role come with a token."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Object:
    """An object in S3; its size is in bytes."""

    url: str
    size: int
    modified: datetime


def is_s3(name: str) -> bool:
    """Whether a name is meant for S3, well written or not."""
    return name.lower().startswith("s3:/")


class S3:
    """What an AWS Credentials block may read, or boto3's own credentials where none is named.

    The block is loaded, and S3 spoken to, when something is first asked for. Every method raises a
    PermanentError where a person has to change something (a CopyError that names the URL, where there is one),
    and a TransientError where another try may do.
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
            raise PermanentError(f"{self.name}: no keys: save them in an AWS Credentials block, and name it")
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

    def objects(self, url: str) -> list[Object]:
        """Return every object whose key begins with the URL's, by key. As in COPY, `log` means `log_old/x` too.

        Raises:
            CopyError: there is none.
        """
        bucket, prefix = _bucket_and_key(url)
        with explained(url):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            objects = [
                Object(f"s3://{bucket}/{found['Key']}", found["Size"], found["LastModified"])
                for page in pages
                for found in page.get("Contents", ())
            ]
        if not objects:
            raise CopyError(
                f"{url}: The specified S3 prefix '{prefix}' does not exist: name one that keys in the bucket begin "
                f"with, upper and lower case told apart (`aws s3 ls {url}`)"
            )
        return sorted(objects, key=lambda found: found.url)

    def read(self, url: str) -> bytes:
        """Return the content of one object."""
        bucket, key = _bucket_and_key(url)
        if not key:
            raise CopyError(f"{url}: a bucket, where one object is needed: write s3://bucket/key")
        with explained(url), closing(self._client.get_object(Bucket=bucket, Key=key)["Body"]) as body:
            content: bytes = body.read()
        return content

    @contextmanager
    def downloaded(self, url: str, progress: Progress) -> Iterator[list[File]]:
        """Give every object that `objects` does, but for empty ones, as a local file until the block ends."""
        objects = [found for found in self.objects(url) if found.size]
        # a thread that had to be left behind may still be writing there
        with TemporaryDirectory(prefix="sparkify-", ignore_cleanup_errors=True) as folder:
            yield _Download(self._client, folder, progress).run(objects)

    @cached_property
    def _block(self) -> Any:
        return blocks.load_credentials(self.block) if self.block else None

    @cached_property
    def _session(self) -> Any:
        import boto3  # slow to import, and seldom needed

        return self._block.get_boto3_session() if self._block else boto3.Session()

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config  # slow to import, and seldom needed

        config = Config(max_pool_connections=_AT_ONCE, retries={"mode": "standard", "max_attempts": 5})
        try:
            options = self._block.aws_client_parameters.get_params_override() if self._block else {}
            if given := options.pop("config", None):
                config = config.merge(given)
                config.signature_version = given.signature_version  # `unsigned`, which merging does not keep
            return self._session.client("s3", config=config, **options)
        except (TypeError, ValueError):
            raise PermanentError(
                f"{self.name}: its client parameters make no client: check endpoint_url (http://host:port), "
                "region_name, and the names in config"
            ) from None


class _Download:
    """Fetches objects into a folder, many at a time."""

    def __init__(self, client: Any, folder: str, progress: Progress) -> None:
        self.client = client
        self.folder = folder
        self.progress = progress
        self.bytes = 0
        self.counting = Lock()
        self.stopped = Event()

    def run(self, objects: list[Object]) -> list[File]:
        """Return the files, in order. Once one fails no other is begun, and those under way are left."""
        pool = ThreadPoolExecutor(_AT_ONCE, "s3")
        try:
            futures = [pool.submit(self._fetch, found.url, str(number)) for number, found in enumerate(objects)]
            self._watch(futures)
            return [future.result() for future in futures]
        finally:
            self.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self, futures: list[Future[File]]) -> None:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, _PROGRESS_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
            fetched = len(futures) - len(pending)
            self.progress(f"{fetched:,} of {len(futures):,} objects, {decimal(self.bytes)} fetched")

    def _fetch(self, url: str, name: str) -> File:
        path = os.path.join(self.folder, name)
        try:
            with explained(url):
                return File(path, url, self._write(url, path))
        except OSError as error:
            raise CopyError(
                f"{url}: cannot be kept in {self.folder}: {error.strerror}: make room there, or set TMPDIR"
            ) from None

    def _write(self, url: str, path: str, tries: int = _TRIES_OF_A_BODY) -> int:
        try:
            return self._write_once(url, path)
        except CUT_SHORT:
            if tries == 1:
                raise
        return self._write(url, path, tries - 1)

    def _write_once(self, url: str, path: str) -> int:
        bucket, key = _bucket_and_key(url)
        size = 0
        with closing(self.client.get_object(Bucket=bucket, Key=key)["Body"]) as body, open(path, "wb") as file:
            while block := body.read(_BLOCK_BYTES):
                if self.stopped.is_set():
                    raise CancelledError
                size += file.write(block)
                with self.counting:
                    self.bytes += len(block)
        return size


def _bucket_and_key(url: str) -> tuple[str, str]:
    if match := _URL.fullmatch(url):
        return match[1], match[2] or ""
    shown = re.sub(r"//.*@", "//...@", url)  # keys are sometimes written before an @
    raise CopyError(f"{shown}: not the address of anything in S3: write s3://bucket/prefix")

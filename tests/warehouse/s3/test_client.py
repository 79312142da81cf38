"""S3 as a source: what is found and loaded, and the message of each failure."""

import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prefect.logging import disable_run_logger

from flows.etl import etl
from sql import catalog
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tests.support.copying import Copying
from tests.support.project import ROOT
from tests.support.s3 import KEYS, Answer, Bucket, answering, listing, moto, refusal, save_block
from tests.support.warehouses import duckdb_place, stage_next
from warehouse.documents import write_document
from warehouse.errors import CopyError, NotAllowedError, PermanentError, TransientError, is_transient
from warehouse.files import SourceFile
from warehouse.s3 import client as module
from warehouse.s3.client import S3, Keys, is_s3
from warehouse.s3.errors import explained
from warehouse.sources import Source
from warehouse.target import Target

pytestmark = pytest.mark.usefixtures("prefect_server")
LINE = b'{"k": "a"}\n'


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture(scope="module")
def block(prefect_server: None, s3_server: str) -> str:
    return save_block(s3_server)


@pytest.fixture
def bucket(s3_server: str) -> Bucket:
    return Bucket(s3_server)


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the credentials of this machine and its network from the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory, block: str) -> Copying:
    return Copying(tmp_path_factory.mktemp("copying"), aws_credentials=block)


def read_into_memory(s3: S3, url: str) -> dict[str, bytes]:
    with s3.downloaded(s3.objects(url), lambda news: None) as batches:
        files = [file for batch in batches for file in batch]
        found = {file.name: Path(file.path).read_bytes() for file in files}
        assert [file.size for file in files] == [len(content) for content in found.values()]
    assert not any(Path(file.path).exists() for file in files)
    return found


class TestObjects:
    def test_a_url_is_a_prefix_of_keys(self, block: str, bucket: Bucket) -> None:
        keys = ["log", "log_data/a", "log_data/b/c d+é.json", "log_data_old/x", "log_data", "other/log_data/y"]
        bucket.put(dict.fromkeys(keys, LINE))

        def found(prefix: str) -> list[str]:
            return [item.url.removeprefix(bucket.url()) for item in S3(block).objects(bucket.url(prefix))]

        assert found("log_data") == ["log_data", "log_data/a", "log_data/b/c d+é.json", "log_data_old/x"]
        assert found("log_data/") == ["log_data/a", "log_data/b/c d+é.json"]
        assert found("log_data/a") == ["log_data/a"]
        assert found("") == sorted(keys)
        assert len(S3(block).objects(bucket.url()[:-1])) == len(keys)

    def test_an_object_has_its_size_and_its_time(self, block: str, bucket: Bucket) -> None:
        bucket.put({"a": LINE})
        (found,) = S3(block).objects(bucket.url("a"))
        assert found == SourceFile(bucket.url("a"), len(LINE), md5(LINE).hexdigest(), found.modified)
        assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=5)

    def test_a_prefix_without_objects_is_refused(self, block: str, bucket: Bucket) -> None:
        bucket.put({"log_data/a": LINE})
        with pytest.raises(CopyError, match=r"^s3://.*/LOG_: The specified S3 prefix 'LOG_' does not exist. Name a"):
            S3(block).objects(bucket.url("LOG_"))

    def test_listings_of_several_pages_are_complete(self, block: str, bucket: Bucket) -> None:
        for number in range(2001):
            bucket.backend.put_object(bucket.name, f"{number:04}", b"")
        found = [item.url for item in S3(block).objects(bucket.url())]
        assert found == [bucket.url(f"{number:04}") for number in range(2001)]

    def test_downloaded_objects_last_until_the_block_ends(self, block: str, bucket: Bucket) -> None:
        objects = {f"{number:03}": b"%d" % number for number in range(100)} | {"large": b"x" * 3_000_000}
        bucket.put(objects | {"empty": b"", "folder/": b""})
        found = read_into_memory(S3(block), bucket.url())
        assert found == {bucket.url(key): content for key, content in objects.items()}

    def test_progress_is_reported_during_the_download(
        self, block: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.001)
        bucket.put({f"{number:03}": b"x" * 1000 for number in range(100)})
        messages: list[str] = []
        s3 = S3(block)
        with s3.downloaded(s3.objects(bucket.url()), messages.append) as batches:
            list(batches)
        assert len(messages) > 1
        assert all(re.fullmatch(r"\d+ of 100 objects, [\d.]+ (bytes?|kB) fetched", line) for line in messages)
        assert messages[-1] == "100 of 100 objects, 100.0 kB fetched"

    def test_the_next_objects_are_fetched_while_the_first_are_used(
        self, block: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_BATCH_BYTES", 2 * module._LEAST_BYTES)
        bucket.put(dict.fromkeys("abcde", b"x"))
        s3 = S3(block)
        with s3.downloaded(s3.objects(bucket.url()), lambda news: None) as batches:
            first = next(batches)
            folder = Path(first[0].path).parent
            deadline = monotonic() + 20
            while sum(path.stat().st_size for path in folder.iterdir()) < 5 and monotonic() < deadline:
                sleep(0.01)
            assert sum(path.stat().st_size for path in folder.iterdir()) == 5
            assert [len(batch) for batch in (first, *batches)] == [2, 2, 1]

    def test_the_region_of_a_bucket_is_found(self, block: str, bucket: Bucket) -> None:
        elsewhere = f"{bucket.name}-elsewhere"
        bucket.client.create_bucket(Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        assert S3(block).bucket_region(bucket.name) == "us-east-1"
        assert S3(block).bucket_region(elsewhere) == "eu-west-1"


class TestBlock:
    def test_keys_and_region_come_from_the_block(self, s3_server: str) -> None:
        s3 = S3(save_block(s3_server, region_name="eu-west-1", aws_session_token="canary token"))
        assert s3.keys() == Keys(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], "canary token")
        assert s3.region == "eu-west-1"

    def test_without_a_block_boto3_finds_its_own_keys(
        self, s3_server: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {**KEYS, "aws_endpoint_url": s3_server}.items():
            monkeypatch.setenv(name.upper(), value)
        bucket.put({"a": LINE})
        assert S3("").read(bucket.url("a")) == LINE
        assert S3("").keys().access_key == KEYS["aws_access_key_id"]
        assert S3("").region is None

    def test_a_missing_block_is_named(self) -> None:
        for use in (S3.keys, lambda s3: s3.region, lambda s3: s3.objects("s3://b")):
            with pytest.raises(PermanentError, match=r"no valid AWS Credentials block named 'none'.*prefect block ls"):
                use(S3("none"))

    def test_without_credentials_there_are_no_keys_and_no_objects(self) -> None:
        with pytest.raises(PermanentError, match=r"boto3's own credentials: no keys found\. Save them"):
            S3("").keys()
        with pytest.raises(CopyError, match=r"s3://b/x: Unable to locate credentials. Give this machine a role"):
            S3("").objects("s3://b/x")

    def test_a_missing_profile_is_named(self, s3_server: str) -> None:
        name = save_block(s3_server, profile_name="nobody", aws_access_key_id=None, aws_secret_access_key=None)
        with pytest.raises(CopyError, match=r"s3://b/x: .*profile \(nobody\) could not be found"):
            S3(name).objects("s3://b/x")

    def test_an_incomplete_key_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary")
        with pytest.raises(CopyError, match=r"s3://b/x: Partial credentials found.*SECRET") as raised:
            S3("").objects("s3://b/x")
        assert "canary" not in str(raised.value)

    def test_a_public_bucket_needs_no_keys(self, s3_server: str, bucket: Bucket) -> None:
        name = save_block(
            s3_server, aws_access_key_id=None, aws_secret_access_key=None, config={"signature_version": "unsigned"}
        )
        bucket.client.put_object(Bucket=bucket.name, Key="a", Body=LINE, ACL="public-read")
        assert S3(name).read(bucket.url("a")) == LINE

    def test_the_blocks_configuration_takes_precedence(self, s3_server: str) -> None:
        config = S3(save_block(s3_server, config={"retries": {"max_attempts": 2}}))._client.meta.config
        assert (config.max_pool_connections, config.retries["total_max_attempts"]) == (32, 3)

    @pytest.mark.parametrize(
        "parameters", [{"endpoint_url": "u:canary@host:9000"}, {"config": {"canary": 1}}], ids=["URL", "config"]
    )
    def test_invalid_client_parameters_are_named(self, parameters: dict[str, Any]) -> None:
        name = save_block("", aws_client_parameters=parameters)
        with pytest.raises(PermanentError, match=rf"block '{name}': the client parameters are invalid") as raised:
            S3(name).objects("s3://b/x")
        assert "canary" not in str(raised.value)


class TestUrls:
    @pytest.mark.parametrize("url", ["s3://", "s3:///", "s3:///x", "s3:/b/x", "s3://b c/x", "S3://b/x", "s3://b\n"])
    def test_an_invalid_url_is_refused(self, url: str) -> None:
        assert is_s3(url)
        with pytest.raises(CopyError, match=rf"^{re.escape(url)}: not a valid S3 URL. Use s3://buck"):
            S3("").objects(url)

    def test_keys_in_a_url_are_not_repeated(self) -> None:
        with pytest.raises(CopyError, match=r"s3://\.\.\.@b/x: not a valid S3 URL") as raised:
            S3("").objects("s3://AKIACANARY:canary@b/x")
        assert "canary" not in str(raised.value).lower()

    def test_a_bucket_url_is_refused_where_an_object_is_needed(self) -> None:
        with pytest.raises(CopyError, match=r"s3://b: names a bucket, not an object"):
            S3("").read("s3://b")

    def test_local_names_are_not_taken_for_s3(self) -> None:
        assert not any(map(is_s3, ("data", "/s3", "s3", "./s3:/x", "s3data/x")))


TRANSIENT_CODES = (
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestTimeout",
    "RequestThrottledException", "RequestLimitExceeded", "LimitExceededException", "RequestTimeoutException",
    "TooManyRequestsException", "BandwidthLimitExceeded", "InternalError", "InternalFailure", "ServiceUnavailable",
    "OperationAborted",
)  # fmt: skip
MAY_NOT = "these credentials do not allow GetObject"
REFUSED = {
    "NoSuchBucket": "there is no such bucket",
    **dict.fromkeys(["NoSuchKey", "404"], "there is no such object, or no longer"),
    **dict.fromkeys(["AccessDenied", "AllAccessDisabled", "403"], MAY_NOT),
    **dict.fromkeys(["InvalidAccessKeyId", "InvalidClientTokenId"], "the access key id is unknown"),
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key id",
    **dict.fromkeys(["ExpiredToken", "ExpiredTokenException", "InvalidToken"], "Save a new one"),
    **dict.fromkeys(["PermanentRedirect", "TemporaryRedirect", "301"], "the bucket is in another region"),
    "AuthorizationHeaderMalformed": "the bucket is in another region",
    "IllegalLocationConstraintException": "the bucket is in another region",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "InvalidObjectState": "the object is archived",
}


def explained_as(code: str, status: int) -> Exception:
    """Return the error that an error of boto3 is translated into."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises((CopyError, TransientError)) as raised, explained("s3://b/x"):
        raise ClientError(answer, "GetObject")
    return raised.value


class TestRefusals:
    def test_a_missing_bucket_is_named(self, block: str) -> None:
        with pytest.raises(CopyError, match=r"^s3://no-such/x: there is no such bucket \(NoSuchBucket\)\. Check"):
            S3(block).objects("s3://no-such/x")
        with pytest.raises(CopyError, match=r"^s3://no-such: there is no such bucket"):
            S3(block).bucket_region("no-such")

    def test_a_missing_object_is_named(self, block: str, bucket: Bucket) -> None:
        with pytest.raises(CopyError, match=r"/gone: there is no such object, or no longer \(NoSuchKey\)\. Check"):
            S3(block).read(bucket.url("gone"))

    @pytest.mark.parametrize(
        ("code", "status", "text"),
        [
            ("AccessDenied", 403, r"do not allow ListObjectsV2 \(AccessDenied\)\. Allow them s3:ListBucket"),
            ("AllAccessDisabled", 403, "do not allow ListObjectsV2"),
            ("InvalidAccessKeyId", 403, "the access key id is unknown"),
            ("SignatureDoesNotMatch", 403, "the secret access key does not belong to the access key id"),
            ("ExpiredToken", 400, r"is expired or invalid \(\w+\)\. Save a new one"),
            ("InvalidToken", 400, r"is expired or invalid \(\w+\)\. Save a new one"),
            ("PermanentRedirect", 301, r"in another region \(\w+\)\. Set region_name"),
            ("AuthorizationHeaderMalformed", 400, r"in another region \(\w+\)\. Set region_name"),
            ("IllegalLocationConstraintException", 400, r"in another region \(\w+\)\. Set region_name"),
            ("RequestTimeTooSkewed", 403, "clock"),
            ("InvalidRequest", 400, r"S3 refuses ListObjectsV2 \(InvalidRequest\)\. Look up the code"),
        ],
    )
    def test_each_refusal_says_what_to_do_without_secrets(self, code: str, status: int, text: str) -> None:
        with answering(refusal(code, status)) as endpoint:
            s3 = S3(save_block(endpoint))
            with pytest.raises(CopyError, match=rf"^s3://b/x: .*{text}") as raised:
                s3.objects("s3://b/x")
        assert not is_transient(raised.value)
        assert_no_secret(raised.value)

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("SlowDown", 503), ("Throttling", 400), ("ThrottlingException", 400), ("RequestTimeout", 400),
            ("RequestLimitExceeded", 400), ("TooManyRequestsException", 429), ("InternalError", 500),
            ("ServiceUnavailable", 503), ("Whatever", 502),
        ],
    )  # fmt: skip
    def test_temporary_errors_are_transient(self, code: str, status: int) -> None:
        with answering(refusal(code, status)) as endpoint:
            s3 = S3(save_block(endpoint))
            with pytest.raises(TransientError, match=rf"^s3://b/x: S3 cannot answer now \({code}, ") as raised:
                s3.objects("s3://b/x")
        assert is_transient(raised.value)
        assert_no_secret(raised.value)

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            *((code, 400) for code in TRANSIENT_CODES),
            *(("Unheard", status) for status in (429, 500, 501, 503, 599)),
        ],
    )
    def test_a_code_or_a_status_alone_makes_an_error_transient(self, code: str, status: int) -> None:
        error = explained_as(code, status)
        assert is_transient(error), f"code {code} with status {status} may pass: {error}"

    @pytest.mark.parametrize("status", [301, 400, 403, 404, 409, 430, 499])
    def test_an_unknown_error_is_not_retried(self, status: int) -> None:
        assert not is_transient(explained_as("Unheard", status)), f"status {status} does not pass"

    @pytest.mark.parametrize("code", REFUSED)
    def test_each_known_refusal_has_its_advice(self, code: str) -> None:
        error = explained_as(code, 400)
        assert REFUSED[code] in str(error), f"what is to be done about {code}: {error}"
        assert isinstance(error, NotAllowedError) == (REFUSED[code] == MAY_NOT), "whether the worker may just not look"

    def test_throttled_requests_are_retried(self) -> None:
        slow_down = refusal("SlowDown", 503)
        answers: list[Answer] = [slow_down, slow_down, lambda _: (200, {}, listing("x"))]
        with answering(lambda path: answers.pop(0)(path)) as endpoint:
            name = save_block(endpoint, config={"retries": {"mode": "standard", "max_attempts": 5}})
            assert [found.url for found in S3(name).objects("s3://b/x")] == ["s3://b/x"]

    def test_an_unreachable_endpoint_is_named_without_its_password(self) -> None:
        with answering(refusal("", 200)) as endpoint:
            address = endpoint.removeprefix("http://")
        s3 = S3(save_block(f"http://user:canary@{address}"))
        with pytest.raises(TransientError, match=rf"^s3://b/x: no complete answer from {address} \(EndpointConnection"):
            s3.objects("s3://b/x")

    def test_an_endpoint_without_tls_is_permanent(self) -> None:
        with answering(refusal("", 200)) as endpoint:
            s3 = S3(save_block(endpoint.replace("http:", "https:")))
            with pytest.raises(CopyError, match=r"^s3://b/x: no trusted connection to 127\.0\.0\.1.*http or https"):
                s3.objects("s3://b/x")

    def test_a_read_timeout_is_transient(self) -> None:
        waiting = threading.Event()

        def never(path: str) -> Any:
            waiting.wait(30)
            return 200, {}, b""

        with answering(never) as endpoint:
            s3 = S3(save_block(endpoint, config={"read_timeout": 0.2}))
            with pytest.raises(TransientError, match=r"^s3://b/x: no complete answer .*ReadTimeoutError"):
                s3.objects("s3://b/x")
            waiting.set()


class TestDownloads:
    def test_an_incomplete_body_is_requested_again(self) -> None:
        cuts = [4, 4, 9]

        def answer(path: str) -> Any:
            if "list-type" in path:
                return 200, {}, listing("x")
            return 200, {"Content-Length": "9"}, b"123456789"[: cuts.pop(0)]

        with answering(answer) as endpoint:
            assert read_into_memory(S3(save_block(endpoint)), "s3://b/x") == {"s3://b/x": b"123456789"}

    def test_a_body_that_stays_incomplete_is_transient(self) -> None:
        def answer(path: str) -> Any:
            return (200, {}, listing("x")) if "list-type" in path else (200, {"Content-Length": "9"}, b"1234")

        with answering(answer) as endpoint:
            s3 = S3(save_block(endpoint))
            with pytest.raises(TransientError, match=r"^s3://b/x: no complete answer from S3 \(\w+Error\)"):
                read_into_memory(s3, "s3://b/x")
            with pytest.raises(TransientError, match=r"^s3://b/y: no complete answer"):
                s3.read("s3://b/y")

    def test_the_first_failure_stops_all_downloads_and_names_its_object(self) -> None:
        asked: list[str] = []
        waiting = threading.Event()

        def answer(path: str) -> Any:
            if "list-type" in path:
                return 200, {}, listing(*(f"{number:03}" for number in range(500)))
            asked.append(path)
            if path.startswith("/b/007"):
                return refusal("AccessDenied", 403)(path)
            waiting.wait(30)
            return 200, {}, b"123456789"

        with answering(answer) as endpoint:
            s3 = S3(save_block(endpoint))
            started = monotonic()
            with pytest.raises(CopyError, match=r"^s3://b/007: .* do not allow GetObject"):
                read_into_memory(s3, "s3://b/")
            assert monotonic() - started < 15
            waiting.set()
        assert len(asked) < 100

    def test_a_full_disk_is_named(self, block: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        def fill(*_: Any) -> None:
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(LINE)

        bucket.put({"a": LINE})
        monkeypatch.setattr(module._Download, "_write", fill)
        with pytest.raises(
            CopyError, match=r"/a: cannot be saved in .* \(No space left on device\)\. Free some space there"
        ):
            read_into_memory(S3(block), bucket.url("a"))


class TestLoads:
    def test_staging_from_s3_equals_staging_from_files(
        self, tmp_path: Path, generated: Path, block: str, bucket: Bucket
    ) -> None:
        bucket.put_folder(generated)
        jsonpaths = catalog.STAGING_EVENTS.jsonpaths
        assert jsonpaths
        bucket.put({"log_json_path.json": jsonpaths.read_bytes()})
        local = stage_all(tmp_path / "local.duckdb", str(generated), "", "")
        assert local["staging_events"]
        assert stage_all(tmp_path / "s3.duckdb", bucket.url()[:-1], block, "") == local
        assert stage_all(tmp_path / "paths.duckdb", bucket.url()[:-1], block, bucket.url("log_json_path.json")) == local

    def test_a_prefix_without_a_slash_loads_its_neighbours_too(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"log/": b"", "log/a": LINE, "log_old/a": LINE * 1000, "other": b"bad"})
        table = copying.table("k varchar")
        assert copying.load(table, bucket.url("log/")).reported == (1, 0)
        assert copying.load(table, bucket.url("log")).reported == (1001, 0)

    def test_folder_markers_load_nothing(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"log/": b""})
        assert copying.load(copying.table("k varchar"), bucket.url("log/")).reported == (0, 0)

    def test_a_rejected_record_names_its_object(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"small": LINE + b"bad", "large": LINE * 1000 + b"bad"})
        table = copying.table("k varchar")
        with pytest.raises(CopyError, match=rf"{bucket.url('large')}, line 1001: Not a JSON object"):
            copying.load(table, bucket.url())
        rejects = copying.load(table, bucket.url(), max_errors=2).rejects
        assert [(reject.file, reject.line) for reject in rejects] == [
            (bucket.url("large"), 1001),
            (bucket.url("small"), 2),
        ]

    def test_gzip_objects_load_and_invalid_ones_are_named(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"a.json.gz": gzip.compress(LINE * 1000), "b": gzip.compress(LINE) + gzip.compress(LINE)})
        table = copying.table("k varchar")
        assert copying.load(table, bucket.url(), compression="gzip").reported == (1002, 0)
        with pytest.raises(CopyError, match=rf"{bucket.url('a.json.gz')}: looks compressed"):
            copying.load(table, bucket.url())
        bucket.put({"b": gzip.compress(LINE)[:-4]})
        with pytest.raises(CopyError, match=rf"{bucket.url('b')}: the gzip file is truncated"):
            copying.load(table, bucket.url(), compression="gzip")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"no", "the JSONPaths file is not valid JSON"),
            (b'{"jsonpaths": []}', "has 0 paths, but .* needs 1"),
            (None, "there is no such object"),
        ],
    )
    def test_an_invalid_jsonpaths_object_is_named_before_any_download(
        self, copying: Copying, bucket: Bucket, content: bytes | None, reason: str
    ) -> None:
        bucket.put({"log/a": LINE} | ({"paths": content} if content else {}))
        messages: list[str] = []
        with pytest.raises(CopyError, match=rf"{bucket.url('paths')}: {reason}"):
            copying.load(
                copying.table("k varchar"), bucket.url("log"), progress=messages.append, jsonpaths=bucket.url("paths")
            )
        assert messages == []

    def test_a_jsonpaths_object_maps_the_columns(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"log/a": b'{"Other": {"key": "v"}}', "paths": b'{"jsonpaths": ["$.Other.key"]}'})
        loaded = copying.load(copying.table("k varchar"), bucket.url("log"), jsonpaths=bucket.url("paths"))
        assert loaded.rows == [("v",)]

    def test_progress_names_the_table(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"a": LINE, "b": LINE})
        table = copying.table("k varchar")
        messages: list[str] = []
        copying.load(table, bucket.url(), progress=messages.append)
        assert messages == [
            f"{table.name}: 2 of 2 objects, 22 bytes fetched",
            f"{table.name}: 100% of 22 bytes read",
        ]  # fmt: skip

    def test_a_failed_load_leaves_the_table_unchanged(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"a": LINE})
        table = copying.table("k varchar")
        copying.load(table, bucket.url())
        with pytest.raises(CopyError, match="does not exist"):
            copying.load(table, bucket.url("none"))
        assert copying.present(table) == [("a",)]


class TestFlow:
    def run(self, tmp_path: Path, data: str, **parameters: Any) -> Any:
        return etl(
            f"{data}/log_data",
            f"{data}/song_data",
            warehouse=f"duckdb:///{tmp_path}/w.duckdb",
            schema="sparkify",
            return_state=True,
            **parameters,
        )

    def test_a_run_from_s3_equals_a_run_from_files(
        self, tmp_path: Path, generated: Path, block: str, bucket: Bucket
    ) -> None:
        bucket.put_folder(generated)
        folders = [tmp_path / "s3", tmp_path / "local"]
        for folder in folders:
            folder.mkdir()
        summary = self.run(folders[0], bucket.url()[:-1], aws_credentials=block).result()
        assert all(report.holds for report in summary.checks)
        self.run(folders[1], str(generated)).result()
        assert duckdb_place(folders[0] / "w.duckdb").contents() == duckdb_place(folders[1] / "w.duckdb").contents()

    @pytest.mark.parametrize(("code", "status", "times"), [("SlowDown", 503, 6), ("AccessDenied", 403, 1)])
    def test_a_run_retries_transient_errors_only(
        self, tmp_path: Path, generated: Path, code: str, status: int, times: int
    ) -> None:
        asked: list[str] = []

        def answer(path: str) -> Any:
            asked.append(path)
            return refusal(code, status)(path)

        with answering(answer) as endpoint:
            state = self.run(tmp_path, "s3://b", aws_credentials=save_block(endpoint))
        assert state.is_failed()
        assert sum("prefix=log_data" in path for path in asked) == times
        with pytest.raises((TransientError, PermanentError), match=rf"s3://b/log_data: .*\({code}"):
            state.result()

    def test_the_command_line_ends_with_a_message(self) -> None:
        code = """
from flows.command_line import new_app, run_app
from warehouse.errors import TransientError

def fail():
    raise TransientError("s3://b: S3 cannot answer now")

app = new_app()
app.default(fail)
run_app(app)"""
        failed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        again = "Each step is complete or undone. Run again once this has passed"
        assert (failed.returncode, failed.stderr) == (1, f"\ns3://b: S3 cannot answer now. {again}\n")


def stage_all(database: Path, source: str, block: str, jsonpaths: str) -> dict[str, list[Any]]:
    """Stage the logs and the catalogue, and return the staged rows."""
    target = Target(f"duckdb:///{database}", "sparkify", "test", aws_credentials=block)
    with disable_run_logger():
        take_lease.fn(target)
        create_tables.fn(target, catalog.TABLES)
        stage_next(target, Source(catalog.STAGING_EVENTS, f"{source}/log_data", jsonpaths))
        stage_next(target, Source(catalog.STAGING_SONGS, f"{source}/song_data"))
        release_lease.fn(target)
    return duckdb_place(database).contents("staging_events", "staging_songs")


def assert_no_secret(error: BaseException) -> None:
    assert error.__suppress_context__
    assert not any(secret in str(error) for secret in KEYS.values())


def test_a_page_is_written_for_browsers(block: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    url = bucket.url("report/Björk #1.html")
    address = write_document("<p>Björk", url, block)
    assert address == f"{bucket.endpoint}/{bucket.name}/report/Bj%C3%B6rk%20%231.html"
    written = bucket.client.get_object(Bucket=bucket.name, Key="report/Björk #1.html")
    assert written["Body"].read().decode() == "<p>Björk"
    assert written["ContentType"] == "text/html; charset=utf-8"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    found = S3("").address("s3://bucket/report/Björk #1.html")
    assert found == "https://console.aws.amazon.com/s3/object/bucket?prefix=report/Bj%C3%B6rk%20%231.html"


def test_a_page_that_cannot_be_written_is_named(block: str) -> None:
    with pytest.raises(CopyError, match=r"s3://no-such-bucket/a\.html: .*NoSuchBucket"):
        write_document("", "s3://no-such-bucket/a.html", block)

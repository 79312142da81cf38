"""S3 as a source: what is found and loaded, and what each failure says."""

import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prefect.logging import disable_run_logger

from flows.etl import etl
from sql import catalog
from tasks.create_tables import create_tables
from tasks.lease import release_lease, take_lease
from tasks.stage import stage
from tests.support.copying import Copying
from tests.support.project import ROOT
from tests.support.s3 import KEYS, Bucket, answering, listing, moto, refusal, save_block
from tests.support.warehouses import embedded
from warehouse.errors import CopyError, NotAllowedError, PermanentError, TransientError, is_transient
from warehouse.s3 import client as module
from warehouse.s3.client import S3, Keys, Object, is_s3
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
    """Let tests find neither this machine's credentials nor its network's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory, block: str) -> Copying:
    return Copying(tmp_path_factory.mktemp("copying"), aws_credentials=block)


def read_into_memory(s3: S3, url: str) -> dict[str, bytes]:
    with s3.downloaded(url, lambda news: None) as files:
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
        assert found == Object(bucket.url("a"), len(LINE), found.modified)
        assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=5)

    def test_a_prefix_of_nothing_is_no_source(self, block: str, bucket: Bucket) -> None:
        bucket.put({"log_data/a": LINE})
        with pytest.raises(CopyError, match=r"^s3://.*/LOG_: The specified S3 prefix 'LOG_' does not exist: name one"):
            S3(block).objects(bucket.url("LOG_"))

    def test_more_objects_than_a_page_lists(self, block: str, bucket: Bucket) -> None:
        for number in range(2001):
            bucket.backend.put_object(bucket.name, f"{number:04}", b"")
        found = [item.url for item in S3(block).objects(bucket.url())]
        assert found == [bucket.url(f"{number:04}") for number in range(2001)]

    def test_objects_last_until_the_block_ends(self, block: str, bucket: Bucket) -> None:
        objects = {f"{number:03}": b"%d" % number for number in range(100)} | {"large": b"x" * 3_000_000}
        bucket.put(objects | {"empty": b"", "folder/": b""})
        found = read_into_memory(S3(block), bucket.url())
        assert found == {bucket.url(key): content for key, content in objects.items()}

    def test_progress_is_told_while_objects_come(
        self, block: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.001)
        bucket.put({f"{number:03}": b"x" * 1000 for number in range(100)})
        told: list[str] = []
        with S3(block).downloaded(bucket.url(), told.append):
            pass
        assert len(told) > 1
        assert all(re.fullmatch(r"\d+ of 100 objects, [\d.]+ (bytes?|kB) fetched", line) for line in told)
        assert told[-1] == "100 of 100 objects, 100.0 kB fetched"

    def test_the_region_of_a_bucket(self, block: str, bucket: Bucket) -> None:
        elsewhere = f"{bucket.name}-elsewhere"
        bucket.client.create_bucket(Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        assert S3(block).bucket_region(bucket.name) == "us-east-1"
        assert S3(block).bucket_region(elsewhere) == "eu-west-1"


class TestBlock:
    def test_keys_and_region_are_the_blocks(self, s3_server: str) -> None:
        s3 = S3(save_block(s3_server, region_name="eu-west-1", aws_session_token="canary token"))
        assert s3.keys() == Keys(*KEYS.values(), "canary token")
        assert s3.region == "eu-west-1"

    def test_without_a_block_boto3_finds_its_own(
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
            with pytest.raises(PermanentError, match=r"no AWS Credentials block named 'none'.*prefect block ls"):
                use(S3("none"))

    def test_without_credentials_there_are_no_keys_and_no_objects(self) -> None:
        with pytest.raises(PermanentError, match="boto3's own credentials: no keys: save them"):
            S3("").keys()
        with pytest.raises(CopyError, match=r"s3://b/x: Unable to locate credentials: give this machine a role"):
            S3("").objects("s3://b/x")

    def test_a_missing_profile_is_named(self, s3_server: str) -> None:
        name = save_block(s3_server, profile_name="nobody", aws_access_key_id=None, aws_secret_access_key=None)
        with pytest.raises(CopyError, match=r"s3://b/x: .*profile \(nobody\) could not be found"):
            S3(name).objects("s3://b/x")

    def test_half_a_key_is_not_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
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

    def test_what_the_block_configures_wins(self, s3_server: str) -> None:
        config = S3(save_block(s3_server, config={"retries": {"max_attempts": 2}}))._client.meta.config
        assert (config.max_pool_connections, config.retries["total_max_attempts"]) == (32, 3)

    @pytest.mark.parametrize(
        "parameters", [{"endpoint_url": "u:canary@host:9000"}, {"config": {"canary": 1}}], ids=["URL", "config"]
    )
    def test_client_parameters_that_make_no_client_are_named(self, parameters: dict[str, Any]) -> None:
        name = save_block("", aws_client_parameters=parameters)
        with pytest.raises(PermanentError, match=rf"block '{name}': its client parameters make no client") as raised:
            S3(name).objects("s3://b/x")
        assert "canary" not in str(raised.value)


class TestUrls:
    @pytest.mark.parametrize("url", ["s3://", "s3:///", "s3:///x", "s3:/b/x", "s3://b c/x", "S3://b/x", "s3://b\n"])
    def test_what_is_no_address_is_refused(self, url: str) -> None:
        assert is_s3(url)
        with pytest.raises(CopyError, match=rf"^{re.escape(url)}: not the address of anything in S3: write s3://buck"):
            S3("").objects(url)

    def test_keys_in_an_address_are_not_repeated(self) -> None:
        with pytest.raises(CopyError, match=r"s3://\.\.\.@b/x: not the address") as raised:
            S3("").objects("s3://AKIACANARY:canary@b/x")
        assert "canary" not in str(raised.value).lower()

    def test_a_bucket_is_no_object(self) -> None:
        with pytest.raises(CopyError, match=r"s3://b: a bucket, where one object is needed"):
            S3("").read("s3://b")

    def test_local_names_are_not_s3(self) -> None:
        assert not any(map(is_s3, ("data", "/s3", "s3", "./s3:/x", "s3data/x")))


TRANSIENT_CODES = (
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestTimeout",
    "RequestThrottledException", "RequestLimitExceeded", "LimitExceededException", "RequestTimeoutException",
    "TooManyRequestsException", "BandwidthLimitExceeded", "InternalError", "InternalFailure", "ServiceUnavailable",
    "OperationAborted",
)  # fmt: skip
MAY_NOT = "these credentials may not do this (GetObject)"
REFUSED = {
    "NoSuchBucket": "there is no such bucket",
    **dict.fromkeys(["NoSuchKey", "404"], "there is no such object (any more)"),
    **dict.fromkeys(["AccessDenied", "AllAccessDisabled", "403"], MAY_NOT),
    **dict.fromkeys(["InvalidAccessKeyId", "InvalidClientTokenId"], "the access key id is not known"),
    "SignatureDoesNotMatch": "the secret access key is not that of the access key id",
    **dict.fromkeys(["ExpiredToken", "ExpiredTokenException", "InvalidToken"], "get a new one, and save it"),
    **dict.fromkeys(["PermanentRedirect", "TemporaryRedirect", "301"], "the bucket is in another region"),
    "AuthorizationHeaderMalformed": "the bucket is in another region",
    "IllegalLocationConstraintException": "the bucket is in another region",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "InvalidObjectState": "the object is archived",
}


def explained_as(code: str, status: int) -> Exception:
    """Return what an error of boto3's is made into."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises((CopyError, TransientError)) as raised, explained("s3://b/x"):
        raise ClientError(answer, "GetObject")
    return raised.value


class TestRefusals:
    def test_a_missing_bucket(self, block: str) -> None:
        with pytest.raises(CopyError, match=r"^s3://no-such/x: there is no such bucket: .*\(NoSuchBucket\)"):
            S3(block).objects("s3://no-such/x")
        with pytest.raises(CopyError, match=r"^s3://no-such: there is no such bucket"):
            S3(block).bucket_region("no-such")

    def test_a_missing_object(self, block: str, bucket: Bucket) -> None:
        with pytest.raises(CopyError, match=r"/gone: there is no such object \(any more\): .*\(NoSuchKey\)"):
            S3(block).read(bucket.url("gone"))

    @pytest.mark.parametrize(
        ("code", "status", "text"),
        [
            ("AccessDenied", 403, r"may not do this \(ListObjectsV2\): allow s3:ListBucket"),
            ("AllAccessDisabled", 403, "may not do this"),
            ("InvalidAccessKeyId", 403, "the access key id is not known"),
            ("SignatureDoesNotMatch", 403, "the secret access key is not that of the access key id"),
            ("ExpiredToken", 400, "has expired or is not valid: get a new one"),
            ("InvalidToken", 400, "has expired or is not valid: get a new one"),
            ("PermanentRedirect", 301, "in another region: set region_name"),
            ("AuthorizationHeaderMalformed", 400, "in another region: set region_name"),
            ("IllegalLocationConstraintException", 400, "in another region: set region_name"),
            ("RequestTimeTooSkewed", 403, "clock"),
            ("InvalidRequest", 400, r"S3 refuses ListObjectsV2: look its code up.*\(InvalidRequest\)"),
        ],
    )
    def test_each_says_what_to_do_and_no_more(self, code: str, status: int, text: str) -> None:
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
    def test_what_passes_is_transient(self, code: str, status: int) -> None:
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
    def test_a_code_or_a_status_is_enough_to_try_again(self, code: str, status: int) -> None:
        error = explained_as(code, status)
        assert is_transient(error), f"code {code} with status {status} may pass: {error}"

    @pytest.mark.parametrize("status", [301, 400, 403, 404, 409, 430, 499])
    def test_what_nobody_knows_is_not_tried_again(self, status: int) -> None:
        assert not is_transient(explained_as("Unheard", status)), f"status {status} does not pass"

    @pytest.mark.parametrize("code", REFUSED)
    def test_what_is_refused_has_its_advice(self, code: str) -> None:
        error = explained_as(code, 400)
        assert REFUSED[code] in str(error), f"what is to be done about {code}: {error}"
        assert isinstance(error, NotAllowedError) == (REFUSED[code] == MAY_NOT), "whether the worker may just not look"

    def test_throttling_is_waited_out(self) -> None:
        answers = [refusal("SlowDown", 503), refusal("SlowDown", 503), lambda _: (200, {}, listing("x"))]
        with answering(lambda path: answers.pop(0)(path)) as endpoint:
            name = save_block(endpoint, config={"retries": {"mode": "standard", "max_attempts": 5}})
            assert [found.url for found in S3(name).objects("s3://b/x")] == ["s3://b/x"]

    def test_an_endpoint_that_is_not_there_is_named_without_its_password(self) -> None:
        with answering(refusal("", 200)) as endpoint:
            address = endpoint.removeprefix("http://")
        s3 = S3(save_block(f"http://user:canary@{address}"))
        with pytest.raises(TransientError, match=rf"^s3://b/x: no whole answer from {address} \(EndpointConnection"):
            s3.objects("s3://b/x")

    def test_an_endpoint_that_does_not_speak_tls_is_permanent(self) -> None:
        with answering(refusal("", 200)) as endpoint:
            s3 = S3(save_block(endpoint.replace("http:", "https:")))
            with pytest.raises(CopyError, match=r"^s3://b/x: no trusted connection to 127\.0\.0\.1.*http or https"):
                s3.objects("s3://b/x")

    def test_an_answer_that_does_not_come_is_transient(self) -> None:
        waiting = threading.Event()

        def never(path: str) -> Any:
            waiting.wait(30)
            return 200, {}, b""

        with answering(never) as endpoint:
            s3 = S3(save_block(endpoint, config={"read_timeout": 0.2}))
            with pytest.raises(TransientError, match=r"^s3://b/x: no whole answer .*ReadTimeoutError"):
                s3.objects("s3://b/x")
            waiting.set()


class TestDownloads:
    def test_a_body_cut_short_is_asked_for_again(self) -> None:
        cuts = [4, 4, 9]

        def answer(path: str) -> Any:
            if "list-type" in path:
                return 200, {}, listing("x")
            return 200, {"Content-Length": "9"}, b"123456789"[: cuts.pop(0)]

        with answering(answer) as endpoint:
            assert read_into_memory(S3(save_block(endpoint)), "s3://b/x") == {"s3://b/x": b"123456789"}

    def test_a_body_that_is_always_cut_short_is_transient(self) -> None:
        def answer(path: str) -> Any:
            return (200, {}, listing("x")) if "list-type" in path else (200, {"Content-Length": "9"}, b"1234")

        with answering(answer) as endpoint:
            s3 = S3(save_block(endpoint))
            with pytest.raises(TransientError, match=r"^s3://b/x: no whole answer from S3 \(\w+Error\)"):
                read_into_memory(s3, "s3://b/x")
            with pytest.raises(TransientError, match=r"^s3://b/y: no whole answer"):
                s3.read("s3://b/y")

    def test_the_first_failure_stops_all_and_names_its_object(self) -> None:
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
            with pytest.raises(CopyError, match=r"^s3://b/007: .* may not do this \(GetObject\)"):
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
        with pytest.raises(CopyError, match=r"/a: cannot be kept in .*: No space left on device: make room there"):
            read_into_memory(S3(block), bucket.url("a"))


class TestLoads:
    def test_a_stage_from_s3_is_that_from_the_files(
        self, tmp_path: Path, generated: Path, block: str, bucket: Bucket
    ) -> None:
        bucket.put_folder(generated)
        jsonpaths = catalog.STAGING_EVENTS.jsonpaths
        assert jsonpaths
        bucket.put({"log_json_path.json": jsonpaths.read_bytes()})
        local = stage_all(tmp_path / "local.duckdb", str(generated), "", "")
        assert local["staging_events"]
        assert stage_all(tmp_path / "s3.duckdb", bucket.url()[:-1], block, None) == local
        assert stage_all(tmp_path / "paths.duckdb", bucket.url()[:-1], block, bucket.url("log_json_path.json")) == local

    def test_a_prefix_loads_its_neighbours_too(self, copying: Copying, bucket: Bucket) -> None:
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

    def test_gzip(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"a.json.gz": gzip.compress(LINE * 1000), "b": gzip.compress(LINE) + gzip.compress(LINE)})
        table = copying.table("k varchar")
        assert copying.load(table, bucket.url(), compression="gzip").reported == (1002, 0)
        with pytest.raises(CopyError, match=rf"{bucket.url('a.json.gz')}: compressed, as it seems"):
            copying.load(table, bucket.url())
        bucket.put({"b": gzip.compress(LINE)[:-4]})
        with pytest.raises(CopyError, match=rf"{bucket.url('b')}: the gzip file is cut short"):
            copying.load(table, bucket.url(), compression="gzip")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"no", "the JSONPaths file is not JSON"),
            (b'{"jsonpaths": []}', "0 paths for the 1 columns"),
            (None, "there is no such object"),
        ],
    )
    def test_a_bad_jsonpaths_object_is_named_before_any_data_is_fetched(
        self, copying: Copying, bucket: Bucket, content: bytes | None, reason: str
    ) -> None:
        bucket.put({"log/a": LINE} | ({"paths": content} if content else {}))
        told: list[str] = []
        with pytest.raises(CopyError, match=rf"{bucket.url('paths')}: {reason}"):
            copying.load(
                copying.table("k varchar"), bucket.url("log"), progress=told.append, jsonpaths=bucket.url("paths")
            )
        assert told == []

    def test_a_jsonpaths_object_maps_the_columns(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"log/a": b'{"Other": {"key": "v"}}', "paths": b'{"jsonpaths": ["$.Other.key"]}'})
        loaded = copying.load(copying.table("k varchar"), bucket.url("log"), jsonpaths=bucket.url("paths"))
        assert loaded.rows == [("v",)]

    def test_progress_names_the_table(self, copying: Copying, bucket: Bucket) -> None:
        bucket.put({"a": LINE, "b": LINE})
        table, told = copying.table("k varchar"), []
        copying.load(table, bucket.url(), progress=told.append)
        assert told == [
            f"{table.name}: 2 of 2 objects, 22 bytes fetched",
            f"{table.name}: 100% of 22 bytes read",
        ]  # fmt: skip

    def test_a_failed_load_leaves_the_table(self, copying: Copying, bucket: Bucket) -> None:
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

    def test_a_run_from_s3_is_that_from_the_files(
        self, tmp_path: Path, generated: Path, block: str, bucket: Bucket
    ) -> None:
        bucket.put_folder(generated)
        folders = [tmp_path / "s3", tmp_path / "local"]
        for folder in folders:
            folder.mkdir()
        summary = self.run(folders[0], bucket.url()[:-1], aws_credentials=block).result()
        assert all(report.holds for report in summary.checks)
        self.run(folders[1], str(generated)).result()
        assert embedded(folders[0] / "w.duckdb").contents() == embedded(folders[1] / "w.duckdb").contents()

    @pytest.mark.parametrize(("code", "status", "times"), [("SlowDown", 503, 4), ("AccessDenied", 403, 1)])
    def test_a_run_waits_out_what_passes_and_not_what_does_not(
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

    def test_the_command_line_ends_in_a_message(self) -> None:
        code = """
from flows.command_line import run_command
from warehouse.errors import TransientError

def fail():
    raise TransientError("s3://b: S3 cannot answer now")

run_command(fail)"""
        failed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (failed.returncode, failed.stderr) == (1, "\ns3://b: S3 cannot answer now\n")


def stage_all(database: Path, source: str, block: str, jsonpaths: str) -> dict[str, list[Any]]:
    """Stage the logs and the catalogue; return what came."""
    target = Target(f"duckdb:///{database}", "sparkify", "test", aws_credentials=block)
    with disable_run_logger():
        take_lease.fn(target)
        create_tables.fn(target, catalog.TABLES)
        stage.fn(target, Source(catalog.STAGING_EVENTS, f"{source}/log_data", jsonpaths))
        stage.fn(target, Source(catalog.STAGING_SONGS, f"{source}/song_data"))
        release_lease.fn(target)
    return embedded(database).contents("staging_events", "staging_songs")


def assert_no_secret(error: BaseException) -> None:
    assert error.__suppress_context__
    assert not any(secret in str(error) for secret in KEYS.values())

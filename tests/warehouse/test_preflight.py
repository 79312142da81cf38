"""The preflight checks what a run needs, and changes nothing."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from flows.etl import TABLES, sources_of
from flows.preflight import preflight
from sql import catalog
from tasks.create_tables import create_tables
from tests.standin import Standin
from tests.standin.s3 import ROLE
from tests.support.project import ROOT
from tests.support.warehouses import BUCKET, JSONPATHS, Place, connector, redshift_place, stage_next
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import NotAllowedError, PermanentError
from warehouse.files import SourceFile
from warehouse.preflight import Finding
from warehouse.redshift.preflight import region_finding
from warehouse.s3.client import S3
from warehouse.s3.preflight import _age, object_findings
from warehouse.tables import split_statements

GUIDE = (ROOT / "docs/redshift.md").read_text(encoding="utf-8")
EVENT = b'{"page": "Home", "ts": 1541030400000}\n'
SONG = b'{"song_id": "SO1", "artist_id": "AR1"}\n'
LOGS, SONGS = f"{BUCKET}/log_data/", f"{BUCKET}/song_data/"


@pytest.fixture
def ready(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The stand-in with one file per source."""
    place = redshift_place(standin, monkeypatch)
    standin.put(f"{LOGS}2018/11/events.json", EVENT)
    standin.put(f"{SONGS}A/A/song.json", SONG)
    return place


def findings(place: Place, logs: str = LOGS, jsonpaths: str = "", **options: Any) -> dict[str, Finding]:
    found = open_warehouse(place.target).preflight(sources_of(logs, SONGS, jsonpaths, **options), TABLES)
    return {finding.subject: finding for finding in found}


def the_failure(found: dict[str, Finding]) -> str:
    """Return the one finding that failed."""
    (failed,) = [str(finding) for finding in found.values() if finding.result != "passed"]
    return failed


def test_everything_is_checked_and_nothing_changed(ready: Place, standin: Standin) -> None:
    found = findings(ready)
    assert [subject for subject, finding in found.items() if finding.result != "passed"] == []
    assert found["staging_events objects"].text.startswith(f"1 under {LOGS}, 38 bytes, the newest 0 minutes old")
    assert found["connection"].text.startswith("as sparkify to dev, Redshift 1.0.")
    assert "may be created" in found["schema"].text
    assert standin.admin.query("select count(*) from pg_tables where schemaname in ('public', 'sparkify')") == [("0",)]
    assert standin.counts.starting("commit") == 0


def test_it_passes_on_the_tables_of_an_earlier_run(ready: Place, standin: Standin, generated: Path) -> None:
    ready.run(generated / "log_data", generated / "song_data")
    found = findings(ready)
    assert {finding.result for finding in found.values()} == {"passed"}
    assert found["schema"].text == "tables may be created in sparkify"
    made = standin.admin.query("select tablename from pg_tables where schemaname = 'sparkify' order by 1")
    assert [name for (name,) in made] == sorted(TABLES), "the tables that a run writes are those that are looked at"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the driver leaves its socket open
def test_a_refused_login_fails(ready: Place, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    block = connector(standin)
    monkeypatch.setattr(block.connection_info, "password", SecretStr("wrong"))
    monkeypatch.setattr(blocks, "load_connector", lambda _: block)
    failure = the_failure(findings(ready))
    assert failure.startswith("failed   connection: Redshift refused: ")
    assert "Fix the user and the password" in failure


def test_a_schema_without_privileges_fails(ready: Place, standin: Standin) -> None:
    standin.admin.query("create schema theirs")
    theirs = replace(ready, target=replace(ready.target, schema="theirs"))
    assert the_failure(findings(theirs)).endswith("Grant usage, create on schema theirs to the user")


@pytest.mark.parametrize("privilege", ["usage", "create"])
def test_one_of_two_privileges_on_a_schema_is_not_enough(ready: Place, standin: Standin, privilege: str) -> None:
    standin.admin.query(f"create schema theirs; grant {privilege} on schema theirs to {standin.user}")
    theirs = replace(ready, target=replace(ready.target, schema="theirs"))
    assert findings(theirs)["schema"].result == "failed", f"a run may do nothing with {privilege} alone"


def test_a_missing_schema_that_may_not_be_created_fails(ready: Place, no_create_on_database: None) -> None:
    assert "sparkify does not exist. Create it" in the_failure(findings(ready))


@pytest.fixture
def no_create_on_database(standin: Standin) -> Iterator[None]:
    standin.admin.query(f"revoke create on database {standin.database} from {standin.user}")
    yield
    standin.admin.query(f"grant create on database {standin.database} to {standin.user}")


def test_the_privileges_in_the_guide_suffice(
    ready: Place, standin: Standin, generated: Path, no_create_on_database: None
) -> None:
    loader, analysts = re.findall(r"```sql\n(create (?:user|group) .*?)```", GUIDE, re.DOTALL)
    _, *privileges = split_statements(loader.replace(" loader", f" {standin.user}"))
    for statement in privileges:
        standin.admin.query(statement.replace("on database sparkify", f"on database {standin.database}"))
    assert {finding.result for finding in findings(ready).values()} == {"passed"}
    ready.run(generated / "log_data", generated / "song_data")
    try:
        standin.admin.query(analysts)
        assert readable(standin, "analysts") == {"artists", "songplays", "songs", "time", "users"}
    finally:
        standin.admin.query("drop owned by analysts; drop group analysts")


def readable(standin: Standin, group: str) -> set[str]:
    """Return the tables that a group may read."""
    granted = f"select table_name from information_schema.role_table_grants where grantee = '{group}'"
    return {str(name) for (name,) in standin.admin.query(granted)}


def test_tables_without_privileges_fail(ready: Place, standin: Standin) -> None:
    standin.admin.query(f"create schema sparkify authorization {standin.user}")
    standin.admin.query("create table sparkify.users (user_id integer); create table sparkify.others (id integer)")
    assert "failed   tables: this user may not write users. Grant" in the_failure(findings(ready))


def test_a_lease_that_this_user_may_not_lock_fails(ready: Place, standin: Standin) -> None:
    """SELECT, INSERT, UPDATE and DELETE are not enough to take it."""
    standin.admin.query(f"create schema sparkify; grant usage, create on schema sparkify to {standin.user}")
    standin.admin.query("create table sparkify.run_lease (holder varchar(256) not null, expires_at timestamp not null)")
    standin.admin.query(f"grant all on sparkify.run_lease to {standin.user}")
    assert the_failure(findings(ready)) == (
        "failed   lease: run_lease belongs to postgres, and this user may not lock it. Run "
        "`alter table sparkify.run_lease owner to sparkify`, or load as postgres"
    )


def test_the_lease_of_a_run_at_work_passes(ready: Place, standin: Standin) -> None:
    assert findings(ready)["lease"].text == "run_lease does not exist yet"
    run = ready.session()
    assert findings(ready)["lease"].text == "run_lease belongs to sparkify, and may be locked"
    with run.warehouse.task():
        assert findings(ready)["lease"].text == "run_lease belongs to sparkify, and is in use"
    assert run.one("1") == 1


NEEDED = {"songs": "select", "artists": "insert", "users": "update", "time": "delete"}


def test_each_privilege_on_a_table_is_needed(ready: Place, standin: Standin) -> None:
    standin.admin.query(f"create schema sparkify; grant usage, create on schema sparkify to {standin.user}")
    for table in ("songplays", *NEEDED):
        standin.admin.query(f"create table sparkify.{table} (id integer)")
        granted = ", ".join(sorted(set(NEEDED.values()) - {NEEDED.get(table)}))
        standin.admin.query(f"grant {granted} on sparkify.{table} to {standin.user}")
    failure = the_failure(findings(ready))
    missed = {table: privilege for table, privilege in NEEDED.items() if table not in failure}
    assert missed == {}, f"a run needs these privileges too, but the finding does not name them: {failure}"
    assert "songplays" not in failure


def test_a_prefix_without_objects_fails(ready: Place) -> None:
    found = findings(ready, f"{BUCKET}/nothing/")
    assert "does not exist" in found["staging_events objects"].text
    assert [subject for subject, finding in found.items() if finding.result == "failed"] == [
        "staging_events COPY", "staging_events objects",
    ]  # fmt: skip


def test_each_source_is_tried_by_copy(ready: Place, standin: Standin) -> None:
    standin.faults.fail("XX000", "S3ServiceException:Access Denied,Status 403", pattern=f"^copy preflight.*{SONGS}")
    found = findings(ready)
    assert found["staging_events COPY"].result == "passed"
    assert the_failure(found).startswith(
        f"failed   staging_songs COPY: cannot read {SONGS}A/A/song.json. Redshift refused"
    )


def test_a_prefix_with_only_its_folder_marker_is_not_tried(ready: Place, standin: Standin) -> None:
    """The console makes such an object, and a load finds no record in it."""
    standin.put(f"{BUCKET}/new/", b"")
    found = findings(ready, f"{BUCKET}/new/")
    assert str(found["staging_events COPY"]) == (
        f"unknown  staging_events COPY: not tried, as every object under {BUCKET}/new/ is empty"
    )
    assert {each.result for each in found.values()} == {"passed", "unknown"}


def test_a_key_with_a_backslash_is_loaded_and_not_tried(ready: Place, standin: Standin) -> None:
    """COPY is given the prefix, and the trial another object if there is one."""
    odd = standin.put(f"{BUCKET}/odd/a\\b", EVENT)
    found = findings(ready, f"{BUCKET}/odd/")
    assert found["staging_events COPY"].result == "unknown"
    assert found["staging_events COPY"].text == f"not tried, as COPY cannot be given {odd!r} alone"
    standin.put(f"{BUCKET}/odd/larger", EVENT * 2)
    assert findings(ready, f"{BUCKET}/odd/")["staging_events COPY"].text == f"may read {BUCKET}/odd/larger"
    ready.session()
    create_tables.fn(ready.target, catalog.TABLES)
    assert stage_next(ready.target, sources_of(f"{BUCKET}/odd/", SONGS)[0]).staged == 3


def test_a_prefix_that_matches_its_neighbours_fails(ready: Place, standin: Standin) -> None:
    for name in ("log_data_2017/old.json", "log_data.bak"):
        standin.put(f"{BUCKET}/{name}", EVENT)
    failure = the_failure(findings(ready, LOGS.rstrip("/")))
    assert f"{LOGS.rstrip('/')} also matches {BUCKET}/log_data.bak, {BUCKET}/log_data_2017/. End it with /" in failure


def test_a_prefix_without_a_slash_passes_if_it_has_no_neighbours(ready: Place) -> None:
    assert findings(ready, LOGS.rstrip("/"))["staging_events prefix"].result == "passed"


@pytest.mark.parametrize(
    ("name", "compression", "expected"),
    [
        ("events.json.gz", "none", "set to none, but .*events.json.gz looks like gzip"),
        ("events.json", "gzip", "set to gzip, but .*events.json looks like none"),
    ],
)
def test_names_that_disagree_with_the_compression_fail(
    ready: Place, standin: Standin, name: str, compression: Any, expected: str
) -> None:
    standin.put(f"{LOGS}{name}", EVENT)
    failures = [f for f in findings(ready, compression=compression).values() if f.result == "failed"]
    assert failures[0].subject in ("staging_events COPY", "staging_events compression")
    assert any(re.search(expected, finding.text) for finding in failures)


PATHS = json.loads(JSONPATHS.read_text())["jsonpaths"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (PATHS[:-1], "has 17 paths, but staging_events needs 18"),
        ([PATHS[1], PATHS[0], *PATHS[2:]], "path 1 leads to auth, but column 1 of the table is artist"),
        ([*PATHS[:-1], "$.*"], "not a JSONPath that Redshift reads"),
        (None, "there is no such object"),
    ],
)
def test_a_jsonpaths_file_that_does_not_fit_fails(ready: Place, standin: Standin, paths: Any, expected: str) -> None:
    url = f"{BUCKET}/other.json"
    if paths:
        standin.put(url, json.dumps({"jsonpaths": paths}).encode())
    assert expected in the_failure(findings(ready, jsonpaths=url))


def test_a_jsonpaths_file_under_the_prefix_fails(ready: Place, standin: Standin) -> None:
    url = standin.put(f"{LOGS}paths.json", JSONPATHS.read_bytes())
    assert "it would be loaded as data" in the_failure(findings(ready, jsonpaths=url))


def test_a_bucket_in_another_region_fails(ready: Place, standin: Standin) -> None:
    standin.s3.make_bucket("sparkify-far", "eu-west-1")
    standin.put("s3://sparkify-far/log_data/events.json", EVENT)
    standin.put(f"s3://sparkify-far/{JSONPATHS.name}", JSONPATHS.read_bytes())
    found = findings(ready, "s3://sparkify-far/log_data/")
    assert "is in eu-west-1, but COPY would use us-west-2" in found["staging_events region"].text
    assert found["staging_events COPY"].result == "failed"


def test_a_role_that_the_cluster_may_not_assume_fails(ready: Place) -> None:
    role = "arn:aws:iam::123456789012:role/unknown"
    target = replace(ready.target, copy_role=role)
    refused = [each for each in findings(replace(ready, target=target)).values() if each.result == "failed"]
    assert [each.subject for each in refused] == ["staging_events COPY", "staging_songs COPY"]
    assert all(each.text.startswith("cannot read s3://") for each in refused)
    for good in ("default", ROLE):
        found = findings(replace(ready, target=replace(target, copy_role=good)))
        assert {finding.result for finding in found.values()} == {"passed"}


def test_an_invalid_role_fails(ready: Place) -> None:
    target = replace(ready.target, copy_role="admin'; drop table users; --")
    refused = {each.text for each in findings(replace(ready, target=target)).values() if each.result == "failed"}
    assert "is not a role. Use `default`, or an ARN" in "".join(refused)
    assert len(refused) == 1


def test_a_worker_lists_objects_but_reads_none_if_copy_has_a_role(
    ready: Place, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new is known from a listing. With a role of its own, COPY needs nothing else of the worker."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    target = replace(ready.target, aws_credentials="", copy_role="default")
    found = findings(replace(ready, target=target))
    assert found["connection"].result == "passed"
    staging = {name: found[name].result for name in found if name.startswith("staging")}
    assert {name for name, result in staging.items() if result == "failed"} == {
        "staging_events COPY", "staging_events objects", "staging_songs COPY", "staging_songs objects"
    }  # fmt: skip
    assert set(staging.values()) == {"failed", "unknown"}
    found = findings(replace(ready, target=replace(target, copy_role="")))
    assert {found[name].result for name in found if name.startswith("staging")} == {"failed"}


@pytest.mark.parametrize(("role", "result"), [("default", "unknown"), ("", "failed")])
def test_a_worker_that_may_list_objects_needs_not_read_them_if_copy_has_a_role(
    ready: Place, monkeypatch: pytest.MonkeyPatch, role: str, result: str
) -> None:
    def refuse(*_: Any, **options: Any) -> bytes:
        raise NotAllowedError("these credentials do not allow GetObject")

    monkeypatch.setattr(S3, "read", refuse)
    found = findings(replace(ready, target=replace(ready.target, copy_role=role)))
    assert {name: found[name].result for name in found if name.endswith(("objects", "records"))} == {
        f"{table} {part}": "passed" if part == "objects" else result
        for table in ("staging_events", "staging_songs")
        for part in ("objects", "records")
    }


def test_the_command_prints_each_finding_and_fails_if_one_failed(
    ready: Place, standin: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    preflight(LOGS, SONGS, warehouse="sparkify-redshift", aws_credentials="sparkify-aws", schema="sparkify")
    passed = capsys.readouterr()
    lines = passed.out.splitlines()
    assert len(lines) == 17
    assert {line.split()[0] for line in lines} == {"passed"}
    standin.s3.keys.clear()
    with pytest.raises(PermanentError, match=r"2 of 17 checks failed\. A run would fail too"):
        preflight(LOGS, SONGS, warehouse="sparkify-redshift", aws_credentials="sparkify-aws")
    failed = capsys.readouterr()
    assert failed.out.count(" COPY: cannot read") == 2
    for key in (standin.keys.access_key_id, standin.keys.secret_access_key, standin.password):
        assert key not in f"{passed}{failed}", "no secret is printed"


def test_on_duckdb_the_local_files_are_checked(
    tmp_path: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = f"duckdb:///{tmp_path}/w.duckdb"
    preflight(str(generated / "log_data"), str(generated / "song_data"), warehouse=warehouse)
    assert capsys.readouterr().out.startswith("passed   staging_events files: 7 under ")
    with pytest.raises(PermanentError, match="1 of 3 checks failed"):
        preflight(str(tmp_path / "nothing"), str(generated / "song_data"), warehouse=warehouse)
    assert not (tmp_path / "w.duckdb").exists()


PRETTY = json.dumps(json.loads(SONG), indent=1).encode()
SWAPPED: dict[str, tuple[dict[str, bytes], dict[str, Any], str | None]] = {
    "songs for events": ({"a.json": SONG}, {}, "a.json"),
    "a song that takes many lines": ({"a.json": b"\n " + PRETTY + PRETTY}, {}, "a.json"),
    "a song that has a key of an event too": ({"a.json": b'{"title": "A", "year": 1, "ts": 1}'}, {}, None),
    "songs in gzip files": ({"a.json.gz": gzip.compress(SONG * 5000)}, {"compression": "gzip"}, "a.json.gz"),
    "three files of songs, and an empty one": ({"0": b"", "a": SONG, "b": SONG, "c": SONG}, {}, "a"),
    "the last file has events": ({"a": SONG, "b": SONG, "c": EVENT}, {}, None),
    "one between has events": ({"a": SONG, "b": EVENT, "c": SONG}, {}, None),
    "the first file has events": ({"a": EVENT, "b": SONG, "c": SONG}, {}, None),
    "records of no source": ({"a": b'{"k": 1}'}, {}, None),
    "no JSON": ({"a": b"title,artist_name\n"}, {}, None),
    "no object": ({"a": b'["song_id", "title"]'}, {}, None),
    "a record that is larger than what is looked at": ({"a": b'{"title": "%s"}' % (b"x" * 70_000)}, {}, None),
    "other JSONPaths": ({"a": SONG}, {"log_jsonpaths": "s3://sparkify-test/log_json_path.json"}, None),
}


@pytest.mark.parametrize("what", SWAPPED)
def test_swapped_sources_are_noticed_by_their_first_records(place: Place, tmp_path: Path, what: str) -> None:
    files, options, named = SWAPPED[what]
    written = {f"logs/{name}": content for name, content in files.items()} | {"songs/a": SONG}
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    sources = sources_of(place.put(tmp_path / "logs"), place.put(tmp_path / "songs"), **options)
    found = {each.subject: each for each in open_warehouse(place.target).preflight(sources, TABLES)}
    logs, songs = found["staging_events records"], found["staging_songs records"]
    assert songs.result == "passed"
    assert logs.result == ("failed" if named else "passed")
    if named:
        reason = "has the keys of staging_songs, and none of staging_events. Swap the sources, or name another"
        assert logs.text.endswith(f"/{named} {reason}")
        assert "\n" not in str(logs)


def test_a_run_on_swapped_sources_says_so_in_one_line(place: Place, generated: Path) -> None:
    with pytest.raises(PermanentError) as raised:
        place.run(generated / "song_data", generated / "log_data")
    assert str(raised.value).count("Swap the sources") == 2
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("minutes", "age"),
    [(0, "0 minutes"), (119, "119 minutes"), (120, "2 hours"), (48 * 60 - 1, "47 hours"), (48 * 60, "2 days")],
)
def test_an_age_is_given_in_a_suitable_unit(minutes: int, age: str) -> None:
    assert _age(datetime.now(UTC) - timedelta(minutes=minutes, seconds=20)) == age


class Listing(S3):
    """An S3 that lists objects, all of which are a song."""

    def __init__(self, *objects: tuple[str, int]) -> None:
        super().__init__("")
        self.listed = [SourceFile(f"s3://b/{key}", size, "etag", datetime.now(UTC)) for key, size in objects]

    region: str | None = None

    def read(self, url: str, first_bytes: int | None = None) -> bytes:
        return SONG[:first_bytes]

    def bucket_region(self, bucket: str) -> str:
        return "eu-west-1"

    def objects(self, url: str) -> list[SourceFile]:
        return [found for found in self.listed if found.url.startswith(url)]


def looked_at(source: str, *objects: tuple[str, int], **options: Any) -> dict[str, str]:
    _, songs = sources_of("", source, **options)
    return {finding.subject.split()[1]: str(finding) for finding in object_findings(Listing(*objects), songs, [songs])}


@pytest.mark.parametrize(
    ("ending", "kind"), [(".gz", "gzip"), (".bz2", "bzip2"), (".zst", "zstd"), (".lzo", "lzop"), (".gz.json", "none")]
)
def test_a_compression_is_recognised_by_the_keys_endings(ending: str, kind: str) -> None:
    found = looked_at("s3://b/x/", (f"x/a{ending}", 1), ("x/done", 0), compression="none")["compression"]
    wrong = f"failed   staging_songs compression: set to none, but s3://b/x/a{ending} looks like {kind}. COPY does"
    assert found.startswith("passed" if kind == "none" else wrong)


def test_all_compressions_found_are_named() -> None:
    objects = [("x/a.gz", 1), ("x/b.json", 1), ("x/c.bz2", 1)]
    assert (
        "none, but s3://b/x/c.bz2 looks like bzip2, s3://b/x/a.gz looks like gzip. "
        in (looked_at("s3://b/x/", *objects)["compression"])
    )
    assert looked_at("s3://b/x/", objects[0], compression="gzip")["compression"].endswith(
        ": gzip, in line with the keys' endings"
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["x/a", "x/b/c"], None),
        (["xa"], None),
        (["xa", "xb"], "s3://b/xa, s3://b/xb. End it"),
        (["x/a", "x1/a", "x1/b", "x2", "x3/c"], "s3://b/x1/, s3://b/x2, s3://b/x3/. End it"),
        (["x/a", "x1/a", "x2", "x3/c", "x4", "x5"], "s3://b/x1/, s3://b/x2, s3://b/x3/ and 2 more. End it"),
    ],
)
def test_neighbours_of_a_prefix_are_named(keys: list[str], expected: str | None) -> None:
    found = looked_at("s3://b/x", *((key, 1) for key in keys))["prefix"]
    text = f"s3://b/x also matches {expected}" if expected else "s3://b/x matches no other names"
    assert text in found
    assert looked_at("s3://b/", *((key, 1) for key in keys))["prefix"].startswith("passed")


def test_objects_are_counted_with_the_age_of_the_newest() -> None:
    listing = Listing(("x/a", 1000), ("x/b", 1500))
    listing.listed[0] = replace(listing.listed[0], modified=datetime.now(UTC) - timedelta(days=9))
    _, songs = sources_of("", "s3://b/x/")
    (found, *_) = object_findings(listing, songs, [songs])
    assert found.text == "2 under s3://b/x/, 2.5 kB, the newest 0 minutes old"


@pytest.mark.parametrize(
    ("copys_region", "text"),
    [
        (None, "bucket b is in eu-west-1. COPY is given no region, so the cluster has to be in the same one"),
        ("eu-west-1", "bucket b is in eu-west-1, which COPY uses"),
        ("us-west-2", "bucket b is in eu-west-1, but COPY would use us-west-2"),
    ],
)
def test_the_region_of_a_bucket_is_compared_with_copys(copys_region: str | None, text: str) -> None:
    listing = Listing()
    listing.region = copys_region
    _, songs = sources_of("", "s3://b/x/")
    found = region_finding(listing, songs, may_be_denied=False)
    assert found.text.startswith(text)
    assert found.result == ("failed" if copys_region == "us-west-2" else "passed")

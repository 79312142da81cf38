"""COPY on Redshift's stand-in: what is loaded, what is reported about the rest, and the statement that is sent."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.standin import Standin
from tests.standin.s3 import ROLE
from tests.support.copying import copy_all
from tests.support.warehouses import BUCKET, Place, Session, redshift_place
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import CopyError, NotAllowedError, PermanentError, TransientError
from warehouse.files import SourceFile
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.redshift import copy
from warehouse.redshift.copy import RedshiftCopy
from warehouse.redshift.copy_statement import Access, copy_statement, jsonpaths_url, trial_statement
from warehouse.redshift.prefixes import prefixes
from warehouse.s3.client import S3, Keys
from warehouse.sources import Arrivals, CopyResult, Source
from warehouse.tables import Table

SOURCE = f"{BUCKET}/things/"
PATHS = f"{BUCKET}/paths.json"
GOOD = b'{"Id": 1, "Name": "one"}\n'
BAD = b'{"Id": 2}\nnot json\n{"Id": 7.5, "Name": "x"}\n{"Id": "nine"}\n{\n"Id": [3],\n"Name": "long"}\n'
BAD_ROWS = [
    (2, None, None, 1224, "not json"),
    (3, "id", "7.5", 1207, '{"Id": 7.5, "Name": "x"}'),
    (4, "id", "nine", 1207, '{"Id": "nine"}'),
    (7, "id", None, 1207, '{\n"Id": [3],\n"Name": "long"}'),
]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    path = tmp_path / "things.sql"
    path.write_text("create table things (id integer, name varchar(16))")
    jsonpaths = tmp_path / "paths.json"
    jsonpaths.write_text('{"jsonpaths": ["$.Id", "$.Name"]}')
    return Table(path, jsonpaths=jsonpaths, time_format="epochmillisecs")


@pytest.fixture
def there(standin: Standin, monkeypatch: pytest.MonkeyPatch, table: Table) -> Place:
    place = redshift_place(standin, monkeypatch)
    standin.put(PATHS, Path(str(table.jsonpaths)).read_bytes())
    standin.put(f"{SOURCE}good.json", GOOD)
    return place


@pytest.fixture
def session(there: Place, table: Table) -> Session:
    session = there.session()
    session.run(LOAD_ERRORS_DDL, table.ddl)
    return session


def run_copy(session: Session, source: Source, **changes: Any) -> CopyResult:
    warehouse = open_warehouse(replace(session.target, **changes))
    with warehouse.task() as connection:
        connection.exec_driver_sql("delete from things")
        return copy_all(warehouse, connection, source)


def rejects(session: Session) -> list[tuple[Any, ...]]:
    return session.rows('select line, "column", value, code, raw_record from load_errors order by file, line')


def test_rows_are_loaded_and_counted(session: Session, table: Table) -> None:
    report = run_copy(session, Source(table, SOURCE))
    assert report == CopyResult(1)
    assert session.rows("select * from things") == [(1, "one")]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_rejects_are_kept_with_their_records(
    session: Session, standin: Standin, table: Table, compression: Any
) -> None:
    files = {"good.json": GOOD, "bad.json": BAD}
    for name, content in files.items():
        standin.put(SOURCE + name, gzip.compress(content) if compression == "gzip" else content)
    report = run_copy(session, Source(table, SOURCE, max_errors=4, compression=compression))
    assert report == CopyResult(2, 4)
    assert rejects(session) == BAD_ROWS
    assert session.rows("select distinct load, file from load_errors") == [("things", f"{SOURCE}bad.json")]
    assert session.rows("select distinct batch_id from load_errors") == [(1,)]


def test_records_are_null_if_the_worker_may_not_read_them(
    session: Session, standin: Standin, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has to list them. COPY may read them with a role of its own."""

    def refuse(s3: S3, url: str) -> bytes:
        raise NotAllowedError(url)

    monkeypatch.setattr(S3, "read", refuse)
    standin.put(f"{SOURCE}bad.json", BAD)
    report = run_copy(session, Source(table, SOURCE, PATHS, max_errors=4), copy_role="default")
    assert report == CopyResult(2, 4)
    assert rejects(session) == [(line, column, None, code, None) for line, column, _, code, _ in BAD_ROWS]


def test_a_record_too_long_for_load_errors_is_truncated(session: Session, standin: Standin, table: Table) -> None:
    standin.put(
        f"{SOURCE}bad.json", b"".join(b'{"Id": 1, "Name": "%d%s\\u0000"}\n' % (n, b"x" * 70_000) for n in range(150))
    )
    assert run_copy(session, Source(table, SOURCE, max_errors=150)).rejected == 150
    assert session.rows("select distinct len(value), len(raw_record) from load_errors") == [(16_000, 16_000)]


def test_many_rejects_are_kept(session: Session, standin: Standin, table: Table) -> None:
    standin.put(f"{SOURCE}bad.json", b"".join(b"bad %d\n" % n for n in range(1100)))
    run_copy(session, Source(table, SOURCE, max_errors=1100))
    assert session.rows("select count(distinct raw_record) from load_errors") == [(1100,)]


def test_too_many_rejects_fail_with_one_complete_error(session: Session, standin: Standin, table: Table) -> None:
    standin.put(f"{SOURCE}bad.json", BAD)
    session.run("insert into things values (0, 'before')")
    with pytest.raises(CopyError) as caught:
        run_copy(session, Source(table, SOURCE, max_errors=3))
    text = str(caught.value)
    first, *lines = text.splitlines()
    assert first == (
        "things: 4 records rejected before Redshift stopped reading, max_errors allows 3. "
        f"Nothing was loaded from {SOURCE}."
    )
    bad = f"  {SOURCE}bad.json, line"
    assert lines[:4] == [
        f"{bad} 2: Not a JSON object (code 1224)",
        f"{bad} 3, column id int4, value '7.5': Invalid digit, Value '.', Pos 1, Type: Integer (code 1207)",
        f"{bad} 4, column id int4, value 'nine': Invalid digit, Value 'n', Pos 0, Type: Integer (code 1207)",
        "  ... and 1 more",
    ]
    assert "set --max-errors 4 or higher" in lines[4]
    shown = session.rows(text[text.index("\nselect") :])
    assert [(row[1], row[2], row[4]) for row in shown] == [
        (line, column, code) for line, column, _, code, _ in BAD_ROWS
    ]
    assert session.rows("select * from things") == [(0, "before")]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_query_in_the_error_shows_this_load_only(session: Session, standin: Standin, table: Table) -> None:
    standin.put(f"{SOURCE}bad.json", b"earlier\n")
    for _ in range(2):
        with pytest.raises(CopyError, match="1 record rejected") as caught:
            run_copy(session, Source(table, SOURCE))
    text = str(caught.value)
    assert len(session.rows(text[text.index("\nselect") :])) == 1


def test_rejects_of_an_earlier_copy_are_not_reported(session: Session, standin: Standin, table: Table) -> None:
    """Neither of the same session number, which Redshift reuses, nor of another session at the same moment."""
    standin.put(f"{SOURCE}bad.json", b"earlier\n")
    with session.warehouse.task() as connection:
        with pytest.raises(CopyError, match="1 record rejected"):
            copy_all(session.warehouse, connection, Source(table, SOURCE))
        standin.admin.query("update redshift.load_error_detail set start_time = start_time - interval '1 hour'")
        with pytest.raises(CopyError, match="'nothing/' does not exist") as caught:
            copy_all(session.warehouse, connection, Source(table, f"{BUCKET}/nothing/", PATHS))
    assert "rejected" not in str(caught.value), "an hour ago the session rejected something else"
    standin.admin.query("update redshift.load_error_detail set start_time = now() at time zone 'utc'")
    with pytest.raises(CopyError, match="'nothing/' does not exist") as caught:
        run_copy(session, Source(table, f"{BUCKET}/nothing/", PATHS))
    assert "rejected" not in str(caught.value), "another session rejected something else"


FAILURES: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "no objects": ({}, {"location": f"{BUCKET}/nothing/"}, "The specified S3 prefix 'nothing/' does not exist"),
    "no bucket": ({}, {"location": "s3://sparkify-none/x/", "jsonpaths": PATHS}, "NoSuchBucket"),
    "no JSONPaths file": ({}, {"jsonpaths": f"{BUCKET}/missing.json"}, "NoSuchKey"),
    "JSONPaths that do not fit": ({}, {"jsonpaths": f"{SOURCE}short.json"}, "JSONPath size: 1, Number of columns.*: 2"),
    "another role": ({"copy_role": ROLE + "s"}, {}, "not authorized to assume IAM Role"),
    "no role": ({"copy_role": "me' region 'x"}, {}, "copy_role: .* is not a role"),
    "not compressed": ({}, {"compression": "gzip"}, "decompression of .*good.json failed"),
    "a local file": ({}, {"location": "/tmp/things"}, "Redshift loads from S3 only"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_a_copy_that_cannot_read_says_why(session: Session, standin: Standin, table: Table, what: str) -> None:
    target, copy, message = FAILURES[what]
    standin.put(f"{SOURCE}short.json", b'{"jsonpaths": ["$.Id"]}')
    with pytest.raises(PermanentError, match=message) as caught:
        run_copy(session, replace(Source(table, SOURCE), **copy), **target)
    assert standin.keys.secret_access_key not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aws_access_key_id": "AKIAOTHER"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "other"}, "SignatureDoesNotMatch"),
        ({"aws_session_token": "other"}, "InvalidToken"),
        ({"region_name": "eu-west-1"}, "PermanentRedirect"),
    ],
)
def test_wrong_keys_and_regions_are_reported(
    session: Session, table: Table, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    block = session.warehouse.s3._block  # type: ignore[attr-defined]
    monkeypatch.setattr(blocks, "load_credentials", lambda _: type(block)(**(dict(block) | changes)))
    with pytest.raises(CopyError, match=f"nothing was loaded from {SOURCE}.*{message}"):
        run_copy(session, Source(table, SOURCE))


def test_it_warns_if_redshift_scanned_another_number_of_lines(session: Session, standin: Standin, table: Table) -> None:
    news: list[str] = []

    def load() -> CopyResult:
        warehouse = open_warehouse(session.target)
        with warehouse.task() as connection:
            return copy_all(warehouse, connection, Source(table, SOURCE), news.append)

    assert load() == CopyResult(1)
    assert news == [f"things: COPY from {SOURCE}"]
    standin.put(f"{SOURCE}spread.json", b'{\n"Id": 2\n}')
    assert load() == CopyResult(2)
    assert re.match(r"things: WARNING: COPY read 4 lines, but loaded 2 rows and rejected 0\. .*query \d+", news[-1])


@pytest.mark.parametrize("max_errors", [0, 1])
def test_reports_that_lag_are_waited_for(session: Session, standin: Standin, table: Table, max_errors: int) -> None:
    """Also after a COPY that failed, and not where COPY itself says that it rejected nothing."""
    standin.put(f"{SOURCE}bad.json", b'{"Id": "x"}')
    standin.lag(1.5)
    if max_errors:
        assert run_copy(session, Source(table, SOURCE, max_errors=1)) == CopyResult(1, 1)
    else:
        with pytest.raises(CopyError, match=r"(?s)1 record rejected .*bad\.json, line 1, column id"):
            run_copy(session, Source(table, SOURCE))


def test_reports_that_do_not_come_are_unknown(
    session: Session, standin: Standin, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "REPORT_SECONDS", 0.5)
    standin.lag(60)
    news: list[str] = []
    warehouse = open_warehouse(session.target)
    with warehouse.task() as connection:
        copied = copy_all(warehouse, connection, Source(table, SOURCE, max_errors=1), news.append)
    assert copied == CopyResult(1, None)
    assert re.match(
        r"things: WARNING: Redshift has not reported on this COPY, so it is not known whether it rejected records. "
        r"Look at query \d+ in SYS_LOAD_ERROR_DETAIL$",
        news[-1],
    )


def test_the_statement_contains_all_options(table: Table) -> None:
    access = Access(keys=Keys("AKIA", "se'cret", "to/ken"), region="us-west-2")
    assert (
        copy_statement(Source(table, "s3://b/it's/", max_errors=3, compression="gzip"), access)
        == """\
copy things ("id", "name")
from 's3://b/it''s/'
access_key_id 'AKIA'
secret_access_key 'se''cret'
session_token 'to/ken'
region 'us-west-2'
format json 's3://b/paths.json'
gzip
timeformat 'epochmillisecs'
maxerror 4
compupdate off
statupdate off"""
    )


def test_the_statement_leaves_out_unused_options(table: Table) -> None:
    plain = Source(Table(table.path), "s3://b/logs/")
    assert (
        copy_statement(plain, Access(role="default", keys=Keys("a", "b")))
        == """\
copy things ("id", "name")
from 's3://b/logs/'
iam_role default
format json 'auto'
maxerror 1
compupdate off
statupdate off"""
    )
    assert "\niam_role 'arn:aws:iam::123456789012:role/copy'\n" in copy_statement(plain, Access(role=ROLE))
    assert "session_token" not in copy_statement(plain, Access(keys=Keys("a", "b")))


def test_a_trial_copy_reads_like_a_load_and_loads_nothing() -> None:
    access = Access(keys=Keys("AKIA", "secret"), region="us-west-2")
    assert (
        trial_statement("preflight", "s3://b/it's.json", access, "gzip")
        == """\
copy preflight
from 's3://b/it''s.json'
access_key_id 'AKIA'
secret_access_key 'secret'
region 'us-west-2'
format json 'auto'
gzip
maxerror 100000
noload"""
    )
    assert "none" not in trial_statement("preflight", "s3://b/a.json", access, "none")


def test_keys_do_not_appear_in_a_repr() -> None:
    assert repr(Access(keys=Keys("AKIA", "secret", "token"))) == "Access(role='', keys=Keys(), region=None)"


def test_the_jsonpaths_file_is_at_the_root_of_the_bucket_by_default(table: Table) -> None:
    assert jsonpaths_url(Source(table, "s3://b/logs/2018/")) == "s3://b/paths.json"
    assert jsonpaths_url(Source(table, "s3://b")) == "s3://b/paths.json"
    assert jsonpaths_url(Source(table, "s3://b/logs/", PATHS)) == PATHS
    assert jsonpaths_url(Source(Table(table.path), "s3://b/logs/")) == ""
    with pytest.raises(CopyError, match=r"paths\.json: Redshift reads JSONPaths files from S3 only"):
        jsonpaths_url(Source(table, "s3://b/logs/", "paths.json"))
    for source in ("s3:///logs/", "https://b/logs/", "/s3://b"):
        with pytest.raises(CopyError, match="Redshift loads from S3 only"):
            copy_statement(Source(table, source, PATHS), Access(role="default"))


ROLES = [ROLE, "arn:aws-us-gov:iam::123456789012:role/path/to/a+b=c,d.e@f-g_h", f"{ROLE},{ROLE}-2"]


@pytest.mark.parametrize("role", ROLES)
def test_every_valid_role_arn_is_accepted(table: Table, role: str) -> None:
    assert f"\niam_role '{role}'\n" in copy_statement(Source(table, SOURCE), Access(role=role))


@pytest.mark.parametrize(
    "role",
    [
        "",
        "Default",
        "arn:aws:iam::1:role/x",
        f"{ROLE}'",
        f"{ROLE};drop table x",
        "x y",
        f"x{ROLE}",
        "arn:aws:iam::12345678901a:role/x",
        "arn:aws:iam::123456789012:user/x",
        "arn:aws:iam::123456789012:role/",
        "defaults",
    ],
)
def test_an_invalid_role_is_refused(table: Table, role: str) -> None:
    with pytest.raises(PermanentError, match="copy_role"):
        copy_statement(Source(table, SOURCE), Access(role=role))


@pytest.mark.parametrize("name", ["s3://b/a\\'b/", "s3://b/a\nb/", "s3://b/a\0"])
def test_characters_that_could_end_a_literal_are_refused(table: Table, name: str) -> None:
    with pytest.raises(CopyError, match="backslash or a control character"):
        copy_statement(Source(table, name, PATHS), Access(role="default"))


MANIFESTS = f"{BUCKET}/manifests"
CHANGES: dict[str, Callable[[Standin], Any]] = {
    "b.json: written again": lambda standin: standin.put(f"{SOURCE}b.json", GOOD * 2),
    "b.json: deleted": lambda standin: standin.s3.client.delete_object(
        Bucket=BUCKET.removeprefix("s3://"), Key="things/b.json"
    ),
    "bb.json: written while COPY read its neighbours": lambda standin: standin.put(f"{SOURCE}bb.json", GOOD),
}


@pytest.mark.parametrize("manifests", ["", MANIFESTS], ids=["prefixes", "manifest"])
@pytest.mark.parametrize("message", CHANGES)
def test_objects_that_change_after_they_were_listed_undo_the_copy(
    session: Session, standin: Standin, table: Table, monkeypatch: pytest.MonkeyPatch, message: str, manifests: str
) -> None:
    """Nothing pins a version: COPY may have read what the listing did not show."""
    for name in ("a.json", "b.json"):
        standin.put(SOURCE + name, GOOD)
    send = RedshiftCopy.send

    def send_and_change(copy: RedshiftCopy, statement: str) -> Any:
        answer = send(copy, statement)
        CHANGES[message](standin)
        return answer

    monkeypatch.setattr(RedshiftCopy, "send", send_and_change)
    if manifests and "neighbours" in message:
        assert run_copy(session, Source(table, SOURCE), manifests=manifests) == CopyResult(3), "it lists no other"
        return
    with pytest.raises(TransientError, match=message):
        run_copy(session, Source(table, SOURCE), manifests=manifests)
    assert session.rows("select * from things") == []


def test_an_object_that_goes_before_a_copy_from_a_manifest_is_no_silent_gap(
    session: Session, standin: Standin, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "b.json"):
        standin.put(SOURCE + name, GOOD)
    send = RedshiftCopy.send

    def change_and_send(copy: RedshiftCopy, statement: str) -> Any:
        CHANGES["b.json: deleted"](standin)
        return send(copy, statement)

    monkeypatch.setattr(RedshiftCopy, "send", change_and_send)
    with pytest.raises(TransientError, match=r"b\.json: deleted"):
        run_copy(session, Source(table, SOURCE), manifests=MANIFESTS)
    monkeypatch.undo()


def test_only_what_arrived_is_copied(session: Session, standin: Standin, table: Table) -> None:
    """Neighbours in name are left alone, and a change of theirs does not matter."""
    for name in ("2018-11-01.json", "2018-11-02.json", "2018-11-03.json", "2018-12-01.json"):
        standin.put(SOURCE + name, b'{"Id": %s, "Name": "x"}' % name[5:10].replace("-", "").encode())
    source = Source(table, SOURCE)
    files = session.warehouse.files(source)
    arrivals = Arrivals(new=files[1:2], changed=files[3:4], known=[*files[:1], *files[2:3], files[-1]])
    with session.warehouse.task() as connection:
        assert session.warehouse.copy(connection, source, arrivals, lambda news: None) == CopyResult(2)
    assert session.rows("select id from things order by id") == [(1102,), (1201,)]


def test_a_manifest_may_list_a_file_whose_name_another_begins_with(
    session: Session, standin: Standin, table: Table
) -> None:
    """No prefix matches the first and not the second. The manifests of two batches stand beside each other."""
    warehouse = open_warehouse(replace(session.target, manifests=MANIFESTS))
    for name in ("day", "day-late"):
        standin.put(f"{SOURCE}days/{name}", GOOD)
    source = Source(table, f"{SOURCE}days/")
    first, other = warehouse.files(source)
    for batch, arrivals in ((1, Arrivals(new=[other], known=[first])), (2, Arrivals(new=[first], known=[other]))):
        with warehouse.task() as connection:
            assert warehouse.copy(connection, source, replace(arrivals, batch=batch), lambda news: None).rows == 1
    (one, two) = (each.url for each in warehouse.s3.objects(MANIFESTS))  # type: ignore[attr-defined]
    assert json.loads(warehouse.s3.read(two)) == {  # type: ignore[attr-defined]
        "entries": [{"url": first.url, "mandatory": True}]
    }
    assert re.fullmatch(rf"{MANIFESTS}/{session.target.schema}-1-things-[0-9a-f]{{8}}\.json", one)
    assert sum(sent.startswith("copy things") for sent in standin.counts.statements) == 2


OLD, NEW = "s3://b/logs/2018/11/", "s3://b/logs/"


@pytest.mark.parametrize(
    ("new", "known", "expected"),
    [
        (["s3://b/logs/a", "s3://b/logs/b"], [], [NEW]),
        ([f"{OLD}15"], [f"{OLD}14"], [f"{OLD}15"]),
        ([f"{OLD}15-0", f"{OLD}15-1", f"{OLD}16-0"], [f"{OLD}14-0"], [f"{OLD}15", f"{OLD}16"]),
        ([f"{NEW}2019/01/01"], [f"{OLD}14", f"{OLD}30"], [f"{NEW}2019"]),
        ([f"{OLD}15", f"{OLD}17"], [f"{OLD}14", f"{OLD}16", f"{OLD}18"], [f"{OLD}15", f"{OLD}17"]),
        ([f"{OLD}a", f"{OLD}ab"], [f"{OLD}b"], [f"{OLD}a"]),
        ([f"{OLD}ab"], [f"{OLD}a"], [f"{OLD}ab"]),
    ],
)
def test_copy_is_given_the_shortest_prefixes_that_no_known_object_has(
    new: list[str], known: list[str], expected: list[str]
) -> None:
    def listed(urls: list[str]) -> list[SourceFile]:
        return [SourceFile(url, 1, "x", datetime.now(UTC)) for url in urls]

    assert prefixes(NEW, Arrivals(new=listed(new), known=listed(known))) == expected


def test_an_object_whose_name_begins_another_cannot_be_copied_alone() -> None:
    one, other = (SourceFile(f"s3://b/{name}", 1, "x", datetime.now(UTC)) for name in ("a", "a.bak"))
    with pytest.raises(CopyError, match=r"^s3://b/a: cannot be loaded without s3://b/a\.bak"):
        prefixes("s3://b/", Arrivals(new=[one], known=[other]))

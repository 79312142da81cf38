"""Unusable database files, statements over the timeout, and invalid names."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Timer
from time import sleep

import duckdb
import pytest

from tests.support.copying import Copying, copy_all
from tests.support.unprivileged import run_unprivileged
from tests.support.warehouses import Session, duckdb_place, select
from warehouse.connect import open_warehouse
from warehouse.duckdb.dialect import deadline
from warehouse.errors import PermanentError, is_transient, was_interrupted
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.sources import Source
from warehouse.tables import Table
from warehouse.target import Target, refuse_url


def refusal(file: str | Path) -> str:
    """Return the reason why a file is refused as the warehouse."""
    with pytest.raises(PermanentError) as raised:
        open_warehouse(Target(f"duckdb:///{file}", "sparkify", "test")).take_lease()
    assert not is_transient(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is a directory. Name a file in it, such as {tmp_path}/sparkify.duckdb"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "no" / "such" / "file.duckdb"
    assert refusal(file) == (
        f"{file} cannot be created: the directory {file.parent} does not exist. Create it, or name another file"
    )


@pytest.mark.parametrize("content", [b"", b"not a database", b"{}\n" * 10_000], ids=["empty", "short", "long"])
def test_a_file_of_another_kind_is_refused_and_unchanged(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "events.json"
    file.write_bytes(content)
    assert refusal(file) == f"{file} is not a DuckDB database. Name another file, or a new one"
    assert file.read_bytes() == content


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_a_database_in_memory_is_refused(name: str) -> None:
    assert "names no file" in refusal(name)


@pytest.mark.parametrize("name", ["a b.duckdb", "a%20b.duckdb", "a?b=c.duckdb", "a#b@c.duckdb", "é.duckdb"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    warehouse = open_warehouse(Target(f"duckdb:///{tmp_path}/{name}", "sparkify", "test"))
    warehouse.take_lease()
    warehouse.release_lease()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.usefixtures("processes")
def test_a_file_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    file = tmp_path / "busy.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        reason = refusal(file)
        child.communicate(b"\n")
    assert reason.startswith(f"{file} is in use by process {child.pid} (")
    assert reason.endswith("). Wait until it ends, or name another file")


def refusal_of_a_user(*files: Path, then: str = "") -> str:
    """Return the reasons why a user without root's rights cannot use files, and what more code prints."""
    code = f"""
from warehouse.target import Target
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
for file in {[str(file) for file in files]}:
    try:
        open_warehouse(Target("duckdb:///" + file, "sparkify", "test")).take_lease()
    except PermanentError as error:
        print(error)
{then}"""
    return run_unprivileged("-c", code)


READ = """
with open_warehouse(Target("duckdb:///{file}", "sparkify", "test")).reading() as connection:
    print(*connection.exec_driver_sql("select n, '' = ' ' from numbers").one())
"""


@pytest.mark.usefixtures("processes")
def test_a_read_only_file_is_read_and_a_load_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema sparkify; create table sparkify.numbers as select 7 as n")
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    assert refusal_of_a_user(file, then=READ.format(file=file)).splitlines() == [
        f"{file} cannot be written: this user may not read and write {tmp_path}. "
        "Change the permissions, or name another file",
        "7 True",
    ]


@pytest.mark.usefixtures("processes")
def test_a_file_in_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    new, old = folder / "new.duckdb", folder / "old.duckdb"
    duckdb.connect(str(old)).close()
    old.chmod(0o666)
    folder.chmod(0o555)
    refusals = refusal_of_a_user(new, old).splitlines()
    assert [f"may not read and write {folder}. Change" in refusal for refusal in refusals] == [True, True]


LONG = "select sum(a.n * b.n + c.n) from copies as a cross join copies as b cross join copies as c"


@pytest.fixture
def numbers(tmp_path: Path) -> Session:
    warehouse = duckdb_place(tmp_path / "test.duckdb").session()
    double = "insert into numbers select n + 1 from numbers"
    warehouse.run("create table numbers (n integer)", "insert into numbers values (1)", *[double] * 13)
    warehouse.run("create table copies (n integer)", "insert into copies select n from numbers")
    return warehouse


def test_a_statement_over_the_timeout_is_cancelled_and_rolled_back(numbers: Session) -> None:
    limited = open_warehouse(Target(numbers.target.warehouse, "sparkify", "test run", statement_timeout=1))
    reason = r"^a statement ran longer than statement_timeout \(1 s\) and was cancelled\. "
    reason += r"Set a longer timeout, or 0 for none$"
    with pytest.raises(PermanentError, match=reason), limited.task() as connection:  # noqa: PT012
        for statement in ("delete from numbers", "insert into numbers values (1)", LONG):
            connection.exec_driver_sql(statement)
    assert numbers.rows("select count(*) from numbers") == [(8192,)]
    with limited.task() as connection:
        assert select(connection, "select max(n) from numbers") == [(14,)]


def test_a_copy_over_the_timeout_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On DuckDB, COPY consists of many statements. One that starts after the timeout is cancelled."""
    monkeypatch.setattr("warehouse.duckdb.copy.BATCH_BYTES", 1)
    copying = Copying(tmp_path, statement_timeout=1)
    files = {"a.json": b'{"k": "a"}\n' * 1000, "b.json": b'{"k": "b"}\n' * 1_000_000}
    table = copying.table("k varchar")
    with pytest.raises(PermanentError, match=r"longer than statement_timeout \(1 s\) and was cancelled"):
        copying.load(table, files, progress=lambda _: sleep(1.2))
    assert copying.load(table, b'{"k": "a"}').rows == [("a",)], "what the cancelled COPY left stands in nobody's way"


@pytest.fixture
def small_disk(tmp_path: Path, processes: None) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


DOUBLE = "insert into numbers select n + (select max(n) from numbers), md5((n * 7)::varchar) from numbers"
FILLING = {
    "a commit": [DOUBLE] * 15,
    "a statement": [DOUBLE] * 20,
    "what does not fit into memory": [
        "set memory_limit = '24MB'",
        *[DOUBLE] * 10,
        "select max(place) from (select row_number() over (order by a.word, b.n) as place "
        "from numbers as a cross join numbers as b) as places",
    ],
}


@pytest.mark.parametrize("what", FILLING)
def test_a_full_disk_is_named_and_what_was_there_stays(small_disk: Path, what: str) -> None:
    session = duckdb_place(small_disk / "test.duckdb").session()
    session.run("create table numbers (n integer, word varchar(100))", "insert into numbers values (1, '')")
    with pytest.raises(PermanentError, match=rf"^the disk under {small_disk}/test\.duckdb is full\. Make room on it"):
        session.run(*FILLING[what])
    assert session.rows("select * from numbers") == [(1, "")]
    session.warehouse.release_lease()


def test_a_copy_onto_a_full_disk_says_so(small_disk: Path) -> None:
    copying = Copying(small_disk)
    table = copying.table("k varchar")
    source = small_disk.parent / "data.json"
    source.write_bytes(b"".join(b'{"k": "%d %d"}\n' % (n, n * n * n) for n in range(150_000)))
    with pytest.raises(PermanentError, match=rf"^the disk under {small_disk}/test\.duckdb is full\."):
        copying.load(table, source)
    assert copying.present(table) == []
    copying.warehouse.release_lease()


def test_a_disk_with_no_room_for_the_file_is_named(small_disk: Path) -> None:
    (small_disk / "full").write_bytes(bytes((1 << 20) - 4096))
    assert refusal(small_disk / "test.duckdb").startswith(f"the disk under {small_disk}/test.duckdb is full. Make")


def bad_copy(copying: Copying) -> None:
    copying.load(copying.table("k varchar"), b"not JSON\n")


def bad_statement(copying: Copying) -> None:
    with copying.warehouse.task() as connection:
        connection.exec_driver_sql("select * from nothing")


def bad_question(copying: Copying) -> None:
    with copying.warehouse.reading() as connection:
        connection.exec_driver_sql("select * from nothing")


@pytest.mark.parametrize("fail", [bad_copy, bad_statement, bad_question])
def test_an_error_that_is_kept_keeps_no_connection(tmp_path: Path, fail: Callable[[Copying], None]) -> None:
    """Prefect keeps errors. At the end of its process DuckDB would print the objects that they refer to."""
    copying = Copying(tmp_path)
    with pytest.raises(Exception, match=r"Not a JSON object|nothing") as kept:
        fail(copying)
    ended = [frame for frame, _ in traceback.walk_tb(kept.value.__traceback__) if frame.f_code.co_name in ENDED]
    assert [frame.f_locals for frame in ended] == [{}]
    copying.warehouse.release_lease()


ENDED = ("do_execute", "_refuse_over")


SECONDS_LONG = "select sum(a.range * b.range) from range(500) a, range(1_000_000) b"
"""A few seconds of work for one thread. It ends by itself, so that the test fails if nothing interrupts it."""


def test_an_interrupt_between_statements_is_not_lost() -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        with deadline(connection, 0.1):
            sleep(0.2)
            connection.execute(SECONDS_LONG).fetchall()

    one_thread = duckdb.connect(config={"threads": 1})
    with one_thread as connection, pytest.raises(PermanentError, match="statement_timeout"):
        work(connection)


def test_a_statement_within_the_timeout_is_not_cancelled() -> None:
    before = threading.enumerate()
    with duckdb.connect() as connection:
        for _ in range(20):
            with deadline(connection, 5):
                assert connection.execute("select 1").fetchall() == [(1,)]
    watching = [thread for thread in threading.enumerate() if thread not in before]
    for thread in watching:
        thread.join(2)
    assert not any(thread.is_alive() for thread in watching), "a statement is watched no longer than it runs"


def test_ctrl_c_during_a_statement_is_recognised() -> None:
    """In one thread, because DuckDB checks for signals between its own steps, not while it waits for other threads."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            with pytest.raises(RuntimeError) as raised:
                connection.execute(SECONDS_LONG).fetchall()
    finally:
        signal.signal(signal.SIGINT, before)
    assert was_interrupted(raised.value)
    assert not was_interrupted(RuntimeError("another"))


@pytest.mark.parametrize(
    "name",
    [
        "redshift+redshift_connector://user:hunter2@host:5439/db",
        "redshift-data://user:hunter2@host/db",
        "postgresql://user:hunter2@host:port/db",
        "duckdb:user:hunter2@host",
        "duckdb://user:hunter2@host/db",
        "md:hunter2",
    ],
)
def test_a_url_is_refused_without_repeating_its_password(name: str) -> None:
    for refuse in (refuse_url, lambda name: open_warehouse(Target(name, "sparkify", "test"))):
        with pytest.raises(PermanentError, match=r"password.+SQLAlchemy Connector block.+duckdb:///path") as raised:
            refuse(name)
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "My Block", "sparkify.db"])
def test_an_invalid_block_name_is_refused(name: str) -> None:
    with pytest.raises(PermanentError, match=r"not a block name.+duckdb:///path"):
        refuse_url(name)


@pytest.mark.parametrize("path", ["sparkify.duckdb", "./sparkify.duckdb", "/data/sparkify.duckdb"])
def test_a_bare_file_name_is_answered_with_its_url(path: str) -> None:
    with pytest.raises(PermanentError, match=f"Use duckdb:///{path}$") as raised:
        refuse_url(path)
    refuse_url(str(raised.value).split()[-1])


@pytest.mark.usefixtures("prefect_server")
class TestBlocks:
    """Connections saved in Prefect."""

    def save(self, name: str, connection_info: object) -> Target:
        from prefect_sqlalchemy import SqlAlchemyConnector

        SqlAlchemyConnector(connection_info=connection_info).save(name, overwrite=True)
        return Target(name, "sparkify", "test")

    def test_a_block_of_a_duckdb_file_opens_duckdb(self, tmp_path: Path) -> None:
        from prefect_sqlalchemy import ConnectionComponents

        file = tmp_path / "a block's.duckdb"
        components = ConnectionComponents(driver="duckdb", database=str(file))
        for name, info in (("by-components", components), ("by-url", f"duckdb:///{tmp_path}/url.duckdb")):
            warehouse = open_warehouse(self.save(name, info))
            warehouse.take_lease()
            warehouse.release_lease()
        assert file.exists()
        assert (tmp_path / "url.duckdb").exists()

    def test_a_block_of_another_database_is_refused(self) -> None:
        from prefect_sqlalchemy import ConnectionComponents

        components = ConnectionComponents(driver="postgresql+psycopg2", host="h", username="u", password="hunter2")
        with pytest.raises(
            PermanentError, match=r"'elsewhere' is a postgresql\+psycopg2.+Name a block with the driver redshift"
        ) as raised:
            open_warehouse(self.save("elsewhere", components))
        assert "hunter2" not in str(raised.value)

    def test_a_missing_block_is_named(self) -> None:
        with pytest.raises(PermanentError, match=r"no SQLAlchemy Connector block named 'missing'\. `prefect block ls`"):
            open_warehouse(Target("missing", "sparkify", "test"))


def test_a_file_named_like_the_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"sparkify\.duckdb and the schema sparkify have the same name"):
        open_warehouse(Target(f"duckdb:///{tmp_path}/sparkify.duckdb", "sparkify", "test"))


def test_two_schemas_of_a_file_are_loaded_side_by_side(tmp_path: Path) -> None:
    """Each load keeps doubtful records by a function of DuckDB's, which belongs to the file and not to the schema."""
    (tmp_path / "t.sql").write_text("create table if not exists t (k varchar)")
    (tmp_path / "a.json").write_text('{"k": 1.50}\n' * 20_000)
    table = Table(tmp_path / "t.sql")
    sessions = [duckdb_place(tmp_path / "test.duckdb", schema).session(schema) for schema in ("one", "two")]
    for session in sessions:
        session.run(table.ddl, LOAD_ERRORS_DDL)
    together = Barrier(2)

    def load(session: Session) -> int:
        with session.warehouse.task() as connection:
            together.wait()
            return copy_all(session.warehouse, connection, Source(table, str(tmp_path / "a.json"))).rows

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(load, sessions)) == [20_000, 20_000]

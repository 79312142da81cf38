"""The pipeline's cost compared with the practical limit, as ratios in one run: `make bench`.

Each measurement is a process of its own; what is compared is measured in turn, and medians are quoted.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import log
from pathlib import Path
from statistics import median
from time import perf_counter

import duckdb

from tests.long.slow_s3 import BUCKET, slow_s3

BENCH = Path(".bench")
BIG, SMALL, TINY, DOUBTFUL = (BENCH / name for name in ("big", "small", "tiny", "doubtful"))
ROUNDS = 3
TIMES = (1, 4, 16)
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_ENVIRONMENT["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"
"""As most people have it: modules are compiled once, not at each start. An empty flow has as much time as ours."""


@dataclass(frozen=True)
class Cost:
    """Seconds and peak memory (MB) of the work in one process."""

    seconds: float
    megabytes: float


def main() -> None:
    """Generate the data once, measure, and print."""
    make_data()
    measure_ratios()
    print("What a run sends to Redshift (its stand-in; S3 sends the rows)")
    print(
        f"   {'events':>8}{'files':>7}{'run':>8}{'statements':>12}{'transactions':>14}{'sent':>10}{'rows written':>14}"
    )
    subprocess.run([sys.executable, "-m", "tests.long.bench", "redshift_traffic"], check=True)
    print("Growth: seconds and MB at 1, 4 and 16 times the data; the exponent is 1 where seconds grow as the data do")
    for name in ("events", "song files", *SHAPES):
        costs = [measure(f"{name} x{times}") for times in TIMES]
        exponent = log(costs[-1].seconds / costs[0].seconds) / log(TIMES[-1])
        print(f"   {name:<16}{''.join(f'{c.seconds:8.2f} s{c.megabytes:6.0f} MB' for c in costs)}{exponent:7.2f}")


def measure_ratios() -> None:
    """Print each ratio with its aim."""
    events = count_events()
    pipeline, doubtful, by_hand = in_turn("pipeline", "pipeline_doubtful", "by_hand")
    ratio("database work against hand-written SQL", pipeline, by_hand, limit=1.5)
    seconds = median(cost.seconds for cost in pipeline)
    print(f"   {events:,} events, {events / seconds:,.0f} a second, peak {max(c.megabytes for c in pipeline):,.0f} MB")
    ratio("the same with one doubtful file in a hundred", doubtful, by_hand, limit=2)
    files, read_text = in_turn("song_files", "read_song_files")
    ratio("COPY of 15,000 one-song files against read_text", files, read_text, limit=1.3)
    for name, title in {"fetched": "", "throttled": ", of which S3 refuses one request in twenty"}.items():
        loaded, fetched = in_turn(f"{name} song files", "fetch_song_files")
        ratio(f"the same from S3 with 20 ms of latency{title}, against fetching alone", loaded, fetched, limit=1.3)
    measure("empty_flow")  # the first one sets Prefect's database up
    run, again, empty = in_turn("ten_events", "nothing_new", "empty_flow")
    ratio("a run on ten events against an empty flow", run, empty, limit=1.1)
    ratio("a run that finds nothing new against an empty flow", again, empty, limit=1.1)
    help_text, duckdb_alone = in_turn("help_text", "import_duckdb")
    ratio("--help against importing DuckDB", help_text, duckdb_alone, limit=1.5)
    large, small = in_turn("one_new_file x10", "one_new_file x1")
    ratio("a run with one new file: ten times the history against one time", large, small, limit=1.3)
    cold, warm = in_turn("etl_cold", "etl_warm")
    ratio("make etl: with a new home of Prefect against a warm one", cold, warm)


def make_data() -> None:
    """Generate the events (1.5 million), the song files and the ten events, if they are missing."""
    from flows.generate import generate

    if not BIG.exists():
        generate(users=6900, songs=500, out=BIG)
    if not TINY.exists():
        generate(days=1, users=5, songs=15_000, out=TINY)
    if not SMALL.exists():
        generate(days=1, users=5, songs=5, out=SMALL)
        first = next((SMALL / "log_data").rglob("*.json"))
        first.write_text("\n".join(first.read_text().splitlines()[:10]))
    if not DOUBTFUL.exists():
        make_doubtful()


def make_doubtful() -> None:
    """Cut the big logs in four each, 120 files, and give a number an exponent in each record of one of them."""
    shutil.copytree(BIG / "song_data", DOUBTFUL / "song_data")
    (DOUBTFUL / "log_data").mkdir()
    for path in (BIG / "log_data").rglob("*-events.json"):
        lines = path.read_text().splitlines()
        for part in range(4):
            text = "\n".join(lines[part::4])
            (DOUBTFUL / f"log_data/{path.stem}-{part}.json").write_text(text)
    text = re.sub(r'"length":([0-9.]+)', r'"length":\1e0', text)
    (DOUBTFUL / f"log_data/{path.stem}-3.json").write_text(text)


def count_events() -> int:
    """Count the lines of the big logs."""
    return sum(path.read_bytes().count(b"\n") + 1 for path in (BIG / "log_data").rglob("*.json"))


def in_turn(*names: str) -> list[list[Cost]]:
    """Measure each in turn, for several rounds."""
    rounds = [[measure(name) for name in names] for _ in range(ROUNDS)]
    return [list(costs) for costs in zip(*rounds, strict=True)]


def measure(name: str) -> Cost:
    """Do one piece of WORK in a process of its own, which prints its cost."""
    command = [sys.executable, "-m", "tests.long.bench", name]
    done = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    found = re.search(r"cost: ([\d.]+) s, ([\d.]+) MB", done.stdout)
    if not found:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Cost(float(found[1]), float(found[2]))


def ratio(title: str, costs: list[Cost], others: list[Cost], limit: float | None = None) -> None:
    """Print the median of the ratios, pair by pair, with the medians they come from."""
    ratios = sorted(a.seconds / b.seconds for a, b in zip(costs, others, strict=True))
    ours, theirs = (median(cost.seconds for cost in side) for side in (costs, others))
    verdict = "holds" if limit and median(ratios) <= limit else "short"
    aim = f" (aim: {limit:g} or less: {verdict})" if limit else ""
    print(f"{title}: {median(ratios):.2f}{aim}, from {ratios[0]:.2f} to {ratios[-1]:.2f}: {ours:.2f} s, {theirs:.2f} s")


def work(name: str) -> None:
    """Do one piece of work and print its cost."""
    database = BENCH / f"{name}.duckdb"
    database.unlink(missing_ok=True)
    seconds = WORK[name](database)
    print(f"cost: {seconds:.3f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def pipeline(database: Path, data: Path = BIG) -> float:
    """The tasks of a run, without a Prefect server."""
    from tests.support.warehouses import duckdb_place

    started = perf_counter()
    duckdb_place(database).run(data / "log_data", data / "song_data")
    return perf_counter() - started


def pipeline_doubtful(database: Path) -> float:
    """The same, where one file in a hundred and twenty has numbers that DuckDB reads otherwise than Redshift."""
    return pipeline(database, DOUBTFUL)


def events(times: int, database: Path) -> float:
    """The same on a sixteenth of the events, or more."""
    data = BENCH / f"events-{times}" if times < max(TIMES) else BIG
    if not data.exists():
        from flows.generate import generate

        generate(users=430 * times, songs=500, out=data)
    return pipeline(database, data)


def one_new_file(times: int, database: Path) -> float:
    """The tasks of a run on 2,000 events, of which one is of the first day and one came before."""
    from tests.support.warehouses import duckdb_place

    data, loaded = BENCH / f"history-{times}", BENCH / f"history-{times}.duckdb"
    if not data.exists():
        from flows.generate import generate

        generate(users=460 * times, songs=500, out=data)
        duckdb_place(loaded).run(data / "log_data", data / "song_data")
    shutil.copy(loaded, database)
    first, *_, last = (path.read_text().splitlines() for path in sorted((data / "log_data").rglob("*-events.json")))
    new = data / "log_data/new.json"
    events = [json.loads(line) for line in last[:1998]]
    next_day = [json.dumps(event | {"ts": event["ts"] + 86_400_000}) for event in events]
    late = json.dumps(json.loads(first[0]) | {"page": "NextSong", "userId": "1", "sessionId": 1})
    try:
        new.write_text("\n".join([*next_day, late, last[0]]))
        started = perf_counter()
        duckdb_place(database).run(data / "log_data", data / "song_data")
        return perf_counter() - started
    finally:
        new.unlink()


def by_hand(database: Path) -> float:
    """The same tables with hand-written statements for DuckDB, without rules and checks."""
    sql = Path(__file__).with_name("by_hand.sql").read_text(encoding="utf-8")
    started = perf_counter()
    with duckdb.connect(database) as connection:
        connection.execute(f"set variable log_data = '{BIG}/log_data/**/*.json'")
        connection.execute(f"set variable song_data = '{BIG}/song_data/**/*.json'")
        connection.execute(sql)
    return perf_counter() - started


def song_files(database: Path, location: str = str(TINY / "song_data")) -> float:
    """COPY of many tiny files."""
    from prefect.logging import disable_run_logger

    from sql import catalog
    from tasks.create_tables import create_tables
    from tasks.lease import take_lease
    from tasks.stage import stage
    from warehouse.sources import Source
    from warehouse.target import Target

    target = Target(f"duckdb:///{database}", "sparkify", "bench")
    with disable_run_logger():
        take_lease.fn(target)
        create_tables.fn(target, catalog.TABLES)
        started = perf_counter()
        stage.fn(target, Source(catalog.STAGING_SONGS, location), 1, ())
        return perf_counter() - started


def some_song_files(times: int, database: Path) -> float:
    """COPY of a sixteenth of them, or more: the generator puts songs into folders by letter."""
    folder = database.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    paths = sorted((TINY / "song_data").rglob("*.json"))
    for path in paths[: len(paths) * times // max(TIMES)]:
        os.link(path, folder / path.name)
    return song_files(database, str(folder))


def s3_song_files(refused: float, database: Path) -> float:
    """COPY of all of them from an S3 with latency that refuses a share of the requests."""
    with s3_of_songs(refused) as bucket:
        return song_files(database, f"{bucket}/song_data")


def fetch_song_files(_: Path) -> float:
    """Fetching the same objects with as many connections, and doing nothing with them."""
    from concurrent.futures import ThreadPoolExecutor

    from warehouse.files import SourceFile
    from warehouse.s3.client import _PARALLEL, S3

    s3 = S3("")
    with s3_of_songs() as bucket:

        def fetch(each: SourceFile) -> None:
            s3._client.get_object(Bucket=BUCKET, Key=each.url.split("/", 3)[3])["Body"].read()

        started = perf_counter()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(fetch, s3.objects(f"{bucket}/song_data")))
        return perf_counter() - started


@contextmanager
def s3_of_songs(refused: float = 0) -> Iterator[str]:
    """Serve the song files, and yield their bucket's URL."""
    with slow_s3(TINY, 0.02, refused) as endpoint:
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ.update(keys, AWS_ENDPOINT_URL_S3=endpoint)
        yield f"s3://{BUCKET}"


def read_song_files(database: Path) -> float:
    """DuckDB reading the same files, and nothing else."""
    started = perf_counter()
    with duckdb.connect(database) as connection:
        connection.execute(f"select sum(length(content)) from read_text('{TINY}/song_data/**/*.json')").fetchall()
    return perf_counter() - started


def redshift_traffic(_: Path) -> float:
    """Count what runs on few and many files and events send, each run twice on the same data."""
    from tempfile import TemporaryDirectory

    import pytest

    from tests.standin import run_standin
    from tests.support.traffic import measure_runs, write_events, write_songs
    from tests.support.warehouses import redshift_place

    started = perf_counter()
    with run_standin() as standin, pytest.MonkeyPatch.context() as monkeypatch:
        for events, files in ((10, 1), (10_000, 1), (200, 200)):
            with TemporaryDirectory() as folder:
                write_events(Path(folder, "log_data"), events, files)
                write_songs(Path(folder, "song_data"), files)
                runs = measure_runs(standin, redshift_place(standin, monkeypatch), Path(folder))
            for name, run in zip(("first", "second"), runs, strict=True):
                print(
                    f"   {events:8,}{2 * files:7,}{name:>8}{run.statements:12,}{run.transactions:14,}"
                    f"{run.bytes_sent / 1000:7.1f} kB{run.written:14,}"
                )
    return perf_counter() - started


def ten_events(database: Path) -> float:
    """The whole command, including its server."""
    data = ["--log-data", str(SMALL / "log_data"), "--song-data", str(SMALL / "song_data")]
    return run_python("-m", "flows.etl", *data, "--warehouse", f"duckdb:///{database}")


def nothing_new(database: Path) -> float:
    """The same again."""
    ten_events(database)
    return ten_events(database)


def etl_warm(database: Path) -> float:
    """The command on a month of sample data."""
    return etl(database, BENCH / "prefect")


def etl_cold(database: Path) -> float:
    """The same where Prefect has not yet made its database."""
    home = BENCH / "cold"
    shutil.rmtree(home, ignore_errors=True)
    return etl(database, home)


def etl(database: Path, home: Path) -> float:
    return run_python("-m", "flows.etl", "--warehouse", f"duckdb:///{database}", home=home)


EMPTY_FLOW = """
from prefect import flow, task

@task
def nothing():
    pass

@flow
def empty():
    for _ in range(13):
        nothing()

empty()
"""


def empty_flow(_: Path) -> float:
    """A flow with the same number of tasks that do nothing."""
    return run_python("-c", EMPTY_FLOW)


def help_text(_: Path) -> float:
    """What a command can do."""
    return run_python("-m", "flows.etl", "--help")


def import_duckdb(_: Path) -> float:
    """What no run can do without."""
    return run_python("-c", "import duckdb")


def run_python(*arguments: str, home: Path = BENCH / "prefect") -> float:
    """Run Python with Prefect's home in the bench's folder; return the seconds."""
    environment = _ENVIRONMENT | {"PREFECT_HOME": str(home.absolute())}
    started = perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return perf_counter() - started


RECORD = b'{"k": "%s", "n": [1, {"m": "}{"}]}' % (b"x" * 170)
SHAPES: dict[str, Callable[[int], bytes]] = {
    "lines": lambda count: (RECORD + b"\n") * count,
    "end to end": lambda count: RECORD * count,
    "pretty": lambda count: RECORD.replace(b", ", b",\n ") * count,
    "an array": lambda count: b"[" + b",\n".join([RECORD] * count) + b"]",
    "blank lines": lambda count: RECORD + b"\n" * (len(RECORD) * count) + RECORD,
    "a huge record": lambda count: b'{"k": "%s"}' % (RECORD.replace(b'"', b"'") * count),
    "broken lines": lambda count: (RECORD + b"}\n") * count,
}


def shape(name: str, times: int, database: Path) -> float:
    """COPY of one file, of which only a bad layout is rejected."""
    from tests.support.copying import Copying

    folder = database.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copying = Copying(folder)
    source = copying.write(SHAPES[name](times * (2 << 20) // len(RECORD)))
    table = copying.table("k varchar(256), n varchar(100)")
    copying.create(table)
    started = perf_counter()
    copying.load(table, source, max_errors=1_000_000)
    seconds = perf_counter() - started
    shutil.rmtree(folder)
    return seconds


WORK: dict[str, Callable[[Path], float]] = {
    function.__name__: function
    for function in (
        pipeline,
        pipeline_doubtful,
        by_hand,
        song_files,
        read_song_files,
        fetch_song_files,
        ten_events,
        nothing_new,
        empty_flow,
        etl_cold,
        etl_warm,
        redshift_traffic,
        help_text,
        import_duckdb,
    )
}
WORK |= {f"one_new_file x{times}": partial(one_new_file, times) for times in (1, 10)}
WORK |= {f"events x{times}": partial(events, times) for times in TIMES}
WORK |= {f"song files x{times}": partial(some_song_files, times) for times in TIMES}
WORK |= {"fetched song files": partial(s3_song_files, 0), "throttled song files": partial(s3_song_files, 0.05)}
WORK |= {f"{name} x{times}": partial(shape, name, times) for name in SHAPES for times in TIMES}

if __name__ == "__main__":
    work(sys.argv[1]) if len(sys.argv) > 1 else main()

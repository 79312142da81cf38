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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import duckdb

BENCH = Path(".bench")
BIG, SMALL, TINY = BENCH / "big", BENCH / "small", BENCH / "tiny"
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Seconds and peak memory (MB) of the work in one process."""

    seconds: float
    megabytes: float


def main() -> None:
    """Generate the data once, measure, and print."""
    make_data()
    events = count_events()
    pipeline, by_hand = in_turn("pipeline", "by_hand")
    ratio("1. database work against hand-written SQL", pipeline, by_hand, limit=1.5)
    seconds = median(cost.seconds for cost in pipeline)
    print(f"   {events:,} events, {events / seconds:,.0f} a second, peak {max(c.megabytes for c in pipeline):,.0f} MB")
    files, read_text = in_turn("song_files", "read_song_files")
    ratio("2. COPY of 15,000 one-song files against read_text", files, read_text, limit=1.5)
    measure("empty_flow")  # the first one sets Prefect's database up
    run, empty = in_turn("ten_events", "empty_flow")
    ratio("3. a run on ten events against an empty flow", run, empty, limit=1.2)
    again, first = in_turn("pipeline_again", "pipeline")
    ratio("4. a second run, which finds nothing new, against the first", again, first)
    large, small = in_turn("one_new_file x10", "one_new_file x1")
    ratio("5. a run with one new file: ten times the history against one time", large, small, limit=1.3)
    print("6. what a run sends to Redshift (its stand-in; S3 sends the rows)")
    print(
        f"   {'events':>8}{'files':>7}{'run':>8}{'statements':>12}{'transactions':>14}{'sent':>10}{'rows written':>14}"
    )
    subprocess.run([sys.executable, "-m", "tests.long.bench", "redshift_traffic"], check=True)
    print("7. COPY of one file in several shapes: 4 and 16 times the size against 2 MB (seconds, MB)")
    for shape in SHAPES:
        one, *others = (measure(f"{shape} x{times}") for times in TIMES)
        growth = [f"{c.seconds / one.seconds:6.1f}{c.megabytes / one.megabytes:6.1f}" for c in others]
        print(f"   {shape:<16}{one.seconds:6.2f} s{one.megabytes:6.0f} MB{''.join(growth)}")


def make_data() -> None:
    """Generate the events (1.5 million), the song files and the ten events, if they are missing."""
    from flows.generate import generate

    if not BIG.exists():
        generate(users=6900, songs=500, out=BIG)
    if not TINY.exists():
        generate(days=1, users=5, songs=15_000, out=TINY)
    if not SMALL.exists():
        generate(days=1, users=5, songs=5, out=SMALL)
        log = next((SMALL / "log_data").rglob("*.json"))
        log.write_text("\n".join(log.read_text().splitlines()[:10]))


def count_events() -> int:
    """Count the lines of the big logs."""
    return sum(path.read_bytes().count(b"\n") + 1 for path in (BIG / "log_data").rglob("*.json"))


def in_turn(*names: str) -> list[list[Cost]]:
    """Measure each in turn, for several rounds."""
    rounds = [[measure(name) for name in names] for _ in range(ROUNDS)]
    return [list(costs) for costs in zip(*rounds, strict=True)]


def measure(name: str) -> Cost:
    """Do one piece of WORK in a process of its own, which prints its cost."""
    done = subprocess.run([sys.executable, "-m", "tests.long.bench", name], capture_output=True, text=True, check=False)
    found = re.search(r"cost: ([\d.]+) s, ([\d.]+) MB", done.stdout)
    if not found:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Cost(float(found[1]), float(found[2]))


def ratio(title: str, costs: list[Cost], others: list[Cost], limit: float | None = None) -> None:
    """Print the median of the ratios, pair by pair, with the medians they come from."""
    ratios = sorted(a.seconds / b.seconds for a, b in zip(costs, others, strict=True))
    ours, theirs = (median(cost.seconds for cost in side) for side in (costs, others))
    aim = f" (aim: {limit:g} or less)" if limit else ""
    print(f"{title}: {median(ratios):.2f}{aim}, from {ratios[0]:.2f} to {ratios[-1]:.2f}: {ours:.2f} s, {theirs:.2f} s")


def work(name: str) -> None:
    """Do one piece of work and print its cost."""
    database = BENCH / f"{name}.duckdb"
    database.unlink(missing_ok=True)
    seconds = WORK[name](database)
    print(f"cost: {seconds:.3f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def pipeline(database: Path) -> float:
    """The tasks of a run, without a Prefect server."""
    from tests.support.warehouses import duckdb_place

    started = perf_counter()
    duckdb_place(database).run(BIG / "log_data", BIG / "song_data")
    return perf_counter() - started


def pipeline_again(database: Path) -> float:
    """The same again, which finds nothing new."""
    pipeline(database)
    return pipeline(database)


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


def song_files(database: Path) -> float:
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
        stage.fn(target, Source(catalog.STAGING_SONGS, str(TINY / "song_data")), 1, ())
        return perf_counter() - started


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


def run_python(*arguments: str) -> float:
    """Run Python with Prefect's home in the bench's folder; return the seconds."""
    environment = os.environ | {"PREFECT_HOME": str((BENCH / "prefect").absolute())}
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
TIMES = (1, 4, 16)


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
        pipeline_again,
        by_hand,
        song_files,
        read_song_files,
        ten_events,
        empty_flow,
        redshift_traffic,
    )
}
WORK |= {f"one_new_file x{times}": partial(one_new_file, times) for times in (1, 10)}
WORK |= {f"{name} x{times}": partial(shape, name, times) for name in SHAPES for times in TIMES}

if __name__ == "__main__":
    work(sys.argv[1]) if len(sys.argv) > 1 else main()

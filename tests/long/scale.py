"""Seconds of a processor to list many keys and to compare them with a ledger: `python -m tests.long.scale`.

Each number of keys is listed in a process of its own, from an S3 in memory that answers in pages.
"""

import os
import resource
import subprocess
import sys
from itertools import pairwise
from time import process_time

from tests.long.slow_s3 import BUCKET, slow_s3

KEYS = (100_000, 400_000, 1_600_000)
_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


def main(counts: list[int]) -> None:
    """Print a line for each number of keys."""
    print("       keys    list  compare with none  record  compare with all    peak", flush=True)
    for count in counts:
        with slow_s3(count) as endpoint:
            environment = os.environ | _ENVIRONMENT | {"AWS_ENDPOINT_URL_S3": endpoint}
            subprocess.run([sys.executable, "-m", "tests.long.scale", "of", f"{count}"], env=environment, check=True)


def measure(count: int) -> None:
    """List the keys, compare them with an empty ledger, record them, and compare them with it again."""
    from tempfile import TemporaryDirectory

    from sql import catalog
    from warehouse import ledger
    from warehouse.connect import open_warehouse
    from warehouse.sources import CopyResult, Source
    from warehouse.target import Target

    seconds = []
    with TemporaryDirectory() as folder:
        warehouse = open_warehouse(Target(f"duckdb:///{folder}/scale.duckdb", "sparkify", "scale"))
        source = Source(catalog.STAGING_EVENTS, f"s3://{BUCKET}/log_data")
        warehouse.take_lease()
        with warehouse.task() as connection:
            for table in catalog.TABLES:
                connection.exec_driver_sql(table.ddl)
            seconds.append(process_time())
            files = warehouse.files(source)
            seconds.append(process_time())
            arrivals = ledger.compare(connection, source, files, 1)
            seconds.append(process_time())
            ledger.add(warehouse, connection, source, arrivals, CopyResult(0))
            seconds.append(process_time())
            again = ledger.compare(connection, source, files, 2)
            seconds.append(process_time())
        warehouse.release_lease()
    assert (len(arrivals.new), len(again.known)) == (count, count)
    listed, first, recorded, second = (after - before for before, after in pairwise(seconds))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:11,}{listed:8.1f}{first:19.1f}{recorded:8.1f}{second:18.1f}{peak:8,.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["of"]:
        measure(int(sys.argv[2]))
    else:
        main([int(argument) for argument in sys.argv[1:]] or list(KEYS))

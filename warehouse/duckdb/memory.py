"""How much memory DuckDB may take: as much as is useful, and what the machine or the container leaves."""

from functools import cache
from typing import Any

import duckdb

MIB = 1 << 20
ENOUGH = 640 * MIB
"""More makes no load faster: 1.4 million events take as long with half of it, and with twice."""
LEAST = 64 * MIB
"""A load of any size finishes with this, on one thread."""

_OTHERS = 480 * MIB
"""What Python, Prefect and its temporary server take."""
_PER_THREAD = 96 * MIB
_SHARE = 0.8
"""Of the machine or the container, DuckDB takes this by default."""
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30, "TiB": 1 << 40}


@cache
def limits() -> dict[str, Any]:
    """Return DuckDB's settings for this machine or container."""
    with duckdb.connect() as connection:
        setting, threads = connection.execute(
            "select current_setting('memory_limit'), current_setting('threads')"
        ).fetchall()[0]
    number, unit = setting.split()
    return limits_of(int(float(number) * _UNITS[unit] / _SHARE), threads)


def limits_of(total: int, threads: int) -> dict[str, Any]:
    """Return DuckDB's settings where there are so many bytes for all that runs, and so many processors."""
    limit = min(ENOUGH, max(LEAST, total - _OTHERS))
    if limit == ENOUGH:
        return {"memory_limit": f"{limit // MIB}MiB"}
    return {"memory_limit": f"{limit // MIB}MiB", "threads": min(threads, max(1, limit // _PER_THREAD))}

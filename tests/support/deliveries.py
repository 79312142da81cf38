"""Files that arrive over time: in a folder that a warehouse reads again and again."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.etl import sources_of
from tests.standin import Standin
from tests.support.records import Record
from tests.support.steps import Step, run_steps
from tests.support.warehouses import BUCKET, Place


@dataclass(frozen=True)
class Deliveries:
    """A warehouse, and the folder whose files it loads, each where it was at the run before."""

    place: Place
    folder: Path

    def deliver(self, name: str, records: Iterable[Record]) -> None:
        """Write a file, such as log_data/a.json, or another version of it."""
        self._write(name, "\n".join(map(json.dumps, records)).encode())

    def copy(self, data: Path, names: Iterable[Path]) -> None:
        """Deliver files of a folder of data."""
        for name in names:
            self._write(str(name.relative_to(data)), name.read_bytes())

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def steps(self, *, audited: bool = False, **options: Any) -> list[Step]:
        """Return the steps of a run on all files that are there, with options of the sources."""
        logs, songs = (self.place.put(self.folder / name) for name in ("log_data", "song_data"))
        return list(run_steps(self.place.target, sources_of(logs, songs, **options), audited=audited))

    def run(self, *, audited: bool = False, **options: Any) -> dict[str, Any]:
        """Run on all files that are there. Return the results of the steps by their names."""
        return {step.name: step.run(0) for step in self.steps(audited=audited, **options)}


def growing(place: Place, folder: Path, standin: Standin | None) -> Deliveries:
    """Return deliveries to a warehouse. In S3 each folder keeps its prefix, and every put lists it anew."""
    for name in ("log_data", "song_data"):
        (folder / name).mkdir(parents=True)
    if standin is None:
        return Deliveries(place, folder)

    def put(path: Path) -> str:
        return standin.put_folder(f"{BUCKET}/{path.name}", path) + "/"

    return Deliveries(replace(place, put=put), folder)

from pathlib import Path


def write_dirty(out: Path) -> None: ...

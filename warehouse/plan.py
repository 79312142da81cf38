"""The statements that a run would send, recorded instead of sent."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_FILE = "statements.jsonl"


@dataclass(frozen=True)
class Plan:
    """The statements of a run, in order, grouped by task."""

    groups: dict[str, list[str]]

    @classmethod
    def read(cls, folder: str) -> "Plan":
        """Read the plan that was recorded in a folder."""
        groups = defaultdict(list)
        for line in Path(folder, _FILE).read_text(encoding="utf-8").splitlines():
            task, statement = json.loads(line)
            groups[task].append(statement)
        return cls(dict(groups))

    def __str__(self) -> str:
        """Return SQL that runs as is, unless COPY reads with keys: those are masked."""
        return "\n\n".join(
            "\n".join([f"-- {task}", *(f"{statement};" for statement in statements)])
            for task, statements in self.groups.items()
        )

    def show(self) -> None:
        """Print the plan."""
        print(self)


def write_statement(folder: str, task: str, statement: str) -> None:
    """Record a statement of a task. Tasks may record in parallel: a line is written in one piece."""
    with open(Path(folder, _FILE), "ab", buffering=0) as file:
        file.write(json.dumps([task, statement]).encode() + b"\n")

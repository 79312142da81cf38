"""The statements that a run would send, written down instead of sent."""

from collections.abc import Callable
from pathlib import Path


class Plan:
    """The statements of a run, grouped by task, in order.

    `title` names the task that is under way; in `folder` is the empty DuckDB file on which the statements are
    executed in Redshift's place, so that those which depend on others are the right ones.
    """

    def __init__(self, folder: Path, title: Callable[[], str]) -> None:
        self.folder = folder
        self.title = title
        self.groups: dict[str, list[str]] = {}

    def __str__(self) -> str:
        """SQL that can be run as it stands, where there are no keys in it."""
        return "\n\n".join(
            "\n".join([f"-- {title}", *(f"{statement};" for statement in statements)])
            for title, statements in self.groups.items()
        )

    def show(self) -> None:
        """Print the plan."""
        print(self)

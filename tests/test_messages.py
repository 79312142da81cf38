"""Every message of an error has the form `subject: what is wrong. What to do.`, and is short."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.project import ROOT

PACKAGES = ("deployments", "flows", "tasks", "warehouse")
ERRORS = ("PermanentError", "CopyError", "NotAllowedError", "LeaseLostError")
"""Errors that a person has to do something about."""
DATA = "{}"
"""Stands for a value that is put into a message."""
LONGEST = 300
"""Characters, without the data."""


def messages(source: str) -> Iterator[str]:
    """Yield the messages that a module raises errors with, as far as they are written there."""
    tree = ast.parse(source)
    assigned = [(node.targets[0], node.value) for node in tree.body if isinstance(node, ast.Assign)]
    constants = {name.id: text(value, {}) for name, value in assigned if isinstance(name, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
            message = text(node.args[0], constants)
            if message.replace(DATA, "").strip():
                yield message


def text(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text(value, constants) for value in node.values)
    if isinstance(node, ast.BinOp):
        return text(node.left, constants) + text(node.right, constants)
    if isinstance(node, ast.FormattedValue):
        return text(node.value, constants)
    return constants.get(node.id, DATA) if isinstance(node, ast.Name) else DATA


def faults(message: str) -> list[str]:
    """Return what is wrong with a message. What to do may come with the data, or stand in parentheses at the end."""
    what, _, remedy = message.partition(". ")
    has_remedy = bool(remedy) or message.endswith((DATA, ")")) or re.search(r"[:;)\n] ?[A-Z`]", message)
    found = {
        f"over {LONGEST} characters": len(message.replace(DATA, "")) > LONGEST,
        "several colons before the reason": what.count(": ") > 1,
        "nothing to do": not has_remedy,
        "a full stop at the end": message.endswith("."),
    }
    return [fault for fault, is_so in found.items() if is_so]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("port: {} is in use. Use another", []),
        ("port: {} is in use", ["nothing to do"]),
        ("port: taken: by {} here: now. Use another", ["several colons before the reason"]),
        ("port: {} is in use. Use another.", ["a full stop at the end"]),
        ("x" * 301 + ". Do", ["over 300 characters"]),
    ],
)
def test_a_message_of_another_form_is_found(message: str, expected: list[str]) -> None:
    written = f"raise PermanentError(f{message!r})".replace(DATA, "{port}")
    assert [faults(found) for found in messages(written)] == [expected]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_has_the_form(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    found = [(path, message) for path in files for message in messages(path.read_text(encoding="utf-8"))]
    wrong = {f"{path.relative_to(ROOT)}: {message}": faults(message) for path, message in found if faults(message)}
    assert wrong == {}
    assert len(found) >= {"tasks": 3, "deployments": 8}.get(package, 15)

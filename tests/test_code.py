"""Rules of the code that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.project import ROOT

PACKAGES = ("deployments", "flows", "sql", "tasks", "warehouse", "tests")
MAX_LINES = {ast.ClassDef: 180, ast.FunctionDef: 45, ast.AsyncFunctionDef: 45}


def test_a_class_has_at_most_180_lines_and_a_function_45() -> None:
    assert [found for package in PACKAGES for path in (ROOT / package).rglob("*.py") for found in too_long(path)] == []


def documentation(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the lines of a docstring: a flow with many parameters documents each."""
    return (ast.get_docstring(node) or "").splitlines()


def too_long(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(documentation(node))
            if lines > MAX_LINES[type(node)]:
                yield f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"

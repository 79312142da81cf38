"""Words that docs/glossary.md has retired stay away from code, SQL and documents."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.support.project import ROOT

GLOSSARY = ROOT / "docs/glossary.md"
FOLDERS = ("deployments", "docs", "flows", "notebooks", "sql", "tasks", "warehouse")
KINDS = (".html", ".ipynb", ".json", ".md", ".py", ".sql", ".yaml")

CLASSES = {
    "Embedded", "LocalCopy", "Copy", "Copied", "Loaded", "ReadBack", "TableReport", "CheckReport"
}  # fmt: skip
"""Names in Python. Some are English words elsewhere."""

WORDS = {
    "LocalCopy": r"\bLocalCopy\b",
    "ReadBack": r"\bReadBack\b",
    "TableReport": r"\bTableReport\b",
    "CheckReport": r"\bCheckReport\b",
    "embedded warehouse": r"(?i)\bembedded[\s#]+warehouses?\b",
    "finding of a question": r"""\.finding\b|["']finding["']|\bdef finding\b|^-- finding:""",
}
"""In any text. Only a preflight has findings, and nothing asks it for them by an attribute or a string."""


def retired(path: Path, text: str) -> list[str]:
    """Return the retired names in a file: where each stands."""
    found = [
        (text.count("\n", 0, match.start()) + 1, name)
        for name, pattern in WORDS.items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]
    if path.suffix == ".py":
        names = tokenize.generate_tokens(io.StringIO(text).readline)
        found += [
            (token.start[0], token.string)
            for token in names
            if token.type == tokenize.NAME and token.string in CLASSES - set(WORDS)
        ]
    return [f"{path}:{line}: {name}" for line, name in sorted(found)]


def test_no_retired_name_is_in_use() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    files += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "prefect.yaml", ".env.example", "Makefile")]
    files.remove(GLOSSARY)
    assert len(files) > 80
    found = [
        line for path in sorted(files) for line in retired(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    ]
    assert found == [], "docs/glossary.md says what they are called now:\n" + "\n".join(found)


def test_the_glossary_lists_what_is_looked_for() -> None:
    table = GLOSSARY.read_text(encoding="utf-8").partition("## Retired names")[2]
    listed = re.findall(r"^\| `?([\w ]+?)`?(?: \(the class\))? \|", table, re.MULTILINE)
    finding = re.findall(r"^\| finding \(of a question\) \|", table, re.MULTILINE)
    assert set(listed[1:]) == CLASSES | {"embedded warehouse"}
    assert len(finding) == 1


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        ("a.py", "x = 1\nfrom b import Copy\n", ["a.py:2: Copy"]),
        ("a.py", '"""Loaded and Copied. Copy files."""  # Loaded\n', []),
        ("a.py", "def f(copied: Copied) -> Loaded: ...", ["a.py:1: Copied", "a.py:1: Loaded"]),
        ("a.py", "class TableReport: ...", ["a.py:1: TableReport"]),
        ("a.md", "\nThe Embedded\nwarehouse, and what TableReports.", ["a.md:2: embedded warehouse"]),
        ("a.yaml", "# the embedded\n# warehouse", ["a.yaml:1: embedded warehouse"]),
        ("a.sql", "-- title: x\n-- finding: y", ["a.sql:2: finding of a question"]),
        ("a.py", "for finding in findings: print(finding.text)", []),
        ("a.py", "answer.finding; head['finding']", ["a.py:1: finding of a question"] * 2),
        ("a.html", '<p class="finding">', ["a.html:1: finding of a question"]),
    ],
)
def test_a_retired_name_is_found_by_file_and_line(file: str, text: str, lines: list[str]) -> None:
    assert retired(Path(file), text) == lines

"""Writes docs/data-dictionary.md from the SQL files: their comments and their lineage. `make docs` runs it."""

import json
from collections import defaultdict
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from sql import catalog
from tests.support.project import ROOT
from warehouse.checks import Check
from warehouse.tables import Table

DOCUMENT = ROOT / "docs/data-dictionary.md"
SCHEMA: dict[str, Any] = {
    table.name: {column.name: column.type for column in table.columns} for table in catalog.TABLES
}
SOURCES = {staging.name: staging.history.source for staging in catalog.STAGING if staging.history}

_HEAD = """\
# Data dictionary

What each table and column means, and where it comes from. `make docs` generates this page from the comments in the SQL
files, which the warehouse has as comments too, and from the SELECTs, whose lineage sqlglot finds: from a file to
staging, to history, to the star schema, to an answer of the report. What only filters, joins, orders or counts rows is
not in it.
"""

Lineage = dict[str, set[tuple[str, str]]]
"""The tables and columns that make up each column of a SELECT."""


def lineage_of(select: str) -> Lineage:
    """Return what each column of a SELECT is made from. What only filters, joins or orders rows is not in it."""
    tree = qualify(
        sqlglot.parse_one(select, read="redshift"), dialect="redshift", schema=SCHEMA, quote_identifiers=False
    )
    scope = build_scope(tree)
    assert isinstance(tree, exp.Query)
    found = {}
    for name in tree.named_selects:
        nodes = lineage(name, tree, SCHEMA, dialect="redshift", scope=scope).walk()
        tables = ((node, node.source) for node in nodes if isinstance(node.source, exp.Table))
        found[name] = {(source.name, node.name.rpartition(".")[2]) for node, source in tables}
    return found


def table_lineage(table: Table) -> Lineage:
    """Return what a table's columns are made from: of a staging table, keys of a source's records."""
    if table.select:
        return lineage_of(table.select)
    if table.name in SOURCES:
        return {name: {(SOURCES[table.name], key)} for name, key in _keys(table).items()}
    staging = [staging for staging in catalog.STAGING if staging.history == table]
    return {c.name: {(origin.name, c.name)} for origin in staging for c in origin.columns}


def document() -> str:
    """Return the whole page."""
    made = {table.name: table_lineage(table) for table in catalog.TABLES}
    answers = {question.name: lineage_of(question.select) for question in catalog.QUESTIONS}
    tables = "\n".join(_table(table, made[table.name], answers) for table in catalog.TABLES)
    return f"{_HEAD}\n{_picture(made, answers)}\n{tables}\n{_answers(answers)}"


def _keys(table: Table) -> dict[str, str]:
    """Return the key of a record that is loaded into each column of a staging table."""
    names = [column.name for column in table.columns]
    if not table.jsonpaths:
        return {name: name for name in names}
    paths = json.loads(table.jsonpaths.read_text(encoding="utf-8"))["jsonpaths"]
    return dict(zip(names, (path.removeprefix("$['").removesuffix("']") for path in paths), strict=True))


def _picture(made: dict[str, Lineage], answers: dict[str, Lineage]) -> str:
    edges = {(source, name) for name, columns in made.items() for found in columns.values() for source, _ in found}
    sections = {question.name: question.section or "Figures" for question in catalog.QUESTIONS}
    edges |= {
        (source, f"report_{sections[name]}")
        for name, columns in answers.items()
        for found in columns.values()
        for source, _ in found
    }
    lines = [f"    {source} --> {name}" for source, name in sorted(edges)]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```", ""])


def _table(table: Table, made: Lineage, answers: dict[str, Lineage]) -> str:
    lines = [f"## `{table.name}`", "", table.description, ""]
    if table.key:
        lines += [f"Key: {', '.join(f'`{name}`' for name in table.key)}.", ""]
    if rules := [check.rule for check in _checks() if table.name in _tables_in(check.select)]:
        lines += ["Checked at every run:", "", *(f"- {rule}" for rule in rules), ""]
    lines += ["| column | type | meaning | made from | shown in |", "|---|---|---|---|---|"]
    shown = defaultdict(list)
    for answer, columns in answers.items():
        for source, name in sorted({pair for found in columns.values() for pair in found}):
            if source == table.name:
                shown[name].append(answer)
    for column in table.columns:
        kind = f"{column.type}{'' if column.nullable else ', not null'}"
        origin = _listed(made.get(column.name, set()))
        where = ", ".join(shown[column.name])
        lines.append(f"| `{column.name}` | {kind} | {column.description} | {origin} | {where} |")
    return "\n".join([*lines, ""])


def _answers(answers: dict[str, Lineage]) -> str:
    lines = ["## Answers", "", "| answer | made from |", "|---|---|"]
    lines += [
        f"| {question.title} (`{question.name}`) | {_listed(*answers[question.name].values())} |"
        for question in catalog.QUESTIONS
    ]
    return "\n".join(lines) + "\n"


def _listed(*found: set[tuple[str, str]]) -> str:
    return ", ".join(f"`{source}.{name}`" for source, name in sorted(set().union(*found)))


def _checks() -> list[Check]:
    return list(catalog.CHECKS)


def _tables_in(select: str) -> set[str]:
    names = (table.name for table in sqlglot.parse_one(select, read="redshift").find_all(exp.Table))
    return {name.removeprefix("arrived_").removeprefix("touched_") for name in names}


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(DOCUMENT)

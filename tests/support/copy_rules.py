"""Writes docs/copy-rules.md from the cases that COPY is tested with. `make docs` runs it."""

import json
from collections import defaultdict
from collections.abc import Iterator

from tests.support.project import ROOT
from tests.warehouse.duckdb.test_copy import BAD_RECORDS, CASES, MISSING, PATHS, Case, type_ids
from tests.warehouse.test_copy_forms import CASES as FORMS
from tests.warehouse.test_copy_forms import Form
from tests.warehouse.test_parity import KNOWN
from tests.warehouse.test_trailing_blanks import QUERIES, SETUP
from warehouse.duckdb.json_rules import ASSUMPTIONS

DOCUMENT = ROOT / "docs/copy-rules.md"

CODES = {
    1204: "the value does not fit the column",
    1206: "not a timestamp in the format",
    1207: "not an integer",
    1208: "not a floating-point number",
    1209: "not a decimal number",
    1210: "not a boolean",
    1213: "NULL for a NOT NULL column",
    1220: "characters that VARCHAR cannot hold",
    1222: "out of the type's range",
    1224: "not a JSON object as COPY reads it",
}

_HEAD = """\
# COPY rules

How `COPY ... FORMAT JSON` treats each record, on Redshift and on DuckDB. Every line here is a test case that runs on
DuckDB and on a stand-in for Redshift, which was written from Redshift's documentation. `make docs` generates this page
from those cases.

The rules come from [COPY from JSON format](https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-json.html),
the codes from the [load error reference](https://docs.aws.amazon.com/redshift/latest/dg/r_Load_Error_Reference.html).
A rejected record goes to `load_errors` with its file, line, column, code and text. More rejects than `--max-errors`
fail the load, and then nothing is loaded. [A command](copy-check.md) applies the rules to any table and any files.
"""

_NOT_COVERED = """\
## Not covered

The project does not use these, and neither DuckDB's COPY nor the stand-in has them: `FORMAT JSON 'noshred'`
(SUPER columns), the types SUPER, DATE, TIME, TIMESTAMPTZ, CHAR and VARBYTE, TIMEFORMAT other than `epochsecs` and
`epochmillisecs` on DuckDB, BZIP2, LZOP and ZSTD, ENCRYPTED, MANIFEST, DATEFORMAT, ACCEPTINVCHARS, TRUNCATECOLUMNS,
EMPTYASNULL and BLANKSASNULL. JSONPaths of which some start with a key and some with an index are refused.
"""


def document() -> str:
    """Return the whole page."""
    sections = (
        _HEAD,
        _codes(),
        _values(),
        _records(),
        _paths(),
        _forms(),
        _assumptions(),
        _comparisons(),
        _differences(),
        _NOT_COVERED,
    )
    return "\n".join(sections)


def _codes() -> str:
    rows = [f"| {code} | {words} |" for code, words in CODES.items()]
    return "\n".join(["## Codes", "", "| code | the record is rejected because |", "|---|---|", *rows, ""])


def _values() -> str:
    return "\n".join(["## Values", "", *(line for kind in type_ids() for line in _type(*kind))])


def _type(kind: str, time_format: str | None) -> Iterator[str]:
    outcomes: dict[str, list[str]] = defaultdict(list)
    for case in CASES:
        if (case.kind, case.time_format) == (kind, time_format):
            outcomes[_outcome(case)].append(_written(case))
    yield from (f"### {kind}{f' TIMEFORMAT {time_format}' if time_format else ''}", "")
    yield from ("| written in JSON | loads as |", "|---|---|")
    yield from (f"| {', '.join(written)} | {outcome} |" for outcome, written in outcomes.items())
    yield ""


def _outcome(case: Case) -> str:
    if case.expected is None:
        return "NULL"
    if isinstance(case.expected, int):
        return f"rejected, {case.expected}"
    if case.expected == case.written:
        return "as written"
    return "the text in the quotes" if case.written == f'"{case.expected}"' else _code(case.expected)


def _written(case: Case) -> str:
    return "no such key" if case.written == MISSING else _code(case.written)


def _records() -> str:
    rows = [
        f"| {what} | {_code(json.dumps(text.decode('utf-8', 'backslashreplace'))[1:-1])} | "
        f"{', '.join(map(_code, loaded)) or 'nothing'} | "
        f"{', '.join(f'line {line}: {code}' for line, code in rejects) or 'nothing'} |"
        for what, (text, rejects, loaded) in BAD_RECORDS.items()
    ]
    head = (
        "## Records",
        "",
        "Texts in a file, for a table of one column, `k VARCHAR NOT NULL`. Escapes are this page's.",
        "",
    )
    return "\n".join([*head, "| what | text | loaded as `k` | rejected |", "|---|---|---|---|", *rows, ""])


def _paths() -> str:
    rows = [
        f"| {what} | {_code(path)} | {_code(record)} | {'NULL' if value is None else _code(value)} |"
        for what, (path, record, value) in PATHS.items()
    ]
    return "\n".join(["## JSONPaths", "", "| what | path | record | value |", "|---|---|---|---|", *rows, ""])


def _forms() -> str:
    rows = [
        f"| {what} | {_form(form)} | {_code(json.dumps(text.decode())[1:-1])} | "
        f"{', '.join(_code(str(row)) for row in loaded) or 'nothing'} | "
        f"{', '.join(f'line {line}: {code}' for line, _, code in rejects) or 'nothing'} |"
        for what, (form, text, loaded, rejects) in FORMS.items()
    ]
    head = (
        "## Names in any case, and arrays",
        "",
        "Texts in a file, for a table `k VARCHAR, n INTEGER`. Escapes are this page's.",
        "",
    )
    table = ("| what | `FORMAT JSON` | text | loaded | rejected |", "|---|---|---|---|---|")
    return "\n".join([*head, *table, *rows, ""])


def _form(form: Form) -> str:
    return _code(", ".join(form.paths) or ("'auto ignorecase'" if form.ignore_case else "'auto'"))


def _assumptions() -> str:
    head = (
        "## Assumptions",
        "",
        "Where the documentation is silent, the project rejects a record rather than guess.",
        "",
    )
    rows = [f"| {name} | {rule} |" for name, rule in ASSUMPTIONS.items()]
    return "\n".join([*head, "| about | rule |", "|---|---|", *rows, ""])


def _comparisons() -> str:
    rows = [
        f"| {what} | `{query.replace('|', chr(92) + '|')}` | {_code(str(found))} |"
        for what, (query, found) in QUERIES.items()
    ]
    head = (
        "## Trailing blanks in comparisons",
        "",
        "They are kept in the data, and [do not count where text is compared]"
        "(https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html"
        "#r_Character_types-significance-of-trailing-blanks).",
        "Of values that differ in them only, any may stand for all. DuckDB counts them in a query's own ORDER BY, in",
        "JOIN USING, and in EXCEPT and INTERSECT of `select *`: name the columns. The cases, on these rows:",
        "",
        "```sql",
        *(f"{statement};" for statement in SETUP),
        "```",
        "",
    )
    table = ("| what | query | result, sorted |", "|---|---|---|")
    return "\n".join([*head, *table, *rows, ""])


def _differences() -> str:
    head = ("## Where DuckDB and Redshift differ", "", "In what `load_errors` holds, or in what is rejected:", "")
    rows = [f"| {what} | {reason} | {', '.join(sorted(where))} |" for what, (reason, where) in KNOWN.items()]
    return "\n".join([*head, "| input | why | where it shows |", "|---|---|---|", *rows, ""])


def _code(text: str) -> str:
    """Return text as code in a table's cell, without the middle if it is long."""
    short = text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"
    visible = short.replace("\n", "\\n").replace("|", "\\|")
    return (
        f"`` {visible} ``"
        if "`" in visible
        else f"`{visible}`"
        if visible.strip() == visible and visible
        else f'`"{visible}"`'
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")

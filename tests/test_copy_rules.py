"""docs/copy-rules.md says what the tests say."""

from tests.support.copy_rules import CODES, DOCUMENT, document
from tests.warehouse.duckdb.test_copy import BAD_RECORDS, CASES


def test_the_page_is_what_make_docs_writes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"


def test_every_code_of_a_case_is_explained() -> None:
    codes = {case.expected for case in CASES if isinstance(case.expected, int)}
    codes |= {code for _, rejects, _ in BAD_RECORDS.values() for _, code in rejects}
    assert codes == set(CODES)

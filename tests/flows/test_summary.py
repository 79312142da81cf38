"""What a person sees of a run: in a terminal, in Prefect's UI, and when it failed."""

import re
from dataclasses import replace
from typing import Any

import pytest
from prefect import flow

from flows.summary import Places, Summary
from tasks.results import CheckResult, StageResult, TableResult
from tests.support.artifacts import artifacts_of, kinds, rows_of
from warehouse.errors import ChecksFailedError
from warehouse.ledger import Opening
from warehouse.target import Target

HOLDS = CheckResult("users_not_empty", "users has rows.", "error")
TARGET = Target("duckdb:///a_b.duckdb", "public", "test run")
SOURCE = StageResult(
    source="log_data", table="staging_events", is_news=True, new=2, changed=1, known=30, set_aside=4, gone=5,
    staged=1200, rejected=1, seconds=0.5, checks=[HOLDS],
)  # fmt: skip
TABLE = TableResult(table="users", inserted=3, updated=0, removed=1, present=98, seconds=0.25)
MARKUP = "<b>*x*</b> [red]"
WARNS = CheckResult("songplays_matched", "Most plays find a song.", "warn", 1, [{"percent": 0.5}])
FAILS = CheckResult("levels_known", "Every level is known.", "error", 3, [{"key": 1, "level": MARKUP}, {"key": 2}])


def summary(*checks: CheckResult) -> Summary:
    places = Places("The tables are in [here].", "Look at [these]: rejects")
    return Summary(TARGET, [SOURCE], [TABLE], list(checks), places, Opening(3, is_current=True))


@pytest.mark.usefixtures("prefect_server")
class TestArtifacts:
    def published(self, *checks: CheckResult) -> dict[str, list[dict[str, Any]]]:
        @flow
        def publish() -> None:
            summary(*checks).publish()

        artifacts = kinds(artifacts_of(publish(return_state=True)), TARGET)
        return {kind: rows_of(artifact) for kind, artifact in artifacts.items()}

    def test_each_source_and_each_table_has_a_row(self) -> None:
        found = self.published(HOLDS)
        assert set(found) == {"sparkify-sources", "sparkify-tables", "sparkify-checks"}
        assert found["sparkify-sources"] == [
            {"source": "log_data", "table": "staging_events", "new": 2, "changed": 1, "known": 30, "set_aside": 4,
             "gone": 5, "staged": 1200, "rejected": 1, "seconds": 0.5},
        ]  # fmt: skip
        assert found["sparkify-tables"] == [
            {"table": "users", "inserted": 3, "updated": 0, "removed": 1, "present": 98, "seconds": 0.25},
        ]

    def test_each_check_has_a_row_and_strings_from_the_data_are_escaped(self) -> None:
        checks = self.published(HOLDS, WARNS, FAILS)["sparkify-checks"]
        assert {row["check"]: row["result"] for row in checks} == {
            "users_not_empty": "holds", "songplays_matched": "warn", "levels_known": "error"
        }, "a check that does not hold is shown with its severity"  # fmt: skip
        assert [row["rows"] for row in checks] == [0, 1, 3]
        assert [row["rule"] for row in checks] == [HOLDS.rule, WARNS.rule, FAILS.rule]
        mark = "\ufeff"
        assert [row.get("sample") for row in checks] == [
            None, "percent=0.5", f"key=1, level=<{mark}b>*{mark}x*{mark}<{mark}/b> [red]{mark}; key=2",
        ], "strings of the data are escaped"  # fmt: skip


class TestTerminal:
    def test_each_table_has_a_line_and_the_checks_have_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        summary(HOLDS, WARNS, FAILS).show()
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        for line in (
            ["log_data", "2", "1", "30", "4", "5", "1,200", "1", "0.50"],
            ["users", "3", "0", "1", "98", "0.25"],
            ["1", "of", "3", "checks", "hold."],
        ):
            assert line in lines

    def test_a_narrow_terminal_cuts_nothing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("COLUMNS", "30")
        summary(HOLDS, HOLDS).show()
        out = capsys.readouterr().out
        assert "rejected   seconds" in out
        assert "All 2 checks hold.\n" in out

    def test_a_warning_is_described_and_strings_from_the_data_are_text(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rule = "Every level is known."
        summary(CheckResult("levels_known", rule, "warn", 3, [{"level": MARKUP}])).show()
        out = capsys.readouterr().out
        assert f"warn: levels_known, broken by 3 rows. {rule}\n  level={MARKUP}\n  ... and 2 more\n" in out
        assert "\nLook at [these]: rejects --batch 3\n" in out
        assert out.endswith("The tables are in [here].\n")

    def test_a_run_without_rejects_does_not_mention_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        replace(summary(HOLDS), sources=[replace(SOURCE, rejected=0)]).show()
        assert "[these]" not in capsys.readouterr().out

    def test_rejects_that_were_not_reported_are_unknown(self, capsys: pytest.CaptureFixture[str]) -> None:
        replace(summary(HOLDS), sources=[replace(SOURCE, rejected=None)]).show()
        assert re.search(r"1,200 +unknown +0\.50", capsys.readouterr().out)


class TestFailure:
    def test_checks_that_hold_or_warn_do_not_fail_the_run(self) -> None:
        summary(HOLDS, WARNS).raise_for_checks()

    def test_a_failed_check_is_named_with_its_rule_and_rows(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(ChecksFailedError) as raised:
            summary(HOLDS, WARNS, FAILS).raise_for_checks()
        assert str(raised.value) == (
            "checks failed: levels_known\n"
            "error: levels_known, broken by 3 rows. Every level is known.\n"
            f"  key=1, level={MARKUP}\n"
            "  key=2\n"
            "  ... and 1 more"
        )
        out = capsys.readouterr().out
        assert "1 of 3 checks hold." in out, "the summary is shown where the run fails too"
        assert "levels_known" not in out, "the failure's own message tells of it"

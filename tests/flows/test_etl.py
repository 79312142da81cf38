"""The flow as a person, a deployment and the UI see it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun, TaskRunResult
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL

from flows.etl import etl
from flows.history import history
from flows.rejects import rejects
from flows.summary import Summary
from sql import catalog
from tests.support.artifacts import artifacts_of, kinds, rows_of
from tests.support.deliveries import Deliveries
from tests.support.deployed import free_port
from tests.support.project import ROOT
from tests.support.warehouses import Place
from warehouse.errors import ChecksFailedError, CopyError, PermanentError


def run_flow(place: Place, data: Path, **parameters: Any) -> Any:
    return etl(
        place.put(data / "log_data"),
        place.put(data / "song_data"),
        warehouse=place.target.warehouse,
        schema=place.target.schema,
        aws_credentials=place.target.aws_credentials,
        return_state=True,
        **parameters,
    )


@pytest.fixture
def broken(tmp_path: Path, generated: Path) -> Path:
    """The generated data, and one line that is not JSON."""
    data = tmp_path / "broken"
    shutil.copytree(generated, data)
    (data / "log_data/bad.json").write_text('{"page": "Home", "ts": 1541030400000}\nnot json\n')
    return data


def waits_of(task_runs: list[TaskRun]) -> dict[str, set[str]]:
    """The edges of a run's graph: what each task run waits for, by name."""
    names = {task_run.id: task_run.name for task_run in task_runs}
    waits = {task_run.name: task_run.task_inputs.get("wait_for", []) for task_run in task_runs}
    return {
        name: {names[one.id] for one in some if isinstance(one, TaskRunResult)} for name, some in waits.items() if some
    }


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    def test_a_run_reports_its_results_in_its_summary_and_artifacts(self, place: Place, generated: Path) -> None:
        state = run_flow(place, generated, max_age_hours=1)

        summary = state.result()
        present = place.contents()
        assert {report.table: report.present for report in summary.tables} == {
            name: len(rows) for name, rows in present.items()
        }
        assert [report.check for report in summary.checks if not report.holds] == ["events_fresh"]
        audits = [audit for audits in catalog.AUDITS.values() for audit in audits]
        assert {report.check for report in summary.checks} >= {check.name for check in [*catalog.CHECKS, *audits]}
        artifacts = kinds(artifacts_of(state), place.target)
        assert set(artifacts) == {"sparkify-sources", "sparkify-tables", "sparkify-checks"}
        assert rows_of(artifacts["sparkify-tables"]) == [asdict(report) for report in summary.tables]
        assert [row["check"] for row in rows_of(artifacts["sparkify-checks"])] == [one.check for one in summary.checks]
        flow_run = str(state.state_details.flow_run_id)
        with get_client(sync_client=True) as client:
            task_runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
        recorded = place.contents("check_results")["check_results"]
        assert sorted(name for _, name, *_ in recorded) == sorted({report.check for report in summary.checks})
        assert all(run.endswith(f" {flow_run}") and began <= checked for *_, run, began, checked in recorded)
        # the number of task runs does not grow with that of files
        assert len(task_runs) == 10 + len(catalog.FACTS) + len(catalog.DIMENSIONS) < len([*generated.rglob("*.json")])
        assert waits_of(task_runs) == {
            "take lease": {"preflight"},
            "create tables": {"take lease"},
            "describe tables": {"create tables"},
            "open batch": {"create tables"},
            **{f"stage {table}": {"open batch"} for table in ("staging_events", "staging_songs")},
            "load songplays": {"stage staging_events", "stage staging_songs"},
            **{f"load {table.name}": {"load songplays"} for table in catalog.DIMENSIONS},
            "check": {f"load {name}" for name in present},
            "check events_fresh": {"open batch"},
            "release lease": {"take lease"},
        }

    def test_a_rejected_record_fails_the_run_unless_max_errors_allows_it(self, place: Place, broken: Path) -> None:
        """The failed run has released the lease, so the next one can start."""
        state = run_flow(place, broken)
        assert state.is_failed()
        with pytest.raises(CopyError, match=r"bad\.json, line 2: Not a JSON object"):
            state.result()

        summary = run_flow(place, broken, max_errors=1).result()
        assert [report.rejected for report in summary.sources if report.source == "log_data"] == [1]
        target = place.target
        tables = rejects(warehouse=target.warehouse, schema=target.schema, batch=summary.batch).tables
        (why,), (where,) = tables["rejects"], tables["rejected-files"]
        assert (why["load"], why["code"], why["message"]) == ("staging_events", 1224, "Not a JSON object")
        assert (why["count_records"], why["example_line"], why["example_record"]) == (1, 2, "not json")
        assert Path(why["example_file"]).name == Path(where["file"]).name == "bad.json"
        assert where["count_records"] == 1
        listing = rejects(warehouse=target.warehouse, schema=target.schema, batch=summary.batch + 1)
        assert not any(listing.tables.values())

    def test_a_run_without_news_ends_before_it_reads_the_star(
        self, deliveries: Deliveries, generated: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deliveries.copy(generated, [path for path in generated.rglob("*.json") if path.is_file()])
        deliveries.run()
        recorded = deliveries.place.contents("check_results")
        summary = run_flow(deliveries.place, deliveries.folder, max_age_hours=1).result()
        assert deliveries.place.contents("check_results") == recorded
        assert [(each.new, each.changed, each.staged) for each in summary.sources] == [(0, 0, 0)] * 2
        assert (summary.tables, [each.check for each in summary.checks]) == ([], ["events_fresh"])
        summary.show()
        said = r"Nothing is new since batch 1 \(\d+ \w{3} \d{4} \d\d:\d\d UTC\), and all tables are up to date\."
        assert re.search(said, capsys.readouterr().out)

    def test_a_full_refresh_reads_no_file(self, place: Place, generated: Path, tmp_path: Path) -> None:
        place.run(generated / "log_data", generated / "song_data")
        before = place.contents()
        target = place.target
        summary = etl(warehouse=target.warehouse, schema=target.schema, full_refresh=True)
        assert isinstance(summary, Summary)
        assert summary.sources == []
        assert {result.table: result.removed for result in summary.tables} == {
            name: len(rows) for name, rows in before.items()
        }
        assert place.contents() == before

    def test_a_broken_rule_fails_the_run_shows_the_rows_and_is_recorded(
        self, place: Place, tmp_path: Path, generated: Path
    ) -> None:
        data = tmp_path / "data"
        shutil.copytree(generated, data)
        for log in (data / "log_data").rglob("*.json"):
            log.write_text(log.read_text().replace('"level":"free"', '"level":"gold"'))
        state = run_flow(place, data)
        rule = r"levels_known, broken by [\d,]+ rows\. The level of every NextSong event .*\n  .*level=gold"
        with pytest.raises(ChecksFailedError, match=rule):
            state.result()
        recorded = place.contents("check_results")["check_results"]
        broken = {(name, severity) for _, name, severity, offending, *_ in recorded if offending}
        assert broken == {("levels_known", "error")}
        assert {name for _, name, *_ in recorded} > {check.name for check in catalog.AUDITS[catalog.STAGING_EVENTS]}

    def test_a_schema_that_was_never_loaded_has_no_rejects(self, tmp_path: Path) -> None:
        duckdb.connect(str(tmp_path / "empty.duckdb")).close()
        for command in (rejects, history):
            with pytest.raises(PermanentError, match=r"^schema main: has no table \w+ yet\. Load it first"):
                command(warehouse=f"duckdb:///{tmp_path}/empty.duckdb", schema="main")

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"warehouse": "postgresql://u:canary@h/db"}, "Save the connection as a SQLAlchemy Connector block"),
            ({"song_data": ""}, "song_data is missing"),
        ],
    )
    def test_invalid_parameters_are_refused(self, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(PermanentError, match=message) as caught:
            etl(**({"log_data": "logs", "song_data": "songs"} | parameters))
        assert "canary" not in str(caught.value)


def test_the_entrypoint_loads_and_describes_every_parameter() -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint("flows/etl.py:etl", use_placeholder_flow=False)
    properties = flow.parameters.properties
    assert set(properties) == {
        "log_data", "song_data", "log_jsonpaths", "warehouse", "schema", "aws_credentials", "copy_role", "manifests",
        "compression", "max_errors", "since", "until", "reload", "yes", "set_aside", "retry_set_aside",
        "dismiss_set_aside", "full_refresh", "max_age_hours", "statement_timeout", "plan",
    }  # fmt: skip
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@pytest.mark.usefixtures("processes")
class TestCommandLine:
    """Commands. They use the session's Prefect server if any server will do: one of their own takes ten seconds."""

    def start(self, *options: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.etl", *options],
            cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in background
            start_new_session=True,
        )  # fmt: skip

    def run(self, *options: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(*options, cwd=cwd, **environment) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def test_help_names_every_option_with_its_description(self, tmp_path: Path) -> None:
        printed = self.run("--help", cwd=tmp_path, COLUMNS="400")  # so that none is broken into lines
        assert printed.returncode == 0, printed.stderr
        text = " ".join(printed.stdout.replace("│", " ").split())
        for name, schema in etl.parameters.properties.items():
            option, description = f"--{name.replace('_', '-')}", " ".join(schema["description"].split())
            assert re.search(rf"{option}\b.{{0,60}}? {re.escape(description)}", text), f"{option}: {description}"

    @pytest.mark.usefixtures("prefect_server")
    def test_without_options_it_generates_a_sample_and_the_next_run_completes_an_interrupted_one(
        self, tmp_path: Path
    ) -> None:
        home = str(tmp_path / "prefect")
        with self.start(cwd=tmp_path, PREFECT_HOME=home) as process:
            assert process.stderr
            heard = up_to("take lease", process.stderr)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, so Prefect's temporary server gets it too
            heard += process.stderr.read()
        assert process.returncode == 130, heard
        assert "generating a sample in data/" in heard
        assert "interrupted" in heard.splitlines()[-1]
        assert heard.count("Stopping ...") == 1
        assert "Traceback" not in heard
        assert "API" not in heard

        again = self.run(cwd=tmp_path, PREFECT_API_URL=PREFECT_API_URL.value())
        assert again.returncode == 0, again.stderr
        assert "running on the sample in data/" in again.stderr
        assert "sparkify.duckdb" in again.stdout
        assert "Traceback" not in again.stderr

    def test_an_unreachable_prefect_server_is_named(self, tmp_path: Path) -> None:
        api = f"http://127.0.0.1:{free_port()}/api"
        failed = self.run(cwd=tmp_path, PREFECT_API_URL=api)
        assert failed.returncode == 1
        assert f"the Prefect server at {api} does not answer. Start it" in failed.stderr.splitlines()[-1]
        assert "Traceback" not in failed.stderr


def up_to(text: str, lines: Iterable[str]) -> str:
    """Read up to the first line that contains a text."""
    read = []
    for line in lines:
        read.append(line)
        if text in line:
            return "".join(read)
    raise AssertionError(f"no line holds {text!r}:\n{''.join(read)}")

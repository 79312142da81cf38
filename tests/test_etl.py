"""The flow as a person, a deployment and the UI meet it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.flows import load_flow_from_entrypoint

from flows.etl import etl
from sql import catalog
from tests.artifacts import artifacts_of, rows_of
from tests.deployed import free_port
from tests.warehouses import Place
from warehouse.errors import ChecksFailedError, CopyError, PermanentError

ROOT = Path(__file__).parents[1]


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


@pytest.mark.usefixtures("prefect_server")
class TestFlow:
    def test_summary_counts_every_table_and_check(self, place: Place, generated: Path) -> None:
        summary = run_flow(place, generated).result()
        present = place.contents(*(table.name for table in catalog.TABLES))
        assert {report.table: report.present for report in summary.tables} == {
            name: len(rows) for name, rows in present.items()
        }
        assert [report.check for report in summary.checks if not report.holds] == []
        assert {report.check for report in summary.checks} >= {check.name for check in catalog.CHECKS}

    def test_summary_becomes_artifacts_of_the_run(self, place: Place, generated: Path) -> None:
        state = run_flow(place, generated)
        summary, artifacts = state.result(), artifacts_of(state)
        assert set(artifacts) == {"sparkify-tables", "sparkify-checks"}
        assert rows_of(artifacts["sparkify-tables"]) == [asdict(report) for report in summary.tables]
        assert [row["check"] for row in rows_of(artifacts["sparkify-checks"])] == [one.check for one in summary.checks]

    def test_number_of_task_runs_does_not_grow_with_files(self, place: Place, generated: Path, real_data: Path) -> None:
        def count(data: Path) -> int:
            flow_run = FlowRunFilterId(any_=[run_flow(place, data).state_details.flow_run_id])
            with get_client(sync_client=True) as client:
                return len(client.read_task_runs(flow_run_filter=FlowRunFilter(id=flow_run), limit=200))

        assert 0 < count(generated) == count(real_data) < 200

    def test_rejected_rows_within_max_errors_are_counted_and_kept(self, place: Place, broken: Path) -> None:
        summary = run_flow(place, broken, max_errors=1).result()
        assert [report.rejected for report in summary.tables if report.table == "staging_events"] == [1]
        ((load, file, line, *_, raw, _),) = place.contents("load_errors")["load_errors"]
        assert (load, Path(file).name, line, raw) == ("staging_events", "bad.json", 2, "not json")

    def test_a_rejected_row_fails_the_run_and_says_where(self, place: Place, broken: Path) -> None:
        state = run_flow(place, broken)
        assert state.is_failed()
        with pytest.raises(CopyError, match=r"bad\.json, line 2: Not a JSON object"):
            state.result()

    def test_a_broken_rule_fails_the_run_and_shows_the_rows(
        self, place: Place, tmp_path: Path, generated: Path
    ) -> None:
        data = tmp_path / "data"
        shutil.copytree(generated, data)
        for log in (data / "log_data").rglob("*.json"):
            log.write_text(log.read_text().replace('"level":"free"', '"level":"gold"'))
        state = run_flow(place, data)
        rule = r"levels_known: broken by [\d,]+ rows: Every level is free or paid\.\n  .*level=gold"
        with pytest.raises(ChecksFailedError, match=rule):
            state.result()

    def test_the_lease_is_given_back_by_a_failed_run(self, place: Place, broken: Path, generated: Path) -> None:
        with pytest.raises(CopyError, match=r"bad\.json, line 2"):
            run_flow(place, broken).result()
        assert run_flow(place, generated).is_completed()

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"warehouse": "postgresql://u:canary@h/db"}, "save the connection as a SQLAlchemy Connector block"),
            ({"song_data": ""}, "song_data is missing"),
        ],
    )
    def test_bad_parameters_are_refused(self, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(PermanentError, match=message) as caught:
            etl(**({"log_data": "logs", "song_data": "songs"} | parameters))
        assert "canary" not in str(caught.value)


def test_the_entrypoint_loads_and_describes_every_parameter() -> None:
    flow = load_flow_from_entrypoint("flows/etl.py:etl", use_placeholder_flow=False)
    properties = flow.parameters.properties
    assert set(properties) == {
        "log_data", "song_data", "log_jsonpaths", "warehouse", "schema", "aws_credentials", "copy_role",
        "compression", "max_errors", "full_refresh", "statement_timeout", "plan",
    }  # fmt: skip
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of Prefect's for all commands: it takes ten seconds to set up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        yield


@pytest.mark.usefixtures("_home")
class TestCommandLine:
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows.etl", *arguments],
            cwd=cwd, env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def test_help_names_every_option_with_its_description(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "400")  # so that none is broken into lines
        shown = " ".join(self.run("--help", cwd=tmp_path).stdout.replace("│", " ").split())
        for name, schema in load_flow_from_entrypoint("flows/etl.py:etl").parameters.properties.items():
            option, description = f"--{name.replace('_', '-')}", " ".join(schema["description"].split())
            assert re.search(rf"{option}\b.{{0,60}}? {re.escape(description)}", shown), f"{option}: {description}"

    def test_with_no_options_it_generates_the_sample_once_and_loads_it(self, tmp_path: Path) -> None:
        first = self.run(cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        assert "generating a sample in data/" in first.stderr
        assert "sparkify.duckdb" in first.stdout
        assert "Traceback" not in first.stderr
        again = self.run(cwd=tmp_path)
        assert again.returncode == 0
        assert "running on the sample in data/" in again.stderr

    def test_a_failure_ends_in_a_message_and_exit_code_1(self, tmp_path: Path) -> None:
        failed = self.run("--log-data", "nowhere", "--song-data", "nowhere", cwd=tmp_path)
        assert failed.returncode == 1
        assert "nowhere: cannot be read: No such file or directory" in failed.stderr
        assert "Traceback" not in failed.stderr

    def test_a_prefect_server_that_does_not_answer_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = f"http://127.0.0.1:{free_port()}/api"
        monkeypatch.setenv("PREFECT_API_URL", api)
        failed = self.run(cwd=tmp_path)
        assert failed.returncode == 1
        assert f"the Prefect server at {api} does not answer: start it" in failed.stderr.splitlines()[-1]
        assert "Traceback" not in failed.stderr

    def test_an_unknown_option_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        refused = self.run("--no-such-option", cwd=tmp_path)
        assert refused.returncode == 2, refused.stderr
        assert "--no-such-option" in refused.stderr + refused.stdout
        assert list(tmp_path.iterdir()) == [], "nothing was started"

    def test_an_interrupted_run_says_so_and_the_next_one_completes(self, tmp_path: Path, generated: Path) -> None:
        data = ("--log-data", str(generated / "log_data"), "--song-data", str(generated / "song_data"))
        with subprocess.Popen(
            [sys.executable, "-m", "flows.etl", *data],
            cwd=tmp_path, env=self.environment(), stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in background
            start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stderr
            heard = next(line for line in process.stderr if "take lease" in line)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, so Prefect's temporary server gets it too
            heard += process.stderr.read()
        assert process.returncode == 130, heard
        assert "interrupted" in heard.splitlines()[-1]
        assert "Traceback" not in heard
        assert "API" not in heard
        assert self.run(*data, cwd=tmp_path).returncode == 0

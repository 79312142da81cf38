"""What takes minutes to see: a machine that dies, and `make serve` left by its parts."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sql import catalog
from tests.support import warehouses
from tests.support.deployed import SETTINGS, Json, answers, clone, free_port, kill, running, served, server, wait_for

pytestmark = pytest.mark.usefixtures("processes")


@pytest.mark.sweep
def test_a_run_on_a_dead_machine_is_marked_crashed_and_the_next_completes_the_tables(tmp_path: Path) -> None:
    with clone(tmp_path, **SETTINGS) as project, server(project):
        project.deploy(**SETTINGS)

        def under_way() -> list[Json]:
            names = {"name": {"any_": ["load songplays"]}, "state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}
            found: list[Json] = project.ask("task_runs/filter", task_runs=names)
            return found

        def in_state(name: str) -> list[Json]:
            found: list[Json] = project.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": [name]}}})
            return found

        with running(project, "deployments.worker") as worker:
            run = project.start_run("local")
            wait_for(under_way, 120)
            kill(worker)
        assert [each["id"] for each in in_state("RUNNING")] == [run["id"]]
        (run,) = wait_for(lambda: in_state("CRASHED"), 240)
        assert "no heartbeat for 90 s" in run["state"]["message"]

        with running(project, "deployments.worker"):
            command, run = project.run("local")
        assert command.returncode == 0, command.stdout
    contents = warehouses.duckdb_place(tmp_path / "sparkify.duckdb", "public").contents()
    assert all(contents[table.name] for table in (*catalog.FACTS, *catalog.DIMENSIONS))


@pytest.mark.sweep
def test_a_run_whose_worker_died_before_it_began_is_marked_crashed_and_the_next_goes_on(tmp_path: Path) -> None:
    with clone(tmp_path, **SETTINGS) as project, server(project):
        project.deploy(**SETTINGS)
        with running(project, "deployments.worker") as worker:
            wait_for(lambda: "started" in project.log("deployments.worker").read_text())
            run = project.start_run("local")
            wait_for(lambda: project.state(run)["type"] == "PENDING", 120)
            kill(worker)
        state = project.end_of(run, 90)
        assert state["type"] == "CRASHED"
        assert "not begun 60 s after a worker took it" in state["message"]
        with running(project, "deployments.worker"):
            again = project.start_run("local")
            assert project.end_of(again, 120)["type"] == "COMPLETED"


@pytest.mark.sweep
def test_a_run_whose_folder_is_missing_names_it(tmp_path: Path) -> None:
    with clone(tmp_path) as project, server(project), running(project, "deployments.worker"):
        missing = {"PWD": str(tmp_path / "elsewhere")}
        wait_for(lambda: "started" in project.log("deployments.worker").read_text())
        assert project.command("prefect", "--no-prompt", "deploy", "--name", "local", **missing).returncode == 0
        state = project.end_of(project.start_run("local"), 60)
        assert f"{tmp_path}/elsewhere is not on this machine" in state["message"]


@pytest.mark.sweep
@pytest.mark.parametrize("moment", ["being submitted", "loading"])
def test_a_worker_of_the_image_ends_its_runs_before_itself(tmp_path: Path, moment: str) -> None:
    port = str(free_port())
    with clone(tmp_path, PREFECT_WORKER_WEBSERVER_PORT=port) as project, server(project):
        assert project.command("prefect", "work-pool", "create", "sparkify", "--type", "process").returncode == 0
        assert project.command("prefect", "--no-prompt", "deploy", "--name", "local").returncode == 0
        with running(project, "deployments.worker", "--healthcheck") as worker:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"))
            run = project.start_run("local")
            wait_for(
                lambda: (
                    project.state(run)["type"] == "PENDING"
                    if moment == "being submitted"
                    else project.tasks(run, "create tables")
                ),
                180,
            )
            worker.terminate()
            assert worker.wait(120) == 0
        assert project.state(run)["type"] == "CRASHED"
        assert [task["state_type"] for task in project.tasks(run, "release lease")] == ["COMPLETED"] * (
            moment == "loading"
        )


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "script"])
def _interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Interrupts as a terminal has them, and ignored, as they are by what a script starts in the background."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.sweep
@pytest.mark.usefixtures("_interrupts")
def test_serve_stops_all_that_it_started(tmp_path: Path) -> None:
    with clone(tmp_path) as project, served(project) as process:
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(60) == 0
        assert_ended(started)


@pytest.mark.sweep
@pytest.mark.parametrize("part", ["server", "worker"])
def test_serve_says_which_part_stopped_and_stops_the_other(tmp_path: Path, part: str) -> None:
    with clone(tmp_path) as project, served(project) as process:
        started = psutil.Process(process.pid).children(recursive=True)
        kill(next(child for child in started if part in " ".join(child.cmdline())))
        assert process.wait(60) == 1
        assert f"the {part} has ended" in project.log("deployments.serve").read_text()
        assert_ended(started)


def assert_ended(processes: list[psutil.Process]) -> None:
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []

"""Shared fixtures: a Prefect server, generated data, real data, and warehouses."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

os.environ["SPARKIFY_RETRY_BACKOFF_SECONDS"] = "0"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

from flows.command_line import leave
from flows.generate import generate
from warehouse import heartbeat

if TYPE_CHECKING:
    from tests.standin import Standin
    from tests.support.browser import Page
    from tests.support.deliveries import Deliveries
    from tests.support.warehouses import Place

pytest_plugins = ["tests.support.served"]
EXIT_STATUS = pytest.StashKey[int]()
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores: tests wait for servers and for the package index."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests an hour."""
    for item in items:
        if item.get_closest_marker("sweep"):
            item.add_marker(pytest.mark.timeout(3600))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[EXIT_STATUS] = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    leave(config.stash.get(EXIT_STATUS, 4), lambda: None)


@pytest.fixture(scope="session", autouse=True)
def _stay() -> Iterator[None]:
    """Fail a test if the code under test ends this process, as a command does. It would look like success."""
    session, leave = os.getpid(), os._exit

    def refuse(code: int) -> None:
        assert os.getpid() != session, f"a test would end the session with exit code {code}: run it as a process"
        leave(code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", refuse)
        yield


@pytest.fixture(autouse=True)
def _heartbeats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep heartbeats out of what tests count, unless a test makes them faster, and let them end with it."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 3600)
    yield
    for target in list(heartbeat._BEATING):
        heartbeat.end(target)


@pytest.fixture(scope="session")
def prefect_server(processes: None) -> Iterator[None]:
    """A Prefect server on a database of its own, for the whole session, without the services that poll it."""
    from prefect import settings
    from prefect.testing.utilities import prefect_test_harness

    logging.getLogger("prefect").setLevel(logging.WARNING)
    names = "SCHEDULER LATE_RUNS PAUSE_EXPIRATIONS CANCELLATION_CLEANUP FOREMAN TRIGGERS REPOSSESSOR"
    off = {getattr(settings, f"PREFECT_SERVER_SERVICES_{name}_ENABLED"): False for name in names.split()}
    with settings.temporary_settings(off), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated data set: log_data and song_data."""
    out = tmp_path_factory.mktemp("generated")
    generate(days=7, users=30, songs=60, seed=7, out=out)
    return out


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real Sparkify data, if this machine has it."""
    if not REAL_DATA.is_dir():
        pytest.skip("the real Sparkify data is not beside the project (../shared/data)")
    return REAL_DATA


@pytest.fixture(scope="module")
def browser(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    """A page in headless Chromium, if this machine has it."""
    from tests.support.browser import CHROMIUM, MISSING, open_browser

    if not CHROMIUM:
        pytest.skip(MISSING)
    profile = tmp_path_factory.mktemp("chromium")
    with open_browser(profile) as page:
        yield page
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="session")
def running_standin(processes: None) -> Iterator["Standin"]:
    """A stand-in for Redshift and S3, for the whole session."""
    from tests.standin import run_standin

    with run_standin() as standin:
        yield standin


@pytest.fixture
def standin(running_standin: "Standin") -> "Standin":
    """An empty stand-in for Redshift and S3."""
    running_standin.reset()
    return running_standin


@pytest.fixture(params=["duckdb", pytest.param("redshift", marks=pytest.mark.served)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Place":
    """Each kind of warehouse, empty."""
    from tests.support.warehouses import duckdb_place, redshift_place

    if request.param == "duckdb":
        return duckdb_place(tmp_path / "test.duckdb")
    return redshift_place(request.getfixturevalue("standin"), monkeypatch)


@pytest.fixture
def deliveries(place: "Place", tmp_path: Path, request: pytest.FixtureRequest) -> "Deliveries":
    """Each kind of warehouse, empty, and an empty folder that it loads from."""
    from tests.support.deliveries import growing

    standin = None if place.target.duckdb_file else request.getfixturevalue("standin")
    return growing(place, tmp_path / "source", standin)

"""Which tests need a server or another process: those with a fixture that says so. No other test may start one."""

import sys
from collections.abc import Generator
from typing import Any

import pytest

_STARTS = {
    "subprocess.Popen": "starts a process",
    "os.fork": "starts a process",
    "os.posix_spawn": "starts a process",
    "socket.bind": "starts a server",
}
_alone: list[str] = [""]
"""The test under way that may start nothing; empty where it may."""


@pytest.fixture(scope="session")
def processes() -> None:
    """Leave to start processes and servers: who uses it, even by another fixture, is left out of `make check`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that may, so that `-m` can leave them out."""
    for item in items:
        if isinstance(item, pytest.Function) and "processes" in item.fixturenames:
            item.add_marker(pytest.mark.served)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    _alone.append("" if item.get_closest_marker("served") else item.nodeid)
    try:
        return (yield)
    finally:
        _alone.pop()


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    """Look at all that Python tells its audit hooks: whatever starts something in this process passes here."""
    if event in _STARTS and _alone[-1]:
        raise RuntimeError(
            f"{_alone[-1]} {_STARTS[event]}: let it, or the fixture that does, use the fixture `processes`, "
            "so that `make check` leaves it out"
        )


sys.addaudithook(_refuse)

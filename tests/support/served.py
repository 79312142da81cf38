"""Marks tests that need a server or another process, by their fixtures. No other test may start one."""

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
"""The running test, if it may not start anything; otherwise empty."""


@pytest.fixture(scope="session")
def processes() -> None:
    """Permission to start processes and servers. `make check` leaves out tests that use it, even indirectly."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that may start something, so that `-m` can leave them out."""
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
    """Check every audit event of Python: whatever starts something in this process raises one."""
    if event in _STARTS and _alone[-1]:
        raise RuntimeError(
            f"{_alone[-1]} {_STARTS[event]}: let it, or the fixture that does, use the fixture `processes`, "
            "so that `make check` leaves it out"
        )


sys.addaudithook(_refuse)

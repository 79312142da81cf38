"""What `make check` leaves out follows from the fixtures that tests use, so that it cannot be forgotten."""

import pytest

pytest_plugins = ["pytester"]

FOUR = """
import subprocess, sys
import pytest

@pytest.fixture
def server(processes):
    pass

def test_that_starts_nothing(): pass

def test_with_a_server(server): pass

@pytest.mark.usefixtures("processes")
def test_with_a_command(): subprocess.run([sys.executable, "-c", ""], check=True)

def test_that_forgot(): subprocess.run([sys.executable, "-c", ""], check=True)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    """Four tests in a project with the same rules as this one."""
    markers = "\n".join(f"    {line}" for line in request.config.getini("markers"))
    pytester.makeini(f"[pytest]\nmarkers =\n{markers}\n")
    pytester.makeconftest('pytest_plugins = ["tests.support.served"]')
    pytester.makepyfile(FOUR)
    return pytester


def test_tests_that_use_a_server_or_a_command_are_deselected(suite: pytest.Pytester) -> None:
    done = suite.runpytest_inprocess("--collect-only", "-q", "-m", "not served")
    assert [line.partition("::")[2] for line in done.outlines if "::" in line] == [
        "test_that_starts_nothing",
        "test_that_forgot",
    ]


def test_a_test_that_starts_something_and_does_not_say_so_fails(suite: pytest.Pytester) -> None:
    done = suite.runpytest_inprocess()
    done.assert_outcomes(passed=3, failed=1)
    assert "test_that_forgot starts a process: let it, or the fixture that does, use the fixture `processes`" in (
        " ".join(done.outlines)
    )

"""Make one mistake at a time in sql/, warehouse/, tasks/ and flows/, and see whether a test notices it.

Run it with `make mutants`, or `make mutants N=400 SEED=1`. Each mistake is made in a copy of the project, in which the
tests that read its line run, the quickest first, until one fails. No library does so: mutmut leaves functions with
decorators and what is outside of functions alone, cosmic-ray runs all tests for each mistake, and neither knows SQL.
"""

import atexit
import gc
import hashlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import psutil
import pytest
from _pytest.main import pytest_runtestloop as run_tests

from tests.long.mistakes import Mistake, files_in, mistakes_in
from tests.support.project import ROOT

CACHE = ROOT / ".mutants_cache"
EQUIVALENT = "tests/long/equivalent_mutants.txt"
FOLDERS = ("sql", "warehouse", "tasks", "flows")
TESTS = ROOT / "tests"
LEFT_OUT = {
    "deployments", "long", "standin", "test_install.py", "test_notebook.py", "test_readme.py", "warehouse/test_crash.py"
}  # fmt: skip
"""Tests that deploy on servers or repeat what others run, and those of the stand-in itself."""

READ_AT_IMPORT = {
    "sql/audits": ("tasks/check.py",),
    "sql/checks": ("tasks/check.py",),
    "sql/overview": ("flows/history.py", "flows/rejects.py", "flows/undo.py"),
}
"""Folders of SQL that is read once a process, and the files that run it: their tests are those of the SQL."""

WARM = (
    "duckdb prefect.testing.utilities prefect_aws prefect_sqlalchemy sqlglot.dialects.redshift redshift_connector "
    "sqlalchemy_redshift boto3 moto.server cyclopts jinja2 coverage hypothesis.strategies"
)
"""What is imported once for all processes that run tests: it takes ten seconds."""

OPTIONS = ("-p", "no:cacheprovider", "-W", "ignore:Module already imported")

SETUP_SECONDS = {"prefect_server": 1, "redshift": 4, "standin": 4, "running_standin": 4, "browser": 6}
"""What fixtures of a session take, as a part of a test's price."""

FIRST = 10  # so many tests run first, as most mistakes are noticed by them, then the others
BUDGET_SECONDS = 150  # the tests of one mistake may take so long; those beyond it are left out, and counted


class Test(NamedTuple):
    """A test, and about how many seconds it takes."""

    name: str
    price: float

    @property
    def file(self) -> str:
        return self.name.partition("::")[0]


class Result(NamedTuple):
    """Which test noticed a mistake, if any did, and how many ran or were left out."""

    mistake: Mistake
    noticed_by: str
    ran: int
    left_out: int


def in_child(temporary: Path, seconds: float, work: Callable[[], int]) -> int:
    """Do work in a child process with a folder for its files; return its exit code, or -1 where it took too long."""
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o755)
    child = os.fork()
    if not child:
        try:
            os.setsid()
            atexit._clear()  # what the parent would undo at its end, such as Prefect's server
            os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
            os._exit(work())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(70)
    try:
        return _wait(child, time.monotonic() + seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _wait(child: int, deadline: float) -> int:
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    for process in [*psutil.Process(child).children(recursive=True), psutil.Process(child)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os.waitpid(child, 0)
    return -1


class Copy:
    """A copy of the project, in which tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "main"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.root / name)
        (folder / "shared").symlink_to(ROOT.parent / "shared")
        (self.root / ".venv").symlink_to(ROOT / ".venv")

    def pytest(self, tests: Iterable[str], plugin: object, seconds: float, *options: str) -> int:
        """Run pytest on files or tests in a process of its own, and return its exit code."""
        arguments = ["-p", "no:cacheprovider", "-W", "ignore:Module already imported", *options, *tests]
        return in_child(self.folder / "t", seconds, lambda: self._become_tests(arguments, plugin))

    def _become_tests(self, arguments: list[str], plugin: object) -> int:
        os.chdir(self.root)
        output = os.open(self.folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.environ |= {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True  # a mistake of the same length and second would not be seen
        sys.path[:] = [str(self.root), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        return int(pytest.main(arguments, plugins=[plugin]))

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    @contextmanager
    def mistaken(self, mistake: Mistake | None) -> Iterator[None]:
        """Make a mistake in the block, or none."""
        if not mistake:
            yield
            return
        path = self.root / mistake.path
        text = path.read_text(encoding="utf-8")
        path.write_text(mistake.made_in(text), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(text, encoding="utf-8")


class Failures:
    """Writes down which tests failed."""

    def __init__(self, copy: Copy) -> None:
        self.path = copy.folder / "failed"
        self.path.write_text("")

    def names(self) -> list[str]:
        return self.path.read_text().splitlines()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self.path.open("a") as file:
                file.write(f"{report.nodeid}\n")


class Chosen(Failures):
    """Runs chosen tests, in a given order."""

    def __init__(self, copy: Copy, tests: list[Test]) -> None:
        super().__init__(copy)
        self.places = {test.name: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.places), key=lambda i: self.places[i.nodeid])


class Quick(Failures):
    """Makes mistakes in forks of a process that has collected all tests: in functions, and in files of SQL."""

    def __init__(
        self, copy: Copy, covering: "Covering", mistakes: list[Mistake], report: Callable[[Result], None]
    ) -> None:
        super().__init__(copy)
        self.copy, self.covering, self.mistakes, self.report = copy, covering, mistakes, report

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.functions: dict[tuple[str, str], list[FunctionType]] = defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(str(self.copy.root)):
                self.functions[each.__code__.co_filename, each.__code__.co_qualname].append(each)
        gc.freeze()
        for mistake in self.mistakes:
            self.report(notice(self.covering, mistake, partial(self._try, session)))
        return True

    def _try(self, session: pytest.Session, mistake: Mistake | None, tests: list[Test]) -> str:
        self.path.write_text("")
        with self.copy.mistaken(mistake):
            code = in_child(self.copy.folder / "u", _patience(tests), lambda: self._run(session, mistake, tests))
        return _noticed(self.names(), code)

    def _run(self, session: pytest.Session, mistake: Mistake | None, tests: list[Test]) -> int:
        name, code = code_with(mistake, self.copy.root) if mistake else ("", None)
        if mistake and code:
            for function in self.functions[str(self.copy.root / mistake.path), name]:
                function.__code__ = code
        Recorder.forget_files()
        session.items[:] = [self.items[test.name] for test in tests if test.name in self.items]
        with suppress(session.Failed, session.Interrupted):
            run_tests(session)
        session._setupstate.teardown_exact(None)
        return 0


def is_quick(mistake: Mistake) -> bool:
    """Whether it takes no new import to make a mistake."""
    if mistake.path.endswith(".sql"):
        return os.path.dirname(mistake.path) not in READ_AT_IMPORT
    return bool(code_with(mistake, ROOT)[0])


def code_with(mistake: Mistake, root: Path) -> tuple[str, CodeType | None]:
    """Return the name and the new code of the function that holds a mistake; nothing where none does."""
    if mistake.used_as or mistake.path.endswith(".sql"):
        return "", None
    path = root / mistake.path
    right = (ROOT / mistake.path).read_text(encoding="utf-8")
    codes = [
        {code.co_qualname: code for code in _functions(compile(text, str(path), "exec"))}
        for text in (right, mistake.made_in(right))
    ]
    for name, code in codes[0].items():
        if mistake.line in {line for *_, line in code.co_lines()} and name in codes[1] and "<" not in name:
            same = code.co_freevars == codes[1][name].co_freevars
            return (name, codes[1][name]) if same else ("", None)
    return "", None


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Yield the outermost functions in a module's code, those of its classes included."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from [inner] if inner.co_flags & inspect.CO_OPTIMIZED else _functions(inner)


class Recorder:
    """Writes down which lines of the project each test of a file reads, its data files included."""

    def __init__(self, copy: Copy, cache: Path, digest: str) -> None:
        self.root, self.cache, self.digest = str(copy.root) + "/", cache, digest
        self.tests: dict[str, float] = {}
        self.opened: dict[str, set[str]] = defaultdict(set)
        self.failed: set[str] = set()
        self.test = ""
        self.settings = copy.root / ".coveragerc"
        self.settings.write_text(
            f"[run]\ninclude = {', '.join(f'{self.root}{folder}/*' for folder in (*FOLDERS, 'tests'))}\n"
            f"data_file = {copy.folder}/t/coverage\nparallel = true\npatch = _exit\n"
            f"omit = {self.root}tests/standin/*\n"
            "context = ${PYTEST_CURRENT_TEST-}\n"
            "disable_warnings = no-data-collected, couldnt-parse, module-not-measured\n"
        )

    def pytest_sessionstart(self) -> None:
        from coverage import Coverage

        os.environ["COVERAGE_PROCESS_START"] = str(self.settings)  # for processes that tests start
        self.coverage = Coverage(config_file=str(self.settings))
        self.coverage.start()
        sys.addaudithook(self._note_file)

    def _note_file(self, event: str, arguments: Any) -> None:
        if event == "open" and str(arguments[0]).startswith(self.root) and self.test:
            self.opened[self.test].add(str(arguments[0]).removeprefix(self.root))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.forget_files()
        self.test = item.nodeid
        self.coverage.switch_context(item.nodeid)
        fixtures = getattr(item, "fixturenames", ())
        self.tests[item.nodeid] = sum(
            seconds for name, seconds in SETUP_SECONDS.items() if name in fixtures or f"[{name}" in item.nodeid
        )
        started = time.process_time()
        try:
            return (yield)
        finally:
            self.tests[item.nodeid] += time.process_time() - started

    @staticmethod
    def forget_files() -> None:
        """Have each test read the files of SQL that it needs, which are otherwise read once a process."""
        if catalog := sys.modules.get("sql.catalog"):
            for line in (*catalog.TABLES, *catalog.QUESTIONS):
                for name in [
                    name for name in vars(line) if isinstance(getattr(type(line), name, None), cached_property)
                ]:
                    del vars(line)[name]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()
        self.coverage.combine(keep=True)
        lines: dict[str, set[str]] = defaultdict(set)
        data = self.coverage.get_data()
        for path in data.measured_files():
            text = Path(path).read_text(encoding="utf-8").splitlines()
            for number, contexts in data.contexts_by_lineno(path).items():
                if 0 < number <= len(text):
                    place = place_of(path.removeprefix(self.root), text[number - 1])
                    lines[place] |= {re.sub(r" \(\w+\)$", "", c.rpartition("|")[2]) for c in contexts}
        for test, paths in self.opened.items():
            for path in paths:
                lines[path].add(test)
        for name in self.failed:
            del self.tests[name]
        known = {place: sorted(names & set(self.tests)) for place, names in lines.items()}
        self.cache.write_text(json.dumps({"digest": self.digest, "tests": self.tests, "lines": known}))


def place_of(path: str, line: str) -> str:
    """Return what a line is known by, wherever it moves in its file."""
    return f"{path}:{line.strip()}"


class Covering:
    """Which tests read which lines."""

    def __init__(self, copy: Copy, say: Callable[[str], None]) -> None:
        self.copy, self.say = copy, say
        self.noticing: Counter[tuple[str, str]] = Counter()
        self.sound: set[str] = set()
        self.tests: dict[str, Test] = {}
        self.lines: dict[str, set[str]] = defaultdict(set)

    def load(self) -> None:
        """Record the tests of files that have changed since they were recorded, and load what is recorded."""
        CACHE.mkdir(exist_ok=True)
        for path in sorted(TESTS.rglob("test_*.py")):
            name = str(path.relative_to(TESTS))
            if not LEFT_OUT & {name, name.partition("/")[0]}:
                recorded = self._recorded(name)
                self.tests |= {name: Test(name, price) for name, price in recorded["tests"].items()}
                for place, names in recorded["lines"].items():
                    self.lines[place] |= set(names)

    def _recorded(self, name: str) -> Any:
        digest = hashlib.sha256((TESTS / name).read_bytes()).hexdigest()
        cache = CACHE / name.replace("/", "-").replace(".py", ".json")
        if not cache.exists() or json.loads(cache.read_text())["digest"] != digest:
            started = time.monotonic()
            cache.unlink(missing_ok=True)
            recorder = Recorder(self.copy, cache, digest)
            code = self.copy.pytest([f"tests/{name}"], recorder, 1200)
            if not cache.exists():
                sys.exit(f"{name} cannot be recorded:\n{self.copy.output()[-3000:]}")
            failed = ", without those that fail" if code else ""
            print(f"recorded {name}{failed} in {time.monotonic() - started:.0f} s", flush=True)
        return json.loads(cache.read_text())

    def of(self, mistake: Mistake) -> list[Test]:
        """Return the tests that read a mistake's lines.

        Those that noticed one in its file come first, then the quickest: the n-th of a file of tests as if it took n
        times as long, since tests of one file are alike and there may be no time for all.
        """
        lines = (ROOT / mistake.path).read_text(encoding="utf-8").splitlines()
        names = set(self.lines[mistake.path])
        for number in mistake.lines:
            names |= self.lines[place_of(mistake.path, lines[number - 1])]
        users = tuple(f"{path}:" for path in READ_AT_IMPORT.get(os.path.dirname(mistake.path), ()))
        names |= {name for place, tests in self.lines.items() if place.startswith(users) for name in tests}
        for word in mistake.used_as:  # what stands outside of functions is read once, so look for those that use it
            for place in list(self.lines):
                if re.search(rf"\b{word}\b", place.partition(":")[2]):
                    names |= self.lines[place]
        tests = sorted((self.tests[name] for name in names if name in self.tests), key=lambda test: test.price)
        seen: Counter[str] = Counter()
        ranked = []
        for test in tests:
            seen[test.file] += 1
            ranked.append((-self.noticing[mistake.path, test.name], test.price * seen[test.file], test))
        return [test for *_, test in sorted(ranked)]

    def is_sound(self, name: str, attempt: "Attempt") -> bool:
        """Whether a test passes without a mistake. One that fails would notice each, so it is left out from then on."""
        if name in self.sound:
            return True
        if attempt(None, [self.tests[name]]):
            self.say(f"fails without a mistake: {name}")
            del self.tests[name]
            return False
        self.sound.add(name)
        return True


Attempt = Callable[[Mistake | None, list[Test]], str]
"""Runs tests with a mistake or without, and returns what noticed it, if anything did."""


def notice(covering: Covering, mistake: Mistake, attempt: Attempt) -> Result:
    """Run a mistake's tests until one notices it: some quick ones first, then all that there is time for."""
    tests, budget, ran = covering.of(mistake), float(BUDGET_SECONDS), 0
    while tests[ran:] and budget > 0:
        batch = _affordable(tests[ran:], budget, FIRST if not ran else len(tests))
        noticed = attempt(mistake, batch)
        if noticed in covering.tests and not covering.is_sound(noticed, attempt):
            tests = [test for test in tests if test.name != noticed]
            continue
        ran += len(batch)
        budget -= sum(test.price for test in batch)
        if noticed:
            covering.noticing[mistake.path, noticed] += 1
            return Result(mistake, noticed, ran, 0)
    return Result(mistake, "", ran, len(tests) - ran)


def _affordable(tests: list[Test], budget: float, most: int) -> list[Test]:
    batch: list[Test] = []
    for test in tests[:most]:
        budget -= test.price
        if budget < 0 and batch:
            break
        batch.append(test)
    return batch


def run(copy: Copy, tests: list[Test], *options: str) -> tuple[list[str], int]:
    """Run tests in their order; return those that failed, and pytest's exit code."""
    chosen = Chosen(copy, tests)
    code = copy.pytest(sorted({test.file for test in tests}), chosen, _patience(tests), *options)
    return chosen.names(), code


def _patience(tests: list[Test]) -> float:
    """Return after how many seconds tests hang."""
    return 120 + 10 * sum(test.price for test in tests)


def _noticed(failed: list[str], code: int) -> str:
    return failed[0] if failed else {0: "", 5: "", -1: "a hang"}.get(code, f"exit code {code}")


@contextmanager
def warm() -> Iterator[Copy]:
    """A copy of the project, all imports done, and one Prefect server for all."""
    os.environ["SPARKIFY_RETRY_BACKOFF_SECONDS"] = "0"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    for module in WARM.split():
        import_module(module)
    import prefect.testing.utilities as prefect_testing

    with tempfile.TemporaryDirectory(prefix="mut-") as folder, prefect_testing.prefect_test_harness(120):
        os.chmod(folder, 0o755)
        prefect_testing.prefect_test_harness = _already_running
        yield Copy(Path(folder))


@contextmanager
def _already_running(server_startup_timeout: int | None = None) -> Iterator[None]:
    yield


def draw(number: int, seed: str, only: str) -> list[Mistake]:
    """Return so many mistakes, spread over the folders by their lines. One seed draws the same ones as code changes."""
    lines = {folder: sum(len(path.read_text().splitlines()) for path in files_in(ROOT, folder)) for folder in FOLDERS}
    drawn: list[Mistake] = []
    for folder in FOLDERS:
        possible = [mistake for mistake in mistakes_in(ROOT, folder) if re.search(only, mistake.path)]
        possible.sort(key=lambda mistake: hashlib.sha256(f"{seed} {mistake.name}".encode()).digest())
        share = round(number * lines[folder] / sum(lines.values()))
        drawn += islice(filter(_can_be_read, possible), share)
    return drawn


def _can_be_read(mistake: Mistake) -> bool:
    if mistake.path.endswith(".py"):
        try:
            compile(mistake.made_in((ROOT / mistake.path).read_text(encoding="utf-8")), mistake.path, "exec")
        except SyntaxError:
            return False
    return True


def listed_equivalents() -> set[str]:
    """Return the names of the mistakes that change nothing anybody could see; in the file each has its reason."""
    return {line for line in (ROOT / EQUIVALENT).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"}


def tell(results: list[Result], equivalent: set[str]) -> None:
    """Print the mistakes that no test noticed, and the shares."""
    print(f"{'':10} {'mistakes':>8} {'noticed':>8} {'equivalent':>10} {'missed':>8}   share")
    for folder in (*FOLDERS, ""):
        mine = [result for result in results if result.mistake.path.startswith(folder)]
        noticed = sum(bool(result.noticed_by) for result in mine)
        same = sum(not result.noticed_by and result.mistake.name in equivalent for result in mine)
        share = f"{noticed / (len(mine) - same):.1%}" if len(mine) > same else "-"
        print(f"{folder or 'all':10} {len(mine):8} {noticed:8} {same:10} {len(mine) - noticed - same:8}   {share:>6}")
    for result in results:
        if result.noticed_by and result.mistake.name in equivalent:
            print(f"listed as equivalent, but noticed by {result.noticed_by}: {result.mistake}")
    for name in sorted(equivalent - {mistake.name for folder in FOLDERS for mistake in mistakes_in(ROOT, folder)}):
        print(f"listed as equivalent, but no longer there: {name}")


class Log:
    """The results, reported as they come and kept in a file for the parent of the process that has them."""

    def __init__(self, path: Path, equivalent: set[str]) -> None:
        self.path, self.equivalent = path, equivalent
        self.screen = os.fdopen(os.dup(1), "w")

    def tell(self, result: Result) -> None:
        """Keep a result; print the mistake where no test noticed it."""
        with self.path.open("a") as file:
            file.write(json.dumps([result.mistake.name, *result[1:]]) + "\n")
        if not result.noticed_by and result.mistake.name not in self.equivalent:
            left = f", {result.left_out} left out" if result.left_out else ""
            self.say(f"{result.mistake}\n    noticed by none of {result.ran} tests{left}")

    def say(self, text: str) -> None:
        """Print a text on the screen, also in a process whose output goes to a file."""
        print(text, file=self.screen, flush=True)

    def results(self, mistakes: list[Mistake]) -> list[Result]:
        named = {mistake.name: mistake for mistake in mistakes}
        return [Result(named[name], *rest) for name, *rest in map(json.loads, self.path.read_text().splitlines())]


def main() -> None:
    """Draw mistakes, make each, and tell which ones no test notices."""
    number, seed, only = int(os.environ.get("N") or 100), os.environ.get("SEED") or "1", os.environ.get("ONLY", "")
    drawn, equivalent = draw(number, seed, only), listed_equivalents()
    with warm() as copy:
        log = Log(copy.folder / "results", equivalent)
        covering = Covering(copy, log.say)
        covering.load()
        make(copy, covering, drawn, log.tell)
        tell(log.results(drawn), equivalent)


def make(copy: Copy, covering: Covering, mistakes: list[Mistake], report: Callable[[Result], None]) -> None:
    """Make mistakes: those that take no new import first."""
    quick = Quick(copy, covering, [mistake for mistake in mistakes if is_quick(mistake)], report)
    files = sorted({test.file for test in covering.tests.values()})
    code = copy.pytest(files, quick, len(mistakes) * 600, "-x")
    if code not in (0, 5):
        sys.exit(f"no mistake could be made:\n{copy.output()[-3000:]}")

    def attempt(mistake: Mistake | None, tests: list[Test]) -> str:
        with copy.mistaken(mistake):
            return _noticed(*run(copy, tests, "-x"))

    for mistake in mistakes:
        if not is_quick(mistake):
            report(notice(covering, mistake, attempt))


if __name__ == "__main__":
    main()

"""The documents say what is so: their commands, links, paths and names exist, and the README's new dimension works."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
import yaml
from cyclopts import App
from cyclopts.exceptions import CycloptsError
from prefect.cli._app import _app as prefect_app

from flows.__main__ import COMMANDS
from flows.declared import declared
from tests.support.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").glob("*.md")),
]
FOLDERS = ("deployments", "docs", "flows", "notebooks", "sql", "tasks", "tests", "warehouse")
EXAMPLES = ("sql/dimensions/locations.sql",)
"""Files that a document has its reader write."""

RUN = """
import sys
from pathlib import Path
from tests.support.warehouses import duckdb_place
checks = duckdb_place(Path("w.duckdb")).run(Path(sys.argv[1]) / "log_data", Path(sys.argv[1]) / "song_data")
print(*(report.check for report in checks if report.holds))
"""


@pytest.mark.usefixtures("processes")
def test_a_dimension_is_one_file_and_one_line(tmp_path: Path, generated: Path) -> None:
    for folder in ("flows", "tasks", "warehouse", "sql", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (file,) = re.findall(r"`(sql/dimensions/\w+\.sql)`", README)
    (sql,) = re.findall(r"```sql\n(--.*?)```", README, re.DOTALL)
    (line,) = re.findall(r"`(Table\(.*?\),)`", README)
    (tmp_path / file).write_text(sql, encoding="utf-8")
    catalog = tmp_path / "sql/catalog.py"
    catalog.write_text(
        catalog.read_text().replace("DIMENSIONS = (\n", f"DIMENSIONS = (\n    {line}\n"), encoding="utf-8"
    )

    run = subprocess.run(
        [sys.executable, "-c", RUN, str(generated)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "locations_key_unique" in run.stdout, run.stderr
    rules = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/sql/test_catalog.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert rules.returncode == 0, rules.stdout
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        assert connection.execute("select count(*) > 5 from sparkify.locations").fetchone() == (True,)


def test_the_readme_is_two_pages_at_most() -> None:
    assert len(README.splitlines()) <= 120


RECORD = """#!/bin/sh
{ printf '%s\\037' "${0##*/}" "$@"; printf '\\036'; } >> "$RECORD"
"""
INLINE = re.compile(r"`((?:make|python|docker|aws|prefect|pre-commit|\.venv/bin/\w+) [^`]+)`")


def scripts(document: str) -> list[str]:
    """Return what a document has its reader type: fenced as `sh`, or as code in a sentence."""
    fenced = re.findall(r"^```sh\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return [*fenced, *INLINE.findall(prose)]


@dataclass
class Shell:
    """Bash in an empty folder, where the programs that documents name write down how they are called."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / ".venv/bin").mkdir(parents=True)
        (self.folder / "bin").mkdir()
        (self.folder / ".env").touch()
        for program in (*(f"bin/{name}" for name in PROGRAMS), ".venv/bin/python", ".venv/bin/prefect"):
            (self.folder / program).write_text(RECORD)
            (self.folder / program).chmod(0o755)
        (self.folder / "bin/tr").symlink_to(str(shutil.which("tr")))

    def calls(self, script: str) -> list[list[str]]:
        """Run a script, and return the words of each call. Nothing but the programs above can be reached."""
        record = self.folder / "record"
        record.write_text("")
        done = subprocess.run(
            [str(shutil.which("bash")), "-euo", "pipefail", "-c", script], cwd=self.folder,
            env={"PATH": str(self.folder / "bin"), "RECORD": str(record)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stderr}"
        return [call.split("\037")[:-1] for call in record.read_text().split("\036")[:-1]]


def refused_make(*words: str) -> str | None:
    """Refuse a target that the Makefile does not have, and a variable that it does not read."""
    for word in words:
        name, is_variable, _ = word.partition("=")
        known = rf"^{name} [?:]=" if is_variable else rf"^{name}:.* ##"
        if not re.search(known, MAKEFILE, re.MULTILINE) and not (is_variable and f"{name}=" in MAKEFILE):
            return f"the Makefile has no {name}"
    return None


def refused_python(*words: str) -> str | None:
    dash, module, *rest = words
    if dash != "-m":
        return f"python {dash} is not looked at"
    if module in RUN_AS_MODULE:
        return RUN_AS_MODULE[module](*rest)
    file = Path(module.replace(".", "/"))
    main = ROOT / file / "__main__.py" if (ROOT / file).is_dir() else (ROOT / file).with_suffix(".py")
    if not main.exists():
        return f"there is no {main}"
    source = main.read_text(encoding="utf-8")
    if main.name != "__main__.py" and "if __name__" not in source:
        return f"{module} does nothing when it is run"
    if not rest:
        return None
    (entrypoint,) = re.findall(r'run_command\("(.+)"\)', source)
    app = App(version_flags=[])
    app.default(declared(entrypoint))
    return refusal(app, rest)


def refused_prefect(*words: str) -> str | None:
    tokens = [word for word in words if word != "--no-prompt"]
    deployments = {
        f"{flow}/{entry['name']}"
        for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        for flow in [f"sparkify-{entry['entrypoint'].rpartition(':')[2]}"]
    }
    if tokens[:2] == ["deployment", "run"] and tokens[2] not in deployments:
        return f"prefect.yaml has no {tokens[2]}"
    return refusal(prefect_app, tokens) or refused_files(*words)


def refusal(app: App, tokens: list[str]) -> str | None:
    try:
        app.parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return None


def refused_pip(*words: str) -> str | None:
    extras = re.findall(r"\.\[(\w+)\]", " ".join(words))
    unknown = [extra for extra in extras if extra not in PROJECT["optional-dependencies"]]
    return f"there is no extra {unknown}" if unknown else refused_files(*words)


def refused_pytest(*words: str) -> str | None:
    """Refuse a -k of which a word selects nothing."""
    dash, expression = words
    tests = [
        path.stem + path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != THIS
    ]
    names = " ".join(re.findall(r"^test_\w+|(?<=def )test_\w+|(?<=class )Test\w+", "\n".join(tests), re.MULTILINE))
    unknown = [
        word for word in re.findall(r"\w+", expression) if word not in ("or", "and", "not") and word not in names
    ]
    return f"pytest {dash}: no test is named {unknown}" if dash != "-k" or unknown else None


def refused_docker(compose: str, *words: str) -> str | None:
    """Refuse options that docker-compose does not have; a long test runs it."""
    program = Path(sys.executable).with_name("docker-compose")
    options = [[word for word in words if word.startswith("-")], *(["--help"], [words[2], "--help"])]
    helps = [subprocess.run([program, *asked], capture_output=True, text=True).stdout for asked in options[1:]]
    unknown = [option for option in options[0] if not re.search(rf"{option}\b", "".join(helps))]
    return f"docker {compose} has no {unknown}" if compose != "compose" or unknown else refused_files(*words)


def refused_aws(service: str, command: str, *words: str) -> str | None:
    given = {word.partition("=")[0] for word in words if re.match(r"\w+=", word)}
    if command == "deploy":
        template = (ROOT / "deployments/infrastructure.yaml").read_text(encoding="utf-8")
        parameters = template.partition("\nParameters:\n")[2].partition("\nResources:\n")[0]
        defaults = dict(re.findall(r"^  (\w+):\n((?:    .*\n?)+)", parameters, re.MULTILINE))
        needed = {name for name, body in defaults.items() if "Default:" not in body}
        return refused_files(*words) if given == needed else f"the template's parameters are {needed}"
    client: Any = boto3.client(service, region_name="us-west-2")
    operation = client.meta.method_to_api_mapping.get(command.replace("-", "_"))
    return None if operation else f"aws {service} has no {command}"


def refused_pre_commit(*words: str) -> str | None:
    return None if words == ("install",) and (ROOT / ".pre-commit-config.yaml").exists() else f"{words}: not known"


def refused_files(*words: str) -> str | None:
    missing = [word for word in words if re.fullmatch(r"[\w./-]+\.(ya?ml|txt)", word) and not (ROOT / word).exists()]
    return f"there is no {missing}" if missing else None


THIS = Path(__file__)
RUN_AS_MODULE: dict[str, Callable[..., str | None]] = {
    "pip": refused_pip, "pytest": refused_pytest, "prefect": refused_prefect
}  # fmt: skip
PROGRAMS: dict[str, Callable[..., str | None]] = {
    "make": refused_make,
    "python": refused_python,
    "prefect": refused_prefect,
    "docker": refused_docker,
    "aws": refused_aws,
    "pre-commit": refused_pre_commit,
}


def refusals(shell: Shell, script: str) -> Iterator[str]:
    """Say of each call that a script makes why it cannot be made."""
    for program, *words in shell.calls(script):
        why = PROGRAMS[program](*words)
        if why:
            yield f"{program} {' '.join(words)}: {why}"


@pytest.fixture
def shell(processes: None, tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_exists_with_its_options(shell: Shell, document: Path) -> None:
    found = [why for script in scripts(document.read_text(encoding="utf-8")) for why in refusals(shell, script)]
    assert found == []


def test_there_are_commands_to_look_at(shell: Shell) -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    called = {(program, words[0]) for script in scripts(texts) for program, *words in shell.calls(script)}
    assert {program for program, _ in called} == set(PROGRAMS)
    assert {target for program, target in called if program == "make"} >= {"etl", "test", "serve", "deploy", "check"}
    assert not re.search(r"^(```(bash|shell|console|)$|    (make|\.venv|\$) )", re.sub(FENCE, "", texts), re.MULTILINE)


FENCE = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "make serve DOOR=1",
        ".venv/bin/python -m flows.nothing",
        ".venv/bin/python -m flows.etl --log-dta DIR",
        "python -m flows.etl --max-errors many",
        'options=(--copy-rule default)\n.venv/bin/python -m flows.preflight a b "${options[@]}"',
        ".venv/bin/python -m flows.run_events",
        ".venv/bin/python -m deployments.upload data",
        ".venv/bin/python -m pytest -k nonsense",
        ".venv/bin/python -m pip install --constraint nothing.txt",
        ".venv/bin/python -m pip install '.[nothing]'",
        ".venv/bin/prefect worker begin",
        ".venv/bin/prefect worker start --pole sparkify",
        ".venv/bin/python -m prefect deployment run sparkify-etl/daily",
        "prefect deploy --all --prefect-file nothing.yaml",
        "docker compose --file deployments/nothing.yaml up --build",
        "docker compose --file deployments/compose.yaml up --built",
        "aws cloudformation describe-stack --stack-name a",
        "aws cloudformation deploy --template-file deployments/infrastructure.yaml --parameter-overrides Net=1",
        "pre-commit uninstall",
    ],
)
def test_a_command_that_does_not_exist_is_refused(shell: Shell, command: str) -> None:
    assert len(list(refusals(shell, command))) == 1


def test_a_program_that_no_test_looks_at_is_refused(shell: Shell) -> None:
    with pytest.raises(AssertionError, match="not found"):
        shell.calls("sparkle --on")


GENERATE = "flows/generate/__init__.py"


def options_of_commands() -> set[str]:
    """Return the options of the commands that are functions with parameters."""
    names = set()
    for file in (*(f"flows/{name}.py" for name in COMMANDS if name != "generate"), GENERATE):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {"--" + name.replace("_", "-") for name in names}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_path_and_name_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    codes = set(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))
    paths = {code for code in codes if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", code)}
    paths = {path for path in paths if path not in EXAMPLES and not re.search("[A-Z]{2}", path)}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    options = {code.split()[0] for code in codes if code.startswith("--")} - {"--debug", "--help", "--watch"}
    assert sorted(options - options_of_commands()) == []
    constants = {
        code for code in codes if re.fullmatch(r"[A-Z]{2,}(_[A-Z]+)*", code) and not code.startswith("SPARKIFY")
    }
    sources = "\n".join(
        path.read_text(encoding="utf-8") for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
    )
    assert [name for name in sorted(constants) if not re.search(rf"^{name}\b.* = ", sources, re.MULTILINE)] == []


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == PROJECT["version"]


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("https://")]
    for link in links:
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link

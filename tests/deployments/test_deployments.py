"""What can be tested of the deployments without running any: settings, Prefect's files, image, infrastructure."""

import asyncio
import inspect
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import jmespath
import pytest
import yaml
from prefect.deployments.steps.utility import run_shell_script
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.templating import apply_values

from deployments.blocks import aws, redshift
from deployments.deploy import deploy
from deployments.settings import PREFIX, Settings, read_settings
from tests.support.deployed import SETTINGS
from tests.support.project import ROOT
from warehouse import blocks
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError, TransientError
from warehouse.target import Target

REDSHIFT_GUIDE = (ROOT / "docs/redshift.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEFAULT = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DOCKER = yaml.safe_load((ROOT / "deployments/prefect.docker.yaml").read_text())
BY_PASSWORD = SETTINGS
HOST = SETTINGS["SPARKIFY_REDSHIFT_HOST"]
BY_IAM = {name: value for name, value in SETTINGS.items() if "USER" not in name and "PASSWORD" not in name} | {
    "SPARKIFY_REDSHIFT_IAM": "true"
}


def settings(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def names() -> list[str]:
    return [PREFIX + name.upper() for name in Settings.model_fields]


class TestSettings:
    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ({"SPARKIFY_REDSHIFT_HOST": ""}, "SPARKIFY_REDSHIFT_HOST: missing"),
            (
                {"SPARKIFY_LOG_DATA": "/canary"},
                "SPARKIFY_LOG_DATA: not the s3:// URL of a prefix. Use s3://bucket/prefix/",
            ),
            ({"SPARKIFY_LOG_DATA": "s3://canary"}, "SPARKIFY_LOG_DATA: not the s3:// URL of a prefix"),
            ({"SPARKIFY_SONG_DATA": "s3://canary/"}, "SPARKIFY_SONG_DATA: not the s3:// URL of a prefix"),
            ({"SPARKIFY_SONG_DATA": "s3://canary/a b/"}, "SPARKIFY_SONG_DATA: not the s3:// URL of a prefix"),
            ({"SPARKIFY_SONG_DATA": "s3://canary/a/ "}, "SPARKIFY_SONG_DATA: not the s3:// URL of a prefix"),
            ({"SPARKIFY_REDSHIFT_HOST": "etl:us-west-2/dev"}, "SPARKIFY_REDSHIFT_HOST: not the host of a Redshift"),
            ({"SPARKIFY_REDSHIFT_HOST": "my host"}, "SPARKIFY_REDSHIFT_HOST: not the host of a Redshift"),
            (
                {"SPARKIFY_REDSHIFT_HOST": f"{HOST}:5440", "SPARKIFY_REDSHIFT_PORT": "5439"},
                "SPARKIFY_REDSHIFT_HOST: contains another port than the port that is set. Remove one of them",
            ),
            (
                {"SPARKIFY_REDSHIFT_HOST": f"{HOST}/dev", "SPARKIFY_REDSHIFT_DATABASE": "sparkify"},
                "SPARKIFY_REDSHIFT_HOST: contains another database than the database that is set",
            ),
            (
                {"SPARKIFY_REDSHIFT_CLUSTER": "etl", "SPARKIFY_REDSHIFT_WORKGROUP": "etl"},
                "SPARKIFY_REDSHIFT_CLUSTER contradicts SPARKIFY_REDSHIFT_WORKGROUP",
            ),
            ({"SPARKIFY_REDSHIFT_PORT": "canary"}, "SPARKIFY_REDSHIFT_PORT: Input should be a valid integer"),
            (
                {"SPARKIFY_REDSHIFT_PASSWORD": ""},
                "SPARKIFY_REDSHIFT_PASSWORD missing. Set it, or SPARKIFY_",
            ),
            ({"SPARKIFY_REDSHIFT_IAM": "true"}, "SPARKIFY_REDSHIFT_IAM contradicts SPARKIFY_REDSHIFT_USER and"),
            ({"SPARKIFY_AWS_ACCESS_KEY_ID": ""}, "SPARKIFY_AWS_SECRET_ACCESS_KEY is set without its counterpart"),
            ({"SPARKIFY_AWS_PROFILE": "etl"}, "SPARKIFY_AWS_PROFILE contradicts SPARKIFY_AWS_ACCESS_KEY_ID and"),
            ({"SPARKIFY_NOTIFICATION_BLOCK": "https://canary"}, "SPARKIFY_NOTIFICATION_BLOCK: String should match"),
        ],
    )
    def test_one_line_names_missing_wrong_and_contradictory_settings(
        self, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], line: str
    ) -> None:
        with pytest.raises(PermanentError) as caught:
            settings(monkeypatch, BY_PASSWORD | change)
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "canary" not in str(caught.value)

    @pytest.mark.parametrize(
        "pasted", [f"{HOST}:5440/dev", f" {HOST}:5440/dev ", f"jdbc:redshift:iam://{HOST}:5440/dev", HOST.upper()]
    )
    def test_an_endpoint_is_taken_apart_as_the_console_shows_it(
        self, monkeypatch: pytest.MonkeyPatch, pasted: str
    ) -> None:
        given = settings(monkeypatch, BY_PASSWORD | {"SPARKIFY_REDSHIFT_HOST": pasted})
        place = (given.redshift_host, given.redshift_port, given.redshift_database)
        assert place == ((HOST, 5440, "dev") if "5440" in pasted else (HOST, 5439, "sparkify"))

    def test_placeholders_of_the_example_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
        own = BY_IAM | {"SPARKIFY_AWS_ACCESS_KEY_ID": "", "SPARKIFY_AWS_SECRET_ACCESS_KEY": ""}
        for name in ("SPARKIFY_REDSHIFT_HOST", "SPARKIFY_LOG_DATA", "SPARKIFY_SONG_DATA"):
            with pytest.raises(PermanentError, match=f"{name}: still what .env.example has. Put your own"):
                settings(monkeypatch, own | {name: example[name]})
        rest = {name: value for name, value in example.items() if name not in own}
        assert settings(monkeypatch, own | rest).redshift_iam, "the rest of the example is valid"

    def test_an_unknown_setting_in_the_env_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env").write_text("SPARKIFY_COPY_ROL=default\nOTHER=1\n")
        with pytest.raises(PermanentError, match=r"\.env has unknown settings: SPARKIFY_COPY_ROL \("):
            read_settings()

    def test_a_password_is_stored_in_a_secret_field(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = settings(monkeypatch, BY_PASSWORD)
        assert "canary" not in f"{given!r}{redshift(given)!r}{aws(given)!r}"
        assert redshift(given).connect_args == {}

    def test_iam_uses_the_workers_role_or_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        no_keys = {"SPARKIFY_AWS_ACCESS_KEY_ID": "", "SPARKIFY_AWS_SECRET_ACCESS_KEY": ""}
        assert redshift(settings(monkeypatch, BY_IAM | no_keys)).connect_args == {"iam": True}
        profile = settings(monkeypatch, BY_IAM | no_keys | {"SPARKIFY_AWS_PROFILE": "etl"})
        assert redshift(profile).connect_args == {"iam": True, "profile": "etl"}
        assert aws(profile).aws_access_key_id is None

    def test_iam_gives_the_driver_the_cluster_that_it_cannot_derive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = {"SPARKIFY_REDSHIFT_HOST": "etl.abc123.us-west-2.redshift.amazonaws.com"}
        assert redshift(settings(monkeypatch, BY_IAM | cluster)).connect_args == {
            "iam": True, "cluster_identifier": "etl", "group_federation": True
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("host", "asked"),
        [
            ("etl.123456789012.us-west-2.redshift-serverless.amazonaws.com", {"workgroupName": "etl"}),
            ("etl.abc123.us-west-2.redshift.amazonaws.com", {"ClusterIdentifier": "etl"}),
            ("vpce-0123.vpce-svc-1.us-west-2.vpce.amazonaws.com", {"ClusterIdentifier": "etl"}),
            ("localhost", {"workgroupName": "etl"}),
            ("etl.210987654321.us-west-2.redshift-serverless.amazonaws.com.cn", {"workgroupName": "etl"}),
        ],
    )
    def test_with_iam_the_driver_asks_aws_for_credentials_of_this_warehouse(
        self, monkeypatch: pytest.MonkeyPatch, host: str, asked: dict[str, str]
    ) -> None:
        questions: list[tuple[str, dict[str, Any]]] = []

        def ask(_client: Any, operation: str, arguments: dict[str, Any]) -> None:
            questions.append((operation, arguments))
            raise OSError("AWS is not here")

        monkeypatch.setattr("botocore.client.BaseClient._make_api_call", ask)
        own = {"vpce-0123": {"SPARKIFY_REDSHIFT_CLUSTER": "etl"}, "localhost": {"SPARKIFY_REDSHIFT_WORKGROUP": "etl"}}
        named = own.get(host.split(".")[0], {}) | {"SPARKIFY_AWS_REGION": "us-west-2"}
        block = redshift(settings(monkeypatch, BY_IAM | named | {"SPARKIFY_REDSHIFT_HOST": host}))
        monkeypatch.setattr(blocks, "load_connector", lambda _: block)
        with pytest.raises(TransientError, match="AWS is not here"):
            open_warehouse(Target("sparkify-redshift", "public", "test")).engine.connect()
        operation, arguments = questions[-1]  # it may have asked for a domain of this name before
        assert "Credentials" in operation
        assert asked.items() <= arguments.items()

    @pytest.mark.parametrize(
        "host", ["vpce-0123.vpce-svc-1.us-west-2.vpce.amazonaws.com", "localhost", "dw.example.com"]
    )
    @pytest.mark.parametrize("missing", ["SPARKIFY_AWS_REGION", "SPARKIFY_REDSHIFT_CLUSTER"])
    def test_with_iam_another_host_than_awss_needs_the_cluster_and_its_region(
        self, monkeypatch: pytest.MonkeyPatch, host: str, missing: str
    ) -> None:
        named = {"SPARKIFY_AWS_REGION": "us-west-2", "SPARKIFY_REDSHIFT_CLUSTER": "etl"} | {missing: ""}
        with pytest.raises(PermanentError, match=r"not a name that AWS gave, so SPARKIFY_REDSHIFT_IAM needs more\."):
            settings(monkeypatch, BY_IAM | named | {"SPARKIFY_REDSHIFT_HOST": host})

    def test_the_example_and_the_guide_list_every_setting(self) -> None:
        example = (ROOT / ".env.example").read_text()
        assert sorted(re.findall(r"^(\w+)=", example, re.MULTILINE)) == sorted(names())
        assert re.findall(r"^\| `(SPARKIFY_\w+)`", REDSHIFT_GUIDE, re.MULTILINE) == names()


def test_deploying_without_a_server_is_refused() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(PermanentError, match=r"no Prefect server is configured\. Use `prefect cloud login`, or"),
    ):
        deploy()


def entries() -> list[Any]:
    return [
        pytest.param(entry, id=f"{file}-{entry['name']}")
        for file, content in (("default", DEFAULT), ("docker", DOCKER))
        for entry in content["deployments"]
    ]


class TestPrefectFiles:
    @pytest.mark.parametrize("entry", entries())
    def test_entrypoints_load_and_parameters_fit_the_flow(self, entry: dict[str, Any]) -> None:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)
        assert entry["parameters"]
        assert set(entry["parameters"]) <= set(flow.parameters.properties)
        asked = dict.fromkeys(flow.parameters.required, 1)  # the form asks for what has no default
        flow.validate_parameters(asked | entry["parameters"])

    @pytest.mark.parametrize("entrypoint", sorted({entry["entrypoint"] for entry in DEFAULT["deployments"]}))
    def test_the_form_asks_for_plain_values_and_describes_each(self, entrypoint: str) -> None:
        fields = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False).parameters.properties.values()
        assert {field.get("type") for field in fields} <= {"string", "integer", "boolean"}
        assert all(field["description"] for field in fields)

    @pytest.mark.parametrize("entry", entries())
    def test_entries_name_their_document_and_have_the_projects_version(self, entry: dict[str, Any]) -> None:
        assert entry["version"] == "{{ project.stdout }}"
        description, see, document = entry["description"].rpartition(" See ")
        assert (description[-1:], see) == (".", " See ")
        assert (ROOT / document.removesuffix(".")).is_file()
        assert entry["tags"]

    @pytest.mark.usefixtures("processes")
    @pytest.mark.parametrize("file", [DEFAULT, DOCKER], ids=["default", "docker"])
    def test_the_version_is_read_from_pyproject(self, file: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        step = dict(file["build"][0]["prefect.deployments.steps.run_shell_script"])
        assert step.pop("id") == "project"
        assert asyncio.run(run_shell_script(**step))["stdout"] == PROJECT["version"]

    def test_analytics_runs_daily_and_after_each_completed_manual_run(self) -> None:
        """It reads all of songplays, so not every hour."""
        (analytics,) = (entry for entry in DEFAULT["deployments"] if entry["name"] == "analytics")
        assert [schedule["cron"] for schedule in analytics["schedules"]] == ["30 5 * * *"]
        (trigger,) = analytics["triggers"]
        assert trigger["expect"] == ["prefect.flow-run.Completed"]
        assert trigger["match_related"] == [
            {"prefect.resource.role": "flow", "prefect.resource.name": "sparkify-etl"},
            {"prefect.resource.role": "deployment", "prefect.resource.name": "manual"},
        ]

    def test_the_docker_variant_differs_only_in_where_it_runs(self) -> None:
        default = {entry["name"]: entry for entry in DEFAULT["deployments"]}
        assert [entry["name"] for entry in DOCKER["deployments"]] == ["manual", "hourly"]
        for entry in DOCKER["deployments"]:
            other = default[entry["name"]]
            assert {**entry, "work_pool": None} == {**other, "work_pool": None}
            image = {"image": "{{ build-image.image }}"}
            assert entry["work_pool"]["job_variables"] == other["work_pool"]["job_variables"] | image

    def test_the_docker_variants_steps_exist_and_accept_their_arguments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPARKIFY_IMAGE", "sparkify")
        outputs: dict[str, Any] = {}
        for step in [*DOCKER["build"], *DOCKER["push"]]:
            ((name, inputs),) = step.items()
            module, _, function = name.rpartition(".")
            given = {key: value for key, value in inputs.items() if key not in ("id", "requires")}
            signature = inspect.signature(getattr(import_module(module), function), eval_str=True)
            signature.bind(
                **apply_values(apply_values(given, outputs), dict(os.environ))
            )  # leaves out what nothing gives
            returned = dict.fromkeys(signature.return_annotation.__annotations__, "given")
            outputs |= {inputs.get("id", name): returned} | returned  # in Prefect's order
        used = DOCKER["deployments"][0]["work_pool"]["job_variables"]["image"]
        assert apply_values({"image": used}, outputs) == {"image": "given"}
        build = next(iter(DOCKER["build"][-1].values()))
        assert build["tag"] == "{{ project.stdout }}"
        assert (ROOT / build["dockerfile"]).exists()


class TestContainers:
    @pytest.mark.parametrize(
        "command",
        [
            ["hadolint", "deployments/Dockerfile"],
            ["docker-compose", "--file", "deployments/compose.yaml", "config", "--quiet"],
            ["cfn-lint", "--include-checks", "I", "--", "deployments/infrastructure.yaml"],
        ],
        ids=lambda command: command[0],
    )
    @pytest.mark.usefixtures("processes")
    def test_linters_accept_the_files(self, command: list[str]) -> None:
        tool = Path(sys.executable).with_name(command[0])
        done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def test_the_image_gets_all_that_a_run_needs_and_nothing_else(self) -> None:
        copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "deployments/Dockerfile").read_text(), re.MULTILINE)
        sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        assert "flows" in sent
        assert sorted(" ".join(copied).split()) == sorted(sent)


class TestInfrastructure:
    template = yaml.load(
        (ROOT / "deployments/infrastructure.yaml").read_text(),
        type("Loader", (yaml.SafeLoader,), {"yaml_constructors": yaml.SafeLoader.yaml_constructors | {
            None: lambda loader, node: f"{node.tag} {node.value}"
        }}),
    )  # fmt: skip

    def test_outputs_have_the_names_of_settings(self) -> None:
        for name, output in self.template["Outputs"].items():
            assert output["Description"] == PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
            assert output["Description"] in names()

    def test_outputs_turned_into_an_env_file_as_the_guide_does_are_all_that_is_needed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outputs = [
            {"Description": output["Description"], "OutputValue": re.sub("^!Sub ", "", output["Value"])}
            for output in self.template["Outputs"].values()
        ]
        (query,) = re.findall(r'--query "(.*?)"', REDSHIFT_GUIDE)
        lines = jmespath.search(query, {"Stacks": [{"Outputs": outputs}]})
        given = settings(
            monkeypatch, dict(re.sub("=.*Endpoint.Address$", f"={HOST}", line).split("=") for line in lines)
        )
        assert given.redshift_iam
        assert given.redshift_port == self.template["Resources"]["Workgroup"]["Properties"]["Port"]
        assert given.redshift_database == self.template["Resources"]["Namespace"]["Properties"]["DbName"]

    def test_copys_role_may_read_the_sources_only(self) -> None:
        policies = [
            resource["Properties"]
            for resource in self.template["Resources"].values()
            if resource["Type"] == "AWS::IAM::ManagedPolicy" and "!Ref CopyRole" in resource["Properties"]["Roles"]
        ]
        statements = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
        assert {statement["Action"] for statement in statements} == {
            "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt"
        }  # fmt: skip
        sources = [statement["Resource"] for statement in statements if statement["Action"] != "kms:Decrypt"]
        assert all("${DataBucket}" in str(resource) for resource in sources)

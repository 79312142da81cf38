"""The settings of a deployment on Redshift, from the environment and .env."""

import re
from collections.abc import Iterable
from typing import Self

from dotenv import dotenv_values, load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from warehouse.endpoint import Endpoint
from warehouse.errors import PermanentError

PREFIX = "SPARKIFY_"
PLACEHOLDER_HOST = "sparkify.123456789012.us-west-2.redshift-serverless.amazonaws.com"
PLACEHOLDER_BUCKET = "s3://my-bucket/"
_UNCHANGED = "still what .env.example has. Put your own"


class Settings(BaseSettings):
    """Each field is read from SPARKIFY_ followed by its name in capitals. An empty variable counts as not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, hide_input_in_errors=True)

    redshift_host: str = Field(description="Endpoint of the cluster or Serverless workgroup")
    redshift_port: int = Field(default=5439, description="Its port")
    redshift_database: str = Field(default="sparkify", description="The database")
    redshift_cluster: str | None = Field(
        default=None, description="Identifier of the cluster, for IAM behind another host name than AWS gave"
    )
    redshift_workgroup: str | None = Field(default=None, description="The same of a Serverless workgroup")
    redshift_iam: bool = Field(default=False, description="`true`: log in with IAM, so that no password is stored")
    redshift_user: str | None = Field(default=None, description="User of a login with a password")
    redshift_password: SecretStr | None = Field(default=None, description="Password of that user, stored in a block")
    log_data: str = Field(description="s3:// prefix of the event logs")
    song_data: str = Field(description="s3:// prefix of the song catalogue")
    copy_role: str | None = Field(
        default=None, description="Role that COPY reads with, `default` or an ARN. Without it: keys"
    )
    manifests: str | None = Field(
        default=None, pattern="^s3://.", description="s3:// prefix for COPY's manifests. Without it: prefixes"
    )
    report: str | None = Field(
        default=None, pattern="^s3://.", description="s3://bucket/key of the report. Without it: a file of the worker's"
    )
    aws_region: str | None = Field(
        default=None, description="Region of the buckets, and of Redshift if its host does not tell"
    )
    aws_profile: str | None = Field(default=None, description="Profile of the worker's AWS configuration")
    aws_access_key_id: str | None = Field(
        default=None, description="Access key. Not needed with an instance role or a profile"
    )
    aws_secret_access_key: SecretStr | None = Field(default=None, description="Its secret, stored in a block")
    notification_block: str | None = Field(
        default=None,
        pattern="^[a-z0-9-]+/[a-z0-9-]+$",
        description="Block for notifications, such as `slack-webhook/alerts`",
    )

    @field_validator("log_data", "song_data")
    @classmethod
    def _prefix(cls, url: str) -> str:
        if url.startswith(PLACEHOLDER_BUCKET):
            raise ValueError(_UNCHANGED)
        if not re.fullmatch(r"s3://[^/\s]+/\S+", url):
            raise ValueError("not the s3:// URL of a prefix. Use s3://bucket/prefix/, without blanks")
        return url

    @model_validator(mode="after")
    def _one_endpoint(self) -> Self:
        if self.redshift_host.strip() == PLACEHOLDER_HOST:
            raise ValueError(f"{PREFIX}REDSHIFT_HOST: {_UNCHANGED}")
        names = self.model_fields_set
        port = self.redshift_port if "redshift_port" in names else None
        database = self.redshift_database if "redshift_database" in names else None
        place = f"{PREFIX}REDSHIFT_HOST"
        try:
            pasted = Endpoint.read(self.redshift_host, place).fill(place, port, database)
        except PermanentError as error:
            raise ValueError(str(error)) from None
        self.redshift_host = pasted.host
        self.redshift_port = pasted.port or self.redshift_port
        self.redshift_database = pasted.database or self.redshift_database
        return self

    @model_validator(mode="after")
    def _one_warehouse(self) -> Self:
        """Where IAM is to give a login, AWS has to know for what. A host name of its own tells it."""
        if self.redshift_cluster and self.redshift_workgroup:
            raise ValueError(f"{PREFIX}REDSHIFT_CLUSTER contradicts {PREFIX}REDSHIFT_WORKGROUP. Remove one of them")
        is_named = self.redshift_cluster or self.redshift_workgroup
        if not self.redshift_iam or self.tells_warehouse or (is_named and self.aws_region):
            return self
        raise ValueError(
            f"{PREFIX}REDSHIFT_HOST: not a name that AWS gave, so {PREFIX}REDSHIFT_IAM needs more. Set "
            f"{PREFIX}AWS_REGION, and {PREFIX}REDSHIFT_CLUSTER or {PREFIX}REDSHIFT_WORKGROUP"
        )

    @property
    def tells_warehouse(self) -> bool:
        """Whether the host names a cluster or workgroup and its region."""
        return bool(re.fullmatch(r"([^.]+\.){3}redshift(-serverless)?\.amazonaws\.com(\.cn)?", self.redshift_host))

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        login = {"REDSHIFT_USER": self.redshift_user, "REDSHIFT_PASSWORD": self.redshift_password}
        present = [PREFIX + name for name, value in login.items() if value]
        missing = [PREFIX + name for name, value in login.items() if not value]
        if self.redshift_iam and present:
            raise ValueError(f"{PREFIX}REDSHIFT_IAM contradicts {' and '.join(present)}. Remove one or the other")
        if not self.redshift_iam and missing:
            raise ValueError(f"{' and '.join(missing)} missing. Set it, or {PREFIX}REDSHIFT_IAM=true")
        return self

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        keys = {"AWS_ACCESS_KEY_ID": self.aws_access_key_id, "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key}
        present = [PREFIX + name for name, value in keys.items() if value]
        if len(present) == 1:
            raise ValueError(f"{present[0]} is set without its counterpart. Set both keys, or neither")
        if present and self.aws_profile:
            raise ValueError(f"{PREFIX}AWS_PROFILE contradicts {' and '.join(present)}. Remove one or the other")
        return self


def read_settings() -> Settings:
    """Read the settings from the environment, after adding to it what only .env has.

    Raises:
        PermanentError: a setting is missing, wrong or unknown. The message is one line that names each, but no value.
    """
    _refuse_unknown(dotenv_values(".env"))
    load_dotenv(".env")
    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(problem["loc"], problem["msg"]) for problem in error.errors(include_input=False)]
        raise PermanentError(f"settings: {'; '.join(problems)} (.env.example lists all settings)") from None


def _refuse_unknown(names: Iterable[str]) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    unknown = sorted(name for name in names if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise PermanentError(f".env has unknown settings: {', '.join(unknown)} (.env.example lists all settings)")


def _problem(place: tuple[int | str, ...], message: str) -> str:
    names = [PREFIX + str(part).upper() for part in place]
    return ": ".join([*names, message.removeprefix("Value error, ").replace("Field required", "missing")])

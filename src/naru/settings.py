"""Settings: environment variables `NARU_…`, checked at start. An unknown one is a mistake, said so with the nearest name."""

import base64
import difflib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from naru.broker import Broker


class BadSettings(Exception):
    """A setting is unknown or not of its form."""


Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,60}$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds what lies in files. `public_url` is where providers and customers reach us from outside.

    `kafka` (host:port, …) and `database_url` (postgresql://…) scale the center out; empty they are the embedded log and
    database in `data`. `worker` is this process's name: unique among the living, the same after a restart.
    `private_webhooks` lets events go out by http and to addresses of an intranet.
    """

    data: str = "naru-data"
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8620
    public_url: str = ""
    shards: Annotated[int, Meta(ge=1, le=1024)] = 1
    spool_dir: str = ""
    master_key: str = ""
    worker: Name = ""
    log_format: Literal["console", "json"] = "console"
    database_url: str = ""
    kafka: str = ""
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: str = ""
    kafka_cert_file: str = ""
    kafka_key_file: str = ""
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: str = ""
    kafka_replication: Annotated[int, Meta(ge=1, le=9)] = 3
    kafka_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "naru"
    private_webhooks: bool = False

    @property
    def folder(self) -> Path:
        return Path(self.data).expanduser()

    @property
    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.folder / 'store.sqlite'}"

    @property
    def embedded(self) -> bool:
        """Whether the log is a file of this process's alone."""
        return not self.kafka

    @property
    def broker(self) -> Broker:
        return Broker(
            servers=self.kafka,
            security=self.kafka_security,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
            sasl=self.kafka_sasl,
            username=self.kafka_username,
            password=self.kafka_password,
            replication=self.kafka_replication,
            prefix=self.kafka_prefix,
        )

    def name(self, role: str) -> str:
        """This process's name: as given, else the machine's and its role's."""
        if self.worker:
            return self.worker
        return "naru" if self.embedded else f"{socket.gethostname()}-{role}".replace(":", "-")[:60]


SECRET_PREFIX = "NARU_SECRET_"  # noqa: S105 - a name
"""Only these variables can be named by a channel as `env:…`, so that no workspace reads the rest of the environment."""

IGNORED = {"NARU_TEST_REQUIRE", "NARU_SERVER", "NARU_TOKEN"}


def load(environment: Mapping[str, str] | None = None, **given: str | int | None) -> Settings:
    """From the environment, overridden by what is given on the command line. Raises BadSettings."""
    environment = os.environ if environment is None else environment
    known = {f"NARU_{name.upper()}": name for name in Settings.__struct_fields__}
    values: dict[str, object] = {}
    for variable, value in environment.items():
        if variable.startswith("NARU_") and variable not in IGNORED and not variable.startswith(SECRET_PREFIX):
            if variable not in known:
                near = difflib.get_close_matches(variable, known, 1)
                raise BadSettings(f"unknown setting {variable}" + (f"; did you mean {near[0]}?" if near else ""))
            values[known[variable]] = value
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        said, _, name = str(error).partition(" - at `$.")
        raise BadSettings(f"NARU_{name.rstrip('`').upper()}: {said}") from error
    if settings.master_key and not _is_key(settings.master_key):
        raise BadSettings("NARU_MASTER_KEY: not 32 bytes in base64")
    if settings.kafka and not settings.database_url:
        raise BadSettings("NARU_KAFKA: several processes need a database that they share, NARU_DATABASE_URL")
    if settings.database_url and not settings.database_url.startswith(("postgresql://", "postgres://")):
        raise BadSettings("NARU_DATABASE_URL: not a postgresql:// address")
    if settings.kafka and not settings.master_key:
        raise BadSettings("NARU_MASTER_KEY: every process must be given the same, 32 random bytes in base64")
    return settings


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False

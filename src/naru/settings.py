"""Settings: environment variables `NARU_…`, checked at start. An unknown one is a mistake, said so with the nearest name."""

import base64
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class BadSettings(Exception):
    """A setting is unknown or not of its form."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds log, database, files and key. `public_url` is where providers and customers reach us from outside.

    `private_webhooks` lets events go out by http and to addresses of an intranet.
    """

    data: str = "naru-data"
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8620
    public_url: str = ""
    shards: Annotated[int, Meta(ge=1, le=1024)] = 1
    spool_dir: str = ""
    master_key: str = ""
    worker: str = "naru"
    log_format: Literal["console", "json"] = "console"
    private_webhooks: bool = False

    @property
    def folder(self) -> Path:
        return Path(self.data).expanduser()

    @property
    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"


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
    return settings


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False

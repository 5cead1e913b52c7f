"""Settings: environment variables `NARU_…`, checked at start. An unknown one is a mistake, said so with the nearest name."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec


class BadSettings(Exception):
    """A setting is unknown or not of its form."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds log, database, files and key. `public_url` is where providers and customers reach us from outside."""

    data: str = "naru-data"
    host: str = "127.0.0.1"
    port: int = 8620
    public_url: str = ""
    shards: int = 1
    spool_dir: str = ""
    master_key: str = ""
    worker: str = "naru"
    log_format: str = "console"

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
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error)) from error

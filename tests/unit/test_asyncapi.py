"""The AsyncAPI document: the committed copy is that of the code, and it is one by the standard's own schema."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
import yaml

from agents import frames as desk
from agents.commands import COMMANDS
from conftest import not_proved
from naru.outgoing import asyncapi
from naru.outgoing.cloudevents import PUBLIC

ROOT = Path(__file__).parents[2]
SPECS = "@asyncapi/specs@6.11.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "naru-tests" / "asyncapi-specs-6.11.1"


@pytest.fixture(scope="module")
def official() -> Any:
    """The standard's JSON schema, from the npm registry, fetched once and kept beside the checkout."""
    file = CACHE / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
    if not file.exists():
        if shutil.which("npm") is None:
            not_proved("the AsyncAPI document by the standard's own schema", "npm")
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE), SPECS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            not_proved("the AsyncAPI document by the standard's own schema", f"{SPECS}: {done.stderr[-200:]}")
    return jsonschema_rs.validator_for(json.loads(file.read_text()))


def test_the_committed_copy_is_what_the_code_says() -> None:
    committed = (ROOT / "docs" / "asyncapi.yaml").read_text()
    assert committed == asyncapi.as_yaml(), "run: naru asyncapi > docs/asyncapi.yaml"


def test_the_command_line_prints_it() -> None:
    command = [sys.executable, "-m", "naru.cli", "asyncapi"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert printed == asyncapi.as_yaml()


def test_the_document_is_asyncapi_3_by_the_standards_own_schema(official: Any) -> None:
    document = yaml.safe_load(asyncapi.as_yaml())
    assert [str(error)[:300] for error in official.iter_errors(document)] == []


def test_the_standards_schema_would_see_a_fault(official: Any) -> None:
    for path, value in (
        (("asyncapi",), "2.6.0"),
        (("channels", "topic", "address"), 5),
        (("operations", "publishEvents", "action"), "shout"),
        (("components", "schemas", "ContactQueued", "type"), "thing"),
    ):
        broken = copy.deepcopy(yaml.safe_load(asyncapi.as_yaml()))
        part = broken
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value
        assert not official.is_valid(broken), path


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def look(part: Any) -> None:
        if isinstance(part, dict):
            target = part.get("$ref")
            if isinstance(target, str):
                found = document
                for step in target.removeprefix("#/").split("/"):
                    found = found[step]
            for inner in part.values():
                look(inner)
        elif isinstance(part, list):
            for inner in part:
                look(inner)

    look(document)


def test_all_events_frames_and_commands_are_in_it() -> None:
    document = asyncapi.document()
    names = {message["name"] for message in document["components"]["messages"].values()}
    assert {public.type for public in PUBLIC.values()} <= names
    assert {frame.__struct_config__.tag for frame in get_args(desk.Frame)} <= names
    assert {f"do {name}" for name in [*COMMANDS, "status"]} <= names
    published = document["channels"]["topic"]["messages"]
    assert len(published) == len(PUBLIC)
    assert len(document["channels"]["webhook"]["messages"]) == len(PUBLIC) + 1

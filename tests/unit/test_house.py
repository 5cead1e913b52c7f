"""The house in order: names, tables and migrations, the built pages, the changelog, the lint, and the round trip of YAML."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, create_engine

import naru
from naru.admin.config import BadConfig, check, export, parse
from naru.store import migrate
from naru.store import tables as db
from naru.wire import Envelope, body_hash, decode_envelope, encode
from router.config import Config, canonical, faults
from router.inputs import ApplyConfig

ROOT = Path(__file__).parents[2]
REQUIRE_ALL = os.environ.get("NARU_TEST_REQUIRE") == "all"
OURS = ("router", "channels", "agents", "naru")
READERS = {"reader_cursors", "snapshots"}
"""Tables of the journal's readers: they belong to a shard, which holds many workspaces."""
NAMED_BY_ID = {"workspaces"}
"""The workspaces themselves: their id is the workspace."""


# -- packages


def test_no_other_distribution_ships_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: [o for o in owners.get(name, []) if o != "naru"] for name in OURS} == {n: [] for n in OURS}
    for name in OURS:
        found = importlib.util.find_spec(name)
        assert found is not None and found.origin is not None
        assert Path(found.origin).is_relative_to(ROOT / "src")


def test_the_version_is_the_same_everywhere() -> None:
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    assert declared[1] == naru.__version__ == importlib.metadata.version("naru")
    changelog = ROOT / "CHANGELOG.md"
    if changelog.exists():
        assert re.search(rf"^## \[?{re.escape(naru.__version__)}\b", changelog.read_text(), re.MULTILINE)


# -- tables


def differs(context: Any, inspected: Any, declared: Any, inspected_type: Any, declared_type: Any) -> bool | None:
    """SQLite's integers are all alike; for the rest, and on PostgreSQL (tests/store), Alembic judges."""
    return False if isinstance(declared_type, BigInteger) else None


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    migrate.upgrade(f"sqlite:///{file}")
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        opts = {"compare_type": differs, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, db.metadata)
    engine.dispose()
    assert differences == []
    assert migrate.is_newest(f"sqlite:///{file}")


def test_every_table_belongs_to_a_workspace_but_the_readers_own() -> None:
    without = {name for name, table in db.metadata.tables.items() if "workspace" not in table.c}
    assert without == READERS | NAMED_BY_ID
    for name, table in db.metadata.tables.items():
        if name not in without:
            assert not table.c.workspace.nullable, name
            assert table.c.workspace.primary_key or name == "tokens", name


# -- lint


def ruff(code: str, as_file: str) -> list[str]:
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--stdin-filename", as_file, "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    return [found["code"] for found in json.loads(done.stdout)]


@pytest.mark.parametrize(
    "code",
    [
        "import random\n\nprint(random.random())\n",
        "import secrets\n\nprint(secrets.token_hex())\n",
        "import time\n\nprint(time.time())\n",
        "from time import monotonic\n\nprint(monotonic())\n",
        "import datetime\n\nprint(datetime.datetime.now(datetime.UTC))\n",
        "import uuid\n\nprint(uuid.uuid4())\n",
        "import os\n\nprint(os.urandom(8))\n",
    ],
)
def test_the_lint_bans_clock_and_chance_outside_the_composition_root(code: str) -> None:
    for place in ("src/router/offers.py", "src/channels/chat.py", "src/agents/desk.py", "src/naru/center.py"):
        assert "TID251" in ruff(code, place), place
    assert "TID251" not in ruff(code, "src/naru/app.py")


# -- pages


def test_the_built_pages_are_those_of_the_sources(tmp_path: Path) -> None:
    """`npm ci && npm run build` in a copy gives the bytes that the package ships."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        if REQUIRE_ALL:
            pytest.fail("NARU_TEST_REQUIRE=all, and Node is not here")
        pytest.skip("NOT PROVED HERE: Node is not here")
    web = tmp_path / "web"
    shutil.copytree(ROOT / "web", web, ignore=shutil.ignore_patterns("node_modules"))
    static = tmp_path / "src" / "naru" / "static"
    for command in (["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"], ["npm", "run", "build"]):
        done = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=300)
        if done.returncode != 0 and command[1] == "ci" and not REQUIRE_ALL:
            pytest.skip(f"NOT PROVED HERE: npm ci failed: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    fresh, shipped = files(static), files(ROOT / "src" / "naru" / "static")
    assert set(fresh) == set(shipped)
    assert [name for name in fresh if fresh[name] != shipped[name]] == []


# -- configuration there and back


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SECONDS = st.floats(0, 366 * 86400)
KIND = st.sampled_from(["voice", "chat", "sms", "email", "social", "task"])


@st.composite
def configurations(draw: Any) -> dict[str, Any]:
    """Documents that are right, with whatever their owner may write into them."""
    slugs = st.from_regex(r"[a-z0-9][a-z0-9_.:-]{0,8}", fullmatch=True)
    ids = st.lists(slugs, min_size=1, max_size=3, unique=True)
    queues, brands, skills, agents, channels, rules, hooks = (draw(ids) for _ in range(7))
    condition = st.fixed_dictionaries(
        {"field": st.sampled_from(["text", "from", "customer.tier"]), "op": st.sampled_from(["eq", "ne", "contains"])},
        optional={},
    ).flatmap(lambda part: TEXT.map(lambda value: {**part, "value": value}))
    return {
        "name": draw(TEXT),
        "timezone": draw(st.sampled_from(["Asia/Seoul", "UTC"])),
        "skills": [{"id": id_, "name": draw(TEXT)} for id_ in skills],
        "calendars": [
            {
                "id": "hours",
                "name": draw(TEXT),
                "week": {"mon": ["09:00-12:00", "13:00-18:00"], "sat": ["22:00-02:00"]},
                "holidays": draw(st.sampled_from([[], ["KR"], ["KR", "US-CA"]])),
                "days": draw(st.dictionaries(st.dates().map(str), st.just(["10:00-11:00"]), max_size=2)),
            }
        ],
        "queues": [
            {
                "id": id_,
                "name": draw(TEXT),
                "hours": draw(st.sampled_from([None, "hours"])),
                "reserve": draw(st.integers(0, 5)),
                "target_s": draw(st.dictionaries(KIND, SECONDS, max_size=3)),
                "service_level": draw(st.floats(0.01, 1)),
                "max_wait_s": draw(st.none() | SECONDS),
                "dispositions": draw(st.lists(slugs, max_size=3)),
                "steps": [{"after_s": 5.0, "tier": 2}, {"after_s": draw(st.floats(6, 100)), "requires": []}],
            }
            for id_ in queues
        ],
        "brands": [
            {"id": id_, "name": draw(TEXT), "default_queue": draw(st.sampled_from(queues)), "languages": ["ko"]}
            for id_ in brands
        ],
        "agents": [
            {
                "id": id_,
                "name": draw(TEXT),
                "brands": draw(st.lists(st.sampled_from(brands), unique=True)),
                "skills": draw(st.dictionaries(st.sampled_from(skills), st.integers(1, 5))),
                "units": 10_000,
                "maximum": draw(st.dictionaries(KIND, st.integers(0, 100), max_size=2)),
                "serves_first": draw(st.lists(st.sampled_from(queues), unique=True, max_size=2)),
            }
            for id_ in agents
        ],
        "channels": [
            {
                "id": id_,
                "name": draw(TEXT),
                "brand": draw(st.sampled_from(brands)),
                "provider": "webhook",
                "kind": draw(KIND),
                "settings": draw(st.dictionaries(TEXT, JSON, max_size=3)),
                "secrets": {"signing_secret": "env:NARU_SECRET_X"},
            }
            for id_ in channels
        ],
        "webhooks": [
            {
                "id": id_,
                "url": draw(
                    st.sampled_from(["https://crm.test/in?x=1", "http://10.0.0.1:8080", "https://[::1]:8443/"])
                ),
                "secret": "secret:crm",
                "types": draw(
                    st.lists(st.sampled_from(["naru.agent", "naru.offer", "naru.contact.queued"]), max_size=2)
                ),
                "enabled": draw(st.booleans()),
            }
            for id_ in hooks
        ],
        "rules": [
            {
                "id": id_,
                "when": {"all": [draw(condition), {"not": draw(condition)}]},
                "then": {"queue": draw(st.sampled_from(queues)), "attributes": draw(st.dictionaries(TEXT, TEXT))},
            }
            for id_ in rules
        ],
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configurations())
def test_a_configuration_survives_yaml_and_the_log(data: dict[str, Any]) -> None:
    config = check(data)
    text = export(config)
    assert parse(text) == config
    assert export(parse(text)) == text
    assert canonical(config) == config and faults(config) == []
    body = ApplyConfig(version=1, config=config)
    envelope = Envelope(id="i", workspace="w", pool="w", actor="a", at=0, body=body, hash=body_hash(body, b""))
    back = decode_envelope(encode(envelope)).body
    assert isinstance(back, ApplyConfig) and back.config == config


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | JSON.map(lambda value: json.dumps(value)))
def test_whatever_text_comes_is_a_configuration_or_refused(text: str) -> None:
    try:
        config = parse(text)
    except BadConfig as refused:
        assert refused.faults and all(refused.faults)
    else:
        assert isinstance(config, Config)
        assert parse(export(config)) == config

"""`naru bench bus` measures what it says: a whole contact by the gateway's own doors, and the same with the router left out."""

import json
import os
from pathlib import Path

import pytest
from starlette.middleware.base import BaseHTTPMiddleware

from naru.app import Naru, create_app
from naru.bench import bus, surge
from naru.bench.edges import SECRET, SIGNED_BY, Refused, post
from naru.bus.base import EVENTS, IN
from naru.settings import Settings
from support import nursery


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SIGNED_BY, SECRET)
    monkeypatch.setattr(bus, "AGENTS", 3)
    monkeypatch.setattr(bus, "freeze", lambda: None)
    found = bus.Bench(Settings(data=str(tmp_path / "data")))
    found.house = Naru(Settings(data=str(tmp_path / "data")))  # all roles: the router is in it
    await found.start()
    yield found
    await found.stop()


async def test_a_contact_of_the_path_is_three_decided_inputs(bench: bus.Bench) -> None:
    workspace = bench.workspaces[0]
    log, before = bench.house.log, await bench.house.log.end(IN, 0)
    await bench._served("k1", workspace)
    pool = bench.house.center.pool(workspace)
    assert pool is not None
    assert not pool.contacts
    assert pool.memory.stats["care"].answered == 1
    assert await log.end(IN, 0) == before + 3
    assert await bench._offer_s("k2", workspace) > 0


async def test_a_contact_of_the_ceiling_is_the_same_three_inputs_where_no_router_reads(bench: bus.Bench) -> None:
    workspace = bench.workspaces[0]
    log, before = bench.house.log, await bench.house.log.end(IN, 0)
    await bench._echoed("k1", workspace)
    assert await log.end(EVENTS, 0) == 3
    assert await log.end(IN, 0) == before
    pool = bench.house.center.pool(workspace)
    assert pool is not None
    assert not pool.conversations
    assert await bench._hop("k2", workspace) > 0
    assert await log.end(EVENTS, 0) == 4


async def test_what_is_measured_is_verified_and_answered(bench: bus.Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = bench.workspaces[0]
    with pytest.raises(Refused, match=r"40[49]"):
        await bench._seats[workspace].do(bench.house.desks, "x1", "accept", {"offer": "none"})
    monkeypatch.setattr("naru.bench.edges.SECRET", "whsec_another")
    with pytest.raises(Refused, match="403"):
        await post(bench._app, bench._hooks[workspace], "k1", bench.house.clock())


async def test_nothing_around_a_request_runs_it_in_a_task_of_its_own(bench: bus.Bench) -> None:
    app = create_app(bench.house)
    assert [kind for kind in app.user_middleware if issubclass(kind.cls, BaseHTTPMiddleware)] == []  # type: ignore[arg-type]


async def test_in_a_surge_everybody_ends_in_one_way_and_keeps_the_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`naru bench surge`, quickened: who comes while the line is full is busy, some take a callback, nobody is lost."""
    quick = {
        "RING_S": 0.05,
        "TALK_S": 0.3,
        "WRAP_S": 0.05,
        "PATIENCE_S": 4.0,
        "KEY_S": 0.5,
        "AGAIN_S": (0.2, 0.6),
        "ROOM": 3,
    }
    for name, value in quick.items():
        monkeypatch.setattr(surge, name, value)
    monkeypatch.chdir(tmp_path)
    found = await surge.surge(agents=3, calm_per_s=2, times=30, calm_s=1, surge_s=1)
    assert (found["unaccounted"], found["out_of_order"], found["failed_requests"]) == (0, 0, 0), found
    assert found["ends"]["busy"] and found["promised"] >= found["ends"]["promised"] > 0
    assert sum(found["outcomes"].values()) == found["contacts"], "nobody is left"
    called_back = found["promised"] - found["outcomes"].get("called_again", 0)
    assert found["outcomes"]["handled"] >= called_back


def test_figures_for_a_program_stand_alone_on_stdout(tmp_path: Path) -> None:
    args = ["bench", "path", "--rate", "200", "--samples", "10", "--json", "--data", str(tmp_path)]
    done = nursery.run(args, dict(os.environ), 60, check=True)
    assert json.loads(done.stdout)["samples"] == 10

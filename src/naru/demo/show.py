"""`naru demo`: a center, a carrier and a post office on loopback, and people who use them. Prints three links."""

import asyncio
import contextlib
import importlib.resources
import random  # noqa: TID251 - the demo's composition root; always seeded
import shutil
import socket
import sys
import tempfile
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from rich.console import Console
from rich.panel import Panel

from channels.twilio import signature
from naru.admin.config import parse
from naru.app import Naru
from naru.demo import outreach
from naru.demo.carrier import Carrier
from naru.demo.past import write_past
from naru.demo.people import ARRIVALS, SimulatedAgent, World, arrivals, broadcasts, new_secret
from naru.server import serve
from naru.settings import load

WORKSPACE = "demo"
SEATS = ("mina", "jun", "sora", "hana", "minh", "alex", "yuna", "dohyun", "haneul", "bomi")


def free_port(wanted: int) -> int:
    """The wanted port of the loopback, or any free one when it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


async def run_demo(port: int, seed: int, speed: float, data: str | None, for_s: float | None) -> dict[str, Any]:
    folder = data or tempfile.mkdtemp(prefix="naru-demo-")
    port = free_port(port)
    settings = load({}, data=folder, port=port)
    demo = Demo(settings.base_url, seed, speed)
    work = asyncio.create_task(serve(settings, demo.start))
    try:
        if for_s is None:
            await work
        else:
            await asyncio.wait([work], timeout=for_s)
    except asyncio.CancelledError:
        pass
    summary = demo.summary()
    await demo.close()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    if data is None:
        shutil.rmtree(folder, ignore_errors=True)
    return summary


class Demo:
    def __init__(self, url: str, seed: int, speed: float) -> None:
        self._url = url
        self._chance = random.Random(seed)  # noqa: S311 - simulated people, not secrets
        self._speed = speed
        self._tasks: list[asyncio.Task[Any]] = []
        self._world: World | None = None
        self._house: Naru | None = None
        self._carrier: Carrier | None = None

    async def start(self, house: Naru) -> None:
        self._house = house
        aux_port = free_port(0)
        aux = f"http://127.0.0.1:{aux_port}"
        secret = new_secret(bytes(self._chance.randrange(256) for _ in range(32)))
        token = f"demo-{self._chance.randrange(10**12)}"
        await house.secrets.put(WORKSPACE, "demo-post", secret)
        await house.secrets.put(WORKSPACE, "demo-carrier", token)
        text = (importlib.resources.files("naru.demo") / "center.yaml").read_text().replace("AUX", aux)
        config = parse(text)
        first = WORKSPACE not in await house.accounts.workspaces()
        await house.accounts.ensure_workspace(WORKSPACE, config.name)
        await house.configurations.apply(WORKSPACE, config, "demo")
        await house.announce()
        if first:
            await write_past(house.database, WORKSPACE, house.clock(), self._chance)
        self._carrier = Carrier(
            "ACdemo", token, lambda url, fields: signature(token, url, fields), house.clock, self._carrier_sleep
        )
        for agent in config.agents:
            if agent.phone:
                self._carrier.phone(agent.phone, answer_after_s=1.0)
        await self._serve_aux(aux_port)
        hooks = {c.id: f"{self._url}/hooks/{house.channels.hook(WORKSPACE, c.id)}" for c in config.channels}
        self._world = World(self._url, hooks, secret, self._carrier, self._chance, self._speed, house.clock)
        await self._people(house, self._world)
        if first:
            await outreach.begin(house, WORKSPACE, self._carrier, self._chance)
        await self._tell(house, hooks)

    async def _carrier_sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)

    async def _serve_aux(self, port: int) -> None:
        """The carrier's API, and a post office that takes the answers to simulated mails."""
        assert self._carrier is not None
        app = FastAPI(openapi_url=None)

        @app.post("/post", status_code=202)
        async def post(request: Request) -> dict[str, str]:
            assert self._world is not None
            self._world.count("answers")
            return {"status": "taken"}

        app.mount("/", self._carrier.app)
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        self._tasks.append(asyncio.create_task(server._serve()))

    async def _people(self, house: Naru, world: World) -> None:
        for name in SEATS:
            _, key = await house.accounts.create_key(WORKSPACE, f"simulated {name}", "agent", name)
            self._tasks.append(asyncio.create_task(SimulatedAgent(world, name, key).work()))
        for life, mean_s in ARRIVALS:
            self._tasks.append(asyncio.create_task(arrivals(world, life, mean_s)))
        self._tasks.append(asyncio.create_task(broadcasts(world)))

    async def _tell(self, house: Naru, hooks: dict[str, str]) -> None:
        accounts = house.accounts
        desk = await accounts.login_token(WORKSPACE, "you")
        board = await accounts.login_token(WORKSPACE, "boss")
        calls = await accounts.login_token(WORKSPACE, "boss")
        channel = hooks["bada-chat"].rsplit("/", 1)[-1]
        lines = [
            f"[bold]Agent's desk[/]     {self._url}/desk#token={desk}",
            f"[bold]Wallboard[/]        {self._url}/wallboard#token={board}",
            f"[bold]Campaigns[/]        {self._url}/campaigns#token={calls}",
            f"[bold]Customer's page[/]  {self._url}/shop?channel={channel}&phone=1588-0001&mail=help@bada.example",
            "",
            "Demo data: simulated customers and agents use the public API. Go available at the desk to join them.",
            f"Stop with Ctrl-C. Data: {house.settings.folder}",
        ]
        Console(file=sys.stdout, width=200, highlight=False).print(
            Panel("\n".join(lines), title="Naru is running", expand=False)
        )
        sys.stdout.flush()

    def summary(self) -> dict[str, Any]:
        """What has happened: contacts sent by kind, and offers accepted, by the center's own count."""
        sent = dict(self._world.counts) if self._world else {}
        pool = self._house.center.pool(WORKSPACE) if self._house else None
        stats = pool.memory.stats.values() if pool else ()
        return {
            "sent": sent,
            "routed": sum(row.answered for row in stats),
            "arrived": sum(row.arrived for row in stats),
        }

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._carrier is not None:
            await self._carrier.close()
        if self._world is not None:
            await self._world.close()

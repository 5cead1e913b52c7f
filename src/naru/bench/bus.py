"""`naru bench bus`: whole contacts through Kafka and one, two or four router processes, beside the same without a router.

A contact here is three inputs and their records: it comes in as a signed webhook would, is offered, accepted, completed.
The ceiling is what the same client reaches when it sends the same three inputs to the same broker and reads each back
itself: what sealing, encoding, appending and reading cost anyway. Both, and the latencies, in one run.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from agents.socket import Connection
from naru.app import Naru
from naru.bench.path import percentile
from naru.bus import topics
from naru.bus.base import EVENTS
from naru.center import shard_of
from naru.fold import open_content
from naru.settings import Settings
from naru.store import migrate
from naru.wire import decode_envelope, encode
from router import inputs
from router.config import Agent, Brand, Channel, Config, Queue
from router.model import Content, Identity, Text, Thread, conversation_id

AGENTS = 200
IN_FLIGHT = 512
CONTACTS = 12_000
SLOW_PER_S, SLOW = 50.0, 1_000
START_S = 60.0
LONGEST_S = 30.0


def config(workspace: str) -> Config:
    return Config(
        name=workspace,
        brands=(Brand(id="shop", name="Shop", default_queue="care"),),
        channels=(Channel(id="c", name="C", brand="shop", provider="webhook", kind="social"),),
        queues=(Queue(id="care", name="Care", offer_timeout_s=600),),
        agents=tuple(Agent(id=f"a{n}", name=f"A{n}", brands=("shop",), units=1000) for n in range(AGENTS)),
    )


async def bus(settings: Settings, routers: list[int]) -> dict[str, Any]:
    """One figure for each number of router processes. Needs Kafka and PostgreSQL; the topics must be new."""
    await asyncio.to_thread(migrate.upgrade, settings.store_url)
    await topics.make(settings.broker, settings.shards)
    bench = Bench(settings)
    runs: list[dict[str, Any]] = []
    with contextlib.ExitStack() as processes:
        running = 0
        for count in routers:
            while running < count:
                processes.enter_context(_router(settings, running))
                running += 1
            if not runs:
                await bench.start()
            await bench.owned()
            runs.append({"routers": count, **await bench.measure()})
        await bench.stop()
    return {"broker": f"Kafka at {settings.kafka}, replication {settings.kafka_replication}", **runs[0], "runs": runs}


@contextlib.contextmanager
def _router(settings: Settings, number: int) -> Iterator[None]:
    known = {f"NARU_{name.upper()}": str(getattr(settings, name)) for name in Settings.__struct_fields__}
    env = {**os.environ, **known, "NARU_WORKER": f"bench-router-{number}", "NARU_PORT": "0", "NARU_PUBLIC_URL": ""}
    command = [sys.executable, "-m", "naru.cli", "serve", "router"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


class _Seat(Connection):
    """A desk without a network: hands on each offer when its frame is ready to be written."""

    def __init__(self, offered: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._offered = offered

    def send(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"offer",'):
            self._offered(msgspec.json.decode(frame)["offer"])


class Bench:
    """The client: a gateway without HTTP, its desks, and its customers."""

    def __init__(self, settings: Settings) -> None:
        self.house = Naru(msgspec.structs.replace(settings, worker="bench-gateway"), frozenset(("gateway",)))
        self.workspaces = [f"bench{n}" for n in range(settings.shards)]
        self.shards = settings.shards
        self._offers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._echoes: dict[str, asyncio.Future[None]] = {}
        self._reading: list[asyncio.Task[None]] = []
        self._count = 0

    async def start(self) -> None:
        house = self.house
        await house.start()
        self._reading = [asyncio.create_task(self._read_back(shard)) for shard in range(self.shards)]
        for workspace in self.workspaces:
            await house.accounts.ensure_workspace(workspace, workspace)
            await house.configurations.apply(workspace, config(workspace), "bench")
            for number in range(AGENTS):
                agent = f"a{number}"
                connection = f"{house.name}:{house.boot}:{agent}"
                for key, body in (
                    ("c", inputs.Connect(agent=agent, connection=connection)),
                    ("p", inputs.SetPresence(agent=agent, presence="available")),
                ):
                    await house.center.take(workspace, "naru", f"{key}{agent}", body)
                house.desks.seat(workspace, agent, _Seat(self._offered))

    async def owned(self) -> None:
        """Until every shard decides: each answers a question of its own."""
        await asyncio.sleep(3)  # a process that has just come listens so long, and takes its shards over
        self._count += 1
        for workspace in self.workspaces:
            key, body = f"own{self._count}", inputs.StartGateway(gateway="x")
            answer, _ = await self.house.center.ask(workspace, "naru", key, body, timeout_s=START_S)
            if answer is None:
                raise TimeoutError(f"nobody owns the shard of {workspace}")

    async def stop(self) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await self.house.stop()

    async def measure(self) -> dict[str, Any]:
        ceiling = await self._rate(self._echoed, CONTACTS // 2)
        path = await self._rate(self._served, CONTACTS)
        again = await self._rate(self._echoed, CONTACTS // 2)
        hops = await self._paced(self._hop)
        offers = await self._paced(self._offer_s)
        mean = (ceiling + again) / 2
        return {
            "path_per_s": round(path),
            "ceiling_per_s": round(mean),
            "share_of_ceiling": round(path / mean, 3),
            "offer_ms": _ms(offers),
            "hop_ms": _ms(hops),
            "offer_per_hop": round(percentile(offers, 0.5) / percentile(hops, 0.5), 2),
        }

    async def _rate(self, one: Callable[[str, str], Awaitable[None]], contacts: int) -> float:
        free = asyncio.Semaphore(IN_FLIGHT)

        async def run(name: str, workspace: str) -> None:
            try:
                async with asyncio.timeout(LONGEST_S):
                    await one(name, workspace)
            finally:
                free.release()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(contacts):
                await free.acquire()
                self._count += 1
                group.create_task(run(f"k{self._count}", self.workspaces[number % len(self.workspaces)]))
        return contacts / (time.perf_counter() - began)

    async def _paced(self, one: Callable[[str, str], Awaitable[float]]) -> list[float]:
        """So many a second, one by one: what a quiet center gives."""
        found: list[float] = []
        start = time.perf_counter()
        for number in range(SLOW):
            await asyncio.sleep(max(0.0, start + number / SLOW_PER_S - time.perf_counter()))
            self._count += 1
            found.append(await one(f"k{self._count}", self.workspaces[number % len(self.workspaces)]) * 1000)
        return found

    # -- with a router

    def _offered(self, offer: dict[str, Any]) -> None:
        waiting = self._offers.pop(offer["conversation"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result({**offer, "at": time.perf_counter()})

    async def _arrive(self, name: str, workspace: str) -> dict[str, Any]:
        """As a webhook that was verified and read: seal, durable append; until its offer's frame is there."""
        body, content = _message(name)
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._offers[conversation_id("c", body.thread)] = waiting
        await self.house.center.take(workspace, "channel:c", name, body, content)
        return await waiting

    async def _served(self, name: str, workspace: str) -> None:
        offer = await self._arrive(name, workspace)
        pool = self.house.center.pool(workspace)
        contact = pool.contacts[offer["contact"]] if pool else None
        agent = contact.offer.agent if contact and contact.offer else ""
        ask = self.house.center.ask
        await ask(workspace, agent, f"a{name}", inputs.AcceptOffer(agent=agent, offer=offer["id"]))
        await ask(workspace, agent, f"d{name}", inputs.CompleteContact(agent=agent, contact=offer["contact"]))

    async def _offer_s(self, name: str, workspace: str) -> float:
        began = time.perf_counter()
        offer = await self._arrive(name, workspace)
        took: float = offer["at"] - began
        pool = self.house.center.pool(workspace)
        contact = pool.contacts[offer["contact"]] if pool else None
        agent = contact.offer.agent if contact and contact.offer else ""
        await self.house.center.ask(workspace, agent, f"a{name}", inputs.AcceptOffer(agent=agent, offer=offer["id"]))
        done = inputs.CompleteContact(agent=agent, contact=offer["contact"])
        await self.house.center.ask(workspace, agent, f"d{name}", done)
        return took

    # -- without one

    async def _echoed(self, name: str, workspace: str) -> None:
        body, content = _message(name)
        await self._echo(workspace, name, body, content)
        await self._echo(workspace, f"a{name}", inputs.AcceptOffer(agent="none", offer=name), None)
        await self._echo(workspace, f"d{name}", inputs.CompleteContact(agent="none", contact=name), None)

    async def _hop(self, name: str, workspace: str) -> float:
        body, content = _message(name)
        began = time.perf_counter()
        await self._echo(workspace, name, body, content)
        return time.perf_counter() - began

    async def _echo(self, workspace: str, key: str, body: inputs.Input, content: Content | None) -> None:
        """An input as the center makes it, appended where no router reads, and read back, decoded and opened by us."""
        envelope = self.house.center.envelope(workspace, "bench", key, body, content)
        waiting = self._echoes[envelope.id] = asyncio.get_running_loop().create_future()
        await self.house.log.append(EVENTS, shard_of(workspace, self.shards), [encode(envelope)])
        await waiting

    async def _read_back(self, shard: int) -> None:
        log = self.house.log
        async for batch in log.read(EVENTS, shard, await log.end(EVENTS, shard)):
            for stored in batch:
                envelope = decode_envelope(stored.value)
                open_content(self.house.keyring, envelope)
                waiting = self._echoes.pop(envelope.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)


def _message(name: str) -> tuple[inputs.ReceiveMessage, Content]:
    body = inputs.ReceiveMessage(
        channel="c",
        thread=Thread(external=name),
        identity=Identity(scope="bench", kind="external", value=name),
        dedupe_key=name,
    )
    return body, Content(parts=(Text(text="How long will this take?"),))


def _ms(values: list[float]) -> dict[str, float]:
    return {"p50": round(percentile(values, 0.5), 2), "p99": round(percentile(values, 0.99), 2)}

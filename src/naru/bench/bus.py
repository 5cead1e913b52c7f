"""`naru bench bus`: whole contacts through Kafka and one, two or four router processes, beside the same without a router.

A contact is three inputs. It comes in as a signed webhook, handed to the gateway's own application: its middleware and
routes, the signature over the raw bytes, the provider's `read`, the intake, sealing, a durable append. When the offer's
frame is ready to be written, its desk accepts and then completes, each as the frame of a command handed to the gateway's
desks, until the frame of the answer is ready to be written. Only sockets are left out, and uvicorn with them.

- `path_per_s`: such contacts a second, so many in flight, with that many routers. Besides the above the gateway reads
  every input and every record of the journal, folds it and makes the frames of 200 desks in each of its workspaces.
- `ceiling_per_s`: the same with the router taken out, and what follows from its journal. The same webhooks and commands go
  through the same code to the same broker, into a topic that no router reads, and this process reads each back and
  answers it itself. Half of it before the path and half after.
- `processor_us`: processor time of this process, gateway and customers and desks in one, for each of these contacts.
- `offer_ms`: 50 a second, one at a time: from the webhook to the frame of the offer.
- `hop_ms`: likewise: an input sealed, appended and read back, and nothing else; no HTTP.
"""

import asyncio
import contextlib
import copy
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

import agents.ports
import channels.ports
from agents.auth import Principal
from agents.desk import Desk
from agents.socket import Desks
from channels.gateway import Intake
from naru.app import Naru, Port, create_app
from naru.bench.edges import SECRET, SIGNED_BY, TEXT, Seat, config, post
from naru.bench.path import percentile
from naru.bench.processes import process
from naru.bus import topics
from naru.bus.base import EVENTS, Log, Stored
from naru.center import Center, shard_of
from naru.fold import Fold
from naru.language import detect
from naru.settings import Settings
from naru.store import migrate
from naru.tame import freeze, tame
from naru.wire import decode_envelope, encode, input_id
from router import inputs
from router.model import Content, Identity, Text, Thread, conversation_id
from router.turn import Answer

AGENTS = 200
IN_FLIGHT = 512
CONTACTS = 12_000
SLOW_PER_S, SLOW = 50.0, 1_000
START_S = 60.0
LONGEST_S = 30.0


async def bus(settings: Settings, routers: list[int]) -> dict[str, Any]:
    """One figure for each number of router processes. Needs Kafka and PostgreSQL; the topics must be new."""
    os.environ[SIGNED_BY] = SECRET
    tame()  # as a gateway is
    await asyncio.to_thread(migrate.upgrade, settings.store_url)
    await topics.make(settings.broker, settings.shards)
    bench = Bench(settings)
    runs: list[dict[str, Any]] = []
    with contextlib.ExitStack() as processes:
        running = 0
        for count in routers:
            while running < count:
                worker = f"bench-router-{running}"
                router = msgspec.structs.replace(settings, worker=worker, port=0, public_url="")
                processes.enter_context(process(router, "router"))
                running += 1
            if not runs:
                await bench.start()
            await bench.owned()
            runs.append({"routers": count, **await bench.measure()})
        await bench.stop()
    return {"broker": f"Kafka at {settings.kafka}, replication {settings.kafka_replication}", **runs[0], "runs": runs}


class _Aside:
    """The log, with inputs put where no router reads them."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def append(self, topic: str, part: int, values: Sequence[bytes]) -> Coroutine[Any, Any, list[Stored]]:
        return self._log.append(EVENTS, part, values)


def without_router(house: Naru) -> tuple[Naru, Center]:
    """The same gateway once more, whose inputs go aside; whoever reads them back answers them at its center."""
    shown = Fold(house.log, range(0), house.keyring, house.snapshots)
    shown.pools = house.fold.pools
    center = Center(_Aside(house.log), shown, house.keyring, house.settings.shards, house.clock)  # type: ignore[arg-type]
    twin = copy.copy(house)
    twin.bus = Port(center, channels.ports.Unavailable, house.metrics.append.observe)
    twin.desk_bus = Port(center, agents.ports.Unavailable, house.metrics.append.observe)
    twin.intake = Intake(twin.bus, house.history, house.files, detect, house.policy_of)
    desk = Desk(twin.desk_bus, house.files)
    twin.desks = Desks(twin.desk_bus, desk, house.accounts, house.clock, "aside")
    return twin, center


class Bench:
    """The client: a gateway without sockets, its desks, and its customers."""

    def __init__(self, settings: Settings) -> None:
        self.house = Naru(msgspec.structs.replace(settings, worker="bench-gateway"), frozenset(("gateway",)))
        self.workspaces = [f"bench{n}" for n in range(settings.shards)]
        self.shards = settings.shards
        self._offers: dict[str, asyncio.Future[tuple[Seat, dict[str, Any], float]]] = {}
        self._echoes: dict[str, asyncio.Future[None]] = {}
        self._reading: list[asyncio.Task[None]] = []
        self._count = 0

    async def start(self) -> None:
        house = self.house
        await house.start()
        twin, self._echoing = without_router(house)
        self._app, self._app_aside, self._desks_aside = create_app(house), create_app(twin), twin.desks
        self._reading = [asyncio.create_task(self._read_back(shard)) for shard in range(self.shards)]
        self._hooks = {workspace: house.channels.hook(workspace, "c") for workspace in self.workspaces}
        self._seats: dict[str, Seat] = {}
        for workspace in self.workspaces:
            await house.accounts.ensure_workspace(workspace, workspace)
            await house.configurations.apply(workspace, config(workspace, AGENTS, units=1000), "bench")
            for number in range(AGENTS):
                await self._sit(workspace, f"a{number}")
        freeze()

    async def _sit(self, workspace: str, agent: str) -> None:
        house = self.house
        connection = f"{house.name}:{house.boot}:{agent}"
        await house.center.take(workspace, "naru", f"c{agent}", inputs.Connect(agent=agent, connection=connection))
        await house.center.take(workspace, "naru", f"p{agent}", inputs.SetPresence(agent=agent, presence="available"))
        seat = self._seats[workspace] = Seat(Principal(workspace, agent, "agent", agent), self._offered)
        house.desks.seat(workspace, agent, seat)

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
        ceiling, ceiling_us = await self._rate(self._echoed, CONTACTS // 2)
        path, path_us = await self._rate(self._served, CONTACTS)
        again, again_us = await self._rate(self._echoed, CONTACTS // 2)
        hops = await self._paced(self._hop)
        offers = await self._paced(self._offer_s)
        mean = (ceiling + again) / 2
        return {
            "path_per_s": round(path),
            "ceiling_per_s": round(mean),
            "share_of_ceiling": round(path / mean, 3),
            "processor_us": {"path": round(path_us), "ceiling": round((ceiling_us + again_us) / 2)},
            "offer_ms": _ms(offers),
            "hop_ms": _ms(hops),
            "offer_per_hop": round(percentile(offers, 0.5) / percentile(hops, 0.5), 2),
        }

    async def _rate(self, one: Callable[[str, str], Awaitable[None]], contacts: int) -> tuple[float, float]:
        """(contacts a second, microseconds of this process's processor time for each)."""
        free = asyncio.Semaphore(IN_FLIGHT)

        async def run(name: str, workspace: str) -> None:
            try:
                async with asyncio.timeout(LONGEST_S):
                    await one(name, workspace)
            finally:
                free.release()

        began, used = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for number in range(contacts):
                await free.acquire()
                self._count += 1
                group.create_task(run(f"k{self._count}", self.workspaces[number % len(self.workspaces)]))
        return contacts / (time.perf_counter() - began), (time.process_time() - used) / contacts * 1e6

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

    def _offered(self, seat: Seat, offer: dict[str, Any]) -> None:
        waiting = self._offers.pop(offer["conversation"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result((seat, offer, time.perf_counter()))

    async def _arrive(self, name: str, workspace: str) -> tuple[Seat, dict[str, Any], float]:
        """A webhook, until the frame of its offer: the desk, the offer and when that was."""
        waiting: asyncio.Future[tuple[Seat, dict[str, Any], float]] = asyncio.get_running_loop().create_future()
        self._offers[conversation_id("c", Thread(external=name))] = waiting
        await post(self._app, self._hooks[workspace], name, self.house.clock())
        return await waiting

    async def _served(self, name: str, workspace: str) -> None:
        seat, offer, _ = await self._arrive(name, workspace)
        await seat.do(self.house.desks, f"a{name}", "accept", {"offer": offer["id"]})
        await seat.do(self.house.desks, f"d{name}", "complete", {"contact": offer["contact"]})

    async def _offer_s(self, name: str, workspace: str) -> float:
        began = time.perf_counter()
        seat, offer, at = await self._arrive(name, workspace)
        await seat.do(self.house.desks, f"a{name}", "accept", {"offer": offer["id"]})
        await seat.do(self.house.desks, f"d{name}", "complete", {"contact": offer["contact"]})
        return at - began

    # -- without one

    async def _echoed(self, name: str, workspace: str) -> None:
        back = self._back(input_id(workspace, "channel:c", name))
        await post(self._app_aside, self._hooks[workspace], name, self.house.clock())
        await back
        seat = self._seats[workspace]
        await seat.do(self._desks_aside, f"a{name}", "accept", {"offer": name})
        await seat.do(self._desks_aside, f"d{name}", "complete", {"contact": name})

    def _back(self, id_: str) -> "asyncio.Future[None]":
        waiting = self._echoes[id_] = asyncio.get_running_loop().create_future()
        return waiting

    async def _hop(self, name: str, workspace: str) -> float:
        body, content = _message(name)
        began = time.perf_counter()
        envelope = self.house.center.envelope(workspace, "bench", name, body, content)
        back = self._back(envelope.id)
        await self.house.log.append(EVENTS, shard_of(workspace, self.shards), [encode(envelope)])
        await back
        return time.perf_counter() - began

    async def _read_back(self, shard: int) -> None:
        log, done = self.house.log, Answer()
        async for batch in log.read(EVENTS, shard, await log.end(EVENTS, shard)):
            for stored in batch:
                envelope = decode_envelope(stored.value)
                waiting = self._echoes.pop(envelope.id, None)
                if waiting is None:
                    self._echoing.answered(envelope.id, done, f"{shard}.{stored.offset}")
                elif not waiting.done():
                    waiting.set_result(None)


def _message(name: str) -> tuple[inputs.ReceiveMessage, Content]:
    body = inputs.ReceiveMessage(
        channel="c",
        thread=Thread(external=name),
        identity=Identity(scope="bench", kind="external", value=name),
        dedupe_key=name,
    )
    return body, Content(parts=(Text(text=TEXT),))


def _ms(values: list[float]) -> dict[str, float]:
    return {"p50": round(percentile(values, 0.5), 2), "p99": round(percentile(values, 0.99), 2)}

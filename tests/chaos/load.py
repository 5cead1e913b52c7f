"""The people of the chaos test, and their ledger: customers who write by webhook, agents at desks, a receiver of answers.

Each does what its protocol asks: repeat under the same id until acknowledged, come back to another gateway. What was
acknowledged is written down here, and nowhere does a client look at what the center believes.
"""

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from channels.standard import sign
from support.center import HOOK_SECRET

GONE = (OSError, WebSocketException, httpx2.HTTPError, TimeoutError)


@dataclass
class Ledger:
    """Times are of one wall clock."""

    sent: int = 0
    tries: int = 0
    repeated: int = 0
    passed_over: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[tuple[str, str], float] = field(default_factory=dict)  # (workspace, id) -> when
    longest_s: float = 0.0
    offers_s: list[float] = field(default_factory=list)  # from a contact's acknowledgement to its offer's frame
    offered: set[tuple[str, str]] = field(default_factory=set)  # (offer, agent)
    accepted: set[tuple[str, str]] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    delivered: dict[str, int] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    came_back: int = 0


class Balancer:
    """What stands before the gateways: it sends work to those that say they are ready, and passes over closed doors."""

    def __init__(self, gateways: list[str], chance: random.Random) -> None:
        self.gateways = gateways
        self.ready = list(gateways)
        self._chance = chance

    async def run(self) -> None:
        async with httpx2.AsyncClient(timeout=2) as client:
            while True:
                for gateway in self.gateways:
                    try:
                        good = (await client.get(f"{gateway}/readyz")).status_code == 200
                    except GONE:
                        good = False
                    if good != (gateway in self.ready):
                        (self.ready.append if good else self.ready.remove)(gateway)
                await asyncio.sleep(0.5)

    def order(self) -> list[str]:
        """Whom to try, one after the other."""
        ready = self.ready or self.gateways
        return self._chance.sample(ready, len(ready))


@dataclass
class Door:
    """One workspace as its customers know it: what stands before its gateways, and the hook's path."""

    workspace: str
    hook: str
    balancer: Balancer
    keys: dict[str, str]


class Customers:
    def __init__(self, doors: list[Door], ledger: Ledger, chance: random.Random, per_s: float) -> None:
        self._doors, self._ledger, self._chance, self._per_s = doors, ledger, chance, per_s
        self._client = httpx2.AsyncClient(timeout=4)
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: dict[str, list[str]] = {}
        self._over = False

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(self._per_s))
            if self._over:
                return
            self._start(self._writes(self._chance.choice(self._doors)))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _writes(self, door: Door) -> None:
        """A new thread mostly, now and then one more word in an old one; a tenth is delivered twice."""
        ledger, chance = self._ledger, self._chance
        ledger.sent += 1
        id_ = f"m{ledger.sent}"
        known = self._threads.setdefault(door.workspace, [])
        thread = chance.choice(known) if known and chance.random() < 0.15 else f"t{ledger.sent}"
        known.append(thread)
        del known[:-50]
        body = json.dumps({"thread": thread, "from": {"value": thread}, "text": f"hello {id_}"}).encode()
        await self._deliver(door, id_, body)
        if chance.random() < 0.1:
            await asyncio.sleep(chance.uniform(0, 5))
            ledger.repeated += 1
            await self._deliver(door, id_, body)

    async def _deliver(self, door: Door, id_: str, body: bytes) -> None:
        """Until some gateway has acknowledged it."""
        ledger, began = self._ledger, time.time()
        while True:
            stamp = str(int(time.time()))
            signature = sign(HOOK_SECRET, id_, stamp, body)
            headers = {"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": signature}
            ledger.tries += 1
            said = await self._post(door, body, headers)
            if said.startswith("2"):
                ledger.acknowledged.setdefault((door.workspace, id_), time.time())
                ledger.longest_s = max(ledger.longest_s, time.time() - began)
                return
            ledger.refused[said] = ledger.refused.get(said, 0) + 1
            await asyncio.sleep(self._chance.uniform(0.1, 1.0))

    async def _post(self, door: Door, body: bytes, headers: dict[str, str]) -> str:
        """The status, or what broke. A door that does not open is passed over, as balancers do."""
        said = "nobody"
        for gateway in door.balancer.order():
            try:
                answer = await self._client.post(f"{gateway}/hooks/{door.hook}", content=body, headers=headers)
                return str(answer.status_code)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                said = type(error).__name__
                self._ledger.passed_over += 1
            except GONE as error:
                return type(error).__name__
        return said

    async def end(self) -> None:
        """No new ones; those that are on their way are brought home."""
        self._over = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._client.aclose()


class Agent:
    """At a desk's socket: accepts, answers, completes; comes back, at another gateway, whenever the line breaks."""

    def __init__(self, door: Door, name: str, ledger: Ledger, chance: random.Random) -> None:
        self._door, self._name, self._ledger, self._chance = door, name, ledger, chance
        self._works: dict[str, asyncio.Task[None]] = {}
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._socket: Any = None
        self._count = 0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(*GONE):
                await self._sit()
            self._ledger.came_back += 1
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))

    async def _sit(self) -> None:
        gateway = self._door.balancer.order()[0]
        headers = {"Authorization": f"Bearer {self._door.keys[self._name]}"}
        async with httpx2.AsyncClient(base_url=gateway, timeout=4) as client:
            answer = await client.post("/v1/tickets", headers=headers)
            if answer.status_code != 200:
                raise OSError(answer.status_code)
        url = gateway.replace("http", "ws") + "/v1/agents/ws"
        async with connect(
            url, subprotocols=["naru.v1"], open_timeout=4, close_timeout=1, ping_interval=None
        ) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "hello", "ticket": answer.json()["ticket"]}))
            self._socket = socket
            status = asyncio.create_task(self._do("status", presence="available"))
            try:
                while True:
                    async with asyncio.timeout(25):  # the server says something every 15 s
                        frame = json.loads(await socket.recv())
                    await self._take(frame)
            finally:
                self._socket = None
                status.cancel()

    async def _take(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "ping" and self._socket is not None:
            await self._socket.send('{"type":"pong"}')
        elif kind == "answer" and frame["id"] in self._answers:
            self._answers.pop(frame["id"]).set_result(frame)
        elif kind == "view":
            if frame["agent"]["presence"] != "available":
                self._begin("status", self._do("status", presence="available"))
            for offer in frame["offers"]:
                self._offered(offer)
            for contact in frame["contacts"]:
                self._begin(contact["id"], self._serve(contact["id"], contact["status"]))
        elif kind == "offer":
            self._offered(frame["offer"])
        elif kind == "agent" and frame["agent"]["presence"] == "unresponsive":
            self._begin("status", self._do("status", presence="available"))

    def _offered(self, offer: dict[str, Any]) -> None:
        if (offer["id"], self._name) not in self._ledger.offered:
            self._ledger.offered.add((offer["id"], self._name))
            self._ledger.offers_s.append(time.time() - offer["waiting_since"])
        self._begin(offer["contact"], self._serve(offer["contact"], "offered", offer["id"]))

    def _begin(self, what: str, work: Any) -> None:
        if what in self._works and not self._works[what].done():
            work.close()
            return
        self._works[what] = asyncio.create_task(work)

    async def _serve(self, contact: str, status: str, offer: str | None = None) -> None:
        chance = self._chance
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        if status == "offered" and offer is not None:
            if await self._do("accept", offer=offer) != 200:
                return
            self._ledger.accepted.add((offer, self._name))
        if status != "wrapping":
            await asyncio.sleep(chance.uniform(0.3, 2.0))
            text = f"answer {self._door.workspace} {contact}"
            if await self._do("message", contact=contact, text=text) == 200:
                self._ledger.answered.add(contact)
        await self._do("wrap-up", contact=contact)
        if await self._do("complete", contact=contact) == 200:
            self._ledger.completed.add(contact)

    async def _do(self, command: str, **args: Any) -> int:
        """One command, under one id, until it is answered."""
        self._count += 1
        id_ = f"{self._name}-{self._count}-{time.time_ns()}"
        while True:
            waiting = self._answers[id_] = asyncio.get_running_loop().create_future()
            with contextlib.suppress(*GONE):
                if self._socket is not None:
                    await self._socket.send(json.dumps({"type": "do", "id": id_, "do": command, "args": args}))
                    async with asyncio.timeout(4):
                        status = int((await waiting)["status"])
                    if status not in (202, 503):
                        return status
            await asyncio.sleep(0.5)


class Receiver:
    """Where answers are delivered to; it counts them by their id."""

    def __init__(self, host: str, port: int, ledger: Ledger) -> None:
        self.url = f"http://{host}:{port}/answers"
        app = FastAPI(openapi_url=None)

        @app.post("/answers")
        async def answers(request: Request) -> dict[str, str]:
            id_ = request.headers["webhook-id"]
            ledger.delivered[id_] = ledger.delivered.get(id_, 0) + 1
            return {"status": "ok"}

        config = uvicorn.Config(app, host=host, port=port, log_level="error", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)

    async def run(self) -> None:
        await self._server._serve()

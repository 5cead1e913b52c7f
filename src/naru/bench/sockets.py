"""`naru bench sockets`: so many agents' desks on one process, what each costs, and how soon an offer reaches one.

The desks are idle, as most are: they answer the server's heartbeats. The clients live in this process, the center in
another, so that its memory is its own. Offers are measured from the webhook's request to the frame at its desk.
"""

import asyncio
import contextlib
import json
import os
import resource
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from channels.standard import sign
from naru.app import Naru
from naru.bench.edges import SECRET, SIGNED_BY, config
from naru.bench.path import percentile
from naru.bench.processes import process
from naru.bus import topics
from naru.settings import Settings
from naru.store import migrate

WORKSPACE = "bench"
OPENING = 50
OFFERS, OFFERS_PER_S = 400, 20.0
IDLE_S = 30.0
START_S = 120.0


async def sockets(settings: Settings, agents: int) -> dict[str, Any]:
    """Memory per socket, and the latency of offers while they are all open.

    Embedded, the one process is the whole center; with a Kafka (its topics must be new) it is a gateway and nothing else.
    """
    _allow_files(agents * 2 + 2_000)
    os.environ[SIGNED_BY] = SECRET
    folder = Path(tempfile.mkdtemp(prefix="naru-sockets-"))
    settings = msgspec.structs.replace(settings, data=str(folder), port=_free_port(), public_url="")
    if not settings.embedded:
        await asyncio.to_thread(migrate.upgrade, settings.store_url)
        await topics.make(settings.broker, settings.shards)
    keys = await _furnish(settings, agents)
    with contextlib.ExitStack() as processes:
        for role in () if settings.embedded else ("router", "projector"):
            other = msgspec.structs.replace(settings, worker=f"bench-{role}", port=0)
            processes.enter_context(process(other, role, folder / f"{role}.log"))
        measured = "all" if settings.embedded else "gateway"
        center = processes.enter_context(process(settings, measured, folder / "center.log"))
        async with httpx2.AsyncClient(base_url=settings.base_url, timeout=30) as client:
            await _ready(client)
            hook = await _hook(client, folder)
            before = _rss_mb(center.pid)
            desks = Desks(settings.base_url, keys)
            try:
                opened_s = await desks.open(client)
                after = _rss_mb(center.pid)
                busy = _processor_s(center.pid)
                await asyncio.sleep(IDLE_S)
                idle = (_processor_s(center.pid) - busy) / IDLE_S
                latencies = await desks.offered(client, hook)
                still = desks.still_open
            finally:
                await desks.close()
    return {
        "process": measured,
        "sockets": agents,
        "opened_s": round(opened_s, 1),
        "still_open": still,
        "rss_before_mb": round(before, 1),
        "rss_after_mb": round(after, 1),
        "kb_per_socket": round((after - before) * 1024 / agents, 1),
        "idle_core_share": round(idle, 3),
        "offers": len(latencies),
        "offer_ms": {
            "p50": round(percentile(latencies, 0.5), 1),
            "p99": round(percentile(latencies, 0.99), 1),
            "max": round(max(latencies), 1),
        },
    }


def _allow_files(wanted: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _furnish(settings: Settings, agents: int) -> list[str]:
    """A center with that many agents, and a key for each."""
    house = Naru(msgspec.structs.replace(settings, worker="bench-furnisher"))
    await house.start()
    try:
        await house.ensure_workspace(WORKSPACE, config(WORKSPACE, agents))
        return [(await house.accounts.create_key(WORKSPACE, f"a{n}", "agent", f"a{n}"))[1] for n in range(agents)]
    finally:
        await house.stop()


async def _ready(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(START_S):
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.2)


async def _hook(client: httpx2.AsyncClient, folder: Path) -> str:
    key = (folder / f"local-{WORKSPACE}.key").read_text().split()[1]
    answer = await client.get("/v1/channels/c/connection", headers={"Authorization": f"Bearer {key}"})
    return str(answer.json()["hook"])


def _rss_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Desks:
    """The agents' side: all sockets, and when offers came."""

    def __init__(self, url: str, keys: list[str]) -> None:
        self._url = url
        self._keys = keys
        self._open: list[ClientConnection] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._came: dict[str, float] = {}

    async def open(self, client: httpx2.AsyncClient) -> float:
        """Seconds for all of them."""
        began = time.perf_counter()
        free = asyncio.Semaphore(OPENING)

        async def one(key: str) -> None:
            async with free:
                answer = await client.post("/v1/tickets", headers={"Authorization": f"Bearer {key}"})
                line = await connect(
                    self._url.replace("http", "ws") + "/v1/agents/ws",
                    subprotocols=["naru.v1"],  # type: ignore[list-item]
                    ping_interval=None,
                    compression=None,
                    open_timeout=60,
                )
                await line.send(json.dumps({"type": "hello", "ticket": answer.json()["ticket"]}))
                await line.recv()  # the view
                command = {"type": "do", "id": f"s{len(self._open)}", "do": "status", "args": {"presence": "available"}}
                await line.send(json.dumps(command))
                self._open.append(line)
                self._tasks.append(asyncio.create_task(self._listen(line)))

        async with asyncio.TaskGroup() as group:
            for key in self._keys:
                group.create_task(one(key))
        return time.perf_counter() - began

    async def _listen(self, line: ClientConnection) -> None:
        async for frame in line:
            if frame.startswith('{"type":"ping"'):  # type: ignore[arg-type]
                await line.send('{"type":"pong"}')
            elif frame.startswith('{"type":"offer",'):  # type: ignore[arg-type]
                self._came[json.loads(frame)["offer"]["customer"]["address"]] = time.perf_counter()

    @property
    def still_open(self) -> int:
        return sum(not task.done() for task in self._tasks)

    async def offered(self, client: httpx2.AsyncClient, hook: str) -> list[float]:
        """Milliseconds from a webhook's request to its offer at a desk, at a steady rate."""
        began: dict[str, float] = {}
        posts: set[asyncio.Task[Any]] = set()
        start = time.perf_counter()
        for number in range(OFFERS):
            await asyncio.sleep(max(0.0, start + number / OFFERS_PER_S - time.perf_counter()))
            name = f"customer-{number}"
            body = json.dumps({"thread": name, "from": {"value": name}, "text": "hello"}).encode()
            began[name] = time.perf_counter()
            posts.add(asyncio.create_task(client.post(f"/hooks/{hook}", content=body, headers=_signed(name, body))))
        await asyncio.gather(*posts)
        await asyncio.sleep(5)
        return [(self._came[name] - at) * 1000 for name, at in began.items() if name in self._came]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _signed(id_: str, body: bytes) -> dict[str, str]:
    stamp = str(time.time_ns() // 10**9)
    return {"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": sign(SECRET, id_, stamp, body)}

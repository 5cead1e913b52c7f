"""`naru bench path`: from a request to the offer's frame. Times are milliseconds; ratios are of one run on one disk."""

import asyncio
import os
import shutil
import tempfile
import time  # measuring only: perf_counter is not banned
from pathlib import Path
from typing import Any

from agents.socket import Connection
from naru.app import Naru
from naru.settings import load
from router import inputs
from router.config import Agent, Brand, Channel, Config, Queue
from router.model import Content, Identity, Text, Thread, conversation_id

WORKSPACE = "bench"
AGENTS = 20
SYNC_SAMPLES = 300
CONFIG = Config(
    name="Bench",
    brands=(Brand(id="b", name="B", default_queue="q"),),
    channels=(Channel(id="c", name="C", brand="b", provider="webchat", kind="social"),),
    queues=(Queue(id="q", name="Q", wrap_up_s=0),),
    agents=tuple(
        Agent(id=f"a{n:02}", name=f"A{n}", brands=("b",), maximum={"social": 100}, units=10_000) for n in range(AGENTS)
    ),
)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure_sync(folder: Path) -> list[float]:
    """Milliseconds of an append of 4 kB with fdatasync, one after another: what one durable append costs here."""
    took = []
    path = folder / "sync-probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(SYNC_SAMPLES):
            began = time.perf_counter()
            os.write(descriptor, b"x" * 4096)
            os.fdatasync(descriptor)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return took


async def measure_append(house: Naru, rate: float | None) -> list[float]:
    """Milliseconds of one durable append to the log, alone: at the rate of the requests, or one right after another.

    A processor, a disk and a page cache that have rested between two requests are slower than those of a tight loop.
    """
    took = []
    for _ in range(SYNC_SAMPLES):
        if rate is not None:
            await asyncio.sleep(1 / rate)
        began = time.perf_counter()
        await house.log.append("bench", 0, [b"x" * 400])
        took.append((time.perf_counter() - began) * 1000)
    return took


class _Seat(Connection):
    """A desk without a network: notes when an offer's frame is ready to be written to it."""

    def __init__(self, offered: dict[str, float]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._offered = offered

    def send(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"offer",'):
            now = time.perf_counter()
            at = frame.index(b'"conversation":"') + 16
            self._offered.setdefault(frame[at : at + 36].decode(), now)


async def path(folder: Path | None, rate: float, samples: int) -> dict[str, Any]:
    """Request in to offer frame out: intake, durable append, decision, durable journal record, fold, encoded frame.

    Requests come at a steady `rate`; each waits for its own offer. The same run measures the disk.
    """
    kept = folder is not None
    folder = folder or Path(tempfile.mkdtemp(prefix="naru-bench-", dir="."))
    house = Naru(load({}, data=str(folder / "bench"), port=1))
    try:
        await house.start()
        sync_ms = measure_sync(folder)
        append_ms = await measure_append(house, rate)
        tight_ms = await measure_append(house, None)
        latencies = await _run(house, rate, samples)
        if len(latencies) < samples:
            raise RuntimeError(
                f"only {len(latencies)} of {samples} contacts were offered: these figures would say nothing"
            )
    finally:
        await house.stop()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    append_p50, tight_p50 = percentile(append_ms, 0.5), percentile(tight_ms, 0.5)
    return {
        "samples": len(latencies),
        "rate_per_s": rate,
        "p50_ms": round(percentile(latencies, 0.5), 3),
        "p99_ms": round(percentile(latencies, 0.99), 3),
        "max_ms": round(max(latencies), 3),
        "fdatasync_p50_ms": round(percentile(sync_ms, 0.5), 3),
        "fdatasync_p99_ms": round(percentile(sync_ms, 0.99), 3),
        "append_p50_ms": round(append_p50, 3),
        "p50_per_append": round(percentile(latencies, 0.5) / append_p50, 2),
        "tight_append_p50_ms": round(tight_p50, 3),
        "p50_per_tight_append": round(percentile(latencies, 0.5) / tight_p50, 2),
    }


async def _run(house: Naru, rate: float, samples: int) -> list[float]:
    await house.ensure_workspace(WORKSPACE, CONFIG)
    offered: dict[str, float] = {}
    for agent in CONFIG.agents:
        connection = f"{house.name}:{house.boot}:{agent.id}"
        await house.center.ask(WORKSPACE, "b", f"c{agent.id}", inputs.Connect(agent=agent.id, connection=connection))
        await house.center.ask(WORKSPACE, "b", f"p{agent.id}", inputs.SetPresence(agent=agent.id, presence="available"))
        house.desks.seat(WORKSPACE, agent.id, _Seat(offered))
    began: dict[str, float] = {}
    contacts: set[asyncio.Task[None]] = set()
    start = time.perf_counter()
    for number in range(samples):
        delay = start + number / rate - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        task = asyncio.create_task(_contact(house, number, began))
        contacts.add(task)
        task.add_done_callback(contacts.discard)
    await asyncio.gather(*contacts)
    await asyncio.sleep(1)
    return [(offered[key] - began[key]) * 1000 for key in began if key in offered]


async def _contact(house: Naru, number: int, began: dict[str, float]) -> None:
    """A message, taken in as a webhook would be; then its offer is accepted and done, so that agents stay free."""
    thread = Thread(external=f"t{number}")
    conversation = conversation_id("c", thread)
    body = inputs.ReceiveMessage(
        channel="c",
        thread=thread,
        identity=Identity(scope="bench", kind="external", value=f"t{number}"),
        dedupe_key=f"k{number}",
    )
    began[conversation] = time.perf_counter()
    content = Content(parts=(Text(text="How long will this take?"),))
    answer, _ = await house.center.ask(WORKSPACE, "channel:c", f"k{number}", body, content)
    contact = house.center.pool(WORKSPACE).contacts.get(answer.contact or "") if answer else None  # type: ignore[union-attr]
    if contact is None or contact.offer is None:
        return
    agent = contact.offer.agent
    await house.center.ask(WORKSPACE, "b", f"a{number}", inputs.AcceptOffer(agent=agent, offer=contact.offer.id))
    await house.center.ask(WORKSPACE, "b", f"d{number}", inputs.CompleteContact(agent=agent, contact=contact.id))

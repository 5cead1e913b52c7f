"""`naru bench live`: a telephone center at real pace, with and without a live broadcast beside it.

Twice the same calls (same seed, same lengths) come by signed webhooks over loopback to a whole center in this process:
the second time a broadcast's chat is polled from a YouTube of ours besides. Compared are the calls' service level and
waits; the memory is this process', the telephone company and the viewers included.
"""

import asyncio
import contextlib
import os
import random  # noqa: TID251 - the bench's composition root; seeded
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from naru.app import Naru
from naru.bench.house import WORKSPACE, People, beside
from naru.bench.path import percentile
from naru.bench.telephone import Telephone
from naru.demo.script import COMMENTS, CUSTOMERS
from router import inputs
from router.config import Agent, Brand, Channel, Config, Queue, Skill
from router.events import OfferAccepted
from router.model import Content, Requirement, Text

SEED = 7
RING_S, TALK_S, WRAP_S, TARGET_S, PATIENCE_S = 0.5, 8.0, 1.0, 1.0, 60.0
"""A second, ringing included, is a target that one call in ten misses here: one that all meet would show nothing."""
LOAD = 0.9
HOSTS, ANSWER_S = 4, 15.0
VIEWERS, MAX_PAGE = 50_000, 2_000
LAG_S = 0.05
LIVE = {"per_minute": 20, "most_open": 8, "paid_from": 1000, "mentions": ["바다상점"]}


def config(url: str, calls_per_s: float, shared: bool) -> Config:
    """As many on the phone as make `LOAD` of them busy. `shared`: they answer the broadcast as well, else hosts do."""
    phones = round(calls_per_s * (RING_S + TALK_S + WRAP_S) / LOAD) + 1
    skills = {"show": 1} if shared else {}
    people = [Agent(id=f"p{n:03}", name=f"P{n}", brands=("b",), skills=skills, phone=f"+1{n}") for n in range(phones)]
    people += [] if shared else [
        Agent(id=f"h{n}", name=f"H{n}", brands=("b",), skills={"show": 1}, maximum={"voice": 0}) for n in range(HOSTS)
    ]  # fmt: skip
    twilio = {"account_sid": "ACbench", "number": "+1", "api_url": url}
    tube = {"client_id": "bench", "api_url": f"{url}/yt", "token_url": f"{url}/token", "live": LIVE}
    return Config(
        name="Bench",
        brands=(Brand(id="b", name="B", default_queue="calls"),),
        channels=(
            Channel(id="phone", name="Phone", brand="b", provider="twilio_voice", kind="voice", queue="calls",
                    settings=twilio, secrets={"auth_token": "secret:bench"}),
            Channel(id="show", name="Show", brand="b", provider="youtube_live", kind="social", queue="show",
                    settings=tube, secrets={"client_secret": "secret:bench", "refresh_token": "secret:bench"}),
        ),
        queues=(
            Queue(id="calls", name="Calls", wrap_up_s=WRAP_S, target_s={"voice": TARGET_S}),
            Queue(id="show", name="Show", wrap_up_s=0, tier=6, requires=(Requirement(skill="show"),)),
        ),
        skills=(Skill(id="show", name="Show"),),
        agents=tuple(people),
    )  # fmt: skip


class Outside(Telephone):
    """The telephone company, its callers, and a broadcast's chat: what is beyond the center, over HTTP on loopback."""

    def __init__(self, seconds: float, calls_per_s: float, comments_per_s: float) -> None:
        super().__init__(
            RING_S,
            Route("/token", self._token, methods=["POST"]),
            Route("/yt/liveBroadcasts", self._broadcasts),
            Route("/yt/liveChat/messages", self._page),
            Route("/yt/liveChat/messages", self._answer, methods=["POST"]),
        )
        self.comments_sent = self.answers = self.calls = 0
        self._seconds = seconds
        self._comments_per_s = comments_per_s
        self._schedule = list(_schedule(random.Random(SEED), seconds, calls_per_s))  # noqa: S311 - simulated people
        self._viewers = random.Random(SEED)  # noqa: S311
        self._began = 0.0

    # -- the callers

    async def callers(self) -> None:
        """Calls as they were drawn beforehand, whatever becomes of them."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        for at, sender, talk_s in self._schedule:
            await asyncio.sleep(max(0.0, self._began + at - loop.time()))
            self.calls += 1
            self.begin(self._caller(f"CA{self.calls}", sender, talk_s))

    async def _caller(self, call: str, sender: str, talk_s: float) -> None:
        self.talks[call] = talk_s
        said = await self.signed(self.hook, CallSid=call, From=sender, To="+1", CallStatus="ringing")
        if "<Enqueue" not in said:
            return
        await self.signed(f"{self.hook}/wait", CallSid=call, From=sender, To="+1", CallStatus="in-progress")
        await asyncio.sleep(PATIENCE_S)
        if call in self.talks:
            await self.hang_up(call)

    # -- the broadcast

    async def _token(self, request: Request) -> Response:
        return JSONResponse({"access_token": "bench", "expires_in": 3600})

    async def _broadcasts(self, request: Request) -> Response:
        shown = [{"id": "v", "snippet": {"liveChatId": "chat"}}] if self._comments_per_s > 0 else []
        return JSONResponse({"items": shown})

    async def _page(self, request: Request) -> Response:
        now = min(asyncio.get_running_loop().time() - self._began, self._seconds) if self._began else 0.0
        due = min(MAX_PAGE, int(now * self._comments_per_s) - self.comments_sent)
        items = [self._comment(self.comments_sent + n) for n in range(max(0, due))]
        self.comments_sent += len(items)
        return JSONResponse({"items": items, "nextPageToken": str(self.comments_sent), "pollingIntervalMillis": 1000})

    async def _answer(self, request: Request) -> Response:
        self.answers += 1
        return JSONResponse({"id": f"answer-{self.answers}"})

    def _comment(self, number: int) -> dict[str, Any]:
        """Chatter that repeats itself, questions that many ask, some that nobody else asks, and now and then a gift."""
        chance = self._viewers
        kind, who = chance.random(), chance.randrange(VIEWERS)
        tail = "ㅋ" * chance.randrange(8) + "!" * chance.randrange(3)
        if kind < 0.6:
            text = ("와 예뻐요", "대박", "안녕하세요", "색감 미쳤다", "ㅋㅋ", "바다색 너무 좋다")[
                chance.randrange(6)
            ] + tail
        elif kind < 0.9:
            text = (*COMMENTS, *CUSTOMERS["ko"][0])[chance.randrange(9)] + tail
        else:
            text = "".join(chr(0xAC00 + chance.randrange(11_172)) for _ in range(12)) + ("?" if kind < 0.95 else "")
        snippet: dict[str, Any] = {"type": "textMessageEvent", "textMessageDetails": {"messageText": text}}
        if kind > 0.995:
            won = chance.choice((1000, 5000, 10_000, 50_000))
            paid = {"amountMicros": str(won * 1_000_000), "currency": "KRW", "userComment": text}
            snippet = {"type": "superChatEvent", "superChatDetails": paid}
        return {
            "id": f"LCC.{number}",
            "snippet": snippet,
            "authorDetails": {"channelId": f"UC{who}", "displayName": f"v{who}"},
        }


def _schedule(chance: random.Random, seconds: float, calls_per_s: float) -> Iterator[tuple[float, str, float]]:
    """When each call comes, from which number, and how long it will be."""
    at = 0.0
    while (at := at + chance.expovariate(calls_per_s)) < seconds:
        yield at, f"+8210{chance.randrange(10**8):08d}", chance.expovariate(1 / TALK_S)


class Hosts(People):
    """Those who answer the broadcast: they take what is offered, write one answer, and are done."""

    def __init__(self, house: Naru) -> None:
        super().__init__(house)
        self._chance = random.Random(SEED)  # noqa: S311
        self._busy: dict[str, None] = {}

    async def work(self, begin: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        while True:
            await asyncio.sleep(0.2)
            pool = self.house.center.pool(WORKSPACE)
            for contact in list(pool.contacts.values()) if pool else ():
                if contact.kind == "social" and contact.offer is not None and contact.id not in self._busy:
                    self._busy[contact.id] = None
                    begin(self._answer(contact.id, contact.offer.agent, contact.offer.id))

    async def _answer(self, contact: str, agent: str, offer: str) -> None:
        await self.tell(inputs.AcceptOffer(agent=agent, offer=offer))
        await asyncio.sleep(self._chance.expovariate(1 / ANSWER_S))
        content = Content(parts=(Text(text="네, 있습니다."),))
        await self.tell(inputs.SendMessage(agent=agent, contact=contact), content)
        await self.tell(inputs.CompleteContact(agent=agent, contact=contact))
        self._busy.pop(contact, None)


class Measured:
    """Waits as the journal tells them, how late the event loop is, and the memory of this process."""

    def __init__(self, house: Naru) -> None:
        self.waits: list[float] = []
        self.late: list[float] = []
        self.rss_mb: list[float] = []
        self.most_open = 0
        house.fold.subscribe(self._applied)
        self._house = house

    def _applied(self, applied: Any) -> None:
        for event in applied.record.ev:
            if isinstance(event, OfferAccepted):
                contact = applied.pool.contacts.get(event.contact)
                if contact is not None and contact.kind == "voice":
                    self.waits.append(applied.record.t - contact.enqueued_at)

    async def watch(self) -> None:
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while True:
            if loop.time() - began >= 60 * len(self.rss_mb):
                self.rss_mb.append(rss_mb())
            before = loop.time()
            await asyncio.sleep(LAG_S)
            self.late.append(max(0.0, loop.time() - before - LAG_S))
            pool = self._house.center.pool(WORKSPACE)
            shown = sum(1 for c in pool.contacts.values() if c.kind == "social") if pool else 0
            self.most_open = max(self.most_open, shown)


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


async def _once(minutes: float, calls_per_s: float, comments_per_s: float, shared: bool) -> dict[str, Any]:
    outside = Outside(minutes * 60, calls_per_s, comments_per_s)
    found: dict[str, Any] = {}

    async def run(house: Naru) -> None:
        hosts, measured = Hosts(house), Measured(house)
        await hosts.arrive()
        outside.begin(hosts.work(outside.begin))
        watching = asyncio.create_task(measured.watch())
        await outside.callers()
        await asyncio.sleep(TALK_S)
        watching.cancel()
        found.update(_summary(house, outside, measured))

    await beside(outside, config(outside.url, calls_per_s, shared), run)
    return found


def _summary(house: Naru, outside: Outside, measured: Measured) -> dict[str, Any]:
    pool = house.center.pool(WORKSPACE)
    assert pool is not None
    calls = pool.memory.stats["calls"]
    counts = {name: sum(room.get(name, 0) for room in house.rooms.counts(WORKSPACE, "show").values()) for name in NAMES}
    return {
        "calls": outside.calls,
        "answered": calls.answered,
        "abandoned": calls.abandoned,
        "service_level": round(calls.answered_in_target / max(1, outside.calls), 4),
        "wait_p50_s": round(percentile(measured.waits, 0.5), 3),
        "wait_p95_s": round(percentile(measured.waits, 0.95), 3),
        "loop_late_p99_ms": round(percentile(measured.late, 0.99) * 1000, 1),
        "failed_requests": outside.failed,
        "comments": counts["comments"],
        "collapsed": counts["collapsed"],
        "picked": counts["picked"],
        "dropped": counts["dropped"],
        "most_open": measured.most_open,
        "answers": outside.answers,
        "rss_mb": [*measured.rss_mb, rss_mb()],
    }


NAMES = ("comments", "collapsed", "picked", "dropped")


async def live(minutes: float, calls_per_s: float, comments_per_s: float, shared: bool) -> dict[str, Any]:
    """Without the broadcast, then with it; `service_level_change` is in points."""
    without = await _once(minutes, calls_per_s, 0, shared)
    beside = await _once(minutes, calls_per_s, comments_per_s, shared)
    change = None
    with contextlib.suppress(KeyError):
        change = round((beside["service_level"] - without["service_level"]) * 100, 2)
    return {
        "minutes": minutes,
        "calls_per_s": calls_per_s,
        "comments_per_s": comments_per_s,
        "shared_agents": shared,
        "target_s": TARGET_S,
        "service_level_change": change,
        "without": without,
        "with": beside,
    }

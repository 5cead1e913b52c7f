"""`naru bench surge`: a telephone number is named on television, and a hundred times as many people call within seconds.

A whole center in this process takes the calls by signed webhooks over loopback, at real pace: calm, then the surge, then
calm again until nobody waits. Who finds the line full hears the busy tone and mostly calls again; who waits is told the
place, and hangs up, or presses the key for a callback, or waits. Everybody must end in exactly one way, the agents must
never be idle while somebody waits, and whoever keeps a place must keep it.
"""

import asyncio
import random  # noqa: TID251 - the bench's composition root; seeded
from collections import Counter
from collections.abc import Callable
from typing import Any

from naru.app import Naru
from naru.bench.house import WORKSPACE, People, beside
from naru.bench.path import percentile
from naru.bench.telephone import Telephone
from router import events
from router.config import Agent, Brand, Channel, Config, Queue

SEED = 7
RING_S, TALK_S, WRAP_S = 0.3, 4.0, 0.5
PATIENCE_S, KEY_S = 40.0, 5.0
WANTS_CALLBACK, CALLS_AGAIN = 0.5, 0.6
AGAIN_S, TRIES = (3.0, 12.0), 4
ROOM = 25
"""So many may wait for each agent there is; for whoever comes then the line is busy."""


def config(url: str, agents: int) -> Config:
    settings = {
        "account_sid": "ACbench",
        "number": "+1",
        "api_url": url,
        "language": "en",
        "refuse_when_full": True,
        "keys": {"1": "callback"},
    }
    return Config(
        name="Bench",
        brands=(Brand(id="b", name="B", default_queue="calls"),),
        channels=(
            Channel(id="phone", name="Phone", brand="b", provider="twilio_voice", kind="voice", queue="calls",
                    settings=settings, secrets={"auth_token": "secret:bench"}),
        ),
        queues=(Queue(id="calls", name="Calls", wrap_up_s=WRAP_S, max_length=ROOM * agents),),
        agents=tuple(
            Agent(id=f"p{n:03}", name=f"P{n}", brands=("b",), mode="blended", phone=f"+1{n}") for n in range(agents)
        ),
    )  # fmt: skip


class Callers(Telephone):
    """Those who call. `ends` says how each call ended, by call; `answers_s` how long the center took to take each."""

    def __init__(self) -> None:
        super().__init__(RING_S)
        self.calls = 0
        self.ends: dict[str, str] = {}
        self.answers_s: list[tuple[float, float]] = []
        self.is_over = False
        """Nobody calls any more."""
        self._chance = random.Random(SEED)  # noqa: S311 - simulated people

    def talks_for(self, number: str) -> float | None:
        return TALK_S if number.startswith("+82") else None

    async def come(self, per_s: float, seconds: float) -> None:
        """Strangers at this rate, for so long."""
        loop = asyncio.get_running_loop()
        at, until = loop.time(), loop.time() + seconds
        while (at := at + self._chance.expovariate(per_s)) < until:
            await asyncio.sleep(max(0.0, at - loop.time()))
            self.begin(self._somebody(f"+8210{self._chance.randrange(10**8):08d}", 1))

    async def _somebody(self, number: str, tries: int) -> None:
        end = await self._calls(number)
        if end in ("busy", "hung_up") and tries < TRIES and self._chance.random() < CALLS_AGAIN:
            await asyncio.sleep(self._chance.uniform(*AGAIN_S))
            if not self.is_over:
                await self._somebody(number, tries + 1)

    async def _calls(self, number: str) -> str:
        self.calls += 1
        call = f"CA{self.calls}"
        self.talks[call] = TALK_S
        said = await self._timed(CallSid=call, From=number, To="+1", CallStatus="ringing")
        if "<Reject" in said:
            await self.hang_up(call)
            return self._over(call, "busy")
        at, leaves = asyncio.get_running_loop().time(), self._chance.expovariate(1 / PATIENCE_S)
        wants = self._chance.random() < WANTS_CALLBACK
        while call in self.talks:
            waited = asyncio.get_running_loop().time() - at
            if waited > leaves:
                await self.hang_up(call)
                return self._over(call, "hung_up")
            place = {"QueueTime": str(int(waited))}
            said = await self.signed(f"{self.hook}/wait", CallSid=call, From=number, To="+1", **place)
            if wants and waited >= KEY_S and "<Gather" in said and call in self.talks:
                wants = False
                await self.signed(f"{self.hook}/key?back=wait", CallSid=call, From=number, To="+1", Digits="1")
            await asyncio.sleep(1.0)
        return self._over(call, "talked")

    async def _told(self, call: str, url: str) -> None:
        self.ends[call] = "promised" if "what=callback" in url else "told"
        await super()._told(call, url)

    def _over(self, call: str, end: str) -> str:
        return self.ends.setdefault(call, end)

    async def _timed(self, **fields: str) -> str:
        loop = asyncio.get_running_loop()
        began = loop.time()
        said = await self.signed(self.hook, **fields)
        self.answers_s.append((began, loop.time() - began))
        return said


class Watched:
    """What the journal says: who came, how each contact ended, whether somebody older waited when one was offered, and when
    the agents were busy."""

    def __init__(self, house: Naru) -> None:
        self.came = self.kept_place = self.promised = self.inversions = self.most_waiting = 0
        self.outcomes: Counter[str] = Counter()
        self.accepted: list[tuple[float, float]] = []
        """When each was taken, and how long it keeps an agent at least: a callback rings two phones."""
        self._house = house
        house.fold.subscribe(self._applied)

    def _applied(self, applied: Any) -> None:
        for event in applied.record.ev:
            match event:
                case events.ContactOpened():
                    self.came += 1
                    self.kept_place += event.follows is not None
                case events.CallbackPromised():
                    self.promised += 1
                case events.ContactCompleted():
                    self.outcomes[event.outcome] += 1
                case events.OfferMade():
                    self._offered(applied.pool, event.contact)
                case events.OfferAccepted():
                    known = applied.pool.contacts.get(event.contact)
                    rings = 2 if known is not None and known.callback is not None else 1
                    self.accepted.append((applied.record.t, rings * RING_S + TALK_S + WRAP_S))
                case _:
                    pass
        self.most_waiting = max(self.most_waiting, self.waiting)

    def _offered(self, pool: Any, contact: str) -> None:
        known = pool.contacts.get(contact)
        if known is not None:
            waiting = (c.enqueued_at for c in pool.contacts.values() if c.status == "queued")
            self.inversions += min(waiting, default=known.enqueued_at) < known.enqueued_at - 1e-6

    @property
    def waiting(self) -> int:
        pool = self._house.center.pool(WORKSPACE)
        return pool.length("calls") if pool is not None else 0


async def surge(agents: int, calm_per_s: float, times: float, calm_s: float, surge_s: float) -> dict[str, Any]:
    """Waits and rates are in seconds and per second; `webhook` is how long a caller's first webhook took."""
    callers = Callers()
    found: dict[str, Any] = {}

    async def run(house: Naru) -> None:
        people, watched = People(house), Watched(house)
        await people.arrive()
        loop = asyncio.get_running_loop()
        marks = [loop.time()]
        await callers.come(calm_per_s, calm_s)
        marks.append(loop.time())
        full = house.clock()
        await callers.come(calm_per_s * times, surge_s)
        marks.append(loop.time())
        after = asyncio.create_task(callers.come(calm_per_s, 3600))
        await _until(lambda: watched.waiting == 0)
        emptied = house.clock()
        after.cancel()
        callers.is_over = True
        await _until(lambda: len(callers.ends) == callers.calls and not callers.talks and _is_idle(house))
        found.update(_summary(callers, watched, marks, agents, emptied - full - 2 * TALK_S, full + 2 * TALK_S))

    await beside(callers, config(callers.url, agents), run)
    return found


def _is_idle(house: Naru) -> bool:
    pool = house.center.pool(WORKSPACE)
    return pool is not None and all(contact.status == "scheduled" for contact in pool.contacts.values())


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - it watches from outside, as a person would
        await asyncio.sleep(0.2)


def _summary(
    callers: Callers, watched: Watched, marks: list[float], agents: int, busy_s: float, since: float
) -> dict[str, Any]:
    ends = Counter(callers.ends.values())
    calm = [took for at, took in callers.answers_s if at < marks[1]]
    rush = [took for at, took in callers.answers_s if marks[1] <= at < marks[2]]
    worked_s = sum(takes_s for t, takes_s in watched.accepted if since <= t < since + busy_s)
    return {
        "calls": callers.calls,
        "ends": dict(sorted(ends.items())),
        "unaccounted": callers.calls - sum(ends.values()),
        "contacts": watched.came,
        "outcomes": dict(sorted(watched.outcomes.items())),
        "promised": watched.promised,
        "kept_place": watched.kept_place,
        "out_of_order": watched.inversions,
        "most_waiting": watched.most_waiting,
        "calls_per_s_in_surge": round(len(rush) / (marks[2] - marks[1]), 1),
        "webhook_p50_ms": [round(percentile(some, 0.5) * 1000, 1) for some in (calm, rush)],
        "webhook_p99_ms": [round(percentile(some, 0.99) * 1000, 1) for some in (calm, rush)],
        "worked_off_s": round(busy_s, 1),
        "agents_busy": round(worked_s / (agents * busy_s), 4),
        "failed_requests": callers.failed,
    }

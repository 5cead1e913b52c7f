"""`naru bench router`: matching and whole decisions at growing numbers of agents, with the linear scan beside them.

*Surplus*: 85 % of the agents are busy, so a contact is assigned as it comes. *Backlog*: all are busy and half as many
contacts wait as there are agents, so a contact is assigned as an agent becomes free. One contact is one arrival and one
agent who becomes free, and a figure for both is the mean of the two; so it is for the scan. Times are CPU microseconds by
the process's own clock, of the second fastest of five runs (other programs on a machine only ever add), without the
harness, whose cost is measured by itself; pauses are wall time. What comes is drawn a little ahead only: in a center, too,
the contact that is to be served has just come, and is no cache miss.
"""

import gc
import resource
import time  # measuring only: process_time and perf_counter are not banned
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from naru.bench.workload import Workload
from naru.sim.chance import Uniform, stream
from naru.tame import freeze, tame
from router import engine, inputs, scan
from router.cells import CLOSED, IDLE, SIGNED, State
from router.config import Agent, Brand, Channel, Config, Queue, Skill
from router.events import OfferMade
from router.line import Group, Waiter
from router.matching import Matching
from router.model import Identity, Requirement, Thread
from router.queueing import ARRIVAL_BITS, TIER_SHIFT
from router.state import Pool

OPEN = (0, -1, -1, -1, -1, -1)
"""Open for a call, and for nothing else."""
FREE = SIGNED | IDLE
BUSY: State = SIGNED, 0, CLOSED
"""No stamp of who is closed is looked at."""
Draw = tuple[tuple[Group, ...], int, float]
RUNS = 5
CONTACTS = 40_000
DRAWN = 1_000
"""So many contacts are drawn at a time."""
WHOLE_CONTACTS = 10_000
WHOLE_AGENTS = 30_000
"""Up to so many agents whole decisions are measured too: a configuration is one value."""
TRACED_AGENTS = 50_000
SCANS = 6
"""In each of the runs."""
TIERS = (5, 5, 5, 5, 5, 4, 4, 3)


def router(agents: list[int], seed: int = 1, contacts: int = CONTACTS) -> dict[str, Any]:
    """Each size in a process of its own: a million agents in what a smaller center has left behind would lie scattered."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        return {"runs": list(processes.map(_one, agents, repeat(seed), repeat(contacts)))}


def _one(count: int, seed: int, contacts: int) -> dict[str, Any]:
    tame()
    uniform = stream(seed, 0, "bench", "router")
    workload = Workload(uniform)
    Center(workload, 1000, uniform).surplus(contacts)  # what runs first is slower, whatever its size
    figures: dict[str, Any] = {"agents": count}
    center = Center(workload, count, uniform)
    figures["bytes_per_agent"] = round(center.bytes / count)
    freeze()
    surplus_us, assigned = center.surplus(contacts)
    scan_surplus_us = center.scan_us()
    pauses = center.pauses(contacts)
    before = _resident()
    center.fill()
    waiting = len(center.matching.line.waiters)
    figures["bytes_per_waiting"] = round(max(0, _resident() - before) / waiting) if count >= TRACED_AGENTS else None
    backlog_us, _ = center.backlog(contacts)
    scan_backlog_us = center.scan_us()
    pauses += center.pauses(contacts)
    pauses.sort()
    figures |= {
        "match_us": round((surplus_us + backlog_us) / 2, 2),
        "surplus_us": round(surplus_us, 2),
        "backlog_us": round(backlog_us, 2),
        "scan_us": round((scan_surplus_us + scan_backlog_us) / 2, 1),
        "scan_surplus_us": round(scan_surplus_us, 1),
        "scan_backlog_us": round(scan_backlog_us, 1),
        "assigned_share": round(assigned, 4),
        "waiting": waiting,
        "p99_us": round(pauses[len(pauses) * 99 // 100] * 1e6, 1),
        "longest_pause_ms": round(pauses[-1] * 1000, 3),
        "whole_contacts_per_s": None,
    }
    del center
    gc.unfreeze()
    gc.collect()
    if count <= WHOLE_AGENTS:
        figures |= whole(workload, count, uniform)
    return figures


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Center:
    """Agents and contacts as numbers, driven through the narrow interface of `Matching`."""

    def __init__(self, workload: Workload, count: int, uniform: Uniform) -> None:
        self._uniform = uniform
        self._workload = workload
        self.matching = Matching()
        need = self.matching.cells.need
        # One tuple of groups for all who ask for the same, as the pool has it.
        self._groups: list[tuple[Group, ...]] = [
            (self.matching.group("q", need("voice", "longest_idle", {**wanted, "mode:inbound": 1, "brand:b": 1})),)
            for wanted in workload.requirements
        ]
        self._stamp = self._arrival = 0
        self.busy: list[int] = []
        traced = count < TRACED_AGENTS
        gc.collect()
        before = _resident()
        if traced:
            tracemalloc.start()
        for number in range(count):
            self.matching.add(f"a{number}", self.matching.cells.profile(workload.profile()))
            self._idle(number)
        gc.collect()
        self.bytes = tracemalloc.get_traced_memory()[0] if traced else _resident() - before
        if traced:
            tracemalloc.stop()
        self._count = count

    def _idle(self, number: int) -> None:
        self._stamp += 1
        self.matching.set(number, (FREE, self._stamp, OPEN))

    def arrive(self, groups: tuple[Group, ...], place: int) -> int:
        """The agent who gets it, -1 when it waits."""
        self._arrival = arrival = self._arrival + 1
        matching = self.matching
        waiter = Waiter(place, "q", groups)
        matching.put(arrival, waiter)
        number = matching.agent_for(waiter)
        if number >= 0:
            matching.drop(arrival)
            matching.set(number, BUSY)
        return number

    def free(self, number: int) -> int:
        """The contact that the agent gets, -1 when there is none."""
        self._stamp += 1
        matching = self.matching
        matching.set(number, (FREE, self._stamp, OPEN))
        arrival = matching.contact_for(number)
        if arrival >= 0:
            matching.drop(arrival)
            matching.set(number, BUSY)
        return arrival

    def _draw(self, contacts: int) -> list[Draw]:
        """The next to come: where each waits, its place, and which agent becomes free beside it."""
        which, uniform = self._workload.which, self._uniform
        numbers = range(self._arrival + 1, self._arrival + contacts + 1)
        return [(self._groups[which()], self._place(n), uniform()) for n in numbers]

    def _place(self, arrival: int) -> int:
        return TIERS[int(self._uniform() * len(TIERS))] << TIER_SHIFT | arrival << ARRIVAL_BITS | arrival

    def surplus(self, contacts: int) -> tuple[float, float]:
        """(microseconds a contact, share assigned at once)."""
        goal = int(0.85 * self._count)
        for groups, place, _ in self._draw(2 * goal):
            if len(self.busy) >= goal:
                break
            number = self.arrive(groups, place)
            if number >= 0:
                self.busy.append(number)
        for arrival in list(self.matching.line.waiters):
            self.matching.drop(arrival)
        self._surplus(self._draw(max(contacts, self._count // 2)))
        return self._timed(self._surplus, contacts)

    def _surplus(self, draws: list[Draw]) -> int:
        busy, assigned = self.busy, 0
        for groups, place, some in draws:
            index = int(some * len(busy))
            number, busy[index] = busy[index], busy[-1]
            busy.pop()
            if self.free(number) >= 0:
                busy.append(number)
                assigned += 1
            number = self.arrive(groups, place)
            if number >= 0:
                busy.append(number)
                assigned += 1
        return assigned

    def fill(self) -> None:
        """Until everybody is busy and half as many contacts wait as there are agents."""
        while len(self.matching.line.waiters) < max(500, self._count // 2):
            for groups, place, _ in self._draw(1000):
                number = self.arrive(groups, place)
                if number >= 0:
                    self.busy.append(number)

    def backlog(self, contacts: int) -> tuple[float, float]:
        self._backlog(self._draw(contacts))
        return self._timed(self._backlog, contacts)

    def _backlog(self, draws: list[Draw]) -> int:
        busy, assigned = self.busy, 0
        for groups, place, some in draws:
            number = self.arrive(groups, place)
            if number >= 0:
                busy.append(number)
                assigned += 1
            index = int(some * len(busy))
            number = busy[index]
            if self.free(number) >= 0:
                assigned += 1
            else:
                busy[index] = busy[-1]
                busy.pop()
        return assigned

    def _timed(self, loop: Any, contacts: int) -> tuple[float, float]:
        took, assigned = [], 0
        for _ in range(RUNS):
            assigned, net = 0, 0.0
            for _ in range(contacts // DRAWN):
                draws = self._draw(DRAWN)
                began = time.process_time()
                assigned += loop(draws)
                net += time.process_time() - began
                net -= self._harness(draws)
            took.append(net)
        return _settled(took) / contacts * 1e6, assigned / contacts

    def _harness(self, draws: list[Draw]) -> float:
        """CPU seconds that the loops take beside matching."""
        busy = self.busy
        began = time.process_time()
        for _, _, some in draws:
            index = int(some * len(busy))
            number, busy[index] = busy[index], busy[-1]
            busy.pop()
            busy.append(number)
        return time.process_time() - began

    def pauses(self, contacts: int) -> list[float]:
        """Seconds that each single step took, by the wall clock."""
        found, clock, busy = [], time.perf_counter, self.busy
        for groups, place, some in self._draw(contacts):
            index = int(some * len(busy))
            number, busy[index] = busy[index], busy[-1]
            busy.pop()
            began = clock()
            got = self.free(number)
            found.append(clock() - began)
            if got >= 0:
                busy.append(number)
            began = clock()
            number = self.arrive(groups, place)
            found.append(clock() - began)
            if number >= 0:
                busy.append(number)
        return found

    def scan_us(self) -> float:
        """Microseconds in which the scan makes the same two choices, for one contact that comes and one agent who becomes
        free. Neither is taken."""
        took = []
        for _ in range(RUNS):
            took.append(0.0)
            for groups, place, some in self._draw(SCANS):
                self._arrival += 1
                waiter, number = Waiter(place, "q", groups), self.busy[int(some * len(self.busy))]
                began = time.process_time()
                chosen = scan.agent_for(self.matching, waiter)
                took[-1] += time.process_time() - began
                agreed = chosen == self.matching.agent_for(waiter)
                self._idle(number)
                began = time.process_time()
                arrival = scan.contact_for(self.matching, number)
                took[-1] += time.process_time() - began
                if not agreed or arrival != self.matching.contact_for(number):
                    raise RuntimeError("the scan and the indexes differ")
                self.matching.set(number, BUSY)
        return _settled(took) / SCANS * 1e6


def _settled(took: list[float]) -> float:
    """The second least."""
    return sorted(took)[1]


# -- whole decisions: typed inputs and events, contacts, conversations, agents, timers


def whole(workload: Workload, count: int, uniform: Uniform) -> dict[str, Any]:
    """Contacts a second through `decide`, five inputs each: written, accepted, answered, wrapped up, completed."""
    pool = Pool()
    now = 1_000_000.0
    engine.decide(pool, inputs.ApplyConfig(version=1, config=_config(workload, count)), now, "config")
    for number in range(count):
        engine.decide(pool, inputs.Connect(agent=f"a{number}", connection="c"), now, f"c{number}")
        engine.decide(pool, inputs.SetPresence(agent=f"a{number}", presence="available"), now, f"p{number}")
    freeze()
    talks: list[tuple[str, str]] = []
    goal = int(0.85 * count)
    warm = _talk(pool, workload, uniform, talks, goal, goal + count // 10, now, "w")
    began = time.process_time()
    _talk(pool, workload, uniform, talks, goal, WHOLE_CONTACTS, warm, "m")
    took = time.process_time() - began
    gc.unfreeze()
    return {"whole_contacts_per_s": round(WHOLE_CONTACTS / took), "whole_inputs": 5}


def _config(workload: Workload, count: int) -> Config:
    def profile(number: int) -> Agent:
        skills = {k: v for k, v in workload.profile().items() if k[:5] not in ("mode:", "brand")}
        return Agent(id=f"a{number}", name=f"A{number}", brands=("b",), skills=skills, at_once=1)

    wanted = [tuple(Requirement(skill=s, level=n) for s, n in need.items()) for need in workload.requirements]
    return Config(
        brands=(Brand(id="b", name="B", default_queue="q0"),),
        channels=tuple(
            Channel(id=f"c{n}", name="C", brand="b", provider="x", kind="chat", queue=f"q{n}")
            for n in range(len(wanted))
        ),
        queues=tuple(Queue(id=f"q{n}", name="Q", requires=requires) for n, requires in enumerate(wanted)),
        skills=tuple(Skill(id=s, name=s) for s in sorted({need.skill for needs in wanted for need in needs})),
        agents=tuple(profile(number) for number in range(count)),
    )


def _talk(
    pool: Pool, workload: Workload, uniform: Uniform, talks: list[tuple[str, str]], goal: int, contacts: int,
    now: float, name: str,
) -> float:  # fmt: skip
    """So many contacts come; while more than `goal` are talked to, one of these ends for each that comes."""
    decide, which = engine.decide, workload.which
    step_s = 300 / max(goal, 1)
    for n in range(contacts):
        now += step_s
        while pool.is_due(now) and (due := pool.due_at()) is not None and due <= now:
            engine.expire(pool, now)
        key = f"{name}{n}"
        wish = inputs.ReceiveMessage(
            channel=f"c{which()}",
            thread=Thread(external=key),
            identity=Identity(scope="b", kind="external", value=key),
            dedupe_key=key,
        )
        found = decide(pool, wish, now, key)
        _answer(pool, talks, found, now, key)
        if len(talks) > goal:
            index = int(uniform() * len(talks))
            (agent, contact), talks[index] = talks[index], talks[-1]
            talks.pop()
            decide(pool, inputs.SendMessage(agent=agent, contact=contact), now, f"{key}s")
            decide(pool, inputs.WrapUpContact(agent=agent, contact=contact), now, f"{key}w")
            found = decide(pool, inputs.CompleteContact(agent=agent, contact=contact), now, f"{key}d")
            _answer(pool, talks, found, now, f"{key}x")
    return now


def _answer(pool: Pool, talks: list[tuple[str, str]], found: engine.Decision, now: float, key: str) -> None:
    """Whoever was offered a contact accepts."""
    for event in found.events:
        if isinstance(event, OfferMade):
            engine.decide(pool, inputs.AcceptOffer(agent=event.agent, offer=event.offer), now, f"{key}a{event.attempt}")
            talks.append((event.agent, event.contact))

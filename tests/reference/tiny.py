"""A tiny simulator of scenarios, written against the format's description alone: one heap, plain lists, no product.

It exists to find out how many contacts a case needs and to doubt both the theory and the product. It knows the fields
that the cases use: Poisson arrivals and schedules, the three handling laws, patience, tiers, targets, requirements and
steps, the four strategies, serves_first, several contacts of one kind at once, lines. `simulate` has the product's shape.
"""

import heapq
import math
import random  # noqa: TID251 - seeded by the scenario
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from reference.student import interval

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    number = text.rstrip("mshd")
    return float(number) * UNITS[text[len(number) :]]


def law(spec: dict[str, Any], chance: random.Random) -> Callable[[], float]:
    ((kind, value),) = spec.items()
    if kind == "exponential":
        rate = 1 / seconds(value)
        return lambda: chance.expovariate(rate)
    if kind == "constant":
        fixed = seconds(value)
        return lambda: fixed
    variance = math.log(1 + value["cv"] ** 2)
    middle, width = math.log(seconds(value["mean"])) - variance / 2, math.sqrt(variance)
    return lambda: chance.lognormvariate(middle, width)


def arrivals(spec: dict[str, Any], chance: random.Random) -> Callable[[float], float]:
    """From one arrival to the next; a schedule by spending a unit exponential along its rates."""
    if "per_hour" in spec:
        rate = spec["per_hour"] / 3600
        return lambda now: now + chance.expovariate(rate)
    parts = [(seconds(part["until"]), part["per_hour"] / 3600) for part in spec["schedule"]]
    period = parts[-1][0]

    def following(now: float) -> float:
        left = chance.expovariate(1.0)
        start = math.floor(now / period) * period
        while True:
            for until, rate in parts:
                room = start + until - now
                if room <= 0:
                    continue
                if rate * room >= left:
                    return now + left / rate
                left -= rate * room
                now = start + until
            start += period

    return following


@dataclass(slots=True, eq=False)
class Contact:
    queue: int
    came: float
    counted: bool
    stage: int = 0
    waiting: bool = True
    started: float = -1.0
    left: float = -1.0


@dataclass(slots=True, eq=False)
class Agent:
    team: int
    stamp: int
    load: int = 0


@dataclass(slots=True)
class Counts:
    offered: int = 0
    blocked: int = 0
    answered: int = 0
    abandoned: int = 0
    waited: int = 0
    in_time: int = 0
    wait_answered: float = 0.0
    wait_abandoned: float = 0.0

    def figures(self) -> dict[str, float]:
        admitted = self.answered + self.abandoned
        return {
            "wait_probability": self.waited / admitted,
            "wait_all_s": (self.wait_answered + self.wait_abandoned) / admitted,
            "wait_answered_s": self.wait_answered / self.answered,
            "abandonment": self.abandoned / admitted,
            "blocking": self.blocked / self.offered,
            "service_level": self.in_time / admitted,
        }

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in Counts.__slots__))


@dataclass
class Center:
    scenario: dict[str, Any]
    chance: random.Random
    now: float = 0.0
    inside: int = 0
    stamps: int = 0
    pending: int = 0
    events: list[tuple[float, int, Callable[..., None], Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queues, self.teams = self.scenario["queues"], self.scenario["agents"]
        self.begin = seconds(self.scenario["warm_up"])
        self.end = self.begin + seconds(self.scenario["duration"])
        self.lines = self.scenario.get("lines", math.inf)
        self.counts = [Counts() for _ in self.queues]
        self.busy = [0.0 for _ in self.teams]
        self.within = [seconds(q["service_level"]["within"]) if "service_level" in q else 20.0 for q in self.queues]
        self.next_arrival = [arrivals(q["arrivals"], self.chance) for q in self.queues]
        self.patience = [law(q["patience"], self.chance) if "patience" in q else None for q in self.queues]
        self.capacity = [next(iter(team.get("capacity", {"": 1}).values())) for team in self.teams]
        self.handling = [
            [law(team.get("handling", queue["handling"]), self.chance) for queue in self.queues] for team in self.teams
        ]
        self._stages()
        self.staff: list[list[Agent]] = []
        self.idle: list[deque[Agent]] = [deque() for _ in self.teams]
        for team, spec in enumerate(self.teams):
            self.staff.append([Agent(team, self._stamp()) for _ in range(spec["count"])])
            self.idle[team].extend(self.staff[team])

    def _stages(self) -> None:
        """A line per queue and step; per team the lines it may take from, in groups of (tier, its own preference)."""
        self.needs = [
            [queue.get("requires", []), *(step["requires"] for step in queue.get("steps", []))] for queue in self.queues
        ]
        self.line: list[list[deque[Contact]]] = [[deque() for _ in needs] for needs in self.needs]
        self.able = [
            [
                [all(team["skills"].get(n["skill"], -1) >= n["level"] for n in need) for team in self.teams]
                for need in needs
            ]
            for needs in self.needs
        ]
        self.rank = [
            [[-sum(team["skills"].get(n["skill"], 0) for n in need) for team in self.teams] for need in needs]
            for needs in self.needs
        ]
        self.target = [seconds(queue.get("target", "0s")) for queue in self.queues]
        self.search: list[list[tuple[tuple[int, int], int, int]]] = []
        for t, team in enumerate(self.teams):
            first = team.get("serves_first", [])
            found = [
                ((q.get("priority", 1), first.index(q["name"]) if q["name"] in first else len(first)), i, stage)
                for i, q in enumerate(self.queues)
                for stage in range(len(self.needs[i]))
                if self.able[i][stage][t]
            ]
            self.search.append(found)

    def _stamp(self) -> int:
        self.stamps += 1
        return self.stamps

    def at(self, when: float, what: Callable[..., None], about: Any) -> None:
        heapq.heappush(self.events, (when, self._stamp(), what, about))

    def run(self) -> None:
        for queue in range(len(self.queues)):
            self.at(self.next_arrival[queue](0.0), self.arrive, queue)
        while self.now < self.end or self.pending:
            self.now, _, what, about = heapq.heappop(self.events)
            what(about)

    # -- what happens

    def arrive(self, queue: int) -> None:
        self.at(self.next_arrival[queue](self.now), self.arrive, queue)
        counted = self.begin <= self.now < self.end
        self.counts[queue].offered += counted
        if self.inside >= self.lines:
            self.counts[queue].blocked += counted
            return
        self.inside += 1
        self.pending += counted
        contact = Contact(queue, self.now, counted)
        agent = self.choose(queue, 0)
        if agent is not None:
            self.start(agent, contact)
            return
        self.counts[queue].waited += counted
        self.line[queue][0].append(contact)
        patience = self.patience[queue]
        if patience is not None:
            self.at(self.now + patience(), self.abandon, contact)
        for stage, step in enumerate(self.queues[queue].get("steps", []), 1):
            self.at(self.now + seconds(step["after"]), self.relax, (contact, stage))

    def relax(self, about: tuple[Contact, int]) -> None:
        contact, stage = about
        if contact.waiting:
            contact.stage = stage
            agent = self.choose(contact.queue, stage)
            if agent is not None:
                self.start(agent, contact)
            else:
                self.line[contact.queue][stage].append(contact)

    def abandon(self, contact: Contact) -> None:
        if contact.waiting:
            contact.waiting = False
            self.inside -= 1
            if contact.counted:
                self.pending -= 1
                counts = self.counts[contact.queue]
                counts.abandoned += 1
                counts.wait_abandoned += self.now - contact.came

    def start(self, agent: Agent, contact: Contact) -> None:
        contact.waiting = False
        agent.load += 1
        team = agent.team
        lasts = self.handling[team][contact.queue]()
        self.busy[team] += max(0.0, min(self.now + lasts, self.end) - max(self.now, self.begin))
        if contact.counted:
            counts, wait = self.counts[contact.queue], self.now - contact.came
            counts.answered += 1
            counts.wait_answered += wait
            counts.in_time += wait <= self.within[contact.queue]
        self.at(self.now + lasts, self.finish, (agent, contact))

    def finish(self, about: tuple[Agent, Contact]) -> None:
        agent, contact = about
        self.inside -= 1
        self.pending -= contact.counted
        agent.load -= 1
        agent.stamp = self._stamp()
        best: tuple[Any, ...] | None = None
        for group, queue, stage in self.search[agent.team]:
            line = self.line[queue][stage]
            while line and (not line[0].waiting or line[0].stage != stage):
                line.popleft()
            if line and (best is None or (group, line[0].came + self.target[queue]) < best[0]):
                best = ((group, line[0].came + self.target[queue]), line)
        if best is not None:
            self.start(agent, best[1].popleft())
        elif self.capacity[agent.team] == 1:
            self.idle[agent.team].append(agent)

    def choose(self, queue: int, stage: int) -> Agent | None:
        strategy = self.queues[queue].get("strategy", "longest_idle")
        best: Agent | None = None
        least: tuple[float, int] = (math.inf, 0)
        for team, able in enumerate(self.able[queue][stage]):
            if not able:
                continue
            capacity = self.capacity[team]
            open_ = list(self.idle[team])[:1] if capacity == 1 else [a for a in self.staff[team] if a.load < capacity]
            for agent in open_:
                rank = {
                    "longest_idle": 0.0,
                    "best_skill": self.rank[queue][stage][team],
                    "least_loaded": agent.load / capacity,
                    "most_loaded": -agent.load / capacity,
                }[strategy]
                if (rank, agent.stamp) < least:
                    best, least = agent, (rank, agent.stamp)
        if best is not None and self.capacity[best.team] == 1:
            self.idle[best.team].popleft()
        return best

    # -- what is told

    def told(self) -> dict[tuple[str, ...], float]:
        figures: dict[tuple[str, ...], float] = {}
        total = Counts()
        for queue, counts in zip(self.queues, self.counts, strict=True):
            total = total.plus(counts)
            figures |= {("queues", queue["name"], name): value for name, value in counts.figures().items()}
        figures |= {("total", name): value for name, value in total.figures().items()}
        for team, spec in enumerate(self.teams):
            places = spec["count"] * self.capacity[team] * (self.end - self.begin)
            figures[("agents", spec["name"], "occupancy")] = self.busy[team] / places
        return figures


def _replication(about: tuple[dict[str, Any], int]) -> tuple[dict[tuple[str, ...], float], list[Counts]]:
    scenario, number = about
    center = Center(scenario, random.Random(f"{scenario.get('seed', 0)}:{number}"))
    center.run()
    return center.told(), center.counts


def simulate(scenario: dict[str, Any], processes: int | None = 1) -> dict[str, Any]:
    todo = [(scenario, number) for number in range(scenario["replications"])]
    if processes == 1:
        done = [_replication(one) for one in todo]
    else:
        with ProcessPoolExecutor(processes) as pool:
            done = list(pool.map(_replication, todo))
    result: dict[str, Any] = {"queues": {}, "agents": {}, "total": {}}
    for path in done[0][0]:
        inner = result
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = interval([told[path] for told, _ in done])
    for i, queue in enumerate(scenario["queues"]):
        for name in ("offered", "answered", "abandoned", "blocked"):
            number = sum(getattr(counts[i], name) for _, counts in done)
            result["queues"][queue["name"]][name] = number
            result["total"][name] = result["total"].get(name, 0) + number
    return result

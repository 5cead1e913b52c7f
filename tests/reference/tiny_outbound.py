"""Tiny simulators of the two outbound centers: one heap, one contact after the other, no theory.

They exist to doubt `outbound`, whose words they follow and whose chains they do not know: contacts keep their own arrival,
patience and handling time, and every line rings for itself. Figures have the names that `outbound` gives them.
"""

import heapq
import random  # noqa: TID251 - seeded by the test
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Center:
    """Counts what happens in the window from `begin` to `end`, seconds, and goes on until all who came in it are gone."""

    given: dict[str, Any]
    chance: random.Random
    begin: float
    end: float
    now: float = 0.0
    number: int = 0
    pending: int = 0
    idle: int = 0
    events: list[tuple[float, int, Callable[..., None], Any]] = field(default_factory=list)
    count: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, float]:
        self.idle = self.given["agents"]
        self.begin_work()
        while self.now < self.end or self.pending:
            self.now, _, what, about = heapq.heappop(self.events)
            what(about)
        return self.figures()

    def begin_work(self) -> None:
        raise NotImplementedError

    def figures(self) -> dict[str, float]:
        raise NotImplementedError

    @property
    def counted(self) -> bool:
        return self.begin <= self.now < self.end

    def after(self, rate: float, what: Callable[..., None], about: Any) -> float:
        """`what` happens after an exponential time, which is given back."""
        self.number += 1
        lasts = self.chance.expovariate(rate)
        heapq.heappush(self.events, (self.now + lasts, self.number, what, about))
        return lasts

    def note(self, what: str, amount: float = 1.0) -> None:
        self.count[what] = self.count.get(what, 0.0) + amount

    def noted(self, what: str) -> float:
        return self.count.get(what, 0.0)

    def work(self, kind: str, rate: float) -> None:
        """An idle agent begins; its time inside the window counts."""
        self.idle -= 1
        until = self.now + self.after(rate, self.freed, kind)
        self.note(kind, max(0.0, min(until, self.end) - max(self.now, self.begin)))

    def freed(self, _kind: str) -> None:
        self.idle += 1
        self.look()

    def look(self) -> None:
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class Caller:
    came: float
    counted: bool
    waits: bool = True


class Blending(Center):
    def begin_work(self) -> None:
        self.line: deque[Caller] = deque()
        self.after(self.given["arrivals"], self.arrive, None)
        self.look()

    def arrive(self, _: None) -> None:
        self.after(self.given["arrivals"], self.arrive, None)
        caller = Caller(self.now, self.counted)
        self.pending += caller.counted
        if caller.counted:
            self.note("arrivals")
            self.note("waited", not self.idle)
        self.line.append(caller)
        if self.given["leave"]:
            self.after(self.given["leave"], self.leave, caller)
        self.look()

    def leave(self, caller: Caller) -> None:
        if caller.waits:
            self.line.remove(caller)
            self.gone(caller, "left")

    def look(self) -> None:
        while self.line and self.idle:
            self.gone(self.line.popleft(), "answered")
            self.work("inbound", self.given["serve_inbound"])
        while not self.line and self.idle > self.given["reserve"]:
            self.note("started", self.counted)
            self.work("outbound", self.given["serve_outbound"])

    def gone(self, caller: Caller, how: str) -> None:
        caller.waits = False
        if caller.counted:
            wait = self.now - caller.came
            self.pending -= 1
            self.note(how)
            self.note("wait", wait)
            self.note("early", how == "answered" and wait <= self.given["within_s"])

    def figures(self) -> dict[str, float]:
        arrivals, span = self.noted("arrivals"), self.end - self.begin
        places = span * self.given["agents"]
        return {
            "outbound": self.noted("started") / span,
            "wait_probability": self.noted("waited") / arrivals,
            "wait_all_s": self.noted("wait") / arrivals,
            "abandonment": self.noted("left") / arrivals,
            "service_level": self.noted("early") / arrivals,
            "occupancy": (self.noted("inbound") + self.noted("outbound")) / places,
            "outbound_occupancy": self.noted("outbound") / places,
        }


class Power(Center):
    def begin_work(self) -> None:
        self.ringing = 0
        self.look()

    def look(self) -> None:
        while self.ringing + 1 <= self.given["ratio"] * self.idle:
            self.ringing += 1
            self.note("dialled", self.counted)
            self.after(self.given["ring"], self.ended, None)

    def ended(self, _: None) -> None:
        self.ringing -= 1
        if self.chance.random() < self.given["live"]:
            self.note("reached" if self.idle else "lost", self.counted)
            if self.idle:
                self.work("talking", self.given["serve"])
        self.look()

    def figures(self) -> dict[str, float]:
        span = self.end - self.begin
        return {
            "dials": self.noted("dialled") / span,
            "reached": self.noted("reached") / span,
            "abandonment": self.noted("lost") / (self.noted("reached") + self.noted("lost")),
            "occupancy": self.noted("talking") / span / self.given["agents"],
        }

"""One replication: customers who come, wait, are served and leave, around the production core under a virtual clock.

The world only asks and reports, as the edges do; who gets whom is the router's. It learns what became of a contact from
the decisions' events and from nothing else. Times are seconds since the replication's start.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from naru.sim import center
from naru.sim.called import Campaign, OutboundTally, Outside
from naru.sim.chance import Draws, Poisson, Sampler, sampler, stream
from naru.sim.clock import Clock
from naru.sim.scenario import Line, Promise, Scenario
from router import effects, events, inputs
from router.config import CLOSE_AFTER_S, REOPEN_WITHIN_S
from router.engine import decide, expire
from router.forecast import Wait
from router.model import Identity, Kind, Thread
from router.redial import REDIAL_S
from router.state import Pool

CHUNK = 4096
"""Entries of the clock between two looks at whether the end is being reached."""
TAIL = 4
TAIL_LEAST = 10_000
"""Those who came in the window are waited for while at most max(10,000, 4 x as many as before) others come after it."""
WORD_KEYS = tuple(f"word-{n}" for n in range(128))
"""More than a conversation remembers, so that none is taken for a repetition."""
STILL_THERE = 0.9
"""A customer in a long talk says a word before this share of `close_after`, or the silence would end it."""

Note = Callable[[float, list[events.Event]], None]


class LineTally(msgspec.Struct):
    """What became of those who came to one queue in the window. `at_once` were answered without waiting; of those who
    `waited` and were answered some had been `told` how long, and it was so. Of those who were `promised` a callback some
    answered it, and some no try."""

    offered: int = 0
    blocked: int = 0
    answered: int = 0
    abandoned: int = 0
    unfinished: int = 0
    at_once: int = 0
    in_time: int = 0
    wait_answered_s: float = 0
    wait_abandoned_s: float = 0
    waited: int = 0
    told: int = 0
    in_half: int = 0
    in_most: int = 0
    promised: int = 0
    reached: int = 0
    unreached: int = 0


class Tally(msgspec.Struct):
    """One replication. `busy_s` is each team's, in agents' full capacity; `contacts` counts all arrivals there were."""

    lines: list[LineTally]
    busy_s: list[float]
    contacts: int = 0
    outbound: list[OutboundTally] = []


class Customer:
    """Somebody with a thread of a channel. Says that a talk is over always in the same words."""

    __slots__ = ("hangs_up", "identity", "thread", "words")

    def __init__(self, channel: str, number: int, identity: Identity | None = None) -> None:
        name = f"{channel}-{number}"
        self.thread = Thread(external=name)
        self.identity = identity or Identity(scope="simulation", kind="external", value=name)
        self.hangs_up = inputs.EndSession(channel=channel, thread=self.thread)
        self.words = 0


class Source:
    """One queue's customers: when they come, how long they take, and those who have been here and may come again."""

    def __init__(self, number: int, line: Line, uniforms: Callable[[str, str], Callable[[], float]]) -> None:
        self.number = number
        self.channel = center.queue_id(number)
        self.kind = line.channel
        self.arrivals = Poisson(line.arrivals, uniforms(line.name, "arrival"))
        self.handling_number = uniforms(line.name, "handling")
        self.patience_number = uniforms(line.name, "patience")
        self.wrap_up_number = uniforms(line.name, "wrap-up")
        self.handling = sampler(line.handling)
        self.patience = None if line.patience is None else sampler(line.patience)
        drawn = line.wrap_up is not None and line.wrap_up.constant is None
        self.wrap_up = sampler(line.wrap_up) if line.wrap_up is not None and drawn else None
        self.within_s = math.inf if line.service_level is None else float(line.service_level.within)
        self.word_after_s = CLOSE_AFTER_S[line.channel] * STILL_THERE if line.callback is None else math.inf
        self.callback = line.callback
        self.callback_number = uniforms(line.name, "callback")
        self.back_ring = sampler(line.callback.ring) if line.callback is not None and line.callback.ring else None
        self._away_s = max(REOPEN_WITHIN_S[line.channel], REDIAL_S if line.callback is not None else 0.0)
        self._gone: deque[tuple[float, Customer]] = deque()
        self._made = 0

    def customer(self, t: float) -> Customer:
        """Who was here longest ago comes again, but nobody whom the router would take for the same matter."""
        if self._gone and self._gone[0][0] < t:
            return self._gone.popleft()[1]
        self._made += 1
        if self.callback is None:
            return Customer(self.channel, self._made)
        number = f"+{100 + self.number}{self._made:09d}"
        return Customer(self.channel, self._made, Identity(scope="simulation", kind="phone", value=number))

    def gone(self, customer: Customer, t: float) -> None:
        self._gone.append((t + self._away_s, customer))


class Visit:
    """One contact of a customer. `handling` and `wrap_up` are its uniform numbers, drawn when it came; `call` is the one
    that it is on, and who is `promised` a callback has none."""

    __slots__ = (
        "agent",
        "answered",
        "busy_from",
        "call",
        "contact",
        "counted",
        "customer",
        "ends_at",
        "foretold",
        "handling",
        "inside",
        "left_s",
        "promised",
        "source",
        "t",
        "team",
        "wrap_up",
    )

    def __init__(self, source: Source, customer: Customer, t: float, counted: bool) -> None:
        self.source = source
        self.customer = customer
        self.t = t
        self.counted = counted
        self.handling = source.handling_number()
        self.wrap_up = source.wrap_up_number() if source.wrap_up is not None else 0.0
        self.contact = ""
        self.agent = ""
        self.team = -1
        self.inside = True
        self.answered = self.promised = False
        self.call = ""
        self.busy_from = math.inf
        self.ends_at = math.inf
        self.left_s = 0.0
        self.foretold: Wait | None = None


class World:
    def __init__(self, scenario: Scenario, replication: int, draws: Draws = stream, note: Note | None = None) -> None:
        def uniforms(queue: str, purpose: str) -> Callable[[], float]:
            return draws(scenario.seed, replication, queue, purpose)

        self.begins = float(scenario.warm_up)
        self.ends = self.begins + float(scenario.duration)
        self.sources = [Source(number, line, uniforms) for number, line in enumerate(scenario.queues)]
        self.outside = Outside(
            self, [Campaign(number, given, uniforms) for number, given in enumerate(scenario.outbound)]
        )
        self.tally = Tally(
            [LineTally() for _ in self.sources], [0.0] * len(scenario.agents), outbound=self.outside.tallies
        )
        called = 0.1 * sum(team.count for team in scenario.agents) if scenario.outbound else 0.0
        self.clock = Clock(per_second=called + 3 * sum(_busiest(line) for line in scenario.queues) / 3600)
        self.pool = Pool()
        self.t = 0.0
        self._note = note
        self._lines = math.inf if scenario.lines is None else scenario.lines
        self._inside = 0
        self._awaited = 0
        self._inputs = 0
        self._limit = math.inf
        self._visits: dict[str, Visit] = {}
        self._arriving: Visit | None = None
        self.team_of = {id_: n for n, team in enumerate(scenario.agents) for id_ in center.agent_ids(n, team)}
        self._shares = [center.shares(team) for team in scenario.agents]
        self._handling: list[Sampler | None] = [
            None if team.handling is None else sampler(team.handling) for team in scenario.agents
        ]
        self._follow: dict[type[events.Event], Callable[[Any, float], None]] = {
            events.ContactOpened: self._opened,
            events.OfferAccepted: self._accepted,
            events.ContactCompleted: self._completed,
            events.ContactParked: self._parked,
            events.ContactResumed: self._resumed,
            events.CallbackFailed: self._unreached,
        }
        self._start(scenario)

    def _start(self, scenario: Scenario) -> None:
        self.tell(0.0, inputs.ApplyConfig(version=1, config=center.configuration(scenario)))
        for agent in self.team_of:
            self.tell(0.0, inputs.Connect(agent=agent, connection=agent))
            self.tell(0.0, inputs.SetPresence(agent=agent, presence="available"))
        self.outside.start(0.0)
        for source in self.sources:
            self._expect(source)

    @property
    def progress(self) -> float:
        return min(1.0, self.t / self.ends)

    # -- the loop

    def advance(self) -> bool:
        """Let the next few thousand things happen. False once all that counts has been seen to its end."""
        clock, pool, ends = self.clock, self.pool, self.ends
        is_due, due_at, next_at, take = pool.is_due, pool.due_at, clock.next_at, clock.take
        soonest = self.t
        for _ in range(CHUNK):
            t = next_at()
            due = due_at() if is_due(t) else None
            soonest = t if due is None or t < due else due
            if soonest >= ends and (self._awaited == 0 or soonest == math.inf):
                return self._finish()
            if due is not None and due <= t:  # the router's timers fire before the input that comes after them
                self._expire(due)
            else:
                t, _, act, what = take()
                act(t, what)
        self.t = soonest
        return self._goes_on()

    def _goes_on(self) -> bool:
        """Whoever can never be served would be waited for in vain, while others come for ever."""
        if self.t < self.ends:
            return True
        if self._limit == math.inf:
            self._limit = self.tally.contacts + max(TAIL_LEAST, TAIL * self.tally.contacts)
        return self.tally.contacts < self._limit or self._finish()

    def _finish(self) -> bool:
        """Count those who are still there: at work until the window's end, or waiting for nobody."""
        for visit in self._visits.values():
            self._rested(visit, self.ends)
            if visit.counted and not visit.answered:
                self.tally.lines[visit.source.number].unfinished += 1
        self._visits.clear()
        self.outside.finish()
        return False

    def _expire(self, due: float) -> None:
        decision = expire(self.pool, due)
        if decision is not None:
            self._read(self.pool.t, decision.events)
            self.outside.do(self.pool.t, decision.effects)

    def tell(self, t: float, wish: inputs.Input) -> None:
        self._inputs += 1
        decision = decide(self.pool, wish, t, f"i{self._inputs}")
        if decision.answer.status >= 400:
            raise RuntimeError(f"the router refused {wish}: {decision.answer.code}")
        self._read(t, decision.events)
        if decision.effects:
            self.outside.do(t, decision.effects)

    # -- what the people who are called have to know

    def counts(self, t: float) -> bool:
        """Whether what happens now is in the window."""
        return self.begins <= t < self.ends

    def in_window(self, begins: float, ends: float) -> float:
        """Seconds of a span that are in the window, less than nothing when none is."""
        return min(ends, self.ends) - max(begins, self.begins)

    def handling_of(self, team: int) -> Sampler | None:
        return self._handling[team]

    def share_of(self, team: int, kind: Kind) -> float:
        return self._shares[team][kind]

    def _read(self, t: float, happened: list[events.Event]) -> None:
        follow = self._follow.get
        for event in happened:
            known = follow(type(event))
            if known is not None:
                known(event, t)
        if self._note is not None and happened:
            self._note(t, happened)

    # -- what customers and agents do

    def _expect(self, source: Source) -> None:
        t = source.arrivals.next()
        if t < math.inf:
            self.clock.add(t, self._arrive, source)

    def _arrive(self, t: float, source: Source) -> None:
        self._expect(source)
        self.tally.contacts += 1
        counted = self.begins <= t < self.ends
        visit = Visit(source, source.customer(t), t, counted)
        patience = source.patience_number() if source.patience is not None else 0.0
        tally = self.tally.lines[source.number]
        tally.offered += counted
        if self._inside >= self._lines:
            tally.blocked += counted
            source.gone(visit.customer, t)
            return
        self._inside += 1
        self._awaited += counted
        self._arriving = visit
        if source.callback is None:
            self._say(t, visit)
        else:
            self._call(t, visit, source.callback)
        if counted and visit.team < 0:
            visit.foretold = self.pool.foretell(source.channel, self.pool.length(source.channel))
        if source.patience is not None and visit.team < 0:
            self.clock.add(t + source.patience(patience), self._lose_patience, visit)

    def _say(self, t: float, visit: Visit) -> None:
        customer = visit.customer
        customer.words += 1
        self.tell(
            t,
            inputs.ReceiveMessage(
                channel=visit.source.channel,
                thread=customer.thread,
                identity=customer.identity,
                dedupe_key=WORD_KEYS[customer.words % len(WORD_KEYS)],
            ),
        )

    def _call(self, t: float, visit: Visit, offered: Promise) -> None:
        """Somebody who calls, and may hang up for the promise of a callback."""
        source, customer = visit.source, visit.customer
        waiting = self.pool.length(source.channel)
        customer.words += 1
        visit.call = f"{customer.thread.external}-{customer.words}"
        thread, identity = Thread(external=visit.call, kind="call"), customer.identity
        self.tell(t, inputs.ReceiveCall(channel=source.channel, thread=thread, identity=identity))
        accepts = source.callback_number() < offered.accept
        if visit.team < 0 and waiting >= offered.when_waiting and accepts:
            self.tally.lines[source.number].promised += visit.counted
            visit.promised = True
            self._inside -= 1
            self.tell(t, inputs.LeaveLine(channel=source.channel, call=visit.call, to="callback"))
            visit.call = ""

    def ring_back(self, t: float, effect: effects.RingLeg) -> None:
        """A phone rings whose owner was promised a callback."""
        source, leg = self._visits[effect.contact].source, f"back-{effect.key}"
        assert source.callback is not None
        self.tell(t, inputs.EndSend(key=effect.key, result="accepted", externals=(leg,)))
        ring_s = source.back_ring(source.callback_number()) if source.back_ring is not None else 0.0
        answers = source.callback_number() < source.callback.answer and ring_s <= effect.timeout_s
        self.clock.add(
            t + min(ring_s, effect.timeout_s), self._back_answered if answers else self._back_rang_out, (effect, leg)
        )

    def _back_answered(self, t: float, rung: tuple[effects.RingLeg, str]) -> None:
        effect, leg = rung
        visit = self._visits[effect.contact]
        visit.promised, visit.call = False, leg
        self._inside += 1
        self.tally.lines[visit.source.number].reached += visit.counted
        self.tell(t, inputs.AnswerLeg(channel=effect.channel, key=effect.key, leg=leg))
        if effect.side == "customer":  # its agent waited on the line
            self._work(visit, t)

    def _back_rang_out(self, t: float, rung: tuple[effects.RingLeg, str]) -> None:
        effect, leg = rung
        self.tell(t, inputs.EndLeg(channel=effect.channel, key=effect.key, leg=leg, cause="no_answer"))

    def _unreached(self, event: events.CallbackFailed, t: float) -> None:
        visit = self._visits[event.contact]
        if visit.team >= 0:
            self._rested(visit, t)
            visit.team = -1

    def _lose_patience(self, t: float, visit: Visit) -> None:
        if visit.inside and visit.team < 0 and not visit.promised and not visit.answered:
            self._leave(t, visit)

    def _end_talk(self, t: float, visit: Visit) -> None:
        if visit.inside and visit.ends_at == t:
            self._leave(t, visit)
            source = visit.source
            if source.wrap_up is not None:
                self.clock.add(t + source.wrap_up(visit.wrap_up), self._end_work, visit)

    def _end_work(self, t: float, visit: Visit) -> None:
        if visit.contact in self._visits:  # else an hour was over before
            self.tell(t, inputs.CompleteContact(agent=visit.agent, contact=visit.contact))

    def _leave(self, t: float, visit: Visit) -> None:
        visit.inside = False
        self._inside -= 1
        visit.source.gone(visit.customer, t)
        thread = Thread(external=visit.call, kind="call")
        over = inputs.EndCall(channel=visit.source.channel, thread=thread) if visit.call else visit.customer.hangs_up
        self.tell(t, over)

    def _still_there(self, t: float, visit: Visit) -> None:
        if visit.inside and visit.ends_at > t and visit.busy_from < math.inf:
            self._say(t, visit)
            self._keep_talking(t, visit)

    # -- what has happened

    def _opened(self, event: events.ContactOpened, t: float) -> None:
        if event.campaign is not None:
            self.outside.opened(event, t)
            return
        visit = self._arriving
        assert visit is not None
        visit.contact = event.contact
        self._visits[event.contact] = visit

    def _accepted(self, event: events.OfferAccepted, t: float) -> None:
        if self.outside.accepted(event, t):
            return
        visit = self._visits[event.contact]
        visit.agent = event.agent
        visit.team = team = self.team_of[event.agent]
        if visit.counted and not visit.answered:
            self._count_answer(visit, t)
        visit.answered = True
        handling = self._handling[team] or visit.source.handling
        visit.left_s = handling(visit.handling)
        if visit.promised:  # the agent waits for the customer's phone
            visit.busy_from = t
        else:
            self._work(visit, t)

    def _count_answer(self, visit: Visit, t: float) -> None:
        self._awaited -= 1
        tally = self.tally.lines[visit.source.number]
        wait_s = t - visit.t
        tally.answered += 1
        tally.at_once += wait_s == 0
        tally.in_time += wait_s <= visit.source.within_s
        tally.wait_answered_s += wait_s
        tally.waited += wait_s > 0
        if visit.foretold is not None:
            tally.told += 1
            tally.in_half += wait_s <= visit.foretold.half_s
            tally.in_most += wait_s <= visit.foretold.most_s

    def _work(self, visit: Visit, t: float) -> None:
        visit.busy_from = min(visit.busy_from, t)
        visit.ends_at = t + visit.left_s
        self.clock.add(visit.ends_at, self._end_talk, visit)
        self._keep_talking(t, visit)

    def _keep_talking(self, t: float, visit: Visit) -> None:
        if visit.ends_at - t > visit.source.word_after_s:
            self.clock.add(t + visit.source.word_after_s, self._still_there, visit)

    def _parked(self, event: events.ContactParked, t: float) -> None:
        """The talk rests with its agent, and so does its time."""
        visit = self._visits[event.contact]
        visit.left_s = max(0.0, visit.ends_at - t)
        visit.ends_at = math.inf
        self._rested(visit, t)

    def _resumed(self, event: events.ContactResumed, t: float) -> None:
        self._work(self._visits[event.contact], t)

    def _completed(self, event: events.ContactCompleted, t: float) -> None:
        if self.outside.completed(event, t):
            return
        visit = self._visits.pop(event.contact)
        tally, lost = self.tally.lines[visit.source.number], visit.counted and not visit.answered
        if visit.team >= 0:
            self._rested(visit, t)
        self._awaited -= lost
        if event.outcome == "unreached":
            tally.unreached += visit.counted
        elif lost:
            tally.abandoned += 1
            tally.wait_abandoned_s += t - visit.t
        if visit.inside:  # ended by the router's own rules
            visit.inside = False
            self._inside -= not visit.promised
            visit.source.gone(visit.customer, t)

    def _rested(self, visit: Visit, t: float) -> None:
        """The agent is no longer busy with it: what of that was in the window counts."""
        busy_s = self.in_window(visit.busy_from, t)
        if busy_s > 0:
            self.tally.busy_s[visit.team] += busy_s * self._shares[visit.team][visit.source.kind]
        visit.busy_from = math.inf


def _busiest(line: Line) -> float:
    """The highest rate per hour at which a queue's customers come."""
    return max([line.arrivals.per_hour or 0.0, *(span.per_hour for span in line.arrivals.schedule or ())])

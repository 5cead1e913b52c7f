"""One seed's story: three pools that must never differ, and every check after every step.

`pool` decides from the beginning. `copy` folds its events and nothing else, as every reader of a journal does. `twin`
was restored at some point, from a snapshot or by folding, and decides the same later inputs: each of its decisions must
be the same to the byte. At the end the world is brought to rest, and nothing may be left.
"""

import hashlib
import traceback
from collections import Counter, deque
from dataclasses import dataclass, field

import msgspec

from naru.sim import checks
from naru.sim.checks import Fault
from naru.sim.faults import centers
from naru.sim.faults.campaign import Campaign, begin
from naru.sim.faults.dice import Dice
from naru.sim.faults.ledger import Ledger
from naru.sim.faults.world import Told, World
from router import events, inputs, scan
from router.config import Campaign as Rules
from router.effects import RingLeg
from router.engine import Decision, decide, expire
from router.memory import Agent, Contact, Memory, Seen, leg_key
from router.model import derive_id
from router.state import Pool, apply
from router.turn import Answer

STEPS = 150
SHOWN_INPUTS = 10
ALL_EVERY = 20
"""Of what is dear to check, each step looks at whom it touched and a few others, and each twentieth at everybody."""
ROUNDS = 80
as_read = msgspec.json.Decoder(events.AnyEvent).decode


class Late(Pool):
    """Makes no group before somebody waits in it: what is foreseen saves time and must change nothing else."""

    def _foresee(self) -> None:
        pass


@dataclass
class Figures:
    """What has been driven through. `digest` is over the journal, answers and effects included."""

    seeds: int = 0
    steps: int = 0
    restores: int = 0
    inputs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    digest: str = ""

    def add(self, other: "Figures") -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.restores += other.restores
        self.inputs += other.inputs
        self.refused += other.refused
        self.events += other.events


@dataclass
class Failure:
    """`command` repeats it. `last` are the last inputs, the newest last."""

    seed: int
    steps: int
    step: int
    check: str
    what: str
    last: list[str]

    @property
    def command(self) -> str:
        return f"python -m naru.sim.faults --seed {self.seed} --steps {self.steps}"

    def __str__(self) -> str:
        shown = "\n  ".join(self.last)
        return (
            f"seed {self.seed}, step {self.step}: {self.check}: {self.what}\n"
            f"the last inputs were\n  {shown}\nrepeat it with\n  {self.command}"
        )


class Run:
    def __init__(self, seed: int, steps: int = STEPS) -> None:
        self.seed, self.steps, self.step = seed, steps, 0
        self.dice = Dice(seed, "run")
        self.pool = decided_as_the_scan_would(Pool() if seed % 4 == 0 else Late())
        self.copy: Pool = Late()
        self.twin: Pool | None = None
        self.world = World(seed, self.pool)
        self.ledger = Ledger()
        self.figures = Figures(seeds=1)
        self.last: deque[str] = deque(maxlen=SHOWN_INPUTS)
        self._answers: dict[str, tuple[float, Seen]] = {}
        self._more: dict[str, dict[str, int]] = {}
        self._hash = hashlib.sha256()

    def go(self) -> Failure | None:
        """Run to the end; what went wrong, if anything did."""
        try:
            self.tell(Told("config", self.world.first_config()))
            for told in self.world.opens():
                self.tell(told)
            while self.step < self.steps:
                self.step += 1
                self.take_step()
            self.come_to_rest()
        except Fault as fault:
            return self._failure(fault.check, fault.what)
        except Exception as error:  # noqa: BLE001 - whatever breaks in the core is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error} ({where.filename.rpartition('/')[2]}:{where.lineno})"
            return self._failure("it broke", what)
        finally:
            self.figures.steps = self.step
            self.figures.events = self.ledger.counts
            self.figures.digest = self._hash.hexdigest()
        return None

    def _failure(self, check: str, what: str) -> Failure:
        return Failure(self.seed, self.steps, self.step, check, what, list(self.last))

    def take_step(self) -> None:
        if self.dice.chance(1 / 35):
            self.restore()
        seconds, awake = self.world.passes()
        self.passes(seconds, awake)
        self.tell(self.world.next())

    # -- what the owner of a shard does

    def passes(self, seconds: float, awake: bool, whole: bool = False) -> None:
        """Time passes. Whoever is awake lets each timer happen soon after it is due, and what a campaign asks for then is
        answered before more time passes, unless the `whole` of it does; after an outage all happen late."""
        until = self.world.t + seconds
        while (due := self.pool.due_at()) is not None and due <= until:
            if not awake:
                self.world.t = until
            elif self.world.t < due:
                self.world.t = due
            self._expire(min(until, due + self.dice.pick((0, 0.05, 0.9))) if awake else until)
            if awake and not whole and self.world.comes_first(until):
                until = self.world.t
        self.world.t = until
        checks.overdue(self.pool, self.world.t)
        self.ledger.waited(self.world.t)

    def _expire(self, until: float) -> None:
        decision = expire(self.pool, until)
        if decision is None:
            raise Fault("timers", f"something is due at {self.pool.due_at()} and nothing happens by {until}")
        if self.twin is not None:
            self._same(decision, expire(self.twin, until))
        self._note(None, decision, self.pool.t)

    def tell(self, told: Told) -> Decision:
        """One input, its timers before it, and its answer remembered; the same id again gets the same answer."""
        self.passes(0, awake=False)
        self.last.append(f"{self.world.t:.3f} {told.id} {told.wish}"[:400])
        self.figures.inputs[type(told.wish).__name__] += 1
        known = self.pool.memory.seen.get(told.id)
        if known is not None:
            return self._again(told, known)
        if told.id in self._answers and self._answers[told.id][0] > self.pool.t - 800:
            raise Fault("answers", f"the answer to {told.id} is forgotten")
        decision = self._decide(self.pool, told)
        if self.twin is not None:
            self._same(decision, self._decide(self.twin, told))
        now = max(self.world.t, self.pool.t)
        self._note(told, decision, now)
        seen = Seen(
            t=now, hash="", status=decision.answer.status, code=decision.answer.code, contact=decision.answer.contact
        )
        self._answers[told.id] = now, seen
        for pool in self._pools():
            pool.memory.t = max(pool.memory.t, now)
            pool.remember(told.id, seen)
        return decision

    def _decide(self, pool: Pool, told: Told) -> Decision:
        if isinstance(told.wish, Campaign):
            return begin(pool, told.wish, self.world.t, told.id)
        return decide(pool, told.wish, self.world.t, told.id, told.at, told.content)

    def _again(self, told: Told, known: Seen) -> Decision:
        first = self._answers[told.id][1]
        if (known.status, known.code, known.contact) != (first.status, first.code, first.contact):
            raise Fault("answers", f"{told.id} was answered {first}, now {known}")
        return Decision([], [], Answer(status=known.status, code=known.code, contact=known.contact))

    def _pools(self) -> list[Pool]:
        return [pool for pool in (self.pool, self.copy, self.twin) if pool is not None]

    # -- restoring

    def restore(self) -> None:
        """A second pool takes over: from a snapshot, or, as a new owner does, by going on from what was folded."""
        self.figures.restores += 1
        if self.dice.chance(0.5):
            self.twin = restored(self.pool)
        else:
            self.twin, self.copy = self.copy, restored(self.copy)

    def _same(self, decision: Decision, other: Decision | None) -> None:
        if other is None or msgspec.json.encode(decision) != msgspec.json.encode(other):
            raise Fault("restored is the same", f"{decision} was decided, after restoring {other}")

    # -- after each decision

    def _note(self, told: Told | None, decision: Decision, t: float) -> None:
        self._hash.update(msgspec.json.encode(decision))
        if told is not None and decision.answer.status >= 400:
            self.figures.refused[decision.answer.code] += 1
        self._fold(decision.events, t)
        for event in decision.events:
            self.ledger.note(event, t)
        self._leave_was_given(told, decision)
        if any(isinstance(event, events.ConfigApplied) for event in decision.events):
            self.world.configured()
            self._more.clear()
            self._allow_what_is()
        self.world.hears(told.wish if told is not None else None, decision)
        self.check(decision)

    def _leave_was_given(self, told: Told | None, decision: Decision) -> None:
        """Nobody whom a campaign calls is rung but by the answer that says who it is."""
        wish = told.wish if told is not None else None
        leave = wish.key if isinstance(wish, inputs.EndReserve) and wish.reserved is not None else None
        for effect in decision.effects:
            if isinstance(effect, RingLeg) and effect.side == "customer":
                attempt = self.ledger.attempt_of(effect.contact)
                if attempt is not None and attempt != leave:
                    raise Fault("leave", f"{effect} rings without leave")

    def _fold(self, happened: list[events.Event], t: float) -> None:
        copy = self.copy
        for event in happened:
            if not isinstance(event, events.ConfigApplied):
                event = as_read(msgspec.json.encode(event))
            apply(copy, event, t)
        copy.memory.t = max(copy.memory.t, self.pool.memory.t if not happened else t)
        copy.settled()

    def check(self, decision: Decision) -> None:
        pool = self.pool
        if decision.answer.status >= 400 and decision.events:
            raise Fault("refused changes nothing", f"{decision}")
        if pool.memory != self.copy.memory:
            check = "only events change memory" if decision.events else "refused changes nothing"
            raise Fault(check, difference(pool.memory, self.copy.memory))
        self.ledger.agrees(pool)
        checks.holders(pool)
        checks.heard(pool, self.world.heard)
        checks.campaigns(pool)
        self._capacity()
        if self.step % ALL_EVERY == 0:
            checks.consistent(pool)
            if orders(pool.memory) != orders(self.copy.memory):
                raise Fault("only events change memory", "the order of things differs")
            if self.twin is not None and self.twin.memory != pool.memory:
                raise Fault("restored is the same", difference(pool.memory, self.twin.memory))
            return
        contacts, agents = self._touched(decision)
        checks.waiting(pool, contacts)
        checks.openness(pool, agents)

    def _touched(self, decision: Decision) -> tuple[list[Contact], list[Agent]]:
        """Whom the step has touched, and one more of each."""
        pool, dice = self.pool, self.dice
        contacts = dict.fromkeys(getattr(event, "contact", None) for event in decision.events)
        agents = dict.fromkeys(getattr(event, "agent", None) for event in decision.events)
        if pool.waiting:
            contacts[dice.pick(list(pool.waiting.values()))] = None
        if pool.agents:
            agents[dice.pick(list(pool.agents))] = None
        found = [pool.contacts[id_] for id_ in contacts if id_ in pool.contacts]
        return [c for c in found if c.status == "queued"], [pool.agents[id_] for id_ in agents if id_ in pool.agents]

    # -- capacity: more than may be is allowed only where a new configuration has made it so, and may not grow

    def _allow_what_is(self) -> None:
        for agent in self.pool.agents.values():
            profile = self.pool.profile(agent.id)
            if profile is not None:
                self._more[agent.id] = checks.over(self.pool, agent, profile)

    def _capacity(self) -> None:
        for agent in self.pool.agents.values():
            if not agent.contacts and not agent.attends:
                continue
            profile = self.pool.profile(agent.id)
            if profile is None:
                continue
            now, allowed = checks.over(self.pool, agent, profile), self._more.get(agent.id, {})
            for measure, more in now.items():
                if more > allowed.get(measure, 0):
                    raise Fault("capacity", f"{agent.id} holds {more} more than may be of {measure}")
            if allowed:
                self._more[agent.id] = now

    # -- the end of all days

    def come_to_rest(self) -> None:
        """Everybody comes, everything is finished by somebody or ends by itself, and nothing may be left."""
        by_hand = self.dice.chance(0.6)
        for told in self.world.all_late():
            self.tell(told)
        self._say(self.world.new_config(centers.generous(self.world.config)))
        for _ in range(ROUNDS):
            if not self.pool.contacts:
                break
            self._everybody_comes()
            for id_ in list(self.pool.contacts):
                if id_ in self.pool.contacts:
                    self._finishes(self.pool.contacts[id_], by_hand)
            self.passes(31 if by_hand else 100_000, awake=True)
        if self.pool.contacts:
            raise Fault("comes to rest", f"still there: {list(self.pool.contacts.values())}")
        for key in list(self.pool.memory.sends):
            self._say(inputs.ClaimSend(key=key, worker="w:last"))
            self._say(inputs.EndSend(key=key, result="accepted"))
        for id_, state in self.pool.memory.campaigns.items():
            if state.running:  # it would ask for people once in a few seconds, for all these days
                self._say(inputs.SetCampaign(campaign=id_, running=False, by="z"))
        self.passes(30 * 86400, awake=True, whole=True)
        self.passes(2, awake=True)
        for pool in self._pools():
            checks.nothing_left(pool)
        checks.consistent(self.pool)

    def _say(self, wish: inputs.Input) -> None:
        self.tell(Told(f"last-{len(self._answers)}", wish))

    def _everybody_comes(self) -> None:
        for agent in self.world.config.agents:
            known = self.pool.agents.get(agent.id)
            if known is None or not known.connections:
                self._say(inputs.Connect(agent=agent.id, connection=f"z:1:{agent.id}"))
            if self.pool.agents[agent.id].presence != "available":
                self._say(inputs.SetPresence(agent=agent.id, presence="available"))

    def _finishes(self, contact: Contact, by_hand: bool) -> None:
        offer = contact.offer
        if offer is not None:
            self._say(inputs.AcceptOffer(agent=offer.agent, offer=offer.id))
            if contact.offer is not None:
                leg = derive_id("last", offer.id)
                if self.pool.rings_customer(contact):
                    first = leg_key(contact, "customer")
                    self._say(inputs.AnswerLeg(channel=contact.channel, key=first, leg=f"{leg}-first"))
                self._say(inputs.AnswerLeg(channel=contact.channel, key=offer.id, leg=leg))
        elif contact.status == "scheduled" and (by_hand or self.pool.queue(contact).call_first == "customer"):
            # With nobody to dial, one that rings its customer first would be offered once in ten minutes, for ever.
            self._say(inputs.CancelCallback(contact=contact.id, by="z"))
        elif contact.agent is not None and by_hand:
            self._say(inputs.CompleteContact(agent=contact.agent, contact=contact.id))


def restored(pool: Pool) -> Pool:
    """A pool from a snapshot of this one."""
    memory = msgspec.msgpack.decode(msgspec.msgpack.encode(pool.memory), type=Memory)
    if memory.config == pool.memory.config:
        memory.config = pool.memory.config  # comparing is then a matter of identity
    return Late(memory)


def orders(memory: Memory) -> list[list[str]]:
    """In which order everything stands: it decides who is first, and equality does not see it."""
    kept = (
        memory.contacts,
        memory.conversations,
        memory.agents,
        memory.sends,
        memory.seen,
        memory.numbers,
        memory.callbacks,
        memory.campaigns,
    )
    rung = [[*state.asked, *state.lines, *state.reaching, *state.wrapping] for state in memory.campaigns.values()]
    held = [[*contact.excluded, *contact.participants] for contact in memory.contacts.values()]
    return [*(list(one) for one in kept), *rung, *held, *(list(known.keys) for known in memory.conversations.values())]


def difference(one: Memory, other: Memory) -> str:
    """Where two memories differ first."""
    for name in one.__struct_fields__:
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine == theirs:
            continue
        if isinstance(mine, dict):
            for key in {**mine, **theirs}:
                if mine.get(key) != theirs.get(key):
                    return f"{name} {key}: {mine.get(key)} is not {theirs.get(key)}"
        return f"{name}: {mine} is not {theirs}"
    return "nowhere"


def decided_as_the_scan_would(pool: Pool) -> Pool:
    """Hold each choice of the indexes against a look at everybody, at the moment when it is made."""
    agent_for, contact_for, for_campaign = pool.agent_for, pool.contact_for, pool.agent_for_campaign

    def checked_agent_for(contact: Contact) -> Agent | None:
        found = agent_for(contact)
        number = scan.agent_for(pool.matching, pool.matching.line.waiters[contact.arrival])
        by_scan = pool.matching.cells.ids[number] if number >= 0 else None
        if by_scan != (found.id if found is not None else None):
            raise Fault("index and scan", f"{contact.id} goes to {found.id if found else None}, by scan to {by_scan}")
        return found

    def checked_contact_for(agent: Agent) -> Contact | None:
        found = contact_for(agent)
        number = pool.matching.cells.numbers.get(agent.id)
        arrival = scan.contact_for(pool.matching, number) if number is not None else -1
        by_scan = pool.waiting[arrival] if arrival >= 0 else None
        if by_scan != (found.id if found is not None else None):
            raise Fault("index and scan", f"{agent.id} is given {found.id if found else None}, by scan {by_scan}")
        return found

    def checked_for_campaign(rules: Rules) -> Agent | None:
        found, wish = for_campaign(rules), pool._wish(rules)
        number = scan.agent_for(pool.matching, wish) if wish is not None else -1
        by_scan = pool.matching.cells.ids[number] if number >= 0 else None
        if by_scan != (found.id if found is not None else None):
            raise Fault("index and scan", f"{rules.id} keeps {found.id if found else None}, by scan {by_scan}")
        return found

    pool.agent_for, pool.contact_for = checked_agent_for, checked_contact_for  # type: ignore[method-assign]
    pool.agent_for_campaign = checked_for_campaign  # type: ignore[method-assign]
    return pool


def run(seed: int, steps: int = STEPS) -> tuple[Figures, Failure | None]:
    one = Run(seed, steps)
    failure = one.go()
    return one.figures, failure


def shrunk(failure: Failure) -> Failure:
    """The same fault with as few steps as a handful of trials finds: the world before it is the same."""
    best = failure
    for steps in (1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 70, 100, failure.step):
        if steps >= best.steps:
            break
        _, found = run(failure.seed, steps)
        if found is not None and found.check == failure.check:
            return found
    return best

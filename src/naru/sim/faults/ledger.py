"""What a journal alone shows: the whole life of each contact, offer and send, kept a second time, from events only.

The table of transitions stands here once, apart from the router's own code. Nothing may be opened twice, ended twice,
offered to two, moved in line, or go on after its end.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from naru.sim.checks import Fault
from router import events
from router.config import Campaign, Config, Lookup
from router.effects import RingLeg
from router.memory import REMEMBER_KEYS
from router.state import Pool

OLDEST_S = 72 * 3600.0
LONGEST_ASKED_S = 5.0
LONGEST_LEAVE_S = 2.0
"""A person may be dialled so long after leave was given."""

TABLE: dict[type[events.Event], tuple[tuple[str, ...], str | None]] = {
    events.OfferMade: (("queued",), "offered"),
    events.OfferAccepted: (("offered",), "active"),
    events.OfferDeclined: (("offered",), "queued"),
    events.OfferTimedOut: (("offered",), "queued"),
    events.OfferWithdrawn: (("offered",), "queued"),
    events.ContactHeld: (("active",), "held"),
    events.ContactResumed: (("held", "parked"), "active"),
    events.ContactParked: (("active", "held"), "parked"),
    events.ContactNudged: (("active",), None),
    events.ContactWrapping: (("active", "held", "parked", "wrapping"), "wrapping"),
    events.ContactRequeued: (("queued", "active", "held", "parked"), "queued"),
    events.CallbackPromised: (("queued",), None),
    events.CallbackDue: (("scheduled",), "queued"),
    events.CallbackFailed: (("active", "held", "queued"), "scheduled"),
    events.ContactStepped: (("queued",), None),
    events.ContactPromoted: (("queued",), None),
    events.PreferenceEnded: (("queued",), None),
    events.ExclusionEnded: (("queued",), None),
    events.ContactReprioritised: (("queued", "offered"), None),
    events.ContactTakenOver: (("active", "held", "parked"), "active"),
    events.ContactHandedOver: (("active", "held", "parked"), "active"),
    events.ParticipantJoined: (("active", "held"), None),
    events.LegJoined: (("active", "held", "offered"), None),
    events.LineAnswered: (("dialling",), "queued"),
    events.ContactCompleted: (
        ("queued", "scheduled", "dialling", "active", "held", "parked", "wrapping"),
        "completed",
    ),
}
"""From which statuses to which one an event leads; None: it stays."""
AFTERWARDS = (events.SendClaimed, events.SendEnded, events.MessageRevised)
"""What may still be told of a contact that is over, and what a colleague says elsewhere. (And the words with which it came,
when nobody was to take it.)"""
ENDS_OF_OFFER = (events.OfferAccepted, events.OfferDeclined, events.OfferTimedOut, events.OfferWithdrawn)


def _comes_late(event: events.Event) -> bool:
    elsewhere = isinstance(event, events.MessageAdded) and event.author == "external_console"
    return elsewhere or isinstance(event, AFTERWARDS)


@dataclass
class Life:
    """A contact as its events tell it."""

    enqueued_at: float
    arrival: int
    queue: str
    direction: str
    status: str = "queued"
    agent: str | None = None
    offer: tuple[str, str] | None = None
    is_for_later: bool = False
    is_promised: bool = False
    campaign: str | None = None
    attempt: str | None = None
    reach_by: float | None = None


@dataclass
class Person:
    presence: str = "offline"
    connections: list[str] = field(default_factory=list)
    cools_until: float | None = None
    offers: list[str] = field(default_factory=list)
    kept_for: str | None = None


@dataclass
class Dialled:
    """A campaign as its events tell it: attempts asked for and when, lines, and answers by the day with what was lost."""

    running: bool = False
    rests: bool = False
    asked: dict[str, float] = field(default_factory=dict)
    for_agent: set[str] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    live: list[tuple[int, int]] = field(default_factory=list)

    def spare(self, rules: Campaign, waiting: int, t: float) -> float:
        """So many lines may ring beyond the agents kept, by the law's own inequality."""
        days = [lost for day, lost in self.live if day > int(t // 86_400) - rules.window_days]
        answers, lost = days.count(0), days.count(1) + waiting
        return (rules.ceiling * answers - lost) / (1 - rules.ceiling)


class Ledger:
    def __init__(self) -> None:
        self.open: dict[str, Life] = {}
        self.over: set[str] = set()
        self.people: dict[str, Person] = {}
        self.sends: dict[str, str | None] = {}
        self.keys: dict[str, list[str]] = {}
        self.numbers: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.campaigns: dict[str, Dialled] = {}
        self._attempts: set[str] = set()
        self._asked_for: dict[str, float] = {}
        self._offers: set[str] = set()
        self._now = 0.0
        self._just_over = ""
        self._config = Lookup(Config())
        self._arrivals = 0

    def note(self, event: events.Event, t: float) -> None:
        """Raises Fault when this could not come after what came before."""
        self.counts[type(event).__name__] += 1
        self._now = t
        contact = getattr(event, "contact", None)
        if isinstance(event, events.ContactOpened):
            self._opened(event, t)
        elif type(event) in TABLE:
            assert contact is not None
            self._moves(event, contact)
        elif contact in self.over and contact != self._just_over and not _comes_late(event):
            raise Fault("after its end", f"{event}")
        handler = _NOTE.get(type(event))
        if handler is not None:
            handler(self, event)

    def agrees(self, pool: Pool) -> None:
        """Memory has just the contacts that the events left open, each with its place, its status and its owner."""
        if len(pool.contacts) != len(self.open):
            raise Fault("lost", f"open are {sorted(self.open)}, in memory {sorted(pool.contacts)}")
        for id_, life in self.open.items():
            contact = pool.contacts.get(id_)
            if contact is None:
                raise Fault("lost", f"{id_} is {life.status} and not in memory")
            if contact.enqueued_at != life.enqueued_at or contact.arrival != life.arrival:
                raise Fault("place kept", f"{id_} came at {life.enqueued_at}, now {contact.enqueued_at}")
            if contact.status != life.status or contact.agent != life.agent:
                raise Fault("one owner", f"{id_} is {contact.status} of {contact.agent}, by its events {life}")
            offer = (contact.offer.id, contact.offer.agent) if contact.offer is not None else None
            if offer != life.offer:
                raise Fault("one offer", f"{id_} has {offer}, by its events {life.offer}")
        for id_, person in self.people.items():
            if pool.agents[id_].presence != person.presence:
                raise Fault("presence", f"{id_} is {pool.agents[id_].presence}, by its events {person.presence}")
            if len(person.offers) > 1:
                raise Fault("one offer", f"{id_} has {person.offers}")
            if person.cools_until is not None and pool.agents[id_].cools_until is None:
                raise Fault("cool-down", f"{id_} was to cool down until {person.cools_until}")
        if pool.memory.sends.keys() != self.sends.keys():
            raise Fault("sends", f"{sorted(pool.memory.sends)} are to be sent, by their events {sorted(self.sends)}")

    # -- contacts

    def _opened(self, event: events.ContactOpened, t: float) -> None:
        if event.contact in self.open or event.contact in self.over:
            raise Fault("opened twice", event.contact)
        if not t - OLDEST_S <= event.enqueued_at <= t:
            raise Fault("place kept", f"{event.contact} came at {event.enqueued_at}, it is {t}")
        self._arrivals += 1
        life = Life(event.enqueued_at, self._arrivals, event.queue, event.direction)
        self.open[event.contact] = life
        if event.campaign is not None and event.attempt is not None:
            self._called(event, life)

    def _moves(self, event: events.Event, id_: str) -> None:
        life = self.open.get(id_)
        if life is None:
            raise Fault("after its end" if id_ in self.over else "unknown contact", f"{event}")
        before, after = TABLE[type(event)]
        if life.status not in before:
            raise Fault("transition", f"{id_} is {life.status}: {event}")
        if isinstance(event, ENDS_OF_OFFER):
            self._offer_ends(event, life)
        life.status = after or life.status
        if life.status in ("queued", "scheduled"):
            life.agent = None

    def _life(self, event: Any) -> Life:
        return self.open[event.contact]

    def _offer_made(self, event: events.OfferMade) -> None:
        life, person = self._life(event), self._person(event.agent)
        person.kept_for = None
        if event.offer in self._offers:
            raise Fault("one offer", f"{event.offer} was made before")
        self._offers.add(event.offer)
        life.offer = (event.offer, event.agent)
        person.offers.append(event.offer)

    def _offer_ends(self, event: Any, life: Life) -> None:
        if life.offer != (event.offer, event.agent):
            raise Fault("one offer", f"not {life.offer}: {event}")
        life.offer = None
        self._person(event.agent).offers.remove(event.offer)

    def _accepted(self, event: events.OfferAccepted) -> None:
        life = self._life(event)
        life.agent = event.agent
        if life.reach_by is not None and life.reach_by < self._now:
            raise Fault("live answer", f"waited until {self._now}, at most {life.reach_by}: {event}")
        life.reach_by = None

    def _cools(self, event: Any) -> None:
        if event.cools_until is not None:
            self._person(event.agent).cools_until = event.cools_until

    def _cooled(self, event: events.AgentCooled) -> None:
        self._person(event.agent).cools_until = None

    def _timed_out(self, event: events.OfferTimedOut) -> None:
        if event.blame:
            self._person(event.agent).presence = "unresponsive"

    def _requeued(self, event: events.ContactRequeued) -> None:
        self._life(event).queue = event.queue

    def _promised(self, event: events.CallbackPromised) -> None:
        life = self._life(event)
        life.is_promised = True
        if event.at is not None:
            life.status, life.is_for_later = "scheduled", True

    def _due(self, event: events.CallbackDue) -> None:
        """Only one that was asked for at a certain time comes in at another place than it had."""
        life = self._life(event)
        if life.is_for_later:
            life.enqueued_at, life.is_for_later = event.enqueued_at, False
        if event.enqueued_at != life.enqueued_at:
            raise Fault("place kept", f"came at {life.enqueued_at}: {event}")

    def _new_owner(self, event: Any) -> None:
        if self._life(event).agent == event.agent:
            raise Fault("one owner", f"had it already: {event}")
        self._life(event).agent = event.agent

    def _completed(self, event: events.ContactCompleted) -> None:
        life = self.open.pop(event.contact)
        self.over.add(event.contact)
        self._call_ended(event, life)
        self._just_over = event.contact
        queue = self._config.queues.get(life.queue)
        if event.outcome == "overflowed" and queue is not None:
            lower = [other.id for other in self._config.config.queues if other.overflow_queue == life.queue]
            if queue.max_length is None or (queue.overflow_queue is not None and not lower):
                raise Fault("overflow", f"{event.contact} was sent away from {life.queue}, which has somewhere to go")

    # -- people

    def _person(self, agent: str) -> Person:
        return self.people.setdefault(agent, Person())

    def _presence(self, event: events.PresenceChanged) -> None:
        self._person(event.agent).presence = event.presence

    def _connected(self, event: events.AgentConnected) -> None:
        person = self._person(event.agent)
        if event.connection in person.connections:
            raise Fault("transition", f"is connected: {event}")
        person.connections.append(event.connection)

    def _disconnected(self, event: events.AgentDisconnected) -> None:
        person = self._person(event.agent)
        if event.connection not in person.connections:
            raise Fault("transition", f"is not connected: {event}")
        person.connections.remove(event.connection)

    # -- campaigns

    def attempt_of(self, contact: str) -> str | None:
        life = self.open.get(contact)
        return life.attempt if life is not None else None

    def waited(self, now: float) -> None:
        """Nothing that was asked for, and nobody who has answered, waits longer than may be."""
        for id_, known in self.campaigns.items():
            late = [key for key, at in known.asked.items() if at + LONGEST_ASKED_S <= now]
            if late:
                raise Fault("attempt without end", f"{id_} has waited for {late}")
        for id_, life in self.open.items():
            if life.reach_by is not None and life.reach_by <= now:
                raise Fault("live answer", f"{id_} should have reached an agent by {life.reach_by}")

    def _campaign(self, id_: str) -> Dialled:
        return self.campaigns.setdefault(id_, Dialled())

    def _kept(self, id_: str) -> int:
        return sum(person.kept_for == id_ for person in self.people.values())

    def _set(self, event: events.CampaignSet) -> None:
        known = self._campaign(event.campaign)
        known.running, known.rests = event.running, False

    def _rested(self, event: events.CampaignRested) -> None:
        self._campaign(event.campaign).rests = True

    def _woken(self, event: events.CampaignWoken) -> None:
        self._campaign(event.campaign).rests = False

    def _is_kept(self, event: events.AgentKept) -> None:
        person, known = self._person(event.agent), self._campaign(event.campaign)
        if person.kept_for is not None or person.offers or person.presence != "available" or not person.connections:
            raise Fault("kept", f"{event}, of {person}")
        if not known.running or known.rests or event.campaign not in self._config.campaigns:
            raise Fault("kept", f"for {known}: {event}")
        person.kept_for = event.campaign

    def _let_go(self, event: events.AgentLetGo) -> None:
        person = self._person(event.agent)
        if person.kept_for is None:
            raise Fault("kept", f"was not: {event}")
        person.kept_for = None

    def _asked(self, event: events.AttemptAsked) -> None:
        known, rules = self._campaign(event.campaign), self._config.campaigns.get(event.campaign)
        if event.attempt in known.asked or (event.attempt in self._attempts) != (event.contact is not None):
            raise Fault("one attempt", f"{event}")
        self._attempts.add(event.attempt)
        known.asked[event.attempt] = self._now
        if event.contact is not None:
            known.for_agent.add(event.attempt)
            return
        if not known.running or known.rests or rules is None:
            raise Fault("asked", f"while {known}: {event}")
        if event.agent is not None:
            known.for_agent.add(event.attempt)
            if self._person(event.agent).kept_for != event.campaign:
                raise Fault("asked", f"for somebody who is not kept: {event}")
        elif self._rings_for_nobody(event.campaign, rules, known):
            raise Fault("ceiling", f"of {known}: {event}")

    def _rings_for_nobody(self, id_: str, rules: Campaign, known: Dialled) -> bool:
        """More may ring than there are agents and the ceiling allows; whoever waits for an agent may yet be lost."""
        lives = self.open.values()
        waiting = sum(c.campaign == id_ and c.reach_by is not None and c.status == "queued" for c in lives)
        out = len(known.lines) + len(known.asked.keys() - known.for_agent)
        beyond = known.spare(rules, waiting, self._now) if rules.mode in ("power", "predictive") else 0
        return out > self._kept(id_) + max(0.0, beyond) + 1e-6 or out > rules.most_lines

    def _no_more_asked(self, event: events.AttemptDropped) -> None:
        known = self._campaign(event.campaign)
        known.asked.pop(event.attempt, None)
        known.for_agent.discard(event.attempt)

    def _called(self, event: events.ContactOpened, life: Life) -> None:
        attempt, known = event.attempt or "", self._campaign(event.campaign or "")
        if known.asked.pop(attempt, None) is None:
            raise Fault("one attempt", f"was not asked for: {event}")
        known.for_agent.discard(attempt)
        life.campaign, life.attempt = event.campaign, attempt
        if event.dialling:
            life.status = "dialling"
            known.lines.add(attempt)

    def _line_answered(self, event: events.LineAnswered) -> None:
        life = self._life(event)
        life.reach_by = event.reach_by
        known = self._campaign(life.campaign or "")
        known.lines.discard(life.attempt or "")
        known.live.append((int(self._now // 86_400), 0))

    def _leg_joined(self, event: events.LegJoined) -> None:
        life = self._life(event)
        if life.status == "offered" and not (life.is_promised and event.side == "customer"):
            raise Fault("transition", f"is offered, and nobody is to be called back first: {event}")
        if event.side == "customer":
            life.is_promised = False
        if life.campaign is not None and event.side == "customer":
            self._campaign(life.campaign).live.append((int(self._now // 86_400), 0))

    def _call_ended(self, event: events.ContactCompleted, life: Life) -> None:
        if life.campaign is None:
            return
        known = self._campaign(life.campaign)
        known.lines.discard(life.attempt or "")
        if event.attempt != life.attempt:
            raise Fault("one attempt", f"not {life.attempt}: {event}")
        if event.outcome == "nobody_free":
            known.live.append((int(self._now // 86_400), 1))
        elif life.reach_by is not None and event.outcome != "hung_up":
            raise Fault("live answer", f"had answered: {event}")

    # -- messages and sends

    def _said(self, event: events.MessageAdded) -> None:
        if event.number != self.numbers.get(event.conversation, 0) + 1:
            raise Fault("messages", f"number {event.number} after {self.numbers.get(event.conversation, 0)}")
        self.numbers[event.conversation] = event.number
        if event.key is not None:
            keys = self.keys.setdefault(event.conversation, [])
            if event.key in keys[-REMEMBER_KEYS:]:
                raise Fault("accepted twice", f"the message {event.key}")
            keys.append(event.key)

    def _forgotten(self, event: events.ConversationForgotten) -> None:
        self.keys.pop(event.conversation, None)

    def _requested(self, event: events.SendRequested) -> None:
        if event.key in self.sends:
            raise Fault("sends", f"ordered twice: {event}")
        self.sends[event.key] = None
        effect = event.effect
        if isinstance(effect, RingLeg) and effect.side == "customer" and self.attempt_of(event.contact) is not None:
            self._asked_for[event.key] = self._now

    def _claimed(self, event: events.SendClaimed) -> None:
        if self.sends.get(event.key, "") is not None:
            raise Fault("sends", f"claimed twice or never ordered: {event}")
        if self._asked_for.get(event.key, self._now) + LONGEST_LEAVE_S < self._now:
            raise Fault("leave", f"given at {self._asked_for[event.key]}: {event}")
        self.sends[event.key] = event.worker

    def _ended(self, event: events.SendEnded) -> None:
        if event.key not in self.sends:
            raise Fault("sends", f"ended twice or never ordered: {event}")
        del self.sends[event.key]

    def _merged(self, event: events.CustomerMerged) -> None:
        if event.customer == event.into:
            raise Fault("one person", f"is nobody else: {event}")

    def _configured(self, event: events.ConfigApplied) -> None:
        self._config = Lookup(event.config)


_NOTE: dict[type[events.Event], Any] = {
    events.OfferMade: Ledger._offer_made,
    events.OfferAccepted: Ledger._accepted,
    events.OfferDeclined: Ledger._cools,
    events.OfferWithdrawn: Ledger._cools,
    events.OfferTimedOut: Ledger._timed_out,
    events.AgentCooled: Ledger._cooled,
    events.ContactRequeued: Ledger._requeued,
    events.CallbackPromised: Ledger._promised,
    events.CallbackDue: Ledger._due,
    events.ContactTakenOver: Ledger._new_owner,
    events.ContactHandedOver: Ledger._new_owner,
    events.ContactCompleted: Ledger._completed,
    events.PresenceChanged: Ledger._presence,
    events.AgentConnected: Ledger._connected,
    events.AgentDisconnected: Ledger._disconnected,
    events.CampaignSet: Ledger._set,
    events.CampaignRested: Ledger._rested,
    events.CampaignWoken: Ledger._woken,
    events.AgentKept: Ledger._is_kept,
    events.AgentLetGo: Ledger._let_go,
    events.AttemptAsked: Ledger._asked,
    events.AttemptDropped: Ledger._no_more_asked,
    events.LineAnswered: Ledger._line_answered,
    events.LegJoined: Ledger._leg_joined,
    events.MessageAdded: Ledger._said,
    events.ConversationForgotten: Ledger._forgotten,
    events.SendRequested: Ledger._requested,
    events.SendClaimed: Ledger._claimed,
    events.SendEnded: Ledger._ended,
    events.CustomerMerged: Ledger._merged,
    events.ConfigApplied: Ledger._configured,
}

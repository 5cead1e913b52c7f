"""What a pool remembers, and `apply(pool, event)`, the only thing that changes it.

Everything durable is in `Memory` and goes into snapshots; indexes and the timer heap derive from it, so restoring at
any point and going on gives the same later journal. Times are log time in seconds, units are capacity units.
"""

import collections
import datetime as dt
import itertools
import zoneinfo
from collections.abc import Callable
from typing import Any, TypeVar

from router import calendar, events, forecast, outbound, redial
from router.calendar import Hours
from router.cells import CLOSED, KIND_NUMBER, Lanes
from router.config import CLOSE_AFTER_S, REOPEN_WITHIN_S, Brand, Campaign, Channel, Lookup, Queue, kinds_of
from router.config import Agent as Profile
from router.effects import Deliver, RingLeg
from router.eligible import has_offer, held_kinds, lanes_of, room_of, state_of
from router.line import Group, Waiter
from router.matching import Matching
from router.memory import (
    KEEP_CONVERSATION_S,
    LOST_CHAT_S,
    LOST_OFFER_S,
    OFFER_GRACE_S,
    PARKED_RECEIPTS,
    REMEMBER_EXTERNALS,
    REMEMBER_INPUTS,
    REMEMBER_KEYS,
    REMEMBER_NUMBERS,
    REMEMBER_OURS,
    REMEMBER_S,
    Agent,
    Callback,
    Contact,
    Conversation,
    Direction,
    Memory,
    Offer,
    Participant,
    Seen,
    Send,
    Stats,
    Status,
    external_key,
    leg_key,
    rings_first,
)
from router.model import RECEIPT_RANK, Kind, Requirement
from router.named import Names
from router.queueing import ARRIVAL, next_step, place
from router.skills import least_levels, levels_of, requirement_sets, to_serve
from router.timers import Due, Timers

NEVER_S = 366 * 86400.0
"""What counts in open time of a calendar that never opens is due a year late."""
KEEP_S = {kind: max(reopen_within_s, KEEP_CONVERSATION_S) for kind, reopen_within_s in REOPEN_WITHIN_S.items()}
"""How long a conversation with nothing open is kept."""
FORESEEN_GROUPS = 5_000
MAX_GROUP_KEYS = 20_000
MAX_LANES_KEPT = 200_000


class Pool:
    """One pool's memory with what derives from it."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.contacts = self.memory.contacts
        self.conversations = self.memory.conversations
        self.agents = self.memory.agents
        self.dirty_contacts: dict[str, None] = {}
        self.dirty_agents: dict[str, None] = {}
        self._remembered = collections.deque(self.memory.seen)
        """The inputs in `seen`, oldest first: in a dict whose front is taken away, the front is ever longer to find."""
        self.rebuild()
        self.settled()

    @property
    def t(self) -> float:
        return self.memory.t

    def rebuild(self) -> None:
        """Everything that derives, anew from memory."""
        config = self.memory.config
        self.lookup = Lookup(config)
        self.zone = zoneinfo.ZoneInfo(config.timezone)
        self.timers = Timers()
        self._hours = {c.id: calendar.hours(c, config.timezone, self.memory.holidays) for c in config.calendars}
        self.offers = {c.offer.id: c.id for c in self.contacts.values() if c.offer is not None}
        self.named = Names()
        self.waiting: dict[int, str] = {}
        """Who waits, by arrival number."""
        self.excluding: dict[str, None] = {}
        """Those who wait with an exclusion: it is ignored once nobody else is there, so they look again when one goes."""
        self.skipping: dict[str, None] = {}
        """Those who wait in a step that is skipped when nobody is there: they look again when somebody goes."""
        self._lanes: dict[tuple[int, tuple[tuple[Kind, bool], ...]], Lanes] = {}
        rooms: dict[tuple[object, ...], int] = {}
        self._rooms = {agent.id: rooms.setdefault(room_of(agent), len(rooms)) for agent in config.agents}
        self._today = (0.0, 0.0, "")
        self._inbound_went = False
        self._groups: dict[tuple[object, ...], tuple[Group, ...]] = {}
        with_reserve = [queue for queue in config.queues if queue.has_reserve]
        self._reserves = {queue.id: number for number, queue in enumerate(with_reserve)}
        self.matching = Matching(tuple((least_levels(to_serve(queue)), self.reserve(queue)) for queue in with_reserve))
        self.kept: dict[str, dict[str, None]] = {}
        """By campaign, the agents that it keeps."""
        self._wishes: dict[str, Waiter] = {}
        self._foresee()
        for agent in sorted(self.agents.values(), key=lambda agent: (agent.idle_stamp, agent.id)):
            if agent.kept_for is not None:
                self.kept.setdefault(agent.kept_for, {})[agent.id] = None
            self.touch_agent(agent)
        for campaign in self.memory.campaigns:
            self.watch_campaign(campaign)
        for contact in self.contacts.values():
            self.touch(contact)
        for conversation in self.conversations.values():
            self._watch_conversation(conversation)

    def _foresee(self) -> None:
        """Make the groups that the configuration leads to before anybody is there: later, each would look at everybody."""
        kinds = sorted({kind for channel in self.lookup.config.channels for kind in kinds_of(channel)})
        ruled = {(): None} | {rule.then.requires: None for rule in self.lookup.config.rules}
        for queue in self.lookup.config.queues:
            for brand in self.lookup.config.brands:
                languages = brand.languages if queue.language_wall else (None,)
                for step in range(len(queue.steps) + 1):
                    for kind, language, requires in itertools.product(kinds, languages, ruled):
                        if len(self._groups) < FORESEEN_GROUPS:
                            self._groups_of(_asks(queue, brand.id, step, kind, language, requires))

    # -- looking things up

    def queue(self, contact: Contact) -> Queue:
        return self.lookup.queues[contact.queue]

    def brand(self, brand: str) -> Brand | None:
        return self.lookup.brands.get(brand)

    def channel(self, channel: str) -> Channel | None:
        return self.lookup.channels.get(channel)

    def profile(self, agent: str) -> Profile | None:
        return self.lookup.agents.get(agent)

    def contact_of_offer(self, offer: str) -> Contact | None:
        found = self.offers.get(offer)
        return self.contacts.get(found) if found else None

    def on_line(self, channel: str, name: str) -> Contact | None:
        """The contact whose call or leg this is, or for which a leg of this key is on order."""
        found = self.named.contacts.get((channel, name))
        return self.contacts.get(found) if found else None

    def assigned(self, agent: Agent) -> list[Contact]:
        """The contacts an agent holds, offers included, oldest first."""
        return [self.contacts[contact] for contact in agent.contacts]

    def local(self, t: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(t, self.zone)

    def hours(self, queue: str, brand: str) -> Hours | None:
        """The hours of a queue, else of the brand; None: always open."""
        if not self._hours:
            return None
        return self._hours.get(self.lookup.calendar_of(queue, brand) or "")

    def promise(self, queue: str, brand: str, kind: Kind, enqueued_at: float) -> float:
        """Within how many seconds by the clock a contact that came then should be answered, closed hours among them."""
        rules = self.lookup.queues.get(queue)
        if rules is None:
            return 0
        return _after(self.hours(queue, brand), enqueued_at, rules.target(kind)) - enqueued_at

    def due_by(self, contact: Contact, target_s: float) -> float:
        """When a contact should be answered: so many seconds of open time after it came in, or when its provider's own
        clock runs out, which knows no hours."""
        due = _after(self.hours(contact.queue, contact.brand), contact.enqueued_at, target_s)
        return due if contact.answer_by is None else min(due, contact.answer_by)

    def waited_until(self, contact: Contact, seconds: float) -> float:
        """When a contact will have waited so long in this queue, counted while it is open."""
        return _after(self.hours(contact.queue, contact.brand), contact.waits_from, seconds)

    def length(self, queue: str) -> int:
        """How many wait in a queue."""
        return self.matching.line.length(queue)

    def in_line(self, queue: str) -> list[Contact]:
        """A queue's waiting contacts in the order in which they will be served."""
        return [self.contacts[self.waiting[place & ARRIVAL]] for place in self.matching.line.waiting_in(queue)]

    def positions(self) -> dict[str, int]:
        """Everybody's position in line at once."""
        return {c.id: n for queue in self.lookup.queues for n, c in enumerate(self.in_line(queue), 1)}

    def position(self, contact: Contact) -> int:
        """1 for the next one of its queue; 0 when it does not wait."""
        waiters = self.matching.line.waiters
        mine = waiters.get(contact.arrival)
        if mine is None:
            return 0
        return 1 + sum(1 for other in waiters.values() if other.queue == mine.queue and other.place < mine.place)

    # -- who gets whom

    def agent_for(self, contact: Contact) -> Agent | None:
        """The agent who should be offered a waiting contact now; None when it must wait."""
        number = self.matching.agent_for(self.matching.line.waiters[contact.arrival])
        return self.agents[self.matching.cells.ids[number]] if number >= 0 else None

    def contact_for(self, agent: Agent) -> Contact | None:
        """The waiting contact that a freed agent should be offered; None when there is none."""
        number = self.matching.cells.numbers.get(agent.id)
        if number is None or not self.waiting:
            return None
        arrival = self.matching.contact_for(number)
        return self.contacts[self.waiting[arrival]] if arrival >= 0 else None

    def anybody_for(self, contact: Contact) -> bool:
        """Whether somebody who is signed in meets what a waiting contact asks for now."""
        groups = self.matching.line.waiters[contact.arrival].groups
        return any(self.matching.cells.signed_in(group.need) for group in groups)

    def outbound_looks_again(self) -> bool:
        """More agents have become idle than before, or inbound work that waited is no longer there."""
        return self.matching.cells.risen or self._inbound_went

    def outbound_heads(self) -> list[Contact]:
        """The first of each group of outbound work, when what held it back may be gone: it looks again."""
        self._inbound_went = self.matching.cells.risen = False
        return [self.contacts[self.waiting[place & ARRIVAL]] for place in self.matching.outbound_heads()]

    def foretell(self, queue: str, place: int) -> forecast.Wait | None:
        """How long whoever has this place in a queue's line will wait, from now on; None when that cannot be said."""
        return forecast.foretell(self.memory.forecasts.get(queue), place, self.t)

    def rings_at_once(self, contact: Contact) -> bool:
        """Whether the agent's phone rings with an offer of this contact. A campaign's person who is on the line waits for
        nothing else, and before one is called the agent looks."""
        if contact.campaign is not None:
            return contact.call is not None
        return contact.has_legs and self.queue(contact).leg == "ring"

    def calls_customer_first(self, contact: Contact) -> bool:
        """Whether a callback rings its customer's phone before its agent's."""
        return (
            contact.callback is not None
            and self.rings_at_once(contact)
            and self.queue(contact).call_first == "customer"
        )

    def rings_customer(self, contact: Contact) -> bool:
        """Whether its customer's phone rings before any agent has it, or is about to."""
        if contact.status != "offered" or contact.callback is None:
            return False
        return contact.ringing is not None or leg_key(contact, "customer") in self.memory.sends

    # -- campaigns

    def agent_for_campaign(self, rules: Campaign) -> Agent | None:
        """The agent who may have outbound work of this campaign now, longest idle; None when there is none."""
        wish = self._wish(rules)
        number = self.matching.agent_for(wish) if wish is not None else -1
        return self.agents[self.matching.cells.ids[number]] if number >= 0 else None

    def _wish(self, rules: Campaign) -> Waiter | None:
        """What a campaign asks of its agents, as somebody who waits for one."""
        channel = self.channel(rules.channel)
        if channel is not None and rules.id not in self._wishes:
            asks = _asks(self.lookup.queues[rules.queue], channel.brand, 0, channel.kind, None, (), "outbound")
            self._wishes[rules.id] = Waiter(0, rules.queue, self._groups_of(asks))
        return self._wishes.get(rules.id)

    def could_have(self, agent: Agent, rules: Campaign | None) -> bool:
        """Whether an agent who is kept for a campaign meets what it asks, and has room for it: for a call, where it is
        configured no more and its lines ring."""
        known = self.profile(agent.id)
        if known is None:
            return False
        lanes = self.lanes(known, tuple(held_kinds(self, agent)))
        if rules is None:
            return lanes[KIND_NUMBER["voice"]] >= 0
        wish = self._wish(rules)
        if wish is None:
            return False
        can = self.matching.cells.profile_of[self.matching.cells.numbers[agent.id]]
        return any(lanes[group.kind] >= 0 and can.meets(group.need) for group in wish.groups)

    def inbound_presses(self) -> bool:
        """Whether inbound work may want agents who are kept for campaigns: a cheap look before the exact one."""
        cells = self.matching.cells
        return bool(self.waiting) or cells.short_of_reserve(range(len(cells.kept)))

    def owed_to_inbound(self, agent: Agent) -> str | None:
        """Why an agent who is kept for a campaign should serve inbound work instead; None when there is no need."""
        cells, number = self.matching.cells, self.matching.cells.numbers[agent.id]
        profile, known = cells.refreshed(number), self.profile(agent.id)
        if known is None or not profile.blended:
            return None
        if cells.short_of_reserve(profile.reserves):
            return "reserve"
        lanes = self.lanes(known, tuple(held_kinds(self, agent)))
        waits = self.matching.inbound_waits(profile, lanes) or self.matching.waits_in_person(number, lanes)
        return "inbound-first" if waits else None

    def reserve(self, queue: Queue) -> int:
        """How many idle agents are kept for a queue now."""
        steered = self.memory.steered.get(queue.id) if queue.steer is not None else None
        return queue.reserve if steered is None else max(queue.reserve, int(steered.level))

    def keep_reserve(self, queue: Queue) -> None:
        number = self._reserves.get(queue.id)
        if number is not None and self.matching.cells.kept[number] != self.reserve(queue):
            self.matching.cells.keep(number, self.reserve(queue))

    def kind_kept_for(self, agent: Agent) -> Kind | None:
        """Of what kind the work is for which an agent is kept: lines ring on after their campaign is configured no more."""
        if agent.kept_for is None:
            return None
        rules = self.lookup.campaigns.get(agent.kept_for)
        channel = self.channel(rules.channel) if rules is not None else None
        return channel.kind if channel is not None else "voice"

    def keep_no_more(self, agent: Agent) -> None:
        """An agent is free of the campaign that kept him."""
        if agent.kept_for is not None:
            self.kept.get(agent.kept_for, {}).pop(agent.id, None)
            agent.kept_for = None

    def watch_campaign(self, campaign: str) -> None:
        self.timers.watch("campaign", campaign, earliest(outbound.deadlines(self.memory.campaigns[campaign])))

    # -- what derives

    def touch(self, contact: Contact) -> None:
        """Index a contact as it now is."""
        if contact.status == "queued":
            queue = self.queue(contact)
            self.waiting[contact.arrival] = contact.id
            self.matching.put(contact.arrival, self._waiter(contact, queue))
            self.dirty_contacts[contact.id] = None
            _mark(self.excluding, contact.id, bool(contact.excluded))
            _mark(self.skipping, contact.id, skips_if_nobody(contact, queue))
        elif contact.arrival in self.waiting:
            self.forget(contact)
        if contact.kind == "voice":
            self.named.put(contact)
        self.timers.watch("contact", contact.id, earliest(contact_deadlines(self, contact)))

    def forget(self, contact: Contact) -> None:
        """A contact waits no longer."""
        self._inbound_went = bool(self.matching.line.outbound_groups)
        if self.waiting.pop(contact.arrival, None) is None:
            return
        self.matching.drop(contact.arrival)
        self.dirty_contacts.pop(contact.id, None)
        self.excluding.pop(contact.id, None)
        self.skipping.pop(contact.id, None)

    def _waiter(self, contact: Contact, queue: Queue) -> Waiter:
        groups = self._groups_of(contact)
        cells = self.matching.cells
        numbers, profiles = cells.numbers, cells.profile_of
        due_at = self.due_by(contact, queue.target(contact.kind))
        waiter = Waiter(place(contact, queue, due_at), contact.queue, groups)
        if contact.prefers:
            known = [numbers[agent] for agent in contact.prefers if agent in numbers]
            able = (number for number in known if any(profiles[number].meets(group.need) for group in groups))
            waiter.prefers = tuple(able)
        if contact.excluded:
            waiter.excludes = tuple(numbers[agent] for agent in contact.excluded if agent in numbers)
        return waiter

    def _groups_of(self, contact: Contact) -> tuple[Group, ...]:
        """The groups a contact waits in now, its own queue's first. What decides them is the key of a small table."""
        key = (
            contact.queue, contact.step, contact.brand, contact.kind, contact.is_outbound, contact.language,
            contact.requires,
        )  # fmt: skip
        found = self._groups.get(key)
        if found is None:
            need = self.matching.cells.need
            found = self._groups[key] = tuple(
                self.matching.group(queue.id, need(contact.kind, queue.strategy, least_levels(requires)))
                for queue, requires in requirement_sets(contact, self.lookup)
            )
            if len(self._groups) > MAX_GROUP_KEYS:
                del self._groups[next(iter(self._groups))]
        return found

    def touch_agent(self, agent: Agent) -> None:
        """Index an agent as it now is."""
        number = self.matching.cells.numbers.get(agent.id)
        if number is None:
            profile = self.profile(agent.id)
            if profile is not None:
                can = self.matching.cells.profile(levels_of(profile))
                number = self.matching.add(agent.id, can, profile.serves_first)
        if number is not None:
            state = state_of(self, agent)
            self.matching.set(number, state)
            if state[2] is not CLOSED:
                self.dirty_agents[agent.id] = None
        if agent.cools_until is not None or agent.lost_at is not None:
            self.timers.watch("agent", agent.id, earliest(agent_deadlines(self, agent)))

    def lanes(self, profile: Profile, held: tuple[tuple[Kind, bool], ...]) -> Lanes:
        """The lanes of an agent who holds this. The same few come again and again, for all who have the same room."""
        key = (self._rooms[profile.id], held)
        found = self._lanes.get(key)
        if found is None:
            if len(self._lanes) > MAX_LANES_KEPT:
                self._lanes.clear()
            found = self._lanes[key] = lanes_of(profile, held)
        return found

    def _watch_conversation(self, conversation: Conversation) -> None:
        self.timers.watch("conversation", conversation.id, earliest(conversation_deadlines(conversation)))

    def settled(self) -> None:
        """Nobody needs another look: whoever decided this state has seen to it. Restoring and folding only mark."""
        self.dirty_contacts.clear()
        self.dirty_agents.clear()
        self._inbound_went = self.matching.cells.risen = False

    def look_again(self, agent: Agent) -> None:
        self.dirty_agents[agent.id] = None

    def somebody_left(self) -> None:
        """An agent is no longer there: whoever was kept from another by an exclusion, or waits in a step that is
        skipped when nobody is there, looks again."""
        self.dirty_contacts |= self.excluding
        self.dirty_contacts |= self.skipping

    def is_due(self, until: float) -> bool:
        """Whether something may be due by then: a cheap look before the exact one."""
        return self.timers.surfaces_by(until)

    def due_at(self) -> float | None:
        return self.timers.next_due(self.next_due)

    def next_due(self, entity: str, id_: str) -> Due | None:
        """The truth behind the timers: what is next due of this entity."""
        if entity == "contact":
            contact = self.contacts.get(id_)
            return earliest(contact_deadlines(self, contact)) if contact else None
        if entity == "agent":
            agent = self.agents.get(id_)
            return earliest(agent_deadlines(self, agent)) if agent else None
        if entity == "campaign":
            state = self.memory.campaigns.get(id_)
            return earliest(outbound.deadlines(state)) if state else None
        conversation = self.conversations.get(id_)
        return earliest(conversation_deadlines(conversation)) if conversation else None

    def remember(self, input_id: str, answer: Seen) -> None:
        """Keep an input's answer, so that its repetition gets the same one and changes nothing."""
        seen, order = self.memory.seen, self._remembered
        if input_id not in seen:
            order.append(input_id)
        seen[input_id] = answer
        while len(seen) > REMEMBER_INPUTS or (order and seen[order[0]].t < self.t - REMEMBER_S):
            del seen[order.popleft()]

    # -- used by apply

    def _agent(self, id_: str) -> Agent:
        if id_ not in self.agents:
            self.agents[id_] = Agent(id=id_, since=self.t, connections=[], contacts=[], attends=[])
        return self.agents[id_]

    def _rest(self, agent: Agent) -> None:
        """An assignment has ended: the agent joins the end of the idle line."""
        self.memory.stamps += 1
        agent.idle_stamp = self.memory.stamps

    def _stats(self, contact: Contact) -> Stats:
        begins, ends, today = self._today
        if not begins <= self.t < ends:
            date = self.local(self.t).date()
            midnights = (dt.datetime.combine(date + dt.timedelta(days=n), dt.time(), self.zone) for n in (0, 1))
            begins, ends = (midnight.timestamp() for midnight in midnights)
            today = date.isoformat()
            self._today = (begins, ends, today)
        if today != self.memory.day:
            self.memory.day = today
            self.memory.stats = {}
        return self.memory.stats.setdefault(contact.queue, Stats())

    def _release(self, contact: Contact) -> Agent | None:
        """Take a contact from whoever holds it or is offered it. The caller indexes that agent anew."""
        held_by = contact.agent or (contact.offer.agent if contact.offer else None)
        if contact.offer is not None:
            self.offers.pop(contact.offer.id, None)
        contact.offer = None
        contact.agent = None
        if held_by is None:
            return None
        agent = self._agent(held_by)
        if contact.id in agent.contacts:
            agent.contacts.remove(contact.id)
        return agent


def _asks(
    queue: Queue,
    brand: str,
    step: int,
    kind: Kind,
    language: str | None,
    requires: tuple[Requirement, ...],
    direction: Direction = "inbound",
) -> Contact:
    """A contact as one might come, of which only what it asks for matters."""
    return Contact(
        id="", conversation="", channel="", brand=brand, kind=kind, queue=queue.id, direction=direction, enqueued_at=0,
        arrival=0, since=0, step=step, language=language, requires=requires,
    )  # fmt: skip


def _mark(among: dict[str, None], id_: str, belongs: bool) -> None:
    if belongs:
        among[id_] = None
    else:
        among.pop(id_, None)


def skips_if_nobody(contact: Contact, queue: Queue) -> bool:
    """Whether the step a contact is in passes at once while nobody is there for it."""
    return 0 < contact.step <= len(queue.steps) and queue.steps[contact.step - 1].skip_if_nobody


def earliest(deadlines: dict[str, float]) -> Due | None:
    """The first of what is due, (when, kind); of two at once the one that is named first."""
    if not deadlines:
        return None
    kind = min(deadlines, key=deadlines.__getitem__) if len(deadlines) > 1 else next(iter(deadlines))
    return deadlines[kind], kind


def _after(hours: Hours | None, moment: float, seconds: float) -> float:
    if hours is None:
        return moment + seconds
    found = hours.after(moment, seconds)
    return moment + seconds + NEVER_S if found is None else found


def contact_deadlines(pool: Pool, contact: Contact) -> dict[str, float]:
    """Every timer out of a contact's state, by kind. Each non-final state that a person could forget has one."""
    if contact.reach_by is not None:
        return {"reach": contact.reach_by}
    if contact.status == "queued":
        return _waiting_deadlines(pool, contact, pool.queue(contact))
    if contact.status == "dialling":
        rules = pool.lookup.campaigns.get(contact.campaign or "")
        return {"line": contact.since + (rules.ring_s if rules else 0) + outbound.LINE_LOST_S}
    if contact.status == "scheduled" and contact.callback is not None and contact.callback.at is not None:
        return {"callback": contact.callback.at}
    if contact.status == "offered" and contact.offer:
        return {"offer": contact.offer.shown_until + OFFER_GRACE_S}
    if contact.status == "wrapping" and contact.wrap_until is not None:
        return {"wrap": contact.wrap_until}
    return _held_deadlines(pool, contact, pool.queue(contact))


def _waiting_deadlines(pool: Pool, contact: Contact, queue: Queue) -> dict[str, float]:
    due: dict[str, float] = {}
    following = next_step(contact, queue)
    if following is not None:
        due["step"] = pool.waited_until(contact, following.after_s)
    if queue.max_wait_s is not None and not contact.promoted and not contact.patient:
        due["promote"] = pool.waited_until(contact, queue.max_wait_s)
    if contact.prefers and contact.prefer_until is not None:
        due["prefer"] = contact.prefer_until
    if contact.excluded:
        due["exclusion"] = min(contact.excluded.values())
    return due


def _held_deadlines(pool: Pool, contact: Contact, queue: Queue) -> dict[str, float]:
    """What is due of a contact that an agent holds."""
    last_word_at = max(contact.last_word_at, contact.since)
    due = {"silence": last_word_at + CLOSE_AFTER_S[contact.kind]}
    if contact.status == "active" and contact.kind != "voice":
        if queue.idle_after_s is not None:
            due["idle"] = last_word_at + queue.idle_after_s
        if queue.first_reply_s is not None and not contact.replied and contact.direction == "inbound":
            times = 2 if contact.nudged else 1
            hours = pool.hours(contact.queue, contact.brand)
            due["reply"] = _after(hours, contact.accepted_at or contact.since, times * queue.first_reply_s)
    return due


def agent_deadlines(pool: Pool, agent: Agent) -> dict[str, float]:
    due: dict[str, float] = {}
    if agent.cools_until is not None:
        due["cool"] = agent.cools_until
    if agent.lost_at is not None:
        if has_offer(pool, agent):
            due["lost_offers"] = agent.lost_at + LOST_OFFER_S
        due["lost"] = agent.lost_at + LOST_CHAT_S
    return due


def conversation_deadlines(conversation: Conversation) -> dict[str, float]:
    if conversation.contact is not None:
        return {}
    last_at = max(conversation.last_word_at, conversation.opened_at, conversation.closed_at)
    return {"forget": last_at + KEEP_S[conversation.kind]}


# -- apply: one small function per event

E = TypeVar("E", bound=events.Event)
_APPLY: dict[type[events.Event], Callable[[Pool, Any], None]] = {}


def _on(kind: type[E]) -> Callable[[Callable[[Pool, E], None]], Callable[[Pool, E], None]]:
    def register(function: Callable[[Pool, E], None]) -> Callable[[Pool, E], None]:
        _APPLY[kind] = function
        return function

    return register


def apply(pool: Pool, event: events.Event, t: float) -> None:
    """Change the pool by what has happened at log time `t`. An event nobody knows raises KeyError: never skip one."""
    if t > pool.memory.t:
        pool.memory.t = t
    _APPLY[type(event)](pool, event)


@_on(events.ConfigApplied)
def _config_applied(pool: Pool, event: events.ConfigApplied) -> None:
    pool.memory.config = event.config
    pool.memory.version = event.version
    pool.memory.holidays = event.holidays
    pool.rebuild()
    for agent in pool.agents.values():
        pool.dirty_agents[agent.id] = None


@_on(events.ConversationOpened)
def _conversation_opened(pool: Pool, event: events.ConversationOpened) -> None:
    pool.conversations[event.conversation] = Conversation(
        id=event.conversation,
        channel=event.channel,
        brand=event.brand,
        kind=event.kind,
        thread=event.thread,
        customer=event.customer,
        identity=event.identity,
        language=event.language,
        opened_at=pool.t,
        messages=pool.memory.numbers.pop(event.conversation, 0),
        keys={},
    )
    pool._watch_conversation(pool.conversations[event.conversation])


@_on(events.ConversationForgotten)
def _conversation_forgotten(pool: Pool, event: events.ConversationForgotten) -> None:
    numbers = pool.memory.numbers
    numbers[event.conversation] = pool.conversations.pop(event.conversation).messages
    while len(numbers) > REMEMBER_NUMBERS:
        del numbers[next(iter(numbers))]


@_on(events.MessageAdded)
def _message_added(pool: Pool, event: events.MessageAdded) -> None:
    conversation = pool.conversations[event.conversation]
    conversation.messages = event.number
    conversation.last_word_at = pool.t
    if event.key is not None:
        conversation.keys[event.key] = event.message
        while len(conversation.keys) > REMEMBER_KEYS:
            del conversation.keys[next(iter(conversation.keys))]
    if event.author == "customer":
        conversation.replies = 0
    elif not event.private:
        conversation.replies += 1
    contact = pool.contacts.get(event.contact)
    if contact is not None:
        contact.last_word_at = pool.t
        if event.author in ("agent", "external_console") and not event.private:
            contact.replied = True
        # Nothing falls due earlier by a word, and nobody's place changes.


@_on(events.MessageRevised)
def _message_revised(pool: Pool, event: events.MessageRevised) -> None:
    """The projector keeps what is said now."""


@_on(events.ReplyPolicyChanged)
def _reply_policy_changed(pool: Pool, event: events.ReplyPolicyChanged) -> None:
    pool.conversations[event.conversation].policy = event.policy


@_on(events.ReceiptParked)
def _receipt_parked(pool: Pool, event: events.ReceiptParked) -> None:
    """Of several for one message the highest stands, as for those that are recorded."""
    parked, key = pool.memory.parked_receipts, external_key(event.channel, event.external)
    known = parked.get(key)
    if known is None or RECEIPT_RANK[event.status] > RECEIPT_RANK[known[0]]:
        parked[key] = (event.status, event.detail)
    while len(parked) > PARKED_RECEIPTS:
        del parked[next(iter(parked))]


@_on(events.ReceiptRecorded)
def _receipt_recorded(pool: Pool, event: events.ReceiptRecorded) -> None:
    """The projector keeps receipts; routing does not depend on them."""


@_on(events.ContactOpened)
def _contact_opened(pool: Pool, event: events.ContactOpened) -> None:
    conversation = pool.conversations[event.conversation]
    pool.memory.arrivals += 1
    contact = Contact(
        id=event.contact,
        conversation=conversation.id,
        channel=conversation.channel,
        brand=conversation.brand,
        kind=conversation.kind,
        queue=event.queue,
        direction=event.direction,
        enqueued_at=event.enqueued_at,
        arrival=pool.memory.arrivals,
        since=pool.t,
        tier=event.tier,
        head_start_s=float(event.head_start_s),  # a snapshot gives back floats, and what is told later must not differ
        target_s=float(event.target_s),
        answer_by=None if event.answer_by is None else float(event.answer_by),
        patient=event.patient,
        waits_from=event.enqueued_at,
        requires=event.requires,
        attributes=dict(event.attributes),
        language=event.language,
        prefers=event.prefers,
        prefer_until=event.prefer_until,
        excluded={},
        participants={},
        last_word_at=pool.t,
        follows=event.follows,
        status="dialling" if event.dialling else "queued",
        campaign=event.campaign,
        attempt_id=event.attempt,
        person=event.person,
        rings=event.rings,
        call=conversation.thread.external
        if conversation.thread.kind == "call" and event.direction == "inbound"
        else None,
    )
    pool.contacts[contact.id] = contact
    conversation.contact = contact.id
    if contact.campaign is not None:
        outbound.opened(pool, contact)
    if event.direction == "inbound":
        pool._stats(contact).arrived += 1
        redial.used(pool.memory, conversation, event.queue)
    pool.touch(contact)
    if event.direction == "inbound" and contact.kind in forecast.LIVE:
        contact.foretold_s = forecast.promised(pool.memory.forecasts.get(contact.queue), pool.length(contact.queue))


@_on(events.ContactStepped)
def _contact_stepped(pool: Pool, event: events.ContactStepped) -> None:
    contact = pool.contacts[event.contact]
    contact.step = event.step
    pool.touch(contact)


@_on(events.ContactPromoted)
def _contact_promoted(pool: Pool, event: events.ContactPromoted) -> None:
    contact = pool.contacts[event.contact]
    contact.promoted = True
    pool.touch(contact)


@_on(events.PreferenceEnded)
def _preference_ended(pool: Pool, event: events.PreferenceEnded) -> None:
    contact = pool.contacts[event.contact]
    contact.prefers = ()
    contact.prefer_until = None
    pool.touch(contact)


@_on(events.ExclusionEnded)
def _exclusion_ended(pool: Pool, event: events.ExclusionEnded) -> None:
    contact = pool.contacts[event.contact]
    contact.excluded.pop(event.agent, None)
    pool.touch(contact)


@_on(events.ContactRequeued)
def _contact_requeued(pool: Pool, event: events.ContactRequeued) -> None:
    contact = pool.contacts[event.contact]
    owned = contact.agent is not None
    if contact.agent is not None and event.excluded_until is not None:
        contact.excluded[contact.agent] = event.excluded_until
    agent = pool._release(contact)
    if agent is not None:
        if owned:
            pool._rest(agent)
        pool.touch_agent(agent)
    if contact.queue != event.queue:
        contact.queue = event.queue
        contact.step = 0
        contact.promoted = False
        contact.requires = ()
        contact.tier = contact.hand_tier = None
    contact.status = "queued"
    contact.since = contact.waits_from = pool.t
    contact.prefers = event.prefers
    contact.prefer_until = event.prefer_until
    contact.leg = contact.ringing = None
    contact.parked_for = None
    contact.accepted_at = None
    contact.replied = contact.nudged = False
    pool.touch(contact)


@_on(events.CallbackPromised)
def _callback_promised(pool: Pool, event: events.CallbackPromised) -> None:
    contact = pool.contacts[event.contact]
    caller = redial.caller(pool.conversations[contact.conversation].customer, contact.queue)
    contact.call = None
    contact.callback = Callback(number=event.number, caller=caller)
    pool.memory.callbacks[caller] = contact.id
    if event.at is not None:
        _schedule(pool, contact, contact.callback, event.at)
    pool.touch(contact)


def _schedule(pool: Pool, contact: Contact, callback: Callback, at: float) -> None:
    contact.status = "scheduled"
    contact.since = pool.t
    callback.at = float(at)


@_on(events.CallbackDue)
def _callback_due(pool: Pool, event: events.CallbackDue) -> None:
    contact = pool.contacts[event.contact]
    contact.status = "queued"
    contact.enqueued_at = float(event.enqueued_at)
    contact.prefer_until = event.prefer_until
    contact.since = contact.waits_from = pool.t
    if contact.callback is not None:
        contact.callback.at = None
    pool.touch(contact)


@_on(events.CallbackFailed)
def _callback_failed(pool: Pool, event: events.CallbackFailed) -> None:
    contact = pool.contacts[event.contact]
    agent = pool._release(contact)
    if agent is not None:
        pool._rest(agent)
        pool.touch_agent(agent)
    contact.leg = contact.ringing = None
    contact.accepted_at = None
    if contact.callback is not None:
        contact.callback.tries += event.counts
        _schedule(pool, contact, contact.callback, event.again_at)
    pool.touch(contact)


def _no_callback(pool: Pool, contact: Contact) -> None:
    """It has been made, or will not be."""
    if contact.callback is not None and pool.memory.callbacks.get(contact.callback.caller) == contact.id:
        del pool.memory.callbacks[contact.callback.caller]
    contact.callback = None


@_on(events.OfferMade)
def _offer_made(pool: Pool, event: events.OfferMade) -> None:
    contact = pool.contacts[event.contact]
    contact.status = "offered"
    contact.since = pool.t
    contact.attempt = event.attempt
    contact.offer = Offer(id=event.offer, agent=event.agent, shown_until=event.shown_until, made_at=pool.t)
    agent = pool._agent(event.agent)
    pool.keep_no_more(agent)
    agent.contacts.append(contact.id)
    pool.offers[event.offer] = contact.id
    pool.touch(contact)
    pool.touch_agent(agent)


@_on(events.OfferAccepted)
def _offer_accepted(pool: Pool, event: events.OfferAccepted) -> None:
    contact = pool.contacts[event.contact]
    contact.agent = event.agent
    contact.leg = contact.offer.leg if contact.offer else None
    pool.offers.pop(event.offer, None)
    contact.offer = None
    contact.status = "active"
    contact.since = contact.accepted_at = pool.t
    contact.prefers = ()
    contact.prefer_until = None
    contact.excluded = {}
    contact.called_back = False
    conversation = pool.conversations[contact.conversation]
    conversation.last_agent = event.agent
    first, contact.answered = not contact.answered, True
    if first and contact.direction == "inbound":
        stats = pool._stats(contact)
        wait = pool.t - contact.enqueued_at
        stats.answered += 1
        stats.wait_s += wait
        stats.answered_in_target += wait <= contact.target_s
        outbound.steer(pool, contact, wait)
        _foretold(pool, contact)
    elif first and contact.campaign is not None:
        outbound.reached(pool, contact)
    pool.touch(contact)
    pool.touch_agent(pool._agent(event.agent))


def _foretold(pool: Pool, contact: Contact) -> None:
    """Somebody has come to the end of the line, if he stood in one."""
    if pool.t > contact.waits_from and contact.kind in forecast.LIVE:
        known = pool.memory.forecasts.get(contact.queue)
        if known is None:
            known = pool.memory.forecasts[contact.queue] = forecast.Forecast()
        forecast.taken(known, contact, pool.t)


def _offer_back(pool: Pool, event: Any, excluded_until: float | None) -> Agent:
    contact = pool.contacts[event.contact]
    agent = pool._agent(event.agent)
    pool._release(contact)
    contact.status = "queued"
    contact.since = pool.t
    contact.ringing = None
    if excluded_until is not None:
        contact.excluded[event.agent] = excluded_until
        while len(contact.excluded) > 8:
            del contact.excluded[next(iter(contact.excluded))]
    pool.touch(contact)
    return agent


def _cool_down(agent: Agent, until: float | None) -> None:
    """A cool-down ends by its timer, not by the end of another offer."""
    if until is not None:
        agent.cools_until = until


@_on(events.OfferDeclined)
def _offer_declined(pool: Pool, event: events.OfferDeclined) -> None:
    agent = _offer_back(pool, event, event.excluded_until)
    _cool_down(agent, event.cools_until)
    pool._rest(agent)
    pool.touch_agent(agent)


@_on(events.OfferTimedOut)
def _offer_timed_out(pool: Pool, event: events.OfferTimedOut) -> None:
    agent = _offer_back(pool, event, event.excluded_until if event.blame else None)
    if event.blame:
        agent.presence, agent.reason, agent.since = "unresponsive", None, pool.t
        pool.somebody_left()
    pool.touch_agent(agent)


@_on(events.OfferWithdrawn)
def _offer_withdrawn(pool: Pool, event: events.OfferWithdrawn) -> None:
    agent = _offer_back(pool, event, None)
    _cool_down(agent, event.cools_until)
    pool.touch_agent(agent)


def _status(status: Status) -> Callable[[Pool, Any], None]:
    def change(pool: Pool, event: Any) -> None:
        contact = pool.contacts[event.contact]
        contact.status = status
        contact.since = pool.t
        contact.parked_for = getattr(event, "reason", None)
        pool.touch(contact)
        if contact.agent is not None:
            pool.touch_agent(pool._agent(contact.agent))

    return change


_on(events.ContactHeld)(_status("held"))
_on(events.ContactResumed)(_status("active"))
_on(events.ContactParked)(_status("parked"))


@_on(events.ContactNudged)
def _contact_nudged(pool: Pool, event: events.ContactNudged) -> None:
    contact = pool.contacts[event.contact]
    contact.nudged = True
    pool.touch(contact)


@_on(events.ContactReprioritised)
def _contact_reprioritised(pool: Pool, event: events.ContactReprioritised) -> None:
    contact = pool.contacts[event.contact]
    contact.hand_tier, contact.head_start_s = event.tier, event.head_start_s
    pool.touch(contact)


@_on(events.ContactTakenOver)
def _contact_taken_over(pool: Pool, event: events.ContactTakenOver) -> None:
    contact = pool.contacts[event.contact]
    contact.status = "active"
    _change_hands(pool, contact, event.agent)
    contact.parked_for = None
    contact.accepted_at = pool.t
    contact.nudged = False
    contact.participants.pop(event.agent, None)
    pool.touch(contact)


@_on(events.ContactHandedOver)
def _contact_handed_over(pool: Pool, event: events.ContactHandedOver) -> None:
    contact = pool.contacts[event.contact]
    guest = contact.participants.pop(event.agent, None)
    contact.status = "active"
    _change_hands(pool, contact, event.agent)
    contact.leg = guest.leg if guest is not None else None
    contact.parked_for = None
    contact.accepted_at = pool.t
    pool.touch(contact)


def _change_hands(pool: Pool, contact: Contact, to: str) -> None:
    """From one owner to the next. What the next one was in it before, he is no longer."""
    before, after = pool._release(contact), pool._agent(to)
    if before is not None:
        pool._rest(before)
        pool.touch_agent(before)
    contact.agent = to
    contact.since = pool.t
    after.contacts.append(contact.id)
    if contact.id in after.attends:
        after.attends.remove(contact.id)
    pool.conversations[contact.conversation].last_agent = to
    pool.touch_agent(after)


@_on(events.ParticipantJoined)
def _participant_joined(pool: Pool, event: events.ParticipantJoined) -> None:
    agent, contact = pool._agent(event.agent), pool.contacts[event.contact]
    manner = event.manner or "listen"
    if event.agent in contact.participants:
        guest = contact.participants[event.agent]
        guest.role, guest.manner = event.role, manner
        return
    contact.participants[event.agent] = Participant(role=event.role, since=pool.t, key=event.key, manner=manner)
    pool.named.put(contact)
    agent.attends.append(contact.id)
    pool.touch_agent(agent)


@_on(events.ParticipantLeft)
def _participant_left(pool: Pool, event: events.ParticipantLeft) -> None:
    contact = pool.contacts.get(event.contact)
    if contact is not None:
        contact.participants.pop(event.agent, None)
        pool.named.put(contact)
    agent = pool._agent(event.agent)
    if event.contact in agent.attends:
        agent.attends.remove(event.contact)
    pool.touch_agent(agent)


@_on(events.ContactWrapping)
def _contact_wrapping(pool: Pool, event: events.ContactWrapping) -> None:
    contact = pool.contacts[event.contact]
    if contact.status != "wrapping":
        contact.status = "wrapping"
        contact.parked_for = None
        contact.since = pool.t
        conversation = pool.conversations[contact.conversation]
        conversation.contact = None
        conversation.last_contact = contact.id
        conversation.closed_at = pool.t
        pool._watch_conversation(conversation)
    contact.wrap_until = event.until
    if contact.campaign is not None:
        outbound.wrapping(pool, contact)
    pool.touch(contact)
    if contact.agent is not None:
        pool.touch_agent(pool._agent(contact.agent))


@_on(events.ContactCompleted)
def _contact_completed(pool: Pool, event: events.ContactCompleted) -> None:
    contact = pool.contacts[event.contact]
    if event.outcome == "abandoned" and not contact.answered and contact.direction == "inbound":
        pool._stats(contact).abandoned += 1
        outbound.steer(pool, contact, None)
        redial.remember(pool.memory, contact, pool.conversations[contact.conversation])
    _no_callback(pool, contact)
    if contact.campaign is not None:
        outbound.ended(pool, contact, event.outcome)
    owned = contact.agent is not None
    agent = pool._release(contact)
    del pool.contacts[contact.id]
    if agent is not None:
        if owned:
            pool._rest(agent)
        pool.touch_agent(agent)
    conversation = pool.conversations[contact.conversation]
    if conversation.contact == contact.id:
        conversation.contact = None
        conversation.last_contact = contact.id
        conversation.closed_at = pool.t
        pool._watch_conversation(conversation)
    pool.forget(contact)
    pool.named.drop(contact)


@_on(events.LegJoined)
def _leg_joined(pool: Pool, event: events.LegJoined) -> None:
    contact = pool.contacts[event.contact]
    if event.side == "guest":
        guest = contact.participants[event.agent or ""]
        guest.leg, guest.ringing = event.leg, None
        pool.named.put(contact)
        return
    contact.ringing = None
    if event.side == "agent":
        contact.leg = event.leg
    else:
        contact.call = event.leg
        contact.called_back = contact.offer is not None
        _no_callback(pool, contact)
        if contact.campaign is not None:
            outbound.joined(pool, contact)
    pool.named.put(contact)


_APPLY |= outbound.APPLY


@_on(events.AgentConnected)
def _agent_connected(pool: Pool, event: events.AgentConnected) -> None:
    agent = pool._agent(event.agent)
    if event.connection not in agent.connections:
        agent.connections.append(event.connection)
    agent.lost_at = None
    pool.touch_agent(agent)


@_on(events.AgentDisconnected)
def _agent_disconnected(pool: Pool, event: events.AgentDisconnected) -> None:
    agent = pool._agent(event.agent)
    agent.connections.remove(event.connection)
    if not agent.connections:
        agent.lost_at = pool.t
        pool.somebody_left()
    pool.touch_agent(agent)


@_on(events.PresenceChanged)
def _presence_changed(pool: Pool, event: events.PresenceChanged) -> None:
    agent = pool._agent(event.agent)
    if event.presence == "available" and agent.presence != "available":
        pool._rest(agent)
    if event.presence == "offline":
        agent.lost_at = None
    agent.presence, agent.reason, agent.since, agent.planned = event.presence, event.reason, pool.t, None
    agent.by = event.by
    if event.presence != "available":
        pool.somebody_left()
    pool.touch_agent(agent)


@_on(events.PresencePlanned)
def _presence_planned(pool: Pool, event: events.PresencePlanned) -> None:
    pool._agent(event.agent).planned = (event.presence, event.reason)


@_on(events.AgentCooled)
def _agent_cooled(pool: Pool, event: events.AgentCooled) -> None:
    agent = pool._agent(event.agent)
    agent.cools_until = None
    pool.touch_agent(agent)


@_on(events.CustomerMerged)
def _customer_merged(pool: Pool, event: events.CustomerMerged) -> None:
    """The projector keeps who is one person; routing goes by the customer who is there now."""


@_on(events.CustomerSplit)
def _customer_split(pool: Pool, event: events.CustomerSplit) -> None:
    """As above."""


@_on(events.SendRequested)
def _send_requested(pool: Pool, event: events.SendRequested) -> None:
    pool.memory.sends[event.key] = Send(contact=event.contact, effect=event.effect, at=float(pool.t))


@_on(events.SendClaimed)
def _send_claimed(pool: Pool, event: events.SendClaimed) -> None:
    pool.memory.sends[event.key].worker = event.worker


@_on(events.SendEnded)
def _send_ended(pool: Pool, event: events.SendEnded) -> None:
    send = pool.memory.sends.pop(event.key, None)
    if send is not None and isinstance(send.effect, Deliver):
        _delivered(pool, send.effect, event)
    if not event.externals or send is None or not isinstance(send.effect, RingLeg):
        return
    offered, contact = pool.contact_of_offer(event.key), pool.contacts.get(event.contact)
    leg = event.externals[0]
    if offered is not None and offered.offer is not None:
        offered.offer.leg = leg
    elif contact is not None and (contact.status == "dialling" or rings_first(contact, event.key)):
        contact.ringing = leg
    elif contact is None or contact.agent is None:
        return
    elif (guest := next((g for g in contact.participants.values() if g.key == event.key), None)) is not None:
        guest.ringing = leg if guest.leg is None else None
    elif leg not in (contact.leg, contact.call):
        contact.ringing = leg


def _delivered(pool: Pool, effect: Deliver, event: events.SendEnded) -> None:
    """How the provider calls our message, for its receipts; what it did not take counts as no answer."""
    conversation = pool.conversations.get(effect.conversation)
    if event.result == "rejected" and conversation is not None:
        conversation.replies = max(0, conversation.replies - 1)
    if event.result != "accepted":
        return
    if conversation is not None:
        conversation.ours = (*conversation.ours, (event.key, pool.t))[-REMEMBER_OURS:]
    externals = pool.memory.externals
    for external in event.externals:
        key = external_key(effect.channel, external)
        externals[key] = event.key
        pool.memory.parked_receipts.pop(key, None)
    while len(externals) > REMEMBER_EXTERNALS:
        del externals[next(iter(externals))]

"""What a pool remembers, and `apply(pool, event)`, the only thing that changes it.

Everything durable is in `Memory` and goes into snapshots; indexes and the timer heap derive from it, so restoring at
any point and going on gives the same later journal. Times are log time in seconds, units are capacity units.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from router import events
from router.config import CLOSE_AFTER_S, REOPEN_WITHIN_S, Brand, Channel, Lookup, Queue
from router.config import Agent as Profile
from router.effects import RingLeg
from router.matching import Waiting
from router.memory import (
    KEEP_CONVERSATION_S,
    LOST_CHAT_S,
    LOST_OFFER_S,
    OFFER_GRACE_S,
    REMEMBER_INPUTS,
    REMEMBER_KEYS,
    REMEMBER_NUMBERS,
    REMEMBER_S,
    Agent,
    Contact,
    Conversation,
    Memory,
    Offer,
    Seen,
    Send,
    Stats,
    Status,
)
from router.timers import Timers


class Pool:
    """One pool's memory with what derives from it."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.contacts = self.memory.contacts
        self.conversations = self.memory.conversations
        self.agents = self.memory.agents
        self.timers = Timers()
        self.dirty_contacts: dict[str, None] = {}
        self.dirty_agents: dict[str, None] = {}
        self.lookup = Lookup(self.memory.config)
        self.rebuild()

    @property
    def t(self) -> float:
        return self.memory.t

    def rebuild(self) -> None:
        """Everything that derives, anew from memory."""
        self.lookup = Lookup(self.memory.config)
        self.zone = zoneinfo.ZoneInfo(self.memory.config.timezone)
        self.timers = Timers()
        self.waiting = Waiting(self)
        for contact in self.contacts.values():
            self.touch(contact)
        for agent in self.agents.values():
            self.timers.watch("agent", agent.id, agent_deadlines(self, agent))
        for conversation in self.conversations.values():
            self._watch_conversation(conversation)

    # -- looking things up

    def queue(self, contact: Contact) -> Queue:
        return self.lookup.queues.get(contact.queue) or Queue(id=contact.queue, name=contact.queue)

    def brand(self, brand: str) -> Brand | None:
        return self.lookup.brands.get(brand)

    def channel(self, channel: str) -> Channel | None:
        return self.lookup.channels.get(channel)

    def profile(self, agent: str) -> Profile | None:
        return self.lookup.agents.get(agent)

    def contact_of_offer(self, offer: str) -> Contact | None:
        found = self.waiting.offers.get(offer)
        return self.contacts.get(found) if found else None

    def assigned(self, agent: Agent) -> Iterator[Contact]:
        """The contacts an agent holds, offers included, oldest first."""
        return (self.contacts[contact] for contact in agent.contacts)

    def local(self, t: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(t, self.zone)

    # -- what derives

    def touch(self, contact: Contact) -> None:
        """Index a contact as it now is."""
        self.waiting.put(contact)
        self.timers.watch("contact", contact.id, contact_deadlines(contact, self.queue(contact)))
        if contact.status == "queued":
            self.dirty_contacts[contact.id] = None

    def touch_agent(self, agent: Agent) -> None:
        self.timers.watch("agent", agent.id, agent_deadlines(self, agent))
        self.dirty_agents[agent.id] = None

    def _watch_conversation(self, conversation: Conversation) -> None:
        self.timers.watch("conversation", conversation.id, conversation_deadlines(conversation))

    def somebody_left(self) -> None:
        """An agent is no longer there: whoever was kept from another by an exclusion looks again."""
        self.dirty_contacts |= self.waiting.excluding

    def due_at(self) -> float | None:
        return self.timers.next_due(self.deadlines)

    def deadlines(self, entity: str, id_: str) -> dict[str, float]:
        """The truth behind the timer heap: what is due of this entity, by kind."""
        if entity == "contact":
            contact = self.contacts.get(id_)
            return contact_deadlines(contact, self.queue(contact)) if contact else {}
        if entity == "agent":
            agent = self.agents.get(id_)
            return agent_deadlines(self, agent) if agent else {}
        conversation = self.conversations.get(id_)
        return conversation_deadlines(conversation) if conversation else {}

    def remember(self, input_id: str, answer: Seen) -> None:
        """Keep an input's answer, so that its repetition gets the same one and changes nothing."""
        seen = self.memory.seen
        seen[input_id] = answer
        while len(seen) > REMEMBER_INPUTS or (seen and next(iter(seen.values())).t < self.t - REMEMBER_S):
            del seen[next(iter(seen))]

    # -- used by apply

    def _agent(self, id_: str) -> Agent:
        if id_ not in self.agents:
            self.agents[id_] = Agent(id=id_, since=self.t)
        return self.agents[id_]

    def _rest(self, agent: Agent) -> None:
        """An assignment has ended: the agent joins the end of the idle line."""
        self.memory.stamps += 1
        agent.idle_stamp = self.memory.stamps
        self.touch_agent(agent)

    def _stats(self, contact: Contact) -> Stats:
        today = self.local(self.t).date().isoformat()
        if today != self.memory.day:
            self.memory.day = today
            self.memory.stats = {}
        return self.memory.stats.setdefault(contact.queue, Stats())

    def _release(self, contact: Contact) -> None:
        """Take a contact from whoever holds it or is offered it."""
        held_by = contact.agent or (contact.offer.agent if contact.offer else None)
        if held_by is not None:
            agent = self._agent(held_by)
            if contact.id in agent.contacts:
                agent.contacts.remove(contact.id)
            self.touch_agent(agent)
        if contact.offer is not None:
            self.waiting.offers.pop(contact.offer.id, None)
        contact.offer = None
        contact.agent = None


def contact_deadlines(contact: Contact, queue: Queue) -> dict[str, float]:
    """Every timer out of a contact's state, by kind. Each non-final state that a person could forget has one."""
    due: dict[str, float] = {}
    if contact.status == "offered" and contact.offer:
        due["offer"] = contact.offer.shown_until + OFFER_GRACE_S
    elif contact.status == "queued":
        if contact.step < len(queue.steps):
            due["step"] = contact.waits_from + queue.steps[contact.step].after_s
        if queue.max_wait_s is not None and not contact.promoted:
            due["promote"] = contact.waits_from + queue.max_wait_s
        if contact.prefers and contact.prefer_until is not None:
            due["prefer"] = contact.prefer_until
    elif contact.status == "wrapping" and contact.wrap_until is not None:
        due["wrap"] = contact.wrap_until
    else:
        due["silence"] = max(contact.last_word_at, contact.since) + CLOSE_AFTER_S[contact.kind]
        awaited = contact.status == "active" and not contact.replied and contact.direction == "inbound"
        if queue.first_reply_s is not None and awaited and contact.kind != "voice":
            times = 2 if contact.nudged else 1
            due["reply"] = (contact.accepted_at or contact.since) + times * queue.first_reply_s
    if contact.excluded and contact.status == "queued":
        due["exclusion"] = min(contact.excluded.values())
    return due


def agent_deadlines(pool: Pool, agent: Agent) -> dict[str, float]:
    due: dict[str, float] = {}
    if agent.cools_until is not None:
        due["cool"] = agent.cools_until
    if agent.lost_at is not None:
        if any(contact.status == "offered" for contact in pool.assigned(agent)):
            due["lost_offers"] = agent.lost_at + LOST_OFFER_S
        due["lost"] = agent.lost_at + LOST_CHAT_S
    return due


def conversation_deadlines(conversation: Conversation) -> dict[str, float]:
    if conversation.contact is not None:
        return {}
    keep = max(REOPEN_WITHIN_S[conversation.kind], KEEP_CONVERSATION_S)
    return {"forget": max(conversation.last_word_at, conversation.opened_at, conversation.closed_at) + keep}


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
    pool.memory.t = max(pool.memory.t, t)
    _APPLY[type(event)](pool, event)


@_on(events.ConfigApplied)
def _config_applied(pool: Pool, event: events.ConfigApplied) -> None:
    pool.memory.config = event.config
    pool.memory.version = event.version
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
    contact = pool.contacts.get(event.contact)
    if contact is not None:
        contact.last_word_at = pool.t
        if event.author == "agent" and not event.private:
            contact.replied = True
        pool.touch(contact)


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
        head_start_s=event.head_start_s,
        target_s=event.target_s,
        waits_from=event.enqueued_at,
        requires=event.requires,
        attributes=dict(event.attributes),
        language=event.language,
        prefers=event.prefers,
        prefer_until=event.prefer_until,
        excluded={},
        last_word_at=pool.t,
        follows=event.follows,
        call=conversation.thread.external if conversation.kind == "voice" and event.direction == "inbound" else None,
    )
    pool.contacts[contact.id] = contact
    conversation.contact = contact.id
    if event.direction == "inbound":
        pool._stats(contact).arrived += 1
    pool.touch(contact)


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
    if contact.agent is not None:
        if event.excluded_until is not None:
            contact.excluded[contact.agent] = event.excluded_until
        pool._rest(pool._agent(contact.agent))
    pool._release(contact)
    if contact.queue != event.queue:
        contact.queue = event.queue
        contact.step = 0
        contact.promoted = False
        contact.requires = ()
        contact.tier = None
    contact.status = "queued"
    contact.since = contact.waits_from = pool.t
    contact.prefers = event.prefers
    contact.prefer_until = event.prefer_until
    contact.leg = contact.ringing = None
    contact.parked_for = None
    contact.accepted_at = None
    contact.replied = contact.nudged = False
    pool.touch(contact)


@_on(events.OfferMade)
def _offer_made(pool: Pool, event: events.OfferMade) -> None:
    contact = pool.contacts[event.contact]
    contact.status = "offered"
    contact.since = pool.t
    contact.attempt = event.attempt
    contact.offer = Offer(id=event.offer, agent=event.agent, shown_until=event.shown_until, made_at=pool.t)
    agent = pool._agent(event.agent)
    agent.contacts.append(contact.id)
    pool.waiting.offers[event.offer] = contact.id
    pool.touch(contact)
    pool.touch_agent(agent)


@_on(events.OfferAccepted)
def _offer_accepted(pool: Pool, event: events.OfferAccepted) -> None:
    contact = pool.contacts[event.contact]
    contact.agent = event.agent
    contact.leg = contact.offer.leg if contact.offer else None
    pool.waiting.offers.pop(event.offer, None)
    contact.offer = None
    contact.status = "active"
    contact.since = contact.accepted_at = pool.t
    contact.prefers = ()
    contact.prefer_until = None
    contact.excluded = {}
    conversation = pool.conversations[contact.conversation]
    conversation.last_agent = event.agent
    first, contact.answered = not contact.answered, True
    if first and contact.direction == "inbound":
        stats = pool._stats(contact)
        wait = pool.t - contact.enqueued_at
        stats.answered += 1
        stats.wait_s += wait
        stats.answered_in_target += wait <= contact.target_s
    pool.touch(contact)
    pool.touch_agent(pool._agent(event.agent))


def _offer_back(pool: Pool, event: Any, excluded_until: float | None) -> Agent:
    contact = pool.contacts[event.contact]
    agent = pool._agent(event.agent)
    pool._release(contact)
    contact.status = "queued"
    contact.since = pool.t
    if excluded_until is not None:
        contact.excluded[event.agent] = excluded_until
        while len(contact.excluded) > 8:
            del contact.excluded[next(iter(contact.excluded))]
    pool.touch(contact)
    return agent


@_on(events.OfferDeclined)
def _offer_declined(pool: Pool, event: events.OfferDeclined) -> None:
    pool._rest(_offer_back(pool, event, event.excluded_until))


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
    agent.cools_until = event.cools_until
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


@_on(events.ContactWrapping)
def _contact_wrapping(pool: Pool, event: events.ContactWrapping) -> None:
    contact = pool.contacts[event.contact]
    if contact.status != "wrapping":
        contact.status = "wrapping"
        contact.since = pool.t
        conversation = pool.conversations[contact.conversation]
        conversation.contact = None
        conversation.last_contact = contact.id
        conversation.closed_at = pool.t
        pool._watch_conversation(conversation)
    contact.wrap_until = event.until
    pool.touch(contact)
    if contact.agent is not None:
        pool.touch_agent(pool._agent(contact.agent))


@_on(events.ContactCompleted)
def _contact_completed(pool: Pool, event: events.ContactCompleted) -> None:
    contact = pool.contacts[event.contact]
    if event.outcome == "abandoned" and not contact.answered and contact.direction == "inbound":
        pool._stats(contact).abandoned += 1
    agent = contact.agent
    pool._release(contact)
    del pool.contacts[contact.id]
    if agent is not None:
        pool._rest(pool._agent(agent))
    conversation = pool.conversations[contact.conversation]
    if conversation.contact == contact.id:
        conversation.contact = None
        conversation.last_contact = contact.id
        conversation.closed_at = pool.t
        pool._watch_conversation(conversation)
    pool.waiting.drop(contact)
    pool.dirty_contacts.pop(contact.id, None)


@_on(events.LegJoined)
def _leg_joined(pool: Pool, event: events.LegJoined) -> None:
    contact = pool.contacts[event.contact]
    contact.ringing = None
    if event.side == "agent":
        contact.leg = event.leg
    else:
        contact.call = event.leg


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


@_on(events.SendRequested)
def _send_requested(pool: Pool, event: events.SendRequested) -> None:
    pool.memory.sends[event.key] = Send(contact=event.contact, effect=event.effect)


@_on(events.SendClaimed)
def _send_claimed(pool: Pool, event: events.SendClaimed) -> None:
    pool.memory.sends[event.key].worker = event.worker


@_on(events.SendEnded)
def _send_ended(pool: Pool, event: events.SendEnded) -> None:
    send = pool.memory.sends.pop(event.key, None)
    if not event.externals or send is None or not isinstance(send.effect, RingLeg):
        return
    offered, contact = pool.contact_of_offer(event.key), pool.contacts.get(event.contact)
    if offered is not None and offered.offer is not None:
        offered.offer.leg = event.externals[0]
    elif contact is not None and contact.agent is not None and event.externals[0] not in (contact.leg, contact.call):
        contact.ringing = event.externals[0]

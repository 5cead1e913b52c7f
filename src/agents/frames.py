"""Desktop frames: the journal's events as an agent's desk sees them. Pure both ways.

A frame says what is true now ("this contact looks like this"), never what to change, so a frame that comes twice, or
after a newer view, does no harm. Times are log time in seconds; `server_now` lets a desk correct its clock.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from router import events
from router.eligible import used_units
from router.memory import Agent, Contact, Conversation
from router.model import Content, Manner, Media, ReplyPolicy, Text
from router.reasons import Reason, why_closed
from router.state import Pool
from router.words import Words

MAX_SCRIPT = 20_000
"""Characters of a campaign's script that a desk is shown."""


class Customer(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    address: str
    name: str | None = None


class CallbackView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The customer is not on the line and will be rung at this number: not before `at`, after `tries` without an answer.
    `customer_first`: before the agent's own phone."""

    number: str
    tries: int = 0
    at: float | None = None
    customer_first: bool = False


class OfferView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an agent is asked to take. `answer` says how: at the desk, or by picking up the phone that rings.

    Of a campaign that shows its people first, accepting is what has the customer called.
    """

    id: str
    contact: str
    conversation: str
    kind: str
    channel: str
    brand: str
    queue: str
    customer: Customer
    made_at: float
    expires_at: float
    waiting_since: float
    answer: str = "desk"
    language: str | None = None
    attributes: dict[str, str] = {}
    direction: str = "inbound"
    callback: CallbackView | None = None
    campaign: str | None = None


class ParticipantView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody besides the owner. `on_line`: on a call, the phone has been answered; elsewhere always. `manner` is that of
    whoever monitors: listen, whisper, barge."""

    agent: str
    role: str
    since: float
    on_line: bool
    manner: Manner | None = None


class ContactView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`role` is the part that whoever looks has in it: owner, consulted, joined, monitoring; null: none.

    `reply` says what may be answered, where the channel sets limits; `replies` counts our answers since the customer's
    last word (of a `one_shot` there is but one). `script` is what the campaign it belongs to has to be said.
    """

    id: str
    conversation: str
    status: str
    kind: str
    channel: str
    brand: str
    queue: str
    customer: Customer
    since: float
    enqueued_at: float
    direction: str = "inbound"
    language: str | None = None
    agent: str | None = None
    accepted_at: float | None = None
    wrap_until: float | None = None
    parked_for: str | None = None
    nudged: bool = False
    messages: int = 0
    dispositions: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    role: str | None = None
    participants: tuple[ParticipantView, ...] = ()
    reply: ReplyPolicy | None = None
    replies: int = 0
    callback: CallbackView | None = None
    campaign: str | None = None
    script: str = ""


class AgentView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`open` says per kind whether more of it can be given: null, or the reason why not.

    `by` is the supervisor who gave the agent this presence.
    """

    id: str
    name: str
    presence: str
    since: float
    reason: str | None = None
    planned: str | None = None
    connected: bool = False
    units: int = 100
    used_units: int = 0
    open: dict[str, str | None] = {}
    by: str | None = None


class PartView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text, or a file. `pending`: the file is still being fetched from its provider."""

    text: str | None = None
    html: str | None = None
    file: str | None = None
    name: str | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    pending: bool = False


class MessageView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`number` counts the conversation's messages from 1 without gaps. `status` only on what we sent. `revised`: edited,
    or deleted by its author (then there are no parts)."""

    id: str
    conversation: str
    contact: str
    number: int
    author: str
    at: float
    agent: str | None = None
    private: bool = False
    subject: str | None = None
    parts: tuple[PartView, ...] = ()
    status: str | None = None
    detail: str | None = None
    revised: str | None = None


# -- frames, server to desk. `cursor` is opaque and increases; send the last one back to resume.


class View(msgspec.Struct, frozen=True, omit_defaults=True, tag="view"):
    """Everything an agent's desk shows, anew."""

    cursor: str
    server_now: float
    agent: AgentView
    offers: list[OfferView]
    contacts: list[ContactView]


class OfferFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="offer"):
    cursor: str
    server_now: float
    offer: OfferView


class OfferEnded(msgspec.Struct, frozen=True, omit_defaults=True, tag="offer_ended"):
    cursor: str
    offer: str
    contact: str
    outcome: str
    reason: str | None = None


class ContactFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="contact"):
    cursor: str
    server_now: float
    contact: ContactView


class ContactGone(msgspec.Struct, frozen=True, omit_defaults=True, tag="contact_gone"):
    """No longer on this agent's desk: completed, transferred, taken over or back, or the agent has left it.

    `by`: who brought it about, or whose it is now, where that is known.
    """

    cursor: str
    contact: str
    reason: str
    by: str | None = None


class RevisedFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="message_revised"):
    """A message is otherwise now than it was: these are its parts. `change`: edited, deleted by its author, or copied
    (its files are here now).
    """

    cursor: str
    message: str
    conversation: str
    change: str
    parts: tuple[PartView, ...] = ()


class MessageFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="message"):
    cursor: str
    message: MessageView


class StatusFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="message_status"):
    cursor: str
    message: str
    conversation: str
    status: str
    detail: str | None = None


class AgentFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="agent"):
    cursor: str
    agent: AgentView


class AnswerFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag="answer"):
    """The answer to a command. 202: taken, but the outcome will be seen on the stream."""

    id: str
    status: int
    code: str
    contact: str | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    server_now: float


Frame = (
    View
    | OfferFrame
    | OfferEnded
    | ContactFrame
    | ContactGone
    | MessageFrame
    | RevisedFrame
    | StatusFrame
    | AgentFrame
    | AnswerFrame
    | Ping
)


# -- views


def customer_view(conversation: Conversation) -> Customer:
    identity = conversation.identity
    return Customer(id=conversation.customer, address=identity.value, name=identity.name)


def offer_view(pool: Pool, contact: Contact) -> OfferView:
    offer = contact.offer
    assert offer is not None
    return OfferView(
        id=offer.id,
        contact=contact.id,
        conversation=contact.conversation,
        kind=contact.kind,
        channel=contact.channel,
        brand=contact.brand,
        queue=contact.queue,
        customer=customer_view(pool.conversations[contact.conversation]),
        made_at=offer.made_at,
        expires_at=offer.shown_until,
        waiting_since=contact.enqueued_at,
        answer="phone" if pool.rings_at_once(contact) else "desk",
        language=contact.language,
        attributes=contact.attributes,
        direction=contact.direction,
        callback=callback_view(pool, contact),
        campaign=contact.campaign,
    )


def script_of(pool: Pool, contact: Contact) -> str:
    campaign = pool.lookup.campaigns.get(contact.campaign or "")
    return "" if campaign is None else campaign.script[:MAX_SCRIPT]


def callback_view(pool: Pool, contact: Contact) -> CallbackView | None:
    callback = contact.callback
    if callback is None:
        return None
    return CallbackView(callback.number, callback.tries, callback.at, pool.calls_customer_first(contact))


def parts_in(contact: Contact) -> dict[str, str]:
    """Who has a part in a contact, and which: its owner, or whoever it is offered to, and those besides."""
    parts: dict[str, str] = {}
    if contact.agent:
        parts[contact.agent] = "owner"
    elif contact.offer is not None:
        parts[contact.offer.agent] = "offered"
    for agent, guest in contact.participants.items():
        parts[agent] = guest.role
    return parts


def contact_view(pool: Pool, contact: Contact, viewer: str | None = None) -> ContactView:
    conversation = pool.conversations[contact.conversation]
    return ContactView(
        id=contact.id,
        conversation=contact.conversation,
        status=contact.status,
        kind=contact.kind,
        channel=contact.channel,
        brand=contact.brand,
        queue=contact.queue,
        customer=customer_view(conversation),
        since=contact.since,
        enqueued_at=contact.enqueued_at,
        direction=contact.direction,
        language=contact.language,
        agent=contact.agent,
        accepted_at=contact.accepted_at,
        wrap_until=contact.wrap_until if contact.status == "wrapping" else None,
        parked_for=contact.parked_for if contact.status == "parked" else None,
        nudged=contact.nudged,
        messages=conversation.messages,
        dispositions=pool.queue(contact).dispositions,
        attributes=contact.attributes,
        role=parts_in(contact).get(viewer or ""),
        participants=participants_view(contact),
        reply=conversation.policy,
        replies=conversation.replies,
        callback=callback_view(pool, contact),
        campaign=contact.campaign,
        script=script_of(pool, contact),
    )


def participants_view(contact: Contact) -> tuple[ParticipantView, ...]:
    if not contact.participants:
        return ()
    return tuple(
        ParticipantView(
            agent,
            guest.role,
            guest.since,
            on_line=guest.leg is not None or not contact.has_legs,
            manner=guest.manner if guest.role == "monitoring" else None,
        )
        for agent, guest in contact.participants.items()
    )


def attended(pool: Pool, agent: Agent) -> list[Contact]:
    """The contacts of others in which an agent takes part."""
    return [pool.contacts[id_] for id_ in agent.attends if id_ in pool.contacts]


def agent_view(pool: Pool, agent_id: str) -> AgentView:
    agent = pool.agents.get(agent_id) or Agent(id=agent_id)
    profile = pool.profile(agent_id)
    return AgentView(
        id=agent_id,
        name=profile.name if profile else agent_id,
        presence=agent.presence,
        since=agent.since,
        reason=agent.reason,
        planned=agent.planned[0] if agent.planned else None,
        connected=bool(agent.connections),
        units=profile.units if profile else 0,
        used_units=used_units(pool, agent),
        open=_open(pool, agent),
        by=agent.by,
    )


def _open(pool: Pool, agent: Agent) -> dict[str, str | None]:
    """What is closed is mostly closed for one and the same reason: it is put into words once."""
    words = Words(pool, "en")
    shown: dict[str, str | None] = {}
    said: str | None = None
    last: Reason | None = None
    for kind, reason in why_closed(pool, agent).items():
        if reason is not last:
            last, said = reason, words.say(reason) if reason is not None else None
        shown[kind] = said
    return shown


def parts_view(content: Content | None) -> tuple[PartView, ...]:
    views = []
    for part in content.parts if content else ():
        if isinstance(part, Text):
            views.append(PartView(text=part.text, html=part.html))
        elif isinstance(part, Media):
            views.append(
                PartView(file=part.sha256, name=part.name, media_type=part.media_type, size_bytes=part.size_bytes)
            )
        else:
            views.append(PartView(name=part.name, media_type=part.media_type, pending=True))
    return tuple(views)


def message_view(event: events.MessageAdded, content: Content | None, at: float, kind: str) -> MessageView:
    """A message as it was added. Chat is our own channel: what the journal has is sent."""
    return MessageView(
        id=event.message,
        conversation=event.conversation,
        contact=event.contact,
        number=event.number,
        author=event.author,
        at=at,
        agent=event.agent,
        private=event.private,
        subject=content.subject if content else None,
        parts=parts_view(content),
        status=("sent" if kind == "chat" else "pending") if event.author == "agent" and not event.private else None,
    )


def view(pool: Pool, agent_id: str, cursor: str, now: float, audience: "Audience") -> View:
    agent = pool.agents.get(agent_id)
    mine = list(pool.assigned(agent)) if agent else []
    shown = [contact for contact in mine if contact.status != "offered"] + (attended(pool, agent) if agent else [])
    return View(
        cursor=cursor,
        server_now=now,
        agent=agent_view(pool, agent_id),
        offers=[offer_view(pool, contact) for contact in mine if contact.status == "offered"],
        contacts=[contact_view(pool, contact, agent_id) for contact in shown],
    )


# -- events to frames

ENDED: dict[type[events.Event], str] = {
    events.OfferAccepted: "accepted",
    events.OfferDeclined: "declined",
    events.OfferTimedOut: "timed_out",
    events.OfferWithdrawn: "withdrawn",
}


SENT_REMEMBERED = 10_000


class Audience:
    """Who had a part in each contact before a record was applied: needed to tell those who have it no longer."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, str]] = {}
        self._contact_of: dict[str, str] = {}  # of messages of ours, the newest: receipts name only the message

    def sent(self, message: str, contact: str) -> None:
        self._contact_of[message] = contact
        if len(self._contact_of) > SENT_REMEMBERED:
            del self._contact_of[next(iter(self._contact_of))]

    def contact_of(self, message: str) -> str | None:
        return self._contact_of.get(message)

    def before(self, contact: str) -> dict[str, str]:
        return self._parts.get(contact, {})

    def note(self, pool: Pool, contact: str) -> None:
        now = pool.contacts.get(contact)
        self.after(contact, parts_in(now) if now else {})

    def after(self, contact: str, parts: dict[str, str]) -> None:
        if parts:
            self._parts[contact] = parts
        else:
            self._parts.pop(contact, None)


def frames_of(  # noqa: C901 - one line per kind of event
    pool: Pool,
    happened: tuple[events.Event, ...],
    content: Callable[[], Content | None],
    t: float,
    cursor: str,
    audience: Audience,
    seated: Callable[[str], bool] = lambda agent: True,
) -> list[tuple[str, Frame]]:
    """The frames of one record, as (agent, frame), for those who are `seated` here. `pool` is as it stands after it.

    `content` gives what was said, and is asked only when somebody here hears it.
    """
    frames: list[tuple[str, Frame]] = []
    changed_contacts: dict[str, None] = {}
    changed_agents: dict[str, None] = {}
    for event in happened:
        contact_id = getattr(event, "contact", None)
        agent_id = getattr(event, "agent", None)
        if contact_id:
            changed_contacts[contact_id] = None
        if agent_id:
            changed_agents[agent_id] = None
        if type(event) in ENDED:
            frames.append((event.agent, _ended(event, cursor)))  # type: ignore[attr-defined]
        elif isinstance(event, events.MessageAdded):
            contact = pool.contacts.get(event.contact)
            hear = [agent for agent in _hear(contact) if seated(agent)] if contact is not None else []
            if contact is not None and hear:
                said = MessageFrame(cursor, message_view(event, content(), t, contact.kind))
                frames += [(agent, said) for agent in hear]
            if event.author == "agent":
                audience.sent(event.message, event.contact)
        elif isinstance(event, events.MessageRevised):
            contact = pool.contacts.get(event.contact)
            hear = [agent for agent in _hear(contact) if seated(agent)] if contact is not None else []
            if hear:
                now = RevisedFrame(cursor, event.message, event.conversation, event.change, parts_view(content()))
                frames += [(agent, now) for agent in hear]
        elif isinstance(event, events.SendEnded):
            frames += _status(pool, event.contact, event.key, SENT[event.result], event.detail, cursor)
        elif isinstance(event, events.ReceiptRecorded):
            known = audience.contact_of(event.message)
            frames += _status(pool, known, event.message, event.status, event.detail, cursor)
    for contact_id in changed_contacts:
        frames += _contact_frames(pool, contact_id, happened, t, cursor, audience, changed_agents, seated)
    for agent_id in changed_agents:
        if agent_id in pool.agents and seated(agent_id):
            frames.append((agent_id, AgentFrame(cursor, agent_view(pool, agent_id))))
    return frames


def _hear(contact: Contact) -> list[str]:
    """Those who read a contact's messages as they come: its owner and whoever takes part. An offer shows none."""
    return [agent for agent, part in parts_in(contact).items() if part != "offered"]


def _ended(event: Any, cursor: str) -> OfferEnded:
    return OfferEnded(cursor, event.offer, event.contact, ENDED[type(event)], getattr(event, "reason", None))


SENT = {"accepted": "sent", "rejected": "failed", "uncertain": "uncertain"}


def _status(
    pool: Pool, contact_id: str | None, message: str, status: str, detail: str | None, cursor: str
) -> list[tuple[str, Frame]]:
    """Tell those in the contact what became of a message. The legs of a call have no message and no frame."""
    contact = pool.contacts.get(contact_id or "")
    if contact is None or contact.kind == "voice":
        return []
    frame = StatusFrame(cursor, message, contact.conversation, status, detail)
    return [(agent, frame) for agent in _hear(contact)]


def _contact_frames(
    pool: Pool,
    contact_id: str,
    happened: tuple[events.Event, ...],
    t: float,
    cursor: str,
    audience: Audience,
    changed_agents: dict[str, None],
    seated: Callable[[str], bool],
) -> list[tuple[str, Frame]]:
    frames: list[tuple[str, Frame]] = []
    contact = pool.contacts.get(contact_id)
    parts = parts_in(contact) if contact else {}
    for agent in audience.before(contact_id):
        if agent not in parts:
            frames.append((agent, ContactGone(cursor, contact_id, *_why_gone(happened, contact_id, agent))))
            changed_agents[agent] = None
    for agent, part in parts.items():
        assert contact is not None
        if not seated(agent):
            pass
        elif part == "offered":
            frames.append((agent, OfferFrame(cursor, t, offer_view(pool, contact))))
        else:
            frames.append((agent, ContactFrame(cursor, t, contact_view(pool, contact, agent))))
        if part in ("offered", "owner"):
            changed_agents[agent] = None
    audience.after(contact_id, parts)
    return frames


def _why_gone(happened: tuple[events.Event, ...], contact_id: str, agent: str) -> tuple[str, str | None]:
    """Why a contact left an agent's desk, and by whom: the last word on it that concerns this agent."""
    for event in reversed(happened):
        if getattr(event, "contact", None) != contact_id:
            continue
        match event:
            case events.ContactCompleted():
                return event.outcome, event.by
            case events.ContactRequeued():
                return event.reason, event.by
            case events.CallbackFailed():
                return "unreached", None
            case events.ContactHandedOver():
                return "handed-over", event.agent
            case events.ContactTakenOver():
                return "taken-over", event.agent
            case events.ContactWrapping():
                return "wrapping", None
            case events.ParticipantLeft() if event.agent == agent:
                return event.reason, None
            case _ if type(event) in ENDED and getattr(event, "agent", None) == agent:
                return ENDED[type(event)], None
    return "moved", None

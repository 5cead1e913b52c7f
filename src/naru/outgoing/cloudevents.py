"""The journal's events as CloudEvents 1.0: one table says what goes out, and what is not listed stays in the house.

Routing facts and references only (ids of contact, conversation, customer, message, agent). Never what people said or
wrote, no name, address or number of a customer: those are fetched by reference, by whoever may. Pure: a record, where
it stands and what is known of its contacts give the same CloudEvents on every machine, in every replay.

The id is `{nonce}.{seq}.{index}`: the event's place in its owner's journal, so a repetition has the same id, and no other
event ever has it, even if the log is moved and its offsets begin anew. The sequence
counts a contact's public events from 1 without gaps; it is where it stands in the contact's own history, so it is kept
with the contact's row (naru.outgoing.outbox says how).
"""

import datetime as dt
import re
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import quote

import msgspec

from naru.wire import Record
from router import events

PREFIX = "naru."
CONTENT_TYPE = "application/cloudevents+json"
SEQUENCE_DIGITS = 10
"""CloudEvents wants sequences that can be ordered as texts."""

_CODE = re.compile(r"[a-z][a-z_-]{0,63}")
"""A reason is a code or stays in the house: people may type reasons, and a code holds no number, address or sentence."""


class Public(msgspec.Struct, frozen=True):
    """How a class of events is called outside, and which of its fields go out besides `contact` and `agent`.

    An incompatible change of the data is a new `version`, which the event's `dataschema` names.
    """

    type: str
    fields: tuple[str, ...] = ()
    version: int = 1

    @property
    def schema(self) -> str:
        return f"urn:naru:event:{self.type}:{self.version}"


PING = Public("naru.webhook.pinged", ("webhook",))
"""Sent to one webhook when its owner tries it out; nothing that happened."""
_OFFER = ("offer",)
PUBLIC: dict[type[events.Event], Public] = {
    events.ContactOpened: Public(
        "naru.contact.queued",
        (
            *("campaign", "attempt"),
            *("direction", "queue", "enqueued_at", "target_s", "tier", "head_start_s", "requires", "language"),
            *("prefers", "follows", "rule"),
        ),
    ),
    events.ContactStepped: Public("naru.contact.stepped", ("step",)),
    events.ContactPromoted: Public("naru.contact.promoted"),
    events.PreferenceEnded: Public("naru.contact.preference_ended"),
    events.ExclusionEnded: Public("naru.contact.exclusion_ended"),
    events.ContactRequeued: Public("naru.contact.requeued", ("reason", "queue", "prefers", "by")),
    events.CallbackPromised: Public("naru.callback.promised", ("at",)),
    events.CallbackDue: Public("naru.callback.due", ("enqueued_at",)),
    events.CallbackFailed: Public("naru.callback.failed", ("cause", "again_at")),
    events.OfferMade: Public("naru.offer.made", (*_OFFER, "attempt", "shown_until", "hand")),
    events.OfferAccepted: Public("naru.offer.accepted", _OFFER),
    events.OfferDeclined: Public("naru.offer.declined", (*_OFFER, "reason", "excluded_until", "cools_until")),
    events.OfferTimedOut: Public("naru.offer.timed_out", (*_OFFER, "excluded_until", "blame")),
    events.OfferWithdrawn: Public("naru.offer.withdrawn", (*_OFFER, "reason", "cools_until")),
    events.ContactHeld: Public("naru.contact.held"),
    events.ContactResumed: Public("naru.contact.resumed"),
    events.ContactParked: Public("naru.contact.parked", ("reason",)),
    events.ContactNudged: Public("naru.contact.nudged"),
    events.ContactReprioritised: Public("naru.contact.reprioritised", ("tier", "head_start_s", "by")),
    events.ContactTakenOver: Public("naru.contact.taken_over"),
    events.ContactHandedOver: Public("naru.contact.handed_over"),
    events.ParticipantJoined: Public("naru.participant.joined", ("role", "manner")),
    events.ParticipantLeft: Public("naru.participant.left", ("reason", "by")),
    events.ContactWrapping: Public("naru.contact.wrapping", ("until",)),
    events.ContactCompleted: Public("naru.contact.completed", ("outcome", "disposition", "by", "attempt")),
    events.LegJoined: Public("naru.leg.joined", ("side",)),
    events.LineAnswered: Public("naru.line.answered", ("reach_by", "answered_by")),
    events.CampaignSet: Public("naru.campaign.set", ("campaign", "running", "by")),
    events.CampaignRested: Public("naru.campaign.rested", ("campaign", "reason", "until")),
    events.CampaignWoken: Public("naru.campaign.woken", ("campaign",)),
    events.MessageAdded: Public("naru.message.added", ("message", "number", "author", "private", "occurred_at")),
    events.MessageRevised: Public("naru.message.revised", ("message", "change")),
    events.ReceiptRecorded: Public("naru.message.receipted", ("message", "status")),
    events.SendEnded: Public("naru.send.ended", ("key", "result")),
    events.AgentConnected: Public("naru.agent.connected"),
    events.AgentDisconnected: Public("naru.agent.disconnected"),
    events.PresenceChanged: Public("naru.agent.presence_changed", ("presence", "reason", "by")),
    events.PresencePlanned: Public("naru.agent.presence_planned", ("presence", "reason")),
    events.AgentCooled: Public("naru.agent.cooled"),
    events.CustomerMerged: Public("naru.customer.merged", ("customer", "into", "by")),
    events.CustomerSplit: Public("naru.customer.split", ("customer", "other", "by")),
}

SUBJECTS = ("agent", "message", "customer", "campaign")
"""What an event is about that is about no contact."""

INTERNAL: dict[type[events.Event], str] = {
    events.ConfigApplied: "the configuration has versions and an API of its own",
    events.ConversationOpened: "it carries addresses and names; its contact says what others may know",
    events.AgentKept: "how a campaign dials: its contacts say what came of it",
    events.AgentLetGo: "how a campaign dials: its contacts say what came of it",
    events.AttemptAsked: "how a campaign dials: the ledger has every attempt",
    events.AttemptDropped: "how a campaign dials: the ledger has every attempt",
    events.ConversationForgotten: "the router's memory, nothing that happened to anybody",
    events.ReplyPolicyChanged: "what a provider allows now, for desks and the engine",
    events.ReceiptParked: "whose message it is about will be known with the next",
    events.SendRequested: "it carries addresses; the message was announced, and its end will be",
    events.SendClaimed: "which of our workers does it",
}


class Facts(msgspec.Struct, frozen=True):
    """What never changes about a contact, told with every event about it."""

    conversation: str
    customer: str
    channel: str
    brand: str
    kind: str


class Book:
    """What is known of the contacts in some records: their facts, and how many public events each has had so far."""

    def __init__(self) -> None:
        self.facts: dict[str, Facts] = {}
        self.count: dict[str, int] = {}
        self.contact_of: dict[str, str] = {}  # message -> contact: receipts name only the message

    def next(self, contact: str, opened: bool) -> int:
        """The number of a contact's next event. Its opening is its first, whatever an earlier projection had counted."""
        self.count[contact] = 1 if opened else self.count.get(contact, 0) + 1
        return self.count[contact]


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """In structured JSON as it stands. `sequence` is there where the event is about a contact that the store knows."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    partitionkey: str
    data: dict[str, Any]
    sequence: str | None = None


class Pinged(msgspec.Struct, frozen=True):
    webhook: str


encode = msgspec.json.encode
decode = msgspec.json.Decoder(CloudEvent).decode


def of_record(record: Record, book: Book) -> list[tuple[int, CloudEvent]]:
    """A record's public events, each with its index among all of the record's events. Counts them in the book."""
    made = []
    for index, event in enumerate(record.ev):
        public = PUBLIC.get(type(event))
        if public is not None:
            made.append((index, _event(record, f"{record.n}.{record.s}.{index}", event, public, book)))
    return made


def _event(record: Record, id_: str, event: events.Event, public: Public, book: Book) -> CloudEvent:
    contact = contact_of(event, book)
    subject = contact or next(
        (getattr(event, name) for name in SUBJECTS if getattr(event, name, None)), record.workspace
    )
    sequence = None
    if contact in book.facts:  # a contact whose row is gone has nobody who counts
        number = book.next(subject, opened=isinstance(event, events.ContactOpened))
        sequence = f"{number:0{SEQUENCE_DIGITS}}"
    return CloudEvent(
        specversion="1.0",
        id=id_,
        source=source(record.workspace),
        type=public.type,
        subject=subject,
        time=rfc3339(record.t),
        datacontenttype="application/json",
        dataschema=public.schema,
        partitionkey=subject,
        data=_data(event, public, contact, book.facts.get(contact or "")),
        sequence=sequence,
    )


def contact_of(event: events.Event, book: Book) -> str | None:
    """The contact that an event is about; None for the agents' own, and for a receipt of a message nobody knows."""
    if isinstance(event, events.ReceiptRecorded):
        return book.contact_of.get(event.message)
    return getattr(event, "contact", None)


def _data(event: events.Event, public: Public, contact: str | None, facts: Facts | None) -> dict[str, Any]:
    found: dict[str, Any] = {"contact": contact, "agent": getattr(event, "agent", None)}
    found |= msgspec.structs.asdict(facts) if facts else {}
    found |= {name: msgspec.to_builtins(getattr(event, name)) for name in public.fields}
    if _CODE.fullmatch(found.get("reason") or "") is None:
        found.pop("reason", None)
    return {name: value for name, value in found.items() if value is not None}


def ping(workspace: str, webhook: str, now: float) -> CloudEvent:
    """What a webhook is tried out with."""
    return CloudEvent(
        specversion="1.0",
        id=f"ping.{webhook}.{now:.6f}",
        source=source(workspace),
        type=PING.type,
        subject=webhook,
        time=rfc3339(now),
        datacontenttype="application/json",
        dataschema=PING.schema,
        partitionkey=webhook,
        data=msgspec.to_builtins(Pinged(webhook)),
    )


def source(workspace: str) -> str:
    return f"/naru/{quote(workspace, safe='')}"


def rfc3339(t: float) -> str:
    return dt.datetime.fromtimestamp(t, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def wants(types: Iterable[str], type_: str) -> bool:
    """Whether a filter lets a type through: no filter lets all, `naru.offer` lets `naru.offer.made`."""
    prefixes = tuple(types)
    return not prefixes or any(type_ == prefix or type_.startswith(f"{prefix}.") for prefix in prefixes)


def binary(event: CloudEvent) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    """Kafka's binary content mode: (partition key, value, headers). CloudEvents Kafka binding 1.0.2, section 3.2."""
    attributes = msgspec.to_builtins(event)
    data, content_type = attributes.pop("data"), attributes.pop("datacontenttype")
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return event.partitionkey, encode(data), [*headers, ("content-type", content_type.encode())]


# -- what they look like, for the AsyncAPI document


@cache
def data_type(kind: type[events.Event]) -> type[msgspec.Struct]:
    """The data of a class of events as a type of its own, from the same table and the event's own fields."""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    public = PUBLIC[kind]
    fields: list[Any] = []
    if "contact" in known or kind is events.ReceiptRecorded:
        names = ("contact", *Facts.__struct_fields__)
        fields += [
            (name, str) if name == "contact" and "contact" in known else (name, str | None, None) for name in names
        ]
    if "agent" in known:
        fields.append(_field("agent", known["agent"].type))
    fields += [_field(name, known[name].type) for name in public.fields]
    return msgspec.defstruct(_title(public.type), fields, kw_only=True)


def _field(name: str, kind: Any) -> Any:
    optional = name == "reason" or type(None) in getattr(kind, "__args__", ())
    return (name, kind | None, None) if optional else (name, kind)


def _title(type_: str) -> str:
    return "".join(word.capitalize() for word in re.split(r"[._]", type_.removeprefix(PREFIX)))

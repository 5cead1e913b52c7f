"""What has happened, in the past tense. `state.apply` folds these, so they carry results and never reasons to think.

An event never carries what a customer or an agent said, only that it was said and by whom.
"""

from typing import Literal

from router.config import Config
from router.effects import AnyEffect
from router.model import (
    AnsweredBy,
    Author,
    ByHand,
    Identity,
    Kind,
    Manner,
    ReplyPolicy,
    Requirement,
    Role,
    SendStatus,
    Thread,
    Value,
)

Outcome = Literal[
    "handled",
    "abandoned",
    "closed",
    "failed",
    "overflowed",
    "after_hours",
    "spam",
    "voicemail",
    "unreached",
    "called_again",
    "busy",
    "no_answer",
    "machine",
    "fax",
    "invalid",
    "hung_up",
    "nobody_free",
    "cut_short",
    "uncertain",
    "stale",
    "refused",
]
"""`voicemail`: the caller chose to leave a message. Of a callback: nobody answered any try, or its customer called first.

Of a campaign's call: what its line ended with. `hung_up`: answered, and gone before an agent had to be there; `nobody_free`:
abandoned by us; `cut_short`: we let it ring no longer, for lack of agents; `uncertain`: nobody told how it ended; `stale`:
not dialled in time after it was allowed; `refused`: no longer allowed when the agent dialled."""


class Event(Value, tag=True, frozen=True, kw_only=True):
    """Base of all events."""


class ConfigApplied(Event, frozen=True, kw_only=True):
    """`holidays` are the dates of the countries that its calendars name, as they were known when it was applied."""

    version: int
    config: Config
    holidays: dict[str, dict[str, str]] = {}


class ConversationOpened(Event, frozen=True, kw_only=True):
    conversation: str
    channel: str
    brand: str
    kind: Kind
    thread: Thread
    customer: str
    identity: Identity
    language: str | None = None


class ConversationForgotten(Event, frozen=True, kw_only=True):
    """Nothing is open and nobody will come back within `reopen_within`: the store has the history."""

    conversation: str


class MessageAdded(Event, frozen=True, kw_only=True):
    """`number` counts the conversation's messages from 1. `key` is the provider's id of it, for deduplication."""

    conversation: str
    contact: str
    message: str
    number: int
    author: Author
    agent: str | None = None
    private: bool = False
    key: str | None = None
    occurred_at: float | None = None


class MessageRevised(Event, frozen=True, kw_only=True):
    """Its content is that of the input which this record answers; of what was taken back there is none."""

    conversation: str
    contact: str
    message: str
    change: Literal["edited", "deleted", "copied"]


class ReplyPolicyChanged(Event, frozen=True, kw_only=True):
    conversation: str
    policy: ReplyPolicy


class ReceiptParked(Event, frozen=True, kw_only=True):
    """A receipt whose message's name we do not know yet."""

    channel: str
    external: str
    status: SendStatus
    detail: str | None = None


class ReceiptRecorded(Event, frozen=True, kw_only=True):
    message: str
    status: SendStatus
    detail: str | None = None


class ContactOpened(Event, frozen=True, kw_only=True):
    """`target_s` is the service level's target that was promised when it came in; with `answer_by` its provider's clock
    is the shorter, and orders it wherever it waits."""

    contact: str
    conversation: str
    direction: Literal["inbound", "outbound"]
    queue: str
    enqueued_at: float
    target_s: float
    tier: int | None = None
    head_start_s: float = 0
    requires: tuple[Requirement, ...] = ()
    attributes: dict[str, str] = {}
    language: str | None = None
    prefers: tuple[str, ...] = ()
    prefer_until: float | None = None
    follows: str | None = None
    rule: str | None = None
    answer_by: float | None = None
    patient: bool = False
    campaign: str | None = None
    attempt: str | None = None
    person: str | None = None
    dialling: bool = False
    rings: bool = True


class ContactStepped(Event, frozen=True, kw_only=True):
    """The contact has come to this step of its queue (1 is the first)."""

    contact: str
    step: int


class ContactPromoted(Event, frozen=True, kw_only=True):
    """`max_wait` is over: tier 0, before everything else."""

    contact: str


class PreferenceEnded(Event, frozen=True, kw_only=True):
    contact: str


class ExclusionEnded(Event, frozen=True, kw_only=True):
    contact: str
    agent: str


class ContactRequeued(Event, frozen=True, kw_only=True):
    """Back to the waiting, in its old place. `prefers` replaces the list that held."""

    contact: str
    reason: str
    queue: str
    prefers: tuple[str, ...] = ()
    prefer_until: float | None = None
    by: str | None = None
    note: str | None = None
    excluded_until: float | None = None


class CallbackPromised(Event, frozen=True, kw_only=True):
    """The caller is let go and will be rung at this number: in the place that he has, or, with `at`, from then on."""

    contact: str
    number: str
    at: float | None = None


class CallbackDue(Event, frozen=True, kw_only=True):
    """The time of a callback has come: it is in line."""

    contact: str
    enqueued_at: float
    prefer_until: float | None = None


class CallbackFailed(Event, frozen=True, kw_only=True):
    """The agent was there and the customer did not answer. `counts` as a try unless nobody has dialled."""

    contact: str
    cause: str
    again_at: float
    counts: bool = True


class OfferMade(Event, frozen=True, kw_only=True):
    """`shown_until` is what the agent sees; the offer ends half a second later, for those who answer at the last.

    `hand` says that no choice was made."""

    offer: str
    contact: str
    agent: str
    attempt: int
    shown_until: float
    hand: ByHand | None = None


class OfferAccepted(Event, frozen=True, kw_only=True):
    offer: str
    contact: str
    agent: str


class OfferDeclined(Event, frozen=True, kw_only=True):
    """`cools_until`: an agent who has declined too much for now is offered nothing until then."""

    offer: str
    contact: str
    agent: str
    excluded_until: float
    reason: str | None = None
    cools_until: float | None = None


class OfferTimedOut(Event, frozen=True, kw_only=True):
    """`blame` is false after an outage: then the agent stays available."""

    offer: str
    contact: str
    agent: str
    excluded_until: float
    blame: bool = True


class OfferWithdrawn(Event, frozen=True, kw_only=True):
    offer: str
    contact: str
    agent: str
    reason: str
    cools_until: float | None = None


class ContactHeld(Event, frozen=True, kw_only=True):
    contact: str


class ContactResumed(Event, frozen=True, kw_only=True):
    contact: str


class ContactParked(Event, frozen=True, kw_only=True):
    contact: str
    reason: Literal["by_agent", "interrupted", "silent"]


class ContactNudged(Event, frozen=True, kw_only=True):
    """The owner has not said a word within `first_reply`."""

    contact: str


class ContactReprioritised(Event, frozen=True, kw_only=True):
    contact: str
    tier: int | None
    head_start_s: float
    by: str


class ContactTakenOver(Event, frozen=True, kw_only=True):
    """From its owner's hands into a supervisor's."""

    contact: str
    agent: str


class ContactHandedOver(Event, frozen=True, kw_only=True):
    """The owner leaves it to somebody who was in it already; a call's legs stay as they are."""

    contact: str
    agent: str
    note: str | None = None


class ParticipantJoined(Event, frozen=True, kw_only=True):
    """`key` names the leg that is ordered for a call. Who is in it already has another role or manner from now on;
    `manner` is that of whoever monitors, and where none is told he listens."""

    contact: str
    agent: str
    role: Role
    key: str | None = None
    manner: Manner | None = None


class ParticipantLeft(Event, frozen=True, kw_only=True):
    contact: str
    agent: str
    reason: str
    by: str | None = None


class ContactWrapping(Event, frozen=True, kw_only=True):
    contact: str
    until: float


class ContactCompleted(Event, frozen=True, kw_only=True):
    """`attempt` is the campaign's that it was."""

    contact: str
    outcome: Outcome
    disposition: str | None = None
    note: str | None = None
    by: str | None = None
    attempt: str | None = None


class LegJoined(Event, frozen=True, kw_only=True):
    """A phone leg that we dialled was answered: the agent's, the called customer's, or that of `agent` as a guest."""

    contact: str
    leg: str
    side: Literal["agent", "customer", "guest"]
    agent: str | None = None
    answered_by: AnsweredBy | None = None


class LineAnswered(Event, frozen=True, kw_only=True):
    """A campaign's call was answered, by a person as far as we know, who must have reached an agent by `reach_by`."""

    contact: str
    leg: str
    reach_by: float
    answered_by: AnsweredBy | None = None


class CampaignSet(Event, frozen=True, kw_only=True):
    campaign: str
    running: bool
    by: str


class CampaignRested(Event, frozen=True, kw_only=True):
    """Nobody of its list may be called before then; without a time, until somebody says that there is one."""

    campaign: str
    reason: str
    until: float | None = None


class CampaignWoken(Event, frozen=True, kw_only=True):
    campaign: str


class AgentKept(Event, frozen=True, kw_only=True):
    """The agent is kept free for a campaign whose lines ring, and open for nothing else."""

    agent: str
    campaign: str


class AgentLetGo(Event, frozen=True, kw_only=True):
    """Not kept any more, in the old place among the idle."""

    agent: str
    reason: str


class AttemptAsked(Event, frozen=True, kw_only=True):
    """A person to call is asked for. `agent` is for whom, where no line rings first; `contact` that of a person whom the
    agent has looked at."""

    campaign: str
    attempt: str
    agent: str | None = None
    contact: str | None = None


class AttemptDropped(Event, frozen=True, kw_only=True):
    """Nobody is called by this attempt: there was nobody, or the answer came too late to be used."""

    campaign: str
    attempt: str
    reason: str


class AgentConnected(Event, frozen=True, kw_only=True):
    agent: str
    connection: str


class AgentDisconnected(Event, frozen=True, kw_only=True):
    agent: str
    connection: str


class PresenceChanged(Event, frozen=True, kw_only=True):
    agent: str
    presence: Literal["offline", "available", "away", "unresponsive", "draining"]
    reason: str | None = None
    by: str | None = None


class PresencePlanned(Event, frozen=True, kw_only=True):
    agent: str
    presence: Literal["offline", "available", "away", "draining"]
    reason: str | None = None


class AgentCooled(Event, frozen=True, kw_only=True):
    """The cool-down is over."""

    agent: str


class CustomerMerged(Event, frozen=True, kw_only=True):
    """Two customers are one person, says `by`. Both stay what they are; the store links them (`naru.store.people`)."""

    customer: str
    into: str
    by: str


class CustomerSplit(Event, frozen=True, kw_only=True):
    """That a customer is one person with `other` is taken back; without one, that it is with anybody."""

    customer: str
    by: str
    other: str | None = None


class SendRequested(Event, frozen=True, kw_only=True):
    """An effect with this key awaits a worker's claim."""

    key: str
    contact: str
    effect: AnyEffect


class SendClaimed(Event, frozen=True, kw_only=True):
    key: str
    worker: str


class SendEnded(Event, frozen=True, kw_only=True):
    key: str
    contact: str
    result: Literal["accepted", "rejected", "uncertain"]
    externals: tuple[str, ...] = ()
    detail: str | None = None


AnyEvent = (
    ConfigApplied
    | ConversationOpened
    | ConversationForgotten
    | MessageAdded
    | MessageRevised
    | ReplyPolicyChanged
    | ReceiptParked
    | ReceiptRecorded
    | ContactOpened
    | ContactStepped
    | ContactPromoted
    | PreferenceEnded
    | ExclusionEnded
    | ContactRequeued
    | CallbackPromised
    | CallbackDue
    | CallbackFailed
    | OfferMade
    | OfferAccepted
    | OfferDeclined
    | OfferTimedOut
    | OfferWithdrawn
    | ContactHeld
    | ContactResumed
    | ContactParked
    | ContactNudged
    | ContactReprioritised
    | ContactTakenOver
    | ContactHandedOver
    | ParticipantJoined
    | ParticipantLeft
    | ContactWrapping
    | ContactCompleted
    | LegJoined
    | LineAnswered
    | CampaignSet
    | CampaignRested
    | CampaignWoken
    | AgentKept
    | AgentLetGo
    | AttemptAsked
    | AttemptDropped
    | AgentConnected
    | AgentDisconnected
    | PresenceChanged
    | PresencePlanned
    | AgentCooled
    | CustomerMerged
    | CustomerSplit
    | SendRequested
    | SendClaimed
    | SendEnded
)

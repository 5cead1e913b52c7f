"""The nouns a pool remembers, as plain records. Only `state.apply` writes to them.

They name each other by id, so there are no cycles and nothing for the garbage collector to look at (`gc=False`).
Times are log time in seconds; everything here goes into snapshots, so a new field needs a default.
"""

from typing import Literal

import msgspec

from router.config import Config
from router.dialing import Pace
from router.effects import AnyEffect
from router.forecast import Forecast
from router.model import Identity, Kind, Manner, ReplyPolicy, Requirement, Role, SendStatus, Side, Thread, derive_id

LOST_OFFER_S = 5.0
"""How long a lost agent keeps an open offer."""
LOST_CHAT_S = 45.0
"""How long a lost agent keeps chats. Mail and calls are not taken away by a lost browser."""
OFFER_GRACE_S = 0.5
"""An offer ends this long after what the agent is shown."""
REMEMBER_INPUTS = 50_000
REMEMBER_S = 900.0
REMEMBER_KEYS = 64
KEEP_CONVERSATION_S = 86_400.0
REMEMBER_NUMBERS = 500_000
"""Conversations that are forgotten leave only how many messages they had, so that the count goes on."""

REMEMBER_OURS = 20
"""Messages of ours in a conversation that a read mark may still be about."""
REMEMBER_EXTERNALS = 20_000
PARKED_RECEIPTS = 1_000

Status = Literal["queued", "scheduled", "dialling", "offered", "active", "held", "parked", "wrapping"]
"""Scheduled: a callback whose time has not come. Dialling: a campaign rings somebody, and no agent has it yet."""


Direction = Literal["inbound", "outbound"]


class Offer(msgspec.Struct, gc=False):
    id: str
    agent: str
    shown_until: float
    made_at: float
    leg: str | None = None


class Participant(msgspec.Struct, gc=False):
    """Somebody besides the owner. On a call `key` names the leg that was ordered, `ringing` and `leg` are the provider's.
    `manner` is that of whoever monitors."""

    role: Role
    since: float
    key: str | None = None
    leg: str | None = None
    ringing: str | None = None
    manner: Manner = "listen"

    @property
    def speaks(self) -> bool:
        """To the customer too: a colleague who is joined, a supervisor who has barged in."""
        return self.role == "joined" or self.manner == "barge"


class Callback(msgspec.Struct, gc=False):
    """The customer is not on the line and is called back at this number: after `tries` that nobody answered, and not
    before `at`. `caller` is who was promised it, and where (`redial`)."""

    number: str
    caller: str
    tries: int = 0
    at: float | None = None


class Contact(msgspec.Struct, gc=False):
    id: str
    conversation: str
    channel: str
    brand: str
    kind: Kind
    queue: str
    direction: Direction
    enqueued_at: float
    arrival: int
    since: float
    status: Status = "queued"
    tier: int | None = None
    head_start_s: float = 0
    requires: tuple[Requirement, ...] = ()
    attributes: dict[str, str] = {}
    language: str | None = None
    step: int = 0
    promoted: bool = False
    attempt: int = 0
    prefers: tuple[str, ...] = ()
    prefer_until: float | None = None
    excluded: dict[str, float] = {}
    offer: Offer | None = None
    agent: str | None = None
    accepted_at: float | None = None
    replied: bool = False
    nudged: bool = False
    parked_for: str | None = None
    wrap_until: float | None = None
    last_word_at: float = 0
    call: str | None = None
    leg: str | None = None
    ringing: str | None = None
    follows: str | None = None
    answered: bool = False
    target_s: float = 0
    waits_from: float = 0
    participants: dict[str, Participant] = {}
    hand_tier: int | None = None
    """Where a supervisor has put it: before what its steps, its rule and its queue say."""
    answer_by: float | None = None
    """When its provider counts it as late, whatever queue it is in."""
    patient: bool = False
    """It had been lying there before its channel was connected: no step and no `max_wait` hurries it."""
    callback: Callback | None = None
    """Until the customer has answered."""
    foretold_s: float = 0
    """Within how many seconds nine of ten were served who came into the line as it did (`forecast`)."""
    campaign: str | None = None
    attempt_id: str | None = None
    """The campaign's attempt that it is: the key of its line, and of its row in the ledger."""
    person: str | None = None
    rings: bool = True
    """False: a campaign's work for which nobody's phone rings, whatever its channel."""
    reach_by: float | None = None
    """Somebody has answered our call, and must have reached an agent by then."""
    called_back: bool = False
    """The customer has answered before any agent's phone rang, and is sent away by nothing until one has answered, too."""

    @property
    def is_outbound(self) -> bool:
        """What we began, until somebody has begun it; then it is a conversation like any other."""
        return self.direction == "outbound" and not self.answered

    @property
    def is_in_hand(self) -> bool:
        """An agent works on it, or has put it on hold for a moment; not what is parked."""
        return self.status in ("active", "held")

    @property
    def has_legs(self) -> bool:
        """A call that we carry. Where somebody else does (a company's own exchange), Naru only says whose it is."""
        return self.kind == "voice" and (
            self.call is not None or self.callback is not None or (self.direction == "outbound" and self.rings)
        )


LEG_NAMES: dict[Side, str] = {"agent": "leg", "customer": "customer-leg"}


def leg_key(contact: Contact, side: Side) -> str:
    """The key of a leg that is dialled for a contact in an agent's hands, or for a callback in an offer."""
    return derive_id(LEG_NAMES[side], contact.id, str(contact.attempt))


def rings_first(contact: Contact, key: str) -> bool:
    """Whether this leg is that of a callback's customer, rung before any agent has it."""
    return contact.status == "offered" and contact.callback is not None and key == leg_key(contact, "customer")


class Conversation(msgspec.Struct, gc=False):
    id: str
    channel: str
    brand: str
    kind: Kind
    thread: Thread
    customer: str
    identity: Identity
    opened_at: float
    language: str | None = None
    contact: str | None = None
    last_contact: str | None = None
    last_agent: str | None = None
    last_word_at: float = 0
    closed_at: float = 0
    messages: int = 0
    keys: dict[str, str] = {}
    policy: ReplyPolicy | None = None
    replies: int = 0
    """Answers of ours since the customer's last word, those that failed not counted."""
    ours: tuple[tuple[str, float], ...] = ()
    """Our newest messages, and when their provider had accepted them."""


class Agent(msgspec.Struct, gc=False):
    id: str
    presence: str = "offline"
    reason: str | None = None
    by: str | None = None
    since: float = 0
    planned: tuple[str, str | None] | None = None
    connections: list[str] = []
    lost_at: float | None = None
    contacts: list[str] = []
    attends: list[str] = []
    idle_stamp: int = 0
    cools_until: float | None = None
    kept_for: str | None = None
    """The campaign that keeps this agent free, because its lines ring."""


class Send(msgspec.Struct, gc=False):
    """An effect that awaits its worker, or its end, since `at`."""

    contact: str
    effect: AnyEffect
    worker: str | None = None
    at: float = 0


class Seen(msgspec.Struct, frozen=True, gc=False):
    """An input that was answered: the same id gets the same answer."""

    t: float
    hash: str
    status: int
    code: str
    contact: str | None = None


class Abandoned(msgspec.Struct, frozen=True, gc=False):
    """A call that was hung up while it waited: its place is kept for a while (`redial`)."""

    contact: str
    enqueued_at: float
    t: float


class Stats(msgspec.Struct, gc=False):
    """One queue's day so far. Service level = answered_in_target / (answered + abandoned)."""

    arrived: int = 0
    answered: int = 0
    answered_in_target: int = 0
    abandoned: int = 0
    wait_s: float = 0


class Asked(msgspec.Struct, gc=False):
    """A person to call, asked for from the dialler at `at`. `agent` is who looks before the call, or has the work without
    one, and nobody where a line rings first; `contact` is that of a person whom the agent has looked at. `woken`: somebody
    has said meanwhile that there is one."""

    at: float
    agent: str | None = None
    contact: str | None = None
    woken: bool = False


class Campaign(msgspec.Struct):
    """What a pool remembers of a campaign. `days` is [day since the epoch, live answers, abandoned ones], oldest first.

    `asked` are attempts whose person has not come yet, `lines` the contacts that ring, both by attempt; `reaching` are
    those that were answered and have not reached an agent; `busy` counts the contacts that agents have in hand, and
    `wrapping` says since when those have been in wrap-up that are.
    """

    running: bool = False
    rests_until: float | None = None
    reason: str = ""
    number: int = 0
    busy: int = 0
    wrapping: dict[str, float] = {}
    asked: dict[str, Asked] = {}
    lines: dict[str, str] = {}
    reaching: list[str] = []
    days: list[tuple[int, int, int]] = []
    pace: Pace = msgspec.field(default_factory=Pace)

    @property
    def out(self) -> int:
        """How many may yet be answered before an agent is there: lines that ring, and people asked for to ring."""
        return len(self.lines) + sum([asked.agent is None and asked.contact is None for asked in self.asked.values()])


class Steered(msgspec.Struct, gc=False):
    """A reserve that follows a service level: `level` agents, and how many of the day's contacts were answered in time."""

    level: float
    day: int = 0
    all: int = 0
    in_time: int = 0


class Memory(msgspec.Struct):
    """All that a snapshot holds of one pool."""

    t: float = 0
    version: int = 0
    config: Config = Config()
    holidays: dict[str, dict[str, str]] = {}
    arrivals: int = 0
    stamps: int = 0
    contacts: dict[str, Contact] = {}
    conversations: dict[str, Conversation] = {}
    agents: dict[str, Agent] = {}
    numbers: dict[str, int] = {}
    sends: dict[str, Send] = {}
    externals: dict[str, str] = {}
    """The provider's names of our newest messages (`external_key`)."""
    parked_receipts: dict[str, tuple[SendStatus, str | None]] = {}
    seen: dict[str, Seen] = {}
    day: str = ""
    stats: dict[str, Stats] = {}
    abandoned: dict[str, Abandoned] = {}
    """Calls hung up lately, by caller and queue, oldest first (`redial`)."""
    callbacks: dict[str, str] = {}
    """The contacts of those who are to be called back, by caller and queue."""
    forecasts: dict[str, Forecast] = {}
    """By queue."""
    campaigns: dict[str, Campaign] = {}
    steered: dict[str, Steered] = {}
    """By queue whose reserve follows its service level."""


def external_key(channel: str, external: str) -> str:
    """A provider's name of a message, which is its own only within its channel."""
    return f"{channel}/{external}"

"""What is asked or reported. An input is a wish or a report from outside: `decide` may refuse it.

What was said (text, files) does not stand here: it rides beside the input, encrypted, as `model.Content`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from router.config import Config
from router.model import AnsweredBy, Identity, Manner, ReplyPolicy, Requirement, SendStatus, Thread, Value


class Input(Value, tag=True, frozen=True, kw_only=True):
    """Base of all inputs."""


# -- from the customers' edge


class ReceiveMessage(Input, frozen=True, kw_only=True):
    """A customer wrote. `dedupe_key` is the provider's id of the message, else the hash of its content.

    `policy` is what may be answered from now on. `author` is `external_console` for what a colleague answered in the
    provider's own pages: it is shown, and asks nobody for anything. `answer_by` is when the provider counts it as late.
    `patient`: it had been lying there before the channel was connected, and goes behind what comes now.
    """

    channel: str
    thread: Thread
    identity: Identity
    dedupe_key: str
    occurred_at: float | None = None
    to: str | None = None
    language: str | None = None
    customer: dict[str, str] = {}
    attributes: dict[str, str] = {}
    policy: ReplyPolicy | None = None
    author: Literal["customer", "external_console"] = "customer"
    answer_by: float | None = None
    patient: bool = False


class ReviseMessage(Input, frozen=True, kw_only=True):
    """What was said is otherwise now; the new content rides beside it. Named by `message`, or the provider's key."""

    channel: str
    thread: Thread
    change: Literal["edited", "deleted", "copied"]
    message: str | None = None
    dedupe_key: str | None = None


class ReceiveReceipt(Input, frozen=True, kw_only=True):
    """What became of a message of ours, as the provider tells it: late, twice and in any order.

    Named by exactly one of `message` (ours), `channel` with `external` (the provider's name of it), and `channel` with
    `thread` and `up_to` (all that we sent until then).
    """

    status: SendStatus
    message: str = ""
    detail: str | None = None
    channel: str = ""
    external: str | None = None
    thread: Thread | None = None
    up_to: float | None = None


class EndSession(Input, frozen=True, kw_only=True):
    """The customer closed the session (chat), so that silence need not be waited for.

    `policy` is what may be answered from now on, where that is less than before.
    """

    channel: str
    thread: Thread
    policy: ReplyPolicy | None = None


class ReceiveCall(Input, frozen=True, kw_only=True):
    """A call rings or was answered for us by the provider; it is waiting with music."""

    channel: str
    thread: Thread
    identity: Identity
    to: str | None = None
    language: str | None = None
    customer: dict[str, str] = {}
    attributes: dict[str, str] = {}


class EndCall(Input, frozen=True, kw_only=True):
    """The customer's leg is gone, whoever hung up."""

    channel: str
    thread: Thread
    cause: str = "completed"


class LeaveLine(Input, frozen=True, kw_only=True):
    """A caller who waits would rather be called back (at `number`, else at his own), or leave a message."""

    channel: str
    call: str
    to: Literal["callback", "voicemail"]
    number: str | None = None


class OrderCallback(Input, frozen=True, kw_only=True):
    """Somebody asks to be called, soonest or from `at` on: from a page, a chat, or through a colleague.

    `prefers` is the agent who shall call, if there.
    """

    channel: str
    identity: Identity
    queue: str | None = None
    at: float | None = None
    prefers: str | None = None
    language: str | None = None
    customer: dict[str, str] = {}
    attributes: dict[str, str] = {}


class CancelCallback(Input, frozen=True, kw_only=True):
    """Nobody need be called back any more."""

    contact: str
    by: str


class AnswerLeg(Input, frozen=True, kw_only=True):
    """An agent's (or called customer's) phone was picked up, and by whom or what, where the provider was asked to tell."""

    channel: str
    key: str
    leg: str
    answered_by: AnsweredBy | None = None


class EndLeg(Input, frozen=True, kw_only=True):
    """A leg that we dialled is gone: never answered, or hung up."""

    channel: str
    key: str
    leg: str
    cause: Literal["completed", "busy", "no_answer", "failed", "canceled"]


class Reserved(Value, frozen=True, kw_only=True):
    """A person of a campaign's list, locked for one attempt, and what is known of them."""

    person: str
    identity: Identity
    thread: Thread
    language: str | None = None
    attributes: dict[str, str] = {}


class EndReserve(Input, frozen=True, kw_only=True):
    """What came of an attempt that was asked for: a person, or why there is none, and when it is worth asking again."""

    campaign: str
    key: str
    reserved: Reserved | None = None
    reason: str = ""
    again_at: float | None = None


class ClaimSend(Input, frozen=True, kw_only=True):
    """A channel worker asks to be the one that executes an effect a provider cannot deduplicate."""

    key: str
    worker: str


class EndSend(Input, frozen=True, kw_only=True):
    key: str
    result: Literal["accepted", "rejected", "uncertain"]
    externals: tuple[str, ...] = ()
    detail: str | None = None


# -- from the agents' edge


class Connect(Input, frozen=True, kw_only=True):
    agent: str
    connection: str


class Disconnect(Input, frozen=True, kw_only=True):
    agent: str
    connection: str


class StartGateway(Input, frozen=True, kw_only=True):
    """A gateway process began anew: whatever connections its predecessor of that name had are gone."""

    gateway: str


class SetPresence(Input, frozen=True, kw_only=True):
    """`when='after'` queues the change until the last assignment has ended. `by` is a supervisor who changes it."""

    agent: str
    presence: Literal["available", "away", "offline", "draining"]
    reason: str | None = None
    when: Literal["now", "after"] = "now"
    by: str | None = None


class MoveContact(Input, frozen=True, kw_only=True):
    """A supervisor sends somebody who waits to another queue."""

    contact: str
    queue: str
    by: str


class ReprioritiseContact(Input, frozen=True, kw_only=True):
    """A supervisor lets somebody who waits go before others. What is None stays."""

    contact: str
    by: str
    tier: Annotated[int, Meta(ge=1, le=9)] | None = None
    head_start_s: Annotated[float, Meta(ge=0, le=366 * 86400)] | None = None


class TakeOver(Input, frozen=True, kw_only=True):
    """A supervisor makes a contact his own, from the line or from its owner."""

    agent: str
    contact: str


class ConsultAgent(Input, frozen=True, kw_only=True):
    """The owner asks a colleague, while the customer hears nothing of it."""

    agent: str
    contact: str
    to_agent: str


class ConferenceContact(Input, frozen=True, kw_only=True):
    """The owner lets those consulted talk to the customer."""

    agent: str
    contact: str


class MonitorContact(Input, frozen=True, kw_only=True):
    """A supervisor listens, whispers to the owner, or speaks to everybody. Who monitors already changes his manner."""

    agent: str
    contact: str
    manner: Manner = "listen"


class LeaveContact(Input, frozen=True, kw_only=True):
    """Somebody besides the owner goes, or is sent away by the owner (`by`)."""

    agent: str
    contact: str
    by: str | None = None


class AcceptOffer(Input, frozen=True, kw_only=True):
    agent: str
    offer: str


class DeclineOffer(Input, frozen=True, kw_only=True):
    agent: str
    offer: str
    reason: str | None = None


class SendMessage(Input, frozen=True, kw_only=True):
    """`private` is a note between colleagues that never leaves the house."""

    agent: str
    contact: str
    private: bool = False


class HoldContact(Input, frozen=True, kw_only=True):
    agent: str
    contact: str


class ResumeContact(Input, frozen=True, kw_only=True):
    agent: str
    contact: str


class ParkContact(Input, frozen=True, kw_only=True):
    agent: str
    contact: str


class TransferContact(Input, frozen=True, kw_only=True):
    """To exactly one of `queue` and `to_agent`."""

    agent: str
    contact: str
    queue: str | None = None
    to_agent: str | None = None
    note: str | None = None


class WrapUpContact(Input, frozen=True, kw_only=True):
    """The conversation is over; what is left is after-contact work."""

    agent: str
    contact: str


class ExtendWrapUp(Input, frozen=True, kw_only=True):
    agent: str
    contact: str
    seconds: float


class CompleteContact(Input, frozen=True, kw_only=True):
    agent: str
    contact: str
    disposition: str | None = None
    note: str | None = None


class MergeCustomer(Input, frozen=True, kw_only=True):
    """Somebody says that two customers are one person. That there are such customers the edge has seen in the store."""

    customer: str
    into: str
    by: str


class SplitCustomer(Input, frozen=True, kw_only=True):
    """What was said of a customer is taken back: that it is one person with `other`, or, without one, with anybody."""

    customer: str
    by: str
    other: str | None = None


class StartContact(Input, frozen=True, kw_only=True):
    """An agent's own mail, message or call to a customer."""

    agent: str
    channel: str
    thread: Thread
    identity: Identity
    queue: str | None = None
    language: str | None = None
    attributes: dict[str, str] = {}
    requires: tuple[Requirement, ...] = ()


# -- from the house itself


class SetCampaign(Input, frozen=True, kw_only=True):
    """Somebody starts or stops a campaign. What rings goes on; nothing new is dialled."""

    campaign: str
    running: bool
    by: str


class WakeCampaign(Input, frozen=True, kw_only=True):
    """There is somebody to call, where there was nobody: people were added, or may be called again."""

    campaign: str


class ApplyConfig(Input, frozen=True, kw_only=True):
    """`holidays` are the dates of the countries that its calendars name, as they were known when it was applied."""

    version: int
    config: Config
    holidays: dict[str, dict[str, str]] = {}


class Tick(Input, frozen=True, kw_only=True):
    """Time has passed and nothing else has happened."""


AnyInput = (
    ReceiveMessage
    | ReviseMessage
    | ReceiveReceipt
    | EndSession
    | ReceiveCall
    | EndCall
    | LeaveLine
    | OrderCallback
    | CancelCallback
    | AnswerLeg
    | EndLeg
    | ClaimSend
    | EndSend
    | Connect
    | Disconnect
    | StartGateway
    | SetPresence
    | MoveContact
    | ReprioritiseContact
    | TakeOver
    | ConsultAgent
    | ConferenceContact
    | MonitorContact
    | LeaveContact
    | AcceptOffer
    | DeclineOffer
    | SendMessage
    | HoldContact
    | ResumeContact
    | ParkContact
    | TransferContact
    | WrapUpContact
    | ExtendWrapUp
    | CompleteContact
    | MergeCustomer
    | SplitCustomer
    | StartContact
    | EndReserve
    | SetCampaign
    | WakeCampaign
    | ApplyConfig
    | Tick
)

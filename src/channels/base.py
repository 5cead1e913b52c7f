"""The contract of a channel. Providers are pure: they `read` what comes into inputs, and `write` effects as requests.

`read`, `page`, `found` and `hear` are total: whatever comes in, they answer with a value and never raise. Signatures are
verified over the raw bytes before anything is parsed. What every provider does stands in `Provider`; what only some
need, in the small protocols below it: a provider that has their methods is served by `channels/worker.py` accordingly.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from router.effects import AnyEffect
from router.inputs import Input
from router.model import Content, Identity, Kind, ReplyPolicy
from router.turn import Answer

REPLAY_WINDOW_S = 300.0
MAX_BODY_BYTES = 1_000_000


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came. `url` is what the provider called (public), headers are lower-case, `path` is after the key.

    `peer` is the address it came from, as the server tells it: behind a proxy, what a trusted proxy says.
    """

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    t: float
    peer: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A connected channel: its settings, its secrets in the clear, and where its provider reaches us.

    `sign` gives a token for a text that nobody else can compute. `token` is the access token in force, of a provider
    that renews one (`Renews`); `keys` are the provider's public keys that were asked for (`Vouched`).
    """

    workspace: str
    channel: str
    brand: str
    kind: Kind
    provider: str
    hook: str
    hook_url: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    sign: Callable[[str], str]
    token: str = ""
    keys: Mapping[str, str] = {}

    def setting(self, name: str, default: str = "") -> str:
        """A setting as text. An id of digits alone is a number in YAML where nobody has put it in quotes."""
        value = self.settings.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) else default


class CallView(msgspec.Struct, frozen=True):
    """What the engine knows of a customer's call: `position` is 0 unless it waits and its place is known. `wait_s` is the time
    within which nine of ten in its place are served, where that can be said."""

    contact: str
    status: str
    position: int
    language: str | None = None
    wait_s: float | None = None


Look = Callable[[str], CallView | None]
"""Looks up a call by the provider's name of it."""


class HookReply(msgspec.Struct, frozen=True):
    status: int = 200
    body: str = ""
    media_type: str = "text/plain"


class File(msgspec.Struct, frozen=True):
    """An attachment in the clear, on its way in or out. `inline_id` is a mail's Content-ID."""

    name: str
    media_type: str
    body: bytes
    inline_id: str | None = None


class Item(msgspec.Struct, frozen=True):
    """One input. `key` is its natural key: what comes twice under one key is one input.

    `files` are stored first and then stand in the content as media. `late` says that a repetition may come after the
    engine has forgotten the key, so that the history must be asked.
    """

    key: str
    body: Input
    content: Content | None = None
    files: tuple[File, ...] = ()
    late: bool = False


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a live broadcast's chat. It becomes a contact only if a rule or a person picks it (`channels/live.py`).

    `value` is what was paid with it, in the broadcast's currency; 0 for a mere word.
    """

    room: str
    id: str
    author: Identity
    text: str
    at: float
    value: float = 0
    is_staff: bool = False


class Outgoing(msgspec.Struct, frozen=True):
    """A message of ours. `last_…` are those of the customer's last message in the thread, `last_at` when it came;
    `first` says that it is our first since then (a token that answers once is still good). `uploads` are the provider's
    names of the files, where it wants them beforehand (`Uploads`)."""

    content: Content
    files: tuple[File, ...] = ()
    last_subject: str | None = None
    last_headers: dict[str, str] = {}
    last_at: float = 0
    first: bool = False
    uploads: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True):
    """What a webhook said, and how it is answered once that is durable.

    With `refused` the first item is asked rather than taken, and a refusal is answered so; what is not decided in time
    is answered by `late`, where that is another answer.
    """

    items: tuple[Item, ...] = ()
    reply: HookReply = HookReply()
    refused: HookReply | None = None
    late: HookReply | None = None
    comments: tuple[Comment, ...] = ()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request to be made to a provider. At most one of `form` and `body`.

    `otherwise` is made in its place where it prepares another (`Calls.before`) and what it is about is not there (404).
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    form: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    basic: tuple[str, str] | None = None
    timeout_s: float = 15.0
    otherwise: "Call | None" = None


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """A request that others prepare, as taking a conversation over does. They are made first, at every try, and whatever
    becomes of them, for perhaps it was so already: how `call` ends is what counts."""

    before: tuple[Call, ...]
    call: Call


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be handed to a mail server."""

    sender: str
    recipient: str
    raw: bytes


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be handed to an SMS centre. `reference` is ours; `source` and `destination` are numbers or names."""

    source: str
    destination: str
    text: str
    reference: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a telephone exchange: method, path and query as its REST interface has them.

    `fine` are statuses that mean the same as success: what was to be made is there, what was to be ended is gone.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    fine: tuple[int, ...] = ()


class Steps(msgspec.Struct, frozen=True):
    """Requests to an exchange, in order; the first that fails ends them. `external` names what was made (a leg), `caller`
    the call that they move, to whom nothing more is said, `over` one that the engine has ended: its end is no news."""

    steps: tuple[Step, ...]
    external: str | None = None
    caller: str | None = None
    over: str | None = None


Order = Call | Calls | Mail | Submit | Steps
"""What carries out an effect: over HTTP, to a mail server, an SMS centre, an exchange."""


class Result(msgspec.Struct, frozen=True):
    """How a send ended. `retry` may be tried again; `uncertain` may have happened and must not be repeated blindly."""

    kind: Literal["accepted", "rejected", "retry", "uncertain"]
    externals: tuple[str, ...] = ()
    detail: str | None = None
    after_s: float = 0


class Unsendable(Exception):
    """An effect this provider cannot carry out: a closed set of causes, told to the agent."""


Transport = Literal["webhook", "poll", "stream", "mailbox", "smpp", "ari", "own"]
"""How a provider's news reach us. A provider that polls or streams may take webhooks as well."""

Evidence = Literal["real server", "vendor's library", "published vectors", "documents"]
"""What a provider's code was held against, the best there is: a real server of that protocol, the vendor's own library
as peer, published signature examples, or only what the documents say."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What can honestly be said of a provider, for owners and for the table in the docs. Short words, no promises.

    `made_good` is what of lost webhooks can be asked for afterwards (`Reconciles`); "-" where nothing is lost, or none can.
    """

    title: str
    family: Literal["phone", "email", "chat", "sms", "messages", "comments", "mall", "live", "other"]
    receives: str = "-"
    sends: str = "-"
    receipts: str = "-"
    media: str = "-"
    policy: str = "-"
    made_good: str = "-"
    evidence: Evidence = "documents"
    verified_against: str


class Provider(Protocol):
    """`outcome` reads the provider's answer to a Call; the other orders have ends of their own.

    A provider that does an effect once however often it is ordered says `repeats_safely = True`: then no claim is made,
    which is two appends less before a phone rings.
    """

    name: str
    about: About
    kinds: tuple[Kind, ...]
    transport: Transport
    required_settings: tuple[str, ...]
    required_secrets: tuple[str, ...]

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """Whether the request is from the provider, now."""
        ...

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading: ...

    def policy(self, account: Account) -> ReplyPolicy:
        """What may be answered where a message says nothing of its own (`ReceiveMessage.policy`)."""
        ...

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Order:
        """The request that carries out an effect, made anew for every try. Raises Unsendable."""
        ...

    def outcome(self, status: int, body: bytes) -> Result: ...


@runtime_checkable
class Greets(Protocol):
    """A provider that first asks, by GET, whether the address is ours."""

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        """The answer to a GET: 200 with what was asked for, 403 when the question is not the provider's."""
        ...


@runtime_checkable
class Large(Protocol):
    """A provider whose webhooks carry files: so much is read of one, rather than MAX_BODY_BYTES."""

    max_body_bytes: int


@runtime_checkable
class Chooses(Protocol):
    """A provider whose secrets depend on its settings: a password, or what renews an access token."""

    def secrets_for(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """What is required in the place of `required_secrets`."""
        ...


@runtime_checkable
class Inspects(Protocol):
    """A provider whose settings have a form that can be wrong."""

    def settings_fault(self, settings: Mapping[str, Any]) -> str | None:
        """What is wrong and where, in words that its owner can act on. Total."""
        ...


@runtime_checkable
class Vouched(Protocol):
    """A provider that signs with a key pair, whose public half is asked for by name and kept for an hour.

    It is handed to `verify` in `account.keys`.
    """

    def key_name(self, account: Account, webhook: Webhook) -> str | None: ...

    def ask_key(self, account: Account, name: str) -> Call: ...

    def key(self, status: int, body: bytes) -> str | None: ...


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll found. `cursor` is kept once all items are durable; the next poll comes after `again_s` (0: at once).

    `stale` says that the access token was refused: it is renewed and the poll made again.
    """

    items: tuple[Item, ...] = ()
    comments: tuple[Comment, ...] = ()
    cursor: dict[str, Any] = {}
    again_s: float = 60.0
    fault: str | None = None
    stale: bool = False


class Span(msgspec.Struct, frozen=True):
    """From when to when, in seconds since 1970."""

    start: float
    end: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer of a provider that is asked afterwards meant: items, and the requests that follow from it.

    `stale` says that the access token was refused.
    """

    items: tuple[Item, ...] = ()
    more: tuple[Call, ...] = ()
    fault: str | None = None
    stale: bool = False


@runtime_checkable
class Reconciles(Protocol):
    """A provider that tells by webhook, and can be asked afterwards what there was. What is found has the very key that
    its webhook has, so what had come is one with it. What lies outside the span may be told as well.

    `span_s` is the longest span that may be asked for at once.
    """

    span_s: float

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        """The first requests: one for each list. Empty where the owner has to want it first, and has not (it costs money)."""
        ...

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        """What the answer to `call` meant. Total, like `read`; a request that follows goes where `call` went."""
        ...


@runtime_checkable
class Polls(Protocol):
    """A provider that has to be asked. What overlaps between two polls is told apart by the items' keys."""

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        """The next request. `cursor` is the last page's, `{}` at first."""
        ...

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page: ...


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, and `kept`: what the next renewal needs (a refresh token that rotates)."""

    value: str
    expires_at: float
    kept: dict[str, str] = {}


@runtime_checkable
class Renews(Protocol):
    """A provider whose access token expires. It is renewed in time, kept sealed, and handed in as `account.token`."""

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call | None:
        """The request for a token, or None for an account that needs none."""
        ...

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        """The new token, or why there is none: `rejected` needs the owner, anything else is tried again."""
        ...


@runtime_checkable
class Fetches(Protocol):
    """A provider whose files must be fetched, because they vanish there (`model.Elsewhere`)."""

    def fetch(self, account: Account, ref: str) -> Call: ...

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        """The file, or the next request on the way to it, or why it cannot be had."""
        ...


@runtime_checkable
class Uploads(Protocol):
    """A provider that wants files before the message that shows them (`Outgoing.uploads`). Nobody sees them until then,
    so an upload may be repeated."""

    def upload(self, account: Account, file: File, now: float) -> Call:
        """Raises Unsendable for a file that the provider does not take."""
        ...

    def uploaded(self, account: Account, status: int, body: bytes) -> str | Result:
        """The provider's name of the file, or why there is none."""
        ...


class Dial(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket to be opened, and how long it may be silent before it is taken for dead.

    `beat` is said every `beat_s` seconds, where the provider expects a sign of life in frames of its own.
    """

    url: str
    headers: Mapping[str, str] = {}
    subprotocols: tuple[str, ...] = ()
    say: tuple[str, ...] = ()
    silent_s: float = 60.0
    beat: str = ""
    beat_s: float = 25.0


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a frame meant: items, frames and requests in answer, and the stream's state after it.

    `dial`: go on over another socket. `over`: open it anew.
    """

    items: tuple[Item, ...] = ()
    comments: tuple[Comment, ...] = ()
    say: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    state: dict[str, Any] = {}
    dial: Dial | None = None
    over: bool = False


@runtime_checkable
class Streams(Protocol):
    """A provider that talks over a long-lived WebSocket. What is missed while it is away is found by polling, where the
    provider can be polled too; else it is lost."""

    def dial(self, account: Account, now: float) -> Dial | Call:
        """Where to connect, or the request that tells it (`dialled`)."""
        ...

    def dialled(self, account: Account, status: int, body: bytes, now: float) -> Dial | Result: ...

    def hear(self, account: Account, state: Mapping[str, Any], frame: str, now: float) -> Heard: ...


@runtime_checkable
class Checks(Protocol):
    """A provider with a harmless request that shows whether the credentials work (`naru channels test`)."""

    def check(self, account: Account, now: float) -> Call: ...


@runtime_checkable
class Subscribed(Protocol):
    """A provider that tells where its webhooks go, and how they fare there (`naru channels test`)."""

    def ask_subscription(self, account: Account, now: float) -> Call: ...

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        """What is wrong with it, in words for the owner; None when it is right. Total."""
        ...


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the house gives to a session: a way in for what it hears, its cursor, the clock."""

    take: Callable[[Item], Awaitable[None]]
    ask: Callable[[Item], Awaitable[Answer | None]]
    comments: Callable[[tuple[Comment, ...]], Awaitable[None]]
    look: Look
    calls: Callable[[], tuple[str, ...]] = tuple
    """The calls and legs of this channel that the engine believes to be there, as their provider names them."""
    cursor: Callable[[], Awaitable[dict[str, Any]]]
    move_cursor: Callable[[dict[str, Any]], Awaitable[None]]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    sent: Callable[[str], bool] = lambda external: True
    """Whether the engine remembers a message of ours that the channel's provider calls so."""


class Session(Protocol):
    """A connection of its own kind to one account (SMS centre, exchange): `channels/sessions.py` says which transport has
    which."""

    async def run(self) -> None:
        """Hold it for ever, whatever happens to it."""
        ...

    async def send(self, order: Order) -> Result: ...

    @property
    def state(self) -> str:
        """For people: connected, or why not."""
        ...


def by_status(status: int, detail: str, externals: tuple[str, ...] = ()) -> Result:
    """The usual meaning of an HTTP status: 2xx done, 408, 425, 429 and 503 again later, 5xx unknown, the rest never."""
    if 200 <= status < 300:
        return Result("accepted", externals)
    if status in (408, 425, 429, 503):
        return Result("retry", detail=f"{status} {detail}"[:500], after_s=5)
    if status >= 500:
        return Result("uncertain", detail=f"{status} {detail}"[:500])
    return Result("rejected", detail=f"{status} {detail}"[:500])

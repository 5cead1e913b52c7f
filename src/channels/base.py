"""The contract of a channel. Providers are pure: `read` a webhook into inputs, `write` an effect as a Call.

`read` is total: whatever comes in, it answers with a Reading and never raises. Signatures are verified over the raw
bytes before anything is parsed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from router.effects import AnyEffect
from router.inputs import Input
from router.model import Content, Kind, ReplyPolicy

REPLAY_WINDOW_S = 300.0
MAX_BODY_BYTES = 1_000_000


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came. `url` is what the provider called (public), headers are lower-case, `path` is after the key."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    t: float


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A connected channel: its settings, its secrets in the clear, and where its provider reaches us.

    `sign` gives a token for a text that nobody else can compute.
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

    def setting(self, name: str, default: str = "") -> str:
        value = self.settings.get(name, default)
        return value if isinstance(value, str) else default


class CallView(msgspec.Struct, frozen=True):
    """What the engine knows of a customer's call: `position` is 0 unless it waits."""

    contact: str
    status: str
    position: int


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


class Outgoing(msgspec.Struct, frozen=True):
    """A message of ours. `content.headers` are those of the customer's last message in the thread."""

    content: Content
    files: tuple[File, ...] = ()
    last_subject: str | None = None
    last_headers: dict[str, str] = {}


class Reading(msgspec.Struct, frozen=True):
    """What a webhook said, and how it is answered once that is durable.

    With `refused` the first item is asked rather than taken, and a refusal is answered so.
    """

    items: tuple[Item, ...] = ()
    reply: HookReply = HookReply()
    refused: HookReply | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request to be made to a provider. At most one of `form` and `body`."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    form: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    basic: tuple[str, str] | None = None
    timeout_s: float = 15.0


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be handed to a mail server."""

    sender: str
    recipient: str
    raw: bytes


class Result(msgspec.Struct, frozen=True):
    """How a send ended. `retry` may be tried again; `uncertain` may have happened and must not be repeated blindly."""

    kind: Literal["accepted", "rejected", "retry", "uncertain"]
    externals: tuple[str, ...] = ()
    detail: str | None = None
    after_s: float = 0


class Unsendable(Exception):
    """An effect this provider cannot carry out: a closed set of causes, told to the agent."""


Transport = Literal["webhook", "mailbox", "own"]


class Provider(Protocol):
    name: str
    kinds: tuple[Kind, ...]
    transport: Transport
    required_settings: tuple[str, ...]
    required_secrets: tuple[str, ...]

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """Whether the request is from the provider, now."""
        ...

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading: ...

    def policy(self, account: Account) -> ReplyPolicy: ...

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call | Mail:
        """The request that carries out an effect, made anew for every try. Raises Unsendable."""
        ...

    def outcome(self, status: int, body: bytes) -> Result: ...


def by_status(status: int, detail: str, externals: tuple[str, ...] = ()) -> Result:
    """The usual meaning of an HTTP status: 2xx done, 408, 425, 429 and 503 again later, 5xx unknown, the rest never."""
    if 200 <= status < 300:
        return Result("accepted", externals)
    if status in (408, 425, 429, 503):
        return Result("retry", detail=f"{status} {detail}"[:500], after_s=5)
    if status >= 500:
        return Result("uncertain", detail=f"{status} {detail}"[:500])
    return Result("rejected", detail=f"{status} {detail}"[:500])

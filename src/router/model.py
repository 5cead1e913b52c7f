"""Words that both edges share. Plain frozen values, nothing here decides anything.

Times are seconds since the Unix epoch (float) on the log's clock, durations are seconds, sizes are bytes.
"""

import functools
import hashlib
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.:-]{0,63}$")]
"""A name in the configuration, by which its parts refer to each other."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]

NAMESPACE = uuid.UUID("6e617275-0000-5000-8000-000000000001")

Kind = Literal["voice", "chat", "sms", "email", "social", "task"]
"""What a contact costs an agent, and how it behaves. A provider maps its channel to one of these."""

KINDS: tuple[Kind, ...] = ("voice", "chat", "sms", "email", "social", "task")
Role = Literal["consulted", "joined", "monitoring"]
"""Consulted: talks to the owner only. Joined: talks to the customer too (conference). Monitoring: a supervisor, who hears,
and speaks as his manner says."""
Manner = Literal["listen", "whisper", "barge"]
"""How somebody monitors. Listen: nobody hears him. Whisper: the owner does. Barge: everybody does."""
ByHand = Literal["begun", "taken", "kept"]
"""An offer that nobody else was asked about: its agent began the contact, a supervisor took it over, or a campaign had kept
its agent free for it."""
AnsweredBy = Literal["human", "machine", "fax", "unknown"]
"""Who or what picked up a phone that we dialled, as its provider heard it; unknown: it listened and could not tell."""
Author = Literal["customer", "agent", "bot", "system", "external_console"]
Side = Literal["agent", "customer"]
"""Whose phone."""
SendStatus = Literal["pending", "sent", "delivered", "read", "failed", "uncertain"]

RECEIPT_RANK: dict[str, int] = {"pending": 0, "uncertain": 1, "sent": 2, "delivered": 3, "read": 4, "failed": 5}
"""Receipts come late, twice and out of order: the higher rank stands, whatever came last."""


_NAMESPACE_READ = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derive_id(*parts: str) -> str:
    """An id that follows from what is there: the same parts give the same UUID on every machine, in every replay.

    Version 5 of RFC 9562 (SHA-1 over the name space and the name), as `uuid.uuid5` makes it, several times faster.
    """
    digest = _NAMESPACE_READ.copy()
    digest.update("\x1f".join(parts).encode())
    name = digest.hexdigest()
    return f"{name[:8]}-{name[8:12]}-5{name[13:16]}-{_VARIANT[name[16]]}{name[17:20]}-{name[20:32]}"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that travels: immutable, keyword-only, refused when it carries a field nobody knows.

    Values hold values and never themselves, so the garbage collector need not look at them."""


class Identity(Value, frozen=True, kw_only=True):
    """One way by which a customer is known: a phone number, an address, a handle, scoped to whoever vouches for it."""

    scope: str
    kind: Literal["phone", "email", "handle", "visitor", "external"]
    value: str
    name: str | None = None


class Thread(Value, frozen=True, kw_only=True):
    """What the provider calls the lasting thread. With the channel it is the key of a conversation.

    Two are of phones: a callback that was ordered, and a recording that a caller left (`voicemail`), which is a task."""

    external: str
    kind: Literal["dm", "email", "call", "ticket", "public_comment", "live_room", "group", "callback", "voicemail"] = (
        "dm"
    )


class Text(Value, tag="text", frozen=True, kw_only=True):
    text: str
    html: str | None = None


class Media(Value, tag="media", frozen=True, kw_only=True):
    """A file, kept outside the log. `sha256` is over name, type and bytes: the same bytes may have two names."""

    sha256: str
    media_type: str
    name: str
    size_bytes: int
    inline_id: str | None = None


class Elsewhere(Value, tag="elsewhere", frozen=True, kw_only=True):
    """A file that still lies with the provider, under the name `ref`: it is copied soon after it has come."""

    ref: str
    name: str
    media_type: str = "application/octet-stream"


Part = Text | Media | Elsewhere


class Content(Value, frozen=True, kw_only=True):
    """What was said. It rides encrypted in the input, never in the journal, and is stored by the projector.

    `headers` are the few facts a provider needs to answer in the same thread (Message-ID, References).
    """

    parts: tuple[Part, ...] = ()
    subject: str | None = None
    headers: dict[str, str] = {}

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


Unit = Literal["characters", "utf16", "bytes_utf8", "bytes_euc_kr", "weighted"]
"""How a provider counts a text's length: code points, UTF-16 units, bytes, bytes of EUC-KR (what it cannot write cannot
be sent), or X's weights (two for most scripts but Latin)."""


class ReplyPolicy(Value, frozen=True, kw_only=True):
    """What may be answered now: computed by the provider, shown to the agent, enforced by the engine.

    `reason` says why not, in a word the desk knows. `style`: further answers are added; there is but one; or a further
    one takes the place of the first. `public`: everybody can read the answer.
    """

    allowed: bool = True
    reason: str | None = None
    until: float | None = None
    max_length: int | None = None
    unit: Unit = "characters"
    style: Literal["append", "one_shot", "overwrite"] = "append"
    public: bool = False


class Requirement(Value, frozen=True, kw_only=True):
    """A skill with a least level. Not having a skill is not the same as having it at level 0."""

    skill: str
    level: int = 1


@functools.lru_cache(maxsize=50_000)
def conversation_id(channel: str, thread: Thread) -> str:
    """A conversation is its channel's thread, for ever."""
    return derive_id("conversation", channel, thread.kind, thread.external)

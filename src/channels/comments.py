"""What providers of public comments share: fields as they write them, and a comment as an input.

A comment's thread is the one that it began or answers; everybody who reads the page can read the answer. What the
page's own account wrote is an echo (`external_console`): the engine knows it for ours by the provider's id of it.
"""

import datetime as dt
import hashlib
from typing import Any

import msgspec

from channels import saying
from channels.base import (
    Account,
    File,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
    by_status,
)
from channels.elsewhere import leads_to
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage, ReviseMessage
from router.model import Content, Elsewhere, Identity, Kind, ReplyPolicy, Text, Thread

MAX_ID, MAX_NAME, MAX_TEXT = 200, 200, 20_000
MAX_ITEMS = 1_000

JsonObject = dict[str, Any]


def children(value: JsonObject, name: str) -> list[JsonObject]:
    """The objects of a list."""
    found = value.get(name)
    return [each for each in found[:MAX_ITEMS] if isinstance(each, dict)] if isinstance(found, list) else []


def words(value: JsonObject, name: str, most: int = MAX_TEXT) -> str:
    """A text or a whole number as text, cut to its bound; "" for anything else."""
    found = value.get(name)
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    return found[:most] if isinstance(found, str) else ""


def name_of(value: JsonObject, name: str) -> str:
    """An id. One that is too long is told by its hash."""
    found = words(value, name)
    return found if len(found) <= MAX_ID else "h:" + hashlib.sha256(found.encode("utf-8", "replace")).hexdigest()


def seconds(value: Any) -> float | None:
    """A time since the epoch in seconds or milliseconds, as a number, in digits, or as RFC 3339 has it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 15:
        value = int(value)
    if isinstance(value, str):
        try:
            at = dt.datetime.fromisoformat(value[:40])
            value = at.timestamp() if at.tzinfo else None
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e14:
        return None
    return float(value) if value < 1e11 else value / 1000


def picture(url: str, host: str) -> tuple[Elsewhere, ...]:
    """A picture that lies with the provider's own servers; what lies elsewhere is not fetched for anybody."""
    is_theirs = leads_to(url, host, host.removeprefix("."))
    return (Elsewhere(ref=url, name="picture.jpg", media_type="image/jpeg"),) if is_theirs else ()


def fetched(status: int, media_type: str, body: bytes) -> File | Result:
    if status == 200 and media_type.startswith("image/"):
        return File("", media_type, body)
    return by_status(status, "the picture") if status >= 300 else Result("rejected", detail="it is no picture")


class Polled:
    """What providers share whose comments are asked for, never told. `answers` is what may be answered, always."""

    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "poll"
    answers = ReplyPolicy(public=True)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(reply=HookReply(404))

    def policy(self, account: Account) -> ReplyPolicy:
        return self.answers


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A comment as it was read. `thread` is the provider's name of what it belongs to; `is_own`: our page wrote it."""

    id: str
    thread: str
    author: str
    text: str
    scope: str
    name: str = ""
    at: float | None = None
    is_own: bool = False
    headers: dict[str, str] = {}
    media: tuple[Elsewhere, ...] = ()


def item(channel: str, said: Said, policy: ReplyPolicy | None) -> Item:
    """Someone whom the provider does not name is a customer for this one comment."""
    body = ReceiveMessage(
        channel=channel,
        thread=Thread(external=said.thread, kind="public_comment"),
        identity=Identity(
            scope=said.scope, kind="external", value=said.author or f"unnamed:{said.id}", name=said.name or None
        ),
        dedupe_key=said.id,
        occurred_at=said.at,
        policy=None if said.is_own else policy,
        author="external_console" if said.is_own else "customer",
    )
    return Item(said.id, body, _content(said))


def revised(channel: str, said: Said, is_gone: bool = False) -> Item:
    """An edit is told apart from the next one by what it says."""
    stamp = "deleted" if is_gone else hashlib.sha256(said.text.encode("utf-8", "replace")).hexdigest()[:16]
    body = ReviseMessage(
        channel=channel,
        thread=Thread(external=said.thread, kind="public_comment"),
        change="deleted" if is_gone else "edited",
        dedupe_key=said.id,
    )
    return Item(f"{said.id}:{stamp}", body, None if is_gone else _content(said))


def _content(said: Said) -> Content:
    return Content(parts=(Text(text=said.text), *said.media), headers=said.headers)


def answer(effect: AnyEffect, message: Outgoing | None, what: str, most: int) -> tuple[Deliver, str]:
    """The effect and its text. Raises Unsendable for what cannot be a comment."""
    refusals = saying.Refusals(
        f"{what} takes no files here", f"{what} needs text", f"{what} has at most {{most:,}} characters"
    )
    return saying.words(effect, message, most, refusals)

"""Anything else: a generic signed webhook both ways, by the Standard Webhooks rules (standardwebhooks.com).

Signature: `v1,` + base64(HMAC-SHA256(base64decode(secret without whsec_), id.timestamp.body)), several separated by
spaces while a secret is rotated; five minutes of tolerance. Body in: {"thread", "from": {"kind", "value", "name"?},
"text"?, "subject"?, "language"?, "to"?, "customer"?, "attributes"?, "id"?}. Body out: the same turned round.
"""

import hmac
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from channels.base import (
    REPLAY_WINDOW_S,
    About,
    Account,
    Call,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
    by_status,
)
from channels.standard import sign
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage
from router.model import KINDS, Content, Identity, Kind, ReplyPolicy, Text, Thread

Short = Annotated[str, Meta(min_length=1, max_length=400)]
Facts = dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=1000)]]


class From(msgspec.Struct, frozen=True):
    value: Short
    kind: Literal["phone", "email", "handle", "visitor", "external"] = "external"
    name: Annotated[str, Meta(max_length=200)] | None = None


class Inbound(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    thread: Short
    from_: From
    text: Annotated[str, Meta(max_length=20_000)] = ""
    subject: Annotated[str, Meta(max_length=400)] | None = None
    language: Annotated[str, Meta(max_length=20)] | None = None
    to: Short | None = None
    customer: Annotated[Facts, Meta(max_length=50)] = {}
    attributes: Annotated[Facts, Meta(max_length=50)] = {}


_decode = msgspec.json.Decoder(Inbound).decode


class SignedWebhook:
    name = "webhook"
    about = About(
        title="Generic signed webhook",
        family="other",
        receives="messages",
        sends="to `reply_url`",
        evidence="vendor's library",
        verified_against="the `standardwebhooks` library",
    )
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("voice", "chat"))
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ("signing_secret",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        id_ = webhook.headers.get("webhook-id", "")
        timestamp = webhook.headers.get("webhook-timestamp", "")
        given = webhook.headers.get("webhook-signature", "").split(" ")[:10]
        if not id_ or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
            return False
        if abs(webhook.t - int(timestamp)) > REPLAY_WINDOW_S:
            return False
        for secret in account.secrets["signing_secret"].split():
            wanted = sign(secret, id_, timestamp, webhook.body).encode()
            if any(hmac.compare_digest(wanted, one.encode()) for one in given):
                return True
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        try:
            said = _decode(webhook.body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return Reading(reply=HookReply(422, "not a message"))
        key = webhook.headers["webhook-id"][:200]
        body = ReceiveMessage(
            channel=account.channel,
            thread=Thread(external=said.thread),
            identity=Identity(
                scope=account.setting("scope", account.channel),
                kind=said.from_.kind,
                value=said.from_.value,
                name=said.from_.name,
            ),
            dedupe_key=key,
            to=said.to,
            language=said.language,
            customer=said.customer,
            attributes=said.attributes,
        )
        content = Content(parts=(Text(text=said.text),), subject=said.subject)
        return Reading((Item(key, body, content),), HookReply(202))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(allowed=bool(account.setting("reply_url")), reason=None, max_length=20_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        url = account.setting("reply_url")
        if not isinstance(effect, Deliver) or not url:
            raise Unsendable("this channel only receives")
        said = message.content if message else Content()
        body = msgspec.json.encode(
            {
                "id": effect.key,
                "conversation": effect.conversation,
                "contact": effect.contact,
                "thread": effect.thread.external,
                "to": {"kind": effect.identity.kind, "value": effect.identity.value},
                "text": said.text,
                "subject": said.subject,
            }
        )
        secret = account.secrets["signing_secret"].split()[0]
        stamp = str(int(now))
        headers = {
            "content-type": "application/json",
            "webhook-id": effect.key,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(secret, effect.key, stamp, body),
        }
        return Call(url=url, body=body, headers=headers)

    def outcome(self, status: int, body: bytes) -> Result:
        result = by_status(status, "the receiver refused")
        # The receiver deduplicates by webhook-id, so even an unclear end may be tried again.
        return Result("retry", detail=result.detail, after_s=5) if result.kind == "uncertain" else result

"""Mails by Mailgun: routes bring them raw, events tell what became of ours, `messages.mime` sends them as we write them.

Route (`path` mime): a form with body-mime, recipient, timestamp, token, signature. Event (`path` events): JSON {signature:
{timestamp, token, signature}, event-data: {event, severity, message.headers.message-id, delivery-status}}. The signature is
over time and token only, not over what is said, so a token is good once: it is the key of what it brought. Mailgun repeats
for 8 hours what was not answered with 200; events are listed for three days at least (GET events). Sources:
documentation.mailgun.com (securing webhooks, receive-http, webhook payloads, messages, events), the tests of django-anymail.
"""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from channels import forms, letters, loose
from channels.base import (
    REPLAY_WINDOW_S,
    About,
    Account,
    Call,
    Found,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
    Transport,
    Webhook,
    by_status,
)
from channels.elsewhere import following
from channels.signatures import is_fresh, mailgun, same
from router.effects import AnyEffect
from router.inputs import ReceiveReceipt
from router.model import Kind, ReplyPolicy, SendStatus

REPEATED_S = 8 * 3600.0 + REPLAY_WINDOW_S
STATUS: dict[str, SendStatus] = {
    "accepted": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "rejected": "failed",
}


class MailgunMail:
    name = "mailgun_mail"
    about = About(
        title="Mail by Mailgun",
        family="email",
        receives="mails",
        sends="mails",
        receipts="sent, delivered, failed",
        media="both ways",
        made_good="receipts",
        verified_against="Mailgun's documented signature, payloads and API",
    )
    kinds: tuple[Kind, ...] = ("email",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("address", "domain")
    required_secrets: tuple[str, ...] = ("api_key", "signing_key")
    max_body_bytes = 40_000_000
    span_s = 6 * 3600.0

    def verify(self, account: Account, webhook: Webhook) -> bool:
        stamp, token, given = _signature(webhook)
        if not token or not is_fresh(stamp, webhook.t, REPEATED_S):
            return False
        return any(same(given, mailgun(key, stamp, token)) for key in account.secrets["signing_key"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        token = _signature(webhook)[1]
        if webhook.path == "events":
            data = loose.fields(loose.decoded(webhook.body), "event-data")
            return Reading(_event(account, data, token)) if data else Reading(reply=HookReply(422, "not an event"))
        raw = forms.fields(webhook.headers.get("content-type", ""), webhook.body).get("body-mime", b"")
        if not raw:
            return Reading(reply=HookReply(422, "no body-mime: the route's address has to end with /mime"))
        found = letters.reading(account, raw)
        once = tuple(msgspec.structs.replace(item, key=_once(token, item.key)) for item in found.items)
        return msgspec.structs.replace(found, items=once)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=100_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        letter = letters.letter(account, effect, message)
        raw = letters.written(letter, message.files if message else (), now)
        values = [("to", letter.to), ("o:tracking", "no")]
        kind, body = forms.written(values, ("message", "message.eml", "message/rfc822", raw))
        return Call(
            url=_address(account, "messages.mime"),
            headers={"content-type": kind},
            body=body,
            basic=_basic(account),
            timeout_s=60,
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        external = loose.text(said, "id", most=400).strip("<>")
        if not 200 <= status < 300:
            return by_status(status, loose.text(said, "message", most=400))
        return Result("accepted", (external,)) if external else Result("uncertain", detail=f"{status} without an id")

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        """Mails are not asked for: one alone may be larger than all that is taken in at once."""
        times = {"begin": f"{span.start:.0f}", "end": f"{span.end + 1:.0f}", "ascending": "yes"}
        asked = urlencode({**times, "limit": "300", "event": "delivered OR failed OR rejected"})
        return (Call(method="GET", url=f"{_address(account, 'events')}?{asked}", basic=_basic(account)),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        if status != 200 or not isinstance(said.get("items"), list):
            return Found(fault=f"{status} {loose.text(said, 'message', most=300)}".strip())
        rows = loose.objects(said, "items")  # the last page is empty, and has a next one all the same
        link = loose.text(said, "paging", "next", most=4_000) if rows else ""
        return Found(items=tuple(item for row in rows for item in _event(account, row, "")), more=following(call, link))


def _address(account: Account, name: str) -> str:
    base = account.setting("api_url", "https://api.mailgun.net").rstrip("/")
    return f"{base}/v3/{quote(account.setting('domain'), safe='')}/{name}"


def _basic(account: Account) -> tuple[str, str]:
    return "api", account.secrets["api_key"]


def _signature(webhook: Webhook) -> tuple[str, str, str]:
    """(timestamp, token, signature) of an event's JSON, or of a route's form."""
    if webhook.path == "events":
        said = loose.fields(loose.decoded(webhook.body), "signature")
        return (
            loose.text(said, "timestamp", most=20),
            loose.text(said, "token", most=100),
            loose.text(said, "signature", most=100),
        )
    form = forms.fields(webhook.headers.get("content-type", ""), webhook.body)
    return forms.text(form, "timestamp", 20), forms.text(form, "token", 100), forms.text(form, "signature", 100)


def _once(token: str, natural: str) -> str:
    return loose.joined("mailgun", token) if token else natural


def _event(account: Account, data: dict[str, Any], token: str) -> tuple[Item, ...]:
    status = STATUS.get(loose.text(data, "event", most=400))
    if status is None or (status == "failed" and loose.text(data, "severity", most=400) == "temporary"):
        return ()
    external = loose.text(loose.fields(data, "message", "headers"), "message-id", most=400).strip("<>")
    if not external:
        return ()
    ours = letters.named_by_us(account, f"<{external}>")
    words = _why(data) if status == "failed" else None
    if ours:
        body = ReceiveReceipt(message=ours[0], status=status, detail=words)
    else:
        body = ReceiveReceipt(channel=account.channel, external=external, status=status, detail=words)
    return (Item(_once(token, loose.joined(external, status)), body),)


def _why(data: dict[str, Any]) -> str | None:
    told = loose.fields(data, "delivery-status")
    words = loose.text(told, "message", most=400) or loose.text(told, "description", most=400)
    words = (
        words or loose.text(loose.fields(data, "reject"), "reason", most=400) or loose.text(data, "reason", most=400)
    )
    return f"{loose.text(told, 'code', most=400)} {words}".strip()[:300] or None

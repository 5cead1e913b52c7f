"""SMS by Twilio-compatible webhooks: messages and receipts come as signed forms, sending is one POST.

Fields: MessageSid, From, To, Body, NumMedia; receipts MessageStatus queued, sent, delivered, undelivered, failed.
Twilio repeats nothing unless it is told to. What it has is listed: Messages.json?To&DateSent, and From for what became of
ours (twilio.com/docs/messaging/api/message-resource, "Read multiple Message resources").
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from channels import loose, twilio
from channels.base import (
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
    Unsendable,
    Webhook,
)
from channels.elsewhere import following
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Kind, ReplyPolicy, SendStatus, Text, Thread

STATUS: dict[str, SendStatus] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
}
PAGE = 200
EMPTY = HookReply(200, '<?xml version="1.0" encoding="UTF-8"?><Response/>', "application/xml")


class TwilioSms:
    name = "twilio_sms"
    about = About(
        title="SMS by Twilio, SignalWire, Telnyx TeXML",
        family="sms",
        receives="texts, links to media",
        sends="texts",
        receipts="sent, delivered, read, failed",
        policy="1,600 characters",
        made_good="messages, receipts",
        evidence="vendor's library",
        verified_against="Twilio's own SDK",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("account_sid", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)
    span_s = 6 * 3600.0

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return twilio.verify(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        fields = twilio.form(webhook)
        sid = fields.get("MessageSid", "")[:64]
        if not sid:
            return Reading(reply=HookReply(422, "no MessageSid"))
        if webhook.path == "status":
            return self._receipt(webhook, fields, sid)
        sender = fields.get("From", "")[:40]
        if not sender:
            return Reading(reply=HookReply(422, "no From"))
        media = [fields[f"MediaUrl{i}"] for i in range(10) if f"MediaUrl{i}" in fields]
        text = "\n".join([fields.get("Body", "")[:20_000], *media])
        return Reading((_message(account, sid, sender, fields.get("To", ""), text),), EMPTY)

    def _receipt(self, webhook: Webhook, fields: dict[str, str], sid: str) -> Reading:
        status = STATUS.get(fields.get("MessageStatus", ""))
        message = webhook.query.get("message", "")[:64]
        if status is None or not message:
            return Reading()
        body = ReceiveReceipt(message=message, status=status, detail=fields.get("ErrorCode", "")[:100] or None)
        return Reading((Item(f"{sid}:{status}", body),))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=1600, unit="characters")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        if not isinstance(effect, Deliver):
            raise Unsendable("not a message")
        text = message.content.text if message else ""
        if not text.strip():
            raise Unsendable("an SMS needs text")
        if len(text) > 1600:
            raise Unsendable("an SMS has at most 1600 characters")
        return twilio.post(
            account,
            "Messages",
            ("To", effect.identity.value),
            ("From", account.setting("number")),
            ("Body", text),
            ("StatusCallback", f"{account.hook_url}/status?message={effect.key}"),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        return twilio.outcome(status, body)

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        times = {"DateSent>": loose.utc(span.start), "DateSent<": loose.utc(span.end + 1), "PageSize": str(PAGE)}
        asked = ({side: account.setting("number"), **times} for side in ("To", "From"))
        return tuple(twilio.get(account, f"Messages.json?{urlencode(one)}") for one in asked)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        if status != 200 or not isinstance(said.get("messages"), list):
            return Found(fault=f"{status} {loose.text(said, 'message', most=300)}".strip())
        items = (_listed(account, one) for one in loose.objects(said, "messages"))
        link = loose.text(said, "next_page_uri")
        return Found(items=tuple(item for item in items if item), more=following(call, link))

    def ask_subscription(self, account: Account, now: float) -> Call:
        asked = urlencode({"PhoneNumber": account.setting("number")})
        return twilio.get(account, f"IncomingPhoneNumbers.json?{asked}")

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        """A number of a messaging service has its own address only where the service defers to it."""
        said = loose.record_of(body)
        if status != 200:
            return f"{status} {loose.text(said, 'message', most=300)}".strip()
        number = loose.fields(said, "incoming_phone_numbers", 0)
        if not number:
            return f"the account has no number {account.setting('number')}"
        told = loose.text(number, "sms_url", most=500).split("#")[0]
        return None if told == account.hook_url else f"its messaging webhook is '{told}', not {account.hook_url}"


def _message(account: Account, sid: str, sender: str, to: str, text: str, at: float | None = None) -> Item:
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=sender),
        identity=Identity(scope="e164", kind="phone", value=sender),
        dedupe_key=sid,
        occurred_at=at,
        to=to[:40] or None,
    )
    return Item(sid, body, Content(parts=(Text(text=text),)))


def _listed(account: Account, said: Mapping[str, Any]) -> Item | None:
    """A message of the list: one that came, or what became of one of ours."""
    sid, sender = loose.text(said, "sid", most=64), loose.text(said, "from", most=40)
    if not sid or not sender:
        return None
    if loose.text(said, "direction") == "inbound":
        text = loose.text(said, "body")
        if (loose.number(said, "num_media") or 0) > 0:
            text += f"\n[with files: {sid} in the provider's console]"
        at = twilio.time(loose.text(said, "date_sent") or loose.text(said, "date_created"))
        return _message(account, sid, sender, loose.text(said, "to"), text, at)
    status = STATUS.get(loose.text(said, "status"))
    if status is None:
        return None
    detail = loose.text(said, "error_code", most=100) or None
    return Item(f"{sid}:{status}", ReceiveReceipt(channel=account.channel, external=sid, status=status, detail=detail))

"""SMS by Twilio-compatible webhooks: messages and receipts come as signed forms, sending is one POST.

Fields: MessageSid, From, To, Body, NumMedia; receipts MessageStatus queued, sent, delivered, undelivered, failed.
"""

from channels import twilio
from channels.base import (
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
)
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
        evidence="vendor's library",
        verified_against="Twilio's own SDK",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("account_sid", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)

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
        body = ReceiveMessage(
            channel=account.channel,
            thread=Thread(external=sender),
            identity=Identity(scope="e164", kind="phone", value=sender),
            dedupe_key=sid,
            to=fields.get("To", "")[:40] or None,
        )
        media = [fields[f"MediaUrl{i}"] for i in range(10) if f"MediaUrl{i}" in fields]
        text = "\n".join([fields.get("Body", "")[:20_000], *media])
        return Reading((Item(sid, body, Content(parts=(Text(text=text),))),), EMPTY)

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

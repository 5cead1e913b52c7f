"""Mails by Twilio SendGrid: Inbound Parse brings them raw, the event webhook tells what became of ours, /v3/mail/send sends.

Inbound Parse (`path` ""): a form with `email` (the raw mail), SPF, dkim, envelope; it is not signed, so its address is secret,
and a password may be asked for. Events (`path` events): a JSON array, signed by ECDSA over time and body; SendGrid repeats
for a day. Our name of a message rides in `custom_args`, so that its events name it. Sources: twilio.com/docs/sendgrid (inbound
parse, event webhook, mail send v3), sendgrid 6.12.5, the tests of django-anymail.
"""

import base64
from typing import Any

import msgspec

from channels import forms, letters, loose
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
from channels.signatures import basic, is_fresh, sendgrid
from channels.verdicts import RESULTS
from router.effects import AnyEffect
from router.inputs import ReceiveReceipt
from router.model import Kind, ReplyPolicy, SendStatus

REPEATED_S = 24 * 3600.0 + REPLAY_WINDOW_S
MAX_MAIL_BYTES = 30_000_000
OURS = "naru_message"
STATUS: dict[str, SendStatus] = {
    "processed": "sent",
    "delivered": "delivered",
    "bounce": "failed",
    "dropped": "failed",
}


class SendgridMail:
    name = "sendgrid_mail"
    about = About(
        title="Mail by Twilio SendGrid",
        family="email",
        receives="mails",
        sends="mails",
        receipts="sent, delivered, failed",
        media="both ways",
        evidence="published vectors",
        verified_against="the signature vector of SendGrid's own SDK tests, documented payloads and API",
    )
    kinds: tuple[Kind, ...] = ("email",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("address", "event_public_key")
    required_secrets: tuple[str, ...] = ("api_key",)
    max_body_bytes = 32_000_000

    def verify(self, account: Account, webhook: Webhook) -> bool:
        if webhook.path == "events":
            return _is_signed(account, webhook)
        passwords = account.secrets.get("inbound_password", "")
        if passwords:
            given = webhook.headers.get("authorization", "")
            return basic(given, account.setting("inbound_user", "naru"), passwords)
        kind = webhook.headers.get("content-type", "").lower()
        return webhook.path == "" and kind.startswith("multipart/form-data")

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        if webhook.path == "events":
            events = loose.decoded(webhook.body)
            if not isinstance(events, list):
                return Reading(reply=HookReply(422, "not a list of events"))
            return Reading(tuple(item for event in loose.objects(events) for item in _event(account, event)))
        form = forms.fields(webhook.headers.get("content-type", ""), webhook.body)
        raw = form.get("email", b"")
        if not raw:
            return Reading(reply=HookReply(422, "no email: tick 'POST the raw, full MIME message'"))
        return letters.reading(account, raw, _verdicts(form))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=100_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        letter = letters.letter(account, effect, message)
        files = message.files if message else ()
        if sum(len(file.body) for file in files) * 4 / 3 > MAX_MAIL_BYTES - 1_000_000:
            raise Unsendable("SendGrid takes mails of at most 30 MB with their files")
        body: dict[str, Any] = {
            "personalizations": [{"to": [{"email": letter.to}], "custom_args": {OURS: getattr(effect, "key", "")}}],
            "from": {"email": letter.sender, "name": letter.sender_name},
            "subject": letter.subject,
            "content": [{"type": "text/plain", "value": letter.text}],
            "headers": {name: value for name, value in letter.headers.items() if value.isascii()},
            "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
        }
        if files:
            body["attachments"] = [
                {
                    "content": base64.b64encode(file.body).decode(),
                    "type": letters.travelling(file),
                    "filename": letters.file_name(file),
                    "disposition": "attachment",
                }
                for file in files
            ]
        return Call(
            url=account.setting("api_url", "https://api.sendgrid.com").rstrip("/") + "/v3/mail/send",
            headers={"content-type": "application/json", "authorization": f"Bearer {account.secrets['api_key']}"},
            body=msgspec.json.encode(body),
            timeout_s=60,
        )

    def outcome(self, status: int, body: bytes) -> Result:
        """A success says nothing; SendGrid's name of the mail stands in a header, ours in its events."""
        error = next(iter(loose.objects(loose.fields(loose.decoded(body)).get("errors"))), {})
        return by_status(
            status, f"{loose.text(error, 'field', most=400)} {loose.text(error, 'message', most=400)}".strip()
        )


def _is_signed(account: Account, webhook: Webhook) -> bool:
    stamp = webhook.headers.get("x-twilio-email-event-webhook-timestamp", "")
    given = webhook.headers.get("x-twilio-email-event-webhook-signature", "")
    if not is_fresh(stamp, webhook.t, REPEATED_S):
        return False
    keys = account.setting("event_public_key").split()
    return any(sendgrid(key, stamp, webhook.body, given) for key in keys)


def _event(account: Account, event: dict[str, Any]) -> tuple[Item, ...]:
    status = STATUS.get(loose.text(event, "event", most=400))
    ours = loose.text(event, OURS, most=100)
    if not ours:
        named = letters.named_by_us(account, loose.text(event, "smtp-id", most=500))
        ours = named[0] if named else ""
    if status is None or not ours:
        return ()  # what others sent through the same account is not ours
    words = None
    if status == "failed":
        words = (
            " ".join(
                filter(None, (loose.text(event, "status", most=20), loose.text(event, "reason", most=400)))
            ).strip()[:300]
            or None
        )
    external = loose.text(event, "sg_message_id", most=400).partition(".")[0] or ours
    return (Item(loose.joined(external, status), ReceiveReceipt(message=ours, status=status, detail=words)),)


def _verdicts(form: dict[str, bytes]) -> dict[str, str]:
    """What SendGrid itself found out: `pass`, and `{@b.test : pass}` of each signature."""
    spf = forms.text(form, "SPF").strip().lower()
    told = forms.text(form, "dkim", 2_000).lower().strip(" {}").split(",")
    results = [one.rpartition(":")[2].strip() for one in told]
    known = [result for result in results if result in RESULTS]
    found = {"mail.spf": spf} if spf in RESULTS else {}
    return {**found, **({"mail.dkim": "pass" if "pass" in known else known[0]} if known else {})}

"""SMS and MMS by Plivo: forms in, JSON out, receipts as forms to the URL that each message names.

In: MessageUUID, From, To, Text | Body, Type, MediaCount, Media0…; receipts: MessageUUID, Status, ErrorCode. Signature V2 is
over the URL without its query, and a nonce: neither the body nor the query is signed, so a request is trusted as far as
TLS is. Sources: plivo.com/docs messaging/xml/request, messaging/api/message/message-status-callbacks, plivo 4.63.
"""

import msgspec

from channels import loose, sms, twilio
from channels.base import (
    About,
    Account,
    Call,
    File,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
)
from channels.elsewhere import leads_to
from channels.signatures import plivo, same
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

GSM_LETTERS, OTHER_LETTERS = 1_600, 737
STATUS: dict[str, SendStatus] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
}
EMPTY = HookReply(200, "<Response></Response>", "application/xml")
HEADERS = ("x-plivo-signature-v2", "x-plivo-signature-ma-v2")


class PlivoSms:
    name = "plivo_sms"
    about = About(
        title="SMS by Plivo",
        family="sms",
        receives="texts, media",
        sends="texts",
        receipts="sent, delivered, read, failed",
        media="in",
        policy="1,600 letters, 737 if other than Latin",
        evidence="published vectors",
        verified_against="the signature vector that all of Plivo's SDKs are tested with, documented payloads",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("auth_id", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        nonce = webhook.headers.get("x-plivo-signature-v2-nonce", "")
        given = [webhook.headers[name] for name in HEADERS if name in webhook.headers]
        tokens = account.secrets["auth_token"].split()
        return bool(nonce) and any(
            same(one.strip(), plivo(token, webhook.url, nonce)) for token in tokens for one in given
        )

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        fields = twilio.form(webhook)
        external = fields.get("MessageUUID", "")
        if not external:
            return Reading(reply=HookReply(422, "no MessageUUID"))
        if "Status" in fields:
            status = STATUS.get(fields["Status"].lower())
            return Reading(sms.receipt(account, external[:400], status, fields.get("ErrorCode", "")), EMPTY)
        links = [fields.get(f"Media{number}", "") for number in range(sms.MAX_MEDIA + 1)]
        item = sms.message(
            account,
            external,
            sms.e164(fields.get("From", "")),
            sms.e164(fields.get("To", "")),
            fields.get("Text") or fields.get("Body", ""),
            tuple((link, "") for link in links if link),
        )
        return Reading((item,) if item else (), EMPTY)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=GSM_LETTERS)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        sms.no_files(message)
        body = {
            "src": account.setting("number").lstrip("+"),
            "dst": deliver.identity.value.lstrip("+"),
            "text": sms.fitting(text, GSM_LETTERS, OTHER_LETTERS),
            "type": "sms",
            "url": f"{account.hook_url}/status",
            "method": "POST",
        }
        base = account.setting("api_url", "https://api.plivo.com").rstrip("/")
        return Call(
            url=f"{base}/v1/Account/{sms.segment(account.setting('auth_id'))}/Message/",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            basic=_basic(account),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        names = said.get("message_uuid")
        externals = tuple(one for one in names if isinstance(one, str) and one)[:10] if isinstance(names, list) else ()
        return sms.ended(status, externals, loose.text(said, "error", most=400))

    def fetch(self, account: Account, ref: str) -> Call:
        return sms.fetch(ref, basic=_basic(account) if leads_to(ref, "plivo.com", ".plivo.com") else None)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return sms.fetched(status, media_type, body)


def _basic(account: Account) -> tuple[str, str]:
    return account.setting("auth_id"), account.secrets["auth_token"].split()[0]

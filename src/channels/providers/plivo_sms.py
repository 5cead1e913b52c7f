"""SMS and MMS by Plivo: forms in, JSON out, receipts as forms to the URL that each message names.

In: MessageUUID, From, To, Text | Body, Type, MediaCount, Media0…; receipts: MessageUUID, Status, ErrorCode. Signature V2 is
over the URL without its query, and a nonce: neither the body nor the query is signed, so a request is trusted as far as
TLS is. Records of messages (GET Message/, 20 a page) tell what became of ours; what customers wrote is not in them. Sources:
plivo.com/docs messaging/xml/request, messaging/api/messages, message-status-callbacks, plivo 4.63.
"""

import datetime as dt
from urllib.parse import urlencode

import msgspec

from channels import loose, sms, twilio
from channels.base import (
    About,
    Account,
    Call,
    File,
    Found,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
    Transport,
    Webhook,
)
from channels.elsewhere import following, leads_to
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
        made_good="receipts",
        evidence="published vectors",
        verified_against="the signature vector that all of Plivo's SDKs are tested with, documented payloads",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("auth_id", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)
    span_s = 3600.0

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
        return Call(
            url=_address(account),
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            basic=_basic(account),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        names = said.get("message_uuid")
        externals = tuple(one for one in names if isinstance(one, str) and one)[:10] if isinstance(names, list) else ()
        return sms.ended(status, externals, loose.text(said, "error", most=400))

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        times = {"message_time__gte": _utc(span.start), "message_time__lt": _utc(span.end + 1)}
        asked = urlencode({"message_direction": "outbound", **times, "limit": "20"})
        return (Call(method="GET", url=f"{_address(account)}?{asked}", basic=_basic(account)),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        if status != 200 or not isinstance(said.get("objects"), list):
            return Found(fault=f"{status} {loose.text(said, 'error', most=300)}".strip())
        items = (
            item
            for one in loose.objects(said, "objects")
            for item in sms.receipt(
                account,
                loose.text(one, "message_uuid", most=400),
                STATUS.get(loose.text(one, "message_state", most=40).lower()),
                loose.text(one, "error_code", most=100).removeprefix("000"),
            )
        )
        return Found(items=tuple(items), more=following(call, loose.text(said, "meta", "next", most=2_000)))

    def fetch(self, account: Account, ref: str) -> Call:
        return sms.fetch(ref, basic=_basic(account) if leads_to(ref, "plivo.com", ".plivo.com") else None)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return sms.fetched(status, media_type, body)


def _basic(account: Account) -> tuple[str, str]:
    return account.setting("auth_id"), account.secrets["auth_token"].split()[0]


def _address(account: Account) -> str:
    base = account.setting("api_url", "https://api.plivo.com").rstrip("/")
    return f"{base}/v1/Account/{sms.segment(account.setting('auth_id'))}/Message/"


def _utc(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d %H:%M:%S}"

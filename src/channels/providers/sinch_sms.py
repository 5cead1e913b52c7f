"""SMS by Sinch (the SMS API of a service plan): JSON callbacks in, `batches` out.

In: mo_text, mo_binary, mo_media; recipient_delivery_report_sms. Sinch signs callbacks only where it was asked to set a
secret (x-sinch-webhook-signature, over body.nonce.timestamp); else a user and a password in the callback's URL, which it
sends as basic authentication, prove who calls. One of both is required. What came within 14 days, and reports on what was
sent, are listed page by page from 0 (`inbounds`, `delivery_reports`). Sources: developers.sinch.com SMS webhooks, inbounds
and delivery reports, sinch 2.3.0 (sms_sinch_event, authentication_validation).
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from channels import loose, sms
from channels.base import (
    About,
    Account,
    Call,
    File,
    Found,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
    Transport,
    Webhook,
)
from channels.signatures import basic, is_fresh, same, sinch_webhook
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

MAX_TEXT = 2_000
PAGE = 100
REPORTS = ("recipient_delivery_report_sms", "recipient_delivery_report_mms")
STATUS: dict[str, SendStatus] = {
    "dispatched": "sent",
    "delivered": "delivered",
    **dict.fromkeys(("aborted", "cancelled", "rejected", "deleted", "failed", "expired"), "failed"),
}


class SinchSms:
    name = "sinch_sms"
    about = About(
        title="SMS by Sinch",
        family="sms",
        receives="texts, media",
        sends="texts",
        receipts="sent, delivered, failed",
        media="in",
        policy="2,000 letters",
        made_good="messages, receipts",
        evidence="vendor's library",
        verified_against="signatures made by Sinch's own library, documented payloads",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("service_plan_id", "number")
    required_secrets: tuple[str, ...] = ("api_token",)
    span_s = 6 * 3600.0

    def secrets_for(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        proof = "webhook_secret" if settings.get("callbacks") == "signed" else "callback_password"
        return (*self.required_secrets, proof)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        if account.setting("callbacks") == "signed":
            return _is_signed(account, webhook)
        given = webhook.headers.get("authorization", "")
        return basic(given, account.setting("callback_user", "naru"), account.secrets.get("callback_password", ""))

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.fields(loose.decoded(webhook.body))
        kind = loose.text(said, "type", most=400)
        if not kind:
            return Reading(reply=sms.NOT_JSON)
        if kind in REPORTS:
            status = STATUS.get(loose.text(said, "status", most=400).lower())
            ours, external = loose.text(said, "client_reference", most=200), loose.text(said, "batch_id", most=400)
            return Reading(sms.receipt(account, external, status, loose.text(said, "code", most=400), ours))
        item = _message(account, said)
        return Reading((item,) if item else ())

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        sms.no_files(message)
        body = {
            "from": account.setting("number").lstrip("+"),
            "to": [deliver.identity.value.lstrip("+")],
            "body": sms.fitting(text, MAX_TEXT, MAX_TEXT),
            "type": "mt_text",
            "delivery_report": "per_recipient",
            "client_reference": deliver.key[:200],
            "callback_url": _callback(account),
        }
        return Call(
            url=_address(account, "batches"),
            headers={"content-type": "application/json", **_proof(account)},
            body=msgspec.json.encode(body),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        return sms.ended(
            status,
            (loose.text(said, "id", most=400),),
            f"{loose.text(said, 'code', most=400)} {loose.text(said, 'text', most=400)}",
        )

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        times = {"start_date": loose.utc(span.start), "end_date": loose.utc(span.end + 1)}
        lists: tuple[tuple[str, dict[str, str]], ...] = (
            ("inbounds", {"to": account.setting("number")}),
            ("delivery_reports", {}),
        )
        return tuple(_page(account, name, {**more, **times, "page": "0"}) for name, more in lists)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(call.url).query).items()}
        name = "inbounds" if "to" in asked else "delivery_reports"
        if status != 200 or not isinstance(said.get(name), list):
            return Found(fault=f"{status} {loose.text(said, 'code', most=100)} {loose.text(said, 'text', most=300)}")
        listed = loose.objects(said, name)
        read = _message if name == "inbounds" else _report
        items = tuple(item for one in listed if (item := read(account, one)) is not None)
        page = int(loose.number(asked, "page") or 0)
        has_more = bool(listed) and (page + 1) * PAGE < (loose.number(said, "count") or 0)
        return Found(items=items, more=(_page(account, name, {**asked, "page": str(page + 1)}),) if has_more else ())

    def fetch(self, account: Account, ref: str) -> Call:
        return sms.fetch(ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return sms.fetched(status, media_type, body)


def _is_signed(account: Account, webhook: Webhook) -> bool:
    stamp = webhook.headers.get("x-sinch-webhook-signature-timestamp", "")
    nonce = webhook.headers.get("x-sinch-webhook-signature-nonce", "")
    given = webhook.headers.get("x-sinch-webhook-signature", "")
    if not nonce or not is_fresh(stamp, webhook.t):
        return False
    secrets = account.secrets.get("webhook_secret", "").split()
    return any(same(given, sinch_webhook(secret, webhook.body, nonce, stamp)) for secret in secrets)


def _callback(account: Account) -> str:
    """Where a receipt goes; with the password that proves who brings it, where nothing is signed."""
    if account.setting("callbacks") == "signed":
        return account.hook_url
    scheme, _, rest = account.hook_url.partition("://")
    user, password = account.setting("callback_user", "naru"), account.secrets["callback_password"].split()[0]
    return f"{scheme}://{sms.segment(user)}:{sms.segment(password)}@{rest}"


def _address(account: Account, name: str) -> str:
    base = account.setting("api_url", f"https://{account.setting('region', 'us')}.sms.api.sinch.com").rstrip("/")
    return f"{base}/xms/v1/{sms.segment(account.setting('service_plan_id'))}/{name}"


def _proof(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.secrets['api_token']}"}


def _page(account: Account, name: str, asked: Mapping[str, str]) -> Call:
    query = urlencode({**asked, "page_size": str(PAGE)})
    return Call(method="GET", url=f"{_address(account, name)}?{query}", headers=_proof(account))


def _report(account: Account, said: dict[str, Any]) -> Item | None:
    """What became of a message of the service plan, perhaps another program's: it is named as Sinch names it."""
    status, external = STATUS.get(loose.text(said, "status", most=400).lower()), loose.text(said, "batch_id", most=400)
    return next(iter(sms.receipt(account, external, status, loose.text(said, "code", most=400))), None)


def _message(account: Account, said: dict[str, Any]) -> Item | None:
    body, kind = said.get("body"), loose.text(said, "type", most=400)
    if kind not in ("mo_text", "mo_binary", "mo_media"):
        return None
    words = loose.text(said, "body", most=20_000)
    media: tuple[tuple[str, str], ...] = ()
    if kind == "mo_binary":
        words = _binary(words)
    elif kind == "mo_media":
        told = loose.fields(body)
        words = "\n".join(
            filter(None, (loose.text(told, "subject", most=400), loose.text(told, "message", most=20_000)))
        )
        media = tuple(
            (loose.text(one, "url", most=2_000), loose.text(one, "content_type", most=100))
            for one in loose.objects(told.get("media"))[: sms.MAX_MEDIA]
        )
    sender, to = (sms.e164(loose.text(said, name, most=400)) for name in ("from", "to"))
    return sms.message(
        account, loose.text(said, "id", most=400), sender, to, words, media, loose.time(said, "received_at")
    )


def _binary(body: str) -> str:
    """What a binary message says, if it is text at all; else that it is none."""
    try:
        return base64.b64decode(body, validate=True).decode()
    except ValueError:
        return "[binary message]"

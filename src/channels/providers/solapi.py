"""SMS, LMS and MMS by Solapi (Korea): sending by JSON, results by webhook. It tells nothing of what customers answer.

Results: an array of {eventDataId, data: {messageId, statusCode, statusMessage, customFields}, retryCount}. They are not
signed, so a secret at the end of the webhook's address, or in a header that the console sets, proves who calls. Codes: 4000
has arrived, 2000 and 3000 are on their way, others failed. What was sent is listed with its results: GET list, from one
`nextKey` to the next. Sources: solapi 5.0.3 (authenticator, webhook models, message_service), solapi.com/developers/api.
"""

import base64
import datetime as dt
import hashlib
from typing import Any
from urllib.parse import urlencode

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
    Unsendable,
    Webhook,
    by_status,
)
from channels.signatures import same, solapi
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

PICTURE_BYTES = 200_000
OURS = "naru"
PAGE = 500


class Solapi:
    name = "solapi"
    about = About(
        title="SMS by Solapi (Korea)",
        family="sms",
        sends="texts, long texts, a picture",
        receipts="sent, delivered, failed",
        media="out (JPEG)",
        policy="2,000 bytes of EUC-KR",
        made_good="receipts",
        evidence="vendor's library",
        verified_against="Solapi's own SDK: its signature, and its models of requests, answers and results",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("number",)
    required_secrets: tuple[str, ...] = ("api_key", "api_secret", "webhook_secret")
    span_s = 24 * 3600.0

    def verify(self, account: Account, webhook: Webhook) -> bool:
        header = account.setting("webhook_header").lower()
        given = webhook.headers.get(header, "") if header else webhook.path
        return any(same(given, secret) for secret in account.secrets["webhook_secret"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        if not isinstance(said, list | dict):
            return Reading(reply=sms.NOT_JSON)
        reports = loose.objects(said if isinstance(said, list) else [said])
        return Reading(tuple(item for report in reports for item in _receipt(account, loose.fields(report, "data"))))

    def policy(self, account: Account) -> ReplyPolicy:
        return sms.KOREAN

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        files = message.uploads if message else ()
        if len(files) > 1:
            raise Unsendable("Solapi sends one picture with a message")
        kind, subject, text = sms.korean(text, message.content.subject if message else None, bool(files))
        said = {
            "to": sms.domestic(deliver.identity.value),
            "from": sms.domestic(account.setting("number")),
            "text": text,
            "type": kind,
            "autoTypeDetect": False,
            "country": "82",
            "customFields": {OURS: deliver.key},
        }
        if subject:
            said["subject"] = subject
        if files:
            said["imageId"] = files[0]
        body = {"messages": [said], "allowDuplicates": False, "showMessageList": True}
        return _call(account, "/messages/v4/send-many/detail", body, deliver.key, now)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        if not 200 <= status < 300:
            return by_status(
                status,
                f"{loose.text(said, 'errorCode', most=400)} {loose.text(said, 'errorMessage', most=400)}".strip(),
            )
        failed = loose.objects(said.get("failedMessageList"))
        if failed:
            words = " ".join(loose.text(failed[0], name, most=400) for name in ("statusCode", "statusMessage"))
            return Result("rejected", detail=words.strip()[:500])
        known = said.get("messageList")
        listed = loose.objects(list(known.values()) if isinstance(known, dict) else known)
        externals = tuple(filter(None, (loose.text(one, "messageId", most=400) for one in listed)))
        return sms.ended(status, externals, "")

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (_listed(account, span, "", now),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        listed = said.get("messageList")
        if status != 200 or not isinstance(listed, dict | list):
            words = f"{loose.text(said, 'errorCode', most=400)} {loose.text(said, 'errorMessage', most=400)}"
            return Found(fault=f"{status} {words}".strip())
        rows = loose.objects(list(listed.values()) if isinstance(listed, dict) else listed)
        key = loose.text(said, "nextKey", most=400)
        items = tuple(item for row in rows for item in _receipt(account, row))
        return Found(items=items, more=(_listed(account, span, key, now),) if key and rows else ())

    def upload(self, account: Account, file: File, now: float) -> Call:
        picture = sms.jpeg(file, PICTURE_BYTES)
        body = {"file": base64.b64encode(picture.body).decode(), "type": "MMS"}
        return _call(account, "/storage/v1/files", body, hashlib.sha256(picture.body).hexdigest(), now)

    def uploaded(self, account: Account, status: int, body: bytes) -> str | Result:
        said = loose.fields(loose.decoded(body))
        name = loose.text(said, "fileId")
        if 200 <= status < 300:
            return name or Result("retry", detail="a picture without a fileId", after_s=5)
        return by_status(
            status, f"{loose.text(said, 'errorCode', most=400)} {loose.text(said, 'errorMessage', most=400)}".strip()
        )


def _receipt(account: Account, data: dict[str, Any]) -> tuple[Item, ...]:
    code = loose.text(data, "statusCode", most=20)
    words = f"{code} {loose.text(data, 'statusMessage', most=400)}"
    ours = loose.text(loose.fields(data, "customFields"), OURS, most=200)
    return sms.receipt(account, loose.text(data, "messageId", most=400), _status(code), words, ours)


def _status(code: str) -> SendStatus | None:
    if code == "4000":
        return "delivered"
    if code in ("2000", "3000"):
        return "sent"
    return "failed" if code else None


def _listed(account: Account, span: Span, key: str, now: float) -> Call:
    """A page of what was sent in a span."""
    asked = {
        "dateType": "CREATED",
        "startDate": loose.utc(span.start),
        "endDate": loose.utc(span.end),
        "limit": str(PAGE),
        **({"startKey": key} if key else {}),
    }
    return _call(account, f"/messages/v4/list?{urlencode(asked)}", None, f"list {key}", now)


def _call(account: Account, path: str, body: dict[str, Any] | None, of: str, now: float) -> Call:
    """A signed request. The salt has to be another each time: it follows from what is sent, and when."""
    date = dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds")
    salt = hashlib.sha256(f"{of} {now!r}".encode()).hexdigest()[:32]
    made = solapi(account.secrets["api_secret"], date, salt)
    signed = f"HMAC-SHA256 ApiKey={account.secrets['api_key']}, Date={date}, salt={salt}, signature={made}"
    return Call(
        method="GET" if body is None else "POST",
        url=account.setting("api_url", "https://api.solapi.com").rstrip("/") + path,
        headers={"content-type": "application/json", "authorization": signed},
        body=None if body is None else msgspec.json.encode(body),
        timeout_s=30,
    )

"""SMS, LMS and MMS by Naver Cloud SENS (Korea): sending by signed JSON, results by asking. No answers of customers.

POST /sms/v2/services/{id}/messages answers 202 with a requestId; GET of the same path lists what was completed between two
times (KST, at most 24 hours apart): messages of requestId, status COMPLETED, statusCode "0" or the carrier's error.
Sources: api.ncloud-docs.com sens-sms-send, sens-sms-list, sens-sms-get; signature v2 of its API gateway.
"""

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from channels import loose, sms
from channels.base import (
    About,
    Account,
    Call,
    File,
    Item,
    Look,
    Outgoing,
    Page,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
    by_status,
)
from channels.signatures import ncloud
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

MAX_PICTURES = 3
OVERLAP_S = 300.0
LONGEST_S = 23 * 3600.0
FIRST_S = 3600.0
EVERY_S = 30.0
PAGE = 100


class SensSms:
    name = "sens_sms"
    about = About(
        title="SMS by Naver Cloud SENS (Korea)",
        family="sms",
        sends="texts, long texts, pictures",
        receipts="delivered, failed (asked for every half minute)",
        media="out (JPEG)",
        policy="2,000 bytes of EUC-KR",
        verified_against="Naver Cloud's API reference; the signature is derived from its formula",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("service_id", "number")
    required_secrets: tuple[str, ...] = ("access_key", "secret_key")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # it calls nobody

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading()

    def policy(self, account: Account) -> ReplyPolicy:
        return sms.KOREAN

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        files = message.uploads if message else ()
        if len(files) > MAX_PICTURES:
            raise Unsendable(f"SENS sends at most {MAX_PICTURES} pictures with a message")
        kind, subject, text = sms.korean(text, message.content.subject if message else None, bool(files))
        body: dict[str, Any] = {
            "type": kind,
            "contentType": "COMM",
            "countryCode": "82",
            "from": sms.domestic(account.setting("number")),
            "content": text,
            "messages": [{"to": sms.domestic(deliver.identity.value)}],
        }
        if subject:
            body["subject"] = subject
        if files:
            body["files"] = [{"fileId": name} for name in files]
        return _call(account, "POST", "messages", now, body)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        if 200 <= status < 300 and loose.text(said, "statusCode", most=400) not in ("202", ""):
            return Result("rejected", detail=_words(said))
        return sms.ended(status, (loose.text(said, "requestId", most=400),), _words(said))

    def upload(self, account: Account, file: File, now: float) -> Call:
        picture = base64.b64encode(sms.jpeg(file).body).decode()
        return _call(account, "POST", "files", now, {"fileName": "picture.jpg", "fileBody": picture})

    def uploaded(self, account: Account, status: int, body: bytes) -> str | Result:
        said = loose.fields(loose.decoded(body))
        if not 200 <= status < 300:
            return by_status(status, _words(said))
        return loose.text(said, "fileId", most=400) or Result("retry", detail="a picture without a fileId", after_s=5)

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        start, end = _window(cursor, now)
        asked = {"completeStartTime": _kst(start), "completeEndTime": _kst(end), "pageSize": str(PAGE)}
        if _texts(cursor, "next"):
            asked["nextToken"] = _texts(cursor, "next")
        return _call(account, "GET", f"messages?{urlencode(asked, quote_via=quote)}", now)

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said = loose.decoded(body)
        if not 200 <= status < 300 or not isinstance(said, dict):
            if _texts(cursor, "next") and 400 <= status < 500:  # it knows that page no more: from the same time, anew
                return Page(cursor={"from": cursor.get("from")}, again_s=EVERY_S)
            return Page(fault=f"{status} {_words(loose.fields(said))}"[:300], cursor=dict(cursor))
        messages = loose.objects(said.get("messages"))
        items = tuple(item for one in messages for item in _receipt(account, one))
        start, end = _window(cursor, now)
        following = loose.text(said, "nextToken", most=1_000)
        if following and messages:
            return Page(items=items, cursor={"from": start, "to": end, "next": following}, again_s=1)
        behind = now - end > OVERLAP_S
        return Page(items=items, cursor={"from": end - OVERLAP_S}, again_s=1 if behind else EVERY_S)


def _window(cursor: Mapping[str, Any], now: float) -> tuple[float, float]:
    """What is asked for: from where the last ended, less an overlap, for less than a day. A page's window stays."""
    start = cursor.get("from")
    start = float(start) if isinstance(start, int | float) and 0 < start <= now else now - FIRST_S
    end = cursor.get("to")
    if _texts(cursor, "next") and isinstance(end, int | float) and start <= end <= now:
        return start, float(end)
    return start, min(now, start + LONGEST_S)


def _texts(cursor: Mapping[str, Any], name: str) -> str:
    value = cursor.get(name)
    return value if isinstance(value, str) else ""


def _kst(at: float) -> str:
    return dt.datetime.fromtimestamp(at, sms.KST).strftime("%Y-%m-%d %H:%M:%S")


def _receipt(account: Account, message: dict[str, Any]) -> tuple[Item, ...]:
    if loose.text(message, "status", most=400) != "COMPLETED":
        return ()
    code = loose.text(message, "statusCode", most=20)
    arrived = code == "0" or (not code and loose.text(message, "statusName", most=400) == "success")
    words = "" if arrived else f"{code} {loose.text(message, 'statusMessage', most=400)}"
    return sms.receipt(account, loose.text(message, "requestId", most=400), "delivered" if arrived else "failed", words)


def _words(said: dict[str, Any]) -> str:
    error = loose.fields(said, "error")
    told = (
        loose.text(error, name, most=400) or loose.text(said, name, most=400)
        for name in ("errorCode", "message", "details")
    )
    fallback = (loose.text(said, name, most=400) for name in ("statusCode", "statusName", "errorMessage"))
    return (" ".join(filter(None, told)) or " ".join(filter(None, fallback)))[:500]


def _call(account: Account, method: str, path: str, now: float, body: dict[str, Any] | None = None) -> Call:
    """A request with signature v2: over method, path with query, time in ms, access key."""
    uri = f"/sms/v2/services/{quote(account.setting('service_id'), safe=':')}/{path}"
    stamp = str(int(now * 1000))
    access = account.secrets["access_key"]
    return Call(
        url=account.setting("api_url", "https://sens.apigw.ntruss.com").rstrip("/") + uri,
        method=method,
        headers={
            "content-type": "application/json; charset=utf-8",
            "x-ncp-apigw-timestamp": stamp,
            "x-ncp-iam-access-key": access,
            "x-ncp-apigw-signature-v2": ncloud(account.secrets["secret_key"], access, method, uri, stamp),
        },
        body=None if body is None else msgspec.json.encode(body),
        timeout_s=30,
    )

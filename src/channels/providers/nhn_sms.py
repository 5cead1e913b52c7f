"""SMS, LMS and MMS by NHN Cloud (Korea): sending by JSON with a secret key, results by webhook. No answers of customers.

Results: {hooksId, event: MESSAGE_RESULT_UPDATE, hooks: [{hookId, requestId, recipientSeq, messageStatus, resultCode,
recipientGroupingKey}]}. `X-Toast-Webhook-Signature` is a fixed text that the owner chose, no signature of the body. Errors
come with HTTP 200 (`header.isSuccessful`). What was sent is listed with its result: GET sender/sms and sender/mms, between two
times in Korea; msgStatus 3 is over. Sources: docs.nhncloud.com Notification/SMS api-guide (v3.0) and webhook.
"""

import base64
import datetime as dt
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

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
from channels.signatures import same
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

MAX_PICTURES = 3
ENDED: dict[str, SendStatus] = {
    "SENDING": "sent",
    "COMPLETED": "delivered",
    "FAILED": "failed",
    "FAILED_AD": "failed",
    "CANCEL": "failed",
    "DUPLICATED": "failed",
}
DELIVERED, OVER = "1000", "3"
PAGE = 500


class NhnSms:
    name = "nhn_sms"
    about = About(
        title="SMS by NHN Cloud (Korea)",
        family="sms",
        sends="texts, long texts, pictures",
        receipts="delivered, failed",
        media="out (JPEG)",
        policy="2,000 bytes of EUC-KR",
        made_good="receipts",
        verified_against="NHN Cloud's API guide v3.0 and webhook guide",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("app_key", "number")
    required_secrets: tuple[str, ...] = ("secret_key", "webhook_signature")
    span_s = 24 * 3600.0

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("x-toast-webhook-signature", "")
        return any(same(given, wanted) for wanted in account.secrets["webhook_signature"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        if not isinstance(said, dict):
            return Reading(reply=sms.NOT_JSON)
        if said.get("event") != "MESSAGE_RESULT_UPDATE":
            return Reading()
        return Reading(tuple(item for hook in loose.objects(said.get("hooks")) for item in _receipt(account, hook)))

    def policy(self, account: Account) -> ReplyPolicy:
        return sms.KOREAN

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        files = message.uploads if message else ()
        if len(files) > MAX_PICTURES:
            raise Unsendable(f"NHN Cloud sends at most {MAX_PICTURES} pictures with a message")
        kind, subject, text = sms.korean(text, message.content.subject if message else None, bool(files))
        body: dict[str, Any] = {
            "body": text,
            "sendNo": sms.domestic(account.setting("number")),
            "recipientList": [
                {"recipientNo": sms.domestic(deliver.identity.value), "recipientGroupingKey": deliver.key[:1000]}
            ],
        }
        if kind != "SMS":
            body["title"] = subject or _title(text)
        if files:
            body["attachFileIdList"] = [int(name) for name in files if name.isdigit()]
        return _call(account, "sender/sms" if kind == "SMS" else "sender/mms", body)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        fault = _fault(status, said)
        if fault is not None:
            return fault
        data = loose.fields(said, "body", "data")
        for one in loose.objects(data.get("sendResultList")):
            if one.get("resultCode") not in (0, None):
                words = f"{loose.text(one, 'resultCode', most=400)} {loose.text(one, 'resultMessage', most=400)}"
                return Result("rejected", detail=words[:500])
        return sms.ended(status, (loose.text(data, "requestId", most=400),), "")

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        times = {"startRequestDate": _kst(span.start), "endRequestDate": _kst(span.end + 1)}
        asked = urlencode({**times, "pageNum": "1", "pageSize": str(PAGE)}, quote_via=quote)
        return tuple(_call(account, f"sender/{kind}?{asked}") for kind in ("sms", "mms"))

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        fault = _fault(status, said)
        if fault is not None:
            return Found(fault=fault.detail or str(status))
        rows = loose.objects(said, "body", "data")
        items = tuple(item for row in rows for item in _listed(account, row))
        url = call.url.partition("?")[0]
        asked = dict(parse_qsl(urlsplit(call.url).query))
        page = int(loose.number(asked, "pageNum") or 1)
        if not rows or page * PAGE >= (loose.number(said, "body", "totalCount") or 0):
            return Found(items=items)
        following = f"{url}?{urlencode({**asked, 'pageNum': str(page + 1)}, quote_via=quote)}"
        return Found(items=items, more=(msgspec.structs.replace(call, url=following),))

    def upload(self, account: Account, file: File, now: float) -> Call:
        picture = base64.b64encode(sms.jpeg(file).body).decode()
        return _call(
            account, "attachfile/binaryUpload", {"fileName": "picture.jpg", "createUser": "naru", "fileBody": picture}
        )

    def uploaded(self, account: Account, status: int, body: bytes) -> str | Result:
        said = loose.fields(loose.decoded(body))
        name = loose.text(loose.fields(said, "body", "data"), "fileId", most=400)
        return _fault(status, said) or (
            name if name.isdigit() else Result("retry", detail="a picture without a fileId")
        )


def _receipt(account: Account, hook: dict[str, Any]) -> tuple[Item, ...]:
    code = loose.text(hook, "resultCode", most=20)
    status = ENDED.get(loose.text(hook, "messageStatus", most=400))
    if status == "delivered" and code != DELIVERED:
        status = "failed"
    # The documents spell the key rightly in the table and wrongly in their example.
    ours = loose.text(hook, "recipientGroupingKey", most=1000) or loose.text(hook, "recipientGropuingKey", most=1000)
    return sms.receipt(account, loose.text(hook, "requestId", most=400), status, f"result {code}", ours)


def _listed(account: Account, said: dict[str, Any]) -> tuple[Item, ...]:
    code = loose.text(said, "resultCode", most=20)
    if loose.text(said, "msgStatus", most=20) != OVER or not code:
        return ()
    return _receipt(account, {**said, "messageStatus": "COMPLETED" if code == DELIVERED else "FAILED"})


def _kst(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, sms.KST):%Y-%m-%d %H:%M:%S}"


def _fault(status: int, said: dict[str, Any]) -> Result | None:
    header = loose.fields(said, "header")
    words = f"{loose.text(header, 'resultCode', most=400)} {loose.text(header, 'resultMessage', most=400)}".strip()
    if not 200 <= status < 300:
        return by_status(status, words)
    return None if header.get("isSuccessful") is True else Result("rejected", detail=words[:500] or "no success")


def _title(text: str) -> str:
    """A long message has to have a subject: its first words."""
    first = " ".join(text.split("\n", 1)[0].split())
    return first.encode("cp949", "ignore")[: sms.SUBJECT_BYTES].decode("cp949", "ignore")


def _call(account: Account, path: str, body: dict[str, Any] | None = None) -> Call:
    base = account.setting("api_url", "https://api-sms.cloud.toast.com").rstrip("/")
    return Call(
        method="GET" if body is None else "POST",
        url=f"{base}/sms/v3.0/appKeys/{sms.segment(account.setting('app_key'))}/{path}",
        headers={"content-type": "application/json;charset=UTF-8", "x-secret-key": account.secrets["secret_key"]},
        body=None if body is None else msgspec.json.encode(body),
        timeout_s=30,
    )

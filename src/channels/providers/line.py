"""LINE official accounts (developers.line.biz, Messaging API).

Signature: base64(HMAC-SHA256(channel secret, raw body)); no time is signed. A message's own id is its key, which an unsend
event names again; redeliveries repeat it. An answer goes free of charge by the reply token, good once and for about a
minute, else as a push with a retry key (only pushes may carry one): 409 says that it was accepted before. What comes in
mode `standby` is another module's. LINE tells neither names nor receipts. `events: []` is the console's own test.
"""

from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose
from channels.base import (
    About,
    Account,
    Call,
    File,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
    by_status,
)
from channels.elsewhere import arrived
from channels.saying import said
from channels.signatures import line, same
from router.effects import AnyEffect
from router.inputs import ReceiveMessage, ReviseMessage
from router.model import Content, Elsewhere, Identity, Kind, Part, ReplyPolicy, Text, Thread

ENDPOINT = "https://api.line.me/v2/bot/channel/webhook/endpoint"
API, DATA = "https://api.line.me/v2/bot/message", "https://api-data.line.me/v2/bot/message"
MAX_TEXT = 5000
TOKEN_S = 50.0
TOKEN_GONE_S = 60.0
FILES = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mp4", "file": "application/octet-stream"}


class Line:
    name = "line"
    about = About(
        title="LINE official account",
        family="messages",
        receives="texts, files, stickers, deletions",
        sends="texts",
        media="in",
        policy="5,000 characters",
        evidence="published vectors",
        verified_against="LINE's published signature example, which its own SDK accepts, and its documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ("channel_secret", "access_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("x-line-signature", "")
        return any(same(line(secret, webhook.body), given) for secret in account.secrets["channel_secret"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        told = loose.decoded(webhook.body)
        to = loose.name(told, "destination")
        return Reading(
            tuple(item for event in loose.many(told, "events") for item in _event(account, webhook, event, to))
        )

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT, unit="utf16")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, outgoing, text = said(effect, message, "LINE", MAX_TEXT, "utf16")
        headers = {"authorization": f"Bearer {account.secrets['access_token']}", "content-type": "application/json"}
        messages = [{"type": "text", "text": text}]
        token = outgoing.last_headers.get("reply-token")
        if token and outgoing.first and 0 <= now - outgoing.last_at < TOKEN_S:
            body = msgspec.json.encode({"replyToken": token, "messages": messages})
            return Call(url=f"{API}/reply", headers=headers, body=body)
        body = msgspec.json.encode({"to": deliver.thread.external, "messages": messages})
        return Call(url=f"{API}/push", headers={**headers, "x-line-retry-key": deliver.key}, body=body)

    def outcome(self, status: int, body: bytes) -> Result:
        """A reply token that is no longer good has sent nothing: by the next try it is too old, so that is a push.

        After any 5xx a message may have been delivered (LINE, "Retry failed API requests").
        """
        told = loose.decoded(body)
        words = loose.text(told, "message", most=300)
        details = [loose.text(one, "message", most=200) for one in loose.many(told, "details")[:3]]
        if 200 <= status < 300 or status == 409:
            sent = (loose.key(one, "id") for one in loose.many(told, "sentMessages"))
            return Result("accepted", tuple(id_ for id_ in sent if id_))
        if status == 400 and "invalid reply token" in words.lower():
            return Result("retry", detail=words, after_s=TOKEN_GONE_S)
        if status == 429 and "monthly limit" in words.lower():
            return Result("rejected", detail=words)
        detail = " ".join(filter(None, (words, *details)))
        return Result("uncertain", detail=f"{status} {detail}") if status >= 500 else by_status(status, detail)

    def ask_subscription(self, account: Account, now: float) -> Call:
        return Call(method="GET", url=ENDPOINT, headers={"authorization": f"Bearer {account.secrets['access_token']}"})

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        told = loose.record_of(body)
        if status != 200:
            return f"{status} {loose.text(told, 'message', most=300)}".strip()
        url = loose.text(told, "endpoint", most=1_000)
        if url != account.hook_url:
            return f"its webhook is '{url}', not {account.hook_url}"
        return None if told.get("active") is True else "*Use webhook* is switched off"

    def fetch(self, account: Account, ref: str) -> Call:
        headers = {"authorization": f"Bearer {account.secrets['access_token']}"}
        return Call(method="GET", url=f"{DATA}/{quote(ref, safe='')}/content", headers=headers)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        """202: a film is still being made ready."""
        return arrived(status, media_type, body, "LINE")


def _event(account: Account, webhook: Webhook, event: Any, to: str | None) -> list[Item]:
    where = loose.fields(event, "source")
    group = loose.key(where, "groupId") or loose.key(where, "roomId")
    person = loose.key(where, "userId")
    if not (group or person) or loose.text(event, "mode") == "standby":
        return []
    thread = Thread(external=group or person, kind="group" if group else "dm")
    kind = loose.text(event, "type", most=40)
    gone = loose.key(event, "unsend", "messageId")
    if kind == "unsend" and gone:
        body = ReviseMessage(channel=account.channel, thread=thread, change="deleted", dedupe_key=gone)
        return [Item(f"{gone}:deleted", body, Content())]
    message = loose.fields(event, "message")
    id_ = loose.key(message, "id")
    if kind != "message" or not id_:
        return []
    received = ReceiveMessage(
        channel=account.channel,
        thread=thread,
        identity=Identity(
            scope=f"line:{account.setting('scope') or account.channel}", kind="external", value=person or group
        ),
        dedupe_key=id_,
        occurred_at=loose.moment(event, "timestamp", per_s=1000, now=webhook.t),
        to=to,
    )
    token = loose.text(event, "replyToken", most=400)
    headers = {"message": id_, **({"reply-token": token} if token else {})}
    return [Item(id_, received, Content(parts=(_part(message, id_),), headers=headers))]


def _part(message: dict[str, Any], id_: str) -> Part:
    kind = loose.text(message, "type", most=40)
    if kind in FILES and loose.text(message, "contentProvider", "type") == "external":
        return Text(text=f"[{kind}] {loose.text(message, 'contentProvider', 'originalContentUrl', most=2000)}")
    if kind in FILES:
        name = loose.text(message, "fileName", most=loose.MAX_NAME) or kind
        return Elsewhere(ref=id_, name=name, media_type=FILES[kind])
    if kind == "location":
        words = (loose.text(message, "title", most=300), loose.text(message, "address", most=500))
        where = loose.place(message, "latitude", "longitude")
        return Text(text=" ".join(filter(None, ("[location]", *words, where))))
    if kind == "sticker":
        meant = ", ".join(filter(None, (loose.text(word, most=40) for word in loose.many(message, "keywords")[:3])))
        return Text(text=f"[sticker] {loose.text(message, 'text', most=200) or meant}".rstrip())
    return Text(text=loose.text(message, "text") or f"[{kind or 'message'}]")

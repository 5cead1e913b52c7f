"""KakaoTalk 상담톡 (Consult Talk) through a hub partner, as happytalk documents it (developer-center.happytalk.io).

The partner posts to a domain of ours: `/message` (a customer wrote), `/reference` (what a button carried), and
`/expired_session`. Nothing is signed: see `channels/unsigned.py`. What is in `/message` is told to partners only, so
where its facts lie is data: `fields` maps our names to places in the body (`content`, `file.url`, `contents.0.text`). Of
`/reference` user_key, session_id, sender_key and time are published and so are the rule.

An answer is possible within a session: 30 days from the customer's last word, unless it is ended. `serial_number` is
ours, 30 letters that follow from the message, so that the partner takes it once.
"""

import hashlib
from typing import Any

import msgspec

from channels import loose, unsigned
from channels.base import (
    About,
    Account,
    Call,
    File,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
    by_status,
)
from channels.elsewhere import arrived, leads_to
from channels.saying import said
from router.effects import AnyEffect
from router.inputs import EndSession, ReceiveMessage
from router.model import Content, Elsewhere, Identity, Kind, Part, ReplyPolicy, Text, Thread

API = "https://kakao-api.happytalk.io/v1"
MAX_TEXT = 1000
SESSION_S = 30 * 86_400.0
PUBLISHED = {"user": "user_key", "session": "session_id", "sender": "sender_key", "time": "time"}
"""Besides these the owner tells: `text`, and where the partner has them `id`, `type`, `file`, `file_name`, `name`."""
OVER = ReplyPolicy(allowed=False, reason="session-over", max_length=MAX_TEXT)
KAKAOS = (".kakao.com", ".kakaocdn.net", ".happytalk.io")
DONE = HookReply(200, '{"code":"0"}', "application/json")


class KakaoConsult:
    name = "kakao_consult"
    about = About(
        title="KakaoTalk 상담톡 through a hub partner (happytalk)",
        family="messages",
        receives="texts, files (as the partner's field map says), ends of sessions",
        sends="texts",
        media="in",
        policy="within a session, 1,000 characters",
        evidence="documents",
        verified_against="happytalk's published requests; what it posts to `/message` is not public, so it is settings",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("sender_key", "fields")
    required_secrets: tuple[str, ...] = ("path_secret", "client_id", "client_secret")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return unsigned.path_within(account, webhook) is not None

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        told = loose.decoded(webhook.body)
        fields = {**PUBLISHED, **_mapped(account)}
        user, sender = _at(told, fields, "user")[: loose.MAX_ID], _at(told, fields, "sender")
        if not user or sender not in ("", account.setting("sender_key")):
            return Reading(reply=DONE)
        where = webhook.path.rpartition("/")[2]
        if where == "expired_session":
            session = _at(told, fields, "session")[:100] or loose.hashed(user, f"{webhook.t // 60:.0f}")
            ended = EndSession(channel=account.channel, thread=Thread(external=user), policy=OVER)
            return Reading((Item(f"{user}:{session}:over", ended),), DONE)
        return Reading((_message(account, webhook, told, fields, user),) if where == "message" else (), DONE)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, _, text = said(effect, message, "KakaoTalk", MAX_TEXT)
        body = {
            "user_key": deliver.identity.value,
            "sender_key": account.setting("sender_key"),
            "serial_number": hashlib.sha256(deliver.key.encode()).hexdigest()[:30],
            "message_type": "TX",
            "message": text,
        }
        headers = {
            "content-type": "application/json",
            "ht-client-id": account.secrets["client_id"],
            "ht-client-secret": account.secrets["client_secret"],
        }
        url = f"{account.setting('api_url', API).rstrip('/')}/chat/write"
        return Call(url=url, headers=headers, body=msgspec.json.encode(body))

    def outcome(self, status: int, body: bytes) -> Result:
        """`code` 0 is done; a serial number that was used is a message that came before. A 5xx may be tried again."""
        told = loose.decoded(body)
        code, words = loose.text(told, "code", most=20), loose.text(told, "message", most=300)
        if code == "0" and 200 <= status < 300:
            return Result("accepted")
        detail = f"{code} {words}".strip()
        if "serial" in words.lower() and "dup" in words.lower():
            return Result("accepted", detail=detail)
        if status >= 500:
            return Result("retry", detail=f"{status} {detail}", after_s=5)
        if 200 <= status < 300:
            return Result("rejected" if code else "uncertain", detail=detail or "an answer without a code")
        return by_status(status, detail)

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return arrived(status, media_type, body, "Kakao")


def _mapped(account: Account) -> dict[str, str]:
    told = account.settings.get("fields")
    return {str(name): str(place) for name, place in told.items()} if isinstance(told, dict) else {}


def _at(told: Any, fields: dict[str, str], name: str) -> str:
    """What lies at the place that the map gives to a name, as a text; "" where there is nothing."""
    place = _steps(fields, name)
    return loose.text(told, *place) if place else ""


def _steps(fields: dict[str, str], name: str) -> list[str | int]:
    """A place is names and positions joined by dots."""
    steps = fields.get(name, "").split(".")[:10]
    return [int(step) if step.isascii() and step.isdigit() and len(step) < 10 else step for step in steps if step]


def _message(account: Account, webhook: Webhook, told: Any, fields: dict[str, str], user: str) -> Item:
    text, file = _at(told, fields, "text"), _at(told, fields, "file")[:2000]
    kind, time = _at(told, fields, "type")[:40], loose.number(told, *_steps(fields, "time"))
    sent_at = loose.moment(time, per_s=1000, now=webhook.t)
    parts: list[Part] = [Text(text=text)] if text else []
    if file:
        name = _at(told, fields, "file_name")[: loose.MAX_NAME] or "file"
        is_theirs = leads_to(file, *KAKAOS, schemes=("http", "https"))
        parts.append(Elsewhere(ref=file, name=name) if is_theirs else Text(text=f"[{name}] {file}"))
    id_ = _at(told, fields, "id")
    made_of = (user, _at(told, fields, "session"), kind, text, file, f"{time or webhook.t // 60:.0f}")
    key = loose.key(id_) if id_ else loose.hashed(*made_of)
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=user),
        identity=Identity(
            scope=f"kakao:{account.setting('sender_key')}",
            kind="external",
            value=user,
            name=_at(told, fields, "name")[: loose.MAX_NAME] or None,
        ),
        dedupe_key=key,
        occurred_at=sent_at,
        policy=ReplyPolicy(max_length=MAX_TEXT, until=sent_at + SESSION_S),
    )
    headers = {"session": _at(told, fields, "session")[:100]}
    said_so = tuple(parts) or (Text(text=f"[{kind or 'a message of a kind that is not known'}]"),)
    return Item(key, body, Content(parts=said_so, headers=headers))

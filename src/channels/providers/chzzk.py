"""Chzzk: the chat and the donations of a channel over Chzzk's sessions (chzzk.gitbook.io, Session and Chat).

A session is Socket.IO 2 over Engine.IO 3 by WebSocket: `0{…}` opens, `40` joins, `2` is our ping and `3` its answer,
`42["EVENT", "JSON"]` is an event. The first one names the session key, with which events are subscribed over REST.
Comments have no id: who said it and when, to the millisecond, names one. What is said while we are away is lost.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from channels import broadcasts, loose, oauth
from channels.base import (
    About,
    Account,
    Call,
    Comment,
    Dial,
    Heard,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Token,
    Transport,
    Webhook,
    by_status,
)
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

API = "https://openapi.chzzk.naver.com"
MAX_ANSWER = 100
BEAT_S, SILENT_S = 20.0, 60.0
STAFF = ("streamer", "streaming_channel_manager", "streaming_chat_manager")
MAX_FRAME = 100_000


class Chzzk:
    name = "chzzk"
    about = About(
        title="Chzzk live chat",
        family="live",
        receives="comments, donations",
        sends="public comments",
        policy="public, 100 characters",
        evidence="documents",
        verified_against="Chzzk's documents; the stream by hand against python-socketio 4.6.1's server",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "stream"
    required_settings: tuple[str, ...] = ("client_id",)
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(reply=HookReply(404))

    def dial(self, account: Account, now: float) -> Call:
        return Call(url=f"{_base(account)}/open/v1/sessions/auth", method="GET", headers=_headers(account))

    def dialled(self, account: Account, status: int, body: bytes, now: float) -> Dial | Result:
        said = loose.record_of(body)
        if status != 200:
            return by_status(status, oauth.words(said)) if status >= 300 else Result("retry", detail=str(status))
        url = broadcasts.text_at(loose.fields(said, "content"), "url") or broadcasts.text_at(said, "url")
        return _session(account, url) or Result("rejected", detail="an address that is not Chzzk's")

    def hear(self, account: Account, state: Mapping[str, Any], frame: str, now: float) -> Heard:
        kept = dict(state)
        if frame.startswith("2"):
            return Heard(say=("3" + frame[1:50],), state=kept)
        if frame[:2] in ("41", "44") or frame.startswith("1"):
            return Heard(state=kept, over=True)
        if frame.startswith("42"):
            name, data = _event(frame[2:])
            return _heard(account, kept, name, data, now)
        return Heard(state=kept)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_ANSWER, public=True)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        _, text = broadcasts.answer(effect, message, MAX_ANSWER)
        body = msgspec.json.encode({"message": text})
        return Call(url=f"{_base(account)}/open/v1/chats/send", headers=_headers(account), body=body)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.record_of(body)
        code = said.get("code")
        status = code if isinstance(code, int) and 200 <= status < 300 and 100 <= code < 600 else status
        if status == 401:
            return Result("retry", detail=f"401 {oauth.words(said)}", after_s=1)
        if not 200 <= status < 300:
            return by_status(status, oauth.words(said))
        id_ = broadcasts.text_at(loose.fields(said, "content"), "messageId")
        return Result("accepted", (id_,)) if id_ else Result("uncertain", detail=f"{status} without a message id")

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        """A refresh token is good once; its successor comes with the access token."""
        body = {
            "grantType": "refresh_token",
            "refreshToken": oauth.refresh_token(account, kept),
            "clientId": account.setting("client_id"),
            "clientSecret": account.secrets.get("client_secret", ""),
        }
        headers = {"content-type": "application/json"}
        return Call(url=f"{_base(account)}/auth/v1/token", headers=headers, body=msgspec.json.encode(body))

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.renewed(account, kept, status, body, now)


def _base(account: Account) -> str:
    return account.setting("api_url", API).rstrip("/")


def _headers(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}", "content-type": "application/json"}


def _session(account: Account, url: str) -> Dial | None:
    """The WebSocket of a session's address: Chzzk's own hosts only, unless the owner has named another API."""
    try:
        parts = urlsplit(url[:4000])
        host = parts.hostname or ""
    except ValueError:
        return None
    ours = parts.scheme == "https" and host.endswith(".naver.com") and "@" not in parts.netloc
    if not host or not (ours or account.setting("api_url")):
        return None
    scheme = "wss" if parts.scheme == "https" else "ws"
    query = "&".join(part for part in (parts.query, "EIO=3&transport=websocket") if part)
    return Dial(url=f"{scheme}://{parts.netloc}/socket.io/?{query}", beat="2", beat_s=BEAT_S, silent_s=SILENT_S)


def _event(text: str) -> tuple[str, dict[str, Any]]:
    """An event's name and what it says, which is JSON or a text of JSON."""
    try:
        said = msgspec.json.decode(text[:MAX_FRAME].encode("utf-8", "surrogatepass"))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return "", {}
    if not isinstance(said, list) or len(said) < 2 or not isinstance(said[0], str):
        return "", {}
    data = loose.record_of(said[1].encode("utf-8", "surrogatepass")) if isinstance(said[1], str) else said[1]
    return said[0], data if isinstance(data, dict) else {}


def _heard(account: Account, state: dict[str, Any], name: str, data: dict[str, Any], now: float) -> Heard:
    if name == "SYSTEM" and data.get("type") == "connected":
        key = broadcasts.text_at(loose.fields(data, "data"), "sessionKey")[:500]
        wanted = ("chat",) if account.settings.get("donations") is False else ("chat", "donation")
        return Heard(calls=tuple(_subscribe(account, key, one) for one in wanted), state={**state, "session": key})
    if name == "SYSTEM" and data.get("type") == "revoked":
        return Heard(state=state, over=True)
    found = _comment(account, data, now) if name == "CHAT" else _donation(data, now) if name == "DONATION" else None
    return Heard(comments=() if found is None else (found,), state=state)


def _subscribe(account: Account, key: str, what: str) -> Call:
    query = urlencode({"sessionKey": key})
    url = f"{_base(account)}/open/v1/sessions/events/subscribe/{what}?{query}"
    return Call(url=url, headers=_headers(account))


def _comment(account: Account, said: dict[str, Any], now: float) -> Comment | None:
    room, author = broadcasts.text_at(said, "channelId"), broadcasts.text_at(said, "senderChannelId")
    sent_ms = broadcasts.number(said.get("messageTime"))
    if not room or not author:
        return None
    text = broadcasts.text_at(said, "content")
    return broadcasts.comment(
        scope="chzzk",
        room=room,
        id_=broadcasts.hashed(room, author, str(int(sent_ms)), text),
        author=author,
        name=broadcasts.text_at(loose.fields(said, "profile"), "nickname"),
        text=text,
        at=min(sent_ms / 1000, broadcasts.LATEST) if sent_ms > 0 else now,
        value=0,
        is_staff=broadcasts.text_at(said, "userRoleCode") in STAFF or author in (room, account.setting("own_channel")),
    )


def _donation(said: dict[str, Any], now: float) -> Comment | None:
    """In won. Who gives without a name is somebody else each time."""
    room, author = broadcasts.text_at(said, "channelId"), broadcasts.text_at(said, "donatorChannelId")
    amount, text = broadcasts.number(said.get("payAmount")), broadcasts.text_at(said, "donationText")
    if not room or amount <= 0:
        return None
    id_ = broadcasts.hashed(room, author, str(amount), text, str(int(now)))
    return broadcasts.comment(
        scope="chzzk",
        room=room,
        id_=id_,
        author=author if author and author != "anonymous" else f"anonymous-{id_[2:14]}",
        name=broadcasts.text_at(said, "donatorNickname"),
        text=text,
        at=now,
        value=amount,
        is_staff=False,
    )

"""YouTube Live: the chat of a broadcast by polling (developers.google.com/youtube/v3/live/docs/liveChatMessages).

The chat is that of the video `broadcast`, else of the channel's active broadcast. YouTube says when to ask again; each
poll costs 5 units of the 10,000 a day, so `poll_s` may ask less often. Answers: liveChatMessages.insert, 200 characters.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from channels import broadcasts, loose, oauth
from channels.base import (
    About,
    Account,
    Call,
    Comment,
    HookReply,
    Look,
    Outgoing,
    Page,
    Reading,
    Result,
    Token,
    Transport,
    Unsendable,
    Webhook,
    by_status,
)
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

API, TOKENS = "https://www.googleapis.com/youtube/v3", "https://oauth2.googleapis.com/token"
MAX_ANSWER = 200
NO_BROADCAST_S, LEAST_S, LONGEST_S, TOO_FAST_S = 60.0, 1.0, 60.0, 10.0
OVER = ("liveChatEnded", "liveChatNotFound", "liveChatDisabled")
MICROS = 1_000_000
PAID = {"superChatEvent": "superChatDetails", "superStickerEvent": "superStickerDetails"}
OF_UNKNOWN_WORTH = 1.0
"""What is paid in a currency without a rate counts as paid, and as little."""


class YouTubeLive:
    name = "youtube_live"
    about = About(
        title="YouTube Live chat",
        family="live",
        receives="comments, super chats",
        sends="public comments",
        policy="public, 200 characters",
        evidence="documents",
        verified_against="the documented resources",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("client_id",)
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(reply=HookReply(404))

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        chat, page, video = cursor.get("chat"), cursor.get("page"), account.setting("broadcast")
        if isinstance(chat, str) and chat:
            query = {"liveChatId": chat, "part": "id,snippet,authorDetails", "maxResults": "2000"}
            if isinstance(page, str) and page:
                query["pageToken"] = page
            return _get(account, "liveChat/messages", query)
        if video:
            return _get(account, "videos", {"part": "liveStreamingDetails", "id": video})
        return _get(account, "liveBroadcasts", {"part": "snippet", "broadcastStatus": "active", "broadcastType": "all"})

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, kept = loose.record_of(body), dict(cursor)
        if status != 200 or not said:
            return _trouble(kept, status, said)
        chat = kept.get("chat")
        if not isinstance(chat, str) or not chat:
            found = _chat(said)
            return Page(cursor={"chat": found}, again_s=0) if found else Page(again_s=NO_BROADCAST_S)
        comments = [_comment(account, chat, row, now) for row in broadcasts.rows(said.get("items"))]
        told = tuple(each for each in comments if each is not None)
        if "offlineAt" in said or any(_type(row) == "chatEndedEvent" for row in broadcasts.rows(said.get("items"))):
            return Page(comments=told, again_s=NO_BROADCAST_S)
        asked_s = broadcasts.number(said.get("pollingIntervalMillis")) / 1000
        least_s = max(LEAST_S, broadcasts.number(account.settings.get("poll_s")))
        again_s = min(LONGEST_S, max(least_s, asked_s))
        page = broadcasts.text_at(said, "nextPageToken")[:2000] or kept.get("page")
        return Page(comments=told, cursor={"chat": chat, "page": page} if page else {"chat": chat}, again_s=again_s)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_ANSWER, public=True)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = broadcasts.answer(effect, message, MAX_ANSWER)
        chat = broadcasts.room_of(deliver)
        if not chat:
            raise Unsendable("this is no comment of a live chat")
        snippet = {"liveChatId": chat, "type": "textMessageEvent", "textMessageDetails": {"messageText": text}}
        headers = {"authorization": f"Bearer {account.token}", "content-type": "application/json"}
        body = msgspec.json.encode({"snippet": snippet})
        return Call(url=f"{_base(account)}/liveChat/messages?part=snippet", headers=headers, body=body)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.record_of(body)
        if status == 401 or _reason(said) in ("rateLimitExceeded", "userRateLimitExceeded"):
            return Result(
                "retry", detail=f"{status} {_reason(said)}".strip(), after_s=1 if status == 401 else TOO_FAST_S
            )
        id_ = broadcasts.text_at(said, "id")
        if 200 <= status < 300:
            return Result("accepted", (id_,)) if id_ else Result("uncertain", detail=f"{status} without an id")
        return by_status(status, f"{_reason(said)} {oauth.words(said)}".strip())

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        return oauth.renew(account.setting("token_url", TOKENS), account, kept)

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.renewed(account, kept, status, body, now)


def _base(account: Account) -> str:
    return account.setting("api_url", API).rstrip("/")


def _get(account: Account, resource: str, query: dict[str, str]) -> Call:
    url = f"{_base(account)}/{resource}?{urlencode(query)}"
    return Call(url=url, method="GET", headers={"authorization": f"Bearer {account.token}"})


def _trouble(cursor: dict[str, Any], status: int, said: dict[str, Any]) -> Page:
    """A chat that is over is looked for anew, a page token that is no longer good is let go, the rest is told."""
    reason = _reason(said)
    if status == 401:
        return Page(cursor=cursor, fault=f"401 {reason}".strip(), stale=True)
    if reason in OVER or (status == 404 and cursor.get("chat")):
        return Page(again_s=NO_BROADCAST_S)
    if reason == "rateLimitExceeded":
        return Page(cursor=cursor, again_s=TOO_FAST_S)
    if status == 400 and cursor.get("page"):
        return Page(cursor={"chat": cursor.get("chat")}, again_s=LEAST_S)
    return Page(cursor=cursor, fault=f"{status} {reason} {oauth.words(said)}".strip()[:300])


def _reason(said: dict[str, Any]) -> str:
    errors = broadcasts.rows(loose.fields(said, "error").get("errors"))
    return broadcasts.text_at(errors[0], "reason")[:60] if errors else ""


def _chat(said: dict[str, Any]) -> str:
    """The chat of the first broadcast that has one."""
    for row in broadcasts.rows(said.get("items")):
        found = broadcasts.text_at(loose.fields(row, "liveStreamingDetails"), "activeLiveChatId")
        found = found or broadcasts.text_at(loose.fields(row, "snippet"), "liveChatId")
        if 0 < len(found) <= broadcasts.MAX_ID:
            return found
    return ""


def _type(row: dict[str, Any]) -> str:
    return broadcasts.text_at(loose.fields(row, "snippet"), "type")


def _comment(account: Account, chat: str, row: dict[str, Any], now: float) -> Comment | None:
    """Texts, super chats and super stickers; all else that happens in a chat asks for nothing."""
    snippet, author, kind = loose.fields(row, "snippet"), loose.fields(row, "authorDetails"), _type(row)
    id_, who = broadcasts.text_at(row, "id"), broadcasts.text_at(author, "channelId")
    who = who or broadcasts.text_at(snippet, "authorChannelId")
    if not id_ or not who or kind not in ("textMessageEvent", *PAID):
        return None
    paid = loose.fields(snippet, PAID.get(kind, "-"))
    text = broadcasts.text_at(paid, "userComment") or broadcasts.text_at(
        loose.fields(snippet, "textMessageDetails"), "messageText"
    )
    if kind == "textMessageEvent":
        text = text or broadcasts.text_at(snippet, "displayMessage")
    elif kind == "superStickerEvent":
        text = broadcasts.text_at(loose.fields(paid, "superStickerMetadata"), "altText")
    own = account.setting("own_channel")
    return broadcasts.comment(
        scope="youtube",
        room=chat,
        id_=id_,
        author=who,
        name=broadcasts.text_at(author, "displayName"),
        text=text,
        at=broadcasts.seconds(snippet.get("publishedAt"), now),
        value=_worth(account, paid) if kind in PAID else 0,
        is_staff=author.get("isChatOwner") is True
        or author.get("isChatModerator") is True
        or (bool(own) and who == own),
    )


def _worth(account: Account, paid: dict[str, Any]) -> float:
    """In the broadcast's currency: viewers pay in their own."""
    amount = broadcasts.number(paid.get("amountMicros")) / MICROS
    currency = broadcasts.text_at(paid, "currency").upper()
    if currency == account.setting("currency", "KRW"):
        return amount
    rate = broadcasts.number(loose.fields(account.settings, "rates").get(currency))
    return amount * rate or (OF_UNKNOWN_WORTH if amount > 0 else 0)

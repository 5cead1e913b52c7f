"""TikTok Shop: buyers' messages by webhook 14, answers by the Customer Service API.

In: {"type": 14, "shop_id", "data": {"conversation_id", "message_id", "index", "type", "content": JSON as text,
"create_time": seconds, "is_visible", "sender": {"im_user_id", "role"}}} (partner.tiktokshop.com, webhook 14). Newer
messages have a larger `index`, which rides with each of them; webhooks come in any order. `Authorization` is the
signature. What the shop's people write in Seller Center comes as well. Requests of ours are signed (`sign`). What there was:
GET conversations, each with its `latest_message`, and GET messages of those with news; there a message is called `id`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from channels import loose, malls, oauth, signatures
from channels.base import (
    About,
    Account,
    Call,
    Found,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
    Token,
    Transport,
    Webhook,
)
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

API = "https://open-api.tiktokglobalshop.com"
AUTH = "https://auth.tiktok-shops.com"
NEW_MESSAGE = 14
CONSOLE = ("SHOP", "CUSTOMER_SERVICE")
UNSAID = ("NOTIFICATION", "ALLOCATED_SERVICE")
"""Kinds of message that nobody wrote; those that begin with BUYER_ENTER are none either."""
FILES = {"IMAGE": "image/jpeg", "VIDEO": "video/mp4"}
TOKEN_EXPIRED = 105002
MAX_LENGTH = 2000
LATE_S = 12 * 3600.0
CONVERSATIONS, MESSAGES = 20, 10
"""A page of either, at most."""


class TikTokShop(malls.AtAddress):
    name = "tiktok_shop"
    about = About(
        title="TikTok Shop customer messages",
        family="mall",
        receives="texts, pictures, videos, cards; the shop's own answers",
        sends="texts",
        media="in",
        made_good="messages",
        policy="2,000 characters, within 12 h",
        evidence="documents",
        verified_against="signature: a derived vector that a third party's SDK accepts; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("social", "chat")
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("app_key", "shop_id")
    required_secrets: tuple[str, ...] = ("app_secret", "refresh_token")
    span_s = 72 * 3600.0  # a list cannot be asked for up to a time

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("authorization", "")
        wanted = signatures.tiktok_shop(account.setting("app_key"), account.secrets["app_secret"], webhook.body)
        return signatures.same(wanted, given)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        if not isinstance(said, dict):
            return Reading(reply=HookReply(422, "not an event"))
        if said.get("type") != NEW_MESSAGE or malls.text(said.get("shop_id")) != account.setting("shop_id"):
            return Reading()  # an app has one address for all its shops
        found = self._message(account, said.get("data"))
        return Reading((found,) if found else ())

    def _message(self, account: Account, data: Any) -> Item | None:
        thread, id_, kind, role, sender = (
            malls.text(loose.at(data, *path))
            for path in (("conversation_id",), ("message_id",), ("type",), ("sender", "role"), ("sender", "im_user_id"))
        )
        is_unsaid = kind in UNSAID or kind.startswith("BUYER_ENTER") or loose.at(data, "is_visible") is False
        if not thread or not id_ or is_unsaid or role not in ("BUYER", *CONSOLE):
            return None
        said = loose.decoded(malls.text(loose.at(data, "content"), malls.MAX_TEXT).encode("utf-8", "replace"))
        order, product, url = (loose.at(said, name) for name in ("order_id", "product_id", "url"))
        files = malls.files([url], kind.lower(), FILES[kind]) if kind in FILES else ()
        words = malls.text(loose.at(said, "content"), malls.MAX_TEXT)
        asked_at = malls.epoch(loose.at(data, "create_time"))
        return malls.item(
            account,
            id_,
            Thread(external=thread),
            Identity(
                scope=f"tiktok:{account.setting('shop_id')}", kind="external", value=self._buyer(role, sender, thread)
            ),
            words or ("" if files else " ".join(filter(None, (f"[{kind}]", malls.text(order), malls.text(product))))),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, LATE_S),
            headers=malls.facts(index=loose.at(data, "index")),
            attributes=malls.facts(order=order, product=product),
            files=files,
            author="customer" if role == "BUYER" else "external_console",
        )

    def _buyer(self, role: str, sender: str, thread: str) -> str:
        return sender if role == "BUYER" and sender else thread

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_LENGTH)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message, MAX_LENGTH)
        body = msgspec.json.encode({"type": "TEXT", "content": msgspec.json.encode({"content": words}).decode()})
        return _call(account, _messages(effect.thread.external), now, body)

    def outcome(self, status: int, body: bytes) -> Result:
        """Errors come with status 200 and a code other than 0 as well."""
        said = loose.decoded(body)
        if loose.at(said, "code") == TOKEN_EXPIRED:
            return malls.outcome(401, said)
        if status < 300 and loose.at(said, "code") != 0:
            return Result("rejected" if isinstance(said, dict) else "uncertain", detail=malls.why(said) or str(status))
        return malls.outcome(status, said, (malls.text(loose.at(said, "data", "message_id")),))

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (_page(account, "", now),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        data = loose.fields(said, "data")
        if status != 200 or said.get("code") != 0:
            is_stale = status == 401 or said.get("code") == TOKEN_EXPIRED
            return Found(fault=f"{status} {malls.why(said)}", stale=is_stale)
        thread = _thread(call)
        rows = malls.rows(data.get("messages" if thread else "conversations"))
        news = [row for row in rows if _is_in(span, row if thread else row.get("latest_message"))]
        token = malls.text(data.get("next_page_token"), 1_000)
        following = (_page(account, thread, now, token),) if token and news and news[-1] is rows[-1] else ()
        if not thread:
            calls = [_page(account, name, now) for row in news if (name := malls.text(row.get("id")))]
            return Found(more=(*calls, *following))
        named = [{**row, "conversation_id": thread, "message_id": row.get("id")} for row in news]
        # Of what the shop has said itself it is not told whether it was said here.
        buyers = [row for row in named if loose.at(row, "sender", "role") == "BUYER"]
        items = tuple(item for row in buyers if (item := self._message(account, row)) is not None)
        return Found(items=items, more=following)

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        asked = {
            "app_key": account.setting("app_key"),
            "app_secret": account.secrets["app_secret"],
            "refresh_token": oauth.refresh_token(account, kept),
            "grant_type": "refresh_token",
        }
        return Call(method="GET", url=f"{account.setting('auth_url', AUTH)}/api/v2/token/refresh?{urlencode(asked)}")

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        said = loose.decoded(body)
        data = loose.at(said, "data")
        expires = malls.epoch(loose.at(data, "access_token_expire_in"))
        expires = expires + now if expires is not None and expires < now / 2 else expires  # a moment, once a span
        return malls.token(status, data, now, expires, account) if data else malls.no_token(status, said)


def _messages(thread: str) -> str:
    return f"conversations/{quote(thread, safe='')}/messages"


def _thread(call: Call) -> str:
    """The conversation whose messages were asked for; "" for the list of conversations."""
    path = urlsplit(call.url).path.split("/")
    return unquote(path[-2]) if path[-1] == "messages" else ""


def _page(account: Account, thread: str, now: float, token: str = "") -> Call:
    more = {"page_size": str(MESSAGES if thread else CONVERSATIONS), **({"page_token": token} if token else {})}
    return _call(account, _messages(thread) if thread else "conversations", now, None, more)


def _is_in(span: Span, said: Any) -> bool:
    at = malls.epoch(loose.at(said, "create_time"))
    return at is not None and at >= span.start


def _call(account: Account, place: str, now: float, body: bytes | None, more: Mapping[str, str] | None = None) -> Call:
    """A signed request: a POST where there is a body."""
    path = f"/customer_service/{account.setting('api_version', '202309')}/{place}"
    params = {"app_key": account.setting("app_key"), "timestamp": str(int(now)), **(more or {})}
    if account.setting("shop_cipher"):
        params["shop_cipher"] = account.setting("shop_cipher")
    params["sign"] = signatures.tiktok_shop_request(account.secrets["app_secret"], path, params, body or b"")
    return Call(
        method="GET" if body is None else "POST",
        url=f"{account.setting('api_url', API)}{path}?{urlencode(params)}",
        body=body,
        headers={"content-type": "application/json", "x-tts-access-token": account.token},
    )

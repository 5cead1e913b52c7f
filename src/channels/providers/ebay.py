"""eBay: messages between members by the Notification API, answers by the Message API.

In: {"metadata": {"topic"}, "notification": {"notificationId", "data": {"conversationId", "conversationType", "messageId",
"messageBody", "senderUserName", "recipientUserName", "createdDate", "subject", "messageMedia": [{"mediaName",
"mediaType", "mediaUrl"}]}}} (developer.ebay.com, notification events). What a seller wrote elsewhere comes as well.
Signed with a key of eBay's that is asked for by its name; the address is first asked for by GET. Out: POST send_message.
What there was: GET conversation, and of each with news GET conversation/{id}, both the newest first; there the names are
written senderUsername and recipientUsername.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from channels import loose, malls, signatures
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
from channels.elsewhere import following
from router.effects import AnyEffect
from router.model import Elsewhere, Identity, Kind, ReplyPolicy, Thread

API = "https://api.ebay.com"
TOPICS = ("NEW_MESSAGE", "BUYER_QUESTION")
MEDIA = {"IMAGE": "image/jpeg", "PDF": "application/pdf", "DOC": "application/msword", "TXT": "text/plain"}
MAX_LENGTH = 2000
LATE_S = 24 * 3600.0
PAGE = 50
CONVERSATIONS = "/commerce/message/v1/conversation"


class Ebay(malls.AtAddress):
    name = "ebay"
    about = About(
        title="eBay messages",
        family="mall",
        receives="messages of buyers, files; the shop's own answers",
        sends="texts",
        media="in",
        made_good="messages",
        policy="2,000 characters, within 24 h",
        evidence="vendor's library",
        verified_against="signature and challenge: eBay's own SDK; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("social", "email")
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("username", "client_id")
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token", "verification_token")
    span_s = 72 * 3600.0  # whether a conversation with news is within a time cannot be asked

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        asked = webhook.query.get("challenge_code", "")
        if not asked or len(asked) > 200:
            return HookReply(403, "no challenge")
        answer = signatures.ebay_challenge(asked, account.secrets["verification_token"], account.hook_url)
        return HookReply(200, msgspec.json.encode({"challengeResponse": answer}).decode(), "application/json")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        header = webhook.headers.get("x-ebay-signature", "")
        key = account.keys.get(signatures.ebay_key_id(header) or "")
        return key is not None and signatures.ebay(header, webhook.body, key)

    def key_name(self, account: Account, webhook: Webhook) -> str | None:
        name = signatures.ebay_key_id(webhook.headers.get("x-ebay-signature", ""))
        return name if name and name.replace("-", "").isalnum() and name.isascii() else None

    def ask_key(self, account: Account, name: str) -> Call:
        url = f"{account.setting('api_url', API)}/commerce/notification/v1/public_key/{name}"
        return Call(method="GET", url=url, headers=malls.bearer(account))

    def key(self, status: int, body: bytes) -> str | None:
        return malls.text(loose.at(loose.decoded(body), "key"), 2_000) or None if status == 200 else None

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        if not isinstance(said, dict):
            return Reading(reply=HookReply(422, "not a notification"))
        if loose.at(said, "metadata", "topic") not in TOPICS:
            return Reading()
        found = self._message(account, loose.at(said, "notification", "data"))
        return Reading((found,) if found else ())

    def _message(self, account: Account, data: Any) -> Item | None:
        thread, id_, sender, recipient = (
            malls.text(loose.at(data, name))
            for name in ("conversationId", "messageId", "senderUserName", "recipientUserName")
        )
        if not thread or not id_ or not sender or loose.at(data, "conversationType") == "FROM_EBAY":
            return None
        ours = sender.lower() == account.setting("username").lower()
        asked_at = malls.time(loose.at(data, "createdDate"))
        media = malls.rows(loose.at(data, "messageMedia"))
        return malls.item(
            account,
            id_,
            Thread(external=thread),
            Identity(scope="ebay", kind="external", value=(recipient if ours else sender) or thread),
            malls.text(loose.at(data, "messageBody"), malls.MAX_TEXT),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, LATE_S),
            subject=malls.text(loose.at(data, "subject")),
            files=tuple(
                Elsewhere(
                    ref=str(row["mediaUrl"]),
                    name=malls.text(row.get("mediaName"), malls.MAX_NAME) or "file",
                    media_type=MEDIA.get(malls.text(row.get("mediaType")), "application/octet-stream"),
                )
                for row in media[:5]
                if malls.is_address(row.get("mediaUrl"))
            ),
            author="external_console" if ours else "customer",
        )

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_LENGTH)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message, MAX_LENGTH)
        url = f"{account.setting('api_url', API)}/commerce/message/v1/send_message"
        said = {"conversationId": effect.thread.external, "messageText": words}
        return malls.post(url, said, malls.bearer(account))

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.decoded(body)
        return malls.outcome(status, said, (malls.text(loose.at(said, "messageId")),))

    def check(self, account: Account, now: float) -> Call:
        return _listed(account, "", limit="1")

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (_listed(account, ""),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.record_of(body)
        if urlsplit(call.url).path.endswith(CONVERSATIONS):
            return self._conversations(account, call, span, status, said)
        messages = malls.rows(said.get("messages"))
        if status != 200 or not isinstance(said.get("messages"), list):
            return Found(fault=f"{status} {malls.why(said)}", stale=status == 401)
        thread = urlsplit(call.url).path.rpartition("/")[2]
        renamed = [
            {
                **one,
                "conversationId": thread,
                "senderUserName": one.get("senderUsername"),
                "recipientUserName": one.get("recipientUsername"),
            }
            for one in messages
            if _is_in(span, one)
        ]
        items = tuple(item for one in renamed if (item := self._customers(account, one)) is not None)
        return Found(items=items, more=_next(call, said) if messages and _is_in(span, messages[-1]) else ())

    def _conversations(self, account: Account, call: Call, span: Span, status: int, said: dict[str, Any]) -> Found:
        """Those with news; and the next page, as long as there are any on this one."""
        if status != 200 or not isinstance(said.get("conversations"), list):
            return Found(fault=f"{status} {malls.why(said)}", stale=status == 401)
        rows = malls.rows(said["conversations"])
        news = [row for row in rows if _is_in(span, row.get("latestMessage"))]
        calls = [_listed(account, name) for row in news if (name := malls.text(row.get("conversationId")))]
        return Found(more=(*calls, *(_next(call, said) if news else ())))

    def _customers(self, account: Account, data: dict[str, Any]) -> Item | None:
        """Of what the shop has said itself it is not told whether it was said here."""
        ours = malls.text(data.get("senderUserName")).lower() == account.setting("username").lower()
        return None if ours else self._message(account, data)

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        return Call(
            url=f"{account.setting('api_url', API)}/identity/v1/oauth2/token",
            form=(("grant_type", "refresh_token"), ("refresh_token", account.secrets["refresh_token"])),
            basic=(account.setting("client_id"), account.secrets["client_secret"]),
        )

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return malls.token(status, loose.decoded(body), now)


def _listed(account: Account, conversation: str, limit: str = str(PAGE)) -> Call:
    """The newest conversations with members, or the newest messages of one."""
    place = f"{CONVERSATIONS}/{quote(conversation, safe='')}" if conversation else CONVERSATIONS
    asked = urlencode({"conversation_type": "FROM_MEMBERS", "limit": limit})
    url = f"{account.setting('api_url', API)}{place}?{asked}"
    return Call(method="GET", url=url, headers=malls.bearer(account))


def _next(call: Call, said: dict[str, Any]) -> tuple[Call, ...]:
    return following(call, malls.text(said.get("next"), 2_000))


def _is_in(span: Span, said: Any) -> bool:
    at = malls.time(loose.at(said, "createdDate"))
    return at is not None and at >= span.start

"""eBay: messages between members by the Notification API, answers by the Message API.

In: {"metadata": {"topic"}, "notification": {"notificationId", "data": {"conversationId", "conversationType", "messageId",
"messageBody", "senderUserName", "recipientUserName", "createdDate", "subject", "messageMedia": [{"mediaName",
"mediaType", "mediaUrl"}]}}} (developer.ebay.com, notification events). What a seller wrote elsewhere comes as well.
Signed with a key of eBay's that is asked for by its name; the address is first asked for by GET. Out: POST send_message.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from channels import loose, malls, signatures
from channels.base import (
    About,
    Account,
    Call,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Token,
    Transport,
    Webhook,
)
from router.effects import AnyEffect
from router.model import Elsewhere, Identity, Kind, ReplyPolicy, Thread

API = "https://api.ebay.com"
TOPICS = ("NEW_MESSAGE", "BUYER_QUESTION")
MEDIA = {"IMAGE": "image/jpeg", "PDF": "application/pdf", "DOC": "application/msword", "TXT": "text/plain"}
MAX_LENGTH = 2000
LATE_S = 24 * 3600.0


class Ebay(malls.AtAddress):
    name = "ebay"
    about = About(
        title="eBay messages",
        family="mall",
        receives="messages of buyers, files; the shop's own answers",
        sends="texts",
        media="in",
        policy="2,000 characters, within 24 h",
        evidence="vendor's library",
        verified_against="signature and challenge: eBay's own SDK; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("social", "email")
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("username", "client_id")
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token", "verification_token")

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
        url = (
            f"{account.setting('api_url', API)}/commerce/message/v1/conversation?conversation_type=FROM_MEMBERS&limit=1"
        )
        return Call(method="GET", url=url, headers=malls.bearer(account))

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

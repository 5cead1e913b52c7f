"""Twitch: the chat of a channel by EventSub webhooks (dev.twitch.tv/docs/eventsub, channel.chat.message).

Signature: `sha256=` + hex HMAC-SHA256(secret, message id + timestamp + raw body), ten minutes of tolerance. A comment
that comes twice has the same `message_id`. Answers: POST /helix/chat/messages, in reply to the comment.
"""

from collections.abc import Mapping

import msgspec

from channels import broadcasts, loose, oauth, signatures
from channels.base import (
    About,
    Account,
    Call,
    Comment,
    HookReply,
    Look,
    Outgoing,
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

API, TOKENS = "https://api.twitch.tv/helix", "https://id.twitch.tv/oauth2/token"
WINDOW_S = 600.0
MAX_ANSWER = 500
STAFF = ("broadcaster", "moderator", "lead_moderator", "staff")
PREFIX = "twitch-eventsub-message-"


class Twitch:
    name = "twitch"
    about = About(
        title="Twitch live chat",
        family="live",
        receives="comments, cheers",
        sends="public replies",
        receipts="-",
        policy="public, 500 characters",
        evidence="documents",
        verified_against="documented payloads, a signature vector made by Twitch's documented rule",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("client_id", "sender_id")
    required_secrets: tuple[str, ...] = ("client_secret", "webhook_secret")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        id_ = webhook.headers.get(PREFIX + "id", "")
        stamp = webhook.headers.get(PREFIX + "timestamp", "")
        given = webhook.headers.get(PREFIX + "signature", "")
        if not id_ or abs(webhook.t - broadcasts.seconds(stamp, 0.0)) > WINDOW_S:
            return False
        secrets = account.secrets["webhook_secret"].split()
        return any(signatures.same(signatures.twitch(one, id_, stamp, webhook.body), given) for one in secrets)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.record_of(webhook.body)
        if not said:
            return Reading(reply=HookReply(422, "not an event"))
        if webhook.headers.get(PREFIX + "type") == "webhook_callback_verification":
            return Reading(reply=HookReply(200, broadcasts.text_at(said, "challenge")[:2000]))
        if loose.fields(said, "subscription").get("type") != "channel.chat.message":
            return Reading(reply=HookReply(204))
        at = broadcasts.seconds(webhook.headers.get(PREFIX + "timestamp"), webhook.t)
        found = _comment(account, loose.fields(said, "event"), at)
        return Reading(reply=HookReply(204), comments=() if found is None else (found,))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_ANSWER, public=True)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = broadcasts.answer(effect, message, MAX_ANSWER, to_name=False)
        room = broadcasts.room_of(deliver)
        if not room:
            raise Unsendable("this is no comment of a live chat")
        body = {"broadcaster_id": room, "sender_id": account.setting("sender_id"), "message": text}
        parent = message.last_headers.get("comment") if message else None
        if parent:
            body["reply_parent_message_id"] = parent
        headers = {
            "authorization": f"Bearer {account.token}",
            "client-id": account.setting("client_id"),
            "content-type": "application/json",
        }
        url = account.setting("api_url", API).rstrip("/") + "/chat/messages"
        return Call(url=url, headers=headers, body=msgspec.json.encode(body))

    def outcome(self, status: int, body: bytes) -> Result:
        """`is_sent` false is a refusal inside 200 (AutoMod, the channel's settings, a ban)."""
        said = loose.record_of(body)
        if status == 401:
            return Result("retry", detail=f"401 {oauth.words(said)}", after_s=1)
        if not 200 <= status < 300:
            return by_status(status, oauth.words(said))
        sent = next(iter(broadcasts.rows(said.get("data"))), {})
        id_ = broadcasts.text_at(sent, "message_id")
        if sent.get("is_sent") is True and id_:
            return Result("accepted", (id_,))
        if sent.get("is_sent") is False:
            why = loose.fields(sent, "drop_reason")
            return Result("rejected", detail=oauth.words(why)[:500] or "Twitch dropped it without a reason")
        return Result("uncertain", detail=f"{status} without a word of what became of it")

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        """A user's token where there is a refresh token, else the application's own."""
        url = account.setting("token_url", TOKENS)
        if account.secrets.get("refresh_token"):
            return oauth.renew(url, account, kept)
        return Call(
            url=url,
            form=(
                ("grant_type", "client_credentials"),
                ("client_id", account.setting("client_id")),
                ("client_secret", account.secrets["client_secret"]),
            ),
        )

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.renewed(account, kept, status, body, now)


def _comment(account: Account, event: dict[str, object], at: float) -> Comment | None:
    """Of a chat that is shared with other channels only what was said in this one: the others have agents of their own."""
    room, id_ = broadcasts.text_at(event, "broadcaster_user_id"), broadcasts.text_at(event, "message_id")
    author = broadcasts.text_at(event, "chatter_user_id")
    if not room or not id_ or not author or event.get("source_broadcaster_user_id") not in (None, "", room):
        return None
    badges = {broadcasts.text_at(badge, "set_id") for badge in broadcasts.rows(event.get("badges"))}
    return broadcasts.comment(
        scope="twitch",
        room=room,
        id_=id_,
        author=author,
        name=broadcasts.text_at(event, "chatter_user_name"),
        text=broadcasts.text_at(loose.fields(event, "message"), "text"),
        at=at,
        value=broadcasts.number(loose.fields(event, "cheer").get("bits")),
        is_staff=bool(badges & set(STAFF)) or author in (room, account.setting("sender_id")),
    )

"""Direct messages on X that are not encrypted (docs.x.com: Account Activity, X Activity, Direct Messages).

X asks by GET for a token signed with the consumer secret, and signs every POST with it; no time is signed. Events name the
account they are about (`for_user_id`, in X Activity `filter.user_id`). What the account itself has said comes too: what
our own app sent is known by its id. Read marks say "all until then". X Chat (`chat.received`) is encrypted from end to
end and cannot be read. Requests are signed by OAuth 1.0a, or carry an OAuth 2.0 token where there is one.
"""

import hashlib
import re
from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose, oauth
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
    Transport,
    Webhook,
    by_status,
)
from channels.saying import said
from channels.signatures import same, x, x_crc
from router.effects import AnyEffect
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Kind, Part, ReplyPolicy, Text, Thread

API = "https://api.x.com"
MAX_TEXT = 10_000
LATER_S = 60.0


PLAIN = re.compile(r"[A-Za-z0-9+/=_.-]{1,400}")


class XMessages:
    name = "x_messages"
    about = About(
        title="X (Twitter), direct messages that are not encrypted",
        family="messages",
        receives="texts, links to media, echoes",
        sends="texts",
        receipts="read",
        policy="10,000 characters",
        evidence="published vectors",
        verified_against="published OAuth 1.0a vectors, a third party's vector of the challenge, and documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("user_id",)
    required_secrets: tuple[str, ...] = oauth.OAUTH1

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("x-twitter-webhooks-signature", "")
        return any(same(x(secret, webhook.body), given) for secret in account.secrets["consumer_secret"].split())

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        token = webhook.query.get("crc_token", "")
        if not PLAIN.fullmatch(
            token
        ):  # our answer is a signature by the same secret: nothing that could be a body gets one
            return HookReply(403, "no crc_token")
        answer = {"response_token": x_crc(account.secrets["consumer_secret"].split()[0], token)}
        return HookReply(200, msgspec.json.encode(answer).decode(), "application/json")

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        told = loose.decoded(webhook.body)
        about = loose.text(told, "for_user_id") or loose.text(told, "data", "filter", "user_id")
        activity = loose.fields(told, "data", "payload") or loose.fields(told)
        if about != account.setting("user_id"):
            return Reading()
        items: list[Item] = []
        for event in loose.many(activity, "direct_message_events"):
            items += _message(account, webhook, event, loose.fields(activity, "users"))
        for event in loose.many(activity, "direct_message_mark_read_events"):
            items += _read_mark(account, event)
        return Reading(tuple(items))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, _, text = said(effect, message, "X", MAX_TEXT)
        url = f"{account.setting('api_url', API).rstrip('/')}/2/dm_conversations/with"
        url += f"/{quote(deliver.identity.value, safe='')}/messages"
        nonce = hashlib.sha256(f"{deliver.key} {now}".encode()).hexdigest()[:32]
        token = account.secrets.get("oauth2_token")
        signed = {name: account.secrets[name].split()[0] for name in oauth.OAUTH1}
        proof = f"Bearer {token}" if token else oauth.authorization(signed, "POST", url, nonce, now)
        headers = {"authorization": proof, "content-type": "application/json"}
        return Call(url=url, headers=headers, body=msgspec.json.encode({"text": text}))

    def outcome(self, status: int, body: bytes) -> Result:
        told = loose.decoded(body)
        sent = loose.key(told, "data", "dm_event_id")
        if 200 <= status < 300:
            lacking = loose.text(told, "errors", 0, "message", most=300) or "no dm_event_id"
            return Result("accepted", (sent,)) if sent else Result("uncertain", detail=lacking)
        words = loose.text(told, "detail", most=300) or loose.text(told, "errors", 0, "message", most=300)
        if status == 429:
            return Result("retry", detail=f"429 {words}".strip(), after_s=LATER_S)
        return by_status(status, words or loose.text(told, "title", most=200))


def _message(account: Account, webhook: Webhook, event: Any, users: dict[str, Any]) -> list[Item]:
    ours = account.setting("user_id")
    id_, made = loose.key(event, "id"), loose.fields(event, "message_create")
    sender, recipient = loose.key(made, "sender_id"), loose.key(made, "target", "recipient_id")
    is_echo = sender == ours
    customer = recipient if is_echo else sender
    by_our_app = is_echo and loose.text(made, "source_app_id") == (account.setting("app_id") or "-")
    parts = _parts(loose.fields(made, "message_data"))
    if loose.text(event, "type") != "message_create" or not id_ or not customer or customer == ours or by_our_app:
        return []
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=customer),
        identity=Identity(scope="x", kind="external", value=customer, name=_name(users.get(customer))),
        dedupe_key=id_,
        occurred_at=loose.moment(event, "created_timestamp", per_s=1000, now=webhook.t),
        to=ours,
        author="external_console" if is_echo else "customer",
    )
    return [Item(id_, body, Content(parts=parts, headers={"message": id_}))]


def _name(user: Any) -> str | None:
    handle, called = loose.text(user, "screen_name", most=50), loose.text(user, "name", most=140)
    return f"{called} (@{handle})" if called and handle else called or handle or None


def _parts(data: dict[str, Any]) -> tuple[Part, ...]:
    """The words, and a link where media hang on them: they lie behind X's own log-in."""
    words = loose.text(data, "text")
    media = loose.fields(data, "attachment", "media")
    link = loose.text(media, "media_url_https", most=2000) or loose.text(media, "expanded_url", most=2000)
    hung = f"[{loose.text(media, 'type', most=40) or 'media'}] {link}".rstrip() if media else ""
    return (Text(text="\n".join(filter(None, (words, hung)))),)


def _read_mark(account: Account, event: Any) -> list[Item]:
    reader, at = loose.key(event, "sender_id"), loose.number(event, "created_timestamp")
    if not reader or reader == account.setting("user_id") or not at:
        return []
    body = ReceiveReceipt(channel=account.channel, thread=Thread(external=reader), up_to=at / 1000, status="read")
    return [Item(f"{reader}:{at:.0f}:read", body)]

"""Direct messages on X that are not encrypted (docs.x.com: Account Activity, X Activity, Direct Messages).

X asks by GET for a token signed with the consumer secret, and signs every POST with it; no time is signed. Events name the
account they are about (`for_user_id`, in X Activity `filter.user_id`). What the account itself has said comes too: what
our own app sent is known by its id. Read marks say "all until then". X Chat (`chat.received`) is encrypted from end to
end and cannot be read. Requests are signed by OAuth 1.0a, or carry an OAuth 2.0 token where there is one.
Events of 30 days are listed (GET /2/dm_events, newest first, 15 requests in 15 minutes); reading them costs money.
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
    Found,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
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
        made_good="messages (where the owner wants it)",
        evidence="published vectors",
        verified_against="published OAuth 1.0a vectors, a third party's vector of the challenge, and documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("user_id",)
    required_secrets: tuple[str, ...] = oauth.OAUTH1
    span_s = 72 * 3600.0  # a list cannot be asked for up to a time

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
        headers = {"authorization": _proof(account, "POST", url, deliver.key, now), "content-type": "application/json"}
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

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (_events(account, now),) if account.setting("reconcile") == "yes" else ()

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        told = loose.record_of(body)
        if status != 200 or "meta" not in told:
            return Found(
                fault=f"{status} {loose.text(told, 'detail', most=300) or loose.text(told, 'title', most=200)}"
            )
        people = {loose.key(user, "id"): user for user in loose.objects(told, "includes", "users")}
        events = loose.objects(told, "data")
        items = [item for event in events for item in _event(account, event, people, span)]
        oldest = min((at for event in events if (at := loose.time(event, "created_at")) is not None), default=0.0)
        token = loose.text(told, "meta", "next_token", most=500)
        is_over = oldest < span.start or not PLAIN.fullmatch(token)
        return Found(items=tuple(items), more=() if is_over else (_events(account, now, token),))


def _proof(account: Account, method: str, url: str, of: str, now: float) -> str:
    token = account.secrets.get("oauth2_token")
    signed = {name: account.secrets[name].split()[0] for name in oauth.OAUTH1}
    nonce = hashlib.sha256(f"{of} {now}".encode()).hexdigest()[:32]
    return f"Bearer {token}" if token else oauth.authorization(signed, method, url, nonce, now)


def _events(account: Account, now: float, token: str = "") -> Call:
    """A page of direct messages, with the names of those who wrote."""
    asked = {
        "dm_event.fields": "id,text,event_type,created_at,sender_id,dm_conversation_id,attachments",
        "event_types": "MessageCreate",
        "expansions": "sender_id",
        "max_results": "100",
        "user.fields": "name,username",
        **({"pagination_token": token} if token else {}),
    }
    url = f"{account.setting('api_url', API).rstrip('/')}/2/dm_events?{oauth.query(asked.items())}"
    return Call(method="GET", url=url, headers={"authorization": _proof(account, "GET", url, token, now)})


def _event(account: Account, said: dict[str, Any], people: dict[str, Any], span: Span) -> list[Item]:
    """What a customer wrote to the account alone. Of what the account said it is not told which program said it."""
    ours, sender, id_ = account.setting("user_id"), loose.key(said, "sender_id"), loose.key(said, "id")
    at = loose.time(said, "created_at")
    is_between_two = set(loose.text(said, "dm_conversation_id").split("-")) == {ours, sender}
    if not id_ or sender in ("", ours) or not is_between_two or at is None or not span.start <= at <= span.end:
        return []
    user = people.get(sender)
    name = _called(loose.text(user, "username", most=50), loose.text(user, "name", most=140))
    hung = "[media, to be seen on X]" if loose.fields(said, "attachments") else ""
    parts = (Text(text="\n".join(filter(None, (loose.text(said, "text"), hung)))),)
    return [_item(account, id_, sender, name, parts, at)]


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
    at = loose.moment(event, "created_timestamp", per_s=1000, now=webhook.t)
    user = users.get(customer)
    name = _called(loose.text(user, "screen_name", most=50), loose.text(user, "name", most=140))
    return [_item(account, id_, customer, name, parts, at, is_echo)]


def _item(
    account: Account, id_: str, customer: str, name: str | None, parts: tuple[Part, ...], at: float, echo: bool = False
) -> Item:
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=customer),
        identity=Identity(scope="x", kind="external", value=customer, name=name),
        dedupe_key=id_,
        occurred_at=at,
        to=account.setting("user_id"),
        author="external_console" if echo else "customer",
    )
    return Item(id_, body, Content(parts=parts, headers={"message": id_}))


def _called(handle: str, called: str) -> str | None:
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

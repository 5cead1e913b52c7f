"""Slack as a bridge: messages to our app and in channels it was invited to (docs.slack.dev, Events API, Web API).

Signature: v0 over timestamp and raw body, within five minutes; `url_verification` is answered with its challenge. A
conversation is a direct message, or a thread in a channel. A message is named by channel and `ts`, which edits and
deletions name again and Slack's repetitions (X-Slack-Retry-Num) repeat. What bots say, we among them, is left out. In
Slack's texts & < > are written as entities. Errors come in HTTP 200.
"""

from html import escape, unescape
from typing import Any

import msgspec

from channels import loose
from channels.base import (
    REPLAY_WINDOW_S,
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
from channels.signatures import same, slack
from router.effects import AnyEffect
from router.inputs import ReceiveMessage, ReviseMessage
from router.model import Content, Elsewhere, Identity, Kind, Part, ReplyPolicy, Text, Thread

API = "https://slack.com/api"
MAX_TEXT = 12_000
SAID = ("", "file_share", "thread_broadcast", "me_message")
LATER = ("ratelimited", "rate_limited", "service_unavailable", "team_added_to_org")
UNKNOWN = ("fatal_error", "internal_error", "request_timeout")


class Slack:
    name = "slack"
    about = About(
        title="Slack",
        family="messages",
        receives="texts, files, edits, deletions",
        sends="texts",
        media="in",
        policy="12,000 characters",
        evidence="published vectors",
        verified_against="Slack's published signature example and its own library's verifier",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ("signing_secret", "bot_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        at, given = webhook.headers.get("x-slack-request-timestamp", ""), webhook.headers.get("x-slack-signature", "")
        if not at.isascii() or not at.isdigit() or len(at) > 12 or abs(webhook.t - int(at)) > REPLAY_WINDOW_S:
            return False
        return any(same(slack(secret, at, webhook.body), given) for secret in account.secrets["signing_secret"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        told = loose.decoded(webhook.body)
        if loose.text(told, "type") == "url_verification":
            return Reading(reply=HookReply(200, loose.text(told, "challenge", most=400)))
        team, event = loose.key(told, "team_id"), loose.fields(told, "event")
        ours = account.setting("team_id")
        if loose.text(event, "type") != "message" or (ours and team != ours):
            return Reading()
        subtype = loose.text(event, "subtype", most=60)
        if subtype in ("message_changed", "message_deleted"):
            return Reading(_revised(account, event, loose.key(told, "event_id")))
        return Reading(_received(account, webhook, team, event) if subtype in SAID else ())

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, outgoing, text = said(effect, message, "Slack", MAX_TEXT)
        channel, _, thread = deliver.thread.external.partition(":")
        thread = thread or outgoing.last_headers.get("thread", "")
        body = {"channel": channel, "text": escape(text, quote=False), **({"thread_ts": thread} if thread else {})}
        headers = {"content-type": "application/json; charset=utf-8", "authorization": _bearer(account)}
        return Call(url=f"{API}/chat.postMessage", headers=headers, body=msgspec.json.encode(body))

    def outcome(self, status: int, body: bytes) -> Result:
        told = loose.decoded(body)
        if 200 <= status < 300 and loose.at(told, "ok") is True:
            return Result("accepted", (f"{loose.key(told, 'channel')}:{loose.text(told, 'ts', most=40)}",))
        fault = loose.text(told, "error", most=200)
        if status == 429 or fault in LATER:
            return Result("retry", detail=fault or "429", after_s=30)
        if fault in UNKNOWN or not fault:
            return Result("uncertain", detail=fault or f"{status}") if status < 300 else by_status(status, fault)
        return Result("rejected", detail=fault)

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref, headers={"authorization": _bearer(account)})

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        """Without the right to files Slack answers with its log-in page, or leads there."""
        if status < 400 and media_type == "text/html" and b"<!DOCTYPE html>" in body[:200]:
            return Result("rejected", detail="Slack wants the app to have files:read")
        return arrived(status, media_type, body, "Slack", 30)


def _bearer(account: Account) -> str:
    return f"Bearer {account.secrets['bot_token']}"


def _received(account: Account, webhook: Webhook, team: str, event: dict[str, Any]) -> tuple[Item, ...]:
    channel, ts, user = loose.key(event, "channel"), loose.text(event, "ts", most=40), loose.key(event, "user")
    parts = _parts(event)
    if not channel or not ts or not user or not parts or loose.text(event, "bot_id"):
        return ()
    body = ReceiveMessage(
        channel=account.channel,
        thread=_thread(event, event, channel, ts),
        identity=Identity(scope=f"slack:{team}", kind="external", value=user),
        dedupe_key=f"{channel}:{ts}",
        occurred_at=loose.moment(event, "ts", now=webhook.t),
    )
    return (Item(body.dedupe_key, body, Content(parts=parts, headers=_headers(event))),)


def _headers(message: dict[str, Any]) -> dict[str, str]:
    thread = loose.text(message, "thread_ts", most=40)
    return {"thread": thread} if thread else {}


def _thread(event: dict[str, Any], message: dict[str, Any], channel: str, ts: str) -> Thread:
    """In a direct message all is one conversation; in a channel each thread is, begun by its first message."""
    if loose.text(event, "channel_type") == "im" or channel.startswith("D"):
        return Thread(external=channel)
    return Thread(external=f"{channel}:{loose.text(message, 'thread_ts', most=40) or ts}", kind="group")


def _revised(account: Account, event: dict[str, Any], event_id: str) -> tuple[Item, ...]:
    """Slack says `changed` also when it has found a preview of a link, with the same words as before."""
    before, after = loose.fields(event, "previous_message"), loose.fields(event, "message")
    is_edit = loose.text(event, "subtype") == "message_changed"
    ts = loose.text(after, "ts", most=40) if is_edit else loose.text(event, "deleted_ts", most=40)
    channel, same_words = loose.key(event, "channel"), loose.text(before, "text") == loose.text(after, "text")
    if not channel or not ts or not event_id or loose.text(before or after, "bot_id") or (is_edit and same_words):
        return ()
    body = ReviseMessage(
        channel=account.channel,
        thread=_thread(event, before or after, channel, ts),
        change="edited" if is_edit else "deleted",
        dedupe_key=f"{channel}:{ts}",
    )
    return (
        Item(
            f"event:{event_id}",
            body,
            Content(parts=_parts(after) if is_edit else (), headers=_headers(before or after)),
        ),
    )


def _parts(message: dict[str, Any]) -> tuple[Part, ...]:
    """Words and files. Our token goes with the request for a file, so only Slack's own are fetched."""
    words = unescape(loose.text(message, "text"))
    parts: list[Part] = [Text(text=words)] if words else []
    for file in loose.many(message, "files")[:20]:
        link = loose.text(file, "url_private_download", most=2000) or loose.text(file, "url_private", most=2000)
        name = loose.text(file, "name", most=loose.MAX_NAME) or "file"
        media_type = loose.text(file, "mimetype", most=100) or "application/octet-stream"
        parts.append(
            Elsewhere(ref=link, name=name, media_type=media_type)
            if leads_to(link, "files.slack.com")
            else Text(text=f"[{name}]")
        )
    return tuple(parts)

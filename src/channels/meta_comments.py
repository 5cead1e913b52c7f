"""What comments on Facebook and on Instagram share: signature, handshake, private replies, Meta's errors.

Signature: X-Hub-Signature-256 over the raw body with the app's secret; no time is signed, so a repetition is told apart
by its key (developers.facebook.com, webhooks). Handshake: hub.mode, hub.verify_token, hub.challenge. A private reply is
a message to `recipient.comment_id`: one for each comment, within seven days of it (Messenger platform, private replies).
"""

from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose, signatures
from channels.base import Account, Call, HookReply, Outgoing, Result, Transport, Unsendable, Webhook, by_status
from channels.comments import answer, name_of, words
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

VERSION = "v25.0"
PRIVATE_S = 7 * 86_400.0
TOO_MANY = (4, 17, 32, 613, 80001, 80002, 80006)
"""Meta's codes of rate limits: the app's, the user's, the page's (developers.facebook.com, rate limits)."""
TOO_MANY_S = 60.0


class MetaComments:
    """What its two providers share."""

    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_secrets: tuple[str, ...] = ("app_secret", "verify_token", "access_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("x-hub-signature-256", "")
        secrets = account.secrets["app_secret"].split()
        return any(signatures.same(signatures.meta(one, webhook.body), given) for one in secrets)

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        asked, token = webhook.query, account.secrets["verify_token"]
        if asked.get("hub.mode") == "subscribe" and signatures.same(asked.get("hub.verify_token", ""), token):
            return HookReply(200, asked.get("hub.challenge", "")[:500])
        return HookReply(403, "wrong verify_token")

    def outcome(self, status: int, body: bytes) -> Result:
        """The comment's or message's name, or Meta's code and words. An error may come with status 200."""
        said = loose.record_of(body)
        error = loose.fields(said, "error")
        detail = " ".join(filter(None, (words(error, n, 300) for n in ("code", "error_subcode", "message"))))
        if error.get("code") in TOO_MANY:
            return Result("retry", detail=detail, after_s=TOO_MANY_S)
        if error and status < 400:
            return Result("rejected", detail=detail or "an error without words")
        name = name_of(said, "id") or name_of(said, "message_id")
        if 200 <= status < 300 and not name:
            return Result("uncertain", detail=f"{status} without an id")
        return by_status(status, detail, tuple(dict.fromkeys((name, tail(name)))) if name else ())


def is_private(account: Account) -> bool:
    """The setting `reply`: `public` (as it is without it) answers below the comment, `private` by a message."""
    return account.setting("reply", "public") == "private"


def policy(account: Account, longest: int, private: ReplyPolicy, at: float | None) -> ReplyPolicy:
    if not is_private(account):
        return ReplyPolicy(max_length=longest, public=True)
    until = None if at is None else at + PRIVATE_S
    return msgspec.structs.replace(private, style="one_shot", until=until)


def post(account: Account, url: str, path: str, body: dict[str, Any]) -> Call:
    base = account.setting("api_url", url).rstrip("/")
    version = account.setting("graph_version", VERSION)
    return Call(
        url=f"{base}/{quote(version)}/{path}",
        body=msgspec.json.encode(body),
        headers={
            "content-type": "application/json",
            "authorization": f"Bearer {account.secrets['access_token'].split()[0]}",
        },
    )


def write(
    account: Account, effect: AnyEffect, message: Outgoing | None, url: str, edge: str, owner: str, policy: ReplyPolicy
) -> Call:
    """Below the thread's first comment (`edge`: what its answers are called), or to who wrote the last one."""
    deliver, text = answer(effect, message, "a comment", policy.max_length or 0)
    if not is_private(account):
        return post(account, url, f"{quote(deliver.thread.external)}/{edge}", {"message": text})
    comment = message.last_headers.get("comment-id", "") if message else ""
    if not comment:
        raise Unsendable("there is no comment that this could answer in private")
    body = {"recipient": {"comment_id": comment}, "message": {"text": text}}
    return post(account, url, f"{quote(owner)}/messages", body)


def tail(name: str) -> str:
    """A comment's own number: Facebook names it with its post's before it, or alone."""
    return name.rpartition("_")[2] or name

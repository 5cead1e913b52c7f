"""Comments on a company's LinkedIn posts, and posts that mention it: by webhook, answered in its name.

Notifications of type ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS, actions COMMENT, COMMENT_EDIT, COMMENT_DELETE, ADMIN_COMMENT
and SHARE_MENTION; POST /rest/socialActions/{urn}/comments answers (learn.microsoft.com, LinkedIn marketing). A signature
is made of the same secret as the answer to a challenge, over a text that begins with `hmacsha256=`: so a challenge that
is no plain code is not answered, lest somebody have a notification signed by us.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from channels import loose, oauth, signatures
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
    Unsendable,
    Webhook,
    by_status,
)
from channels.comments import JsonObject, Said, answer, children, item, name_of, revised, seconds, words
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

API = "https://api.linkedin.com"
TOKENS = "https://www.linkedin.com/oauth/v2/accessToken"
VERSION = "202607"
LONGEST = 1_250
POLICY = ReplyPolicy(max_length=LONGEST, public=True)
CODE = re.compile(r"[0-9A-Za-z-]{8,100}")
COMMENT = re.compile(r"urn:li:comment:\((?:urn:li:)?([A-Za-z]{1,30}:[0-9]{1,30}),([0-9]{1,30})\)")
"""A comment's name, in its short form or its long one: its post, its number."""


class LinkedInComments:
    name = "linkedin_comments"
    about = About(
        title="LinkedIn page, comments",
        family="comments",
        receives="comments, edits, removals, mentions",
        sends="answers below a comment",
        policy="public, 1,250 characters",
        evidence="published vectors",
        verified_against="LinkedIn's documents; its signature only against two public readers",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("organization", "client_id")
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """The header is the signature alone, or with the prefix that LinkedIn's documents show."""
        given = webhook.headers.get("x-li-signature", "").removeprefix("hmacsha256=")
        secrets = account.secrets["client_secret"].split()
        return any(signatures.same(signatures.linkedin(one, webhook.body), given) for one in secrets)

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        code = webhook.query.get("challengeCode", "")
        if not CODE.fullmatch(code):
            return HookReply(403, "no challenge")
        signed = signatures.linkedin_challenge(account.secrets["client_secret"].split()[0], code)
        body = msgspec.json.encode({"challengeCode": code, "challengeResponse": signed})
        return HookReply(200, body.decode(), "application/json")

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        ours = _organization(account)
        found = [
            _notified(account, one)
            for one in children(loose.record_of(webhook.body), "notifications")
            if words(one, "organizationalEntity") == ours
        ]
        return Reading(tuple(one for one in found if one is not None))

    def policy(self, account: Account) -> ReplyPolicy:
        return POLICY

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        return oauth.renew(account.setting("token_url", TOKENS), account, kept)

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.renewed(account, kept, status, body, now)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        """Below a comment, or below the post that mentions us."""
        deliver, text = answer(effect, message, "a comment", LONGEST)
        thread = deliver.thread.external
        if not thread.startswith("urn:li:"):
            raise Unsendable("this is no thread of LinkedIn's")
        parent = COMMENT.fullmatch(thread)
        body = {
            "actor": _organization(account),
            "object": f"urn:li:{parent[1]}" if parent else thread,
            "message": {"text": text},
            **({"parentComment": thread} if parent else {}),
        }
        headers = {
            "authorization": f"Bearer {account.token}",
            "content-type": "application/json",
            "linkedin-version": account.setting("api_version", VERSION),
            "x-restli-protocol-version": "2.0.0",
        }
        url = f"{account.setting('api_url', API).rstrip('/')}/rest/socialActions/{quote(thread, safe='')}/comments"
        return Call(url=url, body=msgspec.json.encode(body), headers=headers)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.record_of(body)
        if status == 401:
            return Result("retry", detail=f"401 {words(said, 'message', 300)}", after_s=1)
        number = words(said, "id", 100).rpartition(",")[2].rstrip(")") or _number(words(said, "commentUrn"))
        if 200 <= status < 300 and not number:
            return Result("uncertain", detail=f"{status} without an id")
        return by_status(status, words(said, "message", 300), (number,) if number else ())


def _notified(account: Account, said: JsonObject) -> Item | None:
    activity = loose.fields(said, "decoratedGeneratedActivity")
    at = seconds(said.get("lastModifiedAt"))
    action = words(said, "action")
    if action == "SHARE_MENTION":
        share = loose.fields(activity, "share")
        urn = name_of(share, "entity") or name_of(said, "generatedActivity")
        return item(account.channel, _said(account, share, urn, urn, at), POLICY) if urn.startswith("urn:li:") else None
    comment = loose.fields(activity, "comment")
    urn = _long(words(comment, "entity")) or _long(words(said, "generatedActivity"))
    if not urn:
        return None
    answered = _long(words(comment, "parentComment")) or _long(words(comment, "object"))
    found = _said(account, comment, _number(urn), answered or urn, at)
    if action in ("COMMENT", "ADMIN_COMMENT"):
        return item(account.channel, found, POLICY)
    return revised(account.channel, found, action == "COMMENT_DELETE") if action.startswith("COMMENT_") else None


def _said(account: Account, value: JsonObject, id_: str, thread: str, at: float | None) -> Said:
    """People are not named to applications."""
    author = name_of(value, "owner") or name_of(value, "actor")
    return Said(
        id=id_,
        thread=thread,
        author=author,
        text=words(value, "text") or words(loose.fields(value, "message"), "text"),
        scope="linkedin",
        at=at,
        is_own=author == _organization(account),
    )


def _long(urn: str) -> str:
    """A comment's name in its long form; "" for what is none."""
    found = COMMENT.fullmatch(urn)
    return f"urn:li:comment:(urn:li:{found[1]},{found[2]})" if found else ""


def _number(urn: str) -> str:
    found = COMMENT.fullmatch(urn)
    return found[2] if found else ""


def _organization(account: Account) -> str:
    name = account.setting("organization")
    return name if name.startswith("urn:li:") else f"urn:li:organization:{name}"

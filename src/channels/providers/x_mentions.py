"""Public posts on X that mention an account: polled, answered by a public reply.

GET /2/users/{id}/mentions with since_id, page by page from the newest; POST /2/tweets with reply.in_reply_to_tweet_id
(docs.x.com). Signed by OAuth 1.0a with the account's own tokens, which do not expire. Each post that is read costs.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose, oauth
from channels.base import (
    About,
    Account,
    Call,
    File,
    Item,
    Outgoing,
    Page,
    Result,
    by_status,
)
from channels.comments import (
    JsonObject,
    Polled,
    Said,
    answer,
    children,
    fetched,
    item,
    name_of,
    picture,
    seconds,
    words,
)
from router.effects import AnyEffect
from router.model import ReplyPolicy

API = "https://api.x.com"
PICTURES = ".twimg.com"
POLICY = ReplyPolicy(max_length=280, unit="weighted", public=True)
EVERY_S, TOO_MANY_S = 60.0, 900.0
FIRST_S = 86_400.0
"""How far back the first poll looks."""
MAX_PAGES = 8
"""X gives the newest 800 mentions, a hundred at a time."""
FIELDS = (
    ("max_results", "100"),
    ("tweet.fields", "author_id,conversation_id,created_at,attachments"),
    ("expansions", "author_id,attachments.media_keys"),
    ("user.fields", "name,username"),
    ("media.fields", "type,url"),
)


class XMentions(Polled):
    name = "x_mentions"
    about = About(
        title="X, public mentions",
        family="comments",
        receives="posts that mention the account, pictures",
        sends="public replies",
        media="in",
        policy="public, 280 weighted",
        evidence="published vectors",
        verified_against="X's documents, and the OAuth 1.0a signature they publish",
    )
    answers = POLICY
    required_settings: tuple[str, ...] = ("user_id", "consumer_key")
    required_secrets: tuple[str, ...] = ("consumer_secret", "token", "token_secret")

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        since, page = words(dict(cursor), "since", 20), words(dict(cursor), "page", 500)
        begin = ("since_id", since) if since else ("start_time", _rfc3339(now - FIRST_S))
        asked = (*FIELDS, begin, *((("pagination_token", page),) if page else ()))
        url = f"{_api(account)}/2/users/{quote(account.setting('user_id'))}/mentions?{oauth.query(asked)}"
        return oauth.signed(Call(method="GET", url=url), account, "mentions", now)

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        """`newest` is the first page's, and becomes `since` once the last page is in: what failed comes again."""
        if status == 429:
            return Page(cursor=dict(cursor), again_s=TOO_MANY_S)
        said = loose.record_of(body)
        if status >= 300 or not said:
            return Page(fault=_detail(status, said))
        known = dict(cursor)
        items = tuple(_post(account, post, loose.fields(said, "includes")) for post in reversed(children(said, "data")))
        newest = words(known, "newest", 20) or words(loose.fields(said, "meta"), "newest_id", 20)
        following, pages = words(loose.fields(said, "meta"), "next_token", 500), _count(known)
        kept = {"since": newest or words(known, "since", 20)}
        if following and pages < MAX_PAGES:
            kept = {"since": words(known, "since", 20), "newest": newest, "page": following, "pages": str(pages + 1)}
        return Page(
            items=tuple(one for one in items if one is not None),
            cursor={name: value for name, value in kept.items() if value},
            again_s=1.0 if "page" in kept else EVERY_S,
        )

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = answer(effect, message, "a post", 280)
        last = message.last_headers.get("post-id", "") if message else ""
        to = last or deliver.thread.external.partition(":")[0]
        body = msgspec.json.encode({"text": text, "reply": {"in_reply_to_tweet_id": to}})
        call = Call(url=f"{_api(account)}/2/tweets", body=body, headers={"content-type": "application/json"})
        return oauth.signed(call, account, deliver.key, now)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.record_of(body)
        name = name_of(loose.fields(said, "data"), "id")
        if 200 <= status < 300 and not name:
            return Result("uncertain", detail=_detail(status, said))
        return by_status(status, _detail(status, said), (name,) if name else ())

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return fetched(status, media_type, body)


def _post(account: Account, post: JsonObject, includes: JsonObject) -> Item | None:
    """The thread is one author's part of a conversation: below a shop's own post there may be thousands of authors."""
    id_, author = name_of(post, "id"), name_of(post, "author_id")
    if not id_:
        return None
    user = next((one for one in children(includes, "users") if name_of(one, "id") == author), {})
    keys = loose.fields(post, "attachments").get("media_keys")
    wanted = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    media = [
        one for one in children(includes, "media") if one.get("media_key") in wanted and one.get("type") == "photo"
    ]
    said = Said(
        id=id_,
        thread=f"{name_of(post, 'conversation_id') or id_}:{author}",
        author=author,
        name=words(user, "name", 100) + (f" @{words(user, 'username', 50)}" if user.get("username") else ""),
        text=words(post, "text"),
        scope="x",
        at=seconds(post.get("created_at")),
        is_own=author == account.setting("user_id"),
        headers={"post-id": id_},
        media=tuple(part for one in media[:4] for part in picture(words(one, "url", 2_000), PICTURES)),
    )
    return item(account.channel, said, POLICY)


def _count(cursor: JsonObject) -> int:
    pages = words(cursor, "pages", 2)
    return int(pages) if pages.isascii() and pages.isdigit() else 1


def _rfc3339(at: float) -> str:
    return dt.datetime.fromtimestamp(int(at), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _api(account: Account) -> str:
    return account.setting("api_url", API).rstrip("/")


def _detail(status: int, said: JsonObject) -> str:
    first = next(iter(children(said, "errors")), {})
    told = words(said, "detail", 300) or words(first, "message", 300) or words(said, "title", 300)
    return f"{status} {told}".strip()

"""Comments on a YouTube channel's videos: polled, answered below the comment.

commentThreads.list with allThreadsRelatedToChannelId has the newest threads with up to five answers each; what more
there is, comments.list has by parentId; comments.insert answers (developers.google.com/youtube/v3). A list costs 1 unit,
an answer 50, of 10,000 a day: so a poll comes every 2 to 15 minutes, and asks for at most three threads' answers.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from channels import loose, oauth
from channels.base import (
    About,
    Account,
    Call,
    Item,
    Outgoing,
    Page,
    Result,
    Token,
    by_status,
)
from channels.comments import (
    JsonObject,
    Polled,
    Said,
    answer,
    children,
    item,
    name_of,
    revised,
    seconds,
    words,
)
from router.effects import AnyEffect
from router.model import ReplyPolicy

API = "https://www.googleapis.com/youtube/v3"
TOKENS = "https://oauth2.googleapis.com/token"
LONGEST = 10_000
POLICY = ReplyPolicy(max_length=LONGEST, public=True)
SOONEST_S, LATEST_S, NO_UNITS_S = 120.0, 900.0, 1_800.0
OVERLAP_S, FIRST_S = 3_600.0, 86_400.0
THREADS, ASKED, KEPT = 100, 3, 500
NO_UNITS = ("quotaExceeded", "dailyLimitExceeded", "rateLimitExceeded", "userRateLimitExceeded")


class YouTubeComments(Polled):
    name = "youtube_comments"
    about = About(
        title="YouTube, comments",
        family="comments",
        receives="comments, answers, edits, within minutes",
        sends="answers below a comment",
        policy="public",
        evidence="documents",
        verified_against="Google's documents",
    )
    answers = POLICY
    required_settings: tuple[str, ...] = ("channel_id", "client_id")
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token")

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        return oauth.renew(account.setting("token_url", TOKENS), account, kept)

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.renewed(account, kept, status, body, now)

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        """`ask` are threads whose answers are still to be read, `page` is where the threads go on."""
        known = _Cursor(cursor, now)
        asked = {"part": "snippet", "maxResults": str(THREADS), "textFormat": "plainText"}
        if known.ask:
            return _get(account, "comments", {**asked, "parentId": known.ask[0]})
        asked |= {"part": "snippet,replies", "order": "time"}
        asked |= {"allThreadsRelatedToChannelId": account.setting("channel_id")}
        return _get(account, "commentThreads", {**asked, **({"pageToken": known.page} if known.page else {})})

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, known = loose.record_of(body), _Cursor(cursor, now)
        if status == 401:
            return Page(stale=True, fault="the access token was refused")
        if status in (403, 429) and _reason(said) in NO_UNITS:
            return Page(cursor=dict(cursor), again_s=NO_UNITS_S)
        if known.ask and status == 404:  # the thread is gone
            return known.after_answers([])
        if status >= 300 or "items" not in said:
            return Page(fault=_detail(status, said))
        if known.ask:
            found = (_news(account, one, known.ask[0], known.since) for one in children(said, "items"))
            return known.after_answers([one for each in found for one in each])
        return self._threads(account, known, said)

    def _threads(self, account: Account, known: "_Cursor", said: JsonObject) -> Page:
        """Of threads that have more answers than are shown here, and others than before, the rest is asked for."""
        ask: list[str] = []
        news: list[Item] = []
        oldest = known.since
        for thread in children(said, "items"):
            id_, count = name_of(thread, "id"), loose.fields(thread, "snippet").get("totalReplyCount")
            first, shown = (
                loose.fields(thread, "snippet", "topLevelComment"),
                children(loose.fields(thread, "replies"), "comments"),
            )
            for one in (first, *shown):
                news += _news(account, one, id_, known.since)
            oldest = seconds(loose.fields(first, "snippet").get("publishedAt")) or 0.0
            if isinstance(count, int) and not isinstance(count, bool) and 0 < count < 1_000_000 and id_:
                if count > len(shown) and not known.is_first and known.answers.get(id_) != count:
                    ask.append(id_)
                known.answers[id_] = count
        following = words(said, "nextPageToken", 500) if oldest > known.since and not known.is_first else ""
        return known.after_threads(news, ask, following)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = answer(effect, message, "a comment", LONGEST)
        body = {"snippet": {"parentId": deliver.thread.external, "textOriginal": text}}
        headers = {**_bearer(account), "content-type": "application/json"}
        return Call(url=f"{_api(account)}/comments?part=snippet", body=msgspec.json.encode(body), headers=headers)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.record_of(body)
        name = name_of(said, "id")
        if status == 403 and _reason(said) in NO_UNITS:
            return Result("retry", detail=_detail(status, said), after_s=60)
        if status == 401:
            return Result("retry", detail=_detail(status, said), after_s=1)
        if 200 <= status < 300 and not name:
            return Result("uncertain", detail=f"{status} without an id")
        return by_status(status, _detail(status, said), (name,) if name else ())


class _Cursor:
    """`since`: what is older has been read. It moves to `following` once all pages and answers are in."""

    def __init__(self, cursor: Mapping[str, Any], now: float) -> None:
        known, pause_s, ask = dict(cursor), cursor.get("pause_s"), cursor.get("ask")
        self.is_first = not known
        self.since = seconds(known.get("since")) or now - FIRST_S
        self.following = seconds(known.get("following")) or now - OVERLAP_S
        self.answers = {id_: count for id_, count in loose.fields(known, "answers").items() if isinstance(count, int)}
        self.ask = [one for one in ask if isinstance(one, str) and one] if isinstance(ask, list) else []
        self.page = words(known, "page", 500)
        self.pause_s = min(LATEST_S, max(SOONEST_S, pause_s)) if isinstance(pause_s, int | float) else SOONEST_S

    def after_threads(self, news: list[Item], ask: list[str], page: str) -> Page:
        """Newest first they come, oldest first they are taken."""
        self.pause_s = SOONEST_S if news else min(LATEST_S, self.pause_s * 1.5)
        self.ask, self.page = ask[:ASKED], page
        for late in ask[ASKED:]:  # they are asked for next time
            self.answers.pop(late, None)
        return self._page(news[::-1])

    def after_answers(self, news: list[Item]) -> Page:
        self.ask = self.ask[1:]
        return self._page(news)

    def _page(self, news: list[Item]) -> Page:
        answers = dict(list(self.answers.items())[-KEPT:])
        kept: dict[str, Any] = {"since": self.following, "answers": answers, "pause_s": self.pause_s}
        is_over = not self.ask and not self.page
        if not is_over:
            kept |= {"since": self.since, "following": self.following, "ask": self.ask, "page": self.page}
        return Page(items=tuple(news), cursor=kept, again_s=self.pause_s if is_over else 1.0)


def _news(account: Account, comment: JsonObject, thread: str, since: float) -> Iterator[Item]:
    """A comment that is new, or has been edited, since then."""
    id_, said = name_of(comment, "id"), loose.fields(comment, "snippet")
    at, changed = seconds(said.get("publishedAt")), seconds(said.get("updatedAt"))
    if not id_ or at is None:
        return
    author = name_of(loose.fields(said, "authorChannelId"), "value")
    found = Said(
        id=id_,
        thread=thread or id_,
        author=author,
        name=words(said, "authorDisplayName", 200),
        text=words(said, "textOriginal") or words(said, "textDisplay"),
        scope="youtube",
        at=at,
        is_own=author == account.setting("channel_id"),
        headers={"video-id": name_of(said, "videoId")},
    )
    if at >= since:
        yield item(account.channel, found, POLICY)
    if changed is not None and changed > at and changed >= since:
        yield revised(account.channel, found)


def _get(account: Account, resource: str, asked: dict[str, str]) -> Call:
    return Call(method="GET", url=f"{_api(account)}/{resource}?{urlencode(asked)}", headers=_bearer(account))


def _api(account: Account) -> str:
    return account.setting("api_url", API).rstrip("/")


def _bearer(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}"}


def _reason(said: JsonObject) -> str:
    return words(next(iter(children(loose.fields(said, "error"), "errors")), {}), "reason", 100)


def _detail(status: int, said: JsonObject) -> str:
    return f"{status} {_reason(said)} {words(loose.fields(said, 'error'), 'message', 300)}".strip()

"""What the malls and social commerce share: fields and times as they write them, tickets, rounds of asking.

An inquiry at a mall is a ticket: one question, mostly one answer, a clock that scores the seller, and ids of product and
order. Everything here is total: what is missing or of another type is empty.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from channels import loose, oauth, saying
from channels.base import (
    Account,
    Call,
    File,
    HookReply,
    Item,
    Look,
    Outgoing,
    Page,
    Reading,
    Result,
    Token,
    Webhook,
    by_status,
)
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage
from router.model import Content, Elsewhere, Identity, ReplyPolicy, Text, Thread

KST = dt.timezone(dt.timedelta(hours=9))
DAY_S = 86_400.0
MAX_TEXT, MAX_NAME, MAX_KEY, MAX_FACT = 20_000, 200, 400, 1_000
MAX_ROWS = 1_000
MAX_PAGES = 200
MAX_TOLD = 200
LATEST = 32_503_680_000.0
"""The year 3000: what is later is no time."""
BY_LINK = ReplyPolicy(allowed=False, reason="answer-by-link")
"""The provider has no way to answer from outside: the agent opens the link among the contact's attributes."""


# -- reading


def text(value: Any, limit: int = MAX_KEY) -> str:
    """A text, or a number as text (ids come as both); empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return value.strip()[:limit] if isinstance(value, str) else str(value)[:limit]


def rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value[:MAX_ROWS] if isinstance(row, dict)] if isinstance(value, list) else []


def time(value: Any) -> float | None:
    """Seconds since 1970 of an ISO date and time; one without a zone is Korea's (KST)."""
    try:
        read = dt.datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        found = (read if read.tzinfo else read.replace(tzinfo=KST)).timestamp() if read else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and 0 <= found < LATEST else None


def epoch(value: Any, unit: float = 1.0) -> float | None:
    """Seconds since 1970 of a number of seconds, or of milliseconds with `unit` 0.001."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value * unit < LATEST
    return value * unit if good else None


def day(t: float) -> str:
    """The date in Korea."""
    return f"{dt.datetime.fromtimestamp(t, KST):%Y-%m-%d}"


def iso(t: float) -> str:
    """Date and time in Korea, with milliseconds and the zone."""
    return dt.datetime.fromtimestamp(t, KST).isoformat(timespec="milliseconds")


def facts(**known: Any) -> dict[str, str]:
    """Those that are known, as a contact's attributes."""
    found = {name: text(value, MAX_FACT) for name, value in known.items()}
    return {name: value for name, value in found.items() if value}


# -- tickets


def answer_by(account: Account, asked_at: float | None, within_s: float) -> float | None:
    """When the mall counts an answer as late; the setting `reply_within_h` says otherwise, 0 says never."""
    own = account.settings.get("reply_within_h")
    if isinstance(own, int | float) and not isinstance(own, bool):
        within_s = min(max(float(own), 0.0), 8784.0) * 3600
    return asked_at + within_s if asked_at is not None and within_s > 0 else None


def item(
    account: Account,
    key: str,
    thread: Thread,
    who: Identity,
    words: str,
    *,
    asked_at: float | None = None,
    late_at: float | None = None,
    subject: str = "",
    headers: dict[str, str] | None = None,
    attributes: dict[str, str] | None = None,
    policy: ReplyPolicy | None = None,
    files: tuple[Elsewhere, ...] = (),
    author: Literal["customer", "external_console"] = "customer",
) -> Item:
    """A message within all bounds. Texts and keys that are longer are cut, keys so that they stay apart."""
    thread = msgspec.structs.replace(thread, external=bounded(thread.external))
    name = (who.name or "")[:MAX_NAME] or None
    body = ReceiveMessage(
        channel=account.channel,
        thread=thread,
        identity=msgspec.structs.replace(who, value=bounded(who.value), name=name),
        dedupe_key=bounded(key),
        occurred_at=asked_at,
        attributes=attributes or {},
        policy=policy,
        author=author,
        answer_by=late_at if author == "customer" else None,
    )
    said = (Text(text=words[:MAX_TEXT]),) if words or not files else ()
    return Item(
        body.dedupe_key, body, Content(parts=(*said, *files), subject=subject[:MAX_KEY] or None, headers=headers or {})
    )


def bounded(name: str) -> str:
    return name if len(name) <= MAX_KEY else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def files(urls: Any, name: str = "file", media_type: str = "image/jpeg") -> tuple[Elsewhere, ...]:
    """Files at addresses, at most ten; only of https, and none with a name or a password in it."""
    good = [url for url in urls if is_address(url)] if isinstance(urls, list) else []
    return tuple(Elsewhere(ref=url, name=f"{name}-{n}", media_type=media_type) for n, url in enumerate(good[:10], 1))


def is_address(url: Any) -> bool:
    return isinstance(url, str) and url.startswith("https://") and len(url) <= 2_000 and "@" not in url[:200]


class AtAddress:
    """`Fetches` of files whose name is their address."""

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        if status == 200 and body:
            return File("", media_type, body)
        known = by_status(status, "the file")
        return known if known.kind == "retry" else Result("rejected", detail=f"{status}: it is not there any more")


# -- answering


NO_ANSWER = saying.Refusals(
    "files cannot be sent there", "an answer needs text", "an answer has at most {most} characters there"
)


def answer(effect: AnyEffect, message: Outgoing | None, most: int | None = None) -> tuple[Deliver, str]:
    """A message of ours and its words. Raises Unsendable."""
    return saying.words(effect, message, most, NO_ANSWER)


def post(url: str, body: Any, headers: Mapping[str, str] | None = None, method: str = "POST") -> Call:
    """A request with a JSON body."""
    return Call(
        url=url,
        method=method,
        body=msgspec.json.encode(body),
        headers={"content-type": "application/json", **(headers or {})},
    )


def bearer(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}"}


def why(said: Any) -> str:
    """A provider's own code and words, wherever it puts them."""
    inner = [said, loose.at(said, "error"), *rows(loose.at(said, "errors"))]
    names = ("code", "errorId", "error", "message", "longMessage", "error_description", "timestamp_error")
    found = [text(loose.at(one, name), 300) for one in inner for name in names]
    return " ".join(dict.fromkeys(word for word in found if word))[:400]


def outcome(status: int, said: Any, externals: tuple[str, ...] = ()) -> Result:
    """By status; a token that is refused (401) has done nothing, so it is renewed and the request made again."""
    if status == 401:
        return Result("retry", detail=f"401 {why(said)}"[:500], after_s=1)
    return by_status(status, why(said), tuple(name for name in externals if name))


def no_token(status: int, said: Any) -> Result:
    """A renewal that failed: a refusal needs the owner, anything else is tried again."""
    is_refusal = status in (400, 401, 403) or (status < 300 and isinstance(said, dict))
    return Result("rejected" if is_refusal else "retry", detail=f"{status} {why(said)}"[:500])


def token(
    status: int, said: Any, now: float, expires_at: float | None = None, account: Account | None = None
) -> Token | Result:
    """An access token as OAuth has it (RFC 6749, 5.1); with `account` the refresh token that came is kept too."""
    value, after_s = text(loose.at(said, "access_token"), 8_000), epoch(loose.at(said, "expires_in"))
    if status >= 300 or not value:
        return no_token(status, said)
    expires_at = expires_at or now + (after_s or 600)
    if account is None:
        return Token(value=value, expires_at=expires_at)
    newest = text(loose.at(said, "refresh_token"), 8_000) or account.secrets["refresh_token"]
    return Token(value=value, expires_at=expires_at, kept=oauth.remembered(account, newest))


# -- asking


class Asked:
    """A provider that tells nothing by itself: no webhook is its. Whether its credentials work, any poll shows."""

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        raise NotImplementedError

    def check(self, account: Account, now: float) -> Call:
        return self.poll(account, {}, now)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(reply=HookReply(404, "nothing is sent here"))


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a round of asking we are: which list, which page (1 is the first), for what span of time."""

    since: float
    until: float
    which: int = 0
    page: int = 1

    def on(self, more: bool, lists: int, now: float, overlap_s: float, pause_s: float) -> tuple[dict[str, Any], float]:
        """(cursor, pause) of the next request. A round that is over begins again a little before its end."""
        if more and self.page < MAX_PAGES:
            return {**self.kept(), "page": self.page + 1}, 1.0
        if self.which + 1 < lists:
            return {**self.kept(), "which": self.which + 1, "page": 1}, 1.0
        is_late = self.until < now - overlap_s
        return {"since": max(self.since, self.until - overlap_s)}, 1.0 if is_late else pause_s

    def kept(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


def place(cursor: Mapping[str, Any], now: float, first_s: float, most_s: float) -> Round:
    """From a cursor; at first everything since `first_s` ago. No span is longer than `most_s`."""
    since = epoch(cursor.get("since"))
    since = now - first_s if since is None else min(since, now)
    until = epoch(cursor.get("until"))
    until = min(now, since + most_s) if until is None else min(max(until, since), since + most_s)
    number, page = (cursor.get(name) for name in ("which", "page"))
    return Round(
        since=since,
        until=until,
        which=number if isinstance(number, int) and 0 <= number < 100 else 0,
        page=page if isinstance(page, int) and 0 < page <= MAX_PAGES else 1,
    )


def names(cursor: Mapping[str, Any], name: str) -> list[str]:
    """A list of names in a cursor."""
    found = cursor.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def untold(cursor: Mapping[str, Any], items: list[Item]) -> tuple[tuple[Item, ...], list[str]]:
    """(items, told): without what was answered in the mall's own pages and told before. Those whose question we never saw
    are in no history, so they would be told again with every poll."""
    told = names(cursor, "told")
    new = [item for item in items if item.key not in told]
    answers = [item.key for item in new if getattr(item.body, "author", "") == "external_console"]
    return tuple(new), [*told, *answers][-MAX_TOLD:]


def refused(cursor: Mapping[str, Any], status: int, said: Any) -> Page:
    """A poll that found nothing because it was not answered; with 401 the token is renewed first."""
    return Page(cursor=dict(cursor), fault=f"{status} {why(said)}"[:300], stale=status == 401)

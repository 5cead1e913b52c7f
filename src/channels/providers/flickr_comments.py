"""Comments on a Flickr account's photos: polled once an hour, answered by a comment on the photo.

flickr.activity.userPhotos tells which photos have news ("do not poll this method more than once an hour"); of each,
flickr.photos.comments.getList has the comments with their ids; flickr.photos.comments.addComment answers
(flickr.com/services/api). Signed by OAuth 1.0a with the account's own tokens, which do not expire. Flickr has no messages
and no threads below a photo: what one author says of one photo is a thread.
"""

from collections.abc import Mapping
from typing import Any

from channels import loose, oauth
from channels.base import (
    About,
    Account,
    Call,
    Item,
    Outgoing,
    Page,
    Result,
    by_status,
)
from channels.comments import JsonObject, Polled, Said, answer, children, item, name_of, seconds, words
from router.effects import AnyEffect
from router.model import ReplyPolicy

API = "https://www.flickr.com/services/rest"
EVERY_S = 3_600.0
OVERLAP_S = 3_600.0
FIRST_S = 86_400.0
"""How far back the first poll looks."""
PHOTOS = 50
LONGEST = 5_000
"""A bound of ours: Flickr documents none."""
POLICY = ReplyPolicy(max_length=LONGEST, public=True)
UNAVAILABLE, UNCLEAR = "105", ("106",)
"""Flickr's codes: the service is unavailable; a write failed (each method's page)."""


class FlickrComments(Polled):
    name = "flickr_comments"
    about = About(
        title="Flickr, comments",
        family="comments",
        receives="comments, within an hour",
        sends="comments on the photo",
        policy="public",
        evidence="published vectors",
        verified_against="Flickr's documents, and a published OAuth 1.0a signature",
    )
    answers = POLICY
    required_settings: tuple[str, ...] = ("user_id", "consumer_key")
    required_secrets: tuple[str, ...] = ("consumer_secret", "token", "token_secret")

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        """`photos` are still to be asked for comments since `since`; when there are none, which have news."""
        known = _Cursor(cursor, now)
        if known.photos:
            asked = {"photo_id": known.photos[0], "min_comment_date": str(int(known.since - OVERLAP_S))}
            return _call(account, "GET", "flickr.photos.comments.getList", asked, now)
        hours = max(2, int((now - known.since) / 3_600) + 2)
        frame = f"{hours}h" if hours <= 48 else f"{hours // 24 + 1}d"
        asked = {"timeframe": frame, "per_page": str(PHOTOS)}
        return _call(account, "GET", "flickr.activity.userPhotos", asked, now)

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, known = loose.record_of(body), _Cursor(cursor, now)
        if status >= 300 or said.get("stat") != "ok":
            if known.photos and words(said, "code") == "1":  # this photo is gone
                return known.without_first(())
            return Page(fault=_detail(status, said))
        if known.photos:
            comments = children(loose.fields(said, "comments"), "comment")
            items = (_comment(account, known.photos[0], one) for one in comments)
            return known.without_first(tuple(one for one in items if one is not None))
        news = [
            name_of(photo, "id")
            for photo in children(loose.fields(said, "items"), "item")
            if photo.get("type") == "photo"
            and any(event.get("type") == "comment" for event in children(loose.fields(photo, "activity"), "event"))
        ]
        asked = _Cursor({"since": known.since, "asked": now, "photos": news[:PHOTOS]}, now)
        return asked.page((), 1.0) if news else _Cursor({"since": now}, now).page((), EVERY_S)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = answer(effect, message, "a comment", LONGEST)
        asked = {"photo_id": deliver.thread.external.partition(":")[0], "comment_text": text}
        return _call(account, "POST", "flickr.photos.comments.addComment", asked, now, deliver.key)

    def outcome(self, status: int, body: bytes) -> Result:
        """Errors come with status 200 and a code."""
        said = loose.record_of(body)
        name = name_of(loose.fields(said, "comment"), "id")
        if said.get("stat") == "ok" and name:
            return Result("accepted", (name,))
        if said.get("stat") == "fail":
            if words(said, "code") == UNAVAILABLE:
                return Result("retry", detail=_detail(status, said), after_s=60)
            return Result("uncertain" if words(said, "code") in UNCLEAR else "rejected", detail=_detail(status, said))
        return by_status(status, "") if status >= 300 else Result("uncertain", detail=f"{status} without an id")


class _Cursor:
    def __init__(self, cursor: Mapping[str, Any], now: float) -> None:
        photos = cursor.get("photos")
        self.since = seconds(cursor.get("since")) or now - FIRST_S
        self.asked = seconds(cursor.get("asked")) or now
        self.photos = [one for one in photos if isinstance(one, str) and one] if isinstance(photos, list) else []

    def page(self, items: tuple[Item, ...], again_s: float) -> Page:
        return Page(
            items=items, cursor={"since": self.since, "asked": self.asked, "photos": self.photos}, again_s=again_s
        )

    def without_first(self, items: tuple[Item, ...]) -> Page:
        """With the last photo of an hour, the next hour begins when it was asked which have news."""
        self.photos = self.photos[1:]
        if self.photos:
            return self.page(items, 1.0)
        return Page(items=items, cursor={"since": self.asked}, again_s=EVERY_S)


def _comment(account: Account, photo: str, said: JsonObject) -> Item | None:
    id_, author = name_of(said, "id"), name_of(said, "author")
    if not id_:
        return None
    comment = Said(
        id=id_,
        thread=f"{photo}:{author}",
        author=author,
        name=words(said, "realname", 200) or words(said, "authorname", 200),
        text=words(said, "_content"),
        scope="flickr",
        at=seconds(said.get("datecreate")),
        is_own=author == account.setting("user_id"),
        headers={"link": words(said, "permalink", 500)},
    )
    return item(account.channel, comment, POLICY)


def _call(account: Account, verb: str, method: str, asked: Mapping[str, str], now: float, nonce: str = "") -> Call:
    fields = {"method": method, "format": "json", "nojsoncallback": "1", **asked}
    url = account.setting("api_url", API)
    call = (
        Call(method="GET", url=f"{url}?{oauth.query(fields.items())}")
        if verb == "GET"
        else Call(url=url, form=tuple(fields.items()))
    )
    return oauth.signed(call, account, f"{method} {nonce}", now)


def _detail(status: int, said: JsonObject) -> str:
    return f"{status} {words(said, 'code', 10)} {words(said, 'message', 300)}".strip()

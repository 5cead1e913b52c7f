"""Comments on a Facebook page's posts: by its feed webhook, answered below them or once in private.

Changes of field `feed` with item `comment` and verb add, edited (edit), remove (developers.facebook.com, webhooks for
pages): comment_id, post_id, parent_id (the post, or the comment that it answers), from, message, photo, created_time.
"""

from channels import loose, meta_comments
from channels.base import (
    About,
    Account,
    Call,
    File,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Webhook,
)
from channels.comments import (
    JsonObject,
    Said,
    children,
    fetched,
    item,
    name_of,
    picture,
    revised,
    seconds,
    words,
)
from channels.meta_comments import MetaComments
from router.effects import AnyEffect
from router.model import ReplyPolicy

GRAPH = "https://graph.facebook.com"
LONGEST, LONGEST_PRIVATE = 8_000, 2_000
PHOTOS = ".fbcdn.net"


class FacebookComments(MetaComments):
    name = "facebook_comments"
    about = About(
        title="Facebook page, comments",
        family="comments",
        receives="comments, edits, removals, photos",
        sends="answers below a comment, or one private reply",
        media="in",
        policy="public; private: one within 7 days",
        evidence="published vectors",
        verified_against="Meta's documents, and the signature vectors",
    )
    required_settings: tuple[str, ...] = ("page_id",)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        page = account.setting("page_id")
        found = [
            self._change(account, loose.fields(change, "value"), page)
            for entry in children(loose.record_of(webhook.body), "entry")
            if name_of(entry, "id") == page
            for change in children(entry, "changes")
            if change.get("field") == "feed" and loose.fields(change, "value").get("item") == "comment"
        ]
        return Reading(tuple(one for one in found if one is not None))

    def _change(self, account: Account, value: JsonObject, page: str) -> Item | None:
        comment, post, parent = (name_of(value, name) for name in ("comment_id", "post_id", "parent_id"))
        if not comment:
            return None
        at = seconds(value.get("created_time"))
        said = Said(
            id=meta_comments.tail(comment),
            thread=parent if parent and parent != post else comment,
            author=name_of(loose.fields(value, "from"), "id"),
            name=words(loose.fields(value, "from"), "name", 200),
            text=words(value, "message"),
            scope=page,
            at=at,
            is_own=name_of(loose.fields(value, "from"), "id") == page,
            headers={"comment-id": comment},
            media=picture(words(value, "photo", 2_000), PHOTOS),
        )
        verb = value.get("verb")
        if verb == "add":
            return item(account.channel, said, _policy(account, at))
        if verb in ("edited", "edit"):
            return revised(account.channel, said)
        return revised(account.channel, said, is_gone=True) if verb == "remove" else None

    def policy(self, account: Account) -> ReplyPolicy:
        return _policy(account, None)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        page, policy = account.setting("page_id"), self.policy(account)
        return meta_comments.write(account, effect, message, GRAPH, "comments", page, policy)

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return fetched(status, media_type, body)


def _policy(account: Account, at: float | None) -> ReplyPolicy:
    return meta_comments.policy(account, LONGEST, ReplyPolicy(max_length=LONGEST_PRIVATE), at)

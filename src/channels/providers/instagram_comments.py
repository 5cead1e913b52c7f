"""Comments on a professional Instagram account's media: by webhook, answered below them or once in private.

Changes of fields `comments` and `live_comments` (developers.facebook.com, Instagram webhooks): id, text, from {id, username,
self_ig_scoped_id}, media {id, media_product_type}, parent_id where it answers another one. Edits are not told.
"""

from channels import loose, meta_comments
from channels.base import (
    About,
    Account,
    Call,
    Item,
    Look,
    Outgoing,
    Reading,
    Webhook,
)
from channels.comments import JsonObject, Said, children, item, name_of, seconds, words
from channels.meta_comments import MetaComments
from router.effects import AnyEffect
from router.model import ReplyPolicy

GRAPH = "https://graph.instagram.com"
LONGEST, LONGEST_PRIVATE_BYTES = 300, 1_000


class InstagramComments(MetaComments):
    name = "instagram_comments"
    about = About(
        title="Instagram, comments",
        family="comments",
        receives="comments, also on live videos",
        sends="answers below a comment, or one private reply",
        policy="public, 300 characters; private: one within 7 days, 1,000 bytes",
        evidence="published vectors",
        verified_against="Meta's documents, and the signature vectors",
    )
    required_settings: tuple[str, ...] = ("account_id",)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        ours = account.setting("account_id")
        found = [
            _comment(account, loose.fields(change, "value"), seconds(entry.get("time")))
            for entry in children(loose.record_of(webhook.body), "entry")
            if name_of(entry, "id") == ours
            for change in (*children(entry, "changes"), entry)
            if change.get("field") in ("comments", "live_comments")
        ]
        return Reading(tuple(one for one in found if one is not None))

    def policy(self, account: Account) -> ReplyPolicy:
        return _policy(account, None)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        ours, policy = account.setting("account_id"), self.policy(account)
        return meta_comments.write(account, effect, message, GRAPH, "replies", ours, policy)


def _comment(account: Account, value: JsonObject, at: float | None) -> Item | None:
    """The time is that of the notification: the comment's own is not told. Our account's id has two forms."""
    comment, ours = name_of(value, "id"), account.setting("account_id")
    if not comment:
        return None
    author = name_of(loose.fields(value, "from"), "id")
    said = Said(
        id=comment,
        thread=name_of(value, "parent_id") or comment,
        author=author,
        name=words(loose.fields(value, "from"), "username", 200),
        text=words(value, "text"),
        scope=ours,
        at=at,
        is_own=author == ours or words(loose.fields(value, "from"), "self_ig_scoped_id") == ours,
        headers={"comment-id": comment},
    )
    return item(account.channel, said, _policy(account, at))


def _policy(account: Account, at: float | None) -> ReplyPolicy:
    private = ReplyPolicy(max_length=LONGEST_PRIVATE_BYTES, unit="bytes_utf8")
    return meta_comments.policy(account, LONGEST, private, at)

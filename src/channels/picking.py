"""Which comments of one live room are worth an agent: by rule, each thing said once, so many a minute, the most valuable
first. Pure: a room is told the time, and decides without doing (`channels/live.py` does).
"""

import math
from collections import Counter, OrderedDict
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from channels.alike import Said, asks
from channels.base import Comment

GROUPS, SEEN, SPEAKERS = 200, 2_000, 200
FORGET_S = 600.0
"""A group that was picked so long ago is over: who says the same now says it anew."""
REPLIES_A_MINUTE = 6.0
"""What somebody with an open contact may add to it; the rest of what he says is only counted."""

Reason = Literal["paid", "mention", "question", "word", "reply", "hand"]
Word = Annotated[str, Meta(min_length=1, max_length=60)]


class Picking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel's `settings.live`. Values are in the broadcast's currency (bits, won), times in seconds.

    `bands` are the values that a rule of the configuration can tell apart: the highest that was reached stands in the
    contact's `value_band`, as `1000+`.
    """

    questions: bool = True
    paid_from: Annotated[float, Meta(gt=0, le=1e12)] | None = 1
    mentions: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    words: Annotated[tuple[Word, ...], Meta(max_length=200)] = ()
    per_minute: Annotated[int, Meta(ge=1, le=600)] = 20
    most_open: Annotated[int, Meta(ge=1, le=1000)] = 20
    window_s: Annotated[float, Meta(ge=1, le=60)] = 5
    bands: Annotated[tuple[Annotated[float, Meta(gt=0, le=1e12)], ...], Meta(max_length=20)] = (1000, 10_000, 100_000)

    def reason(self, comment: Comment) -> Reason | None:
        """The rule that picks a comment; the first of them that does."""
        text = comment.text.casefold()
        if self.paid_from is not None and comment.value >= self.paid_from:
            return "paid"
        if any(name.casefold() in text for name in self.mentions):
            return "mention"
        if self.questions and asks(comment.text):
            return "question"
        return "word" if any(word.casefold() in text for word in self.words) else None

    def band(self, value: float) -> str | None:
        reached = [band for band in self.bands if value >= band]
        return f"{plain(max(reached))}+" if reached else None


def picking(settings: Any) -> Picking:
    """Raises ValueError, saying which setting is wrong."""
    try:
        return msgspec.convert(settings.get("live") or {}, Picking)
    except msgspec.ValidationError as error:
        raise ValueError(f"settings.live: {error}"[:300]) from error


class Group:
    """Comments that say the same. `comment` is the first of them, `value` the most that was paid with one."""

    __slots__ = ("at", "comment", "count", "picked", "picked_at", "said", "value")

    def __init__(self, comment: Comment, said: Said, now: float) -> None:
        self.comment = comment
        self.said = said
        self.count = 1
        self.value = comment.value
        self.at = now
        self.picked: str | None = None
        self.picked_at = 0.0


class Bucket:
    """At most `per_minute` in any minute: a quarter of them at once, the rest evenly."""

    __slots__ = ("_at", "_most", "_per_s", "level")

    def __init__(self, per_minute: float, now: float) -> None:
        self._most = max(1.0, per_minute // 4)
        self._per_s = max(per_minute - self._most, 1.0) / 60
        self.level = self._most
        self._at = now

    def holds(self, now: float) -> bool:
        self.level = min(self._most, self.level + max(0.0, now - self._at) * self._per_s)
        self._at = now
        return self.level >= 1

    def take(self) -> None:
        self.level -= 1

    def put_back(self) -> None:
        self.level += 1


class Room:
    """One broadcast's chat. Pure: it is told the time, and decides without doing."""

    def __init__(self, picking: Picking, now: float) -> None:
        self.picking = picking
        self.counts: Counter[str] = Counter()
        self.groups: OrderedDict[str, Group] = OrderedDict()
        self.bucket = Bucket(picking.per_minute, now)
        self.at = now
        self._by_letters: dict[str, Group] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[str, tuple[float, Reason]] = {}
        self._speakers: OrderedDict[str, Bucket] = OrderedDict()

    def hear(self, comment: Comment, now: float, is_reply: bool = False) -> Group | None:
        """Count a comment and put it with those that say the same. None for what is not of interest: heard before, or
        our own people's. A reply belongs to a contact that is open, and is not picked."""
        self.at = now
        if comment.id in self._seen:
            self.counts["repeated"] += 1
            return None
        self._seen[comment.id] = None
        while len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        self.counts["comments"] += 1
        if comment.is_staff:
            self.counts["staff"] += 1
            return None
        reason = self.picking.reason(comment)
        group = self._grouped(comment, reason, now)
        if reason is not None and not is_reply and group.picked is None and group.comment.id not in self._waiting:
            self._waiting[group.comment.id] = (now, reason)
        return group

    def _grouped(self, comment: Comment, reason: Reason | None, now: float) -> Group:
        """What is paid for stands alone: whoever paid is answered, however many say the same."""
        said = Said(comment.text)
        alike = None if reason == "paid" else self._alike(said, now)
        if alike is not None:
            alike.count += 1
            alike.value = max(alike.value, comment.value)
            alike.at = now
            self.groups.move_to_end(alike.comment.id)
            self.counts["collapsed"] += 1
            return alike
        group = self.groups[comment.id] = Group(comment, said, now)
        if said.letters and reason != "paid":
            self._by_letters[said.letters] = group
        while len(self.groups) > GROUPS:
            self._drop(next(iter(self.groups)))
        return group

    def _alike(self, said: Said, now: float) -> Group | None:
        found = self._by_letters.get(said.letters)
        if found is None and said.letters:
            found = next((group for group in self._by_letters.values() if said.is_near(group.said)), None)
        if found is not None and found.picked is not None and now - found.picked_at > FORGET_S:
            self._drop(found.comment.id)
            return None
        return found

    def _drop(self, id_: str) -> None:
        group = self.groups.pop(id_)
        if self._by_letters.get(group.said.letters) is group:
            del self._by_letters[group.said.letters]
        if self._waiting.pop(id_, None) is not None:
            self.counts["dropped"] += 1

    def best(self, now: float) -> tuple[Group, Reason] | None:
        """The most valuable of those that may be picked and are not too old for it: what was paid, then who asks, then
        who came first."""
        for id_, (since, _) in list(self._waiting.items()):
            if now - since > self.picking.window_s:
                del self._waiting[id_]
                self.counts["dropped"] += 1
        if not self._waiting:
            return None
        id_ = min(self._waiting, key=self._rank)
        return self.groups[id_], self._waiting[id_][1]

    def _rank(self, id_: str) -> tuple[float, bool, float]:
        since, reason = self._waiting[id_]
        return -self.groups[id_].value, reason not in ("paid", "mention", "question"), since

    def picks(self, group: Group, reason: Reason, now: float) -> None:
        group.picked, group.picked_at = reason, now
        self._waiting.pop(group.comment.id, None)
        self._speakers.setdefault(group.comment.author.value, Bucket(REPLIES_A_MINUTE, now))
        self._speakers.move_to_end(group.comment.author.value)
        while len(self._speakers) > SPEAKERS:
            self._speakers.popitem(last=False)
        self.counts["picked"] += 1
        self.counts[f"picked_by_{reason}"] += 1

    def forget(self, comment: Comment, reason: Reason) -> None:
        """It could not be put into the log: when its provider sends it again, it comes for the first time."""
        counted = ("replies",) if reason == "reply" else ("picked", f"picked_by_{reason}")
        for name in ("comments", *counted):
            self.counts[name] -= 1
        self._seen.pop(comment.id, None)
        if comment.id in self.groups:
            self._drop(comment.id)

    def was_picked(self, author: str) -> bool:
        """Whether something of this author was picked lately."""
        return author in self._speakers

    def replies(self, author: str, now: float) -> bool:
        """Whether an author may say more to his contact now; then it counts."""
        bucket = self._speakers.get(author)
        if bucket is None or not bucket.holds(now):
            return False
        bucket.take()
        self.counts["replies"] += 1
        return True


def plain(value: float) -> str:
    """A number as people write it: without a point where it needs none."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.2f}"

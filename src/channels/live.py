"""Live broadcasts: which of a room's comments become contacts, so that a show cannot starve the phone.

A comment becomes a contact by one of the channel's rules (paid, mention, question, word) or because a supervisor picks
it. What says the same counts as one. Picks are bounded by the minute and by how many are open; over the bounds the most
valuable of the last few seconds is first, and the rest is counted and never queued. All of this is one process' memory
and is gone with it: a comment that nobody picked is no promise. A pick is: it is in the log before its webhook is
answered.

What is held is bounded whatever comes: `ROOMS` rooms (the one silent longest goes), of each the last `GROUPS` groups of
at most 500 letters and 60 trigrams, `SEEN` ids, and one figure for each of `SPEAKERS` authors. Measured: 0.9 MB for a
room in which nobody repeats another, 2.4 MB for the worst that somebody who means harm can make of one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec
import structlog

from channels.base import Account, Comment
from channels.broadcasts import bounded
from channels.picking import Group, Reason, Room, picking, plain
from channels.ports import Bus, Unavailable
from router.inputs import ReceiveMessage
from router.model import Content, ReplyPolicy, Text, Thread, conversation_id
from router.state import Pool

log = structlog.get_logger("channels.live")

ROOMS = 50
LOOK_S, UNSEEN_S = 0.5, 5.0

Key = tuple[str, str, str]
"""(workspace, channel, room)"""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Comments that say the same, `similar` in number, as a supervisor sees them; `id` names the first. `picked_by` is a
    rule, or `hand`."""

    id: str
    room: str
    author: str
    name: str | None
    text: str
    at: float
    value: float
    similar: int
    picked_by: str | None


class Open(msgspec.Struct):
    """How many of a channel's contacts are open, as last looked at, and what was picked and has not been seen there."""

    at: float = 0.0
    count: int = 0
    fresh: dict[str, float] = {}


class NotPickable(Exception):
    """`unknown-comment` or `already-picked`."""


class Rooms:
    """All rooms that this process hears. `policy` says what may be answered on a channel."""

    def __init__(self, bus: Bus, clock: Callable[[], float], policy: Callable[[Account], ReplyPolicy]) -> None:
        self._bus = bus
        self._clock = clock
        self._policy = policy
        self._rooms: OrderedDict[Key, tuple[Account, Room]] = OrderedDict()
        self._open: dict[tuple[str, str], Open] = {}

    async def take(self, account: Account, comments: tuple[Comment, ...]) -> None:
        """Hear comments, and pick what may be picked now; that is durable on return. Raises Unavailable."""
        for comment in comments:
            room = self._room(account, comment.room)
            now = self._clock()
            is_reply = room.was_picked(comment.author.value) and self._is_open(account, comment)
            group = room.hear(comment, now, is_reply)
            if group is not None and is_reply and room.replies(comment.author.value, now):
                await self._log(account, room, comment, "reply", group)
            elif group is not None:
                await self._admit(account, room)

    async def run(self) -> None:
        """For ever: what had to wait for its turn gets it, though nobody speaks meanwhile."""
        while True:
            await asyncio.sleep(LOOK_S)
            for account, room in list(self._rooms.values()):
                try:
                    await self._admit(account, room)
                except Unavailable as error:
                    log.warning("pick.waits", channel=account.channel, error=str(error))

    async def _admit(self, account: Account, room: Room) -> None:
        while (best := room.best(self._clock())) is not None:
            now = self._clock()
            if not room.bucket.holds(now) or self._count(account, now) >= room.picking.most_open:
                return
            group, reason = best
            room.bucket.take()
            try:
                await self._pick(account, room, group, reason)
            except Unavailable:
                room.bucket.put_back()
                raise

    async def _pick(self, account: Account, room: Room, group: Group, reason: Reason) -> None:
        now = self._clock()
        room.picks(group, reason, now)
        known = self._open.setdefault((account.workspace, account.channel), Open())
        known.fresh[conversation_id(account.channel, _thread(group.comment))] = now
        known.count += 1
        await self._log(account, room, group.comment, reason, group)

    async def _log(self, account: Account, room: Room, comment: Comment, reason: Reason, group: Group) -> None:
        value = comment.value if reason == "reply" else group.value
        band = room.picking.band(value)
        attributes = {
            "room": comment.room,
            "value": plain(value),
            "similar": str(group.count),
            "picked_by": reason,
            **({"value_band": band} if band else {}),
        }
        body = ReceiveMessage(
            channel=account.channel,
            thread=_thread(comment),
            identity=comment.author,
            dedupe_key=comment.id,
            occurred_at=comment.at,
            attributes=attributes,
            policy=self._policy(account),
        )
        headers = {"comment": comment.id, "name": comment.author.name or ""}
        content = Content(parts=(Text(text=comment.text),), headers=headers)
        try:
            await self._bus.take(account.workspace, f"channel:{account.channel}", comment.id, body, content)
        except Unavailable:
            room.forget(comment, reason)
            raise

    # -- by hand

    def hears(self, workspace: str, channel: str) -> bool:
        return next(self._of(workspace, channel), None) is not None

    def sample(self, workspace: str, channel: str) -> list[Sample]:
        """The last groups of each room, the newest first."""
        return [
            Sample(
                id=group.comment.id,
                room=group.comment.room,
                author=group.comment.author.value,
                name=group.comment.author.name,
                text=group.comment.text,
                at=group.comment.at,
                value=group.value,
                similar=group.count,
                picked_by=group.picked,
            )
            for _, room in self._of(workspace, channel)
            for group in reversed(room.groups.values())
        ]

    def counts(self, workspace: str, channel: str) -> dict[str, dict[str, int]]:
        """What has been counted, by room."""
        return {key[2]: dict(room.counts) for key, (_, room) in self._rooms.items() if key[:2] == (workspace, channel)}

    async def pick(self, workspace: str, channel: str, comment: str) -> None:
        """A supervisor picks a comment; no bound stands against that. Raises NotPickable, Unavailable."""
        for account, room in self._of(workspace, channel):
            group = room.groups.get(comment)
            if group is not None:
                if group.picked is not None:
                    raise NotPickable("already-picked")
                return await self._pick(account, room, group, "hand")
        raise NotPickable("unknown-comment")

    # -- looking

    def _of(self, workspace: str, channel: str) -> Iterator[tuple[Account, Room]]:
        return (held for key, held in list(self._rooms.items()) if key[:2] == (workspace, channel))

    def _room(self, account: Account, name: str) -> Room:
        key, now = (account.workspace, account.channel, name), self._clock()
        held = self._rooms.get(key)
        if held is None or held[0].settings != account.settings:
            room = Room(picking(account.settings), now)
            if held is not None:
                room.counts = held[1].counts
            held = self._rooms[key] = (account, room)
        self._rooms.move_to_end(key)
        while len(self._rooms) > ROOMS:
            self._rooms.popitem(last=False)
        return held[1]

    def _is_open(self, account: Account, comment: Comment) -> bool:
        """Whether the author has a contact open here already: then what is said belongs to it."""
        pool = self._bus.pool(account.workspace)
        return pool is not None and _has_contact(pool, conversation_id(account.channel, _thread(comment)))

    def _count(self, account: Account, now: float) -> int:
        """How many of the channel's contacts are open, looked at twice a second, with those that were picked since."""
        known = self._open.setdefault((account.workspace, account.channel), Open())
        pool = self._bus.pool(account.workspace)
        if pool is not None and now - known.at >= LOOK_S:
            known.at = now
            seen = [id_ for id_, at in known.fresh.items() if _has_contact(pool, id_) or now - at > UNSEEN_S]
            for id_ in seen:
                del known.fresh[id_]
            open_now = sum(1 for contact in pool.contacts.values() if contact.channel == account.channel)
            known.count = open_now + len(known.fresh)
        return known.count


def _thread(comment: Comment) -> Thread:
    return Thread(external=f"{bounded(comment.room)}/{bounded(comment.author.value)}", kind="live_room")


def _has_contact(pool: Pool, conversation: str) -> bool:
    known = pool.conversations.get(conversation)
    return known is not None and known.contact is not None

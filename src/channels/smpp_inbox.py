"""What an SMSC has said and may say again, and long messages of which parts are still to come. Pure, and kept durably.

SMPP gives a message from a phone neither an id nor a time, and an SMSC that has not seen our response sends it again.
So the same bytes may be one message or two. They are the same one where the SMSC cannot know that we have it: we said
no, or nothing for long, or the connection went down before it answered something that we had asked after our response
(`proven`). Else they are another. What is open in this sense is kept under the name that it was first taken by.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from channels.smpp_pdu import Pdu, Short, frames

REPEATS_WITHIN_S = 3600.0
"""How long after a broken connection the same bytes are taken for a repetition."""
ANSWERED_LATE_S = 5.0
"""What was answered later than this may be on its way again already."""
MAX_HEARD = 1000
MAX_GROUPS = 200
PARTS_WAIT_S = 600.0


class Heard(msgspec.Struct):
    """One message, or part, of the SMSC's. `name` tells it from others of the same bytes; `kept` once it is durable.

    It came first `at`, and last `since`. `answer` is ours: yes, late (a yes that may have crossed a repetition), no.
    """

    identity: str
    name: str
    at: float
    session: int
    sequence: int
    since: float
    part: bool = False
    kept: bool = False
    answer: str = ""
    proof: int = 0
    again: bool = False


class Group(msgspec.Struct):
    """The parts of one message that have come, by number, as their PDUs."""

    key: str
    name: str
    at: float
    total: int
    parts: dict[int, bytes] = {}
    ids: dict[int, str] = {}
    given_up: bool = False

    @property
    def is_whole(self) -> bool:
        return len(self.parts) == self.total

    @property
    def pdus(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))


class _Kept(msgspec.Struct):
    heard: list[tuple[str, str, float, bool]] = []
    groups: list[Group] = []


class Inbox:
    """`saved` is what `as_cursor` gave; `seal` and `unseal` keep customers' words from who reads the database."""

    def __init__(
        self,
        saved: Mapping[str, Any],
        seal: Callable[[bytes], bytes],
        unseal: Callable[[bytes], bytes | None],
        wait_s: float = PARTS_WAIT_S,
    ) -> None:
        self._seal = seal
        self._wait_s = wait_s
        self._heard: dict[str, list[Heard]] = {}
        self._count = 0
        self._serial = 0
        self.groups: dict[str, Group] = {}
        self.session = 0
        self.answers = 0
        self.changed = False
        kept = _opened(saved, unseal)
        for identity, name, at, part in kept.heard:
            self._add(Heard(identity, name, at, 0, 0, at, part=part, kept=part))
        self.groups = {group.key: group for group in kept.groups}

    def as_cursor(self) -> dict[str, Any]:
        heard = [(h.identity, h.name, h.at, h.part) for all_ in self._heard.values() for h in all_]
        raw = msgspec.json.encode(_Kept(heard, list(self.groups.values())))
        return {"sealed": base64.b64encode(self._seal(raw)).decode()}

    # -- what was heard before

    def hear(self, identity: str, sequence: int, part: bool, now: float) -> Heard:
        """The message that these bytes are: one that we know, or a new one."""
        for heard in self._heard.get(identity, ()):
            if self._may_come_again(heard, sequence, now):
                heard.session, heard.sequence, heard.since = self.session, sequence, now
                heard.answer, heard.again = "", True
                return heard
        self._serial += 1
        heard = Heard(identity, f"{int(now * 1000):x}-{self._serial}", now, self.session, sequence, now, part)
        self._add(heard)
        return heard

    def _may_come_again(self, heard: Heard, sequence: int, now: float) -> bool:
        if heard.session != self.session:
            return now - heard.at <= REPEATS_WITHIN_S
        late = not heard.answer and now - heard.since > ANSWERED_LATE_S
        return late or heard.answer in ("no", "late") or heard.sequence == sequence

    def _add(self, heard: Heard) -> None:
        self._heard.setdefault(heard.identity, []).append(heard)
        self._count += 1
        self.changed = True
        while self._count > MAX_HEARD:
            self._forget(next(iter(self._heard.values()))[0])

    def _forget(self, heard: Heard) -> None:
        same = self._heard[heard.identity]
        same.remove(heard)
        if not same:
            del self._heard[heard.identity]
        self._count -= 1
        self.changed = True

    def answered(self, heard: Heard, good: bool, now: float) -> None:
        self.answers += 1
        heard.proof = self.answers
        late = now - heard.since > ANSWERED_LATE_S
        heard.answer = ("late" if late else "yes") if good else "no"

    def proven(self, answers: int, now: float) -> None:
        """The SMSC has all our answers up to this one: it will not send those messages again. Old ones are forgotten."""
        for heard in [h for all_ in self._heard.values() for h in all_]:
            known = heard.session == self.session and heard.answer in ("yes", "late") and heard.proof <= answers
            if known or now - heard.at > REPEATS_WITHIN_S:
                self._forget(heard)

    # -- parts

    def add(self, message: Short, heard: Heard, pdu: Pdu, now: float) -> bool:
        """Put a part with its message; whether there was room. What is to be taken then is `due`."""
        peers = (message.source.value, message.destination.value, message.reference, message.total)
        key = "\x1f".join(map(str, peers))
        group = self.groups.get(key)
        mine = f"{heard.identity}:{heard.name}"
        if group is not None and group.ids.get(message.number, mine) != mine:
            self.give_up(group)  # the phone has begun another under the same number
            group = None
        if group is None:
            open_ = [one for one in self.groups.values() if not one.given_up]
            if len(self.groups) >= 2 * MAX_GROUPS:
                return False
            if len(open_) >= MAX_GROUPS:
                self.give_up(min(open_, key=lambda one: one.at))
            group = self.groups[key] = Group(key, heard.name, now, message.total, {}, {})
        group.parts[message.number] = pdu.raw
        group.ids[message.number] = mine
        self.changed = True
        return True

    def give_up(self, group: Group) -> None:
        """It is taken as it is, and kept until it has been; what comes of it later is another message."""
        if group.given_up:
            return
        del self.groups[group.key]
        group.key, group.given_up = f"{group.key}\x1f{group.name}", True
        self.groups[group.key] = group

    def due(self, now: float) -> list[Group]:
        """Those that are whole, and those whose missing parts have been waited for long enough."""
        return [
            group for group in self.groups.values() if group.is_whole or group.given_up or now - group.at > self._wait_s
        ]

    def drop(self, group: Group) -> None:
        if self.groups.get(group.key) is group:
            del self.groups[group.key]
            self.changed = True


def _opened(saved: Mapping[str, Any], unseal: Callable[[bytes], bytes | None]) -> _Kept:
    """What was kept; nothing of it if it is not ours to open any more (the keyring was replaced)."""
    sealed = saved.get("sealed")
    if not isinstance(sealed, str):
        return _Kept()
    try:
        raw = unseal(base64.b64decode(sealed))
        kept = msgspec.json.decode(raw, type=_Kept) if raw is not None else _Kept()
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return _Kept()
    return _Kept(kept.heard, [group for group in kept.groups if frames(group.pdus)])

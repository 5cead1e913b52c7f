"""Who is alive, and who of them does what only one should: every process says so on the log every 0.4 s.

Liveness only. Nothing is wrong when two believe that they are the one: owners are fenced by the journal, sends are
claimed in it, projectors have a compare-and-set. So the view may be late, and it is trusted only while our own word
comes back to us: a process that was stopped, or cut off, listens first.

Which of the living does a thing is said by rendezvous hashing (Thaler & Ravishankar 1998): when one dies, only what it
did moves, and when one comes, it takes its share and nothing else moves.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec
import structlog

from naru.bus.base import WORKERS, Log, LogUnavailable

Role = Literal["gateway", "channels", "router", "projector"]
ROLES: tuple[Role, ...] = ("gateway", "channels", "router", "projector")

BEAT_S = 0.4
ALIVE_S = 2.0
LISTEN_S = 2.2
PAUSE_S = 1.0
"""A beat that comes so much too late means that we were stopped, and that our view is as old."""

log = structlog.get_logger("naru.members")


class NameTaken(Exception):
    """Another process beats under our name. Each must have its own: NARU_WORKER."""


class Beat(msgspec.Struct, frozen=True, omit_defaults=True):
    """`since` is when the process began (its own wall clock): of two with one name the later gives way."""

    name: str
    boot: str
    roles: tuple[str, ...]
    since: float
    leaves: bool = False


class Members(Protocol):
    """`mine` is false for everybody while the view is not to be trusted."""

    @property
    def trusted(self) -> bool: ...

    def mine(self, role: Role, key: str) -> bool: ...

    def living(self, role: Role) -> list[str]: ...


class Alone:
    """One process that does everything."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def trusted(self) -> bool:
        return True

    def mine(self, role: Role, key: str) -> bool:
        return True

    def living(self, role: Role) -> list[str]:
        return [self._name]


class Membership:
    """`clock` is monotonic. `run` beats and listens for ever; `leave` says good-bye."""

    def __init__(
        self,
        bus: Log,
        me: Beat,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bus = bus
        self._me = me
        self._clock = clock
        self._sleep = sleep
        self._heard: dict[str, tuple[float, Beat]] = {}
        self._left: set[str] = set()
        self._own_heard_at = float("-inf")
        self._listening_since = float("inf")
        self._leaving = False

    @property
    def trusted(self) -> bool:
        """Whether our own word came back lately, and we have listened for long enough since."""
        now = self._clock()
        return now - self._own_heard_at <= ALIVE_S and now - self._listening_since >= LISTEN_S and not self._leaving

    def living(self, role: Role) -> list[str]:
        now = self._clock()
        return sorted(name for name, (at, beat) in self._heard.items() if role in beat.roles and now - at <= ALIVE_S)

    def mine(self, role: Role, key: str) -> bool:
        return self.trusted and chosen(self.living(role), key) == self._me.name

    async def run(self) -> None:
        """Raises NameTaken."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._beat_for_ever())

    async def _beat_for_ever(self) -> None:
        beating: asyncio.Task[None] | None = None
        while True:
            began = self._clock()
            if beating is None or beating.done():
                beating = asyncio.create_task(self._say(self._me))
            await self._sleep(BEAT_S)
            if self._clock() - began > BEAT_S + PAUSE_S:
                self._distrust("we were stopped")

    async def _say(self, beat: Beat) -> None:
        try:
            await self._bus.append(WORKERS, 0, [msgspec.json.encode(beat)])
        except LogUnavailable as error:
            log.warning("beat.unsaid", error=str(error))

    async def _listen(self) -> None:
        while True:
            try:
                end = await self._bus.end(WORKERS, 0)
                async for batch in self._bus.read(WORKERS, 0, end):
                    for stored in batch:
                        self._hear(stored.value)
            except LogUnavailable as error:
                log.warning("members.waits", error=str(error))
            self._distrust("the log is away")
            await self._sleep(BEAT_S)

    def _hear(self, value: bytes) -> None:
        try:
            beat = msgspec.json.decode(value, type=Beat)
        except msgspec.MsgspecError:
            return
        now = self._clock()
        if beat.name == self._me.name:
            self._hear_own_name(beat, now)
            return
        if beat.leaves:
            self._heard.pop(beat.name, None)
            self._left.add(beat.boot)
        elif beat.boot not in self._left:
            self._heard[beat.name] = (now, beat)

    def _hear_own_name(self, beat: Beat, now: float) -> None:
        if beat.boot == self._me.boot:
            if now - self._own_heard_at > ALIVE_S:
                self._listening_since = now
            self._own_heard_at = now
            self._heard[beat.name] = (now, beat)
        elif not beat.leaves and beat.since < self._me.since and now - self._listening_since >= LISTEN_S:
            raise NameTaken(f"another process is called '{beat.name}' too: give each its own NARU_WORKER")

    def _distrust(self, why: str) -> None:
        if self._listening_since < float("inf"):
            log.warning("members.distrusted", why=why)
        self._own_heard_at = float("-inf")
        self._listening_since = float("inf")

    async def leave(self) -> None:
        """Others take over at once; we go on with what we have until they do."""
        self._leaving = True
        await self._say(msgspec.structs.replace(self._me, leaves=True))


def chosen(names: list[str], key: str) -> str | None:
    """The one of these that is to do the thing called `key`; the same on every machine."""
    return max(names, key=lambda name: (hashlib.sha256(f"{name}\0{key}".encode()).digest(), name), default=None)

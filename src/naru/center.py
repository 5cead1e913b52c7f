"""The way into the log for both edges: `take` (durable, no answer awaited) and `ask` (with the decision's answer).

A customer's contact that the log will not take goes to the spool, if there is one, and is drained later in order;
while anything is spooled, everything is, so that no conversation is turned round. An agent's command never is.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from naru.bus.base import IN, MAX_VALUE_BYTES, Log, LogUnavailable
from naru.fairness import Fairness, Throttled
from naru.fold import Applied, Fold
from naru.keyring import Keyring
from naru.limits import Limits
from naru.wire import SYSTEM, Envelope, body_hash, encode, encode_content, input_id
from router import inputs
from router.model import Content
from router.state import Pool
from router.turn import Answer

APPEND_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 2.0
SPOOL = "spool"

log = structlog.get_logger("naru.center")


class TooLarge(Exception):
    """An input over the log's bound on one record."""


@functools.lru_cache(maxsize=100_000)
def shard_of(pool: str, shards: int) -> int:
    """A pool's shard: its name's bytes summed, so that it is the same on every machine."""
    return sum(pool.encode()) % shards


class Center:
    def __init__(
        self, bus: Log, fold: Fold, keyring: Keyring, shards: int, clock: Callable[[], float], spool: Log | None = None
    ) -> None:
        self._bus = bus
        self.fold = fold
        self._keyring = keyring
        self._shards = shards
        self._clock = clock
        self._spool = spool
        self._drained = 0
        self._fairness = Fairness(clock)
        self._appended: dict[int, int] = {}  # shard -> where its inputs end, as far as we have seen
        self.refused: Callable[[str], None] = lambda reason: None
        self.closed: set[int] = set()  # shards whose history is so late that what is said now could be lost to it
        self._limits = Limits()
        self._asked: dict[str, list[asyncio.Future[tuple[Answer, str]]]] = {}
        fold.subscribe(self._applied)

    def shard(self, pool: str) -> int:
        return shard_of(pool, self._shards)

    def pool(self, workspace: str) -> Pool | None:
        """A workspace's pool as the journal says it is. (One pool per workspace, until one outgrows a shard.)"""
        return self.fold.pools.get(workspace)

    async def take(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> str:
        """Make an input durable and return its id. Raises LogUnavailable (try again later), TooLarge."""
        envelope = self.envelope(workspace, actor, key, body, content)
        shard = self.shard(envelope.pool)
        if content is not None and shard in self.closed:
            self.refused("history")
            raise LogUnavailable("history is two days behind: what is said could be gone before it is kept")
        if self._spool is not None and await self._spooled():
            await self._spool_it(envelope)
            return envelope.id
        try:
            if actor != SYSTEM:
                self._fairness.admit(workspace, self.lag(shard))
            await self._append(envelope)
        except Throttled as error:
            # Not into the spool: it is one line for all, and there too one would stand before the others.
            self.refused("fairness")
            raise LogUnavailable(str(error)) from error
        except LogUnavailable:
            if self._spool is None:
                self.refused("log")
                raise
            await self._spool_it(envelope)
        return envelope.id

    def lag(self, shard: int) -> int:
        """How many inputs, of those that we know of, are not decided yet."""
        cursor = self.fold.cursors.get(shard)
        return 0 if cursor is None else max(0, self._appended.get(shard, 0) - cursor.in_next)

    async def ask(
        self,
        workspace: str,
        actor: str,
        key: str,
        body: inputs.Input,
        content: Content | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> tuple[Answer | None, str]:
        """Append and wait for the decision: (answer, position). None: taken, the outcome will be seen on the stream.

        Raises LogUnavailable, TooLarge.
        """
        envelope = self.envelope(workspace, actor, key, body, content)
        waiting: asyncio.Future[tuple[Answer, str]] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(envelope.id, []).append(waiting)
        try:
            await self._append(envelope)
            with self._limits.within(timeout_s):
                return await waiting
        except TimeoutError:
            return None, ""
        finally:
            self._asked_no_more(envelope.id, waiting)

    def _asked_no_more(self, id_: str, waiting: "asyncio.Future[tuple[Answer, str]]") -> None:
        """The same may be asked several times at once: each goes for itself."""
        others = self._asked.get(id_, [])
        if waiting in others:
            others.remove(waiting)
        if not others:
            self._asked.pop(id_, None)

    def envelope(self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None) -> Envelope:
        plain = encode_content(content) if content is not None else b""
        return Envelope(
            id=input_id(workspace, actor, key),
            workspace=workspace,
            pool=workspace,
            actor=actor,
            at=self._clock(),
            body=body,  # type: ignore[arg-type]
            hash=body_hash(body, plain),
            content=self._keyring.seal(workspace, "content", plain) if content is not None else None,
        )

    async def _append(self, envelope: Envelope) -> None:
        value, shard = encode(envelope), self.shard(envelope.pool)
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{len(value)} bytes")
        try:
            with self._limits.within(APPEND_TIMEOUT_S):
                (stored,) = await self._bus.append(IN, shard, [value])
            self._appended[shard] = stored.offset + 1
        except TimeoutError as error:
            raise LogUnavailable("the log did not answer in time") from error

    def _applied(self, applied: Applied) -> None:
        for reply in applied.record.re:
            if reply.input in self._asked:
                answer = Answer(status=reply.status, code=reply.code, contact=reply.contact)
                self.answered(reply.input, answer, applied.entry.position)

    def answered(self, id_: str, answer: Answer, position: str) -> None:
        """Tell whoever has asked this here what was decided, and where in the journal that stands."""
        for waiting in self._asked.get(id_, ()):
            if not waiting.done():
                waiting.set_result((answer, position))

    # -- spool

    async def _spooled(self) -> bool:
        return self._spool is not None and await self._spool.end(SPOOL, 0) > self._drained

    async def _spool_it(self, envelope: Envelope) -> None:
        assert self._spool is not None
        value = encode(envelope)
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{len(value)} bytes")
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_S):
                await self._spool.append(SPOOL, 0, [value])
        except TimeoutError as error:
            raise LogUnavailable("the spool did not answer in time") from error

    async def drain(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Bring what was spooled into the log, in order, for ever. What was appended twice is decided once."""
        if self._spool is None:
            return
        start = self._drained = await self._spool.begin(SPOOL, 0)
        decode = msgspec.json.Decoder(Envelope).decode
        async for batch in self._spool.read(SPOOL, 0, start):
            for stored in batch:
                while True:
                    try:
                        await self._append(decode(stored.value))
                        break
                    except LogUnavailable as error:
                        log.warning("spool.waits", error=str(error))
                        await sleep(1.0)
                self._drained = stored.offset + 1
            await self._spool.trim(SPOOL, 0, self._drained)

"""The owner of a shard: reads its inputs in order, decides, and appends one journal record per input. Nothing else.

It touches only the log, so a dead or frozen owner can do no harm: readers fence it by the validity rule. Latency is
one append; a turn's records go together. Who should own is a question of liveness alone: an owner never gives up by
itself, another's claim in the journal is the hand-over.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from naru.bus.base import DLQ, IN, JOURNAL, Log, LogUnavailable, Stored
from naru.fold import Cursor, Gap, Journal, Snapshots, close, fold, open_content
from naru.keyring import Keyring
from naru.store.database import StoreUnavailable
from naru.wire import SYSTEM, Envelope, Open, Record, Reply, body_hash, decode_envelope, decode_record, encode
from router import engine, inputs
from router.engine import Decision
from router.model import derive_id
from router.state import Pool
from router.turn import Answer

TURN_INPUTS = 50
LONGEST_BACKOFF_S = 5.0
LONGEST_WAIT_S = 5.0
TICK_AGAIN_S = 1.0
ASK_AGAIN_S = 0.1
"""How often it is asked whether we should own."""
FENCED_S = 0.5
"""How long an owner who was fenced waits: the view of who should own may be as late as that."""
OPEN_BEGINS = b'{"k":"open"'

log = structlog.get_logger("naru.runtime")


class Fenced(Exception):
    """Another owner's claim is in force."""


class Poisoned(Exception):
    """An input broke its decision; the state is suspect and is thrown away."""


class Owner:
    def __init__(
        self,
        log: Log,
        shard: int,
        keyring: Keyring,
        snapshots: Snapshots,
        worker: str,
        clock: Callable[[], float],
        chance: Callable[[], str],
        observe: Callable[[str, float], None] = lambda name, value: None,
        should_own: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log = log
        self.shard = shard
        self._keyring = keyring
        self._snapshots = snapshots
        self._worker = worker
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._should_own = should_own
        self._pools: dict[str, Pool] = {}
        self._workspaces: dict[str, str] = {}
        self._poison: dict[int, str] = {}
        self._nonce = ""
        self._seq = -1
        self._in_next = 0
        self._claimed_at = 0
        self._ticks = 0
        self._decided = asyncio.Event()
        self.owning = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Own the shard whenever we should, and begin anew with a new nonce whenever anything is in doubt."""
        backoff_s = 0.05
        while True:
            while not self._should_own():
                await sleep(ASK_AGAIN_S)
            try:
                await self._claim()
                backoff_s = 0.05
                await self._decide_until_fenced()
            except (LogUnavailable, StoreUnavailable, Fenced, Poisoned) as error:
                log.warning("shard.restart", shard=self.shard, error=str(error), kind=type(error).__name__)
                self._owns(False)
                self._observe("fenced" if isinstance(error, Fenced) else "restarted", 1)
                await sleep(FENCED_S if isinstance(error, Fenced) else backoff_s)
                away = isinstance(error, LogUnavailable | StoreUnavailable)
                backoff_s = min(LONGEST_BACKOFF_S, backoff_s * 2) if away else 0.05

    # -- claiming

    async def _claim(self) -> None:
        """Fold to the end, append `open`, and read on until it is seen to be in force."""
        snapshot = await self._snapshots.newest(self.shard)
        cursor = snapshot.cursor if snapshot else Cursor(shard=self.shard)
        self._pools = {name: Pool(memory) for name, memory in snapshot.pools.items()} if snapshot else {}
        self._workspaces = dict(snapshot.workspaces) if snapshot else {}
        self._nonce = self._chance()
        journal = Journal(self._log, cursor, with_inputs=False)
        claimed = False
        if await self._log.end(JOURNAL, self.shard) <= cursor.offset:
            await self._append_open(journal.rule.nonce)
            claimed = True
        async for entries in journal.entries():
            for entry in entries:
                fold(self._pools, entry.record)
                self._workspaces[entry.record.pool] = entry.record.workspace
            if journal.rule.nonce == self._nonce:
                break
            if await self._log.end(JOURNAL, self.shard) <= journal.cursor.offset:
                if claimed:
                    raise Fenced(journal.rule.nonce)
                await self._append_open(journal.rule.nonce)
                claimed = True
        self._seq, self._in_next, self._claimed_at = -1, journal.rule.in_next, journal.cursor.offset
        self._observe("claimed", 1)
        log.info("shard.owned", shard=self.shard, in_next=self._in_next, pools=len(self._pools))
        self._owns(True)

    def _owns(self, owns: bool) -> None:
        (self.owning.set if owns else self.owning.clear)()
        (self.idle.clear if owns else self.idle.set)()

    async def _append_open(self, prev: str) -> None:
        await self._append(JOURNAL, [encode(Open(n=self._nonce, prev=prev, worker=self._worker))])

    async def _append(self, topic: str, values: list[bytes]) -> None:
        await self._log.append(topic, self.shard, values)

    # -- deciding

    async def _decide_until_fenced(self) -> None:
        """Decide, ask for ticks, and watch the journal for another's claim; what ends first ends all."""
        parts = [asyncio.create_task(part) for part in (self._decide_for_ever(), self._tick_for_ever(), self._watch())]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        raise LogUnavailable("the input topic has ended")

    async def _watch(self) -> None:
        """Notice another's valid claim, so that we stop wasting our time; nobody reads what we write after it."""
        async for batch in self._log.read(JOURNAL, self.shard, self._claimed_at):
            for stored in batch:
                if stored.value.startswith(OPEN_BEGINS):
                    record = decode_record(stored.value)
                    if isinstance(record, Open) and record.prev == self._nonce:
                        raise Fenced(record.n)

    async def _decide_for_ever(self) -> None:
        at = self._in_next
        async for batch in self._log.read(IN, self.shard, at, ahead=True):
            if batch[0].offset != at:
                raise Gap(f"shard {self.shard}: inputs {at} to {batch[0].offset - 1} are gone, and were not decided")
            at = batch[-1].offset + 1
            for start in range(0, len(batch), TURN_INPUTS):
                await self._turn(batch[start : start + TURN_INPUTS])
            self._decided.set()

    async def _tick_for_ever(self) -> None:
        """When the wall passes a due time and no input has, ask for a tick, and again if it does not come."""
        while True:
            self._decided.clear()
            due_at = self._due_at()
            wait_s = LONGEST_WAIT_S if due_at is None else min(LONGEST_WAIT_S, max(0.0, due_at - self._clock()))
            try:
                async with asyncio.timeout(wait_s):
                    await self._decided.wait()
            except TimeoutError:
                if due_at is not None and due_at <= self._clock():
                    await self._ask_for_tick()

    async def _ask_for_tick(self) -> None:
        self._ticks += 1
        try:
            await self._append(IN, [encode(self._tick())])
            async with asyncio.timeout(TICK_AGAIN_S):
                await self._decided.wait()
        except (LogUnavailable, TimeoutError):
            await asyncio.sleep(TICK_AGAIN_S)

    def _tick(self) -> Envelope:
        id_ = derive_id("tick", self._nonce, str(self._ticks))
        body = inputs.Tick()
        return Envelope(
            id=id_, workspace="", pool="", actor=SYSTEM, at=self._clock(), body=body, hash=body_hash(body, b"")
        )

    def _due_at(self) -> float | None:
        dues = [due for pool in self._pools.values() if (due := pool.due_at()) is not None]
        return min(dues, default=None)

    async def _turn(self, batch: list[Stored]) -> None:
        records: list[Record] = []
        rejected: list[bytes] = []
        for stored in batch:
            began = self._clock()
            self._expire(stored, records)
            envelope, reason = self._decode(stored)
            if envelope is None:
                rejected.append(stored.value)
                records.append(self._record(stored.offset + 1, stored.t, "", self._rejected(stored), None))
                log.error("input.rejected", shard=self.shard, offset=stored.offset, error=reason)
            elif envelope.pool:
                records.append(self._answer(stored, envelope))
            else:
                records.append(self._record(stored.offset + 1, stored.t, "", [], None))
            self._observe("decision_s", self._clock() - began)
        if rejected:
            await self._append(DLQ, rejected)
        await self._append(JOURNAL, [encode(record) for record in records])

    def _rejected(self, stored: Stored) -> list[Reply]:
        """Whoever asked is told, if it can be made out who."""
        try:
            envelope = decode_envelope(stored.value)
        except msgspec.MsgspecError:
            return []
        return [Reply(input=envelope.id, hash=envelope.hash, status=500, code="rejected")]

    def _decode(self, stored: Stored) -> tuple[Envelope | None, str]:
        if stored.offset in self._poison:
            return None, self._poison[stored.offset]
        try:
            return decode_envelope(stored.value), ""
        except msgspec.MsgspecError as error:
            return None, str(error)

    def _expire(self, stored: Stored, records: list[Record]) -> None:
        """Everything due before this input happens before it, earliest first over all pools."""
        while any(pool.is_due(stored.t) for pool in self._pools.values()):
            due_at = self._due_at()
            if due_at is None or due_at > stored.t:
                return
            name = min((n for n, p in self._pools.items() if p.due_at() == due_at))
            pool = self._pools[name]
            # A timer that breaks is no input's fault and would break again: it ends the process, loudly.
            decision = engine.expire(pool, stored.t)
            if decision is not None:
                records.append(self._record(stored.offset, pool.t, name, [], decision))

    def _answer(self, stored: Stored, envelope: Envelope) -> Record:
        pool = self._pools.get(envelope.pool)
        if pool is None:
            pool = self._pools[envelope.pool] = Pool()
        self._workspaces[envelope.pool] = envelope.workspace
        seen = pool.memory.seen.get(envelope.id)
        decision: Decision | None
        if seen is not None:
            same = seen.hash == envelope.hash
            answer = Answer(status=seen.status, code=seen.code, contact=seen.contact)
            decision = Decision([], [], answer if same else Answer(status=422, code="id-reused"))
        else:
            decision = self._safely(stored, lambda: self._decide(pool, envelope, stored.t))
        assert decision is not None
        reply = Reply(
            input=envelope.id,
            hash=envelope.hash,
            status=decision.answer.status,
            code=decision.answer.code,
            contact=decision.answer.contact,
        )
        record = self._record(stored.offset + 1, max(stored.t, pool.t), envelope.pool, [reply], decision)
        close(pool, record)
        return record

    def _decide(self, pool: Pool, envelope: Envelope, t: float) -> Decision:
        content = open_content(self._keyring, envelope)
        return engine.decide(pool, envelope.body, t, envelope.id, envelope.at, content)

    def _safely(self, stored: Stored, decide: Callable[[], Decision | None]) -> Decision | None:
        """A decision that breaks half-way leaves a suspect state: begin anew, and reject this input when it comes."""
        try:
            return decide()
        except Exception as error:
            log.exception("input.poison", shard=self.shard, offset=stored.offset)
            self._poison[stored.offset] = f"{type(error).__name__}: {error}"
            raise Poisoned(str(error)) from error

    def _record(self, in_next: int, t: float, pool: str, replies: list[Reply], decision: Decision | None) -> Record:
        self._seq += 1
        return Record(
            n=self._nonce,
            s=self._seq,
            i=in_next,
            t=t,
            workspace=self._workspaces.get(pool, ""),
            pool=pool,
            re=tuple(replies),
            ev=tuple(decision.events) if decision else (),  # type: ignore[arg-type]
            fx=tuple(decision.effects) if decision else (),  # type: ignore[arg-type]
        )

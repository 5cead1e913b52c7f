"""Faults to plant, one at a time, by which the harness proves that it would see them. Each is a small slip of a hand."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
from pytest import MonkeyPatch

from naru import center, fold, runtime, wire
from naru.bus.base import DLQ, LogUnavailable
from naru.sim.faults import run as core
from router import (
    calls,
    campaigns,
    capacity,
    dialing,
    engine,
    events,
    inputs,
    intake,
    lines,
    outbound,
    participants,
    presence,
    state,
    turn,
)
from router.cells import CLOSED, Cells
from router.line import Group
from router.matching import Matching
from router.queueing import NOWHERE
from router.state import Pool
from router.timers import Timers
from router.turn import Answer
from simulation import shards

MOST_SEEDS = 150
Plant = Callable[[MonkeyPatch], None]


def _capacity(**without: Any) -> Plant:
    def plant(patch: MonkeyPatch) -> None:
        whole = capacity.fits

        def fits(kind: Any, held: Any, units: int, maximum: Any, at_once: Any = None) -> Any:
            given = {"units": units, "maximum": maximum, "at_once": at_once, **without}
            return whole(kind, held, **given)

        patch.setattr(capacity, "fits", fits)

    return plant


def _after(event: type[events.Event], more: Callable[[Pool, Any], None]) -> Plant:
    """Something goes wrong when this event is applied."""

    def plant(patch: MonkeyPatch) -> None:
        whole = state._APPLY[event]

        def applied(pool: Pool, happened: Any) -> None:
            whole(pool, happened)
            more(pool, happened)

        patch.setitem(state._APPLY, event, applied)

    return plant


def _watched_once(patch: MonkeyPatch) -> None:
    whole = Timers.watch

    def watch(self: Timers, entity: str, id_: str, due: Any) -> None:
        if (entity, id_) not in self._known:
            whole(self, entity, id_, due)

    patch.setattr(Timers, "watch", watch)


def _first_only(patch: MonkeyPatch) -> None:
    def head_for(self: Matching, number: int, group: Group) -> int:
        first = group.first()
        return NOWHERE if first is None or number in first.excludes else first.place

    patch.setattr(Matching, "_head_for", head_for)


def _token_stays(patch: MonkeyPatch) -> None:
    whole = Cells.set

    def set_(self: Cells, number: int, state_: Any) -> None:
        places = [number * self.width + slot.at for slot in self.slots]
        tokens = [self.records[place] for place in places]
        whole(self, number, state_)
        for place, token in zip(places, tokens, strict=True):
            if state_[2] is CLOSED and token is not None:
                self.records[place] = token
                token.gone = False

    patch.setattr(Cells, "set", set_)


def _not_released(pool: Pool, event: Any) -> None:
    pool.agents[event.agent].contacts.append(event.contact)


def _loses_place(pool: Pool, event: Any) -> None:
    pool.contacts[event.contact].enqueued_at = pool.t
    pool.touch(pool.contacts[event.contact])


def _no_rona(pool: Pool, event: Any) -> None:
    pool.agents[event.agent].presence = "available"
    pool.touch_agent(pool.agents[event.agent])


def _forgets_keys(pool: Pool, event: Any) -> None:
    pool.conversations[event.conversation].keys.clear()


def _without(name: str, kind: str) -> Plant:
    """A deadline that is not derived any more."""

    def plant(patch: MonkeyPatch) -> None:
        whole = getattr(state, name)

        def deadlines(pool: Pool, of: Any) -> dict[str, float]:
            return {what: due for what, due in whole(pool, of).items() if what != kind}

        patch.setattr(state, name, deadlines)

    return plant


def _restores_without_stamps(patch: MonkeyPatch) -> None:
    whole = Pool.__init__

    def init(self: Pool, memory: Any = None) -> None:
        for agent in memory.agents.values() if memory else ():
            agent.idle_stamp = 0
        whole(self, memory)

    patch.setattr(Pool, "__init__", init)


def _handler_writes(patch: MonkeyPatch) -> None:
    whole = engine.HANDLERS[inputs.ParkContact]

    def park(one: turn.Turn, wish: inputs.ParkContact) -> Any:
        answer = whole(one, wish)
        one.pool.contacts[wish.contact].nudged = True
        return answer

    patch.setitem(engine.HANDLERS, inputs.ParkContact, park)


def _refusal_writes(patch: MonkeyPatch) -> None:
    whole = engine.HANDLERS[inputs.AcceptOffer]

    def accept(one: turn.Turn, wish: inputs.AcceptOffer) -> Any:
        if wish.agent in one.pool.agents:
            one.pool.agents[wish.agent].reason = "asked"
        return whole(one, wish)

    patch.setitem(engine.HANDLERS, inputs.AcceptOffer, accept)


def _nobody_gives_up(patch: MonkeyPatch) -> None:
    whole = outbound.deadlines

    def deadlines(known: Any) -> dict[str, float]:
        return {what: due for what, due in whole(known).items() if what != "asked"}

    patch.setattr(outbound, "deadlines", deadlines)


def _one_too_many(patch: MonkeyPatch) -> None:
    whole = dialing.spare
    patch.setattr(dialing, "spare", lambda live, abandoned, ceiling: whole(live, abandoned, ceiling) + 1)


def _only_who_is_lost(pool: Pool, rules: Any, known: Any, t: float) -> tuple[int, int]:
    return outbound.in_window(known, t, rules.window_days)


def _promotion_ignored(patch: MonkeyPatch) -> None:
    from router import queueing

    whole = queueing.tier
    patch.setattr(queueing, "tier", lambda c, q: whole(msgspec.structs.replace(c, promoted=False), q))


def _speaks_unheard(patch: MonkeyPatch) -> None:
    for module in (calls, participants):
        patch.setattr(module, "set_manner", lambda *_: None)


def order_of_a_set(patch: MonkeyPatch) -> None:
    def start_gateway(one: turn.Turn, wish: inputs.StartGateway) -> Any:
        for agent in set(one.pool.agents):
            for connection in list(one.pool.agents[agent].connections):
                if connection.startswith(f"{wish.gateway}:"):
                    presence._disconnected(one, one.pool.agents[agent], connection)
        return turn.OK

    patch.setitem(engine.HANDLERS, inputs.StartGateway, start_gateway)


CORE: dict[str, Plant] = {
    "capacity ignores the maximum of a kind": _capacity(maximum=dict.fromkeys(capacity.MAXIMUM, 99)),
    "capacity ignores at_once": _capacity(at_once=None),
    "capacity ignores units": _capacity(units=10_000),
    "a timer that is moved nearer is not watched again": _watched_once,
    "nobody looks past a first who excludes": _first_only,
    "a closed agent's token stays": _token_stays,
    "an offer that timed out is not released": _after(events.OfferTimedOut, _not_released),
    "going back to the queue loses the place": _after(events.ContactRequeued, _loses_place),
    "an exclusion never ends": _without("contact_deadlines", "exclusion"),
    "a lost agent keeps the offer": _without("agent_deadlines", "lost_offers"),
    "an owner's silence has no end": _without("contact_deadlines", "silence"),
    "restoring forgets who has been idle longest": _restores_without_stamps,
    "a handler writes to memory": _handler_writes,
    "a refusal writes to memory": _refusal_writes,
    "what is over the length is sent away": lambda patch: patch.setattr(intake, "_with_room", lambda _, queue: queue),
    "the reserve is ignored": lambda patch: patch.setattr(Cells, "beyond_reserve", lambda self, queues: True),
    "whoever lets it ring stays available": _after(events.OfferTimedOut, _no_rona),
    "a message is accepted a second time": _after(events.MessageAdded, _forgets_keys),
    "an answer is not remembered": lambda patch: patch.setattr(Pool, "remember", lambda self, id_, seen: None),
    "max_wait does not bring forward": _promotion_ignored,
    "guests stay when the owner goes": lambda patch: patch.setattr(turn, "ENDS_COMPANY", ()),
    "whoever is to speak is not heard": _speaks_unheard,
    "nobody looks again when somebody leaves": lambda patch: patch.setattr(Pool, "somebody_left", lambda self: None),
    "leave to call never grows old": lambda patch: patch.setattr(lines, "is_stale", lambda *_: False),
    "a line more than the ceiling allows": _one_too_many,
    "a line outlives its agent": lambda patch: patch.setattr(campaigns, "_cut_short", lambda *_: None),
    "whoever may yet be lost is not counted": lambda patch: patch.setattr(outbound, "at_stake", _only_who_is_lost),
    "nobody gives up a dialler that is silent": _nobody_gives_up,
    "a second agent is kept in vain": lambda patch: patch.setattr(outbound, "unserved", lambda *_: []),
    "restoring looks at everybody again": lambda patch: patch.setattr(Pool, "settled", lambda self: None),
}
"""Found by one process. `order_of_a_set` needs two, with different hash seeds."""


# -- the runtime


def _reader(accepts: Callable[[Any, Any], bool]) -> Plant:
    """Another validity rule."""

    def plant(patch: MonkeyPatch) -> None:
        def accept(self: Any, record: Any) -> bool:
            valid = accepts(self, record)
            if valid and isinstance(record, wire.Open):
                self.nonce, self.seq = record.n, -1
            elif valid:
                self.seq, self.in_next = record.s, record.i
            self.ignored += not valid
            return valid

        patch.setattr(wire.JournalReader, "accept", accept)

    return plant


def _opens(self: Any, record: Any) -> bool:
    return bool(record.prev == self.nonce and record.n != self.nonce)


def _zombie(self: Any, record: Any) -> bool:
    return _opens(self, record) if isinstance(record, wire.Open) else True


def _no_sequence(self: Any, record: Any) -> bool:
    return _opens(self, record) if isinstance(record, wire.Open) else bool(record.n == self.nonce)


def _any_claim(self: Any, record: Any) -> bool:
    if isinstance(record, wire.Open):
        return bool(record.n != self.nonce)
    return bool(record.n == self.nonce and record.s == self.seq + 1)


def _cursor(wrong: Callable[[fold.Cursor], fold.Cursor]) -> Plant:
    """A snapshot stands at another place than it says."""

    def plant(patch: MonkeyPatch) -> None:
        whole = fold.Fold.snapshot

        def snapshot(self: Any, shard: int) -> Any:
            taken = whole(self, shard)
            return msgspec.structs.replace(taken, cursor=wrong(taken.cursor))

        patch.setattr(fold.Fold, "snapshot", snapshot)

    return plant


def _one_further(cursor: fold.Cursor) -> fold.Cursor:
    return msgspec.structs.replace(cursor, offset=cursor.offset + 1)


def _one_nearer(cursor: fold.Cursor) -> fold.Cursor:
    return msgspec.structs.replace(cursor, offset=max(0, cursor.offset - 1))


def _nobody_reigns(cursor: fold.Cursor) -> fold.Cursor:
    return msgspec.structs.replace(cursor, nonce="")


def _one_record_less(cursor: fold.Cursor) -> fold.Cursor:
    return msgspec.structs.replace(cursor, seq=cursor.seq - 1)


def _forgets_answers(patch: MonkeyPatch) -> None:
    def close(pool: Pool, record: Any) -> None:
        pool.memory.t = max(pool.memory.t, record.t)

    patch.setattr(fold, "close", close)


def _keeps_its_state(patch: MonkeyPatch) -> None:
    """Whoever begins anew goes on with what it had, of which it cannot know that it counts."""
    whole = runtime.Owner._claim

    async def claim(self: Any) -> None:
        kept = self._pools
        await whole(self)
        self._pools = kept or self._pools

    patch.setattr(runtime.Owner, "_claim", claim)


def _applies_again(patch: MonkeyPatch) -> None:
    """`decide` applies each event as it is born; the owner does some once more."""
    whole = runtime.Owner._decide

    def decide(self: Any, pool: Pool, envelope: Any, t: float) -> Any:
        decision = whole(self, pool, envelope, t)
        for event in decision.events:
            if isinstance(event, events.ContactOpened):
                state.apply(pool, event, t)
        return decision

    patch.setattr(runtime.Owner, "_decide", decide)


def _owner_forgets(patch: MonkeyPatch) -> None:
    def close(pool: Pool, record: Any) -> None:
        pool.memory.t = max(pool.memory.t, record.t)

    patch.setattr(runtime, "close", close)


def _drops_what_it_rejects(patch: MonkeyPatch) -> None:
    whole = runtime.Owner._append

    async def append(self: Any, topic: str, values: list[bytes]) -> None:
        if topic != DLQ:
            await whole(self, topic, values)

    patch.setattr(runtime.Owner, "_append", append)


def _new_ids(patch: MonkeyPatch) -> None:
    """What is asked again is another question."""
    whole, asked = center.input_id, itertools.count()
    patch.setattr(center, "input_id", lambda workspace, actor, key: whole(workspace, actor, f"{key}-{next(asked)}"))


def _anybodys_answer(patch: MonkeyPatch) -> None:
    """Whoever waits is told what was answered next, whomever it was for."""

    def applied(self: Any, what: Any) -> None:
        for reply in what.record.re:
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_result((Answer(status=reply.status, code=reply.code, contact=reply.contact), ""))

    patch.setattr(center.Center, "_applied", applied)


def _begins_later(patch: MonkeyPatch) -> None:
    whole = runtime.Owner._claim

    async def claim(self: Any) -> None:
        await whole(self)
        self._in_next += self._in_next > 3

    patch.setattr(runtime.Owner, "_claim", claim)


def _decides_again(patch: MonkeyPatch) -> None:
    """Whoever takes over decides the last input once more."""
    whole = runtime.Owner._claim

    async def claim(self: Any) -> None:
        await whole(self)
        self._in_next = max(0, self._in_next - 1)

    patch.setattr(runtime.Owner, "_claim", claim)


RUNTIME: dict[str, Plant] = {
    "a zombie's record is accepted": _reader(_zombie),
    "a record is accepted twice": _reader(_no_sequence),
    "any claim is in force, whatever it follows": _reader(_any_claim),
    "a snapshot's cursor is one too far": _cursor(_one_further),
    "a snapshot's cursor is one too short": _cursor(_one_nearer),
    "a snapshot forgets who reigns": _cursor(_nobody_reigns),
    "a snapshot counts one record less": _cursor(_one_record_less),
    "readers forget what was answered": _forgets_answers,
    "whoever begins anew keeps its state": _keeps_its_state,
    "an owner applies an event twice": _applies_again,
    "an owner forgets what it has answered": _owner_forgets,
    "an owner ends when the store is away": lambda patch: patch.setattr(runtime, "StoreUnavailable", LogUnavailable),
    "what is rejected is not kept aside": _drops_what_it_rejects,
    "whoever asks again has another id": _new_ids,
    "somebody else's answer is taken for one's own": _anybodys_answer,
    "a new owner leaves out an input": _begins_later,
    "a new owner decides an input again": _decides_again,
}


def found(name: str) -> core.Failure | shards.Failure | None:
    """What the harness says of a planted fault: the first seed at which it sees something."""
    go = core.run if name in CORE else shards.run
    with MonkeyPatch.context() as patch:
        (CORE | RUNTIME)[name](patch)
        return next((failure for seed in range(1, MOST_SEEDS + 1) if (failure := go(seed)[1]) is not None), None)

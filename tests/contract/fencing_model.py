"""Every order in which owners can claim, decide, freeze, crash and be doubled by the log: all of them, for a small center.

The rule under test is the real `naru.wire.JournalReader` on real records; owners are a model of `naru.runtime.Owner`.
Of the journal a state keeps what a reader that has read it all knows, which is all that the future depends on: that is
why there are so few. Reading a part is reading all of it earlier. Owners are alike, and a nonce is named by when it was
drawn.

`PYTHONPATH=tests python -m contract.fencing_model` counts the states, and shows that broken rules are found.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from contract.broken_rules import PLANTED
from naru.wire import AnyRecord, JournalReader, Open, Record, Reply

TURN = 2
"""At most so many inputs are answered by one append."""

Rule = type[JournalReader]
History = tuple[str, ...]
"""Who decided each input that is answered."""
Append = tuple[AnyRecord, ...]
"""Records go to the log together, as a turn's do: all or none, in order."""


class Bounds(NamedTuple):
    """`strays` is how many appends may land late, never, or once more; `claims` how many nonces are drawn in all."""

    owners: int
    inputs: int
    strays: int
    claims: int

    def __str__(self) -> str:
        return f"{self.owners} owners, {self.claims} claims, {self.inputs} inputs, {self.strays} stray appends"


class Known(NamedTuple):
    """What whoever has read the journal to its end knows: the state of the real rule, what has been decided, and by
    whose claims."""

    nonce: str = ""
    seq: int = -1
    in_next: int = 0
    history: History = ()
    reigns: tuple[str, ...] = ()


class Owner(NamedTuple):
    """`asleep`: holds nothing. `read`: will claim. `claimed`: has not seen yet whether it won. `owns`: believes so.

    Freezing needs no state: whoever is not chosen to move stands still, for as long as others move.
    """

    phase: str = "asleep"
    nonce: str = ""
    seq: int = -1
    base: Known = Known()


class State(NamedTuple):
    known: Known
    owners: tuple[Owner, ...]
    flying: tuple[Append, ...]
    strays: int
    claims: int


class Broken(Exception):
    """What must never happen, with how many states were looked at and the shortest way there."""

    def __init__(self, what: str, states: int, way: list[str]) -> None:
        super().__init__("\n  ".join((f"{what}, after {states} states", *way)))
        self.what = what
        self.states = states


class Wrong(Exception):
    """A record that counts and should not."""


def opens(nonce: str, prev: str) -> Append:
    return (Open(n=nonce, prev=prev, worker=nonce),)


@cache
def decides(nonce: str, seq: int, history: History, count: int) -> Append:
    """The next inputs, answered by this owner on the strength of this history, which each record remembers."""
    records = []
    for number in range(count):
        so_far = history + (nonce,) * number
        at = len(so_far)
        reply = Reply(input=str(at), hash=",".join(so_far), status=200, code="ok")
        records.append(Record(n=nonce, s=seq + 1 + number, i=at + 1, t=0.0, re=(reply,)))
    return tuple(records)


def landed(rule: Rule, known: Known, append: Append) -> Known:
    """The journal with these records at its end, as every reader will read it. Raises Wrong."""
    reader = rule(known.nonce, known.seq, known.in_next)
    history, reigns = known.history, known.reigns
    for record in append:
        if not reader.accept(record):
            continue
        if isinstance(record, Open):
            reigns += (record.n,)
        else:
            (reply,) = record.re
            if int(reply.input) < len(history):
                raise Wrong(f"input {reply.input} is answered twice")
            if int(reply.input) > len(history):
                raise Wrong(f"input {len(history)} is left out")
            if reply.hash != ",".join(history):
                raise Wrong(f"input {reply.input} is decided on a history that never was")
            history += (record.n,)
            if reader.in_next != len(history):
                raise Wrong(f"the next input is {len(history)}, not {reader.in_next}")
    return Known(reader.nonce, reader.seq, reader.in_next, history, reigns)


def amiss(state: State) -> str:
    """What is wrong though nothing is answered wrongly yet: the way there, and looking on, is worth it."""
    known = state.known
    if len(set(known.reigns)) < len(known.reigns):
        return f"{known.reigns[-1]} is dead and reigns again"
    for owner in state.owners:
        if owner.phase == "owns" and owner.nonce == known.nonce and owner.base.history != known.history:
            return f"{owner.nonce} reigns and is not heard"
    return ""


class Model:
    def __init__(self, bounds: Bounds, rule: Rule = JournalReader) -> None:
        self.bounds = bounds
        self._landed = cache(lambda known, append: landed(rule, known, append))

    def explore(self) -> tuple[int, int]:
        """How many states there are, and in how many of them everything is answered. Raises Broken."""
        owners = (Owner(),) * self.bounds.owners
        start = State(Known(), owners, (), self.bounds.strays, self.bounds.claims)
        came: dict[State, tuple[State, str] | None] = {start: None}
        here: State = start
        todo, complete, lesser = [start], 0, None
        try:
            for here in todo:  # in the order of their distance, so that the first way found is a shortest one
                complete += len(here.known.history) == self.bounds.inputs
                for move, there in self.moves(here):
                    if there not in came:
                        came[there] = (here, move)
                        todo.append(there)
                        if lesser is None and (what := amiss(there)):
                            lesser = Broken(what, len(came), _way(came, there))
        except Wrong as wrong:
            raise Broken(str(wrong), len(came), _way(came, here)) from wrong
        if lesser is not None:
            raise lesser
        return len(came), complete

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        for number, owner in enumerate(state.owners):
            if number and owner == state.owners[number - 1]:
                continue  # owners are alike
            rest = state.owners[:number] + state.owners[number + 1 :]
            yield from _STEPS[owner.phase](self, state, owner, rest)
            if owner.phase != "asleep":
                yield f"{owner.nonce} crashes", _with(state, rest, Owner())
        for number, append in enumerate(state.flying):
            if number and append == state.flying[number - 1]:
                continue
            less = state.flying[:number] + state.flying[number + 1 :]
            known = self._landed(state.known, append)
            yield f"what {append[0].n} sent lands late", state._replace(known=known, flying=less)
            if state.strays:
                yield (
                    f"what {append[0].n} sent lands late, and will once more",
                    state._replace(known=known, strays=state.strays - 1),
                )

    # -- owners

    def reads(self, state: State, owner: Owner, rest: tuple[Owner, ...]) -> Iterator[tuple[str, State]]:
        """Folds the journal to its end, and draws a nonce."""
        if state.claims:
            nonce = f"n{self.bounds.claims - state.claims}"
            ready = Owner("read", nonce, -1, state.known)
            yield f"{nonce} has read everything", _with(state, rest, ready)._replace(claims=state.claims - 1)

    def claims(self, state: State, owner: Owner, rest: tuple[Owner, ...]) -> Iterator[tuple[str, State]]:
        append = opens(owner.nonce, owner.base.nonce)
        claimed = owner._replace(phase="claimed", base=Known())
        yield from self._appends(f"{owner.nonce} claims", state, append, rest, claimed)

    def sees(self, state: State, owner: Owner, rest: tuple[Owner, ...]) -> Iterator[tuple[str, State]]:
        """Reads on: its own claim is in force, or another's."""
        if state.known.nonce == owner.nonce:
            yield f"{owner.nonce} owns", _with(state, rest, Owner("owns", owner.nonce, -1, state.known))
        else:
            yield f"{owner.nonce} sees that it is fenced", _with(state, rest, Owner())

    def decides(self, state: State, owner: Owner, rest: tuple[Owner, ...]) -> Iterator[tuple[str, State]]:
        history = owner.base.history
        for count in range(1, min(TURN, self.bounds.inputs - len(history)) + 1):
            append = decides(owner.nonce, owner.seq, history, count)
            after = owner.base._replace(history=history + (owner.nonce,) * count)
            went_on = owner._replace(seq=owner.seq + count, base=after)
            yield from self._appends(f"{owner.nonce} decides {count}", state, append, rest, went_on)

    def _appends(
        self, what: str, state: State, append: Append, rest: tuple[Owner, ...], after: Owner
    ) -> Iterator[tuple[str, State]]:
        """It is stored, stored and will be once more, or nobody knows: then the owner begins anew, with a new nonce.

        (Stored, but nobody was told: the owner crashes next.)
        """
        known = self._landed(state.known, append)
        stored = _with(state, rest, after)._replace(known=known)
        yield what, stored
        if state.strays:
            yield f"{what}, and it is in the air once more", _flies(stored, append)
            yield f"{what}, and nobody knows whether", _flies(_with(state, rest, Owner()), append)


Step = Callable[[Model, State, Owner, tuple[Owner, ...]], Iterator[tuple[str, State]]]
_STEPS: dict[str, Step] = {
    "asleep": Model.reads,
    "read": Model.claims,
    "claimed": Model.sees,
    "owns": Model.decides,
}


def _with(state: State, rest: tuple[Owner, ...], owner: Owner) -> State:
    return state._replace(owners=tuple(sorted((*rest, owner))))


def _flies(state: State, append: Append) -> State:
    flying = tuple(sorted((*state.flying, append), key=_order))
    return state._replace(flying=flying, strays=state.strays - 1)


@cache
def _order(append: Append) -> str:
    return str(append)


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way: list[str] = []
    while (step := came[state]) is not None:
        state, move = step
        way.append(move)
    return way[::-1]


WIDE = Bounds(owners=2, inputs=3, strays=2, claims=4)
BUSY = Bounds(owners=3, inputs=2, strays=1, claims=4)


def found(rule: Rule) -> Broken | None:
    try:
        Model(WIDE, rule).explore()
    except Broken as broken:
        return broken
    return None


def main() -> int:
    for bounds in (WIDE, BUSY):
        began = time.perf_counter()
        states, complete = Model(bounds).explore()
        took = time.perf_counter() - began
        print(f"{bounds}: {states} states, all answered in {complete} of them, nothing wrong ({took:.0f} s)")
    missed = 0
    for rule in PLANTED:
        broken = found(rule)
        missed += broken is None
        print(f"\n{rule.__name__}: {broken or 'NOT FOUND'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

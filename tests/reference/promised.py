"""An M/M/c queue whose callers lose patience, unless they were promised a callback and so keep their place for ever.

Who comes while at least `when_waiting` wait is promised one with the chance `accept`. A state is who is busy and who waits,
in order: 1 for somebody promised, 0 for somebody on the line. Rates are per second. Imports nothing of ours.
"""

from dataclasses import dataclass

from reference.markov import Moves, State, stationary


@dataclass(frozen=True)
class Promised:
    """Shares of all who come; `cut` is the chance of the longest line considered."""

    wait_probability: float
    abandonment: float
    promised: float
    wait_all_s: float
    occupancy: float
    cut: float


def promised(
    *, agents: int, arrive: float, serve: float, leave: float, when_waiting: int, accept: float, longest: int
) -> Promised:
    def accepts(row: tuple[int, ...]) -> float:
        return accept if len(row) >= when_waiting else 0.0

    def moves(state: State) -> Moves:
        busy, row = state
        if busy < agents:
            yield arrive, (busy + 1, row)
        elif len(row) < longest:
            yield arrive * accepts(row), (busy, (*row, 1))
            yield arrive * (1 - accepts(row)), (busy, (*row, 0))
        if busy:
            yield busy * serve, (busy, row[1:]) if row else (busy - 1, row)
        for place, kept in enumerate(row):
            if not kept:
                yield leave, (busy, row[:place] + row[place + 1 :])

    levels, law = stationary((0, ()), moves, lambda state: len(state[1]))
    share = {
        state: float(p) for states, ps in zip(levels, law, strict=True) for state, p in zip(states, ps, strict=True)
    }
    full = {row: p for (busy, row), p in share.items() if busy == agents}
    return Promised(
        wait_probability=sum(full.values()),
        abandonment=leave * sum(row.count(0) * p for row, p in full.items()) / arrive,
        promised=sum(accepts(row) * p for row, p in full.items()),
        wait_all_s=sum(len(row) * p for row, p in full.items()) / arrive,
        occupancy=sum(busy * p for (busy, _), p in share.items()) / agents,
        cut=sum(p for row, p in full.items() if len(row) == longest),
    )

"""How much an agent can hold at once, and what may interrupt what.

Every kind costs units (routing.md, Capacity); an agent has `units` of them, a maximum per kind, and perhaps a maximum
over all kinds.
"""

from collections.abc import Sequence

from router.config import COST_UNITS
from router.model import Kind

MAXIMUM: dict[Kind, int] = {"voice": 1, "chat": 3, "sms": 5, "email": 5, "social": 5, "task": 2}
"""What an agent holds at most of a kind when the profile says nothing."""

INTERRUPTIBLE: frozenset[Kind] = frozenset(("email", "task"))
INTERRUPTING: frozenset[Kind] = frozenset(("voice",))


def cost(kind: Kind) -> int:
    return COST_UNITS[kind]


def fits(
    kind: Kind, held: Sequence[tuple[Kind, bool]], units: int, maximum: dict[Kind, int], at_once: int | None = None
) -> tuple[bool, int]:
    """Whether one more of `kind` fits beside what is held, and how many units of it must be interrupted for that.

    `held` lists (kind, can be interrupted now) of everything that holds units.
    """
    if at_once is not None and len(held) >= at_once:
        return False, 0
    most = maximum.get(kind, MAXIMUM[kind])
    free = units
    for other, _ in held:
        most -= other == kind
        free -= COST_UNITS[other]
    if most <= 0:
        return False, 0
    short = COST_UNITS[kind] - free
    if short <= 0:
        return True, 0
    if kind not in INTERRUPTING:
        return False, 0
    yielding = sum(COST_UNITS[other] for other, interruptible in held if interruptible and other in INTERRUPTIBLE)
    return yielding >= short, short

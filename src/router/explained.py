"""What an explanation consists of: plain values, the same in JSON. `router.explain` makes them, `agents.why` says them."""

from typing import Literal

import msgspec

from router.config import Strategy
from router.model import ByHand
from router.reasons import Reason

How = Literal["arrived", "freed"] | ByHand
"""The contact looked for an agent, or an agent became free and looked for a contact; else no choice was made."""


class Need(msgspec.Struct, frozen=True):
    """`source`: wall, queue, rule, or `step 2`."""

    skill: str
    level: int
    source: str


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One requirement set: whoever meets one of them may take the contact. `step` added this queue."""

    queue: str
    strategy: Strategy
    needs: tuple[Need, ...]
    step: int | None = None


class Passed(msgspec.Struct, frozen=True):
    agent: str
    reason: Reason


class Chosen(msgspec.Struct, frozen=True, omit_defaults=True):
    """`idle` is the place by idleness among the `of` who could take it, `load` eighths, `score` the sum of levels."""

    agent: str
    how: How
    reason: Reason
    of: int = 1
    queue: str | None = None
    interrupts: bool = False
    score: int = 0
    load: int = 0
    idle: int = 1
    agrees: bool = True


class Other(msgspec.Struct, frozen=True):
    """A waiting contact beside the one in question. `due_by` has the head start taken off."""

    contact: str
    queue: str
    tier: int
    due_by: float
    reason: Reason


class Contest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A freed agent's choice: what came `before` and could not be taken, then the first of each queue that came after."""

    waiting: int
    before: tuple[Other, ...] = ()
    more: dict[str, int] = {}
    after: tuple[Other, ...] = ()


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`t` is log time. `passed_over` is in the order of the choice; `more` counts those not listed by reason."""

    about: Literal["offer", "waiting", "ended"]
    contact: str
    t: float
    kind: str
    brand: str
    queue: str
    tier: int
    tier_source: str
    enqueued_at: float
    due_by: float
    head_start_s: float
    position: int
    step: int
    steps: int
    next_step_at: float | None = None
    asked: tuple[Asked, ...]
    prefers: tuple[str, ...] = ()
    prefer_until: float | None = None
    excluded: dict[str, float] = {}
    config_version: int
    attempt: int = 0
    outcome: str | None = None
    chosen: Chosen | None = None
    passed_over: tuple[Passed, ...] = ()
    more: dict[str, int] = {}
    contest: Contest | None = None


class Idle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Why an agent has nothing: `closed` by kind (absent: open), and the first waiting contacts in the agent's order."""

    agent: str
    t: float
    presence: str
    since: float
    config_version: int
    used_units: int
    units: int
    presence_reason: str | None = None
    closed: dict[str, Reason] = {}
    waiting: int = 0
    contacts: tuple[Other, ...] = ()
    more: dict[str, int] = {}

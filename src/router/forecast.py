"""How long somebody in line will wait, as a distribution, or nothing at all while that cannot be said honestly.

While a line is not empty, agents take one after the other; between two takings pass so many seconds on the average. Whoever
stands n-th waits for n of them, so the wait is near a gamma distribution with n stages (the queue-length estimator of
Ibrahim & Whitt, 2009, "Real-time delay estimation based on delay history"). Its quantiles follow Wilson & Hilferty, 1931.

Every contact that comes into a line is foretold the time within which nine of ten like it are served, and when it is served
that is held against what happened. A queue whose forecasts have not held lately says nothing.
"""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from router.memory import Contact

LIVE = frozenset(("voice", "chat"))
"""The kinds in which somebody waits and may be told how long. A mail is no time in a line."""
HALF, MOST = 0.5, 0.9
"""What is told: the time within which half of all, and nine of ten, are served."""
_Z = {HALF: 0.0, MOST: 1.2815515655446004}
FRESH = 1 / 24
"""How much of the mean gap the newest is."""
LEAST_GAPS, LEAST_CHECKED = 12, 24
LEAST_RIGHT, MOST_RIGHT = 0.8, 0.99
"""A forecast for nine of ten is believed while that share of the last ones came true."""
STALE_S = 1800.0
"""After so long without anybody taken from a line that was not empty, what was measured is no more."""


class Forecast(msgspec.Struct, gc=False):
    """One queue's. `gap_s` is the mean time between two takings, `right` the share of those foretold who were served in it."""

    gaps: int = 0
    gap_s: float = 0.0
    taken_at: float = 0.0
    checked: int = 0
    right: float = MOST


class Wait(msgspec.Struct, frozen=True):
    """Half of those in this place are served within `half_s` seconds, nine of ten within `most_s`."""

    half_s: float
    most_s: float


def quantile(place: int, gap_s: float, share: float) -> float:
    """Of the sum of `place` exponential times of this mean."""
    ninth = 1 / (9 * place)
    return float(place * gap_s * max(0.0, 1 - ninth + _Z[share] * ninth**0.5) ** 3)


def foretell(known: Forecast | None, place: int, now: float) -> Wait | None:
    """The wait of whoever stands in this place, from now on; None when it is not reliable."""
    if known is None or place < 1 or known.gaps < LEAST_GAPS or known.checked < LEAST_CHECKED:
        return None
    if not LEAST_RIGHT <= known.right <= MOST_RIGHT or now - known.taken_at > STALE_S:
        return None
    return Wait(quantile(place, known.gap_s, HALF), quantile(place, known.gap_s, MOST))


def promised(known: Forecast | None, place: int) -> float:
    """What one who comes now is held against, told or not; 0 while nothing is measured."""
    return quantile(place, known.gap_s, MOST) if known is not None and known.gaps >= LEAST_GAPS else 0.0


def taken(known: Forecast, contact: "Contact", now: float) -> None:
    """Somebody who waited was taken by an agent."""
    gap = now - max(known.taken_at, contact.waits_from)
    known.gaps += 1
    known.gap_s += max(FRESH, 1 / known.gaps) * (gap - known.gap_s)
    known.taken_at = float(now)
    if contact.foretold_s > 0:
        known.checked += 1
        known.right += max(FRESH, 1 / known.checked) * ((now - contact.waits_from <= contact.foretold_s) - known.right)

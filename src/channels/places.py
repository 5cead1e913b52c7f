"""Where customers stand in line, for those who are told. A queue's order is looked at once a second at most, however many
ask; a place that is not in the last look is not known, and nobody is told a guess.
"""

from collections.abc import Callable

from router.memory import Contact
from router.state import Pool

LOOK_S = 1.0
FORGET_S = 60.0


class Places:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looks: dict[tuple[str, str], tuple[float, dict[str, int]]] = {}
        """(workspace, queue) to when it was looked at, the oldest first, and everybody's place then."""

    def of(self, workspace: str, pool: Pool, contact: Contact) -> int:
        """1 for the next one of its queue; 0 when it does not wait, or its place is not known."""
        if contact.status != "queued":
            return 0
        now, key = self._clock(), (workspace, contact.queue)
        look = self._looks.get(key)
        if look is None or not 0 <= now - look[0] < LOOK_S:
            self._looks.pop(key, None)
            look = self._looks[key] = (now, {c.id: n for n, c in enumerate(pool.in_line(contact.queue), 1)})
            self._forget(now)
        return look[1].get(contact.id, 0)

    def _forget(self, now: float) -> None:
        while now - next(iter(self._looks.values()))[0] > FORGET_S:
            del self._looks[next(iter(self._looks))]

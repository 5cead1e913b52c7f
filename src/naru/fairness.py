"""Fairness before the append: while a shard is behind, each workspace may put in only its share of what is decided.

Once in the log everything is decided in order, so one workspace's flood would stand before everybody else's contacts.
A token bucket per workspace stops it at the door: it is wide open while the shard keeps up, and narrows with the lag.
Agents' commands always pass, or the flood could not be worked off. (Token bucket: Turner 1986; a rate that follows
queueing delay: Nichols & Jacobson, CoDel 2012.)
"""

from collections.abc import Callable

import msgspec

LAG_RECORDS = 500
"""A shard so far behind is catching up, by a second or less; nobody is held back before."""
FULL_PER_S = 1_000.0
BURST_S = 2.0
LEAST_PER_S = 5.0
MAX_WORKSPACES = 10_000


class Throttled(Exception):
    """This workspace has put in more than its share while its shard is behind. Try again after `after_s`."""

    def __init__(self, workspace: str, after_s: float) -> None:
        super().__init__(f"workspace {workspace} is over its share while its shard is behind")
        self.after_s = after_s


class Bucket(msgspec.Struct):
    tokens: float
    at: float


class Fairness:
    """`clock` in seconds. One for each process; a workspace's share is per process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def admit(self, workspace: str, lag_records: int) -> None:
        """Raises Throttled."""
        now = self._clock()
        per_s = max(LEAST_PER_S, FULL_PER_S * min(1.0, LAG_RECORDS / max(1, lag_records)) ** 2)
        bucket = self._buckets.pop(workspace, None) or Bucket(tokens=per_s * BURST_S, at=now)
        bucket.tokens = min(per_s * BURST_S, bucket.tokens + max(0.0, now - bucket.at) * per_s)
        bucket.at = now
        self._buckets[workspace] = bucket
        while len(self._buckets) > MAX_WORKSPACES:
            del self._buckets[next(iter(self._buckets))]
        if lag_records <= LAG_RECORDS:
            return
        if bucket.tokens < 1:
            raise Throttled(workspace, (1 - bucket.tokens) / per_s)
        bucket.tokens -= 1

"""The port to an ordered, durable, partitioned log. A handful of methods; every implementation passes the same contract tests.

`append` returns only when the records are durable. An append that fails leaves open whether the records are in the
log: callers treat it as ambiguous.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

IN = "naru.in"
JOURNAL = "naru.journal"
DLQ = "naru.dlq"
WORKERS = "naru.workers"
HINTS = "naru.hints"
EVENTS = "naru.events"

MAX_VALUE_BYTES = 1_000_000


class LogUnavailable(Exception):
    """The log did not take the records in time, or could not. They may or may not be in it."""


class Stored(msgspec.Struct, frozen=True):
    """A record as read: its offset in the partition, and the time the log gave it (seconds since the epoch)."""

    offset: int
    t: float
    value: bytes


class Log(Protocol):
    async def append(self, topic: str, part: int, values: Sequence[bytes]) -> list[Stored]:
        """Append in order, all or nothing (of more than four megabytes perhaps only a first part). Raises LogUnavailable."""
        ...

    def read(self, topic: str, part: int, start: int, ahead: bool = False) -> AsyncIterator[list[Stored]]:
        """Batches of records from offset `start` on (at least 1 record each), waiting for more at the end for ever.

        `ahead`: perhaps records that are not durable yet. Whatever is appended after they were read does not become
        durable without them. Raises LogUnavailable when they did not; they must be taken as never read.
        """
        ...

    async def end(self, topic: str, part: int) -> int:
        """The offset that the next record will get."""
        ...

    async def begin(self, topic: str, part: int) -> int:
        """The offset of the oldest record kept; equal to `end` when there is none."""
        ...

    async def since(self, topic: str, part: int, t: float) -> int:
        """The offset of the first record whose time is `t` or later; `end` when there is none."""
        ...

    async def trim(self, topic: str, part: int, before: int) -> None:
        """Forget records with lower offsets."""
        ...

    async def close(self) -> None: ...

"""How long the log is kept: journal 7 days, inputs 72 hours, and never less than what a reader still needs."""

from collections.abc import Awaitable, Callable

from naru.bus.base import DLQ, IN, JOURNAL, Log
from naru.fold import Cursor

KEEP_S = {JOURNAL: 7 * 86_400.0, IN: 72 * 3600.0, DLQ: 30 * 86_400.0}
EVERY_S = 3600.0

Needed = Callable[[int], Awaitable[list[Cursor]]]
"""The places of a shard's readers, its oldest kept snapshot among them."""


async def trim(log: Log, shard: int, needed: Needed, now: float) -> dict[str, int]:
    """Forget what is over its time and behind every reader. Returns where each topic begins now."""
    readers = await needed(shard)
    behind = {
        JOURNAL: min((reader.offset for reader in readers), default=0),
        IN: min((reader.in_next for reader in readers), default=0),
        DLQ: await log.end(DLQ, shard),
    }
    begins: dict[str, int] = {}
    for topic, keep_s in KEEP_S.items():
        begins[topic] = min(behind[topic], await log.since(topic, shard, now - keep_s))
        if begins[topic] > await log.begin(topic, shard):
            await log.trim(topic, shard, begins[topic])
    return begins

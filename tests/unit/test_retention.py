"""What is over its time goes, unless a reader still needs it."""

from pathlib import Path

from naru.bus.base import IN, JOURNAL
from naru.bus.sqlite import SqliteLog
from naru.fold import Cursor
from naru.retention import KEEP_S, trim


async def test_only_what_is_old_and_behind_every_reader_is_forgotten(tmp_path: Path) -> None:
    now = [1000.0]
    log = SqliteLog(tmp_path / "log.sqlite", lambda: now[0])
    for _ in range(10):
        await log.append(JOURNAL, 0, [b"x"])
        await log.append(IN, 0, [b"x"])
    now[0] += KEEP_S[JOURNAL] + 1
    await log.append(JOURNAL, 0, [b"new"])

    async def needed(shard: int) -> list[Cursor]:
        return [Cursor(shard=shard, offset=6, in_next=4), Cursor(shard=shard, offset=9, in_next=9)]

    begins = await trim(log, 0, needed, now[0])
    assert (begins[JOURNAL], begins[IN]) == (6, 4)
    assert (await log.begin(JOURNAL, 0), await log.begin(IN, 0)) == (6, 4)
    await log.close()

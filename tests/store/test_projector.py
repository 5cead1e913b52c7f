"""A projector as its process reports it."""

import asyncio
from pathlib import Path

from naru.bus.base import JOURNAL
from naru.outgoing.outbox import Outbox
from naru.store.projector import Projector
from naru.wire import Open, Record, encode
from support.outgoing import BEGINS, Outgoing, busy_day
from support.waiting import within


async def test_it_is_abreast_only_once_history_is_where_the_journal_ended_as_it_began(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house:
        await house.log.append(JOURNAL, 0, [encode(Open(n="n", prev="", worker="w"))])
        nothing = [encode(Record(n="n", s=s, i=s, t=BEGINS, workspace="ws", pool="ws")) for s in range(300)]
        await house.log.append(JOURNAL, 0, nothing)
        end = await house.log.end(JOURNAL, 0)
        projector = Projector(house.log, house.database, 0, Outbox(with_topic=False))
        turns: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
        goes_on = asyncio.Semaphore(0)

        async def gathers(seconds: float) -> None:
            turns.put_nowait((projector.cursor.offset, projector.is_abreast))
            await goes_on.acquire()

        assert not projector.is_abreast
        running = asyncio.create_task(projector.run(gathers))
        at, is_abreast = await within(turns.get(), 30)
        assert 0 < at < end, "the journal is longer than one reading"
        assert not is_abreast
        while at < end:
            assert not is_abreast
            goes_on.release()
            at, is_abreast = await within(turns.get(), 30)
        assert is_abreast
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not projector.is_abreast


async def test_one_that_begins_where_the_journal_ends_is_abreast_at_once(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house:
        await house.write(busy_day())
        await house.project()
        projector = Projector(house.log, house.database, 0, Outbox(with_topic=False))
        running = asyncio.create_task(projector.run())
        async with asyncio.timeout(30):
            while not projector.is_abreast:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

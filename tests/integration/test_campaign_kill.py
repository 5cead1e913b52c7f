"""The dialler is killed twenty times while it calls, in a center of many processes: nobody is called twice, nobody is
forgotten, and nobody who answers is left with nobody.

The seed is printed; CAMPAIGN_SEED repeats it. What is asserted depends on no moment.
"""

import asyncio
import os
import random  # noqa: TID251 - seeded, and the seed is printed
from collections import Counter
from pathlib import Path

import pytest

from support.carrier import TOKEN
from support.center import free_port
from support.outreach import OUTCOMES, World, config, deeds, sheet, world
from support.postgres import Postgres
from support.scaled import Scaled

pytestmark = pytest.mark.slow
AGENTS, KILLS = 6, int(os.environ.get("CAMPAIGN_KILLS", "20"))
PEOPLE = 12 * KILLS
ROLES = (("router", 1), ("projector", 1), ("channels", 1), ("gateway", 1))


def happened(outside: World) -> int:
    """How much the carrier has seen: each kill comes a few of its events after the last."""
    return sum(len(call.events) for call in outside.carrier.calls.values())


async def test_the_dialler_is_killed_at_twenty_moments(tmp_path: Path, kafka: str, postgres: Postgres) -> None:
    seed = int(os.environ.get("CAMPAIGN_SEED", "1"))
    print(f"CAMPAIGN_SEED={seed}")
    dice = random.Random(seed)
    port, does = free_port(), deeds(PEOPLE)
    database = await asyncio.to_thread(postgres.database)
    env = {"NARU_SECRET_CARRIER": TOKEN}
    with Scaled(tmp_path / "campaigns", kafka, database, ROLES, env=env) as center:
        for process in center.processes.values():  # where the carrier reaches us
            process.env["NARU_PUBLIC_URL"] = center.processes["gateway-1"].url
        document = config(f"http://127.0.0.1:{port}", AGENTS, ring_s=5)
        await asyncio.to_thread(center.start, document)
        dialler = center.processes["channels-1"]
        async with world(center.gateway(), port, does, AGENTS) as outside:
            assert (await outside.imports(sheet(PEOPLE)))["taken"] == PEOPLE
            await outside.arrive(AGENTS)
            await outside.start()
            for _ in range(KILLS):
                seen = happened(outside) + dice.randint(1, 12)
                await outside.carrier.until(lambda seen=seen: happened(outside) >= seen, 60)
                await asyncio.to_thread(dialler.kill)
                await asyncio.to_thread(dialler.start)
                await asyncio.to_thread(dialler.wait_ready)
            await outside.finished(300)
            rows = await outside.ledger()

            real = [row for row in rows if row["outcome"] not in ("dropped", "stale")]
            print(Counter(row["outcome"] for row in rows))
            assert Counter(row["value"] for row in real) == Counter(dict.fromkeys(does, 1))
            unsure = 0
            for row in real:
                calls = outside.calls_to(row["value"])
                assert len(calls) <= 1, row
                deed = does[row["value"]]
                if row["outcome"] == "uncertain":
                    unsure += 1
                elif deed == "talks":
                    assert row["outcome"] in ("handled", "nobody_free", "hung_up"), row
                else:
                    assert row["outcome"] == OUTCOMES[deed], row
                for call in calls:
                    assert deed != "talks" or call.answered_at is None or outside.was_treated(call), (row, call.events)
            print(f"{unsure} of {PEOPLE} uncertain: the dialler died between claiming a call and telling of it")
            assert unsure <= KILLS * AGENTS

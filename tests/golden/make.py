"""Makes the golden files of this release: a real center lives through the story, and what it leaves is kept for ever.

Run by hand, once before a release: `PYTHONPATH=tests python -m golden.make v0.1.0`. The story and its hours are fixed;
ids, and what comes a few milliseconds earlier or later, are those of the run that was kept.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import typing
from pathlib import Path
from typing import Any

from golden import release
from golden.story import BEGAN, CONFIG, LIVES, Clock, Stage
from naru.bus.base import JOURNAL
from naru.bus.sqlite import SqliteLog
from naru.wire import Record, decode_record
from router import events
from support.carrier import MUSIC, TOKEN, PhoneCenter, open_shop
from support.center import AgentDesk, Center, free_port


async def lives(folder: Path, clock: Clock) -> dict[str, Any]:
    """The story on a center in this folder; returns what must be found ever after."""
    port = free_port()
    account = (
        f"settings: {{account_sid: {'AC' + '0' * 32}, number: '+821000000000', api_url: 'http://127.0.0.1:{port}',"
        f" language: en, music_url: '{MUSIC}'}}, secrets: {{auth_token: 'env:NARU_SECRET_CARRIER'}}"
    )
    document = folder.parent / "golden.yaml"
    document.write_text(CONFIG.format(account=account))
    env = {**release.environment(clock.now()), "NARU_SECRET_CARRIER": TOKEN}
    center = Center(folder, None, env, release.LAUNCHER)
    subprocess.run([*release.LAUNCHER, "apply", str(document), "--data", str(folder)], env=center.env, check=True)
    for number, acts in enumerate(LIVES):
        if number:
            center.kill()
            await doubled(folder, clock)
        center.env["STARTS_AT"] = repr(clock.now())
        center.start()
        async with open_shop(PhoneCenter(center, port)) as house:
            house.keys["sora"] = await asyncio.to_thread(center.agent_key, house.id("sora"), "supervisor")
            house.desks["sora"] = await AgentDesk.open(center, house.keys["sora"])
            await house.arrive("mina", "jun", "sora")
            for act in acts:
                await act(Stage(center, house, clock))
                print(f"{clock.now() - BEGAN:6.1f} s  {act.__name__}")
    told = release.told(center, release.finished(folder), BEGAN)
    center.stop()
    return {"ended_at": clock.now(), "began_at": BEGAN, "told": told}


async def doubled(folder: Path, clock: Clock) -> None:
    """What a log may do to an owner: its claim and a record of its land a second time, after its death."""
    log = SqliteLog(folder / "log.sqlite", clock.now)
    records = await journal(log)
    claim = next(value for value in records if not isinstance(decode_record(value), Record))
    await log.append(JOURNAL, 0, [records[-1], claim, records[-1]])
    await log.close()


async def journal(log: SqliteLog) -> list[bytes]:
    end, found = await log.end(JOURNAL, 0), list[bytes]()
    async for batch in log.read(JOURNAL, 0, 0):
        found += [stored.value for stored in batch]
        if len(found) >= end:
            break
    return found


async def expected(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    """And what must be found in the journal."""
    course: list[str] = []
    fold = await release.folded(folder, release.NoSnapshots(), course)
    pool = release.summary(fold.pools[release.WORKSPACE])
    return {**found, "ignored": fold.ignored, "course": " ".join(course), "pool": pool}


async def kinds(folder: Path) -> list[type[events.Event]]:
    """The kinds of events that are in the journal of this folder."""
    log = SqliteLog(folder / "log.sqlite", lambda: BEGAN)
    records = [decode_record(value) for value in await journal(log)]
    await log.close()
    return list({type(event): None for record in records if isinstance(record, Record) for event in record.ev})


async def make(into: Path) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        found = await lives(folder, clock)
        told = await kinds(folder)
        missing = [kind.__name__ for kind in typing.get_args(events.AnyEvent) if kind not in told]
        print(f"{len(told)} kinds of events; not: {', '.join(missing)}")
        release.keep(folder, into)
        (into / "expected.json").write_text(
            json.dumps(await expected(folder, found), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        )
    for path in sorted(into.iterdir()):
        print(f"{path.stat().st_size / 1000:8.1f} kB  {path.name}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="golden.make")
    parser.add_argument("version", help="as v0.1.0")
    into = release.HERE / parser.parse_args().version
    if into.exists():
        raise SystemExit(f"{into} is there already: what a release has left never changes")
    asyncio.run(make(into))


if __name__ == "__main__":
    main()

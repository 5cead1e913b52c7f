"""What earlier releases have left is read by this code: their journals fold to the same pools, their centers go on.

And what a later release has written is refused, never skipped.
"""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, select

from golden import release
from golden.make import kinds
from naru.bus.base import JOURNAL
from naru.bus.sqlite import SqliteLog
from naru.fold import Cursor, Fold, Gap, Journal
from naru.outgoing.outbox import Outbox
from naru.runtime import Owner
from naru.store import migrate, tables
from naru.store.database import HOUSE, Database, sqlite_url
from naru.store.projector import Projector
from naru.store.snapshots import StoredSnapshots
from router import state
from support.center import AgentDesk, Center, ChatPage
from support.waiting import within

RELEASES = sorted(path for path in release.HERE.glob("v*") if path.is_dir())
each_release = pytest.mark.parametrize("kept", RELEASES, ids=lambda path: path.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def upgraded(folder: Path) -> Database:
    url = sqlite_url(folder / "store.sqlite")
    await asyncio.to_thread(migrate.upgrade, url)
    assert await asyncio.to_thread(migrate.is_newest, url)
    return Database(url)


async def from_snapshots(folder: Path) -> Fold:
    database = await upgraded(folder)
    try:
        return await release.folded(folder, StoredSnapshots(database, lambda: 0.0))
    finally:
        await database.close()


SINCE = ("externals", "parked_receipts", "abandoned", "replies", "ours", "forecasts", "foretold_s")
"""What the first release did not remember: after an upgrade it is known of what has happened since its snapshot."""


def memory(fold: Fold) -> Any:
    return _known(msgspec.to_builtins(fold.pools[release.WORKSPACE].memory))


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(inner) for name, inner in value.items() if name not in SINCE}
    return value


# -- what is older


@each_release
async def test_an_older_journal_folds_to_the_pools_that_it_was_written_for(kept: Path, folder: Path) -> None:
    expected = release.restore(kept, folder)
    course: list[str] = []
    fold = await release.folded(folder, release.NoSnapshots(), course)
    assert release.summary(fold.pools[release.WORKSPACE]) == expected["pool"]
    assert " ".join(course) == expected["course"], "after every record"
    assert fold.ignored == expected["ignored"] > 0, "what landed twice after its owner's death is in it"


@each_release
async def test_an_older_snapshot_leads_to_the_same_as_its_journal(kept: Path, folder: Path) -> None:
    expected = release.restore(kept, folder)
    fold = await from_snapshots(folder)
    assert release.summary(fold.pools[release.WORKSPACE]) == expected["pool"]
    assert memory(fold) == memory(await release.folded(folder, release.NoSnapshots()))


@each_release
async def test_a_center_goes_on_from_what_an_older_one_has_left(kept: Path, folder: Path) -> None:
    """A moment later by its clock: history is there, who waits still waits, and somebody new is served."""
    expected = release.restore(kept, folder)
    env = {**release.environment(expected["ended_at"] + 1), "NARU_SECRET_CARRIER": "unused"}
    with Center(folder, None, env, release.LAUNCHER) as center:
        finished = [(id_, contact["conversation"]) for id_, contact in expected["told"]["contacts"].items()]
        assert release.told(center, finished, expected["began_at"]) == expected["told"]
        (waits,) = [id_ for id_, contact in expected["pool"]["contacts"].items() if contact[0] == "queued"]
        desk = await AgentDesk.open(center, center.agent_key("jun0"))
        assert (await desk.do("status", presence="available"))["status"] == 200
        old = (await desk.next("offer"))["offer"]
        assert old["contact"] == waits
        assert (await desk.do("accept", offer=old["id"]))["status"] == 200
        page = await ChatPage.open(center, center.hook("web"))
        await page.say("m1", "somebody new")
        new = (await desk.next("offer"))["offer"]
        assert (await desk.do("accept", offer=new["id"]))["status"] == 200
        await desk.do("message", contact=new["contact"], text="welcome")
        while (said := (await page.next("message"))["message"])["author"] != "agent":
            pass
        assert said["text"] == "welcome"
        await page.close()
        await desk.close()


REBUILT = (
    tables.contacts,
    tables.conversations,
    tables.messages,
    tables.customers,
    tables.identities,
    tables.presence_log,
)


@each_release
async def test_history_built_anew_from_an_older_journal_is_what_was_there(kept: Path, folder: Path) -> None:
    release.restore(kept, folder)
    old = await upgraded(folder)
    url = sqlite_url(folder / "anew.sqlite")
    await asyncio.to_thread(migrate.upgrade, url)
    new = Database(url)
    log = SqliteLog(folder / "log.sqlite", lambda: 0.0)
    projector = Projector(log, new, 0, Outbox())
    running = asyncio.create_task(projector.run())
    async with asyncio.timeout(30):
        while projector.cursor.offset < await log.end(JOURNAL, 0):
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for table in REBUILT:
        rows = [await all_of(database, table) for database in (old, new)]
        assert rows[0] == rows[1] != [], table.name
    for each in (log, old, new):
        await each.close()


async def all_of(database: Database, table: Table) -> list[tuple[Any, ...]]:
    """Every row, but for what only a later release began to count."""
    columns = [column for column in table.columns if column.name != "events"]
    async with database.read(HOUSE) as connection:
        rows = await connection.execute(select(*columns).order_by(*table.primary_key))
        return [tuple(row) for row in rows]


async def test_an_event_that_no_longer_means_what_it_meant_is_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of event in the newest story is left out once: the course of the pools is another then."""
    expected = release.restore(RELEASES[-1], folder)
    unseen = set()
    for kind in await kinds(folder):
        course: list[str] = []
        with monkeypatch.context() as patch:
            patch.setitem(state._APPLY, kind, lambda pool, event: None)
            with contextlib.suppress(LookupError, ValueError, AttributeError):
                await release.folded(folder, release.NoSnapshots(), course)
        if " ".join(course) == expected["course"]:
            unseen.add(kind.__name__)
    assert unseen == {"ReceiptRecorded"}, "of which only the history keeps anything"


# -- what is newer


async def appended(folder: Path, **changes: Any) -> None:
    """One more record of whoever reigns, with something in it that this code does not know."""
    log = SqliteLog(folder / "log.sqlite", lambda: 0.0)
    journal, end = Journal(log, Cursor(shard=0), with_inputs=False), await log.end(JOURNAL, 0)
    async for _ in journal.entries():
        if journal.cursor.offset == end:
            break
    rule = journal.rule
    record = {"k": "rec", "n": rule.nonce, "s": rule.seq + 1, "i": rule.in_next, "t": 0.0, "pool": release.WORKSPACE}
    await log.append(JOURNAL, 0, [msgspec.json.encode(record | changes)])
    await log.close()


NEWER: dict[str, dict[str, Any]] = {
    "an event of a new kind": {"ev": [{"type": "ContactTeleported", "contact": "c"}]},
    "a known event that says more": {"ev": [{"type": "ContactHeld", "contact": "c", "music": "jazz"}]},
    "an effect of a new kind": {"fx": [{"type": "Teleport"}]},
    "a record of a new kind": {"k": "split"},
    "a record of a new version": {"v": 2},
    "a claim of a new version": {"k": "open", "v": 2, "prev": "x", "worker": "w"},
}


@pytest.mark.parametrize("what", NEWER)
async def test_readers_and_owners_refuse_what_a_newer_release_has_written(what: str, folder: Path) -> None:
    release.restore(RELEASES[-1], folder)
    await appended(folder, **NEWER[what])
    with pytest.raises(msgspec.ValidationError):
        await release.folded(folder, release.NoSnapshots())
    log = SqliteLog(folder / "log.sqlite", lambda: 0.0)
    owner = Owner(log, 0, release.keyring(), release.NoSnapshots(), "w", lambda: 0.0, lambda: "mine")
    with pytest.raises(msgspec.ValidationError):
        await within(owner.run(), 30)
    await log.close()


async def test_a_center_does_not_start_on_a_journal_that_a_newer_one_has_written(folder: Path) -> None:
    expected = release.restore(RELEASES[-1], folder)
    await appended(folder, **NEWER["an event of a new kind"])
    env = {**release.environment(expected["ended_at"] + 1), "NARU_SECRET_CARRIER": "unused"}
    center = Center(folder, None, env, release.LAUNCHER)
    with pytest.raises(AssertionError, match="ContactTeleported"):
        center.start()
    assert center.process is not None and center.process.wait(10) != 0


async def test_a_snapshot_of_a_newer_schema_is_passed_over(folder: Path) -> None:
    expected = release.restore(RELEASES[-1], folder)
    newer_schema(folder)
    fold = await from_snapshots(folder)
    assert release.summary(fold.pools[release.WORKSPACE]) == expected["pool"]


async def test_nobody_starts_where_only_a_snapshot_of_a_newer_schema_knows_the_beginning(folder: Path) -> None:
    release.restore(RELEASES[-1], folder)
    newer_schema(folder)
    log = SqliteLog(folder / "log.sqlite", lambda: 0.0)
    await log.trim(JOURNAL, 0, 5)
    await log.close()
    with pytest.raises(Gap):
        await from_snapshots(folder)


def newer_schema(folder: Path) -> None:
    with sqlite3.connect(folder / "store.sqlite") as connection:
        connection.execute("UPDATE snapshots SET schema = schema + 1")
    connection.close()

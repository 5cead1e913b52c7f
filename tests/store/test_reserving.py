"""Leave to call, on SQLite and PostgreSQL alike: who is found, what keeps anybody from being called, and what the ledger says."""

import asyncio
import datetime as dt
import random  # noqa: TID251 - seeded
import zoneinfo
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from naru.campaigns.lists import SILENT_S, Import, Lists
from naru.campaigns.reserving import Reserving
from naru.fold import Entry
from naru.store import migrate
from naru.store import tables as db
from naru.store.database import Database
from naru.store.projector import project
from naru.wire import Record
from router import events
from router.config import Campaign, Channel, Condition, Config, Lookup
from router.effects import ReserveAttempt
from router.inputs import EndReserve
from router.model import Identity, Thread

NOON = dt.datetime(2026, 7, 7, 12, tzinfo=zoneinfo.ZoneInfo("Asia/Seoul")).timestamp()
HOUR = 3600.0


@pytest.fixture
async def house(url: str) -> AsyncIterator["House"]:
    await asyncio.to_thread(migrate.upgrade, url)
    made = House(Database(url))
    yield made
    await made.database.close()


class House:
    """A store, a clock, and a campaign whose people are in Seoul and have agreed to be called."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOON
        self.campaign = Campaign(id="renewals", name="Renewals", channel="phone", queue="out", mode="predictive")
        self.reserving = Reserving(database, lambda workspace: self.lookup, lambda: self.now)
        self.lists = Lists(database, lambda: self.now, "gateway-1")
        self.count = 0

    @property
    def lookup(self) -> Lookup:
        phone = Channel(id="phone", name="Phone", brand="shop", provider="twilio_voice", kind="voice")
        return Lookup(Config(channels=(phone,), campaigns=(self.campaign,)))

    def rules(self, **changes: Any) -> None:
        self.campaign = msgspec.structs.replace(self.campaign, **changes)

    async def people(self, count: int, tmp: Path, **columns: str) -> None:
        fixed = {"consent": "express", **columns}
        lines = [",".join(["phone", "name", "product", *fixed])]
        lines += [",".join([f"010-1234-{n:04d}", f"P{n}", f"plan {n}", *fixed.values()]) for n in range(count)]
        path = tmp / "people.csv"
        path.write_text("\n".join(lines))
        await self.lists.begin("ws", "renewals", "people.csv", "owner", "list")
        work = Import(workspace="ws", id="list", campaign="renewals", path=path, name="people.csv", country="KR")
        await self.lists.take(work)

    async def leave(self, key: str, **more: Any) -> EndReserve:
        wish = ReserveAttempt(channel="phone", key=key, campaign="renewals", **more)
        return await self.reserving.reserve("ws", wish)

    async def happens(self, *happened: events.AnyEvent) -> None:
        async with self.database.write("ws") as connection:
            for event in happened:
                self.count += 1
                record = Record(n="n", s=0, i=0, t=self.now, workspace="ws", pool="ws", ev=(event,))
                await project(connection, Entry(shard=0, offset=self.count, record=record))

    async def rings(self, key: str, person: str) -> None:
        talk, identity = f"talk-{key}", Identity(scope="e164", kind="phone", value="+821012340000")
        await self.happens(
            events.ConversationOpened(
                conversation=talk, channel="phone", brand="shop", kind="voice", customer="c", identity=identity,
                thread=Thread(external=key, kind="call"),
            ),
            events.ContactOpened(
                contact=f"contact-{key}", conversation=talk, direction="outbound", queue="out", enqueued_at=self.now,
                target_s=20, campaign="renewals", attempt=key, person=person, dialling=True,
            ),
        )  # fmt: skip

    async def ends(self, key: str, outcome: Any, **more: Any) -> None:
        await self.happens(events.ContactCompleted(contact=f"contact-{key}", outcome=outcome, attempt=key, **more))

    async def tries(self, key: str, outcome: Any, **more: Any) -> str:
        found = await self.leave(key)
        assert found.reserved is not None, found
        await self.rings(key, found.reserved.person)
        await self.ends(key, outcome, **more)
        return found.reserved.person

    async def row(self, table: Any, **where: Any) -> Any:
        async with self.database.read("ws") as connection:
            found = await connection.execute(select(table).filter_by(workspace="ws", **where))
            return found.one()


async def test_somebody_is_found_locked_and_written_down(house: House, tmp_path: Path) -> None:
    await house.people(2, tmp_path)
    found = await house.leave("a1", live=100, abandoned=2, spare=1, agent="mina")
    assert found.reserved is not None
    known = found.reserved
    assert (known.identity.value, known.identity.name) == ("+821012340000", "P0")
    assert known.attributes == {"product": "plan 0", "campaign": "renewals"}
    row = await house.row(db.attempts, id="a1")
    assert (row.rules.split()[0], row.consent, row.purpose, row.agent) == ("KR", "express", "sales", "mina")
    assert (row.live, row.abandoned, row.spare, row.ceiling) == (100, 2, 1, 0.03)
    assert (row.local_time, row.zone) == ("2026-07-07T12:00:00+09:00", "Asia/Seoul")
    assert row.checks["attempts_before"] == 0
    assert row.outcome is None and row.contact is None


async def test_asked_twice_by_one_key_it_is_one_person_and_one_row(house: House, tmp_path: Path) -> None:
    await house.people(2, tmp_path)
    first, again, other = await house.leave("a1"), await house.leave("a1"), await house.leave("a2")
    assert first == again
    assert other.reserved is not None and other.reserved.person != first.reserved.person  # type: ignore[union-attr]
    assert (await house.leave("a3")).reserved is None


async def test_many_ask_at_once_and_nobody_is_given_twice(house: House, tmp_path: Path) -> None:
    await house.people(30, tmp_path)
    found = await asyncio.gather(*(house.leave(f"a{n}") for n in range(40)))
    given = [one.reserved.person for one in found if one.reserved is not None]
    assert len(given) == len(set(given))
    while len(given) < 30:  # those whose row was locked by another are found when they ask again
        more = await house.leave(f"b{len(given)}")
        assert more.reserved is not None
        given.append(more.reserved.person)
    assert len(set(given)) == 30


async def test_a_number_that_was_listed_a_moment_ago_is_not_called(house: House, tmp_path: Path) -> None:
    await house.people(3, tmp_path)
    await house.lists.refuse("ws", "+821012340000", "workspace", "by hand", "mina")
    await house.lists.refuse("ws", "+821012340001", "brand:shop", "by hand", "mina")
    found = await house.leave("a1")
    assert found.reserved is not None and found.reserved.identity.value == "+821012340002"
    assert (await house.row(db.prospects, value="+821012340001")).outcome == "listed"


@pytest.mark.parametrize("seed", range(5))
async def test_removals_and_reservations_at_once(house: House, tmp_path: Path, seed: int) -> None:
    """Whoever is listed before leave was asked for is never given, whoever else asks and lists meanwhile."""
    dice = random.Random(seed)
    await house.people(40, tmp_path)
    listed: set[str] = set()
    wrong: list[str] = []

    async def lists() -> None:
        for n in dice.sample(range(40), 20):
            value = f"+82101234{n:04d}"
            await house.lists.refuse("ws", value, "workspace", "by hand", "mina")
            listed.add(value)

    async def asks(who: int) -> None:
        for n in range(15):
            before = set(listed)
            found = await house.leave(f"{who}-{n}")
            if found.reserved is not None and found.reserved.identity.value in before:
                wrong.append(found.reserved.identity.value)

    await asyncio.gather(lists(), asks(1), asks(2), asks(3))
    assert wrong == []


async def test_outside_the_window_everybody_is_put_off_to_its_beginning(house: House, tmp_path: Path) -> None:
    await house.people(60, tmp_path)
    house.now = NOON + 10 * HOUR
    found = await house.leave("a1")
    assert (found.reserved, found.reason) == (None, "nobody-now")
    eight = dt.datetime(2026, 7, 8, 8, tzinfo=zoneinfo.ZoneInfo("Asia/Seoul")).timestamp()
    assert (await house.row(db.prospects, value="+821012340059")).next_at == eight
    assert found.again_at == house.now + HOUR  # it looks again at least so often, for whoever comes meanwhile
    house.now = eight
    assert (await house.leave("a2")).reserved is not None


async def test_retries_by_outcome_until_all_tries_are_used_up(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    house.rules(retry_s={"busy": 600.0, "no_answer": 7200.0}, most_attempts=3)
    await house.tries("a1", "busy")
    found = await house.leave("a2")
    assert (found.reserved, found.again_at) == (None, house.now + 600)
    house.now += 600
    await house.tries("a3", "no_answer")
    house.now += 600
    assert (await house.leave("a4")).reserved is None
    house.now += 6600
    person = await house.tries("a5", "busy")
    row = await house.row(db.prospects, id=person)
    assert (row.state, row.attempts, row.outcome) == ("done", 3, "busy")
    assert (await house.leave("a6")).reason == "nobody-left"


async def test_never_more_in_a_day_than_the_law_allows_whatever_the_campaign_says(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    house.rules(retry_s={"busy": 60.0}, most_attempts=100)
    for n in range(3):
        await house.tries(f"a{n}", "busy")
        house.now += 60
    found = await house.leave("a9")
    assert found.reserved is None
    assert (await house.row(db.prospects, value="+821012340000")).next_at == NOON + 24 * HOUR


async def test_who_was_abandoned_is_called_no_more_but_by_an_agent_who_is_there(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    await house.tries("a1", "nobody_free")
    house.now += 24 * HOUR
    assert (await house.leave("a2")).reserved is None
    house.rules(mode="progressive")
    async with house.database.write("ws") as connection:
        await connection.execute(update(db.prospects).values(next_at=house.now))
    assert (await house.leave("a3")).reserved is not None


async def test_a_refusal_in_the_talk_is_for_good(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    await house.tries("a1", "handled", disposition="do_not_call", by="mina")
    row = await house.row(db.suppressions, value="+821012340000")
    assert (row.scope, row.source, row.made_by) == ("workspace", "said so", "mina")


async def test_an_attempt_that_was_given_up_frees_its_person_and_is_no_attempt(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    await house.leave("a1")
    await house.happens(events.AttemptDropped(campaign="renewals", attempt="a1", reason="late"))
    row = await house.row(db.attempts, id="a1")
    assert (row.outcome, row.disposition) == ("dropped", "late")
    person = await house.tries("a2", "handled")
    assert (await house.row(db.prospects, id=person)).attempts == 1
    await house.happens(events.AttemptDropped(campaign="renewals", attempt="a2", reason="late"))
    assert (await house.row(db.attempts, id="a2")).outcome == "handled"


async def test_an_agent_looks_first_and_leave_is_asked_again(house: House, tmp_path: Path) -> None:
    await house.people(2, tmp_path)
    house.rules(mode="preview")
    found = await house.leave("a1", look=True, agent="mina")
    assert found.reserved is not None
    async with house.database.read("ws") as connection:
        assert (await connection.execute(select(db.attempts))).first() is None
    dialled = await house.leave("a1", person=found.reserved.person, agent="mina")
    assert dialled.reserved is not None and dialled.reserved.person == found.reserved.person
    assert (await house.row(db.attempts, id="a1")).dialled_at == house.now
    looked = await house.leave("a2", look=True)
    assert looked.reserved is not None
    await house.lists.refuse("ws", looked.reserved.identity.value, "workspace", "by hand", "mina")
    refused = await house.leave("a2", person=looked.reserved.person)
    assert (refused.reserved, refused.reason) == (None, "listed")


async def test_who_does_not_fit_the_filter_or_has_not_agreed_is_done_with(house: House, tmp_path: Path) -> None:
    await house.people(3, tmp_path)
    house.rules(filter=Condition(field="customer.product", op="eq", value="plan 2"))
    found = await house.leave("a1")
    assert found.reserved is not None and found.reserved.identity.name == "P2"
    assert (await house.row(db.prospects, value="+821012340000")).outcome == "filtered-out"


async def test_without_consent_nobody_is_called(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path, consent="none")
    assert (await house.leave("a1")).reserved is None
    assert (await house.row(db.prospects, value="+821012340000")).outcome == "no-consent"


async def test_at_its_goal_a_campaign_calls_nobody_else(house: House, tmp_path: Path) -> None:
    await house.people(3, tmp_path)
    house.rules(goal=1)
    await house.tries("a1", "busy")
    await house.tries("a2", "handled")
    assert (await house.leave("a3")).reason == "goal-reached"


async def test_who_was_taken_for_a_machine_is_not_rung_without_an_agent_for_a_day(house: House, tmp_path: Path) -> None:
    await house.people(1, tmp_path)
    house.rules(retry_s={"machine": 3600.0})
    await house.tries("a1", "machine")
    house.now += HOUR
    assert (await house.leave("a2")).reserved is None
    assert (await house.row(db.prospects, value="+821012340000")).outcome == "locked-out"
    house.now += 23 * HOUR
    assert (await house.leave("a3")).reserved is not None


async def test_a_gateway_that_comes_back_refuses_what_it_was_reading_and_nobody_elses(
    house: House, tmp_path: Path
) -> None:
    other = Lists(house.database, lambda: house.now, "gateway-2")
    await house.lists.begin("ws", "renewals", "mine.csv", "owner", "mine")
    await other.begin("ws", "renewals", "theirs.csv", "owner", "theirs")
    await house.lists.mend("ws")
    assert (await house.row(db.prospect_lists, id="mine")).state == "refused"
    assert (await house.row(db.prospect_lists, id="theirs")).state == "running"


async def test_a_list_that_nobody_reads_on_is_refused_when_the_next_is_sent_and_takes_nobody_with_it(
    house: House, tmp_path: Path
) -> None:
    """Its gateway has not come back, not under its name. Should it only have been slow, what it reads is not taken."""
    slow = Lists(house.database, lambda: house.now, "gateway-gone")
    await slow.begin("ws", "renewals", "slow.csv", "owner", "slow")
    path = tmp_path / "slow.csv"
    path.write_bytes(b"phone\n010-1234-0001\n")
    work = Import(workspace="ws", id="slow", campaign="renewals", path=path, name="slow.csv", country="KR")
    house.now += SILENT_S + 1
    await house.lists.begin("ws", "renewals", "next.csv", "owner", "next")
    assert (await house.row(db.prospect_lists, id="slow")).state == "refused"
    assert not await slow.take(work)
    assert (await house.row(db.prospect_lists, id="slow")).state == "refused"
    async with house.database.read("ws") as connection:
        assert await connection.scalar(select(func.count()).select_from(db.prospects)) == 0

"""Events on their way out: nothing lost, repetitions under the same id, each contact's sequence without a gap.

A story is written to a real journal, projected into a real store and delivered over real HTTP, by a clock moved by hand.
"""

import asyncio
import contextlib
import json
import random  # noqa: TID251 - seeded, and the seed is printed
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from naru.bus.base import LogUnavailable
from naru.outgoing import deliveries, webhooks
from naru.outgoing.publish import Publisher
from naru.outgoing.webhooks import MAX_TRIES, pause_s
from naru.store.database import HOUSE, Database, StoreUnavailable
from router import inputs
from support.outgoing import WORKSPACE, Outgoing, busy_day, hook, person
from support.receiver import OTHER_SECRET, SECRET, Receiver, gapless


def receiver_of(house: Outgoing, *secrets: str) -> Receiver:
    return Receiver(*secrets, clock=house.clock)


# -- at least once


async def test_every_event_arrives_signed_and_each_contacts_sequence_has_no_gap(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver))
        await house.write(told)
        await house.project()
        await house.deliver_all(house.deliverer())
        found = receiver.events()
        assert receiver.bad == 0 and house.results == {"delivered": len(found)}
        assert gapless(found) == await house.counts()
        assert len(gapless(found)) == 4
        assert await house.rows() == []


async def test_a_receiver_that_was_down_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver))
        await receiver.down()
        await house.write(told)
        await house.project()
        deliverer = house.deliverer()
        until = house.now + 60
        while house.now < until:
            await deliverer.deliver(WORKSPACE, "crm")
            house.now = max(house.now, min(row.due_at for row in await house.rows()))
        assert receiver.got == []
        waiting = len(await house.rows())
        report = await deliverer.report(WORKSPACE, hook(receiver))
        assert report["waiting"] == waiting and report["failed"] == 0
        assert all("ConnectError" in item["detail"] for item in report["items"])
        await receiver.up()
        await house.deliver_all(deliverer)
        assert len(receiver.events()) == waiting
        assert gapless(receiver.events()) == await house.counts()


async def test_what_was_received_but_not_acknowledged_comes_again_under_the_same_id(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver), customers=1)
        await house.write(told)
        await house.project()
        receiver.status = 500
        await house.deliverer().deliver(WORKSPACE, "crm")
        refused = dict(receiver.times)
        receiver.status = 200
        await house.deliver_all(house.deliverer())
        assert refused and all(receiver.times[id_] == 2 for id_ in refused)
        assert set(receiver.events()) == set(receiver.times)


async def test_a_process_that_dies_while_it_sends_gives_its_rows_back_after_the_lease(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=1))
        await house.project()
        receiver.hold.clear()
        dying = asyncio.create_task(house.deliverer().deliver(WORKSPACE, "crm"))
        async with asyncio.timeout(30):
            while len(receiver.times) < deliveries.AT_ONCE:
                await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        sent = set(receiver.times)
        receiver.hold.set()
        after = house.deliverer()
        while await after.deliver(WORKSPACE, "crm"):
            pass
        assert {row.event for row in await house.rows()} == sent, "leased to the dead"
        house.now += deliveries.LEASE_S
        await house.deliver_all(after)
        assert all(receiver.times[id_] == 2 for id_ in sent)
        assert gapless(receiver.events()) == await house.counts()


async def test_two_deliverers_never_send_one_event_at_the_same_time(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=12))
        await house.project()

        async def all_of(one: webhooks.Deliverer) -> None:
            while await one.deliver(WORKSPACE, "crm"):
                pass

        await asyncio.gather(*(all_of(house.deliverer()) for _ in range(3)))
        await house.deliver_all(house.deliverer())
        assert receiver.most_at_once == 1
        assert set(receiver.times.values()) == {1}
        assert gapless(receiver.events()) == await house.counts()


async def test_a_row_whose_lease_has_passed_to_another_is_theirs_to_settle(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=1))
        await house.project()
        async with house.database.write(HOUSE) as connection:
            slow = await deliveries.take(connection, WORKSPACE, "crm", house.now)
        house.now += deliveries.LEASE_S
        async with house.database.write(HOUSE) as connection:
            theirs = await deliveries.take(connection, WORKSPACE, "crm", house.now)
            await deliveries.again(connection, slow[0], house.now + 1e6, "late", True)
        assert slow[0].event == theirs[0].event
        assert not any(row.failed for row in await house.rows())


class Between:
    """A connection on which somebody else is quicker: `then` happens between the look and the taking."""

    def __init__(self, connection: Any, then: Callable[[], Awaitable[Any]]) -> None:
        self._connection = connection
        self._then: Callable[[], Awaitable[Any]] | None = then

    async def execute(self, *statement: Any) -> Any:
        found = await self._connection.execute(*statement)
        then, self._then = self._then, None
        if then is None:
            return found
        rows = list(found)
        await then()
        return rows


async def test_a_row_that_somebody_took_between_look_and_taking_is_theirs(tmp_path: Path) -> None:
    """SQLite's one writer hides this race; PostgreSQL does not."""
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=1))
        await house.project()
        theirs: list[Any] = []
        async with house.database.write(HOUSE) as connection:

            async def quicker() -> None:
                theirs.extend(await deliveries.take(connection, WORKSPACE, "crm", house.now))

            mine = await deliveries.take(Between(connection, quicker), WORKSPACE, "crm", house.now)  # type: ignore[arg-type]
        assert len(theirs) == deliveries.AT_ONCE and mine == []


# -- the projection


@pytest.mark.parametrize("keep_rows", [False, True], ids=["over empty tables", "over old rows"])
async def test_projecting_the_journal_anew_gives_the_same_ids_and_numbers(tmp_path: Path, keep_rows: bool) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver))
        await house.write(told)
        await house.project()
        before, counts = [(row.position, row.place, row.body) for row in await house.rows()], await house.counts()
        await house.forget_projection(keep_rows)
        await house.project()
        assert [(row.position, row.place, row.body) for row in await house.rows()] == before
        assert await house.counts() == counts


async def test_numbers_go_on_over_projectors_that_die(tmp_path: Path) -> None:
    """A new projector after every few records, some of whose transactions are lost."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver), customers=1)
        await house.configure(told.pool.memory.config)
        for number in range(1, 8):
            await house.write(told)
            if chance.random() < 0.7:
                await house.project()
            person(told, number)
        await house.write(told)
        await house.project()
        await house.deliver_all(house.deliverer())
        assert gapless(receiver.events()) == await house.counts()
        assert len(await house.counts()) == 8


async def test_events_count_also_while_nobody_listens(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(customers=1)
        told.on("mina")
        await house.write(told)
        await house.project()
        config = msgspec.structs.replace(told.pool.memory.config, webhooks=(hook(receiver, "naru.message"),))
        told.tell(inputs.ApplyConfig(version=2, config=config))
        [(contact, had)] = (await house.counts()).items()
        told.tell(inputs.ReceiveReceipt(message="answer-0", status="failed"))
        await house.write(told)
        await house.project()
        await house.deliver_all(house.deliverer())
        [event] = receiver.got
        assert (event["subject"], event["type"]) == (contact, "naru.message.receipted")
        assert int(event["sequence"]) == had + 1


async def test_a_webhook_gets_what_it_asked_for_and_a_disabled_one_nothing(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as some, receiver_of(house) as all_:
        silent = hook(all_, id_="off", enabled=False)
        told = busy_day(hook(some, "naru.offer", "naru.contact.completed"), hook(all_, id_="lake"), silent)
        await house.write(told)
        await house.project()
        assert {row.taker for row in await house.rows()} == {"crm", "lake"}
        await house.deliver_all(house.deliverer())
        types = {event["type"] for event in some.got}
        assert {"naru.offer.made", "naru.contact.completed"} <= types
        assert all(type_.startswith("naru.offer.") or type_ == "naru.contact.completed" for type_ in types)
        assert set(some.events()) < set(all_.events())


# -- giving up, and bounds


def test_pauses_grow_to_an_hour_and_the_tries_end_within_a_day() -> None:
    longest = [pause_s(tries, 0.0) for tries in range(1, MAX_TRIES)]
    assert longest[0] == 5 and longest[-1] == 3600 and sum(longest) <= 86_400
    assert sum(pause_s(tries, 1.0) for tries in range(1, MAX_TRIES)) > 0.7 * 86_400


async def test_what_cannot_be_delivered_for_a_day_is_marked_failed_and_kept_to_be_seen(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        receiver.status = 503
        told = busy_day(hook(receiver, "naru.contact.queued"), customers=1)
        await house.write(told)
        await house.project()
        deliverer = house.deliverer()
        await house.deliver_all(deliverer)
        [row] = await house.rows()
        assert row.failed and row.tries == MAX_TRIES and row.detail == "answered 503"
        assert told.now + 0.7 * 86_400 < house.now < told.now + 86_400
        report = await deliverer.report(WORKSPACE, hook(receiver))
        assert (report["waiting"], report["failed"]) == (0, 1)
        assert report["items"][0]["type"] == "naru.contact.queued" and report["items"][0]["next_try_at"] is None
        assert house.results["failed"] == 1 and house.results["retried"] == MAX_TRIES - 1


async def test_410_means_never_again_until_the_url_changes_or_a_ping_succeeds(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        receiver.status = 410
        await house.write(busy_day(hook(receiver), customers=3))
        await house.project()
        all_of_them, deliverer = len(await house.rows()), house.deliverer()
        await house.deliver_all(deliverer, hops=all_of_them)
        assert len(receiver.times) <= deliveries.AT_ONCE
        assert all(row.failed for row in await house.rows()) and house.results == {"failed": all_of_them}
        assert (await deliverer.report(WORKSPACE, hook(receiver)))["gone"] is True
        assert (await deliverer.ping(WORKSPACE, hook(receiver))).status == 410
        receiver.status = 200
        assert (await deliverer.ping(WORKSPACE, hook(receiver))).ok
        assert receiver.got[-1]["type"] == "naru.webhook.pinged"
        assert (await deliverer.report(WORKSPACE, hook(receiver)))["gone"] is False


async def test_what_waits_is_bounded_and_the_oldest_go_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MAX_WAITING_WEBHOOK", 20)
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=4))
        await house.project()
        before = await house.rows()
        deliverer = house.deliverer()
        await deliverer.tidy()
        assert house.backlog == {(WORKSPACE, "crm"): len(before)}
        kept = await house.rows()
        assert len(kept) <= 20 and house.results == {"dropped": len(before) - len(kept)}
        assert [row.position for row in kept] == [row.position for row in before[len(before) - len(kept) :]]
        async with house.database.write(HOUSE) as connection:  # another process, that had counted before
            assert await deliveries.keep_newest(connection, WORKSPACE, "crm", False, 20) == 0
        await deliverer.tidy()
        assert house.backlog == {(WORKSPACE, "crm"): len(kept)} and len(await house.rows()) == len(kept)


async def test_what_waits_for_a_webhook_that_is_gone_is_forgotten_after_a_while(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=1))
        await house.project()
        house.webhooks, deliverer, kept = None, house.deliverer(), len(await house.rows())
        house.now += webhooks.FORGET_S + 1000
        await deliverer.tidy()
        assert len(await house.rows()) == kept, "this process does not know the workspace"
        house.webhooks = ()
        house.now -= webhooks.FORGET_S + 1000
        await deliverer.tidy()
        assert not await deliverer.deliver(WORKSPACE, "crm")
        assert len(await house.rows()) == kept, "our view of the configuration may be the older one"
        house.now += webhooks.FORGET_S + 1000
        await deliverer.tidy()
        assert await house.rows() == [] and receiver.heads == []


async def test_one_slow_receiver_holds_up_nobody_else(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as slow, receiver_of(house) as quick:
        slow.hold.clear()
        await house.write(busy_day(hook(slow), hook(quick, id_="lake")))
        await house.project()

        async def sleep(_: float) -> None:
            await asyncio.sleep(0.01)
            if not any(row.taker == "lake" for row in await house.rows()):
                raise asyncio.CancelledError

        async with asyncio.timeout(30):
            with pytest.raises(asyncio.CancelledError):
                await house.deliverer().run(sleep)
        assert slow.got == [] and gapless(quick.events()) == await house.counts()


# -- secrets


async def test_a_secret_is_rotated_without_a_lost_event(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        told = busy_day(hook(receiver), customers=1)
        for secret, known in (
            (SECRET, [SECRET]),
            (f"{OTHER_SECRET} {SECRET}", [SECRET]),  # both sign, the receiver still knows the old one
            (f"{OTHER_SECRET} {SECRET}", [OTHER_SECRET]),  # now it knows the new one
            (OTHER_SECRET, [OTHER_SECRET]),
        ):
            house.secrets["secret:crm"], receiver.secrets = secret, known
            await house.write(told)
            await house.project()
            await house.deliver_all(house.deliverer())
            person(told, len(told.decided))
        assert receiver.bad == 0 and set(receiver.times.values()) == {1}


@pytest.mark.parametrize("secret", [None, "", "short", "whsec_c2hvcnQ=", "not base64 at all!"])
async def test_a_secret_that_is_missing_or_no_key_is_told_and_nothing_goes_out(
    tmp_path: Path, secret: str | None
) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver), customers=1))
        await house.project()
        house.secrets = {} if secret is None else {"secret:crm": secret}
        deliverer = house.deliverer()
        await deliverer.deliver(WORKSPACE, "crm")
        report = await deliverer.report(WORKSPACE, hook(receiver))
        assert receiver.heads == [] and "secret:crm" in report["fault"]
        assert secret is None or not secret or secret not in report["fault"]
        assert not (await deliverer.ping(WORKSPACE, hook(receiver))).ok


# -- the topic


class FakeTopic:
    """Takes messages, durable when `send` returns. `breaks_after` sends it fails, having taken the message or not."""

    def __init__(self, breaks_after: int = 10**9, takes_it: bool = False) -> None:
        self.taken: list[tuple[str, bytes, dict[str, bytes]]] = []
        self._left, self._takes_it = breaks_after, takes_it

    async def send(self, partition_key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self._left -= 1
        await asyncio.sleep(0)
        if self._left >= 0 or self._takes_it:
            self.taken.append((partition_key, value, dict(headers)))
        if self._left < 0:
            raise LogUnavailable("the broker is away")

    def ids(self) -> list[str]:
        return [headers["ce_id"].decode() for _, _, headers in self.taken]

    def in_order(self) -> None:
        """Each contact's messages, repetitions aside, in the order in which they happened."""
        last: dict[str, tuple[int, ...]] = {}
        seen = set[str]()
        for (key, _, _), id_ in zip(self.taken, self.ids(), strict=True):
            place = tuple(int(part) for part in id_.split(".")[1:])  # of one owner: the nonce is the same
            assert id_ in seen or place > last.get(key, ()), (key, id_)
            seen.add(id_)
            last[key] = max(place, last.get(key, ()))


async def test_the_topic_gets_every_event_in_binary_mode_in_each_contacts_order(tmp_path: Path) -> None:
    async with Outgoing(tmp_path, topic=True) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver)))
        await house.project()
        topic = FakeTopic()
        publisher = Publisher(house.database, topic, 0)
        while await publisher.publish():
            pass
        topic.in_order()
        await house.deliver_all(house.deliverer())
        same = {event["id"]: event for event in receiver.got}
        assert set(topic.ids()) == set(same)
        for key, value, headers in topic.taken:
            event = same[headers["ce_id"].decode()]
            assert json.loads(value) == event["data"] and key == event["partitionkey"]
            assert headers["ce_type"].decode() == event["type"]
            assert headers.get("ce_sequence", b"").decode() == event.get("sequence", "")
            assert headers["content-type"] == b"application/json"
        assert await house.rows() == []


@pytest.mark.parametrize("takes_it", [True, False])
async def test_a_broker_that_fails_loses_nothing_and_repetitions_have_the_same_id(
    tmp_path: Path, takes_it: bool
) -> None:
    async with Outgoing(tmp_path, topic=True) as house:
        await house.write(busy_day())
        await house.project()
        wanted = [row.event for row in await house.rows()]
        broken, good = FakeTopic(10, takes_it), FakeTopic()
        with pytest.raises(LogUnavailable):
            await Publisher(house.database, broken, 0).publish()
        assert len(await house.rows()) == len(wanted), "nothing goes before everything is durable"
        while await Publisher(house.database, good, 0).publish():
            pass
        good.taken = [*broken.taken, *good.taken]
        good.in_order()
        assert set(good.ids()) == set(wanted)


async def test_two_publishers_repeat_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naru.outgoing.publish.BATCH", 5)
    async with Outgoing(tmp_path, topic=True) as house:
        await house.write(busy_day())
        await house.project()
        wanted, topic = {row.event for row in await house.rows()}, FakeTopic()

        async def drain() -> None:
            publisher = Publisher(house.database, topic, 0)
            while await publisher.publish():
                pass

        await asyncio.gather(drain(), drain())
        assert set(topic.ids()) == wanted
        topic.in_order()


# -- a store that fails


class Away:
    """The store, away while `away`: then nothing can be read or written."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.away = True

    @contextlib.asynccontextmanager
    async def read(self, workspace: str) -> AsyncIterator[Any]:
        if self.away:
            raise StoreUnavailable("away")
        async with self._real.read(workspace) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def write(self, workspace: str) -> AsyncIterator[Any]:
        if self.away:
            raise StoreUnavailable("away")
        async with self._real.write(workspace) as connection:
            yield connection


async def test_a_store_that_is_away_for_a_while_stops_nobody(tmp_path: Path) -> None:
    async with Outgoing(tmp_path) as house, receiver_of(house) as receiver:
        await house.write(busy_day(hook(receiver)))
        await house.project()
        away, turns = Away(house.database), 0

        async def sleep(_: float) -> None:
            nonlocal turns
            turns += 1
            away.away = turns < 3
            await asyncio.sleep(0.02)
            if not await house.rows():
                raise asyncio.CancelledError

        async with asyncio.timeout(30):
            with pytest.raises(asyncio.CancelledError):
                await house.deliverer(database=away).run(sleep)
        assert turns >= 3 and gapless(receiver.events()) == await house.counts()

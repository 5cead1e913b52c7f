"""A story written to a real journal, and everything that carries its events out, with a clock that one moves by hand."""

import asyncio
import random  # noqa: TID251 - seeded
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from naru.bus.base import JOURNAL
from naru.bus.sqlite import SqliteLog
from naru.outgoing.outbox import Outbox
from naru.outgoing.sending import Sender
from naru.outgoing.webhooks import Deliverer
from naru.store import migrate
from naru.store import tables as db
from naru.store.database import HOUSE, Database, sqlite_url
from naru.store.projector import Projector
from naru.wire import Open, Record, encode
from router import events, inputs
from router.config import Config, Queue, Webhook
from router.engine import Decision
from router.model import Identity, Thread
from support.receiver import SECRET, Receiver
from support.story import Story, agent, center

WORKSPACE = "ws"
BEGINS = 1_000_000.0


class Told(Story):
    """A story whose decisions are kept as they go into the journal: (log time, events)."""

    def __init__(self, config: Config, now: float = BEGINS) -> None:
        self.decided: list[tuple[float, tuple[events.Event, ...]]] = []
        super().__init__(config, now)

    def _note(self, decision: Decision, t: float) -> list[events.Event]:
        happened = super()._note(decision, t)
        if happened:
            self.decided.append((t, tuple(happened)))
        return happened

    def records(self) -> list[Record]:
        return [
            Record(n="n1", s=index, i=0, t=t, workspace=WORKSPACE, pool=WORKSPACE, ev=happened)
            for index, (t, happened) in enumerate(self.decided)
        ]


def busy_day(*webhooks: Webhook, customers: int = 4) -> Told:
    """Offers taken, declined and missed, a transfer, messages, receipts, presence: most kinds of events."""
    queues = (Queue(id="care", name="Care", wrap_up_s=10), Queue(id="second", name="Second", wrap_up_s=0))
    people = (agent("mina"), agent("jun"), agent("boss", role="supervisor"))
    config = msgspec.structs.replace(center(*people, queues=queues), webhooks=webhooks)
    told = Told(config)
    told.on("mina", "jun")
    for number in range(customers):
        person(told, number)
    told.wait(100)
    told.off("jun")
    return told


def person(told: Told, number: int) -> None:
    """One customer's way through the center, a little different for each."""
    identity = Identity(scope="t", kind="phone", value=f"+8210{number:04}5555", name=f"Kim Customer {number}")
    wish = inputs.ReceiveMessage(
        channel="chat",
        thread=Thread(external=f"thread-{identity.value}"),
        identity=identity,
        dedupe_key=f"kim{number}@customer.test",
        attributes={"page": "https://shop.test/secret-basket"},
        customer={"tier": "gold-plated"},
    )
    contact = told.tell(wish, "My card number is 4111 1111 1111 1111").answer.contact
    assert contact is not None
    for step in range(6):
        open_ = told.pool.contacts.get(contact)
        if open_ is None or open_.offer is None:
            break
        offer = open_.offer
        if step == 0 and number % 4 == 1:
            told.tell(inputs.DeclineOffer(agent=offer.agent, offer=offer.id, reason="Call +82 10 1234 5678 first"))
        elif step == 0 and number % 4 == 2:
            told.wait(21)
        else:
            told.tell(inputs.AcceptOffer(agent=offer.agent, offer=offer.id))
            break
        told.wait(1)
    open_ = told.pool.contacts.get(contact)
    if open_ is not None and open_.agent is not None:
        by = open_.agent
        said = told.tell(inputs.SendMessage(agent=by, contact=contact), "Hello, Kim", id_=f"answer-{number}")
        assert said.answer.status == 200
        told.tell(inputs.ReceiveReceipt(message=f"answer-{number}", status="delivered", detail="to +82105555"))
        if number % 4 == 3:
            told.tell(inputs.TransferContact(agent=by, contact=contact, queue="second", note="Kim is waiting"))
            again = told.pool.contacts[contact].offer
            assert again is not None
            told.tell(inputs.AcceptOffer(agent=again.agent, offer=again.id))
            by = again.agent
            told.tell(inputs.SetPresence(agent=by, presence="away", reason="lunch", when="after"))
        told.tell(inputs.HoldContact(agent=by, contact=contact))
        told.tell(inputs.ResumeContact(agent=by, contact=contact))
        note = "Customer Kim lives in Seoul"
        told.tell(inputs.CompleteContact(agent=by, contact=contact, note=note))
        told.tell(inputs.ReceiveReceipt(message=f"answer-{number}", status="read"))  # after the contact's end
    told.wait(40)


def hook(receiver: Receiver, *types: str, id_: str = "crm", **more: Any) -> Webhook:
    return Webhook(id=id_, url=receiver.url, secret="secret:crm", types=types, **more)


class Outgoing:
    """Log, store, projector and deliverer around a story. `now` is the deliverer's clock, and begins where a story ends."""

    def __init__(self, folder: Path, seed: int = 7, topic: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.now = BEGINS
        self.secrets = {"secret:crm": SECRET}
        self.webhooks: tuple[Webhook, ...] | None = ()
        self.results: dict[str, int] = {}
        self.backlog: dict[tuple[str, str], int] = {}
        self.with_topic = topic
        self._chance = random.Random(seed)
        self.database = Database(sqlite_url(folder / "store.sqlite"))
        self.log = SqliteLog(folder / "log.sqlite", lambda: self.now)
        self.sender = Sender(self.clock, private=True)
        self.written = 0

    def clock(self) -> float:
        return self.now

    async def close(self) -> None:
        await self.sender.close()
        await self.log.close()
        await self.database.close()

    async def __aenter__(self) -> "Outgoing":
        await asyncio.to_thread(migrate.upgrade, self.database.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def deliverer(self, database: Any = None) -> Deliverer:
        made = Deliverer(
            database or self.database,
            self.sender,
            lambda workspace: self.webhooks if workspace == WORKSPACE else None,
            lambda workspace, reference: self.secrets.get(reference),
            self.clock,
            self._chance.random,
        )
        made.observe = self._observe
        made.tell_backlog = lambda waiting: setattr(self, "backlog", waiting)
        return made

    def _observe(self, result: str, count: int) -> None:
        self.results[result] = self.results.get(result, 0) + count

    async def write(self, told: Told) -> None:
        """What a story has told since the last time goes into the journal."""
        values = [] if self.written else [encode(Open(n="n1", prev="", worker="w"))]
        values += [encode(record) for record in told.records()[self.written :]]
        self.written = len(told.decided)
        self.webhooks = told.pool.memory.config.webhooks
        self.now = max(self.now, told.now)
        await self.log.append(JOURNAL, 0, values)

    async def project(self) -> None:
        """Run a projector to the journal's end, as a process that then dies."""
        projector = Projector(self.log, self.database, 0, Outbox(self.with_topic))
        running = asyncio.create_task(projector.run())
        end = await self.log.end(JOURNAL, 0)
        async with asyncio.timeout(30):
            while projector.cursor.offset < end:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def forget_projection(self, keep_rows: bool) -> None:
        """As if the projector had never been; with `keep_rows` only its cursor is lost."""
        tables = [db.reader_cursors, db.deliveries]
        if not keep_rows:
            tables += [db.contacts, db.messages, db.conversations, db.identities, db.customers, db.presence_log]
        async with self.database.write(HOUSE) as connection:
            for table in tables:
                await connection.execute(delete(table))

    async def deliver_all(self, deliverer: Deliverer, hops: int = 60) -> None:
        """Deliver, moving the clock on to whatever is due next, until nothing waits."""
        for _ in range(hops):
            for webhook in self.webhooks or ():
                while await deliverer.deliver(WORKSPACE, webhook.id):
                    pass
            waiting = [row.due_at for row in await self.rows() if not row.failed]
            if not waiting:
                return
            self.now = max(self.now, min(waiting))
        raise AssertionError("something is still waiting")

    async def rows(self) -> Sequence[Any]:
        async with self.database.read(HOUSE) as connection:
            return (await connection.execute(select(db.deliveries).order_by(db.deliveries.c.position))).all()

    async def counts(self) -> dict[str, int]:
        """Each contact's count of events, as the store has it."""
        async with self.database.read(HOUSE) as connection:
            found = await connection.execute(select(db.contacts.c.id, db.contacts.c.events))
            return {row.id: row.events for row in found}

    async def configure(self, config: Config) -> None:
        """A saved version of the configuration, as a projector that starts reads it."""
        async with self.database.write(HOUSE) as connection:
            await connection.execute(
                insert(db.config_versions).values(
                    workspace=WORKSPACE, version=1, author="t", created_at=0.0, body=msgspec.to_builtins(config)
                )
            )

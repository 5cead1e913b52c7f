"""The projector: turns the journal into history. Rows and cursor share a transaction, so each record counts once.

A second projector, or one that comes back from the dead, loses the compare-and-set on the cursor and writes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Table, case, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.bus.base import JOURNAL, Log
from naru.fold import Cursor, Entry, Journal
from naru.store import ledger, people
from naru.store import tables as db
from naru.store.database import HOUSE, Database, enter
from naru.store.rows import clean, insert_into, put_if_absent
from router import events
from router.model import RECEIPT_RANK

READER = "projector"
ASK_AGAIN_S = 0.2
GATHER_S = 0.03
"""History may be this late, so that under load many records share a transaction and routing keeps the processor."""


class Overtaken(Exception):
    """Another projector has moved the cursor."""


async def load_cursor(database: Database, reader: str, shard: int) -> Cursor:
    return await known_cursor(database, reader, shard) or Cursor(shard=shard)


async def known_cursor(database: Database, reader: str, shard: int) -> Cursor | None:
    """Where a reader is; None when it has never been here."""
    async with database.read(HOUSE) as connection:
        where = (db.reader_cursors.c.reader == reader) & (db.reader_cursors.c.shard == shard)
        row = (await connection.execute(select(db.reader_cursors).where(where))).first()
    if row is None:
        return None
    return Cursor(shard=shard, offset=row.position, nonce=row.nonce, seq=row.seq, in_next=row.in_next)


async def move_cursor(connection: AsyncConnection, reader: str, was: Cursor, now: Cursor) -> None:
    """Compare-and-set. Raises Overtaken when the cursor is not where we left it."""
    values = {"position": now.offset, "nonce": now.nonce, "seq": now.seq, "in_next": now.in_next}
    table = db.reader_cursors
    if was.offset == 0:
        await put_if_absent(connection, table, reader=reader, shard=now.shard, position=0, nonce="", seq=-1, in_next=0)
    where = (table.c.reader == reader) & (table.c.shard == now.shard) & (table.c.position == was.offset)
    moved = await connection.execute(update(table).where(where).values(**values))
    if moved.rowcount != 1:
        raise Overtaken(f"{reader} of shard {now.shard} is not at {was.offset}")


class Outbox(Protocol):
    """What the projector hands the same records to, in the same transaction: the way out to other programs."""

    async def start(self, connection: AsyncConnection) -> None: ...

    async def take(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None: ...


class Projector:
    """Follows one shard's journal for as long as that is ours to do."""

    def __init__(
        self, log: Log, database: Database, shard: int, outbox: Outbox, is_mine: Callable[[], bool] = lambda: True
    ) -> None:
        self.is_mine = is_mine
        self._log = log
        self._database = database
        self._shard = shard
        self._outbox = outbox
        self.cursor = Cursor(shard=shard)
        self.is_abreast = False
        """Whether history has come, since we began, to where the journal ended then."""

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """For ever. Raises Overtaken when another has moved the cursor: begin anew."""
        while True:
            while not self.is_mine():
                await sleep(ASK_AGAIN_S)
            try:
                await self._follow(sleep)
            finally:
                self.is_abreast = False

    async def _follow(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.cursor = await load_cursor(self._database, READER, self._shard)
        async with self._database.read(HOUSE) as connection:
            await self._outbox.start(connection)
        end = await self._log.end(JOURNAL, self._shard)
        self.is_abreast = self.cursor.offset >= end
        journal = Journal(self._log, self.cursor)
        async for entries in journal.entries():
            async with self._database.write(HOUSE) as connection:
                inside = HOUSE
                for entry in entries:
                    if entry.record.workspace != inside:
                        inside = entry.record.workspace
                        await enter(connection, inside)
                    await project(connection, entry)
                await enter(connection, HOUSE)
                await self._outbox.take(connection, entries)
                await move_cursor(connection, READER, self.cursor, journal.cursor)
            self.cursor = journal.cursor
            self.is_abreast = self.is_abreast or self.cursor.offset >= end
            if not self.is_mine():
                return
            await sleep(GATHER_S)


async def project(connection: AsyncConnection, entry: Entry) -> None:
    row = _Row(connection, entry)
    for event in entry.record.ev:
        handler = _PROJECT.get(type(event))
        if handler is not None:
            await handler(row, event)


class _Row:
    """One record on its way into the tables."""

    def __init__(self, connection: AsyncConnection, entry: Entry) -> None:
        self.connection = connection
        self.workspace = entry.record.workspace
        self.t = entry.record.t
        self._entry = entry

    @property
    def sealed(self) -> bytes | None:
        """What was said, as it lies in the log. Only a message needs it, so no other input is decoded for it."""
        envelope = self._entry.envelope
        return envelope.content if envelope else None

    async def put(self, table: Table, **values: Any) -> None:
        await put_if_absent(self.connection, table, workspace=self.workspace, **clean(values))

    async def change(self, table: Table, id_: str, **values: Any) -> None:
        where = (table.c.workspace == self.workspace) & (table.c.id == id_)
        await self.connection.execute(update(table).where(where).values(**clean(values)))


E = TypeVar("E", bound=events.Event)
Handler = Callable[[_Row, Any], Awaitable[None]]
_PROJECT: dict[type[events.Event], Handler] = {}


def _on(kind: type[E]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _PROJECT[kind] = handler
        return handler

    return register


@_on(events.ConversationOpened)
async def _conversation_opened(row: _Row, event: events.ConversationOpened) -> None:
    identity = event.identity
    await row.put(db.customers, id=event.customer, name=identity.name, first_seen=row.t)
    await row.put(
        db.identities,
        customer=event.customer,
        scope=identity.scope,
        kind=identity.kind,
        value=identity.value,
        alike=people.alike(identity.kind, identity.value),
    )
    await row.put(
        db.conversations,
        id=event.conversation,
        channel=event.channel,
        brand=event.brand,
        kind=event.kind,
        thread=event.thread.external,
        customer=event.customer,
        language=event.language,
        opened_at=row.t,
        last_word_at=row.t,
    )


@_on(events.ContactOpened)
async def _contact_opened(row: _Row, event: events.ContactOpened) -> None:
    c = db.conversations.c
    found = await row.connection.execute(
        select(db.conversations).where(c.workspace == row.workspace, c.id == event.conversation)
    )
    conversation = found.one()
    await row.put(
        db.contacts,
        id=event.contact,
        conversation=event.conversation,
        customer=conversation.customer,
        channel=conversation.channel,
        brand=conversation.brand,
        kind=conversation.kind,
        queue=event.queue,
        direction=event.direction,
        language=event.language,
        enqueued_at=event.enqueued_at,
        target_s=event.target_s,
        offers=0,
        rule=event.rule,
    )
    if event.attempt is not None:
        await ledger.opened(row.connection, row.workspace, event.attempt, event.contact, row.t)


@_on(events.AttemptDropped)
async def _attempt_dropped(row: _Row, event: events.AttemptDropped) -> None:
    await ledger.dropped(row.connection, row.workspace, event.attempt, event.reason, row.t)


@_on(events.LineAnswered)
async def _line_answered(row: _Row, event: events.LineAnswered) -> None:
    await ledger.answered(row.connection, row.workspace, event.contact, event.answered_by, row.t)


@_on(events.LegJoined)
async def _leg_joined(row: _Row, event: events.LegJoined) -> None:
    if event.side == "customer":
        await ledger.answered(row.connection, row.workspace, event.contact, event.answered_by, row.t)


@_on(events.OfferMade)
async def _offer_made(row: _Row, event: events.OfferMade) -> None:
    await row.change(db.contacts, event.contact, offers=event.attempt)


@_on(events.OfferAccepted)
async def _offer_accepted(row: _Row, event: events.OfferAccepted) -> None:
    c = db.contacts.c
    first = c.accepted_at.is_(None)
    await row.change(
        db.contacts,
        event.contact,
        agent=event.agent,
        in_target=case((first, literal(row.t) - c.enqueued_at <= c.target_s), else_=c.in_target),
        accepted_at=case((first, literal(row.t)), else_=c.accepted_at),
    )


@_on(events.ContactRequeued)
async def _contact_requeued(row: _Row, event: events.ContactRequeued) -> None:
    await row.change(db.contacts, event.contact, queue=event.queue)


@_on(events.ContactHandedOver)
async def _contact_handed_over(row: _Row, event: events.ContactHandedOver) -> None:
    await row.change(db.contacts, event.contact, agent=event.agent)


@_on(events.ContactTakenOver)
async def _contact_taken_over(row: _Row, event: events.ContactTakenOver) -> None:
    await row.change(db.contacts, event.contact, agent=event.agent)


@_on(events.ContactWrapping)
async def _contact_wrapping(row: _Row, event: events.ContactWrapping) -> None:
    c = db.contacts.c
    await row.change(
        db.contacts, event.contact, wrapped_at=case((c.wrapped_at.is_(None), literal(row.t)), else_=c.wrapped_at)
    )


@_on(events.ContactCompleted)
async def _contact_completed(row: _Row, event: events.ContactCompleted) -> None:
    await row.change(
        db.contacts,
        event.contact,
        ended_at=row.t,
        outcome=event.outcome,
        disposition=event.disposition,
        note=event.note,
    )
    if event.attempt is not None:
        await ledger.ended(row.connection, row.workspace, event, row.t)


@_on(events.MessageAdded)
async def _message_added(row: _Row, event: events.MessageAdded) -> None:
    c = db.conversations.c
    found = await row.connection.execute(
        select(c.channel, c.kind).where(c.workspace == row.workspace, c.id == event.conversation)
    )
    conversation = found.one()
    ours = event.author == "agent" and not event.private
    await row.put(
        db.messages,
        id=event.message,
        conversation=event.conversation,
        contact=event.contact,
        channel=conversation.channel,
        number=event.number,
        author=event.author,
        agent=event.agent,
        private=event.private,
        dedupe_key=event.key,
        at=row.t,
        content=row.sealed,
        status=("sent" if conversation.kind == "chat" else "pending") if ours else None,
    )
    await row.change(db.conversations, event.conversation, last_word_at=row.t)


@_on(events.MessageRevised)
async def _message_revised(row: _Row, event: events.MessageRevised) -> None:
    """What was edited is kept as it is now; of what was taken back, that there was something."""
    now: dict[str, Any] = {"content": row.sealed}
    if event.change != "copied":
        now["revised"] = event.change
    await row.change(db.messages, event.message, **now)


@_on(events.CustomerMerged)
async def _customer_merged(row: _Row, event: events.CustomerMerged) -> None:
    """A link is kept from both its ends; the first to say so stands."""
    for customer, other in ((event.customer, event.into), (event.into, event.customer)):
        await row.put(db.customer_links, customer=customer, other=other, made_by=event.by, made_at=row.t)


@_on(events.CustomerSplit)
async def _customer_split(row: _Row, event: events.CustomerSplit) -> None:
    await people.unlink(row.connection, row.workspace, event.customer, event.other)


@_on(events.SendEnded)
async def _send_ended(row: _Row, event: events.SendEnded) -> None:
    status = {"accepted": "sent", "rejected": "failed", "uncertain": "uncertain"}[event.result]
    await _status(row, event.key, status, event.detail)


@_on(events.ReceiptRecorded)
async def _receipt_recorded(row: _Row, event: events.ReceiptRecorded) -> None:
    await _status(row, event.message, event.status, event.detail)


async def _status(row: _Row, message: str, status: str, detail: str | None) -> None:
    """Receipts merge by rank, so order and repetition do not matter."""
    c = db.messages.c
    lower = [known for known, rank in RECEIPT_RANK.items() if rank < RECEIPT_RANK[status]]
    where = (c.workspace == row.workspace) & (c.id == message) & c.status.in_(lower)
    await row.connection.execute(update(db.messages).where(where).values(status=status, detail=detail))


@_on(events.PresenceChanged)
async def _presence_changed(row: _Row, event: events.PresenceChanged) -> None:
    """Of two changes in one moment the last stands."""
    now = clean({"presence": event.presence, "reason": event.reason})
    statement = insert_into(row.connection, db.presence_log).values(
        workspace=row.workspace, agent=event.agent, at=row.t, **now
    )
    await row.connection.execute(statement.on_conflict_do_update(index_elements=["workspace", "agent", "at"], set_=now))

"""The projector's way out: numbers each contact's public events, and lays them out for whoever has asked for them.

**Where the sequence comes from.** A consumer that has 1, 2 and 4 of a contact must know that it lacks 3, so the number
must be exact, whoever restarts and however often. The folded pool cannot give it: it forgets a contact when it is
completed, and receipts and ends of sends come later still. A counter in memory does not survive, and one in a reader's
own table would drift from another reader's. So it is a column of the contact's row, `contacts.events`, counted here in
the transaction that moves the projector's cursor: a record is counted if and only if the cursor has passed it, once.
A contact's opening sets the count to 1 whatever stood there, so projecting the journal anew gives the same numbers,
over empty tables and over old ones. All public events count, also while nobody listens, so a later subscriber's
numbers are the same as everybody's.

**Who takes.** An event is written once for each *taker*: a webhook whose filter lets it through, or the topic. Rows
appear in journal order, and a repeated projection finds them there or writes them again under the same id.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.fold import Entry
from naru.outgoing import cloudevents
from naru.outgoing.cloudevents import Book, CloudEvent, Facts
from naru.store import tables as db
from naru.store.rows import put_all_if_absent
from router import events
from router.config import Config, Webhook

TOPIC = "(topic)"
"""The taker that is the topic of all events. No webhook can be called so."""
ASKED_AT_ONCE = 500
"""Ids in one query: databases bound the number of parameters."""


class Outbox:
    """One shard's. `with_topic` says that a publisher drains the topic's rows."""

    def __init__(self, with_topic: bool = False) -> None:
        self._with_topic = with_topic
        self._webhooks: dict[str, tuple[Webhook, ...]] = {}

    async def start(self, connection: AsyncConnection) -> None:
        """Who has asked for what, by the newest configurations. From here on the journal says so."""
        c = db.config_versions.c
        newest = select(c.workspace, func.max(c.version).label("version")).group_by(c.workspace).subquery()
        same = (c.workspace == newest.c.workspace) & (c.version == newest.c.version)
        self._webhooks = {}
        for row in await connection.execute(select(c.workspace, c.body).join(newest, same)):
            self._follow(row.workspace, msgspec.convert(row.body, Config))

    def _follow(self, workspace: str, config: Config) -> None:
        self._webhooks[workspace] = tuple(webhook for webhook in config.webhooks if webhook.enabled)

    async def take(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Number and lay out these records' events. Call it after they were projected, in the same transaction."""
        books = await _open(connection, entries)
        rows: list[dict[str, Any]] = []
        for entry in entries:
            record = entry.record
            for event in record.ev:
                if isinstance(event, events.ConfigApplied):
                    self._follow(record.workspace, event.config)
            for place, event_out in cloudevents.of_record(record, books[record.workspace]):
                rows += self._rows(entry, place, event_out)
        await _close(connection, books)
        await put_all_if_absent(connection, db.deliveries, rows)

    def _rows(self, entry: Entry, place: int, event: CloudEvent) -> list[dict[str, Any]]:
        webhooks = self._webhooks.get(entry.record.workspace, ())
        takers = [webhook.id for webhook in webhooks if cloudevents.wants(webhook.types, event.type)]
        takers += [TOPIC] if self._with_topic else []
        body = cloudevents.encode(event) if takers else b""
        return [
            {
                "workspace": entry.record.workspace,
                "taker": taker,
                "shard": entry.shard,
                "position": entry.offset,
                "place": place,
                "event": event.id,
                "type": event.type,
                "made_at": entry.record.t,
                "due_at": entry.record.t,
                "body": body,
                "tries": 0,
                "failed": False,
            }
            for taker in takers
        ]


async def _open(connection: AsyncConnection, entries: Sequence[Entry]) -> dict[str, Book]:
    """The books of the workspaces that these records belong to, with all contacts that they name."""
    books: dict[str, Book] = {}
    for workspace in dict.fromkeys(entry.record.workspace for entry in entries):
        book = books[workspace] = Book()
        happened = [event for entry in entries if entry.record.workspace == workspace for event in entry.record.ev]
        m, c = db.messages.c, db.contacts.c
        receipts = [event.message for event in happened if isinstance(event, events.ReceiptRecorded)]
        for some in _slices(receipts):
            query = select(m.id, m.contact).where(m.workspace == workspace, m.id.in_(some))
            book.contact_of |= {row.id: row.contact for row in await connection.execute(query)}
        named = [cloudevents.contact_of(event, book) for event in happened if type(event) in cloudevents.PUBLIC]
        columns = (c.id, c.events, *(c[name] for name in Facts.__struct_fields__))
        for some in _slices([contact for contact in named if contact is not None]):
            for row in await connection.execute(select(*columns).where(c.workspace == workspace, c.id.in_(some))):
                book.count[row.id] = row.events
                book.facts[row.id] = Facts(row.conversation, row.customer, row.channel, row.brand, row.kind)
    return books


async def _close(connection: AsyncConnection, books: dict[str, Book]) -> None:
    c = db.contacts.c
    counts = [
        {"of": workspace, "contact": contact, "count": count}
        for workspace, book in books.items()
        for contact, count in book.count.items()
    ]
    if counts:
        where = (c.workspace == bindparam("of")) & (c.id == bindparam("contact"))
        await connection.execute(update(db.contacts).where(where).values(events=bindparam("count")), counts)


def _slices(ids: list[str]) -> list[list[str]]:
    once = list(dict.fromkeys(ids))
    return [once[at : at + ASKED_AT_ONCE] for at in range(0, len(once), ASKED_AT_ONCE)]

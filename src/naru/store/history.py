"""What was: messages, contacts and customers, read for both edges and the reports.

The projector may be a moment behind the journal; whoever reads what was just said waits for it, at most two seconds.
"""

import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import func, select, update

from agents.frames import MessageView, parts_view
from channels.base import File, Outgoing
from channels.chat import Said
from channels.ports import Unavailable
from naru.keyring import Keyring
from naru.store import people
from naru.store import tables as db
from naru.store.database import Database, StoreUnavailable
from naru.store.files import StoredFiles
from naru.store.rows import put_if_absent
from naru.wire import decode_content
from router.model import Content, Media

RENEWAL = "/token"
"""Behind a channel's name: what renews its access token, which has a row of its own."""

Settled = Callable[[str], Awaitable[bool]]


@contextlib.contextmanager
def _for_channels() -> Iterator[None]:
    """A database that is away, in the word of the customers' edge: its workers wait for that, and for no other."""
    try:
        yield
    except (StoreUnavailable, OSError) as error:
        raise Unavailable(str(error)) from error


class StoredHistory:
    """`settled(workspace)` returns once the projector has come to where the fold is now, or, False, after two seconds."""

    def __init__(self, database: Database, keyring: Keyring, files: StoredFiles, settled: Settled) -> None:
        self._database = database
        self._keyring = keyring
        self._files = files
        self._settled = settled

    def _open(self, workspace: str, sealed: bytes | None) -> Content | None:
        return None if sealed is None else decode_content(self._keyring.open(workspace, "content", sealed))

    async def _rows(self, workspace: str, statement: Any) -> list[Any]:
        async with self._database.read(workspace) as connection:
            return list(await connection.execute(statement))

    # -- agents

    async def messages(self, workspace: str, conversation: str, after: int, limit: int) -> list[MessageView] | None:
        await self._settled(workspace)
        c = db.messages.c
        known = db.conversations.c
        if not await self._rows(
            workspace, select(known.id).where(known.workspace == workspace, known.id == conversation)
        ):
            return None
        rows = await self._rows(
            workspace,
            select(db.messages)
            .where(c.workspace == workspace, c.conversation == conversation, c.number > after)
            .order_by(c.number)
            .limit(limit),
        )
        return [self._view(workspace, row) for row in rows]

    def _view(self, workspace: str, row: Any) -> MessageView:
        content = self._open(workspace, row.content)
        return MessageView(
            id=row.id,
            conversation=row.conversation,
            contact=row.contact,
            number=row.number,
            author=row.author,
            at=row.at,
            agent=row.agent,
            private=row.private,
            subject=content.subject if content else None,
            parts=parts_view(content),
            status=row.status,
            detail=row.detail,
            revised=row.revised,
        )

    async def contact(self, workspace: str, contact: str) -> dict[str, Any] | None:
        await self._settled(workspace)
        c = db.contacts.c
        rows = await self._rows(workspace, select(db.contacts).where(c.workspace == workspace, c.id == contact))
        return _contact(rows[0]) if rows else None

    async def customer(self, workspace: str, customer: str) -> dict[str, Any] | None:
        await self._settled(workspace)
        async with self._database.read(workspace) as connection:
            return await people.person(connection, workspace, customer)

    async def customer_contacts(self, workspace: str, customer: str, limit: int) -> list[dict[str, Any]]:
        """The contacts of the person that a customer is, the newest first."""
        c = db.contacts.c
        rows = await self._rows(
            workspace,
            select(db.contacts)
            .where(c.workspace == workspace, c.customer.in_(people.linked(workspace, customer)))
            .order_by(c.enqueued_at.desc())
            .limit(limit),
        )
        return [_contact(row) for row in rows]

    # -- customers

    async def said(self, workspace: str, conversation: str, after: int, limit: int) -> list[Said]:
        """A conversation's newest messages after a number, as its customer may see them."""
        await self._settled(workspace)
        c = db.messages.c
        rows = await self._rows(
            workspace,
            select(db.messages)
            .where(
                c.workspace == workspace,
                c.conversation == conversation,
                c.number > after,
                c.private.is_(False),
            )
            .order_by(c.number.desc())
            .limit(limit),
        )
        return [
            Said(row.number, row.id, row.author, row.at, row.agent, row.dedupe_key, self._open(workspace, row.content))
            for row in reversed(rows)
        ]

    # -- channels

    async def outgoing(self, workspace: str, conversation: str, message: str) -> Outgoing | None:
        """A message of ours with its attachments, and the customer's last one that it answers."""
        with _for_channels():
            return await self._outgoing(workspace, conversation, message)

    async def _outgoing(self, workspace: str, conversation: str, message: str) -> Outgoing | None:
        c = db.messages.c
        if not await self._settled(workspace):
            raise Unavailable("the projector is behind")
        rows = await self._rows(workspace, select(c.content, c.number).where(c.workspace == workspace, c.id == message))
        content = self._open(workspace, rows[0].content) if rows else None
        if content is None:
            return None
        subject = await self._first_subject(workspace, conversation)
        last = await self._rows(
            workspace,
            select(c.content, c.number, c.at)
            .where(c.workspace == workspace, c.conversation == conversation, c.author == "customer")
            .order_by(c.number.desc())
            .limit(1),
        )
        said = self._open(workspace, last[0].content) if last else None
        files = [
            File(part.name, part.media_type, await self._files.read(workspace, part.sha256))
            for part in content.parts
            if isinstance(part, Media)
        ]
        return Outgoing(
            content,
            tuple(files),
            last_subject=(said.subject if said else None) or subject,
            last_headers=dict(said.headers) if said else {},
            last_at=last[0].at if last else 0,
            first=bool(last) and rows[0].number == last[0].number + 1,
        )

    async def received(self, workspace: str, conversation: str, message: str) -> Content | None:
        """What a customer's message says, as it is known now."""
        c = db.messages.c
        with _for_channels():
            if not await self._settled(workspace):
                raise Unavailable("the projector is behind")
            where = (c.workspace == workspace) & (c.conversation == conversation) & (c.id == message)
            rows = await self._rows(workspace, select(c.content).where(where))
        return self._open(workspace, rows[0].content) if rows else None

    async def _first_subject(self, workspace: str, conversation: str) -> str | None:
        c = db.messages.c
        where = (c.workspace == workspace) & (c.conversation == conversation)
        rows = await self._rows(workspace, select(c.content).where(where).order_by(c.number).limit(1))
        first = self._open(workspace, rows[0].content) if rows else None
        return first.subject if first else None

    async def last_received(self, workspace: str, channel: str) -> float | None:
        c = db.messages.c
        where = (c.workspace == workspace) & (c.channel == channel) & (c.author == "customer")
        with _for_channels():
            rows = await self._rows(workspace, select(func.max(c.at).label("at")).where(where))
        return None if rows[0].at is None else float(rows[0].at)

    async def known(self, workspace: str, channel: str, dedupe_key: str) -> bool:
        c = db.messages.c
        where = (c.workspace == workspace) & (c.channel == channel) & (c.dedupe_key == dedupe_key)
        with _for_channels():
            return bool(await self._rows(workspace, select(c.id).where(where).limit(1)))

    async def cursor(self, workspace: str, channel: str) -> dict[str, Any]:
        c = db.channel_cursors.c
        where = (c.workspace == workspace) & (c.channel == channel)
        with _for_channels():
            rows = await self._rows(workspace, select(c.cursor).where(where))
        return dict(rows[0].cursor) if rows else {}

    async def move_cursor(self, workspace: str, channel: str, cursor: dict[str, Any]) -> None:
        table = db.channel_cursors
        with _for_channels():
            async with self._database.write(workspace) as connection:
                await put_if_absent(connection, table, workspace=workspace, channel=channel, cursor=cursor)
                where = (table.c.workspace == workspace) & (table.c.channel == channel)
                await connection.execute(update(table).where(where).values(cursor=cursor))

    async def kept(self, workspace: str, channel: str) -> dict[str, str]:
        sealed = (await self.cursor(workspace, f"{channel}{RENEWAL}")).get("sealed")
        if sealed is None:
            return {}
        return msgspec.json.decode(
            self._keyring.open(workspace, "token", base64.b64decode(sealed)), type=dict[str, str]
        )

    async def keep(self, workspace: str, channel: str, kept: dict[str, str]) -> None:
        sealed = self._keyring.seal(workspace, "token", msgspec.json.encode(kept))
        await self.move_cursor(workspace, f"{channel}{RENEWAL}", {"sealed": base64.b64encode(sealed).decode()})

    # -- reports

    async def intervals(
        self, workspace: str, start: float, end: float, minutes: int, by: str | None
    ) -> list[dict[str, Any]]:
        """Inbound contacts by the interval in which they came. Formulas: docs/operating.md, Figures."""
        c = db.contacts.c
        width = minutes * 60
        bucket = (func.floor((c.enqueued_at - start) / width)).label("bucket")
        key = {"queue": c.queue, "channel": c.channel, "brand": c.brand, "agent": c.agent}.get(by or "")
        columns = [bucket] if key is None else [bucket, key.label("key")]
        answered = c.accepted_at.is_not(None)
        statement = (
            select(
                *columns,
                func.count().label("arrived"),
                func.count(c.accepted_at).label("answered"),
                func.count().filter(c.outcome == "abandoned").label("abandoned"),
                func.count().filter(c.in_target.is_(True)).label("in_target"),
                func.coalesce(func.sum(c.accepted_at - c.enqueued_at), 0).label("wait_s"),
                func.coalesce(func.sum(c.ended_at - c.accepted_at).filter(answered), 0).label("handle_s"),
            )
            .where(c.workspace == workspace, c.direction == "inbound", c.enqueued_at >= start, c.enqueued_at < end)
            .group_by(*columns)
            .order_by(*columns)
        )
        return [
            {
                "start": start + int(row.bucket) * width,
                "key": row.key if key is not None else None,
                "arrived": row.arrived,
                "answered": row.answered,
                "abandoned": row.abandoned,
                "in_target": row.in_target,
                "wait_s": row.wait_s,
                "handle_s": row.handle_s,
            }
            for row in await self._rows(workspace, statement)
        ]


def _contact(row: Any) -> dict[str, Any]:
    return {
        "contact": row.id,
        "conversation": row.conversation,
        "customer": row.customer,
        "channel": row.channel,
        "kind": row.kind,
        "queue": row.queue,
        "direction": row.direction,
        "started_at": row.enqueued_at,
        "accepted_at": row.accepted_at,
        "ended_at": row.ended_at,
        "outcome": row.outcome,
        "disposition": row.disposition,
        "note": row.note,
        "agent": row.agent,
        "offers": row.offers,
    }

"""Who may come in: people (invite link, argon2id password, session), API keys, and single-use tickets.

Secrets of 256 random bits are kept as SHA-256 only and shown once. Everything belongs to one workspace.
"""

import asyncio
import hashlib
from collections.abc import Callable

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, func, insert, select, update

from agents.auth import Principal
from naru.store import tables as db
from naru.store.database import HOUSE, Database
from naru.store.rows import put_if_absent
from router.config import Config

SESSION_S = 14 * 86400.0
INVITE_S = 7 * 86400.0
TICKET_S = 30.0
LOGIN_TOKEN_S = 3600.0
BEGUN_S = 600.0
MAX_BEGUN = 10_000
MIN_PASSWORD = 10
MAX_WRONG, WRONG_S, MAX_NAMES = 10, 600.0, 10_000


class KeyRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    prefix: str
    created_at: float


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def folded(address: str) -> str:
    """An address without its capitals. ASCII's only: Unicode folding takes the Kelvin sign for a k, one person for another."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in address)


class Accounts:
    """`chance()` gives a new URL-safe token of 256 random bits."""

    def __init__(self, database: Database, clock: Callable[[], float], chance: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance
        self._hasher = PasswordHasher()
        self._wrong: dict[tuple[str, str], tuple[float, int]] = {}
        # Checked when there is nobody of that name, so that a wrong name takes as long as a wrong password.
        self._nobody = self._hasher.hash("nobody's password")

    # -- workspaces and people

    async def ensure_workspace(self, workspace: str, name: str) -> None:
        async with self._database.write(workspace) as connection:
            await put_if_absent(connection, db.workspaces, id=workspace, name=name, created_at=self._clock())

    async def workspaces(self) -> list[str]:
        async with self._database.read(HOUSE) as connection:
            return [row.id for row in await connection.execute(select(db.workspaces.c.id))]

    async def sync_people(self, workspace: str, config: Config) -> None:
        """Make the people of a workspace those of its configuration; who is gone from it is disabled at once."""
        async with self._database.write(workspace) as connection:
            # Addresses are unique: all are let go first, so that they may change hands in one document.
            everybody = update(db.people).where(db.people.c.workspace == workspace)
            await connection.execute(everybody.values(email=None))
            for agent in config.agents:
                await put_if_absent(
                    connection,
                    db.people,
                    workspace=workspace,
                    id=agent.id,
                    email=agent.email,
                    name=agent.name,
                    role=agent.role,
                    created_at=self._clock(),
                    disabled=False,
                )
                where = (db.people.c.workspace == workspace) & (db.people.c.id == agent.id)
                await connection.execute(
                    update(db.people)
                    .where(where)
                    .values(email=agent.email, name=agent.name, role=agent.role, disabled=False)
                )
            gone = (db.people.c.workspace == workspace) & db.people.c.id.not_in([a.id for a in config.agents])
            await connection.execute(update(db.people).where(gone).values(disabled=True))

    async def invite(self, workspace: str, person: str) -> str | None:
        """A link's token by which a person sets a password; None when there is no such person."""
        if await self._person(workspace, person) is None:
            return None
        return await self._issue(workspace, "invite", INVITE_S, person=person)

    async def accept_invite(self, token: str, password: str) -> tuple[str, str] | None:
        """Set the password and return (workspace, person); None when the link is not, or no longer, good."""
        row = await self._redeem(token, "invite")
        if row is None:
            return None
        workspace, person = row
        digest = await asyncio.to_thread(self._hasher.hash, password)
        where = (db.people.c.workspace == workspace) & (db.people.c.id == person)
        async with self._database.write(workspace) as connection:
            await connection.execute(update(db.people).where(where).values(password_hash=digest))
            sessions = (db.tokens.c.workspace == workspace) & (db.tokens.c.person == person)
            await connection.execute(delete(db.tokens).where(sessions & (db.tokens.c.use == "session")))
        return row

    def may_try(self, workspace: str, email: str) -> bool:
        """Ten wrong passwords for one name within ten minutes, then no more tries until these are over."""
        now = self._clock()
        since, count = self._wrong.get((workspace, email), (now, 0))
        return count < MAX_WRONG or now - since > WRONG_S

    def _count_wrong(self, workspace: str, email: str) -> None:
        now = self._clock()
        since, count = self._wrong.pop((workspace, email), (now, 0))
        self._wrong[workspace, email] = (since, count + 1) if now - since <= WRONG_S else (now, 1)
        while len(self._wrong) > MAX_NAMES:
            del self._wrong[next(iter(self._wrong))]

    async def login(self, workspace: str, email: str, password: str) -> str | None:
        """The person's id when the password is right."""
        c = db.people.c
        async with self._database.read(workspace) as connection:
            found = await connection.execute(
                select(c.id, c.password_hash).where(c.workspace == workspace, c.email == email, c.disabled.is_(False))
            )
            row = found.first()
        digest = row.password_hash if row and row.password_hash else self._nobody
        try:
            await asyncio.to_thread(self._hasher.verify, digest, password)
        except VerificationError:
            self._count_wrong(workspace, email)
            return None
        self._wrong.pop((workspace, email), None)
        return row.id if row and row.password_hash else None

    async def by_address(self, workspace: str, email: str) -> str | None:
        """The one person of this address who may come in, whatever its capitals; None when there is none, or two."""
        c = db.people.c
        async with self._database.read(workspace) as connection:
            rows = await connection.execute(
                select(c.id, c.email).where(c.workspace == workspace, c.disabled.is_(False), c.email.is_not(None))
            )
            found = [row.id for row in rows if folded(row.email) == folded(email)]
        return found[0] if len(found) == 1 else None

    # -- sign-ins by a provider, begun here and finished by whichever of us the browser comes back to

    async def begin_sign_in(self, workspace: str, page: str) -> str:
        """A single-use state; `page` is where the person wants to be. The oldest beyond a bound are forgotten."""
        state = await self._issue(workspace, "oidc", BEGUN_S, name=page)
        c = db.tokens.c
        of_ours = (c.workspace == workspace) & (c.use == "oidc")
        async with self._database.write(workspace) as connection:
            newest_first = select(c.hash).where(of_ours).order_by(c.created_at.desc(), c.hash)
            await connection.execute(delete(db.tokens).where(c.hash.in_(newest_first.offset(MAX_BEGUN))))
        return state

    async def finish_sign_in(self, state: str) -> tuple[str, str] | None:
        """(workspace, page) of a sign-in that was begun, not long ago, and not finished yet."""
        where = (db.tokens.c.hash == hashed(state)) & (db.tokens.c.use == "oidc")
        async with self._database.write(HOUSE) as connection:
            row = (await connection.execute(delete(db.tokens).where(where).returning(db.tokens))).first()
        if row is None or row.expires_at < self._clock():
            return None
        return row.workspace, row.name

    # -- sessions, tickets, one-time tokens

    async def open_session(self, workspace: str, person: str) -> str:
        return await self._issue(workspace, "session", SESSION_S, person=person)

    async def close_session(self, token: str) -> None:
        async with self._database.write(HOUSE) as connection:
            await connection.execute(delete(db.tokens).where(db.tokens.c.hash == hashed(token)))

    async def login_token(self, workspace: str, person: str) -> str:
        """A single-use token that opens a session: what `naru demo` prints in its links."""
        return await self._issue(workspace, "login", LOGIN_TOKEN_S, person=person)

    async def redeem_login_token(self, token: str) -> tuple[str, str] | None:
        return await self._redeem(token, "login")

    async def ticket(self, principal: Principal) -> str:
        return await self._issue(
            principal.workspace, "ticket", TICKET_S, person=principal.agent, name=principal.id, role=principal.role
        )

    async def redeem_ticket(self, token: str) -> Principal | None:
        """The principal a ticket stands for; a ticket is good once."""
        async with self._database.write(HOUSE) as connection:
            where = (db.tokens.c.hash == hashed(token)) & (db.tokens.c.use == "ticket")
            row = (await connection.execute(delete(db.tokens).where(where).returning(db.tokens))).first()
        if row is None or row.expires_at < self._clock():
            return None
        return Principal(workspace=row.workspace, id=row.name, role=row.role, agent=row.person)

    async def session(self, token: str) -> Principal | None:
        row = await self._alive(token, "session")
        if row is None:
            return None
        person = await self._person(*row)
        if person is None:
            return None
        return Principal(workspace=row[0], id=f"person:{row[1]}", role=person, agent=row[1])

    # -- keys

    async def create_key(self, workspace: str, name: str, role: str, agent: str | None = None) -> tuple[str, str]:
        """(id, the key itself): the only time it can be seen."""
        key = f"naru_{self._chance()}"
        await self._insert(key, workspace, "key", None, person=agent, name=name, role=role, prefix=key[:12])
        return hashed(key)[:16], key

    async def keys(self, workspace: str) -> list[KeyRow]:
        c = db.tokens.c
        async with self._database.read(workspace) as connection:
            rows = await connection.execute(
                select(c.hash, c.name, c.role, c.prefix, c.created_at)
                .where(c.workspace == workspace, c.use == "key")
                .order_by(c.created_at)
            )
            return [KeyRow(row.hash[:16], row.name, row.role, row.prefix, row.created_at) for row in rows]

    async def revoke_key(self, workspace: str, id_: str) -> bool:
        c = db.tokens.c
        async with self._database.write(workspace) as connection:
            gone = await connection.execute(
                delete(db.tokens).where(c.workspace == workspace, c.use == "key", func.substr(c.hash, 1, 16) == id_)
            )
        return gone.rowcount > 0

    async def key(self, key: str) -> Principal | None:
        c = db.tokens.c
        async with self._database.read(HOUSE) as connection:
            row = (await connection.execute(select(db.tokens).where(c.hash == hashed(key), c.use == "key"))).first()
        if row is None:
            return None
        return Principal(workspace=row.workspace, id=f"key:{row.hash[:16]}", role=row.role, agent=row.person)

    # -- tokens

    async def _issue(self, workspace: str, use: str, lives_s: float, **values: str | None) -> str:
        token = self._chance()
        await self._insert(token, workspace, use, self._clock() + lives_s, **values)
        return token

    async def _insert(
        self, token: str, workspace: str, use: str, expires_at: float | None, **values: str | None
    ) -> None:
        now = self._clock()
        async with self._database.write(workspace) as connection:
            await connection.execute(delete(db.tokens).where(db.tokens.c.expires_at < now))
            await connection.execute(
                insert(db.tokens).values(
                    hash=hashed(token), workspace=workspace, use=use, created_at=now, expires_at=expires_at, **values
                )
            )

    async def _alive(self, token: str, use: str) -> tuple[str, str] | None:
        c = db.tokens.c
        async with self._database.read(HOUSE) as connection:
            row = (await connection.execute(select(db.tokens).where(c.hash == hashed(token), c.use == use))).first()
        if row is None or (row.expires_at is not None and row.expires_at < self._clock()):
            return None
        return row.workspace, row.person

    async def _redeem(self, token: str, use: str) -> tuple[str, str] | None:
        """Take a single-use token: whoever deletes the row has it."""
        alive = await self._alive(token, use)
        async with self._database.write(HOUSE) as connection:
            gone = await connection.execute(
                delete(db.tokens).where(db.tokens.c.hash == hashed(token), db.tokens.c.use == use)
            )
        return alive if gone.rowcount == 1 else None

    async def _person(self, workspace: str, person: str) -> str | None:
        """The role of a person who may come in."""
        c = db.people.c
        async with self._database.read(workspace) as connection:
            found = await connection.execute(
                select(c.role).where(c.workspace == workspace, c.id == person, c.disabled.is_(False))
            )
            row = found.first()
        return row.role if row else None

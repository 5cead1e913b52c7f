"""The connections that a process holds: one set for each channel that is its own, opened, watched and let go.

What a provider needs follows from what it is: a mailbox is followed, what must be asked is polled, a stream is listened
to, an exchange or SMS centre has a session, and who tells by webhook is asked afterwards what was lost. Where several
workers live, each channel is one's (`holds`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx2
import msgspec

from channels.accounts import Accounts
from channels.base import Account, Item, Line, Polls, Reconciles, Session, Streams, Webhook
from channels.gateway import Comments, Intake, calls_on, has_sent, look_into
from channels.mailbox import Mailbox
from channels.places import Places
from channels.polling import Poller, patient
from channels.ports import Bus, Contents
from channels.reconciling import PLACE, Reconciler
from channels.sessions import SESSIONS
from channels.streams import Stream
from channels.tokens import Tokens
from router.turn import Answer

Key = tuple[str, str]
"""(workspace, channel)"""


class Connection(Protocol):
    @property
    def state(self) -> str: ...

    async def run(self) -> None: ...


class Held(msgspec.Struct, frozen=True):
    account: Account
    parts: tuple[Connection, ...]
    tasks: tuple[asyncio.Task[None], ...]
    session: Session | None
    reconciler: Reconciler | None


class Connections:
    """`comments` is where a broadcast's chat goes."""

    def __init__(
        self,
        accounts: Accounts,
        bus: Bus,
        contents: Contents,
        intake: Intake,
        comments: Comments,
        client: httpx2.AsyncClient,
        tokens: Tokens,
        clock: Callable[[], float],
        holds: Callable[[str, str], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        places: Places | None = None,
    ) -> None:
        self._places = places or Places(clock)
        self._accounts = accounts
        self._bus = bus
        self._contents = contents
        self._intake = intake
        self._comments = comments
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._holds = holds
        self._sleep = sleep
        self._held: dict[Key, Held] = {}

    def connect(self) -> None:
        """Hold what is configured now and ours, and let go of the rest."""
        wanted = {
            (account.workspace, account.channel): account
            for account in self._accounts.all()
            if self._holds(account.workspace, account.channel)
        }
        for key, held in list(self._held.items()):
            now = wanted.get(key)
            if now is None or _told(now) != _told(held.account):
                for task in held.tasks:
                    task.cancel()
                del self._held[key]
        for key, account in wanted.items():
            if key not in self._held:
                self._held[key] = self._hold(account)

    def _hold(self, account: Account) -> Held:
        provider, line = self._accounts.providers[account.provider], self._line(account)
        parts: list[Connection] = []
        if provider.transport == "mailbox":
            parts.append(self._mailbox(account, line))
        if isinstance(provider, Polls):
            parts.append(Poller(account, provider, line, self._client, self._tokens))
        if isinstance(provider, Streams):
            parts.append(Stream(account, provider, line, self._client, self._tokens))
        make = SESSIONS.get(provider.transport)
        session = make(account, line) if make else None
        if session is not None:
            parts.append(session)
        # It is beside the connection: what lives is heard and answered though nothing can be asked for afterwards.
        reconciler = self._reconciler(account, provider, line) if isinstance(provider, Reconciles) else None
        running = (*parts, reconciler) if reconciler else parts
        tasks = tuple(asyncio.create_task(part.run()) for part in running)
        return Held(account, tuple(parts), tasks, session, reconciler)

    def _reconciler(self, account: Account, provider: Reconciles, line: Line) -> Reconciler | None:
        workspace, channel = account.workspace, account.channel
        if account.setting("reconcile") == "no":
            return None
        own = msgspec.structs.replace(
            line,
            cursor=lambda: self._contents.cursor(workspace, f"{channel}{PLACE}"),
            move_cursor=lambda cursor: self._contents.move_cursor(workspace, f"{channel}{PLACE}", cursor),
        )

        async def last() -> float | None:
            return await self._contents.last_received(workspace, channel)

        return Reconciler(account, provider, own, last, self._client, self._tokens)

    def _line(self, account: Account) -> Line:
        async def take(item: Item) -> None:
            await self._intake.take(account, item)

        async def ask(item: Item) -> Answer | None:
            return await self._intake.ask(account, item)

        return Line(
            take=take,
            ask=ask,
            comments=lambda comments: self._comments(account, comments),
            look=look_into(self._bus, account.workspace, account.channel, self._places),
            calls=lambda: calls_on(self._bus, account.workspace, account.channel),
            sent=has_sent(self._bus, account.workspace, account.channel),
            cursor=lambda: self._contents.cursor(account.workspace, account.channel),
            move_cursor=lambda cursor: self._contents.move_cursor(account.workspace, account.channel, cursor),
            clock=self._clock,
            sleep=self._sleep,
        )

    def _mailbox(self, account: Account, line: Line) -> Mailbox:
        provider = self._accounts.providers[account.provider]

        async def deliver(raw: bytes, is_old: bool) -> None:
            hook = Webhook(method="MAIL", url="", path="", headers={}, query={}, body=raw, t=self._clock())
            reading = await asyncio.to_thread(provider.read, account, hook, line.look)  # a mail may be large
            for item in reading.items:
                await line.take(patient(item) if is_old else item)

        return Mailbox(account, deliver, line.cursor, line.move_cursor, self._tokens)

    def session(self, workspace: str, channel: str) -> Session | None:
        held = self._held.get((workspace, channel))
        return held.session if held else None

    def state(self, workspace: str, channel: str) -> str | None:
        """How its connections do: the first that does not work, else ok; None where it has none here."""
        held = self._held.get((workspace, channel))
        if held is None or not held.parts:
            return None
        return next((part.state for part in held.parts if part.state != "ok"), "ok")

    def reconciling(self, workspace: str, channel: str) -> str | None:
        """How asking for lost webhooks goes; None where the provider has no way to, or another process does it."""
        held = self._held.get((workspace, channel))
        return held.reconciler.state if held and held.reconciler else None

    async def close(self) -> None:
        tasks = [task for held in self._held.values() for task in held.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _told(account: Account) -> tuple[object, ...]:
    """What a connection was made of; `sign` is a new function with every configuration."""
    return account.provider, account.settings, account.secrets, account.brand, account.hook_url

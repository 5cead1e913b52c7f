"""Asking a provider that does not tell: page after page from a cursor, which moves once what was found is durable.

What comes twice, because polls overlap or we died in between, is told apart by its key, asking the history too.
"""

from collections.abc import Awaitable, Callable

import httpx2
import msgspec
import structlog

from channels.base import Account, Item, Line, Page, Polls, Result
from channels.http import request
from channels.ports import Unavailable
from channels.tokens import Tokens
from router.inputs import ReceiveMessage

log = structlog.get_logger("channels.polling")

LEAST_S = 1.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 5.0, 300.0


class Asked(msgspec.Struct, frozen=True):
    """How asking went once: why not, or when the next time is, and what people are told meanwhile."""

    fault: str | None = None
    again_s: float = 0
    state: str = "ok"


async def ask_for_ever(
    what: str,
    channel: str,
    line: Line,
    ask: Callable[[], Awaitable[Asked]],
    tell: Callable[[str], None],
    first_backoff_s: float,
    longest_backoff_s: float,
) -> None:
    """Ask again and again, ever later while it fails, whatever it fails of."""
    backoff_s = first_backoff_s
    while True:
        try:
            told = await ask()
        except Unavailable as error:
            told = Asked(f"nowhere to put it: {error}"[:300])
        except Exception as error:
            # What nobody foresaw must not end it for good: it is told, and tried again.
            log.exception(f"{what}.broken", channel=channel)
            told = Asked(f"{type(error).__name__}: {error}"[:300])
        if told.fault is None:
            tell(told.state)
            backoff_s = first_backoff_s
            await line.sleep(told.again_s)
        else:
            tell(f"failed: {told.fault}"[:300])
            log.warning(f"{what}.failed", channel=channel, fault=told.fault)
            await line.sleep(backoff_s)
            backoff_s = min(longest_backoff_s, backoff_s * 2)


class Poller:
    """One account, asked for ever by `run`."""

    def __init__(
        self, account: Account, provider: Polls, line: Line, client: httpx2.AsyncClient, tokens: Tokens
    ) -> None:
        self._account = account
        self._provider = provider
        self._line = line
        self._client = client
        self._tokens = tokens
        self.state = "connecting"

    async def run(self) -> None:
        async def asked() -> Asked:
            page = await self.once()
            return Asked(page.fault, max(LEAST_S, page.again_s))

        await ask_for_ever(
            "poll", self._account.channel, self._line, asked, self._tell, FIRST_BACKOFF_S, LONGEST_BACKOFF_S
        )

    def _tell(self, state: str) -> None:
        self.state = state

    async def once(self) -> Page:
        """One request and all that it found, durable; its `fault` says why there is nothing. Raises Unavailable."""
        account = await self._tokens.account(self._account)
        if isinstance(account, Result):
            return Page(fault=f"no access token: {account.detail}")
        cursor = await self._line.cursor()
        answer = await request(self._client, self._provider.poll(account, cursor, self._line.clock()))
        if isinstance(answer, Result):
            return Page(fault=answer.detail)
        page = self._provider.page(account, cursor, answer.status, answer.body, self._line.clock())
        if page.stale:
            self._tokens.refused(account)
            return Page(fault=page.fault or "the access token was refused")
        for item in page.items:
            await self._line.take(late(item))
        if page.comments:
            await self._line.comments(page.comments)
        if page.fault is None and page.cursor != cursor:
            await self._line.move_cursor(page.cursor)
        return page


def late(item: Item) -> Item:
    """A message may have been taken in so long ago that only the history knows."""
    if isinstance(item.body, ReceiveMessage) and item.body.dedupe_key == item.key:
        return msgspec.structs.replace(item, late=True)
    return item


def patient(item: Item) -> Item:
    """What had been lying there before we came hurries nobody."""
    if not isinstance(item.body, ReceiveMessage):
        return item
    return msgspec.structs.replace(item, body=msgspec.structs.replace(item.body, patient=True))

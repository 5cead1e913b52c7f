"""Asking a provider that does not tell: page after page from a cursor, which moves once what was found is durable.

What comes twice, because polls overlap or we died in between, is told apart by its key, asking the history too.
"""

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
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                page = await self.once()
            except Unavailable as error:
                page = Page(fault=f"nowhere to put it: {error}"[:300])
            except Exception as error:
                # What nobody foresaw must not end the poller for good: it is told, and tried again.
                log.exception("poll.broken", channel=self._account.channel)
                page = Page(fault=f"{type(error).__name__}: {error}"[:300])
            if page.fault is None:
                self.state, backoff_s = "ok", FIRST_BACKOFF_S
                await self._line.sleep(max(LEAST_S, page.again_s))
            else:
                self.state = f"failed: {page.fault}"[:300]
                log.warning("poll.failed", channel=self._account.channel, fault=page.fault)
                await self._line.sleep(backoff_s)
                backoff_s = min(LONGEST_BACKOFF_S, backoff_s * 2)

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

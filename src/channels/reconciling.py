"""Asking a provider that tells by webhook what there was, so that what was lost while nobody answered is made good.

A pass asks for a span of time, page after page, and takes all that it finds or nothing: the span begins a little before
the end of the last whole pass, so after an absence it reaches back to it, and nothing needs to be known of what was lost.
What had come is told apart by its key, asking the history too. It is work for quiet hours: one request at a time, a pass
every ten minutes, each channel at its own moment, and only by the worker that holds the channel.
"""

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable

import httpx2
import msgspec
import structlog

from channels.base import Account, Call, Found, Item, Line, Reconciles, Result, Span
from channels.http import request
from channels.polling import Asked, ask_for_ever, patient
from channels.ports import Unavailable
from channels.tokens import Tokens
from router.inputs import ReceiveMessage, ReceiveReceipt

log = structlog.get_logger("channels.reconciling")

PLACE = "/reconciled"
"""After a channel's name: where its place is kept. A channel that is polled too has another for that."""
EVERY_S = 600.0
START_S = 5.0
"""Within which the first pass begins after a channel was taken over: a center's channels not all at once."""
OVERLAP_S = 600.0
"""Providers' lists lag behind their webhooks, and their clocks differ from ours."""
LONGEST_S = 72 * 3600.0
"""What is older than this is not asked for: nobody waits for an answer any more, and most providers keep no longer."""
OLD_S = 3600.0
"""What was written so long ago goes behind what comes now."""
BEHIND_S = 2.0
PAUSE_S = 0.5
FIRST_BACKOFF_S = 30.0
MOST_CALLS = 100
MAX_ANSWER_BYTES = 8_000_000
REMEMBERED = 10_000


class Pass(msgspec.Struct, frozen=True):
    """How a pass ended. `is_behind`: there is more to ask for, up to now. `is_off`: the owner has not wanted it."""

    fault: str | None = None
    is_behind: bool = False
    is_off: bool = False


class Reconciler:
    """One account, asked for ever by `run`. `last` is when its last message came, for a channel that has no place yet."""

    def __init__(
        self,
        account: Account,
        provider: Reconciles,
        line: Line,
        last: Callable[[], Awaitable[float | None]],
        client: httpx2.AsyncClient,
        tokens: Tokens,
    ) -> None:
        self._account = account
        self._provider = provider
        self._line = line
        self._last = last
        self._client = client
        self._tokens = tokens
        self._taken: dict[str, None] = {}
        self.state = "not yet"

    async def run(self) -> None:
        share = _share(f"{self._account.workspace}/{self._account.channel}")
        every_s = EVERY_S * (0.9 + 0.2 * share)

        async def asked() -> Asked:
            told = await self.once()
            return Asked(told.fault, BEHIND_S if told.is_behind else every_s, "off" if told.is_off else "ok")

        await self._line.sleep(START_S * share)
        await ask_for_ever("reconcile", self._account.channel, self._line, asked, self._tell, FIRST_BACKOFF_S, every_s)

    def _tell(self, state: str) -> None:
        self.state = state

    async def once(self) -> Pass:
        """One span, all of it or nothing: then the place moves. Raises Unavailable."""
        now = self._line.clock()
        span = await self._span(now) or Span(now, now)
        account = await self._tokens.account(self._account)
        if isinstance(account, Result):
            return Pass(f"no access token: {account.detail}")
        calls = self._provider.since(account, span, now)
        found = await self._asked(account, span, calls) if span.start < span.end else []
        if isinstance(found, str):
            return Pass(found)
        for item in sorted(found, key=_when):
            await self._take(item, now)
        await self._line.move_cursor({"to": span.end})
        return Pass(is_behind=span.end < now, is_off=not calls)

    async def _span(self, now: float) -> Span | None:
        """What is to be asked for; None for a channel by which nothing has ever come: it has just been connected."""
        known = (await self._line.cursor()).get("to")
        place = float(known) if isinstance(known, int | float) and not isinstance(known, bool) else await self._last()
        if place is None:
            return None
        start = max(min(place, now) - OVERLAP_S, now - LONGEST_S)
        return Span(start, min(now, start + max(self._provider.span_s, 2 * OVERLAP_S)))

    async def _asked(self, account: Account, span: Span, calls: tuple[Call, ...]) -> list[Item] | str:
        """All that the provider has of a span, or why it cannot be told."""
        items: list[Item] = []
        waiting = deque(calls)
        for _ in range(MOST_CALLS):
            if not waiting:
                break
            found = await self._answer(account, waiting.popleft(), span)
            if found.stale:
                self._tokens.refused(account)
            if found.stale or found.fault is not None:
                return found.fault or "the access token was refused"
            items += found.items
            waiting += found.more
            if waiting:
                await self._line.sleep(PAUSE_S)
        if waiting:  # a provider that never comes to an end must not keep the place where it is for ever
            log.error("reconcile.cut", channel=self._account.channel, start=span.start, end=span.end)
        return items

    async def _answer(self, account: Account, call: Call, span: Span) -> Found:
        answer = await request(self._client, call, MAX_ANSWER_BYTES)
        if isinstance(answer, Result):
            return Found(fault=answer.detail or answer.kind)
        return self._provider.found(account, call, span, answer.status, answer.body, self._line.clock())

    async def _take(self, item: Item, now: float) -> None:
        """What we have taken before is left alone, and so is what became of messages that we do not know: the account may
        serve others, and what is parked for them would push out what is ours."""
        body = item.body
        if item.key in self._taken:
            return
        if isinstance(body, ReceiveReceipt) and body.external is not None and not self._line.sent(body.external):
            return
        try:
            await self._line.take(_made_good(item, now))
        except Unavailable:
            raise
        except Exception:
            # One that nobody can take in must not keep out all that come after it, for as long as it is asked for.
            log.exception("reconcile.passed-over", channel=self._account.channel, key=item.key)
        self._taken[item.key] = None
        while len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]


def _made_good(item: Item, now: float) -> Item:
    """A message as it is taken in afterwards: the history is asked whether it is known, and an old one hurries nobody,
    unless its provider counts the hours until it is answered."""
    body = item.body
    if not isinstance(body, ReceiveMessage):
        return item
    is_awaited = body.answer_by is not None and body.answer_by > now
    is_old = body.occurred_at is not None and now - body.occurred_at > OLD_S
    return msgspec.structs.replace(patient(item) if is_old and not is_awaited else item, late=True)


def _when(item: Item) -> float:
    """Messages in their order; what has no time, as receipts, after them."""
    at = item.body.occurred_at if isinstance(item.body, ReceiveMessage) else None
    return float("inf") if at is None else at


def _share(name: str) -> float:
    """A number from 0 to 1 that follows from a name."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:4]) / 2**32

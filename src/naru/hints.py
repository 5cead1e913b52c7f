"""Hints between the processes of a center: what helps but may be lost. Nothing that matters may depend on one.

On Kafka they are a topic with one partition; in one process they are told at once.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from naru.bus.base import HINTS, Log, LogUnavailable

MAX_CONVERSATIONS = 5_000

log = structlog.get_logger("naru.hints")


class PagesOpen(msgspec.Struct, frozen=True, tag="pages"):
    """Customers who have a page open at one of the gateways; or, where `are_open` is not so, have none there any more."""

    conversations: list[str]
    are_open: bool = True


class SecretsChanged(msgspec.Struct, frozen=True, tag="secrets"):
    workspace: str


Hint = PagesOpen | SecretsChanged


class Hints:
    """`bus` None: there is only this process."""

    def __init__(self, bus: Log | None) -> None:
        self._bus = bus
        self._subscribers: list[Callable[[Hint], None]] = []
        self._saying: set[asyncio.Task[None]] = set()

    def subscribe(self, subscriber: Callable[[Hint], None]) -> None:
        self._subscribers.append(subscriber)

    def tell(self, hint: Hint) -> None:
        """Does not wait, and does not fail."""
        if self._bus is None:
            self._pass_on(hint)
            return
        task = asyncio.create_task(self._say(self._bus, hint))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    def tell_pages(self, conversations: list[str], are_open: bool = True) -> None:
        for start in range(0, len(conversations), MAX_CONVERSATIONS):
            self.tell(PagesOpen(conversations[start : start + MAX_CONVERSATIONS], are_open))

    async def run(self) -> None:
        """Pass on what the others tell. Raises LogUnavailable."""
        if self._bus is None:
            return
        decode = msgspec.json.Decoder(Hint).decode
        async for batch in self._bus.read(HINTS, 0, await self._bus.end(HINTS, 0)):
            for stored in batch:
                try:
                    self._pass_on(decode(stored.value))
                except msgspec.MsgspecError:
                    log.warning("hint.unknown", offset=stored.offset)

    def _pass_on(self, hint: Hint) -> None:
        for subscriber in self._subscribers:
            subscriber(hint)

    async def _say(self, bus: Log, hint: Hint) -> None:
        try:
            await bus.append(HINTS, 0, [msgspec.json.encode(hint)])
        except LogUnavailable as error:
            log.warning("hint.unsaid", error=str(error))

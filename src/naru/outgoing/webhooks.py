"""Delivers events as signed webhooks (Standard Webhooks): at least once, in no promised order, for at most a day.

A delivery ends with any 2xx. Everything else is tried again after growing pauses with some chance in them, so that a
receiver that comes back is not run over; after MAX_TRIES it is marked failed. 410 says "never again": what waits for
that address fails at once and nothing more is sent there, until its URL is changed, it is pinged with success, or the
center starts anew. Repetitions have the same `webhook-id`; the `sequence` inside says what was before what.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from channels.standard import is_good
from naru.outgoing import cloudevents, deliveries
from naru.outgoing.outbox import TOPIC
from naru.outgoing.sending import GONE, Outcome, Sender
from naru.store.database import HOUSE, Database, StoreUnavailable
from router.config import Webhook

POLL_S = 0.5
TIDY_S = 10.0
FIRST_PAUSE_S, MAX_PAUSE_S = 5.0, 3600.0
MAX_TRIES = 33
"""5 s doubling to an hour, then hourly: 33 tries are 23.4 h apart at most, three quarters of that at least."""
FORGET_S = 3600.0
"""What waits for a webhook that is no longer there, or disabled, is kept so long: our view of it may be the older one."""
SHOWN = 50
AT_ONCE = 20
ROUNDS = 50

log = structlog.get_logger("naru.webhooks")
Key = tuple[str, str]
Observe = Callable[[str, int], None]
"""(result, count): delivered, retried, failed, dropped."""


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries; `chance` is 0 to 1 and takes off a quarter at most."""
    return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20)) * (1 - chance / 4)


class Deliverer:
    """Any number of these may run on one database. `webhooks(workspace)` are those in force, None where this process
    does not know the workspace; `resolve` gives secrets."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        webhooks: Callable[[str], Sequence[Webhook] | None],
        resolve: Callable[[str, str], str | None],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._database = database
        self._sender = sender
        self._webhooks = webhooks
        self._resolve = resolve
        self._clock = clock
        self._chance = chance
        self._busy: set[Key] = set()
        self._gone: dict[Key, str] = {}
        self.observe: Observe = lambda result, count: None
        self.tell_backlog: Callable[[dict[Key, int]], None] = lambda waiting: None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """For ever. A webhook whose receiver is slow holds up nobody but itself."""
        tidied = float("-inf")
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._start_due(group)
                    if self._clock() - tidied >= TIDY_S:
                        await self.tidy()
                        tidied = self._clock()
                except StoreUnavailable as error:
                    log.warning("webhooks.wait", error=str(error))
                await sleep(POLL_S)

    async def _start_due(self, group: asyncio.TaskGroup) -> None:
        async with self._database.read(HOUSE) as connection:
            due = await deliveries.takers(connection, self._clock())
        for key in due:
            if key not in self._busy and len(self._busy) < AT_ONCE and self.webhook(*key) is not None:
                self._busy.add(key)
                group.create_task(self._serve(key))

    async def _serve(self, key: Key) -> None:
        """Go on while something arrives, but not for so long that others get no turn."""
        try:
            for _ in range(ROUNDS):
                if not await self.deliver(*key):
                    return
        except StoreUnavailable as error:
            log.warning("webhooks.wait", error=str(error))
        finally:
            self._busy.discard(key)

    def webhook(self, workspace: str, id_: str) -> Webhook | None:
        """A webhook in force that is enabled."""
        return next((one for one in self._webhooks(workspace) or () if one.id == id_ and one.enabled), None)

    # -- one webhook

    async def deliver(self, workspace: str, id_: str) -> bool:
        """Take what is due, send it and settle it. Whether anything arrived, so that there is reason to go on."""
        webhook = self.webhook(workspace, id_)
        if webhook is None:
            return False
        async with self._database.write(workspace) as connection:
            rows = await deliveries.take(connection, workspace, id_, self._clock())
        outcomes = await asyncio.gather(*(self._send(workspace, webhook, row) for row in rows))
        async with self._database.write(workspace) as connection:
            for row, outcome in zip(rows, outcomes, strict=True):
                await self._settle(connection, row, outcome)
        return any(outcome.ok for outcome in outcomes)

    async def _send(self, workspace: str, webhook: Webhook, row: deliveries.Found) -> Outcome:
        key = (workspace, webhook.id)
        if self._gone.get(key) == webhook.url:
            return Outcome(GONE, "answered 410 before; change the URL or ping it")
        outcome = await self._post(workspace, webhook, row.event, row.body)
        if outcome.status == GONE:
            self._gone[key] = webhook.url
            log.error("webhook.gone", workspace=workspace, webhook=webhook.id)
        return outcome

    async def _post(self, workspace: str, webhook: Webhook, id_: str, body: bytes) -> Outcome:
        fault = self.fault(workspace, webhook)
        if fault is not None:
            return Outcome(0, fault)
        return await self._sender.post(webhook.url, self._secrets(workspace, webhook), id_, body)

    async def _settle(self, connection: Any, row: deliveries.Found, outcome: Outcome) -> None:
        tries = row.tries + 1
        if outcome.ok:
            await deliveries.done(connection, row)
            self.observe("delivered", 1)
            return
        failed = outcome.status == GONE or tries >= MAX_TRIES
        due_at = self._clock() + pause_s(tries, self._chance())
        await deliveries.again(connection, row, due_at, outcome.detail or "", failed)
        self.observe("failed" if failed else "retried", 1)

    def _secrets(self, workspace: str, webhook: Webhook) -> list[str]:
        return (self._resolve(workspace, webhook.secret) or "").split()[:2]

    def fault(self, workspace: str, webhook: Webhook) -> str | None:
        """What of its configuration keeps a webhook from working."""
        secrets = self._secrets(workspace, webhook)
        if not secrets:
            return f"there is no secret {webhook.secret}"
        if not all(is_good(secret) for secret in secrets):
            return f"{webhook.secret} is not 24 to 64 bytes in base64, with or without whsec_"
        return None

    # -- for its owner

    async def ping(self, workspace: str, webhook: Webhook) -> Outcome:
        """Send a `naru.webhook.pinged` now, and say how that ended."""
        event = cloudevents.ping(workspace, webhook.id, self._clock())
        outcome = await self._post(workspace, webhook, event.id, cloudevents.encode(event))
        if outcome.ok:
            self._gone.pop((workspace, webhook.id), None)
        return outcome

    async def report(self, workspace: str, webhook: Webhook) -> dict[str, Any]:
        async with self._database.read(workspace) as connection:
            found = await deliveries.report(connection, workspace, webhook.id, SHOWN)
        gone = self._gone.get((workspace, webhook.id)) == webhook.url
        return {**found, "gone": gone, "fault": self.fault(workspace, webhook)}

    # -- bounds

    async def tidy(self) -> None:
        """Keep what waits and what has failed within bounds: the oldest go, counted and said."""
        async with self._database.read(HOUSE) as connection:
            backlog = await deliveries.backlog(connection)
        self.tell_backlog({(workspace, taker): rows for workspace, taker, failed, rows, _ in backlog if not failed})
        for workspace, taker, failed, rows, newest in backlog:
            orphan = self._is_orphan(workspace, taker) and newest < self._clock() - FORGET_S
            keep = 0 if orphan else deliveries.most(taker, failed)
            if rows > keep:
                await self._drop(workspace, taker, failed, keep)

    def _is_orphan(self, workspace: str, taker: str) -> bool:
        known = self._webhooks(workspace) is not None
        return known and taker != TOPIC and self.webhook(workspace, taker) is None

    async def _drop(self, workspace: str, taker: str, failed: bool, keep: int) -> None:
        async with self._database.write(workspace) as connection:
            gone = await deliveries.keep_newest(connection, workspace, taker, failed, keep)
        if not failed:
            self.observe("dropped", gone)
            log.error("webhook.dropped", workspace=workspace, webhook=taker, events=gone)

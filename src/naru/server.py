"""The HTTP server around a house, from its start to its orderly end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from naru import tame
from naru.app import Naru, create_app
from naru.members import ROLES, Role
from naru.observe import configure_logs
from naru.settings import Settings

ALONE_S, LINGER_S = 0.2, 3.0

log = structlog.get_logger("naru.server")


class Server(uvicorn.Server):
    """Tells desks and chats to come back elsewhere before it closes them."""

    def __init__(self, house: Naru, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                ws="websockets-sansio",
                ws_max_size=200_000,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=5,
                server_header=False,
            )
        )
        self._house = house
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, without raising the signal again: that would end the process before the house is closed."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        await self._house.drain()
        # For the close frames that say when to come back, since uvicorn's own say nothing; and where there are others, for
        # the balancer to see that we are no longer ready. Until then we go on answering.
        await asyncio.sleep(ALONE_S if self._house.settings.embedded else LINGER_S)
        await super().shutdown(sockets)


async def serve(
    settings: Settings,
    started: Callable[[Naru], Awaitable[None]] | None = None,
    roles: frozenset[Role] = frozenset(ROLES),
) -> bool:
    """Run a center until SIGTERM or SIGINT, or until a part of it fails. Whether it ended well."""
    configure_logs(settings.log_format)
    tame.tame()
    house = Naru(settings, roles)
    await house.start()
    tame.freeze()
    await house.announce()
    server = Server(house, create_app(house), settings)
    serving = asyncio.create_task(server.serve())
    failed = asyncio.create_task(house.failed.wait())
    extra: set[asyncio.Task[Any]] = set()
    try:
        if started is not None:
            extra.add(asyncio.create_task(_when_up(server, house, started)))
        await asyncio.wait([serving, failed, *extra], return_when=asyncio.FIRST_COMPLETED)
        for task in extra:
            if task.done() and task.exception() is not None:
                log.error("start.failed", error=repr(task.exception()))
                house.failed.set()
            await asyncio.wait([serving, failed], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        server.should_exit = True  # whoever cancels us leaves no open door behind
        for task in (failed, *extra):
            task.cancel()
        await asyncio.gather(serving, *extra, return_exceptions=True)
        await house.stop()
    return not house.failed.is_set()


async def _when_up(server: Server, house: Naru, started: Callable[[Naru], Awaitable[None]]) -> None:
    await server.up.wait()
    await started(house)

"""The composition root: the only place that makes things, and the only one that knows the real clock and real chance."""

import asyncio
import collections
import contextlib
import fcntl
import functools
import os
import secrets as chance_source
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import structlog
import uvicorn
from fastapi import FastAPI, HTTPException, Response

import agents.gateway
import agents.ports
import channels.ports
import naru.admin.routes
import naru.outgoing.routes
import naru.reports.routes
from agents.desk import Desk
from agents.presence import Leases
from agents.socket import Boards, Desks, socket_routes
from channels import registry
from channels.accounts import Accounts as ChannelAccounts
from channels.chat import Chats
from channels.gateway import Intake, hook_routes
from channels.worker import Worker
from naru import __version__, retention, tame, web
from naru.admin.accounts import Accounts
from naru.admin.config import Configurations
from naru.admin.secrets import Secrets
from naru.bus.base import JOURNAL, LogUnavailable
from naru.bus.sqlite import SqliteLog
from naru.center import SPOOL, Center, TooLarge
from naru.explain import Pasts
from naru.fold import Applied, Cursor, Fold, Journal, SnapshotWriter
from naru.keyring import Keyring, load_master
from naru.language import detect
from naru.observe import Metrics, configure_logs
from naru.outgoing.outbox import Outbox
from naru.outgoing.sending import Sender
from naru.outgoing.webhooks import Deliverer
from naru.runtime import Owner
from naru.settings import Settings
from naru.store import migrate
from naru.store.database import Database, StoreUnavailable, sqlite_url
from naru.store.files import StoredFiles
from naru.store.history import StoredHistory
from naru.store.projector import Overtaken, Projector, load_cursor, move_cursor
from naru.store.snapshots import StoredSnapshots
from router import events, inputs
from router.config import Config, Webhook
from router.model import Content
from router.state import Pool
from router.turn import Answer

SNAPSHOT_S = 60.0
SNAPSHOT_RECORDS = 5_000
WORKER_READER = "worker"
GATEWAY = "g1"
LOCAL_KEY = "local"

log = structlog.get_logger("naru.app")


class Busy(Exception):
    """Another process has the data folder."""


def new_token() -> str:
    """256 random bits, URL-safe."""
    return chance_source.token_urlsafe(32)


def lock(folder: Path) -> int:
    """Take the data folder for this process alone. Raises Busy."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Busy(f"another process is using {folder}") from error
    return descriptor


class Port:
    """The center as an edge sees it: with that edge's own word for "not now"."""

    def __init__(self, center: Center, unavailable: type[Exception], observe: Callable[[float], None]) -> None:
        self._center = center
        self._unavailable = unavailable
        self._observe = observe

    async def take(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> str:
        began = time.monotonic()
        with self._translated():
            taken = await self._center.take(workspace, actor, key, body, content)
        self._observe(time.monotonic() - began)
        return taken

    async def ask(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> tuple[Answer | None, str]:
        with self._translated():
            return await self._center.ask(workspace, actor, key, body, content)

    def pool(self, workspace: str) -> Pool | None:
        return self._center.pool(workspace)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except LogUnavailable as error:
            raise self._unavailable(str(error)) from error
        except TooLarge as error:
            raise HTTPException(413, "too-large") from error


class Naru:
    """One process with every role: gateway, channels, router, projector."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = time.time
        self.boot = chance_source.token_hex(6)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = asyncio.Event()
        self.ready = False
        self.draining = False

    # -- building

    async def start(self) -> None:
        settings = self.settings
        folder = settings.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock(folder)
        url = sqlite_url(folder / "store.sqlite")
        await asyncio.to_thread(_upgrade, url, folder / "store.sqlite")
        chance = chance_source.token_bytes
        self.keyring = Keyring(load_master(folder / "master.key", settings.master_key or None, chance), chance)
        self.database = Database(url)
        self.log = SqliteLog(folder / "log.sqlite", self.clock)
        self.spool = _spool(settings, self.clock)
        self.snapshots = StoredSnapshots(self.database, self.clock)
        shards = range(settings.shards)
        self.fold = Fold(self.log, shards, self.keyring, self.snapshots)
        self.center = Center(self.log, self.fold, self.keyring, settings.shards, self.clock, self.spool)
        self.metrics = Metrics(self.fold, self.clock)
        self.accounts = Accounts(self.database, self.clock, new_token)
        self.secrets = Secrets(self.database, self.keyring)
        self.configurations = Configurations(self.database, self.center, self.accounts, self.clock)
        self.files = StoredFiles(folder / "files", self.database, self.keyring, self.clock)
        self.history = StoredHistory(self.database, self.keyring, self.files, self._settled)
        self.projectors = [Projector(self.log, self.database, shard, Outbox()) for shard in shards]
        self.owners = [self._owner(shard) for shard in shards]
        self.pasts = Pasts(self.log, self.fold, self.snapshots, self.center.shard)
        self._edges()
        await self.fold.restore()
        await self.secrets.load()
        for workspace, pool in self.fold.pools.items():
            self.channels.configure(workspace, pool.memory.config)
        self.desks.start(self.fold.pools, {w: self._position(w) for w in self.fold.pools})
        self.fold.subscribe(self._applied)
        await self._run()

    def _owner(self, shard: int) -> Owner:
        def observe(name: str, value: float) -> None:
            self.metrics.decision.observe(value)

        return Owner(
            self.log,
            shard,
            self.keyring,
            self.snapshots,
            self.settings.worker,
            self.clock,
            lambda: chance_source.token_hex(8),
            observe,
        )

    def _edges(self) -> None:
        desk_bus = Port(self.center, agents.ports.Unavailable, self.metrics.append.observe)
        bus = Port(self.center, channels.ports.Unavailable, self.metrics.append.observe)
        name = f"{GATEWAY}:{self.boot}"
        self.channels = ChannelAccounts(registry(), self.keyring.token, self.secrets.resolve, self.settings.base_url)
        self.intake = Intake(bus, self.history, self.files, detect)
        self.client = httpx2.AsyncClient(timeout=15, follow_redirects=False)
        self.worker = Worker(
            self.channels,
            bus,
            self.history,
            self.intake,
            self.client,
            self.settings.worker,
            self.boot,
            self.clock,
        )
        self.chats = Chats(self.channels, bus, self.intake, self.files, self.history, self.clock, new_token)
        self.leases = Leases(desk_bus, self.clock, name)
        self.desks = Desks(desk_bus, Desk(desk_bus, self.files), self.accounts, self.clock, name)
        self.desks.observe = lambda what: self.metrics.resumes.labels(what).inc()
        self.boards = Boards(desk_bus, self.accounts, self.clock)
        self.bus, self.desk_bus = bus, desk_bus
        self._outgoing()

    def _outgoing(self) -> None:
        """Events to other programs."""

        def webhooks(workspace: str) -> tuple[Webhook, ...] | None:
            pool = self.center.pool(workspace)
            return pool.memory.config.webhooks if pool else None

        def chance() -> float:
            return chance_source.randbelow(1_000_000) / 1_000_000

        self.sender = Sender(self.clock, self.settings.private_webhooks)
        self.deliverer = Deliverer(self.database, self.sender, webhooks, self.secrets.resolve, self.clock, chance)
        self.deliverer.observe = lambda result, count: self.metrics.webhooks.labels(result).inc(count)
        self.deliverer.tell_backlog = self.metrics.backlog

    def routes(self, app: FastAPI) -> None:
        """Everything that answers over HTTP and WebSocket."""
        base = self.settings.base_url
        app.include_router(
            agents.gateway.routes(
                self.desk_bus,
                self.accounts,
                self.history,
                self.files,
                self.leases,
                self.pasts,
                self.clock,
                new_token,
            )
        )
        app.include_router(
            naru.admin.routes.routes(
                self.accounts, self.configurations, self.secrets, self.channels, base, self.worker.connect
            )
        )
        app.include_router(naru.reports.routes.routes(self.accounts, self.history, self.clock))
        app.include_router(naru.outgoing.routes.routes(self.accounts, self.configurations, self.deliverer))
        app.include_router(hook_routes(self.channels, self.intake, self.bus, self.clock))
        app.include_router(self.chats.routes())
        app.include_router(socket_routes(self.desks, self.boards))
        self._probes(app)
        web.install(app, self.metrics)
        web.pages(app)

    def _probes(self, app: FastAPI) -> None:
        @app.get("/livez", tags=["ops"], operation_id="livez")
        async def livez() -> dict[str, str]:
            return {"status": "ok"}

        @app.get("/readyz", tags=["ops"], operation_id="readyz")
        async def readyz(response: Response) -> dict[str, Any]:
            checks = await self.checks()
            ready = all(checks.values()) and not self.draining
            response.status_code = 200 if ready else 503
            return {"status": "ok" if ready else "not ready", "checks": checks, "draining": self.draining}

        @app.get("/startupz", tags=["ops"], operation_id="startupz")
        async def startupz(response: Response) -> dict[str, str]:
            response.status_code = 200 if self.ready else 503
            return {"status": "ok" if self.ready else "starting"}

        @app.get("/metrics", tags=["ops"], operation_id="metrics", response_class=Response)
        async def metrics() -> Response:
            await self._gauges()
            return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def checks(self) -> dict[str, bool]:
        store = True
        try:
            async with self.database.read():
                pass
        except StoreUnavailable:
            store = False
        return {
            "store": store,
            "shards": all(owner.owning.is_set() for owner in self.owners),
            "tasks": not self.failed.is_set(),
        }

    async def _gauges(self) -> None:
        ends = [await self.log.end(JOURNAL, shard) for shard in range(self.settings.shards)]
        self.metrics.lag.labels("projector").set(
            sum(end - projector.cursor.offset for end, projector in zip(ends, self.projectors, strict=True))
        )
        self.metrics.websockets.set(self.desks.open)
        if self.spool is not None:
            self.metrics.spooled.set(await self.spool.end(SPOOL, 0) - await self.spool.begin(SPOOL, 0))

    # -- running

    async def _run(self) -> None:
        self._supervise("fold", self.fold.run, LogUnavailable)
        for owner in self.owners:
            self._supervise(f"owner {owner}", owner.run)
        for projector in self.projectors:
            self._supervise(
                f"projector {projector.cursor.shard}", projector.run, LogUnavailable, StoreUnavailable, Overtaken
            )
        await asyncio.gather(*(owner.owning.wait() for owner in self.owners))
        writer = SnapshotWriter(self.fold, self.snapshots, SNAPSHOT_S, SNAPSHOT_RECORDS)
        self._supervise("snapshots", lambda: writer.run(asyncio.sleep), StoreUnavailable)
        self._supervise("spool", self.center.drain, LogUnavailable)
        for workspace in list(self.fold.pools):
            if workspace:
                body = inputs.StartGateway(gateway=GATEWAY)
                await self.center.ask(workspace, "naru", f"gateway:{self.boot}", body)
        self.chats.start(self.fold.pools)
        await self.worker.recover(self.fold.pools)
        for shard in range(self.settings.shards):
            self._supervise(
                f"effects {shard}", functools.partial(self._effects, shard), LogUnavailable, StoreUnavailable
            )
        self.worker.connect()
        self._supervise("webhooks", self.deliverer.run)
        self._supervise("retention", self._retention, LogUnavailable, StoreUnavailable)
        self._supervise("seconds", self._seconds, LogUnavailable)
        self.ready = True
        log.info("naru.started", version=__version__, data=str(self.settings.folder), url=self.settings.base_url)

    def _supervise(self, name: str, run: Callable[[], Awaitable[None]], *again: type[Exception]) -> None:
        """Run a part for ever. Some failures pass; any other ends the process, loudly, before it does harm."""

        async def supervised() -> None:
            while True:
                try:
                    await run()
                    return
                except again as error:
                    log.warning("part.waits", part=name, error=str(error))
                    await asyncio.sleep(1.0)
                except Exception:
                    log.exception("part.failed", part=name)
                    self.failed.set()
                    raise

        self.tasks[name] = asyncio.create_task(supervised(), name=name)

    async def _retention(self) -> None:
        async def needed(shard: int) -> list[Cursor]:
            oldest = await self.snapshots.oldest(shard)
            worker = await load_cursor(self.database, WORKER_READER, shard)
            return [self.projectors[shard].cursor, self.fold.cursors[shard], worker, oldest or Cursor(shard=shard)]

        while True:
            for shard in range(self.settings.shards):
                begins = await retention.trim(self.log, shard, needed, self.clock())
                await self.snapshots.forget(shard, begins[JOURNAL])
            await asyncio.sleep(retention.EVERY_S)

    async def _effects(self, shard: int) -> None:
        """Feed the worker from its own cursor, so that what was ordered before a crash is done after it.

        The cursor follows to the newest place before which everything is done; it is moved once a second at most.
        """
        saved = await load_cursor(self.database, WORKER_READER, shard)
        saved_at = self.clock()
        passed: collections.deque[tuple[int, Cursor]] = collections.deque()
        journal = Journal(self.log, saved, with_inputs=False)
        async for entries in journal.entries():
            await self.fold.reach(shard, journal.cursor.offset, 60)
            for entry in entries:
                self.worker.record(entry.record.workspace, entry.record.fx)
            passed.append((self.worker.ordered, journal.cursor))
            done: Cursor | None = None
            while passed and passed[0][0] <= self.worker.done_up_to:
                done = passed.popleft()[1]
            if done is not None and self.clock() - saved_at >= 1.0:
                async with self.database.write() as connection:
                    await move_cursor(connection, WORKER_READER, saved, done)
                saved, saved_at = done, self.clock()

    async def _seconds(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.boards.tick()
            self.chats.tick()
            try:
                await self.leases.expire()
                await self.chats.expire()
                await self.desks.tell_left()
            except (agents.ports.Unavailable, channels.ports.Unavailable) as error:
                log.warning("lease.waits", error=str(error))

    def _applied(self, applied: Applied) -> None:
        record = applied.record
        if any(isinstance(event, events.ConfigApplied) for event in record.ev):
            self.channels.configure(record.workspace, applied.pool.memory.config)
            self.worker.connect()
        cursor = applied.entry.cursor
        self.desks.applied(
            record.workspace, applied.pool, record.ev, applied.content, record.t, (cursor.shard, cursor.offset)
        )
        self.chats.applied(record.workspace, applied.pool, record.ev, applied.content, record.t)

    def _position(self, workspace: str) -> tuple[int, int]:
        shard = self.center.shard(workspace)
        return shard, self.fold.cursors[shard].offset

    async def _settled(self) -> bool:
        """Wait until the projector is where the fold is now, at most two seconds; whether it has come there."""
        wanted = {shard: cursor.offset for shard, cursor in self.fold.cursors.items()}
        for _ in range(200):
            if all(projector.cursor.offset >= wanted[projector.cursor.shard] for projector in self.projectors):
                return True
            await asyncio.sleep(0.01)
        return False

    async def announce(self) -> None:
        """Leave word for the command line on this machine: where we are, and a key for each workspace, for us alone."""
        for workspace in await self.accounts.workspaces():
            for row in await self.accounts.keys(workspace):
                if row.name == LOCAL_KEY:
                    await self.accounts.revoke_key(workspace, row.id)
            _, key = await self.accounts.create_key(workspace, LOCAL_KEY, "owner")
            path = self.settings.folder / f"local-{workspace}.key"
            path.touch(mode=0o600)
            path.write_text(f"http://{self.settings.host}:{self.settings.port} {key}\n")

    async def ensure_workspace(self, workspace: str, config: Config) -> None:
        """Make a workspace with this configuration if there is none of that name."""
        await self.accounts.ensure_workspace(workspace, config.name)
        version, _ = await self.configurations.current(workspace)
        if version == 0:
            await self.configurations.apply(workspace, config, "naru")

    # -- ending

    async def drain(self) -> None:
        """SIGTERM: not ready any more, desks and chats are asked to come back elsewhere."""
        self.draining = True
        self.desks.draining.set()
        self.boards.draining.set()
        self.chats.draining.set()

    async def stop(self) -> None:
        await self.drain()
        await asyncio.sleep(0.1)  # the closed sockets tell the log that they have left
        await self.worker.close()
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        with contextlib.suppress(StoreUnavailable):
            writer = SnapshotWriter(self.fold, self.snapshots, SNAPSHOT_S, SNAPSHOT_RECORDS)
            for shard in range(self.settings.shards):
                await writer.save(shard)
        await self.client.aclose()
        await self.sender.close()
        await self.log.close()
        if self.spool is not None:
            await self.spool.close()
        await self.database.close()
        os.close(self._lock)


def _upgrade(url: str, file: Path) -> None:
    """Bring the schema up to date; what was there before is kept beside it when anything will change."""
    if file.exists() and not migrate.is_newest(url):
        shutil.copy2(file, file.with_suffix(f".before-{migrate.newest()}.sqlite"))
    migrate.upgrade(url)


def _spool(settings: Settings, clock: Callable[[], float]) -> SqliteLog | None:
    if not settings.spool_dir:
        return None
    folder = Path(settings.spool_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteLog(folder / "spool.sqlite", clock)


def create_app(house: Naru) -> FastAPI:
    """The ASGI application of a center that has started."""
    app = FastAPI(title="Naru", version=__version__, docs_url=None, redoc_url=None)
    app.state.naru = house
    house.routes(app)
    return app


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
        await asyncio.sleep(0.2)  # for the close frames that say when to come back; uvicorn's own say nothing
        await super().shutdown(sockets)


async def serve(settings: Settings, started: Callable[[Naru], Awaitable[None]] | None = None) -> bool:
    """Run a center until SIGTERM or SIGINT, or until a part of it fails. Whether it ended well."""
    configure_logs(settings.log_format)
    tame.tame()
    house = Naru(settings)
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
        for task in (failed, *extra):
            task.cancel()
        await asyncio.gather(*extra, return_exceptions=True)
        await house.stop()
    return not house.failed.is_set()


async def _when_up(server: Server, house: Naru, started: Callable[[Naru], Awaitable[None]]) -> None:
    await server.up.wait()
    await started(house)

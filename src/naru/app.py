"""The composition root: the only place that makes things, and the only one that knows the real clock and real chance."""

import asyncio
import contextlib
import fcntl
import os
import secrets as chance_source
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2
import structlog
from fastapi import FastAPI, HTTPException

import agents.callbacks
import agents.customers
import agents.gateway
import agents.ports
import channels.devices
import channels.ports
import naru.admin.channels
import naru.admin.routes
import naru.campaigns.routes
import naru.live
import naru.outgoing.routes
import naru.reports.routes
from agents.desk import Desk
from agents.presence import Leases
from agents.socket import Boards, Desks, socket_routes
from channels import registry
from channels.accounts import Accounts as ChannelAccounts
from channels.base import Account
from channels.chat import Chats
from channels.checkup import Checkup
from channels.connections import Connections
from channels.copying import Copying
from channels.gateway import Intake, hook_routes
from channels.keys import Keys
from channels.live import Rooms
from channels.looking import Looking
from channels.places import Places
from channels.push import FcmTokens, Pusher
from channels.tokens import Tokens
from channels.worker import Worker
from naru import __version__, probes, retention, web
from naru.admin.accounts import Accounts
from naru.admin.config import Configurations
from naru.admin.issuers import Issuers
from naru.admin.oidc import Oidc
from naru.admin.secrets import Secrets
from naru.bus import topics
from naru.bus.base import EVENTS, IN, JOURNAL, LogUnavailable
from naru.bus.kafka import KafkaLog, KafkaTopic
from naru.bus.sqlite import SqliteLog
from naru.campaigns import numbers
from naru.campaigns.lists import Lists
from naru.campaigns.reserving import Reserving
from naru.center import SPOOL, Center, TooLarge
from naru.explain import Pasts
from naru.feed import Feed
from naru.fold import Applied, Cursor, Fold, SnapshotWriter
from naru.hints import Hint, Hints, PagesOpen, SecretsChanged
from naru.keyring import Keyring, load_master
from naru.language import detect
from naru.members import ROLES, Alone, Beat, Members, Membership, Role
from naru.observe import Metrics
from naru.outgoing.outbox import Outbox
from naru.outgoing.publish import Publisher
from naru.outgoing.sending import Sender
from naru.outgoing.webhooks import Deliverer
from naru.runtime import Owner
from naru.settings import Settings
from naru.store import migrate
from naru.store.database import HOUSE, Database, StoreUnavailable, translated
from naru.store.devices import StoredDevices
from naru.store.files import FolderBodies, StoredFiles, TableBodies
from naru.store.history import StoredHistory
from naru.store.projector import Overtaken, Projector, load_cursor
from naru.store.snapshots import Remembered, StoredSnapshots
from router import events, inputs
from router.config import Config, Lookup, Webhook
from router.model import Content, ReplyPolicy
from router.state import Pool
from router.turn import Answer

SNAPSHOT_S = 60.0
SNAPSHOT_RECORDS = 5_000
WIDOWS_S, WIDOWED_S = 1.0, 5.0
"""A gateway that nobody has heard of for so long has left its agents' connections behind."""
HAND_OVER_S = 5.0
FINISH_S = 5.0
HISTORY_LATE_S, HISTORY_EVERY_S = 48 * 3600.0, 60.0
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
        try:
            taken = await self._center.take(workspace, actor, key, body, content)
        except (LogUnavailable, TooLarge) as error:
            raise self._translated(error) from error
        self._observe(time.monotonic() - began)
        return taken

    async def ask(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> tuple[Answer | None, str]:
        try:
            return await self._center.ask(workspace, actor, key, body, content)
        except (LogUnavailable, TooLarge) as error:
            raise self._translated(error) from error

    def pool(self, workspace: str) -> Pool | None:
        return self._center.pool(workspace)

    def _translated(self, error: Exception) -> Exception:
        return HTTPException(413, "too-large") if isinstance(error, TooLarge) else self._unavailable(str(error))


class Unfit(Exception):
    """The database or the topics are not as they must be. The text says how to mend it."""


class Naru:
    """One process of a center, with some of the roles or all; with none it is a command's, and only asks.

    - gateway: webhooks, chat, desks, pages, administration
    - channels: connections and sends
    - router: owns shards and decides
    - projector: history, snapshots, retention, and what is left of gateways that died
    """

    def __init__(self, settings: Settings, roles: frozenset[Role] = frozenset(ROLES)) -> None:
        self.settings = settings
        self.roles = roles
        self.name = settings.name("-".join(sorted(roles)) or "command")
        self.clock = time.time
        self.boot = chance_source.token_hex(6)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = asyncio.Event()
        self.ready = False
        self.draining = False
        self.owners: list[Owner] = []
        self.projectors: list[Projector] = []

    # -- building

    async def start(self) -> None:
        await self._open()
        self._share()
        self._fold()
        self._edges()
        if self.roles != {"router"}:
            await self._patiently("journal", self._restore)
        await self._run()

    async def _open(self) -> None:
        """Log, database and key, as far as they are there. Raises Busy, Unfit."""
        settings, chance = self.settings, chance_source.token_bytes
        folder = settings.folder
        self._lock: int | None = None
        if settings.embedded:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock(folder)
        self.keyring = Keyring(load_master(folder / "master.key", settings.master_key or None, chance), chance)
        if settings.database_url:
            await self._patiently("database", lambda: _must_be_newest(settings.store_url))
        else:
            await asyncio.to_thread(_upgrade, settings.store_url, folder / "store.sqlite")
        self.database = Database(settings.store_url)
        self.log: SqliteLog | KafkaLog
        if settings.embedded:
            self.log = SqliteLog(folder / "log.sqlite", self.clock)
        else:
            self.log = kafka = KafkaLog(settings.broker)
            await self._patiently("log", kafka.start)
            await self._patiently("topics", lambda: _must_be_made(settings))
        self.spool = _spool(settings, self.clock)

    async def _patiently(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """At start: wait for servers that are not there yet."""
        while True:
            try:
                return await work()
            except (LogUnavailable, StoreUnavailable) as error:
                log.warning("start.waits", part=part, error=str(error)[:300])
                await asyncio.sleep(1.0)

    def _share(self) -> None:
        """Who does what, among all processes of the center."""
        self.members: Members
        self._membership: Membership | None = None
        if self.settings.embedded:
            self.members = Alone(self.name)
        else:
            me = Beat(self.name, self.boot, tuple(sorted(self.roles)), self.clock())
            self.members = self._membership = Membership(self.log, me, time.monotonic)
        self.hints = Hints(None if self.settings.embedded else self.log)
        self.hints.subscribe(self._hinted)

    def _fold(self) -> None:
        settings = self.settings
        self.snapshots = StoredSnapshots(self.database, self.clock)
        shards = range(settings.shards)
        self.fold = Fold(self.log, shards, self.keyring, self.snapshots)
        self.center = Center(self.log, self.fold, self.keyring, settings.shards, self.clock, self.spool)
        self.metrics = Metrics()
        self.center.refused = lambda reason: self.metrics.refused.labels(reason).inc()
        self.metrics.shards.set(settings.shards)
        if self.roles != {"router"}:
            self.metrics.watch(self.fold, self.clock)
        self.accounts = Accounts(self.database, self.clock, new_token)
        self.secrets = Secrets(self.database, self.keyring)
        self.configurations = Configurations(self.database, self.center, self.accounts, self.clock)
        bodies = FolderBodies(settings.folder / "files") if settings.embedded else TableBodies(self.database)
        self.files = StoredFiles(bodies, self.database, self.keyring, self.clock)
        self.history = StoredHistory(self.database, self.keyring, self.files, self.settled)
        self.pasts = Pasts(self.log, self.fold, self.snapshots, self.center.shard)
        if "router" in self.roles:
            self._remembered = Remembered(self.snapshots)
            self.owners = [self._owner(shard) for shard in shards]
        if "projector" in self.roles:
            self.projectors = [
                Projector(
                    self.log,
                    self.database,
                    shard,
                    Outbox(with_topic=not settings.embedded),
                    self._mine("projector", f"shard {shard}"),
                )
                for shard in shards
            ]

    def _mine(self, role: Role, key: str) -> Callable[[], bool]:
        return lambda: self.members.mine(role, key)

    def _owner(self, shard: int) -> Owner:
        def observe(name: str, value: float) -> None:
            self.metrics.observe_owner(name, value)

        return Owner(
            self.log,
            shard,
            self.keyring,
            self._remembered,
            self.name,
            self.clock,
            lambda: chance_source.token_hex(8),
            observe,
            self._mine("router", f"shard {shard}"),
        )

    def _edges(self) -> None:
        desk_bus = Port(self.center, agents.ports.Unavailable, self.metrics.append.observe)
        bus = Port(self.center, channels.ports.Unavailable, self.metrics.append.observe)
        name = f"{self.name}:{self.boot}"
        self.channels = ChannelAccounts(registry(), self.keyring.token, self.secrets.resolve, self.settings.base_url)
        self.intake = Intake(bus, self.history, self.files, detect, self.policy_of)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self.client = httpx2.AsyncClient(timeout=15, follow_redirects=False, cookies=no_cookies)
        self.oidc = Oidc(Issuers(self.client, self.clock), self.secrets.resolve, self.keyring.token, self.clock)
        tokens = Tokens(self.channels.providers, self.history, self.client, self.clock)
        self.keys = Keys(self.client, tokens, self.clock)
        self.rooms = Rooms(bus, self.clock, self.policy_of)
        self.places = Places(self.clock)
        self.connections = Connections(
            self.channels,
            bus,
            self.history,
            self.intake,
            self.rooms.take,
            self.client,
            tokens,
            self.clock,
            self._holds,
            places=self.places,
        )
        self.worker = Worker(
            self.channels,
            bus,
            self.history,
            self.connections,
            tokens,
            Copying(bus, self.history, self.files, self.client, self.name),
            self.client,
            self.name,
            self.boot,
            self.clock,
            Reserving(self.database, self.lookup_of, self.clock),
            holds=self._holds,
            lives=lambda name: name in self.members.living("channels"),
        )
        self.lists = Lists(self.database, self.clock, self.name)
        self.checkup = Checkup(self.channels, tokens, self.connections, self.history, self.client, self.clock)
        self.looking = Looking(
            self.clock, lambda conversation: self.members.mine("gateway", conversation), self.hints.tell_pages
        )
        self.devices = StoredDevices(self.database, self.keyring, self.clock)
        self.pusher = Pusher(
            self.devices,
            httpx2.AsyncClient(http2=True, timeout=15, follow_redirects=False, cookies=no_cookies),
            Tokens({"webchat": FcmTokens()}, self.history, self.client, self.clock),
            self.clock,
            chance_source.token_bytes,
        )
        self.chats = Chats(
            self.channels,
            bus,
            self.intake,
            self.files,
            self.history,
            self.clock,
            new_token,
            self.looking,
            self.pusher.tell,
        )
        self.leases = Leases(desk_bus, self.clock, name)
        self.desks = Desks(desk_bus, Desk(desk_bus, self.files), self.accounts, self.clock, name)
        self.desks.observe = lambda what: self.metrics.resumes.labels(what).inc()
        self.boards = Boards(desk_bus, self.accounts, self.clock)
        for sockets in (self.desks, self.boards, self.chats):
            sockets.dropped = self.metrics.dropped.inc
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

    def lookup_of(self, workspace: str) -> Lookup | None:
        pool = self.center.pool(workspace)
        return pool.lookup if pool is not None else None

    def country_of(self, workspace: str) -> str:
        """The country of numbers that name none: that of the workspace's time zone."""
        lookup = self.lookup_of(workspace)
        return numbers.country_of_zone(lookup.config.timezone if lookup is not None else "") or "KR"

    def zones_of(self, workspace: str, number: str) -> tuple[str, ...]:
        """Each zone in which whoever has this number may be; none where it is no number."""
        known = numbers.normal(number, self.country_of(workspace))
        return numbers.zones(known[1]) if known is not None else ()

    def policy_of(self, account: Account) -> ReplyPolicy:
        """What may be answered where a message says nothing of its own."""
        return self.channels.providers[account.provider].policy(account)

    def _holds(self, workspace: str, channel: str) -> bool:
        return "channels" in self.roles and self.members.mine("channels", f"{workspace}/{channel}")

    async def _restore(self) -> None:
        await self.fold.restore()
        await self.secrets.load()
        for workspace, pool in self.fold.pools.items():
            self.channels.configure(workspace, pool.memory.config)
        self.desks.start(self.fold.pools, {w: self._position(w) for w in self.fold.pools})
        self.fold.subscribe(self._applied)

    def routes(self, app: FastAPI) -> None:
        """Everything that answers over HTTP and WebSocket."""
        base = self.settings.base_url
        if "gateway" in self.roles:
            # What comes most often is looked for first.
            app.include_router(
                hook_routes(self.channels, self.intake, self.bus, self.clock, self.rooms.take, self.keys, self.places)
            )
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
                    self.secrets.resolve,
                )
            )
            app.include_router(
                agents.customers.routes(self.desk_bus, self.accounts, self.history, self.files, new_token)
            )
            app.include_router(
                agents.callbacks.routes(self.desk_bus, self.accounts, self.files, new_token, self.zones_of)
            )
            app.include_router(
                naru.admin.routes.routes(
                    self.accounts,
                    self.configurations,
                    self.secrets,
                    self.channels,
                    base,
                    lambda workspace: self.hints.tell(SecretsChanged(workspace)),
                    self.oidc,
                )
            )
            app.include_router(
                naru.admin.channels.routes(self.accounts, self.configurations, self.channels, self.checkup, base)
            )
            app.include_router(naru.reports.routes.routes(self.accounts, self.history, self.clock))
            app.include_router(
                naru.campaigns.routes.routes(
                    self.accounts, self.center, self.database, self.lists, self.clock, new_token, self.country_of
                )
            )
            app.include_router(naru.outgoing.routes.routes(self.accounts, self.configurations, self.deliverer))
            app.include_router(naru.live.routes(self.accounts, self.configurations, self.rooms, self._holds))
            app.include_router(self.chats.routes())
            app.include_router(channels.devices.routes(self.channels, self.devices))
            app.include_router(socket_routes(self.desks, self.boards))
        app.include_router(probes.routes(self))
        web.install(app, self.metrics, self.fold.reach)
        if "gateway" in self.roles:
            web.pages(app)

    async def checks(self) -> dict[str, bool]:
        """What must be well for this process to be sent work.

        A gateway whose Kafka or database is away is of use all the same: it has a spool, and what it cannot do it
        refuses with a reason. Where all of them were taken out of service, nobody would take anything in.
        """
        store = True
        try:
            async with self.database.read(HOUSE):
                pass
        except StoreUnavailable:
            store = False
        self.metrics.store_up.set(store)
        checks = {"tasks": not self.failed.is_set()}
        if self.settings.embedded:
            checks["store"] = store
        if "router" in self.roles:
            checks["members"] = self.members.trusted
            owners = [owner for owner in self.owners if self.members.mine("router", f"shard {owner.shard}")]
            checks["shards"] = all(owner.owning.is_set() for owner in owners)
        if "projector" in self.roles:
            # Answers are sent from the history, so a restart that rolls on must wait until it is written again.
            checks["members"] = self.members.trusted
            checks["history"] = all(projector.is_abreast for projector in self.projectors if projector.is_mine())
        return checks

    async def gauge(self) -> None:
        """What is measured only when somebody asks for the metrics."""
        shards = range(self.settings.shards)
        ends = [await self.log.end(JOURNAL, shard) for shard in shards]
        for reader, cursors in self._readers().items():
            self.metrics.lag.labels(reader).set(sum(ends[cursor.shard] - cursor.offset for cursor in cursors))
        self.metrics.websockets.set(self.desks.open)
        self.metrics.owned.set(sum(owner.owning.is_set() for owner in self.owners))
        for role in ROLES:
            self.metrics.members.labels(role).set(len(self.members.living(role)))
        if self.spool is not None:
            self.metrics.spooled.set(await self.spool.end(SPOOL, 0) - await self.spool.begin(SPOOL, 0))

    def _readers(self) -> dict[str, list[Cursor]]:
        """Where the readers of this process are, each as far as it is the one."""
        mine = [projector.cursor for projector in self.projectors if projector.is_mine()]
        return {"projector": mine, "fold": list(self.fold.cursors.values())}

    # -- running

    async def _run(self) -> None:
        if self._membership is not None:
            if self.roles:
                self._supervise("members", self._membership.run)
            self._supervise("hints", self.hints.run, LogUnavailable)
        for owner in self.owners:
            self._supervise(f"owner {owner.shard}", owner.run)
        if self.roles != {"router"}:
            self._supervise("fold", self.fold.run, LogUnavailable)
        for projector in self.projectors:
            again = (LogUnavailable, StoreUnavailable, Overtaken)
            self._supervise(f"projector {projector.cursor.shard}", projector.run, *again)
        if self.settings.embedded:
            await asyncio.gather(*(owner.owning.wait() for owner in self.owners))
        if "router" in self.roles:
            self._supervise("remembered", self._remember, StoreUnavailable)
        if "projector" in self.roles:
            self._run_house()
        if self.roles & {"channels", "gateway"}:
            self._supervise("rooms", self.rooms.run)
        if "channels" in self.roles:
            await self._run_channels()
        if "gateway" in self.roles:
            await self._run_gateway()
        self.ready = True
        log.info(
            "naru.started", version=__version__, name=self.name, roles=sorted(self.roles), url=self.settings.base_url
        )

    def _run_house(self) -> None:
        writer = SnapshotWriter(
            self.fold,
            self.snapshots,
            SNAPSHOT_S,
            SNAPSHOT_RECORDS,
            lambda shard: self.members.mine("projector", f"snapshots {shard}"),
        )
        self._supervise("snapshots", lambda: writer.run(asyncio.sleep), StoreUnavailable)
        self._supervise("retention", self._retention, LogUnavailable, StoreUnavailable)
        self._supervise("widows", self._widows, LogUnavailable)
        self._supervise("webhooks", self.deliverer.run)
        if isinstance(self.log, KafkaLog):
            for shard in range(self.settings.shards):
                topic = KafkaTopic(self.log, EVENTS, self.settings.shards)
                publisher = Publisher(self.database, topic, shard, self._mine("projector", f"events {shard}"))
                self._supervise(f"events {shard}", publisher.run, LogUnavailable, StoreUnavailable)

    async def _run_channels(self) -> None:
        for shard in range(self.settings.shards):
            feed = Feed(
                self.log,
                shard,
                self.fold,
                self.snapshots,
                self.database,
                self.channels,
                self.worker,
                self.name,
                self._holds,
                self.center.shard,
            )
            again = (LogUnavailable, StoreUnavailable, Overtaken)
            self._supervise(f"effects {shard}", feed.run, *again)
        self._supervise("connections", self._connections)

    async def _run_gateway(self) -> None:
        self._supervise("spool", self.center.drain, LogUnavailable)
        await self._patiently("log", self._begin_anew)
        for workspace in [workspace for workspace in self.fold.pools if workspace]:
            await self.lists.mend(workspace)
        self._supervise("seconds", self._seconds, LogUnavailable)
        self._supervise("history", self._watch_history, LogUnavailable)

    async def _begin_anew(self) -> None:
        """Whatever connections our predecessor of this name had are gone."""
        for workspace in [workspace for workspace in self.fold.pools if workspace]:
            await self._lost(self.name, workspace, self.boot)

    def _supervise(self, name: str, run: Callable[[], Awaitable[None]], *again: type[Exception]) -> None:
        """Run a part for ever. Some failures pass; any other ends the process, loudly, before it does harm."""

        async def supervised() -> None:
            while True:
                try:
                    await run()
                    return
                except Exception as error:
                    if not _passes(error, again):
                        log.exception("part.failed", part=name)
                        self.failed.set()
                        raise
                    log.warning("part.waits", part=name, error=str(error))
                    self.metrics.count_trouble(error)
                    await asyncio.sleep(1.0)

        self.tasks[name] = asyncio.create_task(supervised(), name=name)

    async def _remember(self) -> None:
        while True:
            for shard in range(self.settings.shards):
                await self._remembered.refresh(shard)
            await asyncio.sleep(SNAPSHOT_S / 2)

    async def _retention(self) -> None:
        async def needed(shard: int) -> list[Cursor]:
            oldest = await self.snapshots.oldest(shard)
            places = [
                await load_cursor(self.database, reader, shard) for reader in ("projector", f"worker:{self.name}")
            ]
            return [*places, self.fold.cursors[shard], oldest or Cursor(shard=shard)]

        while True:
            for shard in range(self.settings.shards):
                if self.members.mine("projector", f"retention {shard}"):
                    await self._forget(shard, needed)
            await asyncio.sleep(retention.EVERY_S)

    async def _forget(self, shard: int, needed: retention.Needed) -> None:
        """On Kafka the topics forget by themselves."""
        if self.settings.embedded:
            await retention.trim(self.log, shard, needed, self.clock())
        await self.snapshots.forget(shard, await self.log.begin(JOURNAL, shard))

    async def _widows(self) -> None:
        """Tell the log of connections whose gateway has been gone for a while: their agents can come back at another."""
        missed: dict[str, int] = {}
        while True:
            living = self.members.living("gateway")
            named = {
                (connection.partition(":")[0], workspace)
                for workspace, pool in list(self.fold.pools.items())
                for agent in list(pool.agents.values())
                for connection in agent.connections
            }
            gone = sorted(pair for pair in named if pair[0] not in living) if self.members.trusted else []
            missed = {name: missed.get(name, 0) + 1 for name in sorted({name for name, _ in gone})}
            for name, workspace in gone:
                if missed[name] * WIDOWS_S >= WIDOWED_S and self.members.mine("projector", f"gateway {name}"):
                    await self._lost(name, workspace, str(int(self.clock() // WIDOWED_S)))
            await asyncio.sleep(WIDOWS_S)

    async def _lost(self, gateway: str, workspace: str, once: str) -> None:
        await self.center.take(workspace, "naru", f"gateway:{gateway}:{once}", inputs.StartGateway(gateway=gateway))

    async def _watch_history(self) -> None:
        """What people said is in the log for 72 hours: when history is 48 behind, nothing more is taken in."""
        places: dict[int, int] = {}
        while True:
            for shard in range(self.settings.shards):
                with contextlib.suppress(StoreUnavailable):  # then what was known last counts
                    places[shard] = (await load_cursor(self.database, "projector", shard)).in_next
                oldest = await self.log.since(IN, shard, self.clock() - HISTORY_LATE_S)
                late = places.get(shard, oldest) < oldest
                (self.center.closed.add if late else self.center.closed.discard)(shard)
            await asyncio.sleep(HISTORY_EVERY_S)

    async def _connections(self) -> None:
        """Connections, and claims of the dead, follow the living."""
        before: list[str] | None = None
        while True:
            now = self.members.living("channels") if self.members.trusted else None
            if now is not None and now != before:
                await self.worker.recover(self.fold.pools)
                before = now
            self.connections.connect()
            await asyncio.sleep(1.0)

    async def _seconds(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.boards.tick()
            self.chats.tick()
            try:
                await self.leases.expire()
                await self.chats.expire(self.fold.pools)
                await self.desks.tell_left()
            except (agents.ports.Unavailable, channels.ports.Unavailable) as error:
                log.warning("lease.waits", error=str(error))

    def _applied(self, applied: Applied) -> None:
        record = applied.record
        if events.ConfigApplied in map(type, record.ev):
            self.channels.configure(record.workspace, applied.pool.memory.config)
            self.connections.connect()
        position = (applied.entry.shard, applied.entry.offset)
        self.desks.applied(record.workspace, applied.pool, record.ev, applied.content, record.t, position)
        self.chats.applied(record.workspace, applied.pool, record.ev, applied.content, record.t)

    def _hinted(self, hint: Hint) -> None:
        if isinstance(hint, PagesOpen):
            self.looking.told(hint.conversations, hint.are_open)
        else:
            self.tasks["secrets"] = asyncio.create_task(self._secrets(hint.workspace))

    async def _secrets(self, workspace: str) -> None:
        """Somebody has changed a secret, perhaps in another process."""
        await self.secrets.load()
        pool = self.fold.pools.get(workspace)
        if pool is not None:
            self.channels.configure(workspace, pool.memory.config)
            self.connections.connect()

    def _position(self, workspace: str) -> tuple[int, int]:
        shard = self.center.shard(workspace)
        return shard, self.fold.cursors[shard].offset

    async def settled(self, workspace: str) -> bool:
        """Wait until history is where the fold is now, at most two seconds; whether it has come there."""
        shard = self.center.shard(workspace)
        wanted = self.fold.cursors[shard].offset
        for _ in range(100):
            if self.projectors and self.projectors[shard].cursor.offset >= wanted:
                return True
            if not (self.projectors and self.settings.embedded):
                cursor = await load_cursor(self.database, "projector", shard)
                if cursor.offset >= wanted:
                    return True
            await asyncio.sleep(0.02)
        return False

    async def announce(self) -> None:
        """Leave word for the command line on this machine: where we are, and a key for each workspace, for us alone."""
        if "gateway" not in self.roles:
            return
        self.settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = LOCAL_KEY if self.settings.embedded else f"{LOCAL_KEY} {self.name}"
        for workspace in await self.accounts.workspaces():
            for row in await self.accounts.keys(workspace):
                if row.name == mine:
                    await self.accounts.revoke_key(workspace, row.id)
            _, key = await self.accounts.create_key(workspace, mine, "owner")
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
        """SIGTERM: not ready any more; desks and chats are asked to come back elsewhere, shards and channels handed over."""
        if self.draining:
            return
        self.draining = True
        self.desks.draining.set()
        self.boards.draining.set()
        self.chats.draining.set()
        if self._membership is not None and self.roles:
            await self._membership.leave()

    async def hand_over(self) -> None:
        """Wait, for a while, until others own what we own: they were told that we leave."""
        others = [name for name in self.members.living("router") if name != self.name]
        if self.settings.embedded or not others:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_S):
                await asyncio.gather(*(owner.idle.wait() for owner in self.owners))

    async def stop(self) -> None:
        await self.drain()
        await self.hand_over()
        await asyncio.sleep(0.1)  # the closed sockets tell the log that they have left
        await _ended(task for name, task in self.tasks.items() if name.startswith("effects"))  # nothing new is begun
        await self.worker.finish(FINISH_S)
        await self.connections.close()
        await self.worker.close()
        await _ended(self.tasks.values())
        if self.settings.embedded and "projector" in self.roles:
            with contextlib.suppress(StoreUnavailable):
                writer = SnapshotWriter(self.fold, self.snapshots, SNAPSHOT_S, SNAPSHOT_RECORDS)
                for shard in range(self.settings.shards):
                    await writer.save(shard)
        await self.pusher.close()
        await self.client.aclose()
        await self.sender.close()
        await self.log.close()
        if self.spool is not None:
            await self.spool.close()
        await self.database.close()
        if self._lock is not None:
            os.close(self._lock)


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)


def _passes(error: BaseException, again: tuple[type[Exception], ...]) -> bool:
    """Whether a failure is one of those that pass, alone or several at once."""
    if isinstance(error, BaseExceptionGroup):
        return all(_passes(each, again) for each in error.exceptions)
    return isinstance(error, again)


def _upgrade(url: str, file: Path) -> None:
    """Bring the schema up to date; what was there before is kept beside it when anything will change."""
    if file.exists() and not migrate.is_newest(url):
        shutil.copy2(file, file.with_suffix(f".before-{migrate.newest()}.sqlite"))
    migrate.upgrade(url)


async def _must_be_newest(url: str) -> None:
    """Others may be running on this database: it is upgraded by hand, not by whoever starts first."""
    with translated():
        version = await asyncio.to_thread(migrate.version, url)
    if version != migrate.newest():
        raise Unfit(f"the database's schema is {version}, not {migrate.newest()}: run naru db upgrade")


async def _must_be_made(settings: Settings) -> None:
    found = await topics.faults(settings.broker, settings.shards)
    missing = [fault for fault in found if "is missing" in fault]
    if missing:
        raise Unfit("; ".join(missing))
    for fault in found:
        log.warning("topic.otherwise", fault=fault)


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

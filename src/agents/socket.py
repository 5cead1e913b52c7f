"""The desks' and wallboards' WebSockets: authenticate, show, resume without loss, and tell the log who is there.

Every agent with a desk has a *seat*: the newest frames, numbered by the journal. A desk that comes back with the last
number it saw gets the rest, or, when that is too long ago, the view anew. A slow reader is dropped, never buffered.
"""

import asyncio
import collections
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, HTTPException, WebSocket, WebSocketDisconnect

from agents.auth import RANK, Accounts, Principal
from agents.desk import Desk
from agents.frames import AnswerFrame, Audience, Ping, frames_of, view
from agents.live import live_view
from agents.ports import Bus, Clock, Unavailable
from router.events import AgentDisconnected, Event
from router.inputs import Connect, Disconnect
from router.model import Content
from router.state import Pool

PROTOCOL = "naru.v1"
SEAT_FRAMES = 256
SEND_FRAMES = 256
PING_S = 15.0
SILENT_S = 40.0
HELLO_S = 5.0
COMMANDS_AT_ONCE = 16
MAX_FRAME_BYTES = 100_000
NOT_SIGNED_IN, SILENT, SLOW, RESTART, NOT_TEXT = 4401, 4408, 1013, 1012, 1003

log = structlog.get_logger("agents.socket")
encode = msgspec.json.Encoder().encode


class Seat:
    """One agent's newest frames, and the desks that are open now."""

    def __init__(self, floor: int) -> None:
        self.floor = floor  # frames up to this offset are no longer, or never were, kept
        self.frames: collections.deque[tuple[int, bytes]] = collections.deque()
        self.desks: set[Connection] = set()

    def add(self, offset: int, frame: bytes) -> None:
        self.frames.append((offset, frame))
        while len(self.frames) > SEAT_FRAMES or (self.frames and self.frames[0][0] < self.floor):
            # One record can make several frames: they are kept together or not at all.
            self.floor = self.frames.popleft()[0] + 1
        for desk in list(self.desks):
            desk.send(frame)

    def since(self, offset: int) -> list[bytes] | None:
        """The frames from this offset on, its own too, for the line may have broken between them. None: some are gone."""
        if offset < self.floor:
            return None
        return [frame for known, frame in self.frames if known >= offset]


class Connection:
    """One open socket: a bounded queue of frames to it."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=SEND_FRAMES)
        self.slow = asyncio.Event()
        self.adrift = asyncio.Event()  # the log says that this connection has ended: the desk must make a new one

    def send(self, frame: bytes) -> None:
        try:
            self.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.slow.set()

    async def write(self) -> None:
        while True:
            await self.socket.send_text((await self.queue.get()).decode())


class Desks:
    """All desks of this gateway. `name` is its connection prefix, `gateway:boot`."""

    def __init__(self, bus: Bus, desk: Desk, accounts: Accounts, clock: Clock, name: str) -> None:
        self._bus = bus
        self._desk = desk
        self._accounts = accounts
        self._clock = clock
        self._name = name
        self._seats: dict[str, dict[str, Seat]] = {}  # workspace -> agent -> seat
        self._audiences: dict[str, Audience] = {}
        self._position: dict[str, tuple[int, int]] = {}
        self._count = 0
        self._untold: dict[str, tuple[str, Disconnect]] = {}
        self._named: dict[str, Connection] = {}
        self.draining = asyncio.Event()
        self.observe: Callable[[str], None] = lambda what: None
        self.dropped: Callable[[], None] = lambda: None

    def start(self, pools: dict[str, Pool], positions: dict[str, tuple[int, int]]) -> None:
        """Take over what the fold knows at start."""
        self._position |= positions
        for workspace, pool in pools.items():
            for contact in pool.contacts:
                self._audience(workspace).note(pool, contact)

    def _audience(self, workspace: str) -> Audience:
        audience = self._audiences.get(workspace)
        if audience is None:
            audience = self._audiences[workspace] = Audience()
        return audience

    def applied(
        self,
        workspace: str,
        pool: Pool,
        happened: tuple[Event, ...],
        content: Callable[[], Content | None],
        t: float,
        position: tuple[int, int],
    ) -> None:
        """A record was folded: tell whoever it concerns."""
        self._position[workspace] = position
        if not happened:
            return
        for event in happened:
            if isinstance(event, AgentDisconnected) and event.connection in self._named:
                self._named[event.connection].adrift.set()
        cursor = f"{position[0]}.{position[1]}"
        audience, seats = self._audience(workspace), self._seats.get(workspace, {})
        for agent, frame in frames_of(pool, happened, content, t, cursor, audience, seats.__contains__):
            seat = seats.get(agent)
            if seat is not None:
                seat.add(position[1], encode(frame))

    def seat(self, workspace: str, agent: str, connection: Connection) -> Seat:
        """Put a desk on an agent's seat: from now on it gets every frame."""
        seat = self._seat(workspace, agent)
        seat.desks.add(connection)
        return seat

    def _seat(self, workspace: str, agent: str) -> Seat:
        seats = self._seats.setdefault(workspace, {})
        if agent not in seats:
            seats[agent] = Seat(self._position.get(workspace, (0, 0))[1])
        return seats[agent]

    @property
    def open(self) -> int:
        return sum(len(seat.desks) for seats in self._seats.values() for seat in seats.values())

    # -- one socket

    async def serve(self, socket: WebSocket) -> None:
        admitted = await admit(self._accounts, socket, self._clock)
        if admitted is None:
            return
        who, hello = admitted
        if who.agent is None:
            await socket.close(NOT_SIGNED_IN, "not an agent")
            return
        self._count += 1
        name = f"{self._name}:{self._count}"
        try:
            await self._bus.ask(who.workspace, "naru", name, Connect(agent=who.agent, connection=name))
        except Unavailable:
            await socket.close(SLOW, "the log is away")
            return
        connection = self._named[name] = Connection(socket)
        try:
            self._sit(who, connection, hello.get("cursor"))
            await self._talk(who, connection)
        finally:
            del self._named[name]
            if connection.slow.is_set():
                self.dropped()
            self._seat(who.workspace, who.agent).desks.discard(connection)
            await self._leave(who, name)

    def _sit(self, who: Principal, connection: Connection, cursor: Any) -> Seat:
        """Put the desk on its seat, and what it has missed on its way. No await: nothing can happen in between."""
        shard, offset = self._position.get(who.workspace, (0, 0))
        agent = who.agent or ""
        seat = self._seat(who.workspace, agent)
        known = _offset_of(cursor, shard) if isinstance(cursor, str) else -1
        missed = seat.since(known) if 0 <= known <= offset else None
        self.observe("replay" if missed is not None else "view")
        if missed is None:
            pool = self._bus.pool(who.workspace) or Pool()
            audience = self._audience(who.workspace)
            missed = [encode(view(pool, agent, f"{shard}.{offset}", self._clock(), audience))]
        for frame in missed:
            connection.send(frame)
        return self.seat(who.workspace, agent, connection)

    async def _leave(self, who: Principal, name: str) -> None:
        body = Disconnect(agent=who.agent or "", connection=name)
        try:
            await asyncio.shield(self._bus.take(who.workspace, "naru", f"{name}:end", body))
        except Unavailable:
            log.warning("desk.left.untold", connection=name)
            self._untold[name] = (who.workspace, body)

    async def tell_left(self) -> None:
        """Tell what could not be told when it happened."""
        for name, (workspace, body) in list(self._untold.items()):
            await self._bus.take(workspace, "naru", f"{name}:end", body)
            del self._untold[name]

    async def _talk(self, who: Principal, connection: Connection) -> None:
        commands: set[asyncio.Task[None]] = set()
        free = asyncio.Semaphore(COMMANDS_AT_ONCE)

        async def on_frame(frame: dict[str, Any]) -> None:
            """A desk that asks faster than it is answered is not read until there is room: every command is answered."""
            if frame.get("type") != "do":
                return
            await free.acquire()
            task = asyncio.create_task(self.do(who, connection, frame))
            commands.add(task)
            task.add_done_callback(commands.discard)
            task.add_done_callback(lambda _: free.release())

        await converse(connection, on_frame, self._clock, self.draining)

    async def do(self, who: Principal, connection: Connection, frame: dict[str, Any]) -> None:
        """One command, answered once. The id makes it the same command however often it is sent."""
        id_, name, args = frame.get("id"), frame.get("do"), frame.get("args", {})
        if not isinstance(id_, str) or not isinstance(name, str) or not isinstance(args, dict) or len(id_) > 100:
            return
        try:
            answer, _ = await self._desk.do(who, id_, name, args)
        except HTTPException as error:
            connection.send(encode(AnswerFrame(id_, error.status_code, str(error.detail))))
            return
        if answer is None:
            connection.send(encode(AnswerFrame(id_, 202, "taken")))
        else:
            connection.send(encode(AnswerFrame(id_, answer.status, answer.code, answer.contact)))


def _offset_of(cursor: str, shard: int) -> int:
    """A cursor's offset, -1 when it is not one of ours."""
    known, _, offset = cursor.partition(".")
    good = known == str(shard) and offset.isascii() and offset.isdigit() and len(offset) < 18
    return int(offset) if good else -1


class Boards:
    """The wallboards: one view a second per workspace, made once however many look at it."""

    def __init__(self, bus: Bus, accounts: Accounts, clock: Clock) -> None:
        self._bus = bus
        self._accounts = accounts
        self._clock = clock
        self._boards: dict[str, set[Connection]] = {}
        self.dropped: Callable[[], None] = lambda: None
        self.draining = asyncio.Event()

    async def serve(self, socket: WebSocket) -> None:
        admitted = await admit(self._accounts, socket, self._clock)
        if admitted is None:
            return
        who, _ = admitted
        if RANK.get(who.role, -1) < RANK["supervisor"]:
            await socket.close(NOT_SIGNED_IN, "not a supervisor")
            return
        connection = Connection(socket)
        boards = self._boards.setdefault(who.workspace, set())
        boards.add(connection)
        self._show(who.workspace)
        try:
            await converse(connection, _ignore, self._clock, self.draining)
        finally:
            boards.discard(connection)
            if connection.slow.is_set():
                self.dropped()

    def tick(self) -> None:
        for workspace, boards in self._boards.items():
            if boards:
                self._show(workspace)

    def _show(self, workspace: str) -> None:
        frame = encode(live_view(self._bus.pool(workspace) or Pool(), self._clock()))
        for board in list(self._boards[workspace]):
            board.send(frame)


async def _ignore(frame: dict[str, Any]) -> None:
    return


async def admit(accounts: Accounts, socket: WebSocket, clock: Clock) -> tuple[Principal, dict[str, Any]] | None:
    """Ticket and hello, in time, from our own pages or from a program; otherwise the socket is closed."""
    origin = socket.headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1] != socket.headers.get("host"):
        await socket.close(NOT_SIGNED_IN)
        return None
    offered = [name.strip() for name in socket.headers.get("sec-websocket-protocol", "").split(",")]
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    try:
        async with asyncio.timeout(HELLO_S):
            hello = parse(await socket.receive_text())
    except (TimeoutError, WebSocketDisconnect, KeyError):
        await _close(socket, NOT_SIGNED_IN, "no hello")
        return None
    tickets = [name[7:] for name in offered if name.startswith("ticket.")]
    ticket = tickets[0] if tickets else hello.get("ticket")
    who = await accounts.redeem_ticket(ticket) if isinstance(ticket, str) else None
    if who is None or hello.get("type") != "hello":
        await _close(socket, NOT_SIGNED_IN, "the ticket is not good")
        return None
    return who, hello


async def converse(connection: Connection, on_frame: Any, clock: Clock, draining: asyncio.Event) -> None:
    """Read and write until either side ends, falls silent or is too slow, or the server drains."""
    socket = connection.socket
    heard = clock()

    async def read() -> None:
        nonlocal heard
        while True:
            text = await socket.receive_text()
            heard = clock()
            if len(text) <= MAX_FRAME_BYTES:
                await on_frame(parse(text))

    async def beat() -> tuple[int, str]:
        while clock() - heard < SILENT_S:
            connection.send(encode(Ping(clock())))
            await asyncio.sleep(PING_S)
        return SILENT, "silent for too long"

    async def slow() -> tuple[int, str]:
        await connection.slow.wait()
        return SLOW, "too slow"

    async def drained() -> tuple[int, str]:
        await draining.wait()
        return RESTART, '{"retry_after_s": 1}'

    async def adrift() -> tuple[int, str]:
        await connection.adrift.wait()
        return RESTART, '{"retry_after_s": 0}'

    tasks = [asyncio.create_task(part()) for part in (read, connection.write, beat, slow, drained, adrift)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await _say_goodbye(socket, task.exception() or task.result())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_goodbye(socket: WebSocket, ended: Any) -> None:
    """Close as the part that ended says; an exception that is no end of a connection goes on."""
    if isinstance(ended, tuple):
        await _close(socket, *ended)
    elif isinstance(ended, KeyError):
        await _close(socket, NOT_TEXT, "text only")
    elif isinstance(ended, Exception) and not isinstance(ended, (WebSocketDisconnect, RuntimeError)):
        raise ended


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    try:
        await socket.close(code, reason)
    except (RuntimeError, WebSocketDisconnect):
        return  # it was closed already


def parse(text: str) -> dict[str, Any]:
    """A frame, or an empty one for whatever is not a JSON object."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def socket_routes(desks: Desks, boards: Boards) -> APIRouter:
    router = APIRouter()
    router.add_api_websocket_route("/v1/agents/ws", desks.serve)
    router.add_api_websocket_route("/v1/live/ws", boards.serve)
    return router

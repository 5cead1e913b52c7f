"""The connection to an Asterisk: its events, and REST over the same WebSocket (Asterisk 20.15, 21.10, 22.5 and newer).

One connection keeps both in order and is several times faster than HTTP. While it is away calls live on, nothing is told
afterwards, and new calls fall through to the dialplan: so on every return what is there is compared with what the engine
believes, and the ends and arrivals that nobody told are made good. The events of one channel are handled in order, those
of different ones beside each other.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from channels import asterisk
from channels.asterisk import LEG, Move
from channels.base import Account, Line, Order, Result, Step, Steps
from channels.callers import Callers
from channels.ports import Unavailable
from router.inputs import ReceiveCall

log = structlog.get_logger("channels.ari")

LANES = 32
LANE_EVENTS = 1_000
TOLD = 1_000
ANSWER_S = 5.0
OPEN_S = 10.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 10.0
MAX_FRAME_BYTES = 8_000_000
"""The answer to `GET /channels` of a busy exchange is large."""


class Gone(Exception):
    """The connection broke before an answer came: what was asked may have been done."""


class Exchange:
    """One account's exchange, held for ever by `run`."""

    def __init__(self, account: Account, line: Line) -> None:
        self._account = account
        self._line = line
        self._socket: ClientConnection | None = None
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0
        self._callers: Callers | None = None
        self._told: dict[str, None] = {}  # a leg ends in our application, and as such
        self.state = "connecting"

    async def run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                await self._connected()
            except (OSError, WebSocketException, TimeoutError, Gone, Unavailable, ValueError) as error:
                worked, self.state = self.state == "ok", f"failed: {type(error).__name__}: {error}"[:300]
                backoff_s = FIRST_BACKOFF_S if worked else min(LONGEST_BACKOFF_S, backoff_s * 2)
                log.warning("exchange.failed", channel=self._account.channel, error=str(error)[:300])
            await self._line.sleep(backoff_s)

    async def _connected(self) -> None:
        """Until the connection ends. Raises whatever ends it."""
        secrets = self._account.secrets
        query = {"app": asterisk.app(self._account), "api_key": f"{secrets['username']}:{secrets['password']}"}
        url = self._account.setting("url").rstrip("/").replace("http", "ws", 1) + "/events?" + urlencode(query)
        lanes: list[asyncio.Queue[Move]] = [asyncio.Queue(LANE_EVENTS) for _ in range(LANES)]
        async with connect(url, open_timeout=OPEN_S, max_size=MAX_FRAME_BYTES, compression=None) as socket:
            self._socket = socket
            self._told.clear()  # what is missing now is told, whatever was told before
            callers = self._callers = Callers(self._account, self._line, self.send, lambda move: _put(move, lanes))
            tasks = [asyncio.create_task(self._work(lane)) for lane in lanes]
            tasks.append(asyncio.create_task(callers.announce()))
            listening = asyncio.create_task(self._listen(socket, lanes))
            try:
                await self._reconcile(lanes)
                self.state = "ok"
                await listening
            finally:
                self._socket = self._callers = None
                self._forget()
                for task in (*tasks, listening):
                    task.cancel()
                await asyncio.gather(*tasks, listening, return_exceptions=True)
                await callers.close()

    def _forget(self) -> None:
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(Gone("the connection to the exchange broke"))
        self._asked.clear()

    async def _listen(self, socket: ClientConnection, lanes: "list[asyncio.Queue[Move]]") -> None:
        async for frame in socket:
            event = asterisk.event_of(frame)
            if event.get("type") == "RESTResponse":
                waiting = self._asked.pop(str(event.get("request_id")), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(event)
            elif event.get("type") == "ApplicationReplaced":
                raise Gone("another connection has taken this application over")
            else:
                self._hear(event, lanes)
        raise Gone("the exchange has closed the connection")

    def _hear(self, event: Mapping[str, Any], lanes: "list[asyncio.Queue[Move]]") -> None:
        callers = self._callers
        if callers is not None and callers.hears(event):
            return
        move = asterisk.meaning(self._account, event)
        if move is None or (callers is not None and callers.keeps(move)):
            return
        if not _put(move, lanes):
            raise Gone("more is told than can be decided: begin anew from what is there")

    # -- events

    async def _work(self, lane: "asyncio.Queue[Move]") -> None:
        while True:
            move = await lane.get()
            try:
                await self._make(move)
            except Unavailable as error:
                log.error("exchange.undecided", channel=self._account.channel, about=move.about, error=str(error))
                if move.asked and not move.about.startswith(LEG):
                    await self.send(Steps((asterisk.back_to_dialplan(move.about),)))
            except Exception:
                log.exception("exchange.broken", channel=self._account.channel, about=move.about)

    async def _make(self, move: Move) -> None:
        steps = move.then
        if move.item is not None and move.asked:
            answer = await self._line.ask(move.item)
            steps = move.refused if answer is not None and answer.status >= 400 else move.then
            if steps is move.then and isinstance(move.item.body, ReceiveCall) and self._callers is not None:
                self._callers.waits(move.about)
        elif move.item is not None and move.item.key not in self._told:
            await self._line.take(move.item)
            self._is_told(move.item.key)
        if steps:
            result = await self.send(Steps(steps))
            if result.kind != "accepted":
                log.info("exchange.step", channel=self._account.channel, about=move.about, detail=result.detail)
                if move.broken:
                    await self.send(Steps(move.broken))

    def _is_told(self, key: str) -> None:
        self._told[key] = None
        while len(self._told) > TOLD:
            del self._told[next(iter(self._told))]

    # -- requests

    async def send(self, order: Order) -> Result:
        """Requests in order; the first that fails ends them. Without a connection nothing was done: `retry`."""
        assert isinstance(order, Steps)
        if order.caller is not None and self._callers is not None:
            self._callers.moved(order.caller)
        if order.over is not None:
            self._is_told(asterisk.end_of(order.over))
        for step in order.steps:
            try:
                answer = await self._ask(step)
            except Gone as error:
                return Result(
                    "retry" if self._socket is None and step is order.steps[0] else "uncertain", detail=str(error)
                )
            except TimeoutError:
                return Result("uncertain", detail=f"{step.method} {step.path}: no answer in {ANSWER_S:.0f} s")
            status = int(answer.get("status_code", 500))
            said = f"{status} {step.method} {step.path}: {answer.get('message_body') or answer.get('reason_phrase')}"
            if status >= 500 and status in step.fine:
                log.warning("exchange.cannot", channel=self._account.channel, detail=said[:500])
            if status >= 300 and status not in step.fine:
                return Result("rejected", detail=said[:500])
        return Result("accepted", (order.external,) if order.external else ())

    async def _ask(self, step: Step) -> dict[str, Any]:
        socket = self._socket
        if socket is None:
            raise Gone("not connected to the exchange")
        self._count += 1
        id_ = str(self._count)
        asked: dict[str, Any] = {"type": "RESTRequest", "request_id": id_, "method": step.method, "uri": step.path}
        if step.query:
            asked["query_strings"] = [{"name": name, "value": value} for name, value in step.query]
        if step.body is not None:
            asked |= {"content_type": "application/json", "message_body": step.body.decode()}
        waiting = self._asked[id_] = asyncio.get_running_loop().create_future()
        try:
            await socket.send(msgspec.json.encode(asked).decode())
            async with asyncio.timeout(ANSWER_S):
                answer: dict[str, Any] = await waiting
                return answer
        except WebSocketException as error:
            raise Gone(str(error)) from error
        finally:
            self._asked.pop(id_, None)

    # -- after every connecting

    async def _reconcile(self, lanes: "list[asyncio.Queue[Move]]") -> None:
        """Make good what nobody told: ends of what the engine believes, and callers who wait here without its knowing."""
        filtered = msgspec.json.encode({"disallowed": [{"type": kind} for kind in asterisk.NOISE]})
        name = asterisk.app(self._account)
        await self._ask(Step(method="PUT", path=f"applications/{name}/eventFilter", body=filtered))
        answer = await self._ask(Step(method="GET", path="channels"))
        there = asterisk.by_id(answer.get("message_body"))
        answer = await self._ask(Step(method="GET", path="bridges"))
        for event in asterisk.whispers(there, asterisk.by_id(answer.get("message_body"))):
            self._hear(event, lanes)
        believed = set(self._line.calls())
        for channel in sorted(believed & there.keys()):
            if not channel.startswith(LEG) and self._callers is not None:
                self._callers.waits(channel)
        for channel in sorted(believed - there.keys()):
            self._hear({"type": "StasisEnd", "channel": {"id": channel}}, lanes)
        for channel, seen in there.items():
            if asterisk.is_ours(seen, name) and channel not in believed:
                self._hear(asterisk.arrival(seen), lanes)


def _put(move: Move, lanes: "list[asyncio.Queue[Move]]") -> bool:
    """Behind what was told of the same channel; False when there is no room."""
    try:
        lanes[sum(move.about.encode()) % LANES].put_nowait(move)
    except asyncio.QueueFull:
        return False
    return True

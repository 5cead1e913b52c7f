"""An exchange that says again what a real Asterisk said: recorded traces over a real WebSocket, with answers to requests.

A trace is JSON lines of events and of the requests that its recorder made. What a trace says of the leg that its recorder
dialled comes once *we* have dialled one, under our name for it; where its recorder hung up a channel, the trace goes on
once we have done so, or at once if the test says that nobody will.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve

from support.waiting import within

TRACES = Path(__file__).parents[1] / "channels" / "ari"
WAIT_S = 15.0


def trace(name: str) -> list[dict[str, Any]]:
    """Events as {"event": …}, requests as {"method", "path", "params", "status"}, whatever the recorder's form."""
    found = []
    lines = [json.loads(line) for line in (TRACES / f"{name}.jsonl").read_text().splitlines()]
    for said in sorted(lines, key=lambda said: said.get("t_ms", 0)):  # requests were written when they were answered
        if "event" in said:
            found.append({"event": said["event"]})
        elif said.get("dir") == "rest" or said.get("kind") == "REST":
            params = said.get("params") or said.get("query") or {}
            found.append({"method": said["method"], "path": said["path"], "params": params, "status": said["status"]})
    return found


class Exchanges:
    """A server of many exchanges, told apart by the application that a connection is for."""

    def __init__(self) -> None:
        self.by_app: dict[str, Exchange] = {}
        self._server: Server | None = None

    async def up(self) -> "Exchanges":
        self._server = await serve(self._serve, "127.0.0.1", 0)
        return self

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/ari"

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        app = parse_qs(urlsplit(socket.request.path).query)["app"][0]
        await self.by_app[app].serve(socket)

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


class Exchange:
    """Says `lines` of a trace to whoever connects. `asked` are the requests that came: (method, uri, query)."""

    def __init__(self, lines: list[dict[str, Any]], waits_for_hang_up: bool = False) -> None:
        self._lines = lines
        self.waits_for_talk = True
        self.caller_may_go = asyncio.Event()
        """What ends the caller's call is said once this is set: by then a test has seen what became of the leg."""
        self.caller_may_go.set()
        self.waits_for_hang_up = waits_for_hang_up
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self._came = asyncio.Event()
        self._socket: ServerConnection | None = None
        self.connected = asyncio.Event()
        self.there: dict[str, dict[str, Any]] = {}
        """The channels that a `GET /channels` shows."""
        self.bridges: list[dict[str, Any]] = []
        self.refuses: set[str] = set()
        """Uris of which the next request is refused."""
        self.keys: list[str] = []

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.keys.append(socket.request.path)
        self._socket = socket
        self.connected.set()
        async for frame in socket:
            asked = json.loads(frame)
            query = {pair["name"]: pair["value"] for pair in asked.get("query_strings", [])}
            self.asked.append((asked["method"], asked["uri"], query))
            status, body = self._answer(asked["method"], asked["uri"])
            answer = {
                "type": "RESTResponse",
                "request_id": asked["request_id"],
                "status_code": status,
                "message_body": body,
            }
            await socket.send(json.dumps(answer))
            self._came.set()

    def _answer(self, method: str, uri: str) -> tuple[int, str]:
        if (method, uri) == ("GET", "channels"):
            return 200, json.dumps(list(self.there.values()))
        if (method, uri) == ("GET", "bridges"):
            return 200, json.dumps(self.bridges)
        if uri in self.refuses:
            self.refuses.remove(uri)
            return 500, '{"message": "Internal error"}'
        if method == "POST" and re.fullmatch(r"channels/naru-[^/]*", uri):
            recorded = next((line["status"] for line in self._lines if line.get("path") == "/channels"), 200)
            return recorded, '{"error": "Allocation failed"}' if recorded >= 400 else json.dumps({"id": uri[9:]})
        return 204, ""

    # -- playing

    async def until(self, method: str, uri: str, count: int = 1) -> tuple[str, str, dict[str, str]]:
        """The first request (or the first so many) whose method and uri (a pattern) are so."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._came.clear()
                found = [asked for asked in self.asked if asked[0] == method and re.fullmatch(uri, asked[1])]
                if len(found) >= count:
                    return found[count - 1]
                await self._came.wait()

    async def say(self, event: dict[str, Any]) -> None:
        await within(self.connected.wait(), WAIT_S)
        channel = event.get("channel", {})
        if event["type"] == "StasisStart":
            self.there[channel["id"]] = channel
        elif event["type"] in ("StasisEnd", "ChannelDestroyed"):
            self.there.pop(channel["id"], None)
        assert self._socket is not None
        await self._socket.send(json.dumps(event))

    async def drop(self) -> None:
        """The socket breaks; calls live on."""
        assert self._socket is not None
        self.connected.clear()
        self._socket.transport.abort()

    async def play(self) -> None:
        """The whole trace, each thing when its time has come."""
        theirs = [
            line["params"]["channelId"] for line in self._lines if line.get("path") in ("/channels", "/channels/create")
        ]
        ours: dict[str, str] = {}
        for line in self._lines:
            if "event" not in line:
                if line["path"].endswith("/addChannel") and self.waits_for_talk:
                    _, uri, _ = await self.until("POST", "bridges/naru-room-[^/]*/addChannel", count=2)
                    ours[line["path"].split("/")[2]] = uri.split("/")[1]  # their name of the bridge, and ours
                if "/play/" in line["path"]:
                    await self.until("POST", re.escape(line["path"][1:]))
                if self.waits_for_hang_up and line["method"] == "DELETE" and line["path"].startswith("/channels/"):
                    name = line["path"].removeprefix("/channels/").removesuffix("/moh")
                    if not line["path"].endswith("/moh"):
                        await self.until("DELETE", f"channels/{re.escape(ours.get(name, name))}")
                continue
            said = json.dumps(line["event"])
            for name in theirs[:1]:
                if name in said and name not in ours:
                    _, uri, _ = await self.until("POST", "channels/naru-[^/]*")
                    ours[name] = uri.removeprefix("channels/")
            for name, other in ours.items():
                said = said.replace(name, other)
            event = json.loads(said)
            if event["type"] == "StasisEnd" and not event["channel"]["id"].startswith("naru-"):
                await within(self.caller_may_go.wait(), WAIT_S)
            if event["type"] == "StasisStart" and ours and event["channel"]["id"] in ours.values():
                event["args"] = self._args(event["channel"]["id"])
            await self.say(event)

    def _args(self, leg: str) -> list[str]:
        """As the exchange hands them back to whoever dialled."""
        query = next(query for method, uri, query in self.asked if method == "POST" and uri == f"channels/{leg}")
        return query["appArgs"].split(",")

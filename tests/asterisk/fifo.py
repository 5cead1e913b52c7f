"""The plainest thing that could route calls by ARI: callers in a list, agents in a list, the first of each together.

It keeps nothing and proves nothing; it is what durable routing is measured against.
"""

import asyncio
import json
import os
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


class Fifo:
    def __init__(self, url: str, password: str, agents: list[str]) -> None:
        self._url = f"{url.replace('http', 'ws')}/events?app=fifo&api_key=naru:{password}"
        self._callers: deque[str] = deque()
        self._idle = deque(agents)
        self._legs: dict[str, tuple[str, str]] = {}
        self._count = 0
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        async with connect(self._url, compression=None, max_size=8_000_000) as self._socket:
            async for frame in self._socket:
                event = json.loads(frame)
                await self._on(event, event.get("channel", {}).get("id", ""))

    async def _ask(self, method: str, uri: str, **query: Any) -> None:
        assert self._socket is not None
        strings = [{"name": name, "value": str(value)} for name, value in query.items()]
        asked = {"type": "RESTRequest", "method": method, "uri": uri, "query_strings": strings}
        await self._socket.send(json.dumps(asked))

    async def _on(self, event: dict[str, Any], channel: str) -> None:
        if event["type"] == "StasisStart" and channel in self._legs:
            caller, _ = self._legs[channel]
            await self._ask("DELETE", f"channels/{caller}/moh")
            await self._ask("POST", f"bridges/fifo-{channel}", type="mixing")
            await self._ask("POST", f"bridges/fifo-{channel}/addChannel", channel=f"{caller},{channel}")
        elif event["type"] == "StasisStart":
            await self._ask("POST", f"channels/{channel}/answer")
            await self._ask("POST", f"channels/{channel}/moh")
            self._callers.append(channel)
        elif event["type"] in ("StasisEnd", "ChannelDestroyed") and channel in self._legs:
            caller, agent = self._legs.pop(channel)
            self._idle.append(agent)
            await self._ask("DELETE", f"channels/{caller}")
            await self._ask("DELETE", f"bridges/fifo-{channel}")
        elif event["type"] == "StasisEnd" and channel in self._callers:
            self._callers.remove(channel)
        while self._callers and self._idle:
            await self._ring(self._callers.popleft(), self._idle.popleft())

    async def _ring(self, caller: str, agent: str) -> None:
        self._count += 1
        leg = f"fifo-{os.getpid()}-{self._count}"  # what another one before us left up has a name of its own
        self._legs[leg] = (caller, agent)
        await self._ask("POST", f"channels/{leg}", endpoint=f"PJSIP/{agent}", app="fifo", appArgs="leg", timeout=15)


async def main(url: str, password: str, agents: list[str]) -> None:
    await Fifo(url, password, agents).run()


if __name__ == "__main__":
    import sys

    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3].split(",")))

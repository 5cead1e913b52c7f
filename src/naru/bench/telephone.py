"""The telephone company of the benches: it obeys a center's TwiML over HTTP on loopback, as far as a bench needs.

Agents' phones are picked up after `ring_s`. A caller who is moved into a room talks for as long as was drawn, and hangs up.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.twilio import signature
from naru.demo.show import free_port

TOKEN = "bench-token"  # noqa: S105 - of a carrier that is not there
CALLS = "/2010-04-01/Accounts/{sid}/Calls"


class Telephone:
    """At `url`; `hook` is where the center's webhooks are. `failed` counts requests that were not answered, or with an
    error. `others` are addresses that it answers besides."""

    def __init__(self, ring_s: float, *others: Route) -> None:
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.hook = ""
        self.failed = 0
        self.talks: dict[str, float] = {}
        """How long each caller who waits will talk."""
        self._ring_s = ring_s
        self._legs: dict[str, str] = {}
        self._dialled = 0
        self._closed = False
        self._http = httpx2.AsyncClient(timeout=15, trust_env=False, limits=httpx2.Limits(max_connections=500))
        self._people: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route(f"{CALLS}.json", self._dial, methods=["POST"]),
                Route(f"{CALLS}/{{call}}.json", self._change, methods=["POST"]),
                *others,
            ]
        )

    def begin(self, life: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            life.close()
            return
        task = asyncio.create_task(self._lived(life))
        self._people.add(task)
        task.add_done_callback(self._people.discard)

    async def _lived(self, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
        except (httpx2.HTTPError, OSError):
            self.failed += 1

    async def close(self) -> None:
        self._closed = True
        for task in self._people:
            task.cancel()
        await asyncio.gather(*self._people, return_exceptions=True)
        await self._http.aclose()

    async def signed(self, url: str, **fields: str) -> str:
        headers = {"x-twilio-signature": signature(TOKEN, url, fields)}
        answer = await self._http.post(url, data=fields, headers=headers)
        if answer.status_code >= 400:
            self.failed += 1
        return answer.text

    async def hang_up(self, call: str) -> None:
        self.talks.pop(call, None)
        await self.signed(f"{self.hook}/status", CallSid=call, CallStatus="completed")

    def talks_for(self, number: str) -> float | None:
        """How long whoever has this number talks once he is called; None: an agent, who hangs up with the other."""
        return None

    async def _dial(self, request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode()))
        self._dialled += 1
        leg = f"LG{self._dialled}"
        self._legs[leg] = fields["StatusCallback"]
        self.begin(self._ring(leg, fields["Url"], self.talks_for(fields["To"])))
        return JSONResponse({"sid": leg}, 201)

    async def _ring(self, leg: str, url: str, talk_s: float | None) -> None:
        await asyncio.sleep(self._ring_s)
        if leg not in self._legs:
            return
        if "<Hangup" in await self.signed(url, CallSid=leg, CallStatus="in-progress"):
            self._legs.pop(leg, None)
        elif talk_s is not None:
            await asyncio.sleep(talk_s)
            if leg in self._legs:
                await self._ended(self._legs.pop(leg), leg)

    async def _change(self, request: Request) -> Response:
        """A caller is moved to a room and talks, or is told something and let go; a leg is ended."""
        call, fields = request.path_params["call"], dict(parse_qsl((await request.body()).decode()))
        url = fields.get("Url", "")
        if call in self.talks and "/room" in url:
            self.begin(self._talk(call, self.talks.pop(call)))
        elif call in self.talks and "/said" in url:
            self.talks.pop(call)
            self.begin(self._told(call, url))
        elif fields.get("Status") == "completed" and call in self._legs:
            self.begin(self._ended(self._legs.pop(call), call))
        return JSONResponse({"sid": call})

    async def _talk(self, call: str, talk_s: float) -> None:
        await asyncio.sleep(talk_s)
        await self.hang_up(call)

    async def _told(self, call: str, url: str) -> None:
        await self.signed(url, CallSid=call, CallStatus="in-progress")
        await self.hang_up(call)

    async def _ended(self, url: str, leg: str) -> None:
        await self.signed(url, CallSid=leg, CallStatus="completed")

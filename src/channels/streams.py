"""Long-lived WebSockets to providers: opened, listened to, found dead by their silence, and opened anew.

What is said while we are away is lost to a stream. A provider that can be polled too is asked for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from channels.base import Account, Dial, Heard, Line, Result, Streams
from channels.http import request
from channels.ports import Unavailable
from channels.tokens import Tokens

log = structlog.get_logger("channels.streams")

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
OPEN_S = 20.0
MAX_FRAME_BYTES = 1_000_000


class Broken(Exception):
    """The stream has to be opened anew, and why."""


class Stream:
    """One account's stream, held for ever by `run`."""

    def __init__(
        self, account: Account, provider: Streams, line: Line, client: httpx2.AsyncClient, tokens: Tokens
    ) -> None:
        self._account = account
        self._provider = provider
        self._line = line
        self._client = client
        self._tokens = tokens
        self.state = "connecting"

    async def run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        dial: Dial | None = None
        while True:
            try:
                dial = await self._listen(dial or await self._dial())
                backoff_s = FIRST_BACKOFF_S
                continue
            except (Broken, OSError, WebSocketException, TimeoutError, Unavailable, ValueError) as error:
                dial = None
                backoff_s = FIRST_BACKOFF_S if self.state == "ok" else min(LONGEST_BACKOFF_S, backoff_s * 2)
                self.state = f"failed: {type(error).__name__}: {error}"[:300]
                log.warning("stream.failed", channel=self._account.channel, error=str(error)[:300])
            await self._line.sleep(backoff_s)

    async def _dial(self) -> Dial:
        account = await self._with_token()
        wanted = self._provider.dial(account, self._line.clock())
        if isinstance(wanted, Dial):
            return wanted
        answer = await request(self._client, wanted)
        if isinstance(answer, Result):
            raise Broken(answer.detail or answer.kind)
        if answer.status == 401:
            self._tokens.refused(account)
        told = self._provider.dialled(account, answer.status, answer.body, self._line.clock())
        if isinstance(told, Result):
            raise Broken(told.detail or told.kind)
        return told

    async def _with_token(self) -> Account:
        account = await self._tokens.account(self._account)
        if isinstance(account, Result):
            raise Broken(f"no access token: {account.detail}")
        return account

    async def _listen(self, dial: Dial) -> Dial | None:
        """Until it is over; then where to go on, if the provider has said where."""
        async with (
            connect(
                dial.url,
                additional_headers=dict(dial.headers),
                subprotocols=list(dial.subprotocols) or None,  # type: ignore[arg-type]
                open_timeout=OPEN_S,
                max_size=MAX_FRAME_BYTES,
            ) as socket,
            self._beating(socket, dial),
        ):
            for said in dial.say:
                await socket.send(said)
            state: Mapping[str, Any] = {}
            while True:
                async with asyncio.timeout(dial.silent_s):
                    frame = await socket.recv()
                text = frame if isinstance(frame, str) else frame.decode(errors="replace")
                heard = self._provider.hear(await self._with_token(), state, text, self._line.clock())
                state = heard.state
                await self._act(socket, heard)
                self.state = "ok"
                if heard.dial is not None or heard.over:
                    return heard.dial

    @contextlib.asynccontextmanager
    async def _beating(self, socket: ClientConnection, dial: Dial) -> AsyncIterator[None]:
        """Meanwhile the signs of life are given. A socket that does not take one is found broken by who listens."""

        async def beat() -> None:
            with contextlib.suppress(WebSocketException, OSError):
                while dial.beat:
                    await self._line.sleep(dial.beat_s)
                    await socket.send(dial.beat)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _act(self, socket: ClientConnection, heard: Heard) -> None:
        for item in heard.items:
            await self._line.take(item)
        if heard.comments:
            await self._line.comments(heard.comments)
        for call in heard.calls:
            answer = await request(self._client, call)
            if isinstance(answer, Result) or answer.status >= 400:
                raise Broken(
                    f"{call.url.partition('?')[0]}: {answer.detail if isinstance(answer, Result) else answer.status}"
                )
        for frame in heard.say:
            await socket.send(frame)

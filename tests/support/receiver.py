"""A receiver of webhooks on loopback that checks every signature with the standard's own library, and can be unkind."""

import asyncio
import contextlib
import datetime
import json
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + "c2lnbmVkLWJ5LW5hcnUtc2lnbmVkLWJ5LW5hcnU="
OTHER_SECRET = "whsec_" + "YW5vdGhlci1zZWNyZXQtYW5vdGhlci1zZWNyZXQ="


class Receiver:
    """`status` is its answer; while `hold` is unset it does not answer. `got` are the events, in the order they came.

    By the wall's clock the library verifies everything; with a `clock` of the test's, the time is checked by that.
    """

    def __init__(
        self, *secrets: str, clock: Callable[[], float] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._clock = clock
        self.secrets = list(secrets) or [SECRET]
        self.status = 204
        self.location: str | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.got: list[dict[str, Any]] = []
        self.times: Counter[str] = Counter()
        self.heads: list[dict[str, str]] = []
        self.bad = 0
        self.at_once: Counter[str] = Counter()
        self.most_at_once = 0
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/events"

    async def up(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await asyncio.sleep(0)

    async def __aenter__(self) -> "Receiver":
        return await self.up()

    async def __aexit__(self, *_: object) -> None:
        self.hold.set()
        await self.down()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._one(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(fields["content-length"]))
        id_ = fields["webhook-id"]
        self.heads.append(fields)
        self.times[id_] += 1
        self.at_once[id_] += 1
        self.most_at_once = max(self.most_at_once, self.at_once[id_])
        await self.hold.wait()
        self.at_once[id_] -= 1
        status = self.status if self._verified(body, fields) else 401
        if 200 <= status < 300:
            self.got.append(json.loads(body))
        extra = f"Location: {self.location}\r\n" if self.location else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{extra}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()

    def _verified(self, body: bytes, fields: dict[str, str]) -> bool:
        good = any(self._signed(secret, body, fields) for secret in self.secrets)
        self.bad += not good
        return good

    def _signed(self, secret: str, body: bytes, fields: dict[str, str]) -> bool:
        if self._clock is None:
            with contextlib.suppress(WebhookVerificationError):
                Webhook(secret).verify(body, fields)
                return True
            return False
        stamp = int(fields["webhook-timestamp"])
        at = datetime.datetime.fromtimestamp(stamp, datetime.UTC)
        wanted = Webhook(secret).sign(fields["webhook-id"], at, body.decode())
        return abs(self._clock() - stamp) < 300 and wanted in fields["webhook-signature"].split(" ")

    # -- what came, once each

    def events(self) -> dict[str, dict[str, Any]]:
        """By id. What came twice must be the same."""
        found: dict[str, dict[str, Any]] = {}
        for event in self.got:
            assert found.setdefault(event["id"], event) == event
        return found


def gapless(events: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many events each contact had; fails unless their sequences are 1, 2, 3 … in the journal's order."""
    by_contact: dict[str, list[tuple[tuple[str, int, int], int]]] = {}
    for event in events.values():
        if "sequence" in event:
            _, seq, index = event["id"].split(".")  # its owner's nonce, which has no order
            place = (event["time"], int(seq), int(index))
            by_contact.setdefault(event["subject"], []).append((place, int(event["sequence"])))
    for contact, found in by_contact.items():
        numbers = [number for _, number in sorted(found)]
        assert numbers == list(range(1, len(numbers) + 1)), (contact, numbers)
    return {contact: len(found) for contact, found in by_contact.items()}

"""A real SMSC (`smpp` of npm) as its own process on loopback, ended by its own process id; see smsc/smsc.mjs.

It may be killed and started again on its port. What it had not delivered then is given to it anew (`deliver`), as the
disk of a real one would; what it has said stays in `events`, over all its lives.
"""

import asyncio
import collections
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from support import npm
from support.center import free_port

PASSWORD = "s3cr3t"
WAIT_S = 30.0


def installed(not_proved: Callable[[str, str], NoReturn]) -> Path:
    return npm.installed(Path(__file__).parent / "smsc", "smpp", "SMS through an SMSC", not_proved)


class Smsc:
    def __init__(self, folder: Path, ids: str = "as_is", receipts: str = "late", window: int = 10) -> None:
        self.folder = folder
        self.port = free_port()
        self.events: list[dict[str, Any]] = []
        self.lives = 0
        self._told = {"ids": ids, "receipts": receipts, "window": window, "password": PASSWORD}
        self._open: dict[str, dict[str, Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said = asyncio.Event()

    async def __aenter__(self) -> "Smsc":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        told = {**self._told, "port": self.port, "first": 1 + 1_000_000 * self.lives}
        self._process = await asyncio.create_subprocess_exec(
            shutil.which("node") or "node",
            "smsc.mjs",
            json.dumps(told),
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1_000_000,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        self.lives += 1
        await self.until(lambda: self.count("ready") == self.lives)
        for order in list(self._open.values()):
            self._order(order)

    async def kill(self) -> None:
        """As if its power had gone."""
        assert self._process is not None and self._reading is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == "answered" and event["status"] == 0:
                self._open.pop(event["key"], None)
            self._said.set()

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    # -- what a test orders

    def deliver(self, key: str, sender: str, text: str, **pdu: Any) -> None:
        """A text from a phone, given again until it is acknowledged."""
        self._keep(key, {"do": "deliver", "key": key, "pdu": _from(sender, short_message={"message": text}, **pdu)})

    def deliver_raw(self, key: str, sender: str, raw: bytes, **pdu: Any) -> None:
        self._keep(key, {"do": "deliver", "key": key, "pdu": _from(sender, **pdu), "hex": raw.hex()})

    def receipt(self, submit: dict[str, Any], state: str = "DELIVRD") -> None:
        order = {"do": "receipt", "id": submit["id"], "from": submit["from"], "to": submit["to"], "state": state}
        self._keep(f"r-{submit['id']}", order)

    def fault(self, what: str, count: int = 1) -> None:
        """throttle, hold: the next so many submits. drop_submit, drop_deliver: the line goes down at that one."""
        self._order({"do": "fault", "what": what, "count": count})

    def drop(self) -> None:
        self._order({"do": "drop"})

    async def reached(self) -> None:
        """What we have said before this is answered has been read, and so has what was ordered."""
        before = self.count("alive")
        self._order({"do": "ask"})
        await self.until(lambda: self.count("alive") > before)

    def _keep(self, key: str, order: dict[str, Any]) -> None:
        self._open[key] = order
        self._order(order)

    # -- what has happened

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        wanted = {"event": event, **fields}.items()
        return [one for one in self.events if wanted <= {k: v for k, v in one.items() if k in dict(wanted)}.items()]

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in self.events)

    @property
    def undelivered(self) -> int:
        return len(self._open)

    async def until(self, holds: Callable[[], bool], within_s: float = WAIT_S) -> None:
        """Woken by what it says; bounded."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    self._said.clear()
                    await self._said.wait()
        except TimeoutError:
            counts = collections.Counter(one["event"] for one in self.events)
            raise AssertionError(f"it never came true: {counts}; last: {self.events[-5:]}") from None


def _from(sender: str, **pdu: Any) -> dict[str, Any]:
    return {"source_addr": sender, "source_addr_ton": 1, "destination_addr": "15880000", **pdu}

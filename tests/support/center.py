"""A real center as its own process on loopback, with the clients that tests use to be customers and agents.

`Center` is started from a YAML document and a data folder, ended by its own process id, and can be killed at any time.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from support import nursery

START_S = 60.0

CONFIG = """\
version: 1
name: Test center
timezone: Asia/Seoul
brands:
- {id: shop, name: 가게 Shop, default_queue: care, languages: [ko, en]}
channels:
- {id: web, name: Web, brand: shop, provider: webchat, kind: chat}
- {id: hook, name: Hook, brand: shop, provider: webhook, kind: social, secrets: {signing_secret: 'env:NARU_SECRET_HOOK'}}
queues:
- {id: care, name: Care, wrap_up_s: 30, dispositions: [done, later]}
- {id: second, name: Second}
agents:
- {id: owner, name: Owner, role: owner}
- {id: mina, name: Mina, brands: [shop], email: mina@shop.test}
- {id: jun, name: Jun, brands: [shop], email: jun@shop.test}
"""
FRESH = [sys.executable, "-m", "naru.cli"]
"""The launcher that pays for its imports, where the start of the program itself is to be proved."""
HOOK_SECRET = "whsec_" + "dGVzdC1zZWNyZXQtdGVzdC1zZWNyZXQtdGVzdC1zZWM="


PORTS = range(10_000, 32_000)
"""Below those that Linux gives to whoever connects, or a client might sit on a port before its server starts."""
_next = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """A port of this process's own, for as long as it lives, among all tests that run beside each other.

    What marks it as taken is an abstract socket of its name: it needs no clearing away.
    """
    if sys.platform != "linux":
        return _any_port()
    for number in itertools.islice(_next, len(PORTS)):
        port = PORTS[number % len(PORTS)]
        mark = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as probe:
            mark.bind(f"\0naru-test-port-{port}")
            probe.bind(("127.0.0.1", port))
            mark.detach()
            return port
        mark.close()
    raise AssertionError("no port is free")


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Center:
    """`launcher` replaces the program that runs, for tests that plant faults in it; it gets the CLI's arguments.
    Without one, and with nothing around it, the program comes out of the nursery.

    With `config` None the folder is left as it is: somebody else has filled it.
    """

    def __init__(
        self,
        folder: Path,
        config: str | None = CONFIG,
        env: dict[str, str] | None = None,
        launcher: list[str] | None = None,
        wrapper: list[str] | None = None,
        port: int | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("NARU_")} | {
            "NARU_SECRET_HOOK": HOOK_SECRET,
            "NARU_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.launcher = launcher or (FRESH if wrapper else [])
        self.wrapper = wrapper or []
        self.process: nursery.Running | None = None
        self.log_path = folder.parent / f"{folder.name}.log"
        folder.mkdir(parents=True, exist_ok=True)
        if config is not None:
            document = folder.parent / f"{folder.name}.yaml"
            document.write_text(config)
            self.cli("apply", str(document))

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line on this center's data folder."""
        return nursery.run([*args, "--data", str(self.folder)], self.env, 60, check)

    def start(self) -> "Center":
        args = ["serve", "--data", str(self.folder), "--port", str(self.port)]
        with self.log_path.open("ab") as log:
            if self.launcher:
                command = [*self.wrapper, *self.launcher, *args]
                self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
            else:
                self.process = nursery.begin(args, self.env, log)
        try:
            self.wait_ready()
        except BaseException:
            self.kill()  # nobody else would: whoever enters a center that does not come up never leaves it
            raise
        return self

    def wait_ready(self) -> None:
        """Bounded; fails with the center's own last words when it does not come up."""
        end = time.perf_counter() + START_S
        while time.perf_counter() < end:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the center did not come up:\n{self.log_tail()}")

    def log_tail(self, characters: int = 4000) -> str:
        return self.log_path.read_text(errors="replace")[-characters:] if self.log_path.exists() else ""

    def kill(self) -> None:
        """As if the power had gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> "Center":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- speaking to it

    @property
    def owner_key(self) -> str:
        return (self.folder / "local-main.key").read_text().split()[1]

    def request(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or self.owner_key}", **more.pop("headers", {})}
        return httpx2.request(method, self.url + path, headers=headers, timeout=30, **more)

    def agent_key(self, agent: str, role: str = "agent") -> str:
        body = {"name": f"test {agent}", "role": role, "agent": agent}
        answer = self.request("POST", "/v1/keys", json=body)
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key

    def hook(self, channel: str) -> str:
        """The channel's hook key; also what the widget calls its channel."""
        found: str = self.request("GET", f"/v1/channels/{channel}/connection").json()["hook"]
        return found


class Frames:
    """A WebSocket whose frames are kept, so that a test can wait for one without losing the others.

    `heard` and `sent` are all that went over it, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self._taken: set[int] = set()

    async def send(self, **frame: Any) -> None:
        self.sent.append(frame)
        await self.socket.send(json.dumps(frame))

    async def next(self, kind: str, timeout_s: float = 30, **fields: Any) -> dict[str, Any]:
        """The first frame of this type, not asked for before, whose fields are so; pings are answered on the way."""

        def fits(frame: dict[str, Any]) -> bool:
            return frame.get("type") == kind and all(frame.get(name) == value for name, value in fields.items())

        for index, frame in enumerate(self.seen):
            if index not in self._taken and fits(frame):
                self._taken.add(index)
                return frame
        async with asyncio.timeout(timeout_s):
            while True:
                frame = json.loads(await self.socket.recv())
                self.heard.append(frame)
                if frame.get("type") == "ping":
                    await self.send(type="pong")
                    continue
                self.seen.append(frame)
                if fits(frame):
                    self._taken.add(len(self.seen) - 1)
                    return frame

    def forget(self) -> None:
        """What has come so far is not what is waited for next."""
        self._taken = set(range(len(self.seen)))

    async def close(self) -> None:
        await self.socket.close()


class AgentDesk(Frames):
    """An agent at the WebSocket. `await AgentDesk.open(center, key)`; `do` sends a command and returns its answer."""

    cursor: str | None = None
    _commands = 0

    @classmethod
    async def open(cls, center: Center, key: str, cursor: str | None = None) -> "AgentDesk":
        async with httpx2.AsyncClient(base_url=center.url) as client:
            answer = await client.post("/v1/tickets", headers={"Authorization": f"Bearer {key}"})
            answer.raise_for_status()
        socket = await connect(center.url.replace("http", "ws") + "/v1/agents/ws", subprotocols=["naru.v1"])  # type: ignore[list-item]
        desk = cls(socket)
        await desk.send(type="hello", ticket=answer.json()["ticket"], cursor=cursor)
        return desk

    async def do(self, command: str, id_: str | None = None, **args: Any) -> dict[str, Any]:
        AgentDesk._commands += 1
        id_ = id_ or f"cmd-{AgentDesk._commands}"
        await self.send(type="do", id=id_, do=command, args=args)
        return await self.next("answer", id=id_)


class ChatPage(Frames):
    """A customer at the widget's WebSocket."""

    visitor: str = ""

    @classmethod
    async def open(cls, center: Center, channel: str, visitor: str | None = None, after: int = 0) -> "ChatPage":
        page = cls(await connect(center.url.replace("http", "ws") + "/chat/ws"))
        await page.send(type="hello", channel=channel, visitor=visitor, after=after)
        welcome = await page.next("welcome")
        page.visitor = welcome["visitor"]
        page.seen.insert(0, welcome)
        return page

    async def say(self, client_id: str, text: str) -> dict[str, Any]:
        await self.send(type="say", client_id=client_id, text=text)
        return await self.next("ack", client_id=client_id)

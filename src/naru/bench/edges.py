"""A gateway's edges without a network: webhooks handed to its application, desks' commands handed to its desks.

What a provider and a desk would send is made here, in full, and goes through all that a gateway does with it.
"""

import asyncio
import base64
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
from starlette.types import ASGIApp

from agents.auth import Principal
from agents.socket import Connection, Desks, parse
from channels.standard import sign
from router.config import Agent, Brand, Channel, Config, Queue

SIGNED_BY = "NARU_SECRET_BENCH"
SECRET = "whsec_" + base64.b64encode(b"a secret for measurements only..").decode()
TAKEN = 202
TEXT = "How long will this take?"

encode = msgspec.json.encode


def config(name: str, agents: int, units: int = 100) -> Config:
    """One signed webhook `c`, one queue, and so many agents who take from it."""
    hook = Channel(
        id="c",
        name="C",
        brand="shop",
        provider="webhook",
        kind="social",
        secrets={"signing_secret": f"env:{SIGNED_BY}"},
    )
    return Config(
        name=name,
        brands=(Brand(id="shop", name="Shop", default_queue="care"),),
        channels=(hook,),
        queues=(Queue(id="care", name="Care", offer_timeout_s=600),),
        agents=tuple(Agent(id=f"a{n}", name=f"A{n}", brands=("shop",), units=units) for n in range(agents)),
    )


class Refused(Exception):
    """The gateway did not do what it was sent."""


async def post(app: ASGIApp, hook: str, name: str, now: float) -> None:
    """A customer's message as a webhook signed now, until it is answered: then it is durable. Raises Refused."""
    body = encode({"thread": name, "from": {"value": name}, "text": TEXT})
    stamp = str(int(now))
    path = f"/hooks/{hook}"
    headers = (
        (b"host", b"bench"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"webhook-id", name.encode()),
        (b"webhook-timestamp", stamp.encode()),
        (b"webhook-signature", sign(SECRET, name, stamp, body).encode()),
    )
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    request = _Request(body)
    await app(scope, request.receive, request.send)
    if request.status != TAKEN:
        raise Refused(f"the webhook {name} was answered {request.status}")


class _Request:
    """A server's side of one request, as uvicorn has it."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._answered = asyncio.Event()
        self.status = 0

    async def receive(self) -> MutableMapping[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body", False):
            self._answered.set()


class Seat(Connection):
    """A desk without a socket: hands on each offer, with itself, when its frame is ready to be written."""

    def __init__(self, who: Principal, offered: Callable[["Seat", dict[str, Any]], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._who = who
        self._offered = offered
        self._answers: dict[str, dict[str, Any]] = {}

    def send(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"offer",'):
            self._offered(self, msgspec.json.decode(frame)["offer"])
        elif frame.startswith(b'{"type":"answer",'):
            answer = msgspec.json.decode(frame)
            self._answers[answer["id"]] = answer

    async def do(self, desks: Desks, id_: str, command: str, args: dict[str, str]) -> None:
        """A command as its frame comes in, until the frame of its answer is ready to be written. Raises Refused.

        Whoever is told that it was taken, and nothing more, sends it again: the id makes it the same command.
        """
        text = encode({"type": "do", "id": id_, "do": command, "args": args}).decode()
        answer: dict[str, Any] = {"status": TAKEN}
        while answer["status"] == TAKEN:
            await desks.do(self._who, self, parse(text))
            answer = self._answers.pop(id_)
        if answer["status"] != 200:
            raise Refused(f"{command} {args} was answered {answer}")

"""Simulated customers and agents. They know nothing of Naru but its public API, so what they do anybody's program can do."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import httpx2
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from channels.standard import sign
from naru.demo.carrier import Carrier
from naru.demo.script import AGENTS, COMMENTS, CUSTOMERS, NAMES, SUBJECTS

log = structlog.get_logger("naru.demo")


class Chance(Protocol):
    """The seeded source of what happens."""

    def random(self) -> float: ...

    def expovariate(self, lambd: float, /) -> float: ...

    def uniform(self, a: float, b: float, /) -> float: ...

    def randrange(self, stop: int, /) -> int: ...


def pick(chance: Chance, among: tuple[str, ...]) -> str:
    return among[chance.randrange(len(among))]


class World:
    """Where the people live: the server's address, the carrier, chance, and how fast time goes for them."""

    def __init__(
        self,
        url: str,
        hooks: dict[str, str],
        secret: str,
        carrier: Carrier,
        chance: Chance,
        speed: float,
        clock: Callable[[], float],
    ) -> None:
        self.url = url
        self.hooks = hooks
        self.secret = secret
        self.carrier = carrier
        self.chance = chance
        self.speed = speed
        self.clock = clock
        self.http = httpx2.AsyncClient(base_url=url, timeout=10)
        self.counts: dict[str, int] = {}
        self.replied: dict[str, asyncio.Event] = {}
        self._number = 0
        self._people: set[asyncio.Task[None]] = set()

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def number(self) -> int:
        self._number += 1
        return self._number

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def begin(self, life: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._lived(life))
        self._people.add(task)
        task.add_done_callback(self._people.discard)

    async def _lived(self, life: Coroutine[Any, Any, None]) -> None:
        """A simulated person whose connection breaks simply goes away, as people do."""
        try:
            await life
        except (ConnectionClosed, InvalidHandshake, httpx2.HTTPError, OSError, TimeoutError) as error:
            log.debug("person.left", error=repr(error))

    async def close(self) -> None:
        for task in list(self._people):
            task.cancel()
        await asyncio.gather(*self._people, return_exceptions=True)
        await self.http.aclose()

    async def signed(self, channel: str, body: dict[str, Any]) -> None:
        """Post a message to a generic channel, signed by the Standard Webhooks rules."""
        raw = json.dumps(body, ensure_ascii=False).encode()
        id_, stamp = f"demo-{self.number()}", str(int(self.clock()))
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(self.secret, id_, stamp, raw),
            "content-type": "application/json",
        }
        answer = await self.http.post(self.hooks[channel], content=raw, headers=headers)
        answer.raise_for_status()


# -- customers


def language(chance: Chance) -> str:
    at = chance.random()
    return "ko" if at < 0.7 else "en" if at < 0.92 else "ja"


async def chat_customer(world: World) -> None:
    """Opens the chat, says what is wanted, answers the agent twice, thanks, and leaves."""
    chance = world.chance
    spoken, name = language(chance), pick(chance, NAMES)
    first, middle, last = CUSTOMERS[spoken]
    channel = world.hooks["bada-chat"].rsplit("/", 1)[-1]
    async with connect(f"{world.ws_url}/chat/ws") as socket:
        hello = {"type": "hello", "channel": channel, "visitor": None, "after": 0, "name": name, "locale": spoken}
        await socket.send(json.dumps(hello))
        said = [pick(chance, first), pick(chance, middle), pick(chance, last)]
        await _say(world, socket, said.pop(0))
        world.count("chat")
        patience_s = 90 + chance.expovariate(1 / 120)
        async with asyncio.timeout(patience_s * 4 / world.speed):
            while said:
                frame = json.loads(await socket.recv())
                if frame["type"] == "message" and frame["message"]["author"] == "agent":
                    await world.pause(2 + chance.expovariate(1 / 4))
                    await _say(world, socket, said.pop(0))
        await world.pause(4)
        await socket.send(json.dumps({"type": "bye"}))


async def _say(world: World, socket: Any, text: str) -> None:
    await socket.send(json.dumps({"type": "say", "client_id": f"c{world.number()}", "text": text}))


async def mail_customer(world: World) -> None:
    chance = world.chance
    spoken = "ko" if chance.random() < 0.8 else "en"
    address = f"customer{chance.randrange(400)}@example.com"
    text = pick(chance, CUSTOMERS[spoken][0])
    thread = f"mail-{world.number()}"
    sender = {"kind": "email", "value": address, "name": pick(chance, NAMES)}
    await world.signed(
        "bada-mail", {"thread": thread, "from": sender, "subject": pick(chance, SUBJECTS[spoken]), "text": text}
    )
    world.count("email")


async def text_customer(world: World) -> None:
    sender = f"+8210{world.chance.randrange(10**8):08d}"
    text = pick(world.chance, CUSTOMERS["ko"][0])
    await world.carrier.text(sender, "+8215880001", text, world.hooks["bada-sms"])
    world.count("sms")


async def caller(world: World) -> None:
    """Calls, waits as long as patience lasts, talks, and hangs up."""
    chance = world.chance
    sender = f"+8210{chance.randrange(10**8):08d}"
    hook = world.hooks["mirae-phone"]
    call = await world.carrier.call(sender, "+8215880002", hook, f"{hook}/status")
    world.count("voice")
    patience_s = 60 + chance.expovariate(1 / 120)
    try:
        await world.carrier.until(lambda: bool(world.carrier.talking(call)), patience_s / world.speed)
    except TimeoutError:
        world.carrier.hang_up(call)
        return
    await world.pause(15 + chance.expovariate(1 / 25))
    world.carrier.hang_up(call)


async def commenter(world: World) -> None:
    who = f"viewer{world.chance.randrange(5000)}"
    await world.signed(
        "bada-live",
        {
            "thread": f"room-1:{who}",
            "from": {"kind": "handle", "value": who, "name": who},
            "text": pick(world.chance, COMMENTS),
        },
    )
    world.count("social")


Life = Callable[[World], Coroutine[Any, Any, None]]
ARRIVALS: tuple[tuple[Life, float], ...] = (
    (chat_customer, 14.0),
    (mail_customer, 30.0),
    (text_customer, 40.0),
    (caller, 35.0),
)
"""Each kind of customer with the mean seconds between two of them."""
SHOW_EVERY_S, SHOW_COMMENTS = 150.0, 15


async def arrivals(world: World, life: Life, mean_s: float) -> None:
    while True:
        world.begin(life(world))
        await world.pause(world.chance.expovariate(1 / mean_s))


async def broadcasts(world: World) -> None:
    """A live show: its viewers all ask at once."""
    await world.pause(25)
    while True:
        for _ in range(SHOW_COMMENTS):
            world.begin(commenter(world))
            await world.pause(world.chance.expovariate(4.0))
        await world.pause(SHOW_EVERY_S)


# -- agents


class SimulatedAgent:
    """Sits at a desk over the WebSocket: takes offers, answers, wraps up."""

    def __init__(self, world: World, name: str, key: str) -> None:
        self.world = world
        self.name = name
        self._headers = {"Authorization": f"Bearer {key}"}
        self._socket: Any = None
        self._spoken: dict[str, int] = {}
        self._contacts: dict[str, dict[str, Any]] = {}

    async def work(self) -> None:
        while True:
            try:
                await self._shift()
            except (ConnectionClosed, InvalidHandshake, httpx2.HTTPError, OSError) as error:
                log.debug("agent.reconnects", agent=self.name, error=repr(error))
            await self.world.pause(2)

    async def _shift(self) -> None:
        answer = await self.world.http.post("/v1/tickets", headers=self._headers)
        answer.raise_for_status()
        async with connect(f"{self.world.ws_url}/v1/agents/ws", subprotocols=["naru.v1"]) as socket:  # type: ignore[list-item]
            self._socket = socket
            await socket.send(json.dumps({"type": "hello", "ticket": answer.json()["ticket"], "cursor": None}))
            await self._do("status", presence="available")
            async for raw in socket:
                self._frame(json.loads(raw))

    async def _do(self, command: str, **args: Any) -> None:
        frame = {"type": "do", "id": f"{self.name}-{self.world.number()}", "do": command, "args": args}
        await self._socket.send(json.dumps(frame))

    def _frame(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "ping":
            self.world.begin(self._send({"type": "pong"}))
        elif kind == "view":
            for offer in frame["offers"]:
                self.world.begin(self._consider(offer))
            for contact in frame["contacts"]:
                self._contact(contact)
        elif kind == "offer" and frame["offer"].get("answer", "desk") == "desk":
            self.world.begin(self._consider(frame["offer"]))
        elif kind == "contact":
            self._contact(frame["contact"])
        elif kind == "contact_gone":
            self._contacts.pop(frame["contact"], None)
        elif kind == "agent" and frame["agent"]["presence"] == "unresponsive":
            self.world.begin(self._return())
        elif kind == "message" and frame["message"]["author"] == "customer":
            self.world.begin(self._reply(frame["message"]["contact"]))

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(frame))

    async def _consider(self, offer: dict[str, Any]) -> None:
        await self.world.pause(self.world.chance.uniform(1.0, 4.0))
        if self.world.chance.random() < 0.03:
            await self._do("decline", offer=offer["id"], reason="busy")
        else:
            await self._do("accept", offer=offer["id"])

    async def _return(self) -> None:
        await self.world.pause(5)
        await self._do("status", presence="available")

    def _contact(self, contact: dict[str, Any]) -> None:
        known = self._contacts.get(contact["id"])
        self._contacts[contact["id"]] = contact
        if contact["status"] == "wrapping" and (known is None or known["status"] != "wrapping"):
            self.world.begin(self._complete(contact))
        elif known is None and contact["status"] == "active" and contact["kind"] != "voice":
            self.world.begin(self._reply(contact["id"]))

    async def _reply(self, contact_id: str) -> None:
        chance = self.world.chance
        await self.world.pause(2 + chance.expovariate(1 / 5))
        contact = self._contacts.get(contact_id)
        if contact is None or contact["status"] != "active" or contact["kind"] == "voice":
            return
        spoken = contact.get("language") or "ko"
        lines = AGENTS.get(spoken, AGENTS["en"])
        turn = self._spoken.get(contact_id, 0)
        self._spoken[contact_id] = turn + 1
        await self._do("message", contact=contact_id, text=pick(chance, lines[min(turn, 2)]))
        if contact["kind"] in ("email", "sms", "social") or turn >= 3:
            await self.world.pause(3 + chance.expovariate(1 / 6))
            await self._complete(contact)

    async def _complete(self, contact: dict[str, Any]) -> None:
        await self.world.pause(self.world.chance.uniform(1.0, 5.0))
        self._spoken.pop(contact["id"], None)
        dispositions = contact.get("dispositions") or [None]
        await self._do("complete", contact=contact["id"], disposition=dispositions[0])


def new_secret(token: bytes) -> str:
    return "whsec_" + base64.b64encode(token).decode()

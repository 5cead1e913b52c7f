"""Customers, desks and the ledger they keep while a center dies and comes back: what was promised, and was it kept.

The clients do what their protocols ask of them (repeat until acknowledged, under the same id) and write down every
promise they get. `Ledger.check` then holds the promises against what the center has on disk.
"""

import asyncio
import collections
import contextlib
import datetime as dt
import itertools
import json
import random  # noqa: TID251 - seeded by the test, which prints the seed
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import msgspec
from standardwebhooks import Webhook
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from naru.bus.base import IN, JOURNAL
from naru.fold import Snapshot, fold
from naru.keyring import Keyring, load_master
from naru.wire import AnyRecord, JournalReader, Record, decode_content, decode_record
from router import events
from router.state import Pool
from support.center import HOOK_SECRET, Center
from support.waiting import within

WORKSPACE = "main"
PATIENCE_S = 3.0
"""How long a client waits for its contact to be served before it goes on all the same."""
REPEAT_S = 3.0
"""When a desk repeats a command that was not answered."""

ENDS = (events.OfferDeclined, events.OfferTimedOut, events.OfferWithdrawn)


@dataclass
class Verdict:
    """What the check found. `lost` and `doubled` are broken promises, `wrong` is anything else that cannot be right."""

    acknowledged: int = 0
    contacts: int = 0
    offers: int = 0
    ignored: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """The clients' side. It lives in the test's process and survives every crash."""

    sent: dict[str, str] = field(default_factory=dict)  # text -> how
    acknowledged: dict[str, str] = field(default_factory=dict)  # text -> how
    answered: dict[str, str] = field(default_factory=dict)  # an agent's text -> contact
    offered: set[tuple[str, str, str]] = field(default_factory=set)  # (offer, contact, agent)
    accepted: set[tuple[str, str]] = field(default_factory=set)  # (offer, agent)
    completed: set[str] = field(default_factory=set)  # contacts
    shown: dict[tuple[str, int], set[str]] = field(default_factory=lambda: collections.defaultdict(set))
    delivered: collections.Counter[str] = field(default_factory=collections.Counter)
    served: dict[str, asyncio.Event] = field(default_factory=dict)  # by the customer's address
    acks: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def say(self, how: str, text: str) -> None:
        assert text not in self.sent
        self.sent[text] = how

    def ack(self, text: str) -> None:
        if text not in self.acknowledged:
            self.acknowledged[text] = self.sent[text]
            self.acks.put_nowait(text)

    def expect(self, address: str) -> asyncio.Event:
        """Set when the next contact of this customer has been completed."""
        self.served[address] = asyncio.Event()
        return self.served[address]

    def check(self, folder: Path) -> Verdict:
        """Hold every promise against the stopped center's files."""
        verdict = Verdict(acknowledged=len(self.acknowledged))
        with contextlib.closing(_read_only(folder / "store.sqlite")) as store:
            self._check_history(store, folder, verdict)
            with contextlib.closing(_read_only(folder / "log.sqlite")) as log:
                _check_log(log, store, self, verdict)
        return verdict

    def _check_history(self, store: sqlite3.Connection, folder: Path, verdict: Verdict) -> None:
        keyring = Keyring(load_master(folder / "master.key", None, bytes), bytes)
        contacts = {row["id"]: row for row in store.execute("SELECT * FROM contacts")}
        found: collections.Counter[str] = collections.Counter()
        with_promise: set[str] = set()
        numbers: dict[str, list[int]] = collections.defaultdict(list)
        texts: dict[tuple[str, int], str] = {}
        for row in store.execute("SELECT * FROM messages ORDER BY conversation, number"):
            content = decode_content(keyring.open(row["workspace"], "content", row["content"]))
            text = content.text.strip()
            found[text] += 1
            numbers[row["conversation"]].append(row["number"])
            texts[row["conversation"], row["number"]] = text
            contact = contacts.get(row["contact"])
            if contact is None or contact["conversation"] != row["conversation"]:
                verdict.wrong.append(f"{text}: belongs to no contact of its conversation")
            if text in self.acknowledged:
                with_promise.add(row["contact"])
            elif row["author"] == "customer" and text not in self.sent:
                verdict.wrong.append(f"nobody ever said: {text!r}")
            if row["author"] == "agent" and row["channel"] == "hook":
                self._check_delivery(row, verdict)
        verdict.contacts = len(with_promise)
        promised = [*self.acknowledged, *self.answered]
        verdict.lost += [f"{text} ({self.sent.get(text, 'agent')})" for text in promised if not found[text]]
        verdict.doubled += [f"message {text!r} is there {n} times" for text, n in found.items() if n > 1]
        for conversation, known in numbers.items():
            if known != list(range(1, len(known) + 1)):
                verdict.wrong.append(f"conversation {conversation} counts {known}")
        for place, seen in self.shown.items():
            if seen != {texts.get(place)}:
                verdict.wrong.append(f"{place} was shown as {sorted(seen)} and is {texts.get(place)!r}")
        verdict.wrong += [f"contact {id_} was never completed" for id_, row in contacts.items() if not row["ended_at"]]
        outcomes = {id_: row["outcome"] for id_, row in contacts.items()}
        verdict.lost += [f"completion of {id_}" for id_ in self.completed if outcomes.get(id_) != "handled"]

    def _check_delivery(self, row: sqlite3.Row, verdict: Verdict) -> None:
        times, status = self.delivered[row["id"]], row["status"]
        if times > 1:
            verdict.doubled.append(f"answer {row['id']} was delivered {times} times")
        if status not in ("sent", "uncertain") or (status == "sent" and times != 1):
            verdict.wrong.append(f"answer {row['id']} is {status} and was delivered {times} times")


# -- the center's own record


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _check_log(log: sqlite3.Connection, store: sqlite3.Connection, ledger: Ledger, verdict: Verdict) -> None:
    rows = log.execute("SELECT off, value FROM log WHERE topic=? ORDER BY off", (JOURNAL,)).fetchall()
    assert rows[0]["off"] == 0, "the journal was trimmed; this check reads all of it"
    journal = [decode_record(row["value"]) for row in rows]
    audit = Audit()
    newest = store.execute("SELECT position, body FROM snapshots ORDER BY position DESC LIMIT 1").fetchone()
    pools: dict[str, Pool] = {}
    for offset, record in enumerate(journal):
        if newest is not None and newest["position"] == offset:
            _compare(pools, newest["body"], verdict)
        if audit.take(record):
            fold(pools, record)  # type: ignore[arg-type]
    if newest is not None and newest["position"] == len(journal):
        _compare(pools, newest["body"], verdict)
    end = log.execute("SELECT MAX(off) + 1 FROM log WHERE topic=?", (IN,)).fetchone()[0]
    verdict.offers, verdict.ignored = len(audit.offers), audit.reader.ignored
    verdict.doubled += audit.faults
    verdict.wrong += [f"input {offset} was never decided" for offset in range(end) if offset not in audit.decided]
    verdict.wrong += [f"{offer} was shown and is not in the log" for offer in ledger.offered - audit.offers]
    verdict.lost += [f"acceptance {accepted}" for accepted in ledger.accepted - audit.accepted]
    verdict.wrong += [f"contact {c} is still in the pool" for pool in pools.values() for c in pool.contacts]


def _compare(pools: dict[str, Pool], body: bytes, verdict: Verdict) -> None:
    """The newest snapshot is what the whole journal up to it gives."""
    snapshot = msgspec.msgpack.decode(zlib.decompress(body), type=Snapshot)
    if {name: pool.memory for name, pool in pools.items()} != snapshot.pools:
        verdict.wrong.append(f"the snapshot at {snapshot.cursor.offset} is not what the journal says")


class Audit:
    """Reads the journal and notes every contact that had two owners, or two offers, at once."""

    def __init__(self) -> None:
        self.reader = JournalReader()
        self.faults: list[str] = []
        self.decided: set[int] = set()
        self.offers: set[tuple[str, str, str]] = set()
        self.accepted: set[tuple[str, str]] = set()
        self._made: set[str] = set()
        self._known: set[str] = set()
        self._open: dict[str, str] = {}  # conversation -> contact
        self._offer: dict[str, tuple[str, str]] = {}  # contact -> (offer, agent)
        self._owner: dict[str, str] = {}  # contact -> agent
        self._ever: dict[str, str] = {}  # contact -> who had it and has not given it back

    def take(self, record: AnyRecord) -> bool:
        """One record in log order; whether it counts."""
        if not self.reader.accept(record):
            return False
        if not isinstance(record, Record):
            return False
        if record.i - 1 in self.decided and record.re:
            self.faults.append(f"input {record.i - 1} was decided twice")
        self.decided.update(range(max(self.decided, default=-1) + 1, record.i))
        for event in record.ev:
            self._event(event)
        return True

    def _event(self, event: events.Event) -> None:
        if isinstance(event, events.ContactOpened):
            if event.contact in self._known:
                self._fault(event.contact, "opened twice")
            if event.conversation in self._open:
                self._fault(event.contact, f"opened beside {self._open[event.conversation]}")
            self._known.add(event.contact)
            self._open[event.conversation] = event.contact
        elif isinstance(event, events.OfferMade):
            if event.contact not in self._known or event.offer in self._made:
                self._fault(event.contact, f"offer {event.offer} made twice, or of nothing")
            if event.contact in self._offer:
                self._fault(event.contact, f"offered to {event.agent} beside {self._offer[event.contact]}")
            if event.contact in self._owner:
                self._fault(event.contact, f"offered to {event.agent} while {self._owner[event.contact]} has it")
            self._made.add(event.offer)
            self.offers.add((event.offer, event.contact, event.agent))
            self._offer[event.contact] = (event.offer, event.agent)
        elif isinstance(event, events.OfferAccepted):
            if self._offer.pop(event.contact, None) != (event.offer, event.agent):
                self._fault(event.contact, f"accepted by {event.agent} without an offer")
            if event.contact in self._ever:
                self._fault(event.contact, f"accepted by {event.agent} and by {self._ever[event.contact]}")
            self.accepted.add((event.offer, event.agent))
            self._owner[event.contact] = self._ever[event.contact] = event.agent
        elif isinstance(event, ENDS):
            if self._offer.pop(event.contact, None) != (event.offer, event.agent):
                self._fault(event.contact, f"{type(event).__name__} of an offer that was not open")
        elif isinstance(event, events.ContactRequeued):
            self._offer.pop(event.contact, None)
            self._owner.pop(event.contact, None)
            self._ever.pop(event.contact, None)
        elif isinstance(event, events.ContactCompleted):
            if event.contact not in self._open.values():
                self._fault(event.contact, "completed and not open")
            self._open = {k: v for k, v in self._open.items() if v != event.contact}
            self._offer.pop(event.contact, None)
            self._owner.pop(event.contact, None)

    def _fault(self, contact: str, what: str) -> None:
        self.faults.append(f"contact {contact} was {what}")


def doubled_in(records: Iterable[AnyRecord]) -> list[str]:
    audit = Audit()
    for record in records:
        audit.take(record)
    return audit.faults


# -- the world around a center


class World:
    """The clients of one center. `up` is set while it runs; `closing` tells the customers to say no more."""

    def __init__(self, center: Center, chance: random.Random) -> None:
        self.center = center
        self.chance = chance
        self.ledger = Ledger()
        self.up = asyncio.Event()
        self.closing = asyncio.Event()
        self.pause_s = 0.02  # between one customer and the next of the same client
        self.http = httpx2.AsyncClient(base_url=center.url, timeout=10)
        self._numbers = itertools.count(1)
        self.customers: set[asyncio.Task[None]] = set()
        self.desks: set[asyncio.Task[None]] = set()

    def number(self) -> int:
        return next(self._numbers)

    def customer(self, work: Any) -> None:
        self.customers.add(asyncio.create_task(work))

    def desk(self, work: Any) -> None:
        self.desks.add(asyncio.create_task(work))

    def failed(self) -> None:
        """Raise what broke a client, if anything did."""
        for task in self.customers | self.desks:
            if task.done() and task.exception() is not None:
                raise AssertionError("a client broke") from task.exception()

    async def close(self) -> None:
        for task in self.customers | self.desks:
            task.cancel()
        await asyncio.gather(*self.customers, *self.desks, return_exceptions=True)
        await self.http.aclose()

    # -- signed webhooks

    async def webhooks(self, hook: str) -> None:
        """One provider's sender: a customer after the other, each message repeated until it is taken."""
        while not self.closing.is_set():
            number = self.number()
            served = self.ledger.expect(f"customer-{number}")
            for part in range(self.chance.choice((1, 1, 1, 2))):
                await self._webhook(hook, number, f"hook {number}.{part}")
            await _patiently(served)
            await asyncio.sleep(self.pause_s)

    async def _webhook(self, hook: str, number: int, text: str) -> None:
        self.ledger.say("webhook", text)
        body = json.dumps(
            {"thread": f"thread-{number}", "from": {"kind": "external", "value": f"customer-{number}"}, "text": text}
        )
        again = self.chance.random() < 0.1  # providers sometimes say what was taken long ago once more
        while True:
            await self.up.wait()
            with contextlib.suppress(httpx2.HTTPError):
                answer = await self.http.post(f"/hooks/{hook}", content=body, headers=signed(text, body))
                assert answer.status_code in (202, 503), answer.text
                if answer.status_code == 202:
                    self.ledger.ack(text)
                    if not again:
                        return
                    again = False
            await asyncio.sleep(0.01)

    # -- chat pages

    async def chats(self, channel: str) -> None:
        """One seat in front of the widget: a visitor after the other."""
        while not self.closing.is_set():
            visit = Visit(self, channel, self.number())
            for part in range(self.chance.choice((1, 2, 3))):
                await visit.say(f"chat {visit.number}.{part}")
            await visit.close()
            await asyncio.sleep(self.pause_s)

    # -- mails

    async def mails(self, smtp_port: int) -> None:
        """A mail counts as acknowledged when the mail server has taken it: from then on it is the center's to fetch."""
        while not self.closing.is_set():
            number = self.number()
            text, address = f"mail {number}", f"c{number}@customer.test"
            self.ledger.say("mail", text)
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = address, "help@shop.test", f"Question {number}"
            mail["Message-ID"] = f"<{number}@customer.test>"
            mail.set_content(text)
            served = self.ledger.expect(address)
            await aiosmtplib.send(
                mail, sender=address, recipients=["help@shop.test"], hostname="127.0.0.1", port=smtp_port
            )
            self.ledger.ack(text)
            await _patiently(served)
            await asyncio.sleep(self.pause_s)


async def _patiently(served: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await within(served.wait(), PATIENCE_S)


def signed(id_: str, body: str) -> dict[str, str]:
    """Headers by the Standard Webhooks rules, made by their own library."""
    id_ = id_.replace(" ", "-")
    now = int(time.time())  # noqa: TID251 - the signature is only good for five minutes of the real clock
    signature = Webhook(HOOK_SECRET).sign(id_, dt.datetime.fromtimestamp(now, dt.UTC), body)
    return {"webhook-id": id_, "webhook-timestamp": str(now), "webhook-signature": signature}


class Visit:
    """One visitor's page: it comes back by its token, and repeats what was not acknowledged."""

    def __init__(self, world: World, channel: str, number: int) -> None:
        self._world = world
        self._channel = channel
        self._token: str | None = None
        self._session = ""
        self._status = ""
        self._after = 0
        self._socket: ClientConnection | None = None
        self.number = number

    async def say(self, text: str) -> None:
        ledger = self._world.ledger
        ledger.say("chat", text)
        while text not in ledger.acknowledged:
            try:
                socket = self._socket or await self._open()
                self._status = ""
                await socket.send(json.dumps({"type": "say", "client_id": text, "text": text}))
                async with asyncio.timeout(10):
                    while await self._next(socket) != text:
                        pass
                ledger.ack(text)
            except (OSError, WebSocketException, TimeoutError):
                self._socket = None
                await asyncio.sleep(0.01)
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._socket is not None and self._status != "ended":
                    await self._next(self._socket)

    async def _open(self) -> ClientConnection:
        await self._world.up.wait()
        socket = await connect(self._world.center.url.replace("http", "ws") + "/chat/ws", open_timeout=5)
        hello = {"type": "hello", "channel": self._channel, "visitor": self._token, "after": self._after}
        await socket.send(json.dumps(hello))
        while True:
            frame = json.loads(await within(socket.recv(), 10))
            if frame["type"] == "welcome":
                break
        assert self._token in (None, frame["visitor"])
        self._token, self._session, self._socket = frame["visitor"], frame["session"], socket
        for message in frame["messages"]:
            self._show(message)
        return socket

    async def _next(self, socket: ClientConnection) -> str | None:
        """Read a frame; the client_id when it acknowledges one."""
        frame = json.loads(await socket.recv())
        if frame["type"] == "message":
            self._show(frame["message"])
        elif frame["type"] == "state":
            self._status = frame["state"]["status"]
        elif frame["type"] == "ping":
            await socket.send('{"type": "pong"}')
        elif frame["type"] == "error":
            raise TimeoutError(frame["code"])
        return frame["client_id"] if frame["type"] == "ack" else None

    def _show(self, message: dict[str, Any]) -> None:
        self._world.ledger.shown[self._session, message["number"]].add(message["text"])
        self._after = max(self._after, message["number"])

    async def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                await self._socket.close()


class Desk:
    """An agent who takes everything, answers some, and completes at once; comes back after every crash."""

    def __init__(self, world: World, agent: str, key: str, answers: float = 0.0) -> None:
        self._world = world
        self._agent = agent
        self._key = key
        self._answers = answers
        self._cursor: str | None = None
        self._asked: dict[str, tuple[str, dict[str, Any], float]] = {}
        self._offers: dict[str, tuple[str, str]] = {}  # offer -> (contact, address)
        self._contacts: dict[str, str] = {}  # contact -> address
        self._replied: set[str] = set()
        self._wishes = itertools.count(1)

    async def run(self) -> None:
        while True:
            await self._world.up.wait()
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, httpx2.HTTPError):
                async with self._opened() as socket:
                    repeating = asyncio.create_task(self._repeat(socket))
                    try:
                        while True:
                            await self._frame(socket, json.loads(await socket.recv()))
                    finally:
                        repeating.cancel()
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[ClientConnection]:
        world = self._world
        answer = await world.http.post("/v1/tickets", headers={"Authorization": f"Bearer {self._key}"})
        answer.raise_for_status()
        url = world.center.url.replace("http", "ws") + "/v1/agents/ws"
        async with connect(url, subprotocols=["naru.v1"], open_timeout=5, close_timeout=1) as socket:  # type: ignore[list-item]
            hello = {"type": "hello", "ticket": answer.json()["ticket"], "cursor": self._cursor}
            await socket.send(json.dumps(hello))
            for id_ in self._asked:
                await self._say(socket, id_)
            yield socket

    async def _repeat(self, socket: ClientConnection) -> None:
        """What is not answered in time is asked again under its own id."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            for id_, (_, _, at) in list(self._asked.items()):
                if loop.time() - at > REPEAT_S:
                    await self._say(socket, id_)

    async def _do(self, socket: ClientConnection, id_: str, command: str, **args: Any) -> None:
        if id_ not in self._asked:
            self._asked[id_] = (command, args, 0.0)
            await self._say(socket, id_)

    async def _say(self, socket: ClientConnection, id_: str) -> None:
        command, args, _ = self._asked[id_]
        self._asked[id_] = (command, args, asyncio.get_running_loop().time())
        await socket.send(json.dumps({"type": "do", "id": id_, "do": command, "args": args}))

    async def _frame(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        self._cursor = frame.get("cursor", self._cursor)
        kind = frame["type"]
        if kind == "view":
            await self._presence(socket, frame["agent"])
            for offer in frame["offers"]:
                await self._take(socket, offer)
            for contact in frame["contacts"]:
                await self._finish(socket, contact)
        elif kind == "offer":
            await self._take(socket, frame["offer"])
        elif kind == "contact":
            await self._finish(socket, frame["contact"])
        elif kind == "agent":
            await self._presence(socket, frame["agent"])
        elif kind == "answer":
            self._answered(frame)
        elif kind == "ping":
            await socket.send('{"type": "pong"}')

    async def _presence(self, socket: ClientConnection, me: dict[str, Any]) -> None:
        if me["presence"] != "available" and not any(command == "status" for command, _, _ in self._asked.values()):
            await self._do(socket, f"{self._agent}-status-{next(self._wishes)}", "status", presence="available")

    async def _take(self, socket: ClientConnection, offer: dict[str, Any]) -> None:
        self._world.ledger.offered.add((offer["id"], offer["contact"], self._agent))
        self._offers[offer["id"]] = (offer["contact"], offer["customer"]["address"])
        await self._do(socket, f"accept-{offer['id']}", "accept", offer=offer["id"])

    async def _finish(self, socket: ClientConnection, contact: dict[str, Any]) -> None:
        id_ = contact["id"]
        if contact["status"] != "active" or id_ in self._contacts:
            return
        self._contacts[id_] = contact["customer"]["address"]
        if contact["kind"] != "email" and self._world.chance.random() < self._answers:
            await self._do(socket, f"answer-{id_}", "message", contact=id_, text=f"answer to {id_}")
        await self._do(socket, f"complete-{id_}", "complete", contact=id_)

    def _answered(self, frame: dict[str, Any]) -> None:
        id_, status = frame["id"], frame["status"]
        if id_ not in self._asked or status in (202, 503):
            return
        command, args, _ = self._asked.pop(id_)
        ledger = self._world.ledger
        if status != 200:
            # An offer may have gone back while we were away; nothing else may be refused to us.
            assert (command, frame["code"]) == ("accept", "offer-is-over"), frame
        elif command == "accept":
            ledger.accepted.add((args["offer"], self._agent))
        elif command == "message":
            ledger.answered[args["text"]] = args["contact"]
        elif command == "complete":
            ledger.completed.add(args["contact"])
            served = ledger.served.pop(self._contacts[args["contact"]], None)
            if served is not None:
                served.set()

"""Events of a real center: through kill -9, over REST, and every frame and event held against the AsyncAPI document."""

import asyncio
import contextlib
import datetime as dt
import json
import random  # noqa: TID251 - seeded, and the seed is printed
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import yaml
from standardwebhooks import Webhook
from websockets.asyncio.client import connect

from naru.outgoing import asyncapi
from naru.outgoing.cloudevents import PUBLIC
from naru.wire import JournalReader, Record, decode_record
from router import events
from support.center import CONFIG, HOOK_SECRET, AgentDesk, Center, ChatPage, Frames
from support.receiver import OTHER_SECRET, SECRET, Receiver, gapless

HURRY = """
import naru.outgoing.deliveries as d, naru.outgoing.webhooks as w
d.LEASE_S, w.FIRST_PAUSE_S = 2.0, 0.2
from naru.cli import main
main()
"""
"""The command line with a short lease and a short first pause, so that a test need not wait for a minute."""
LIVES = 4
PERSONAL = ("Kim Secret", "010-1234-5678", "kim@customer.test", "basket-of-kim", "Visitor ", "secret-answer")


def webhook(url: str, secret: str = "env:NARU_SECRET_CRM", **more: Any) -> dict[str, Any]:
    return {"id": "crm", "url": url, "secret": secret, **more}


def center_of(folder: Path, *webhooks: dict[str, Any], reply_url: str | None = None, **env: str) -> Center:
    config = yaml.safe_load(CONFIG)
    config["webhooks"] = list(webhooks)
    if reply_url:
        config["channels"][1]["settings"] = {"reply_url": reply_url}
    env = {"NARU_PRIVATE_WEBHOOKS": "true", "NARU_SECRET_CRM": SECRET, **env}
    return Center(folder / "data", yaml.safe_dump(config), env, [sys.executable, "-c", HURRY])


async def until(probe: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Bounded polling for what another process does in its own time."""
    async with asyncio.timeout(timeout_s):
        while not (found := probe()):
            await asyncio.sleep(0.02)
    return found


def waiting(center: Center) -> int:
    with contextlib.closing(sqlite3.connect(center.folder / "store.sqlite")) as connection:
        found: int = connection.execute("SELECT count(*) FROM deliveries WHERE NOT failed").fetchone()[0]
        return found


def journal(center: Center) -> list[Record]:
    """The journal's valid records."""
    query = "SELECT value FROM log WHERE topic = 'naru.journal' ORDER BY off"
    with contextlib.closing(sqlite3.connect(center.folder / "log.sqlite")) as connection:
        rows = connection.execute(query).fetchall()
    reader = JournalReader()
    found: list[Record] = []
    for (value,) in rows:
        record = decode_record(value)
        if reader.accept(record) and isinstance(record, Record):
            found.append(record)
    return found


def public_ids(center: Center) -> set[str]:
    """The ids of all public events since the configuration came into force."""
    found: set[str] = set()
    configured = False
    for record in journal(center):
        for index, event in enumerate(record.ev):
            configured = configured or isinstance(event, events.ConfigApplied)
            if configured and type(event) in PUBLIC:
                found.add(f"{record.n}.{record.s}.{index}")
    return found


async def visit(center: Center, channel: str, number: int, words: int) -> None:
    """A customer writes a little, and whatever becomes of it: the center may die meanwhile."""
    with contextlib.suppress(Exception):
        page = await ChatPage.open(center, channel)
        for word in range(words):
            await page.say(f"{number}-{word}", "Kim Secret, 010-1234-5678, kim@customer.test")
        await page.send(type="bye")
        await page.close()


async def off(work: Callable[[], Any]) -> Any:
    """Something that blocks, in a thread: the receiver lives in this loop."""
    return await asyncio.to_thread(work)


async def test_a_center_killed_again_and_again_delivers_every_event_at_least_once(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with Receiver() as receiver:
        center = center_of(tmp_path, webhook(receiver.url))
        try:
            await _lives(center, receiver, chance)
        finally:
            await off(center.stop)
    found = receiver.events()
    assert receiver.bad == 0
    assert set(receiver.times) == set(found), "whatever was sent without an answer came again"
    assert max(receiver.times.values()) > 1, "no kill hit a delivery"
    assert len(gapless(found)) >= 2
    said = json.dumps(list(found.values()))
    assert all(word not in said for word in PERSONAL)


async def _lives(center: Center, receiver: Receiver, chance: random.Random) -> None:
    await off(center.start)
    channel = await off(lambda: center.hook("web"))
    await receiver.down()  # what is laid out now cannot be delivered before the kill
    await visit(center, channel, 0, 2)
    await until(lambda: waiting(center) > 3)
    await off(center.kill)
    assert receiver.got == []
    await receiver.up()
    for life in range(1, LIVES):
        await off(center.start)
        talking = [asyncio.create_task(visit(center, channel, life * 10 + n, 3)) for n in range(4)]
        if life % 2:
            receiver.hold.clear()  # sent, and never answered: killed in the middle of deliveries
            await until(lambda: any(receiver.at_once.values()))
        await asyncio.sleep(chance.random() * 0.4)
        await off(center.kill)
        receiver.hold.set()
        await asyncio.gather(*talking)
    await off(center.start)
    await until(lambda: public_ids(center) == set(receiver.events()) and waiting(center) == 0)


# -- REST


async def test_a_webhook_is_set_up_tried_out_and_looked_into_over_rest(tmp_path: Path) -> None:
    async with Receiver(OTHER_SECRET) as receiver:
        center = center_of(tmp_path)
        try:
            await off(center.start)
            await _over_rest(center, receiver)
        finally:
            await off(center.stop)


async def _over_rest(center: Center, receiver: Receiver) -> None:
    async def ask(method: str, path: str, status: int = 200, key: str | None = None, **more: Any) -> Any:
        answer = await off(lambda: center.request(method, path, key, **more))
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    assert await ask("GET", "/v1/asyncapi.json") == json.loads(json.dumps(asyncapi.document()))
    hook = webhook(receiver.url, "secret:crm-key", types=["naru.contact"])
    for wrong in (
        {**hook, "url": "ftp://receiver.test/"},
        {**hook, "url": "https://user:pass@receiver.test/"},
        {**hook, "secret": SECRET},
        {**hook, "types": ["contact"]},
        {**hook, "more": 1},
    ):
        await ask("POST", "/v1/webhooks", 422, json=wrong)
    await ask("POST", "/v1/webhooks", 201, json=hook)
    assert (await ask("GET", "/v1/webhooks"))["items"][0]["id"] == "crm"
    pinged = await ask("POST", "/v1/webhooks/crm/ping")
    assert pinged == {"delivered": False, "status": 0, "detail": "there is no secret secret:crm-key"}
    await ask("PUT", "/v1/secrets/crm-key", 204, json={"value": OTHER_SECRET})
    pinged = await ask("POST", "/v1/webhooks/crm/ping")
    assert pinged["delivered"] and receiver.got[-1]["data"] == {"webhook": "crm"}
    receiver.status = 500
    channel = await off(lambda: center.hook("web"))
    await visit(center, channel, 1, 1)
    report: Any = {}

    async def troubled() -> bool:
        report.update(await ask("GET", "/v1/webhooks/crm/deliveries"))
        return bool(report["items"])

    await _eventually(troubled)
    assert report["waiting"] > 0 and report["failed"] == 0 and report["fault"] is None and not report["gone"]
    assert report["items"][0]["detail"] == "answered 500" and report["items"][0]["type"].startswith("naru.contact.")
    receiver.status = 204
    await until(lambda: waiting(center) == 0, 90)  # a second try may be half a minute away
    assert all(event["type"].startswith(("naru.contact.", "naru.webhook.")) for event in receiver.got)
    metrics = (await off(lambda: center.request("GET", "/metrics"))).text
    assert 'naru_webhook_deliveries_total{result="delivered"}' in metrics
    assert 'naru_webhook_deliveries_total{result="retried"}' in metrics
    mina = await off(lambda: center.agent_key("mina"))
    await ask("GET", "/v1/webhooks/crm/deliveries", 403, mina)
    await ask("POST", "/v1/webhooks/crm/ping", 403, mina)
    await ask("GET", "/v1/webhooks/none/deliveries", 404)
    await ask("POST", "/v1/webhooks/none/ping", 404)
    await ask("DELETE", "/v1/webhooks/crm")
    await ask("GET", "/v1/webhooks/crm/deliveries", 404)


async def _eventually(probe: Callable[[], Awaitable[bool]], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not await probe():
            await asyncio.sleep(0.05)


async def test_no_event_goes_into_our_own_network_unless_that_is_allowed(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        center = center_of(tmp_path, webhook(receiver.url), NARU_PRIVATE_WEBHOOKS="false")
        try:
            await off(center.start)
            await _pings_are_refused(center, receiver)
        finally:
            await off(center.stop)
        assert receiver.heads == []


async def _pings_are_refused(center: Center, receiver: Receiver) -> None:
    pinged = (await off(lambda: center.request("POST", "/v1/webhooks/crm/ping"))).json()
    assert pinged == {"delivered": False, "status": 0, "detail": "refused: webhooks go out by https only"}
    https = {**webhook(receiver.url.replace("http:", "https:"))}
    await off(lambda: center.request("PUT", "/v1/webhooks/crm", json=https))
    pinged = (await off(lambda: center.request("POST", "/v1/webhooks/crm/ping"))).json()
    assert pinged["detail"] == "refused: 127.0.0.1 is 127.0.0.1, which is not a public address"


# -- the document holds


def schemas_of(channel: str) -> dict[str, Any]:
    """The validators of a channel's messages by the frame's type (`do accept` for a command)."""
    document = asyncapi.document()
    found = {}
    for name in document["channels"][channel]["messages"]:
        said = document["components"]["messages"][name]
        schema = {**said["payload"], "components": document["components"]}
        found[said["name"]] = jsonschema_rs.validator_for(schema)
    return found


def hold(channel: str, *sockets: Frames) -> set[str]:
    """Every frame that went over these sockets is as the document says. Returns the types that were seen."""
    known, seen = schemas_of(channel), set()
    for socket in sockets:
        for frame in (*socket.heard, *socket.sent):
            name = f"do {frame['do']}" if frame["type"] == "do" else frame["type"]
            try:
                known[name].validate(frame)
            except jsonschema_rs.ValidationError as error:
                raise AssertionError(f"{channel} {frame}: {error.message}") from error
            seen.add(name)
    return seen


async def test_every_frame_that_real_sockets_carry_is_as_the_document_says(tmp_path: Path) -> None:
    async with Receiver() as receiver, Receiver(HOOK_SECRET) as replies:
        center = center_of(tmp_path, webhook(receiver.url), reply_url=replies.url)
        try:
            await off(center.start)
            desk, page, board = await _a_day(center)
            await until(lambda: waiting(center) == 0)
        finally:
            await off(center.stop)
        types = {event["type"] for event in receiver.got}
        known = {name: schema for name, schema in schemas_of("webhook").items() if name in types}
        for event in receiver.got:
            known[event["type"]].validate(event)
    assert {"view", "offer", "offer_ended", "contact", "contact_gone", "message", "message_status", "agent"} <= (
        seen := hold("desk", desk)
    )
    assert {"answer", "ping", "hello", "pong", "do accept", "do status", "do message", "do complete"} <= seen
    assert {"live", "ping", "hello"} <= hold("board", board)
    assert {"welcome", "message", "ack", "error", "state", "ping", "hello", "say", "bye"} <= hold("chat", page)
    assert {"naru.contact.queued", "naru.offer.accepted", "naru.message.added", "naru.send.ended"} <= types
    assert all(word not in json.dumps(receiver.got) for word in PERSONAL)


async def _a_day(center: Center) -> tuple[Frames, Frames, Frames]:
    key = await off(lambda: center.agent_key("mina"))
    channel, hook = await off(lambda: center.hook("web")), await off(lambda: center.hook("hook"))
    board = await _board(center, await off(lambda: center.agent_key("owner", "owner")))
    desk = await AgentDesk.open(center, key)
    await desk.next("view")
    await desk.do("status", presence="available")
    page = await ChatPage.open(center, channel)
    await page.say("c1", "Kim Secret has a question")
    await page.send(type="say", client_id="c2", text="   ")
    await page.next("error")
    offer = (await desk.next("offer"))["offer"]
    await board.next("live")
    await desk.do("accept", offer=offer["id"])
    await desk.do("message", contact=offer["contact"], text="secret-answer")
    await page.next("message")
    await page.next("state")
    await desk.do("hold", contact=offer["contact"])
    await desk.do("resume", contact=offer["contact"])
    await page.send(type="bye")
    await desk.do("complete", contact=offer["contact"], disposition="done", note="Kim Secret")
    body = json.dumps({"thread": "t", "from": {"value": "kim@customer.test"}, "text": "010-1234-5678"})
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - as a provider stamps it
    signature = Webhook(HOOK_SECRET).sign("m1", now, body)
    stamps = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    async with httpx2.AsyncClient() as client:
        await client.post(f"{center.url}/hooks/{hook}", content=body, headers=stamps)
    offer = (await desk.next("offer"))["offer"]
    await desk.do("accept", offer=offer["id"])
    await desk.do("message", contact=offer["contact"], text="secret-answer")
    await desk.next("message_status", status="sent")
    await desk.do("complete", contact=offer["contact"])
    for socket in (desk, page, board):
        with contextlib.suppress(TimeoutError):
            await socket.next("nothing more", timeout_s=0.5)
        await socket.close()
    return desk, page, board


async def _board(center: Center, key: str) -> Frames:
    async with httpx2.AsyncClient(base_url=center.url) as client:
        answer = await client.post("/v1/tickets", headers={"Authorization": f"Bearer {key}"})
    board = Frames(await connect(center.url.replace("http", "ws") + "/v1/live/ws"))
    await board.send(type="hello", ticket=answer.json()["ticket"])
    await board.next("live")
    return board

"""Webhooks that were lost while a center was away are made good after its start: each once, and none doubled that had come.

The carrier is the one of the other tests of texts, with a real clock: it signs as Twilio does, and lists what it has.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from twilio.request_validator import RequestValidator

from naru.demo.carrier import Carrier
from router.model import Thread, conversation_id
from support.carrier import TOKEN, Rest, _served, until
from support.center import AgentDesk, Center, free_port

CLOCK = time.time  # noqa: TID251 - the carrier has one of its own, as the center has
ACCOUNT, SHOP = f"AC{7:032d}", "+821588000000"
BEFORE, MEANWHILE, OLD = "+821011110001", "+821011110002", "+821011110003"
CONFIG = """\
version: 1
name: Reconciled
brands:
- {{id: shop, name: Shop, default_queue: care}}
channels:
- id: sms
  name: SMS
  brand: shop
  provider: twilio_sms
  kind: sms
  settings: {{account_sid: {account}, number: '{shop}', api_url: 'http://127.0.0.1:{port}'}}
  secrets: {{auth_token: 'env:NARU_SECRET_CARRIER'}}
queues:
- {{id: care, name: Care}}
agents:
- {{id: owner, name: Owner, role: owner}}
- {{id: mina, name: Mina, brands: [shop]}}
"""


async def said(center: Center, sender: str) -> list[str]:
    """What the center has of a person, as texts."""
    path = f"/v1/conversations/{conversation_id('sms', Thread(external=sender))}/messages"
    answer = await asyncio.to_thread(center.request, "GET", path)
    return [part["text"] for one in answer.json().get("items", []) for part in one["parts"]]


async def statuses(center: Center, sender: str) -> list[str | None]:
    path = f"/v1/conversations/{conversation_id('sms', Thread(external=sender))}/messages"
    answer = await asyncio.to_thread(center.request, "GET", path)
    return [one.get("status") for one in answer.json()["items"]]


async def answers(center: Center, words: str) -> None:
    """An agent sits down, takes what waits, answers, and goes."""
    key = await asyncio.to_thread(center.agent_key, "mina")
    desk = await AgentDesk.open(center, key)
    await desk.do("status", presence="available")
    offer = (await desk.next("offer"))["offer"]
    for path, body in (
        (f"offers/{offer['id']}/accept", {}),
        (f"contacts/{offer['contact']}/messages", {"text": words}),
    ):
        answer = await asyncio.to_thread(center.request, "POST", f"/v1/{path}", key, json=body)
        assert answer.status_code == 200, answer.text
    await desk.close()


async def contacts(center: Center) -> list[dict[str, Any]]:
    found = (await asyncio.to_thread(center.request, "GET", "/v1/live")).json()["queues"]
    return [queue for queue in found if queue["id"] == "care"]


async def test_what_a_carrier_could_not_deliver_is_made_good_after_the_start(tmp_path: Path) -> None:
    port = free_port()
    carrier = Carrier(ACCOUNT, TOKEN, RequestValidator(TOKEN).compute_signature, CLOCK)
    rest = Rest(carrier.app)
    config = CONFIG.format(account=ACCOUNT, shop=SHOP, port=port)
    async with _served(rest, port):
        center = Center(tmp_path / "data", config, {"NARU_SECRET_CARRIER": TOKEN})
        await asyncio.to_thread(center.start)
        try:
            hook = f"{center.url}/hooks/{await asyncio.to_thread(center.hook, 'sms')}"
            await carrier.text(BEFORE, SHOP, "first", hook)
            assert await until(lambda: said(center, BEFORE), lambda found: found == ["first"])
            carrier.send = lambda message, callback: None  # type: ignore[method-assign]  # and nothing is told of it
            await answers(center, "an answer")
            await until(lambda: statuses(center, BEFORE), lambda found: found[-1] == "sent")
            (ours,) = [one for one in carrier.messages.values() if one.direction == "outbound-api"]
            ours.status = "delivered"
            await asyncio.to_thread(center.stop)

            await carrier.text(BEFORE, SHOP, "second", hook)
            await carrier.text(MEANWHILE, SHOP, "is anybody there?", hook)
            old = await carrier.text(OLD, SHOP, "since this morning", hook)
            carrier.messages[old].created_at -= 7_200
            assert [told.status for told in carrier.log] == [200, 0, 0, 0], "they are lost: Twilio does not repeat"

            await asyncio.to_thread(center.start)
            await until(lambda: said(center, BEFORE), lambda found: found == ["first", "an answer", "second"])
            await until(lambda: said(center, MEANWHILE), lambda found: found == ["is anybody there?"])
            assert await said(center, OLD) == [], "it is from before the center's time there"

            await carrier.text(MEANWHILE, SHOP, "hello?", hook)
            await until(lambda: said(center, MEANWHILE), lambda found: found == ["is anybody there?", "hello?"])
            assert await said(center, BEFORE) == ["first", "an answer", "second"]
            await until(lambda: statuses(center, BEFORE), lambda found: found[1] == "delivered")
            (care,) = await contacts(center)
            assert care["arrived_today"] == 2
        finally:
            await asyncio.to_thread(center.stop)
            await carrier.close()

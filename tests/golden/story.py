"""The story that a golden center lives through: chats, letters, calls and texts, handed on and left over, in fixed hours."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from channels.providers.webhook import sign
from support.carrier import MUSIC, House, until
from support.center import HOOK_SECRET, Center, ChatPage

BEGAN = 1_767_574_800.0
"""Monday, 5 January 2026, ten o'clock in Seoul."""
CONFIG = """\
version: 1
name: Golden center
calendars:
- {{id: office, name: Office, timezone: Asia/Seoul, holidays: [KR], week: {{mon: ['09:00-18:00'], tue: ['22:00-06:00']}}}}
brands:
- {{id: shop0, name: 가게 Shop, default_queue: care0, languages: [ko, en]}}
skills:
- {{id: wine, name: Wine}}
channels:
- {{id: web, name: Web, brand: shop0, provider: webchat, kind: chat}}
- {{id: post, name: Post, brand: shop0, provider: webhook, kind: email, secrets: {{signing_secret: 'env:NARU_SECRET_HOOK'}}}}
- {{id: phone0, name: Phone, brand: shop0, provider: twilio_voice, kind: voice, {account}}}
- {{id: sms0, name: SMS, brand: shop0, provider: twilio_sms, kind: sms, {account}}}
queues:
- {{id: care0, name: Care, wrap_up_s: 60, dispositions: [done, later]}}
- {{id: second0, name: Second, hours: office, wrap_up_s: 0}}
- id: wines
  name: Wines
  requires: [{{skill: wine, level: 3}}]
  steps: [{{after_s: 1, tier: 2}}, {{after_s: 2, requires: [], add_queues: [second0]}}]
  max_wait_s: 3
- {{id: quick0, name: Quick, offer_timeout_s: 1, wrap_up_s: 0, max_wait_s: 1}}
rules:
- {{id: quick, when: {{field: text, op: contains, value: quick}}, then: {{queue: quick0}}}}
- {{id: wine, when: {{field: text, op: contains, value: wine}}, then: {{queue: wines, head_start_s: 30}}}}
agents:
- {{id: owner, name: Owner, role: owner, skills: {{wine: 5}}}}
- {{id: mina0, name: Mina, brands: [shop0], mode: blended, phone: '+821000000001', email: mina@shop.test}}
- {{id: jun0, name: Jun, brands: [shop0], mode: blended, phone: '+821000000002', maximum: {{chat: 2}}}}
- {{id: sora0, name: Sora, brands: [shop0], role: supervisor, phone: '+821000000003'}}
"""


@dataclass
class Stage:
    """The center of the story, its shop's house, and the clock that both go by."""

    center: Center
    house: House
    clock: "Clock"

    async def chat(self, text: str) -> ChatPage:
        page = await ChatPage.open(self.center, await asyncio.to_thread(self.center.hook, "web"))
        await page.say("m1", text)
        return page

    async def posts(self, id_: str, subject: str, text: str) -> None:
        """A letter by the signed webhook."""
        said = {"thread": id_, "from": {"kind": "email", "value": f"{id_}@customer.test"}, "text": text}
        body = json.dumps({**said, "subject": subject, "attributes": {"order": "1234"}}).encode()
        stamp = str(int(self.clock.now()))
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(HOOK_SECRET, id_, stamp, body),
        }
        hook = await asyncio.to_thread(self.center.hook, "post")
        async with httpx2.AsyncClient(base_url=self.center.url) as client:
            (await client.post(f"/hooks/{hook}", content=body, headers=headers)).raise_for_status()

    async def takes(self, agent: str) -> dict[str, Any]:
        """The agent's next offer, accepted."""
        offer: dict[str, Any] = (await self.house.desks[agent].next("offer"))["offer"]
        await self.house.do(agent, "accept", offer=offer["id"])
        return offer

    async def mine(self, agent: str) -> list[dict[str, Any]]:
        return list((await self.house.ask("GET", "/v1/agents/me/contacts", agent)).json()["items"])

    async def status(self, contact: str) -> str:
        return str((await self.house.get(f"/v1/contacts/{contact}"))["status"])

    async def only(self, *there: str) -> None:
        """Of all agents exactly these are available."""
        for agent in ("mina", "jun", "sora"):
            await self.house.do(agent, "status", presence="available" if agent in there else "away")


class Clock:
    def __init__(self) -> None:
        self._began = time.perf_counter()

    def now(self) -> float:
        return BEGAN + time.perf_counter() - self._began


# -- the acts


async def a_chat(stage: Stage) -> None:
    """Declined by one, answered by another, wrapped up with a note."""
    house = stage.house
    await stage.only("mina")
    page = await stage.chat("안녕하세요, 배송이 궁금해요")
    declined = (await house.desks["mina"].next("offer"))["offer"]
    await house.do("jun", "status", presence="available")
    await house.do("mina", "decline", offer=declined["id"], reason="busy")
    offer = await stage.takes("jun")
    await house.do("jun", "message", contact=offer["contact"], text="네, 확인해 드릴게요")
    await house.do("jun", "message", contact=offer["contact"], text="a regular", private=True)
    await page.say("m2", "고맙습니다")
    await house.do("jun", "wrap-up", contact=offer["contact"])
    await house.do("jun", "extend-wrap-up", contact=offer["contact"], seconds=30)
    await house.do("jun", "complete", contact=offer["contact"], disposition="done", note="parcel found")
    await page.close()


async def company(stage: Stage) -> None:
    """A wine that nobody knows, until the steps ask for less; a colleague is consulted, joins, and takes over."""
    house = stage.house
    await stage.only("mina")
    page = await stage.chat("which wine goes with it?")
    offer = await stage.takes("mina")
    for who, what in (("jun", "consult"), ("jun", "conference")):
        await house.do(
            "mina", what, contact=offer["contact"], **({"agent": house.id(who)} if what == "consult" else {})
        )
    await house.do("sora", "monitor", contact=offer["contact"])
    await house.do("jun", "message", contact=offer["contact"], text="a white one")
    await house.do("sora", "leave", contact=offer["contact"])
    await house.do("mina", "transfer", contact=offer["contact"], agent=house.id("jun"), note="yours")
    await house.do("jun", "complete", contact=offer["contact"])
    await page.close()


async def letters(stage: Stage) -> None:
    """One is answered for by its disposition; one is interrupted by a call and then parked, and stays so."""
    house, carrier = stage.house, stage.house.carrier
    await stage.only("mina")
    await stage.posts("letter-1", "Invoice", "Where is my invoice?")
    first = await stage.takes("mina")
    await house.do("mina", "complete", contact=first["contact"], disposition="later")
    await stage.posts("letter-2", "Complaint", "I am not content.")
    second = await stage.takes("mina")
    call = await house.calls_in()
    leg = await house.rings(house.phone("mina"))
    carrier.answer(leg)
    await house.talk(call, leg)
    (talk,) = [c["id"] for c in await stage.mine("mina") if c["kind"] == "voice"]
    await house.do("mina", "hold", contact=talk)
    await house.hears(call, f"play {MUSIC}")
    await house.do("mina", "resume", contact=talk)
    await house.talk(call, leg)
    await house.do("jun", "status", presence="available")
    await house.do("mina", "transfer", contact=talk, queue=house.id("second"))
    other = await house.rings(house.phone("jun"))
    carrier.answer(other)
    await house.talk(call, other)
    carrier.hang_up(call)
    await house.contact(talk, outcome="handled")
    await until(lambda: stage.status(second["contact"]), lambda status: status == "active")
    await house.do("mina", "park", contact=second["contact"])


async def outbound(stage: Stage) -> None:
    """A text and a call of our own, with the customer's answer to the text."""
    house, carrier = stage.house, stage.house.carrier
    await stage.only("mina")
    body = {"channel": house.id("sms"), "to": "+821011112222", "text": "your parcel is there"}
    text = (await house.ask("POST", "/v1/contacts", "mina", json=body)).json()["contact"]
    conversation = (await house.contact(text, status="active"))["conversation"]
    await house.conversation(conversation, status="delivered")
    await house.texts_in("thank you", from_="+821011112222")
    await house.conversation(conversation, author="customer")
    await house.do("mina", "complete", contact=text, disposition="done")
    carrier.phone(house.caller, answer_after_s=None)
    body = {"channel": house.id("phone"), "to": house.caller}
    call = (await house.ask("POST", "/v1/contacts", "mina", json=body)).json()["contact"]
    own = await house.rings_again(house.phone("mina"))
    carrier.answer(own)
    theirs = await house.rings(house.caller)
    carrier.answer(theirs)
    await house.talk(own, theirs)
    carrier.hang_up(theirs)
    await house.contact(call, status="wrapping")
    await house.do("mina", "complete", contact=call, disposition="done")


async def odds(stage: Stage) -> None:
    """An offer that nobody takes, and whose contact a supervisor takes over; one whose customer leaves; a planned break."""
    house = stage.house
    await stage.only("mina")
    page = await stage.chat("be quick")
    while (late := (await house.desks["mina"].next("offer"))["offer"])["kind"] != "chat":
        pass  # her own call
    await house.presence("mina", "unresponsive")
    await house.do("sora", "take-over", contact=late["contact"])
    await house.do("sora", "status", presence="offline", when="after")
    await house.do("sora", "complete", contact=late["contact"])
    await page.close()
    await stage.only("jun")
    page = await stage.chat("never mind")
    offer = (await house.desks["jun"].next("offer"))["offer"]
    await page.send(type="bye")
    await house.desks["jun"].next("offer_ended", offer=offer["id"])
    await page.close()
    page = await stage.chat("the chief, please")
    offer = (await house.desks["jun"].next("offer"))["offer"]
    await house.do("sora", "take-over", contact=offer["contact"])
    await house.do("sora", "complete", contact=offer["contact"])
    await page.close()


async def another_configuration(stage: Stage) -> None:
    """A queue and a colleague more, put in force while somebody waits; he gives up, another is moved and hurried."""
    house = stage.house
    await stage.only()
    gone, stays = await stage.chat("anybody there?"), await stage.chat("I can wait")
    config = (await house.ask("GET", "/v1/config")).json()
    config["queues"].append({"id": "third", "name": "Third", "max_length": 5, "overflow_queue": "care0"})
    config["agents"].append({"id": "hana", "name": "Hana", "brands": ["shop0"], "skills": {"wine": 4}})
    assert (await house.ask("PUT", "/v1/config", json=config)).status_code == 200
    await gone.send(type="bye")
    await gone.close()

    async def waiting() -> list[dict[str, Any]]:
        return list((await house.ask("GET", "/v1/live")).json()["waiting"])

    (row,) = await until(waiting, lambda rows: len(rows) == 1)
    for path, body in (("move", {"queue": "third"}), ("reprioritise", {"tier": 2})):
        assert (await house.ask("POST", f"/v1/contacts/{row['id']}/{path}", "sora", json=body)).status_code == 200
    await stays.close()


LIVES = ((a_chat, company, letters), (outbound, odds, another_configuration))
"""Between the two the power fails."""

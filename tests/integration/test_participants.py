"""Company in a contact, end to end on a real center: what each one's desk sees, who may do what, and a phone that listens."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect
from twilio.twiml.voice_response import VoiceResponse

from agents.frames import Audience, MessageFrame, StatusFrame, frames_of
from integration.test_browser import People, answer, say, shown
from router import inputs
from support.carrier import MUSIC, House, PhoneCenter, normal, open_shop, phone_center, until
from support.center import AgentDesk, Center, ChatPage
from support.pages import WAIT_MS, at, available, picture
from support.story import Story
from support.story import agent as person
from support.story import center as center_of

CONFIG = """\
version: 1
name: Company center
brands:
- {id: shop, name: 가게 Shop, default_queue: care, languages: [ko, en]}
channels:
- {id: web, name: Web, brand: shop, provider: webchat, kind: chat}
queues:
- {id: care, name: Care, wrap_up_s: 30, offer_timeout_s: 120, dispositions: [done]}
- {id: second, name: Second}
agents:
- {id: owner, name: Owner, role: owner}
- {id: mina, name: Mina, brands: [shop], email: mina@shop.test}
- {id: jun, name: Jun, brands: [shop], email: jun@shop.test}
- {id: sora, name: Sora, brands: [shop], email: sora@shop.test, role: supervisor}
"""
OK = (200, "ok")
ROLES = {"mina": "agent", "jun": "agent", "sora": "supervisor"}


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with Center(tmp_path_factory.mktemp("company") / "data", CONFIG) as center:
        yield center


@pytest.fixture(scope="module")
def keys(center: Center) -> dict[str, str]:
    return {agent: center.agent_key(agent, role) for agent, role in ROLES.items()}


@dataclass
class Room:
    """Mina takes what comes; Jun and Sora, a supervisor, are there, and away so that nothing is offered to them."""

    center: Center
    keys: dict[str, str]
    desks: dict[str, AgentDesk] = field(default_factory=dict)
    pages: list[ChatPage] = field(default_factory=list)

    async def sit(self, agent: str, presence: str | None = None, cursor: str | None = None) -> AgentDesk:
        if agent in self.desks:
            await self.desks[agent].close()
        desk = self.desks[agent] = await AgentDesk.open(self.center, self.keys[agent], cursor)
        if presence is not None:
            assert (await desk.do("status", presence=presence))["status"] == 200
        return desk

    async def ask(self, agent: str | None, method: str, path: str, **more: Any) -> httpx2.Response:
        return await asyncio.to_thread(self.center.request, method, path, self.keys.get(agent or ""), **more)

    async def post(self, who: str, path: str, /, **body: Any) -> tuple[int, str]:
        """Status and code of a command over REST; a refusal is a problem that says the same of itself."""
        answer = await self.ask(who, "POST", path, json=body)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer.status_code, answer.json()["code"]

    async def told(self, who: str, command: str, /, **args: Any) -> tuple[int, str]:
        """Status and code of a command at the desk."""
        answer = await self.desks[who].do(command, **args)
        return answer["status"], answer["code"]

    async def do(self, who: str, command: str, /, **args: Any) -> None:
        assert await self.told(who, command, **args) == OK

    async def customer(self, text: str = "hello") -> ChatPage:
        page = await ChatPage.open(self.center, self.center.hook("web"))
        self.pages.append(page)
        await page.say("m1", text)
        return page

    async def talk(self) -> tuple[str, ChatPage]:
        """A customer in Mina's hands, with everybody there."""
        await self.sit("mina", "available")
        await self.sit("jun", "away")
        await self.sit("sora", "away")
        page = await self.customer()
        offer = (await self.desks["mina"].next("offer"))["offer"]
        await self.do("mina", "accept", offer=offer["id"])
        return offer["contact"], page

    async def contact_at(self, who: str, id_: str, /, **fields: Any) -> dict[str, Any]:
        """What an agent's desk shows of a contact, once it is so."""
        while True:
            shown: dict[str, Any] = (await self.desks[who].next("contact"))["contact"]
            if shown["id"] == id_ and all(shown.get(name) == value for name, value in fields.items()):
                return shown

    async def said_at(self, agent: str, text: str) -> dict[str, Any]:
        """A message, once a desk has it."""
        while True:
            message: dict[str, Any] = (await self.desks[agent].next("message"))["message"]
            if message["parts"][0]["text"] == text:
                return message

    async def gone_from(self, agent: str, id_: str) -> tuple[str, str | None]:
        gone = await self.desks[agent].next("contact_gone", contact=id_)
        return gone["reason"], gone.get("by")

    async def history(self, conversation: str, agent: str) -> list[tuple[int, str]]:
        answer = await self.ask(agent, "GET", f"/v1/conversations/{conversation}/messages")
        return [(item["number"], item["parts"][0]["text"]) for item in answer.json()["items"]]

    async def leave(self) -> None:
        for agent, desk in self.desks.items():
            await desk.close()
            for contact in (await self.ask(agent, "GET", "/v1/agents/me/contacts")).json()["items"]:
                await self.ask(agent, "POST", f"/v1/contacts/{contact['id']}/complete", json={})
        for page in self.pages:
            await page.send(type="bye")
            await page.close()
        for agent in ROLES:
            await self.ask(agent, "PUT", "/v1/agents/me/status", json={"presence": "offline"})


@pytest.fixture
async def room(center: Center, keys: dict[str, str]) -> AsyncIterator[Room]:
    room = Room(center, keys)
    yield room
    await room.leave()


async def agent_at(desk: AgentDesk, presence: str) -> dict[str, Any]:
    """The agent as his own desk shows him, once he is so."""
    while (shown := (await desk.next("agent"))["agent"])["presence"] != presence:
        pass
    return dict(shown)


async def customer_is_told(page: ChatPage, *said: tuple[str, str]) -> None:
    """(words, author) of all that has come to the customer from agents."""
    while True:
        messages = [frame["message"] for frame in page.seen if frame["type"] == "message"]
        found = [(message["text"], message["name"]) for message in messages if message["author"] == "agent"]
        if len(found) >= len(said):
            assert tuple(found) == said
            return
        await page.next("message")


# -- colleagues


async def test_a_colleague_is_consulted_joined_and_sent_away(room: Room) -> None:
    contact, page = await room.talk()
    await room.do("mina", "message", contact=contact, text="one moment")
    assert await room.post("mina", f"/v1/contacts/{contact}/consult", agent="jun") == OK

    shown = await room.contact_at("jun", contact)
    assert (shown["role"], shown["agent"], shown["status"]) == ("consulted", "mina", "active")
    (guest,) = shown["participants"]
    assert (guest["agent"], guest["role"], guest["on_line"]) == ("jun", "consulted", True)
    assert (await room.contact_at("mina", contact, participants=[guest]))["role"] == "owner"
    assert (await room.ask("jun", "GET", f"/v1/contacts/{contact}")).json() == shown
    assert "role" not in (await room.ask("sora", "GET", f"/v1/contacts/{contact}")).json()
    assert await room.history(shown["conversation"], "jun") == [(1, "hello"), (2, "one moment")]

    # both see the same, as it comes; what is between them is not for the customer
    await page.say("m2", "are you there?")
    assert await room.told("jun", "message", contact=contact, text="to the customer") == (409, "not-yours")
    await room.do("jun", "message", contact=contact, text="offer a refund", private=True)
    await room.do("mina", "message", contact=contact, text="good idea", private=True)
    for said, author in (("are you there?", None), ("offer a refund", "jun"), ("good idea", "mina")):
        at_mina, at_jun = await room.said_at("mina", said), await room.said_at("jun", said)
        assert at_mina == at_jun and at_mina.get("agent") == author

    # joined, he speaks to the customer, in his own name
    await room.do("mina", "conference", contact=contact)
    await room.contact_at("jun", contact, role="joined")
    await room.do("jun", "message", contact=contact, text="Jun here, we pay it back")
    assert (await room.said_at("mina", "Jun here, we pay it back"))["agent"] == "jun"
    await customer_is_told(page, ("one moment", "Mina"), ("Jun here, we pay it back", "Jun"))

    assert await room.told("jun", "transfer", contact=contact, queue="second") == (409, "not-yours")
    assert await room.told("jun", "consult", contact=contact, agent="sora") == (409, "not-yours")
    await room.do("mina", "leave", contact=contact, agent="jun")
    assert await room.gone_from("jun", contact) == ("left", None)
    assert await room.told("jun", "message", contact=contact, text="too late") == (409, "not-yours")
    assert await room.told("mina", "leave", contact=contact, agent="jun") == (404, "no-participant")
    await page.say("m3", "only for mina")
    await room.said_at("mina", "only for mina")
    await room.do("jun", "status", presence="available")  # later in the log than the message
    assert "only for mina" not in str(room.desks["jun"].seen)


async def test_a_guest_who_reloads_loses_nothing_and_sees_nothing_twice(room: Room) -> None:
    contact, page = await room.talk()
    await room.do("mina", "consult", contact=contact, agent="jun")
    conversation = (await room.contact_at("jun", contact))["conversation"]
    await page.say("m2", "before")
    cursor = (await room.desks["jun"].next("message"))["cursor"]
    await room.desks["jun"].close()
    await page.say("m3", "meanwhile")
    await room.do("mina", "message", contact=contact, text="a note", private=True)
    await room.do("mina", "conference", contact=contact)

    back = await room.sit("jun", cursor=cursor)  # the line broke: the same page comes back
    await room.contact_at("jun", contact, role="joined")
    await page.say("m4", "after")
    await room.said_at("jun", "after")
    numbers = [frame["message"]["number"] for frame in back.seen if frame["type"] == "message"]
    assert numbers == [2, 3, 4, 5], "from the record of its cursor on, which a page knows by its number"
    assert not [frame for frame in back.seen if frame["type"] == "view"]

    await back.close()
    anew = await room.sit("jun")  # the page was loaded anew: it begins with what is, and asks for the history
    (shown,) = (await anew.next("view"))["contacts"]
    assert (shown["id"], shown["role"], shown["messages"]) == (contact, "joined", 5)
    assert [number for number, _ in await room.history(conversation, "jun")] == [1, 2, 3, 4, 5]
    (mine,) = (await room.ask("jun", "GET", "/v1/agents/me/contacts")).json()["items"]
    assert mine == shown


async def test_handing_over_to_a_guest_keeps_the_others_in(room: Room) -> None:
    contact, page = await room.talk()
    await room.do("sora", "monitor", contact=contact)
    await room.do("mina", "consult", contact=contact, agent="jun")
    await room.do("mina", "transfer", contact=contact, agent="jun")
    assert await room.gone_from("mina", contact) == ("handed-over", "jun")
    assert (await room.contact_at("jun", contact, role="owner"))["agent"] == "jun"
    shown = await room.contact_at("sora", contact, agent="jun")
    assert [(each["agent"], each["role"]) for each in shown["participants"]] == [("sora", "monitoring")]
    await room.do("jun", "message", contact=contact, text="I go on from here")
    await customer_is_told(page, ("I go on from here", "Jun"))
    await room.said_at("sora", "I go on from here")
    await room.do("jun", "wrap-up", contact=contact)
    assert await room.gone_from("sora", contact) == ("wrapping", None)
    await room.do("jun", "complete", contact=contact, disposition="done")
    assert await room.gone_from("jun", contact) == ("handled", "jun")


async def test_who_cannot_be_consulted(room: Room) -> None:
    contact, _ = await room.talk()
    path = f"/v1/contacts/{contact}"
    assert await room.post("mina", f"{path}/consult", agent="mina") == (409, "is-in-already")
    assert await room.post("mina", f"{path}/consult", agent="nobody") == (404, "unknown-agent")
    assert await room.post("mina", f"{path}/consult", agent="owner") == (409, "agent-not-there")
    assert await room.post("mina", f"{path}/consult") == (422, "invalid")
    assert await room.post("mina", f"{path}/conference") == (409, "nobody-consulted")
    assert await room.post("jun", f"{path}/leave") == (404, "no-participant")
    assert await room.post("jun", f"{path}/consult", agent="sora") == (409, "not-yours")
    assert await room.post("mina", "/v1/contacts/nothing/consult", agent="jun") == (404, "unknown-contact")


async def test_the_same_wish_twice_is_one(room: Room) -> None:
    contact, _ = await room.talk()
    for _ in range(2):
        headers = {"Idempotency-Key": f"consult-{contact}"}
        answer = await room.ask(
            "mina", "POST", f"/v1/contacts/{contact}/consult", json={"agent": "jun"}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        assert await room.told("sora", "monitor", id_=f"monitor-{contact}", contact=contact) == OK
    assert await room.told("sora", "monitor", contact=contact) == (409, "is-in-already")


# -- supervisors


SUPERVISORS_OWN = {
    "move": {"queue": "second"},
    "reprioritise": {"tier": 1},
    "take-over": {},
    "monitor": {},
}


async def test_only_supervisors_may(room: Room) -> None:
    contact, _ = await room.talk()
    for command, args in SUPERVISORS_OWN.items():
        assert await room.post("jun", f"/v1/contacts/{contact}/{command}", **args) == (403, "not-allowed")
        assert await room.told("jun", command, contact=contact, **args) == (403, "not-allowed")
    assert await room.post("jun", "/v1/agents/mina/status", presence="away") == (403, "not-allowed")
    assert await room.told("jun", "set-status", agent="mina", presence="away") == (403, "not-allowed")
    (shown,) = (await room.ask("mina", "GET", "/v1/agents/me/contacts")).json()["items"]
    assert (shown["status"], shown.get("participants")) == ("active", None)


async def test_a_supervisor_listens_and_whispers(room: Room) -> None:
    contact, page = await room.talk()
    assert await room.post("sora", f"/v1/contacts/{contact}/monitor") == OK
    shown = await room.contact_at("sora", contact)
    assert (shown["role"], shown["customer"]["id"] != "") == ("monitoring", True)
    await page.say("m2", "I want the manager")
    await room.said_at("sora", "I want the manager")
    assert await room.told("sora", "message", contact=contact, text="here I am") == (409, "not-yours")
    await room.do("sora", "message", contact=contact, text="stay calm", private=True)
    assert (await room.said_at("mina", "stay calm"))["private"] is True
    await room.do("mina", "message", contact=contact, text="I understand")
    await room.said_at("sora", "I understand")
    await customer_is_told(page, ("I understand", "Mina"))
    assert await room.told("mina", "leave", contact=contact, agent="sora") == (403, "not-yours")
    await room.do("sora", "leave", contact=contact)
    assert await room.gone_from("sora", contact) == ("left", None)


async def test_a_supervisor_takes_a_chat_over_and_its_owner_is_told_by_whom(room: Room) -> None:
    contact, page = await room.talk()
    await room.do("mina", "consult", contact=contact, agent="jun")
    await room.do("sora", "take-over", contact=contact)
    assert await room.gone_from("mina", contact) == ("taken-over", "sora")
    assert await room.gone_from("jun", contact) == ("taken-over", "sora")
    assert (await room.contact_at("sora", contact, role="owner"))["status"] == "active"
    assert await room.told("mina", "message", contact=contact, text="but") == (409, "not-yours")
    await room.do("sora", "message", contact=contact, text="Sora speaking")
    await customer_is_told(page, ("Sora speaking", "Sora"))
    assert await room.post("sora", f"/v1/contacts/{contact}/take-over") == (409, "yours-already")
    await room.do("sora", "complete", contact=contact)
    kept = (await room.ask("sora", "GET", f"/v1/contacts/{contact}")).json()
    assert kept["agent"] == "sora", "history knows the last owner"


async def test_a_supervisor_moves_hurries_and_takes_over_who_waits(room: Room) -> None:
    await room.sit("sora", "away")

    async def waiting() -> list[dict[str, Any]]:
        return list((await room.ask("sora", "GET", "/v1/live")).json()["waiting"])

    for name in ("ann", "ben", "cho"):
        await room.customer(name)
    ann, ben, cho = await until(waiting, lambda rows: len(rows) == 3)
    assert await room.post("sora", f"/v1/contacts/{cho['id']}/reprioritise", tier=1) == OK
    assert await room.post("sora", f"/v1/contacts/{cho['id']}/reprioritise") == (422, "name-a-tier-or-a-head-start")
    assert await room.post("sora", f"/v1/contacts/{cho['id']}/reprioritise", tier=10) == (422, "invalid")
    rows = {row["id"]: row for row in await until(waiting, lambda rows: rows[2]["position"] == 1)}
    assert [rows[each["id"]]["position"] for each in (ann, ben, cho)] == [2, 3, 1]
    assert rows[cho["id"]]["tier"] == 1
    # a key that acts as nobody may do this too; its own name stands in the journal
    assert await room.post("", f"/v1/contacts/{ben['id']}/reprioritise", head_start_s=600) == OK
    await until(waiting, lambda rows: rows[1]["position"] == 2)
    assert await room.post("sora", f"/v1/contacts/{ann['id']}/move", queue="nowhere") == (404, "unknown-queue")
    assert await room.post("sora", f"/v1/contacts/{ann['id']}/move", queue="second") == OK
    assert (await until(waiting, lambda rows: rows[0]["queue"] == "second"))[0]["position"] == 1
    assert await room.post("", f"/v1/contacts/{ann['id']}/take-over") == (403, "not-an-agent")
    await room.do("sora", "take-over", contact=ann["id"])
    assert (await room.contact_at("sora", ann["id"]))["role"] == "owner"
    assert len(await until(waiting, lambda rows: len(rows) == 2)) == 2


async def test_an_offer_taken_over_is_over_for_whom_it_was_made_to(room: Room) -> None:
    await room.sit("mina", "available")
    await room.sit("sora", "away")
    await room.customer()
    offer = (await room.desks["mina"].next("offer"))["offer"]
    await room.do("sora", "take-over", contact=offer["contact"])
    ended = await room.desks["mina"].next("offer_ended")
    assert (ended["outcome"], ended["reason"]) == ("withdrawn", "taken-over")
    assert await room.gone_from("mina", offer["contact"]) == ("withdrawn", None)
    await room.contact_at("sora", offer["contact"], role="owner")


async def test_a_presence_that_a_supervisor_gave_says_so(room: Room) -> None:
    desk = await room.sit("mina", "available")
    path = "/v1/agents/mina/status"
    assert await room.post("sora", path, presence="away", reason="meeting") == OK
    shown = await agent_at(desk, "away")
    assert (shown["reason"], shown["by"]) == ("meeting", "sora")
    anew = await room.sit("mina")
    assert (await anew.next("view"))["agent"]["by"] == "sora"
    await room.do("mina", "status", presence="available")
    assert "by" not in await agent_at(anew, "available")
    assert await room.post("sora", "/v1/agents/nobody/status", presence="away") == (404, "unknown-agent")
    assert await room.post("sora", path, presence="dead") == (422, "invalid")
    await room.sit("sora", "away")
    await room.do("sora", "set-status", agent="mina", presence="offline")
    assert (await agent_at(anew, "offline"))["by"] == "sora"


async def test_the_wallboard_shows_who_takes_part(room: Room) -> None:
    contact, _ = await room.talk()
    await room.do("mina", "consult", contact=contact, agent="jun")
    people = {person["id"]: person for person in (await room.ask("sora", "GET", "/v1/live")).json()["agents"]}
    (own,) = people["mina"]["contacts"]
    assert (own["id"], own["role"], own["participants"][0]["agent"]) == (contact, None, "jun")
    (other,) = people["jun"]["attends"]
    assert (other["id"], other["role"], other["customer"]) == (contact, "consulted", own["customer"])
    assert people["jun"]["contacts"] == []


def test_what_became_of_a_guests_message_is_told_to_both() -> None:
    """Where a provider sends it: a text of whoever was joined, its sending and its receipt, on the two desks."""
    story = Story(center_of(person("mina"), person("jun")))
    story.on("mina")
    contact = story.arrives("ann", "sms")
    assert story.accepts("mina") is contact
    story.on("jun")
    audience = Audience()

    def told(wish: inputs.Input) -> list[tuple[str, str]]:
        happened = tuple(story.tell(wish).events)
        frames = frames_of(story.pool, happened, lambda: None, story.pool.t, "0.1", audience)
        return [(who, f"{frame.message.id}") for who, frame in frames if isinstance(frame, MessageFrame)] + [
            (who, frame.status) for who, frame in frames if isinstance(frame, StatusFrame)
        ]

    told(inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    told(inputs.ConferenceContact(agent="mina", contact=contact.id))
    ((first, key), (second, same)) = told(inputs.SendMessage(agent="jun", contact=contact.id))
    assert (first, second, key) == ("mina", "jun", same)
    told(inputs.ClaimSend(key=key, worker="w"))
    assert told(inputs.EndSend(key=key, result="accepted")) == [("mina", "sent"), ("jun", "sent")]
    receipt = inputs.ReceiveReceipt(message=key, status="delivered")
    assert told(receipt) == [("mina", "delivered"), ("jun", "delivered")]
    told(inputs.LeaveContact(agent="jun", contact=contact.id))
    assert told(inputs.ReceiveReceipt(message=key, status="read")) == [("mina", "read")]


# -- on the phone


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneCenter]:
    with phone_center(tmp_path_factory.mktemp("company-phone")) as center:
        yield center


async def talking(house: House) -> tuple[str, str, str]:
    """A caller talks to Mina; Jun and Sora, a supervisor, are there: (contact, call, leg)."""
    desk = await house.arrive("mina")
    call = await house.calls_in()
    offer = (await desk.next("offer"))["offer"]
    leg = await house.rings(house.phone("mina"))
    house.carrier.answer(leg)
    await house.talk(call, leg)
    await house.arrive("jun")
    house.keys["sora"] = await asyncio.to_thread(house.center.agent_key, house.id("sora"), "supervisor")
    house.desks["sora"] = await AgentDesk.open(house.center, house.keys["sora"])
    await house.arrive("sora")
    return offer["contact"], call, leg


async def participants(house: House, contact: str, *expected: tuple[str, str, bool]) -> None:
    """Who is in it besides the owner, once it is so: (agent, role, on the line)."""
    wanted = [(house.id(agent), role, on_line) for agent, role, on_line in expected]

    async def found() -> list[tuple[str, str, bool]]:
        items = (await house.get(f"/v1/contacts/{contact}")).get("participants", [])
        return [(each["agent"], each["role"], each["on_line"]) for each in items]

    await until(found, lambda items: items == wanted)


async def test_a_call_is_consulted_on_conferred_and_handed_over(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await talking(house)
        await house.do("mina", "consult", contact=contact, agent=house.id("jun"))
        await house.hears(call, f"play {MUSIC}")
        guest = await house.rings(house.phone("jun"))
        await participants(house, contact, ("jun", "consulted", False))
        house.carrier.answer(guest)
        await house.talk(leg, guest)  # without the customer
        assert house.carrier.talking(call) == set()
        await participants(house, contact, ("jun", "consulted", True))
        shown = (await house.desks["jun"].next("contact", timeout_s=30))["contact"]
        assert (shown["role"], shown["status"], shown["kind"]) == ("consulted", "held", "voice")

        await house.do("mina", "conference", contact=contact)
        await house.talk(call, leg, guest)
        await house.do("mina", "transfer", contact=contact, agent=house.id("jun"))
        await house.over(leg)
        await house.talk(call, guest)
        await house.contact(contact, agent=house.id("jun"), status="active")
        house.carrier.hang_up(call)
        await house.over(call, guest)
        await house.contact(contact, status="wrapping", agent=house.id("jun"))


async def test_whoever_listens_to_a_call_is_not_heard_and_may_take_it_over(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await talking(house)
        await house.do("sora", "monitor", contact=contact)
        ear = await house.rings(house.phone("sora"))
        house.carrier.answer(ear)
        await participants(house, contact, ("sora", "monitoring", True))
        (hook,) = [hook for hook in house.hooks("leg") if hook.params["CallSid"] == ear]
        silent = VoiceResponse()
        room = {"beep": "false", "muted": True, "start_conference_on_enter": True, "end_conference_on_exit": False}
        silent.dial().conference(contact, **room)
        assert normal(hook.body) == normal(str(silent))
        await house.carrier.until(lambda: house.carrier.calls[ear].conference == contact)

        # what she has heard is enough: her phone rings again, the caller waits with music, and is hers
        await house.do("sora", "take-over", contact=contact)
        await house.over(leg, ear)
        assert await gone(house, "mina", contact) == ("taken-over", house.id("sora"))
        again = await house.rings_again(house.phone("sora"))
        await house.hears(call, f"play {MUSIC}")
        house.carrier.answer(again)
        await house.talk(call, again)
        await house.contact(contact, agent=house.id("sora"), status="active")


async def hear(house: House, leg: str, *expected: str) -> None:
    """This leg comes to be heard by exactly these."""
    await house.carrier.until(lambda: house.carrier.talking(leg) == set(expected), 20)


async def test_a_supervisor_whispers_to_whoever_has_the_call_barges_in_and_listens(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await talking(house)
        await house.do("sora", "monitor", contact=contact, manner="whisper")
        voice = await house.rings(house.phone("sora"))
        house.carrier.answer(voice)
        await hear(house, voice, leg)
        (guest,) = (await house.contact(contact))["participants"]
        assert (guest["role"], guest["manner"]) == ("monitoring", "whisper")
        shown = (await house.desks["mina"].next("contact"))["contact"]
        while not shown.get("participants"):
            shown = (await house.desks["mina"].next("contact"))["contact"]
        assert shown["participants"][0]["manner"] == "whisper", "the owner sees who whispers"

        # the customer is held and hears nobody; the whisper goes on, and goes to the next owner
        await house.do("mina", "hold", contact=contact)
        await house.hears(call, f"play {MUSIC}")
        await hear(house, leg, voice)
        await hear(house, voice, leg)
        await house.do("mina", "resume", contact=contact)
        await hear(house, call, leg, voice)
        await house.do("mina", "consult", contact=contact, agent=house.id("jun"))
        second = await house.rings(house.phone("jun"))
        house.carrier.answer(second)
        await hear(house, leg, second, voice)
        await hear(house, voice, leg)
        await house.do("mina", "transfer", contact=contact, agent=house.id("jun"))
        await house.over(leg)
        await hear(house, voice, second)
        await hear(house, second, call, voice)

        for manner, heard in (("barge", (call, second)), ("listen", ()), ("barge", (call, second))):
            await house.do("sora", "monitor", contact=contact, manner=manner)
            await hear(house, voice, *heard)
            await hear(house, call, second, voice)
        assert len(house.calls_to(house.phone("sora"))) == 1
        again = await house.desks["sora"].do("monitor", contact=contact, manner="barge")
        assert (again["status"], again["code"]) == (409, "is-in-already")
        wrong = await house.desks["sora"].do("monitor", contact=contact, manner="shout")
        assert wrong["status"] == 422
        house.carrier.hang_up(second)
        await house.over(call, second, voice)
        await house.contact(contact, status="wrapping", agent=house.id("jun"))


async def test_a_guest_whose_phone_is_busy_is_gone(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await talking(house)
        house.carrier.phone(house.phone("jun"), None, busy=True)
        await house.do("mina", "consult", contact=contact, agent=house.id("jun"))
        assert await gone(house, "jun", contact) == ("leg-busy", None)
        await participants(house, contact)
        await house.contact(contact, status="held", agent=house.id("mina"))
        await house.do("mina", "resume", contact=contact)
        await house.talk(call, leg)


async def gone(house: House, agent: str, contact: str) -> tuple[str, str | None]:
    frame = await house.desks[agent].next("contact_gone", contact=contact)
    return frame["reason"], frame.get("by")


# -- as people see it


@pytest.fixture
async def people(browser: Browser, tmp_path: Path) -> AsyncIterator[People]:
    """A center of its own, where nobody but the browsers counts as a desk."""
    with Center(tmp_path / "data", CONFIG) as center:
        people = People(browser, center)
        yield people
        for context in browser.contexts:
            await context.close()


async def choose(page: Page, name: str) -> None:
    """By keyboard alone."""
    await expect(at(page, name)).to_be_visible(timeout=WAIT_MS)  # a dialog takes the focus when it opens
    await at(page, name).focus()
    await page.keyboard.press("Enter")


async def expect_notes(page: Page, *said: str) -> None:
    """These are the last words in the conversation on a desk."""
    await expect(at(page, "message").last).to_contain_text(said[-1], timeout=WAIT_MS)
    assert [words for _, _, words in (await shown(page, "message"))[-len(said) :]] == list(said)


@pytest.mark.browser
async def test_a_colleague_is_consulted_and_a_supervisor_takes_over_in_the_browser(people: People) -> None:
    _, mina = await people.agent("mina")
    await available(mina)
    _, customer = await people.customer()
    await say(customer, "배송이 아직 안 왔어요")
    await at(mina, "offer-accept").click(timeout=WAIT_MS)
    await expect(at(mina, "conversation")).to_have_attribute("data-role", "owner", timeout=WAIT_MS)
    await answer(mina, "확인해 보겠습니다")
    _, jun = await people.agent("jun")
    await available(jun)
    context, sora = await people.agent("sora")
    await available(sora)

    # Mina consults Jun: his state is shown as it is
    await choose(mina, "consult")
    await expect(at(mina, "target-agent-mina")).to_have_count(0)
    await expect(at(mina, "target-agent-owner")).to_be_disabled()
    await at(jun, "status").select_option("away:meeting")
    await expect(at(mina, "target-agent-jun")).to_have_attribute("data-presence", "away", timeout=WAIT_MS)
    await at(mina, "target-agent-jun").focus()
    await mina.keyboard.press("Space")
    await picture(mina, "consult-dialog")
    await choose(mina, "consult-submit")
    await expect(at(jun, "conversation")).to_have_attribute("data-role", "consulted", timeout=WAIT_MS)
    await expect(at(jun, "message")).to_have_count(2, timeout=WAIT_MS)
    await expect(at(jun, "private")).to_be_disabled()
    await expect(at(jun, "transfer")).to_have_count(0)
    await expect(at(mina, "participant-jun")).to_have_attribute("data-role", "consulted", timeout=WAIT_MS)
    await answer(jun, "창고에 있어요, 내일 도착")
    await expect_notes(mina, "창고에 있어요, 내일 도착")
    await picture(jun, "consulted")

    # he reloads, is joined, and speaks
    await jun.reload()
    await expect(at(jun, "message")).to_have_count(3, timeout=WAIT_MS)
    await picture(mina, "owner-with-guest")
    await at(jun, "composer").fill("뭐라고 말할까")  # begun as a note, so it stays one
    await choose(mina, "conference")
    await expect(at(jun, "conversation")).to_have_attribute("data-role", "joined", timeout=WAIT_MS)
    await expect(at(jun, "private")).to_be_enabled()
    await expect(at(jun, "private")).to_be_checked()
    await at(jun, "private").uncheck()
    await answer(jun, "내일 도착합니다")
    await expect(at(customer, "naru-message").last).to_contain_text("내일 도착합니다", timeout=WAIT_MS)
    await expect(at(customer, "naru-message").last).to_contain_text("Jun")
    assert "창고" not in await at(customer, "naru-log").inner_text()
    await picture(jun, "joined")
    await choose(jun, "leave")
    await expect(at(jun, "conversation")).to_have_count(0, timeout=WAIT_MS)
    await expect(at(mina, "company")).to_have_count(0, timeout=WAIT_MS)

    # Sora listens from the wallboard, whispers at her desk, and takes over
    board = await context.new_page()
    await board.goto(f"{people.center.url}/wallboard")
    work = at(board, "agent-mina").locator("button.work")
    await expect(work).to_have_count(1, timeout=WAIT_MS)
    await work.focus()
    await board.keyboard.press("Enter")
    await picture(board, "board-work")
    await expect(at(board, "whisper")).to_have_count(0)  # in writing, that is a note
    await expect(at(board, "stop")).to_have_count(0)
    await choose(board, "monitor")
    await expect(at(board, "did")).to_be_visible(timeout=WAIT_MS)
    await expect(at(sora, "conversation")).to_have_attribute("data-role", "monitoring", timeout=WAIT_MS)
    await say(customer, "매니저 바꿔 주세요")
    await expect(at(sora, "message").last).to_contain_text("매니저", timeout=WAIT_MS)
    await answer(sora, "제가 받을게요")
    await expect_notes(mina, "매니저 바꿔 주세요", "제가 받을게요")
    await expect(at(mina, "participant-sora").locator("button")).to_have_count(0)
    await expect(at(sora, "private")).to_be_disabled()
    await picture(sora, "monitoring")

    # she barges in, is seen to do so, speaks to the customer as herself, and only listens again
    await choose(sora, "manner-barge")
    await expect(at(mina, "participant-sora")).to_have_attribute("data-manner", "barge", timeout=WAIT_MS)
    await expect(at(sora, "private")).to_be_enabled(timeout=WAIT_MS)
    await at(sora, "private").uncheck()
    await answer(sora, "매니저 소라입니다")
    await expect(at(customer, "naru-message").last).to_contain_text("매니저 소라입니다", timeout=WAIT_MS)
    await expect(at(customer, "naru-message").last).to_contain_text("Sora")
    await picture(sora, "barging")
    await choose(sora, "manner-listen")
    await expect(at(mina, "participant-sora")).to_have_attribute("data-manner", "listen", timeout=WAIT_MS)
    await expect(at(sora, "private")).to_be_disabled(timeout=WAIT_MS)
    await work.focus()
    await board.keyboard.press("Enter")
    await expect(at(board, "monitor")).to_be_disabled()
    await choose(board, "stop")
    await expect(at(sora, "conversation")).to_have_count(0, timeout=WAIT_MS)
    await work.focus()
    await board.keyboard.press("Enter")
    await expect(at(board, "monitor")).to_be_enabled(timeout=WAIT_MS)
    await choose(board, "monitor")
    await expect(at(sora, "conversation")).to_have_attribute("data-role", "monitoring", timeout=WAIT_MS)
    await picture(board, "board-monitoring")
    await work.focus()
    await board.keyboard.press("Enter")
    await choose(board, "take-over")
    await picture(board, "board-take-over")
    await choose(board, "act-submit")
    await expect(at(sora, "conversation")).to_have_attribute("data-role", "owner", timeout=WAIT_MS)
    await expect(at(mina, "toast")).to_contain_text("Sora", timeout=WAIT_MS)
    await expect(at(mina, "conversation")).to_have_count(0)
    await at(sora, "private").uncheck()
    await answer(sora, "소라입니다, 제가 도와드릴게요")
    await expect(at(customer, "naru-message").last).to_contain_text("소라입니다", timeout=WAIT_MS)

    # Mina's state is changed for her, and says by whom, over a reload too
    await at(board, "agent-mina").locator('[data-test="change-state"]').click()
    await at(board, "state-away").check()
    await at(board, "state-reason").select_option("training")
    await picture(board, "board-state")
    await choose(board, "act-submit")
    await expect(at(mina, "forced")).to_have_attribute("data-by", "sora", timeout=WAIT_MS)
    await mina.reload()
    await expect(at(mina, "forced")).to_contain_text("Sora", timeout=WAIT_MS)
    await picture(mina, "forced")
    await choose(mina, "forced-read")
    await expect(at(mina, "forced")).to_have_count(0)

    # and who waits is moved and hurried
    await at(sora, "status").select_option("away")
    for text in ("첫 번째", "두 번째"):
        _, other = await people.customer()
        await say(other, text)
    rows = at(board, "waiting-row")
    await expect(rows).to_have_count(2, timeout=WAIT_MS)
    second = at(board, "waiting-row").nth(1)
    await picture(board, "board-waiting")
    await second.locator('[data-test="priority"]').click()
    await at(board, "priority-tier").select_option("1")
    await picture(board, "board-priority")
    await choose(board, "act-submit")
    await expect(second.locator("td").first).to_have_text("1", timeout=WAIT_MS)
    await second.locator('[data-test="move"]').click()
    await at(board, "move-queue").select_option("second")
    await choose(board, "act-submit")
    await expect(second).to_contain_text("Second", timeout=WAIT_MS)
    people.assert_silent()

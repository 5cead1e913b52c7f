"""Texts through a real center and a carrier that signs as Twilio does, with every way in which sending can go wrong."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from naru.bus.base import IN
from naru.wire import decode_envelope
from router.model import Thread, conversation_id
from support.carrier import TOKEN, House, PhoneCenter, Reply, open_shop, phone_center, until

HELLO = "안녕하세요, 배송이 궁금해요"
ANSWER = "네, 오늘 도착합니다 😀"


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneCenter]:
    with phone_center(tmp_path_factory.mktemp("sms")) as center:
        yield center


async def _accepted(house: House, agent: str = "mina") -> dict[str, Any]:
    """A text has come and is accepted over REST: the offer."""
    desk = await house.arrive(agent)
    await house.texts_in(HELLO)
    offer: dict[str, Any] = (await desk.next("offer"))["offer"]
    answer = await house.ask("POST", f"/v1/offers/{offer['id']}/accept", agent)
    assert answer.status_code == 200, answer.text
    return offer


async def _replies(house: House, offer: dict[str, Any], text: str = ANSWER, agent: str = "mina") -> None:
    answer = await house.ask("POST", f"/v1/contacts/{offer['contact']}/messages", agent, json={"text": text})
    assert answer.status_code == 200, answer.text


def _sent(house: House) -> list[tuple[str, str, str]]:
    return [(m.to, m.body, m.status) for m in house.carrier.messages.values() if m.direction == "outbound-api"]


async def test_a_text_is_routed_answered_handed_on_and_completed(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        assert (offer["kind"], offer["customer"]["address"], offer["language"]) == ("sms", house.caller, "ko")
        await _replies(house, offer)
        said = await house.conversation(offer["conversation"], status="delivered")
        assert [(m["author"], m["parts"][0]["text"]) for m in said] == [("customer", HELLO), ("agent", ANSWER)]
        assert _sent(house) == [(house.caller, ANSWER, "delivered")]

        jun = await house.arrive("jun")
        body = {"agent": house.id("jun"), "note": "knows the courier"}
        answer = await house.ask("POST", f"/v1/contacts/{offer['contact']}/transfer", "mina", json=body)
        assert answer.status_code == 200, answer.text
        second = (await jun.next("offer"))["offer"]
        assert second["contact"] == offer["contact"]
        await house.ask("POST", f"/v1/offers/{second['id']}/accept", "jun")
        await house.texts_in("고맙습니다")
        assert (await jun.next("message"))["message"]["parts"][0]["text"] == "고맙습니다"
        await _replies(house, offer, "천만에요", "jun")
        await house.conversation(offer["conversation"], status="delivered", number=4)
        assert [body for _, body, _ in _sent(house)] == [ANSWER, "천만에요"]

        finish = {"disposition": "done"}
        answer = await house.ask("POST", f"/v1/contacts/{offer['contact']}/complete", "jun", json=finish)
        assert answer.status_code == 200, answer.text
        done = await house.contact(offer["contact"], outcome="handled")
        assert (done["agent"], done["disposition"]) == (house.id("jun"), "done")
        assert await house.today("arrived") == 1


async def test_a_webhook_that_comes_twice_is_one_message(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        await house.texts_in(HELLO, repeat=2)
        offer = (await desk.next("offer"))["offer"]
        await house.texts_in("still there?")
        said = await house.conversation(offer["conversation"], number=2)
        assert [m["parts"][0]["text"] for m in said] == [HELLO, "still there?"]
        assert await house.today("arrived") == 1
        assert len(house.hooks("")) == 3


async def test_a_number_that_cannot_be_reached_is_shown_as_failed(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        house.carrier.undeliverable.add(house.caller)
        await _replies(house, offer)
        (_, ours) = await house.conversation(offer["conversation"], status="failed")
        assert ours["detail"] == "30003"
        assert house.rest.count("Messages") == 1


def _inputs_of_channels(house: House) -> int:
    """How many inputs the log has from any channel."""
    with contextlib.closing(sqlite3.connect(house.center.folder / "log.sqlite")) as log:
        values = log.execute("SELECT value FROM log WHERE topic = ?", (IN,)).fetchall()
    return sum(decode_envelope(value).actor.startswith("channel:") for (value,) in values)


@pytest.mark.parametrize("forgery", ["token", "url", "field", "none", "other channel"])
async def test_a_wrong_signature_is_refused_and_leaves_nothing(shops: PhoneCenter, forgery: str) -> None:
    async with open_shop(shops) as house:
        hook = await house.hook("sms")
        fields = {"MessageSid": "SM1", "From": house.caller, "To": house.shop, "Body": HELLO}
        signed = dict(fields, Body="something else") if forgery == "field" else fields
        url = {"url": f"{hook}/status", "other channel": await house.hook("phone")}.get(forgery, hook)
        sign = RequestValidator("guessed" if forgery == "token" else TOKEN).compute_signature
        headers = {} if forgery == "none" else {"X-Twilio-Signature": sign(url, signed)}
        conversation = conversation_id(house.id("sms"), Thread(external=house.caller))
        before = _inputs_of_channels(house)
        async with httpx2.AsyncClient() as client:
            answer = await client.post(hook, data=fields, headers=headers)
            assert answer.status_code == 403
            assert _inputs_of_channels(house) == before
            assert await house.today("arrived") == 0
            messages = f"/v1/conversations/{conversation}/messages"
            assert (await house.ask("GET", messages)).status_code == 404
            good = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(hook, fields)}
            assert (await client.post(hook, data=fields, headers=good)).status_code == 200
            assert len(await house.conversation(conversation, number=1)) == 1
        assert _inputs_of_channels(house) == before + 1


async def test_a_receipt_that_comes_before_the_end_of_the_send(shops: PhoneCenter) -> None:
    """The message is delivered while its own request is still unanswered; the late `sent` takes nothing back."""
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        delivered = asyncio.Event()
        house.rest.faults["Messages"] = [Reply(0, done=True, after=delivered)]
        await _replies(house, offer)
        await house.conversation(offer["conversation"], status="delivered")
        delivered.set()
        await house.desks["mina"].next("message_status", status="sent")
        await house.conversation(offer["conversation"], status="delivered")
        assert _sent(house) == [(house.caller, ANSWER, "delivered")]


BROKEN = {
    "500": Reply(500, '{"message": "oops"}'),
    "html": Reply(200, "<html>Welcome to our hotel</html>", "text/html"),
    "502 html": Reply(502, "<html>Bad gateway</html>", "text/html"),
    "cut off": Reply(201, '{"sid": "SM', cut=True),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_an_unclear_answer_is_shown_and_never_repeated(shops: PhoneCenter, broken: str) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        house.rest.faults["Messages"] = [BROKEN[broken]]
        await _replies(house, offer, "first")
        await house.conversation(offer["conversation"], status="uncertain")
        await _replies(house, offer, "second")
        (_, first, _) = await house.conversation(offer["conversation"], status="delivered", number=3)
        assert first["status"] == "uncertain"
        assert house.rest.count("Messages") == 2
        assert [body for _, body, _ in _sent(house)] == ["second"]


async def test_too_many_requests_are_tried_again(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        house.rest.faults["Messages"] = [Reply(429, '{"code": 20429, "message": "Too Many Requests"}')]
        await _replies(house, offer)
        await house.conversation(offer["conversation"], status="delivered")
        assert house.rest.count("Messages") == 2
        assert _sent(house) == [(house.caller, ANSWER, "delivered")]


async def test_a_refusal_is_shown_with_its_reason(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        house.rest.faults["Messages"] = [Reply(400, '{"code": 21610, "message": "Attempt to send to unsubscribed"}')]
        await _replies(house, offer)
        (_, ours) = await house.conversation(offer["conversation"], status="failed")
        assert ours["detail"] == "400 21610 Attempt to send to unsubscribed"
        assert house.rest.count("Messages") == 1


async def test_an_answer_that_is_too_long_is_not_sent(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        path = f"/v1/contacts/{offer['contact']}/messages"
        answer = await house.ask("POST", path, "mina", json={"text": "x" * 1601})
        assert (answer.status_code, answer.json()["code"]) == (422, "message-too-long")
        assert house.rest.count("Messages") == 0


@pytest.mark.slow
async def test_no_answer_in_time_is_unclear(shops: PhoneCenter) -> None:
    """Our own limit of 15 s, in real time."""
    async with open_shop(shops) as house:
        offer = await _accepted(house)
        never = asyncio.Event()
        house.rest.faults["Messages"] = [Reply(200, after=never)]
        await _replies(house, offer)
        path = f"/v1/conversations/{offer['conversation']}/messages"
        found = await until(
            lambda: house.get(path), lambda found: found["items"][-1]["status"] == "uncertain", within_s=25
        )
        never.set()
        assert found["items"][-1]["detail"].startswith("ReadTimeout")
        assert house.rest.count("Messages") == 1
        assert _sent(house) == []

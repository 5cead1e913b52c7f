"""Callers who would rather not wait: called back, or leaving a message, through a real center and a carrier that obeys
TwiML as Twilio does."""

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest

from support.carrier import House, PhoneCenter, open_shop, phone_center, until


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneCenter]:
    with phone_center(tmp_path_factory.mktemp("leave")) as center:
        yield center


async def _waits(house: House) -> str:
    """Somebody calls and hears which keys may be pressed."""
    call = await house.calls_in("keys")
    await house.is_asked(call, "Please hold. You are number 1 in line.To be called back, press 1.")
    return call


async def _promised(house: House) -> str:
    """The contact of a caller who has pressed the key and was told that the line may be left."""
    call = await _waits(house)
    house.carrier.press(call, "1")
    await house.hears(call, "say We will call you back")
    await house.over(call)
    found = (await house.get("/v1/callbacks"))["items"]
    (mine,) = [each["id"] for each in found if each["callback"]["number"] == house.caller]
    return str(mine)


async def test_who_presses_the_key_is_rung_once_an_agent_has_picked_up(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        house.carrier.phone(house.caller, None)
        contact = await _promised(house)
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        assert (offer["contact"], offer["callback"]["number"]) == (contact, house.caller)
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        customer = await house.rings(house.caller)
        house.carrier.answer(customer)
        await house.talk(leg, customer)
        house.carrier.hang_up(customer)
        await house.over(leg, customer)
        await house.contact(contact, status="wrapping")


async def test_who_is_not_there_is_tried_again_later_and_the_agent_is_free(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        house.carrier.phone(house.caller, None, busy=True)
        contact = await _promised(house)
        desk = await house.arrive("mina")
        await desk.next("offer")
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        await house.over(leg)
        found = await house.contact(contact, status="scheduled")
        assert found["callback"]["tries"] == 1 and "agent" not in found
        gone = await desk.next("contact_gone")
        assert (gone["contact"], gone["reason"]) == (contact, "unreached")
        cancelled = await house.ask("DELETE", f"/v1/callbacks/{contact}")
        assert cancelled.status_code == 200
        await house.contact(contact, outcome="closed")


async def test_who_calls_again_is_served_and_not_called_back(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact = await _promised(house)
        since = (await house.contact(contact))["enqueued_at"]
        call = await _waits(house)
        await house.contact(contact, outcome="called_again")
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        assert offer["waiting_since"] == since, "the place that was kept"
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        house.carrier.hang_up(call)
        await house.over(call, leg)


async def test_a_message_is_left_and_heard_at_the_desk(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await _waits(house)
        house.carrier.press(call, "2")
        await house.hears(call, "record")
        await house.carrier.speaks(call, 3)
        house.carrier.hang_up(call)
        await house.over(call)
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        assert (offer["kind"], offer["customer"]["address"]) == ("task", house.caller)
        await house.do("mina", "accept", offer=offer["id"])
        path = f"/v1/conversations/{offer['conversation']}/messages"
        found = await until(lambda: house.get(path), lambda found: bool(_files(found)), 60)
        body = await house.ask("GET", f"/v1/files/{_files(found)[0]}")
        assert body.content.startswith(b"ID3RE") and body.headers["content-type"] == "audio/mpeg"


def _files(found: dict[str, Any]) -> list[str]:
    return [part["file"] for message in found["items"] for part in message["parts"] if part.get("file")]


async def _ordered(house: House, **more: Any) -> str:
    """A callback in the queue that calls its customers first."""
    body = {"channel": house.id("keys"), "number": house.caller, "queue": house.id("first"), **more}
    made = await house.ask("POST", "/v1/callbacks", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["contact"])


async def test_the_customer_is_rung_first_and_hears_music_until_the_agent_has_picked_up(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        house.carrier.phone(house.caller, None)
        contact = await _ordered(house)
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        assert offer["contact"] == contact and offer["callback"]["customer_first"]
        customer = await house.rings(house.caller)
        assert house.calls_to(house.phone("mina")) == []
        house.carrier.answer(customer)
        leg = await house.rings(house.phone("mina"))
        await house.carrier.until(lambda: any("play" in e for e in house.carrier.calls[customer].events), 30)
        house.carrier.answer(leg)
        await house.talk(leg, customer)
        house.carrier.hang_up(customer)
        await house.over(leg, customer)
        await house.contact(contact, outcome="handled")


async def test_a_customer_who_is_rung_first_and_busy_costs_the_agent_nothing(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        house.carrier.phone(house.caller, None, busy=True)
        contact = await _ordered(house)
        desk = await house.arrive("mina")
        await desk.next("offer")
        gone = await desk.next("offer_ended")
        assert gone["reason"] == "customer-busy"
        assert (await house.contact(contact, status="scheduled"))["callback"]["tries"] == 1
        assert house.calls_to(house.phone("mina")) == []
        assert (await house.ask("GET", "/v1/agents/me/status", "mina")).json()["presence"] == "available"


async def test_a_callback_is_ordered_by_the_customers_clock(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a callback is for a time to come, by the real clock
        there = (
            (now + dt.timedelta(days=2)).astimezone(zoneinfo.ZoneInfo("Asia/Seoul")).replace(second=0, microsecond=0)
        )
        contact = await _ordered(house, at_local=f"{there:%Y-%m-%dT%H:%M}")
        assert (await house.contact(contact, status="scheduled"))["callback"]["at"] == there.timestamp()
        refused = {
            "timezone-needed": {"number": "+12125550123", "at_local": "2027-01-04T09:00"},
            "unknown-timezone": {"at_local": "2027-01-04T09:00", "timezone": "Mars/Olympus"},
            "no-such-time": {"at_local": "2027-03-14T02:30", "timezone": "America/New_York"},
            "two-times": {"at_local": "2027-01-04T09:00", "at": 1},
        }
        for code, wrong in refused.items():
            body = {"channel": house.id("keys"), "number": house.caller, **wrong}
            answer = await house.ask("POST", "/v1/callbacks", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_an_order_by_rest_is_a_place_in_line(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        house.carrier.phone(house.caller, None)
        body = {"channel": house.id("keys"), "number": house.caller, "name": "Kim"}
        headers = {"Idempotency-Key": f"order-{house.n}"}
        made = await house.ask("POST", "/v1/callbacks", json=body, headers=headers)
        again = await house.ask("POST", "/v1/callbacks", json=body, headers=headers)
        assert (made.status_code, again.status_code) == (201, 201)
        assert made.json()["contact"] == again.json()["contact"]
        wrong = await house.ask("POST", "/v1/callbacks", json={**body, "number": "anonymous"})
        assert wrong.status_code == 422
        await house.arrive("mina")
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        customer = await house.rings(house.caller)
        house.carrier.answer(customer)
        await house.talk(leg, customer)

"""What a caller hears and presses before the queue, what is recorded, and who picked up: through a real center and a
carrier that obeys TwiML as Twilio does."""

from collections.abc import Iterator

import pytest

from support.carrier import MUSIC, House, PhoneCenter, Reply, open_shop, phone_center

PLAY = f"play {MUSIC}"


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneCenter]:
    with phone_center(tmp_path_factory.mktemp("menu")) as center:
        yield center


async def _waiting(house: House) -> list[tuple[str, str | None]]:
    """(queue, language) of those who wait in this shop."""
    found = (await house.get("/v1/live"))["waiting"]
    mine = [each for each in found if each["queue"] in (house.id("care"), house.id("second"))]
    return [(each["queue"].removesuffix(str(house.n)), each.get("language")) for each in mine]


async def test_a_key_routes_the_call_and_the_agent_sees_why(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in("menu")
        await house.is_asked(call, "주문은 1번")
        assert await _waiting(house) == [], "who chooses is not in line yet"
        house.carrier.press(call, "1")
        await house.hears(call, "say Please hold. You are number 1 in line.")
        assert [queue for queue, _ in await _waiting(house)] == ["second"]
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        found = await house.contact(offer["contact"], queue=house.id("second"))
        assert found["attributes"]["intent"] == "order"


async def test_a_menu_within_a_menu_speaks_the_language_that_was_chosen(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in("menu")
        await house.is_asked(call, "주문은 1번")
        house.carrier.press(call, "2")
        await house.is_asked(call, "Urgent? 1")
        house.carrier.press(call, "1")
        await house.hears(call, PLAY)
        desk = await house.arrive("mina")
        found = await house.contact((await desk.next("offer"))["offer"]["contact"], queue=house.id("second"))
        assert found["language"] == "en"


async def test_who_presses_nothing_or_what_leads_nowhere_is_asked_again_and_then_queued(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in("menu")
        await house.is_asked(call, "주문은 1번")
        house.carrier.press(call, "7")
        await house.carrier.until(lambda: len(house.hooks("menu")) == 1)
        await house.is_asked(call, "주문은 1번")
        await house.hears(call, PLAY)  # after the second time of saying nothing
        assert [queue for queue, _ in await _waiting(house)] == ["care"]
        assert [hook.params.get("Digits") for hook in house.hooks("menu")] == ["7", None]


async def test_who_hangs_up_in_the_menu_was_never_there(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in("menu")
        await house.is_asked(call, "주문은 1번")
        house.carrier.hang_up(call)
        await house.carrier.until(lambda: len(house.hooks("status")) == 1)
        assert await _waiting(house) == []
        assert await house.today("arrived") == 0


async def test_a_talk_is_recorded_once_and_not_while_held(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        call = await house.calls_in("menu")
        await house.is_asked(call, "주문은 1번")
        house.carrier.press(call, "1")
        contact = (await desk.next("offer"))["offer"]["contact"]
        leg = await house.rings(house.phone("mina"))
        house.rest.faults[f"{call}.json"] = [Reply(500)]  # the move is made again, the recording is not begun again
        house.carrier.answer(leg)
        await house.talk(call, leg)
        await house.do("mina", "hold", contact=contact)
        await house.hears(call, PLAY)
        [recording] = house.carrier.recordings.values()
        assert (recording.call, recording.spans) == (call, ["in-progress", "paused"])
        await house.do("mina", "resume", contact=contact)
        await house.talk(call, leg)
        house.carrier.hang_up(call)
        await house.over(call, leg)
        assert list(house.carrier.recordings.values()) == [recording]
        assert recording.spans == ["in-progress", "paused", "in-progress", "completed"]


async def test_what_was_not_recorded_is_still_held_and_resumed(shops: PhoneCenter) -> None:
    """A carrier that cannot record does not keep anybody from talking."""
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        call = await house.calls_in("menu")
        house.rest.faults["Recordings"] = [Reply(403, '{"code": 20003}')] * 20
        await house.is_asked(call, "주문은 1번")
        house.carrier.press(call, "1")
        contact = (await desk.next("offer"))["offer"]["contact"]
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        await house.do("mina", "hold", contact=contact)
        await house.hears(call, PLAY)
        assert house.carrier.recordings == {}


async def test_who_comes_back_into_the_line_is_told_the_place_again(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        call = await house.calls_in("phone")
        contact = (await desk.next("offer"))["offer"]["contact"]
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        await house.do("mina", "status", presence="away")
        await house.do("mina", "transfer", contact=contact, queue=house.id("second"))
        await house.hears(call, "say Please hold. You are number 1 in line.")


async def test_what_picked_up_is_known_of_a_customer_who_is_called(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina")
        house.carrier.phone(house.caller, answer_after_s=None, answered_by="machine_start")
        body = {"channel": house.id("menu"), "to": house.caller}
        started = await house.ask("POST", "/v1/contacts", "mina", json=body)
        assert started.status_code == 201, started.text
        own = await house.rings(house.phone("mina"))
        house.carrier.answer(own)
        theirs = await house.rings(house.caller)
        house.carrier.answer(theirs)
        await house.talk(own, theirs)
        legs = {hook.params["CallSid"]: hook.params.get("AnsweredBy") for hook in house.hooks("leg")}
        assert legs == {own: None, theirs: "machine_start"}, "nobody listens to who picks up an agent's phone"
        contact = started.json()["contact"]
        await house.contact(contact, status="active")
        [recording] = house.carrier.recordings.values()
        assert recording.call == theirs, "and what is said is recorded, from the first word"
        await house.do("mina", "hold", contact=contact)
        await house.hears(theirs, PLAY)
        assert recording.spans == ["in-progress", "paused"]
        await house.do("mina", "resume", contact=contact)
        await house.talk(own, theirs)
        assert recording.spans == ["in-progress", "paused", "in-progress"]

"""Calls through a real center and a carrier that signs, dials and obeys TwiML as Twilio does."""

from collections.abc import Iterator

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from support.carrier import MUSIC, TOKEN, House, PhoneCenter, Reply, open_shop, phone_center, until

PLAY = f"play {MUSIC}"


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneCenter]:
    with phone_center(tmp_path_factory.mktemp("phone")) as center:
        yield center


async def _talking(house: House, agent: str = "mina") -> tuple[str, str, str]:
    """A caller and an agent in one conference: (contact, call, leg)."""
    desk = await house.arrive(agent)
    call = await house.calls_in()
    offer = (await desk.next("offer"))["offer"]
    leg = await house.rings(house.phone(agent))
    house.carrier.answer(leg)
    await house.talk(call, leg)
    await house.contact(offer["contact"], status="active", agent=house.id(agent))
    return offer["contact"], call, leg


async def test_a_call_waits_is_answered_held_handed_on_and_ended(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        carrier = house.carrier
        call = await house.calls_in()
        await house.hears(call, "say Please hold. You are number 1 in line.")
        await house.hears(call, PLAY)
        assert carrier.calls[call].where == "queue"

        mina = await house.arrive("mina")
        offer = (await mina.next("offer"))["offer"]
        assert (offer["kind"], offer["answer"], offer["customer"]["address"]) == ("voice", "phone", house.caller)
        first = await house.rings(house.phone("mina"))
        assert carrier.calls[first].from_ == house.shop
        assert carrier.talking(call) == set()
        carrier.answer(first)
        await house.talk(call, first)
        assert (await mina.next("contact"))["contact"]["status"] == "active"
        rooms = {carrier.calls[leg].conference for leg in (call, first)}
        assert rooms == {offer["contact"]}

        await house.do("mina", "hold", contact=offer["contact"])
        await house.hears(call, PLAY)
        assert carrier.talking(call) == carrier.talking(first) == set()
        assert carrier.calls[first].conference == offer["contact"]
        await house.do("mina", "resume", contact=offer["contact"])
        await house.talk(call, first)

        jun = await house.arrive("jun")
        await house.do("mina", "transfer", contact=offer["contact"], agent=house.id("jun"), note="wants a refund")
        await house.over(first)
        await house.hears(call, PLAY)
        assert (await jun.next("offer"))["offer"]["contact"] == offer["contact"]
        second = await house.rings(house.phone("jun"))
        carrier.answer(second)
        await house.talk(call, second)
        assert (await mina.next("contact_gone"))["reason"] == "transferred"

        carrier.hang_up(call)
        await house.over(call, second)
        wrapping = await house.contact(offer["contact"], status="wrapping", agent=house.id("jun"))
        assert wrapping["wrap_until"] > wrapping["since"]
        await house.do("jun", "complete", contact=offer["contact"], disposition="done")
        done = await house.contact(offer["contact"], outcome="handled")
        assert (done["disposition"], done["agent"]) == ("done", house.id("jun"))
        assert await house.today("arrived") == 1
        assert [hook.params["QueueResult"] for hook in house.hooks("left")] == ["redirected"]


async def test_a_call_is_handed_on_to_a_queue(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, first = await _talking(house)
        await house.do("mina", "hold", contact=contact)
        await house.do("mina", "transfer", contact=contact, queue=house.id("second"))
        await house.over(first)
        await house.arrive("jun")
        second = await house.rings(house.phone("jun"))
        house.carrier.answer(second)
        await house.talk(call, second)
        assert (await house.contact(contact))["queue"] == house.id("second")
        house.carrier.hang_up(call)
        await house.contact(contact, outcome="handled")  # that queue has no wrap-up
        await house.over(call, second)


async def test_the_place_in_line_is_said_to_everyone(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        first = await house.calls_in()
        await house.hears(first, "say Please hold. You are number 1 in line.")
        second = await house.calls_in(from_="+821011113333")
        await house.hears(second, "say Please hold. You are number 2 in line.")
        house.carrier.hang_up(first)
        await house.hears(second, "say Please hold. You are number 1 in line.")


async def test_the_agent_hangs_up_first(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await _talking(house)
        house.carrier.hang_up(leg)
        await house.over(call, leg)
        await house.contact(contact, status="wrapping")
        await house.do("mina", "complete", contact=contact, disposition="done")
        assert (await house.contact(contact, outcome="handled"))["disposition"] == "done"


async def test_wrap_up_at_the_desk_hangs_up_both(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, call, leg = await _talking(house)
        await house.do("mina", "wrap-up", contact=contact)
        await house.over(call, leg)
        await house.contact(contact, status="wrapping")


async def test_a_busy_phone_declines_and_the_next_agent_rings(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        house.carrier.phone(house.phone("mina"), None, busy=True)
        call = await house.calls_in()
        ended = await house.desks["mina"].next("offer_ended")
        assert (ended["outcome"], ended["reason"]) == ("declined", "busy")
        leg = await house.rings(house.phone("jun"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        assert (await house.contact(ended["contact"]))["agent"] == house.id("jun")


async def test_an_agent_who_declines_at_the_phone(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        await house.calls_in()
        house.carrier.hang_up(await house.rings(house.phone("mina")))
        assert (await house.desks["mina"].next("offer_ended"))["reason"] == "busy"
        await house.rings(house.phone("jun"))


async def test_no_answer_told_by_the_carrier(shops: PhoneCenter) -> None:
    """The carrier's 20 s pass in one; our own timer would still wait."""
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        call = await house.calls_in()
        first = await house.rings(house.phone("mina"))
        await house.over(first, status="no-answer")
        assert (await house.desks["mina"].next("offer_ended"))["outcome"] == "timed_out"
        await house.presence("mina", "unresponsive")
        second = await house.rings(house.phone("jun"))
        house.carrier.answer(second)
        await house.talk(call, second)


async def test_no_answer_by_our_own_timer_stops_the_ringing(shops: PhoneCenter) -> None:
    async with open_shop(shops, speed=1) as house:
        await house.arrive("mina", "jun")
        await house.calls_in("quick")
        first = await house.rings(house.phone("mina"))
        assert (await house.desks["mina"].next("offer_ended"))["outcome"] == "timed_out"
        await house.over(first, status="canceled")
        await house.presence("mina", "unresponsive")
        await house.rings(house.phone("jun"))


async def test_a_caller_who_leaves_while_the_phone_rings(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        call = await house.calls_in()
        offer = (await desk.next("offer"))["offer"]
        leg = await house.rings(house.phone("mina"))
        house.carrier.hang_up(call)
        await house.over(leg, status="canceled")
        ended = await desk.next("offer_ended")
        assert (ended["outcome"], ended["reason"]) == ("withdrawn", "customer-left")
        done = await house.contact(offer["contact"], outcome="abandoned")
        assert done["agent"] is None
        assert await house.today("abandoned") == 1


async def test_a_caller_who_leaves_while_waiting(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in()
        await house.hears(call, PLAY)
        house.carrier.hang_up(call)
        await until(lambda: house.today("abandoned"), lambda count: count == 1)
        waiting = (await house.get("/v1/live"))["waiting"]
        assert [contact for contact in waiting if contact["queue"] == house.id("care")] == []
        await house.carrier.until(lambda: len(house.hooks("status")) == 1)


async def test_a_webhook_that_comes_twice_is_one_call(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        call = await house.calls_in(repeat=2)
        leg = await house.rings(house.phone("mina"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        assert len(house.hooks("")) == 2
        assert await house.today("arrived") == 1
        assert house.calls_to(house.phone("jun")) == []


async def test_a_caller_nobody_heard_leave_frees_the_agent(shops: PhoneCenter) -> None:
    """The carrier tells the end of a call once. Whoever missed it learns it when the caller cannot be moved."""
    async with open_shop(shops, faultless=False) as house:
        call = await house.calls_in()
        await house.hears(call, PLAY)
        desk = await house.arrive("mina")
        offer = (await desk.next("offer"))["offer"]
        leg = await house.rings(house.phone("mina"))
        forgetful = house.carrier.calls[call]
        forgetful.callback = ""
        house.rest.faults[call] = [Reply(404, '{"code": 20404}'), Reply(404, '{"code": 20404}')]
        house.carrier.answer(leg)
        await house.over(leg)
        await house.contact(offer["contact"], status="wrapping")


async def test_moving_and_hanging_up_are_tried_again_when_unclear(shops: PhoneCenter) -> None:
    """They do no harm when they happen twice, so a broken answer must not leave anyone on the line."""
    async with open_shop(shops) as house:
        desk = await house.arrive("mina")
        call = await house.calls_in()
        await desk.next("offer")
        leg = await house.rings(house.phone("mina"))
        house.rest.faults[call] = [Reply(500)]
        house.carrier.answer(leg)
        await house.talk(call, leg)
        house.rest.faults[leg] = [Reply(200, "<html>", "text/html")]
        house.carrier.hang_up(call)
        await house.over(call, leg)


async def test_a_phone_that_cannot_be_dialled_blames_nobody(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        house.rest.faults["Calls.json"] = [Reply(400, '{"code": 21211, "message": "Invalid To"}')]
        call = await house.calls_in()
        ended = await house.desks["mina"].next("offer_ended")
        assert (ended["outcome"], ended["reason"]) == ("withdrawn", "leg-failed")
        leg = await house.rings(house.phone("jun"))
        house.carrier.answer(leg)
        await house.talk(call, leg)


async def test_a_leg_answered_too_late_is_hung_up(shops: PhoneCenter) -> None:
    """Its order ended unclearly, so its name was never known: it rings on, and is refused when it answers."""
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        house.rest.faults["Calls.json"] = [Reply(500, done=True)]
        call = await house.calls_in()
        late = await house.rings(house.phone("mina"))
        assert (await house.desks["mina"].next("offer_ended"))["reason"] == "leg-failed"
        leg = await house.rings(house.phone("jun"))
        house.carrier.answer(late)
        await house.over(late)
        house.carrier.answer(leg)
        await house.talk(call, leg)
        assert any("<Hangup/>" in hook.body or "<Hangup />" in hook.body for hook in house.hooks("leg"))


async def test_a_phone_is_not_dialled_again_when_nobody_waits_for_it(shops: PhoneCenter) -> None:
    """ "Again later" is of no use to an offer that lasts a second."""
    async with open_shop(shops) as house:
        await house.arrive("mina", "jun")
        house.rest.faults["Calls.json"] = [Reply(429, '{"code": 20429}')]
        call = await house.calls_in("quick")
        ended = await house.desks["mina"].next("offer_ended")
        assert (ended["outcome"], ended["reason"]) == ("withdrawn", "leg-failed")
        leg = await house.rings(house.phone("jun"))
        house.carrier.answer(leg)
        await house.talk(call, leg)
        assert house.calls_to(house.phone("mina")) == []


@pytest.mark.parametrize("result", ["error", "system-error", "queue-full"])
async def test_a_caller_whom_the_carrier_could_not_queue_is_gone(shops: PhoneCenter, result: str) -> None:
    async with open_shop(shops) as house:
        call = await house.calls_in()
        await house.hears(call, PLAY)
        url = f"{await house.hook('phone')}/left"
        fields = {"CallSid": call, "QueueResult": result, "CallStatus": "in-progress"}
        headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, fields)}
        async with httpx2.AsyncClient() as client:
            assert (await client.post(url, data=fields, headers=headers)).status_code == 200
        await until(lambda: house.today("abandoned"), lambda count: count == 1)


# -- an agent's own call


async def _dials(house: House) -> tuple[str, str]:
    """Mina calls the customer, whose phone rings once hers is answered: (contact, her leg)."""
    await house.arrive("mina")
    house.carrier.phone(house.caller, answer_after_s=None)
    started = await house.ask("POST", "/v1/contacts", "mina", json={"channel": house.id("phone"), "to": house.caller})
    assert started.status_code == 201, started.text
    own = await house.rings(house.phone("mina"))
    house.carrier.answer(own)
    return started.json()["contact"], own


async def test_an_own_call_rings_the_agent_first_then_the_customer(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, own = await _dials(house)
        theirs = await house.rings(house.caller)
        assert house.carrier.calls[theirs].from_ == house.shop
        house.carrier.answer(theirs)
        await house.talk(own, theirs)
        await house.contact(contact, status="active", direction="outbound")
        await house.do("mina", "hold", contact=contact)
        await house.hears(theirs, PLAY)
        await house.do("mina", "resume", contact=contact)
        await house.talk(own, theirs)
        house.carrier.hang_up(theirs)
        await house.over(own, theirs)
        await house.contact(contact, status="wrapping")
        await house.do("mina", "complete", contact=contact, disposition="done")
        assert (await house.contact(contact, outcome="handled"))["direction"] == "outbound"


async def test_an_own_call_is_handed_on_and_ended_by_the_customer(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        contact, own = await _dials(house)
        theirs = await house.rings(house.caller)
        house.carrier.answer(theirs)
        await house.talk(own, theirs)
        await house.arrive("jun")
        await house.do("mina", "transfer", contact=contact, agent=house.id("jun"))
        second = await house.rings(house.phone("jun"))
        house.carrier.answer(second)
        await house.talk(theirs, second)
        house.carrier.hang_up(theirs)
        await house.over(second)
        await house.contact(contact, status="wrapping", agent=house.id("jun"))


async def test_an_own_call_that_the_customer_does_not_take(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina")
        contact, own = await _dials(house)
        house.carrier.hang_up(await house.rings(house.caller))
        await house.over(own)
        await house.contact(contact, status="wrapping")


async def test_an_own_call_that_the_agent_does_not_take(shops: PhoneCenter) -> None:
    async with open_shop(shops) as house:
        await house.arrive("mina")
        house.carrier.phone(house.phone("mina"), None, busy=True)
        started = await house.ask(
            "POST", "/v1/contacts", "mina", json={"channel": house.id("phone"), "to": house.caller}
        )
        await house.contact(started.json()["contact"], outcome="failed")
        assert house.calls_to(house.caller) == []

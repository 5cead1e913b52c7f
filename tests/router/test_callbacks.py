"""Who would rather be called back hangs up and keeps the place: told to the pure core, with every way it can go wrong."""

import msgspec
import pytest

from router import callbacks, events, inputs
from router.calendar import Calendar
from router.config import Step
from router.effects import CancelLeg, EndCaller, RingLeg
from router.engine import Decision
from router.model import Identity, Thread
from router.talks import CUSTOMER_RINGS_S
from support.phone import CALL, CALLER, CUSTOMER, LEG, OTHER_LEG, Story, join, outcome

AWAY = "+821055556666"


def leaves(story: Story, to: str = "callback", number: str | None = None) -> Decision:
    return story.do(inputs.LeaveLine(channel="phone", call=CALL, to=to, number=number))  # type: ignore[arg-type]


def promised(story: Story | None = None, **more: object) -> Story:
    """Somebody has called, was told to wait, and has hung up with the promise of a callback."""
    story = story or Story(**more)
    story.call_comes()
    assert leaves(story).answer.status == 200
    story.call_ends()
    return story


def orders(story: Story, number: str = CALLER, **more: object) -> Decision:
    identity = Identity(scope="e164", kind="phone", value=number)
    return story.do(inputs.OrderCallback(channel="phone", identity=identity, **more))  # type: ignore[arg-type]


def customer_rings(story: Story) -> RingLeg:
    """Mina's phone is answered, and the customer's is dialled."""
    (ring,) = [send.effect for send in story.pool.memory.sends.values()]
    assert isinstance(ring, RingLeg) and ring.side == "agent"
    story.do(inputs.ClaimSend(key=ring.key, worker="w:1"))
    story.dialled(ring, LEG)
    return story.ring(story.answered(ring), CUSTOMER)


# -- from the line


def test_a_caller_who_leaves_is_told_so_and_keeps_the_place() -> None:
    story = Story()
    story.call_comes()
    came_at = story.contact.enqueued_at
    decision = leaves(story)
    assert decision.effects == [EndCaller(channel="phone", call=CALL, say="callback")]
    assert story.call_ends().answer.code == "already-over"
    assert (story.contact.status, story.contact.enqueued_at, story.contact.call) == ("queued", came_at, None)
    assert story.contact.callback is not None and story.contact.callback.number == CALLER


def test_the_agents_phone_rings_first_and_then_the_customers() -> None:
    story = promised()
    story.here("mina")
    assert story.contact.status == "offered"
    ring = customer_rings(story)
    assert (ring.side, ring.address) == ("customer", CALLER)
    story.answered(ring, CUSTOMER)
    contact = story.contact
    assert (contact.status, contact.agent, contact.call, contact.callback) == ("active", "mina", CUSTOMER, None)
    assert story.pool.memory.callbacks == {}
    story.leg_ends(ring, leg=CUSTOMER)
    assert story.contact.status == "wrapping"


def test_it_is_a_call_like_any_other_from_then_on() -> None:
    story = promised()
    story.here("mina")
    story.answered(customer_rings(story), CUSTOMER)
    story.do(inputs.HoldContact(agent="mina", contact=story.contact.id))
    story.do(inputs.ResumeContact(agent="mina", contact=story.contact.id))
    story.here("jun")
    story.do(inputs.TransferContact(agent="mina", contact=story.contact.id, queue="second"))
    assert (story.contact.status, story.contact.call) == ("offered", CUSTOMER)
    (ring,) = [send.effect for send in story.pool.memory.sends.values()]
    assert isinstance(ring, RingLeg) and ring.side == "agent"
    story.do(inputs.ClaimSend(key=ring.key, worker="w:1"))
    story.dialled(ring, OTHER_LEG)
    assert story.answered(ring, OTHER_LEG).effects == [join(story.contact.id, CUSTOMER)]


def test_another_number_can_be_named() -> None:
    story = Story()
    story.call_comes()
    leaves(story, number=AWAY)
    story.here("mina")
    assert customer_rings(story).address == AWAY


@pytest.mark.parametrize("number", ["", "anonymous", "12", "not a number"])
def test_a_number_that_cannot_be_rung_is_refused_and_the_caller_stays(number: str) -> None:
    story = Story()
    story.call_comes()
    decision = leaves(story, number=number)
    assert (decision.answer.status, decision.answer.code, decision.effects) == (422, "number-needed", [])
    assert story.contact.call == CALL


def test_who_withholds_the_number_must_name_one() -> None:
    story = Story()
    thread = Thread(external=CALL, kind="call")
    story.do(
        inputs.ReceiveCall(
            channel="phone", thread=thread, identity=Identity(scope="e164", kind="phone", value="anonymous")
        )
    )
    assert leaves(story).answer.code == "number-needed"
    assert leaves(story, number=AWAY).answer.status == 200


def test_once_an_agents_phone_rings_the_caller_stays() -> None:
    story = Story().here("mina")
    story.ring(story.call_comes())
    assert leaves(story).answer.code == "contact-is-offered"
    assert leaves(story, "voicemail").answer.status == 409
    assert story.contact.call == CALL


def test_pressing_the_key_twice_is_pressing_it_once() -> None:
    story = Story()
    story.call_comes()
    leaves(story)
    assert leaves(story).answer.code == "unknown-call"
    assert len(story.pool.contacts) == 1


# -- when it is reached


def test_a_customer_who_does_not_answer_is_tried_again_and_then_no_more() -> None:
    story = promised()
    story.here("mina")
    came_at = story.contact.enqueued_at
    for tries, pause_s in enumerate(callbacks.AGAIN_S, 1):
        ring = customer_rings(story)
        decision = story.leg_ends(ring, "no_answer", CUSTOMER)
        assert CancelLeg(channel="phone", leg=LEG) in decision.effects
        assert story.contact.status == "scheduled" and story.contact.callback is not None
        assert (story.contact.callback.tries, story.contact.agent) == (tries, None)
        assert story.presence("mina") == "available"
        assert story.pass_(pause_s - 60) == []
        story.pass_(60)
        assert (story.contact.status, story.contact.enqueued_at) == ("offered", came_at)
    assert outcome(story.leg_ends(customer_rings(story), "busy", CUSTOMER)) == "unreached"
    assert story.pool.contacts == {} and story.pool.memory.callbacks == {}


def test_an_agent_who_hangs_up_before_the_customer_answers_gives_the_callback_back() -> None:
    story = promised()
    story.here("mina")
    customer = customer_rings(story)
    decision = story.leg_ends(customer, leg=LEG)
    assert CancelLeg(channel="phone", leg=CUSTOMER) in decision.effects
    assert (story.contact.status, story.contact.agent) == ("offered", None)  # there is nobody else
    assert story.contact.callback is not None and story.contact.callback.tries == 0
    assert story.answered(customer, CUSTOMER).answer.status == 409, "whoever picks up now hears nobody: hang up"


@pytest.mark.parametrize("cause", ["busy", "no_answer", "failed"])
def test_an_agents_phone_that_is_not_answered_leaves_the_callback_in_line(cause: str) -> None:
    story = promised()
    story.here("mina")
    (ring,) = [send.effect for send in story.pool.memory.sends.values()]
    assert isinstance(ring, RingLeg)
    story.do(inputs.ClaimSend(key=ring.key, worker="w:1"))
    story.dialled(ring, LEG)
    story.leg_ends(ring, cause)
    assert story.contact.status in ("queued", "offered") and story.contact.callback is not None


def test_an_agent_may_end_it_while_the_customers_phone_rings() -> None:
    story = promised()
    story.here("mina")
    customer_rings(story)
    decision = story.do(inputs.CompleteContact(agent="mina", contact=story.contact.id))
    assert {CancelLeg(channel="phone", leg=leg) for leg in (LEG, CUSTOMER)} <= set(decision.effects)
    assert outcome(decision) == "handled"


def test_nobody_takes_over_while_the_customers_phone_rings() -> None:
    """Whoever picked up then would have heard nobody, and been rung a second time."""
    story = promised()
    story.here("mina")
    customer_rings(story)
    story.here("jun")
    assert story.do(inputs.TakeOver(agent="jun", contact=story.contact.id)).answer.code == "contact-is-active"


def test_a_supervisor_may_take_a_callback_out_of_the_line() -> None:
    story = promised()
    story.do(inputs.Connect(agent="jun", connection="g1:boot:jun"))
    story.do(inputs.SetPresence(agent="jun", presence="away"))
    decision = story.do(inputs.TakeOver(agent="jun", contact=story.contact.id))
    assert decision.answer.status == 200
    ring = story.ring(story.answered(story.ring(decision)), CUSTOMER)
    assert (ring.side, ring.address) == ("customer", CALLER)


# -- whoever calls again


def test_who_calls_again_has_the_place_and_is_not_called_back() -> None:
    story = promised()
    came_at, old = story.contact.enqueued_at, story.contact.id
    story.pass_(500)
    decision = story.do(
        inputs.ReceiveCall(
            channel="phone",
            thread=Thread(external="CA-again", kind="call"),
            identity=Identity(scope="e164", kind="phone", value=CALLER),
        )
    )
    assert outcome(decision) == "called_again"
    assert (story.contact.enqueued_at, story.contact.follows) == (came_at, old)
    assert story.pool.memory.callbacks == {}


def test_while_the_agents_phone_rings_for_the_callback_it_goes_on() -> None:
    story = promised()
    story.here("mina")
    customer_rings(story)
    story.do(
        inputs.ReceiveCall(
            channel="phone",
            thread=Thread(external="CA-again", kind="call"),
            identity=Identity(scope="e164", kind="phone", value=CALLER),
        )
    )
    assert sorted(contact.status for contact in story.pool.contacts.values()) == ["active", "queued"]


# -- ordered, and for later


def test_one_that_was_ordered_has_a_place_like_a_caller() -> None:
    story = Story()
    assert orders(story).answer.status == 201
    story.here("mina")
    assert customer_rings(story).address == CALLER


def test_one_for_later_comes_into_the_line_at_its_time() -> None:
    story = Story().here("mina")
    at = story.now + 3600
    orders(story, at=at)
    assert story.contact.status == "scheduled"
    assert story.pass_(3000) == []
    story.pass_(600)
    assert (story.contact.status, story.contact.enqueued_at) == ("offered", at)


def test_who_calls_before_the_time_that_was_asked_for_comes_at_the_end_of_the_line() -> None:
    story = Story()
    orders(story, at=story.now + 3600)
    decision = story.call_comes()
    assert outcome(decision) == "called_again"
    assert (story.contact.enqueued_at, story.contact.follows) == (story.now, None)


def test_a_time_that_has_passed_is_at_once() -> None:
    story = Story()
    orders(story, at=story.now - 60)
    assert story.contact.status == "queued"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"number": "anonymous"}, "number-needed"),
        ({"at": 1_800_000_000.0 + 40 * 86400}, "too-far-ahead"),
        ({"queue": "nowhere"}, "unknown-queue"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused(more: dict[str, object], code: str) -> None:
    story = Story()
    assert orders(story, **more).answer.code == code  # type: ignore[arg-type]
    assert story.pool.contacts == {}


def test_the_agent_who_was_asked_for_calls_if_there() -> None:
    story = Story().here("mina", "jun")
    orders(story, prefers="jun")
    assert story.contact.offer is not None and story.contact.offer.agent == "jun"


def test_the_agent_who_was_asked_for_is_waited_for_from_its_time_on() -> None:
    story = Story().here("mina", "jun")
    story.do(inputs.ReceiveCall(
        channel="phone", thread=Thread(external="CA-2", kind="call"),
        identity=Identity(scope="e164", kind="phone", value=AWAY),
    ))  # fmt: skip
    (busy,) = story.pool.contacts.values()
    assert busy.offer is not None
    other = busy.offer.agent
    orders(story, at=story.now + 5, prefers=other)
    story.pass_(6)
    (waits,) = (contact for contact in story.pool.contacts.values() if contact.callback is not None)
    assert (waits.status, waits.prefers, waits.prefer_until) == ("queued", (other,), waits.since + 60)


# -- the end of a wait


def test_a_step_may_end_a_wait_with_a_callback_that_no_later_step_ends() -> None:
    story = Story(steps=(Step(after_s=60, end="callback"),), max_wait_s=300)
    story.call_comes()
    (decision,) = story.pass_(60)
    assert decision.effects == [EndCaller(channel="phone", call=CALL, say="callback")]
    assert (story.contact.status, story.contact.step) == ("queued", 1)
    story.pass_(10_000)
    assert story.contact.status == "queued" and story.contact.promoted


def test_a_callback_is_not_ended_by_the_steps_for_those_on_the_line() -> None:
    story = Story(steps=(Step(after_s=30, tier=2), Step(after_s=600, end="close")))
    promised(story)
    story.pass_(3600)
    assert (story.contact.status, story.contact.step) == ("queued", 1)


def test_without_a_number_a_wait_that_ends_in_a_callback_ends_in_words() -> None:
    story = Story(steps=(Step(after_s=60, end="callback"),))
    story.do(
        inputs.ReceiveCall(
            channel="phone",
            thread=Thread(external=CALL, kind="call"),
            identity=Identity(scope="e164", kind="phone", value="anonymous"),
        )
    )
    (decision,) = story.pass_(60)
    assert decision.effects == [EndCaller(channel="phone", call=CALL, say="closed")]
    assert outcome(decision) == "closed"


@pytest.mark.parametrize(("how", "said"), [("close", None), ("message", "closed"), ("voicemail", "voicemail")])
def test_a_wait_may_end_otherwise(how: str, said: str | None) -> None:
    story = Story(steps=(Step(after_s=60, end=how),))  # type: ignore[arg-type]
    story.call_comes()
    (decision,) = story.pass_(60)
    (effect,) = decision.effects
    assert isinstance(effect, EndCaller)
    assert (effect.call, effect.say) == (CALL, said)
    assert (effect.caller is not None) == (how == "voicemail"), "whose message it is must be known when it is there"


def test_a_caller_may_choose_to_leave_a_message() -> None:
    story = Story()
    story.call_comes()
    decision = leaves(story, "voicemail")
    (effect,) = decision.effects
    assert isinstance(effect, EndCaller) and effect.say == "voicemail"
    assert outcome(decision) == "voicemail"


def test_a_call_that_is_found_on_the_line_after_we_let_it_go_is_not_taken_for_a_new_one() -> None:
    story = promised()
    assert story.call_comes().answer.code == "already-over"
    assert [contact.status for contact in story.pool.contacts.values()] == ["queued"]


@pytest.mark.parametrize("at", [None, 3600.0])
def test_a_callback_may_be_called_off(at: float | None) -> None:
    story = Story()
    orders(story, at=at and story.now + at)
    decision = story.do(inputs.CancelCallback(contact=story.contact.id, by="mina"))
    assert outcome(decision) == "closed" and story.pool.memory.callbacks == {}


def test_what_is_no_callback_or_has_begun_is_not_called_off() -> None:
    story = Story()
    story.call_comes()
    assert story.do(inputs.CancelCallback(contact=story.contact.id, by="mina")).answer.code == "no-callback"
    leaves(story)
    story.here("mina")
    assert story.do(inputs.CancelCallback(contact=story.contact.id, by="mina")).answer.code == "contact-is-offered"


def test_after_hours_a_callback_is_for_when_the_doors_open() -> None:
    story = Story(when_closed="callback", hours="day")
    shut = Calendar(id="day", name="Day", week={"mon": ("09:00-18:00",)})
    config = msgspec.structs.replace(story.pool.memory.config, calendars=(shut,))
    story.do(inputs.ApplyConfig(version=2, config=config))
    hours = story.pool.hours("care", "shop")
    assert hours is not None and not hours.is_open(story.now)
    decision = story.call_comes()
    assert decision.effects == [EndCaller(channel="phone", call=CALL, say="callback")]
    assert story.contact.callback is not None and story.contact.callback.at == hours.next_open(story.now)


def test_what_a_caller_has_recorded_is_a_task_for_whoever_serves_the_queue() -> None:
    story = Story().here("mina")
    story.do(
        inputs.ReceiveMessage(
            channel="phone",
            thread=Thread(external=CALL, kind="voicemail"),
            identity=Identity(scope="e164", kind="phone", value=CALLER),
            dedupe_key="RE1",
        )
    )
    contact = story.contact
    assert (contact.kind, contact.status, contact.has_legs) == ("task", "offered", False)
    assert contact.offer is not None
    assert story.do(inputs.AcceptOffer(agent="mina", offer=contact.offer.id)).answer.status == 200


def test_a_queue_that_is_gone_when_a_callback_is_due_is_replaced() -> None:
    story = Story()
    orders(story, queue="second", at=story.now + 600)
    config = story.pool.memory.config
    kept = tuple(queue for queue in config.queues if queue.id == "care")
    story.do(inputs.ApplyConfig(version=2, config=msgspec.structs.replace(config, queues=kept)))
    story.pass_(700)
    assert (story.contact.queue, story.contact.status) == ("care", "queued")


def test_what_is_restored_goes_on_the_same() -> None:
    story = promised()
    pool = type(story.pool)(msgspec.convert(msgspec.to_builtins(story.pool.memory), type(story.pool.memory)))
    assert pool.contacts[story.contact.id].callback == story.contact.callback
    assert pool.due_at() == story.pool.due_at()


def test_events_say_what_was_promised() -> None:
    story = Story()
    story.call_comes()
    (event,) = leaves(story).events
    assert event == events.CallbackPromised(contact=story.contact.id, number=CALLER)


# -- the customer's phone first


def customer_first(story: Story | None = None, **more: object) -> tuple[Story, RingLeg]:
    """Mina is kept for a talk whose customer is being rung."""
    story = promised(story, call_first="customer", **more)
    story.here("mina")
    ring = the_ring(story)
    assert (ring.side, ring.address, ring.at_once) == ("first", CALLER, False)
    assert story.contact.status == "offered" and story.contact.offer is not None
    story.do(inputs.ClaimSend(key=ring.key, worker="w:1"))
    story.dialled(ring, CUSTOMER)
    return story, ring


def the_ring(story: Story) -> RingLeg:
    (ring,) = [send.effect for send in story.pool.memory.sends.values()]
    assert isinstance(ring, RingLeg)
    return ring


def test_the_customers_phone_rings_first_where_the_queue_says_so() -> None:
    story, ring = customer_first()
    decision = story.answered(ring, CUSTOMER)
    own = story.ring(decision, LEG)
    assert (own.side, own.at_once) == ("agent", True)
    assert story.answered(own, LEG).effects == [join(story.contact.id, CUSTOMER)]
    contact = story.contact
    assert (contact.status, contact.agent, contact.call, contact.callback) == ("active", "mina", CUSTOMER, None)
    story.leg_ends(ring, leg=CUSTOMER)
    assert story.contact.status == "wrapping"


@pytest.mark.parametrize("cause", ["busy", "no_answer", "failed"])
def test_a_customer_who_does_not_answer_costs_the_agent_nothing(cause: str) -> None:
    story, ring = customer_first()
    idle_since = story.pool.agents["mina"].idle_stamp
    story.leg_ends(ring, cause, CUSTOMER)
    assert story.contact.status == "scheduled" and story.contact.callback is not None
    assert story.contact.callback.tries == 1 and story.contact.ringing is None
    assert story.presence("mina") == "available" and story.pool.agents["mina"].idle_stamp == idle_since
    assert story.pool.agents["mina"].cools_until is None
    story.pass_(callbacks.AGAIN_S[0] + 1)
    assert story.contact.status == "offered" and the_ring(story).key != ring.key


def test_a_customers_machine_is_hung_up_on_and_tried_again() -> None:
    story, ring = customer_first()
    decision = story.do(inputs.AnswerLeg(channel="phone", key=ring.key, leg=CUSTOMER, answered_by="machine"))
    assert decision.effects == [CancelLeg(channel="phone", leg=CUSTOMER)]
    assert story.contact.status == "scheduled"


def test_an_agents_phone_that_nobody_rang_answers_nothing_while_the_customers_rings() -> None:
    story, _ = customer_first()
    assert story.contact.offer is not None
    decision = story.do(inputs.AnswerLeg(channel="phone", key=story.contact.offer.id, leg=LEG))
    assert (decision.answer.status, decision.answer.code, decision.events) == (409, "customer-first", [])


def test_the_customer_is_rung_so_often_and_no_more() -> None:
    story, ring = customer_first()
    for pause in (*callbacks.AGAIN_S, None):
        contact = story.contact.id
        decision = story.leg_ends(ring, "no_answer", CUSTOMER)
        if pause is None:
            assert outcome(decision) == "unreached" and contact not in story.pool.contacts
            break
        story.pass_(pause + 1)
        ring = the_ring(story)
        story.do(inputs.ClaimSend(key=ring.key, worker="w:1"))
        story.dialled(ring, CUSTOMER)


def test_an_agent_who_goes_while_it_rings_takes_the_ringing_away_and_the_next_begins_anew() -> None:
    story, ring = customer_first()
    story.here("jun")
    assert story.contact.offer is not None
    decision = story.do(inputs.DeclineOffer(agent="mina", offer=story.contact.offer.id))
    assert CancelLeg(channel="phone", leg=CUSTOMER) in decision.effects
    again = the_ring(story)
    assert (again.side, again.key == ring.key, story.contact.offer.agent) == ("first", False, "jun")
    late = story.answered(ring, CUSTOMER)
    assert late.answer.status == 409


def test_a_customer_who_has_answered_and_whose_agent_does_not_is_the_first_in_line() -> None:
    """And no step sends him away, however long ago he came."""
    story, ring = customer_first(steps=(Step(after_s=5, end="message"),))
    story.here("jun")
    own = story.ring(story.answered(ring, CUSTOMER), LEG)
    decision = story.leg_ends(own, "no_answer", LEG)
    assert story.presence("mina") == "unresponsive"
    other = story.ring(decision, OTHER_LEG)
    assert (other.side, other.at_once, story.contact.call) == ("agent", True, CUSTOMER)
    story.leg_ends(other, "no_answer", OTHER_LEG)
    assert (story.contact.status, story.contact.call) == ("queued", CUSTOMER)
    story.pass_(60)
    assert story.contact.status == "queued"


def test_a_customer_who_has_answered_and_hangs_up_is_gone() -> None:
    story, ring = customer_first()
    own = story.ring(story.answered(ring, CUSTOMER), LEG)
    decision = story.leg_ends(ring, "completed", CUSTOMER)
    assert outcome(decision) == "abandoned" and CancelLeg(channel="phone", leg=LEG) in decision.effects
    assert story.presence("mina") == "available" and own.side == "agent"


def test_nobody_tells_how_the_ringing_ends() -> None:
    story, _ = customer_first()
    decisions = story.pass_(CUSTOMER_RINGS_S + 20.5 + 1)
    withdrawn = [
        event for decision in decisions for event in decision.events if isinstance(event, events.OfferWithdrawn)
    ]
    assert [event.reason for event in withdrawn] == ["customer-unknown"]
    assert CancelLeg(channel="phone", leg=CUSTOMER) in decisions[0].effects
    assert story.presence("mina") == "available"
    assert story.contact.status == "scheduled" and story.contact.callback is not None
    assert story.contact.callback.tries == 1


def test_a_customer_whom_nobody_has_dialled_yet_was_not_tried() -> None:
    story = promised(call_first="customer")
    story.here("mina")
    place = story.contact.enqueued_at
    for _ in range(5):
        story.pass_(CUSTOMER_RINGS_S + 20.5 + 0.1)
        assert story.contact.status == "scheduled" and story.presence("mina") == "available"
        assert story.contact.callback is not None and story.contact.callback.tries == 0
        story.pass_(callbacks.AGAIN_S[0])
    assert story.contact.enqueued_at == place


def test_where_the_agent_accepts_at_the_desk_the_agent_is_first() -> None:
    story = promised(call_first="customer", leg="on_accept")
    story.here("mina")
    assert story.pool.memory.sends == {}

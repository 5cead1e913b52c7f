"""The phone's stories, told to the pure core: every way in which a leg or a call can end, and what then shall be done."""

import ast
from pathlib import Path
from typing import Any

import pytest

from router import engine, events, inputs
from router.effects import EndCaller, RingLeg
from support.phone import (
    CALL,
    CALLER,
    CUSTOMER,
    LEG,
    OTHER_LEG,
    Story,
    cancel,
    end_caller,
    hold_caller,
    join,
    outcome,
)

# -- the good path


def test_answering_the_phone_accepts_and_brings_the_caller_in() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes())
    assert (ring.side, ring.address) == ("agent", "+821099990001")
    assert story.contact.offer is not None and story.contact.offer.leg == LEG
    decision = story.answered(ring)
    assert decision.answer.status == 200
    assert decision.effects == [join(story.contact.id)]
    assert (story.contact.status, story.contact.agent, story.contact.leg) == ("active", "mina", LEG)


def test_a_leg_that_answers_before_its_name_is_known_is_not_cancelled() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes(), leg=None)
    assert story.answered(ring).answer.status == 200
    assert story.dialled(ring, LEG).effects == []
    assert story.contact.status == "active"


@pytest.mark.parametrize("result", ["uncertain", "rejected"])
def test_a_leg_that_answered_is_there_whatever_became_of_its_order(result: str) -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes(), leg=None)
    story.answered(ring)
    story.do(inputs.EndSend(key=ring.key, result=result))  # type: ignore[arg-type]
    assert story.contact.status == "active"


def test_an_answer_told_twice_is_one() -> None:
    story = Story()
    ring = story.talking()
    decision = story.answered(ring)
    assert (decision.answer.status, decision.effects, decision.events) == (200, [], [])


@pytest.mark.parametrize("by", ["machine", "human", "unknown", None])
def test_who_picked_up_a_customers_phone_is_a_fact_of_the_leg_and_decides_nothing(by: Any) -> None:
    story = Story().here("mina")
    ring = story.ring(story.answered(story.ring(story.dials_out())), CUSTOMER)
    decision = story.do(inputs.AnswerLeg(channel="phone", key=ring.key, leg=CUSTOMER, answered_by=by), 2)
    assert decision.events == [
        events.LegJoined(contact=story.contact.id, leg=CUSTOMER, side="customer", answered_by=by)
    ]
    assert (story.contact.call, story.contact.status) == (CUSTOMER, "active")


# -- how an offered leg ends


def test_busy_is_declined_and_nothing_is_left_to_hang_up() -> None:
    story = Story().here("mina", "jun")
    ring = story.ring(story.call_comes())
    decision = story.leg_ends(ring, "busy")
    declined = decision.events[0]
    assert isinstance(declined, events.OfferDeclined) and declined.reason == "busy"
    (again,) = decision.effects
    assert isinstance(again, RingLeg) and again.address == "+821099990002"
    assert story.presence("mina") == "available"


def test_no_answer_is_a_timeout_and_the_agent_becomes_unresponsive() -> None:
    story = Story().here("mina", "jun")
    ring = story.ring(story.call_comes())
    decision = story.leg_ends(ring, "no_answer")
    assert isinstance(decision.events[0], events.OfferTimedOut)
    assert [type(effect) for effect in decision.effects] == [RingLeg]
    assert story.presence("mina") == "unresponsive"
    assert story.contact.offer is not None and story.contact.offer.agent == "jun"


def test_our_own_timer_hangs_up_the_leg_that_nobody_answered() -> None:
    story = Story().here("mina", "jun")
    ring = story.ring(story.call_comes())
    (decision,) = story.pass_(20.6)
    assert decision.effects[0] == cancel()
    assert story.presence("mina") == "unresponsive"
    assert story.leg_ends(ring, "canceled").answer.code == "already-over"


def test_a_failed_leg_is_withdrawn_with_a_cool_down_and_without_blame() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes())
    decision = story.leg_ends(ring, "failed")
    withdrawn = decision.events[0]
    assert isinstance(withdrawn, events.OfferWithdrawn) and withdrawn.reason == "leg-failed"
    assert (decision.effects, story.presence("mina"), story.contact.status) == ([], "available", "queued")
    (cooled,) = story.pass_(5)
    assert [type(effect) for effect in cooled.effects] == [RingLeg]


def test_busy_that_is_told_before_the_leg_has_a_name() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes(), leg=None)
    story.leg_ends(ring, "busy")
    assert story.dialled(ring, LEG).answer.status == 200
    assert story.contact.attempt == 2


def test_a_leg_that_ended_twice_ended_once() -> None:
    story = Story().here("mina", "jun")
    ring = story.ring(story.call_comes())
    story.leg_ends(ring, "busy")
    again = story.leg_ends(ring, "busy")
    assert (again.answer.code, again.events, again.effects) == ("already-over", [], [])


def test_answered_after_the_offer_ended_is_refused_so_that_the_edge_hangs_up() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes())
    story.pass_(20.6)
    late = story.answered(ring)
    assert (late.answer.status, late.answer.code, late.events, late.effects) == (409, "offer-is-over", [], [])


def test_a_leg_that_gets_its_name_after_the_offer_ended_is_cancelled() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes(), leg=None)
    (timed_out,) = story.pass_(20.6)
    assert timed_out.effects == []
    assert story.dialled(ring, LEG).effects == [cancel()]


def test_an_uncertain_leg_blames_nobody_and_is_refused_should_it_answer() -> None:
    story = Story().here("mina", "jun")
    ring = story.ring(story.call_comes(), leg=None)
    decision = story.do(inputs.EndSend(key=ring.key, result="uncertain"))
    assert [type(effect) for effect in decision.effects] == [RingLeg]
    assert story.contact.offer is not None and story.contact.offer.agent == "jun"
    assert story.presence("mina") == "available"
    assert story.answered(ring).answer.status == 409
    assert story.leg_ends(ring, "no_answer").answer.code == "already-over"
    assert story.presence("mina") == "available"


# -- the caller leaves


def test_caller_gone_while_the_phone_rings() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes())
    decision = story.call_ends()
    assert decision.effects == [cancel()]
    assert outcome(decision) == "abandoned"
    assert story.answered(ring).answer.status == 409
    assert story.pool.agents["mina"].contacts == []


def test_caller_gone_before_the_leg_was_dialled() -> None:
    story = Story().here("mina")
    (ring,) = story.call_comes().effects
    assert isinstance(ring, RingLeg)
    story.call_ends()
    assert story.do(inputs.ClaimSend(key=ring.key, worker="w:1")).answer.code == "not-wanted"
    assert story.pool.memory.sends == {}


def test_caller_gone_between_the_claim_and_the_dialling() -> None:
    story = Story().here("mina")
    ring = story.ring(story.call_comes(), leg=None)
    assert story.call_ends().effects == []
    assert story.dialled(ring, LEG).effects == [cancel()]


def test_caller_gone_while_waiting_is_abandoned() -> None:
    story = Story()
    story.call_comes()
    assert outcome(story.call_ends()) == "abandoned"
    assert story.call_ends().answer.code == "already-over"


def test_caller_hangs_up_then_wrap_up() -> None:
    story = Story()
    ring = story.talking()
    assert story.call_ends().effects == [cancel()]
    assert (story.contact.status, story.contact.agent) == ("wrapping", "mina")
    assert story.leg_ends(ring).answer.code == "already-over"
    assert story.call_ends().answer.code == "already-over"
    assert story.contact.status == "wrapping"


# -- in mid-call


def test_agent_hangs_up_first() -> None:
    story = Story()
    ring = story.talking()
    assert story.leg_ends(ring).effects == [end_caller()]
    assert story.contact.status == "wrapping"
    assert story.call_ends().answer.code == "already-over"


def test_agent_hangs_up_on_a_held_caller() -> None:
    story = Story()
    ring = story.talking()
    story.do(inputs.HoldContact(agent="mina", contact=story.contact.id))
    assert story.leg_ends(ring).effects == [end_caller()]


def test_hold_and_resume_move_the_caller_alone() -> None:
    story = Story()
    story.talking()
    id_ = story.contact.id
    assert story.do(inputs.HoldContact(agent="mina", contact=id_)).effects == [hold_caller(id_)]
    assert story.do(inputs.ResumeContact(agent="mina", contact=id_)).effects == [join(id_)]
    assert story.contact.leg == LEG


def test_hold_then_transfer() -> None:
    story = Story()
    first = story.talking()
    id_ = story.contact.id
    story.do(inputs.HoldContact(agent="mina", contact=id_))
    story.here("jun")
    decision = story.do(inputs.TransferContact(agent="mina", contact=id_, to_agent="jun"))
    assert cancel() in decision.effects
    assert hold_caller(id_) not in decision.effects
    second = story.ring(decision, OTHER_LEG)
    assert story.leg_ends(first).answer.code == "already-over"
    assert story.answered(second, OTHER_LEG).effects == [join(id_)]
    assert (story.contact.agent, story.contact.leg) == ("jun", OTHER_LEG)
    assert story.call_ends().effects == [cancel(OTHER_LEG)]


def test_caller_gone_during_a_transfer() -> None:
    story = Story()
    story.talking()
    story.here("jun")
    decision = story.do(inputs.TransferContact(agent="mina", contact=story.contact.id, to_agent="jun"))
    assert hold_caller(story.contact.id) in decision.effects
    story.ring(decision, OTHER_LEG)
    gone = story.call_ends()
    assert gone.effects == [cancel(OTHER_LEG)]
    assert outcome(gone) == "abandoned"


@pytest.mark.parametrize("command", [inputs.WrapUpContact, inputs.CompleteContact])
def test_an_agent_who_is_done_hangs_up_both(command: type[inputs.WrapUpContact]) -> None:
    story = Story()
    ring = story.talking()
    decision = story.do(command(agent="mina", contact=story.contact.id))
    assert decision.effects == [end_caller(), cancel()]
    assert story.leg_ends(ring).answer.code == "already-over"
    assert story.call_ends().answer.code == "already-over"


def test_a_queue_without_wrap_up_completes_at_once() -> None:
    story = Story(wrap_up_s=0)
    ring = story.talking()
    decision = story.leg_ends(ring)
    assert outcome(decision) == "handled"
    assert story.pool.agents["mina"].contacts == []


# -- dialled only when the desk accepts


def test_on_accept_the_leg_rings_after_the_desk_accepted() -> None:
    story = Story(leg="on_accept").here("mina")
    assert story.call_comes().effects == []
    assert story.contact.offer is not None
    ring = story.ring(story.do(inputs.AcceptOffer(agent="mina", offer=story.contact.offer.id)))
    assert story.answered(ring).effects == [join(story.contact.id)]
    assert story.leg_ends(ring).effects == [end_caller()]


def _accepted_at_desk() -> tuple[Story, RingLeg]:
    story = Story(leg="on_accept").here("mina", "jun")
    story.call_comes()
    assert story.contact.offer is not None
    decision = story.do(inputs.AcceptOffer(agent="mina", offer=story.contact.offer.id))
    return story, story.ring(decision, leg=None)


@pytest.mark.parametrize("known", [True, False])
def test_on_accept_a_phone_that_fails_gives_the_call_to_somebody_else(known: bool) -> None:
    story, ring = _accepted_at_desk()
    if known:
        story.dialled(ring, LEG)
        story.leg_ends(ring, "busy")
    else:
        story.do(inputs.EndSend(key=ring.key, result="rejected"))
    assert story.contact.offer is not None and story.contact.offer.agent == "jun"
    assert story.pool.agents["mina"].contacts == []


def test_on_accept_an_answered_leg_survives_an_unclear_order() -> None:
    story, ring = _accepted_at_desk()
    story.answered(ring)
    story.do(inputs.EndSend(key=ring.key, result="uncertain"))
    assert (story.contact.status, story.contact.leg) == ("active", LEG)


def test_on_accept_a_leg_named_after_the_caller_left_is_cancelled() -> None:
    story, ring = _accepted_at_desk()
    story.call_ends()
    assert story.contact.status == "wrapping"
    assert story.dialled(ring, LEG).effects == [cancel()]
    assert story.answered(ring).answer.status == 409


def test_on_accept_a_leg_is_not_dialled_for_a_call_that_is_over() -> None:
    story = Story(leg="on_accept").here("mina")
    story.call_comes()
    assert story.contact.offer is not None
    decision = story.do(inputs.AcceptOffer(agent="mina", offer=story.contact.offer.id))
    (ring,) = decision.effects
    assert isinstance(ring, RingLeg)
    story.call_ends()
    assert story.do(inputs.ClaimSend(key=ring.key, worker="w:1")).answer.code == "not-wanted"


def test_on_accept_an_own_call_dials_the_customer_too() -> None:
    story = Story(leg="on_accept").here("mina")
    story.dials_out()
    assert story.contact.offer is not None
    own = story.ring(story.do(inputs.AcceptOffer(agent="mina", offer=story.contact.offer.id)))
    assert story.ring(story.answered(own), CUSTOMER).side == "customer"


# -- an agent's own call


def test_own_call_rings_the_agent_then_the_customer() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    assert own.side == "agent"
    ring = story.ring(story.answered(own), CUSTOMER)
    assert (ring.side, ring.address) == ("customer", CALLER)
    assert story.answered(ring, CUSTOMER).answer.status == 200
    assert (story.contact.call, story.contact.leg) == (CUSTOMER, LEG)


@pytest.mark.parametrize("cause", ["busy", "no_answer", "failed"])
def test_own_call_that_the_agent_does_not_answer_failed(cause: str) -> None:
    story = Story().here("mina", "jun")
    own = story.ring(story.dials_out())
    decision = story.leg_ends(own, cause)
    assert outcome(decision) == "failed"
    assert (decision.effects, story.pool.contacts) == ([], {})
    assert story.pool.agents["mina"].contacts == []


def test_own_call_whose_agent_cannot_be_dialled_failed() -> None:
    story = Story().here("mina", "jun")
    own = story.ring(story.dials_out(), leg=None)
    decision = story.do(inputs.EndSend(key=own.key, result="rejected"))
    assert outcome(decision) == "failed"


def test_a_planned_break_begins_when_an_own_call_failed() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    story.do(inputs.SetPresence(agent="mina", presence="away", when="after"))
    story.leg_ends(own, "busy")
    assert story.presence("mina") == "away"


@pytest.mark.parametrize("cause", ["busy", "no_answer", "failed"])
def test_own_call_whose_customer_does_not_answer(cause: str) -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    ring = story.ring(story.answered(own), CUSTOMER)
    decision = story.leg_ends(ring, cause, CUSTOMER)
    assert decision.effects == [cancel()]
    assert story.contact.status == "wrapping"
    assert story.leg_ends(own).answer.code == "already-over"


def test_own_call_whose_customer_cannot_be_dialled() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    ring = story.ring(story.answered(own), leg=None)
    decision = story.do(inputs.EndSend(key=ring.key, result="rejected", detail="no such number"))
    assert decision.effects == [cancel()]
    assert story.contact.status == "wrapping"


def test_own_call_whose_customer_answered_before_the_order_ended_unclearly() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    ring = story.ring(story.answered(own), leg=None)
    story.answered(ring, CUSTOMER)
    decision = story.do(inputs.EndSend(key=ring.key, result="uncertain"))
    assert (decision.effects, story.contact.status) == ([], "active")


def test_agent_gives_up_before_the_customer_answers() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    ring = story.ring(story.answered(own), leg=None)
    assert EndCaller not in map(type, story.leg_ends(own).effects)
    assert story.contact.status == "wrapping"
    assert story.dialled(ring, CUSTOMER).effects == [cancel(CUSTOMER)]
    assert story.answered(ring, CUSTOMER).answer.status == 409


def test_a_called_customer_hangs_up() -> None:
    story = Story()
    ring = story.talking_out()
    assert story.leg_ends(ring, leg=CUSTOMER).effects == [cancel()]
    assert story.contact.status == "wrapping"


def _transferred_out() -> tuple[Story, RingLeg, RingLeg]:
    """A called customer on the way from Mina to Jun."""
    story = Story()
    customer = story.talking_out()
    story.here("jun")
    decision = story.do(inputs.TransferContact(agent="mina", contact=story.contact.id, to_agent="jun"))
    assert hold_caller(story.contact.id, CUSTOMER) in decision.effects
    return story, customer, story.ring(decision, OTHER_LEG)


def test_a_called_customer_who_was_handed_on_hangs_up() -> None:
    story, customer, second = _transferred_out()
    assert story.answered(second, OTHER_LEG).effects == [join(story.contact.id, CUSTOMER)]
    assert story.leg_ends(customer, leg=CUSTOMER).effects == [cancel(OTHER_LEG)]
    assert story.contact.status == "wrapping"


def test_a_called_customer_leaves_while_being_handed_on() -> None:
    story, customer, _ = _transferred_out()
    decision = story.leg_ends(customer, leg=CUSTOMER)
    assert decision.effects == [cancel(OTHER_LEG)]
    assert outcome(decision) == "abandoned"


def test_a_called_customer_is_not_dropped_because_the_next_agent_is_busy() -> None:
    story, _, second = _transferred_out()
    story.leg_ends(second, "busy", OTHER_LEG)
    assert story.contact.status in ("queued", "offered")


# -- and always


def test_only_apply_changes_what_is_remembered() -> None:
    """No rule writes to an attribute of anything but itself."""
    folder = Path(engine.__file__).parent
    for name in ("calls", "offers", "contacts", "intake", "presence", "participants", "talks", "waits", "engine"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AugAssign | ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                own = isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"
                assert own or not isinstance(target, ast.Attribute | ast.Subscript), f"{name}.py:{node.lineno}"


# -- own calls and legs that ring while something else ends


def test_an_own_call_that_nobody_answers_at_the_desk_ends_and_goes_to_nobody_else() -> None:
    story = Story().here("mina", "jun")
    story.ring(story.dials_out())
    (decision,) = story.pass_(20.6)
    assert outcome(decision) == "failed"
    assert decision.effects == [cancel()]
    assert story.pool.contacts == {}


def test_an_own_call_declined_at_the_desk_ends() -> None:
    story = Story().here("mina", "jun")
    story.ring(story.dials_out())
    offer = story.contact.offer
    assert offer is not None
    assert outcome(story.do(inputs.DeclineOffer(agent="mina", offer=offer.id))) == "failed"


def test_an_own_call_ends_when_its_agent_goes_away() -> None:
    story = Story().here("mina", "jun")
    story.ring(story.dials_out())
    assert outcome(story.do(inputs.SetPresence(agent="mina", presence="away"))) == "failed"


def test_giving_up_stops_the_customers_phone() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    story.ring(story.answered(own), CUSTOMER)
    assert story.leg_ends(own).effects == [cancel(CUSTOMER)]


def test_wrapping_up_stops_the_customers_phone() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    story.ring(story.answered(own), CUSTOMER)
    wrapped = story.do(inputs.WrapUpContact(agent="mina", contact=story.contact.id))
    assert cancel(CUSTOMER) in wrapped.effects


def test_a_caller_who_leaves_stops_the_phone_that_was_to_be_dialled_after_accepting() -> None:
    story, ring = _accepted_at_desk()
    story.dialled(ring, "CA-leg-1")
    assert story.call_ends().effects == [cancel()]


def test_hold_and_transfer_need_somebody_on_the_line() -> None:
    story = Story().here("mina")
    own = story.ring(story.dials_out())
    story.ring(story.answered(own), CUSTOMER)
    story.here("jun")
    contact = story.contact.id
    assert story.do(inputs.HoldContact(agent="mina", contact=contact)).answer.code == "nobody-on-the-line"
    moved = story.do(inputs.TransferContact(agent="mina", contact=contact, to_agent="jun"))
    assert moved.answer.code == "nobody-on-the-line"


# -- what a switch tells is looked up, never looked for


class Unsearched(dict[str, Any]):
    """Contacts that may be many: nobody may go through them for the sake of one call."""

    def _searched(self) -> Any:
        raise AssertionError("all contacts were looked through")

    values = items = keys = __iter__ = _searched


def test_no_event_of_a_call_looks_through_all_contacts() -> None:
    story = Story(wrap_up_s=0).here("mina", "jun")
    story.pool.contacts = story.pool.memory.contacts = Unsearched(story.pool.contacts)
    ring = story.ring(story.call_comes())
    assert story.answered(ring).answer.status == 200
    (contact,) = story.pool.agents["mina"].contacts
    story.do(inputs.ConsultAgent(agent="mina", contact=contact, to_agent="jun"))
    assert story.answered(ring).answer.status == 200  # told twice
    assert story.leg_ends(ring, leg="CA-nobody's").answer.code == "already-over"
    assert story.leg_ends(ring).effects[0] == end_caller()
    assert story.call_ends().answer.code == "already-over"
    assert not story.pool.named.contacts


def test_a_line_has_the_names_of_its_call_its_legs_and_what_is_on_order() -> None:
    story = Story()
    story.talking()
    story.here("jun")
    contact = story.contact
    assert story.pool.on_line("phone", CALL) is story.pool.on_line("phone", LEG) is contact
    assert story.pool.on_line("another", CALL) is None
    guest = story.ring(story.do(inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun")), leg=OTHER_LEG)
    assert story.pool.on_line("phone", guest.key) is contact
    story.answered(guest, OTHER_LEG)
    assert story.pool.on_line("phone", OTHER_LEG) is contact
    story.do(inputs.LeaveContact(agent="jun", contact=contact.id))
    assert story.pool.on_line("phone", OTHER_LEG) is None
    story.call_ends()
    assert contact.status == "wrapping"
    assert story.pool.on_line("phone", CALL) is None

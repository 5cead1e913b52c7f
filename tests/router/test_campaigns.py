"""A campaign's stories, told to the pure core: whom it keeps, how many lines it rings, and every end of a line.

Each step of each story is decided a second time by a pool that was restored the moment before (support.dialler).
"""

import msgspec
import pytest

from router import campaigns, events, inputs
from router.campaigns import SILENT_S
from router.config import Queue, Steer, Step, faults
from router.effects import CancelLeg, EndCaller, HoldCaller, JoinCaller, ReserveAttempt, RingLeg
from router.engine import Decision
from router.memory import Contact
from router.model import Identity, Thread
from support.dialler import QUEUES, Outreach, campaign, house, leg_of, of, only

HALF = 0.5
"""A ceiling by which each live answer that was served allows one line more than there are agents."""


def preview(*here: str, **more: object) -> Outreach:
    return Outreach(campaign("preview"), here=here or ("mina",), **more)  # type: ignore[arg-type]


def looked(story: Outreach, name: str = "mina") -> Contact:
    """The agent takes the offer of somebody to look at."""
    story.comes()
    contact = story.offered(name)
    assert contact is not None and contact.offer is not None
    assert contact.has_legs and contact.call is None
    return contact


def dials(story: Outreach, name: str = "mina") -> Contact:
    """The agent has looked, and picks up to dial: whether the person may be called is asked."""
    contact = looked(story, name)
    assert contact.offer is not None
    own = story.rung(story.tell(inputs.AcceptOffer(agent=name, offer=contact.offer.id)))
    assert own.side == "agent"
    story.picks_up(own, None)
    return contact


def free_to_ring(**more: object) -> Outreach:
    """A power campaign whose first live answer has been served: one line more may ring than Jun, who is alone."""
    story = Outreach(campaign("power", ratio=3, ceiling=HALF, **more), here=("jun",))
    story.completes("jun", story.talks("jun"))
    assert (story.counted(), story.kept(), story.state().out) == ((1, 0), ["jun"], 2)
    return story


def outcome(decision: Decision) -> str:
    found = only(decision, events.ContactCompleted)
    assert isinstance(found, events.ContactCompleted)
    return found.outcome


# -- preview


def test_in_preview_the_agent_looks_then_dials_and_leave_is_asked_a_second_time() -> None:
    story = preview()
    (first,) = story.leaves
    assert (first.look, first.agent, first.person) == (True, "mina", None)
    contact = dials(story)
    (second,) = story.leaves
    assert (second.look, second.person, second.key) == (False, "p1", first.key)
    ring = story.rung(story.comes())
    assert (ring.side, ring.address) == ("customer", "+8210p1")
    story.picks_up(ring)
    assert (contact.status, contact.agent, contact.call) == ("active", "mina", leg_of(ring))
    assert story.counted() == (1, 0)


def test_who_may_not_be_called_when_the_agent_dials_is_not_and_the_agent_is_free() -> None:
    story = preview()
    dials(story)
    decision = story.nobody("listed")
    assert outcome(decision) == "refused"
    assert [type(effect) for effect in decision.effects] == [CancelLeg, ReserveAttempt]
    assert story.pool.agents["mina"].contacts == []
    assert story.kept() == ["mina"], "and kept for the next"


def test_in_preview_each_agent_has_a_person_of_his_own() -> None:
    story = preview("mina", "jun")
    assert sorted(wish.agent or "" for wish in story.leaves) == ["jun", "mina"]
    story.comes(story.next("jun"))
    assert story.offered("jun") is not None and story.offered("mina") is None


def test_a_person_whom_the_agent_does_not_want_to_call_is_not_called() -> None:
    story = preview()
    contact = looked(story)
    story.declines("mina")
    assert story.outcomes() == ["failed"] and contact.id not in story.pool.contacts
    assert story.counted() == (0, 0)


@pytest.mark.parametrize(("cause", "told"), [("busy", "busy"), ("no_answer", "no_answer"), ("failed", "invalid")])
def test_in_preview_a_person_who_does_not_answer_frees_the_agent(cause: str, told: str) -> None:
    story = preview()
    dials(story)
    ring = story.rung(story.comes())
    decision = story.ends(ring, cause)
    assert outcome(decision) == told
    assert story.pool.agents["mina"].contacts == [] and story.kept() == ["mina"]


def test_when_the_agent_is_done_before_leave_has_come_nobody_is_called() -> None:
    story = preview()
    contact = dials(story)
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    assert contact.status == "wrapping"
    decision = story.comes()
    assert not of(decision, RingLeg)
    assert contact.status == "wrapping", "the wrap-up goes on"


def test_a_wrap_up_is_not_cut_short_because_no_leave_has_come() -> None:
    story = preview()
    contact = dials(story)
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    story.wait(5.1)
    assert contact.status == "wrapping" and story.dropped() == ["no-answer"]


def test_when_no_second_leave_comes_the_agent_does_not_wait_for_ever() -> None:
    story = preview()
    dials(story)
    story.wait(5.1)
    assert story.outcomes() == ["refused"]
    assert story.state().reason == "dialler-silent"


def test_a_campaign_that_is_stopped_while_an_agent_looks_calls_nobody_more() -> None:
    story = preview()
    dials(story)
    story.stops()
    assert outcome(story.comes()) == "refused"


def test_in_preview_too_leave_that_is_old_is_no_leave() -> None:
    story = preview()
    dials(story)
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.wait(2.1)
    decision = story.claims(ring)
    assert (decision.answer.code, outcome(decision)) == ("not-wanted", "stale")
    assert of(decision, CancelLeg), "the agent's phone is hung up"


def test_in_preview_a_phone_that_rings_for_all_we_know_is_waited_for() -> None:
    story = preview()
    contact = dials(story)
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.claims(ring)
    story.tell(inputs.EndSend(key=ring.key, result="uncertain"))
    assert contact.status == "active"
    assert story.picks_up(ring).answer.status == 200
    assert contact.call == leg_of(ring)


def test_in_preview_a_person_told_twice_is_offered_once_and_stays_locked() -> None:
    story = preview()
    (wish,) = story.leaves
    looked(story)
    story.comes(wish)
    assert story.dropped() == [] and len(story.pool.contacts) == 1


# -- progressive


def test_in_progressive_one_line_rings_for_each_agent_who_is_kept() -> None:
    story = Outreach(here=("mina", "jun"))
    assert story.kept() == ["jun", "mina"] and len(story.leaves) == 2
    story.line()
    story.line()
    assert len(story.state().lines) == 2 and story.leaves == []


def test_leave_says_how_the_ceiling_stood() -> None:
    story = free_to_ring()
    wish = story.leaves[-1]
    assert (wish.live, wish.abandoned, wish.spare, wish.look, wish.agent) == (1, 0, 1, False, None)


def test_who_answers_goes_to_the_agent_who_has_been_idle_longest() -> None:
    story = Outreach(here=("jun", "mina"))
    ring = story.line()
    story.line()
    decision = story.picks_up(ring)
    (call,) = of(decision, RingLeg)
    assert isinstance(call, RingLeg) and (call.side, call.address) == ("agent", "+82jun")
    contact = story.answers("jun")
    assert (contact.status, contact.call) == ("active", leg_of(ring))
    assert JoinCaller(channel="voice", contact=contact.id, call=leg_of(ring)) in story.effects
    assert story.counted() == (1, 0) and story.state().busy == 1


def test_a_progressive_line_never_rings_without_its_agent() -> None:
    """The law lets such a campaign call those whom others may not: there is an agent for everybody who answers."""
    story = Outreach(campaign(ceiling=HALF), here=("mina", "jun"))
    story.completes("mina", story.talks())
    ring = story.line()
    story.line()
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert story.outcomes()[-1] == "cut_short"
    assert CancelLeg(channel="voice", leg=leg_of(ring)) in story.effects
    assert len(story.state().lines) == 1


def test_while_an_agent_talks_no_line_rings_for_him() -> None:
    story = Outreach(here=("mina",))
    story.talks()
    assert story.kept() == [] and story.leaves == []
    contact = next(iter(story.pool.contacts.values()))
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    assert story.leaves == [] and list(story.state().wrapping) == [contact.id]
    story.wait(10.1)
    assert story.kept() == ["mina"] and len(story.leaves) == 1
    assert (story.state().busy, story.state().wrapping) == (0, {})


def test_no_more_are_kept_than_lines_may_ring() -> None:
    story = Outreach(campaign(most_lines=1), campaign(id_="later", priority=9), here=("mina", "jun"))
    assert (story.kept("sales"), story.kept("later")) == (["mina"], ["jun"])


# -- power and predictive, under the ceiling


def test_without_an_answer_in_the_window_no_line_rings_beyond_the_agents() -> None:
    story = Outreach(campaign("power", ratio=3), here=("mina", "jun"))
    assert len(story.leaves) == 2


def test_power_rings_its_ratio_as_far_as_the_ceiling_lets_it() -> None:
    story = free_to_ring()
    story.completes("jun", story.talks("jun"))
    assert (len(story.kept()), story.state().out) == (1, 3)
    story.completes("jun", story.talks("jun"))
    assert (len(story.kept()), story.state().out) == (1, 3), "three would be allowed besides, and the ratio is three"


def test_the_ceiling_counts_what_it_may_yet_cost() -> None:
    """While somebody waits for an agent, that answer is not yet abandoned and no longer a line: it counts as lost."""
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.picks_up(first)
    story.answers("jun")
    story.picks_up(second)
    waits = next(c for c in story.pool.contacts.values() if c.status == "queued")
    assert waits.reach_by == story.now + 2
    assert campaigns.pacing(story.pool, story.pool.lookup.campaigns["sales"], story.state(), story.now).spare == 1
    story.wait(2.1)
    assert story.counted() == (3, 1)


def test_lines_are_cut_when_the_ceiling_falls_under_them() -> None:
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert story.outcomes()[-1] == "cut_short"
    assert CancelLeg(channel="voice", leg=leg_of(first)) in story.effects
    assert [leg_of(second)] == [story.pool.contacts[id_].ringing for id_ in story.state().lines.values()]


def test_a_line_that_was_cut_and_is_named_afterwards_is_cancelled_then() -> None:
    story = free_to_ring()
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.claims(ring)
    story.line()
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert story.outcomes()[-1] == "cut_short"
    late = story.tell(inputs.EndSend(key=ring.key, result="accepted", externals=(leg_of(ring),)))
    assert late.effects == [CancelLeg(channel="voice", leg=leg_of(ring))]
    assert story.picks_up(ring).answer.status == 409


def test_predictive_begins_with_one_line_for_each_agent() -> None:
    story = Outreach(campaign("predictive", ceiling=HALF), here=("mina", "jun"))
    assert len(story.leaves) == 2


def measured(story: Outreach, lines: int = 20, live: float = 0.5) -> None:
    """As after many calls."""
    for pool in (story.pool, story.copy):
        state = pool.memory.campaigns["sales"]
        state.pace.lines, state.pace.live, state.pace.margin = lines, live, -2.0
        state.days = [(int(pool.t // 86_400), 100, 0)]


def test_predictive_rings_for_agents_who_will_be_free_and_never_over_the_ceiling() -> None:
    story = Outreach(campaign("predictive", ceiling=0.03), here=("mina", "jun"))
    measured(story)
    story.tell(inputs.Tick())
    rules, state = story.pool.lookup.campaigns["sales"], story.state()
    now = campaigns.pacing(story.pool, rules, state, story.now)
    assert now.wanted > now.kept + now.spare == now.most == 5
    assert (now.limited_by, state.out) == ("ceiling", 5)


def test_predictive_lets_lines_go_that_have_rung_long_enough_when_too_many_ring() -> None:
    story = Outreach(campaign("predictive", ceiling=0.03), here=("mina", "jun"))
    measured(story)
    story.tell(inputs.Tick())
    rings = [story.line() for _ in range(5)]
    measured(story, live=1.0)
    for pool in (story.pool, story.copy):
        pool.memory.campaigns["sales"].pace.margin = 8.0
    story.tell(inputs.Tick())
    assert story.outcomes() == [], "whose phone has just begun to ring is left to it"
    story.wait(20)
    decision = story.tell(inputs.Tick())
    assert [effect.leg for effect in of(decision, CancelLeg)] == [leg_of(ring) for ring in rings[:3]]  # type: ignore[attr-defined]


# -- the ends of a line


def test_who_answers_and_finds_no_agent_within_two_seconds_is_told_so_and_counted() -> None:
    story = free_to_ring()
    first, second = story.line(), story.line(language="ko")
    story.picks_up(first)
    story.answers("jun")
    story.picks_up(second)
    happened = story.wait(2.1)
    assert [e.outcome for e in happened if isinstance(e, events.ContactCompleted)] == ["nobody_free"]
    ended = EndCaller(channel="voice", call=leg_of(second), say="nobody_free", language="ko")
    assert ended in story.effects
    assert story.counted() == (3, 1)


def test_whoever_becomes_free_in_time_takes_the_one_who_waits() -> None:
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.picks_up(first)
    story.answers("jun")
    story.picks_up(second)
    story.wait(1)
    story.tell(
        inputs.CompleteContact(
            agent="jun", contact=next(c.id for c in story.pool.contacts.values() if c.agent == "jun")
        )
    )
    contact = story.answers("jun")
    assert (contact.call, contact.reach_by) == (leg_of(second), None)
    story.wait(5)
    assert story.counted() == (3, 0)


@pytest.mark.parametrize("by", ["machine", "fax"])
def test_a_machine_is_hung_up_on_and_no_agent_hears_of_it(by: str) -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    decision = story.picks_up(ring, by)  # type: ignore[arg-type]
    assert outcome(decision) == by
    assert CancelLeg(channel="voice", leg=leg_of(ring)) in decision.effects
    assert story.counted() == (0, 0) and len(story.leaves) == 1, "and the next is asked for"


@pytest.mark.parametrize("by", ["human", "unknown", None])
def test_whoever_is_not_known_to_be_a_machine_is_a_person(by: str | None) -> None:
    story = Outreach(here=("mina",))
    story.picks_up(story.line(), by)  # type: ignore[arg-type]
    assert story.offered("mina") is not None


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("busy", "busy"),
        ("no_answer", "no_answer"),
        ("failed", "invalid"),
        ("completed", "no_answer"),
        ("canceled", "no_answer"),
    ],
)
def test_a_line_that_ends_unanswered_frees_its_agent_for_the_next(cause: str, told: str) -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    assert outcome(story.ends(ring, cause)) == told
    assert (story.kept(), story.state().lines, len(story.leaves)) == (["mina"], {}, 1)
    assert story.ends(ring, cause).answer.code == "already-over"


def test_a_customer_who_hangs_up_before_the_agent_is_there_was_not_abandoned() -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    story.picks_up(ring)
    decision = story.ends(ring, "completed")
    assert outcome(decision) == "hung_up"
    story.wait(3)
    assert story.counted() == (1, 0) and story.kept() == ["mina"]


def test_an_answer_that_is_told_twice_is_one_and_nobody_hangs_up_on_it() -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    story.picks_up(ring)
    assert story.picks_up(ring).answer.status == 200, "409 would let the edge hang up on whoever waits"
    story.answers("mina")
    assert story.picks_up(ring).answer.status == 200
    assert story.counted() == (1, 0)


def test_an_agent_whose_phone_is_busy_is_not_the_only_one_who_is_kept() -> None:
    story = Outreach(here=("jun", "mina"))
    ring = story.line()
    story.line()
    (call,) = (effect for effect in story.picks_up(ring).effects if isinstance(effect, RingLeg))
    story.claims(call)
    story.tell(inputs.EndLeg(channel="voice", key=call.key, leg="l", cause="busy"))
    contact = story.answers("mina")
    assert contact.call == leg_of(ring)


@pytest.mark.parametrize("cause", ["busy", "failed", "no_answer"])
def test_an_agent_whose_phone_fails_alone_costs_the_answer(cause: str) -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    (call,) = (effect for effect in story.picks_up(ring).effects if isinstance(effect, RingLeg))
    story.claims(call)
    story.tell(inputs.EndLeg(channel="voice", key=call.key, leg="l", cause=cause))  # type: ignore[arg-type]
    story.wait(2.1)
    assert story.outcomes() == ["nobody_free"] and story.counted() == (1, 1)


def test_an_agent_who_does_not_pick_up_is_not_given_the_next_one_too() -> None:
    story = Outreach(here=("mina",))
    call = next(effect for effect in story.picks_up(story.line()).effects if isinstance(effect, RingLeg))
    story.claims(call)
    story.tell(inputs.EndSend(key=call.key, result="accepted", externals=("l",)))
    story.wait(2.1)
    assert story.outcomes() == ["nobody_free"] and story.counted() == (1, 1)
    assert story.pool.agents["mina"].presence == "unresponsive"
    assert story.kept() == []


def test_an_agent_whose_phone_nobody_dialled_is_not_blamed() -> None:
    story = Outreach(here=("mina",))
    story.picks_up(story.line())
    story.wait(2.1)
    assert story.outcomes() == ["nobody_free"] and story.pool.agents["mina"].presence == "available"


def test_an_agent_who_was_asked_at_the_last_moment_is_not_blamed() -> None:
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.picks_up(first)
    talk = story.answers("jun")
    story.picks_up(second)
    story.wait(1.5)
    story.completes("jun", talk)
    assert story.offered("jun") is not None
    story.wait(1)
    assert story.outcomes()[-1] == "nobody_free" and story.pool.agents["jun"].presence == "available"


def test_after_an_outage_who_waited_is_let_go_and_nobody_is_blamed() -> None:
    story = Outreach(here=("mina",))
    story.picks_up(story.line())
    story.outage(60)
    assert story.outcomes() == ["nobody_free"] and story.pool.agents["mina"].presence == "available"


def test_a_line_of_which_nothing_is_heard_is_given_up() -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    story.wait(30 + 45 + 0.1)
    assert story.outcomes() == ["uncertain"]
    assert CancelLeg(channel="voice", leg=leg_of(ring)) in story.effects


def test_a_line_that_is_not_dialled_at_once_is_not_dialled() -> None:
    story = Outreach(here=("mina",))
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.wait(2.1)
    decision = story.claims(ring)
    assert (decision.answer.code, outcome(decision)) == ("not-wanted", "stale")
    assert len(story.leaves) == 1, "somebody is asked for anew"


def test_a_line_that_may_ring_goes_on() -> None:
    story = Outreach(here=("mina",))
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.claims(ring)
    story.tell(inputs.EndSend(key=ring.key, result="uncertain"))
    assert len(story.state().lines) == 1
    assert story.picks_up(ring).answer.status == 200
    story.answers("mina")


def test_a_line_that_the_provider_does_not_take_is_over() -> None:
    story = Outreach(here=("mina",))
    (ring,) = (effect for effect in story.comes().effects if isinstance(effect, RingLeg))
    story.claims(ring)
    assert outcome(story.tell(inputs.EndSend(key=ring.key, result="rejected"))) == "invalid"


def test_steps_of_the_queue_do_not_touch_who_has_answered() -> None:
    queues = (QUEUES[0], Queue(id="out", name="Out", wrap_up_s=0, steps=(Step(after_s=0, end="close"),)))
    story = Outreach(campaign("power", ratio=3, ceiling=HALF), here=("mina",), queues=queues)
    story.completes("mina", story.talks())
    first, second = story.line(), story.line()
    story.picks_up(first)
    story.answers("mina")
    story.picks_up(second)
    story.wait(2.1)
    assert story.outcomes()[-1] == "nobody_free" and story.counted() == (3, 1)


@pytest.mark.parametrize("to", ["callback", "voicemail"])
def test_who_was_called_and_waits_for_an_agent_is_not_put_off(to: str) -> None:
    """Nobody would count who answered, and nobody who calls promises to call."""
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.picks_up(first)
    story.answers("jun")
    story.picks_up(second)
    wish = inputs.LeaveLine(channel="voice", call=leg_of(second), to=to, number="+821055556666")  # type: ignore[arg-type]
    assert story.tell(wish).answer.status == 409


# -- leave to call


def test_a_person_told_twice_is_called_once() -> None:
    story = Outreach(here=("mina",))
    (wish,) = story.leaves
    story.line()
    again = story.comes(wish)
    assert (again.answer.code, again.events) == ("late", [])
    assert len(story.pool.contacts) == 1


def test_a_person_who_comes_too_late_is_free_again() -> None:
    story = Outreach(here=("mina",))
    (wish,) = story.leaves
    story.wait(5.1)
    late = story.comes(wish)
    assert late.answer.code == "late" and story.dropped() == ["no-answer", "late"]
    assert story.pool.contacts == {}


def test_a_dialler_that_is_silent_keeps_nobody() -> None:
    story = Outreach(here=("mina",))
    story.wait(5.1)
    assert (story.state().reason, story.state().rests_until) == ("dialler-silent", story.now - 0.1 + SILENT_S)
    assert story.kept() == []
    story.wait(SILENT_S)
    assert story.kept() == ["mina"] and len(story.leaves) == 2


def test_where_nobody_is_left_the_campaign_rests_until_somebody_says_otherwise() -> None:
    story = Outreach(here=("mina",))
    story.nobody()
    assert story.kept() == [] and story.pool.due_at() is None
    story.tell(inputs.WakeCampaign(campaign="sales"))
    assert story.kept() == ["mina"] and len(story.leaves) == 1


def test_where_nobody_may_be_called_now_it_rests_until_then() -> None:
    story = Outreach(here=("mina",))
    story.nobody("nobody-now", story.now + 600)
    story.wait(599)
    assert story.leaves == []
    story.wait(2)
    assert len(story.leaves) == 1


def test_a_dialler_whose_clock_is_behind_is_not_asked_without_a_pause() -> None:
    story = Outreach(here=("mina",))
    story.nobody("nobody-now", story.now - 600)
    assert story.leaves == []
    story.wait(1.1)
    assert len(story.leaves) == 1


def test_people_who_are_added_while_an_answer_is_on_its_way_are_not_slept_through() -> None:
    story = Outreach(here=("mina",))
    story.tell(inputs.WakeCampaign(campaign="sales"))
    story.nobody()
    assert story.state().rests_until is None and len(story.leaves) == 1
    story.nobody()
    assert story.state().rests_until is not None


def test_a_campaign_wakes_whatever_else_fell_due_while_it_rested() -> None:
    story = Outreach(here=("mina", "jun"))
    story.nobody("nobody-now", story.now + 60)
    story.wait(10)
    assert story.dropped() == ["nobody-now", "no-answer"] and story.state().rests_until is not None
    story.wait(51)
    assert story.state().rests_until is None and len(story.kept()) == 2


def test_an_attempt_is_given_up_whatever_else_fell_due_while_it_was_asked_for() -> None:
    story = Outreach(here=("mina", "jun"))
    story.wait(1)
    story.nobody("nobody-now", story.now + 2)
    story.wait(3)
    assert story.happened(events.CampaignWoken)
    story.wait(2)
    assert story.dropped() == ["nobody-now", "no-answer"]


def test_two_answers_of_nobody_rest_until_the_later() -> None:
    story = Outreach(here=("mina", "jun"))
    story.nobody("nobody-now", story.now + 60)
    story.nobody("nobody-now", story.now + 30)
    assert story.state().rests_until == story.now + 60


def test_an_agent_who_has_gone_when_the_person_comes_leaves_the_person_free() -> None:
    story = Outreach(here=("mina",))
    story.tell(inputs.SetPresence(agent="mina", presence="away"))
    assert story.comes().answer.code == "no-agent"
    assert story.dropped() == ["no-agent"] and story.pool.contacts == {}


# -- agents who are kept


def test_whoever_is_kept_is_given_nothing_else() -> None:
    story = Outreach(here=("mina",), mode="blended")
    story.line()
    ann = story.arrives("ann")
    assert story.who_has(ann) is None
    assert story.tell(inputs.StartContact(
        agent="mina", channel="email", thread=Thread(external="x"), identity=Identity(scope="t", kind="external", value="x"),
    )).answer.code == "no-capacity"  # fmt: skip


def test_a_mail_whose_room_is_kept_for_a_call_is_not_wrapped_up_meanwhile() -> None:
    queues = (Queue(id="care", name="Care", wrap_up_s=30), QUEUES[1])
    story = Outreach(here=("mina",), mode="blended", queues=queues, begins=False)
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.sets()
    assert story.kept() == ["mina"]
    ring = story.line()
    refused = story.tell(inputs.WrapUpContact(agent="mina", contact=mail.id)).answer
    assert (refused.status, refused.code) == (409, "no-capacity")
    story.tell(inputs.EndSession(channel="email", thread=Thread(external="ann")))
    assert mail.id not in story.pool.contacts, "the customer has left: there is no room for a wrap-up"
    story.picks_up(ring)
    story.answers("mina")


def test_an_agent_who_goes_away_takes_his_line_with_him() -> None:
    story = Outreach(here=("mina",))
    ring = story.line()
    story.tell(inputs.SetPresence(agent="mina", presence="away"))
    assert story.outcomes() == ["cut_short"]
    assert CancelLeg(channel="voice", leg=leg_of(ring)) in story.effects
    assert story.kept() == []


def test_an_agent_whose_connection_is_lost_is_kept_no_more() -> None:
    story = Outreach(here=("mina",))
    story.line()
    story.off("mina")
    assert story.outcomes() == ["cut_short"] and story.kept() == []
    story.tell(inputs.Connect(agent="mina", connection="g:2:mina"))
    assert story.kept() == ["mina"]


def test_where_the_ceiling_allows_it_the_line_of_an_agent_who_has_gone_rings_on() -> None:
    story = free_to_ring()
    story.line()
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert len(story.state().lines) == 1 and story.kept() == []


# -- blending


def test_inbound_work_that_waits_has_an_agent_as_soon_as_no_line_needs_him() -> None:
    story = Outreach(here=("mina",), mode="blended")
    ring = story.line()
    ann = story.arrives("ann")
    assert story.kept() == ["mina"] and story.who_has(ann) is None
    story.ends(ring)
    assert story.who_has(ann) == "mina" and story.kept() == []
    assert story.leaves == []


def test_only_as_many_are_let_go_as_inbound_work_needs() -> None:
    names = ("mina", "jun", "sora")
    story = Outreach(campaign("power", ceiling=HALF), here=names, names=names, mode="blended")
    for name in names:
        story.completes(name, story.talks(name))
    assert len(story.kept()) == 3, "and three lines might ring without an agent"
    ann = story.arrives("ann")
    assert story.who_has(ann) is not None
    assert len(story.happened(events.AgentLetGo)) == 1


def test_in_preview_nobody_is_kept_from_inbound_work_by_a_person_who_has_not_come() -> None:
    story = preview("mina", mode="blended")
    ann = story.arrives("ann")
    assert story.who_has(ann) == "mina"
    assert story.comes().answer.code == "no-agent"


def test_who_waits_for_an_agent_in_person_has_him_before_a_campaign() -> None:
    story = Outreach(here=("mina", "jun"), mode="blended", begins=False)
    ann = story.arrives("ann")
    story.accepts("mina")
    story.sets()
    assert story.kept() == ["jun"]
    ring = story.line()
    story.tell(inputs.TransferContact(agent="mina", contact=ann.id, to_agent="jun"))
    assert ann.status == "queued" and story.kept() == ["jun", "mina"]
    story.ends(ring)
    assert story.who_has(ann) == "jun" and story.kept() == ["mina"]


def reserve(kept: int, **more: object) -> tuple[Queue, ...]:
    return (msgspec.structs.replace(QUEUES[0], reserve=kept, **more), QUEUES[1])


def test_a_reserve_of_idle_agents_is_left_to_inbound_work() -> None:
    story = Outreach(here=("mina", "jun"), mode="blended", queues=reserve(1))
    assert len(story.kept()) == 1
    assert len(story.leaves) == 1


def test_when_the_reserve_is_used_up_whoever_is_kept_is_let_go_for_it() -> None:
    story = Outreach(here=("mina", "jun"), mode="blended", queues=reserve(1))
    (kept,) = story.kept()
    ring = story.line()
    ann = story.arrives("ann")
    assert story.who_has(ann) not in (None, kept)
    assert story.kept() == [kept], "his line still rings"
    story.ends(ring)
    assert story.kept() == [] and [e.reason for e in story.happened(events.AgentLetGo)] == ["reserve"]  # type: ignore[attr-defined]


def test_a_steered_reserve_rises_while_inbound_work_is_late() -> None:
    steered = (msgspec.structs.replace(QUEUES[0], steer=Steer(service_level=0.9, within_s=5)), QUEUES[1])
    story = Outreach(here=("mina", "jun"), mode="blended", queues=steered)
    talk = story.talks()
    story.talks("jun")
    ann = story.arrives("ann")
    story.wait(30)
    story.completes("mina", talk)
    assert story.who_has(ann) == "mina"
    story.accepts("mina")
    first = story.pool.memory.steered["care"].level
    assert first > 0
    story.restored()
    assert story.pool.memory.steered["care"].level == first


def test_only_outbound_agents_are_not_let_go_for_inbound_work() -> None:
    story = Outreach(here=("mina",))
    story.arrives("ann")
    assert story.kept() == ["mina"]


# -- several campaigns


def two(*here: str) -> Outreach:
    story = Outreach(campaign(id_="later", priority=9), campaign(id_="first", priority=1), here=here, begins=False)
    story.sets("first")
    story.sets("later")
    return story


def test_the_campaign_of_the_lower_priority_number_has_the_agents_first() -> None:
    story = two("mina", "jun")
    assert (story.kept("first"), story.kept("later")) == (["jun", "mina"], [])
    story.nobody()
    assert (len(story.kept("first")), len(story.kept("later"))) == (1, 1), "one is kept for a person who may yet come"


def test_when_the_first_campaign_has_nobody_left_the_second_has_its_agents() -> None:
    story = two("mina")
    story.nobody()
    assert (story.kept("first"), story.kept("later")) == ([], ["mina"])
    story.tell(inputs.WakeCampaign(campaign="first"))
    assert story.kept("later") == ["mina"], "nobody is taken from a line that rings for him"


# -- stopping, and changes of the configuration


def test_what_rings_goes_on_when_a_campaign_is_stopped_and_nothing_new_is_dialled() -> None:
    story = Outreach(here=("mina", "jun"))
    ring = story.line()
    story.stops()
    assert len(story.kept()) == 2, "one for the line, one for a person who may yet come"
    assert story.comes().answer.code == "stopped"
    assert len(story.kept()) == 1
    story.picks_up(ring)
    (name,) = (name for name in ("mina", "jun") if story.offered(name))
    contact = story.answers(name)
    story.completes(name, contact)
    assert story.leaves == [] and story.kept() == []


def test_a_campaign_that_does_not_exist_is_not_begun() -> None:
    story = Outreach()
    assert story.sets("nothing").answer.code == "unknown-campaign"
    assert story.tell(inputs.WakeCampaign(campaign="nothing")).answer.status == 200
    late = story.tell(inputs.EndReserve(campaign="nothing", key="k"))
    assert late.answer.code == "late" and "nothing" not in story.pool.memory.campaigns


def test_a_campaign_that_is_removed_while_it_rings_lets_its_lines_end() -> None:
    story = Outreach(here=("mina", "jun"))
    ring, other = story.line(), story.line()
    story.changes(campaigns=())
    assert len(story.state().lines) == 2 and len(story.kept()) == 2
    story.picks_up(ring)
    (name,) = (name for name in ("mina", "jun") if story.offered(name))
    story.wait(0.5)
    contact = story.answers(name)
    story.completes(name, contact)
    story.ends(other)
    assert story.kept() == [] and story.state().out == 0


def test_a_campaign_that_was_removed_and_comes_back_does_not_begin_by_itself() -> None:
    story = Outreach(here=("mina",))
    before = story.pool.memory.config.campaigns
    story.changes(campaigns=())
    story.wait(6)
    story.changes(campaigns=before)
    assert not story.state().running and story.kept() == []


def test_a_channel_that_is_closed_dials_nobody() -> None:
    story = Outreach(here=("mina",))
    channels = story.pool.memory.config.channels
    closed = tuple(msgspec.structs.replace(c, enabled=c.id != "voice") for c in channels)
    story.changes(channels=closed)
    assert story.comes().answer.code == "stopped"
    assert story.leaves == [] and story.kept() == []
    story.changes(channels=channels)
    assert story.kept() == ["mina"] and len(story.leaves) == 1


def test_a_channel_that_is_gone_dials_nobody() -> None:
    story = Outreach(here=("mina",))
    story.changes(channels=tuple(c for c in story.pool.memory.config.channels if c.id != "voice"))
    assert story.kept() == []
    assert story.comes().answer.code == "stopped"
    assert story.leaves == []


def test_whoever_can_do_the_work_no_more_is_kept_no_more() -> None:
    story = Outreach(here=("mina", "jun"))
    story.line()
    story.line()
    mina, jun = story.pool.memory.config.agents
    story.changes(agents=(msgspec.structs.replace(mina, phone=None), jun))
    assert story.kept() == ["jun"] and story.outcomes() == ["cut_short"]


def test_whoever_has_no_room_for_a_call_is_not_kept_for_a_campaign_that_is_gone_either() -> None:
    story = Outreach(here=("mina", "jun"))
    story.line()
    story.line()
    mina, jun = story.pool.memory.config.agents
    story.changes(agents=(msgspec.structs.replace(mina, units=60), jun), campaigns=())
    assert story.kept() == ["jun"] and story.outcomes() == ["cut_short"]


def test_an_agent_who_is_removed_is_kept_no_more() -> None:
    story = Outreach(here=("mina", "jun"))
    story.line()
    story.line()
    story.changes(agents=story.pool.memory.config.agents[1:])
    assert story.kept() == ["jun"] and story.outcomes() == ["cut_short"]


@pytest.mark.parametrize(("before", "after"), [("progressive", "preview"), ("preview", "progressive")])
def test_a_person_who_was_asked_for_in_another_mode_is_not_called(before: str, after: str) -> None:
    story = Outreach(campaign(before), here=("mina",))
    story.changes(campaigns=(campaign(after),))
    assert story.comes().answer.code == "mode-changed"
    assert story.pool.contacts == {}
    assert [wish.look for wish in story.leaves] == [after == "preview"] * len(story.leaves) and story.leaves


def test_whoever_is_kept_is_asked_for_in_the_order_of_idleness() -> None:
    """Whatever the order in which they were kept: a restored pool does not know it."""
    story = Outreach(campaign("power"), here=("mina", "jun"))
    ring = story.line()
    story.line()
    assert story.picks_up(ring).effects and story.offered("mina") is not None
    story.ends(ring, "completed")
    assert list(story.pool.kept["sales"]) == ["jun", "mina"]
    story.changes(campaigns=(campaign("preview"),))
    story.wait(80)
    assert [wish.agent for wish in story.leaves if wish.look][:2] == ["mina", "jun"]


def test_a_queue_with_a_language_wall_is_no_queue_for_a_campaign() -> None:
    """Nobody knows what the person speaks for whom an agent is kept; a queue of its own requires the language."""
    walled = (QUEUES[0], msgspec.structs.replace(QUEUES[1], language_wall=True))
    assert any("language" in fault for fault in faults(house(campaign(), queues=walled)))
    assert not faults(house(campaign()))


# -- messages, and work that rings nobody


def mails(here: tuple[str, ...] = ("mina",), **more: object) -> Outreach:
    return Outreach(campaign("direct", channel="email"), here=here, **more)  # type: ignore[arg-type]


def test_work_that_rings_nobody_is_offered_to_whom_it_was_asked_for() -> None:
    story = mails()
    story.comes(thread=Thread(external="ann", kind="email"))
    contact = story.accepts("mina")
    assert (contact.kind, contact.campaign, contact.agent) == ("email", "sales", "mina")
    assert story.state().busy == 1
    story.completes("mina", contact)
    assert story.state().busy == 0


def test_whoever_is_in_a_conversation_already_is_not_written_to_by_a_campaign() -> None:
    story = mails(mode="blended")
    ann = story.arrives("ann", "email")
    assert story.who_has(ann) == "mina"
    decision = story.comes(thread=Thread(external="ann"))
    assert decision.answer.code == "conversation-open" and story.dropped() == ["conversation-open"]
    assert len(story.pool.contacts) == 1


def test_a_conversation_that_is_over_goes_on_with_the_campaigns_work() -> None:
    story = mails(mode="blended", begins=False)
    ann = story.arrives("ann", "email")
    story.completes("mina", story.accepts("mina"))
    story.sets()
    story.comes(thread=Thread(external="ann"))
    contact = story.accepts("mina")
    assert contact.conversation == ann.conversation and contact.direction == "outbound"


def test_work_that_was_declined_waits_for_another_agent() -> None:
    story = mails(("mina", "jun"))
    story.comes(story.next("mina"), thread=Thread(external="ann", kind="email"))
    story.declines("mina")
    contact = next(iter(story.pool.contacts.values()))
    assert contact.status == "queued"
    story.stops()
    assert story.who_has(contact) == "jun"


# -- a contact of a campaign is a contact


def test_a_campaigns_talk_is_held_and_handed_on_like_any_other() -> None:
    story = Outreach(here=("mina",), mode="blended")
    contact = story.talks()
    story.tell(inputs.HoldContact(agent="mina", contact=contact.id))
    assert HoldCaller(channel="voice", contact=contact.id, call=contact.call or "") in story.effects
    story.tell(inputs.ResumeContact(agent="mina", contact=contact.id))
    story.stops()
    story.on("jun")
    story.tell(inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    again = story.answers("jun")
    assert (again.id, again.agent, story.state().busy) == (contact.id, "jun", 1)
    assert story.counted() == (1, 0)


def test_who_hangs_up_while_being_handed_on_is_counted_once() -> None:
    story = Outreach(here=("mina",), mode="blended")
    contact = story.talks()
    story.stops()
    story.tell(inputs.TransferContact(agent="mina", contact=contact.id, queue="care"))
    story.tell(inputs.EndLeg(channel="voice", key="k", leg=contact.call or "", cause="completed"))
    assert story.outcomes() == ["abandoned"] and story.state().busy == 0


def test_an_answer_told_again_while_being_handed_on_does_not_hang_up() -> None:
    story = Outreach(here=("mina",), mode="blended")
    ring = story.line()
    story.picks_up(ring)
    contact = story.answers("mina")
    story.stops()
    story.tell(inputs.TransferContact(agent="mina", contact=contact.id, queue="care"))
    assert story.picks_up(ring).answer.status == 200


def test_the_end_says_whose_attempt_it_was_and_what_the_agent_made_of_it() -> None:
    story = Outreach(here=("mina",))
    contact = story.talks()
    story.tell(inputs.EndLeg(channel="voice", key="k", leg=contact.call or "", cause="completed"))
    assert contact.status == "wrapping" and list(story.state().wrapping) == [contact.id]
    story.tell(inputs.ExtendWrapUp(agent="mina", contact=contact.id, seconds=60))
    story.wait(30)
    done = story.tell(inputs.CompleteContact(agent="mina", contact=contact.id, disposition="sold"))
    found = only(done, events.ContactCompleted)
    assert isinstance(found, events.ContactCompleted)
    assert (found.attempt, found.disposition, found.outcome) == (contact.attempt_id, "sold", "handled")
    assert story.state().pace.wrap_s == 30 and story.state().pace.wraps == 1


def test_a_supervisor_may_take_who_waits_for_an_agent() -> None:
    story = free_to_ring()
    first, second = story.line(), story.line()
    story.picks_up(first)
    story.answers("jun")
    story.picks_up(second)
    waits = next(c for c in story.pool.contacts.values() if c.status == "queued")
    story.tell(inputs.Connect(agent="mina", connection="g:1:mina"))
    story.tell(inputs.SetPresence(agent="mina", presence="away"))
    assert story.tell(inputs.TakeOver(agent="mina", contact=waits.id)).answer.status == 200
    story.answers("mina")
    story.wait(5)
    assert (waits.agent, waits.reach_by, story.counted()) == ("mina", None, (3, 0))


def test_nobody_moves_or_takes_a_line_that_rings() -> None:
    story = Outreach(here=("mina",))
    story.line()
    (contact,) = story.pool.contacts.values()
    story.tell(inputs.Connect(agent="jun", connection="g:1:jun"))
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    for wish in (
        inputs.TakeOver(agent="jun", contact=contact.id),
        inputs.MoveContact(contact=contact.id, queue="care", by="sue"),
        inputs.ReprioritiseContact(contact=contact.id, by="sue", tier=1),
        inputs.MonitorContact(agent="jun", contact=contact.id),
        inputs.CancelCallback(contact=contact.id, by="sue"),
    ):
        assert story.tell(wish).answer.status == 409

"""Stories of offers: made, accepted, declined, timed out, withdrawn; and the backlog that never waits beside somebody."""

from router import events, inputs
from router.config import Queue
from router.model import Requirement
from router.queueing import TIER_SHIFT
from support.story import Story, agent, center


def test_the_agent_who_is_idle_longest_gets_the_contact() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("jun", "mina")
    assert story.who_has(story.arrives("ann", "task")) == "jun"
    assert story.who_has(story.arrives("ben", "task")) == "mina"


def test_an_offer_nobody_takes_goes_to_the_next_agent_and_the_first_is_unresponsive() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    assert story.who_has(contact) == "mina"
    story.wait(20.4)
    assert story.who_has(contact) == "mina"
    story.wait(0.2)
    assert story.who_has(contact) == "jun"
    assert story.pool.agents["mina"].presence == "unresponsive"


def test_an_accept_in_the_half_second_after_the_shown_end_is_honoured() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    story.arrives("ann")
    story.wait(20.3)
    assert story.accepts("mina").agent == "mina"


def test_accepting_late_twice_or_anothers_is_refused_and_changes_nothing() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    offer = contact.offer
    assert offer is not None
    anothers = story.tell(inputs.AcceptOffer(agent="jun", offer=offer.id))
    assert (anothers.answer.status, anothers.answer.code) == (404, "unknown-offer")
    story.accepts("mina")
    twice = story.tell(inputs.AcceptOffer(agent="mina", offer=offer.id))
    assert (twice.answer.status, twice.answer.code) == (409, "offer-is-over")


def test_a_declined_contact_comes_back_to_the_agent_only_after_a_minute_or_when_nobody_else_is_there() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    story.declines("mina")
    assert story.who_has(contact) == "jun"
    story.declines("jun")
    assert story.who_has(contact) == "mina", "both have declined: the exclusion would leave it waiting for ever"


def test_a_contact_that_was_declined_keeps_its_place() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    first = story.arrives("ann", "task")
    enqueued_at = first.enqueued_at
    story.accepts("mina")
    second, third = story.arrives("ben", "task"), story.arrives("cho", "task")
    story.accepts("mina")
    story.tell(inputs.TransferContact(agent="mina", contact=first.id, queue="care"))
    assert first.enqueued_at == enqueued_at
    assert story.who_has(first) == "mina", "it comes back before those who came later, for nobody else is there"
    assert story.who_has(third) is None
    assert second.agent == "mina"


def test_a_customer_who_leaves_withdraws_the_offer_without_blame() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    contact = story.arrives("ann")
    story.tell(inputs.EndSession(channel="chat", thread=story.pool.conversations[contact.conversation].thread))
    assert contact.id not in story.pool.contacts
    assert story.pool.agents["mina"].presence == "available"
    assert story.pool.agents["mina"].idle_stamp == 1, "a withdrawn offer gives the old stamp back"
    assert story.pool.memory.stats["care"].abandoned == 1


def test_the_backlog_is_drained_the_moment_an_agent_frees() -> None:
    story = Story(center(agent("mina", maximum={"chat": 1}), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina")
    waiting = [story.arrives(f"c{i}") for i in range(4)]
    for number, contact in enumerate(waiting):
        assert story.offered("mina") is contact, number
        story.accepts("mina")
        story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    assert not story.pool.contacts


def test_tiers_are_strict_and_inside_a_tier_the_nearest_promise_comes_first() -> None:
    queues = (
        Queue(id="care", name="Care", target_s={"email": 3600, "chat": 60}),
        Queue(id="vip", name="Vip", tier=1),
    )
    story = Story(center(agent("mina", maximum={"task": 1}, units=50), queues=queues))
    story.on("mina")
    story.arrives("busy", "task")
    story.accepts("mina")
    mail = story.arrives("mail", "email")
    story.wait(10)
    chat = story.arrives("chat", "chat")
    assert [c.id for c in story.pool.in_line("care")] == [chat.id, mail.id], (
        "a chat's minute is over before a mail's hour"
    )


def test_max_wait_moves_a_contact_before_everything_else() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", max_wait_s=100, tier=9),)))
    contact = story.arrives("ann", "email")
    story.wait(101)
    assert contact.promoted
    assert story.pool.matching.line.waiters[contact.arrival].place >> TIER_SHIFT == 0


def test_a_step_widens_the_requirements_and_the_place_is_kept() -> None:
    from router.config import Step

    queue = Queue(
        id="care",
        name="Care",
        requires=(Requirement(skill="billing", level=3),),
        steps=(Step(after_s=30, requires=(Requirement(skill="billing", level=1),)),),
    )
    story = Story(center(agent("mina", skills={"billing": 1}), queues=(queue,), skills=("billing",)))
    story.on("mina")
    contact = story.arrives("ann")
    assert story.who_has(contact) is None
    story.wait(31)
    assert story.who_has(contact) == "mina"


def test_best_skill_prefers_the_better_agent_even_if_less_idle() -> None:
    queue = Queue(id="care", name="Care", strategy="best_skill", requires=(Requirement(skill="billing"),))
    story = Story(center(agent("jun", skills={"billing": 2}), agent("mina", skills={"billing": 5}), queues=(queue,)))
    story.on("jun", "mina")
    assert story.who_has(story.arrives("ann")) == "mina"


def test_a_returning_customer_prefers_the_last_agent_and_goes_to_others_when_the_agent_is_gone() -> None:
    story = Story(center(agent("mina"), agent("jun"), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina", "jun")
    first = story.arrives("ann", "email")
    story.accepts("mina")
    story.completes("mina", first)
    story.wait(5)
    again = story.arrives("ann", "email")
    assert again.follows == first.id
    assert story.who_has(again) == "mina", "though jun is idle longer"
    story.declines("mina")
    assert story.who_has(again) is None, "it waits for the preferred agent only"
    story.tell(inputs.SetPresence(agent="mina", presence="offline"))
    assert story.who_has(again) == "jun"


def test_an_outage_ends_offers_without_blame() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    contact = story.arrives("ann")
    story.outage(3600)
    timed_out = story.happened(events.OfferTimedOut)[0]
    assert isinstance(timed_out, events.OfferTimedOut)
    assert not timed_out.blame
    assert story.pool.agents["mina"].presence == "available"
    assert story.who_has(contact) == "mina"


def test_a_queue_over_its_length_overflows_at_once_and_says_so() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", max_length=2),)))
    for number in range(2):
        story.arrives(f"c{number}", "email")
    story.arrives("third", "email")
    completed = story.happened(events.ContactCompleted)
    assert [event.outcome for event in completed if isinstance(event, events.ContactCompleted)] == ["overflowed"]
    assert len(story.pool.contacts) == 2

"""Stories of company in a contact: consulted, joined, listening; and of supervisors who move, hurry and take over."""

from router import effects, events, inputs
from router.config import Queue, Step
from router.model import Identity, Requirement, Thread
from support.story import Story, agent, center


def talk(kind: str = "chat", **more: object) -> tuple[Story, object]:
    """Mina talks to Ann; Jun and Sora (a supervisor) are there."""
    story = Story(center(agent("mina"), agent("jun"), agent("sora", role="supervisor"), **more))  # type: ignore[arg-type]
    story.on("mina", "jun", "sora")
    contact = story.arrives("ann", kind)  # type: ignore[arg-type]
    assert story.accepts("mina") is contact
    return story, contact


def refused(story: Story, wish: inputs.Input) -> str:
    decision = story.tell(wish)
    assert decision.answer.status >= 400
    return decision.answer.code


def done(story: Story, wish: inputs.Input) -> None:
    decision = story.tell(wish)
    assert decision.answer.status == 200, decision.answer


def test_a_colleague_is_consulted_then_joined_and_speaks_to_the_customer() -> None:
    story, contact = talk()
    assert refused(story, inputs.SendMessage(agent="jun", contact=contact.id)) == "not-yours"
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    assert refused(story, inputs.SendMessage(agent="jun", contact=contact.id)) == "not-yours"
    done(story, inputs.ConferenceContact(agent="mina", contact=contact.id))
    done(story, inputs.SendMessage(agent="jun", contact=contact.id))
    assert story.pool.agents["jun"].attends == [contact.id]
    done(story, inputs.LeaveContact(agent="jun", contact=contact.id, by="mina"))
    assert not contact.participants and not story.pool.agents["jun"].attends


def test_company_ends_when_the_owner_is_done() -> None:
    story, contact = talk()
    done(story, inputs.MonitorContact(agent="sora", contact=contact.id))
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    assert refused(story, inputs.LeaveContact(agent="sora", contact=contact.id, by="mina")) == "not-yours"
    story.completes("mina", contact)
    assert [story.pool.agents[name].attends for name in ("jun", "sora")] == [[], []]


def test_a_consulted_colleague_takes_the_conversation_on() -> None:
    story, contact = talk()
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    done(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    assert (contact.agent, contact.status, contact.participants) == ("jun", "active", {})
    assert not story.happened(events.ContactRequeued), "no music in between"


def test_on_a_call_the_customer_is_held_while_a_colleague_is_asked_and_the_colleague_can_take_it() -> None:
    story, contact = talk("voice")
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    assert contact.status == "held"
    ring = [e for e in story.effects if isinstance(e, effects.RingLeg)][-1]
    assert (ring.side, ring.address) == ("agent", "+82jun")
    assert story.who_has(story.arrives("ben", "voice")) == "sora", "jun has but two ears"
    done(story, inputs.AnswerLeg(channel="voice", key=ring.key, leg="leg-jun"))
    assert contact.participants["jun"].leg == "leg-jun"
    done(story, inputs.ConferenceContact(agent="mina", contact=contact.id))
    assert contact.status == "active"
    done(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    assert (contact.agent, contact.leg) == ("jun", "leg-jun")
    hung_up = [e.leg for e in story.effects if isinstance(e, effects.CancelLeg)]
    assert hung_up == [f"leg-{_first_offer(story)}"]
    done(story, inputs.EndLeg(channel="voice", key=ring.key, leg="leg-jun", cause="completed"))
    assert contact.status == "wrapping", "the new owner hung up"


def _first_offer(story: Story) -> str:
    return story.happened(events.OfferMade)[0].offer  # type: ignore[attr-defined]


def test_a_guest_whose_phone_is_not_answered_is_gone_and_free_again() -> None:
    story, contact = talk("voice")
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    ring = [e for e in story.effects if isinstance(e, effects.RingLeg)][-1]
    done(story, inputs.ClaimSend(key=ring.key, worker="w"))
    done(story, inputs.EndSend(key=ring.key, result="accepted", externals=("leg-jun",)))
    assert contact.ringing is None and contact.participants["jun"].ringing == "leg-jun"
    done(story, inputs.EndLeg(channel="voice", key=ring.key, leg="leg-jun", cause="no_answer"))
    assert not contact.participants
    assert contact.status == "held", "the customer is where the owner left him"
    assert story.who_has(story.arrives("ben", "voice")) == "jun"


def test_the_callers_end_hangs_up_every_guest() -> None:
    story, contact = talk("voice")
    done(story, inputs.MonitorContact(agent="sora", contact=contact.id))
    ring = [e for e in story.effects if isinstance(e, effects.RingLeg)][-1]
    assert ring.side == "monitor"
    done(story, inputs.AnswerLeg(channel="voice", key=ring.key, leg="leg-sora"))
    done(story, inputs.EndCall(channel="voice", thread=story.pool.conversations[contact.conversation].thread))
    assert "leg-sora" in [e.leg for e in story.effects if isinstance(e, effects.CancelLeg)]


def test_a_supervisor_moves_hurries_and_takes_over_who_waits() -> None:
    queues = (Queue(id="care", name="Care", requires=(Requirement(skill="billing"),)), Queue(id="all", name="All"))
    people = (agent("mina", at_once=1), agent("sora", role="supervisor"), agent("bill", skills={"billing": 1}))
    story = Story(center(*people, queues=queues, skills=("billing",)))
    story.on("mina")
    ann, ben, cho = (story.arrives(who) for who in ("ann", "ben", "cho"))
    done(story, inputs.MoveContact(contact=ann.id, queue="all", by="sora"))
    assert story.who_has(ann) == "mina"
    done(story, inputs.ReprioritiseContact(contact=cho.id, by="sora", tier=1))
    assert [story.pool.position(contact) for contact in (ben, cho)] == [2, 1]
    assert refused(story, inputs.TakeOver(agent="sora", contact=ben.id)) == "not-signed-in"
    story.on("sora")
    done(story, inputs.TakeOver(agent="sora", contact=ben.id))
    assert (ben.agent, ben.status) == ("sora", "active")


def test_a_supervisor_takes_a_chat_out_of_its_owners_hands() -> None:
    story, contact = talk()
    done(story, inputs.TakeOver(agent="sora", contact=contact.id))
    assert (contact.agent, story.pool.agents["mina"].contacts) == ("sora", [])
    assert refused(story, inputs.TakeOver(agent="sora", contact=contact.id)) == "yours-already"


def test_a_supervisor_who_listens_takes_a_call_over_by_phone() -> None:
    story, contact = talk("voice")
    done(story, inputs.MonitorContact(agent="sora", contact=contact.id))
    done(story, inputs.TakeOver(agent="sora", contact=contact.id))
    assert story.offered("sora") is contact
    assert story.accepts("sora") is contact
    assert contact.status == "active" and not contact.participants


def test_presence_is_forced_by_a_supervisor_and_says_so() -> None:
    story, contact = talk()
    done(story, inputs.SetPresence(agent="mina", presence="offline", by="sora"))
    changed = story.happened(events.PresenceChanged)[-1]
    assert (changed.presence, changed.by) == ("offline", "sora")  # type: ignore[attr-defined]
    assert story.pool.agents["mina"].by == "sora"
    assert story.who_has(contact) in ("jun", "sora")


def test_the_customer_is_not_brought_back_while_a_colleague_is_asked() -> None:
    story, contact = talk("voice")
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    assert refused(story, inputs.ResumeContact(agent="mina", contact=contact.id)) == "somebody-is-consulted"
    done(story, inputs.LeaveContact(agent="jun", contact=contact.id, by="mina"))
    assert story.happened(events.ParticipantLeft)[-1].by == "mina"  # type: ignore[attr-defined]
    done(story, inputs.ResumeContact(agent="mina", contact=contact.id))


def test_whoever_is_consulted_on_a_call_puts_a_mail_aside_and_takes_it_up_again() -> None:
    story, contact = talk("voice")
    mail = story.arrives("ben", "email")
    while mail.agent != "jun":
        story.accepts("jun")
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    assert (mail.status, mail.parked_for) == ("parked", "interrupted")
    done(story, inputs.LeaveContact(agent="jun", contact=contact.id, by="mina"))
    assert (mail.status, mail.agent) == ("active", "jun")


def test_who_else_is_consulted_leaves_before_the_call_is_handed_over() -> None:
    story, contact = talk("voice")
    for who in ("jun", "sora"):
        done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent=who))
        ring = [e for e in story.effects if isinstance(e, effects.RingLeg)][-1]
        done(story, inputs.AnswerLeg(channel="voice", key=ring.key, leg=f"leg-{who}"))
    done(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    assert (contact.agent, contact.participants) == ("jun", {})
    assert "leg-sora" in [e.leg for e in story.effects if isinstance(e, effects.CancelLeg)]


def test_notes_are_for_those_who_are_in_it_and_for_supervisors() -> None:
    story, contact = talk()
    assert refused(story, inputs.SendMessage(agent="jun", contact=contact.id, private=True)) == "not-yours"
    for who in ("mina", "sora"):
        done(story, inputs.SendMessage(agent=who, contact=contact.id, private=True))


def test_a_call_that_is_carried_elsewhere_changes_hands_too() -> None:
    story = Story(center(agent("mina"), agent("jun"), agent("sora", role="supervisor")))
    story.on("mina", "jun", "sora")
    who = Identity(scope="t", kind="external", value="ann")
    came = story.tell(inputs.ReceiveMessage(channel="voice", thread=Thread(external="x"), identity=who, dedupe_key="1"))
    contact = story.pool.contacts[came.answer.contact or ""]
    assert contact.offer is not None
    done(story, inputs.AcceptOffer(agent="mina", offer=contact.offer.id))
    done(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun"))
    done(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    done(story, inputs.MonitorContact(agent="sora", contact=contact.id))
    done(story, inputs.TakeOver(agent="sora", contact=contact.id))
    assert contact.agent == "sora"


def test_a_supervisors_priority_goes_before_that_of_steps_but_nothing_before_the_longest_wait() -> None:
    queue = Queue(id="care", name="Care", steps=(Step(after_s=5, tier=3),), max_wait_s=60)
    story = Story(center(agent("mina"), queues=(queue,)))
    ann, ben = story.arrives("ann"), story.arrives("ben")
    story.wait(10)
    done(story, inputs.ReprioritiseContact(contact=ben.id, by="sora", tier=1))
    assert [story.pool.position(contact) for contact in (ann, ben)] == [2, 1]
    story.wait(60)
    assert refused(story, inputs.ReprioritiseContact(contact=ben.id, by="sora", tier=2)) == "already-first"


def test_a_supervisor_who_takes_no_offers_listens_and_takes_over() -> None:
    story, contact = talk("voice")
    done(story, inputs.SetPresence(agent="sora", presence="away"))
    done(story, inputs.MonitorContact(agent="sora", contact=contact.id))
    done(story, inputs.TakeOver(agent="sora", contact=contact.id))
    assert story.accepts("sora") is contact


def test_nobody_is_made_available_without_a_desk() -> None:
    story, _ = talk()
    story.off("jun")
    story.wait(50)
    forced = inputs.SetPresence(agent="jun", presence="available", by="sora")
    assert refused(story, forced) == "not-connected"

"""Stories of supervisors who listen, whisper to the owner and barge in, and of whom each of them is heard by."""

from typing import Any

import pytest

from router import effects, events, inputs
from router.config import Queue
from router.model import Identity, Manner, Thread
from support.story import Story, agent, center


def talk(kind: str = "voice", **more: Any) -> tuple[Story, Any]:
    """Mina talks to Ann; Jun and Sora (a supervisor) are there."""
    story = Story(center(agent("mina"), agent("jun"), agent("sora", role="supervisor"), **more))
    story.on("mina", "jun", "sora")
    contact = story.arrives("ann", kind)  # type: ignore[arg-type]
    assert story.accepts("mina") is contact
    return story, contact


def told(story: Story, wish: inputs.Input) -> str:
    return story.tell(wish).answer.code


def monitors(contact: Any, manner: Manner = "listen") -> inputs.MonitorContact:
    return inputs.MonitorContact(agent="sora", contact=contact.id, manner=manner)


def ring(story: Story) -> effects.RingLeg:
    return [effect for effect in story.effects if isinstance(effect, effects.RingLeg)][-1]


def answers(story: Story, rung: effects.RingLeg, leg: str) -> None:
    assert told(story, inputs.AnswerLeg(channel="voice", key=rung.key, leg=leg)) == "ok"


def on_the_line(manner: Manner = "listen") -> tuple[Story, Any]:
    """Sora's phone is answered as well."""
    story, contact = talk()
    assert told(story, monitors(contact, manner)) == "ok"
    answers(story, ring(story), "leg-sora")
    return story, contact


def heard(story: Story, contact: Any) -> list[tuple[str, str, str]]:
    """What the channel was told about manners, in order: (leg, manner, the owner's leg)."""
    told = [effect for effect in story.effects if isinstance(effect, effects.SetManner)]
    assert {(each.channel, each.contact) for each in told} <= {("voice", contact.id)}
    return [(each.leg, each.manner, each.owner_leg) for each in told]


def manners(contact: Any) -> dict[str, str]:
    return {name: guest.manner for name, guest in contact.participants.items()}


def test_whoever_listens_whispers_barges_in_and_listens_again_without_a_new_call() -> None:
    story, contact = on_the_line()
    rung, owner = ring(story), contact.leg
    assert heard(story, contact) == [], "a leg comes in unheard"
    for manner in ("whisper", "barge", "listen"):
        assert told(story, monitors(contact, manner)) == "ok"
        assert manners(contact) == {"sora": manner}
        joined = story.happened(events.ParticipantJoined)[-1]
        assert (joined.role, joined.manner, joined.key) == ("monitoring", manner, None)  # type: ignore[attr-defined]
    assert heard(story, contact) == [("leg-sora", manner, owner) for manner in ("whisper", "barge", "listen")]
    assert ring(story) is rung, "nobody was rung again"
    assert told(story, monitors(contact)) == "is-in-already"


@pytest.mark.parametrize("manner", ["whisper", "barge"])
def test_whoever_comes_in_to_speak_is_heard_once_the_phone_is_answered(manner: Manner) -> None:
    story, contact = talk()
    assert told(story, monitors(contact, manner)) == "ok"
    assert ring(story).side == "monitor"
    assert heard(story, contact) == []
    answers(story, ring(story), "leg-sora")
    assert heard(story, contact) == [("leg-sora", manner, contact.leg)]


def test_the_manner_that_counts_is_that_of_when_the_phone_is_answered() -> None:
    story, contact = talk()
    for manner in ("whisper", "barge", "listen"):
        assert told(story, monitors(contact, manner)) == "ok"
    answers(story, ring(story), "leg-sora")
    assert heard(story, contact) == [], "as every leg, it came in unheard"


def test_an_answer_told_twice_changes_nothing() -> None:
    story, contact = on_the_line("whisper")
    before = heard(story, contact)
    answers(story, ring(story), "leg-sora")
    assert heard(story, contact) == before


def test_a_wish_told_twice_is_granted_once() -> None:
    story, contact = on_the_line()
    first = story.tell(monitors(contact, "whisper"))
    assert first.answer.code == "ok" and len(first.effects) == 1
    again = story.tell(monitors(contact, "whisper"))
    assert (again.answer.status, again.answer.code, again.events) == (409, "is-in-already", [])


def test_whispering_goes_on_while_the_customer_is_held() -> None:
    story, contact = on_the_line("whisper")
    before = heard(story, contact)
    assert told(story, inputs.HoldContact(agent="mina", contact=contact.id)) == "ok"
    assert manners(contact) == {"sora": "whisper"}
    assert told(story, monitors(contact, "barge")) == "ok", "and can be changed meanwhile"
    assert told(story, monitors(contact, "whisper")) == "ok"
    assert told(story, inputs.ResumeContact(agent="mina", contact=contact.id)) == "ok"
    assert heard(story, contact)[len(before) :] == [("leg-sora", m, contact.leg) for m in ("barge", "whisper")]


def test_whom_one_whispers_to_is_the_owner_whoever_that_is() -> None:
    story, contact = on_the_line("whisper")
    first = contact.leg
    assert told(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun")) == "ok"
    answers(story, ring(story), "leg-jun")
    assert told(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun")) == "ok"
    assert heard(story, contact) == [("leg-sora", "whisper", first), ("leg-sora", "whisper", "leg-jun")]
    assert manners(contact) == {"sora": "whisper"}


def test_who_speaks_to_everybody_goes_on_doing_so_when_the_owner_changes() -> None:
    story, contact = on_the_line("barge")
    before = heard(story, contact)
    assert told(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun")) == "ok"
    answers(story, ring(story), "leg-jun")
    assert told(story, inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun")) == "ok"
    assert heard(story, contact) == before
    assert manners(contact) == {"sora": "barge"}


def test_company_ends_with_the_owners_part_however_one_speaks() -> None:
    for manner in ("listen", "whisper", "barge"):
        story, contact = on_the_line(manner)  # type: ignore[arg-type]
        assert told(story, inputs.TransferContact(agent="mina", contact=contact.id, queue="care")) == "ok"
        assert contact.participants == {}
        assert "leg-sora" in [e.leg for e in story.effects if isinstance(e, effects.CancelLeg)]


def test_the_owners_phone_is_hung_up_and_all_is_over() -> None:
    story, contact = on_the_line("whisper")
    assert told(story, inputs.EndLeg(channel="voice", key="", leg=contact.leg, cause="completed")) == "ok"
    assert (contact.status, contact.participants) == ("wrapping", {})
    assert "leg-sora" in [e.leg for e in story.effects if isinstance(e, effects.CancelLeg)]
    assert told(story, monitors(contact, "barge")) == "contact-is-wrapping"


def test_a_supervisor_who_hangs_up_is_gone_and_may_come_again() -> None:
    story, contact = on_the_line("whisper")
    key = ring(story).key
    assert told(story, inputs.EndLeg(channel="voice", key=key, leg="leg-sora", cause="completed")) == "ok"
    assert contact.participants == {} and contact.status == "active"
    late = story.tell(inputs.AnswerLeg(channel="voice", key=key, leg="leg-late")).answer
    assert (late.status, late.code) == (409, "offer-is-over")
    assert told(story, monitors(contact)) == "ok"
    assert manners(contact) == {"sora": "listen"}, "nobody comes in speaking because of what was before"


def test_until_the_owners_phone_is_answered_nobody_is_there_to_whisper_to() -> None:
    queue = Queue(id="care", name="Care", leg="on_accept")
    story = Story(center(agent("mina"), agent("sora", role="supervisor"), queues=(queue,)))
    story.on("mina", "sora")
    contact = story.arrives("ann", "voice")
    assert contact.offer is not None
    assert told(story, inputs.AcceptOffer(agent="mina", offer=contact.offer.id)) == "ok"
    owners = ring(story)
    assert told(story, monitors(contact, "whisper")) == "ok"
    answers(story, ring(story), "leg-sora")
    assert heard(story, contact) == []
    answers(story, owners, "leg-mina")
    assert heard(story, contact) == [("leg-sora", "whisper", "leg-mina")]


def test_only_who_monitors_has_a_manner() -> None:
    story, contact = on_the_line()
    assert told(story, inputs.ConsultAgent(agent="mina", contact=contact.id, to_agent="jun")) == "ok"
    for name in ("mina", "jun"):
        wish = inputs.MonitorContact(agent=name, contact=contact.id, manner="barge")
        assert told(story, wish) == "is-in-already"


def test_in_a_chat_one_barges_in_by_writing_to_the_customer_and_whispers_by_a_note() -> None:
    story, contact = talk("chat")
    for manner, means in (("whisper", "whisper-by-note"), ("listen", "ok")):
        assert told(story, monitors(contact, manner)) == means  # type: ignore[arg-type]
    assert told(story, monitors(contact, "whisper")) == "whisper-by-note"
    assert told(story, inputs.SendMessage(agent="sora", contact=contact.id)) == "not-yours"
    assert told(story, inputs.SendMessage(agent="sora", contact=contact.id, private=True)) == "ok"
    assert told(story, monitors(contact, "barge")) == "ok"
    assert told(story, inputs.SendMessage(agent="sora", contact=contact.id)) == "ok"
    said = story.happened(events.MessageAdded)[-1]
    assert (said.agent, said.private) == ("sora", False)  # type: ignore[attr-defined]
    assert told(story, monitors(contact)) == "ok"
    assert told(story, inputs.SendMessage(agent="sora", contact=contact.id)) == "not-yours"
    assert heard(story, contact) == []


def test_in_a_mail_who_barges_in_writes_as_himself() -> None:
    story, contact = talk("email")
    assert told(story, monitors(contact, "barge")) == "ok"
    assert told(story, inputs.SendMessage(agent="sora", contact=contact.id)) == "ok"
    assert isinstance(story.effects[-1], effects.Deliver)


def test_a_call_that_is_carried_elsewhere_can_be_followed_but_not_spoken_in() -> None:
    story = Story(center(agent("mina"), agent("sora", role="supervisor")))
    story.on("mina", "sora")
    who = Identity(scope="t", kind="external", value="ann")
    came = story.tell(inputs.ReceiveMessage(channel="voice", thread=Thread(external="x"), identity=who, dedupe_key="1"))
    contact = story.pool.contacts[came.answer.contact or ""]
    assert contact.offer is not None
    assert told(story, inputs.AcceptOffer(agent="mina", offer=contact.offer.id)) == "ok"
    for manner in ("whisper", "barge"):
        assert told(story, monitors(contact, manner)) == "call-is-elsewhere"  # type: ignore[arg-type]
    assert told(story, monitors(contact)) == "ok"

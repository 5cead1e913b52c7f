"""Faults that a review found, each told as the story that must not happen again."""

import msgspec

from router import events, inputs
from router.config import Config, Queue, Step, faults
from router.model import Identity, Thread
from support.story import Story, agent, center


def own_mail(who: str = "mina") -> inputs.StartContact:
    identity = Identity(scope="t", kind="external", value="ann")
    return inputs.StartContact(agent=who, channel="email", thread=Thread(external="ann"), identity=identity)


def test_the_count_of_messages_goes_on_when_a_forgotten_conversation_comes_back() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina")
    first = story.arrives("ann", "email")
    story.accepts("mina")
    story.tell(inputs.SendMessage(agent="mina", contact=first.id), "hello")
    story.completes("mina", first)
    story.wait(9 * 86_400)
    assert first.conversation not in story.pool.conversations
    again = story.arrives("ann", "email")
    assert again.conversation == first.conversation
    numbers = [event.number for event in story.happened(events.MessageAdded)]  # type: ignore[attr-defined]
    assert numbers == [1, 2, 3]


def test_a_transfer_starts_the_steps_of_the_new_queue_from_the_transfer() -> None:
    queues = (
        Queue(id="care", name="Care"),
        Queue(id="bill", name="Bill", steps=(Step(after_s=600, end="close"),), max_wait_s=900),
    )
    story = Story(center(agent("mina", maximum={"chat": 1}), queues=queues))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.wait(1000)
    story.tell(inputs.TransferContact(agent="mina", contact=contact.id, queue="bill"))
    story.tell(inputs.SetPresence(agent="mina", presence="away"))
    story.wait(1)
    assert contact.id in story.pool.contacts
    assert not contact.promoted
    story.wait(600)
    assert contact.id not in story.pool.contacts


def test_the_answer_to_our_own_mail_can_be_served_by_an_inbound_agent() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    started = story.tell(own_mail(), "hello").answer.contact
    assert started is not None
    moved = story.tell(inputs.TransferContact(agent="mina", contact=started, to_agent="jun"))
    assert moved.answer.status == 200
    assert story.who_has(story.pool.contacts[started]) == "jun"


def test_who_goes_offline_leaves_conversations_to_others_and_parks_mail() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina")
    chat = story.arrives("ann", "chat")
    story.accepts("mina")
    mail = story.arrives("ben", "email")
    story.accepts("mina")
    story.on("jun")
    story.tell(inputs.SetPresence(agent="mina", presence="offline"))
    assert story.who_has(chat) == "jun"
    assert (mail.status, mail.agent) == ("parked", "mina")
    story.accepts("jun")
    story.arrives("ben", "email")
    assert story.who_has(mail) == "jun", "the customer's next word brings it to somebody who is there"


def test_a_parked_mail_is_not_resumed_to_an_agent_at_lunch() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.tell(inputs.ParkContact(agent="mina", contact=mail.id))
    story.tell(inputs.SetPresence(agent="mina", presence="away", reason="lunch"))
    story.arrives("ann", "email")
    assert mail.status == "queued"


def test_a_call_is_never_taken_away_for_silence() -> None:
    story = Story(center(agent("mina"), agent("jun"), queues=(Queue(id="care", name="Care", first_reply_s=60),)))
    story.on("mina", "jun")
    call = story.arrives("call", "voice")
    story.accepts("mina")
    story.wait(600)
    assert (call.status, call.agent) == ("active", "mina")


def test_who_waits_for_a_person_is_not_held_up_by_another_whom_the_person_cannot_take_yet() -> None:
    story = Story(
        center(agent("mina", maximum={"chat": 3}), agent("jun"), queues=(Queue(id="care", name="Care", wrap_up_s=0),))
    )
    story.on("mina")
    chats = [story.arrives(f"c{n}") for n in range(3)]
    for _ in chats:
        story.accepts("mina")
    story.on("jun")
    call, chat = story.arrives("call", "voice"), None
    story.accepts("jun")
    story.tell(inputs.TransferContact(agent="jun", contact=call.id, to_agent="mina"))
    chat = story.arrives("late")
    story.accepts("jun")
    story.tell(inputs.TransferContact(agent="jun", contact=chat.id, to_agent="mina"))
    story.completes("mina", chats[0])
    assert story.who_has(chat) == "mina"


def test_an_unresponsive_preferred_agent_is_not_waited_for() -> None:
    queue = Queue(id="care", name="Care", wrap_up_s=0, prefer_for_s=3600)
    story = Story(center(agent("mina"), agent("jun"), queues=(queue,)))
    story.on("mina", "jun")
    first = story.arrives("ann", "email")
    story.accepts("mina")
    story.completes("mina", first)
    again = story.arrives("ann", "email")
    assert story.who_has(again) == "mina"
    story.wait(21)
    assert story.who_has(again) == "jun"


def test_an_agent_who_is_no_longer_configured_hands_everything_on() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina")
    chat, mail = story.arrives("ann"), None
    story.accepts("mina")
    mail = story.arrives("ben", "email")
    story.accepts("mina")
    offered = story.arrives("cho")
    story.tell(inputs.ApplyConfig(version=2, config=center(agent("jun"))))
    story.on("jun")
    assert {story.who_has(c) for c in (chat, mail, offered)} <= {"jun", None}
    assert story.pool.agents["mina"].contacts == []


def test_coming_back_cancels_a_planned_break() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.SetPresence(agent="mina", presence="away", when="after"))
    story.tell(inputs.SetPresence(agent="mina", presence="available"))
    story.completes("mina", contact)
    assert story.pool.agents["mina"].presence == "available"


def test_a_time_zone_that_does_not_exist_is_refused_before_it_reaches_the_router() -> None:
    config = msgspec.structs.replace(center(agent("mina")), timezone="Mars/Olympus")
    assert any("time zone" in fault for fault in faults(config))
    assert isinstance(config, Config)

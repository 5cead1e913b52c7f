"""Stories of presence, capacity, lost agents, wrap-up and the owner's silence."""

from router import events, inputs
from router.config import Queue
from router.model import Identity, Thread
from support.story import Story, agent, center


def test_a_closed_browser_returns_offers_after_five_seconds_and_chats_after_forty_five() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina")
    held = story.arrives("ann")
    story.accepts("mina")
    offered = story.arrives("ben")
    story.off("mina")
    story.on("jun")
    story.wait(4.9)
    assert story.who_has(offered) == "mina"
    story.wait(0.2)
    assert story.who_has(offered) == "jun"
    story.wait(39.8)
    assert story.who_has(held) == "mina"
    story.wait(0.2)
    assert story.who_has(held) is None or story.who_has(held) == "jun"
    assert story.pool.agents["mina"].presence == "offline"


def test_a_reload_in_between_loses_nothing() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina")
    held, offered = story.arrives("ann"), None
    story.accepts("mina")
    offered = story.arrives("ben")
    story.off("mina")
    story.wait(3)
    story.tell(inputs.Connect(agent="mina", connection="g:1:again"))
    story.wait(60)
    assert story.who_has(held) == "mina"
    assert offered.attempt == 1 or story.pool.agents["mina"].presence == "unresponsive"


def test_mail_stays_with_a_lost_agent() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.off("mina")
    story.on("jun")
    story.wait(300)
    assert story.who_has(mail) == "mina"


def test_a_gateway_that_starts_anew_loses_its_old_connections_only() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.tell(inputs.Connect(agent="mina", connection="g1:a:1"))
    story.tell(inputs.Connect(agent="jun", connection="g2:a:1"))
    story.tell(inputs.StartGateway(gateway="g1"))
    assert story.pool.agents["mina"].connections == []
    assert story.pool.agents["jun"].connections == ["g2:a:1"]


def test_a_call_parks_the_mail_and_its_end_brings_the_mail_back() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    call = story.arrives("call-1", "voice")
    assert story.who_has(call) == "mina"
    story.accepts("mina")
    assert (mail.status, mail.parked_for) == ("parked", "interrupted")
    story.completes("mina", call)
    assert mail.status == "active"


def test_a_call_is_not_given_to_an_agent_who_chats() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    story.arrives("ann")
    story.accepts("mina")
    assert story.who_has(story.arrives("call-1", "voice")) is None


def test_three_chats_fit_and_a_fourth_waits_until_one_wraps_up() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=10),)))
    story.on("mina")
    chats = []
    for number in range(3):
        chats.append(story.arrives(f"c{number}"))
        story.accepts("mina")
    fourth = story.arrives("fourth")
    assert story.who_has(fourth) is None
    story.tell(inputs.WrapUpContact(agent="mina", contact=chats[0].id))
    assert story.who_has(fourth) is None, "wrap-up holds its units"
    story.wait(10.1)
    assert story.who_has(fourth) == "mina"


def test_wrap_up_can_be_extended_and_a_change_of_presence_does_not_cut_it_short() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=10),)))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    story.tell(inputs.ExtendWrapUp(agent="mina", contact=contact.id, seconds=30))
    story.tell(inputs.SetPresence(agent="mina", presence="away", reason="lunch"))
    story.wait(39)
    assert contact.status == "wrapping"
    story.wait(2)
    assert contact.id not in story.pool.contacts


def test_a_planned_break_begins_when_the_last_contact_has_ended() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.SetPresence(agent="mina", presence="away", reason="lunch", when="after"))
    assert story.pool.agents["mina"].presence == "available"
    story.completes("mina", contact)
    assert (story.pool.agents["mina"].presence, story.pool.agents["mina"].reason) == ("away", "lunch")


def test_draining_takes_nothing_new_and_goes_offline_when_done() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=0),)))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.SetPresence(agent="mina", presence="draining"))
    assert story.who_has(story.arrives("ben")) is None
    story.completes("mina", contact)
    assert story.pool.agents["mina"].presence == "offline"


def test_a_silent_owner_is_nudged_and_then_loses_the_contact_to_somebody_else() -> None:
    story = Story(center(agent("mina"), agent("jun"), queues=(Queue(id="care", name="Care", first_reply_s=30),)))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.wait(31)
    assert contact.nudged
    story.wait(30)
    assert story.who_has(contact) == "jun"


def test_silence_on_both_sides_closes_a_chat() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.wait(1700)
    story.tell(inputs.SendMessage(agent="mina", contact=contact.id), "still there?")
    story.wait(1700)
    assert contact.status == "active"
    story.wait(200)
    assert contact.id not in story.pool.contacts
    assert isinstance(story.journal[-1], events.ContactCompleted)


def test_only_the_owner_may_speak_and_only_while_the_contact_is_open() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    story.accepts("mina")
    assert story.tell(inputs.SendMessage(agent="jun", contact=contact.id), "hi").answer.code == "not-yours"
    assert story.tell(inputs.SendMessage(agent="mina", contact=contact.id, private=True), "psst").answer.status == 200
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    late = story.tell(inputs.SendMessage(agent="mina", contact=contact.id), "bye")
    assert late.answer.code == "contact-is-wrapping"


def test_a_parked_conversation_wakes_when_the_customer_speaks() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann", "sms")
    story.accepts("mina")
    story.tell(inputs.ParkContact(agent="mina", contact=contact.id))
    story.arrives("ann", "sms")
    assert (contact.status, contact.agent) == ("active", "mina")


def test_a_message_delivered_twice_is_one_message_and_one_contact() -> None:
    story = Story(center(agent("mina")))
    wish = inputs.ReceiveMessage(
        channel="chat",
        thread=Thread(external="ann"),
        identity=Identity(scope="t", kind="external", value="ann"),
        dedupe_key="m1",
    )
    first, second = story.tell(wish, "hello"), story.tell(wish, "hello")
    assert second.answer.code == "duplicate"
    assert second.answer.contact == first.answer.contact
    assert len(story.happened(events.MessageAdded)) == 1


def test_a_deleted_queue_hands_its_waiting_to_the_default_queue_in_their_old_place() -> None:
    config = center(agent("mina"), queues=(Queue(id="care", name="Care"), Queue(id="old", name="Old")))
    story = Story(config)
    contact = story.arrives("ann", "email")
    story.tell(inputs.ApplyConfig(version=2, config=center(agent("mina"), queues=(Queue(id="new", name="New"),))))
    assert contact.queue == "new"
    story.on("mina")
    assert story.who_has(contact) == "mina"


def test_an_exclusion_ends_when_the_only_other_agent_goes() -> None:
    story = Story(center(agent("mina"), agent("jun", maximum={"chat": 0})))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    story.declines("mina")
    assert story.who_has(contact) is None, "jun is there, and only happens to be full"
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert story.who_has(contact) == "mina"


def test_wrap_up_after_a_long_silence_still_has_its_conversation() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=30),)))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.wait(6.9 * 86_400)
    story.tell(inputs.WrapUpContact(agent="mina", contact=mail.id))
    story.outage(3 * 86_400)
    assert mail.id not in story.pool.contacts
    assert mail.conversation in story.pool.conversations


def test_wrap_up_that_ends_while_its_agent_is_lost_frees_the_agent() -> None:
    story = Story(center(agent("mina"), queues=(Queue(id="care", name="Care", wrap_up_s=10),)))
    story.on("mina")
    contact = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.WrapUpContact(agent="mina", contact=contact.id))
    story.off("mina")
    story.wait(11)
    assert story.pool.agents["mina"].contacts == []


def test_nobody_starts_own_work_without_being_signed_in() -> None:
    story = Story(center(agent("mina")))
    wish = inputs.StartContact(
        agent="mina",
        channel="email",
        thread=Thread(external="own-1"),
        identity=Identity(scope="email", kind="email", value="ann@example.com"),
    )
    assert story.tell(wish, "hello").answer.code == "not-signed-in"
    story.on("mina")
    assert story.tell(wish, "hello").answer.status == 201

"""Stories of the finer rules: hours, steps, overflow, several queues, reserve, who serves what first, parking."""

import datetime as dt

import msgspec

from router import events, inputs, intake, offers
from router.calendar import Calendar
from router.config import Brand, Config, Queue, Step
from router.engine import Decision
from router.memory import Contact
from router.model import Identity, Requirement, Thread
from router.turn import OK, Turn
from support.story import Story, agent, center

SEOUL_MONDAY_8 = dt.datetime(2026, 11, 23, 8, tzinfo=dt.timezone(dt.timedelta(hours=9))).timestamp()
OFFICE = Calendar(id="office", name="Office", week=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-18:00",)))


def outcome(story: Story, contact: Contact) -> str | None:
    ended = [e for e in story.happened(events.ContactCompleted) if e.contact == contact.id]  # type: ignore[attr-defined]
    return ended[0].outcome if ended else None  # type: ignore[attr-defined]


# -- hours


def test_steps_wait_for_the_doors_to_open() -> None:
    steps = (Step(after_s=60, requires=()),)
    queue = Queue(id="care", name="Care", requires=(Requirement(skill="billing"),), steps=steps, hours="office")
    jun = agent("jun", skills={"billing": 1})
    story = Story(center(jun, agent("mina"), queues=(queue,), skills=("billing",), calendars=(OFFICE,)), SEOUL_MONDAY_8)
    story.on("mina")
    contact = story.arrives("ann")
    story.wait(3600 + 59)
    assert story.who_has(contact) is None
    story.wait(1)
    assert story.who_has(contact) == "mina", "60 s after nine o'clock the step is reached"


def test_the_target_is_laid_over_the_hours_so_a_night_mail_is_due_in_the_morning() -> None:
    queues = (Queue(id="care", name="Care", hours="office"), Queue(id="night", name="Night"))
    channels = {"email": "care", "chat": "night"}
    config = center(agent("mina"), queues=queues, calendars=(OFFICE,))
    story = Story(_routed(config, channels), SEOUL_MONDAY_8)
    mail, chat = story.arrives("ann", "email"), story.arrives("ben", "chat")
    assert story.pool.due_by(mail, 4 * 3600) == SEOUL_MONDAY_8 + 5 * 3600
    assert story.pool.due_by(chat, 180) == SEOUL_MONDAY_8 + 180


def test_a_closed_queue_ends_what_comes_if_it_is_told_to() -> None:
    queue = Queue(id="care", name="Care", hours="office", when_closed="message")
    story = Story(center(agent("mina"), queues=(queue,), calendars=(OFFICE,)), SEOUL_MONDAY_8)
    story.on("mina")
    assert outcome(story, story.arrives("ann")) == "after_hours"
    story.wait(3600)
    assert story.who_has(story.arrives("ben")) == "mina"


def test_a_holiday_that_rides_with_the_configuration_closes_the_brand() -> None:
    kr = Calendar(id="kr", name="Korea", week={"mon": ("00:00-24:00",)}, holidays=("KR",))
    queue = Queue(id="care", name="Care", when_closed="close")
    config = center(agent("mina"), queues=(queue,), calendars=(kr,))
    brand = Brand(id="shop", name="Shop", default_queue="care", hours="kr")
    config = replaced(config, brands=(brand,))
    story = Story(center(agent("mina")), SEOUL_MONDAY_8)
    missing = story.tell(inputs.ApplyConfig(version=2, config=config))
    assert (missing.answer.status, missing.answer.code) == (422, "holidays-missing")
    story.tell(inputs.ApplyConfig(version=2, config=config, holidays={"KR": {}}))
    story.on("mina")
    assert story.who_has(story.arrives("ann")) == "mina"
    holidays = {"KR": {"2026-11-23": "임시공휴일"}}
    story.tell(inputs.ApplyConfig(version=3, config=config, holidays=holidays))
    assert outcome(story, story.arrives("ben")) == "after_hours"


def replaced(config: Config, **more: object) -> Config:
    return msgspec.structs.replace(config, **more)


def _routed(config: Config, queues: dict[str, str]) -> Config:
    channels = tuple(msgspec.structs.replace(c, queue=queues.get(c.id)) for c in config.channels)
    return msgspec.structs.replace(config, channels=channels)


# -- steps and queues


def test_a_step_nobody_could_serve_is_skipped_at_once_and_again_when_the_last_one_leaves() -> None:
    steps = (
        Step(after_s=0, requires=(Requirement(skill="billing", level=3),), skip_if_nobody=True),
        Step(after_s=600, requires=()),
    )
    queue = Queue(id="care", name="Care", steps=steps)
    story = Story(center(agent("jun", skills={"billing": 3}), agent("mina"), queues=(queue,), skills=("billing",)))
    story.on("mina")
    assert story.who_has(story.arrives("ann", "task")) == "mina", "nobody has billing, so its step is passed over"
    story.on("jun")
    story.arrives("ben", "task")
    waits = story.arrives("cho", "voice")
    assert story.who_has(waits) is None, "jun is there, if busy"
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    assert waits.step == 2


def test_a_step_adds_another_queues_agents_and_the_contact_is_taken_once() -> None:
    queues = (
        Queue(id="care", name="Care", requires=(Requirement(skill="billing"),), steps=(Step(after_s=20, add_queues=("all",)),)),
        Queue(id="all", name="All"),
    )  # fmt: skip
    story = Story(center(agent("jun", skills={"billing": 1}), agent("mina"), queues=queues, skills=("billing",)))
    story.on("mina")
    contact = story.arrives("ann")
    story.wait(19)
    assert story.who_has(contact) is None
    story.wait(1)
    assert story.who_has(contact) == "mina"
    assert contact.queue == "care"


def test_what_is_over_goes_to_the_overflow_queue_and_from_there_nowhere() -> None:
    queues = (
        Queue(id="care", name="Care", max_length=1, overflow_queue="more"),
        Queue(id="more", name="More", max_length=1),
    )
    story = Story(center(agent("mina"), queues=queues))
    assert [story.arrives(who).queue for who in ("ann", "ben")] == ["care", "more"]
    assert outcome(story, story.arrives("cho")) == "overflowed"


# -- agents


def test_a_freed_agent_serves_first_what_it_is_told_to_inside_a_tier() -> None:
    queues = (Queue(id="care", name="Care"), Queue(id="sales", name="Sales"), Queue(id="vip", name="Vip", tier=1))
    config = center(agent("mina", serves_first=("sales",), maximum={"chat": 1}), queues=queues)
    story = Story(_routed(config, {"chat": "care", "sms": "sales", "email": "vip"}))
    care, sales, vip = story.arrives("ann", "chat"), story.arrives("ben", "sms"), story.arrives("cho", "email")
    order = []
    story.on("mina")
    for _ in range(3):
        taken = story.accepts("mina")
        order.append(taken.id)
    assert order == [vip.id, sales.id, care.id]


def test_at_most_so_many_contacts_at_once_of_whatever_kind() -> None:
    story = Story(center(agent("mina", at_once=2)))
    story.on("mina")
    for who, kind in (("ann", "chat"), ("ben", "email")):
        story.arrives(who, kind)  # type: ignore[arg-type]
        story.accepts("mina")
    assert story.who_has(story.arrives("cho", "sms")) is None


def test_a_call_that_somebody_else_carries_is_accepted_at_the_desk() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    identity = Identity(scope="t", kind="external", value="ann")
    decision = story.tell(
        inputs.ReceiveMessage(channel="voice", thread=Thread(external="x-1"), identity=identity, dedupe_key="1"), ""
    )
    contact = story.pool.contacts[decision.answer.contact or ""]
    assert not story.effects, "no phone of ours rings"
    assert contact.offer is not None
    assert story.tell(inputs.AcceptOffer(agent="mina", offer=contact.offer.id)).answer.status == 200
    assert contact.status == "active"
    assert story.who_has(story.arrives("ben", "chat")) is None, "it takes the whole agent"


def test_who_declines_too_much_at_a_time_cools_down() -> None:
    story = Story(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    story.arrives("first", "voice")
    story.accepts("mina" if story.offered("mina") else "jun")
    free = "jun" if story.pool.agents["mina"].contacts else "mina"
    for number in range(33):
        story.arrives(f"c{number}", "chat")
        story.declines(free)
    assert story.pool.agents[free].cools_until is not None
    assert story.who_has(story.arrives("next", "chat")) is None
    story.wait(60)
    assert story.offered(free) is not None


def test_a_transfer_to_somebody_who_lacks_what_is_asked_is_refused() -> None:
    queue = Queue(id="care", name="Care", requires=(Requirement(skill="billing"),))
    agents = (agent("mina", skills={"billing": 1}), agent("jun"))
    story = Story(center(*agents, queues=(queue,), skills=("billing",)))
    story.on("mina", "jun")
    story.arrives("ann")
    contact = story.accepts("mina")
    refused = story.tell(inputs.TransferContact(agent="mina", contact=contact.id, to_agent="jun"))
    assert (refused.answer.status, refused.answer.code) == (409, "agent-lacks-skill")


def test_a_silent_conversation_is_parked_and_the_customers_word_brings_it_back() -> None:
    story = Story(center(agent("mina", maximum={"chat": 1}), queues=(Queue(id="care", name="Care", idle_after_s=120),)))
    story.on("mina")
    ann = story.arrives("ann")
    story.accepts("mina")
    story.wait(119)
    assert ann.status == "active"
    story.wait(1)
    assert (ann.status, ann.parked_for) == ("parked", "silent")
    assert story.who_has(story.arrives("ben")) == "mina", "its units are free"
    story.accepts("mina")
    story.arrives("ann", text="hello again")
    assert (ann.status, ann.prefers) == ("queued", ("mina",))
    story.completes("mina", story.pool.contacts[story.pool.agents["mina"].contacts[0]])
    assert story.who_has(ann) == "mina"


# -- blending


def waits_outbound(story: Story, who: str) -> Contact:
    """An outbound contact that waits for whoever may be given it, as a campaign makes them."""
    turn = Turn(story.pool, story.now, f"campaign-{who}", story.now, None)
    identity, thread = Identity(scope="t", kind="external", value=who), Thread(external=f"out-{who}")
    conversation = intake.open_conversation(turn, turn.pool.lookup.channels["email"], thread, identity, None)
    turn.emit(
        events.ContactOpened(
            contact=f"out-{who}", conversation=conversation.id, direction="outbound", queue="out", target_s=0,
            enqueued_at=story.now,
        )
    )  # fmt: skip
    offers.settle(turn)
    story._note(Decision(turn.events, turn.effects, OK), story.now)
    return story.pool.contacts[f"out-{who}"]


def blended_center(reserve: int) -> Story:
    queues = (Queue(id="care", name="Care", reserve=reserve), Queue(id="out", name="Out"))
    people = [agent(name, mode="blended", at_once=1) for name in ("mina", "jun", "sora")]
    return Story(_routed(center(*people, agent("kim", mode="outbound"), queues=queues), {"chat": "care"}))


def test_outbound_work_goes_to_blended_agents_while_more_are_idle_than_are_kept() -> None:
    story = blended_center(reserve=2)
    story.on("mina", "jun", "sora")
    first, second = waits_outbound(story, "ann"), waits_outbound(story, "ben")
    assert story.who_has(first) == "mina", "three are idle, two are kept: the longest idle may go"
    assert story.who_has(second) is None
    story.on("kim")
    assert story.who_has(second) == "kim", "who does outbound work only is nobody's reserve"


def test_outbound_work_looks_again_when_more_become_idle_and_the_longest_idle_gets_it() -> None:
    story = blended_center(reserve=1)
    story.on("mina")
    contact = waits_outbound(story, "ann")
    assert story.who_has(contact) is None
    story.on("jun")
    assert story.who_has(contact) == "mina"


def test_inbound_work_that_waits_goes_first_to_a_blended_agent_whatever_its_place() -> None:
    story = blended_center(reserve=0)
    outbound = waits_outbound(story, "ann")
    story.wait(100)
    inbound = story.arrives("ben", "chat")
    story.on("mina")
    assert (story.who_has(inbound), story.who_has(outbound)) == ("mina", None)
    story.on("jun")
    assert story.who_has(outbound) == "jun"


def test_outbound_work_looks_again_when_the_inbound_work_that_held_it_back_is_gone() -> None:
    queues = (Queue(id="care", name="Care"), Queue(id="out", name="Out"))
    people = (agent("mina", mode="blended"), agent("jun", at_once=1))
    story = Story(_routed(center(*people, queues=queues), {"chat": "care"}))
    story.on("mina", "jun")
    story.arrives("zed", "chat")
    story.declines("mina")
    story.accepts("jun")
    story.arrives("ann", "chat")
    story.declines("mina")
    outbound = waits_outbound(story, "ben")
    assert story.who_has(outbound) is None, "ann waits, if not for mina now"
    story.tell(inputs.EndSession(channel="chat", thread=Thread(external="ann")))
    assert story.who_has(outbound) == "mina"


def test_wrapping_up_what_is_parked_needs_room_else_it_is_done_at_once() -> None:
    story = Story(center(agent("mina", maximum={"chat": 1})))
    story.on("mina")
    ann = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.ParkContact(agent="mina", contact=ann.id))
    story.arrives("ben")
    story.accepts("mina")
    refused = story.tell(inputs.WrapUpContact(agent="mina", contact=ann.id)).answer
    assert (refused.status, refused.code) == (409, "no-capacity")
    story.tell(inputs.EndSession(channel="chat", thread=Thread(external="ann")))
    assert outcome(story, ann) == "handled", "the customer has left: there is no room for a wrap-up"

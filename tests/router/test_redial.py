"""Whoever hangs up while waiting and calls again soon keeps the place; nobody else's is touched, and little is kept."""

import pytest

from router import inputs, redial
from router.config import Queue, Step
from router.events import ContactOpened
from router.memory import Abandoned, Contact
from router.model import Identity, Thread
from support.story import Story, agent, center

QUEUES = (Queue(id="care", name="Care", wrap_up_s=0), Queue(id="second", name="Second", wrap_up_s=0))


def story(*queues: Queue) -> Story:
    return Story(center(agent("mina"), queues=queues or QUEUES))


def caller(number: str = "+821011112222") -> Identity:
    return Identity(scope="e164", kind="phone", value=number)


def calls(story: Story, call: str, number: str = "+821011112222") -> Contact:
    return story.arrives(call, "voice", identity=caller(number))


def hangs_up(story: Story, call: str) -> None:
    story.tell(inputs.EndCall(channel="voice", thread=Thread(external=call, kind="call")))


def line(story: Story, queue: str = "care") -> list[str | None]:
    return [contact.call for contact in story.pool.in_line(queue)]


def test_who_calls_again_soon_has_the_place_of_before() -> None:
    tale = story()
    first = calls(tale, "c1")
    tale.wait(10)
    calls(tale, "c2", "+821033334444")
    tale.wait(30)
    hangs_up(tale, "c1")
    tale.wait(100)
    again = calls(tale, "c1-again")
    assert again.enqueued_at == first.enqueued_at
    assert line(tale) == ["c1-again", "c2"]
    opened = tale.happened(ContactOpened)[-1]
    assert isinstance(opened, ContactOpened) and opened.follows == first.id


def test_after_two_minutes_the_place_is_gone() -> None:
    tale = story()
    first = calls(tale, "c1")
    tale.wait(10)
    calls(tale, "c2", "+821033334444")
    hangs_up(tale, "c1")
    tale.wait(redial.REDIAL_S + 1)
    assert calls(tale, "c1-again").enqueued_at > first.enqueued_at
    assert line(tale) == ["c2", "c1-again"]


def test_a_place_is_given_back_once() -> None:
    tale = story()
    first = calls(tale, "c1")
    tale.wait(5)
    hangs_up(tale, "c1")
    tale.wait(5)
    calls(tale, "c2")
    third = calls(tale, "c3")
    assert third.enqueued_at == first.enqueued_at + 10
    hangs_up(tale, "c2")
    assert calls(tale, "c4").enqueued_at == first.enqueued_at, "who hangs up the call that had it has it again"


@pytest.mark.parametrize(
    "number", ["anonymous", "", "+266696687", "86282452253", "unknown", "1588", "sip:+821011112222@x"]
)
def test_callers_without_a_number_of_their_own_never_share_a_place(number: str) -> None:
    tale = story()
    first = calls(tale, "c1", number)
    hangs_up(tale, "c1")
    tale.wait(5)
    assert calls(tale, "c2", number).enqueued_at == first.enqueued_at + 5
    assert tale.pool.memory.abandoned == {}


def test_another_caller_and_another_queue_have_nothing_of_it() -> None:
    tale = story()
    calls(tale, "c1")
    contact = tale.pool.in_line("care")[0]
    tale.tell(inputs.MoveContact(contact=contact.id, queue="second", by="boss"))
    hangs_up(tale, "c1")
    tale.wait(5)
    assert calls(tale, "c2", "+821099998888").enqueued_at == tale.now
    assert calls(tale, "c3").enqueued_at == tale.now, "it was given up in the second queue"


def test_who_was_answered_has_no_place_to_come_back_to() -> None:
    tale = story()
    tale.on("mina")
    calls(tale, "c1")
    tale.accepts("mina")
    hangs_up(tale, "c1")
    assert tale.pool.memory.abandoned == {}


def test_a_chat_that_was_given_up_keeps_nothing() -> None:
    tale = story()
    tale.arrives("ann", "chat", identity=caller())
    tale.tell(inputs.EndSession(channel="chat", thread=Thread(external="ann")))
    assert tale.pool.memory.abandoned == {}


def test_the_wait_goes_on_as_though_nobody_had_hung_up() -> None:
    tale = story(Queue(id="care", name="Care", steps=(Step(after_s=60, tier=2),)))
    calls(tale, "c1")
    tale.wait(50)
    hangs_up(tale, "c1")
    tale.wait(20)
    again = calls(tale, "c2")
    tale.wait(0)
    assert again.step == 1


def test_it_survives_a_snapshot() -> None:
    tale = story()
    first = calls(tale, "c1")
    tale.wait(5)
    hangs_up(tale, "c1")
    tale.restored()
    tale.wait(5)
    assert calls(tale, "c2").enqueued_at == first.enqueued_at


def test_a_surge_of_hang_ups_is_forgotten_in_time_and_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redial, "REMEMBER", 50)
    tale = story()
    for n in range(120):
        calls(tale, f"c{n}", f"+8210{n:08d}")
        hangs_up(tale, f"c{n}")
    assert len(tale.pool.memory.abandoned) == 50
    tale.wait(redial.REDIAL_S + 1)
    calls(tale, "last", "+821099999999")
    hangs_up(tale, "last")
    assert [type(kept) for kept in tale.pool.memory.abandoned.values()] == [Abandoned]

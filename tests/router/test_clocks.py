"""Stories of providers' own clocks: a mall counts an answer as late after its own time, whatever our queue promises."""

import datetime as dt

import msgspec
import pytest

from router import events, inputs
from router.calendar import Calendar
from router.config import Queue
from router.memory import Contact
from support.story import Story, agent, center

HOUR = 3600.0
SEOUL_MONDAY_8 = dt.datetime(2026, 11, 23, 8, tzinfo=dt.timezone(dt.timedelta(hours=9))).timestamp()
OFFICE = Calendar(id="office", name="Office", week={"mon": ("09:00-18:00",), "tue": ("09:00-18:00",)})


def story(now: float = 1_000_000.0, **queue: object) -> Story:
    return Story(center(agent("mina"), queues=(Queue(id="care", name="Care", **queue),), calendars=(OFFICE,)), now)  # type: ignore[arg-type]


def promised(told: Story, contact: Contact) -> float:
    [opened] = [e for e in told.happened(events.ContactOpened) if e.contact == contact.id]  # type: ignore[attr-defined]
    return float(opened.target_s)  # type: ignore[attr-defined]


def test_the_shorter_of_both_clocks_is_the_promise() -> None:
    told = story(target_s={"email": 4 * HOUR})
    soon = told.arrives("ann", "email", answer_by=told.now + HOUR)
    late = told.arrives("ben", "email", answer_by=told.now + 24 * HOUR)
    assert (promised(told, soon), promised(told, late)) == (HOUR, 4 * HOUR)
    assert told.pool.due_by(soon, 4 * HOUR) == soon.enqueued_at + HOUR
    assert told.pool.due_by(late, 4 * HOUR) == late.enqueued_at + 4 * HOUR


def test_who_is_nearest_to_being_late_with_the_provider_is_served_first() -> None:
    told = story(target_s={"email": 4 * HOUR})
    told.arrives("ann", "email")
    told.arrives("ben", "email", answer_by=told.now + HOUR)
    told.arrives("cho", "email", answer_by=told.now + 2 * HOUR)
    told.on("mina")
    order = []
    for _ in range(3):
        contact = told.accepts("mina")
        order.append(told.pool.conversations[contact.conversation].identity.value)
        told.completes("mina", contact)
    assert order == ["ben", "cho", "ann"]


def test_a_providers_clock_knows_no_hours() -> None:
    told = story(SEOUL_MONDAY_8 - 10 * HOUR, hours="office", target_s={"email": 4 * HOUR})
    contact = told.arrives("ann", "email", answer_by=told.now + 6 * HOUR)
    assert told.pool.due_by(contact, 4 * HOUR) == told.now + 6 * HOUR, "at night, before the doors open"


def test_what_is_late_already_is_due_at_once() -> None:
    told = story()
    contact = told.arrives("ann", "email", answer_by=told.now - 5 * HOUR)
    assert promised(told, contact) == 0
    assert told.pool.in_line("care")[0].id == contact.id


def test_the_clock_goes_with_the_contact_into_another_queue() -> None:
    queues = (Queue(id="care", name="Care"), Queue(id="slow", name="Slow", target_s={"email": 48 * HOUR}))
    told = Story(center(agent("mina"), queues=queues))
    contact = told.arrives("ann", "email", answer_by=told.now + HOUR)
    other = told.arrives("ben", "email")
    for each in (contact, other):
        told.tell(inputs.MoveContact(contact=each.id, queue="slow", by="boss"))
    assert [c.id for c in told.pool.in_line("slow")] == [contact.id, other.id]
    told.restored()
    assert told.pool.due_by(told.pool.contacts[contact.id], 48 * HOUR) == contact.enqueued_at + HOUR


@pytest.mark.parametrize("answer_by", [-1e18, 0.0, 1e18])
def test_a_provider_that_tells_nonsense_of_time_breaks_no_line(answer_by: float) -> None:
    told = story()
    contact = told.arrives("ann", "email", answer_by=answer_by)
    told.on("mina")
    assert told.who_has(contact) == "mina"


def test_what_is_configured_anew_keeps_the_providers_clock() -> None:
    told = story(target_s={"email": 4 * HOUR})
    contact = told.arrives("ann", "email", answer_by=told.now + HOUR)
    longer = Queue(id="care", name="Care", target_s={"email": 12 * HOUR})
    config = msgspec.structs.replace(told.pool.memory.config, queues=(longer,))
    assert told.tell(inputs.ApplyConfig(version=2, config=config)).answer.status == 200
    before = told.arrives("ben", "email", answer_by=told.now + 2 * HOUR)
    assert [c.id for c in told.pool.in_line("care")] == [contact.id, before.id]

"""What a plan says: what is refused with its reason, and what a change would do at this moment."""

import msgspec
import pytest

from naru.admin.plan import consequences, losses
from router.calendar import Calendar
from router.config import Config, Queue, Step, faults
from router.model import Requirement
from support.story import Story, agent, center

BILLING, CLAIMS = Requirement(skill="billing", level=3), Requirement(skill="claims")


def with_queue(queue: Queue, *agents: object) -> Config:
    people = agents or (agent("mina", skills={"billing": 3}), agent("jun", skills={"claims": 1}))
    return center(*people, queues=(queue, Queue(id="all", name="All")), skills=("billing", "claims"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("queue", "fault"),
    [
        (Queue(id="q", name="Q", requires=(BILLING,)), None),
        (
            Queue(id="q", name="Q", requires=(BILLING, CLAIMS)),
            "queue 'q': as it stands nobody has 'billing' at level 3 and 'claims' at level 1 together,"
            " so it would wait for ever",
        ),
        (Queue(id="q", name="Q", requires=(BILLING, CLAIMS), steps=(Step(after_s=9, requires=()),)), None),
        (Queue(id="q", name="Q", requires=(BILLING, CLAIMS), steps=(Step(after_s=9, end="close"),)), None),
        (Queue(id="q", name="Q", requires=(BILLING, CLAIMS), steps=(Step(after_s=9, add_queues=("all",)),)), None),
        (
            Queue(id="q", name="Q", requires=(Requirement(skill="billing", level=4),)),
            "queue 'q': nobody has 'billing' at level 4 or more, so it would wait for ever",
        ),
        (
            Queue(id="q", name="Q", steps=(Step(after_s=9, end="close"), Step(after_s=20, tier=1))),
            "queue 'q' step 2: cannot be reached, the step before it ends the wait",
        ),
        (
            Queue(id="q", name="Q", steps=(Step(after_s=9, tier=2), Step(after_s=9, tier=1))),
            "queue 'q' step 2: cannot be reached, it does not come after the step before it",
        ),
        (Queue(id="q", name="Q", overflow_queue="q"), "queue 'q': it cannot overflow into itself"),
        (Queue(id="q", name="Q", hours="nights"), "queue 'q': calendar 'nights' does not exist"),
    ],
)
def test_dead_locks_and_steps_that_cannot_be_reached_are_refused_with_the_reason(
    queue: Queue, fault: str | None
) -> None:
    assert faults(with_queue(queue)) == ([fault] if fault else [])


def test_units_above_an_agents_total_are_refused() -> None:
    config = with_queue(Queue(id="q", name="Q"), agent("mina", maximum={"chat": 4}))
    assert faults(config) == ["agent 'mina': 4 of chat at once take 132 units, there are 100"]


def test_a_skill_that_loses_its_last_agent_of_a_level_is_named() -> None:
    before = with_queue(Queue(id="q", name="Q"))
    after = msgspec.structs.replace(before, agents=(agent("mina", skills={"billing": 2}),))
    assert losses(before, after) == [
        "skill 'billing' loses its last level-3 agent; the best left is level 2",
        "skill 'claims' loses its last level-1 agent; nobody is left who has it",
    ]


def test_what_waits_now_and_who_works_now_is_told_what_becomes_of_it() -> None:
    before = with_queue(Queue(id="q", name="Q"))
    story = Story(before)
    for who in ("ann", "ben"):
        story.arrives(who)
    story.on("mina")
    story.accepts("mina")
    hours = Calendar(id="never", name="N", week={"mon": ("00:00-00:01",)})
    stricter = Queue(id="q", name="Q", requires=(BILLING,), hours="never")
    after = msgspec.structs.replace(
        before, queues=(stricter, Queue(id="all", name="All")), agents=(agent("mina", units=20),), calendars=(hours,)
    )
    assert consequences(story.pool, after, story.now, {}) == [
        "queue 'q': 1 waiting contact would ask for other agents than now",
        "1 waiting contact of queue 'q' could then be served by nobody",
        "queue 'q' of brand 'shop' closes at once: outside hours, opens 1970-01-19 00:00",
        "agent 'mina' holds 66 units and would have 20; nothing is taken away",
    ]
    gone = msgspec.structs.replace(before, queues=(Queue(id="all", name="All"),), agents=())
    assert consequences(story.pool, gone, story.now, {}) == [
        "1 waiting contact leaves queue 'q', which goes, for their brand's default queue",
        "agent 'mina' goes while holding 2 contacts",
    ]

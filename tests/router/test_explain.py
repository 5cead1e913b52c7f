"""Explanations told as stories: each reason once, true against the state; and, whatever happens, exactly one for each.

`Told` explains every offer in the moment before it, on a pool of its own that is folded from the events alone, as a
reader of the journal does.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from agents.why import Lines, language_of
from router import events, inputs, intake, offers, scan
from router.config import Agent, Config, Outcome, Queue, Rule, Step
from router.config import Condition as If
from router.engine import Decision
from router.explain import BY_HAND, asked, explain_idle, explain_offer, explain_waiting, offer_id
from router.explained import Explanation
from router.memory import Contact
from router.model import KINDS, Identity, Requirement, Thread
from router.reasons import Reason
from router.skills import requirement_sets
from router.state import Pool, apply
from router.turn import OK, Turn
from router.words import IN_SHORT, LANGUAGES, TEMPLATES, VALUES, Words
from support.dialler import Outreach
from support.story import Story, agent, center

LOST = {
    "preferred_later", "other_queue", "would_interrupt", "lower_score", "busier", "less_busy", "idle_less", "chose_after",
}  # fmt: skip
"""Said of those who could have taken it."""
SHOWN: dict[str, str] = {}
"""Which story shows a code."""


class Told(Story):
    """A story whose offers are explained as they are made, and compared with the choice of the scan."""

    def __init__(self, config: Config, now: float = 1_000_000.0) -> None:
        self.past = Pool()
        self.told: list[Explanation] = []
        super().__init__(config, now)

    def _note(self, decision: Decision, t: float) -> list[events.Event]:
        self._explain(decision, t)
        return super()._note(decision, t)

    def _explain(self, decision: Decision, t: float) -> None:
        self.past.dirty_contacts.clear()
        self.past.dirty_agents.clear()
        for event in decision.events:
            if isinstance(event, events.OfferMade):
                self._tell(event)
            apply(self.past, event, t)

    def _tell(self, event: events.OfferMade) -> None:
        found = explain_offer(self.past, event.contact, event.agent, event.hand)
        check_offer(self.past, event, found)
        self.told.append(found)

    def why(self, contact: Contact | None = None) -> Explanation:
        """The newest offer's explanation, or that of a contact's newest offer."""
        return [found for found in self.told if contact is None or found.contact == contact.id][-1]

    def waits_outbound(self, who: str, kind: str = "email", queue: str = "out") -> Contact:
        """An outbound contact that waits for whoever may be given it, as a campaign makes them."""
        turn = Turn(self.pool, self.now, f"campaign-{who}", self.now, None)
        identity, thread = Identity(scope="t", kind="external", value=who), Thread(external=f"out-{who}")
        conversation = intake.open_conversation(turn, turn.pool.lookup.channels[kind], thread, identity, None)
        if conversation.contact is None:
            opened = events.ContactOpened(
                contact=f"out-{who}-{self.count}", conversation=conversation.id, direction="outbound", queue=queue,
                target_s=0, enqueued_at=self.now,
            )  # fmt: skip
            turn.emit(opened)
        offers.settle(turn)
        self._note(Decision(turn.events, turn.effects, OK), self.now)
        return self.pool.contacts[conversation.contact or ""]


class Calling(Outreach, Told):
    """A campaign's story whose offers are explained."""


def check_offer(pool: Pool, event: events.OfferMade, found: Explanation) -> None:
    """The same agent, as the scan says; one reason for everybody else, and none for those the indexes call eligible."""
    assert found.chosen is not None
    assert found.chosen.agent == event.agent
    assert found.chosen.agrees
    assert (found.attempt, found.contact) == (event.attempt, event.contact)
    assert event.offer == offer_id(event.contact, event.attempt)
    assert sorted([event.agent, *(passed.agent for passed in found.passed_over)]) == sorted(pool.lookup.agents)
    contact = pool.contacts[event.contact]
    matching = pool.matching
    waiter = matching.line.waiters[contact.arrival]
    number = matching.cells.numbers[event.agent]
    if found.chosen.how == "arrived":
        assert scan.agent_for(matching, waiter) == number
    elif found.chosen.how == "freed":
        assert scan.contact_for(matching, number) == contact.arrival
        assert found.contest is not None
        assert all(pool.contacts[other.contact].status == "queued" for other in found.contest.before)
    if found.chosen.how not in BY_HAND:
        lost = {passed.agent for passed in found.passed_over if passed.reason.code in LOST}
        assert lost | {event.agent} == eligible(pool, contact)
        stamps = {id_: pool.agents[id_].idle_stamp for id_ in lost | {event.agent}}
        for passed in found.passed_over:
            if passed.reason.code in ("idle_less", "chose_after"):
                assert stamps[passed.agent] >= stamps[event.agent]
    assert [tuple(Requirement(skill=need.skill, level=need.level) for need in each.needs) for each in found.asked] == [
        requires for _, requires in requirement_sets(contact, pool.lookup)
    ]
    in_words(pool, found)


def eligible(pool: Pool, contact: Contact) -> set[str]:
    """Who could take a contact now, by what the indexes hold."""
    matching, cells = pool.matching, pool.matching.cells
    waiter = matching.line.waiters[contact.arrival]
    found = set()
    for number, id_ in enumerate(cells.ids):
        for group in waiter.groups:
            if cells.states[number][2][group.kind] < 0 or not cells.profile_of[number].meets(group.need):
                continue
            if waiter.prefers:
                if number in waiter.prefers and not scan._excluded(cells, waiter, number):
                    found.add(id_)
            elif number in waiter.excludes and scan._bars(cells, waiter, group.need):
                continue
            elif not (group.outbound and scan._must_stay(matching, number)):
                found.add(id_)
    return found


def in_words(pool: Pool, found: Explanation) -> list[str]:
    """Both languages have words for it; the English ones."""
    said = {language: list(Lines(Words(pool, language)).contact(found)) for language in LANGUAGES}
    assert all(line and "{" not in line for lines in said.values() for line in lines)
    assert len(said["ko"]) == len(said["en"])
    return said["en"]


def shows(*codes: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(story: Callable[[], None]) -> Callable[[], None]:
        SHOWN.update(dict.fromkeys(codes, story.__name__))
        return story

    return register


def reason(found: Explanation, who: str) -> Reason:
    return next(passed.reason for passed in found.passed_over if passed.agent == who)


def waits(story: Story, contact: Contact, who: str) -> Reason:
    return reason(explain_waiting(story.pool, contact.id), who)


def routed(config: Config, **queues: str) -> Config:
    channels = tuple(msgspec.structs.replace(c, queue=queues.get(c.id)) for c in config.channels)
    return msgspec.structs.replace(config, channels=channels)


KEPT_QUEUES = (Queue(id="care", name="Care", reserve=1), Queue(id="out", name="Out"))
BILLING = (Requirement(skill="billing", level=3),)


# -- what an agent has not


@shows("not_configured", "other_brand", "lacks_skill", "level_too_low", "lacks_language", "no_inbound")
def test_what_an_agent_has_not() -> None:
    queue = Queue(id="care", name="Care", requires=BILLING, language_wall=True)
    people = (
        agent("mina", skills={"billing": 3, "lang:ko": 5}),
        agent("jun", skills={"billing": 2, "lang:ko": 5}),
        agent("sora", skills={"lang:ko": 5}),
        agent("kim", skills={"billing": 5}),
        agent("out", mode="outbound", skills={"billing": 5, "lang:ko": 5}),
        Agent(id="far", name="Far", skills={"billing": 5, "lang:ko": 5}),
    )
    story = Told(center(*people, queues=(queue,), skills=("billing", "lang:ko")))
    story.on("mina", "jun", "sora", "kim", "out", "far")
    story.arrives("ann", language="ko")
    why = story.why()
    assert why.chosen is not None
    assert (why.chosen.agent, why.chosen.reason.code) == ("mina", "chosen_only")
    assert reason(why, "jun") == Reason("level_too_low", {"skill": "billing", "have": 2, "need": 3})
    assert reason(why, "sora") == Reason("lacks_skill", {"skill": "billing"})
    assert reason(why, "kim") == Reason("lacks_language", {"skill": "lang:ko"})
    assert reason(why, "out") == Reason("no_inbound")
    assert reason(why, "far") == Reason("other_brand", {"brand": "shop"})
    lines = in_words(story.pool, why)
    assert "not Jun: billing 2 < 3" in lines
    assert "asks in Care: Shop (wall), inbound (wall), lang:ko (wall), billing 3 (queue)" in lines
    gone = explain_idle(story.pool, "nobody")
    assert gone.closed["chat"] == Reason("not_configured")


@shows("outside_step")
def test_who_is_outside_a_step_hears_from_when_on_the_contact_is_theirs() -> None:
    steps = (Step(after_s=20, tier=2), Step(after_s=60, requires=()), Step(after_s=600, end="close"))
    queue = Queue(id="care", name="Care", requires=BILLING, steps=steps)
    people = (agent("mina", skills={"billing": 1}), Agent(id="far", name="Far"))
    story = Told(center(agent("jun", skills={"billing": 3}), *people, queues=(queue,), skills=("billing",)))
    story.on("mina", "far")
    contact = story.arrives("ann")
    outside = waits(story, contact, "mina")
    assert outside.code == "outside_step"
    assert outside.params == {"step": 2, "at": contact.enqueued_at + 60, "skill": "billing", "need": 3}
    assert waits(story, contact, "far").code == "other_brand", "no step takes a wall away"
    story.wait(60)
    why = story.why(contact)
    assert why.chosen is not None
    assert why.chosen.agent == "mina", "what was said has come true"
    assert (why.step, why.steps, why.tier, why.tier_source) == (2, 3, 2, "step 1")
    assert why.asked[0].needs[-1].source == "wall", "the second step asks nothing but the walls"


@shows("no_outbound")
def test_an_inbound_agent_is_no_choice_for_outbound_work() -> None:
    story = Told(center(agent("mina"), agent("kim", mode="outbound"), queues=(Queue(id="out", name="Out"),)))
    story.on("mina", "kim")
    assert reason(story.why(story.waits_outbound("ann")), "mina") == Reason("no_outbound")


# -- whether there is room


@shows("presence", "presence_for", "not_connected")
def test_who_is_not_there() -> None:
    story = Told(center(agent("mina"), agent("jun"), agent("sora"), agent("kim")))
    story.on("mina", "jun", "sora")
    story.tell(inputs.SetPresence(agent="jun", presence="away", reason="lunch"))
    story.off("sora")
    story.arrives("ann")
    why = story.why()
    assert reason(why, "jun") == Reason("presence_for", {"presence": "away", "reason": "lunch"})
    assert reason(why, "sora") == Reason("not_connected")
    assert reason(why, "kim") == Reason("presence", {"presence": "offline"})
    assert "not Jun: away (lunch)" in in_words(story.pool, why)


@shows("no_phone", "open_offer", "kind_full", "contacts_full", "units_full")
def test_who_has_no_room() -> None:
    people = (
        agent("mina", maximum={"chat": 1}),
        agent("jun", at_once=1),
        agent("sora", units=50),
        agent("kim"),
        Agent(id="lee", name="Lee", brands=("shop",)),
        agent("free", maximum={"voice": 1}),
    )
    story = Told(center(*people))
    for name, kind in (("mina", "chat"), ("jun", "email"), ("sora", "chat")):
        story.on(name)
        story.arrives(f"for {name}", kind)  # type: ignore[arg-type]
        story.accepts(name)
        story.tell(inputs.SetPresence(agent=name, presence="away"))
    story.on("kim")
    story.arrives("open", "chat")
    for name in ("mina", "jun", "sora", "lee"):
        story.on(name)
    contact = story.arrives("ann", "chat")
    assert story.who_has(contact) == "lee"
    why = story.why(contact)
    assert reason(why, "mina") == Reason("kind_full", {"kind": "chat", "held": 1, "most": 1})
    assert reason(why, "jun") == Reason("contacts_full", {"held": 1, "most": 1})
    assert reason(why, "sora") == Reason("units_full", {"used": 33, "units": 50, "kind": "chat", "cost": 33})
    assert reason(why, "kim") == Reason("open_offer")
    story.accepts("lee")
    assert waits(story, story.arrives("bob", "voice"), "lee") == Reason("no_phone")


@shows("cooling")
def test_who_cools_down() -> None:
    story = Told(center(agent("mina")))
    story.on("mina")
    contact = story.arrives("ann", "voice")
    assert contact.offer is not None
    failed = inputs.EndLeg(channel="voice", key=contact.offer.id, leg="leg", cause="failed")
    story.tell(failed)
    cooling = waits(story, contact, "mina")
    assert cooling == Reason("cooling", {"until": story.now + 5})
    local = dt.datetime.fromtimestamp(story.now + 5, dt.timezone(dt.timedelta(hours=9)))
    assert Words(story.pool, "en").say(cooling) == f"cooling down until {local:%H:%M:%S}"


# -- what the contact, or other work, has against it


@shows("excluded")
def test_who_declined_is_excluded_while_somebody_else_is_there() -> None:
    story = Told(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    contact = story.arrives("ann")
    story.declines("mina")
    assert story.who_has(contact) == "jun"
    assert reason(story.why(contact), "mina") == Reason("excluded", {"until": story.now + 60})
    story.declines("jun")
    assert story.who_has(contact) is not None, "both are excluded, so exclusions are ignored"
    story.declines(story.who_has(contact) or "")
    assert story.why(contact).excluded.keys() == {"mina", "jun"}


@shows("not_preferred", "not_preferred_until", "preferred_later", "chosen_preferred")
def test_a_contact_waits_for_whom_it_prefers() -> None:
    story = Told(center(agent("mina", maximum={"chat": 1}), agent("jun"), agent("sora")))
    story.on("mina")
    story.arrives("before")
    story.accepts("mina")
    story.on("jun", "sora")
    first = story.arrives("ann")
    story.accepts("jun")
    story.tell(inputs.TransferContact(agent="jun", contact=first.id, to_agent="mina"))
    until = story.now + 60
    assert waits(story, first, "sora") == Reason("not_preferred_until", {"agents": ("mina",), "until": until})
    assert waits(story, first, "mina").code == "kind_full"
    assert waits(story, first, "jun").code == "not_preferred_until", "before the exclusion"
    first.prefer_until = None
    assert waits(story, first, "sora") == Reason("not_preferred", {"agents": ("mina",)})
    first.prefer_until = until
    story.completes("mina", story.pool.contacts[story.pool.agents["mina"].contacts[0]])
    assert story.who_has(first) == "mina"
    assert story.why(first).chosen.how == "freed"  # type: ignore[union-attr]
    # No input names two yet: two are preferred by the event alone.
    pool = Pool(story.pool.memory)
    second = story.arrives("ben")
    second.prefers = ("sora", "jun")
    pool.agents[story.who_has(second) or ""].contacts.remove(second.id)
    second.status, second.offer = "queued", None
    pool.rebuild()
    assert pool.agent_for(second) is not None
    pool.dirty_agents.clear()
    found = explain_offer(pool, second.id, "sora")
    assert found.chosen is not None
    assert (found.chosen.reason.code, found.chosen.agrees) == ("chosen_preferred", True)
    assert reason(found, "jun") == Reason("preferred_later", {"than": "sora"})


@shows("reserve", "inbound_first")
def test_blended_agents_stay_with_inbound_work() -> None:
    queues = (Queue(id="care", name="Care", reserve=2), Queue(id="out", name="Out"))
    people = [agent(name, mode="blended", at_once=1) for name in ("mina", "jun")]
    story = Told(center(*people, queues=queues))
    story.on("mina", "jun")
    contact = story.waits_outbound("ann")
    assert waits(story, contact, "mina") == Reason("reserve", {"queue": "care", "idle": 2, "kept": 2})
    free = (msgspec.structs.replace(queues[0], reserve=0), queues[1])
    story = Told(center(*people, queues=free))
    story.on("mina")
    story.arrives("hold", "chat")
    story.accepts("mina")
    outbound, inbound = story.waits_outbound("ann"), story.arrives("ben", "sms")
    story.pool.agents["mina"].contacts.clear()  # as if free: the moment before she is offered the inbound one
    story.pool.touch_agent(story.pool.agents["mina"])
    assert waits(story, outbound, "mina") == Reason("inbound_first", {"queue": "care"})
    assert waits(story, inbound, "mina") == Reason("nothing")


@shows("ended", "nothing")
def test_a_contact_that_ended_unoffered_and_one_that_nothing_keeps() -> None:
    story = Told(center(agent("mina"), agent("jun")))
    story.on("jun")
    held = story.arrives("ann")
    story.tell(inputs.DeclineOffer(agent="jun", offer=held.offer.id if held.offer else ""))
    story.tell(inputs.SetPresence(agent="jun", presence="away"))
    found = explain_waiting(story.pool, held.id, "overflowed")
    assert (found.about, found.outcome) == ("ended", "overflowed")
    assert reason(found, "jun").code == "presence"
    story.pool.agents["jun"].presence = "available"
    assert reason(explain_waiting(story.pool, held.id, "overflowed"), "jun") == Reason(
        "ended", {"outcome": "overflowed"}
    )
    assert waits(story, held, "jun") == Reason("nothing")
    assert "ended without ever being offered: the queue was full" in in_words(story.pool, found)[0]


# -- by what somebody who could have taken it lost


@shows("idle_less", "chosen_longest_idle", "chosen_only")
def test_longest_idle_wins() -> None:
    story = Told(center(agent("mina"), agent("jun"), agent("sora")))
    story.on("jun", "mina", "sora")
    story.arrives("ann")
    why = story.why()
    assert why.chosen is not None
    assert why.chosen.reason == Reason("chosen_longest_idle", {"agent": "jun", "of": 3})
    assert [passed.agent for passed in why.passed_over] == ["mina", "sora"], "in the order of the choice"
    assert reason(why, "sora") == Reason("idle_less", {"than": "jun"})


@shows("lower_score", "chosen_best_skill")
def test_the_best_skill_wins() -> None:
    queue = Queue(id="care", name="Care", requires=(Requirement(skill="billing"),), strategy="best_skill")
    people = (agent("mina", skills={"billing": 2}), agent("jun", skills={"billing": 5}))
    story = Told(center(*people, queues=(queue,), skills=("billing",)))
    story.on("mina", "jun")
    story.arrives("ann")
    why = story.why()
    assert why.chosen is not None
    assert (why.chosen.agent, why.chosen.reason.code, why.chosen.idle) == ("jun", "chosen_best_skill", 2)
    assert reason(why, "mina") == Reason("lower_score", {"score": 4, "best": 7})


@pytest.mark.parametrize(
    ("strategy", "code", "wins"), [("least_loaded", "busier", "jun"), ("most_loaded", "less_busy", "mina")]
)
def test_load_decides_where_the_queue_says_so(strategy: str, code: str, wins: str) -> None:
    story = Told(center(agent("mina"), agent("jun"), queues=(Queue(id="care", name="Care", strategy=strategy),)))  # type: ignore[arg-type]
    story.on("mina")
    story.arrives("first")
    story.accepts("mina")
    story.on("jun")
    why = story.why(story.arrives("ann"))
    assert why.chosen is not None
    assert (why.chosen.agent, why.chosen.reason.code) == (wins, f"chosen_{strategy}")
    loads = {"mina": 2, "jun": 0}
    loser = "mina" if wins == "jun" else "jun"
    assert reason(why, loser) == Reason(code, {"load": loads[loser], "best": loads[wins]})


SHOWN |= dict.fromkeys(
    ("busier", "less_busy", "chosen_least_loaded", "chosen_most_loaded"),
    test_load_decides_where_the_queue_says_so.__name__,
)


@shows("would_interrupt")
def test_who_need_not_interrupt_anything_comes_first() -> None:
    story = Told(center(agent("mina"), agent("jun")))
    story.on("mina")
    story.arrives("mail", "email")
    story.accepts("mina")
    story.on("jun")
    call = story.arrives("ann", "voice")
    assert story.who_has(call) == "jun"
    assert reason(story.why(call), "mina") == Reason("would_interrupt")
    story.accepts("jun")
    second = story.arrives("ben", "voice")
    why = story.why(second)
    assert why.chosen is not None
    assert (why.chosen.agent, why.chosen.interrupts) == ("mina", True)
    assert "for it, other work of Mina is parked" in in_words(story.pool, why)


@shows("other_queue")
def test_added_queues_are_asked_after_the_contacts_own() -> None:
    queues = (
        Queue(id="care", name="Care", requires=BILLING, steps=(Step(after_s=0, add_queues=("all",)),)),
        Queue(id="all", name="All"),
    )
    people = (agent("mina"), agent("jun", skills={"billing": 3}))
    story = Told(center(*people, queues=queues, skills=("billing",)))
    story.on("mina", "jun")
    why = story.why(story.arrives("ann"))
    assert why.chosen is not None
    assert why.chosen.agent == "jun"
    assert reason(why, "mina") == Reason("other_queue", {"queue": "all", "first": "care"})
    assert [(each.queue, each.step) for each in why.asked] == [("care", None), ("all", 1)]


# -- a freed agent's choice


@shows("chosen_freed", "chose_after", "later_key", "later_moment", "later_arrival", "later_tier", "served_later")
def test_a_freed_agent_takes_the_first_it_can_take() -> None:
    queues = (
        Queue(id="care", name="Care", target_s={"chat": 10, "sms": 10}),
        Queue(id="sales", name="Sales", target_s={"email": 50, "social": 50}),
        Queue(id="late", name="Late", tier=7),
        Queue(id="skilled", name="Skilled", requires=BILLING, tier=2),
    )
    people = (
        agent("mina", maximum={"chat": 1}, serves_first=("sales",)),
        agent("jun", maximum={"email": 0}),
        agent("sora", skills={"billing": 3}),
    )
    config = center(*people, queues=queues, skills=("billing",))
    story = Told(routed(config, chat="care", email="sales", sms="skilled", task="late", social="care"))
    skilled = story.arrives("s", "sms")
    care, late, first, second = [
        story.arrives(who, kind)  # type: ignore[arg-type]
        for who, kind in (("c", "chat"), ("t", "task"), ("e1", "email"), ("e2", "email"))
    ]
    story.on("mina")
    why = story.why()
    assert why.contact == first.id
    assert why.contest is not None
    assert why.contest.waiting == 5
    assert [(other.contact, other.reason) for other in why.contest.before] == [
        (skilled.id, Reason("level_too_low" if "billing" in people[0].skills else "lacks_skill", {"skill": "billing"}))
    ]
    after = {other.contact: other.reason for other in why.contest.after}
    assert after[second.id] == Reason("later_arrival")
    assert after[care.id] == Reason("served_later", {"agent": "mina", "first": "sales"})
    assert after[late.id] == Reason("later_tier", {"tier": 7, "best": 5})
    story.on("jun")
    why = story.why()
    assert (why.contact, why.chosen.reason.code) == (care.id, "chosen_freed")  # type: ignore[union-attr]
    story = Told(routed(center(agent("mina"), queues=queues[:2]), chat="care", social="sales"))
    soon, later = story.arrives("ann", "chat"), story.arrives("ben", "social")
    story.on("mina")
    why = story.why()
    assert why.contact == soon.id
    assert why.contest is not None
    assert why.contest.after[0].contact == later.id
    assert why.contest.after[0].reason == Reason("later_key", {"due": story.now + 50, "best": story.now + 10})
    story = Told(routed(center(agent("mina"), queues=queues[:2]), chat="care", email="sales"))
    story.arrives("ann", "chat")
    story.wait(0.25)
    story.arrives("ben", "chat")
    story.on("mina")
    assert story.told[0].contest is not None
    assert story.told[0].contest.after[0].reason == Reason("later_moment", {"ms": 250})
    freed_together()


def freed_together() -> None:
    """Two agents become free in one record: the one idle longer chooses first, even where the other is better."""
    queue = Queue(id="care", name="Care", strategy="best_skill", requires=(Requirement(skill="billing"),))
    people = (agent("mina", skills={"billing": 1}), agent("jun", skills={"billing": 5}))
    story = Told(center(*people, queues=(queue,), skills=("billing",)))
    contact = story.arrives("ann")
    pool = story.past
    for name in ("mina", "jun"):
        pool.dirty_contacts.clear()
        apply(pool, events.AgentConnected(agent=name, connection="g:1"), story.now)
        apply(pool, events.PresenceChanged(agent=name, presence="available"), story.now)
    found = explain_offer(pool, contact.id, "mina")
    assert found.chosen is not None
    assert found.chosen.how == "freed"
    assert reason(found, "jun") == Reason("chose_after", {"than": "mina"})


@shows("begun", "chosen_begun")
def test_an_agents_own_mail_was_offered_to_nobody_else() -> None:
    story = Told(center(agent("mina", mode="blended"), agent("jun", mode="blended")))
    story.on("jun", "mina")
    identity = Identity(scope="t", kind="email", value="ann@shop.test")
    thread = Thread(external="own", kind="email")
    story.tell(inputs.StartContact(agent="mina", channel="email", thread=thread, identity=identity), "hello")
    why = story.why()
    assert why.chosen is not None
    assert (why.chosen.how, why.chosen.reason) == ("begun", Reason("chosen_begun", {"agent": "mina"}))
    assert reason(why, "jun") == Reason("begun", {"agent": "mina"})


@shows("taken", "chosen_taken")
def test_what_a_supervisor_took_over_was_offered_to_nobody_else() -> None:
    story = Told(center(agent("mina"), agent("boss")))
    story.on("boss")
    story.tell(inputs.SetPresence(agent="boss", presence="away"))
    contact = story.arrives("ann")
    story.tell(inputs.TakeOver(agent="boss", contact=contact.id))
    why = story.why()
    assert why.chosen is not None
    assert why.chosen.reason == Reason("chosen_taken", {"agent": "boss"})
    assert reason(why, "mina") == Reason("taken", {"agent": "boss"})
    in_words(story.past, why)


@shows("kept_for_campaign")
def test_whoever_is_kept_for_a_campaign_is_passed_over() -> None:
    story = Calling(here=("mina", "jun"), mode="blended", queues=KEPT_QUEUES)
    (kept,) = story.kept()
    story.line()
    contact = story.arrives("ann")
    (passed,) = story.why(contact).passed_over
    assert (passed.agent, passed.reason) == (kept, Reason("kept_for_campaign", {"campaign": "sales"}))
    assert explain_idle(story.pool, kept).closed.keys() == set(KINDS)
    in_words(story.past, story.why(contact))


@shows("chosen_kept", "kept")
def test_who_answers_a_campaigns_call_goes_to_whom_it_has_kept() -> None:
    story = Calling(here=("mina", "jun"))
    story.picks_up(story.line())
    why = story.why()
    assert why.chosen is not None and (why.chosen.how, why.chosen.agent, why.chosen.agrees) == ("kept", "mina", True)
    assert [passed.reason.code for passed in why.passed_over] == ["kept"]
    in_words(story.past, why)


@shows("differs")
def test_a_decision_that_these_rules_would_not_make_is_told_as_such() -> None:
    story = Told(center(agent("mina"), agent("jun")))
    story.on("mina", "jun")
    pool = story.past
    contact = Pool(pool.memory) and story.arrives("ann")
    apply(pool, events.OfferWithdrawn(offer=contact.offer.id, contact=contact.id, agent="mina", reason="x"), story.now)  # type: ignore[union-attr]
    found = explain_offer(pool, contact.id, "jun")
    assert found.chosen is not None
    assert found.chosen.agrees is False
    lines = list(Lines(Words(pool, "en")).contact(found))
    assert any("an older version decided it" in line for line in lines)
    pool.agents["jun"].presence = "away"
    found = explain_offer(pool, contact.id, "jun")
    assert found.chosen is not None
    assert found.chosen.reason == Reason("differs")


# -- what is said of the contact


def test_where_tier_target_and_requirements_come_from() -> None:
    then = Outcome(tier=3, head_start_s=30, requires=(Requirement(skill="vip"),))
    queue = Queue(id="care", name="Care", requires=BILLING, steps=(Step(after_s=10, requires=()),), max_wait_s=100)
    config = center(
        agent("mina", skills={"vip": 1}), queues=(queue,), skills=("vip", "billing"),
        rules=(Rule(id="vip", when=If(field="text", op="contains", value="vip"), then=then),),
    )  # fmt: skip
    story = Told(config)
    contact = story.arrives("ann", text="vip")
    found = explain_waiting(story.pool, contact.id)
    assert [(need.skill, need.source) for need in found.asked[0].needs] == [
        ("brand:shop", "wall"), ("mode:inbound", "wall"), ("vip", "rule"), ("billing", "queue"),
    ]  # fmt: skip
    assert (found.tier, found.tier_source, found.head_start_s) == (3, "rule", 30)
    assert (found.due_by, found.next_step_at) == (contact.enqueued_at + 180, contact.enqueued_at + 10)
    assert "with a head start of 30 s" in "\n".join(in_words(story.pool, found))
    story.wait(10)
    assert [need.source for need in asked(story.pool, contact)[0].needs] == ["wall", "wall", "rule"]
    story.wait(90)
    found = explain_waiting(story.pool, contact.id)
    assert (found.tier, found.tier_source, found.position) == (0, "max_wait", 1)


def test_a_tier_that_a_supervisor_gave_is_said_to_be_his() -> None:
    story = Told(center(agent("mina"), queues=(Queue(id="care", name="Care", steps=(Step(after_s=5, tier=3),)),)))
    contact = story.arrives("ann")
    story.wait(10)
    story.tell(inputs.ReprioritiseContact(contact=contact.id, by="sora", tier=1))
    found = explain_waiting(story.past, contact.id)
    assert (found.tier, found.tier_source) == (1, "supervisor")
    in_words(story.past, found)


def test_the_version_is_that_of_the_moment() -> None:
    story = Told(center(agent("mina", maximum={"chat": 1})))
    first = story.arrives("ann")
    story.tell(inputs.ApplyConfig(version=2, config=story.pool.memory.config))
    story.on("mina")
    second = story.arrives("ben")
    story.accepts("mina")
    story.tell(inputs.ApplyConfig(version=3, config=story.pool.memory.config))
    story.completes("mina", first)
    assert [story.why(contact).config_version for contact in (first, second)] == [2, 3]


def test_many_are_listed_up_to_a_bound_and_counted_beyond_it() -> None:
    people = [agent(f"a{number}") for number in range(300)]
    plain = Story(center(agent("mina"), *people))
    contact = plain.arrives("ann")
    found = explain_waiting(plain.pool, contact.id)
    assert len(found.passed_over) == 200
    assert found.more == {"presence": 101}
    assert any("and 101 more: not available" in line for line in in_words(plain.pool, found))
    for number in range(60):
        plain.arrives(f"c{number}")
    idle = explain_idle(plain.pool, "mina")
    assert (idle.waiting, len(idle.contacts), idle.more) == (61, 50, {"presence": 11})
    assert idle.contacts[0].contact == contact.id


def test_why_an_agent_has_nothing() -> None:
    queues = (Queue(id="care", name="Care"), Queue(id="skilled", name="Skilled", requires=BILLING))
    story = Told(routed(center(agent("mina"), queues=queues, skills=("billing",)), email="skilled"))
    story.on("mina")
    mail = story.arrives("ann", "email")
    found = explain_idle(story.pool, "mina")
    assert found.closed == {}
    assert [(other.contact, other.reason.code) for other in found.contacts] == [(mail.id, "lacks_skill")]
    for language, first in (("en", "Mina is available since"), ("ko", "Mina")):
        lines = list(Lines(Words(story.pool, language)).idle(found))  # type: ignore[arg-type]
        assert first in lines[0]
        assert len(lines) == 4, "all kinds are open: they share a line"


# -- words


def test_every_code_is_shown_by_a_story() -> None:
    reasons = (
        set(IN_SHORT) | {code for code in TEMPLATES if code.startswith(("chosen_", "later_", "served_"))} | {"differs"}
    )
    assert reasons - set(SHOWN) == set()


def test_every_code_has_both_languages_with_the_same_parameters() -> None:
    def parameters(template: str) -> list[str]:
        import string

        return sorted(name for _, name, _, _ in string.Formatter().parse(template) if name)

    for code, templates in TEMPLATES.items():
        assert len(templates) == len(LANGUAGES)
        assert all(templates), code
        assert parameters(templates[0]) == parameters(templates[1]), code
    for table in (IN_SHORT, *VALUES.values()):
        assert all(len(words) == len(LANGUAGES) and all(words) for words in table.values())
    assert {word for word, _ in VALUES["kind"].items()} == set(KINDS)
    assert set(VALUES["outcome"]) == set(events.Outcome.__args__)  # type: ignore[attr-defined]


def test_what_is_said_has_the_parameters_it_names() -> None:
    with pytest.raises(KeyError):
        Words(Pool(), "en").say(Reason("lacks_skill"))


def test_the_language_is_the_one_asked_for_else_the_browsers_else_english() -> None:
    assert language_of("ko", "en") == "ko"
    assert language_of(None, "fr-FR, ko-KR;q=0.9, en;q=0.8") == "ko"
    assert language_of(None, "fr") == language_of(None, None) == "en"


def test_in_korean() -> None:
    story = Told(center(agent("mina"), agent("jun")))
    story.on("mina")
    story.arrives("ann")
    lines = list(Lines(Words(story.pool, "ko")).contact(story.why()))
    assert lines[-2:] == ["선택: Mina, 받을 수 있는 유일한 상담원", "미선정 Jun: 오프라인"]


# -- whatever happens

QUEUES = (
    Queue(id="care", name="Care", wrap_up_s=5, first_reply_s=40, max_wait_s=200, reserve=1),
    Queue(
        id="skilled",
        name="Skilled",
        requires=BILLING,
        steps=(
            Step(after_s=20, requires=(Requirement(skill="billing"),), tier=2),
            Step(after_s=40, add_queues=("auto",)),
            Step(after_s=400, end="close"),
        ),
        strategy="best_skill",
        max_length=6,
    ),
    Queue(id="auto", name="Auto", wrap_up_s=0, strategy="least_loaded", tier=4),
    Queue(id="out", name="Out", strategy="most_loaded"),
)
PEOPLE = (
    agent("mina", skills={"billing": 3}, serves_first=("skilled",)),
    agent("jun", skills={"billing": 1}, units=60, mode="blended"),
    agent("sora", maximum={"chat": 1}, mode="blended", at_once=2),
)
RICH = routed(center(*PEOPLE, queues=QUEUES, skills=("billing",)), chat="skilled", sms="auto", email="care")


KINDS_OF_WORK = ("chat", "chat", "chat", "sms", "sms", "email", "voice", "task")


class Quick(Told):
    """Without the list *Must never happen*, which has tests of its own: an explanation is true of what is."""

    def _note(self, decision: Decision, t: float) -> list[events.Event]:
        self._explain(decision, t)
        return decision.events


class Life:
    """A busy center: people come and go, take work, decline it, hand it on; every offer is explained as it is made."""

    def __init__(self, chance: Any) -> None:
        self.chance = chance
        self.story = Quick(RICH)
        self.story.on(*(profile.id for profile in PEOPLE))

    def step(self) -> None:
        move = self.chance.choices(list(MOVES), list(MOVES.values()))[0]
        getattr(self, move)()
        self.look()

    def look(self) -> None:
        """Whoever waits is kept by something from everybody whom the indexes do not call eligible."""
        pool = self.story.pool
        waiting = [contact for contact in pool.contacts.values() if contact.status == "queued"]
        for contact in self.chance.sample(waiting, min(2, len(waiting))):
            found = explain_waiting(pool, contact.id)
            assert {passed.agent for passed in found.passed_over if passed.reason.code == "nothing"} == eligible(
                pool, contact
            )
            assert sorted(passed.agent for passed in found.passed_over) == sorted(pool.lookup.agents)
            in_words(pool, found)
        idle = explain_idle(pool, self.somebody())
        for other in idle.contacts:
            assert (other.reason.code == "nothing") == (idle.agent in eligible(pool, pool.contacts[other.contact]))

    def somebody(self) -> str:
        return str(self.chance.choice(PEOPLE).id)

    def customer(self) -> str:
        return f"c{self.chance.randrange(15)}"

    # -- moves

    def arrive(self) -> None:
        self.story.arrives(self.customer(), self.chance.choice(KINDS_OF_WORK))

    def accept(self) -> None:
        who = self.somebody()
        if self.story.offered(who) is not None:
            self.story.accepts(who)

    def decline(self) -> None:
        who = self.somebody()
        if self.story.offered(who) is not None:
            self.story.declines(who)

    def work(self) -> None:
        held = [contact for contact in self.story.pool.contacts.values() if contact.agent is not None]
        if held:
            contact = self.chance.choice(held)
            mine = {"agent": contact.agent, "contact": contact.id}
            wishes: list[inputs.Input] = [
                inputs.CompleteContact(**mine), inputs.CompleteContact(**mine), inputs.WrapUpContact(**mine),
                inputs.ParkContact(**mine), inputs.ResumeContact(**mine), inputs.HoldContact(**mine),
                inputs.TransferContact(**mine, to_agent=self.somebody()), inputs.TransferContact(**mine, queue="skilled"),
            ]  # fmt: skip
            self.story.tell(self.chance.choice(wishes))

    def presence(self) -> None:
        now = self.chance.choice(("available", "available", "available", "away", "offline"))
        self.story.tell(inputs.SetPresence(agent=self.somebody(), presence=now))

    def connect(self) -> None:
        who = self.somebody()
        self.story.tell(inputs.Connect(agent=who, connection=f"g:1:{who}"))
        self.story.tell(inputs.SetPresence(agent=who, presence="available"))

    def disconnect(self) -> None:
        self.story.off(self.somebody())

    def start(self) -> None:
        identity, thread = Identity(scope="t", kind="external", value="own"), Thread(external=f"own-{self.customer()}")
        wish = inputs.StartContact(agent=self.somebody(), channel="email", thread=thread, identity=identity)
        self.story.tell(wish, "hello")

    def campaign(self) -> None:
        if "out" in self.story.pool.lookup.queues:
            self.story.waits_outbound(self.customer(), self.chance.choice(("email", "sms")))

    def wait(self) -> None:
        self.story.wait(self.chance.choice((0.1, 1.0, 6.0, 21.0, 46.0, 200.0)))

    def leave(self) -> None:
        contacts = list(self.story.pool.contacts.values())
        if contacts:
            contact = self.chance.choice(contacts)
            thread = self.story.pool.conversations[contact.conversation].thread
            wish = inputs.EndCall if contact.kind == "voice" else inputs.EndSession
            self.story.tell(wish(channel=contact.channel, thread=thread))

    def configure(self) -> None:
        drop = self.chance.choice(("care", "skilled", "out", None, None))
        channels = {"chat": "skilled", "sms": "auto", "email": "care"}
        config = routed(
            center(*PEOPLE, queues=tuple(queue for queue in QUEUES if queue.id != drop), skills=("billing",)),
            **{channel: queue for channel, queue in channels.items() if queue != drop},
        )
        self.story.tell(inputs.ApplyConfig(version=self.story.pool.memory.version + 1, config=config))

    def restart(self) -> None:
        self.story.restored()


MOVES = {
    "arrive": 30, "accept": 25, "work": 20, "decline": 5, "presence": 4, "connect": 8, "disconnect": 2, "start": 2,
    "campaign": 4, "wait": 6, "leave": 3, "configure": 1, "restart": 1,
}  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(chance=st.randoms(use_true_random=True))
def test_whatever_happens_each_offer_has_its_agent_and_everybody_else_one_reason(chance: Any) -> None:
    life = Life(chance)
    for _ in range(200):
        life.step()
    assert len(life.story.told) > 10, "nothing was decided"

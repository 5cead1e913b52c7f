"""Why a contact was offered to whom it was, why it waits, why an agent has nothing: the answers, with their lines of text.

A decision is explained from the pool as it was in the moment before it (`Past`), so the answer is the same tomorrow.
The functions that make an answer are pure; they run where that pool is, away from the event loop.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from fastapi import HTTPException

from agents.ports import Bus, History, Past
from router import explain
from router.events import ContactCompleted, Event, OfferMade
from router.explained import Asked, Explanation, Idle, Other, Passed
from router.memory import Contact
from router.model import KINDS
from router.reasons import Reason, because
from router.state import Pool
from router.words import LANGUAGES, Language, Words

NAMES_IN_A_LINE = 12
IDS_IN_A_LINE = 3

Answer = dict[str, Any]


class Whys:
    """The two questions, answered. Raises HTTPException 404, and what `Past` raises."""

    def __init__(self, bus: Bus, history: History, past: Past) -> None:
        self._bus = bus
        self._history = history
        self._past = past

    async def contact(self, workspace: str, contact: str, attempt: int | None, language: Language) -> Answer:
        """The offer of this number, else the last one, else, while or if it only waited, why it waits or waited."""
        pool = self._bus.pool(workspace)
        known = pool.contacts.get(contact) if pool else None
        if known is not None:
            return await self._live(workspace, known, attempt, language)
        found = await self._history.contact(workspace, contact)
        if found is None:
            raise HTTPException(404, "unknown-contact")
        offers, came = found["offers"], found["started_at"]
        if not offers and attempt is None:
            return await self._past.before(
                workspace, _ends(contact), came, lambda pool, event: ended_answer(pool, event, language)
            )
        return await self._offer(workspace, contact, _one_of(attempt, offers), came, language)

    async def _live(self, workspace: str, contact: Contact, attempt: int | None, language: Language) -> Answer:
        if contact.status == "queued" and attempt is None:
            return await self._past.now(workspace, lambda pool: waiting_answer(pool, contact.id, language))
        number = _one_of(attempt, contact.attempt)
        return await self._offer(workspace, contact.id, number, contact.enqueued_at, language)

    async def _offer(self, workspace: str, contact: str, attempt: int, came: float, language: Language) -> Answer:
        return await self._past.before(
            workspace,
            _is_made(contact, attempt),
            came,
            lambda pool, event: offer_answer(pool, event, language),
        )

    async def idle(self, workspace: str, agent: str, language: Language) -> Answer:
        return await self._past.now(workspace, lambda pool: idle_answer(pool, agent, language))


def _one_of(attempt: int | None, offers: int) -> int:
    number = offers if attempt is None else attempt
    if not 1 <= number <= offers:
        raise HTTPException(404, f"unknown-attempt\nthe contact was offered {offers} times")
    return number


def _is_made(contact: str, attempt: int) -> tuple[str, Callable[[Event], bool]]:
    offer = explain.offer_id(contact, attempt)
    return offer, lambda event: isinstance(event, OfferMade) and event.offer == offer


def _ends(contact: str) -> tuple[str, Callable[[Event], bool]]:
    return contact, lambda event: isinstance(event, ContactCompleted) and event.contact == contact


def language_of(asked: str | None, accepted: str | None) -> Language:
    """The language asked for, else the first of ours that a browser's Accept-Language names, else English."""
    wanted = [asked or "", *(part.partition(";")[0] for part in (accepted or "").split(","))]
    for word in wanted:
        for language in LANGUAGES:
            if word.strip().lower().partition("-")[0] == language:
                return language
    return "en"


# -- answers: the value, and what it says


def offer_answer(pool: Pool, event: Event, language: Language) -> Answer:
    assert isinstance(event, OfferMade)
    return _answer(pool, explain.explain_offer(pool, event.contact, event.agent, event.hand), language)


def ended_answer(pool: Pool, event: Event, language: Language) -> Answer:
    assert isinstance(event, ContactCompleted)
    return _answer(pool, explain.explain_waiting(pool, event.contact, event.outcome), language)


def waiting_answer(pool: Pool, contact: str, language: Language) -> Answer:
    return _answer(pool, explain.explain_waiting(pool, contact), language)


def _answer(pool: Pool, found: Explanation, language: Language) -> Answer:
    said = Lines(Words(pool, language)).contact(found)
    return {**msgspec.to_builtins(found), "text": list(said)}


def idle_answer(pool: Pool, agent: str, language: Language) -> Answer:
    found = explain.explain_idle(pool, agent)
    return {**msgspec.to_builtins(found), "text": list(Lines(Words(pool, language)).idle(found))}


class Lines:
    """An explanation as lines, each complete in itself. Neighbours with the same reason share one."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def _say(self, code: str, **params: Any) -> str:
        return self._words.say(because(code, **params))

    # -- a contact

    def contact(self, found: Explanation) -> Iterator[str]:
        yield self._heading(found)
        yield self._say(
            "about",
            kind=found.kind,
            brand=found.brand,
            queue=found.queue,
            tier=found.tier,
            source=found.tier_source,
            version=found.config_version,
        )
        yield self._say("times", came=found.enqueued_at, due=found.due_by)
        if found.head_start_s:
            yield self._say("head_start", seconds=found.head_start_s, key=found.due_by - found.head_start_s)
        yield from (self._asks(asked) for asked in found.asked)
        if found.next_step_at is not None and not found.step:
            yield self._say("first_step", steps=found.steps, at=found.next_step_at)
        elif found.next_step_at is not None:
            yield self._say("next_step", step=found.step, steps=found.steps, at=found.next_step_at)
        elif found.steps:
            yield self._say("in_step", step=found.step, steps=found.steps)
        yield from self._choice(found)
        yield from self._passed_over(found)

    def _heading(self, found: Explanation) -> str:
        if found.chosen is not None:
            agent = found.chosen.agent
            return self._say("offered", at=found.t, contact=found.contact, agent=agent, attempt=found.attempt)
        if found.outcome is not None:
            return self._say("never_offered", at=found.t, contact=found.contact, outcome=found.outcome)
        return self._say("waits", at=found.t, contact=found.contact, queue=found.queue, position=found.position)

    def _asks(self, asked: Asked) -> str:
        needs = tuple(
            self._say("wall", skill=need.skill, source=need.source)
            if need.source == "wall"
            else self._say("need", skill=need.skill, level=need.level, source=need.source)
            for need in asked.needs
        )
        if asked.step is None:
            return self._say("asks", queue=asked.queue, needs=needs)
        return self._say("asks_too", step=asked.step, queue=asked.queue, needs=needs)

    def _choice(self, found: Explanation) -> Iterator[str]:
        if found.chosen is None:
            return
        yield self._words.say(found.chosen.reason)
        if found.chosen.interrupts:
            yield self._say("interrupts", agent=found.chosen.agent)
        if not found.chosen.agrees and found.chosen.reason.code != "differs":
            yield self._say("differs")
        if found.contest is not None:
            agent = found.chosen.agent
            yield from self._contacts(found.contest.before, found.contest.more, "before", agent=agent)
            for other in found.contest.after:
                why = self._words.say(other.reason)
                yield self._say("beat", contacts=(other.contact,), queue=other.queue, why=why)

    def _passed_over(self, found: Explanation) -> Iterator[str]:
        for reason, group in itertools.groupby(found.passed_over, key=_reason_of):
            agents = [passed.agent for passed in group]
            yield self._some("passed", "agents", agents, NAMES_IN_A_LINE, why=self._words.say(reason))
        for code, count in found.more.items():
            yield self._say("not_listed", count=count, why=self._words.in_short(code))

    def _contacts(self, others: Iterable[Other], more: dict[str, int], code: str, **params: Any) -> Iterator[str]:
        for (queue, reason), group in itertools.groupby(others, key=lambda other: (other.queue, other.reason)):
            contacts = [other.contact for other in group]
            why = self._words.say(reason)
            yield self._some(code, "contacts", contacts, IDS_IN_A_LINE, queue=queue, why=why, **params)
        for each, count in more.items():
            yield self._say("contacts_not_listed", count=count, why=self._words.in_short(each))

    def _some(self, code: str, name: str, ids: list[str], most: int, **params: Any) -> str:
        """The first of these, and how many more there are."""
        if len(ids) <= most:
            return self._say(code, **{name: tuple(ids)}, **params)
        return self._say(f"{code}_some", **{name: tuple(ids[:most])}, more=len(ids) - most, **params)

    # -- an agent

    def idle(self, found: Idle) -> Iterator[str]:
        yield self._presence(found)
        for closed, kinds in itertools.groupby(KINDS, key=found.closed.get):
            if closed is None:
                yield self._say("kind_open", kind=tuple(kinds))
            else:
                yield self._say("kind_closed", kind=tuple(kinds), why=self._words.say(closed))
        yield self._say("somebody_waits", count=found.waiting) if found.waiting else self._say("nobody_waits")
        yield from self._contacts(found.contacts, found.more, "not_given")

    def _presence(self, found: Idle) -> str:
        if not found.since:
            return self._say("never_there", at=found.t, agent=found.agent)
        return self._say(
            "idle",
            at=found.t,
            agent=found.agent,
            presence=found.presence,
            since=found.since,
            used=found.used_units,
            units=found.units,
        )


def _reason_of(passed: Passed) -> Reason:
    return passed.reason

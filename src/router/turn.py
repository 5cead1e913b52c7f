"""One step of a pool: what is being decided, and what has come of it so far.

`emit` applies each event as it is born, so the next line of a rule already sees the world after it.
"""

from typing import Any

import msgspec

from router.effects import CancelLeg, Deliver, Effect, RingLeg
from router.events import (
    CallbackFailed,
    ContactCompleted,
    ContactRequeued,
    ContactTakenOver,
    ContactWrapping,
    Event,
    ParticipantLeft,
    SendRequested,
)
from router.memory import Agent, Contact
from router.model import Content
from router.state import Pool, apply

ENDS_COMPANY = frozenset((CallbackFailed, ContactRequeued, ContactTakenOver, ContactWrapping, ContactCompleted))
"""Whatever takes a contact out of its owner's hands ends the company in it."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the asker is told: an HTTP-like status, a stable code, and what was made by it."""

    status: int = 200
    code: str = "ok"
    contact: str | None = None


OK = Answer()


class Refusal(Exception):
    """A wish that cannot be granted. Raised before the first event, so nothing has changed."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.answer = Answer(status=status, code=code)


class Turn:
    """`now` is log time, `input` the id of what is decided, `at` the time of intake, `content` what was said."""

    __slots__ = ("at", "content", "effects", "events", "input", "now", "pool")

    def __init__(self, pool: Pool, now: float, input_: str, at: float, content: Content | None) -> None:
        self.pool = pool
        self.now = now
        self.input = input_
        self.at = at
        self.content = content
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def emit(self, event: Event) -> None:
        if type(event) in ENDS_COMPANY:
            self._end_company(event)
            event = self._of_its_attempt(event)
        apply(self.pool, event, self.now)
        self.events.append(event)

    def _of_its_attempt(self, event: Event) -> Event:
        """The end of a campaign's contact says whose, for the ledger."""
        if not isinstance(event, ContactCompleted):
            return event
        attempt = self.pool.contacts[event.contact].attempt_id
        return event if attempt is None else msgspec.structs.replace(event, attempt=attempt)

    def _end_company(self, event: Any) -> None:
        contact = self.pool.contacts[event.contact]
        for agent in list(contact.participants):
            self.dismiss(contact, agent, "over")

    def dismiss(self, contact: Contact, agent: str, reason: str, by: str | None = None) -> None:
        """A participant goes; on a call the leg is hung up."""
        guest = contact.participants[agent]
        for leg in (guest.leg, guest.ringing):
            if leg is not None:
                self.do(CancelLeg(channel=contact.channel, leg=leg))
        self.emit(ParticipantLeft(contact=contact.id, agent=agent, reason=reason, by=by))

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def request(self, effect: Deliver | RingLeg) -> None:
        """Order an effect that one worker must claim before doing it, because the provider cannot tell a repetition."""
        self.emit(SendRequested(key=effect.key, contact=effect.contact, effect=effect))
        self.do(effect)

    # -- what most wishes have to find first

    def agent(self, id_: str) -> Agent:
        """A configured agent. Refuses with 404."""
        if self.pool.profile(id_) is None:
            raise Refusal(404, "unknown-agent")
        return self.pool.agents.get(id_) or Agent(id=id_)

    def contact(self, id_: str) -> Contact:
        """A contact that is not final. Refuses with 404."""
        if id_ not in self.pool.contacts:
            raise Refusal(404, "unknown-contact")
        return self.pool.contacts[id_]

    def owned(self, id_: str, agent: str, *statuses: str) -> Contact:
        """A contact that this agent owns, in one of these statuses. Refuses with 409."""
        contact = self.contact(id_)
        if contact.agent != agent:
            raise Refusal(409, "not-yours")
        if contact.status not in statuses:
            raise Refusal(409, f"contact-is-{contact.status}")
        return contact

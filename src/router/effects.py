"""What shall be done, in the imperative, by whoever holds the channel.

`key` names an effect that a provider cannot deduplicate: it is claimed in the log before it is done. Effects without
a key may be done twice without harm.
"""

from typing import Literal

from router.model import Identity, Manner, Thread, Value


class Effect(Value, tag=True, frozen=True, kw_only=True):
    """Base of all effects."""

    channel: str


class Deliver(Effect, frozen=True, kw_only=True):
    """Send a message of ours. Its content came with the input that this record answers."""

    key: str
    conversation: str
    contact: str
    thread: Thread
    identity: Identity


class CopyFiles(Effect, frozen=True, kw_only=True):
    """Fetch the files of a customer's message that still lie with the provider (`model.Elsewhere`)."""

    conversation: str
    thread: Thread
    message: str


CUSTOMERS = ("customer", "first")
"""Sides of a `RingLeg` that ring a customer's phone."""


class RingLeg(Effect, frozen=True, kw_only=True):
    """Dial an agent's phone (`side` agent), a customer's, or a supervisor's who listens unheard (`monitor`), and let it
    into the contact's room when answered. A customer's that rings before any agent's (`first`) hears music until then.

    `caller_id` is shown instead of the channel's number. `at_once`: somebody is on the line already, so a phone that can
    picks up by itself.
    """

    key: str
    contact: str
    side: str
    address: str
    timeout_s: float
    caller_id: str | None = None
    at_once: bool = False

    @property
    def is_to_customer(self) -> bool:
        return self.side in CUSTOMERS


class CancelLeg(Effect, frozen=True, kw_only=True):
    leg: str


class JoinCaller(Effect, frozen=True, kw_only=True):
    """Move the customer's call from the waiting music into the contact's room."""

    contact: str
    call: str


class HoldCaller(Effect, frozen=True, kw_only=True):
    """Move the customer's call out of the room, to music."""

    contact: str
    call: str


Words = Literal["closed", "after_hours", "overflowed", "callback", "voicemail", "nobody_free"]
"""What a caller is told before the line is cut. `nobody_free`: we have called, and no agent is there."""


class EndCaller(Effect, frozen=True, kw_only=True):
    """Hang up on a caller; first say why, where `say` is given, and let `caller` leave a message when it is `voicemail`."""

    call: str
    caller: Identity | None = None
    say: Words | None = None
    language: str | None = None


class SetManner(Effect, frozen=True, kw_only=True):
    """Who monitors, on `leg` in the contact's room, is from now on heard by nobody, by `owner_leg` alone, or by all."""

    contact: str
    leg: str
    manner: Manner
    owner_leg: str


class ReserveAttempt(Effect, frozen=True, kw_only=True):
    """Find a person of the campaign's list who may be called now, lock the row, and write the ledger; the answer is an
    `EndReserve`. Asked twice with one key there is one row. With `person` it is that one, whom an agent has looked at.

    `look`: the agent will see the person first, so the row is kept and nothing is written. `spare` and the rest are the
    ceiling's arithmetic as it stood, for the ledger.
    """

    key: str
    campaign: str
    person: str | None = None
    look: bool = False
    agent: str | None = None
    live: int = 0
    abandoned: int = 0
    spare: int = 0


AnyEffect = ReserveAttempt | Deliver | CopyFiles | RingLeg | CancelLeg | JoinCaller | HoldCaller | EndCaller | SetManner

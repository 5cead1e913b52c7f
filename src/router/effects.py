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


class RingLeg(Effect, frozen=True, kw_only=True):
    """Dial an agent's phone (`side` agent), a customer's, or a supervisor's who listens unheard (`monitor`), and let it
    into the contact's room when answered."""

    key: str
    contact: str
    side: str
    address: str
    timeout_s: float


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


Words = Literal["closed", "after_hours", "overflowed", "callback", "voicemail"]
"""What a caller is told before the line is cut."""


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


AnyEffect = Deliver | CopyFiles | RingLeg | CancelLeg | JoinCaller | HoldCaller | EndCaller | SetManner

"""What a desk may ask for, as data: each command's arguments, the input it becomes, and the least role that may ask.

REST and WebSocket share it.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from router import inputs
from router.model import Manner

Id = Annotated[str, Field(min_length=1, max_length=64)]
MAX_TEXT = 20_000


class Args(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Status(Args):
    presence: Literal["available", "away", "offline", "draining"]
    reason: Annotated[str, Field(max_length=100)] | None = None
    when: Literal["now", "after"] = "now"


class OfArgs(Args):
    pass


class Decline(Args):
    reason: Annotated[str, Field(max_length=200)] | None = None


class Message(Args):
    """`files` are ids from `POST /v1/files`."""

    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    subject: Annotated[str, Field(max_length=400)] | None = None
    private: bool = False
    files: Annotated[list[Id], Field(max_length=10)] = []


class Transfer(Args):
    queue: Id | None = None
    agent: Id | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


class Extend(Args):
    seconds: Annotated[float, Field(gt=0, le=3600)]


class Complete(Args):
    disposition: Id | None = None
    note: Annotated[str, Field(max_length=5000)] | None = None


class Consult(Args):
    agent: Id


class Leave(Args):
    """Oneself, or, by the owner, somebody else who is in the contact."""

    agent: Id | None = None


class Monitor(Args):
    """Who is monitoring already changes his manner. Listen: nobody hears or sees him. Whisper, on calls: the owner hears
    him. Barge: everybody does; in writing, he may write to the customer as himself."""

    manner: Manner = "listen"


class Move(Args):
    queue: Id


class Reprioritise(Args):
    """What is left out stays. A lower tier goes first; a head start is counted as time already waited."""

    tier: Annotated[int, Field(ge=1, le=9)] | None = None
    head_start_s: Annotated[float, Field(ge=0, le=366 * 86400)] | None = None


class SetStatus(Args):
    presence: Literal["available", "away", "offline", "draining"]
    reason: Annotated[str, Field(max_length=100)] | None = None


Build = Callable[[str, str, Any], inputs.Input]
"""(who asks, target id, arguments) to the input."""


class Command(NamedTuple):
    """`of` names the argument that says what it is about. With `as_agent` only somebody with a routing profile may ask."""

    of: Literal["offer", "contact", "agent"]
    args: type[Args]
    build: Build
    role: str = "agent"
    as_agent: bool = True


STATUS = "status"
SUPERVISOR = "supervisor"
COMMANDS: dict[str, Command] = {
    "accept": Command("offer", OfArgs, lambda by, id_, a: inputs.AcceptOffer(agent=by, offer=id_)),
    "decline": Command("offer", Decline, lambda by, id_, a: inputs.DeclineOffer(agent=by, offer=id_, reason=a.reason)),
    "message": Command(
        "contact", Message, lambda by, id_, a: inputs.SendMessage(agent=by, contact=id_, private=a.private)
    ),
    "hold": Command("contact", OfArgs, lambda by, id_, a: inputs.HoldContact(agent=by, contact=id_)),
    "resume": Command("contact", OfArgs, lambda by, id_, a: inputs.ResumeContact(agent=by, contact=id_)),
    "park": Command("contact", OfArgs, lambda by, id_, a: inputs.ParkContact(agent=by, contact=id_)),
    "transfer": Command(
        "contact",
        Transfer,
        lambda by, id_, a: inputs.TransferContact(agent=by, contact=id_, queue=a.queue, to_agent=a.agent, note=a.note),
    ),
    "wrap-up": Command("contact", OfArgs, lambda by, id_, a: inputs.WrapUpContact(agent=by, contact=id_)),
    "extend-wrap-up": Command(
        "contact", Extend, lambda by, id_, a: inputs.ExtendWrapUp(agent=by, contact=id_, seconds=a.seconds)
    ),
    "complete": Command(
        "contact",
        Complete,
        lambda by, id_, a: inputs.CompleteContact(agent=by, contact=id_, disposition=a.disposition, note=a.note),
    ),
    # company in a contact
    "consult": Command(
        "contact", Consult, lambda by, id_, a: inputs.ConsultAgent(agent=by, contact=id_, to_agent=a.agent)
    ),
    "conference": Command("contact", OfArgs, lambda by, id_, a: inputs.ConferenceContact(agent=by, contact=id_)),
    "leave": Command("contact", Leave, lambda by, id_, a: inputs.LeaveContact(agent=a.agent or by, contact=id_, by=by)),
    # supervisors
    "move": Command(
        "contact",
        Move,
        lambda by, id_, a: inputs.MoveContact(contact=id_, queue=a.queue, by=by),
        SUPERVISOR,
        as_agent=False,
    ),
    "reprioritise": Command(
        "contact",
        Reprioritise,
        lambda by, id_, a: inputs.ReprioritiseContact(contact=id_, by=by, tier=a.tier, head_start_s=a.head_start_s),
        SUPERVISOR,
        as_agent=False,
    ),
    "take-over": Command("contact", OfArgs, lambda by, id_, a: inputs.TakeOver(agent=by, contact=id_), SUPERVISOR),
    "monitor": Command(
        "contact",
        Monitor,
        lambda by, id_, a: inputs.MonitorContact(agent=by, contact=id_, manner=a.manner),
        SUPERVISOR,
    ),
    "set-status": Command(
        "agent",
        SetStatus,
        lambda by, id_, a: inputs.SetPresence(agent=id_, presence=a.presence, reason=a.reason, by=by),
        SUPERVISOR,
        as_agent=False,
    ),
}


def status_input(agent: str, args: Status) -> inputs.SetPresence:
    return inputs.SetPresence(agent=agent, presence=args.presence, reason=args.reason, when=args.when)

"""What a desk may ask for, as data: each command's arguments and the input it becomes. REST and WebSocket share it."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from router import inputs

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


Build = Callable[[str, str, Any], inputs.Input]
"""(agent, target id, arguments) to the input."""

STATUS = "status"
ON_OFFER: dict[str, tuple[type[Args], Build]] = {
    "accept": (OfArgs, lambda agent, id_, a: inputs.AcceptOffer(agent=agent, offer=id_)),
    "decline": (Decline, lambda agent, id_, a: inputs.DeclineOffer(agent=agent, offer=id_, reason=a.reason)),
}
ON_CONTACT: dict[str, tuple[type[Args], Build]] = {
    "message": (Message, lambda agent, id_, a: inputs.SendMessage(agent=agent, contact=id_, private=a.private)),
    "hold": (OfArgs, lambda agent, id_, a: inputs.HoldContact(agent=agent, contact=id_)),
    "resume": (OfArgs, lambda agent, id_, a: inputs.ResumeContact(agent=agent, contact=id_)),
    "park": (OfArgs, lambda agent, id_, a: inputs.ParkContact(agent=agent, contact=id_)),
    "transfer": (
        Transfer,
        lambda agent, id_, a: inputs.TransferContact(
            agent=agent, contact=id_, queue=a.queue, to_agent=a.agent, note=a.note
        ),
    ),
    "wrap-up": (OfArgs, lambda agent, id_, a: inputs.WrapUpContact(agent=agent, contact=id_)),
    "extend-wrap-up": (Extend, lambda agent, id_, a: inputs.ExtendWrapUp(agent=agent, contact=id_, seconds=a.seconds)),
    "complete": (
        Complete,
        lambda agent, id_, a: inputs.CompleteContact(agent=agent, contact=id_, disposition=a.disposition, note=a.note),
    ),
}


def status_input(agent: str, args: Status) -> inputs.SetPresence:
    return inputs.SetPresence(agent=agent, presence=args.presence, reason=args.reason, when=args.when)

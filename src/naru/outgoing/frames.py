"""The frames that chat and wallboard make as plain objects, described for the AsyncAPI document.

The structures describe and make nothing; a test holds every frame that real sockets carry against them.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.frames import ParticipantView
from channels.chat import MAX_FILES, MAX_TEXT, ChatMessage
from router.model import Kind

# -- desk and wallboard, from the client


class Hello(msgspec.Struct, tag="hello"):
    """The first frame. `ticket` unless it came as subprotocol; `cursor` of the last frame seen, to resume."""

    ticket: str | None = None
    cursor: str | None = None


class Pong(msgspec.Struct, tag="pong"):
    """The answer to `ping`."""


# -- wallboard


class LiveQueue(msgspec.Struct):
    id: str
    name: str
    waiting: int
    longest_wait_s: float
    offered: int
    active: int
    arrived_today: int
    answered_today: int
    abandoned_today: int
    service_level: float | None
    service_level_target: float
    asa_s: float | None


class LiveWork(msgspec.Struct):
    id: str
    kind: Kind
    status: str
    queue: str
    since: float
    customer: str
    role: str | None
    participants: list[ParticipantView]


class LiveAgent(msgspec.Struct):
    id: str
    name: str
    presence: str
    reason: str | None
    since: float | None
    connected: bool
    used_units: int
    units: int
    contacts: list[LiveWork]
    attends: list[LiveWork]


class LiveWaiting(msgspec.Struct):
    id: str
    kind: Kind
    queue: str
    customer: str
    since: float
    position: int
    language: str | None
    tier: int
    head_start_s: float


class Live(msgspec.Struct, tag="live"):
    """The whole view, every second."""

    server_now: float
    queues: list[LiveQueue]
    agents: list[LiveAgent]
    waiting: list[LiveWaiting]


# -- chat, from the customer

ClientId = Annotated[str, Meta(min_length=1, max_length=64)]


class ChatHello(msgspec.Struct, tag="hello"):
    """The first frame. `channel` is the hook key, `visitor` the token from an earlier welcome, `after` a number.

    `user_token` is a JWT by which the shop's server vouches for a user of its app.
    """

    channel: str
    visitor: str | None = None
    user_token: str | None = None
    after: int = 0
    name: str | None = None
    locale: str | None = None
    page: str | None = None


class ChatSay(msgspec.Struct, tag="say"):
    """Repeat it until it is acknowledged: the same `client_id` is the same message."""

    client_id: ClientId
    text: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    files: Annotated[list[str], Meta(max_length=MAX_FILES)] = []


class ChatBye(msgspec.Struct, tag="bye"):
    """The customer has done."""


# -- chat, to the customer


class ChatState(msgspec.Struct):
    status: Literal["none", "waiting", "talking", "ended"]
    position: int | None = None
    agent: str | None = None


class ChatWelcome(msgspec.Struct, tag="welcome"):
    """`messages` are those after the number that `hello` named. Keep `visitor` to come back.

    `vapid_key` is what a browser subscribes to pushes with, where the channel has it.
    """

    visitor: str
    session: str
    server_now: float
    brand: str
    messages: list[ChatMessage]
    state: ChatState
    limits: dict[str, Any]
    vapid_key: str | None = None


class ChatSaid(msgspec.Struct, tag="message"):
    message: ChatMessage


class ChatAck(msgspec.Struct, tag="ack"):
    """The message is durable."""

    client_id: str
    number: int | None = None


class ChatError(msgspec.Struct, tag="error"):
    code: str
    client_id: str | None = None


class ChatStateFrame(msgspec.Struct, tag="state"):
    state: ChatState


class ChatPing(msgspec.Struct, tag="ping"):
    pass


BOARD: tuple[type, ...] = (Live,)
CHAT_IN: tuple[type, ...] = (ChatHello, ChatSay, ChatBye, Pong)
CHAT_OUT: tuple[type, ...] = (ChatWelcome, ChatSaid, ChatAck, ChatError, ChatStateFrame, ChatPing)

"""What the tests of SMS providers share: an answer to a customer, and the request that a provider made of it."""

from typing import Any

import msgspec

from channels.base import Account, Call, File, Outgoing, Provider
from router.effects import Deliver
from router.model import Content, Identity, Text, Thread
from support.channel import NOW

CUSTOMER = "+821012345678"
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external=CUSTOMER),
    identity=Identity(scope="e164", kind="phone", value=CUSTOMER),
)
ANSWER = "내일 도착합니다."
JPEG = File("사진.jpg", "image/jpeg", b"\xff\xd8\xff" + bytes(100))


def said(text: str = ANSWER, subject: str | None = None, files: tuple[File, ...] = (), **more: Any) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),), subject=subject), files, **more)


def written(provider: Provider, account: Account, message: Outgoing | None = None, now: float = NOW) -> Call:
    call = provider.write(account, DELIVER, message or said(), now)
    assert isinstance(call, Call)
    return call


def body(call: Call) -> Any:
    assert call.body is not None
    return msgspec.json.decode(call.body)

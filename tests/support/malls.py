"""Answers of ours to a mall, for the tests of its provider."""

from typing import Any

import msgspec

from channels.base import Call, File, Outgoing, Provider
from router.effects import Deliver
from router.model import Content, Text, Thread
from support.channel import NOW, delivery


def deliver(thread: str, key: str = "m1") -> Deliver:
    return delivery(Thread(external=thread, kind="ticket"), "w", key)


def said(text: str, files: tuple[File, ...] = (), **more: Any) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), files, **more)


def written(provider: Provider, account: Any, thread: str, text: str, now: float = NOW, **more: Any) -> Call:
    call = provider.write(account, deliver(thread), said(text, **more), now)
    assert isinstance(call, Call)
    return call


def body(call: Call) -> Any:
    return msgspec.json.decode(call.body or b"null")


def raw(value: Any) -> bytes:
    return msgspec.json.encode(value)

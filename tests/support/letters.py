"""What the tests of mail providers share: an answer to a customer's mail, in a thread of ours."""

import hashlib
from typing import Any

from channels.base import File, Outgoing
from router.effects import Deliver
from router.model import Content, Text, Thread
from support.channel import delivery

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
THREAD = "a1b2c3d4e5f6a1b2c3d4e5f6"
FILE = File("영수증.png", "image/png", bytes(range(256)))


def sign(text: str) -> str:
    """As the house signs: letters of a Message-ID."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def deliver(to: str = "mina@customer.test") -> Deliver:
    return delivery(Thread(external=THREAD, kind="email"), to, KEY, scope="email", kind="email")


def answer(text: str = "네, 교환해 드릴게요.", files: tuple[File, ...] = (), **more: Any) -> Outgoing:
    last = {"message-id": "<two@customer.test>", "references": "<one@customer.test>"}
    said: dict[str, Any] = {"last_subject": "교환 문의", "last_headers": last, **more}
    return Outgoing(Content(parts=(Text(text=text),)), files, **said)

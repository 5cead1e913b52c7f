"""What the tests of message providers share: an answer of ours on its way out, and a request signed as Meta does."""

import io
import json
from typing import Any

from python_multipart.multipart import parse_form

from channels import signatures
from channels.base import File, Outgoing, Webhook
from router.effects import Deliver
from router.model import Content, Text, Thread
from support.channel import as_bytes, delivery, hook

KEY = "0190a1b2-0000-5000-8000-00000000000a"
FILE = File("영수증.pdf", "application/pdf", b"%PDF")


def deliver(to: str, thread: str | None = None, key: str = KEY) -> Deliver:
    return delivery(Thread(external=thread or to), to, key)


def saying(text: str, **rest: Any) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), **rest)


def sent(call: Any) -> dict[str, Any]:
    """The JSON body of a request."""
    found = json.loads(call.body)
    assert isinstance(found, dict)
    return found


def form_of(call: Any) -> dict[str, tuple[str | None, bytes]]:
    """The fields of a form with files as another parser reads them: (file name, value)."""
    found: dict[str, tuple[str | None, bytes]] = {}
    headers = {"Content-Type": call.headers["content-type"].encode(), "Content-Length": str(len(call.body)).encode()}

    def field(one: Any) -> None:
        found[one.field_name.decode()] = (None, one.value)

    def file(one: Any) -> None:
        one.file_object.seek(0)
        found[one.field_name.decode()] = (one.file_name.decode(), one.file_object.read())

    parse_form(headers, io.BytesIO(call.body), field, file)
    return found


def by_meta(body: Any, secret: str = "app_secret") -> Webhook:
    raw = as_bytes(body)
    return hook(raw, {"X-Hub-Signature-256": signatures.meta(secret, raw)})

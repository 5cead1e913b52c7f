"""Deliveries and messages of ours for the tests of public comments, and what every provider of them must refuse."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from channels import signatures
from channels.base import Account, Call, File, Outgoing, Provider, Unsendable
from router.effects import Deliver, EndCaller
from router.model import Content, Text, Thread
from support.channel import NOW, delivery


def deliver(thread: str, key: str = "m1") -> Deliver:
    return delivery(Thread(external=thread, kind="public_comment"), "ann", key)


def said(text: str, headers: dict[str, str] | None = None) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), last_headers=headers or {}, last_at=NOW)


def refuses_what_is_no_comment(provider: Provider, ours: Account, thread: str, longest: int) -> None:
    file = Outgoing(Content(parts=(Text(text="x"),)), (File("a.png", "image/png", b"1"),))
    with pytest.raises(Unsendable, match="not a message"):
        provider.write(ours, EndCaller(channel="c", call="x"), None, NOW)
    for message in (said("  "), said("x" * (longest + 1)), file):
        with pytest.raises(Unsendable, match=r"needs text|at most|no files"):
            provider.write(ours, deliver(thread), message, NOW)
    assert provider.write(ours, deliver(thread), said("x" * longest), NOW)


def signed_rightly(call: Call) -> bool:
    """As a server does it: the signature is made anew from the request and the header's own parameters."""
    fields = dict(pair.split("=", 1) for pair in call.headers["authorization"].removeprefix("OAuth ").split(", "))
    own = {name: unquote(value.strip('"')) for name, value in fields.items()}
    given = own.pop("oauth_signature")
    asked = [(name, value) for name, values in parse_qs(urlsplit(call.url).query).items() for value in values]
    url = call.url.partition("?")[0]
    return given == signatures.oauth1(call.method, url, [*own.items(), *asked, *call.form], "cs", "ts")

"""The generic webhook both ways; its signatures are compared with their own library in `tests/unit/test_signatures.py`."""

import base64
import datetime as dt
import json

import pytest
from standardwebhooks import Webhook as StandardWebhook

from channels.base import Outgoing, Unsendable
from channels.providers.webhook import SignedWebhook
from router.effects import Deliver, EndCaller
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, hook, nobody

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OURS = account(SignedWebhook(), {"reply_url": "https://shop.example/in"}, {"signing_secret": SECRET}, kind="social")
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external="order-7"),
    identity=Identity(scope="c", kind="external", value="ann"),
)


def test_answers_are_signed_so_that_their_own_library_takes_them() -> None:
    call = SignedWebhook().write(OURS, DELIVER, Outgoing(Content(parts=(Text(text="Tomorrow."),))), NOW)
    assert call.url == "https://shop.example/in"
    assert call.body is not None
    said = json.loads(call.body)
    assert (said["id"], said["thread"], said["text"]) == ("m1", "order-7", "Tomorrow.")
    at = dt.datetime.fromtimestamp(NOW, dt.UTC)
    assert call.headers["webhook-signature"] == StandardWebhook(SECRET).sign("m1", at, call.body.decode())


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(Unsendable):
        SignedWebhook().write(OURS, EndCaller(channel="c", call="x"), None, NOW)
    only_in = account(SignedWebhook(), secrets={"signing_secret": SECRET})
    with pytest.raises(Unsendable):
        SignedWebhook().write(only_in, DELIVER, Outgoing(Content()), NOW)
    assert not SignedWebhook().policy(only_in).allowed


def test_what_is_no_message_is_refused_and_nothing_kept() -> None:
    for body in (b"", b"[]", b"{}", b'{"thread": "", "from": {"value": "x"}}', b"\xff"):
        reading = SignedWebhook().read(OURS, hook(body, {"webhook-id": "1"}), nobody)
        assert (reading.items, reading.reply.status) == ((), 422)


def test_an_unclear_end_is_tried_again_because_the_receiver_deduplicates() -> None:
    assert SignedWebhook().outcome(502, b"").kind == "retry"
    assert SignedWebhook().outcome(410, b"").kind == "rejected"

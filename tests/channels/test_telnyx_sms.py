"""Telnyx: Ed25519 over time and body (its own library takes the same, see `vectors.json`), events, and sending."""

import base64
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.base import File, Result, Unsendable
from channels.providers.telnyx_sms import TelnyxSms
from support.channel import HOOK, NOW, account, hook
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = TelnyxSms()
KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"a" * 32), Ed25519PrivateKey.from_private_bytes(b"b" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
OURS = account(PROVIDER, {"number": "+821588000000", "public_key": f"AAAA {PUBLIC}"}, {"api_key": "K"})


def signed(raw: bytes = b"{}", key: Ed25519PrivateKey = KEY, at: float = NOW) -> dict[str, str]:
    stamp = str(int(at))
    made = base64.b64encode(key.sign(stamp.encode() + b"|" + raw)).decode()
    return {"telnyx-signature-ed25519": made, "telnyx-timestamp": stamp}


def test_what_telnyx_signed_is_taken() -> None:
    assert PROVIDER.verify(OURS, hook(b"{}", signed()))


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"{}", {}),
        (b"{ }", signed()),
        (b"{}", signed(key=OTHER)),
        (b"{}", signed(at=NOW - 301)),
        (b"{}", signed(at=NOW + 301)),
        (b"{}", {**signed(), "telnyx-timestamp": str(int(NOW) + 1)}),
        (b"{}", {**signed(), "telnyx-timestamp": "²"}),
    ],
)
def test_anything_else_is_not(raw: bytes, headers: dict[str, str]) -> None:
    assert PROVIDER.verify(OURS, hook(raw, headers)) is False


def test_a_text_is_one_request() -> None:
    call = written(PROVIDER, OURS)
    assert call.url == "https://api.telnyx.com/v2/messages"
    assert call.headers["authorization"] == "Bearer K"
    sent = {"from": "+821588000000", "to": "+821012345678", "text": ANSWER, "type": "SMS", "webhook_url": HOOK}
    assert body(call) == sent
    profiled = account(PROVIDER, {**OURS.settings, "messaging_profile_id": "p"}, {"api_key": "K"})
    assert body(written(PROVIDER, profiled)) == {**sent, "messaging_profile_id": "p"}


@pytest.mark.parametrize("message", [said(""), said("가" * 671), said("a" * 1531), said(files=(JPEG,))])
def test_what_is_no_sms_is_said(message: Any) -> None:
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, message)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (200, {"data": {"id": "u9", "to": [{"status": "queued"}]}}, "accepted", None),
        (200, {"data": {}}, "uncertain", "200 without a name of the message"),
        (422, {"errors": [{"code": "10005", "title": "Bad", "detail": "no"}]}, "rejected", "422 10005 Bad no"),
        (429, {}, "retry", "429 "),
        (500, [], "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: Any, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("u9",) if kind == "accepted" else ())


def test_a_picture_is_fetched_while_it_is_there() -> None:
    call = PROVIDER.fetch(OURS, "https://media.telnyx.com/photo.png")
    assert (call.method, call.basic, dict(call.headers)) == ("GET", None, {})
    assert PROVIDER.fetched(OURS, "r", 200, "image/png", b"png") == File("", "image/png", b"png")
    gone, later = (PROVIDER.fetched(OURS, "r", status, "", b"") for status in (404, 503))
    assert isinstance(gone, Result) and gone.kind == "rejected"
    assert isinstance(later, Result) and later.kind == "retry"

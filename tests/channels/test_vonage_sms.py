"""Vonage: JWTs bound to the body, the older `sig`, receipts that name our message, and what a send may end in."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from channels.base import Unsendable
from channels.providers.vonage_sms import REPEATED_S, VonageSms
from channels.signatures import vonage_md5
from support.channel import NOW, account, hook
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = VonageSms()
OURS = account(
    PROVIDER, {"api_key": "abcd", "number": "+821588000000"}, {"api_secret": "s", "signature_secret": "new old"}
)
RAW = b'{"message_uuid":"u1","channel":"sms"}'


def jwt(secret: str = "old", payload: bytes = RAW, **claims: Any) -> dict[str, str]:
    told = {"iat": int(NOW), "iss": "Vonage", "payload_hash": hashlib.sha256(payload).hexdigest(), **claims}
    parts = (json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "HS256"}, told))
    head, middle = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    mac = hmac.digest(secret.encode(), f"{head}.{middle}".encode(), "sha256")
    return {"authorization": f"Bearer {head}.{middle}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"}


def test_a_signed_body_is_taken_while_secrets_rotate() -> None:
    assert PROVIDER.verify(OURS, hook(RAW, jwt("new")))
    assert PROVIDER.verify(OURS, hook(RAW, jwt("old")))
    assert PROVIDER.verify(OURS, hook(RAW, jwt(iat=int(NOW - REPEATED_S))))  # it repeats for a day


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (RAW, {}),
        (RAW, jwt("other")),
        (RAW + b" ", jwt()),
        (RAW, jwt(payload_hash=None)),  # a token that is bound to no body would fit any
        (RAW, jwt(iat=int(NOW - REPEATED_S - 100))),
        (RAW, jwt(iat=int(NOW + 400))),
        (RAW, jwt(iat=None)),
        (RAW, jwt(iat=10**400)),
        (RAW, jwt(exp=int(NOW - 1))),
        (RAW, {"authorization": "Bearer ..."}),
    ],
)
def test_anything_else_is_not(raw: bytes, headers: dict[str, str]) -> None:
    assert PROVIDER.verify(OURS, hook(raw, headers)) is False


def test_the_older_signature_is_taken_too() -> None:
    fields = {"msisdn": "821012345678", "messageId": "1", "text": "a & b = c", "timestamp": str(int(NOW))}
    signed = {**fields, "sig": vonage_md5(fields, "old")}
    assert PROVIDER.verify(OURS, hook(signed))
    assert not PROVIDER.verify(OURS, hook({**signed, "text": "other"}))
    assert not PROVIDER.verify(OURS, hook({**fields, "timestamp": "1", "sig": vonage_md5({**fields}, "old")}))


def test_a_text_is_one_request() -> None:
    call = written(PROVIDER, OURS)
    assert call.url == "https://api.nexmo.com/v1/messages"
    assert call.basic == ("abcd", "s")
    assert body(call) == {
        "message_type": "text",
        "channel": "sms",
        "from": "821588000000",
        "to": "821012345678",
        "text": ANSWER,
        "client_ref": "m1",
        "webhook_url": "https://naru.example/hooks/abc/status",
        "webhook_version": "v1",
    }


@pytest.mark.parametrize("message", [said(""), said("가" * 1001), said(files=(JPEG,))])
def test_what_is_no_sms_is_said(message: Any) -> None:
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, message)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (202, b'{"message_uuid": "u9"}', "accepted", None),
        (202, b"{}", "uncertain", "202 without a name of the message"),
        (422, b'{"title": "Invalid params", "detail": "to"}', "rejected", "422 Invalid params: to"),
        (401, b'{"title": "Unauthorized"}', "rejected", "401 Unauthorized"),
        (429, b"", "retry", "429 "),
        (500, b"<html>", "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: bytes, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, answer)
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("u9",) if kind == "accepted" else ())


def test_our_password_is_shown_to_nobody_but_vonage() -> None:
    assert PROVIDER.fetch(OURS, "https://api-us.nexmo.com/v3/media/1").basic == ("abcd", "s")
    for link in ("https://evil.test/nexmo.com", "https://nexmo.com.evil.test/", "http://api.nexmo.com/x", "//x"):
        assert PROVIDER.fetch(OURS, link).basic is None

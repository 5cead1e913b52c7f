"""Sinch: callbacks with a password or signed, reports that name our message, and sending a batch of one."""

import base64
from typing import Any

import msgspec
import pytest

from channels.base import Unsendable
from channels.providers.sinch_sms import SinchSms
from channels.signatures import sinch_webhook
from support.channel import NOW, Payload, account, hook, payloads
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = SinchSms()
SETTINGS = {"service_plan_id": "plan", "number": "+821588000000", "region": "eu"}
OURS = account(PROVIDER, SETTINGS, {"api_token": "T", "callback_password": "new old"})
SIGNED = account(PROVIDER, {**SETTINGS, "callbacks": "signed"}, {"api_token": "T", "webhook_secret": "new old"})
BODY = b'{"type":"mo_text"}'


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def signed(secret: str = "old", at: float = NOW, nonce: str = "n") -> dict[str, str]:
    stamp = str(int(at))
    return {
        "x-sinch-webhook-signature": sinch_webhook(secret, BODY, nonce, stamp),
        "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": stamp,
    }


def test_the_signature_is_that_of_sinchs_own_library() -> None:
    """Made by sinch 2.3.0: calculate_sinch_event_signature(compute_signed_data(body, nonce, timestamp), secret)."""
    raw = '{"type":"mo_text","body":"배송 문의"}'.encode()
    made = sinch_webhook("foo_secret1234", raw, "01FJA8B4A7BM43YGWSG9GBV067", "1634579353")
    assert made == "DKj05s8QFLMvWriOYjZdvsTQZBEw5rb6MLocr08Yv4I="


def test_a_password_proves_who_calls() -> None:
    assert PROVIDER.verify(OURS, hook(BODY, basic("naru:old")))
    for headers in ({}, basic("naru:other"), basic("other:old"), basic("naru:"), {"authorization": "Bearer old"}):
        assert PROVIDER.verify(OURS, hook(BODY, headers)) is False
    assert PROVIDER.verify(OURS, hook(BODY, signed())) is False


def test_or_a_signature_does() -> None:
    assert PROVIDER.verify(SIGNED, hook(BODY, signed()))
    assert PROVIDER.verify(SIGNED, hook(BODY, signed("new")))
    for headers in (
        {},
        signed("other"),
        signed(at=NOW - 301),
        {**signed(), "x-sinch-webhook-signature-nonce": "x"},
        basic("naru:old"),
    ):
        assert PROVIDER.verify(SIGNED, hook(BODY, headers)) is False
    assert PROVIDER.verify(SIGNED, hook(BODY + b" ", signed())) is False


def test_what_is_required_follows_from_how_callbacks_are_proved() -> None:
    assert PROVIDER.secrets_for({}) == ("api_token", "callback_password")
    assert PROVIDER.secrets_for({"callbacks": "signed"}) == ("api_token", "webhook_secret")


def test_a_text_is_a_batch_of_one() -> None:
    call = written(PROVIDER, OURS)
    assert call.url == "https://eu.sms.api.sinch.com/xms/v1/plan/batches"
    assert call.headers["authorization"] == "Bearer T"
    assert body(call) == {
        "from": "821588000000",
        "to": ["821012345678"],
        "body": ANSWER,
        "type": "mt_text",
        "delivery_report": "per_recipient",
        "client_reference": "m1",
        "callback_url": "https://naru:new@naru.example/hooks/abc",
    }
    assert body(written(PROVIDER, SIGNED))["callback_url"] == "https://naru.example/hooks/abc"


@pytest.mark.parametrize("message", [said(""), said("가" * 2001), said(files=(JPEG,))])
def test_what_is_no_sms_is_said(message: Any) -> None:
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, message)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (201, {"id": "u9"}, "accepted", None),
        (201, {}, "uncertain", "201 without a name of the message"),
        (400, {"code": "syntax_invalid_parameter_format", "text": "bad"}, "rejected", None),
        (403, {"code": "missing_from", "text": "x"}, "rejected", "403 missing_from x"),
        (429, {}, "retry", "429 "),
        (500, {}, "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: Any, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert result.kind == kind
    assert detail is None or result.detail == detail


@pytest.mark.parametrize(
    ("raw", "text"), [("7JWI64WV", "안녕"), ("/////w==", "[binary message]"), ("?", "[binary message]")]
)
def test_binary_messages_are_read_where_they_are_text(raw: str, text: str) -> None:
    [message] = [each for each in payloads("sinch_sms") if each.path.stem == "message"]
    changed = {**msgspec.json.decode(message.body), "type": "mo_binary", "body": raw, "udh": "00"}
    [item] = Payload(message.path).read(PROVIDER, msgspec.json.encode(changed)).items
    assert item.content is not None and item.content.text == text

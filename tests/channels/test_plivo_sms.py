"""Plivo: signature V2 (the vector of all its SDKs is in `vectors.json`), forms, and how long a text may be."""

from typing import Any

import msgspec
import pytest

from channels.base import Unsendable
from channels.providers.plivo_sms import PlivoSms
from channels.signatures import plivo
from support.channel import HOOK, account, hook
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = PlivoSms()
OURS = account(PROVIDER, {"auth_id": "MA1", "number": "+821588000000"}, {"auth_token": "new old"})


def signed(token: str = "old", nonce: str = "12345", url: str = HOOK, name: str = "X-Plivo-Signature-V2") -> Any:
    return {name: plivo(token, url, nonce), "X-Plivo-Signature-V2-Nonce": nonce}


def test_what_plivo_signed_is_taken() -> None:
    assert PROVIDER.verify(OURS, hook(b"x", signed("new")))
    assert PROVIDER.verify(OURS, hook(b"x", signed("old", name="X-Plivo-Signature-Ma-V2")))
    assert PROVIDER.verify(OURS, hook(b"x", signed(url=f"{HOOK}/status"), path="status"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed("other"),
        signed(url="https://naru.example/hooks/other"),
        {**signed(), "X-Plivo-Signature-V2-Nonce": "other"},
        {"X-Plivo-Signature-V2": signed()["X-Plivo-Signature-V2"]},
        {"X-Plivo-Signature-V2": "", "X-Plivo-Signature-V2-Nonce": "12345"},
    ],
)
def test_anything_else_is_not(headers: dict[str, str]) -> None:
    assert PROVIDER.verify(OURS, hook(b"x", headers)) is False


def test_a_text_is_one_request() -> None:
    call = written(PROVIDER, OURS)
    assert (call.url, call.basic) == ("https://api.plivo.com/v1/Account/MA1/Message/", ("MA1", "new"))
    assert body(call) == {
        "src": "821588000000",
        "dst": "821012345678",
        "text": ANSWER,
        "type": "sms",
        "url": f"{HOOK}/status",
        "method": "POST",
    }


def test_letters_count_by_their_alphabet() -> None:
    assert written(PROVIDER, OURS, said("a" * 1600))
    assert written(PROVIDER, OURS, said("가" * 737))
    for text in ("a" * 1601, "가" * 738, "😀" * 369, " "):
        with pytest.raises(Unsendable):
            written(PROVIDER, OURS, said(text))
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, said(files=(JPEG,)))


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (202, {"message": "message(s) queued", "message_uuid": ["u9"], "api_id": "a"}, "accepted"),
        (202, {"message_uuid": "u9"}, "uncertain"),
        (400, {"api_id": "a", "error": "no dst"}, "rejected"),
        (429, {}, "retry"),
        (502, {}, "uncertain"),
    ],
)
def test_how_a_send_ends(status: int, answer: dict[str, Any], kind: str) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert result.kind == kind
    assert result.externals == (("u9",) if kind == "accepted" else ())


def test_our_password_is_shown_to_nobody_but_plivo() -> None:
    assert PROVIDER.fetch(OURS, "https://media.plivo.com/a").basic == ("MA1", "new")
    assert PROVIDER.fetch(OURS, "https://media.plivo.com.evil.test/a").basic is None

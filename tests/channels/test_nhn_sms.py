"""NHN Cloud: a fixed text in a header, errors within HTTP 200, long messages with a subject, pictures uploaded first."""

from typing import Any

import msgspec
import pytest

from channels.base import Result, Unsendable
from channels.providers.nhn_sms import NhnSms
from support.channel import NOW, account, hook
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = NhnSms()
OURS = account(PROVIDER, {"app_key": "A", "number": "1588-0000"}, {"secret_key": "S", "webhook_signature": "new old"})
BASE = "https://api-sms.cloud.toast.com/sms/v3.0/appKeys/A"
GOOD = {"header": {"isSuccessful": True, "resultCode": 0, "resultMessage": "SUCCESS"}}


def test_only_who_knows_the_signature_is_heard() -> None:
    assert PROVIDER.verify(OURS, hook(b"{}", {"X-Toast-Webhook-Signature": "old"}))
    for given in ("", "other", "new old"):
        assert PROVIDER.verify(OURS, hook(b"{}", {"X-Toast-Webhook-Signature": given})) is False


def test_a_text_is_one_request() -> None:
    call = written(PROVIDER, OURS)
    assert (call.url, call.headers["x-secret-key"]) == (f"{BASE}/sender/sms", "S")
    assert body(call) == {
        "body": ANSWER,
        "sendNo": "15880000",
        "recipientList": [{"recipientNo": "01012345678", "recipientGroupingKey": "m1"}],
    }


def test_a_long_message_has_a_subject() -> None:
    call = written(PROVIDER, OURS, said("가" * 46))
    assert call.url == f"{BASE}/sender/mms"
    assert body(call)["title"] == "가" * 20
    assert body(written(PROVIDER, OURS, said("가", "교환 안내")))["title"] == "교환 안내"


def test_pictures_are_uploaded_and_named() -> None:
    call = PROVIDER.upload(OURS, JPEG, NOW)
    assert call.url == f"{BASE}/attachfile/binaryUpload"
    assert body(call)["fileName"] == "picture.jpg"
    answer = {**GOOD, "body": {"data": {"fileId": 307917, "fileName": "picture.jpg"}}}
    assert PROVIDER.uploaded(OURS, 200, msgspec.json.encode(answer)) == "307917"
    sent = body(written(PROVIDER, OURS, said("사진", uploads=("307917",))))
    assert (sent["attachFileIdList"], sent["title"]) == ([307917], "사진")
    failed = PROVIDER.uploaded(OURS, 200, b'{"header": {"isSuccessful": false, "resultCode": -2020}}')
    assert isinstance(failed, Result) and failed.kind == "rejected"


@pytest.mark.parametrize("message", [said(""), said("가" * 1001), said("😀"), said(uploads=("1", "2", "3", "4"))])
def test_what_no_carrier_takes_is_said(message: Any) -> None:
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, message)


def sent(code: int = 0) -> dict[str, Any]:
    one = {"recipientNo": "01012345678", "resultCode": code, "resultMessage": "words", "recipientSeq": 1}
    return {**GOOD, "body": {"data": {"requestId": "u9", "statusCode": "2", "sendResultList": [one]}}}


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (200, sent(), "accepted", None),
        (200, sent(-2019), "rejected", "-2019 words"),
        (200, {"header": {"isSuccessful": False, "resultCode": -1000, "resultMessage": "No"}}, "rejected", "-1000 No"),
        (200, GOOD, "uncertain", "200 without a name of the message"),
        (200, [], "rejected", "no success"),
        (429, {}, "retry", "429 "),
        (500, {}, "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: Any, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("u9",) if kind == "accepted" else ())

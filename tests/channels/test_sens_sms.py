"""Naver Cloud SENS: signed requests, results asked for in windows that overlap and are never longer than a day."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from channels.base import Result, Unsendable
from channels.providers.sens_sms import LONGEST_S, OVERLAP_S, SensSms
from channels.signatures import ncloud
from support.channel import NOW, account
from support.sms import ANSWER, JPEG, body, said, written

PROVIDER = SensSms()
OURS = account(
    PROVIDER, {"service_id": "ncp:sms:kr:1:cc", "number": "02-1588-0000"}, {"access_key": "AK", "secret_key": "SK"}
)
URI = "/sms/v2/services/ncp:sms:kr:1:cc"


def test_a_text_is_one_signed_request() -> None:
    call = written(PROVIDER, OURS)
    assert call.url == f"https://sens.apigw.ntruss.com{URI}/messages"
    assert call.headers["x-ncp-apigw-timestamp"] == "1700000000000"
    assert call.headers["x-ncp-iam-access-key"] == "AK"
    assert call.headers["x-ncp-apigw-signature-v2"] == ncloud("SK", "AK", "POST", f"{URI}/messages", "1700000000000")
    assert body(call) == {
        "type": "SMS",
        "contentType": "COMM",
        "countryCode": "82",
        "from": "0215880000",
        "content": ANSWER,
        "messages": [{"to": "01012345678"}],
    }


def test_long_messages_and_pictures() -> None:
    assert body(written(PROVIDER, OURS, said("가" * 46, "제목")))["subject"] == "제목"
    call = PROVIDER.upload(OURS, JPEG, NOW)
    assert call.url.endswith("/files") and body(call)["fileName"] == "picture.jpg"
    assert PROVIDER.uploaded(OURS, 200, b'{"fileId": "F1"}') == "F1"
    sent = body(written(PROVIDER, OURS, said(uploads=("F1",))))
    assert (sent["type"], sent["files"]) == ("MMS", [{"fileId": "F1"}])
    refused = PROVIDER.uploaded(OURS, 400, b"{}")
    assert isinstance(refused, Result) and refused.kind == "rejected"


@pytest.mark.parametrize("message", [said(""), said("가" * 1001), said("😀"), said(uploads=("1", "2", "3", "4"))])
def test_what_no_carrier_takes_is_said(message: Any) -> None:
    with pytest.raises(Unsendable):
        written(PROVIDER, OURS, message)


def asked(cursor: dict[str, Any], now: float = NOW) -> dict[str, str]:
    call = PROVIDER.poll(OURS, cursor, now)
    uri = call.url.removeprefix("https://sens.apigw.ntruss.com")
    assert call.method == "GET" and call.body is None
    assert call.headers["x-ncp-apigw-signature-v2"] == ncloud("SK", "AK", "GET", uri, str(int(now * 1000)))
    return {name: value for name, [value] in parse_qs(urlsplit(call.url).query).items()}


def test_results_are_asked_for_in_korean_time() -> None:
    first = asked({})
    assert first == {
        "completeStartTime": "2023-11-15 06:13:20",
        "completeEndTime": "2023-11-15 07:13:20",
        "pageSize": "100",
    }
    assert asked({"from": NOW - 60})["completeStartTime"] == "2023-11-15 07:12:20"


def test_after_a_long_absence_windows_are_worked_off() -> None:
    start = NOW - 3 * 86400
    page = PROVIDER.page(OURS, {"from": start}, 200, b'{"messages": []}', NOW)
    assert page.cursor == {"from": start + LONGEST_S - OVERLAP_S}
    assert page.again_s == 1
    done = PROVIDER.page(OURS, {"from": NOW - 60}, 200, b'{"messages": []}', NOW)
    assert (done.cursor, done.again_s) == ({"from": NOW - OVERLAP_S}, 30)


def test_pages_of_one_window_keep_it() -> None:
    cursor = {"from": NOW - 100, "to": NOW - 50, "next": "t"}
    assert asked(cursor)["nextToken"] == "t"
    assert asked(cursor)["completeEndTime"] == "2023-11-15 07:12:30"
    page = PROVIDER.page(OURS, cursor, 200, b'{"messages": []}', NOW)
    assert page.cursor == {"from": NOW - 50 - OVERLAP_S}
    lost = PROVIDER.page(OURS, cursor, 400, b"{}", NOW)
    assert (lost.fault, lost.cursor) == (None, {"from": NOW - 100})


def test_a_refusal_moves_nothing() -> None:
    page = PROVIDER.page(OURS, {"from": 1.0}, 401, b'{"error": {"errorCode": "200", "message": "no"}}', NOW)
    assert (page.fault, page.cursor) == ("401 200 no", {"from": 1.0})


@pytest.mark.parametrize(
    "cursor", [{"from": "x"}, {"from": -1}, {"from": NOW + 1e9}, {"next": 7, "to": "x"}, {"to": 5}]
)
def test_a_cursor_of_any_kind_is_borne(cursor: dict[str, Any]) -> None:
    assert asked(cursor)["completeStartTime"]


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (202, {"requestId": "u9", "statusCode": "202", "statusName": "success"}, "accepted", None),
        (202, {"statusCode": "202"}, "uncertain", "202 without a name of the message"),
        (200, {"statusCode": "400", "statusName": "fail"}, "rejected", "400 fail"),
        (
            401,
            {"error": {"errorCode": "200", "message": "Authentication Failed"}},
            "rejected",
            "401 200 Authentication Failed",
        ),
        (429, {}, "retry", "429 "),
        (500, {}, "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: Any, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("u9",) if kind == "accepted" else ())

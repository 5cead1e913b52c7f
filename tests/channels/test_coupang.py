"""Coupang: requests signed over path and query, dates of Korea, the contact center's one answer."""

import datetime as dt
import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels import malls
from channels.base import Call, Page, Unsendable
from channels.providers.coupang import Coupang
from support.channel import NOW, account
from support.malls import body, deliver, raw, said, written

COUPANG = Coupang()
OURS = account(
    COUPANG, {"vendor_id": "A00010028", "reply_by": "wanger"}, {"access_key": "ak", "secret_key": "coupang-secret"}
)
VENDOR = "/v2/providers/openapi/apis/api/v5/vendors/A00010028"


def is_signed(call: Call, now: float = NOW) -> bool:
    stamp = f"{dt.datetime.fromtimestamp(now, dt.UTC):%y%m%dT%H%M%SZ}"
    parts = urlsplit(call.url)
    text = stamp + call.method + parts.path + parts.query
    signature = hmac.new(b"coupang-secret", text.encode(), hashlib.sha256).hexdigest()
    return call.headers["authorization"] == (
        f"CEA algorithm=HmacSHA256, access-key=ak, signed-date={stamp}, signature={signature}"
    )


def page(cursor: dict[str, object], answer: object, status: int = 200) -> Page:
    return COUPANG.page(OURS, cursor, status, raw(answer), NOW)


EMPTY = {"code": "200", "data": {"content": [], "pagination": {"totalPages": 1}}}


def test_both_lists_are_asked_for_what_has_no_answer() -> None:
    call = COUPANG.poll(OURS, {}, NOW)
    assert (call.method, urlsplit(call.url).path) == ("GET", f"{VENDOR}/onlineInquiries") and is_signed(call)
    assert dict(parse_qsl(urlsplit(call.url).query)) == {
        "vendorId": "A00010028",
        "answeredType": "NOANSWER",
        "inquiryStartAt": "2023-11-10",
        "inquiryEndAt": "2023-11-15",  # in Korea it is tomorrow already
        "pageSize": "50",
        "pageNum": "1",
    }
    first = page({}, EMPTY)
    other = COUPANG.poll(OURS, first.cursor, NOW)
    asked = dict(parse_qsl(urlsplit(other.url).query))
    assert urlsplit(other.url).path == f"{VENDOR}/callCenterInquiries" and is_signed(other)
    assert (asked["partnerCounselingStatus"], asked["pageSize"]) == ("NO_ANSWER", "30")
    rest = page(first.cursor, EMPTY)
    assert (rest.again_s, rest.cursor) == (60, {"since": NOW - malls.DAY_S})


def test_no_span_is_longer_than_seven_days() -> None:
    cursor: dict[str, object] = {"since": NOW - 60 * malls.DAY_S}
    for _ in range(100):
        asked = dict(parse_qsl(urlsplit(COUPANG.poll(OURS, cursor, NOW).url).query))
        start, end = (dt.date.fromisoformat(asked[name]) for name in ("inquiryStartAt", "inquiryEndAt"))
        assert 0 < (end - start).days <= 6
        after = page(cursor, EMPTY)
        cursor = after.cursor
        if after.again_s > 1:
            break
    assert asked["inquiryEndAt"] == "2023-11-15"


def test_another_version_of_the_path_can_be_set() -> None:
    ours = account(COUPANG, {"vendor_id": "A1", "reply_by": "w", "api_version": "v4"})
    assert "/api/v4/vendors/A1/" in COUPANG.poll(ours, {}, NOW).url


def test_a_refusal_within_a_success_is_one() -> None:
    refused = page({"since": 5.0}, {"code": 400, "message": "inquiryStartAt is wrong"})
    assert (refused.fault, refused.cursor, refused.stale) == ("200 400 inquiryStartAt is wrong", {"since": 5.0}, False)
    assert page({}, {"code": "401", "message": "no"}, 401).stale is False, "there is no token to renew"


def test_a_question_is_answered_in_the_name_of_a_person_of_wing() -> None:
    call = written(COUPANG, OURS, "online:852", "안녕하세요\n19일 입고예정입니다.")
    assert (call.method, call.url) == ("POST", f"https://api-gateway.coupang.com{VENDOR}/onlineInquiries/852/replies")
    assert is_signed(call)
    assert body(call) == {"vendorId": "A00010028", "content": "안녕하세요\n19일 입고예정입니다.", "replyBy": "wanger"}


def test_the_contact_center_is_answered_below_what_it_asked_last() -> None:
    call = written(COUPANG, OURS, "center:1007837450", "재배송합니다", last_headers={"parent-answer-id": "78"})
    assert call.url.endswith("/callCenterInquiries/1007837450/replies")
    assert body(call) == {
        "vendorId": "A00010028",
        "content": "재배송합니다",
        "replyBy": "wanger",
        "inquiryId": "1007837450",
        "parentAnswerId": "78",
    }
    with pytest.raises(Unsendable):
        COUPANG.write(OURS, deliver("center:1"), said("x"), NOW)
    with pytest.raises(Unsendable):
        COUPANG.write(OURS, deliver("center:1"), said("x" * 1001, last_headers={"parent-answer-id": "78"}), NOW)
    assert written(COUPANG, OURS, "online:1", "x" * 1001)


def test_of_several_wishes_of_the_contact_center_the_last_waits_and_each_is_a_message() -> None:
    def asks(*numbers: int) -> dict[str, object]:
        replies = [{"answerId": n, "partnerTransferStatus": "requestAnswer", "content": f"{n}?"} for n in numbers]
        return {"code": 200, "data": {"content": [{"inquiryId": 5, "content": "배송", "replies": replies}]}}

    [first], [second] = (page({"which": 1}, asks(*numbers)).items for numbers in ((78,), (78, 79)))
    assert (first.key, second.key) == ("center:5:78", "center:5:79")
    assert second.body.thread == first.body.thread  # type: ignore[attr-defined]
    assert second.content is not None and second.content.headers == {"parent-answer-id": "79"}
    assert second.content.text == "배송\n\n79?"


@pytest.mark.parametrize("thread", ["online:", "online:1/2", "other:1", "1"])
def test_what_is_no_inquiry_is_not_answered(thread: str) -> None:
    with pytest.raises(Unsendable):
        COUPANG.write(OURS, deliver(thread), said("x"), NOW)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, {"code": "200", "message": "OK"}, "accepted"),
        (200, {"code": 200, "message": ""}, "accepted"),
        (200, {"code": 400, "message": "answered already"}, "rejected"),
        (200, "odd", "uncertain"),
        (400, {"code": 400, "message": "replyBy is incorrect"}, "rejected"),
        (401, {"message": "ip not allowed"}, "rejected"),
        (429, {}, "retry"),
        (500, {}, "uncertain"),
    ],
)
def test_how_a_send_ended(status: int, answer: object, kind: str) -> None:
    assert COUPANG.outcome(status, raw(answer)).kind == kind

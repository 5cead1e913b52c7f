"""Grip: a list, then each inquiry that is new; the fingerprint has a vector in `vectors.json`."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels.base import Call, Checks, Page, Unsendable
from channels.providers.grip import Grip
from support.channel import NOW, account
from support.malls import body, deliver, raw, said, written

GRIP = Grip()
OURS = account(GRIP, {"service_id": "naru"}, {"access_key": "ak", "secret_key": "sk"})


def is_signed(call: Call) -> bool:
    stamp = call.headers["x-fingerprint-timestamp"]
    uri = call.url.removeprefix("https://seller.grip.show")
    text = f"{call.method} {uri}\n{stamp}\nak"
    wanted = base64.b64encode(hmac.new(b"sk", text.encode(), hashlib.sha256).digest()).decode()
    names = {"x-accesskey": "ak", "x-serviceid": "naru", "x-fingerprint": wanted}
    return stamp == str(int(NOW * 1000)) and all(call.headers[name] == value for name, value in names.items())


def page(cursor: dict[str, object], answer: object, status: int = 200) -> Page:
    return GRIP.page(OURS, cursor, status, raw(answer), NOW)


def test_what_waits_for_an_answer_is_listed_and_then_asked_for_one_by_one() -> None:
    call = GRIP.poll(OURS, {}, NOW)
    assert is_signed(call)
    asked = dict(parse_qsl(urlsplit(call.url).query))
    assert (asked["needReply"], asked["searchEndAt"], asked["start"]) == ("true", "1700000000000", "0")
    listed = page({}, {"inquiryList": [{"inquirySeq": 12}, {"inquirySeq": 13}]})
    assert (listed.items, listed.cursor["todo"], listed.again_s) == ((), ["12", "13"], 1)
    one = GRIP.poll(OURS, listed.cursor, NOW)
    assert one.url == "https://seller.grip.show/api/inquiry/12" and is_signed(one)
    first = page(listed.cursor, {"inquiry": {"inquirySeq": 12, "content": "언제 오나요", "createdAt": 1}})
    assert ([item.key for item in first.items], first.cursor["todo"]) == (["12"], ["13"])
    second = page(first.cursor, {"inquiry": {"inquirySeq": 13, "content": "?", "createdAt": 1}})
    assert second.cursor["known"] == ["12", "13"]
    rest = page(second.cursor, {"inquiryList": [{"inquirySeq": 12}, {"inquirySeq": 13}]})
    assert (rest.cursor["todo"], rest.again_s) == ([], 60), "what is known is not asked for again"


def test_one_inquiry_that_cannot_be_had_holds_up_no_other_and_is_tried_again() -> None:
    for status in (400, 404, 500):
        after = page({"todo": ["12", "13"], "known": []}, {"message": "no"}, status)
        assert (after.fault, after.cursor["todo"], after.cursor["known"]) == (None, ["13"], [])
    assert page({"todo": ["12"]}, {"message": "no key"}, 403).fault == "403 no key"


def test_an_inquiry_that_was_answered_meanwhile_is_nobodys_work() -> None:
    after = page({"todo": ["12"]}, {"inquiry": {"inquirySeq": 12, "content": "?", "createdAt": 1, "replyAt": 2}})
    assert after.items == ()


def test_the_first_answer_is_a_post_and_the_next_takes_its_place() -> None:
    first = written(GRIP, OURS, "12", "내일 도착합니다", first=True)
    assert (first.method, first.url, body(first)) == (
        "POST",
        "https://seller.grip.show/api/inquiry/12",
        {"reply": "내일 도착합니다"},
    )
    again = written(GRIP, OURS, "12", "모레 도착합니다", first=False)
    assert (again.method, body(again)) == ("PUT", {"reply": "모레 도착합니다", "noti": True})
    assert is_signed(first) and is_signed(again)


@pytest.mark.parametrize(("thread", "text"), [("12", ""), ("12", "x" * 1001), ("../12", "x")])
def test_what_is_no_answer_is_said(thread: str, text: str) -> None:
    with pytest.raises(Unsendable):
        GRIP.write(OURS, deliver(thread), said(text, first=True), NOW)


@pytest.mark.parametrize(
    ("status", "kind"), [(200, "accepted"), (400, "rejected"), (401, "rejected"), (429, "retry"), (500, "uncertain")]
)
def test_how_a_send_ended(status: int, kind: str) -> None:
    result = GRIP.outcome(status, raw({"code": "COMMON_BAD_REQUEST", "message": "잘못된 정보입니다"}))
    assert result.kind == kind
    if status == 400:
        assert result.detail == "400 COMMON_BAD_REQUEST 잘못된 정보입니다"


def test_whether_the_keys_work_is_seen_by_a_poll() -> None:
    assert isinstance(GRIP, Checks)
    assert GRIP.check(OURS, NOW) == GRIP.poll(OURS, {}, NOW)

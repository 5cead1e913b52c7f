"""Naver SmartStore: two lists in turn, one answer or one that overwrites, and a token that is signed for."""

from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels import malls
from channels.base import Page, Result, Token, Unsendable
from channels.providers.naver_smartstore import NaverSmartStore
from support.channel import NOW, account, payloads
from support.malls import body, deliver, raw, said, written

NAVER = NaverSmartStore()
SECRET = "$2a$10$abcdefghijklmnopqrstuv"  # Naver's own example
OURS = account(NAVER, {"client_id": "aaaabbbbcccc"}, {"client_secret": SECRET}, token="t1")


def asked(cursor: dict[str, object], now: float = NOW) -> tuple[str, dict[str, str]]:
    call = NAVER.poll(OURS, cursor, now)
    assert (call.method, call.headers["authorization"]) == ("GET", "Bearer t1")
    return urlsplit(call.url).path, dict(parse_qsl(urlsplit(call.url).query))


def page(cursor: dict[str, object], answer: object, status: int = 200) -> Page:
    return NAVER.page(OURS, cursor, status, raw(answer), NOW)


def test_both_lists_are_asked_in_turn_and_then_it_rests() -> None:
    path, query = asked({})
    assert path == "/external/v1/pay-user/inquiries"
    assert query == {"page": "1", "size": "100", "startSearchDate": "2023-11-08", "endSearchDate": "2023-11-15"}
    first = page({}, {"content": [], "last": True})
    assert first.again_s == 1
    path, query = asked(first.cursor)
    assert path == "/external/v1/contents/qnas"
    assert (query["answered"], query["fromDate"], query["toDate"]) == (
        "false",
        "2023-11-08T07:13:20.000+09:00",
        "2023-11-15T07:13:20.000+09:00",
    )
    second = page(first.cursor, {"contents": [], "last": True})
    assert second.again_s == 60
    assert second.cursor["since"] == NOW - 2 * malls.DAY_S, "what overlaps is asked again"
    assert asked(second.cursor)[0] == "/external/v1/pay-user/inquiries"


def test_a_full_page_is_followed_by_the_next() -> None:
    full = [{"inquiryNo": n, "inquiryContent": "?", "answered": False} for n in range(100)]
    after = page({}, {"content": full, "last": False})
    assert (len(after.items), asked(after.cursor)[1]["page"], after.again_s) == (100, "2", 1)
    assert asked(page({}, {"content": full, "last": True}).cursor)[0].endswith("qnas")


def test_a_long_absence_is_caught_up_with_week_by_week() -> None:
    cursor: dict[str, object] = {"since": NOW - 30 * malls.DAY_S}
    spans = []
    for _ in range(40):
        path, query = asked(cursor)
        if path.endswith("inquiries"):
            spans.append((query["startSearchDate"], query["endSearchDate"]))
        after = page(cursor, {"content": [], "contents": []})
        cursor = after.cursor
        if after.again_s > 1:
            break
    assert spans[0] == ("2023-10-16", "2023-10-23") and spans[-1][1] == "2023-11-15"
    assert all(later[0] < before[1] for before, later in pairwise(spans)), "they overlap"


def test_an_answer_that_is_told_once_is_not_told_again() -> None:
    payload = next(p for p in payloads("naver_smartstore") if p.path.stem == "answered")
    first = payload.read(NAVER)
    assert isinstance(first, Page)
    [answer] = first.items
    again = NAVER.page(OURS, {**first.cursor, "which": 0}, 200, payload.body, NOW)
    assert again.items == () and answer.key in again.cursor["told"]


def test_a_refused_token_is_renewed_and_the_place_kept() -> None:
    for status, stale in ((401, True), (403, False), (500, False)):
        refused = page({"since": 5.0}, {"code": "GW.AUTHN", "message": "no"}, status)
        assert (refused.stale, refused.cursor, refused.items) == (stale, {"since": 5.0}, ())
        assert refused.fault == f"{status} GW.AUTHN no"


def test_an_inquiry_is_answered_once_by_post() -> None:
    call = written(NAVER, OURS, "inquiry:55501", "내일 도착합니다")
    assert (call.method, call.url) == (
        "POST",
        "https://api.commerce.naver.com/external/v1/pay-merchant/inquiries/55501/answer",
    )
    assert body(call) == {"answerComment": "내일 도착합니다"}
    done = NAVER.outcome(200, raw({"code": "S", "data": {"inquiryNo": 55501, "inquiryCommentNo": 902}}))
    assert (done.kind, done.externals) == ("accepted", ("answer:902",)), "as the list will name it"


def test_a_product_question_is_answered_by_put() -> None:
    call = written(NAVER, OURS, "qna:663810138", "네, 가능합니다")
    assert (call.method, call.url) == ("PUT", "https://api.commerce.naver.com/external/v1/contents/qnas/663810138")
    assert body(call) == {"commentContent": "네, 가능합니다"}
    assert NAVER.outcome(204, b"") == Result("accepted")


def test_a_second_answer_that_naver_refuses_is_said_so() -> None:
    answer = raw({"code": "ERR-NC-101010", "message": "이미 답변이 존재합니다"})
    assert NAVER.outcome(400, answer) == Result("rejected", detail="ERR-NC-101010 already answered")


@pytest.mark.parametrize(("status", "kind"), [(401, "retry"), (404, "rejected"), (429, "retry"), (500, "uncertain")])
def test_how_a_send_ended(status: int, kind: str) -> None:
    assert NAVER.outcome(status, raw({"code": "X", "message": "y"})).kind == kind


@pytest.mark.parametrize("thread", ["inquiry:", "inquiry:1/../2", "x"])
def test_what_is_no_inquiry_is_not_answered(thread: str) -> None:
    with pytest.raises(Unsendable):
        NAVER.write(OURS, deliver(thread), said("x"), NOW)


def test_the_token_is_asked_for_with_navers_own_example() -> None:
    call = NAVER.renew(OURS, {}, 1643961623.299)
    assert call.url == "https://api.commerce.naver.com/external/v1/oauth2/token"
    assert dict(call.form) == {
        "client_id": "aaaabbbbcccc",
        "timestamp": "1643961623299",
        "client_secret_sign": "JDJhJDEwJGFiY2RlZmdoaWprbG1ub3BxcnN0dXVCVldZSk42T0VPdEx1OFY0cDQxa2IuTnpVaUEzbmsy",
        "grant_type": "client_credentials",
        "type": "SELF",
    }
    assert NAVER.renewed(OURS, {}, 200, raw({"access_token": "t2", "expires_in": 10800}), NOW) == Token(
        value="t2", expires_at=NOW + 10800
    )

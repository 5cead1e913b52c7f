"""Cafe24: boards in turn, articles below articles, and a refresh token that is another with every renewal."""

from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from channels import malls
from channels.base import Page, Result, Token, Unsendable
from channels.providers.cafe24 import Cafe24
from support.channel import NOW, account, payloads
from support.malls import body, deliver, raw, said, written

CAFE24 = Cafe24()
OURS = account(
    CAFE24,
    {"mall_id": "kshop", "client_id": "app", "boards": "6, 9", "operator_id": "kshop"},
    {"client_secret": "cs", "refresh_token": "r1"},
    token="t1",
)


def page(cursor: dict[str, object], answer: object, status: int = 200) -> Page:
    return CAFE24.page(OURS, cursor, status, raw(answer), NOW)


def test_each_board_is_asked_in_turn() -> None:
    call = CAFE24.poll(OURS, {}, NOW)
    assert (call.method, call.headers["authorization"]) == ("GET", "Bearer t1")
    assert call.url.startswith("https://kshop.cafe24api.com/api/v2/admin/boards/6/articles?")
    assert dict(parse_qsl(urlsplit(call.url).query)) == {
        "start_date": "2023-11-08",
        "end_date": "2023-11-15",
        "limit": "100",
        "offset": "0",
    }
    first = page({}, {"articles": []})
    assert "/boards/9/articles" in CAFE24.poll(OURS, first.cursor, NOW).url
    rest = page(first.cursor, {"articles": []})
    assert (rest.again_s, rest.cursor) == (60, {"since": NOW - malls.DAY_S, "told": []})
    full = page({}, {"articles": [{"board_no": 6, "article_no": n} for n in range(1, 101)]})
    assert "offset=100" in CAFE24.poll(OURS, full.cursor, NOW).url


@pytest.mark.parametrize(("boards", "wanted"), [(6, ["6"]), ("", ["6"]), ("5 x 7", ["5", "7"]), (None, ["6"])])
def test_boards_may_be_written_as_one_likes(boards: object, wanted: list[str]) -> None:
    ours = msgspec.structs.replace(OURS, settings={**OURS.settings, "boards": boards})
    urls = [CAFE24.poll(ours, {"which": n}, NOW).url for n in range(len(wanted))]
    assert [url.split("/boards/")[1].split("/")[0] for url in urls] == wanted


def test_a_token_that_is_refused_is_renewed() -> None:
    for status, stale in ((401, True), (429, False), (403, False)):
        refused = page({"since": 7.0}, {"error": {"code": status, "message": "access_token is invalid"}}, status)
        assert (refused.stale, refused.cursor) == (stale, {"since": 7.0})
        assert "access_token is invalid" in (refused.fault or "")


def test_an_answer_is_an_article_below_the_question() -> None:
    call = written(CAFE24, OURS, "6:502", "다음 주에\n<입고>됩니다", last_subject="재입고 문의")
    assert (call.method, call.url) == ("POST", "https://kshop.cafe24api.com/api/v2/admin/boards/6/articles")
    assert body(call) == {
        "shop_no": 1,
        "requests": [
            {
                "writer": "b",
                "title": "Re: 재입고 문의",
                "content": "다음 주에<br>&lt;입고&gt;됩니다",
                "client_ip": "127.0.0.1",
                "reply_article_no": 502,
                "reply": "T",
                "reply_user_id": "kshop",
                "reply_status": "C",
            }
        ],
    }


def test_our_own_article_is_known_when_it_is_read_on_the_board() -> None:
    done = CAFE24.outcome(201, raw({"articles": [{"board_no": 6, "article_no": 503}]}))
    assert (done.kind, done.externals) == ("accepted", ("6:503",))
    payload = next(p for p in payloads("cafe24") if p.path.stem == "answered_in_the_shop")
    assert payload.read(CAFE24).items[1].body.dedupe_key == done.externals[0]  # type: ignore[attr-defined]


def test_a_question_that_was_known_is_told_of_its_answer_and_only_once() -> None:
    answer = {"board_no": 6, "article_no": 9, "parent_article_no": 8, "member_id": "kshop", "content": "네"}
    first = page({}, {"articles": [{"board_no": 6, "article_no": 8, "content": "?", "reply_status": "C"}, answer]})
    assert [item.key for item in first.items] == ["6:9"]
    assert page({**first.cursor, "which": 0}, {"articles": [answer]}).items == ()


def test_what_another_customer_writes_below_is_a_customers() -> None:
    row = {"board_no": 6, "article_no": 9, "parent_article_no": 8, "member_id": "other", "content": "저도요"}
    [item] = page({}, {"articles": [row]}).items
    assert (item.body.author, item.body.thread.external) == ("customer", "6:8")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("thread", "text"), [("6:502", ""), ("6:x", "x"), ("6", "x"), ("../6:1", "x")])
def test_what_is_no_answer_is_said(thread: str, text: str) -> None:
    with pytest.raises(Unsendable):
        CAFE24.write(OURS, deliver(thread), said(text), NOW)


@pytest.mark.parametrize(
    ("status", "kind"), [(201, "accepted"), (401, "retry"), (422, "rejected"), (429, "retry"), (500, "uncertain")]
)
def test_how_a_send_ended(status: int, kind: str) -> None:
    assert CAFE24.outcome(status, raw({"error": {"code": status, "message": "x"}})).kind == kind


def renewed(kept: dict[str, str], answer: object, status: int = 200) -> Token | Result:
    return CAFE24.renewed(OURS, kept, status, raw(answer), NOW)


ANSWER = {"access_token": "t2", "expires_at": "2023-11-15T09:13:20.000", "refresh_token": "r2"}


def test_the_refresh_token_that_came_last_is_the_one_that_renews_next() -> None:
    call = CAFE24.renew(OURS, {}, NOW)
    assert (call.url, call.basic) == ("https://kshop.cafe24api.com/api/v2/oauth/token", ("app", "cs"))
    assert dict(call.form) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    token = renewed({}, ANSWER)
    assert isinstance(token, Token)
    assert (token.value, token.expires_at) == ("t2", NOW + 7200), "in two hours, by the clock of Korea"
    assert dict(CAFE24.renew(OURS, token.kept, NOW).form)["refresh_token"] == "r2"
    next_one = renewed(token.kept, {**ANSWER, "refresh_token": "r3"})
    assert isinstance(next_one, Token)
    assert dict(CAFE24.renew(OURS, next_one.kept, NOW).form)["refresh_token"] == "r3"


def test_a_refresh_token_that_the_owner_enters_anew_goes_before_the_kept_one() -> None:
    token = renewed({}, ANSWER)
    assert isinstance(token, Token)
    anew = msgspec.structs.replace(OURS, secrets={**OURS.secrets, "refresh_token": "fresh"})
    assert dict(CAFE24.renew(anew, token.kept, NOW).form)["refresh_token"] == "fresh"


def test_a_refresh_token_that_is_over_needs_the_owner() -> None:
    refused = renewed({}, {"error": "invalid_grant", "error_description": "Invalid refresh_token"}, 400)
    assert isinstance(refused, Result)
    assert (refused.kind, refused.detail) == ("rejected", "400 invalid_grant Invalid refresh_token")
    down = renewed({}, "busy", 502)
    assert isinstance(down, Result) and down.kind == "retry"

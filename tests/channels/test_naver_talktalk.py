"""Naver TalkTalk: no signature, no names of messages, errors in HTTP 200, and colleagues in the partner centre."""

import pytest

from channels.base import Call, Calls, File, Unsendable
from channels.providers.naver_talktalk import NaverTalkTalk
from support.channel import NOW, account, hook
from support.social import FILE, deliver, saying, sent

OURS = account(NaverTalkTalk(), {"partner": "wc8b1i"}, {"path_secret": "s3cret", "authorization": "ct_wc8b1i_Pb1"})
USER = "al-2eGuGr5WQOnco1_V-FQ"


def key(said: str = "네", user: str = USER, at: float = NOW) -> str:
    body = {"event": "send", "user": user, "textContent": {"text": said}}
    [item] = NaverTalkTalk().read(OURS, hook(body, path="s3cret", now=at), lambda call: None).items
    assert item.key == item.body.dedupe_key  # type: ignore[union-attr]
    return item.key


def test_the_secret_path_is_the_only_proof_with_the_networks_that_are_named() -> None:
    assert NaverTalkTalk().verify(OURS, hook(b"{}", path="s3cret"))
    for path in ("", "other", "s3cret2"):
        assert not NaverTalkTalk().verify(OURS, hook(b"{}", path=path))
    named = account(NaverTalkTalk(), {"allowed": ["220.230.168.0/27"]}, {"path_secret": "s3cret"})
    assert not NaverTalkTalk().verify(named, hook(b"{}", path="s3cret")), "an address that is not known"


def test_the_same_words_of_one_customer_within_a_minute_are_one_message() -> None:
    start = NOW - NOW % 60
    assert key(at=start) == key(at=start + 59.9)
    assert len({key(at=start), key(at=start + 60), key("아니요", at=start), key(user="other", at=start)}) == 4


def test_an_answer_is_one_post_that_wakes_the_customers_phone() -> None:
    call = NaverTalkTalk().write(OURS, deliver(USER), saying("M 사이즈입니다."), NOW)
    assert isinstance(call, Call) and call.url == "https://gw.talk.naver.com/chatbot/v1/event"
    assert call.headers["authorization"] == "ct_wc8b1i_Pb1"
    assert sent(call) == {
        "event": "send",
        "user": USER,
        "textContent": {"text": "M 사이즈입니다."},
        "options": {"notification": True},
    }


def test_the_first_answer_to_what_a_colleague_held_takes_the_conversation_over() -> None:
    held = {"standby": "yes"}
    order = NaverTalkTalk().write(OURS, deliver(USER), saying("네", last_headers=held, first=True), NOW)
    assert isinstance(order, Calls)
    [take] = order.before
    assert sent(take) == {"event": "handover", "user": USER, "options": {"control": "takeThread", "metadata": ""}}
    assert sent(order.call)["event"] == "send"
    assert isinstance(NaverTalkTalk().write(OURS, deliver(USER), saying("네", last_headers=held), NOW), Call)


@pytest.mark.parametrize("outgoing", [saying(""), saying("x" * 10_001), saying("x", files=(FILE,))])
def test_what_talktalk_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        NaverTalkTalk().write(OURS, deliver(USER), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, '{"success":true,"resultCode":"00"}', "accepted", None),
        (200, '{"success":false,"resultCode":"02","resultMessage":"request json 문자열 파싱 에러"}', "rejected", "02"),
        (200, '{"success":false,"resultCode":"01","resultMessage":"Authorization 정보 에러"}', "rejected", "01"),
        (200, '{"success":true,"resultCode":"99"}', "uncertain", "99"),
        (200, "", "uncertain", "without a result"),
        (500, "<html>", "uncertain", "500"),
        (503, "", "retry", "503"),
    ],
)
def test_an_error_is_one_though_it_comes_in_a_200(status: int, body: str, kind: str, words: str | None) -> None:
    result = NaverTalkTalk().outcome(status, body.encode())
    assert result.kind == kind
    assert words is None or words in (result.detail or "")


def test_a_picture_is_fetched_from_naver() -> None:
    call = NaverTalkTalk().fetch(OURS, "http://shop1.phinf.naver.net/1.jpg")
    assert (call.method, call.url, dict(call.headers)) == ("GET", "http://shop1.phinf.naver.net/1.jpg", {})
    assert isinstance(NaverTalkTalk().fetched(OURS, call.url, 200, "image/jpeg", b"\xff"), File)

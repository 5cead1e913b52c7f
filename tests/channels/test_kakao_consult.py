"""KakaoTalk 상담톡: a field map that is data, sessions that end, a serial number that makes repeating safe."""

from typing import Any

import pytest

from channels.base import Item, Unsendable
from channels.providers.kakao_consult import KakaoConsult
from router.inputs import EndSession, ReceiveMessage
from support.channel import NOW, account, hook
from support.social import FILE, KEY, deliver, saying, sent

FIELDS = {"text": "content", "type": "type"}
SECRETS = {"path_secret": "s3cret", "client_id": "cid", "client_secret": "csec"}
OURS = account(KakaoConsult(), {"sender_key": "SK", "fields": FIELDS}, SECRETS)
SAID = {"user_key": "U1", "session_id": "9", "sender_key": "SK", "time": (NOW - 5) * 1000, "content": "네"}


def read(path: str = "message", now: float = NOW, **changes: Any) -> list[Item]:
    webhook = hook({**SAID, **changes}, path=f"s3cret/{path}", now=now)
    return list(KakaoConsult().read(OURS, webhook, lambda call: None).items)


def test_the_secret_path_lets_in_and_a_header_where_the_partner_sends_one() -> None:
    assert KakaoConsult().verify(OURS, hook(b"{}", path="s3cret/message"))
    assert not KakaoConsult().verify(OURS, hook(b"{}", path="message"))
    guarded = account(KakaoConsult(), {"header_name": "X-Hub"}, {**SECRETS, "header_value": "word"})
    assert KakaoConsult().verify(guarded, hook(b"{}", {"x-hub": "word"}, path="s3cret/message"))
    assert not KakaoConsult().verify(guarded, hook(b"{}", {"x-hub": "w"}, path="s3cret/message"))


def test_a_session_is_good_for_thirty_days_from_the_customers_word() -> None:
    [item] = read()
    assert isinstance(item.body, ReceiveMessage) and item.body.policy is not None
    assert item.body.policy.until == NOW - 5 + 30 * 86_400
    assert item.body.policy.max_length == 1000


def test_its_end_ends_the_contact_and_forbids_answers() -> None:
    [item] = read("expired_session")
    assert isinstance(item.body, EndSession) and item.body.policy is not None
    assert (item.body.policy.allowed, item.body.policy.reason) == (False, "session-over")
    assert read("expired_session", session_id="10")[0].key != item.key


def test_the_same_post_twice_is_one_message_and_another_is_another() -> None:
    keys = {read()[0].key, read(now=NOW + 90)[0].key}
    assert len(keys) == 1, "the partner's own time is part of it, not ours"
    others = (read(time=1.7e12), read(content="아니요"), read(user_key="U2"), read(session_id="10"))
    assert len(keys | {other[0].key for other in others}) == 5


def test_an_answer_carries_a_serial_number_of_thirty_letters_that_follows_from_it() -> None:
    call = KakaoConsult().write(OURS, deliver("U1"), saying("가능합니다."), NOW)
    assert call.url == "https://kakao-api.happytalk.io/v1/chat/write"
    assert (call.headers["ht-client-id"], call.headers["ht-client-secret"]) == ("cid", "csec")
    body = sent(call)
    serial = body.pop("serial_number")
    assert body == {"user_key": "U1", "sender_key": "SK", "message_type": "TX", "message": "가능합니다."}
    assert len(serial) == 30
    again = sent(KakaoConsult().write(OURS, deliver("U1", key=KEY), saying("가능합니다."), NOW + 60))
    other = sent(KakaoConsult().write(OURS, deliver("U1", key="k2"), saying("가능합니다."), NOW))
    assert again["serial_number"] == serial != other["serial_number"]


@pytest.mark.parametrize("outgoing", [saying(""), saying("가" * 1001), saying("x", files=(FILE,))])
def test_what_it_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        KakaoConsult().write(OURS, deliver("U1"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"code":0}', "accepted"),
        (200, b'{"code":"0","message":""}', "accepted"),
        (200, b'{"code":-501,"message":"InvalidSenderException(senderKey: test-key)"}', "rejected"),
        (200, b'{"code":-1,"message":"DuplicatedSerialNumberException"}', "accepted"),
        (200, b"", "uncertain"),
        (401, b"", "rejected"),
        (500, b"<html>", "retry"),
        (429, b"", "retry"),
    ],
)
def test_the_partners_answers(status: int, body: bytes, kind: str) -> None:
    assert KakaoConsult().outcome(status, body).kind == kind


@pytest.mark.parametrize("fields", [None, "content", [1], {"text": 7}, {"text": "a" * 10_000}, {"user": ""}])
def test_a_map_that_is_none_loses_no_message_but_shows_that_one_came(fields: Any) -> None:
    ours = account(KakaoConsult(), {"sender_key": "SK", "fields": fields}, SECRETS)
    items = KakaoConsult().read(ours, hook(SAID, path="s3cret/message"), lambda call: None).items
    assert [item.content.text for item in items if item.content] in ([], ["[a message of a kind that is not known]"])
    assert fields == {"user": ""} or items

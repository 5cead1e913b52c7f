"""Telegram: a secret token for a signature, chat and number for a name, its own words for what went wrong."""

import json
from typing import Any

import pytest

from channels.base import Call, File, Result, Unsendable
from channels.providers.telegram import Telegram
from router.effects import Deliver
from router.model import Identity, Thread
from support.channel import HOOK, NOW, account, hook
from support.social import FILE, KEY, deliver, form_of, saying, sent

OURS = account(Telegram(), secrets={"bot_token": "123:abc", "secret_token": "tok_A-1 tok_B-2"})
TWO = saying("x", files=(FILE, FILE))
GOT = b'{"ok":true,"result":{"file_id":"other","file_unique_id":"u2","file_path":"photos/file 0.jpg"}}'


@pytest.mark.parametrize(("given", "good"), [("tok_A-1", 1), ("tok_B-2", 1), ("tok_A-1 tok_B-2", 0), ("", 0), ("t", 0)])
def test_the_secret_token_is_the_only_proof(given: str, good: int) -> None:
    assert Telegram().verify(OURS, hook(b"{}", {"X-Telegram-Bot-Api-Secret-Token": given})) == bool(good)
    assert not Telegram().verify(OURS, hook(b"{}"))


def test_an_answer_is_one_post() -> None:
    call = Telegram().write(OURS, deliver("1111111"), saying("취소했습니다."), NOW)
    assert call.url == "https://api.telegram.org/bot123:abc/sendMessage"
    assert sent(call) == {"chat_id": "1111111", "text": "취소했습니다."}


def test_in_a_group_it_is_a_reply_and_for_a_business_it_is_the_owners() -> None:
    said = saying("네", last_headers={"message": "1365", "business-connection": "bc1"})
    group = Deliver(
        channel="c",
        key=KEY,
        conversation="v",
        contact="k",
        thread=Thread(external="-100", kind="group"),
        identity=Identity(scope="telegram", kind="external", value="1"),
    )
    assert sent(Telegram().write(OURS, group, said, NOW)) == {
        "chat_id": "-100",
        "text": "네",
        "business_connection_id": "bc1",
        "reply_parameters": {"message_id": 1365, "allow_sending_without_reply": True},
    }


@pytest.mark.parametrize(
    ("file", "method", "field"),
    [(FILE, "sendDocument", "document"), (File("a.png", "image/png", b"\x89"), "sendPhoto", "photo")],
)
def test_a_file_carries_the_words_as_its_caption(file: File, method: str, field: str) -> None:
    call = Telegram().write(OURS, deliver("1111111"), saying("영수증입니다", files=(file,)), NOW)
    assert call.url == f"https://api.telegram.org/bot123:abc/{method}"
    assert form_of(call) == {
        "chat_id": (None, b"1111111"),
        "caption": (None, "영수증입니다".encode()),
        field: (file.name, file.body),
    }
    assert "caption" not in form_of(Telegram().write(OURS, deliver("1"), saying("", files=(file,)), NOW))


@pytest.mark.parametrize(
    "outgoing", [saying(""), saying("x" * 4097), saying("x", files=(FILE, FILE)), saying("x" * 1025, files=(FILE,))]
)
def test_what_telegram_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        Telegram().write(OURS, deliver("1"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, b'{"ok":true,"result":{"message_id":7,"chat":{"id":-5}}}', "accepted", ""),
        (
            429,
            b'{"ok":false,"error_code":429,"description":"Too Many","parameters":{"retry_after":35}}',
            "retry",
            "Too",
        ),
        (
            403,
            b'{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}',
            "rejected",
            "blocked",
        ),
        (
            400,
            b'{"ok":false,"error_code":400,"description":"upgraded","parameters":{"migrate_to_chat_id":-100}}',
            "rejected",
            "the group is now -100",
        ),
        (200, b'{"ok":false,"description":"odd"}', "rejected", "odd"),
        (502, b"<html>", "uncertain", "502"),
        (500, b'{"ok":false,"error_code":500,"description":"Internal"}', "uncertain", "Internal"),
    ],
)
def test_telegrams_answers(status: int, body: bytes, kind: str, words: str) -> None:
    result = Telegram().outcome(status, body)
    assert result.kind == kind
    assert words in (result.detail or "")
    assert result.externals == (("-5:7",) if kind == "accepted" else ())
    assert b"retry_after" not in body or result.after_s == 35


def test_a_file_is_fetched_in_two_requests() -> None:
    first = Telegram().fetch(OURS, "AgAD/large u2")
    assert first.url == "https://api.telegram.org/bot123:abc/getFile?file_id=AgAD%2Flarge"
    second = Telegram().fetched(OURS, "AgAD/large u2", 200, "application/json", GOT)
    assert isinstance(second, Call) and second.url == "https://api.telegram.org/file/bot123:abc/photos/file%200.jpg"
    file = Telegram().fetched(OURS, "AgAD/large u2", 200, "application/octet-stream", GOT)
    assert isinstance(file, File) and file.body == GOT
    assert isinstance(Telegram().fetched(OURS, "AgAD u9", 200, "application/json", GOT), File), "a customer's own JSON"
    big = Telegram().fetched(OURS, "a b", 400, "application/json", b'{"ok":false,"description":"file is too big"}')
    assert isinstance(big, Result) and (big.kind, big.detail) == ("rejected", "file is too big")


def test_what_other_bots_and_we_ourselves_say_is_not_a_customers() -> None:
    for extra in ({"from": {"id": 9, "is_bot": True}}, {"from": {"id": 9}, "sender_business_bot": {"id": 9}}):
        message = {"message_id": 1, "chat": {"id": 5, "type": "private"}, "text": "x", **extra}
        assert Telegram().read(OURS, hook({"update_id": 1, "message": message}), lambda call: None).items == ()


INFO = {"url": HOOK, "has_custom_certificate": False, "pending_update_count": 0}
LATE = {"pending_update_count": 12, "last_error_date": NOW - 60, "last_error_message": "Connection timed out"}


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {"ok": True, "result": INFO}, None),
        (200, {"ok": True, "result": {**INFO, **LATE}}, "12 updates wait there: Connection timed out"),
        (200, {"ok": True, "result": {**INFO, **LATE, "last_error_date": NOW - 3600}}, None),
        (200, {"ok": True, "result": {**INFO, **LATE, "pending_update_count": 0}}, None),
        (200, {"ok": True, "result": {**INFO, "url": ""}}, f"its webhook is '', not {HOOK}"),
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, "401 Unauthorized"),
    ],
)
def test_whether_updates_come_to_us(status: int, said: Any, fault: str | None) -> None:
    assert Telegram().ask_subscription(OURS, NOW).url.endswith("/getWebhookInfo")
    assert Telegram().subscription(OURS, status, json.dumps(said).encode(), NOW) == fault

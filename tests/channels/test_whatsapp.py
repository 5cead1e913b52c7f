"""WhatsApp's own: who is written to, its errors, its files in two requests. Meta's common parts: test_messenger.py."""

import json

import pytest

from channels.base import Call, File, Result, Unsendable
from channels.providers.whatsapp import WhatsApp
from support.channel import HOOK, NOW, account, hook
from support.social import FILE, KEY, by_meta, deliver, saying, sent

OURS = account(WhatsApp(), {"phone_number_id": "1065"}, {"access_token": "EAAB", "app_secret": "app_secret"})
LINK = b'{"messaging_product":"whatsapp","url":"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1","id":"77"}'


def test_a_body_is_signed_over_its_raw_bytes() -> None:
    escaped = b'{"object":"whatsapp_business_account","t":"\\ud658\\ubd88"}'
    assert WhatsApp().verify(OURS, by_meta(escaped))
    assert not WhatsApp().verify(OURS, hook(escaped, by_meta(b'{"object":"whatsapp_business_account"}').headers))
    assert not WhatsApp().verify(OURS, hook(escaped))


@pytest.mark.parametrize(
    ("whom", "named"),
    [("KR.13491208655302741918", "recipient"), ("US.ENT.11815799212886844830", "recipient"), ("821012345678", "to")],
)
def test_an_answer_goes_to_the_business_scoped_id_else_to_the_number(whom: str, named: str) -> None:
    call = WhatsApp().write(OURS, deliver(whom), saying("환불해 드리겠습니다."), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/1065/messages"
    assert sent(call) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        named: whom,
        "type": "text",
        "text": {"body": "환불해 드리겠습니다.", "preview_url": False},
        "biz_opaque_callback_data": f"naru:{KEY}",
    }


@pytest.mark.parametrize("outgoing", [saying(""), saying("x" * 4097), saying("x", files=(FILE,))])
def test_what_whatsapp_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        WhatsApp().write(OURS, deliver("1"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            200,
            b'{"messaging_product":"whatsapp","contacts":[{"user_id":"KR.1"}],"messages":[{"id":"wamid.9"}]}',
            "accepted",
        ),
        (200, b'{"messages":[]}', "uncertain"),
        (400, b'{"error":{"code":131047,"message":"Re-engagement","error_data":{"details":"24 hours"}}}', "rejected"),
        (400, b'{"error":{"code":131026,"message":"undeliverable"}}', "rejected"),
        (400, b'{"error":{"code":131056,"message":"pair rate limit"}}', "retry"),
        (429, b'{"error":{"code":130429,"message":"rate limit"}}', "retry"),
        (503, b'{"error":{"code":131016,"message":"unavailable"}}', "retry"),
        (500, b"", "uncertain"),
    ],
)
def test_whatsapps_answers(status: int, body: bytes, kind: str) -> None:
    result = WhatsApp().outcome(status, body)
    assert result.kind == kind
    assert result.externals == (("wamid.9",) if kind == "accepted" else ())
    assert b"131047" not in body or result.detail == "131047 24 hours"


def test_a_file_is_fetched_in_two_requests_both_with_our_token() -> None:
    first = WhatsApp().fetch(OURS, "77")
    assert first.url == "https://graph.facebook.com/v25.0/77?phone_number_id=1065"
    second = WhatsApp().fetched(OURS, "77", 200, "application/json", LINK)
    assert isinstance(second, Call) and second.url.startswith("https://lookaside.fbsbx.com/")
    assert first.headers["authorization"] == second.headers["authorization"] == "Bearer EAAB"
    file = WhatsApp().fetched(OURS, "77", 200, "image/jpeg", b"\xff\xd8")
    assert isinstance(file, File) and (file.media_type, file.body) == ("image/jpeg", b"\xff\xd8")


def test_our_token_is_taken_nowhere_by_a_file_that_looks_like_an_answer() -> None:
    """A customer may send JSON. It does not know its own id, and no link that is not Meta's is followed."""
    assert isinstance(WhatsApp().fetched(OURS, "78", 200, "application/json", LINK), File)
    for url in ("https://evil.example/", "http://lookaside.fbsbx.com/", "https://evil.example/.fbsbx.com", "https://["):
        told = LINK.replace(b"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", url.encode())
        found = WhatsApp().fetched(OURS, "77", 200, "application/json", told)
        assert isinstance(found, Result) and found.kind == "rejected", url


def test_a_message_of_nobody_is_none() -> None:
    value = {"metadata": {"phone_number_id": "1065"}, "contacts": [{"user_id": "KR.1"}], "messages": [{"id": "w"}]}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    assert WhatsApp().read(OURS, by_meta(body), lambda call: None).items == ()


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {"application": HOOK}, None),
        (200, {"phone_number": HOOK, "application": "https://old.example"}, None),
        (200, {"whatsapp_business_account": "https://old.example", "application": HOOK}, "its webhook is"),
        (200, {}, "200 "),
    ],
)
def test_whether_the_numbers_webhooks_come_to_us(status: int, said: object, fault: str | None) -> None:
    asked = WhatsApp().ask_subscription(OURS, NOW)
    assert asked.url == "https://graph.facebook.com/v25.0/1065?fields=webhook_configuration"
    told = WhatsApp().subscription(OURS, status, json.dumps({"webhook_configuration": said, "id": "1"}).encode(), NOW)
    assert told is None if fault is None else (told or "").startswith(fault)

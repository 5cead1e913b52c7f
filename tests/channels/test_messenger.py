"""Messenger, and with it what all of Meta's channels share (`channels/meta.py`): signature, handshake, errors."""

import json

import pytest

from channels import signatures
from channels.base import Span, Unsendable
from channels.providers.messenger import Messenger
from router.effects import CancelLeg
from support.channel import NOW, account, asked, hook
from support.social import FILE, KEY, by_meta, deliver, form_of, saying, sent

OURS = account(
    Messenger(), {"page_id": "10"}, {"app_secret": "new old", "verify_token": "mine", "access_token": "EAAG"}
)
HUMAN = account(Messenger(), {"page_id": "10", "human_agent": "yes"})
DAY_S = 86_400


@pytest.mark.parametrize("secret", ["new", "old"])
def test_a_body_is_signed_by_either_secret_while_one_rotates(secret: str) -> None:
    assert Messenger().verify(OURS, by_meta({"object": "page"}, secret))


def test_what_is_signed_otherwise_is_refused() -> None:
    good = signatures.meta("new", b'{"a":1}')
    assert Messenger().verify(OURS, hook(b'{"a":1}', {"X-Hub-Signature-256": good}))
    for body, header in ((b'{"a":2}', good), (b'{"a":1}', ""), (b'{"a":1}', good.upper()), (b'{"a":1}', good[7:])):
        assert not Messenger().verify(OURS, hook(body, {"X-Hub-Signature-256": header})), header
    assert not Messenger().verify(OURS, hook(b'{"a":1}'))
    assert not Messenger().verify(OURS, by_meta(b'{"a":1}', "new old"))


def test_the_handshake_gives_back_the_challenge_to_whoever_knows_our_token() -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "mine"}
    greeted = Messenger().handshake(OURS, hook(query=asked, method="GET"))
    assert (greeted.status, greeted.body, greeted.media_type) == (200, "1158201444", "text/plain")
    others = ({"hub.verify_token": "theirs"}, {"hub.mode": "unsubscribe"}, {"hub.challenge": "x" * 201})
    for other in (*others, {"hub.challenge": ""}):
        assert Messenger().handshake(OURS, hook(query={**asked, **other}, method="GET")).status == 403


def test_an_answer_is_one_post_that_its_echo_will_name() -> None:
    call = Messenger().write(OURS, deliver("6912"), saying("네, 오늘 출발합니다.", last_at=NOW - 60), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/10/messages"
    assert call.headers["authorization"] == "Bearer EAAG"
    assert sent(call) == {
        "recipient": {"id": "6912"},
        "messaging_type": "RESPONSE",
        "message": {"text": "네, 오늘 출발합니다.", "metadata": f"naru:{KEY}"},
    }


def test_only_a_human_agent_may_answer_after_a_day_where_meta_has_allowed_it() -> None:
    late = saying("늦어서 죄송합니다", last_at=NOW - DAY_S - 1)
    assert sent(Messenger().write(HUMAN, deliver("6912"), late, NOW))["tag"] == "HUMAN_AGENT"
    assert "tag" not in sent(Messenger().write(OURS, deliver("6912"), late, NOW))
    assert "tag" not in sent(Messenger().write(HUMAN, deliver("6912"), saying("네", last_at=NOW - DAY_S), NOW))


def test_the_window_is_a_day_from_metas_own_time_or_seven_for_human_agents() -> None:
    event = {"sender": {"id": "1"}, "recipient": {"id": "10"}, "timestamp": (NOW - 100) * 1000}
    body = {"object": "page", "entry": [{"id": "10", "messaging": [{**event, "message": {"mid": "m", "text": "x"}}]}]}
    for ours, days in ((OURS, 1), (HUMAN, 7)):
        [item] = Messenger().read(ours, by_meta(body), lambda call: None).items
        assert item.body.policy.until == NOW - 100 + days * DAY_S  # type: ignore[union-attr]
    body["entry"][0]["messaging"][0]["timestamp"] = (NOW + 10**6) * 1000  # type: ignore[index]
    [item] = Messenger().read(OURS, by_meta(body), lambda call: None).items
    assert item.body.policy.until == NOW + DAY_S, "a time in the future opens no longer window"  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", " \n", "가" * 2001, "😀" * 1001])
def test_what_messenger_does_not_take_is_said(text: str) -> None:
    with pytest.raises(Unsendable):
        Messenger().write(OURS, deliver("1"), saying(text), NOW)


def test_a_file_goes_alone_in_the_request_that_sends_it() -> None:
    call = Messenger().write(OURS, deliver("6912"), saying("", files=(FILE,), last_at=NOW), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/10/messages"
    fields = form_of(call)
    assert json.loads(fields["recipient"][1]) == {"id": "6912"}
    assert json.loads(fields["message"][1]) == {
        "attachment": {"type": "file", "payload": {}},
        "metadata": f"naru:{KEY}",
    }
    assert fields["messaging_type"][1] == b"RESPONSE"
    assert fields["filedata"] == ("영수증.pdf", b"%PDF")


def test_two_files_a_file_with_words_and_calls_are_not_sent() -> None:
    for outgoing in (saying("", files=(FILE, FILE)), saying("x", files=(FILE,))):
        with pytest.raises(Unsendable, match="file"):
            Messenger().write(OURS, deliver("1"), outgoing, NOW)
    with pytest.raises(Unsendable):
        Messenger().write(OURS, CancelLeg(channel="c", leg="l"), None, NOW)
    Messenger().write(OURS, deliver("1"), saying("가" * 2000), NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, b'{"recipient_id":"1","message_id":"m_9"}', "accepted", None),
        (200, b"{}", "uncertain", "no message id"),
        (
            400,
            b'{"error":{"code":10,"error_subcode":2018278,"message":"outside the window"}}',
            "rejected",
            "10/2018278",
        ),
        (400, b'{"error":{"code":190,"message":"token expired"}}', "rejected", "190 token expired"),
        (400, b'{"error":{"code":613,"message":"calls limit"}}', "retry", "613"),
        (500, b'{"error":{"code":2,"message":"temporary"}}', "retry", "2 temporary"),
        (500, b'{"error":{"code":1,"message":"unknown"}}', "uncertain", "1 unknown"),
        (500, b'{"error":{"code":999,"message":"what"}}', "uncertain", "999"),
        (429, b"", "retry", "429"),
        (502, b"<html>", "uncertain", "502"),
    ],
)
def test_metas_answers(status: int, body: bytes, kind: str, words: str | None) -> None:
    result = Messenger().outcome(status, body)
    assert result.kind == kind
    assert words is None or words in (result.detail or "")
    assert result.externals == (("m_9",) if kind == "accepted" else ())


def test_a_file_is_fetched_from_its_link_and_one_that_is_gone_is_not_asked_for_again() -> None:
    call = Messenger().fetch(OURS, "https://scontent.xx.fbcdn.net/1.jpg")
    assert (call.method, call.url, dict(call.headers)) == ("GET", "https://scontent.xx.fbcdn.net/1.jpg", {})
    file = Messenger().fetched(OURS, call.url, 200, "image/jpeg", b"\xff\xd8")
    assert file.body == b"\xff\xd8"  # type: ignore[union-attr]
    assert Messenger().fetched(OURS, call.url, 403, "text/html", b"").kind == "rejected"  # type: ignore[union-attr]
    assert Messenger().fetched(OURS, call.url, 503, "text/html", b"").kind == "retry"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {"data": [{"id": "42", "name": "Naru", "subscribed_fields": ["messages", "message_reads"]}]}, None),
        (200, {"data": [{"id": "42", "subscribed_fields": ["feed"]}]}, "the app is subscribed, but not to `messages`"),
        (
            200,
            {"data": [{"id": "7", "subscribed_fields": ["messages"]}]},
            "the app is not subscribed: subscribe it anew",
        ),
        (200, {"data": []}, "the app is not subscribed: subscribe it anew"),
        (400, {"error": {"code": 190, "message": "The token has expired"}}, "400 190 The token has expired"),
    ],
)
def test_whether_the_app_is_told(status: int, said: object, fault: str | None) -> None:
    """Meta takes a subscription away from who does not answer for long."""
    ours = account(Messenger(), {"page_id": "10", "app_id": "42"})
    call = Messenger().ask_subscription(ours, NOW)
    assert (call.method, call.url) == ("GET", "https://graph.facebook.com/v25.0/10/subscribed_apps")
    assert Messenger().subscription(ours, status, json.dumps(said).encode(), NOW) == fault


def test_a_token_in_a_next_page_is_not_followed() -> None:
    """The next page is asked for by its cursor, with our own proof, where the first one was."""
    (first,) = asked(Messenger(), OURS)
    body = {
        "data": [{"updated_time": "2023-11-14T22:13:10+0000"}],
        "paging": {"cursors": {"after": "Q"}, "next": "https://thief.example/?access_token=EAAG"},
    }
    (second,) = Messenger().found(OURS, first, Span(NOW - 3600, NOW), 200, json.dumps(body).encode(), NOW).more
    assert second.url == first.url + "&after=Q" and second.headers == first.headers

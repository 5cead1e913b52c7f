"""Twitch by its documents; its signature stands in `vectors.json` besides."""

import hashlib
import hmac
import json

import pytest

from channels.base import File, Outgoing, Token, Unsendable, Webhook
from channels.providers.twitch import Twitch
from router.effects import Deliver, EndCaller
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, hook, nobody, payloads

SECRET = "s3cre77890"
OURS = account(
    Twitch(),
    {"client_id": "cid", "sender_id": "900"},
    {"webhook_secret": SECRET, "client_secret": "cs"},
    token="user-token",
)
BODY = b'{"subscription":{"type":"channel.chat.message"},"event":{}}'
STAMP = "2023-11-14T22:13:19.123456789Z"
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external="1971641/4145994", kind="live_room"),
    identity=Identity(scope="twitch", kind="handle", value="4145994"),
)


def signed(body: bytes = BODY, stamp: str = STAMP, secret: str = SECRET, now: float = NOW) -> Webhook:
    signature = hmac.new(secret.encode(), b"id-1" + stamp.encode() + body, hashlib.sha256).hexdigest()
    names = {"id": "id-1", "timestamp": stamp, "signature": f"sha256={signature}", "type": "notification"}
    return hook(body, {f"Twitch-Eventsub-Message-{name}": value for name, value in names.items()}, now=now)


def said(text: str, comment: str | None = "cc106") -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), last_headers={"comment": comment} if comment else {})


def test_what_twitch_signed_is_taken_and_nothing_else() -> None:
    twitch = Twitch()
    assert twitch.verify(OURS, signed())
    assert not twitch.verify(OURS, signed(secret="other"))
    other = signed()
    assert not twitch.verify(OURS, hook(BODY + b" ", other.headers))
    assert not twitch.verify(OURS, hook(BODY, {"twitch-eventsub-message-id": "id-1"}))


def test_a_message_is_good_for_ten_minutes() -> None:
    assert Twitch().verify(OURS, signed(now=NOW + 590))
    assert not Twitch().verify(OURS, signed(now=NOW + 610))
    assert not Twitch().verify(OURS, signed(now=NOW - 610))
    assert not Twitch().verify(OURS, signed(stamp="yesterday"))


def test_two_secrets_hold_while_one_is_rotated() -> None:
    both = account(Twitch(), secrets={"webhook_secret": f"new-secret {SECRET}"})
    assert Twitch().verify(both, signed())
    assert Twitch().verify(both, signed(secret="new-secret"))


def test_the_challenge_is_answered_bare_and_only_where_it_is_one() -> None:
    [challenge] = [p for p in payloads("twitch") if p.path.stem == "challenge"]
    assert challenge.read(Twitch()).reply.media_type == "text/plain"  # type: ignore[union-attr]
    reading = Twitch().read(OURS, hook(json.dumps({"challenge": "x"})), nobody)
    assert (reading.reply.status, reading.reply.body) == (204, "")


def test_what_the_bot_itself_says_is_staffs() -> None:
    event = {"broadcaster_user_id": "1", "chatter_user_id": "900", "message_id": "m", "message": {"text": "안녕"}}
    body = {"subscription": {"type": "channel.chat.message"}, "event": event}
    [comment] = Twitch().read(OURS, hook(body), nobody).comments
    assert comment.is_staff


def test_an_answer_replies_to_the_comment() -> None:
    call = Twitch().write(OURS, DELIVER, said("네, 있습니다."), NOW)
    assert call.url == "https://api.twitch.tv/helix/chat/messages"
    assert (call.headers["authorization"], call.headers["client-id"]) == ("Bearer user-token", "cid")
    assert json.loads(call.body or b"") == {
        "broadcaster_id": "1971641",
        "sender_id": "900",
        "message": "네, 있습니다.",
        "reply_parent_message_id": "cc106",
    }
    assert "reply_parent_message_id" not in json.loads(Twitch().write(OURS, DELIVER, said("x", None), NOW).body or b"")


@pytest.mark.parametrize(
    "message",
    [None, said(" "), said("가" * 501), Outgoing(Content(parts=(Text(text="x"),)), (File("a", "b", b""),))],
)
def test_what_cannot_be_sent_is_said(message: Outgoing | None) -> None:
    with pytest.raises(Unsendable):
        Twitch().write(OURS, DELIVER, message, NOW)
    with pytest.raises(Unsendable):
        Twitch().write(OURS, EndCaller(channel="c", call="x"), said("x"), NOW)


def test_a_message_that_was_dropped_is_refused_though_the_status_is_200() -> None:
    def end(status: int, *data: object) -> tuple[str, object]:
        result = Twitch().outcome(status, json.dumps({"data": list(data)}).encode())
        return result.kind, result.externals or result.detail

    assert end(200, {"message_id": "m1", "is_sent": True, "drop_reason": None}) == ("accepted", ("m1",))
    dropped = {"message_id": "", "is_sent": False, "drop_reason": {"code": "msg_duplicate", "message": "Not again."}}
    assert end(200, dropped) == ("rejected", "msg_duplicate Not again.")
    assert end(200)[0] == "uncertain"
    assert end(429)[0] == "retry"
    assert end(401)[0] == "retry"
    assert end(403)[0] == "rejected"
    assert end(500)[0] == "uncertain"


def test_without_a_refresh_token_the_application_asks_for_itself() -> None:
    call = Twitch().renew(OURS, {}, NOW)
    assert dict(call.form)["grant_type"] == "client_credentials"
    token = Twitch().renewed(OURS, {}, 200, b'{"access_token":"t","expires_in":5011271,"token_type":"bearer"}', NOW)
    assert token == Token(value="t", expires_at=NOW + 5011271)
    with_user = account(Twitch(), {"client_id": "cid"}, {"refresh_token": "r1"})
    assert dict(Twitch().renew(with_user, {}, NOW).form)["refresh_token"] == "r1"

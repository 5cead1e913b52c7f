"""YouTube Live by its documented resources: finding the chat, asking again, answering."""

import json

import pytest

from channels.base import Outgoing, Result, Token, Unsendable
from channels.providers.youtube_live import YouTubeLive
from router.effects import Deliver
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, hook

SECRETS = {"client_secret": "cs", "refresh_token": "r1"}
OURS = account(YouTubeLive(), {"client_id": "cid"}, SECRETS, token="ya29")
AT = {"chat": "chat-1", "page": "GAaa"}
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external="chat-1/UCviewer1", kind="live_room"),
    identity=Identity(scope="youtube", kind="handle", value="UCviewer1"),
)


def said(text: str, name: str = "@김서연") -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), last_headers={"comment": "LCC.1", "name": name})


def error(status: int, reason: str) -> bytes:
    return json.dumps({"error": {"code": status, "message": "no", "errors": [{"reason": reason}]}}).encode()


def test_the_chat_is_the_named_videos_else_that_of_the_active_broadcast() -> None:
    tube = YouTubeLive()
    assert "/liveBroadcasts?part=snippet&broadcastStatus=active" in tube.poll(OURS, {}, NOW).url
    named = account(tube, {"broadcast": "vid1"}, SECRETS)
    assert "/videos?part=liveStreamingDetails&id=vid1" in tube.poll(named, {}, NOW).url
    call = tube.poll(OURS, AT, NOW)
    assert (call.method, call.headers["authorization"]) == ("GET", "Bearer ya29")
    assert "liveChatId=chat-1" in call.url and "pageToken=GAaa" in call.url


def test_it_asks_again_when_youtube_says_and_not_sooner_than_the_owner() -> None:
    body = b'{"pollingIntervalMillis":5250,"nextPageToken":"n","items":[]}'
    assert YouTubeLive().page(OURS, AT, 200, body, NOW).again_s == 5.25
    slow = account(YouTubeLive(), {"poll_s": 20}, SECRETS)
    assert YouTubeLive().page(slow, AT, 200, body, NOW).again_s == 20
    assert YouTubeLive().page(OURS, AT, 200, b'{"pollingIntervalMillis":9e99,"items":[]}', NOW).again_s == 1
    assert YouTubeLive().page(OURS, {}, 200, b'{"items":[]}', NOW).again_s == 60


def test_a_chat_that_is_over_is_looked_for_anew() -> None:
    for status, reason in ((403, "liveChatEnded"), (404, "liveChatNotFound"), (403, "liveChatDisabled")):
        page = YouTubeLive().page(OURS, AT, status, error(status, reason), NOW)
        assert (page.cursor, page.fault, page.again_s) == ({}, None, 60)


def test_what_goes_wrong_with_a_poll_is_told_apart() -> None:
    tube = YouTubeLive()
    assert tube.page(OURS, AT, 401, error(401, "authError"), NOW).stale
    assert tube.page(OURS, AT, 400, error(400, "pageTokenInvalid"), NOW).cursor == {"chat": "chat-1"}
    fast = tube.page(OURS, AT, 403, error(403, "rateLimitExceeded"), NOW)
    assert (fast.fault, fast.cursor, fast.again_s) == (None, AT, 10)
    assert "quotaExceeded" in (tube.page(OURS, AT, 403, error(403, "quotaExceeded"), NOW).fault or "")
    assert tube.page(OURS, AT, 200, b"<html>", NOW).fault


def test_nobody_can_reach_it_by_webhook() -> None:
    assert not YouTubeLive().verify(OURS, hook(b"{}"))


def test_an_answer_names_the_viewer_where_both_fit() -> None:
    call = YouTubeLive().write(OURS, DELIVER, said("네, 내일 옵니다."), NOW)
    assert call.url == "https://www.googleapis.com/youtube/v3/liveChat/messages?part=snippet"
    snippet = json.loads(call.body or b"")["snippet"]
    assert snippet["liveChatId"] == "chat-1"
    assert snippet["textMessageDetails"]["messageText"] == "@김서연 네, 내일 옵니다."
    for text in ("@김서연 네", "가" * 198):
        body = json.loads(YouTubeLive().write(OURS, DELIVER, said(text), NOW).body or b"")
        assert body["snippet"]["textMessageDetails"]["messageText"] == (text if "가" in text else "@김서연 네")
    with pytest.raises(Unsendable, match="200"):
        YouTubeLive().write(OURS, DELIVER, said("가" * 201), NOW)


def test_ends_of_a_send() -> None:
    outcome = YouTubeLive().outcome
    assert outcome(200, b'{"id":"LCC.7"}') == Result("accepted", ("LCC.7",))
    assert outcome(200, b"{}").kind == "uncertain"
    assert outcome(401, b"").kind == "retry"
    assert outcome(403, error(403, "rateLimitExceeded")).kind == "retry"
    ended = outcome(403, error(403, "liveChatEnded"))
    assert (ended.kind, "liveChatEnded" in (ended.detail or "")) == ("rejected", True)
    assert outcome(500, b"").kind == "uncertain"


def test_googles_refresh_token_stays_and_a_refused_one_needs_the_owner() -> None:
    tube = YouTubeLive()
    assert dict(tube.renew(OURS, {}, NOW).form) == {
        "grant_type": "refresh_token",
        "refresh_token": "r1",
        "client_id": "cid",
        "client_secret": "cs",
    }
    answer = b'{"access_token":"ya29.new","expires_in":3599,"scope":"x","token_type":"Bearer"}'
    assert tube.renewed(OURS, {}, 200, answer, NOW) == Token(value="ya29.new", expires_at=NOW + 3599)
    assert tube.renewed(OURS, {}, 400, b'{"error":"invalid_grant"}', NOW) == Result(
        "rejected", detail="400 invalid_grant"
    )
    assert getattr(tube.renewed(OURS, {}, 503, b"", NOW), "kind", "") == "retry"

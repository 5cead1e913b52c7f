"""Slack, its signatures held against its own library's verifier."""

import json
from pathlib import Path

import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from channels import signatures
from channels.base import File, Result, Unsendable, Webhook
from channels.providers.slack import Slack
from support.channel import NOW, account, hook
from support.social import FILE, deliver, saying, sent

OURS = account(Slack(), secrets={"signing_secret": "new old", "bot_token": "xoxb-1"})
RAW = b'{"type":"event_callback","event":{"type":"message","text":"\xec\x95\x88\xeb\x85\x95"}}'
VECTOR = next(
    v for v in json.loads((Path(__file__).parent / "vectors.json").read_text()) if v["scheme"] == "slack-webhook"
)


class At(Clock):
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def signed(raw: bytes, secret: str, at: str) -> Webhook:
    return hook(raw, {"X-Slack-Signature": signatures.slack(secret, at, raw), "X-Slack-Request-Timestamp": at}, now=NOW)


@pytest.mark.parametrize("age_s", [0, 299, 301, -301])
def test_we_and_slacks_own_verifier_are_of_one_mind(age_s: int) -> None:
    for secret in ("new", "old", "other"):
        webhook = signed(RAW, secret, f"{NOW - age_s:.0f}")
        theirs = any(
            SignatureVerifier(ours, At(NOW)).is_valid_request(RAW, dict(webhook.headers)) for ours in ("new", "old")
        )
        assert Slack().verify(OURS, webhook) == theirs == (secret != "other" and abs(age_s) <= 300)


def test_what_slack_publishes_is_taken_in_its_time() -> None:
    inputs = VECTOR["inputs"]
    ours = account(Slack(), secrets={"signing_secret": inputs["signing_secret"]})
    headers = {"X-Slack-Signature": VECTOR["expected"], "X-Slack-Request-Timestamp": inputs["timestamp"]}
    at = float(inputs["timestamp"])
    assert Slack().verify(ours, hook(inputs["body"], headers, now=at + 10))
    assert not Slack().verify(ours, hook(inputs["body"], headers, now=at + 400))
    assert not Slack().verify(ours, hook(inputs["body"] + "x", headers, now=at + 10))


@pytest.mark.parametrize("at", ["", "now", "-1", "1" * 13, "٣", "1e9"])
def test_a_time_that_is_none_is_refused(at: str) -> None:
    assert not Slack().verify(OURS, signed(RAW, "new", at))


def test_an_answer_goes_to_the_thread_it_belongs_to() -> None:
    call = Slack().write(OURS, deliver("U1", "C1:1699.1"), saying("A & B <네>"), NOW)
    assert call.url == "https://slack.com/api/chat.postMessage"
    assert call.headers["authorization"] == "Bearer xoxb-1"
    assert sent(call) == {"channel": "C1", "text": "A &amp; B &lt;네&gt;", "thread_ts": "1699.1"}
    assert sent(Slack().write(OURS, deliver("U1", "D1"), saying("네"), NOW)) == {"channel": "D1", "text": "네"}
    threaded = saying("네", last_headers={"thread": "5.5"})
    assert sent(Slack().write(OURS, deliver("U1", "D1"), threaded, NOW))["thread_ts"] == "5.5"


@pytest.mark.parametrize("outgoing", [saying(""), saying("x" * 12_001), saying("x", files=(FILE,))])
def test_what_slack_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        Slack().write(OURS, deliver("U1"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"ok":true,"channel":"C1","ts":"1503435956.000247"}', "accepted"),
        (200, b'{"ok":false,"error":"channel_not_found"}', "rejected"),
        (200, b'{"ok":false,"error":"ratelimited"}', "retry"),
        (200, b'{"ok":false,"error":"internal_error"}', "uncertain"),
        (200, b"<html>", "uncertain"),
        (429, b"", "retry"),
        (500, b"", "uncertain"),
        (403, b"", "rejected"),
    ],
)
def test_slacks_answers(status: int, body: bytes, kind: str) -> None:
    result = Slack().outcome(status, body)
    assert result.kind == kind
    assert result.externals == (("C1:1503435956.000247",) if kind == "accepted" else ())


def test_a_file_is_fetched_with_our_token_and_a_login_page_is_none() -> None:
    call = Slack().fetch(OURS, "https://files.slack.com/a")
    assert (call.url, call.headers["authorization"]) == ("https://files.slack.com/a", "Bearer xoxb-1")
    assert isinstance(Slack().fetched(OURS, call.url, 200, "application/pdf", b"%PDF"), File)
    for status, kind in ((200, "rejected"), (302, "rejected"), (503, "retry")):
        found = Slack().fetched(OURS, call.url, status, "text/html", b"<!DOCTYPE html><html>")
        assert isinstance(found, Result) and found.kind == kind


def test_another_workspaces_messages_are_not_ours() -> None:
    ours = account(Slack(), {"team_id": "T1"})
    event = {"type": "message", "channel": "D1", "user": "U1", "ts": "1.1", "text": "x", "channel_type": "im"}
    for team, count in (("T1", 1), ("T2", 0)):
        body = {"type": "event_callback", "team_id": team, "event_id": "E", "event": event}
        assert len(Slack().read(ours, hook(body), lambda call: None).items) == count

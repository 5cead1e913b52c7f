"""LINE: the reply token while it is good, pushes that can be repeated, content from its own host."""

import json
import uuid
from pathlib import Path

import pytest

from channels import signatures
from channels.base import File, Result, Unsendable
from channels.providers.line import Line
from support.channel import HOOK, NOW, account, hook
from support.social import FILE, KEY, deliver, saying, sent

OURS = account(Line(), secrets={"channel_secret": "s1 s0", "access_token": "tok"})
VECTORS = [v for v in json.loads((Path(__file__).parent / "vectors.json").read_text()) if v["scheme"] == "line-webhook"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_what_line_publishes_is_taken_and_nothing_near_it(vector: dict[str, dict[str, str]]) -> None:
    secret, body = vector["inputs"]["channel_secret"], vector["inputs"]["body"]
    ours = account(Line(), secrets={"channel_secret": f"rotating {secret}"})
    assert Line().verify(ours, hook(body, {"x-line-signature": str(vector["expected"])}))
    assert not Line().verify(ours, hook(body + " ", {"x-line-signature": str(vector["expected"])}))
    assert not Line().verify(ours, hook(body))
    assert not Line().verify(OURS, hook(body, {"x-line-signature": str(vector["expected"])}))


def test_a_body_may_hold_anything() -> None:
    raw = '{"events":[],"x":"\\u00e9é"}'.encode()
    assert Line().verify(OURS, hook(raw, {"x-line-signature": signatures.line("s0", raw)}))


def reply_to(age_s: float, first: bool = True) -> object:
    return saying("네", last_headers={"reply-token": "rt"}, last_at=NOW - age_s, first=first)


def test_the_first_answer_within_fifty_seconds_is_free() -> None:
    call = Line().write(OURS, deliver("U4"), reply_to(49.9), NOW)  # type: ignore[arg-type]
    assert call.url == "https://api.line.me/v2/bot/message/reply"
    assert sent(call) == {"replyToken": "rt", "messages": [{"type": "text", "text": "네"}]}
    assert "x-line-retry-key" not in call.headers, "LINE refuses it with a reply"


@pytest.mark.parametrize("outgoing", [reply_to(50), reply_to(5, first=False), saying("네", last_at=NOW, first=True)])
def test_any_other_answer_is_a_push_with_a_retry_key(outgoing: object) -> None:
    call = Line().write(OURS, deliver("U4", "Ca5"), outgoing, NOW)  # type: ignore[arg-type]
    assert call.url == "https://api.line.me/v2/bot/message/push"
    assert call.headers["x-line-retry-key"] == KEY == str(uuid.UUID(KEY))
    assert call.headers["authorization"] == "Bearer tok"
    assert sent(call) == {"to": "Ca5", "messages": [{"type": "text", "text": "네"}]}


@pytest.mark.parametrize("outgoing", [saying(" "), saying("x" * 5001), saying("😀" * 2501), saying("x", files=(FILE,))])
def test_what_line_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        Line().write(OURS, deliver("U4"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (200, b'{"sentMessages":[{"id":"461230966842064897","quoteToken":"I"}]}', ("accepted", 0)),
        (409, b'{"message":"already accepted","sentMessages":[{"id":"461230966842064897"}]}', ("accepted", 0)),
        (400, b'{"message":"Invalid reply token"}', ("retry", 60)),
        (
            400,
            b'{"message":"The request body has 1 error(s)","details":[{"message":"May not be empty"}]}',
            ("rejected", 0),
        ),
        (403, b"", ("rejected", 0)),
        (429, b'{"message":"You have reached your monthly limit."}', ("rejected", 0)),
        (429, b'{"message":"The API rate limit has been exceeded."}', ("retry", 5)),
        (500, b"", ("uncertain", 0)),
        (503, b"<html>", ("uncertain", 0)),
    ],
)
def test_lines_answers(status: int, body: bytes, wanted: tuple[str, float]) -> None:
    result = Line().outcome(status, body)
    assert (result.kind, result.after_s) == wanted
    assert result.externals == (("461230966842064897",) if result.kind == "accepted" else ())


def test_content_is_fetched_from_lines_own_host_once_it_is_ready() -> None:
    call = Line().fetch(OURS, "3547/..")
    assert call.url == "https://api-data.line.me/v2/bot/message/3547%2F../content"
    assert call.headers["authorization"] == "Bearer tok"
    kinds = [Line().fetched(OURS, "1", status, "video/mp4", b"x") for status in (200, 202, 404, 503)]
    assert isinstance(kinds[0], File)
    assert [one.kind for one in kinds[1:] if isinstance(one, Result)] == ["retry", "rejected", "retry"]


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {"endpoint": HOOK, "active": True}, None),
        (200, {"endpoint": HOOK, "active": False}, "*Use webhook* is switched off"),
        (200, {"endpoint": "https://old.example", "active": True}, f"its webhook is 'https://old.example', not {HOOK}"),
        (401, {"message": "Authentication failed"}, "401 Authentication failed"),
    ],
)
def test_whether_line_calls_us(status: int, said: object, fault: str | None) -> None:
    assert Line().ask_subscription(OURS, NOW).url == "https://api.line.me/v2/bot/channel/webhook/endpoint"
    assert Line().subscription(OURS, status, json.dumps(said).encode(), NOW) == fault

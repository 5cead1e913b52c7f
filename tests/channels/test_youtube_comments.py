"""Comments on YouTube: what is asked for within a day's units, and the token that pays for it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.base import Call, Result, Token
from channels.providers.youtube_comments import YouTubeComments
from support.channel import NOW, account
from support.comments import deliver, refuses_what_is_no_comment, said

IT = YouTubeComments()
SECRETS = {"client_secret": "cs", "refresh_token": "1//r"}
OURS = account(IT, {"channel_id": "UCours", "client_id": "ci"}, SECRETS, token="ya29")
KNOWN = {"since": NOW - 3600, "answers": {"old": 9}}


def asked(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(call.url).query).items()}


def thread(id_: str, at: str, answers: int = 0) -> dict[str, Any]:
    first = {"id": id_, "snippet": {"publishedAt": at, "authorChannelId": {"value": "UCann"}}}
    return {"id": id_, "snippet": {"topLevelComment": first, "totalReplyCount": answers}}


def body(*threads: dict[str, Any], page: str = "") -> bytes:
    return json.dumps({"items": list(threads), **({"nextPageToken": page} if page else {})}).encode()


NEW, OLD = "2023-11-14T22:00:00Z", "2023-01-01T00:00:00Z"


def test_the_newest_threads_are_asked_for_with_their_answers() -> None:
    call = IT.poll(OURS, {}, NOW)
    assert call.url.startswith("https://www.googleapis.com/youtube/v3/commentThreads?")
    assert call.headers["authorization"] == "Bearer ya29"
    wanted = {"part": "snippet,replies", "order": "time", "allThreadsRelatedToChannelId": "UCours"}
    assert asked(call).items() >= wanted.items()


def test_the_first_poll_asks_for_no_old_answers() -> None:
    page = IT.page(OURS, {}, 200, body(thread("a", OLD, 40), page="p2"), NOW)
    assert (page.items, page.cursor["answers"], page.cursor.get("ask")) == ((), {"a": 40}, None)


def test_only_threads_that_have_grown_are_asked_for_and_at_most_three() -> None:
    grown = [thread(f"t{n}", OLD, 7) for n in range(5)]
    page = IT.page(OURS, KNOWN, 200, body(*grown, thread("old", OLD, 9)), NOW)
    assert page.cursor["ask"] == ["t0", "t1", "t2"] and page.again_s == 1.0
    assert page.cursor["answers"].keys() == {"t0", "t1", "t2", "old"}, "the others are asked for next time"
    assert page.cursor["since"] == NOW - 3600, "nothing moves on until the answers are in"
    call = IT.poll(OURS, page.cursor, NOW)
    assert (urlsplit(call.url).path, asked(call)["parentId"]) == ("/youtube/v3/comments", "t0")
    gone = IT.page(OURS, page.cursor, 404, b"{}", NOW)
    assert gone.cursor["ask"] == ["t1", "t2"]


def test_pages_are_followed_while_they_are_new() -> None:
    page = IT.page(OURS, KNOWN, 200, body(thread("a", NEW), page="p2"), NOW)
    assert (page.cursor["page"], page.again_s) == ("p2", 1.0)
    assert asked(IT.poll(OURS, page.cursor, NOW))["pageToken"] == "p2"
    over = IT.page(OURS, page.cursor, 200, body(thread("b", OLD), page="p3"), NOW)
    assert (over.cursor.get("page"), over.cursor["since"]) == (None, NOW - 3600)


def test_silence_is_asked_less_often_and_never_more_than_a_days_units_allow() -> None:
    cursor, pauses = dict(KNOWN), []
    for _ in range(8):
        page = IT.page(OURS, cursor, 200, body(), NOW)
        cursor, pauses = page.cursor, [*pauses, page.again_s]
    assert pauses[:2] == [180.0, 270.0] and pauses[-1] == 900.0
    assert IT.page(OURS, cursor, 200, body(thread("a", NEW)), NOW).again_s == 120.0
    assert 86_400 / 120 * (1 + 3) < 10_000 / 2


def test_used_up_units_wait_and_a_refused_token_is_renewed() -> None:
    used = b'{"error": {"code": 403, "message": "quota", "errors": [{"reason": "quotaExceeded"}]}}'
    page = IT.page(OURS, KNOWN, 403, used, NOW)
    assert (page.fault, page.cursor, page.again_s) == (None, KNOWN, 1800.0)
    assert IT.page(OURS, KNOWN, 401, b"", NOW).stale
    assert IT.page(OURS, KNOWN, 403, b'{"error": {"message": "comments are disabled"}}', NOW).fault
    assert IT.outcome(403, used).kind == "retry"
    assert IT.outcome(401, b"").kind == "retry"


def test_an_answer_is_inserted_below_the_thread() -> None:
    call = IT.write(OURS, deliver("UgNew"), said("이틀 걸립니다"), NOW)
    assert call.url == "https://www.googleapis.com/youtube/v3/comments?part=snippet"
    assert json.loads(call.body or b"") == {"snippet": {"parentId": "UgNew", "textOriginal": "이틀 걸립니다"}}
    assert IT.outcome(200, b'{"id": "UgNew.9"}').externals == ("UgNew.9",)
    assert IT.outcome(200, b"{}").kind == "uncertain"
    refuses_what_is_no_comment(IT, OURS, "UgNew", 10_000)


def test_the_token_is_renewed_and_one_that_rotates_is_kept_until_the_owner_enters_another() -> None:
    call = IT.renew(OURS, {}, NOW)
    assert call.url == "https://oauth2.googleapis.com/token"
    assert dict(call.form) == {
        "grant_type": "refresh_token",
        "refresh_token": "1//r",
        "client_id": "ci",
        "client_secret": "cs",
    }
    plain = IT.renewed(OURS, {}, 200, b'{"access_token": "ya30", "expires_in": 3599}', NOW)
    assert plain == Token(value="ya30", expires_at=NOW + 3599)
    token = IT.renewed(OURS, {}, 200, b'{"access_token": "a", "expires_in": 3599, "refresh_token": "1//s"}', NOW)
    assert isinstance(token, Token)
    assert dict(IT.renew(OURS, token.kept, NOW).form)["refresh_token"] == "1//s"
    entered = account(IT, {"channel_id": "UCours", "client_id": "ci"}, {**SECRETS, "refresh_token": "1//new"})
    assert dict(IT.renew(entered, token.kept, NOW).form)["refresh_token"] == "1//new"
    refused = IT.renewed(OURS, {}, 400, b'{"error": "invalid_grant", "error_description": "revoked"}', NOW)
    assert refused == Result("rejected", detail="400 invalid_grant revoked")
    for status, said_ in ((200, b"[]"), (200, b""), (503, b""), (200, b'{"access_token": ""}')):
        found = IT.renewed(OURS, {}, status, said_, NOW)
        assert isinstance(found, Result) and found.kind != "accepted"

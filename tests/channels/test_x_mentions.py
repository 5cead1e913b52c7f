"""Mentions on X: which pages are asked for, and how an answer is signed."""

import json
from urllib.parse import parse_qs, urlsplit

from channels.base import Call
from channels.providers.x_mentions import XMentions
from support.channel import NOW, account
from support.comments import deliver, refuses_what_is_no_comment, said, signed_rightly

IT = XMentions()
SECRETS = {"consumer_secret": "cs", "token": "370-t", "token_secret": "ts"}
OURS = account(IT, {"user_id": "2244", "consumer_key": "ck"}, SECRETS)


def test_the_first_poll_looks_back_a_day_and_the_next_ones_from_the_newest() -> None:
    first = IT.poll(OURS, {}, NOW)
    assert urlsplit(first.url).path == "/2/users/2244/mentions"
    assert parse_qs(urlsplit(first.url).query)["start_time"] == ["2023-11-13T22:13:20Z"]
    assert signed_rightly(first)
    later = IT.poll(OURS, {"since": "9", "page": "t/3+ 4"}, NOW)
    assert parse_qs(urlsplit(later.url).query)["since_id"] == ["9"]
    assert parse_qs(urlsplit(later.url).query)["pagination_token"] == ["t/3+ 4"]
    assert signed_rightly(later) and not signed_rightly(Call(url=later.url + "1", method="GET", headers=later.headers))


def test_since_moves_only_when_the_last_page_is_in() -> None:
    def page(newest: str, following: str | None) -> bytes:
        meta = {"newest_id": newest, **({"next_token": following} if following else {})}
        return json.dumps({"data": [{"id": newest, "author_id": "7"}], "meta": meta}).encode()

    first = IT.page(OURS, {"since": "5"}, 200, page("9", "p2"), NOW)
    assert (first.cursor["since"], first.again_s) == ("5", 1.0)
    last = IT.page(OURS, first.cursor, 200, page("7", None), NOW)
    assert (last.cursor, last.again_s) == ({"since": "9"}, 60.0)


def test_no_more_pages_are_asked_for_than_x_has() -> None:
    cursor: dict[str, object] = {"since": "5"}
    for _ in range(8):
        cursor = IT.page(OURS, cursor, 200, b'{"data": [], "meta": {"newest_id": "9", "next_token": "p"}}', NOW).cursor
    assert cursor == {"since": "9"}


def test_rate_limits_wait_and_other_faults_are_told() -> None:
    limited = IT.page(OURS, {"since": "5"}, 429, b"", NOW)
    assert (limited.fault, limited.cursor, limited.again_s) == (None, {"since": "5"}, 900.0)
    assert IT.page(OURS, {}, 401, b'{"title": "Unauthorized"}', NOW).fault == "401 Unauthorized"
    assert IT.page(OURS, {}, 200, b"<html>", NOW).fault == "200"


def test_an_answer_replies_to_the_last_post() -> None:
    call = IT.write(OURS, deliver("1301:7"), said("감사합니다", {"post-id": "1399"}), NOW)
    assert call.url == "https://api.x.com/2/tweets"
    assert json.loads(call.body or b"") == {"text": "감사합니다", "reply": {"in_reply_to_tweet_id": "1399"}}
    assert signed_rightly(call)
    again = IT.write(OURS, deliver("1301:7", "m2"), said("감사합니다"), NOW)
    assert json.loads(again.body or b"")["reply"] == {"in_reply_to_tweet_id": "1301"}
    assert again.headers["authorization"] != call.headers["authorization"], "a nonce comes once"
    refuses_what_is_no_comment(IT, OURS, "1301:7", 280)


def test_what_a_send_ends_as() -> None:
    assert IT.outcome(201, b'{"data": {"id": "1400", "text": "x"}}').externals == ("1400",)
    assert IT.outcome(201, b"{}").kind == "uncertain"
    refused = IT.outcome(403, b'{"title": "Forbidden", "detail": "You are not allowed to create a Tweet"}')
    assert (refused.kind, refused.detail) == ("rejected", "403 403 You are not allowed to create a Tweet")
    assert IT.outcome(429, b"").kind == "retry"

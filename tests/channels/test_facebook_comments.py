"""Comments on a page: what signs, what answers in public and in private, what ends how."""

import json

import pytest

from channels import signatures
from channels.base import Unsendable
from channels.providers.facebook_comments import FacebookComments
from router.replies import length
from support.channel import NOW, account, hook, nobody
from support.comments import deliver, refuses_what_is_no_comment, said

IT = FacebookComments()
SECRETS = {"app_secret": "new old", "verify_token": "ours", "access_token": "EAAB"}
OURS = account(IT, {"page_id": "500"}, SECRETS)
PRIVATE = account(IT, {"page_id": "500", "reply": "private"}, SECRETS)
BODY = b'{"object":"page","entry":[{"id":"500","changes":[]}]}'


def test_either_secret_signs_while_one_is_changed_and_nothing_else_does() -> None:
    for secret, good in (("new", True), ("old", True), ("new old", False), ("other", False)):
        assert IT.verify(OURS, hook(BODY, {"x-hub-signature-256": signatures.meta(secret, BODY)})) is good
    assert not IT.verify(OURS, hook(BODY + b" ", {"x-hub-signature-256": signatures.meta("new", BODY)}))
    assert not IT.verify(OURS, hook(BODY, {"x-hub-signature": signatures.meta("new", BODY)}))


def test_the_address_is_ours_for_who_knows_the_token() -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "ours"}
    assert IT.handshake(OURS, hook(query=asked, method="GET")).body == "1158201444"
    assert IT.handshake(OURS, hook(query={**asked, "hub.verify_token": "x"}, method="GET")).status == 403
    assert IT.handshake(OURS, hook(query={**asked, "hub.mode": "x"}, method="GET")).status == 403


def test_an_answer_goes_below_the_threads_first_comment() -> None:
    call = IT.write(OURS, deliver("219_5405"), said("다음 주요.", {"comment-id": "219_9999"}), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/219_5405/comments"
    assert call.headers["authorization"] == "Bearer EAAB"
    assert json.loads(call.body or b"") == {"message": "다음 주요."}


def test_a_private_one_goes_to_who_wrote_the_last_comment() -> None:
    call = IT.write(PRIVATE, deliver("219_5405"), said("안녕하세요", {"comment-id": "219_9999"}), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/500/messages"
    assert json.loads(call.body or b"") == {"recipient": {"comment_id": "219_9999"}, "message": {"text": "안녕하세요"}}
    with pytest.raises(Unsendable, match="no comment"):
        IT.write(PRIVATE, deliver("219_5405"), said("안녕하세요"), NOW)


def test_everybody_reads_an_answer_but_a_private_one() -> None:
    assert (IT.policy(OURS).public, IT.policy(OURS).style) == (True, "append")
    assert (IT.policy(PRIVATE).public, IT.policy(PRIVATE).style) == (False, "one_shot")
    assert length("가" * 2000, IT.policy(PRIVATE).unit) == IT.policy(PRIVATE).max_length
    refuses_what_is_no_comment(IT, OURS, "219_5405", 8000)


def test_what_a_send_ends_as() -> None:
    made = IT.outcome(200, b'{"id": "219_5406"}')
    assert (made.kind, made.externals) == ("accepted", ("219_5406", "5406"))
    assert IT.outcome(200, b'{"recipient_id": "1", "message_id": "m_1"}').externals[0] == "m_1"
    assert IT.outcome(200, b"{}").kind == "uncertain"
    assert IT.outcome(400, b'{"error": {"code": 32, "message": "limit"}}').kind == "retry"
    refused = IT.outcome(400, b'{"error": {"code": 100, "error_subcode": 33, "message": "gone"}}')
    assert (refused.kind, refused.detail) == ("rejected", "400 100 33 gone")
    assert IT.outcome(200, b'{"error": {"code": 100, "message": "x"}}').kind == "rejected"
    assert IT.outcome(500, b"<html>").kind == "uncertain"


def test_one_bad_change_does_not_lose_the_good_ones_and_other_pages_are_not_ours() -> None:
    good = {"item": "comment", "verb": "add", "comment_id": "1_2", "message": "x"}
    changes = [{"field": "feed", "value": each} for each in (None, {"item": "comment"}, good)]
    body = {"object": "page", "entry": [7, {"id": "9", "changes": changes}, {"id": "500", "changes": [3, *changes]}]}
    (item,) = IT.read(OURS, hook(body), nobody).items
    assert (item.key, item.body.identity.value) == ("2", "unnamed:2")  # type: ignore[union-attr]


def test_only_what_lies_with_facebook_is_fetched() -> None:
    photo = {"item": "comment", "verb": "add", "comment_id": "1_2", "photo": "https://10.0.0.1/x.fbcdn.net"}
    body = {"entry": [{"id": "500", "changes": [{"field": "feed", "value": photo}]}]}
    (item,) = IT.read(OURS, hook(body), nobody).items
    assert item.content is not None and len(item.content.parts) == 1
    assert IT.fetched(OURS, "r", 200, "image/jpeg", b"1") != IT.fetched(OURS, "r", 200, "text/html", b"1")

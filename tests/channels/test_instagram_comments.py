"""Comments on an Instagram account's media."""

import json

from channels import signatures
from channels.providers.instagram_comments import InstagramComments
from support.channel import NOW, account, hook
from support.comments import deliver, refuses_what_is_no_comment, said

IT = InstagramComments()
SECRETS = {"app_secret": "s", "verify_token": "ours", "access_token": "IGAA"}
OURS = account(IT, {"account_id": "178"}, SECRETS)
PRIVATE = account(IT, {"account_id": "178", "reply": "private"}, SECRETS)


def test_it_is_signed_by_the_apps_secret() -> None:
    assert IT.verify(OURS, hook(b"{}", {"x-hub-signature-256": signatures.meta("s", b"{}")}))
    assert not IT.verify(OURS, hook(b"{}", {"x-hub-signature-256": signatures.meta("x", b"{}")}))
    asked = {"hub.mode": "subscribe", "hub.challenge": "7", "hub.verify_token": "ours"}
    assert IT.handshake(OURS, hook(query=asked, method="GET")).body == "7"


def test_answers_are_replies_of_the_first_comment() -> None:
    call = IT.write(OURS, deliver("17865"), said("3만원입니다"), NOW)
    assert call.url == "https://graph.instagram.com/v25.0/17865/replies"
    assert json.loads(call.body or b"") == {"message": "3만원입니다"}
    refuses_what_is_no_comment(IT, OURS, "17865", 300)


def test_by_facebooks_login_the_host_is_another() -> None:
    other = account(IT, {"account_id": "178", "api_url": "https://graph.facebook.com"}, SECRETS)
    assert IT.write(other, deliver("1"), said("x"), NOW).url == "https://graph.facebook.com/v25.0/1/replies"


def test_a_private_reply_names_the_comment() -> None:
    call = IT.write(PRIVATE, deliver("17865"), said("안녕하세요", {"comment-id": "17866"}), NOW)
    assert call.url == "https://graph.instagram.com/v25.0/178/messages"
    assert json.loads(call.body or b"")["recipient"] == {"comment_id": "17866"}
    assert IT.policy(PRIVATE).unit == "bytes_utf8"


def test_what_a_send_ends_as() -> None:
    assert IT.outcome(200, b'{"id": "17870913679156914"}').externals == ("17870913679156914",)
    assert IT.outcome(403, b'{"error": {"code": 10, "message": "no permission"}}').kind == "rejected"

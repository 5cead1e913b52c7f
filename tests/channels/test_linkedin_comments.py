"""Comments on a company's LinkedIn page: both forms of the signature, a challenge that cannot be abused, answers."""

import json
from urllib.parse import unquote

import pytest

from channels import signatures
from channels.base import Unsendable
from channels.providers.linkedin_comments import LinkedInComments
from support.channel import NOW, account, hook
from support.comments import deliver, refuses_what_is_no_comment, said

IT = LinkedInComments()
OURS = account(
    IT, {"organization": "96072893", "client_id": "ci"}, {"client_secret": "new old", "refresh_token": "r"}, token="AQ"
)
BODY = b'{"type":"ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS","notifications":[]}'
COMMENT = "urn:li:comment:(urn:li:activity:7094637247890620418,7094977717598625792)"


def test_both_forms_of_the_header_are_taken() -> None:
    for secret in ("new", "old"):
        signed = signatures.linkedin(secret, BODY)
        assert IT.verify(OURS, hook(BODY, {"x-li-signature": signed}))
        assert IT.verify(OURS, hook(BODY, {"x-li-signature": f"hmacsha256={signed}"}))
        assert not IT.verify(OURS, hook(BODY + b" ", {"x-li-signature": signed}))
    assert not IT.verify(OURS, hook(BODY, {"x-li-signature": signatures.hex_mac("new", BODY)}))
    assert not IT.verify(OURS, hook(BODY))


def test_a_challenge_is_answered() -> None:
    code = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
    reply = IT.handshake(OURS, hook(query={"challengeCode": code, "applicationId": "1"}, method="GET"))
    wanted = {"challengeCode": code, "challengeResponse": signatures.linkedin_challenge("new", code)}
    assert (reply.status, reply.media_type, json.loads(reply.body)) == (200, "application/json", wanted)


def test_nobody_has_a_notification_signed_by_a_challenge() -> None:
    forged = "hmacsha256=" + BODY.decode()
    assert signatures.linkedin_challenge("new", forged) == signatures.linkedin("new", BODY), "so it would be"
    assert IT.handshake(OURS, hook(query={"challengeCode": forged}, method="GET")).status == 403


def test_an_answer_is_nested_below_its_comment() -> None:
    call = IT.write(OURS, deliver(COMMENT), said("보내 드렸습니다"), NOW)
    assert unquote(call.url) == f"https://api.linkedin.com/rest/socialActions/{COMMENT}/comments"
    assert ":" not in call.url.removeprefix("https://")
    assert json.loads(call.body or b"") == {
        "actor": "urn:li:organization:96072893",
        "object": "urn:li:activity:7094637247890620418",
        "message": {"text": "보내 드렸습니다"},
        "parentComment": COMMENT,
    }
    assert call.headers["linkedin-version"] == "202607" and call.headers["authorization"] == "Bearer AQ"
    refuses_what_is_no_comment(IT, OURS, COMMENT, 1250)


def test_a_mention_is_answered_below_its_post() -> None:
    body = json.loads(IT.write(OURS, deliver("urn:li:share:7"), said("감사합니다"), NOW).body or b"")
    assert body["object"] == "urn:li:share:7" and "parentComment" not in body
    with pytest.raises(Unsendable):
        IT.write(OURS, deliver("7"), said("x"), NOW)


def test_what_a_send_ends_as() -> None:
    made = IT.outcome(201, b'{"id": "7094977717598625999", "commentUrn": "urn:li:comment:(urn:li:activity:7,70949)"}')
    assert (made.kind, made.externals) == ("accepted", ("7094977717598625999",))
    assert IT.outcome(201, b'{"commentUrn": "urn:li:comment:(urn:li:activity:7,70949)"}').externals == ("70949",)
    assert IT.outcome(201, b"").kind == "uncertain"
    assert IT.outcome(401, b"{}").kind == "retry", "with a token that is new"
    assert IT.outcome(422, b'{"message": "too long"}').detail == "422 too long"


def test_the_token_is_renewed_at_linkedin() -> None:
    call = IT.renew(OURS, {}, NOW)
    assert call.url == "https://www.linkedin.com/oauth/v2/accessToken"
    assert dict(call.form)["client_secret"] == "new"

"""Direct messages on X: its challenge, its signatures both ways (ours against oauthlib's), its answers."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

import pytest
from oauthlib.oauth1 import Client

from channels import oauth, signatures
from channels.base import Unsendable
from channels.providers.x_messages import XMessages
from support.channel import NOW, account, asked, hook
from support.social import FILE, KEY, deliver, saying, sent

SECRETS = {
    "consumer_key": "ck",
    "consumer_secret": "consumer-secret old",
    "access_token": "42-at",
    "access_token_secret": "ats+/=",
}
OURS = account(XMessages(), {"user_id": "10"}, SECRETS)
VECTORS = {v["scheme"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text())}


def test_the_challenge_is_answered_as_a_third_partys_suite_has_it() -> None:
    vector = VECTORS["x-crc"]
    greeted = XMessages().handshake(OURS, hook(query={"crc_token": vector["inputs"]["crc_token"]}, method="GET"))
    assert (greeted.status, greeted.media_type) == (200, "application/json")
    assert json.loads(greeted.body) == {"response_token": vector["expected"]}
    for token in ("", "x" * 401):
        assert XMessages().handshake(OURS, hook(query={"crc_token": token}, method="GET")).status == 403


def test_a_post_is_signed_by_the_consumer_secret() -> None:
    """Derived from the documented formula; no independent library was at hand."""
    vector = VECTORS["x-webhook"]
    raw = vector["inputs"]["body"]
    assert XMessages().verify(OURS, hook(raw, {"x-twitter-webhooks-signature": vector["expected"]}))
    assert XMessages().verify(OURS, hook(raw, {"x-twitter-webhooks-signature": signatures.x("old", raw.encode())}))
    for body, header in ((raw + " ", vector["expected"]), (raw, ""), (raw, vector["expected"][7:])):
        assert not XMessages().verify(OURS, hook(body, {"x-twitter-webhooks-signature": header}))


def test_an_answer_is_signed_as_oauthlib_signs_it() -> None:
    call = XMessages().write(OURS, deliver("99"), saying("접수했습니다."), NOW)
    assert call.url == "https://api.x.com/2/dm_conversations/with/99/messages"
    assert sent(call) == {"text": "접수했습니다."}
    ours = dict(parse_qsl(call.headers["authorization"].removeprefix("OAuth ").replace('"', "").replace(", ", "&")))
    peer = Client(
        "ck",
        client_secret="consumer-secret",
        resource_owner_key="42-at",
        resource_owner_secret="ats+/=",
        nonce=ours["oauth_nonce"],
        timestamp=ours["oauth_timestamp"],
    )
    # A JSON body is not signed (RFC 5849, 3.4.1.3.1); oauthlib would add the hash of a later extension, which X has not.
    _, headers, _ = peer.sign(call.url, "POST")
    assert sorted(headers["Authorization"].removeprefix("OAuth ").split(", ")) == sorted(
        call.headers["authorization"].removeprefix("OAuth ").split(", ")
    )
    assert ours["oauth_timestamp"] == f"{NOW:.0f}"


def test_every_try_has_a_nonce_of_its_own() -> None:
    def nonce(key: str, now: float) -> str:
        header = XMessages().write(OURS, deliver("99", key=key), saying("네"), now).headers["authorization"]
        return unquote(header.partition('oauth_nonce="')[2].partition('"')[0])

    assert len({nonce(KEY, NOW), nonce(KEY, NOW + 1), nonce("k2", NOW)}) == 3


def test_the_published_vector_of_a_form_is_signed_alike() -> None:
    inputs = VECTORS["oauth1-hmac-sha1"]["inputs"]
    params = dict(inputs["params"])
    secrets = {
        "consumer_key": params.pop("oauth_consumer_key"),
        "consumer_secret": inputs["consumer_secret"],
        "access_token": params.pop("oauth_token"),
        "access_token_secret": inputs["token_secret"],
    }
    nonce, at = params.pop("oauth_nonce"), float(params.pop("oauth_timestamp"))
    form = [(name, value) for name, value in params.items() if not name.startswith("oauth_")]
    header = oauth.authorization(secrets, inputs["method"], inputs["url"], nonce, at, form)
    assert VECTORS["oauth1-hmac-sha1"]["expected"] in unquote(header)


def test_an_oauth2_token_takes_its_place_where_there_is_one() -> None:
    ours = account(XMessages(), secrets={**SECRETS, "oauth2_token": "bearer-1"})
    call = XMessages().write(ours, deliver("9/9"), saying("네"), NOW)
    assert call.headers["authorization"] == "Bearer bearer-1"
    assert call.url.endswith("/with/9%2F9/messages")


@pytest.mark.parametrize("outgoing", [saying(""), saying("가" * 10_001), saying("x", files=(FILE,))])
def test_what_x_does_not_take_is_said(outgoing: object) -> None:
    with pytest.raises(Unsendable):
        XMessages().write(OURS, deliver("1"), outgoing, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, b'{"data":{"dm_conversation_id":"10-99","dm_event_id":"1146654567674912769"}}', "accepted"),
        (200, b'{"errors":[{"message":"partial"}]}', "uncertain"),
        (403, b'{"title":"Forbidden","detail":"cannot message this user","status":403}', "rejected"),
        (401, b'{"title":"Unauthorized"}', "rejected"),
        (429, b'{"title":"Too Many Requests"}', "retry"),
        (500, b"", "uncertain"),
    ],
)
def test_xs_answers(status: int, body: bytes, kind: str) -> None:
    result = XMessages().outcome(status, body)
    assert result.kind == kind
    assert result.externals == (("1146654567674912769",) if kind == "accepted" else ())


def test_no_forged_body_gets_a_signature_by_asking_for_one() -> None:
    """The answer to a challenge is an HMAC by the secret that signs webhooks."""
    ours = account(XMessages(), {"user_id": "1"}, {"consumer_secret": "s"})
    assert XMessages().handshake(ours, hook(method="GET", query={"crc_token": "M2I4-NWM3_OTg="})).status == 200
    for token in ('{"for_user_id":"1"}', "a b", "", "x" * 401, "\n"):
        assert XMessages().handshake(ours, hook(method="GET", query={"crc_token": token})).status == 403


def test_what_was_lost_is_asked_for_only_where_the_owner_pays_for_it() -> None:
    assert asked(XMessages(), OURS) == []
    wanting = account(XMessages(), {"user_id": "10", "reconcile": "yes"}, SECRETS)
    (call,) = asked(XMessages(), wanting)
    assert call.method == "GET" and call.url.startswith("https://api.x.com/2/dm_events?dm_event.fields=id%2Ctext")
    given = dict(parse_qsl(call.headers["authorization"].removeprefix("OAuth ").replace('"', "").replace(", ", "&")))
    theirs = Client("ck", "consumer-secret", "42-at", "ats+/=", timestamp=f"{NOW:.0f}", nonce=given["oauth_nonce"])
    _, headers, _ = theirs.sign(call.url)
    assert f'oauth_signature="{quote(given["oauth_signature"], safe="")}"' in headers["Authorization"]

"""eBay: the key that signs is asked for by name, the address by a challenge; `tests/channels/vectors.json` has the vectors
of eBay's own SDK."""

import base64
import json

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channels.base import Call, Checks, File, Result, Token, Unsendable, Vouched
from channels.providers.ebay import Ebay
from router.effects import CopyFiles
from router.model import Thread
from support.channel import HOOK, NOW, account, hook, nobody, payloads
from support.malls import body, deliver, raw, said, written

EBAY = Ebay()
OURS = account(
    EBAY,
    {"username": "k-shop", "client_id": "app"},
    {"client_secret": "cert", "refresh_token": "r1", "verification_token": "v" * 40},
    token="t1",
)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
    .replace("\n", "")
)
KID = "9936261a-7d7b-4621-a0f1-96ccb428af49"
MESSAGE = payloads("ebay")[-1].body


def signed(what: bytes, kid: str = KID, key: ec.EllipticCurvePrivateKey = KEY) -> dict[str, str]:
    signature = base64.b64encode(key.sign(what, ec.ECDSA(hashes.SHA1()))).decode()
    header = {"alg": "ecdsa", "kid": kid, "signature": signature, "digest": "SHA1"}
    return {"X-EBAY-SIGNATURE": base64.b64encode(json.dumps(header).encode()).decode()}


def with_key(kid: str = KID, pem: str = PUBLIC):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(OURS, keys={kid: pem})


def test_the_key_that_a_webhook_names_is_asked_for_and_verifies_it() -> None:
    assert isinstance(EBAY, Vouched)
    webhook = hook(MESSAGE, signed(MESSAGE))
    assert EBAY.key_name(OURS, webhook) == KID
    call = EBAY.ask_key(OURS, KID)
    assert (call.method, call.url) == ("GET", f"https://api.ebay.com/commerce/notification/v1/public_key/{KID}")
    assert call.headers["authorization"] == "Bearer t1"
    assert EBAY.key(200, raw({"key": PUBLIC, "algorithm": "ECDSA", "digest": "SHA1"})) == PUBLIC
    assert EBAY.key(404, b"{}") is None
    assert EBAY.key(200, b"\xff") is None
    assert EBAY.verify(with_key(), webhook)


def test_what_is_signed_otherwise_is_not_ebays() -> None:
    assert not EBAY.verify(OURS, hook(MESSAGE, signed(MESSAGE))), "no key is known"
    assert not EBAY.verify(with_key(), hook(MESSAGE)), "not signed"
    assert not EBAY.verify(with_key(), hook(MESSAGE + b" {}", signed(MESSAGE)))
    assert not EBAY.verify(with_key(), hook(MESSAGE, signed(MESSAGE, key=ec.generate_private_key(ec.SECP256R1()))))
    assert not EBAY.verify(with_key(), hook(MESSAGE, signed(MESSAGE, kid="another"))), "a key of another name"


def test_a_key_of_an_odd_name_is_not_asked_for() -> None:
    for name in ("../token", "a/b", "", "x" * 200, "é"):
        assert EBAY.key_name(OURS, hook(b"{}", signed(b"{}", kid=name))) is None


def test_the_address_is_ours() -> None:
    reply = EBAY.handshake(OURS, hook(method="GET", query={"challenge_code": "c0de"}))
    import hashlib

    wanted = hashlib.sha256(("c0de" + "v" * 40 + HOOK).encode()).hexdigest()
    assert (reply.status, json.loads(reply.body), reply.media_type) == (
        200,
        {"challengeResponse": wanted},
        "application/json",
    )
    assert EBAY.handshake(OURS, hook(method="GET")).status == 403


def test_an_answer_is_one_post_into_the_conversation() -> None:
    call = written(EBAY, OURS, "124850576707", "내일 발송합니다")
    assert (call.method, call.url) == ("POST", "https://api.ebay.com/commerce/message/v1/send_message")
    assert body(call) == {"conversationId": "124850576707", "messageText": "내일 발송합니다"}
    assert call.headers["authorization"] == "Bearer t1"


@pytest.mark.parametrize(
    "message", [said(""), said(" "), said("x" * 2001), said("see", (File("a", "b/c", b"x"),)), None]
)
def test_what_ebay_does_not_take_is_said(message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unsendable):
        EBAY.write(OURS, deliver("1"), message, NOW)


def test_other_effects_are_none_of_its() -> None:
    with pytest.raises(Unsendable):
        EBAY.write(OURS, CopyFiles(channel="c", conversation="v", thread=Thread(external="1"), message="m"), None, NOW)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (201, {"messageId": "77"}, "accepted"),
        (200, {}, "accepted"),
        (400, {"errors": [{"errorId": 355020, "message": "Invalid conversation"}]}, "rejected"),
        (401, {"errors": [{"message": "Invalid access token"}]}, "retry"),
        (429, {}, "retry"),
        (500, {}, "uncertain"),
    ],
)
def test_how_a_send_ended(status: int, answer: object, kind: str) -> None:
    result = EBAY.outcome(status, raw(answer))
    assert result.kind == kind
    if status == 201:
        assert result.externals == ("77",)
    if status == 400:
        assert result.detail == "400 355020 Invalid conversation"


def test_what_the_shop_wrote_elsewhere_has_the_name_that_a_send_of_ours_gets() -> None:
    """So the engine knows its own message when it comes back."""
    [echo] = next(p for p in payloads("ebay") if p.path.stem == "echo").read(EBAY).items
    assert echo.body.dedupe_key == EBAY.outcome(201, raw({"messageId": "3429373760018"})).externals[0]  # type: ignore[attr-defined]


def test_the_access_token_is_renewed() -> None:
    call = EBAY.renew(OURS, {}, NOW)
    assert call.url == "https://api.ebay.com/identity/v1/oauth2/token"
    assert (dict(call.form), call.basic) == ({"grant_type": "refresh_token", "refresh_token": "r1"}, ("app", "cert"))
    assert EBAY.renewed(OURS, {}, 200, raw({"access_token": "t2", "expires_in": 7200}), NOW) == Token(
        value="t2", expires_at=NOW + 7200
    )
    refused = EBAY.renewed(OURS, {}, 400, raw({"error": "invalid_grant"}), NOW)
    assert isinstance(refused, Result) and refused.kind == "rejected" and "invalid_grant" in (refused.detail or "")
    down = EBAY.renewed(OURS, {}, 503, b"<html>", NOW)
    assert isinstance(down, Result) and down.kind == "retry"


def test_whether_the_credentials_work_is_seen_by_reading() -> None:
    assert isinstance(EBAY, Checks)
    call = EBAY.check(OURS, NOW)
    assert (call.method, call.headers["authorization"], call.body) == ("GET", "Bearer t1", None)


def test_a_file_is_fetched_from_its_address_without_our_token() -> None:
    call = EBAY.fetch(OURS, "https://i.ebayimg.com/a.jpg")
    assert call == Call(method="GET", url="https://i.ebayimg.com/a.jpg")
    assert EBAY.fetched(OURS, "x", 200, "image/png", b"png") == File("", "image/png", b"png")
    gone = EBAY.fetched(OURS, "x", 404, "", b"")
    assert isinstance(gone, Result) and gone.kind == "rejected"


def test_the_owners_clock_is_taken_instead_of_ebays() -> None:
    for hours, wanted in ((2, 1772312545.0 + 7200), (0, None), ("2", 1772312545.0 + 86400)):
        ours = msgspec.structs.replace(OURS, settings={**OURS.settings, "reply_within_h": hours})
        [item] = EBAY.read(ours, hook(MESSAGE), nobody).items
        assert item.body.answer_by == wanted  # type: ignore[attr-defined]


def test_what_is_no_notification_is_refused_and_what_is_unknown_is_not() -> None:
    assert EBAY.read(OURS, hook(b"<html>"), nobody).reply.status == 422
    assert EBAY.read(OURS, hook({"metadata": {"topic": "ITEM_SOLD"}}), nobody).reply.status == 200

"""TikTok Shop: the webhook's signature has a vector; the one of our requests is checked against its documented steps."""

import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels import signatures
from channels.base import Result, Token, Unsendable
from channels.providers.tiktok_shop import TikTokShop
from support.channel import NOW, account, asked, hook, nobody, payloads
from support.malls import body, deliver, raw, said, written

TIKTOK = TikTokShop()
OURS = account(
    TIKTOK,
    {"app_key": "29a39d", "shop_id": "7494049642642441621", "shop_cipher": "GCP_x"},
    {"app_secret": "s3cret", "refresh_token": "r1"},
    token="t1",
)
MESSAGE = next(p for p in payloads("tiktok_shop") if p.path.stem == "message").body


def signature(what: bytes, secret: str = "s3cret") -> dict[str, str]:
    return {"Authorization": hmac.new(secret.encode(), b"29a39d" + what, hashlib.sha256).hexdigest()}


def test_a_webhook_is_signed_with_the_apps_key_before_its_body() -> None:
    assert TIKTOK.verify(OURS, hook(MESSAGE, signature(MESSAGE)))
    assert not TIKTOK.verify(OURS, hook(MESSAGE + b" ", signature(MESSAGE)))
    assert not TIKTOK.verify(OURS, hook(MESSAGE, signature(MESSAGE, "other")))
    assert not TIKTOK.verify(OURS, hook(MESSAGE))


def test_an_answer_is_signed_and_its_content_is_json_in_json() -> None:
    call = written(TIKTOK, OURS, "710688832392260838", '내일 "발송"')
    parts = urlsplit(call.url)
    asked = dict(parse_qsl(parts.query))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://open-api.tiktokglobalshop.com/customer_service/202309/conversations/710688832392260838/messages"
    )
    assert body(call) == {"type": "TEXT", "content": '{"content":"내일 \\"발송\\""}'}
    assert call.headers["x-tts-access-token"] == "t1"
    text = (
        f"s3cret{parts.path}app_key29a39dshop_cipherGCP_xtimestamp{int(NOW)}".encode() + (call.body or b"") + b"s3cret"
    )
    assert asked == {
        "app_key": "29a39d",
        "timestamp": str(int(NOW)),
        "shop_cipher": "GCP_x",
        "sign": hmac.new(b"s3cret", text, hashlib.sha256).hexdigest(),
    }


def test_what_is_not_signed_does_not_change_a_signature() -> None:
    one = signatures.tiktok_shop_request("s", "/a", {"b": "1", "a": "2"}, b"{}")
    assert one == signatures.tiktok_shop_request(
        "s", "/a", {"a": "2", "sign": "x", "access_token": "y", "b": "1"}, b"{}"
    )
    assert one != signatures.tiktok_shop_request("s", "/a", {"a": "2", "b": "1"}, b"{ }")


@pytest.mark.parametrize("text", ["", "x" * 2001])
def test_what_is_no_answer_is_said(text: str) -> None:
    with pytest.raises(Unsendable):
        TIKTOK.write(OURS, deliver("1"), said(text), NOW)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, {"code": 0, "data": {"message_id": "77"}}, "accepted"),
        (200, {"code": 45101001, "message": "conversation cannot be replied"}, "rejected"),
        (200, {"code": 105002, "message": "access token expired"}, "retry"),
        (401, {"code": 105001}, "retry"),
        (429, {"code": 36009004}, "retry"),
        (403, {"code": 105005, "message": "no scope"}, "rejected"),
        (500, {}, "uncertain"),
        (200, [], "uncertain"),
    ],
)
def test_how_a_send_ended(status: int, answer: object, kind: str) -> None:
    result = TIKTOK.outcome(status, raw(answer))
    assert result.kind == kind
    if kind == "accepted":
        assert result.externals == ("77",)
    if kind == "rejected" and status == 200:
        assert result.detail == "45101001 conversation cannot be replied"


def test_a_newer_message_has_a_larger_index_whichever_comes_first() -> None:
    first, second = (
        MESSAGE.replace(b"7494560109732334274", index) for index in (b"7494560109732334274", b"7494560109732334299")
    )
    found = [
        TIKTOK.read(OURS, hook(each), nobody).items[0].content.headers["index"]  # type: ignore[union-attr]
        for each in (second, first)
    ]
    assert sorted(found, key=int) == ["7494560109732334274", "7494560109732334299"]


def test_what_nobody_shall_see_and_what_nobody_wrote_is_no_message() -> None:
    for old, new in (
        (b'"is_visible":true', b'"is_visible":false'),
        (b'"role":"BUYER"', b'"role":"ROBOT"'),
        (b'"type":"TEXT"', b'"type":"NOTIFICATION"'),
    ):
        assert old in MESSAGE
        assert TIKTOK.read(OURS, hook(MESSAGE.replace(old, new)), nobody).items == ()


def test_the_refresh_token_rotates_and_is_kept() -> None:
    call = TIKTOK.renew(OURS, {}, NOW)
    assert (call.method, dict(parse_qsl(urlsplit(call.url).query))["refresh_token"]) == ("GET", "r1")
    answer = {
        "code": 0,
        "data": {"access_token": "t2", "access_token_expire_in": int(NOW) + 604800, "refresh_token": "r2"},
    }
    token = TIKTOK.renewed(OURS, {}, 200, raw(answer), NOW)
    assert isinstance(token, Token)
    assert (token.value, token.expires_at, token.kept["refresh_token"]) == ("t2", NOW + 604800, "r2")
    assert dict(parse_qsl(urlsplit(TIKTOK.renew(OURS, token.kept, NOW).url).query))["refresh_token"] == "r2"
    answer["data"]["access_token_expire_in"] = 604800  # type: ignore[index]
    span = TIKTOK.renewed(OURS, {}, 200, raw(answer), NOW)
    assert isinstance(span, Token) and span.expires_at == NOW + 604800
    refused = TIKTOK.renewed(OURS, {}, 200, raw({"code": 105003, "message": "refresh token is invalid"}), NOW)
    assert isinstance(refused, Result) and refused.kind == "rejected"


def test_what_was_lost_is_asked_for_by_signed_requests_without_a_body() -> None:
    (call,) = asked(TIKTOK, OURS)
    parts = urlsplit(call.url)
    params = dict(parse_qsl(parts.query))
    given = params.pop("sign")
    text = "s3cret" + parts.path + "".join(name + params[name] for name in sorted(params)) + "s3cret"
    assert given == hmac.new(b"s3cret", text.encode(), hashlib.sha256).hexdigest()
    assert parts.path == "/customer_service/202309/conversations" and params["page_size"] == "20"
    assert (call.method, call.body, call.headers["x-tts-access-token"]) == ("GET", None, "t1")

"""Who is at the other end of a chat; users' tokens are made by a library of its own."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from channels import visitors
from channels.providers.webchat import WebChat
from channels.visitors import Refused, Visitor, named, token, welcome
from support.channel import NOW, account

SECRET = "an-app-secret-of-at-least-thirty-two-bytes"
APP = account(WebChat(), secrets={"app_secret": f"{SECRET} the-old-one-that-was-long-enough-as-well"})
CLAIMS = {"sub": "고객-17", "name": "김민지", "email": "minji@shop.test", "exp": NOW + 600}


def signed(secret: str = SECRET, alg: str = "HS256", **claims: Any) -> str:
    said = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": alg}, said, OctKey.import_key(secret), algorithms=[alg])


def hello(user_token: Any, visitor: Any = None) -> Visitor:
    return welcome(APP, visitor, user_token, "fresh", NOW)


def test_a_user_has_one_thread_on_all_devices_and_the_name_that_the_shop_gives() -> None:
    one, other = hello(signed()), hello(signed(exp=NOW + 3600, name=None))
    assert one.id == other.id and one.id.startswith("user:") and one.id.isascii() and len(one.id) < 64
    identity = one.identity("app", "somebody else")
    assert (identity.scope, identity.kind, identity.value, identity.name) == ("app", "external", "고객-17", "김민지")
    assert (one.email, other.identity("app", None).name) == ("minji@shop.test", "고객-17")
    assert hello(signed(sub="another")).id != one.id


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (signed(exp=NOW - 61), "expired"),
        (signed(exp=NOW + 3661), "an hour"),
        (signed(exp=None), "exp"),
        (signed(exp="soon"), "exp"),
        (signed(exp=True), "exp"),
        (signed(sub=None), "sub"),
        (signed(sub=""), "sub"),
        (signed(sub="x" * 201), "sub"),
        (signed(secret="a-secret-of-somebody-else-that-is-long"), "not signed"),
        (signed(alg="HS512"), "not signed"),
        (signed() + "x", "not signed"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "not signed"),
        ("", "not signed"),
        (7, "not signed"),
        ({"sub": "a"}, "not signed"),
    ],
)
def test_a_token_that_is_not_good_is_refused(given: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        hello(given)


def test_no_channel_without_a_secret_takes_a_users_word() -> None:
    for secrets in ({}, {"app_secret": ""}, {"app_secret": " "}):
        with pytest.raises(Refused):
            welcome(account(WebChat(), secrets=secrets), None, signed(secret=SECRET), "fresh", NOW)


def test_while_a_secret_is_changed_both_are_good() -> None:
    assert hello(signed(secret="the-old-one-that-was-long-enough-as-well")).sub == "고객-17"


def test_a_visitor_comes_back_by_the_token_that_we_made() -> None:
    assert hello(None) == Visitor(id="fresh")
    assert hello(None, token(APP, "old-one")) == Visitor(id="old-one")
    for forged in ("old-one.signed-visitor other", "old-one", ".x", 7, None, "old-one.é"):
        assert hello(None, forged) == Visitor(id="fresh")


def test_a_users_visitor_token_opens_files_but_does_not_talk() -> None:
    kept = token(APP, hello(signed()).id)
    assert named(APP, kept) == hello(signed()).id
    with pytest.raises(Refused, match="missing"):
        hello(None, kept)
    assert hello(signed(sub="b"), kept).sub == "b"


def test_a_name_given_by_chance_is_never_a_users() -> None:
    assert visitors.USER[-1] == ":"

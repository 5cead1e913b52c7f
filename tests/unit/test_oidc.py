"""What is believed of a provider and for how long: its addresses, its keys, its tokens, with a clock of our own."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from joserfc import jwk

from naru.admin.accounts import BEGUN_S, folded
from naru.admin.config import BadConfig, check, export, parse
from naru.admin.issuers import KEPT_S, MAX_KEYS, REFETCH_S, SILENT_S, Failed, Issuers
from naru.admin.oidc import Attempt, Oidc
from naru.admin.plan import differences
from naru.keyring import Keyring
from router.config import Config
from router.sign_in import SignIn
from support.issuer import CLIENT, SECRET, WELL_KNOWN, FakeIssuer


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class House:
    def __init__(self, issuer: FakeIssuer, clock: Clock, client: httpx2.AsyncClient) -> None:
        self.issuer = issuer
        self.clock = clock
        self.issuers = Issuers(client, clock, within_s=0.5)
        keyring = Keyring(b"k" * 32, lambda size: b"\x00" * size)
        self.oidc = Oidc(self.issuers, lambda workspace, reference: SECRET, keyring.token, clock)
        self.sign_in = SignIn(issuer=issuer.url, client_id=CLIENT, label="ID", secret="secret:oidc")

    def attempt(self, state: str = "state") -> Attempt:
        return self.oidc.attempt("main", self.sign_in, "http://127.0.0.1/back", state)

    async def believes(self, token: str) -> str | None:
        """The address in a token, or None."""
        provider = await self.issuers.provider(self.issuer.url)
        return (await self.oidc.identity(self.attempt(), provider, token)).email

    def token(self, key: Any = None, **header: Any) -> str:
        return self.issuer.token(self.issuer.claims(self.attempt().nonce), key, **header)

    async def code(self, coroutine: Any) -> str:
        with pytest.raises(Failed) as refused:
            await coroutine
        assert SECRET not in str(refused.value) and "eyJ" not in str(refused.value)
        return refused.value.code

    def asked(self, path: str) -> int:
        return self.issuer.asked.count(path)


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(Clock()) as issuer:
        yield issuer


@pytest.fixture
async def house(issuer: FakeIssuer) -> AsyncIterator[House]:
    clock = Clock()
    issuer.clock = clock
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield House(issuer, clock, client)


# -- keys


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("RS256", jwk.RSAKey.generate_key(2048, {"kid": "k"})),
        ("PS256", jwk.RSAKey.generate_key(2048, {"kid": "k"})),
        ("ES256", jwk.ECKey.generate_key("P-256", {"kid": "k"})),
        ("EdDSA", jwk.OKPKey.generate_key("Ed25519", {"kid": "k"})),
        ("Ed25519", jwk.OKPKey.generate_key("Ed25519", {"kid": "k"})),
    ],
)
async def test_the_algorithms_of_the_list_are_believed(house: House, alg: str, key: Any) -> None:
    house.issuer.keys = [house.issuer.rsa, key]
    assert await house.believes(house.token(key, alg=alg, kid="k")) == "mina@shop.test"


async def test_a_shared_secret_among_the_keys_is_no_key(house: House) -> None:
    """Not even when the issuer publishes it, and tokens come that it signs."""
    shared = jwk.OctKey.import_key("a secret of sufficient length, shared", {"kid": "shared"})
    house.issuer.keys = [shared, house.issuer.rsa]
    assert await house.code(house.believes(house.token(shared, alg="HS256", kid="shared"))) == "oidc-token"
    assert await house.believes(house.token()) == "mina@shop.test"
    house.issuer.keys = [shared]
    house.clock.now += KEPT_S + 1
    assert await house.code(house.believes(house.token())) == "oidc-token"


async def test_one_key_needs_no_name_and_several_do(house: House) -> None:
    assert await house.believes(house.token(kid=None)) == "mina@shop.test"
    house.issuer.keys = [house.issuer.rsa, jwk.RSAKey.generate_key(2048, {"kid": "rsa-2"})]
    house.clock.now += KEPT_S + 1
    assert await house.code(house.believes(house.token(kid=None))) == "oidc-token"


async def test_new_keys_are_found_at_once_and_old_ones_forgotten(house: House) -> None:
    assert await house.believes(house.token()) == "mina@shop.test"
    new = jwk.RSAKey.generate_key(2048, {"kid": "rsa-2"})
    house.issuer.keys = [new]
    assert await house.believes(house.token(new, kid="rsa-2")) == "mina@shop.test"
    assert house.asked("/jwks") == 2
    house.clock.now += REFETCH_S + 1
    assert await house.code(house.believes(house.token())) == "oidc-token"


async def test_a_thousand_forged_tokens_fetch_the_keys_once_a_minute(house: House) -> None:
    stranger = jwk.ECKey.generate_key("P-256", {"kid": "stranger"})
    for number in range(1000):
        forged = house.token(stranger, alg="ES256", kid=f"stranger-{number}")
        assert await house.code(house.believes(forged)) == "oidc-token"
    assert house.asked("/jwks") == 2
    house.clock.now += REFETCH_S + 1
    assert await house.code(house.believes(house.token(stranger, alg="ES256", kid="x"))) == "oidc-token"
    assert house.asked("/jwks") == 3


async def test_keys_that_cannot_be_fetched_anew_are_kept(house: House) -> None:
    assert await house.believes(house.token()) == "mina@shop.test"
    house.issuer.answers["/jwks"] = (500, {}, b"")
    assert await house.code(house.believes(house.token(kid="other"))) == "oidc-unreachable"
    assert await house.believes(house.token()) == "mina@shop.test"


async def test_of_a_thousand_keys_a_hundred_are_read(house: House) -> None:
    many = [{**house.issuer.rsa.as_dict(private=False), "kid": f"k{number}"} for number in range(1000)]
    provider = await house.issuers.provider(house.issuer.url)
    house.issuer.answers["/jwks"] = (200, {}, httpx2.Response(200, json={"keys": many[:300]}).content)
    assert len(list(await house.issuers.keys(provider))) == MAX_KEYS
    wrong = [{}, 7, {"kty": "RSA"}, {"kty": "RSA", "n": "!", "e": 1}, {"kty": "EC", "crv": "P-0"}, {"kty": ["RSA"]}]
    house.issuer.answers["/jwks"] = (200, {}, httpx2.Response(200, json={"keys": [*wrong, many[0]]}).content)
    house.clock.now += KEPT_S + 1
    assert [key.kid for key in await house.issuers.keys(provider)] == ["k0"]


# -- what the provider says of itself


async def test_its_document_is_kept_for_an_hour(house: House) -> None:
    for _ in range(5):
        await house.oidc.address(house.attempt())
    assert house.asked(WELL_KNOWN) == 1
    house.clock.now += KEPT_S + 1
    await house.oidc.address(house.attempt())
    assert house.asked(WELL_KNOWN) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"issuer": "https://other.test"},
        {"issuer": "{url}/"},
        {"token_endpoint": "http://other.test/token"},
        {"jwks_uri": "http://127.0.0.1@other.test/jwks"},
        {"jwks_uri": "http://localhost.other.test/jwks"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "ftp://127.0.0.1/"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_document_of_somebody_else_or_without_tls_is_not_believed(house: House, other: dict[str, str]) -> None:
    house.issuer.metadata |= {name: value.format(url=house.issuer.url) for name, value in other.items()}
    assert await house.code(house.oidc.address(house.attempt())) == "oidc-unready"


async def test_a_provider_that_does_not_answer_is_asked_again_a_little_later(house: House) -> None:
    house.issuer.answers[WELL_KNOWN] = (503, {}, b"")
    for _ in range(3):
        assert await house.code(house.oidc.address(house.attempt())) == "oidc-unreachable"
    assert house.asked(WELL_KNOWN) == 1
    house.issuer.answers.clear()
    house.clock.now += SILENT_S
    assert (await house.oidc.address(house.attempt())).startswith(house.issuer.url)


async def test_a_provider_that_says_nothing_is_not_waited_for(house: House) -> None:
    house.issuer.speaks.clear()
    assert await house.code(house.oidc.address(house.attempt())) == "oidc-unreachable"
    house.issuer.speaks.set()
    house.clock.now += SILENT_S
    assert (await house.oidc.address(house.attempt())).startswith(house.issuer.url)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"\xff", b'{"issuer": 7}', b"[" * 200_000, b" " * 300_000, b""])
async def test_a_document_that_is_none_is_unreachable(house: House, body: bytes) -> None:
    house.issuer.answers[WELL_KNOWN] = (200, {}, body)
    assert await house.code(house.oidc.address(house.attempt())) == "oidc-unreachable"


# -- the way through


async def test_an_address_outside_the_id_token_is_asked_for_with_the_access_token(house: House) -> None:
    issuer = house.issuer
    issuer.metadata["userinfo_endpoint"] = f"{issuer.url}/userinfo"
    issuer.metadata["authorization_response_iss_parameter_supported"] = True
    issuer.userinfo = {"sub": "m1", "email": "jun@shop.test", "email_verified": True}
    attempt = house.attempt()

    async def comes_back() -> str:
        def without_address(nonce: str) -> str:
            return issuer.token(issuer.claims(nonce, email=None, email_verified=None))

        back = issuer.authorizes(await house.oidc.address(attempt), without_address)
        return await house.oidc.email(attempt, back["code"], issuer.url)

    assert await comes_back() == "jun@shop.test"
    issuer.userinfo = {"sub": "m1", "email": "jun@shop.test"}
    assert await house.code(comes_back()) == "oidc-unverified"
    issuer.userinfo = {"sub": "m2", "email": "jun@shop.test", "email_verified": True}
    assert await house.code(comes_back()) == "oidc-token"
    assert await house.code(house.oidc.email(attempt, "code", None)) == "oidc-token"  # it promises to say who it is


async def test_a_secret_is_told_as_the_provider_wants_it(house: House) -> None:
    issuer = house.issuer
    for methods in (None, ["client_secret_post", "private_key_jwt"]):
        if methods is not None:
            issuer.metadata["token_endpoint_auth_methods_supported"] = methods
            house.clock.now += KEPT_S + 1
        back = issuer.authorizes(await house.oidc.address(house.attempt()))
        assert await house.oidc.email(house.attempt(), back["code"], None) == "mina@shop.test"


async def test_another_state_has_another_verifier(house: House) -> None:
    issuer = house.issuer
    back = issuer.authorizes(await house.oidc.address(house.attempt("one")))
    assert await house.code(house.oidc.email(house.attempt("two"), back["code"], None)) == "oidc-refused"
    one, two = house.attempt("one"), house.attempt("two")
    assert len({one.nonce, two.nonce, one.verifier, two.verifier, house.oidc.browser("one")}) == 5
    assert 43 <= len(one.verifier) <= 128


# -- configuration


def configured(**sign_in: Any) -> Config:
    right = {"issuer": "https://id.shop.test/realm", "client_id": "naru", "label": "가게 계정"}
    return check({"sign_in": {**right, **sign_in}})


def test_it_is_part_of_the_document_and_of_the_plan() -> None:
    config = configured(secret="secret:oidc")
    text = export(config)
    assert parse(text) == config and "secret: secret:oidc" in text
    assert "scopes" not in text  # nothing that is a default
    assert "+  label: 가게 계정" in differences(export(Config()), text)
    other = configured(secret="env:NARU_SECRET_OIDC", scopes=["openid", "email", "groups"])
    assert parse(export(other)) == other


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"issuer": "http://id.shop.test"}, "https"),
        ({"issuer": "http://127.0.0.1.shop.test"}, "https"),
        ({"issuer": "http://127.0.0.1:1@shop.test"}, "https"),
        ({"issuer": "https://me@shop.test"}, "without user"),
        ({"issuer": "https://shop.test/?tenant=1"}, "without user, query"),
        ({"issuer": "ftp://shop.test"}, "issuer"),
        ({"issuer": "https://shop.test\n"}, "issuer"),
        ({"issuer": "https://" + "x" * 600}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"label": ""}, "label"),
        ({"secret": "the secret itself"}, "secret"),
        ({"secret": "file:/etc/passwd"}, "secret"),
        ({"scopes": ["email"]}, "openid"),
        ({"scopes": ["openid email"]}, "scopes"),
        ({"scopes": ["openid"] * 21}, "scopes"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_sign_in_that_cannot_work_is_refused_with_the_reason(wrong: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadConfig) as refused:
        configured(**wrong)
    assert fault in "; ".join(refused.value.faults)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9000", "http://localhost/x", "http://[::1]:1"])
def test_a_provider_on_this_machine_needs_no_tls(issuer: str) -> None:
    assert configured(issuer=issuer).sign_in is not None


def test_addresses_that_a_provider_cannot_tell_apart_are_refused() -> None:
    people = [{"id": "a", "name": "A", "email": "Kim@shop.test"}, {"id": "b", "name": "B", "email": "kim@shop.test"}]
    assert check({"agents": people})
    sign_in = {"issuer": "https://id.shop.test", "client_id": "naru", "label": "ID"}
    with pytest.raises(BadConfig, match="both have the address"):
        check({"agents": people, "sign_in": sign_in})
    assert folded("KIM@Shop.test") == "kim@shop.test" != folded("\u212aim@shop.test")
    assert BEGUN_S == 600

"""Signing in by OpenID Connect: through a real provider, and against an issuer of our own that forges what it likes."""

import base64
import contextlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwk
from playwright.async_api import Browser, expect

from support.center import Center, free_port
from support.issuer import CLIENT, SECRET, FakeIssuer, encoded, now, signed
from support.pages import WAIT_MS, at, picture
from support.provider import RealProvider

CONFIG = """\
version: 1
name: Sign-in center
brands:
- {{id: shop, name: Shop, default_queue: care}}
queues:
- {{id: care, name: Care}}
agents:
- {{id: owner, name: Owner, role: owner, email: owner@shop.test}}
- {{id: mina, name: Mina, email: mina@shop.test}}
- {{id: jun, name: Jun, email: jun@shop.test}}
- {{id: kim, name: Kim, email: kim@shop.test}}
sign_in: {sign_in}
"""
SIGN_IN_SECRET = "the secret of our client"
OPTIONS, BEGIN, CALLBACK = "/v1/login/options", "/v1/login/oidc", "/v1/login/oidc/callback"


def document(sign_in: dict[str, str] | None) -> str:
    return CONFIG.format(sign_in=json.dumps(sign_in and {"label": "Shop ID", **sign_in}))


@contextlib.contextmanager
def offering(center: Center, sign_in: dict[str, str] | None) -> Iterator[None]:
    """For a while the workspace signs in by this provider, or by none."""
    before = center.request("GET", "/v1/config?format=yaml").content

    def put(content: str | bytes) -> None:
        answer = center.request("PUT", "/v1/config", content=content, headers={"content-type": "application/yaml"})
        assert answer.status_code == 200, answer.text

    put(document(sign_in))
    try:
        yield
    finally:
        put(before)


def browsing(url: str = "") -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=30)


class House:
    """A center whose people sign in by an issuer of ours."""

    def __init__(self, center: Center, issuer: FakeIssuer) -> None:
        self.center = center
        self.issuer = issuer

    def browser(self) -> httpx2.Client:
        return browsing(self.center.url)

    def begin(self, browser: httpx2.Client, **more: str) -> str:
        answer = browser.get(BEGIN, params={"workspace": "main", **more})
        assert answer.status_code == 302, answer.text
        found: str = answer.headers["location"]
        return found

    @contextlib.contextmanager
    def tries(self, make: Callable[[str], str] | None = None) -> Iterator[tuple[str, httpx2.Client]]:
        """Begin, be authorized with the token that `make` makes of the nonce, come back. Where that ends, and the browser."""
        with self.browser() as browser:
            back = browser.get(CALLBACK, params=self.issuer.authorizes(self.begin(browser), make))
            assert back.status_code == 302, back.text
            yield back.headers["location"].removeprefix(self.center.url), browser

    def said(self, **other: Any) -> Callable[[str], str]:
        return lambda nonce: self.issuer.token(self.issuer.claims(nonce, **other))

    def who(self, browser: httpx2.Client) -> str | None:
        answer = browser.get("/v1/me")
        return answer.json()["agent"] if answer.status_code == 200 else None

    def sessions(self) -> int:
        return self.center.log_tail(1_000_000).count("sign_in.done")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with FakeIssuer() as issuer:
        sign_in = {"issuer": issuer.url, "client_id": CLIENT, "secret": "env:NARU_SECRET_OIDC"}
        folder = tmp_path_factory.mktemp("sign-in") / "data"
        with Center(folder, document(sign_in), env={"NARU_SECRET_OIDC": SECRET}) as center:
            yield House(center, issuer)
        said = center.log_tail(1_000_000)
        assert "Traceback" not in said, said[-4000:]
        for secret in (SECRET, base64.b64encode(SECRET.encode()).decode(), "eyJ"):  # eyJ: how each token begins
            assert secret not in said


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds the issuer as it was."""
    yield
    if "house" in request.fixturenames:
        house: House = request.getfixturevalue("house")
        house.issuer.answers.clear()
        house.issuer.authorized.clear()


# -- a real provider


class Real:
    def __init__(self, center: Center, provider: RealProvider) -> None:
        self.center = center
        self.provider = provider

    def through(self, browser: httpx2.Client, name: str, go: str = "yes", next: str = "/desk") -> str:
        begun = browser.get(f"{self.center.url}{BEGIN}", params={"workspace": "main", "next": next})
        back = self.provider.signs_in(browser, begun.headers["location"], name, go)
        assert back.startswith(f"{self.center.url}{CALLBACK}?")
        answer = browser.get(back)
        assert answer.status_code == 302, answer.text
        found: str = answer.headers["location"]
        return found.removeprefix(self.center.url)


@pytest.fixture(scope="module")
def real(provider_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    port = free_port()
    with RealProvider(provider_program, f"http://127.0.0.1:{port}{CALLBACK}", SIGN_IN_SECRET) as provider:
        sign_in = {"issuer": provider.issuer, "client_id": "naru", "secret": "secret:oidc"}
        with Center(tmp_path_factory.mktemp("real") / "data", document(sign_in), port=port) as center:
            put = center.request("PUT", "/v1/secrets/oidc", json={"value": SIGN_IN_SECRET})
            assert put.status_code == 204
            yield Real(center, provider)


def test_a_person_comes_in_through_the_real_provider(real: Real) -> None:
    with browsing() as browser:
        assert real.through(browser, "mina", next="/wallboard?tv=1") == "/wallboard?tv=1"
        me = browser.get(f"{real.center.url}/v1/me").json()
        assert (me["workspace"], me["agent"], me["role"]) == ("main", "mina", "agent")
        assert browser.put(f"{real.center.url}/v1/agents/me/status", json={"presence": "away"}).status_code == 403
        csrf = {"X-Naru-CSRF": "1"}
        assert browser.post(f"{real.center.url}/v1/logout", headers=csrf).status_code == 204
        assert browser.get(f"{real.center.url}/v1/me").status_code == 401


def test_a_client_without_a_secret_is_proved_by_pkce_alone(real: Real) -> None:
    with offering(real.center, {"issuer": real.provider.issuer, "client_id": "naru-public"}), browsing() as browser:
        assert real.through(browser, "mina") == "/desk"
        assert browser.get(f"{real.center.url}/v1/me").json()["agent"] == "mina"


@pytest.mark.parametrize(
    ("name", "go", "code"),
    [
        ("jun", "yes", "oidc-unverified"),
        ("ghost", "yes", "oidc-unverified"),
        ("sora", "yes", "oidc-unknown"),
        ("mina", "no", "oidc-refused"),
    ],
)
def test_the_real_provider_knows_them_and_we_do_not(real: Real, name: str, go: str, code: str) -> None:
    with browsing() as browser:
        assert real.through(browser, name, go) == f"/desk#sign-in={code}"
        assert browser.get(f"{real.center.url}/v1/me").status_code == 401


def test_a_real_code_is_good_once_and_only_with_its_own_verifier(real: Real) -> None:
    """The state of one attempt with the code of another: PKCE and the nonce bind them."""
    with browsing() as thief, browsing() as victim:
        url = f"{real.center.url}{BEGIN}"
        theirs = victim.get(url, params={"workspace": "main"}).headers["location"]
        stolen = dict(parse_qsl(urlsplit(real.provider.signs_in(victim, theirs, "mina")).query))
        begun = thief.get(url, params={"workspace": "main"}).headers["location"]
        mine = dict(parse_qsl(urlsplit(begun).query))
        answer = thief.get(f"{real.center.url}{CALLBACK}", params={**stolen, "state": mine["state"]})
        assert answer.headers["location"].endswith("#sign-in=oidc-refused")
        assert thief.get(f"{real.center.url}/v1/me").status_code == 401


@pytest.mark.browser
async def test_the_desk_offers_the_provider_and_one_comes_in_by_it(real: Real, browser: Browser) -> None:
    wrong: list[str] = []
    context = await browser.new_context(locale="ko-KR", viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto(f"{real.center.url}/desk")
    button, note = (at(page, name) for name in ("login-oidc", "login-note"))
    workspace, form = (at(page, name) for name in ("login-workspace", "login-form"))
    await expect(form).to_be_visible(timeout=WAIT_MS)
    await expect(button).to_have_count(0)
    for name, offered in (("never-was", 0), ("main", 1)):
        await workspace.fill(name)
        await workspace.press("Tab")
        await expect(button).to_have_count(offered, timeout=WAIT_MS)
    await expect(button).to_have_text("Shop ID(으)로 로그인")
    await picture(page, "sign-in")

    for name, why in (("jun", "확인되지 않은 이메일"), ("sora", "구성원이 없습니다"), ("mina", "취소되었거나")):
        await button.click()
        await page.get_by_label("name").fill(name)
        await page.get_by_role("button", name="Cancel" if name == "mina" else "Sign in").click()
        await expect(note).to_contain_text(why, timeout=WAIT_MS)
        assert page.url == f"{real.center.url}/desk"  # no reason is left in the address, nor what the provider sent
        await context.clear_cookies()  # the provider's too, which would not ask again

    await button.click()  # the workspace is still known
    await page.get_by_label("name").fill("mina")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator('[data-test="desk"]')).to_be_visible(timeout=WAIT_MS)
    assert page.url == f"{real.center.url}/desk"
    await expect(page.locator('[data-test="connection"]')).to_have_attribute("data-state", "online", timeout=WAIT_MS)
    [session] = [cookie for cookie in await context.cookies() if cookie.get("name", "").startswith("naru")]
    assert (session.get("name"), session.get("httpOnly"), session.get("sameSite")) == ("naru_session", True, "Lax")
    await context.close()
    assert [said for said in wrong if "401" not in said] == []  # Chromium writes every such answer to the console


def test_keys_that_the_real_provider_has_changed_are_found(real: Real) -> None:
    """It comes back with new keys at the old address: one fetch more, nobody notices."""
    with browsing() as browser:
        assert real.through(browser, "mina") == "/desk"
    real.provider.__exit__()
    with real.provider, browsing() as browser:
        assert real.through(browser, "mina") == "/desk"
    with browsing() as browser:  # and now it is down
        begun = browser.get(f"{real.center.url}{BEGIN}", params={"workspace": "main"})
        assert begun.status_code == 302  # its address is still known
    real.provider.__enter__()


# -- what is offered


def test_a_workspace_that_is_not_there_looks_like_one_without_a_provider(house: House) -> None:
    with house.browser() as browser:
        offered = browser.get(OPTIONS, params={"workspace": "main"}).json()
        assert offered == {"password": True, "oidc": {"label": "Shop ID"}}
        with offering(house.center, None):
            for path in (OPTIONS, BEGIN):
                plain, unknown = (browser.get(path, params={"workspace": name}) for name in ("main", "never-was"))
                assert (plain.status_code, plain.content) == (unknown.status_code, unknown.content)
                assert [(k, v) for k, v in plain.headers.items() if k != "date"] == [
                    (k, v) for k, v in unknown.headers.items() if k != "date"
                ]
            assert browser.get(OPTIONS, params={"workspace": "main"}).json() == {"password": True, "oidc": None}
            assert (plain.status_code, plain.json()["code"]) == (404, "oidc-not-offered")
        assert browser.get(OPTIONS).status_code == 422


def test_what_the_browser_is_given_stays_in_it(house: House) -> None:
    with house.browser() as browser:
        answer = browser.get(BEGIN, params={"workspace": "main"})
        flags = answer.headers["set-cookie"].lower()
        assert all(flag in flags for flag in ("httponly", "samesite=lax", "max-age=600", "path=/v1/login/oidc"))
        assert answer.headers["cache-control"] == "no-store"
        asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        assert asked["redirect_uri"] == f"{house.center.url}{CALLBACK}"
        assert asked["scope"] == "openid email profile" and len(asked["code_challenge"]) == 43
        assert asked["state"] not in answer.headers["set-cookie"]


def test_who_the_issuer_vouches_for_comes_in(house: House) -> None:
    with house.tries() as (ended, browser):
        assert ended == "/desk"
        assert house.who(browser) == "mina"
        assert [cookie.name for cookie in browser.cookies.jar] == ["naru_session"]
    cases: list[dict[str, Any]] = [
        {"email": "MINA@Shop.Test"},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"iat": now() + 30, "exp": now() + 60},
        {"exp": now() - 30},
        {"nbf": now() - 5},
    ]
    for other in cases:
        with house.tries(house.said(**other)) as (_, browser):
            assert house.who(browser) == "mina", other


# -- what is refused


FORGED: dict[str, Callable[[FakeIssuer, str], str]] = {
    "another nonce": lambda i, n: i.token(i.claims(n + "x")),
    "no nonce": lambda i, n: i.token(i.claims(n, nonce=None)),
    "expired": lambda i, n: i.token(i.claims(n, exp=now() - 90)),
    "no expiry": lambda i, n: i.token(i.claims(n, exp=None)),
    "an expiry that is no number": lambda i, n: i.token(i.claims(n, exp="never")),
    "not yet": lambda i, n: i.token(i.claims(n, nbf=now() + 90)),
    "from the future": lambda i, n: i.token(i.claims(n, iat=now() + 90)),
    "no time of issue": lambda i, n: i.token(i.claims(n, iat=None)),
    "for another client": lambda i, n: i.token(i.claims(n, aud="other")),
    "for no client": lambda i, n: i.token(i.claims(n, aud=None)),
    "for several and nobody's own": lambda i, n: i.token(i.claims(n, aud=[CLIENT, "other"])),
    "issued to another client": lambda i, n: i.token(i.claims(n, aud=[CLIENT, "other"], azp="other")),
    "of another issuer": lambda i, n: i.token(i.claims(n, iss="https://other.test")),
    "of an issuer with a slash more": lambda i, n: i.token(i.claims(n, iss=i.url + "/")),
    "no subject": lambda i, n: i.token(i.claims(n, sub=None)),
    "alg none": lambda i, n: f"{encoded({'alg': 'none', 'kid': 'rsa-1'})}.{encoded(i.claims(n))}.",
    "alg None": lambda i, n: f"{encoded({'alg': 'None'})}.{encoded(i.claims(n))}.",
    "HS256 with the client's secret": lambda i, n: signed(
        i.claims(n), jwk.OctKey.import_key(SECRET), alg="HS256", kid="rsa-1"
    ),
    "HS256 with the public key": lambda i, n: hmac_signed(i.rsa.as_pem(private=False), i.claims(n)),
    "RS384, which is not on the list": lambda i, n: i.token(i.claims(n), alg="RS384"),
    "an unknown key": lambda i, n: i.token(i.claims(n), stranger(), kid="stranger"),
    "a stranger's key by a known name": lambda i, n: i.token(i.claims(n), stranger(), kid="rsa-1"),
    "its own key in the header": lambda i, n: i.token(i.claims(n), stranger(), jwk=stranger().as_dict(private=False)),
    "keys from elsewhere": lambda i, n: i.token(i.claims(n), stranger(), kid="s", jku="http://127.0.0.1:9/jwks"),
    "a header that must be understood": lambda i, n: i.token(i.claims(n), crit=["exp"], exp=1),
    "changed after signing": lambda i, n: changed(i.token(i.claims(n, email="owner@shop.test")), i.claims(n)),
    "no signature": lambda i, n: i.token(i.claims(n)).rpartition(".")[0] + ".",
    "encrypted": lambda i, n: "a.b.c.d.e",
    "no token": lambda i, n: "nothing",
    "not an object": lambda i, n: signed([1], i.rsa, alg="RS256", kid="rsa-1"),  # type: ignore[arg-type]
    "nested deep": lambda i, n: f"{encoded(b'[' * 30_000)}.{encoded(b'[' * 10_000)}.x",
}
_stranger: list[Any] = []


def stranger() -> Any:
    if not _stranger:
        _stranger.append(jwk.RSAKey.generate_key(2048, {"kid": "stranger"}))
    return _stranger[0]


def hmac_signed(key: bytes, claims: dict[str, Any]) -> str:
    text = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"


def changed(token: str, claims: dict[str, Any]) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(claims)}.{signature}"


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_opens_nothing(house: House, name: str) -> None:
    before = house.sessions()
    with house.tries(lambda nonce: FORGED[name](house.issuer, nonce)) as (ended, browser):
        assert ended == "/desk#sign-in=oidc-token"
        assert house.who(browser) is None
        assert "naru_session" not in [cookie.name for cookie in browser.cookies.jar]
    assert house.sessions() == before


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"email_verified": False}, "oidc-unverified"),
        ({"email_verified": None}, "oidc-unverified"),
        ({"email_verified": "true"}, "oidc-unverified"),
        ({"email_verified": 1}, "oidc-unverified"),
        ({"email": None}, "oidc-unverified"),
        ({"email": 7}, "oidc-token"),
        ({"email": "x" * 400}, "oidc-token"),
        ({"email": "nobody@shop.test"}, "oidc-unknown"),
        ({"email": ""}, "oidc-unknown"),
        ({"email": "\u212aim@shop.test"}, "oidc-unknown"),
        ({"email": " mina@shop.test"}, "oidc-unknown"),
    ],
)
def test_an_address_must_be_verified_and_that_of_one_of_us(house: House, other: dict[str, Any], code: str) -> None:
    """Also the Kelvin sign, which Unicode folds into the k of Kim."""
    with house.tries(house.said(**other)) as (ended, browser):
        assert ended == f"/desk#sign-in={code}"
        assert house.who(browser) is None


def test_who_has_left_does_not_come_in_any_more(house: House) -> None:
    def jun() -> tuple[str, str | None]:
        with house.tries(house.said(email="jun@shop.test")) as (ended, browser):
            return ended, house.who(browser)

    assert jun() == ("/desk", "jun")
    profile = house.center.request("GET", "/v1/agents/jun").json()
    assert house.center.request("DELETE", "/v1/agents/jun").status_code == 200
    assert jun() == ("/desk#sign-in=oidc-unknown", None)
    assert house.center.request("POST", "/v1/agents", json=profile).status_code == 201
    assert jun() == ("/desk", "jun")


def test_a_state_is_good_once_and_only_where_it_began(house: House) -> None:
    over = f"{house.center.url}/desk#sign-in=oidc-over"
    with house.browser() as browser, house.browser() as elsewhere:
        back = house.issuer.authorizes(house.begin(browser))

        def ends(who: httpx2.Client, **params: str) -> str:
            answer = who.get(CALLBACK, params=params)
            assert answer.status_code == 302, answer.text
            found: str = answer.headers["location"]
            return found

        house.begin(elsewhere)  # has a cookie, but of another attempt
        assert ends(elsewhere, **back) == over
        with house.browser() as bare:
            assert ends(bare, **back) == over
            assert ends(bare) == over
        assert ends(browser, **{**back, "state": back["state"] + "x"}) == over
        cookie = browser.cookies["naru_oidc"]
        assert ends(browser, **back) == f"{house.center.url}/desk"  # nobody has used it up meanwhile
        assert house.who(browser) == "mina"
        with house.browser() as again:
            house.issuer.authorized["code"] = ("", "")
            again.cookies.set("naru_oidc", cookie)
            assert ends(again, **back) == over
            assert house.who(again) is None


def test_a_code_is_good_once(house: House) -> None:
    with house.browser() as first, house.browser() as second:
        back = house.issuer.authorizes(house.begin(first))
        assert first.get(CALLBACK, params=back).headers["location"].endswith("/desk")
        mine = dict(parse_qsl(urlsplit(house.begin(second)).query))
        answer = second.get(CALLBACK, params={**back, "state": mine["state"]})
        assert answer.headers["location"].endswith("/desk#sign-in=oidc-refused")
        assert house.who(second) is None


def test_the_wrong_issuer_in_the_answer_is_refused_before_the_code_is_shown_to_anybody(house: House) -> None:
    with house.browser() as browser:
        back = house.issuer.authorizes(house.begin(browser))
        house.issuer.asked.clear()
        answer = browser.get(CALLBACK, params={**back, "iss": "https://other.test"})
        assert answer.headers["location"].endswith("#sign-in=oidc-token")
        assert "/token" not in house.issuer.asked
        back = house.issuer.authorizes(house.begin(browser))
        answer = browser.get(CALLBACK, params={**back, "iss": house.issuer.url})
        assert house.who(browser) == "mina"


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.test/",
        "//evil.test/desk",
        "/\\evil.test",
        "/desk/../..//evil.test",
        "/desk@evil.test",
        "/desk?a=1\r\nSet-Cookie: a=b",
        "/desk\n",
        "/desk#x",
        "desk",
        "",
        "javascript:alert(1)",
        "/v1/me",
        "/desk?" + "x" * 200,
    ],
)
def test_one_is_brought_to_our_own_pages_only(house: House, next: str) -> None:
    with house.browser() as browser:
        answer = browser.get(BEGIN, params={"workspace": "main", "next": next})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert "location" not in answer.headers


def test_a_provider_that_is_down_is_told_of(house: House) -> None:
    nobody = {"issuer": f"http://127.0.0.1:{free_port()}", "client_id": CLIENT}
    with offering(house.center, nobody), house.browser() as browser:
        for _ in range(2):
            ended = house.begin(browser, next="/wallboard")
            assert ended == f"{house.center.url}/wallboard#sign-in=oidc-unreachable"
            assert "naru_oidc" not in browser.cookies


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((500, {}, b"{}"), "oidc-unreachable"),
        ((302, {"Location": "http://127.0.0.1:9/token"}, b""), "oidc-unreachable"),
        ((200, {}, b"<html>"), "oidc-unreachable"),
        ((200, {}, b'{"access_token": "x"}'), "oidc-unreachable"),
        ((200, {}, b"[" * 100_000), "oidc-unreachable"),
        ((200, {}, b'{"id_token": "' + b"x" * 300_000 + b'"}'), "oidc-unreachable"),
        ((400, {}, b'{"error": "invalid_grant", "error_description": "eyJ"}'), "oidc-refused"),
    ],
)
def test_whatever_a_provider_answers_nobody_comes_in_by_it(house: House, answer: Any, code: str) -> None:
    house.issuer.answers["/token"] = answer
    with house.tries() as (ended, browser):
        assert ended == f"/desk#sign-in={code}"
        assert house.who(browser) is None


def test_a_secret_that_is_not_there_is_the_administrators_to_mend(house: House) -> None:
    without = {"issuer": house.issuer.url, "client_id": CLIENT, "secret": "secret:nobody-put-it"}
    with offering(house.center, without), house.tries() as (ended, _):
        assert ended == "/desk#sign-in=oidc-unready"


def test_a_provider_that_is_given_up_lets_nobody_in_who_began_before(house: House) -> None:
    with house.browser() as browser:
        back = house.issuer.authorizes(house.begin(browser))
        with offering(house.center, None):
            answer = browser.get(CALLBACK, params=back)
        assert answer.headers["location"].endswith("/desk#sign-in=oidc-unready")
        assert house.who(browser) is None


def test_whatever_comes_to_the_callback_is_an_answer(house: House) -> None:
    with house.browser() as browser:
        state = dict(parse_qsl(urlsplit(house.begin(browser)).query))["state"]
        for query in (
            {"state": "\x00"},
            {"state": "x" * 200},
            {"state": "é\u212a", "code": "\x00"},
            {"error": "access_denied"},
            {"iss": "\x00"},
        ):
            answer = browser.get(f"{CALLBACK}?{urlencode(query)}")
            assert answer.headers["location"].endswith("#sign-in=oidc-over")
        for name, size in (("state", 201), ("code", 4001), ("iss", 2001), ("error", 201)):
            assert browser.get(CALLBACK, params={name: "x" * size}).status_code == 422
        answer = browser.get(CALLBACK, params={"state": state, "code": "\x00é", "error": "\n\x00é"})
        assert answer.headers["location"].endswith("#sign-in=oidc-refused")


def test_another_process_finishes_what_one_has_begun(house: House) -> None:
    with house.browser() as browser:
        back = house.issuer.authorizes(house.begin(browser))
        house.center.stop()
        house.center.start()
        assert browser.get(CALLBACK, params=back).headers["location"] == f"{house.center.url}/desk"
        assert house.who(browser) == "mina"

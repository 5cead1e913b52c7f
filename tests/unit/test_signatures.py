"""Our verifiers against the libraries of those who invented the signatures; the vectors are in `tests/channels`."""

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as StandardWebhook
from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator

from channels import twilio
from channels.base import REPLAY_WINDOW_S, Account, Webhook
from channels.providers.twilio_sms import TwilioSms
from channels.providers.twilio_voice import TwilioVoice
from channels.providers.webhook import SignedWebhook

NOW = 1_800_000_000.0
TOKEN, URL = "12345", "https://naru.example/hooks/abc?foo=1&bar=2"
SECRET, OTHER_SECRET = ("whsec_" + base64.b64encode(seed * 32).decode() for seed in (b"a", b"b"))
SHA256 = {"x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}


def account(**secrets: str) -> Account:
    return Account(
        workspace="main",
        channel="it",
        brand="shop",
        kind="sms",
        provider="",
        hook="abc",
        hook_url="https://naru.example/hooks/abc",
        settings={"account_sid": "AC1"},
        secrets=secrets,
        sign=lambda text: text,
    )


def posted(url: str, body: bytes, now: float = NOW, method: str = "POST", **headers: str) -> Webhook:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Webhook(method=method, url=url, path="", headers=named, query={}, body=body, t=now)


def twilio_says(signature: str, url: str, fields: Any, token: str = TOKEN, **headers: str) -> bool:
    pairs = fields if isinstance(fields, list) else list(fields.items())
    webhook = posted(url, urlencode(pairs).encode(), x_twilio_signature=signature, **headers)
    found = {provider.verify(account(auth_token=token), webhook) for provider in (TwilioSms(), TwilioVoice())}
    assert len(found) == 1
    return found.pop()


def standard_says(body: bytes, signature: str, stamp: str, id_: str = "msg_1", secret: str = SECRET, now: float = NOW):
    webhook = posted(URL, body, now, webhook_id=id_, webhook_timestamp=stamp, webhook_signature=signature)
    return SignedWebhook().verify(account(signing_secret=secret), webhook)


# -- Twilio

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
FORMS = st.lists(st.tuples(NAMES, VALUES), max_size=12)
TOKENS = st.text("0123456789abcdef", min_size=1, max_size=40)
URLS = st.builds(
    "{}://naru.example{}/hooks/{}{}".format,
    st.sampled_from(("https", "http")),
    st.sampled_from(("", ":443", ":80", ":8443")),
    st.text("abcdefXYZ019-_", max_size=20),
    st.sampled_from(("", "?message=a%20b&x=1", "/leg?key=1&contact=2")),
)


@given(TOKENS, URLS, FORMS)
def test_twilio_signs_as_its_own_library_does(token: str, url: str, form: list[tuple[str, str]]) -> None:
    theirs = RequestValidator(token).compute_signature(url, FormData(form))
    assert twilio.signature(token, url, form) == theirs
    assert twilio_says(theirs, url, form, token)


@given(TOKENS, URLS, FORMS, st.sampled_from(("", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", "é", "A" * 500)))
def test_twilio_verdict_is_that_of_its_own_library(
    token: str, url: str, form: list[tuple[str, str]], given_: str
) -> None:
    assert twilio_says(given_, url, form, token) == RequestValidator(token).validate(url, FormData(form), given_)


@given(TOKENS, URLS)
def test_twilio_url_with_or_without_its_port(token: str, url: str) -> None:
    """Edges differ in whether the port was signed; Twilio's library takes either, and so do we."""
    scheme, rest = url.split("://")
    host, slash, path = rest.partition("/")
    port = ":443" if scheme == "https" else ":80"
    other = f"{scheme}://{host.partition(':')[0] + ('' if ':' in host else port)}{slash}{path}"
    signature = RequestValidator(token).compute_signature(other, {"a": "b"})
    assert RequestValidator(token).validate(url, {"a": "b"}, signature)
    assert twilio_says(signature, url, {"a": "b"}, token)


def test_twilio_signature_covers_url_fields_and_token() -> None:
    signature = RequestValidator(TOKEN).compute_signature(URL, {"From": "+1", "Body": "hi"})
    assert twilio_says(signature, URL, {"Body": "hi", "From": "+1"})
    assert not twilio_says(signature, URL.replace("bar=2", "bar=3"), {"From": "+1", "Body": "hi"})
    assert not twilio_says(signature, URL, {"From": "+2", "Body": "hi"})
    assert not twilio_says(signature, URL, {"From": "+1", "Body": "hi", "More": ""})
    assert not twilio_says(signature, URL, {"From": "+1"})
    assert not twilio_says(signature, URL, {"From": "+1", "Body": "hi"}, "12346")
    assert not twilio_says("", URL, {"From": "+1", "Body": "hi"})


def test_twilio_tokens_while_rotating() -> None:
    """The first signs our own requests; each of them is taken."""
    for token in ("old", "new"):
        signature = RequestValidator(token).compute_signature(URL, {"a": "b"})
        assert twilio_says(signature, URL, {"a": "b"}, "new old")
    forged = RequestValidator("new old").compute_signature(URL, {"a": "b"})
    assert not twilio_says(forged, URL, {"a": "b"}, "new old")
    call = twilio.post(account(auth_token="new old"), "Messages")
    assert call.basic == ("AC1", "new")


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"&" * 5000, b"a=1&" * 5000, b'{"json": true}', b""])
def test_twilio_bodies_that_are_no_forms_are_refused(body: bytes) -> None:
    signature = RequestValidator(TOKEN).compute_signature(URL, {"a": "b"})
    webhook = posted(URL, body, x_twilio_signature=signature)
    assert not TwilioSms().verify(account(auth_token=TOKEN), webhook)


# -- Standard Webhooks

BODIES = st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode))
IDS = st.text("abcdef0123456789_", min_size=1, max_size=30)
KEYS = st.binary(min_size=24, max_size=64)


@given(KEYS, IDS, st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=50))
def test_standard_webhooks_are_signed_as_their_own_library_does(key: bytes, id_: str, text: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    at = dt.datetime.fromtimestamp(NOW, dt.UTC)
    theirs = StandardWebhook(secret).sign(id_, at, text)
    assert standard_says(text.encode(), theirs, str(int(NOW)), id_, secret)


@given(KEYS, IDS, BODIES, BODIES)
def test_standard_webhooks_cover_id_time_and_raw_body(key: bytes, id_: str, body: bytes, other: bytes) -> None:
    secret, stamp = "whsec_" + base64.b64encode(key).decode(), str(int(NOW))
    mac = hmac.digest(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(mac).decode()
    assert standard_says(body, signature, stamp, id_, secret)
    assert standard_says(other, signature, stamp, id_, secret) == (other == body)
    assert not standard_says(body, signature, stamp, id_ + "x", secret)
    assert not standard_says(body, signature, str(int(NOW) + 1), id_, secret)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.binary(max_size=30))
def test_standard_webhooks_refuse_anything_else(id_: str, stamp: str, signature: str, body: bytes) -> None:
    assert not standard_says(body, signature, stamp, id_)


def standard(body: bytes, at: float, secret: str = SECRET) -> str:
    return StandardWebhook(secret).sign("msg_1", dt.datetime.fromtimestamp(at, dt.UTC), body.decode())


@pytest.mark.parametrize("off_s", [0, 1 - REPLAY_WINDOW_S, REPLAY_WINDOW_S - 1, REPLAY_WINDOW_S])
def test_inside_the_replay_window(off_s: float) -> None:
    at = NOW + off_s
    assert standard_says(b"{}", standard(b"{}", at), str(int(at)))


@pytest.mark.parametrize("off_s", [REPLAY_WINDOW_S + 1, -REPLAY_WINDOW_S - 1, 86_400, -86_400])
def test_outside_the_replay_window(off_s: float) -> None:
    at = NOW + off_s
    assert not standard_says(b"{}", standard(b"{}", at), str(int(at)))


def test_standard_secrets_while_rotating() -> None:
    """The receiver knows two secrets, or the sender signs with two."""
    stamp, body = str(int(NOW)), b"{}"
    for secret in (SECRET, OTHER_SECRET):
        assert standard_says(body, standard(body, NOW, secret), stamp, secret=f"{SECRET} {OTHER_SECRET}")
    both = f"{standard(body, NOW, OTHER_SECRET)} v1a,AAAA {standard(body, NOW)}"
    assert standard_says(body, both, stamp)
    assert not standard_says(body, standard(body, NOW, OTHER_SECRET), stamp)


@pytest.mark.parametrize(
    "stamp", ["", "x", "1" * 13, "-1800000000", "1800000000.0", "１８００００００００", "+1800000000"]
)
def test_stamps_that_are_none(stamp: str) -> None:
    assert not standard_says(b"{}", standard(b"{}", NOW), stamp)


# -- comparing


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given goes through `compare_digest` whole, whatever its length, and nothing else decides."""
    compared: list[tuple[bytes, bytes]] = []

    def noted(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return False

    monkeypatch.setattr(hmac, "compare_digest", noted)
    good = RequestValidator(TOKEN).compute_signature(URL, {"a": "b"})
    for given_ in (good, good[:-1], ""):
        assert not twilio_says(given_, URL, {"a": "b"})
        assert (good.encode(), given_.encode()) in compared
    stamp = str(int(NOW))
    wanted = standard(b"{}", NOW)
    for given_ in (wanted, wanted[:-1]):
        assert not standard_says(b"{}", given_, stamp)
        assert (wanted.encode(), given_.encode()) in compared

"""The contract, for every provider in the registry: a missing test, payload or page fails and names it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels import CHANNELS
from channels.base import (
    Call,
    Fetches,
    Found,
    Greets,
    Item,
    Polls,
    Provider,
    Reading,
    Reconciles,
    Span,
    Streams,
    Subscribed,
)
from channels.sessions import SESSIONS
from naru.admin.channels import listed, provider_table
from router.inputs import AnyInput, ReceiveMessage, ReceiveReceipt
from router.model import ReplyPolicy
from support.channel import PAYLOADS, Payload, account, differs, hook, payloads, summary

ROOT = Path(__file__).parents[2]
NAMES = [provider.name for provider in CHANNELS]
RECORDED = [(provider, payload) for provider in CHANNELS for payload in payloads(provider.name)]
MAX_KEY = 400
FAMILY_PAGES = ()
"""Pages in docs/channels that are about several providers."""
as_input = msgspec.json.Decoder(AnyInput).decode


@pytest.mark.parametrize("provider", CHANNELS, ids=NAMES)
def test_whatever_a_provider_needs_is_there(provider: Provider) -> None:
    missing = []
    if not (ROOT / "tests" / "channels" / f"test_{provider.name}.py").exists():
        missing.append(f"tests/channels/test_{provider.name}.py")
    if provider.transport != "own" and not payloads(provider.name):
        missing.append(f"tests/channels/payloads/{provider.name}/*.json")
    page = ROOT / "docs" / "channels" / f"{provider.name}.md"
    if not page.exists() or "*Verified against*" not in page.read_text():
        missing.append(f"docs/channels/{provider.name}.md with a line *Verified against*")
    assert not missing, f"{provider.name} lacks {', '.join(missing)}"


@pytest.mark.parametrize("provider", CHANNELS, ids=NAMES)
def test_what_a_provider_says_of_itself_is_whole(provider: Provider) -> None:
    assert provider.about.title and provider.about.verified_against
    assert isinstance(provider.policy(account(provider)), ReplyPolicy)
    served = {
        "poll": isinstance(provider, Polls),
        "stream": isinstance(provider, Streams),
        "smpp": "smpp" in SESSIONS,
        "ari": "ari" in SESSIONS,
    }
    assert served.get(provider.transport, True), f"{provider.name} says {provider.transport} and cannot"


@pytest.mark.parametrize(("provider", "payload"), RECORDED, ids=[f"{p.name}/{r.path.stem}" for p, r in RECORDED])
def test_recorded_payloads_are_read_as_they_should_be(provider: Provider, payload: Payload) -> None:
    assert payload.said.get("source"), f"{payload.path} does not say where it is from"
    reading = payload.read(provider)
    fault = differs(payload.said["reads"], summary(reading))
    assert fault is None, f"{payload.path.name}: {fault}"
    if "comments" in payload.said:
        fault = differs(payload.said["comments"], [msgspec.to_builtins(each) for each in reading.comments])
        assert fault is None, f"{payload.path.name}: comments{fault}"
    if "replies" in payload.said and isinstance(reading, Reading):
        fault = differs(payload.said["replies"], msgspec.to_builtins(reading.reply))
        assert fault is None, f"{payload.path.name}: reply{fault}"
    if "cursor_after" in payload.said and not isinstance(reading, Reading):
        fault = differs(payload.said["cursor_after"], getattr(reading, "cursor", None) or getattr(reading, "state", {}))
        assert fault is None, f"{payload.path.name}: cursor{fault}"
    if isinstance(reading, Found):
        assert reading.fault is None or "fault" in payload.said, reading.fault
        assert differs(payload.said.get("more", []), [call.url for call in reading.more]) is None
    _are_good(reading.items)
    again = payload.read(provider)
    assert [item.key for item in again.items] == [item.key for item in reading.items], "its keys must be natural"


def _are_good(items: tuple[Item, ...]) -> None:
    """What every reading owes the log: inputs that it can hold, under keys of a bounded length."""
    for item in items:
        assert 0 < len(item.key) <= MAX_KEY
        assert as_input(msgspec.json.encode(item.body)) == item.body


# -- whatever comes in

Scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
Json = st.recursive(
    Scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """A recorded body with something in it changed: bytes cut, doubled or turned, or a JSON value that is another."""
    try:
        known = json.loads(body)
    except ValueError:
        known = None
    if known is None or draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, max(0, len(body) - 1)))
        return body[:at] + draw(st.binary(max_size=20)) + body[at + draw(st.integers(0, 30)) :]
    places = list(_places(known))
    place = draw(st.sampled_from(places)) if places else ()
    return json.dumps(_changed(known, place, draw(Json))).encode()


def _places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    yield at
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*at, name))


def _changed(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    if isinstance(value, dict):
        return {name: _changed(inner, place[1:], other) if name == place[0] else inner for name, inner in value.items()}
    return [_changed(inner, place[1:], other) if n == place[0] else inner for n, inner in enumerate(value)]


@pytest.mark.parametrize("provider", [p for p in CHANNELS if payloads(p.name)], ids=lambda p: p.name)
def test_reading_is_total(provider: Provider) -> None:
    """Recorded payloads with anything changed, and anything at all: never an exception, never a bad input."""
    recorded = payloads(provider.name)

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def total(data: st.DataObject) -> None:
        payload = data.draw(st.sampled_from(recorded))
        body = data.draw(st.binary(max_size=300) | mutated(payload.body))
        _are_good(payload.read(provider, body).items)

    total()


@pytest.mark.parametrize("provider", [p for p in CHANNELS if p.transport != "own"], ids=lambda p: p.name)
def test_nothing_unsigned_is_taken_for_the_providers(provider: Provider) -> None:
    ours = account(provider, secrets={"signing_secret": "whsec_" + "c2VjcmV0" * 4})
    assert provider.verify(ours, hook(b"{}")) is False
    assert provider.verify(ours, hook(b"\xff\x00", {"authorization": "\u00e9" * 9, "x-signature": "x"})) is False
    if isinstance(provider, Greets):
        assert provider.handshake(ours, hook(method="GET")).status >= 400
    if provider.transport not in ("webhook", "poll", "stream"):
        return
    assert provider.outcome(500, b"<html>").kind in ("uncertain", "retry")
    assert provider.outcome(400, b"\xff").kind in ("rejected", "retry", "uncertain")


@pytest.mark.parametrize("provider", [p for p in CHANNELS if isinstance(p, Fetches)], ids=lambda p: p.name)
def test_fetching_is_total(provider: Fetches) -> None:
    ours = account(provider)  # type: ignore[arg-type]
    for status, body in ((200, b"\xff\xd8"), (200, b"{}"), (404, b""), (500, b"<html>"), (200, b"[]")):
        provider.fetched(ours, "ref", status, "application/json", body)


@pytest.mark.parametrize("provider", [p for p in CHANNELS if isinstance(p, Reconciles)], ids=lambda p: p.name)
def test_asking_afterwards_is_total_and_is_said(provider: Any) -> None:
    """Whatever is answered to whatever was asked; and what it asks for is in the table, on its page and among payloads."""
    assert provider.about.made_good != "-"
    assert "span" in [name for payload in payloads(provider.name) for name in payload.said]
    page = (ROOT / "docs" / "channels" / f"{provider.name}.md").read_text()
    assert "made good" in " ".join(page.split())
    ours, span = account(provider, {"reconcile": "yes"}), Span(1.0, 2.0)
    first = provider.since(ours, span, 3.0)
    assert first and all(call.method == "GET" for call in first)
    for call in (*first, Call(method="GET", url="https://elsewhere.example/?page=x")):
        for status, body in ((200, b"\xff\xd8"), (200, b"{}"), (404, b""), (500, b"<html>"), (200, b"[]"), (429, b"")):
            found = provider.found(ours, call, span, status, body, 3.0)
            assert found.items == () and (status == 200 or found.fault or found.stale)
            assert len(found.more) <= 1


@pytest.mark.parametrize("provider", [p for p in CHANNELS if isinstance(p, Reconciles)], ids=lambda p: p.name)
def test_what_is_found_afterwards_is_one_with_what_its_webhook_said(provider: Provider) -> None:
    """Among the recorded payloads is something of which both tell; if it is a message, of the same person and thread."""
    by_webhook, afterwards = set(), set()
    for payload in payloads(provider.name):
        (afterwards if "span" in payload.said else by_webhook).update(map(_name, payload.read(provider).items))
    assert by_webhook & afterwards, (by_webhook, afterwards)
    known = {one[1] for one in by_webhook if one[0] == "message"}
    assert {one for one in afterwards if one[0] == "message" and one[1] in known} <= by_webhook


def _name(item: Item) -> tuple[Any, ...]:
    body = item.body
    if isinstance(body, ReceiveMessage):
        return "message", body.dedupe_key, body.thread, body.identity.scope, body.identity.value, body.author
    if isinstance(body, ReceiveReceipt):
        return "receipt", body.external or body.message, body.status
    return "other", item.key


@pytest.mark.parametrize("provider", CHANNELS, ids=NAMES)
def test_what_cannot_be_asked_for_is_not_promised(provider: Provider) -> None:
    assert isinstance(provider, Reconciles) or provider.about.made_good == "-"


@pytest.mark.parametrize("provider", [p for p in CHANNELS if isinstance(p, Subscribed)], ids=lambda p: p.name)
def test_what_is_wrong_with_a_subscription_is_said_of_any_answer(provider: Any) -> None:
    ours = account(provider)
    assert provider.ask_subscription(ours, 3.0).method == "GET"
    for status, body in ((200, b"\xff\xd8"), (200, b"{}"), (404, b""), (500, b"<html>"), (200, b"[]"), (401, b"{}")):
        assert provider.subscription(ours, status, body, 3.0)


def test_the_table_in_the_docs_is_what_the_code_says() -> None:
    table = provider_table(listed(), markdown=True)
    assert table in (ROOT / "docs" / "channels.md").read_text(), "run: naru channels providers --markdown"


def test_no_page_is_left_of_a_provider_that_is_gone() -> None:
    assert {page.stem for page in (ROOT / "docs" / "channels").glob("*.md")} <= {*NAMES, *FAMILY_PAGES}


def test_no_payload_is_left_of_a_provider_that_is_gone() -> None:
    assert {folder.name for folder in PAYLOADS.iterdir()} <= set(NAMES)

"""What several providers lean on: the door for those that sign nothing, links that are followed, requests that prepare
another, and the address a webhook came from."""

from typing import Any

import httpx2
import msgspec
import pytest
from fastapi import FastAPI

from channels import loose, multipart
from channels.base import Account, Call, Calls, File, Reading, Result, Webhook
from channels.copying import Copying
from channels.elsewhere import arrived, leads_to
from channels.gateway import hook_routes
from channels.providers.slack import Slack
from channels.unsigned import path_within
from channels.worker import Worker
from router.effects import CopyFiles
from router.model import Content, Elsewhere, Media, Part, Text, Thread
from support.channel import account, hook
from support.social import deliver, form_of, saying

PLAIN = account(Slack(), secrets={"path_secret": "new old"})


def came(path: str, headers: dict[str, str] | None = None, peer: str = "") -> Webhook:
    return msgspec.structs.replace(hook(b"{}", headers, path=path), peer=peer)


@pytest.mark.parametrize(("path", "rest"), [("new", ""), ("old/message", "message"), ("new/a/b/", "a/b")])
def test_the_secret_in_the_path_opens_and_what_is_behind_it_is_the_path(path: str, rest: str) -> None:
    assert path_within(PLAIN, came(path)) == rest


@pytest.mark.parametrize("path", ["", "new old", "newer", "message/new", "new ", "%6eew"])
def test_without_it_nothing_opens(path: str) -> None:
    assert path_within(PLAIN, came(path)) is None


def test_a_header_that_is_asked_for_must_be_there() -> None:
    ours = account(Slack(), {"header_name": "X-Partner"}, {"path_secret": "s", "header_value": "word"})
    for headers, opens in (({"X-Partner": "word"}, True), ({"X-Partner": "other"}, False), ({}, False)):
        assert (path_within(ours, came("s", headers)) is not None) == opens
    forgotten = account(Slack(), {"header_name": "X-Partner"}, {"path_secret": "s"})
    assert path_within(forgotten, came("s", {"X-Partner": ""})) is None


@pytest.mark.parametrize(
    ("allowed", "peer", "opens"),
    [
        (["211.249.40.0/27", "220.230.168.0/27"], "220.230.168.30", True),
        (["211.249.40.0/27"], "::ffff:211.249.40.1", True),
        (["211.249.40.0/27"], "211.249.40.32", False),
        (["211.249.40.0/27"], "", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "211.249.40.1", False),
        ([], "211.249.40.1", False),
        (["nonsense"], "211.249.40.1", False),
        (7, "211.249.40.1", False),
    ],
)
def test_only_the_networks_that_are_named_may_call(allowed: Any, peer: str, opens: bool) -> None:
    ours = account(Slack(), {"allowed": allowed}, {"path_secret": "s"})
    assert (path_within(ours, came("s", peer=peer)) is not None) == opens


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        ("https://files.slack.com/a", True),
        ("https://FILES.slack.com:443/a", True),
        ("https://a.b.naver.net/x", True),
        ("https://naver.net/x", False),
        ("https://evilnaver.net/x", False),
        ("https://evilfiles.slack.com/a", False),
        ("http://files.slack.com/a", False),
        ("https://files.slack.com.evil.example/a", False),
        ("https://files.slack.com:8443/a", False),
        ("https://files.slack.com@evil.example/", False),
        ("https://user@files.slack.com/", False),
        ("https://[/", False),
        ("https://files.slack.com:x/", False),
        ("", False),
    ],
)
def test_a_link_leads_only_to_the_hosts_that_are_named(url: str, leads: bool) -> None:
    assert leads_to(url, "files.slack.com", ".naver.net") == leads


def test_a_file_has_arrived_or_will_or_never() -> None:
    assert arrived(200, "image/png", b"x", "N") == File("", "image/png", b"x")
    kinds = {status: arrived(status, "", b"", "N") for status in (202, 302, 404, 429, 500)}
    assert {s: one.kind for s, one in kinds.items() if isinstance(one, Result)} == {
        202: "retry",
        302: "rejected",
        404: "rejected",
        429: "retry",
        500: "retry",
    }


def test_looking_into_json_of_any_shape_never_fails() -> None:
    for raw in (b"", b"\xff", b"[" * 100_000, b'{"a":1e999}', b'"\\ud800"', b"1" * 5000):
        loose.decoded(raw)
    said = {"a": [{"b": True, "n": 1.5, "big": 10**400, "t": "x" * 30_000}], "when": "1e300", "inf": float("inf")}
    assert loose.text(said, "a", 0, "b") == loose.text(said, "a", 1, "b") == loose.text(said, "a", "b") == ""
    assert loose.text(said, "a", 0, "big") == "" and len(loose.text(said, "a", 0, "t")) == 20_000
    assert loose.key(said, "a", 0, "t").startswith("h:")
    assert loose.number(said, "a", 0, "n") == 1.5 and loose.number(said, "a", 0, "b") is None
    for name in ("when", "inf", "none"):
        assert loose.moment(said, name, now=7.0) == 7.0
    assert loose.moment({"t": "1699999990123"}, "t", per_s=1000, now=1_700_000_000) == 1_699_999_990.123


def test_an_id_that_nobody_has_put_in_quotes_is_text_all_the_same() -> None:
    ours = account(Slack(), {"page_id": 208685479508187, "on": True, "text": "x", "list": ["a"]})
    found = [ours.setting(name, "-") for name in ("page_id", "on", "text", "list", "none")]
    assert found == ["208685479508187", "-", "x", "-", "-"]


def test_a_place_is_one_only_with_both_its_degrees() -> None:
    assert loose.place({"lat": 37.5665, "long": "126.978"}, "lat", "long") == "37.5665, 126.978"
    for other in (None, {}, {"lat": 1}, {"lat": True, "long": 2}, {"lat": {"a": 1}, "long": 2}):
        assert loose.place(other, "lat", "long") == ""


def test_a_form_is_read_back_whole_whatever_the_names_and_the_bytes() -> None:
    """By python-multipart. A name cannot end itself, and a type that is none does not become a header."""
    files = [
        ("a", File('견적"서\r\n.pdf', "application/pdf", b"--\r\n--x--\r\n\x00\xff")),
        ("b", File("b", "text/x\r\nX-Evil: 1", b"")),
    ]
    media_type, body = multipart.form([("text", "가나다\r\n"), ("empty", "")], files)
    found = form_of(Call(url="", headers={"content-type": media_type}, body=body))
    assert found == {
        "text": (None, "가나다\r\n".encode()),
        "empty": (None, b""),
        "a": ("견적%22서%0D%0A.pdf", b"--\r\n--x--\r\n\x00\xff"),
        "b": ("b", b""),
    }
    assert b"X-Evil" not in body
    assert multipart.form([], files) == multipart.form([], files) != multipart.form([], files[:1])


# -- requests that prepare another


class Takes:
    """A provider whose answer must be prepared."""

    def write(self, *_: object) -> Calls:
        return Calls(before=(Call(url="https://p.example/take"),), call=Call(url="https://p.example/say"))

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("accepted" if status == 200 else "rejected", detail=body.decode())


class Tokens:
    async def account(self, ours: Account) -> Account:
        return ours


@pytest.mark.parametrize(
    ("take", "say", "kind"), [(200, 200, "accepted"), (500, 200, "accepted"), (200, 400, "rejected")]
)
async def test_what_prepares_is_made_first_and_only_the_end_counts(take: int, say: int, kind: str) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(take if request.url.path == "/take" else say)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        worker = Worker(*([None] * 4), Tokens(), None, client, "w", "1", lambda: 0.0, None)  # type: ignore[arg-type]
        result = await worker._once(PLAIN, Takes(), deliver("u"), saying("x"))  # type: ignore[arg-type]
    assert (asked, result.kind) == (["/take", "/say"], kind)


class Resumes(Takes):
    """What goes on with something, or begins it where there is none."""

    def write(self, *_: object) -> Calls:
        begin = Call(url="https://p.example/begin")
        resume = Call(url="https://p.example/resume", otherwise=begin)
        return Calls(before=(resume,), call=Call(url="https://p.example/say"))


@pytest.mark.parametrize(("resume", "begins"), [(200, False), (404, True), (400, False), (500, False)])
async def test_what_is_not_there_to_go_on_with_is_begun_and_only_then(resume: int, begins: bool) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(resume if request.url.path == "/resume" else 200)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        worker = Worker(*([None] * 4), Tokens(), None, client, "w", "1", lambda: 0.0, None)  # type: ignore[arg-type]
        result = await worker._once(PLAIN, Resumes(), deliver("u"), saying("x"))  # type: ignore[arg-type]
    assert result.kind == "accepted"
    assert asked == ["/resume", *(["/begin"] if begins else []), "/say"]


# -- files, again after an edit


class Shelf:
    """A log, a history of one message and a store of files, each as little as copying needs."""

    def __init__(self, *parts: Part) -> None:
        self.content, self.keys, self.copied = Content(parts=parts), [], []  # type: ignore[var-annotated]

    async def received(self, *_: str) -> Content:
        return self.content

    async def save(self, workspace: str, name: str, media_type: str, body: bytes) -> Media:
        return Media(sha256="0" * 64, media_type=media_type, name=name, size_bytes=len(body))

    async def take(self, workspace: str, source: str, key: str, body: object, content: Content) -> None:
        self.keys.append(key)
        self.copied.append(content)


async def test_what_an_edit_brings_anew_is_copied_under_a_key_of_its_own() -> None:
    effect = CopyFiles(channel="c", conversation="v", thread=Thread(external="u"), message="m")
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(
            lambda _: httpx2.Response(200, content=b"x", headers={"content-type": "image/png"})
        )
    ) as client:
        keys = []
        for ref in ("https://files.slack.com/1", "https://files.slack.com/1", "https://files.slack.com/2"):
            shelf = Shelf(Text(text="look"), Elsewhere(ref=ref, name="photo"))
            done = await Copying(shelf, shelf, shelf, client, "w").copy(PLAIN, Slack(), effect)  # type: ignore[arg-type]
            assert done.kind == "accepted"
            [copied] = shelf.copied
            assert [type(part).__name__ for part in copied.parts] == ["Text", "Media"]
            keys += shelf.keys
    assert keys[0] == keys[1] != keys[2]


# -- where a webhook came from


class Door:
    """Accounts with one hook, whose provider notes who has called."""

    def __init__(self) -> None:
        self.peers: list[str] = []
        self.providers = {PLAIN.provider: self}

    def at(self, hook: str) -> Account:
        return PLAIN

    def verify(self, ours: Account, webhook: Webhook) -> bool:
        self.peers.append(webhook.peer)
        return True

    def read(self, *_: object) -> Reading:
        return Reading()


async def test_a_provider_is_told_the_address_a_webhook_came_from() -> None:
    class NoBus:
        def pool(self, workspace: str) -> None:
            return None

    door, app = Door(), FastAPI()
    app.include_router(hook_routes(door, None, NoBus(), lambda: 0.0))  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.9", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="https://naru.example") as client:
        assert (await client.post("/hooks/abc/x")).status_code == 200
    assert door.peers == ["203.0.113.9"]

"""The customers' edge: files that go up before their message, webhooks that carry mails, copies that come late, secrets that
depend on settings."""

from typing import Any, cast

import httpx2
import msgspec
import pytest
from fastapi import FastAPI

from channels.base import MAX_BODY_BYTES, Account, Item
from channels.gateway import Intake, hook_routes
from channels.providers.mailgun_mail import MailgunMail
from channels.providers.solapi import Solapi
from channels.signatures import mailgun
from router.inputs import Input, ReceiveMessage
from router.model import Content, Media
from support.channel import NOW, account
from support.edge import channel, connected, worker
from support.sms import DELIVER, JPEG, said

# -- files that go up first


class Carrier:
    """Solapi as its documents have it, for one picture: it remembers what it was asked, and can be unkind."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append((request.url.path, msgspec.json.decode(request.content)))
        status = self.statuses.pop(0) if self.statuses else 200
        if request.url.path == "/storage/v1/files":
            return httpx2.Response(status, json={"fileId": f"F{len(self.asked)}"})
        return httpx2.Response(status, json={"messageList": [{"messageId": "M1"}]})


OURS = account(Solapi(), {"number": "0215880000"})


async def test_a_picture_is_named_in_the_message_that_shows_it() -> None:
    carrier = Carrier()
    result = await worker(carrier)._once(OURS, Solapi(), DELIVER, said("사진", files=(JPEG,)))
    assert (result.kind, result.externals) == ("accepted", ("M1",))
    assert [path for path, _ in carrier.asked] == ["/storage/v1/files", "/messages/v4/send-many/detail"]
    assert carrier.asked[1][1]["messages"][0]["imageId"] == "F1"


@pytest.mark.parametrize(("status", "kind"), [(500, "retry"), (503, "retry"), (400, "rejected")])
async def test_a_picture_that_does_not_go_up_leaves_nothing_sent(status: int, kind: str) -> None:
    carrier = Carrier(status)
    result = await worker(carrier)._once(OURS, Solapi(), DELIVER, said("사진", files=(JPEG,)))
    assert result.kind == kind
    assert len(carrier.asked) == 1


async def test_a_file_that_is_no_picture_is_told_before_anything_goes_up() -> None:
    carrier = Carrier()
    other = msgspec.structs.replace(JPEG, body=b"%PDF")
    result = await worker(carrier)._once(OURS, Solapi(), DELIVER, said("표", files=(other,)))
    assert result.kind == "rejected" and "JPEG" in (result.detail or "")
    assert carrier.asked == []


# -- webhooks


class Log:
    """Where inputs go, and what the history knows already."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Input]] = []
        self.known_keys: set[str] = set()
        self.files = 0

    async def take(self, workspace: str, actor: str, key: str, body: Input, content: Content | None = None) -> str:
        self.taken.append((key, body))
        return key

    async def known(self, workspace: str, channel: str, dedupe_key: str) -> bool:
        return dedupe_key in self.known_keys

    async def save(self, workspace: str, name: str, media_type: str, body: bytes) -> Media:
        self.files += 1
        return Media(sha256="x", media_type=media_type, name=name, size_bytes=len(body))

    def pool(self, workspace: str) -> None:
        return None


MAIL = channel("mailgun_mail", "email", {"address": "help@shop.test", "domain": "d"}, "api_key", "signing_key")


async def post(log: Log, raw: bytes, token: str = "t") -> int:
    intake = Intake(cast(Any, log), cast(Any, log), cast(Any, log), lambda text, languages: None)
    app = FastAPI()
    app.include_router(hook_routes(connected(MAIL), intake, cast(Any, log), lambda: NOW))
    stamp = str(int(NOW))
    fields = {"timestamp": stamp, "token": token, "signature": mailgun("s", stamp, token)}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://naru.test") as client:
        answer = await client.post("/hooks/c/mime", data=fields, files={"body-mime": (None, raw)})
    return answer.status_code


RAW = b"From: a@b.test\r\nMessage-ID: <one@b.test>\r\n\r\nhello"


async def test_a_mail_may_be_large_and_not_without_end() -> None:
    log = Log()
    assert await post(log, RAW + bytes(MAX_BODY_BYTES)) == 200
    [(key, body)] = log.taken
    assert key == "mailgun:t" and isinstance(body, ReceiveMessage)
    assert log.files == 1
    assert await post(log, RAW + bytes(MailgunMail.max_body_bytes)) == 413
    assert len(log.taken) == 1


async def test_a_copy_that_comes_late_is_known_by_the_message_and_not_by_the_way_it_came() -> None:
    log = Log()
    await post(log, RAW, "t1")
    [(_, body)] = log.taken
    assert isinstance(body, ReceiveMessage)
    log.known_keys = {body.dedupe_key}
    assert await post(log, RAW, "t2") == 200
    assert len(log.taken) == 1
    assert Item("k", body).late is False


# -- secrets


@pytest.mark.parametrize(
    ("settings", "secrets", "missing"),
    [
        ({}, ("password",), None),
        ({}, (), "password"),
        ({"oauth": "google"}, ("client_id", "client_secret", "refresh_token"), None),
        ({"oauth": "google"}, ("password",), "client_id, client_secret, refresh_token"),
    ],
)
def test_a_mailbox_has_a_password_or_what_renews_a_token(
    settings: dict[str, str], secrets: tuple[str, ...], missing: str | None
) -> None:
    told = {"address": "a@b.test", "imap_host": "x", "smtp_host": "x", **settings}
    house = connected(channel("email", "email", told, *secrets))
    assert isinstance(house.of("ws", "c"), Account) == (missing is None)
    assert house.fault("ws", "c") == (f"missing: {missing}" if missing else None)

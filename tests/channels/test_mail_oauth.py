"""Mailboxes of Google and Microsoft: how a token is had and kept, and how both servers hear it (XOAUTH2)."""

import asyncio
import base64
import threading
from collections.abc import Callable
from typing import Any, cast

import httpx2
import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from channels import mailbox, registry
from channels.base import Account, Mail, Result, Token
from channels.mailbox import Mailbox
from channels.ports import Contents
from channels.providers.email import Email
from channels.tokens import Tokens
from support.channel import NOW, account
from support.imap import ImapServer

USER = "help@shop.test"
SECRETS = {"client_id": "id", "client_secret": "hush", "refresh_token": "R1"}
RAW = b"From: mina@customer.test\r\nSubject: hi\r\n\r\nhello\r\n"


def ours(oauth: str = "google", **settings: Any) -> Account:
    return account(Email(), {"address": USER, "oauth": oauth, **settings}, SECRETS)


def answer(**fields: Any) -> bytes:
    return msgspec.json.encode({"access_token": "A1", "expires_in": 3599, "token_type": "Bearer", **fields})


# -- the token


def test_what_is_required_follows_from_the_login() -> None:
    assert Email().secrets_for({}) == ("password",)
    assert Email().secrets_for({"oauth": "google"}) == ("client_id", "client_secret", "refresh_token")
    assert Email().renew(account(Email()), {}, NOW) is None


def test_a_refresh_token_is_exchanged() -> None:
    call = Email().renew(ours(), {}, NOW)
    assert call is not None and call.url == "https://oauth2.googleapis.com/token"
    assert dict(call.form) == {"grant_type": "refresh_token", **SECRETS}
    call = Email().renew(ours("microsoft", tenant="shop.test"), {}, NOW)
    assert call is not None and call.url == "https://login.microsoftonline.com/shop.test/oauth2/v2.0/token"
    assert dict(call.form)["scope"].split() == [
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/SMTP.Send",
        "offline_access",
    ]


def test_one_that_rotates_is_kept_until_the_owner_enters_another() -> None:
    token = Email().renewed(ours("microsoft"), {}, 200, answer(refresh_token="R2"), NOW)
    assert isinstance(token, Token)
    assert (token.value, token.expires_at) == ("A1", NOW + 3599)
    call = Email().renew(ours("microsoft"), token.kept, NOW)
    assert call is not None and dict(call.form)["refresh_token"] == "R2"
    entered = account(Email(), {"oauth": "microsoft"}, {**SECRETS, "refresh_token": "R9"})
    call = Email().renew(entered, token.kept, NOW)
    assert call is not None and dict(call.form)["refresh_token"] == "R9"
    kept = Email().renewed(ours(), token.kept, 200, answer(), NOW)  # Google sends no new one: the old one stays
    assert isinstance(kept, Token) and kept.kept == token.kept


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}', "rejected"),
        (401, b'{"error": "invalid_client"}', "rejected"),
        (200, b"{}", "rejected"),
        (200, b"\xff", "rejected"),
        (429, b"", "retry"),
        (503, b"<html>", "retry"),
        (500, b"[]", "uncertain"),
    ],
)
def test_why_there_is_none(status: int, body: bytes, kind: str) -> None:
    result = Email().renewed(ours(), {}, status, body, NOW)
    assert isinstance(result, Result) and result.kind == kind


@pytest.mark.parametrize("life", [None, "x", -5, 1e300, True, 10**400])
def test_a_life_of_any_kind_is_borne(life: Any) -> None:
    raw = answer(expires_in=life) if life != 10**400 else b'{"access_token": "A1", "expires_in": 1' + b"0" * 400 + b"}"
    found = Email().renewed(ours(), {}, 200, raw, NOW)
    assert isinstance(found, Result) or NOW < found.expires_at <= NOW + 10 * 86400


class Memory:
    """What the history keeps of a channel."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        self.asked = 0

    async def kept(self, workspace: str, channel: str) -> dict[str, str]:
        self.asked += 1
        return self.told

    async def keep(self, workspace: str, channel: str, kept: dict[str, str]) -> None:
        self.told = kept


class Issuer:
    """A token endpoint: every refresh token works once, and brings the next."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        given = dict(part.split("=") for part in request.content.decode().split("&"))["refresh_token"]
        if given != f"R{self.count + 1}":
            return httpx2.Response(400, json={"error": "invalid_grant"})
        self.count += 1
        return httpx2.Response(
            200,
            json={"access_token": f"A{self.count}", "expires_in": 3600, "refresh_token": f"R{self.count + 1}"},
        )


def tokens(issuer: Issuer, memory: Memory) -> Tokens:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(issuer))
    return Tokens(registry(), cast(Contents, memory), client, lambda: NOW)


async def test_a_rotating_token_is_kept_before_it_is_used_again() -> None:
    issuer, memory = Issuer(), Memory()
    house = tokens(issuer, memory)
    for number in (1, 1):  # it is still good
        found = await house.account(ours("microsoft"))
        assert isinstance(found, Account) and found.token == f"A{number}"
    house.refused(ours("microsoft"))
    found = await house.account(ours("microsoft"))
    assert isinstance(found, Account) and found.token == "A2"
    assert memory.told["refresh_token"] == "R3"
    begun_anew = await tokens(issuer, memory).account(ours("microsoft"))
    assert isinstance(begun_anew, Account) and begun_anew.token == "A3"


async def test_a_mailbox_with_a_password_asks_for_no_token() -> None:
    issuer, memory = Issuer(), Memory()
    found = await tokens(issuer, memory).account(account(Email()))
    assert isinstance(found, Account) and found.token == ""
    assert (issuer.count, memory.asked) == (0, 0)


# -- the mailbox


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.01)


async def follow(server: ImapServer, house: Tokens, done: Callable[[Mailbox, list[bytes]], bool]) -> list[bytes]:
    mails: list[bytes] = []
    cursor: dict[str, Any] = {}

    async def deliver(raw: bytes, is_old: bool) -> None:
        mails.append(raw)

    async def load() -> dict[str, Any]:
        return dict(cursor)

    async def save(new: dict[str, Any]) -> None:
        cursor.update(new)

    reached = ours("microsoft", imap_host="127.0.0.1", imap_port=server.port, imap_tls=False)
    box = Mailbox(reached, deliver, load, save, house)
    task = asyncio.create_task(box.run())
    try:
        await until(lambda: done(box, mails))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not any(thread.name.startswith("mailbox") for thread in threading.enumerate()))
    return mails


async def test_imap_hears_the_token_to_the_letter() -> None:
    async with ImapServer([RAW], {USER: "A1"}) as server:
        mails = await follow(server, tokens(Issuer(), Memory()), lambda box, mails: server.seen == [1])
        assert mails == [RAW]
        assert server.heard == [b"user=help@shop.test\x01auth=Bearer A1\x01\x01"]


async def test_a_token_that_imap_refuses_is_replaced() -> None:
    issuer = Issuer()
    async with ImapServer([RAW], {USER: "A2"}) as server:
        assert await follow(server, tokens(issuer, Memory()), lambda box, mails: bool(mails)) == [RAW]
        assert [said[-4:-2] for said in server.heard] == [b"A1", b"A2"]
        assert server.after_refusal == [b""]  # the server said why, and waited for an empty answer
    assert issuer.count == 2


async def test_without_a_token_nobody_is_called() -> None:
    issuer = Issuer()
    issuer.count = 5  # R1 is no good any more
    async with ImapServer([RAW], {USER: "A1"}) as server:
        await follow(server, tokens(issuer, Memory()), lambda box, mails: "invalid_grant" in box.state)
        assert server.heard == []


# -- sending


class Sink:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(bytes(envelope.original_content or b""))
        return "250 OK"


class Server(SMTP):
    """aiosmtpd with XOAUTH2, which it knows nothing of."""

    heard: list[bytes]
    token: str

    async def auth_XOAUTH2(self, _: SMTP, args: list[str]) -> AuthResult:
        said = base64.b64decode(args[1])
        self.heard.append(said)
        is_good = said == f"user={USER}\x01auth=Bearer {self.token}\x01\x01".encode()
        return AuthResult(success=is_good, handled=False)


@pytest.mark.parametrize(("token", "kind"), [("A1", "accepted"), ("A7", "retry")])
async def test_smtp_hears_the_token_to_the_letter(token: str, kind: str) -> None:
    heard: list[bytes] = []
    sink = Sink()

    def serve() -> Server:
        made = Server(sink, auth_require_tls=False)
        made.heard, made.token = heard, "A1"
        return made

    loop = asyncio.get_running_loop()
    server = await loop.create_server(serve, "127.0.0.1", 0)
    refused: list[bool] = []
    try:
        port = server.sockets[0].getsockname()[1]
        reached = msgspec.structs.replace(ours(smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none"), token=token)
        letter = Mail(sender=USER, recipient="mina@customer.test", raw=RAW)
        result = await mailbox.send(reached, letter, lambda: refused.append(True))
    finally:
        server.close()
    assert result.kind == kind, result
    assert heard == [f"user={USER}\x01auth=Bearer {token}\x01\x01".encode()]
    assert (len(sink.mails), len(refused)) == ((1, 0) if kind == "accepted" else (0, 1))

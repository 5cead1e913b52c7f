"""Mailgun: tokens that are good once, raw mails by route, events that find our mails by their Message-ID, sending as MIME."""

import email
import email.policy
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec
import pytest
from starlette.requests import Request

from channels.base import Call, Unsendable
from channels.letters import UNKNOWN, message_id_of
from channels.providers.mailgun_mail import REPEATED_S, MailgunMail
from channels.signatures import mailgun
from router.inputs import ReceiveMessage, ReceiveReceipt
from support.channel import HOOK, NOW, account, hook, nobody
from support.letters import FILE, KEY, THREAD, answer, deliver, sign

PROVIDER = MailgunMail()
OURS = msgspec.structs.replace(
    account(
        PROVIDER,
        {"address": "help@shop.test", "domain": "mg.shop.test", "from_name": "가게"},
        {"api_key": "K", "signing_key": "new old"},
    ),
    sign=sign,
)
FORM = {"content-type": "application/x-www-form-urlencoded"}
RAW = "From: mina@customer.test\r\nMessage-ID: <one@customer.test>\r\n\r\nhello"


def signed(key: str = "old", at: float = NOW, token: str = "t1") -> dict[str, str]:
    stamp = str(int(at))
    return {"timestamp": stamp, "token": token, "signature": mailgun(key, stamp, token)}


def form(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()


def test_what_mailgun_signed_is_taken() -> None:
    assert PROVIDER.verify(OURS, hook(form(signed()), FORM, path="mime"))
    assert PROVIDER.verify(OURS, hook(form(signed("new")), FORM))
    assert PROVIDER.verify(OURS, hook({"signature": signed(), "event-data": {}}, path="events"))
    assert PROVIDER.verify(OURS, hook(form(signed(at=NOW - REPEATED_S)), FORM))  # it repeats for eight hours


@pytest.mark.parametrize(
    "fields",
    [
        {},
        signed("other"),
        {**signed(), "token": "t2"},
        {**signed(), "timestamp": str(int(NOW) + 1)},
        signed(at=NOW - REPEATED_S - 100),
        signed(at=NOW + 400),
        signed(token=""),
        {**signed(), "timestamp": "²"},
    ],
)
def test_anything_else_is_not(fields: dict[str, str]) -> None:
    assert PROVIDER.verify(OURS, hook(form(fields), FORM)) is False
    assert PROVIDER.verify(OURS, hook({"signature": fields}, path="events")) is False


def read(fields: dict[str, str]) -> Any:
    return PROVIDER.read(OURS, hook(form(fields), FORM, path="mime"), nobody)


def test_a_token_is_good_once_and_a_mail_is_one_however_often_it_comes() -> None:
    """The signature is not over the mail: what comes under a known token, whatever it says, is what came before."""
    [first] = read({"body-mime": RAW, **signed(token="t1")}).items
    [forged] = read({"body-mime": RAW + " other words", **signed(token="t1")}).items
    [repeated] = read({"body-mime": RAW, **signed(token="t2")}).items
    assert first.key == forged.key != repeated.key
    assert isinstance(first.body, ReceiveMessage) and isinstance(repeated.body, ReceiveMessage)
    assert first.body.dedupe_key == repeated.body.dedupe_key
    assert first.late


@pytest.mark.parametrize("way", ["urlencoded", "multipart"])
def test_a_mail_comes_to_the_byte(way: str) -> None:
    """As httpx2 writes such forms, which knows nothing of how we read them."""
    raw = b"From: a@b.test\r\nSubject: \xb1\xb3\r\n\r\n--x\r\na=1&b=2+3%41\xff\x00\r\n"
    if way == "urlencoded":
        body, headers = urlencode({"x": "1", "body-mime": raw, **signed()}).encode(), FORM
    else:
        request = httpx2.Request("POST", HOOK, data=signed(), files={"body-mime": (None, raw)})
        body, headers = request.read(), dict(request.headers)
    webhook = hook(body, headers, path="mime")
    assert PROVIDER.verify(OURS, webhook)
    [item] = PROVIDER.read(OURS, webhook, nobody).items
    assert item.files[-1].body == raw


def test_an_answer_finds_its_thread() -> None:
    ours = message_id_of(OURS, KEY, THREAD, "shop.test")
    [item] = read({"body-mime": f"In-Reply-To: {ours}\r\n{RAW}", **signed()}).items
    assert isinstance(item.body, ReceiveMessage) and item.body.thread.external == THREAD


def test_an_event_finds_our_mail_by_a_name_that_only_we_can_make() -> None:
    ours = message_id_of(OURS, KEY, THREAD, "shop.test").strip("<>")
    data = {"event": "delivered", "message": {"headers": {"message-id": ours}}}
    [item] = PROVIDER.read(OURS, hook({"signature": signed(), "event-data": data}, path="events"), nobody).items
    assert item.body == ReceiveReceipt(message=KEY, status="delivered")


async def test_a_mail_is_sent_as_we_write_it() -> None:
    call = PROVIDER.write(OURS, deliver(), answer(files=(FILE,)), NOW)
    assert isinstance(call, Call) and call.body is not None
    assert call.url == "https://api.mailgun.net/v3/mg.shop.test/messages.mime"
    assert call.basic == ("api", "K")
    fields = await parsed(call)  # by python-multipart, which knows nothing of how we write
    assert (fields["to"], fields["o:tracking"]) == ("mina@customer.test", "no")
    mail = email.message_from_bytes(fields["message"], policy=email.policy.default)
    assert mail["Message-ID"] == message_id_of(OURS, KEY, THREAD, "shop.test")
    assert (mail["In-Reply-To"], mail["References"]) == (
        "<two@customer.test>",
        "<one@customer.test> <two@customer.test>",
    )
    assert mail["Subject"] == "Re: 교환 문의"
    [file] = mail.iter_attachments()  # type: ignore[attr-defined]
    assert (file.get_filename(), file.get_content()) == (FILE.name, FILE.body)


async def parsed(call: Call) -> dict[str, Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": call.body, "more_body": False}

    headers = [(b"content-type", call.headers["content-type"].encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    async with request.form() as found:
        return {name: value if isinstance(value, str) else await value.read() for name, value in found.items()}


def test_what_cannot_be_sent_is_said() -> None:
    for to in (UNKNOWN, "nobody", "a@b\r\nBcc: c@d"):
        with pytest.raises(Unsendable):
            PROVIDER.write(OURS, deliver(to), answer(), NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (200, b'{"id": "<m@shop.test>", "message": "Queued. Thank you."}', "accepted", None),
        (200, b"{}", "uncertain", "200 without an id"),
        (
            400,
            b'{"message": "to parameter is not a valid address"}',
            "rejected",
            "400 to parameter is not a valid address",
        ),
        (401, b"Forbidden", "rejected", "401 "),
        (429, b"", "retry", "429 "),
        (500, b"", "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, body: bytes, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, body)
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("m@shop.test",) if kind == "accepted" else ())

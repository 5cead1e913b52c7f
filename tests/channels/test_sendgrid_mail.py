"""SendGrid: events signed by ECDSA (its SDK's vector is in `vectors.json`), raw mails with its verdicts, sending by JSON."""

import base64
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.base import Account, File, Unsendable
from channels.letters import UNKNOWN, message_id_of
from channels.providers.sendgrid_mail import REPEATED_S, SendgridMail
from router.inputs import ReceiveMessage, ReceiveReceipt
from support.channel import HOOK, NOW, account, hook, nobody
from support.letters import FILE, KEY, THREAD, answer, deliver, sign

PROVIDER = SendgridMail()
SECRET, OTHER = ec.derive_private_key(7, ec.SECP256R1()), ec.derive_private_key(8, ec.SECP256R1())
PUBLIC = base64.b64encode(SECRET.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def ours(**secrets: str) -> Account:
    settings = {"address": "help@shop.test", "event_public_key": PUBLIC, "from_name": "가게"}
    return msgspec.structs.replace(account(PROVIDER, settings, {"api_key": "K", **secrets}), sign=sign)


def signed(raw: bytes = b"[]", key: ec.EllipticCurvePrivateKey = SECRET, at: float = NOW) -> dict[str, str]:
    stamp = str(int(at))
    made = base64.b64encode(key.sign(stamp.encode() + raw, ec.ECDSA(hashes.SHA256()))).decode()
    return {"X-Twilio-Email-Event-Webhook-Signature": made, "X-Twilio-Email-Event-Webhook-Timestamp": stamp}


def test_events_are_taken_that_sendgrid_signed() -> None:
    assert PROVIDER.verify(ours(), hook(b"[]", signed(), path="events"))
    assert PROVIDER.verify(ours(), hook(b"[]", signed(at=NOW - REPEATED_S), path="events"))  # it repeats for a day
    for raw, headers in (
        (b"[]", {}),
        (b"[ ]", signed()),
        (b"[]", signed(key=OTHER)),
        (b"[]", signed(at=NOW - REPEATED_S - 100)),
        (b"[]", signed(at=NOW + 400)),
    ):
        assert PROVIDER.verify(ours(), hook(raw, headers, path="events")) is False


def test_a_signature_for_events_is_none_for_mails() -> None:
    assert PROVIDER.verify(ours(), hook(b"[]", signed())) is False


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_mails_need_the_address_and_the_password_where_there_is_one() -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert PROVIDER.verify(ours(), hook(b"--x--", kind))
    assert PROVIDER.verify(ours(), hook(b"--x--", kind, path="other")) is False
    locked = ours(inbound_password="new old")
    assert PROVIDER.verify(locked, hook(b"--x--", {**kind, **basic("naru:old")}))
    for headers in (kind, {**kind, **basic("naru:x")}, {**kind, **basic("x:old")}):
        assert PROVIDER.verify(locked, hook(b"--x--", headers)) is False


def posted(raw: bytes, **fields: str) -> Any:
    """As httpx2 writes such a form, which knows nothing of how we read it."""
    request = httpx2.Request("POST", HOOK, files={"email": (None, raw), **{n: (None, v) for n, v in fields.items()}})
    return PROVIDER.read(ours(), hook(request.read(), dict(request.headers)), nobody)


@pytest.mark.parametrize(
    ("spf", "dkim", "found"),
    [
        ("pass", "{@b.test : pass}", {"mail.spf": "pass", "mail.dkim": "pass"}),
        ("softfail", "{@b.test : fail, @c.test : pass}", {"mail.spf": "softfail", "mail.dkim": "pass"}),
        ("fail", "none", {"mail.spf": "fail", "mail.dkim": "none"}),
        ("", "{}", {}),
        ("excellent", "<script>", {}),
    ],
)
def test_a_mail_comes_to_the_byte_with_what_sendgrid_found_out(spf: str, dkim: str, found: dict[str, str]) -> None:
    raw = b'From: mina@customer.test\r\n\r\n--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\xc0\xff\r\n'
    [item] = posted(raw, SPF=spf, dkim=dkim).items
    assert item.files[-1].body == raw
    assert isinstance(item.body, ReceiveMessage) and item.body.attributes == found


def test_an_answer_finds_its_thread() -> None:
    last = message_id_of(ours(), KEY, THREAD, "shop.test")
    [item] = posted(f"From: a@b.test\r\nReferences: <x@y> {last}\r\n\r\nhi".encode()).items
    assert isinstance(item.body, ReceiveMessage) and item.body.thread.external == THREAD


def test_a_bounce_that_comes_as_a_mail_is_a_receipt() -> None:
    last = message_id_of(ours(), KEY, THREAD, "shop.test")
    raw = (
        "From: MAILER-DAEMON@x.test\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=c\r\n\r\n--c\r\n"
        "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n--c\r\n"
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: {last}\r\n--c--\r\n"
    )
    [item] = posted(raw.encode()).items
    assert item.body == ReceiveReceipt(message=KEY, status="failed", detail="5.1.1")


def test_events_name_our_mail_by_its_message_id_too() -> None:
    event = {"event": "delivered", "smtp-id": message_id_of(ours(), KEY, THREAD, "shop.test"), "sg_message_id": "a.b"}
    [item] = PROVIDER.read(ours(), hook([event], path="events"), nobody).items
    assert item.body == ReceiveReceipt(message=KEY, status="delivered")


def test_an_answer_is_one_request() -> None:
    call = PROVIDER.write(ours(), deliver(), answer("네", (FILE,)), NOW)
    assert call.url == "https://api.sendgrid.com/v3/mail/send"
    assert call.headers["authorization"] == "Bearer K"
    assert msgspec.json.decode(call.body or b"") == {
        "personalizations": [{"to": [{"email": "mina@customer.test"}], "custom_args": {"naru_message": KEY}}],
        "from": {"email": "help@shop.test", "name": "가게"},
        "subject": "Re: 교환 문의",
        "content": [{"type": "text/plain", "value": "네\n"}],
        "headers": {
            "Message-ID": message_id_of(ours(), KEY, THREAD, "shop.test"),
            "In-Reply-To": "<two@customer.test>",
            "References": "<one@customer.test> <two@customer.test>",
        },
        "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
        "attachments": [
            {
                "content": base64.b64encode(FILE.body).decode(),
                "type": "image/png",
                "filename": "영수증.png",
                "disposition": "attachment",
            }
        ],
    }


def test_what_cannot_be_sent_is_said() -> None:
    with pytest.raises(Unsendable):
        PROVIDER.write(ours(), deliver(UNKNOWN), answer(), NOW)
    with pytest.raises(Unsendable, match="30 MB"):
        PROVIDER.write(ours(), deliver(), answer(files=(File("x", "a/b", bytes(22_000_000)),)), NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (202, b"", "accepted", None),
        (400, b'{"errors": [{"message": "bad", "field": "from.email"}]}', "rejected", "400 from.email bad"),
        (401, b'{"errors": [{"message": "no", "field": null}]}', "rejected", "401 no"),
        (429, b"", "retry", "429 "),
        (500, b"", "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, body: bytes, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, body)
    assert (result.kind, result.detail) == (kind, detail)

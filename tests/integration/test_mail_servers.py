"""The mail servers that other tests rely on carry Korean mail unharmed, from SMTP through LMTP to IMAP with IDLE."""

import asyncio
import base64
from urllib.parse import quote

import aiosmtplib
import pytest
from imap_tools import AND, H, MailBoxUnencrypted, MailMessage

from support.mail import MailServers

pytestmark = pytest.mark.mail

CHARSET = "ks_c_5601-1987"
SUBJECT = "교환 문의드립니다"
TEXT = "지난주에 산 운동화를 한 치수 큰 것으로 교환하고 싶습니다."
FILE_NAME = "영수증 사진.png"
FILE_BYTES = bytes(range(256))
MESSAGE_ID = "<korean-exchange@customer.test>"


def korean_mail() -> bytes:
    """Write the message by hand, as an old Korean mail program would: 8 bit text in its charset, RFC 2231 name."""
    head = f"""\
From: mina.kim@customer.test
To: help@shop.test
Subject: =?{CHARSET}?B?{base64.b64encode(SUBJECT.encode(CHARSET)).decode()}?=
Message-ID: {MESSAGE_ID}
Date: Mon, 02 Mar 2026 09:00:00 +0900
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="naru"

--naru
Content-Type: text/plain; charset={CHARSET}
Content-Transfer-Encoding: 8bit

"""
    tail = f"""
--naru
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=UTF-8''{quote(FILE_NAME)}

{base64.encodebytes(FILE_BYTES).decode()}--naru--
"""
    return (head.encode() + TEXT.encode(CHARSET) + tail.encode()).replace(b"\n", b"\r\n")


def open_idle(servers: MailServers) -> MailBoxUnencrypted:
    mailbox = MailBoxUnencrypted(servers.host, servers.imap_port, timeout=30)
    mailbox.login("help@shop.test", servers.password)
    mailbox.idle.start()
    return mailbox


def read_when_told(mailbox: MailBoxUnencrypted) -> MailMessage | None:
    """Look only after the server has spoken, so that a server that never speaks fails the test."""
    while mailbox.idle.poll(timeout=30):
        mailbox.idle.stop()
        for message in mailbox.fetch(AND(header=H("Message-ID", MESSAGE_ID))):
            return message
        mailbox.idle.start()
    return None


async def test_korean_mail_arrives_unharmed_and_is_announced(mail_servers: MailServers) -> None:
    mailbox = await asyncio.to_thread(open_idle, mail_servers)
    try:
        await aiosmtplib.send(
            korean_mail(),
            sender="mina.kim@customer.test",
            recipients=["help@shop.test"],
            hostname=mail_servers.host,
            port=mail_servers.smtp_port,
        )
        message = await asyncio.to_thread(read_when_told, mailbox)
    finally:
        await asyncio.to_thread(mailbox.client.shutdown)

    assert message is not None, mail_servers.log_tail()
    assert message.subject == SUBJECT
    assert message.text.strip() == TEXT
    [attachment] = message.attachments
    assert attachment.filename == FILE_NAME
    assert attachment.payload == FILE_BYTES

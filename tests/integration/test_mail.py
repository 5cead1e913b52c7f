"""Mail from end to end: a real SMTP client, a real postfix and dovecot, a center, an agent at the desk, and back."""

import asyncio
import email
import email.policy
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any, TypeVar

import aiosmtplib
import pytest
from imap_tools import MailBoxUnencrypted

from router.intake import customer_id
from router.model import Identity
from support.center import AgentDesk, Center
from support.mail import MailServers

pytestmark = pytest.mark.mail

SHOP = "help@shop.test"
MINA = "mina.kim@customer.test"
SUBJECT = "교환 문의드립니다: 똠얌 소스 1병이 깨져서 왔어요, 새것으로 바꿀 수 있을까요?"
TEXT = "지난주에 산 똠얌 소스가 깨져서 왔습니다.\n교환하고 싶어요."
FILE_NAME = "영수증 사진.png"
FILE_BYTES = bytes(range(256)) * 40
ANSWER_BYTES = FILE_BYTES[::-1]
WAIT_S = 30.0

CONFIG = """\
version: 1
name: Mail center
brands:
- {{id: shop, name: 가게 Shop, default_queue: care, languages: [ko, en]}}
channels:
- id: mail
  name: Mail
  brand: shop
  provider: email
  kind: email
  settings: {{address: {address}, imap_host: {host}, imap_port: {imap_port}, imap_tls: false, smtp_host: {host},
    smtp_port: {smtp_port}, smtp_tls: none, smtp_auth: false, from_name: 가게 Shop}}
  secrets: {{password: 'env:NARU_SECRET_MAIL'}}
queues:
- {{id: care, name: Care, wrap_up_s: 0, prefer_for_s: 60}}
agents:
- {{id: owner, name: Owner, role: owner}}
- {{id: jun, name: Jun, brands: [shop], email: jun@shop.test}}
- {{id: mina, name: Mina, brands: [shop], email: mina@shop.test}}
"""

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str) -> T:
    """Real servers take their time; a bounded little of it."""
    end = time.perf_counter() + WAIT_S
    while time.perf_counter() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {WAIT_S:.0f} s: {what}")


class Post:
    """The servers as people use them: each test with mailboxes of its own emptied before it."""

    def __init__(self, servers: MailServers) -> None:
        self.servers = servers

    def box(self, user: str) -> MailBoxUnencrypted:
        box = MailBoxUnencrypted(self.servers.host, self.servers.imap_port, timeout=30)
        box.login(user, self.servers.password)
        return box

    def empty(self, user: str) -> None:
        with self.box(user) as box:
            box.delete(box.uids())

    def raws(self, user: str) -> list[EmailMessage]:
        found = []
        with self.box(user) as box:
            for uid in box.uids():
                _, answer = box.client.uid("FETCH", uid, "(BODY.PEEK[])")
                raw = next(part[1] for part in answer if isinstance(part, tuple))
                found.append(email.message_from_bytes(raw, policy=email.policy.default))
        return found

    def newest(self, user: str, count: int) -> EmailMessage:
        """The last of this many mails, once there are so many."""
        mails = eventually(
            lambda: found if len(found := self.raws(user)) >= count else None, f"{count} mails to {user}"
        )
        assert len(mails) == count
        return mails[-1]

    def seen(self, user: str) -> int:
        with self.box(user) as box:
            return len(box.uids("SEEN"))

    async def send(self, mail: EmailMessage, sender: str = MINA, to: str = SHOP) -> None:
        await self.send_raw(mail.as_bytes(), sender, to)

    async def send_raw(self, raw: bytes, sender: str = MINA, to: str = SHOP) -> None:
        async with aiosmtplib.SMTP(hostname=self.servers.host, port=self.servers.smtp_port) as client:
            await client.sendmail(sender, [to], raw)


def written(
    text: str = TEXT, subject: str = SUBJECT, sender: str = MINA, to: str = SHOP, **headers: str
) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = f"김미나 <{sender}>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="customer.test")
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


@pytest.fixture
def post(mail_servers: MailServers) -> Post:
    post = Post(mail_servers)
    post.empty(SHOP)
    post.empty(MINA)
    return post


@pytest.fixture(scope="module")
def house(mail_servers: MailServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with made(mail_servers, mail_servers.imap_port, tmp_path_factory.mktemp("mail")) as center:
        yield center


@pytest.fixture
def center(house: Center, post: Post) -> Iterator[Center]:
    """The module's center; what a test leaves behind is completed, and nobody is available."""
    yield house
    for agent in ("jun", "mina"):
        key = house.agent_key(agent)
        house.request("PUT", "/v1/agents/me/status", key, json={"presence": "offline"})
        for contact in house.request("GET", "/v1/agents/me/contacts", key).json()["items"]:
            house.request("POST", f"/v1/contacts/{contact['id']}/complete", key, json={})


def made(servers: MailServers, imap_port: int, folder: Path, address: str = SHOP) -> Center:
    config = CONFIG.format(address=address, host=servers.host, imap_port=imap_port, smtp_port=servers.smtp_port)
    return Center(folder / "data", config, env={"NARU_SECRET_MAIL": servers.password})


class Desks:
    """Agents who have come to work; they leave with the end of the test."""

    def __init__(self) -> None:
        self._open: list[AgentDesk] = []

    async def open(self, center: Center, agent: str) -> tuple[AgentDesk, str]:
        key = await asyncio.to_thread(center.agent_key, agent)
        desk = await AgentDesk.open(center, key)
        self._open.append(desk)
        for offer in (await desk.next("view"))["offers"]:  # who was still available is offered what waits at once
            desk.seen.append({"type": "offer", "offer": offer})
        assert (await desk.do("status", presence="available"))["status"] == 200
        return desk, key

    async def close(self) -> None:
        while self._open:
            await self._open.pop().close()


@pytest.fixture
async def desks() -> AsyncIterator[Desks]:
    desks = Desks()
    yield desks
    await desks.close()


async def accepted(desk: AgentDesk) -> dict[str, Any]:
    offer: dict[str, Any] = (await desk.next("offer", WAIT_S))["offer"]
    assert (await desk.do("accept", offer=offer["id"]))["status"] == 200
    return offer


def messages(center: Center, conversation: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = center.request("GET", f"/v1/conversations/{conversation}/messages").json()["items"]
    return found


def contacts(center: Center, customer: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = center.request("GET", f"/v1/customers/{customer}/history").json()["items"]
    return found


def answer(center: Center, key: str, contact: str, **body: Any) -> None:
    told = center.request("POST", f"/v1/contacts/{contact}/messages", key, json=body)
    assert told.status_code in (200, 201, 202), told.text


async def test_a_mail_is_answered_and_its_answer_comes_back(center: Center, post: Post, desks: Desks) -> None:
    jun, _ = await desks.open(center, "jun")
    mina, key = await desks.open(center, "mina")
    assert (await jun.do("status", presence="away"))["status"] == 200

    mail = written()
    mail.add_attachment(FILE_BYTES, maintype="image", subtype="png", filename=FILE_NAME)
    await post.send(mail)
    offer = await accepted(mina)
    assert (offer["kind"], offer["language"], offer["customer"]["name"]) == ("email", "ko", "김미나")
    assert offer["customer"]["address"] == MINA

    [first] = messages(center, offer["conversation"])
    assert first["subject"] == SUBJECT
    text, file, original = first["parts"]
    assert text["text"] == TEXT
    assert (file["name"], file["media_type"]) == (FILE_NAME, "image/png")
    assert center.request("GET", f"/v1/files/{file['file']}", key).content == FILE_BYTES
    assert b"From:" in center.request("GET", f"/v1/files/{original['file']}", key).content
    eventually(lambda: post.seen(SHOP) == 1, "the mail is marked as read")

    # the answer, with a file of its own, lies in the customer's mailbox and in her program's thread
    upload = center.request(
        "POST", "/v1/files", key, files={"file": ("교환 안내.pdf", ANSWER_BYTES, "application/pdf")}
    )
    assert upload.status_code == 201, upload.text
    answer(center, key, offer["contact"], text="네, 새것을 보내 드릴게요. 똠!", files=[upload.json()["id"]])
    ours = post.newest(MINA, 1)
    assert ours["In-Reply-To"] == mail["Message-ID"]
    assert ours["References"] == mail["Message-ID"]
    assert ours["Subject"] == f"Re: {SUBJECT}"
    assert ours["From"] == f"가게 Shop <{SHOP}>"
    assert ours.get_body().get_content().strip() == "네, 새것을 보내 드릴게요. 똠!"  # type: ignore[union-attr]
    [attached] = ours.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("교환 안내.pdf", ANSWER_BYTES)
    told = await mina.next("message_status", conversation=offer["conversation"])
    assert told["status"] == "sent"

    # she answers while it is open: the same contact
    reply = written(
        f"감사합니다!\n\n2026년 3월 2일 (월) 오전 9:00, 가게 Shop <{SHOP}>님이 작성:\n> 네, 새것을 보내 드릴게요.",
        f"Re: {SUBJECT}",
        In_Reply_To=ours["Message-ID"],
        References=f"{ours['References']} {ours['Message-ID']}",
    )
    await post.send(reply)
    while (frame := await mina.next("message", WAIT_S))["message"]["number"] != 3:
        pass
    assert frame["message"]["contact"] == offer["contact"]
    assert frame["message"]["parts"][0]["text"] == "감사합니다!"

    # and once more after it is completed: a contact that follows, for the same agent though another waits longer
    assert (await mina.do("complete", contact=offer["contact"]))["status"] == 200
    assert (await jun.do("status", presence="available"))["status"] == 200
    await post.send(written("하나 더요", f"Re: {SUBJECT}", In_Reply_To=ours["Message-ID"]))
    again = (await mina.next("offer", WAIT_S))["offer"]
    assert again["conversation"] == offer["conversation"]
    assert again["contact"] != offer["contact"]
    of_conversation = [
        one for one in contacts(center, offer["customer"]["id"]) if one["conversation"] == again["conversation"]
    ]
    assert len(of_conversation) == 2

    # long threads of other programs are answered in the thread too
    assert (await mina.do("accept", offer=again["id"]))["status"] == 200
    long = f"<{'PN2P287MB0123' * 5}@PN2P287MB0123.INDP287.PROD.OUTLOOK.COM>"
    later = written("긴 이름", f"Re: {SUBJECT}", In_Reply_To=ours["Message-ID"])
    del later["Message-ID"]
    raw = f"Message-ID: {long}\r\n".encode() + later.as_bytes()
    await post.send_raw(raw)
    while (await mina.next("message", WAIT_S))["message"]["number"] != 5:
        pass
    answer(center, key, again["contact"], text="네")
    assert post.newest(MINA, 2)["In-Reply-To"] == long


async def test_what_is_no_customers_mail_is_no_contact(center: Center, post: Post, desks: Desks) -> None:
    desk, key = await desks.open(center, "mina")
    await post.send(written(subject="첫 메일"))
    offer = await accepted(desk)
    answer(center, key, offer["contact"], text="답장")
    ours = post.newest(MINA, 1)

    await post.send(
        written("휴가 중입니다", "자동 응답", Auto_Submitted="auto-replied", In_Reply_To=ours["Message-ID"])
    )
    await post.send(written("news", "뉴스레터", List_Id="<news.customer.test>", Precedence="bulk"))
    before = len(contacts(center, offer["customer"]["id"]))
    bounce = EmailMessage(policy=email.policy.SMTP)
    bounce["From"] = "MAILER-DAEMON@mail.customer.test"
    bounce["To"] = SHOP
    bounce["Subject"] = "Undelivered Mail Returned to Sender"
    bounce["Message-ID"] = make_msgid(domain="mail.customer.test")
    bounce["Auto-Submitted"] = "auto-replied"
    boundary = "report"
    bounce["Content-Type"] = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    bounce.set_payload(
        f"--{boundary}\nContent-Type: text/plain\n\nIt could not be delivered.\n"
        f"--{boundary}\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.customer.test\n\n"
        f"Final-Recipient: rfc822; {MINA}\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 full\n"
        f"--{boundary}\nContent-Type: message/rfc822\n\n{ours.as_string()}\n--{boundary}--\n"
    )
    await post.send(bounce, sender="")
    # the same mail twice, as servers that lost an acknowledgement send it
    twice = written("두 번", "두 번")
    await post.send(twice)
    await post.send(twice)
    await post.send(written("마지막", "마지막"))

    first = await accepted(desk)
    last = await accepted(desk)
    subjects = [messages(center, one["conversation"])[0]["subject"] for one in (first, last)]
    assert subjects == ["두 번", "마지막"]
    assert len(messages(center, first["conversation"])) == 1
    eventually(lambda: post.seen(SHOP) == 7, "all mails are marked as read")
    assert len(contacts(center, offer["customer"]["id"])) == before + 2
    sent = messages(center, offer["conversation"])
    assert [message["author"] for message in sent] == ["customer", "agent"]
    assert (sent[1]["status"], sent[1]["detail"]) == ("failed", "5.2.2 552 full")


async def test_a_real_bounce_makes_our_mail_failed(center: Center, post: Post, desks: Desks) -> None:
    """Nobody is `nobody@customer.test`: this postfix says so at once, and we say so to the agent."""
    desk, key = await desks.open(center, "mina")
    body = {"channel": "mail", "to": "nobody@customer.test", "subject": "안내", "text": "안녕하세요"}
    started = center.request("POST", "/v1/contacts", key, json=body)
    assert started.status_code == 201, started.text
    told = await desk.next("message_status", WAIT_S)
    assert told["status"] == "failed"
    assert "550" in told["detail"]


async def test_an_own_mail_and_its_answer_are_one_conversation(center: Center, post: Post, desks: Desks) -> None:
    desk, key = await desks.open(center, "mina")
    body = {"channel": "mail", "to": MINA, "subject": "재입고 안내", "text": "다시 들어왔어요."}
    started = center.request("POST", "/v1/contacts", key, json=body)
    assert started.status_code == 201, started.text
    contact = started.json()["contact"]
    mine = (await desk.next("contact"))["contact"]
    assert (mine["id"], mine["direction"], mine["status"]) == (contact, "outbound", "active")
    ours = post.newest(MINA, 1)
    assert (ours["Subject"], ours["In-Reply-To"]) == ("재입고 안내", None)
    assert ours.get_content().strip() == "다시 들어왔어요."
    assert (await desk.do("complete", contact=contact))["status"] == 200

    await post.send(written("하나 주세요", "Re: 재입고 안내", In_Reply_To=ours["Message-ID"]))
    offer = await accepted(desk)
    assert offer["conversation"] == mine["conversation"]
    assert offer["customer"]["id"] == mine["customer"]["id"]
    assert [message["author"] for message in messages(center, offer["conversation"])] == ["agent", "customer"]
    answer(center, key, offer["contact"], text="보내 드릴게요")
    second = post.newest(MINA, 2)
    assert second["Subject"] == "Re: 재입고 안내"
    assert "하나 주세요" not in second.get_content()


class Cable:
    """A way to a port that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> "Cable":
        self._server = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, back]

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            finally:
                target.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))


async def test_neither_a_cut_line_nor_a_restart_loses_or_repeats_a_mail(
    post: Post, desks: Desks, tmp_path: Path
) -> None:
    """The other tests' center holds the shop's mailbox, so this one's center has the other one, and the shop writes."""

    async def send(subject: str) -> None:
        await post.send(written(subject, subject, sender=SHOP, to=MINA), sender=SHOP, to=MINA)

    await send("오래된 메일")
    eventually(lambda: len(post.raws(MINA)) == 1, "the old mail is there")
    with post.box(MINA) as box:
        box.flag(box.uids(), "\\Seen", True)  # read by a person before there was a center
    await send("읽지 않은 메일")
    eventually(lambda: len(post.raws(MINA)) == 2, "the unread mail is there")

    async with Cable(post.servers.host, post.servers.imap_port) as cable:  # it runs in this loop, which must not wait
        center = await asyncio.to_thread(made, post.servers, cable.port, tmp_path, MINA)
        customers: set[str] = set()

        async def next_subject(desk: AgentDesk) -> str:
            offer = await accepted(desk)
            found = await asyncio.to_thread(messages, center, offer["conversation"])
            customers.add(offer["customer"]["id"])
            assert (await desk.do("complete", contact=offer["contact"]))["status"] == 200
            subject: str = found[0]["subject"]
            return subject

        try:
            await asyncio.to_thread(center.start)
            desk, _ = await desks.open(center, "mina")
            assert await next_subject(desk) == "읽지 않은 메일"
            await send("하나")
            assert await next_subject(desk) == "하나"

            cable.cut()
            await send("둘")
            assert await next_subject(desk) == "둘"

            await desks.close()
            await asyncio.to_thread(center.kill)
            await send("셋")
            eventually(lambda: len(post.raws(MINA)) == 5, "the mail sent meanwhile is there")
            with post.box(MINA) as box:
                box.flag(box.uids(), "\\Seen", False)  # as a person does who wants to look at mails again
            await asyncio.to_thread(center.start)
            desk, _ = await desks.open(center, "mina")
            assert await next_subject(desk) == "셋"
            await send("넷")
            assert await next_subject(desk) == "넷"
            assert len(await asyncio.to_thread(contacts, center, customers.pop())) == 5
            assert not customers
        finally:
            await asyncio.to_thread(center.stop)


BACKLOG = int(os.environ.get("NARU_TEST_BACKLOG", "200"))
"""A long-used mailbox may have 5,000: those take minutes, and fewer show the same."""


async def test_what_lay_in_a_mailbox_hurries_nobody(
    mail_servers: MailServers, post: Post, desks: Desks, tmp_path: Path
) -> None:
    """Unread mails of the time before are taken in, behind whatever comes now, and a new mail is a contact at once."""
    with post.box(MINA) as box:
        for number in range(BACKLOG):
            box.append(written(f"old {number}", f"Old {number}", f"c{number}@customer.test", MINA).as_bytes(), "INBOX")
    with made(mail_servers, mail_servers.imap_port, tmp_path, MINA) as center:

        def arrived() -> int:
            count: int = center.request("GET", "/v1/live").json()["queues"][0]["arrived_today"]
            return count

        eventually(arrived, "the first is taken in")
        began = time.perf_counter()
        await post.send(written("new", "New", "new@customer.test"), sender="new@customer.test", to=MINA)
        taken = eventually(lambda: _taken(center, "new@customer.test"), "the new mail is a contact")
        took_s = time.perf_counter() - began
        for _ in range(100 + BACKLOG):
            if (taken := arrived()) > BACKLOG:
                break
            await asyncio.sleep(0.2)
        assert taken == BACKLOG + 1, "none lost, none twice"
        print(f"a new mail beside {BACKLOG} old ones was a contact after {took_s:.2f} s")
        desk, _ = await desks.open(center, "jun")
        offer = await accepted(desk)
        assert offer["customer"]["address"] == "new@customer.test", (
            "what comes now goes before what had been lying there"
        )


def _taken(center: Center, address: str) -> bool:
    """Whether history knows somebody who wrote from this address."""
    id_ = customer_id(Identity(scope="email", kind="email", value=address))
    return center.request("GET", f"/v1/customers/{id_}").status_code == 200

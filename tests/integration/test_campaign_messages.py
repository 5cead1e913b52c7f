"""Campaigns that write instead of calling: texts over a carrier, mails over a real postfix and dovecot.

The work is handed to an agent as a conversation that nobody has begun yet; what is written reaches the person, the answer
comes back into it, and the ledger has a row for each.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from imap_tools import MailBoxUnencrypted

from naru.demo.carrier import Carrier
from support.carrier import TOKEN, Rest, _served, carrier_of, until
from support.center import AgentDesk, Center, free_port
from support.mail import MailServers
from support.outreach import ACCOUNT, OURS, phone_of, sheet_of, zone_now

pytestmark = pytest.mark.mail
SHOP, MINA = "help@shop.test", "mina.kim@customer.test"
SCRIPT = "Your plan ends this month. May we renew it?"
PEOPLE = 4

CONFIG = """\
version: 1
name: Outreach
timezone: America/New_York
brands:
- {{id: shop, name: Shop, default_queue: out, languages: [en]}}
channels:
- id: sms
  name: SMS
  brand: shop
  provider: twilio_sms
  kind: sms
  settings: {{account_sid: {account}, number: '{ours}', api_url: '{api}'}}
  secrets: {{auth_token: 'env:NARU_SECRET_CARRIER'}}
- id: mail
  name: Mail
  brand: shop
  provider: email
  kind: email
  settings: {{address: {shop}, imap_host: {host}, imap_port: {imap_port}, imap_tls: false, smtp_host: {host},
    smtp_port: {smtp_port}, smtp_tls: none, smtp_auth: false}}
  secrets: {{password: 'env:NARU_SECRET_MAIL'}}
queues:
- {{id: out, name: Outbound, wrap_up_s: 0, auto_accept: true, dispositions: [renewed, do_not_call]}}
agents:
- {{id: owner, name: Owner, role: owner}}
- {{id: jun, name: Jun, brands: [shop], mode: outbound, at_once: 1}}
campaigns:
- {{id: texts, name: Texts, channel: sms, queue: out, mode: direct, purpose: service, script: '{script}',
    refusals: [do_not_call]}}
- {{id: mails, name: Mails, channel: mail, queue: out, mode: direct, purpose: service, script: '{script}'}}
"""


@dataclass
class Place:
    center: Center
    carrier: Carrier
    desk: AgentDesk
    seen: set[str] = field(default_factory=set)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await asyncio.to_thread(self.center.request, method, path, **more)
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        return answer.json()

    async def begins(self, campaign: str, body: bytes) -> None:
        made = await self.ask(
            "POST",
            f"/v1/campaigns/{campaign}/lists",
            files={"file": ("people.csv", body)},
            params={"country": "US"},
        )
        path = f"/v1/campaigns/{campaign}/lists/{made['list']}"
        found = await until(lambda: self.ask("GET", path), lambda found: found["state"] != "running", 30)
        assert found["state"] == "done", found
        await self.ask("POST", f"/v1/campaigns/{campaign}/start")

    async def does(self, command: str, **args: Any) -> None:
        answer = await self.desk.do(command, **args)
        assert answer["status"] < 300, (command, answer)

    async def work(self) -> dict[str, Any]:
        """What is handed out next, with what is to be said."""
        while (contact := (await self.desk.next("contact"))["contact"])["id"] in self.seen:
            pass  # news of one that is being worked on
        self.seen.add(contact["id"])
        assert contact["script"] == SCRIPT and contact["direction"] == "outbound"
        return dict(contact)

    async def rows(self, campaign: str, count: int) -> list[dict[str, Any]]:
        """The ledger, once so many attempts have ended."""
        path = f"/v1/campaigns/{campaign}/attempts?limit=200"

        def ended(found: dict[str, Any]) -> bool:
            return sum(row["outcome"] not in (None, "dropped") for row in found["items"]) >= count

        found = await until(lambda: self.ask("GET", path), ended, 30)
        return [row for row in found["items"] if row["outcome"] != "dropped"]


@pytest.fixture
async def place(tmp_path: Path, mail_servers: MailServers) -> AsyncIterator[Place]:
    port = free_port()

    carrier = carrier_of(ACCOUNT, 20)
    config = CONFIG.format(
        account=ACCOUNT,
        ours=OURS,
        api=f"http://127.0.0.1:{port}",
        shop=SHOP,
        host=mail_servers.host,
        imap_port=mail_servers.imap_port,
        smtp_port=mail_servers.smtp_port,
        script=SCRIPT,
    )
    env = {"NARU_SECRET_CARRIER": TOKEN, "NARU_SECRET_MAIL": mail_servers.password}
    for user in (SHOP, MINA):
        with box_of(mail_servers, user) as box:
            box.delete(box.uids())
    async with _served(Rest(carrier.app), port):
        center = await asyncio.to_thread(Center, tmp_path / "data", config, env=env)
        with center:
            desk = await AgentDesk.open(center, await asyncio.to_thread(center.agent_key, "jun"))
            assert (await desk.do("status", presence="available"))["status"] == 200
            yield Place(center, carrier, desk)
            await desk.close()
        await carrier.close()


def box_of(servers: MailServers, user: str) -> MailBoxUnencrypted:
    box = MailBoxUnencrypted(servers.host, servers.imap_port, timeout=30)
    box.login(user, servers.password)
    return box


async def test_texts_are_handed_out_written_and_answered(place: Place) -> None:
    numbers = [phone_of(n) for n in range(PEOPLE)]
    await place.ask("POST", "/v1/do-not-call", json={"value": numbers[1]})
    await place.begins("texts", sheet_of(numbers))
    for turn in range(PEOPLE - 1):
        contact = await place.work()
        await place.does("message", contact=contact["id"], text=f"{SCRIPT} ({turn})")
        disposition = "do_not_call" if turn == 0 else "renewed"
        await place.does("complete", contact=contact["id"], disposition=disposition)
    rows = await place.rows("texts", PEOPLE - 1)
    assert sorted(row["value"] for row in rows) == sorted(number for number in numbers if number != numbers[1])
    assert {row["outcome"] for row in rows} == {"handled"}

    def sent() -> list[tuple[str, str]]:
        return [(m.to, m.body) for m in place.carrier.messages.values() if m.direction == "outbound-api"]

    await place.carrier.until(lambda: len(sent()) == PEOPLE - 1, 30)
    assert sorted(to for to, _ in sent()) == sorted(row["value"] for row in rows)
    refused = next(row["value"] for row in rows if row["disposition"] == "do_not_call")
    listed = {row["value"] for row in (await place.ask("GET", "/v1/do-not-call"))["items"]}
    assert listed == {numbers[1], refused}


async def test_a_mail_is_written_and_its_answer_comes_back_to_whoever_wrote_it(
    place: Place, mail_servers: MailServers
) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["email", "name", "timezone", "consent"], [MINA, "Mina", zone_now(), "express"]])
    await place.begins("mails", out.getvalue().encode())
    contact = await place.work()
    await place.does("message", contact=contact["id"], text=SCRIPT, subject="Your plan")
    mail = await until(lambda: asyncio.to_thread(only_mail, mail_servers, MINA), bool, 30)
    assert (mail["to"], mail["subject"], SCRIPT in mail["text"]) == ((MINA,), "Your plan", True)

    answer = EmailMessage()
    answer["From"], answer["To"], answer["Subject"] = MINA, SHOP, "Re: Your plan"
    answer["In-Reply-To"] = answer["References"] = mail["id"]
    answer.set_content("Yes, please.")
    async with aiosmtplib.SMTP(hostname=mail_servers.host, port=mail_servers.smtp_port) as client:
        await client.sendmail(MINA, [SHOP], answer.as_bytes())
    while (said := (await place.desk.next("message", timeout_s=30))["message"])["author"] != "customer":
        pass  # our own
    assert "Yes, please." in said["parts"][0]["text"]
    await place.does("complete", contact=contact["id"], disposition="renewed")
    (row,) = await place.rows("mails", 1)
    assert (row["value"], row["outcome"], row["disposition"]) == (MINA, "handled", "renewed")


def only_mail(servers: MailServers, user: str) -> dict[str, Any]:
    with box_of(servers, user) as box:
        found = list(box.fetch())
    if not found:
        return {}
    (mail,) = found
    return {"to": mail.to, "subject": mail.subject, "text": mail.text, "id": mail.headers["message-id"][0]}

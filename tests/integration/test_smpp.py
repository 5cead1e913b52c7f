"""Texts through a real center and a real SMSC (npm's `smpp`), while lines go down, programs are killed and receipts are
late: none is lost, none is doubled, and what nobody can know is shown as uncertain."""

import asyncio
import collections
import contextlib
import itertools
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from router.model import Thread, conversation_id
from support.carrier import until
from support.center import AgentDesk, Center
from support.smsc import PASSWORD, Smsc

HELLO = "안녕하세요, 배송이 궁금해요"
ANSWER = "네, 오늘 도착합니다 😀"
LONG = "".join(f"{n}번째 줄입니다. 끝까지 잘 왔나요? 😀 " for n in range(9))
LONG_S = 300.0
MESSAGES = int(os.environ.get("NARU_TEST_SMPP", "300"))
"""Each way. A thousand take minutes and show the same; so many were run when it was made."""
"""The most that a step of the long test may take, on a machine that does other things too."""
PLAIN = """\
version: 1
name: SMS center
brands:
- {id: shop, name: Shop, default_queue: care, languages: [ko, en]}
queues:
- {id: care, name: Care, wrap_up_s: 0}
agents:
- {id: owner, name: Owner, role: owner}
- {id: mina, name: Mina, brands: [shop], mode: blended, units: 1000, maximum: {sms: 50}}
"""
CHANNEL = """\
channels:
- id: sms
  name: SMS
  brand: shop
  provider: smpp
  kind: sms
  settings: {settings}
  secrets: {{password: 'env:{secret}'}}
"""
SECRETS = {"NARU_SECRET_SMSC": PASSWORD, "NARU_SECRET_OTHER": "guessed"}


def _config(port: int, settings: dict[str, Any], secret: str = "NARU_SECRET_SMSC") -> str:
    said = {"host": "127.0.0.1", "port": port, "system_id": "naru", "number": "15880000", "enquire_link_s": 5}
    return PLAIN + CHANNEL.format(settings=json.dumps({**said, **settings}), secret=secret)


@pytest.fixture(scope="module")
def center() -> Iterator[Center]:
    """One for all tests here: each connects its channel to an SMSC of its own, and has customers of its own.

    In memory where that can be: programs are killed here, but no power fails, and disks that others use are slow.
    """
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        Center(Path(folder) / "data", PLAIN, SECRETS) as center,
    ):
        yield center


def _apply(center: Center, config: str) -> None:
    answer = center.request("PUT", "/v1/config", content=config.encode())
    assert answer.status_code == 200, answer.text


class Shop:
    """A center whose texts go over this SMSC, and mina who answers them."""

    def __init__(self, center: Center, smsc: Smsc, client: httpx2.AsyncClient, n: int) -> None:
        self.center = center
        self.smsc = smsc
        self.client = client
        self.key = center.agent_key("mina")
        self.desk: AgentDesk | None = None
        self.contacts: dict[str, str] = {}
        self.customers = [f"8210{n:04d}{m:04d}" for m in range(10)]

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.client.request(method, self.center.url + path, headers=headers, **more)

    async def arrive(self) -> None:
        if self.desk is not None:
            await self.desk.close()
        self.desk = await AgentDesk.open(self.center, self.key)
        await self.desk.do("status", presence="available")

    async def accept(self, number: int = 1) -> None:
        """So many customers who wait."""
        assert self.desk is not None
        for _ in range(number):
            offer = await self._offer()
            answer = await self.ask("POST", f"/v1/offers/{offer['id']}/accept")
            assert answer.status_code == 200, answer.text
            self.contacts[offer["customer"]["address"]] = offer["contact"]

    async def _offer(self) -> dict[str, Any]:
        """The next offer; one that was made before mina sat down stands in the first frame."""
        assert self.desk is not None
        known = set(self.contacts.values())
        for frame in self.desk.seen:
            for offer in frame.get("offers", ()) if frame["type"] == "view" else ():
                if offer["contact"] not in known:
                    return dict(offer)
        return dict((await self.desk.next("offer", 30))["offer"])

    async def say(self, customer: str, text: str) -> None:
        contact = self.contacts[f"+{customer}"]
        answer = await self.ask("POST", f"/v1/contacts/{contact}/messages", json={"text": text})
        assert answer.status_code == 200, answer.text

    async def said(self, customer: str) -> list[dict[str, Any]]:
        path = f"/v1/conversations/{conversation_id('sms', Thread(external=f'+{customer}'))}/messages"
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = (await self.ask("GET", f"{path}?after={after}&limit=200")).json()
            if "items" not in page:
                return []
            found += page["items"]
            after = page["next"]
        return found

    async def texts(self, customer: str, author: str) -> list[str]:
        return [one["parts"][0]["text"] for one in await self.said(customer) if one["author"] == author]

    async def last(self, customer: str, **fields: Any) -> dict[str, Any]:
        """The last message of a conversation, once its fields are so."""

        def so(found: list[dict[str, Any]]) -> bool:
            return bool(found) and fields.items() <= {name: found[-1].get(name) for name in fields}.items()

        return (await until(lambda: self.said(customer), so, 30))[-1]


_tests = itertools.count(1)


@contextlib.asynccontextmanager
async def open_shop(
    center: Center, program: Path, settings: dict[str, Any] | None = None, **smsc: Any
) -> AsyncIterator[Shop]:
    async with Smsc(program, **smsc) as peer, httpx2.AsyncClient(timeout=20, trust_env=False) as client:
        shop = Shop(center, peer, client, next(_tests))
        try:
            await shop.arrive()
            await asyncio.to_thread(_apply, center, _config(peer.port, settings or {}))
            await peer.until(lambda: peer.count("bind") > 0)
            yield shop
        except BaseException:
            print(center.log_tail())
            print(peer.events[-8:], shop.desk.seen if shop.desk else None)
            raise
        finally:
            if shop.desk is not None:
                await shop.desk.close()


async def _talking(shop: Shop) -> None:
    """The first customer has written and mina has accepted."""
    shop.smsc.deliver("hello", shop.customers[0], HELLO)
    await shop.accept()


async def test_a_text_is_answered_and_its_receipt_overtakes_the_response(center: Center, smsc_program: Path) -> None:
    """Responses in hexadecimal, receipts in decimal; every receipt is there before its message has a name."""
    async with open_shop(center, smsc_program, {"receipt_ids": "dec_to_hex"}, ids="hex", receipts="early") as shop:
        await _talking(shop)
        assert [one["status"] for one in shop.smsc.of("answered", key="hello")] == [0]
        await shop.say(shop.customers[0], ANSWER)
        await shop.last(shop.customers[0], status="delivered")
        (submit,) = shop.smsc.of("submit")
        assert (submit["from"], submit["to"], submit["text"]) == ("15880000", shop.customers[0], ANSWER)
        assert (submit["coding"], submit["wants"]) == (8, 1)
        await shop.say(shop.customers[0], "OK {5€}")
        await shop.last(shop.customers[0], status="delivered")
        assert [(one["coding"], one["text"]) for one in shop.smsc.of("submit")][1] == (0, "OK {5€}")


@pytest.mark.parametrize("long", ["parts", "payload"])
async def test_long_texts_go_both_ways(center: Center, smsc_program: Path, long: str) -> None:
    async with open_shop(center, smsc_program, {"long": long}, receipts="tlv") as shop:
        for number, piece in sorted(_pieces(LONG), reverse=True):
            shop.smsc.deliver_raw(f"p{number}", shop.customers[0], piece, esm_class=0x40, data_coding=8)
        await shop.accept()
        assert await shop.texts(shop.customers[0], "customer") == [LONG]
        await shop.say(shop.customers[0], LONG)
        await shop.last(shop.customers[0], status="delivered")
        submits = shop.smsc.of("submit")
        assert "".join(one["text"] for one in submits) == LONG
        if long == "payload":
            assert [one["payload"] for one in submits] == [True]
        else:
            heads = [one["udh"][0] for one in submits]
            assert len(heads) > 2 and len({head[:8] for head in heads}) == 1
            assert [head[8:] for head in heads] == [f"{n:02x}" for n in range(1, len(heads) + 1)]


def _pieces(text: str, reference: int = 7) -> list[tuple[int, bytes]]:
    """As a phone cuts it: by bytes, in the middle of a letter too. (number, header and text)"""
    raw = text.encode("utf-16-be")
    pieces = [raw[at : at + 134] for at in range(0, len(raw), 134)]
    return [(n, bytes((5, 0, 3, reference, len(pieces), n)) + piece) for n, piece in enumerate(pieces, 1)]


async def test_what_was_sent_and_not_answered_is_uncertain_and_never_repeated(
    center: Center, smsc_program: Path
) -> None:
    """The line goes down between submit and response, and then the center itself does."""
    async with open_shop(center, smsc_program) as shop:
        await _talking(shop)
        shop.smsc.fault("drop_submit")
        await shop.say(shop.customers[0], "first")
        found = await shop.last(shop.customers[0], status="uncertain")
        assert found["detail"].startswith("the connection went down before the answer")

        await shop.smsc.until(lambda: shop.smsc.events[-1]["event"] == "bind")
        shop.smsc.fault("hold")
        await shop.say(shop.customers[0], "second")
        await shop.smsc.until(lambda: shop.smsc.count("held") == 1)
        await asyncio.to_thread(shop.center.kill)
        await asyncio.to_thread(shop.center.start)
        await shop.last(shop.customers[0], status="uncertain")

        await shop.arrive()
        await shop.say(shop.customers[0], "third")
        await shop.last(shop.customers[0], status="sent")
        assert [one["text"] for one in shop.smsc.of("submit")] == ["first", "second", "third"]


async def test_parts_that_were_acknowledged_outlive_the_center(center: Center, smsc_program: Path) -> None:
    async with open_shop(center, smsc_program) as shop:
        *early, (last, piece) = _pieces(LONG)
        for number, raw in early:
            shop.smsc.deliver_raw(f"p{number}", shop.customers[0], raw, esm_class=0x40, data_coding=8)
        await shop.smsc.until(lambda: shop.smsc.undelivered == 0)
        await asyncio.to_thread(shop.center.kill)
        await asyncio.to_thread(shop.center.start)
        shop.smsc.deliver_raw(f"p{last}", shop.customers[0], piece, esm_class=0x40, data_coding=8)
        await shop.arrive()
        await shop.accept()
        assert await shop.texts(shop.customers[0], "customer") == [LONG]


async def test_a_text_said_again_is_another_and_one_delivered_again_is_not(center: Center, smsc_program: Path) -> None:
    """The same bytes: while the line holds, after it, and after the center was killed before its answer was proven."""
    async with open_shop(center, smsc_program) as shop:
        await _talking(shop)
        shop.smsc.deliver("yes-1", shop.customers[0], "네")
        shop.smsc.deliver("yes-2", shop.customers[0], "네")
        await shop.smsc.until(lambda: shop.smsc.undelivered == 0)
        enquired = shop.smsc.count("enquired")
        await shop.smsc.until(lambda: shop.smsc.count("enquired") > enquired)
        await shop.smsc.reached()

        shop.smsc.drop()
        shop.smsc.deliver("yes-3", shop.customers[0], "네")
        await shop.smsc.until(lambda: shop.smsc.undelivered == 0)

        shop.smsc.fault("drop_deliver")
        shop.smsc.deliver("yes-4", shop.customers[0], "네, 그래요")
        await shop.smsc.until(lambda: shop.smsc.count("unheard") == 1)
        await asyncio.to_thread(shop.center.kill)
        await asyncio.to_thread(shop.center.start)
        await shop.smsc.until(lambda: shop.smsc.undelivered == 0)
        shop.smsc.deliver("end", shop.customers[0], "끝")
        found = await until(lambda: shop.texts(shop.customers[0], "customer"), lambda found: found[-1:] == ["끝"])
        assert found == [HELLO, "네", "네", "네", "네, 그래요", "끝"]


async def test_a_wrong_password_is_told(center: Center, smsc_program: Path) -> None:
    async with Smsc(smsc_program) as smsc:
        await asyncio.to_thread(_apply, center, _config(smsc.port, {}, "NARU_SECRET_OTHER"))
        await smsc.until(lambda: smsc.count("bind") > 0)

        async def told() -> bool:
            return "bind refused: ESME_RINVPASWD" in center.log_tail()

        await until(told, bool)
        assert {one["good"] for one in smsc.of("bind")} == {False}


@pytest.mark.slow
async def test_many_each_way_while_everything_fails(
    center: Center, smsc_program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten customers and mina write to each other, MESSAGES each way. Meanwhile the line goes down with a submit
    unanswered and with answers unheard, the SMSC is killed and comes back, and refuses what is too much; all receipts
    come when everything else is over, each twice."""
    began = time.perf_counter()
    each = MESSAGES // 10
    async with open_shop(center, smsc_program) as shop:
        smsc = shop.smsc
        sent: dict[str, list[str]] = {customer: [HELLO] for customer in shop.customers}
        for customer in shop.customers:
            smsc.deliver(f"{customer}-0", customer, HELLO)
        await shop.accept(len(shop.customers))

        async def customers() -> None:
            smsc.fault("drop_deliver", MESSAGES * 3 // 10)
            for n in range(1, each - 2):
                for customer in shop.customers:
                    key = f"{customer}-{n}"
                    if n % 25 == 0:
                        sent[customer].append(f"{key} {LONG}")
                        for number, raw in reversed(_pieces(sent[customer][-1], n)):
                            smsc.deliver_raw(f"{key}-{number}", customer, raw, esm_class=0x40, data_coding=8)
                        continue
                    sent[customer].append(f"{key} 문의드려요")
                    smsc.deliver(key, customer, sent[customer][-1])

        async def mina() -> None:
            for n in range(each):
                text = [f"답변 {n} for {customer}" for customer in shop.customers]
                await asyncio.gather(*(shop.say(*one) for one in zip(shop.customers, text, strict=True)))

        async def faults() -> None:
            await smsc.until(lambda: smsc.count("submit") >= MESSAGES * 2 // 10, LONG_S)
            smsc.fault("drop_submit")
            await smsc.until(lambda: smsc.count("submit") >= MESSAGES * 4 // 10, LONG_S)
            await smsc.restart()
            await smsc.until(lambda: smsc.count("submit") >= MESSAGES * 6 // 10, LONG_S)
            smsc.fault("throttle", 4)
            await smsc.until(lambda: smsc.count("submit") >= MESSAGES * 7 // 10, LONG_S)
            smsc.drop()

        await asyncio.gather(customers(), mina(), faults())
        await smsc.until(lambda: smsc.undelivered == 0, LONG_S)
        # The same words twice are two messages on a line that holds. Across one that broke before our answers were proven to
        # have been heard nobody could tell the second from the first, come again: so nobody says them in the storm.
        for n in (each - 2, each - 1):
            for customer in shop.customers:
                sent[customer].append("네")
                smsc.deliver(f"{customer}-{n}", customer, "네")
        await smsc.until(lambda: smsc.undelivered == 0, LONG_S)

        async def open_ends() -> int:
            found = [one for customer in shop.customers for one in await shop.said(customer)]
            mine = [one for one in found if one["author"] == "agent"]
            return 2 * each * len(shop.customers) - len(found) + sum(one["status"] == "pending" for one in mine)

        await until(open_ends, lambda count: count <= 0, LONG_S)
        for submit in smsc.of("submit"):
            smsc.receipt(submit)
        await smsc.until(lambda: smsc.undelivered == 0, LONG_S)
        for submit in smsc.of("submit"):
            smsc.receipt(submit)
        await smsc.until(lambda: smsc.undelivered == 0, LONG_S)

        async def undelivered() -> int:
            found = [one for customer in shop.customers for one in await shop.said(customer)]
            return sum(one.get("status") == "sent" for one in found)

        await until(undelivered, lambda count: count == 0, LONG_S)

        at_smsc = collections.Counter(one["text"] for one in smsc.of("submit"))
        states: collections.Counter[str] = collections.Counter()
        for customer in shop.customers:
            said = await shop.said(customer)
            came = [one["parts"][0]["text"] for one in said if one["author"] == "customer"]
            assert collections.Counter(came) == collections.Counter(sent[customer])
            mine = {one["parts"][0]["text"]: one["status"] for one in said if one["author"] == "agent"}
            assert len(mine) == each
            states.update(mine.values())
            for text, status in mine.items():
                assert at_smsc[text] == 1 or (status == "uncertain" and at_smsc[text] == 0), (text, status)
        assert set(states) <= {"delivered", "uncertain"} and states["uncertain"] <= 4 * 3
        assert sum(at_smsc.values()) == len(at_smsc)
        receipts = len([one for one in smsc.of("answered", status=0) if one["key"].startswith("r-")])
        later = len([one for one in smsc.of("answered") if one["status"]])
        with capsys.disabled():
            print(
                f"\nSMPP: {sum(map(len, sent.values()))} in and {sum(states.values())} out in "
                f"{time.perf_counter() - began:.1f} s; binds {smsc.count('bind')}, refused as too much "
                f"{smsc.count('throttled')}, told to come again {later}, answers unheard {smsc.count('unheard')}, "
                f"receipts {receipts} (each twice), out: {dict(states)}; lost 0, doubled 0"
            )

"""The page of the campaigns, and a campaign's contact at the desk, in a real browser over a real center and a carrier."""

import asyncio
import contextlib
import csv
import io
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from naru.demo.carrier import Carrier
from support.carrier import TOKEN, Rest, _served, carrier_of
from support.center import AgentDesk, Center, free_port
from support.outreach import agent_phone, phone_of, sheet_of
from support.pages import WAIT_MS, at, available, picture, sign_in_by, unexpected

pytestmark = pytest.mark.browser

PEOPLE, AGENTS = 35, 4
ACCOUNT = f"AC{8:032d}"
SPEED = 15
SCRIPT = "Hello, this is Shop.\\nAsk for the delivery date, then offer plan B."
DEEDS: tuple[dict[str, Any], ...] = (
    {"answer_after_s": 4, "hang_up_after_s": 40},
    {"answer_after_s": None, "busy": True},
    {"answer_after_s": 6, "hang_up_after_s": 60},
    {"answer_after_s": None},
    {"answer_after_s": 5, "hang_up_after_s": 50},
)
"""What people's telephones do, one after the other: most of them talk."""


def config(carrier: str) -> str:
    people = "\n".join(
        f"- {{id: a{n}, name: Agent {n}, brands: [shop], mode: outbound, phone: '{agent_phone(n)}', "
        f"email: a{n}@shop.test, skills: {{{'look' if n == AGENTS else 'ring'}: 5}}}}"
        for n in range(AGENTS + 1)
    )
    return f"""\
version: 1
name: Outreach
timezone: America/New_York
brands:
- {{id: shop, name: 가게 Shop, default_queue: out, languages: [ko, en]}}
channels:
- id: phone
  name: Phone
  brand: shop
  provider: twilio_voice
  kind: voice
  settings: {{account_sid: {ACCOUNT}, number: '+12127360000', api_url: '{carrier}', language: en}}
  secrets: {{auth_token: 'env:NARU_SECRET_CARRIER'}}
skills:
- {{id: look, name: Looking}}
- {{id: ring, name: Ringing}}
queues:
- {{id: out, name: Outbound, wrap_up_s: 1, requires: [{{skill: ring, level: 1}}], dispositions: [sold, do_not_call]}}
- {{id: looked, name: Looked at, wrap_up_s: 60, offer_timeout_s: 120, requires: [{{skill: look, level: 1}}],
   dispositions: [sold, do_not_call]}}
agents:
- {{id: owner, name: Owner, role: owner, email: owner@shop.test}}
- {{id: sue, name: Sue, role: supervisor, email: sue@shop.test}}
{people}
campaigns:
- {{id: renewals, name: 가을 갱신 Renewals, channel: phone, queue: out, mode: predictive, ring_s: 15, most_attempts: 1,
   purpose: service, ceiling: 0.1}}
- {{id: looking, name: VIP, channel: phone, queue: looked, mode: preview, purpose: service, script: "{SCRIPT}"}}
"""


@dataclass(frozen=True)
class Place:
    center: Center
    port: int


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A center of the test's own: another carrier would begin its calls' names anew."""
    port = free_port()
    with Center(tmp_path / "data", config(f"http://127.0.0.1:{port}"), {"NARU_SECRET_CARRIER": TOKEN}) as center:
        yield Place(center, port)


@contextlib.asynccontextmanager
async def telephones(place: Place) -> AsyncIterator[Carrier]:
    """The carrier, with everybody's telephone. Agents pick up at once."""

    carrier = carrier_of(ACCOUNT, SPEED)
    for n in range(PEOPLE):
        carrier.phone(phone_of(n), **DEEDS[n % len(DEEDS)])
    for n in range(AGENTS + 1):
        carrier.phone(agent_phone(n), answer_after_s=0.1)
    async with _served(Rest(carrier.app), place.port):
        try:
            yield carrier
        finally:
            await carrier.close()


@contextlib.asynccontextmanager
async def seated(center: Center) -> AsyncIterator[None]:
    """Agents who are available, and whose desks answer when they are asked whether they are there."""
    desks: list[AgentDesk] = []
    for n in range(AGENTS):
        key = await asyncio.to_thread(center.agent_key, f"a{n}")
        desks.append(await AgentDesk.open(center, key))
        await desks[-1].do("status", presence="available")
    there = [asyncio.create_task(desk.next("none", timeout_s=600)) for desk in desks]
    try:
        yield
    finally:
        for task in there:
            task.cancel()
        await asyncio.gather(*there, return_exceptions=True)
        for desk in desks:
            await desk.do("status", presence="offline")
            await desk.close()


@dataclass
class Pages:
    """Pages of people of their own; what their consoles say is kept."""

    browser: Browser
    center: Center
    wrong: list[str] = field(default_factory=list)

    async def open(self, agent: str, path: str, locale: str = "ko-KR") -> Page:
        context = await self.browser.new_context(locale=locale, viewport={"width": 1440, "height": 1000})
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        invited = await asyncio.to_thread(self.center.request, "POST", "/v1/invites", json={"agent": agent})
        await sign_in_by(page, invited.json()["link"].replace("/desk#", f"{path}#"))
        return page

    def assert_silent(self, *expected: str) -> None:
        assert unexpected(self.wrong, expected) == []


async def import_list(page: Page, name: str, body: bytes, skip: bool = False) -> Locator:
    """Send it, and the row that tells of it."""
    before = await at(page, "list-row").count()
    await at(page, "import-file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": body})
    await at(page, "import-country").fill("us")
    if skip:
        await at(page, "import-skip").check()
    await at(page, "import-submit").click()
    await expect(at(page, "list-row")).to_have_count(before + 1, timeout=WAIT_MS)
    row = at(page, "list-row").first
    await expect(row).not_to_have_attribute("data-state", "running", timeout=WAIT_MS)
    return row


async def test_a_list_is_imported_a_campaign_started_watched_and_stopped(browser: Browser, place: Place) -> None:
    pages, center = Pages(browser, place.center), place.center
    page = await pages.open("owner", "/campaigns")
    campaign = at(page, "campaign-renewals")
    await expect(campaign).to_have_attribute("data-state", "stopped", timeout=WAIT_MS)
    await at(campaign, "campaign-choose").click()
    await expect(at(page, "campaign")).to_have_attribute("data-campaign", "renewals", timeout=WAIT_MS)

    # a row that is none refuses the list, or is left out
    numbers = [phone_of(n) for n in range(PEOPLE)]
    body = sheet_of([*numbers[:7], "12", *numbers[7:]])
    refused = await import_list(page, "autumn.csv", body)
    await expect(refused).to_have_attribute("data-state", "refused")
    await expect(at(refused, "list-fault")).to_contain_text("row 9", timeout=WAIT_MS)
    taken = await import_list(page, "autumn.csv", body, skip=True)
    await expect(taken).to_have_attribute("data-state", "done")
    await expect(at(page, "progress")).to_have_attribute("data-all", str(PEOPLE), timeout=WAIT_MS)

    # somebody wants no calls
    await at(page, "refused-value").fill("(646) 555-0000")
    await at(page, "refused-country").fill("us")
    await at(page, "refused-submit").click()
    row = page.locator(f'[data-test="refused-row"][data-value="{phone_of(0)}"]')
    await expect(row).to_be_visible(timeout=WAIT_MS)
    await expect(at(page, "people-done-listed")).to_be_visible(timeout=WAIT_MS)

    async with telephones(place) as carrier, seated(center):
        await at(campaign, "campaign-start").click()
        await expect(campaign).not_to_have_attribute("data-state", "stopped", timeout=WAIT_MS)
        await expect(at(page, "limited")).to_have_attribute(
            "data-by", re.compile("mode|agents|ceiling"), timeout=WAIT_MS
        )
        await expect(at(page, "ledger-row").nth(15)).to_be_visible(timeout=WAIT_MS)
        await page.wait_for_function(
            "Number(document.querySelector('[data-test=charts]')?.dataset.samples) > 4", timeout=WAIT_MS
        )
        await page.evaluate("scrollTo(0, 0)")
        await picture(page, "campaigns")
        await expect(at(page, "progress")).to_have_attribute("data-done", str(PEOPLE), timeout=3 * WAIT_MS)
        await expect(campaign).to_have_attribute("data-state", "rests", timeout=WAIT_MS)
        rung = {call.to for call in carrier.calls.values() if call.direction != "inbound"}
        assert set(numbers) - rung == {phone_of(0)}
        await at(campaign, "campaign-stop").click()
        await expect(campaign).to_have_attribute("data-state", "stopped", timeout=WAIT_MS)

    # the whole ledger as a file, each number once, what was checked as JSON
    async with page.expect_download() as loading:
        await at(page, "ledger-csv").click()
    download = await loading.value
    assert download.suggested_filename == "renewals-attempts.csv"
    rows = list(csv.DictReader(io.StringIO(Path(await download.path()).read_text(encoding="utf-8"))))
    dialled = [row["value"].removeprefix("'") for row in rows if row["outcome"] not in ("dropped", "stale")]
    assert sorted(dialled) == sorted(numbers[1:])
    newest = center.request("GET", "/v1/campaigns/renewals/attempts?newest=true&limit=3").json()["items"]
    assert [row["id"] for row in newest] == [row["id"] for row in reversed(rows[-3:])]

    await at(row, "refused-remove").click()
    await expect(row).to_have_count(0, timeout=WAIT_MS)
    await page.locator('[data-test="language"]').select_option("en")
    await picture(page, "campaigns-after")
    pages.assert_silent()


async def test_a_supervisor_imports_nothing_and_an_agent_does_not_come_in(browser: Browser, place: Place) -> None:
    pages = Pages(browser, place.center)
    board = await pages.open("sue", "/wallboard")
    await at(board, "to-campaigns").click()
    await expect(at(board, "campaign-looking")).to_be_visible(timeout=WAIT_MS)
    await expect(at(board, "campaign")).to_be_visible(timeout=WAIT_MS)
    await expect(at(board, "import-form")).to_have_count(0)
    await expect(at(board, "refused-form")).to_be_visible()
    pages.assert_silent()
    agent = await pages.open("a0", "/campaigns")
    await expect(at(agent, "login-note")).to_be_visible(timeout=WAIT_MS)
    pages.assert_silent("403")


async def test_a_person_is_looked_at_and_dialled_from_the_desk(browser: Browser, place: Place) -> None:
    pages, center = Pages(browser, place.center), place.center
    body = sheet_of([phone_of(0)])
    answer = center.request(
        "POST", "/v1/campaigns/looking/lists", files={"file": ("vip.csv", body)}, params={"country": "US"}
    )
    assert answer.status_code == 202, answer.text
    async with telephones(place) as carrier:
        desk = await pages.open(f"a{AGENTS}", "/desk", "en-US")
        await available(desk)
        assert center.request("POST", "/v1/campaigns/looking/start").status_code == 200
        offer = at(desk, "offer")
        await expect(at(offer, "offer-preview")).to_contain_text(phone_of(0), timeout=WAIT_MS)
        assert not carrier.calls, "nobody is rung before the agent has looked"
        await picture(desk, "campaign-preview")
        await at(offer, "offer-accept").click()
        await expect(at(desk, "script")).to_contain_text("offer plan B", timeout=WAIT_MS)
        await carrier.until(lambda: any(call.to == phone_of(0) for call in carrier.calls.values()), 20)
        await picture(desk, "campaign-desk")
        await expect(at(desk, "contact-status")).to_have_attribute("data-status", "wrapping", timeout=WAIT_MS)
        await at(desk, "disposition").select_option("do_not_call")
        await at(desk, "complete-confirm").click()
        await expect(at(desk, "conversation")).to_have_count(0, timeout=WAIT_MS)
    center.request("POST", "/v1/campaigns/looking/stop")
    listed = center.request("GET", "/v1/do-not-call").json()["items"]
    assert [(row["value"], row["source"]) for row in listed] == [(phone_of(0), "said so")]
    pages.assert_silent()

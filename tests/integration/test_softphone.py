"""The phone in the desk, in a real browser, against an exchange that checks every message; sound goes both ways over WebRTC.

The same against a real Asterisk is walked by `make asterisk`.
"""

import asyncio
import datetime as dt
import shutil
import zoneinfo
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from playwright.async_api import BrowserContext, Error, Locator, Page, async_playwright, expect

from conftest import CHROMIUM, not_proved
from support.center import Center
from support.pages import WAIT_MS, at, available, picture, sign_in_by, unexpected
from support.softphones import Softphones
from support.voices import FLAGS, Voice, desk_hears, listen, speech

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CALLER_HZ, AGENT_HZ = 440, 700
SIP_PASSWORD = "a phone's own"


def config(url: str, phones_url: str) -> str:
    """Two numbers: `phone` rings with the offer, `later` only when the desk has accepted it."""
    settings = {
        "url": url,
        "agent_endpoint": "PJSIP/{address}",
        "trunk_endpoint": "PJSIP/{address}@trunk",
        "webrtc": {"url": phones_url, "domain": "pbx.test"},
    }
    secrets = {"username": "env:NARU_SECRET_ARI", "password": "env:NARU_SECRET_ARI"}

    def agent(name: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "name": name.title(), "brands": ["shop"], "email": f"{name}@shop.test", **more}

    def softphone(name: str) -> dict[str, Any]:
        return agent(name, phone=name, softphone=f"secret:softphone-{name}")

    queue = {"wrap_up_s": 30, "offer_timeout_s": 60}
    return yaml.safe_dump(
        {
            "version": 1,
            "name": "Softphones",
            "brands": [{"id": "shop", "name": "Shop", "default_queue": "care"}],
            "channels": [
                {
                    "id": "phone",
                    "name": "Phone",
                    "brand": "shop",
                    "provider": "asterisk",
                    "kind": "voice",
                    "settings": settings,
                    "secrets": secrets,
                }
            ],
            "queues": [
                {"id": "care", "name": "Care", **queue},
                {"id": "later", "name": "Later", "leg": "on_accept", **queue},
            ],
            "rules": [
                {"id": "r", "when": {"field": "to", "op": "eq", "value": "15889999"}, "then": {"queue": "later"}}
            ],
            "agents": [
                {"id": "owner", "name": "Owner", "role": "owner", "email": "owner@shop.test"},
                softphone("mina"),
                softphone("sora"),
                agent("jun", phone="1002"),
            ],
        },
        allow_unicode=True,
    )


class Office:
    """A center, its exchange, a caller's voice, and desks that have a microphone."""

    def __init__(self, center: Center, exchange: Softphones, contexts: "Contexts", voice: Voice) -> None:
        self.center, self.exchange, self.contexts, self.voice = center, exchange, contexts, voice
        self.wrong: list[str] = []
        self.expected: list[str] = []

    async def desk(self, agent: str, context: BrowserContext | None = None) -> Page:
        """In a browser of its own, or in another tab of one in which the agent has signed in already."""
        if context is None:
            return await self.desk_in(await self.contexts.new(), agent)
        page = await self._page(context)
        await page.goto(f"{self.center.url}/desk")
        return page

    async def _page(self, context: BrowserContext) -> Page:
        page = await context.new_page()
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        return page

    async def desk_in(self, context: BrowserContext, agent: str) -> Page:
        page = await self._page(context)
        link = self.center.request("POST", "/v1/invites", json={"agent": agent}).json()["link"]
        await sign_in_by(page, link)
        return page

    async def ready(self, agent: str, context: BrowserContext | None = None) -> Page:
        desk = await self.desk(agent, context)
        await phone_is(desk, "registered")
        await expect(at(desk, "softphone")).to_have_attribute("data-mic", "ok", timeout=WAIT_MS)
        await self.exchange.is_registered(agent)
        return desk

    async def talk(self, desk: Page) -> str:
        """A caller and the desk in a talk that both hear: the caller's channel."""
        count = len(self.exchange.dialogs)
        channel = await self.exchange.call()
        await at(desk, "offer-accept").click()
        dialog = await self.exchange.rings(count + 1)
        await self.exchange.is_so(dialog, "up")
        await self.voice.accept(dialog.answer)
        await call_is(desk, "up")
        await expect(at(desk, "contact-status")).to_have_attribute("data-status", "active", timeout=WAIT_MS)
        return channel

    async def wraps_up(self, desk: Page) -> None:
        await expect(at(desk, "contact-status")).to_have_attribute("data-status", "wrapping", timeout=WAIT_MS)
        await expect(at(desk, "phone-call")).to_have_count(0, timeout=WAIT_MS)
        await at(desk, "complete-confirm").click()
        await expect(at(desk, "conversation")).to_have_count(0, timeout=WAIT_MS)

    def assert_well(self) -> None:
        assert (unexpected(self.wrong, self.expected), self.exchange.faults) == ([], [])


class Contexts:
    def __init__(self, browser: Any) -> None:
        self.browser = browser

    async def new(self, microphone: bool = True, state: Any = None) -> BrowserContext:
        granted = ["microphone"] if microphone else []
        context: BrowserContext = await self.browser.new_context(
            locale="ko-KR", viewport={"width": 1280, "height": 800}, permissions=granted, storage_state=state
        )
        context.set_default_timeout(WAIT_MS)
        return context


async def phone_is(desk: Page | Locator, state: str) -> None:
    await expect(at(desk, "softphone")).to_have_attribute("data-state", state, timeout=WAIT_MS)


async def call_is(desk: Page, state: str) -> None:
    await expect(at(desk, "phone-call")).to_have_attribute("data-state", state, timeout=WAIT_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def contexts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Contexts]:
    """A browser whose microphone says a tone."""
    if shutil.which(CHROMIUM) is None:
        not_proved("the phone in the desk", f"{CHROMIUM} (apt package chromium)")
    says = speech(tmp_path_factory.mktemp("voices") / "agent.wav", AGENT_HZ)
    async with async_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={says}"]
        try:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        except Error as error:
            not_proved("the phone in the desk", f"a Chromium that starts: {str(error)[:500]}")
        yield Contexts(browser)
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rooms(
    contexts: Contexts, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Center, Softphones, Voice]]:
    voice = await Voice(await (await contexts.new()).new_page(), CALLER_HZ).ready()
    exchange = await Softphones(dict.fromkeys(("mina", "sora"), SIP_PASSWORD), voice.offer).up()
    folder: Path = tmp_path_factory.mktemp("softphones")
    text, env = config(exchange.url, exchange.phones_url), {"NARU_SECRET_ARI": "naru"}
    center = await asyncio.to_thread(Center, folder / "center", text, env)
    try:
        await asyncio.to_thread(center.start)
        for name in ("mina", "sora"):
            put = center.request("PUT", f"/v1/secrets/softphone-{name}", json={"value": SIP_PASSWORD})
            assert put.status_code == 204, put.text
        yield center, exchange, voice
    finally:
        await asyncio.to_thread(center.stop)
        await exchange.down()


@pytest_asyncio.fixture(loop_scope="module")
async def office(contexts: Contexts, rooms: tuple[Center, Softphones, Voice]) -> AsyncIterator[Office]:
    center, exchange, voice = rooms
    exchange.faults.clear()
    office = Office(center, exchange, contexts, voice)
    yield office
    for context in contexts.browser.contexts:
        if voice.page not in context.pages:
            await context.close()
    exchange.dialogs.clear()


async def test_one_click_takes_a_call_and_both_hear_each_other(office: Office) -> None:
    desk = await office.ready("mina")
    await available(desk)
    await office.talk(desk)
    await listen(desk)
    await desk_hears(desk, CALLER_HZ)
    await office.voice.hears(AGENT_HZ)
    [dialog] = office.exchange.dialogs
    assert dialog.leg in office.exchange.rooms[f"naru-room-{dialog.contact}"]

    await at(desk, "phone-mute").click()
    await office.voice.hears_nothing_of(AGENT_HZ)
    await desk_hears(desk, CALLER_HZ)
    await at(desk, "phone-mute").click()
    await office.voice.hears(AGENT_HZ)

    await at(desk, "phone-keys").click()
    await at(desk, "phone-key-5").click()
    await office.voice.hears(1336)  # of a 5, as the caller's browser plays the key it was told of
    await at(desk, "phone-devices").locator("summary").click()
    await at(desk, "phone-input").select_option(index=1)
    await office.voice.hears(AGENT_HZ)
    await picture(desk, "softphone")

    await at(desk, "phone-hang-up").click()
    await office.exchange.is_so(dialog, "over")
    assert dialog.hung_up_by_phone
    await office.wraps_up(desk)
    office.assert_well()


async def test_answering_before_the_offer_is_seen_and_hanging_up_by_the_customer(office: Office) -> None:
    """Keyboard alone; then the customer is the one who ends it."""
    desk = await office.ready("mina")
    await available(desk)
    channel = await office.exchange.call()
    await expect(at(desk, "offer")).to_have_count(1, timeout=WAIT_MS)
    await desk.keyboard.press("Alt+KeyA")
    await call_is(desk, "up")
    await expect(at(desk, "contact-status")).to_have_attribute("data-status", "active", timeout=WAIT_MS)
    await office.exchange.hang_up(channel)
    await office.exchange.is_so(office.exchange.dialogs[0], "over")
    assert not office.exchange.dialogs[0].hung_up_by_phone
    await office.wraps_up(desk)
    office.assert_well()


async def test_what_the_agent_has_asked_for_is_answered_without_another_click(office: Office) -> None:
    """An own call, and an offer that rings once it is accepted. A phone that somebody has dialled is answered by hand."""
    desk = await office.ready("mina")
    await available(desk)
    await at(desk, "new-contact").click()
    await at(desk, "new-channel").select_option("phone")
    await at(desk, "new-to").fill("+821012345678")
    await at(desk, "new-submit").click()
    await call_is(desk, "up")
    await at(desk, "phone-hang-up").click()
    await office.wraps_up(desk)

    channel = await office.exchange.call("15889999")  # its phone rings when the desk has accepted
    await at(desk, "offer-accept").click()
    await call_is(desk, "up")
    await office.exchange.hang_up(channel)
    await office.wraps_up(desk)

    await office.exchange.dial("mina")
    await call_is(desk, "ringing")
    dialed = await office.exchange.rings(3)
    await asyncio.sleep(1)
    assert dialed.state == "ringing"
    await at(desk, "phone-answer").click()
    await office.exchange.is_so(dialed, "up")
    await at(desk, "phone-hang-up").click()
    await office.exchange.is_so(dialed, "over")
    office.assert_well()


async def test_a_callback_is_ordered_by_the_customers_clock(office: Office) -> None:
    """A country with several clocks must be told apart; what is missing is said in the dialog."""
    desk = await office.ready("mina")
    office.expected.append("422")
    await at(desk, "new-contact").click()
    await at(desk, "new-channel").select_option("phone")
    await at(desk, "new-to").fill("+12125550123")
    day = f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=2):%Y-%m-%d}"  # noqa: TID251 - for a time to come
    await at(desk, "new-at").fill(f"{day}T09:30")
    await at(desk, "new-submit").click()
    await expect(at(desk, "new-wrong")).to_contain_text("America/Chicago", timeout=WAIT_MS)
    await at(desk, "new-timezone").fill("America/Chicago")
    await at(desk, "new-submit").click()
    await expect(at(desk, "new-to")).to_have_count(0, timeout=WAIT_MS)
    answer = await asyncio.to_thread(office.center.request, "GET", "/v1/callbacks")
    (ordered,) = [item for item in answer.json()["items"] if item["callback"]["number"] == "+12125550123"]
    there = dt.datetime.fromisoformat(f"{day}T09:30").replace(tzinfo=zoneinfo.ZoneInfo("America/Chicago"))
    assert ordered["callback"]["at"] == there.timestamp()
    office.assert_well()


async def test_a_second_call_finds_the_phone_busy(office: Office) -> None:
    desk = await office.ready("mina")
    await office.exchange.dial("mina")
    await call_is(desk, "ringing")
    await office.exchange.dial("mina")
    await office.exchange.is_so(await office.exchange.rings(1), "ringing")
    await office.exchange.until(lambda: office.exchange.dialogs[-1].state == "over", "the second is not refused")
    assert len(office.exchange.dialogs) == 2
    await at(desk, "phone-hang-up").click()
    await office.exchange.is_so(office.exchange.dialogs[0], "over")
    await expect(at(desk, "phone-call")).to_have_count(0, timeout=WAIT_MS)
    office.assert_well()


async def test_a_customer_who_leaves_while_it_rings_and_an_offer_that_is_declined(office: Office) -> None:
    desk = await office.ready("mina")
    await available(desk)
    channel = await office.exchange.call()
    first = await office.exchange.rings()
    await call_is(desk, "ringing")
    await office.exchange.hang_up(channel)
    await office.exchange.is_so(first, "over")
    await expect(at(desk, "phone-call")).to_have_count(0, timeout=WAIT_MS)
    await expect(at(desk, "offer")).to_have_count(0, timeout=WAIT_MS)

    again = await office.exchange.call()
    second = await office.exchange.rings(2)
    await at(desk, "offer-decline").click()
    await office.exchange.is_so(second, "over")
    await expect(at(desk, "phone-call")).to_have_count(0, timeout=WAIT_MS)
    await office.exchange.hang_up(again)
    office.assert_well()


async def test_a_phone_that_cannot_be_rung_is_seen_before_going_available(office: Office) -> None:
    """A password that is not the exchange's: the desk says so, and registers with the new one once it is put."""
    office.exchange.passwords["sora"] = "a rotated one"
    desk = await office.desk("sora")
    await phone_is(desk, "refused")
    await asyncio.sleep(2)
    await phone_is(desk, "refused")  # and is not taken for an exchange that is away
    await expect(at(desk, "phone-warning")).to_be_visible(timeout=WAIT_MS)
    await available(desk)  # a warning is no wall: there are chats, too
    office.center.request("PUT", "/v1/secrets/softphone-sora", json={"value": "a rotated one"})
    await phone_is(desk, "registered")
    await expect(at(desk, "phone-warning")).to_have_count(0, timeout=WAIT_MS)
    office.assert_well()


async def test_a_refused_microphone_is_said_and_a_granted_one_answers(office: Office) -> None:
    context = await office.contexts.new(microphone=False)
    desk = await office.desk_in(context, "mina")
    await phone_is(desk, "registered")
    await expect(at(desk, "softphone")).to_have_attribute("data-mic", "denied", timeout=WAIT_MS)
    await expect(at(desk, "phone-warning")).to_be_visible()
    await available(desk)
    channel = await office.exchange.call()
    await at(desk, "offer-accept").click()
    await call_is(desk, "ringing")
    await expect(at(desk, "offer-accept")).to_be_enabled(timeout=WAIT_MS)
    await context.grant_permissions(["microphone"])
    await call_is(desk, "up")
    await expect(at(desk, "phone-warning")).to_have_count(0, timeout=WAIT_MS)
    await office.exchange.hang_up(channel)
    await office.wraps_up(desk)
    office.assert_well()


async def test_two_tabs_have_one_phone_and_either_may_accept(office: Office) -> None:
    first = await office.ready("mina")
    second = await office.desk("mina", first.context)
    await phone_is(second, "tab")
    await available(second)
    channel = await office.exchange.call()
    await at(second, "offer-accept").click()
    await call_is(first, "up")
    assert len(office.exchange.dialogs) == 1
    await office.exchange.hang_up(channel)
    await office.wraps_up(second)

    await first.close()  # the other tab takes the phone over
    await phone_is(second, "registered")
    office.assert_well()


async def test_a_second_computer_waits_until_the_first_is_closed(office: Office) -> None:
    first = await office.ready("mina")
    # An invitation taken twice would end the first sign-in, so the other computer has its cookie.
    other = await office.contexts.new(state=await first.context.storage_state())
    second = await office.desk("mina", other)
    await phone_is(second, "taken")
    await expect(at(second, "phone-warning")).to_be_visible()
    await available(first)
    channel = await office.exchange.call()
    await expect(at(second, "offer-phone")).to_be_visible(timeout=WAIT_MS)
    await expect(at(second, "offer-accept")).to_have_count(0)
    await at(first, "offer-accept").click()
    await call_is(first, "up")
    await office.exchange.hang_up(channel)
    await office.wraps_up(first)
    await first.context.close()
    await phone_is(second, "registered")
    office.assert_well()


async def test_a_call_whose_end_nobody_could_tell_the_phone_is_over_all_the_same(office: Office) -> None:
    """A real Asterisk says BYE to the connection on which the call came, and that one may have broken since."""
    desk = await office.ready("mina")
    await available(desk)
    channel = await office.talk(desk)
    lost = office.exchange.dialogs[0]
    lost.can_be_told = False
    await office.exchange.hang_up(channel)
    await office.wraps_up(desk)
    channel = await office.talk(desk)  # or the next caller would find it busy
    await office.exchange.hang_up(channel)
    await office.wraps_up(desk)
    office.assert_well()


async def test_leaving_the_page_in_a_call_is_asked_about_and_ends_it(office: Office) -> None:
    """A page that is gone cannot hold a call: the browser asks first, and then the leg is hung up rather than left silent."""
    desk = await office.ready("mina")
    await available(desk)
    await office.talk(desk)
    asked: list[str] = []

    async def stay_then_go(dialog: Any) -> None:
        asked.append(dialog.type)
        await (dialog.dismiss() if len(asked) == 1 else dialog.accept())

    desk.on("dialog", stay_then_go)
    await desk.evaluate("setTimeout(() => location.reload())")
    await asyncio.sleep(1)
    await call_is(desk, "up")
    await desk.evaluate("setTimeout(() => location.reload())")
    await office.exchange.is_so(office.exchange.dialogs[0], "over")
    assert (asked, office.exchange.dialogs[0].hung_up_by_phone) == (["beforeunload", "beforeunload"], True)
    await phone_is(desk, "registered")
    await office.wraps_up(desk)
    office.assert_well()


async def test_without_a_softphone_nothing_is_other_than_before(office: Office) -> None:
    """No phone is loaded, no microphone asked for, and an offer is taken by the phone on the table."""
    context = await office.contexts.new()
    loaded: list[str] = []
    context.on("request", lambda asked: loaded.append(asked.url))
    desk = await office.desk_in(context, "jun")
    await expect(at(desk, "connection")).to_have_attribute("data-state", "online", timeout=WAIT_MS)
    await expect(at(desk, "softphone")).to_have_count(0)
    assert not [url for url in loaded if "/phone-" in url]
    assert not office.exchange.registered
    office.assert_well()

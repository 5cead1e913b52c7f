"""The pages in a real browser: a customer at the widget, an agent at the desk, a supervisor at the wallboard."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from support.center import AgentDesk, Center, ChatPage
from support.pages import PASSWORD, WAIT_MS, at, available, picture, sign_in_by, unexpected

pytestmark = pytest.mark.browser

CONFIG = """\
version: 1
name: Browser center
brands:
- {id: shop, name: 가게 Shop, default_queue: care, languages: [ko, en]}
channels:
- {id: web, name: Web, brand: shop, provider: webchat, kind: chat}
queues:
- {id: care, name: Care, wrap_up_s: 30, offer_timeout_s: 120, dispositions: [done, later]}
agents:
- {id: owner, name: Owner, role: owner, email: owner@shop.test}
- {id: mina, name: Mina, brands: [shop], email: mina@shop.test}
- {id: jun, name: Jun, brands: [shop], email: jun@shop.test}
- {id: sora, name: Sora, brands: [shop], email: sora@shop.test}
"""


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with Center(tmp_path_factory.mktemp("browser") / "data", CONFIG) as center:
        yield center


class People:
    """Everybody has a browser of their own; what any of their consoles says is kept."""

    def __init__(self, browser: Browser, center: Center) -> None:
        self.browser = browser
        self.center = center
        self.wrong: list[str] = []
        self.expected: list[str] = []

    async def someone(self) -> tuple[BrowserContext, Page]:
        context = await self.browser.new_context(locale="ko-KR", viewport={"width": 1280, "height": 800})
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        return context, page

    async def agent(self, agent: str, path: str = "/desk") -> tuple[BrowserContext, Page]:
        """By invitation, as everybody comes the first time."""
        context, page = await self.someone()
        invited = self.center.request("POST", "/v1/invites", json={"agent": agent})
        assert invited.status_code == 201, invited.text
        await sign_in_by(page, invited.json()["link"].replace("/desk#", f"{path}#"))
        return context, page

    async def customer(self) -> tuple[BrowserContext, Page]:
        context, page = await self.someone()
        await page.goto(f"{self.center.url}/shop?channel={self.center.hook('web')}")
        await at(page, "naru-launcher").click()
        await expect(at(page, "naru-chat")).to_have_attribute("data-connection", "online", timeout=WAIT_MS)
        return context, page

    def assert_silent(self) -> None:
        """No console has complained, but for what a test has brought about itself."""
        assert unexpected(self.wrong, self.expected) == []


@pytest.fixture
async def people(browser: Browser, center: Center) -> AsyncIterator[People]:
    people = People(browser, center)
    yield people
    for context in browser.contexts:
        await context.close()
    for agent in ("mina", "jun"):
        key = center.agent_key(agent)
        center.request("PUT", "/v1/agents/me/status", key, json={"presence": "away"})
        for contact in center.request("GET", "/v1/agents/me/contacts", key).json()["items"]:
            center.request("POST", f"/v1/contacts/{contact['id']}/complete", key, json={})
        center.request("PUT", "/v1/agents/me/status", key, json={"presence": "offline"})


async def say(page: Page, text: str) -> None:
    await at(page, "naru-input").fill(text)
    await at(page, "naru-input").press("Enter")


async def answer(desk: Page, text: str) -> None:
    await at(desk, "composer").fill(text)
    await at(desk, "composer").press("Enter")


async def shown(page: Page, name: str) -> list[tuple[str, str, str]]:
    """(number, author, words) of every message in sight, in order."""
    script = """list => list.map(each => [
        each.dataset.number, each.dataset.author, (each.querySelector('.words, .b') ?? each).textContent.trim()])"""
    found: list[list[str]] = await at(page, name).evaluate_all(script)
    return [(number, author, words) for number, author, words in found]


async def expect_said(customer: Page, desk: Page, said: list[tuple[str, str]]) -> None:
    """Both see each message once, in order, and nothing is still on its way."""
    whole = [(str(number), author, words) for number, (author, words) in enumerate(said, 1)]
    for page, name, unsent in ((customer, "naru-message", "naru-pending"), (desk, "message", "message-unsent")):
        await expect(at(page, name)).to_have_count(len(said), timeout=WAIT_MS)
        await expect(at(page, unsent)).to_have_count(0, timeout=WAIT_MS)
        assert await shown(page, name) == whole


async def test_a_chat_between_two_browsers_that_both_reload(people: People) -> None:
    _, desk = await people.agent("mina")
    await available(desk)
    _, customer = await people.customer()

    await say(customer, "안녕하세요, 배송이 궁금해요")
    await expect(at(desk, "offer")).to_have_count(1, timeout=WAIT_MS)
    await expect(at(customer, "naru-state")).to_have_attribute("data-status", "waiting")
    await at(desk, "offer-accept").click()
    await expect(at(desk, "conversation")).to_be_visible(timeout=WAIT_MS)
    await expect(at(customer, "naru-state")).to_have_attribute("data-status", "talking", timeout=WAIT_MS)
    await answer(desk, "네, 확인해 드릴게요")
    said = [("customer", "안녕하세요, 배송이 궁금해요"), ("agent", "네, 확인해 드릴게요")]
    await expect_said(customer, desk, said)

    # the customer reloads, and the agent speaks meanwhile
    await asyncio.gather(customer.reload(), answer(desk, "주문 번호를 알려 주세요"))
    said += [("agent", "주문 번호를 알려 주세요")]
    await expect_said(customer, desk, said)

    # the agent reloads, and the customer speaks meanwhile
    await asyncio.gather(desk.reload(), say(customer, "20260412-1187"))
    said += [("customer", "20260412-1187")]
    await expect(at(desk, "conversation")).to_be_visible(timeout=WAIT_MS)
    await expect_said(customer, desk, said)

    # both at once, in the middle of what they say; a message is kept by its page until it is acknowledged
    await asyncio.gather(say(customer, "급해요!"), answer(desk, "찾았습니다"))
    await asyncio.gather(customer.reload(), desk.reload())
    await expect(at(customer, "naru-message")).to_have_count(6, timeout=WAIT_MS)
    both = [(author, words) for _, author, words in await shown(customer, "naru-message")]
    assert sorted(both[4:]) == [("agent", "찾았습니다"), ("customer", "급해요!")]
    await expect_said(customer, desk, both)
    assert both[:4] == said

    # a note is not for the customer
    await at(desk, "private").check()
    await answer(desk, "우리끼리: 창고에 물어볼 것")
    await at(desk, "private").uncheck()
    await answer(desk, "오늘 도착합니다. https://shop.test/track")
    await expect(at(desk, "message")).to_have_count(8, timeout=WAIT_MS)
    await expect(at(customer, "naru-message")).to_have_count(7, timeout=WAIT_MS)
    assert "우리끼리" not in await at(customer, "naru-log").inner_text()
    await picture(desk, "desk")
    await picture(customer, "widget")

    # a reader of the history sees the same
    [contact] = people.center.request("GET", "/v1/agents/me/contacts", people.center.agent_key("mina")).json()["items"]
    path = f"/v1/conversations/{contact['conversation']}/messages"
    kept = people.center.request("GET", path).json()["items"]
    assert [message["number"] for message in kept] == list(range(1, 9))

    # the customer has done; the agent wraps up
    await at(customer, "naru-end").click()
    await expect(at(desk, "contact-status")).to_have_attribute("data-status", "wrapping", timeout=WAIT_MS)
    await at(desk, "disposition").select_option("done")
    await at(desk, "complete-confirm").click()
    await expect(at(desk, "conversation")).to_have_count(0, timeout=WAIT_MS)
    await expect(at(customer, "naru-state")).to_have_attribute("data-status", "ended", timeout=WAIT_MS)
    people.assert_silent()


async def test_logging_in(people: People) -> None:
    _, desk = await people.agent("mina")
    await expect(at(desk, "desk")).to_be_visible(timeout=WAIT_MS)
    assert "invite" not in desk.url
    await at(desk, "logout").click()
    await expect(at(desk, "login-form")).to_be_visible(timeout=WAIT_MS)
    await desk.reload()  # nothing is left of the session
    await expect(at(desk, "login-form")).to_be_visible(timeout=WAIT_MS)

    people.expected.append("401")  # Chromium writes every such answer to the console
    for password, outcome in (("wrong password", "login-error"), (PASSWORD, "desk")):
        await at(desk, "login-workspace").fill("main")
        await at(desk, "login-email").fill("mina@shop.test")
        await at(desk, "login-password").fill(password)
        await at(desk, "login-submit").click()
        await expect(at(desk, outcome)).to_be_visible(timeout=WAIT_MS)
    await available(desk)
    people.assert_silent()


async def test_a_closed_desk_gives_its_offer_back(people: People) -> None:
    """Sora comes by browser alone: a program that uses her key would count as a desk of hers for a while."""
    context, desk = await people.agent("sora")
    await available(desk)
    _, customer = await people.customer()
    await say(customer, "거기 누구 있나요?")
    await expect(at(desk, "offer")).to_have_count(1, timeout=WAIT_MS)
    contact = await at(desk, "offer").get_attribute("data-contact")

    jun = await AgentDesk.open(people.center, people.center.agent_key("jun"))
    try:
        assert (await jun.do("status", presence="available"))["status"] == 200
        loop = asyncio.get_running_loop()
        closed = loop.time()
        await context.close()
        offer: dict[str, Any] = (await jun.next("offer"))["offer"]  # long before the offer's own end, and the lease's
        assert offer["contact"] == contact
        assert loop.time() - closed > 4, "not before it is sure that she is gone"
        assert (await jun.do("accept", offer=offer["id"]))["status"] == 200
        await jun.do("message", contact=contact, text="네, 준입니다")
        await expect(at(customer, "naru-message").last).to_contain_text("네, 준입니다", timeout=WAIT_MS)
    finally:
        await jun.close()
    people.assert_silent()


async def test_the_wallboard_shows_who_waits(people: People) -> None:
    _, board = await people.agent("owner", "/wallboard")
    await expect(at(board, "wallboard")).to_be_visible(timeout=WAIT_MS)
    tile = board.locator('[data-test="queue-tile"][data-queue="care"]')
    await expect(at(tile, "queue-waiting")).to_have_text("0", timeout=WAIT_MS)
    page = await ChatPage.open(people.center, people.center.hook("web"))
    try:
        await page.say("m1", "기다리고 있어요")
        await expect(at(tile, "queue-waiting")).to_have_text("1", timeout=WAIT_MS)
        await expect(at(board, "waiting-row")).to_have_count(1, timeout=WAIT_MS)
        await picture(board, "wallboard")
        await page.send(type="bye")
        await expect(at(tile, "queue-waiting")).to_have_text("0", timeout=WAIT_MS)
        await expect(at(board, "waiting-row")).to_have_count(0, timeout=WAIT_MS)
    finally:
        await page.close()
    people.assert_silent()

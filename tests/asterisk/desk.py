"""An agent's desk in a real Chromium that has a microphone of its own, and is told from within what it hears."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright, expect

from support.center import Center
from support.pages import WAIT_MS, at, sign_in_by
from support.voices import FLAGS, desk_hears, goes_silent, listen, speech

CHROMIUM = "/usr/bin/chromium"
HERTZ = 940


class Desk:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.hertz = HERTZ
        page.on("dialog", lambda asked: asked.accept())

    def at(self, name: str) -> Locator:
        return at(self.page, name)

    async def clicks(self, name: str) -> None:
        await self.at(name).click()

    async def signs_in(self, link: str) -> None:
        await sign_in_by(self.page, link)
        await self.is_registered()

    async def is_registered(self) -> None:
        await expect(self.at("softphone")).to_have_attribute("data-state", "registered", timeout=WAIT_MS)
        await expect(self.at("softphone")).to_have_attribute("data-mic", "ok", timeout=WAIT_MS)

    async def goes_available(self) -> None:
        await self.at("status").select_option("available")

    async def accepts(self) -> str:
        """One click: the contact."""
        contact = await self.at("offer").get_attribute("data-contact")
        await self.clicks("offer-accept")
        await expect(self.at("phone-call")).to_have_attribute("data-state", "up", timeout=WAIT_MS)
        await listen(self.page)
        return contact or ""

    async def hears(self, hertz: int) -> None:
        await desk_hears(self.page, hertz)

    async def hears_nothing_of(self, hertz: int) -> None:
        await goes_silent(self.page, f"hears({hertz})", f"the desk hears {hertz} Hz")

    async def has_no_call(self) -> None:
        await expect(self.at("phone-call")).to_have_count(0, timeout=WAIT_MS)

    async def reloads(self) -> None:
        await self.page.evaluate("setTimeout(() => location.reload())")


@contextlib.asynccontextmanager
async def desk_of(center: Center, agent: str, folder: Path) -> AsyncIterator[Desk]:
    """Signed in, its phone registered. The exchange's certificate is nobody's, so this browser takes any."""
    flags = [
        *FLAGS,
        "--ignore-certificate-errors",
        f"--use-file-for-fake-audio-capture={speech(folder / 'agent.wav', HERTZ)}",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = await browser.new_context(permissions=["microphone"], locale="ko-KR")
        context.set_default_timeout(WAIT_MS)
        desk = Desk(await context.new_page())
        try:
            link = center.request("POST", "/v1/invites", json={"agent": agent}).json()["link"]
            await desk.signs_in(link)
            yield desk
        finally:
            await browser.close()

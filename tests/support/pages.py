"""What every test of our pages does with them: finds things by their names, signs in, takes a picture."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from playwright.async_api import Locator, Page, expect

PASSWORD = "a long enough password"
PICTURES = Path(os.environ.get("NARU_TEST_PICTURES", "/tmp/naru-pictures"))
WAIT_MS = 30_000


def at(page: Page | Locator, name: str) -> Locator:
    return page.locator(f'[data-test="{name}"]')


async def sign_in_by(page: Page, link: str) -> None:
    """By invitation, as everybody comes the first time."""
    await page.goto(link)
    await at(page, "invite-password").fill(PASSWORD)
    await at(page, "invite-again").fill(PASSWORD)
    await at(page, "invite-submit").click()


async def available(desk: Page) -> None:
    await expect(at(desk, "connection")).to_have_attribute("data-state", "online", timeout=WAIT_MS)
    await at(desk, "status").select_option("available")
    await expect(desk.locator('.status[data-presence="available"]')).to_be_visible(timeout=WAIT_MS)


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


def unexpected(said: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """What consoles have said but for what a test has brought about itself."""
    expected = list(patterns)
    return [each for each in said if not any(re.search(pattern, each) for pattern in expected)]

"""What many tests need and is dear to start: real mail servers, an OpenID provider and a real browser, once per run.

Where one of them cannot run, its tests are skipped and say which proof is missing; with NARU_TEST_REQUIRE=all they fail.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.async_api import Browser, Error, async_playwright

from support.mail import MailServers, servers_or_skip
from support.provider import installed

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def mail_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServers]:
    yield from servers_or_skip(tmp_path_factory)


@pytest.fixture(scope="session")
def provider_program() -> Path:
    """The folder of a real OpenID provider, to be run by node."""
    return installed(not_proved)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    if shutil.which(CHROMIUM) is None:
        not_proved("the pages in a real browser", f"{CHROMIUM} (apt package chromium)")
    async with async_playwright() as playwright:
        try:
            chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except Error as error:
            not_proved("the pages in a real browser", f"a Chromium that starts: {str(error)[:500]}")
        yield chromium
        await chromium.close()


def not_proved(what: str, missing: str) -> NoReturn:
    """Skip, or fail where every proof is required."""
    message = f"not proved here: {what}; missing: {missing}"
    if os.environ.get("NARU_TEST_REQUIRE") == "all":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)

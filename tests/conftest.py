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

import support.smsc
from support.kafka import GIVEN, Cluster, NoKafka
from support.mail import MailServers, servers_or_skip
from support.postgres import NoPostgres, Postgres
from support.provider import installed
from support.tansu import Tansu

CHROMIUM = "/usr/bin/chromium"
LONGEST = (
    "test_kill.py",
    "test_campaign_kill.py",
    "test_campaign_path.py",
    "test_smpp.py",
    "test_scaled.py",
    "test_wall.py",
    "test_ops.py",
    "test_move.py",
    "test_events.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, or in the end all would wait for it alone."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def mail_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServers]:
    yield from servers_or_skip(tmp_path_factory)


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | NoKafka]:
    """Apache Kafka's address: the cluster that is given, else one node of our own. Or why there is none."""
    if os.environ.get(GIVEN):
        yield os.environ[GIVEN]
        return
    cluster = Cluster(tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
    except NoKafka as error:
        cluster.stop()
        yield error
        return
    yield cluster.servers
    cluster.stop()


@pytest.fixture(scope="session")
def kafka(apache: str | NoKafka) -> str:
    if isinstance(apache, NoKafka):
        not_proved("the log on Apache Kafka", str(apache))
    return apache


@pytest.fixture(scope="session")
def protocol(apache: str | NoKafka) -> Iterator[tuple[str, bool]]:
    """(address, whether it is Apache Kafka): where that cannot be had, a small broker that speaks its protocol."""
    if isinstance(apache, str):
        yield apache, True
        return
    if os.environ.get("NARU_TEST_REQUIRE") == "all":
        not_proved("the log on Apache Kafka", str(apache))
    with Tansu() as broker:
        yield broker.servers, False


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
    except NoPostgres as error:
        server.stop()
        not_proved("the database on PostgreSQL", str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def provider_program() -> Path:
    """The folder of a real OpenID provider, to be run by node."""
    return installed(not_proved)


@pytest.fixture(scope="session")
def smsc_program() -> Path:
    """The folder of a real SMSC, to be run by node."""
    return support.smsc.installed(not_proved)


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

"""Passwords, tokens and their ends, on a real database with a clock of its own."""

import asyncio
from pathlib import Path

from naru.admin.accounts import INVITE_S, MAX_WRONG, TICKET_S, WRONG_S, Accounts
from naru.store.database import Database, sqlite_url
from naru.store.migrate import upgrade
from router.config import Agent, Brand, Config, Queue

CONFIG = Config(
    brands=(Brand(id="shop", name="Shop", default_queue="care"),),
    queues=(Queue(id="care", name="Care"),),
    agents=(Agent(id="mina", name="Mina", email="mina@shop.test"),),
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def accounts_in(folder: Path, clock: Clock) -> tuple[Accounts, Database]:
    url = sqlite_url(folder / "store.sqlite")
    await asyncio.to_thread(upgrade, url)
    count = iter(range(1000))
    database = Database(url)
    accounts = Accounts(database, clock, lambda: f"token-{next(count):040}")
    await accounts.ensure_workspace("main", "Main")
    await accounts.sync_people("main", CONFIG)
    return accounts, database


async def test_an_invite_sets_a_password_once_and_not_after_a_week(tmp_path: Path) -> None:
    clock = Clock()
    accounts, database = await accounts_in(tmp_path, clock)
    late = await accounts.invite("main", "mina")
    assert late is not None
    clock.now += INVITE_S + 1
    assert await accounts.accept_invite(late, "correct horse") is None
    good = await accounts.invite("main", "mina")
    assert good is not None
    assert await accounts.accept_invite(good, "correct horse") == ("main", "mina")
    assert await accounts.accept_invite(good, "another one") is None
    assert await accounts.login("main", "mina@shop.test", "correct horse") == "mina"
    await database.close()


async def test_a_ticket_is_over_after_half_a_minute(tmp_path: Path) -> None:
    from agents.auth import Principal

    clock = Clock()
    accounts, database = await accounts_in(tmp_path, clock)
    who = Principal(workspace="main", id="person:mina", role="agent", agent="mina")
    ticket = await accounts.ticket(who)
    assert await accounts.redeem_ticket(ticket) == who
    assert await accounts.redeem_ticket(ticket) is None
    late = await accounts.ticket(who)
    clock.now += TICKET_S + 1
    assert await accounts.redeem_ticket(late) is None
    await database.close()


async def test_ten_wrong_passwords_close_a_name_for_ten_minutes(tmp_path: Path) -> None:
    clock = Clock()
    accounts, database = await accounts_in(tmp_path, clock)
    for _ in range(MAX_WRONG):
        assert accounts.may_try("main", "mina@shop.test")
        assert await accounts.login("main", "mina@shop.test", "wrong") is None
    assert not accounts.may_try("main", "mina@shop.test")
    assert accounts.may_try("main", "jun@shop.test")
    clock.now += WRONG_S + 1
    assert accounts.may_try("main", "mina@shop.test")
    await database.close()


async def test_who_is_gone_from_the_configuration_is_out_at_once(tmp_path: Path) -> None:
    import msgspec

    accounts, database = await accounts_in(tmp_path, Clock())
    session = await accounts.open_session("main", "mina")
    assert await accounts.session(session) is not None
    await accounts.sync_people("main", msgspec.structs.replace(CONFIG, agents=()))
    assert await accounts.session(session) is None
    await database.close()

"""Passwords, tokens and their ends, on a real database with a clock of its own."""

import asyncio
from pathlib import Path

import pytest

from naru.admin.accounts import BEGUN_S, INVITE_S, MAX_WRONG, TICKET_S, WRONG_S, Accounts
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


async def test_a_sign_in_is_finished_once_and_within_ten_minutes(tmp_path: Path) -> None:
    clock = Clock()
    accounts, database = await accounts_in(tmp_path, clock)
    state = await accounts.begin_sign_in("main", "/wallboard")
    assert await accounts.redeem_login_token(state) is None  # it is a token of its own kind
    assert await accounts.finish_sign_in(state) == ("main", "/wallboard")
    assert await accounts.finish_sign_in(state) is None
    late = await accounts.begin_sign_in("main", "/desk")
    clock.now += BEGUN_S + 1
    assert await accounts.finish_sign_in(late) is None
    await database.close()


async def test_of_too_many_that_begin_to_sign_in_the_oldest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naru.admin.accounts.MAX_BEGUN", 3)
    clock = Clock()
    accounts, database = await accounts_in(tmp_path, clock)
    elsewhere = await accounts.begin_sign_in("other", "/desk")
    states = []
    for _ in range(5):
        clock.now += 1
        states.append(await accounts.begin_sign_in("main", "/desk"))
    finished = [await accounts.finish_sign_in(state) for state in states]
    assert [row is not None for row in finished] == [False, False, True, True, True]
    assert await accounts.finish_sign_in(elsewhere) == ("other", "/desk")
    await database.close()


async def test_an_address_finds_one_person_whatever_its_capitals(tmp_path: Path) -> None:
    import msgspec

    accounts, database = await accounts_in(tmp_path, Clock())
    assert await accounts.by_address("main", "MINA@Shop.test") == "mina"
    assert await accounts.by_address("main", "m\u0131na@shop.test") is None
    assert await accounts.by_address("other", "mina@shop.test") is None
    twin = Agent(id="twin", name="Twin", email="Mina@shop.test")
    await accounts.sync_people("main", msgspec.structs.replace(CONFIG, agents=(*CONFIG.agents, twin)))
    assert await accounts.by_address("main", "mina@shop.test") is None  # two: neither
    await accounts.sync_people("main", msgspec.structs.replace(CONFIG, agents=(twin,)))
    assert await accounts.by_address("main", "mina@shop.test") == "twin"
    await database.close()

"""Who is one person, as links say: on SQLite and PostgreSQL alike, whatever was said in whatever order."""

import asyncio
import random  # noqa: TID251 - seeded
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from naru.fold import Entry
from naru.store import migrate, people
from naru.store import tables as db
from naru.store.database import HOUSE, Database, async_url, enter
from naru.store.projector import project
from naru.wire import Record
from router import events
from router.model import Identity, Thread


@pytest.fixture
async def house(url: str) -> AsyncIterator["House"]:
    await asyncio.to_thread(migrate.upgrade, url)
    made = House(Database(url))
    yield made
    await made.database.close()


class House:
    """A store into which a journal is projected, event by event."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.t = 0.0

    async def happens(self, *happened: events.AnyEvent, workspace: str = "ws") -> None:
        async with self.database.write(workspace) as connection:
            for event in happened:
                self.t += 1
                record = Record(n="n", s=0, i=0, t=self.t, workspace=workspace, pool=workspace, ev=(event,))
                await project(connection, Entry(shard=0, offset=int(self.t), record=record))

    async def comes(self, customer: str, *identity: Any, name: str | None = None, workspace: str = "ws") -> None:
        scope, kind, value = identity or ("t", "external", customer)
        await self.happens(
            events.ConversationOpened(
                conversation=f"talk-{customer}", channel="chat", brand="shop", kind="chat", customer=customer,
                thread=Thread(external=customer), identity=Identity(scope=scope, kind=kind, value=value, name=name),
            ),
            workspace=workspace,
        )  # fmt: skip

    async def merged(self, customer: str, into: str, workspace: str = "ws") -> None:
        await self.happens(events.CustomerMerged(customer=customer, into=into, by="mina"), workspace=workspace)

    async def split(self, customer: str, other: str | None = None) -> None:
        await self.happens(events.CustomerSplit(customer=customer, other=other, by="mina"))

    async def person(self, customer: str, workspace: str = "ws") -> dict[str, Any]:
        async with self.database.read(workspace) as connection:
            found = await people.person(connection, workspace, customer)
        assert found is not None
        return found

    async def group(self, customer: str) -> str:
        return " ".join(sorted(each["id"] for each in (await self.person(customer))["customers"]))

    async def maybe(self, customer: str) -> list[str]:
        return [each["id"] for each in (await self.person(customer))["maybe_same"]]


async def test_one_person_has_the_identities_of_all_and_the_name_and_first_day_of_whoever_had_them(
    house: House,
) -> None:
    await house.comes("a", "e164", "phone", "+821012345678")
    await house.comes("b", "email", "email", "kim@shop.test", name="Kim")
    await house.merged("b", "a")
    for asked in "ab":
        found = await house.person(asked)
        assert (found["id"], found["person"], found["name"], found["first_seen"]) == (asked, "a", "Kim", 1.0)
        assert found["identities"] == [
            {"scope": "e164", "kind": "phone", "value": "+821012345678"},
            {"scope": "email", "kind": "email", "value": "kim@shop.test"},
        ]
        assert [(each["id"], each["name"]) for each in found["customers"]] == [("a", None), ("b", "Kim")]
        assert found["links"] == [{"customer": "a", "other": "b", "by": "mina", "at": 3.0}]


async def test_chains_and_circles_are_one_person_whichever_way_they_were_said(house: House) -> None:
    for name in "dcba":
        await house.comes(name)
    for one, other in ("ab", "cb", "cd", "da", "ad", "bc"):
        await house.merged(one, other)
    for name in "abcd":
        assert await house.group(name) == "a b c d"
        assert (await house.person(name))["person"] == "d", "who was there first"


async def test_merging_twice_changes_nothing_and_the_first_to_say_so_stands(house: House) -> None:
    await house.comes("a")
    await house.comes("b")
    await house.merged("a", "b")
    before = await house.person("a")
    await house.merged("a", "b")
    await house.merged("b", "a")
    assert await house.person("a") == before


async def test_two_groups_become_one_and_taking_that_back_leaves_what_was_said_before(house: House) -> None:
    for name in "abcd":
        await house.comes(name)
    await house.merged("a", "b")
    await house.merged("c", "d")
    await house.merged("d", "b")
    assert await house.group("a") == "a b c d"
    await house.split("b", "d")
    assert [await house.group(name) for name in "abcd"] == ["a b", "a b", "c d", "c d"]


async def test_who_is_split_from_all_is_alone_and_what_was_said_of_the_others_stays(house: House) -> None:
    for name in "abcd":
        await house.comes(name)
    for one, other in ("ab", "bc", "ca", "cd"):
        await house.merged(one, other)
    await house.split("a")
    assert [await house.group(name) for name in "abcd"] == ["a", "b c d", "b c d", "b c d"]
    await house.split("a")
    await house.split("c", "a")
    assert await house.group("c") == "b c d"
    await house.split("c")
    assert [await house.group(name) for name in "abcd"] == ["a", "b", "c", "d"]


async def test_whatever_is_said_the_person_is_who_hangs_together_by_what_still_stands(house: House) -> None:
    """Against the plainest reading of the rule, over a hundred random words on seven customers."""
    names, dice, said = "abcdefg", random.Random(7), set()
    for name in names:
        await house.comes(name)
    for _ in range(100):
        one, other = dice.sample(names, 2)
        what = dice.random()
        if what < 0.5:
            await house.merged(one, other)
            said.add(frozenset((one, other)))
        elif what < 0.8:
            await house.split(one, other)
            said.discard(frozenset((one, other)))
        else:
            await house.split(one)
            said = {link for link in said if one not in link}
        groups = {name: {name} for name in names}
        for link in list(said) * len(names):
            joined = set().union(*(groups[name] for name in link))
            groups |= dict.fromkeys(joined, joined)
        asked = dice.choice(names)
        assert await house.group(asked) == " ".join(sorted(groups[asked]))


async def test_links_end_at_the_wall_between_workspaces(house: House) -> None:
    for workspace in ("ws", "other"):
        for name in "ab":
            await house.comes(name, "e164" if name == "a" else "hook", "phone", "+821012345678", workspace=workspace)
    await house.merged("a", "b", workspace="other")
    assert await house.group("a") == "a"
    assert await house.maybe("a") == ["b"]
    async with house.database.read("ws") as connection:
        assert await people.person(connection, "ws", "nobody") is None
        if not house.database.embedded:
            assert list(await connection.execute(select(db.customer_links))) == []


async def test_the_same_number_or_mail_address_elsewhere_is_suggested_until_it_is_one_person(house: House) -> None:
    await house.comes("a", "e164", "phone", "+821012345678")
    await house.comes("b", "hook", "phone", "010-1234-5678", name="Kim")
    await house.comes("c", "hook", "phone", "02-1234-5678")
    await house.comes("d", "hook", "handle", "+821012345678")
    await house.comes("e", "email", "email", "Kim@Shop.test")
    await house.comes("f", "hook", "email", "kim@shop.test")
    assert await house.maybe("a") == ["b"]
    assert (await house.person("a"))["maybe_same"] == [
        {
            "id": "b", "name": "Kim", "first_seen": 2.0,
            "identities": [{"scope": "hook", "kind": "phone", "value": "010-1234-5678"}],
        }
    ]  # fmt: skip
    assert (await house.maybe("c"), await house.maybe("d"), await house.maybe("e")) == ([], [], ["f"])
    await house.merged("b", "e")
    assert await house.maybe("b") == ["a", "f"], "what any of the person has in common with somebody"
    await house.merged("a", "b")
    await house.merged("f", "b")
    assert await house.maybe("a") == []


async def test_at_most_five_are_suggested_the_first_known_first(house: House) -> None:
    for number in range(9):
        await house.comes(f"c{8 - number}", f"scope-{number}", "phone", "+821012345678")
    assert await house.maybe("c8") == ["c7", "c6", "c5", "c4", "c3"]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("phone", "+82 10-1234-5678", "12345678"),
        ("phone", "00821012345678", "12345678"),
        ("phone", "1588", None),
        ("phone", "anonymous", None),
        ("phone", "266696687", None),
        ("phone", "٠١٠١٢٣٤٥٦٧٨", None),
        ("phone", "0000000000000", None),
        ("email", " Kim@Shop.test ", "kim@shop.test"),
        ("email", "not an address", None),
        ("email", "@" * 1000, "@" * people.MAX_ALIKE),
        ("handle", "kim@shop.test", None),
        ("external", "+821012345678", None),
    ],
)
def test_what_says_nothing_of_who_somebody_is_is_like_nobody(kind: str, value: str, found: str | None) -> None:
    assert people.alike(kind, value) == found


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("+821012345678", "01012345678", True),
        ("+821012345678", "821012345678", True),
        ("+1 212 555 1234", "212-555-1234", True),
        ("021234567", "+8221234567", True),
        ("01012345678", "0212345678", False),
        ("+821012345678", "+811012345678", False),
        ("12345678", "+821012345678", False),
    ],
)
def test_a_number_is_the_same_with_its_countrys_code_and_without(one: str, other: str, is_same: bool) -> None:
    assert people.is_same_address("phone", one, other) is people.is_same_address("phone", other, one) is is_same


async def test_customers_of_an_older_release_are_looked_at_when_it_is_upgraded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than are looked at in one go."""
    engine = create_async_engine(async_url(url))
    known = migrate.config()

    def older(connection: Connection) -> None:
        known.attributes["connection"] = connection
        command.upgrade(known, "0005")

    async with engine.begin() as connection:
        await connection.run_sync(older)
        await enter(connection, HOUSE)
        rows = [
            {"w": f"ws{number % 3}", "c": f"c{number}", "k": kind, "v": f"{value}{number:04}"}
            for number in range(1234)
            for kind, value in [(("phone", "+821000"), ("email", "Kim@x"), ("visitor", ""))[number % 3]]
        ]
        await connection.execute(text("INSERT INTO identities VALUES (:w, :c, 's', :k, :v)"), rows)
    await engine.dispose()
    await asyncio.to_thread(migrate.upgrade, url)
    database = Database(url)
    async with database.read(HOUSE) as connection:
        found = list(await connection.execute(select(db.identities)))
    assert len(found) == 1234
    assert [row.alike for row in found] == [people.alike(row.kind, row.value) for row in found]
    assert sum(row.alike is not None for row in found) == 823
    await database.close()

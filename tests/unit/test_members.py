"""Who lives and who does what, told with a log in memory and a clock that one moves."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from naru.bus.base import Stored
from naru.members import ALIVE_S, BEAT_S, LISTEN_S, Beat, Membership, NameTaken, chosen

NAMES = [f"router-{number}" for number in range(5)]
KEYS = [f"shard {number}" for number in range(200)]


class Bus:
    """One topic in memory. `quiet` loses what is appended."""

    def __init__(self) -> None:
        self.records: list[Stored] = []
        self.quiet = False

    async def append(self, topic: str, part: int, values: Sequence[bytes]) -> list[Stored]:
        if not self.quiet:
            self.records += [Stored(len(self.records), 0.0, value) for value in values]
        return self.records[-1:]

    async def read(self, topic: str, part: int, start: int) -> AsyncIterator[list[Stored]]:
        while True:
            if start < len(self.records):
                batch, start = self.records[start:], len(self.records)
                yield batch
            await asyncio.sleep(0)

    async def end(self, topic: str, part: int) -> int:
        return len(self.records)


class House:
    """Processes that share a log and a clock. Nobody sleeps: `passes` lets time go by, beat by beat."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.now = 1000.0
        self.processes: dict[str, tuple[Membership, asyncio.Task[None]]] = {}
        self._sleepers: list[tuple[float, str, asyncio.Future[None]]] = []
        self.frozen: set[str] = set()

    def starts(self, name: str, boot: str = "a", role: str = "router") -> Membership:
        async def sleep(seconds: float) -> None:
            done = asyncio.get_running_loop().create_future()
            self._sleepers.append((self.now + seconds, f"{name}/{boot}", done))
            await done

        beat = Beat(name, boot, (role,), self.now)
        made = Membership(self.bus, beat, lambda: self.now, sleep)  # type: ignore[arg-type]
        self.processes[f"{name}/{boot}"] = (made, asyncio.create_task(made.run()))
        return made

    async def passes(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += BEAT_S / 4
            due = [s for s in self._sleepers if s[0] <= self.now and s[1] not in self.frozen]
            self._sleepers = [s for s in self._sleepers if s not in due]
            for _, _, done in due:
                if not done.done():
                    done.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)

    async def dies(self, key: str) -> None:
        _, task = self.processes.pop(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def end(self) -> None:
        for key in list(self.processes):
            await self.dies(key)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.end()


def test_each_thing_is_done_by_exactly_one_and_the_shares_are_even() -> None:
    shares = {name: sum(chosen(NAMES, key) == name for key in KEYS) for name in NAMES}
    assert sum(shares.values()) == len(KEYS)
    assert max(shares.values()) < 2 * len(KEYS) / len(NAMES)
    assert chosen([], "shard 1") is None


def test_when_one_dies_only_what_it_did_moves() -> None:
    before = {key: chosen(NAMES, key) for key in KEYS}
    for gone in NAMES:
        left = [name for name in NAMES if name != gone]
        assert all(chosen(left, key) == before[key] for key in KEYS if before[key] != gone)


async def test_a_process_listens_before_it_takes_anything(house: House) -> None:
    first = house.starts("router-0")
    await house.passes(LISTEN_S - 0.5)
    assert not first.trusted and not first.mine("router", "shard 1")
    await house.passes(1)
    assert first.trusted and first.mine("router", "shard 1")


async def test_the_living_share_and_the_dead_are_replaced_within_two_seconds(house: House) -> None:
    members = {name: house.starts(name) for name in NAMES[:3]}
    await house.passes(4)
    owners = {key: [n for n, m in members.items() if m.mine("router", key)] for key in KEYS}
    assert all(len(names) == 1 for names in owners.values())
    await house.dies("router-1/a")
    await house.passes(ALIVE_S + BEAT_S)
    left = {key: [n for n in ("router-0", "router-2") if members[n].mine("router", key)] for key in KEYS}
    assert all(len(names) == 1 for names in left.values())
    assert all(left[key] == owners[key] for key in KEYS if owners[key] != ["router-1"])


async def test_who_leaves_is_replaced_at_once_and_takes_nothing_more(house: House) -> None:
    leaving, staying = house.starts("router-0"), house.starts("router-1")
    await house.passes(4)
    await leaving.leave()
    await house.passes(BEAT_S / 2)
    assert all(staying.mine("router", key) for key in KEYS)
    assert not any(leaving.mine("router", key) for key in KEYS)


async def test_a_process_that_was_stopped_listens_again_before_it_takes_anything(house: House) -> None:
    frozen, other = house.starts("router-0"), house.starts("router-1")
    await house.passes(4)
    house.frozen.add("router-0/a")
    await house.passes(10)
    assert all(other.mine("router", key) for key in KEYS)
    house.frozen.clear()
    await house.passes(0.5)
    assert not any(frozen.mine("router", key) for key in KEYS), "its view is ten seconds old"
    await house.passes(LISTEN_S + 1)
    assert any(frozen.mine("router", key) for key in KEYS)


async def test_who_hears_nothing_of_itself_trusts_nothing(house: House) -> None:
    only = house.starts("router-0")
    await house.passes(4)
    house.bus.quiet = True
    await house.passes(ALIVE_S + BEAT_S)
    assert not only.trusted
    house.bus.quiet = False
    await house.passes(1)
    assert not only.trusted, "it has just come back"
    await house.passes(LISTEN_S)
    assert only.trusted


async def test_of_two_processes_with_one_name_the_later_gives_way(house: House) -> None:
    house.starts("router-0", "old")
    await house.passes(4)
    house.starts("router-0", "new")
    await house.passes(4)
    _, task = house.processes.pop("router-0/new")
    with pytest.raises(ExceptionGroup) as raised:
        await task
    assert isinstance(raised.value.exceptions[0], NameTaken)
    assert not house.processes["router-0/old"][1].done()


async def test_a_restart_under_the_same_name_is_no_collision(house: House) -> None:
    house.starts("router-0", "old")
    await house.passes(4)
    await house.dies("router-0/old")
    again = house.starts("router-0", "new")
    await house.passes(LISTEN_S + 1)
    assert again.trusted


async def test_what_is_no_beat_is_passed_over(house: House) -> None:
    only = house.starts("router-0")
    await house.bus.append("naru.workers", 0, [b"\xff", b"{}", msgspec.json.encode([1])])
    await house.passes(4)
    assert only.living("router") == ["router-0"]

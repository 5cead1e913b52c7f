"""What goes over a connection to an exchange: each end of a leg once to the engine, and phones that ring before lines are
put down, however many legs are being moved meanwhile."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx2

from channels import asterisk
from channels.ari import Exchange
from channels.base import Item, Line, Order, Result, Steps
from channels.providers.asterisk import Asterisk
from router.effects import Effect, EndCaller, JoinCaller, RingLeg
from router.inputs import EndLeg
from support import exchange
from support.channel import NOW, account
from support.edge import channel, worker

LEG = "naru-0a"


async def test_the_engine_is_told_of_an_end_once_and_of_none_that_it_ordered() -> None:
    """A leg ends twice: in our application, and as such."""
    exchanges = await exchange.Exchanges().up()
    there = exchanges.by_app["naru"] = exchange.Exchange([])
    taken: asyncio.Queue[Item] = asyncio.Queue()

    async def never(*_: Any) -> Any:
        raise AssertionError("nobody should ask for this")

    line = Line(
        take=taken.put,
        ask=never,
        comments=never,
        look=lambda call: None,
        cursor=never,
        move_cursor=never,
        clock=lambda: NOW,
        sleep=asyncio.sleep,
    )
    ours = account(Asterisk(), {"url": exchanges.url})
    held = Exchange(ours, line)
    connection = asyncio.create_task(held.run())
    await there.until("GET", "bridges")
    for leg in (LEG, "naru-0b"):
        for kind in ("StasisEnd", "ChannelDestroyed"):
            await there.say({"type": kind, "channel": {"id": leg, "state": "Up"}, "cause": 16})
    told = [await taken.get() for _ in range(2)]
    assert sorted(cast(EndLeg, item.body).leg for item in told) == [LEG, "naru-0b"]
    await held.send(asterisk.end(ours, EndCaller(channel="c", call="ended")))
    for call in ("ended", "1795716055.1859"):
        await there.say({"type": "StasisEnd", "channel": {"id": call}})
    assert (await taken.get()).key == "1795716055.1859:end"  # who was hung up is known to be gone
    assert taken.empty()
    connection.cancel()
    await asyncio.gather(connection, return_exceptions=True)
    await exchanges.down()


class Asked:
    """A worker whose exchange notes what it is asked, and does not answer joins before `joined`."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.joined = asyncio.Event()
        self.told: list[str] = []
        bus = SimpleNamespace(take=self._take)
        connections = SimpleNamespace(session=lambda workspace, channel: self)
        phone = channel("asterisk", "voice", {"url": "http://exchange"}, "username", "password")
        self.worker = worker(lambda request: httpx2.Response(500), phone, bus=bus, connections=connections)

    async def send(self, order: Order) -> Result:
        assert isinstance(order, Steps)
        last = order.steps[-1]
        self.orders.append(f"{last.method} {last.path}")
        if "addChannel" in last.path:
            await self.joined.wait()
        return Result("accepted")

    async def _take(self, workspace: str, actor: str, key: str, body: object) -> None:
        self.told.append(key)

    async def carries_out(self, *effects: Effect) -> list[str]:
        self.worker.record("ws", effects)
        async with asyncio.timeout(10):
            while len(self.orders) < len(effects):
                await asyncio.sleep(0)
        return self.orders


def ring(key: str, side: str = "agent") -> RingLeg:
    return RingLeg(channel="c", key=key, contact=f"of-{key}", side=side, address="agent1", timeout_s=20)


async def test_a_freed_agents_phone_rings_before_the_last_caller_is_hung_up() -> None:
    asked = Asked()
    orders = await asked.carries_out(EndCaller(channel="c", call="old"), ring("new"))
    assert orders == ["POST channels/naru-new", "DELETE channels/old"]
    await asked.worker.close()


async def test_a_customer_is_hung_up_before_the_same_phone_is_called_back() -> None:
    asked = Asked()
    orders = await asked.carries_out(EndCaller(channel="c", call="old"), ring("new", side="first"))
    assert orders == ["DELETE channels/old", "POST channels/naru-new"]
    await asked.worker.close()


async def test_a_phone_rings_while_other_callers_are_being_joined() -> None:
    """An exchange answers the move of a call late; that keeps nobody else from being rung."""
    asked = Asked()
    joins = [JoinCaller(channel="c", contact=f"talk{n}", call=f"call{n}") for n in range(8)]
    orders = await asked.carries_out(*joins, ring("new"))
    assert "POST channels/naru-new" in orders
    asked.joined.set()
    await asked.worker.close()

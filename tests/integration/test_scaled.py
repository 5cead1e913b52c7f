"""A center of many processes on Apache Kafka and PostgreSQL: one contact through every room, and whoever dies is replaced."""

from collections.abc import Iterator

import pytest

from support.center import AgentDesk, ChatPage
from support.postgres import Postgres
from support.scaled import Gateway, Scaled

ROLES = (("router", 2), ("projector", 1), ("channels", 1), ("gateway", 2))


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory, kafka: str, postgres: Postgres) -> Iterator[Scaled]:
    with Scaled(tmp_path_factory.mktemp("scaled"), kafka, postgres.database(), ROLES) as center:
        yield center.start()


@pytest.fixture(scope="module")
def first(scaled: Scaled) -> Gateway:
    return scaled.gateway(1)


async def serving(gateway: Gateway, agent: str) -> AgentDesk:
    desk = await AgentDesk.open(gateway, gateway.agent_key(agent))
    await desk.next("view")
    await desk.do("status", presence="available")
    return desk


async def test_a_chat_at_one_gateway_is_answered_by_an_agent_at_another(scaled: Scaled, first: Gateway) -> None:
    second = scaled.gateway(2)
    second._key = first.owner_key
    desk = await serving(second, "mina")
    page = await ChatPage.open(first, first.hook("web"))
    await page.say("c1", "Where is my parcel?")
    offer = (await desk.next("offer"))["offer"]
    assert (await desk.do("accept", offer=offer["id"]))["status"] == 200
    assert (await desk.do("message", contact=offer["contact"], text="On its way."))["status"] == 200
    answer = await page.next("message", timeout_s=10)
    while answer["message"]["author"] != "agent":
        answer = await page.next("message", timeout_s=10)
    assert answer["message"]["text"] == "On its way."
    history = first.request("GET", f"/v1/conversations/{offer['conversation']}/messages").json()["items"]
    assert [message["parts"][0]["text"] for message in history] == ["Where is my parcel?", "On its way."]
    await desk.do("wrap-up", contact=offer["contact"])
    await desk.do("complete", contact=offer["contact"])
    await desk.do("status", presence="offline")
    await desk.close()
    await page.close()

"""A center of many processes on Apache Kafka and PostgreSQL: one contact through every room, and whoever dies is replaced."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from support.center import AgentDesk, ChatPage
from support.postgres import Postgres
from support.scaled import Gateway, Scaled, until

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
    answer = await page.next("message", timeout_s=30)
    while answer["message"]["author"] != "agent":
        answer = await page.next("message", timeout_s=30)
    assert answer["message"]["text"] == "On its way."
    history = first.request("GET", f"/v1/conversations/{offer['conversation']}/messages").json()["items"]
    assert [message["parts"][0]["text"] for message in history] == ["Where is my parcel?", "On its way."]
    await desk.do("wrap-up", contact=offer["contact"])
    await desk.do("complete", contact=offer["contact"])
    await desk.do("status", presence="offline")
    await desk.close()
    await page.close()


async def test_what_happened_is_on_kafka_as_cloudevents_in_order(scaled: Scaled, first: Gateway) -> None:
    page = await ChatPage.open(first, first.hook("web"))
    await page.say("e1", "is anybody there?")
    await until(lambda: first.request("GET", "/v1/live").json()["waiting"])
    await page.send(type="bye")
    topic = f"{scaled.prefix}.events"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=scaled.env["NARU_KAFKA"], auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, list[tuple[int, str]]] = {}
    try:
        async with asyncio.timeout(30):
            async for record in consumer:
                headers = {name: value.decode() for name, value in record.headers}
                assert (headers["ce_specversion"], headers["ce_source"]) == ("1.0", "/naru/main")
                assert b"is anybody there" not in record.value
                told = found.setdefault(headers["ce_subject"], [])
                told.append((int(headers.get("ce_sequence", 0)), headers["ce_type"]))
                if headers["ce_type"] == "naru.contact.completed" and b"abandoned" in record.value:
                    break
    finally:
        await consumer.stop()
    numbers = [number for number, _ in told]
    assert told[0][1] == "naru.contact.queued"
    assert numbers == list(range(1, len(numbers) + 1)), "a contact's events come in order, none is missing"
    await page.close()


async def test_a_position_told_by_one_gateway_is_waited_for_at_another(scaled: Scaled, first: Gateway) -> None:
    second = scaled.gateway(2)
    key = first.agent_key("jun")
    told = first.request("PUT", "/v1/agents/me/status", key=key, json={"presence": "away", "reason": "lunch"})
    position = told.headers["Naru-Position"]
    seen = second.request("GET", "/v1/agents/me/status", key=key, headers={"Naru-Position": position}).json()
    assert (seen["presence"], seen["reason"]) == ("away", "lunch")
    shard, _, offset = position.partition(".")
    later = {"Naru-Position": f"{shard}.{int(offset) + 1000}"}
    assert second.request("GET", "/v1/agents/me/status", key=key, headers=later).json()["code"] == "not-yet-visible"


async def test_a_router_that_dies_is_replaced_and_its_contacts_go_on(scaled: Scaled, first: Gateway) -> None:
    desk = await serving(first, "mina")
    page = await ChatPage.open(first, first.hook("web"))
    await page.say("c1", "before")
    offer = (await desk.next("offer"))["offer"]
    for router in scaled.of("router"):
        router.kill()
        await page.say(f"while {router.name} is dead", "still here")
        router.start()
        await asyncio.to_thread(router.wait_ready, 60)  # on a busy machine long enough to be taken for gone
        await desk.send(type="pong")
    answer = await desk.do("accept", "the same", offer=offer["id"])
    while answer["status"] == 202:  # nobody owned the shard yet; the same command is the same, however often it is sent
        answer = await desk.do("accept", "the same", offer=offer["id"])
    assert answer["status"] in (200, 409), "accepted in time, or told that it was too late"
    said = first.request("GET", f"/v1/conversations/{offer['conversation']}/messages").json()["items"]
    assert [message["number"] for message in said] == [1, 2, 3]
    await page.send(type="bye")
    await desk.do("status", presence="offline")
    await desk.close()
    await page.close()


async def test_a_gateway_that_dies_gives_its_agents_back(scaled: Scaled, first: Gateway) -> None:
    second = scaled.processes["gateway-2"]
    key = first.agent_key("mina")
    desk = await AgentDesk.open(scaled.gateway(2), key)
    await desk.next("view")
    await desk.do("status", presence="available")

    def connected() -> bool:
        return bool(first.request("GET", "/v1/agents/me/status", key=key).json().get("connected"))

    await until(connected)
    second.kill()
    await until(lambda: not connected(), 20)
    second.start()
    second.wait_ready(60)
    again = await AgentDesk.open(scaled.gateway(2), key)
    assert (await again.next("view"))["agent"]["connected"]
    await again.do("status", presence="offline")
    await again.close()


def test_what_is_not_right_is_said_before_anything_runs(scaled: Scaled, postgres: Postgres, tmp_path: Path) -> None:
    for env, why in (
        ({"NARU_DATABASE_URL": postgres.database()}, "the database's schema is None"),
        ({"NARU_KAFKA_PREFIX": "never-made"}, "is missing: naru db upgrade makes it"),
        ({"NARU_MASTER_KEY": ""}, "every process must be given the same"),
        ({"NARU_DATABASE_URL": ""}, "several processes need a database that they share"),
        ({"NARU_WORKER": "a:b"}, "NARU_WORKER"),
    ):
        again = Scaled(tmp_path, scaled.env["NARU_KAFKA"], "", env={**scaled.env, **env})
        refused = again.cli("serve", "router", "--port", "0", check=False)
        assert refused.returncode in (1, 2) and why in refused.stderr, refused.stderr


def test_doctor_looks_at_kafka_and_postgresql(scaled: Scaled, postgres: Postgres) -> None:

    well = scaled.cli("doctor", "--json", check=False)
    rows = {row["check"]: row for row in json.loads(well.stdout)}
    assert (rows["kafka"]["result"], rows["database role"]["result"], rows["schema"]["result"]) == ("pass",) * 3
    mighty = Scaled(
        scaled.folder / "mighty", "127.0.0.1:9", scaled.env["NARU_DATABASE_URL"].replace("naru@", "postgres@")
    )
    rows = {row["check"]: row for row in json.loads(mighty.cli("doctor", "--json", check=False).stdout)}
    assert "passes row-level security by" in rows["database role"]["said"]
    assert rows["kafka"]["result"] == "fail" and "no Kafka at" in rows["kafka"]["said"]

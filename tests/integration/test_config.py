"""Configuration while contacts wait: plan, apply, export, one piece at a time; and what is refused, by name."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from support.center import AgentDesk, Center, ChatPage

DOCUMENT = """\
# As an owner writes it: in any order, with comments and defaults that export leaves out.
version: 1
timezone: Asia/Seoul
name: "Config house"
agents:
- {id: owner, name: Owner, role: owner}
- {id: mina, name: Mina, brands: [shop], skills: {returns: 3, care: 1}, email: mina@shop.test}
queues:
- {id: vip, name: VIP, requires: [{skill: returns, level: 2}], tier: 2}
- {id: care, name: 고객 상담, offer_timeout_s: 600}
- {id: gone, name: Will go, target_s: {social: 1200, chat: 60}}
skills: [{id: returns, name: Returns}, {id: care, name: Care}]
brands:
- {id: shop, name: 가게, default_queue: care}
channels:
- id: hook
  name: Hook
  brand: shop
  provider: webhook
  kind: social
  secrets: {signing_secret: 'env:NARU_SECRET_HOOK'}
  settings: {z: 1, a: {y: [1, two, 3.5, true, null], b: "yes"}, text: "2024-01-01"}
- {id: web, name: Web, brand: shop, provider: webchat, kind: chat}
rules:
- {id: to-gone, when: {field: text, op: contains, value: gone}, then: {queue: gone}}
- {id: to-vip, when: {all: [{field: text, op: contains, value: vip}, {not: {field: kind, op: eq, value: sms}}]},
   then: {queue: vip}}
"""
COLLECTIONS: dict[str, dict[str, Any]] = {
    "skills": {"id": "fresh", "name": "Fresh"},
    "queues": {"id": "fresh", "name": "Fresh", "wrap_up_s": 5.0},
    "brands": {"id": "fresh", "name": "Fresh", "default_queue": "care"},
    "channels": {"id": "fresh", "name": "Fresh", "brand": "shop", "provider": "webchat", "kind": "chat"},
    "rules": {"id": "fresh", "when": {"field": "text", "op": "eq", "value": "x"}, "then": {"tier": 3}},
    "agents": {"id": "fresh", "name": "Fresh", "email": "fresh@shop.test"},
}


class House:
    def __init__(self, center: Center) -> None:
        self.center = center
        self.client = httpx2.Client(
            base_url=center.url, timeout=30, headers={"Authorization": f"Bearer {center.owner_key}"}
        )

    def export(self) -> str:
        return self.client.get("/v1/config?format=yaml").text

    def put(self, document: str, **headers: str) -> httpx2.Response:
        return self.client.put("/v1/config", content=document.encode(), headers=headers)

    def waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("/v1/live").json()["waiting"]
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Center(tmp_path_factory.mktemp("config") / "data", DOCUMENT) as center:
        made = House(center)
        yield made
        made.client.close()
        assert "Traceback" not in center.log_path.read_text(), center.log_tail()


@pytest.fixture(autouse=True)
def same_document(house: House) -> Iterator[None]:
    """Each test finds the document above in force."""
    assert house.put(DOCUMENT).status_code == 200
    yield


def until(probe: Callable[[], Any], timeout_s: float = 30) -> Any:
    end = time.perf_counter() + timeout_s
    while not (found := probe()):
        assert time.perf_counter() < end, "it did not happen"
        time.sleep(0.01)
    return found


# -- round trip


def test_export_apply_export_is_byte_identical(house: House, tmp_path: Path) -> None:
    first = house.center.cli("export").stdout
    assert first == house.export()
    assert yaml.safe_load(first)["channels"][0]["settings"]["a"]["b"] == "yes"
    version = house.client.get("/v1/config").headers["etag"]
    file = tmp_path / "exported.yaml"
    file.write_text(first)
    assert house.center.cli("plan", str(file)).returncode == 0
    house.center.cli("apply", str(file))
    assert house.export() == first
    assert house.client.get("/v1/config").headers["etag"] == version, "the same document is no new version"
    assert house.put(json.dumps(house.client.get("/v1/config").json())).status_code == 200
    assert house.export() == first


def test_the_order_in_which_it_was_written_does_not_show(house: House) -> None:
    first = house.export()
    data = yaml.safe_load(first)

    unordered = ("agents", "queues", "skills", "channels")

    def turned(value: Any) -> Any:
        """Every mapping the other way round, and every list whose order means nothing."""
        if isinstance(value, dict):
            return {
                key: turned(item)[::-1] if key in unordered and isinstance(item, list) else turned(item)
                for key, item in reversed(value.items())
            }
        return [turned(item) for item in value] if isinstance(value, list) else value

    other = yaml.safe_dump(turned(data), sort_keys=False, allow_unicode=True)
    assert other != first
    house.put("version: 1\nname: Something else\n")
    assert house.put(other).status_code == 200
    assert house.export() == first


# -- plan and apply while contacts wait


async def chats(house: House, *texts: str) -> list[ChatPage]:
    pages = []
    hook = house.center.hook("web")
    for text in texts:
        page = await ChatPage.open(house.center, hook)
        await page.say("1", text)
        pages.append(page)
    return pages


async def left(house: House, pages: list[ChatPage]) -> None:
    for page in pages:
        await page.send(type="bye")
        await page.close()
    await asyncio.to_thread(until, lambda: not house.waiting())


async def test_plan_says_what_changes_and_what_becomes_of_those_who_wait(house: House, tmp_path: Path) -> None:
    pages = await chats(house, "gone one", "gone two", "vip please")
    await asyncio.to_thread(until, lambda: len(house.waiting()) == 3)
    data = yaml.safe_load(DOCUMENT)
    data["queues"] = [queue for queue in data["queues"] if queue["id"] != "gone"]
    data["rules"] = [rule for rule in data["rules"] if rule["id"] != "to-gone"]
    changed = yaml.safe_dump(data, allow_unicode=True)
    before = house.export()
    plan = house.client.post("/v1/config/plan", content=changed.encode()).json()
    assert "-- id: gone" in plan["changes"] or any("id: gone" in line and line[0] == "-" for line in plan["changes"])
    assert plan["effects"] == ["2 waiting contacts leave queue 'gone', which goes, for their brand's default queue"]
    file = tmp_path / "changed.yaml"
    file.write_text(changed)
    said = house.center.cli("plan", str(file), check=False)
    assert said.returncode == 3
    assert "! 2 waiting contacts leave queue 'gone'" in said.stdout
    assert house.export() == before, "a plan changes nothing"
    assert sorted(contact["queue"] for contact in house.waiting()) == ["gone", "gone", "vip"]
    await left(house, pages)


async def test_plan_names_contacts_that_nobody_could_serve(house: House) -> None:
    pages = await chats(house, "hello")
    await asyncio.to_thread(until, lambda: len(house.waiting()) == 1)
    data = yaml.safe_load(DOCUMENT)
    data["agents"][1]["brands"] = []
    plan = house.client.post("/v1/config/plan", content=json.dumps(data).encode()).json()
    assert plan["effects"] == ["1 waiting contact of queue 'care' could then be served by nobody"]
    await left(house, pages)


async def test_what_waits_in_a_deleted_queue_moves_in_its_old_place(house: House) -> None:
    pages = await chats(house, "gone first", "second", "gone third", "fourth")
    before = await asyncio.to_thread(until, lambda: len(house.waiting()) == 4 and house.waiting())
    order = [contact["id"] for contact in before]
    assert [contact["queue"] for contact in before] == ["gone", "care", "gone", "care"]
    assert house.client.delete("/v1/queues/gone").status_code == 422, "a rule still sends there"
    assert house.client.delete("/v1/rules/to-gone").status_code == 200
    assert house.client.delete("/v1/queues/gone").status_code == 200
    after = await asyncio.to_thread(
        until, lambda: {c["queue"] for c in house.waiting()} == {"care"} and house.waiting()
    )
    assert [(contact["id"], contact["position"]) for contact in after] == list(zip(order, (1, 2, 3, 4), strict=True))
    assert [contact["since"] for contact in after] == [contact["since"] for contact in before]
    for page, place in zip(pages, (1, 2, 3, 4), strict=True):
        state = page.seen[-1]
        async with asyncio.timeout(30):
            while state.get("type") != "state" or state["state"]["position"] != place:
                state = next((f for f in page.seen if f.get("state", {}).get("position") == place), None) or (
                    await page.next("state")
                )
                if state["type"] == "welcome":
                    break

    desk = await AgentDesk.open(house.center, house.center.agent_key("mina"))
    await desk.do("status", presence="available")
    served = []
    for _ in range(2):
        offer = (await desk.next("offer"))["offer"]
        served.append(offer["contact"])
        await desk.do("accept", offer=offer["id"])
        await desk.do("complete", contact=offer["contact"])
    assert served == order[:2]
    await desk.do("status", presence="offline")
    await desk.close()
    await left(house, pages)


async def test_an_applied_document_is_in_force_at_once(house: House) -> None:
    """Who waits is offered the moment a document gives somebody the skill that was missing."""
    data = yaml.safe_load(DOCUMENT)
    data["agents"][1]["skills"] = {"returns": 1}
    data["agents"][0]["skills"] = {"returns": 5}
    assert house.put(json.dumps(data)).status_code == 200
    pages = await chats(house, "vip please")
    desk = await AgentDesk.open(house.center, house.center.agent_key("mina"))
    await desk.do("status", presence="available")
    await asyncio.to_thread(until, lambda: [c["queue"] for c in house.waiting()] == ["vip"])
    assert not [frame for frame in desk.seen if frame["type"] == "offer"]
    assert house.put(DOCUMENT).status_code == 200
    offer = (await desk.next("offer"))["offer"]
    assert offer["queue"] == "vip"
    await desk.do("decline", offer=offer["id"])
    await desk.do("status", presence="offline")
    await desk.close()
    await left(house, pages)


# -- one piece at a time


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_can_be_read_made_replaced_and_deleted(house: House, name: str) -> None:
    ask, body = house.client.request, COLLECTIONS[name]
    path = f"/v1/{name}/fresh"
    start = house.export()
    assert ask("GET", path).status_code == 404
    assert ask("PUT", path, json=body).status_code == 404
    assert ask("DELETE", path).status_code == 404
    made = ask("POST", f"/v1/{name}", json=body)
    assert made.status_code == 201, made.text
    assert made.headers["etag"] == f'"{made.json()["version"]}"'
    assert ask("POST", f"/v1/{name}", json=body).status_code == 409
    assert ask("GET", path).json() == body
    assert body in ask("GET", f"/v1/{name}").json()["items"]
    changed = {**body, "then": {"tier": 4}} if name == "rules" else {**body, "name": "Changed"}
    assert ask("PUT", path, json={**changed, "id": "elsewhere"}).status_code == 200
    assert ask("GET", path).json() == changed, "the path says which one, not the body"
    assert ask("GET", f"/v1/{name}/elsewhere").status_code == 404
    assert ask("DELETE", path).status_code == 200
    assert ask("GET", path).status_code == 404
    assert house.export() == start


def test_rules_keep_their_order_when_one_is_replaced(house: House) -> None:
    ids = [rule["id"] for rule in house.client.get("/v1/rules").json()["items"]]
    assert ids == ["to-gone", "to-vip"]
    body = {"when": {"field": "text", "op": "eq", "value": "x"}, "then": {"tier": 1}}
    assert house.client.put("/v1/rules/to-gone", json=body).status_code == 200
    assert [rule["id"] for rule in house.client.get("/v1/rules").json()["items"]] == ids


def test_if_match_guards_against_each_other(house: House) -> None:
    tag = house.client.get("/v1/config").headers["etag"]
    now = house.client.put("/v1/queues/vip", json={"name": "A"}, headers={"If-Match": tag})
    assert now.status_code == 200
    for method, path, more in (
        ("PUT", "/v1/queues/vip", {"json": {"name": "B"}}),
        ("POST", "/v1/skills", {"json": COLLECTIONS["skills"]}),
        ("DELETE", "/v1/rules/to-vip", {}),
        ("PUT", "/v1/config", {"content": DOCUMENT.encode()}),
    ):
        for old in (tag, f"W/{tag}", '"nonsense"', '"²"', '"-1"', '""'):
            answer = house.client.request(method, path, headers={"If-Match": old.encode()}, **more)
            assert (answer.status_code, answer.json()["code"]) == (412, "changed-meanwhile"), (path, old)
            assert answer.headers["etag"] == now.headers["etag"]
    assert house.client.get("/v1/queues/vip").json()["name"] == "A"
    for good in (now.headers["etag"], "*"):
        answer = house.client.put("/v1/queues/vip", json={"name": f"with {len(good)}"}, headers={"If-Match": good})
        assert answer.status_code == 200


def test_changes_at_the_same_moment_do_not_undo_each_other(house: House) -> None:
    def make(number: int) -> int:
        body = {"id": f"skill-{number}", "name": "x"}
        headers = {"Authorization": f"Bearer {house.center.owner_key}"}
        return httpx2.post(f"{house.center.url}/v1/skills", json=body, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(make, range(8)))
    assert set(statuses) <= {201, 412}
    made = {skill["id"] for skill in house.client.get("/v1/skills").json()["items"]}
    assert {f"skill-{number}" for number, status in enumerate(statuses) if status == 201} <= made


def test_addresses_may_change_hands_and_are_never_shared(house: House) -> None:
    data = yaml.safe_load(DOCUMENT)
    data["agents"] = [
        {"id": "owner", "name": "Owner", "role": "owner", "email": "mina@shop.test"},
        {"id": "mina", "name": "Mina", "skills": {"returns": 3, "care": 1}, "email": "owner@shop.test"},
    ]
    assert house.put(json.dumps(data)).status_code == 200
    data["agents"][0]["email"], data["agents"][1]["email"] = "owner@shop.test", "mina@shop.test"
    assert house.put(json.dumps(data)).status_code == 200
    # Somebody goes, and a new one gets the address.
    data["agents"] = [*data["agents"][1:], {"id": "heir", "name": "Heir", "role": "owner", "email": "owner@shop.test"}]
    assert house.put(json.dumps(data)).status_code == 200
    link = house.client.post("/v1/invites", json={"agent": "heir"}).json()["link"]
    body = {"token": link.partition("#invite=")[2], "password": "a long password"}
    assert httpx2.post(f"{house.center.url}/v1/invites/accept", json=body).status_code == 200
    login = {"workspace": "main", "email": "owner@shop.test", "password": "a long password"}
    assert httpx2.post(f"{house.center.url}/v1/login", json=login).json()["agent"] == "heir"
    data["agents"][0]["email"] = "owner@shop.test"
    refused = house.put(json.dumps(data))
    assert refused.status_code == 422 and "both have the address" in refused.json()["detail"]


def test_who_is_gone_from_the_document_is_signed_out_at_once(house: House) -> None:
    assert house.client.post("/v1/agents", json=COLLECTIONS["agents"]).status_code == 201
    link = house.client.post("/v1/invites", json={"agent": "fresh"}).json()["link"]
    body = {"token": link.partition("#invite=")[2], "password": "a long password"}
    with httpx2.Client(base_url=house.center.url) as browser:
        assert browser.post("/v1/invites/accept", json=body).status_code == 200
        assert browser.get("/v1/me").status_code == 200
        assert house.client.delete("/v1/agents/fresh").status_code == 200
        assert browser.get("/v1/me").status_code == 401
        login = {"workspace": "main", "email": "fresh@shop.test", "password": "a long password"}
        assert browser.post("/v1/login", json=login).status_code == 401


# -- refused, naming the fault


BAD: dict[str, tuple[str, str]] = {
    "empty": ("", "the document is empty"),
    "no YAML": ("a: [", "not YAML"),
    "no mapping": ("- 1", "Expected `object`"),
    "a tag": ("name: !!python/object/apply:os.system [ls]", "not YAML"),
    "an alias": ("name: &a x\ntimezone: *a", "aliases are not read"),
    "many aliases": (
        "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]",
        "aliases are not read",
    ),
    "an impossible date": ("name: 2024-99-99", "not YAML"),
    "a huge number": ("name: " + "9" * 5000, "not YAML"),
    "deep": ("[" * 5000, "not YAML"),
    "a NUL": ("name: a\0b", "not YAML"),
    "unknown field": ("nmae: x", "nmae"),
    "another version": ("version: 2", "version"),
    "wrong type": ("queues: {a: b}", "queues"),
    "bad id": ("queues: [{id: Not An Id, name: x}]", "queues[0].id"),
    "twice": ("queues: [{id: a, name: x}, {id: a, name: y}]", "queues: 'a' is there twice"),
    "no such queue": ("brands: [{id: b, name: x, default_queue: q}]", "brand 'b': default queue 'q' does not exist"),
    "no such brand": (
        "channels: [{id: c, name: x, brand: b, provider: webchat, kind: chat}]",
        "channel 'c': brand 'b' does not exist",
    ),
    "no such skill": ("agents: [{id: a, name: x, skills: {s: 1}}]", "agent 'a': skill 's' does not exist"),
    "nobody has it": (
        "skills: [{id: s, name: x}]\nqueues: [{id: q, name: x, requires: [{skill: s}]}]",
        "queue 'q': nobody has 's' at level 1 or more",
    ),
    "a secret in the clear": (
        "channels: [{id: c, name: x, brand: b, provider: webhook, kind: sms, secrets: {signing_secret: hunter2}}]",
        "secrets",
    ),
    "a date in settings": (
        "queues: [{id: q, name: x}]\nbrands: [{id: b, name: x, default_queue: q}]\n"
        "channels: [{id: c, name: x, brand: b, provider: webchat, kind: chat, settings: {a: 2024-01-01}}]",
        "settings hold something",
    ),
    "not a number in settings": (
        "queues: [{id: q, name: x}]\nbrands: [{id: b, name: x, default_queue: q}]\n"
        "channels: [{id: c, name: x, brand: b, provider: webchat, kind: chat, settings: {a: .nan}}]",
        "settings hold something",
    ),
    "bytes in settings": (
        "queues: [{id: q, name: x}]\nbrands: [{id: b, name: x, default_queue: q}]\n"
        "channels: [{id: c, name: x, brand: b, provider: webchat, kind: chat, settings: {a: !!binary aGk=}}]",
        "settings hold something",
    ),
    "a menu that leads nowhere": (
        "queues: [{id: q, name: x}]\nbrands: [{id: b, name: x, default_queue: q}]\n"
        "channels: [{id: c, name: x, brand: b, provider: twilio_voice, kind: voice, "
        "settings: {menu: {say: {ko: x}, keys: {1: {menu: {say: {ko: y}, keys: {11: {}}}}}}}}]",
        "channel 'c': settings.menu.keys.1.menu.keys: '11' is no key of a telephone",
    ),
    "steps that go back": (
        "queues: [{id: q, name: x, steps: [{after_s: 9, tier: 1}, {after_s: 5, tier: 2}]}]",
        "queue 'q' step 2: cannot be reached",
    ),
    "unknown field of a rule": (
        "rules: [{id: r, when: {field: shoe_size, op: eq, value: x}, then: {}}]",
        "there is no field 'shoe_size'; known: channel",
    ),
    "two conditions in one": (
        "rules: [{id: r, when: {field: text, op: eq, value: x, all: []}, then: {}}]",
        "a condition is exactly one of",
    ),
    "a rule into nowhere": (
        "rules: [{id: r, when: {field: text, op: eq, value: x}, then: {queue: q}}]",
        "rule 'r': queue 'q' does not exist",
    ),
    "in without a list": (
        "rules: [{id: r, when: {field: text, op: in, value: x}, then: {}}]",
        "'in' takes a list",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_document_is_refused_by_name(house: House, name: str) -> None:
    document, fault = BAD[name]
    before = house.export()
    for method, path in (("PUT", "/v1/config"), ("POST", "/v1/config/plan")):
        answer = house.client.request(method, path, content=document.encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-config"), answer.text
        assert fault in answer.json()["detail"], answer.json()["detail"][:500]
    assert house.export() == before


def test_every_fault_is_named_at_once_on_the_command_line_too(house: House, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("brands: [{id: b, name: x, default_queue: q}]\nagents: [{id: a, name: x, skills: {s: 1}}]")
    for command in ("plan", "apply"):
        answer = house.center.cli(command, str(file), check=False)
        assert answer.returncode == 2
        assert "brand 'b'" in answer.stderr and "agent 'a'" in answer.stderr
        assert "Traceback" not in answer.stderr
    file.write_bytes(b"name: \xff\xfe")
    answer = house.center.cli("apply", str(file), check=False)
    assert answer.returncode == 2 and "cannot be read" in answer.stderr


def test_a_document_over_its_bound_is_refused(house: House) -> None:
    skills = [{"id": f"s{number}", "name": "x" * 200} for number in range(4500)]
    assert house.put(json.dumps({"skills": skills})).status_code in (413, 422)
    assert house.put("name: " + "x" * 950_000).status_code == 422
    assert "Config house" in house.export()


def test_rules_are_checked_on_save(house: House) -> None:
    good = {"id": "fresh", "when": {"field": "attributes.size", "op": "in", "value": ["s", "m"]}, "then": {}}
    assert house.client.post("/v1/rules", json=good).status_code == 201
    deep: dict[str, Any] = {"field": "text", "op": "eq", "value": "x"}
    for _ in range(8):
        deep = {"not": deep}
    for change, fault in (
        ({"when": {"field": "text"}}, "has no op"),
        ({"when": {"field": "text", "op": "eq", "value": 5}}, "takes text"),
        ({"when": {"field": "text", "op": "matches", "value": "x"}}, "op"),
        ({"when": {}}, "exactly one of"),
        ({"when": deep}, "nested deeper than 8"),
        ({"then": {"queue": "nowhere"}}, "does not exist"),
        ({"then": {"requires": [{"skill": "nothing"}]}}, "does not exist"),
        ({"brand": "nowhere"}, "does not exist"),
    ):
        answer = house.client.put("/v1/rules/fresh", json={**good, **change})
        assert answer.status_code == 422 and fault in answer.json()["detail"], answer.text
    assert house.client.get("/v1/rules/fresh").json()["when"] == good["when"]

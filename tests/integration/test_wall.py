"""The wall between workspaces, and what each role may do, taken from the OpenAPI document itself.

Two workspaces live in one server. Whatever the document lists is tried with a token of A and ids of B. A route that
these tables do not know fails the test, so that nothing can be added without being put behind the wall.
"""

import asyncio
import hashlib
import hmac
import json
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from naru.app import Naru
from naru.settings import Settings
from naru.store import migrate
from support.center import CONFIG, HOOK_SECRET, AgentDesk, Center, ChatPage, Frames
from support.waiting import within

B = """\
version: 1
name: Other house
brands:
- {id: b-shop, name: B Shop, default_queue: b-care}
channels:
- {id: b-web, name: B Web, brand: b-shop, provider: webchat, kind: chat}
- {id: b-hook, name: B Hook, brand: b-shop, provider: webhook, kind: social, secrets: {signing_secret: 'env:NARU_SECRET_HOOK'}}
- id: b-phone
  name: B Phone
  brand: b-shop
  provider: asterisk
  kind: voice
  settings: {url: 'http://127.0.0.1:9/ari', webrtc: {url: 'wss://127.0.0.1:9/ws'}}
  secrets: {username: 'env:NARU_SECRET_HOOK', password: 'env:NARU_SECRET_HOOK'}
queues:
- {id: b-care, name: B Care, offer_timeout_s: 600, max_wait_s: 3000}
- {id: b-spare, name: B Spare}
skills:
- {id: b-skill, name: B Skill}
rules:
- {id: b-rule, when: {field: text, op: contains, value: never}, then: {queue: b-spare}}
agents:
- {id: b-owner, name: B Owner, role: owner, email: owner@b.test}
- id: b-mina
  name: B Mina
  brands: [b-shop]
  skills: {b-skill: 2}
  units: 40
  phone: b-1001
  softphone: secret:softphone-b-mina
- {id: b-out, name: B Out, brands: [b-shop], mode: outbound}
sign_in: {issuer: 'http://127.0.0.1:9', client_id: b-client, label: House ID}
webhooks:
- {id: b-crm, url: 'https://127.0.0.1:9/', secret: 'secret:b-secret', types: [naru.participant]}
campaigns:
- {id: b-campaign, name: B Campaign, channel: b-hook, queue: b-spare, mode: direct}
"""

# Every path with a parameter: which of B's ids stand in it.
PATHS = {
    "/v1/keys/{id_}": ("key",),
    "/v1/brands/{id_}": ("brand",),
    "/v1/channels/{id_}": ("channel",),
    "/v1/channels/{id_}/connection": ("channel",),
    "/v1/channels/{id_}/test": ("channel",),
    "/v1/channels/{id_}/live": ("channel",),
    "/v1/channels/{id_}/live/{comment}/pick": ("channel",),
    "/v1/queues/{id_}": ("queue",),
    "/v1/skills/{id_}": ("skill",),
    "/v1/rules/{id_}": ("rule",),
    "/v1/agents/{id_}": ("agent",),
    "/v1/agents/{id_}/why-idle": ("agent",),
    "/v1/agents/{id_}/status": ("agent",),
    "/v1/webhooks/{id_}": ("webhook",),
    "/v1/webhooks/{id_}/deliveries": ("webhook",),
    "/v1/webhooks/{id_}/ping": ("webhook",),
    "/v1/campaigns/{id_}": ("campaign",),
    "/v1/campaigns/{id_}/start": ("campaign",),
    "/v1/campaigns/{id_}/stop": ("campaign",),
    "/v1/campaigns/{id_}/status": ("campaign",),
    "/v1/campaigns/{id_}/lists": ("campaign",),
    "/v1/campaigns/{id_}/lists/{list_}": ("campaign",),
    "/v1/campaigns/{id_}/attempts": ("campaign",),
    "/v1/offers/{id_}/accept": ("offer",),
    "/v1/offers/{id_}/decline": ("offer",),
    "/v1/contacts/{id_}": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/why": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/messages": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/hold": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/resume": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/park": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/transfer": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/wrap-up": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/extend-wrap-up": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/complete": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/consult": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/conference": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/leave": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/move": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/reprioritise": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/take-over": ("waiting", "offered", "active", "ended"),
    "/v1/contacts/{id_}/monitor": ("waiting", "offered", "active", "ended"),
    "/v1/callbacks/{id_}": ("waiting", "offered", "active", "ended"),
    "/v1/conversations/{id_}/messages": ("conversation",),
    "/v1/customers/{id_}": ("customer",),
    "/v1/customers/{id_}/history": ("customer",),
    "/v1/customers/{id_}/merge": ("customer",),
    "/v1/customers/{id_}/split": ("customer",),
    "/v1/files/{sha256}": ("file",),
}
# Not behind a workspace's token, each with a test of its own below.
CAPABILITIES = {
    "/hooks/{hook}",
    "/hooks/{hook}/{path}",
    "/chat/files/{sha256}",
    "/chat/devices/{device}",
    "/v1/secrets/{name}",
    "/v1/do-not-call/{value}",
}

BODIES: dict[str, Any] = {
    "message_contact": {"text": "x"},
    "transfer_contact": {"queue": "care"},
    "extend_wrap_up_contact": {"seconds": 5},
    "consult_contact": {"agent": "jun"},
    "move_contact": {"queue": "second"},
    "reprioritise_contact": {"tier": 1},
    "set_status_agent": {"presence": "away"},
    "put_my_status": {"presence": "away"},
    "put_brand": {"name": "x", "default_queue": "care"},
    "put_channel": {"name": "x", "brand": "shop", "provider": "webchat", "kind": "chat"},
    "put_queue": {"name": "x"},
    "put_skill": {"name": "x"},
    "put_rule": {"when": {"field": "text", "op": "eq", "value": "x"}, "then": {}},
    "put_agent": {"name": "x"},
    "put_campaign": {"name": "x", "channel": "hook", "queue": "care"},
    "create_campaign": {},
    "add_do_not_call": {"value": "nobody@a.test"},
    "put_webhook": {"url": "https://127.0.0.1:9/", "secret": "secret:x"},
    "put_secret": {"value": "x"},
    "create_brand": {"id": "new", "name": "x", "default_queue": "nowhere"},
    "create_channel": {},
    "create_queue": {},
    "create_skill": {},
    "create_rule": {},
    "create_agent": {},
    "create_webhook": {},
    "put_chat_device": {"platform": "fcm", "token": "x"},
    "create_key": {"name": "x", "role": "app"},
    "create_invite": {"agent": "nobody"},
    "order_callback": {"channel": "nowhere", "number": "+821012345678"},
    "merge_customer": {"into": "nobody"},
    "split_customer": {"other": "nobody"},
    "start_contact": {"channel": "nowhere", "to": "someone"},
    "login": {"workspace": "x", "email": "x", "password": "x"},
    "login_by_token": {"token": "x" * 30},
    "accept_invite": {"token": "x" * 30, "password": "x" * 12},
}

# The least role that each operation asks for. "open": none; "any": whoever is signed in.
ROLES = {
    **dict.fromkeys(("livez", "readyz", "startupz", "metrics", "get_asyncapi"), "open"),
    **dict.fromkeys(("login", "login_by_token", "accept_invite"), "open"),
    **dict.fromkeys(("get_login_options", "begin_sign_in", "finish_sign_in"), "open"),
    **dict.fromkeys(("receive_hook", "receive_hook_path", "create_chat_file", "get_chat_file"), "open"),
    **dict.fromkeys(("greet_hook", "greet_hook_path", "put_chat_device", "delete_chat_device"), "open"),
    "list_providers": "any",
    **dict.fromkeys(("get_me", "logout", "list_targets", "create_file", "get_file"), "any"),
    **dict.fromkeys(
        ("get_contact", "get_contact_why", "list_messages", "get_customer", "list_customer_history"), "any"
    ),
    **dict.fromkeys((f"list_{name}s" for name in ("brand", "channel", "queue", "skill", "rule", "agent")), "any"),
    **dict.fromkeys((f"get_{name}" for name in ("brand", "channel", "queue", "skill", "rule", "agent")), "any"),
    **dict.fromkeys(("get_my_status", "list_my_offers", "list_my_contacts"), "any"),
    "get_my_softphone": "agent",
    **dict.fromkeys(("create_ticket", "put_my_status", "start_contact", "accept_offer", "decline_offer"), "agent"),
    **dict.fromkeys(
        (
            f"{name}_contact"
            for name in ("message", "hold", "resume", "park", "transfer", "wrap_up", "extend_wrap_up", "complete")
        ),
        "agent",
    ),
    **dict.fromkeys(("order_callback", "cancel_callback", "merge_customer", "split_customer"), "agent"),
    "list_callbacks": "any",
    **dict.fromkeys(("consult_contact", "conference_contact", "leave_contact"), "agent"),
    **dict.fromkeys(("list_callbacks", "order_callback", "cancel_callback"), "agent"),
    **dict.fromkeys(("move_contact", "reprioritise_contact", "take_over_contact", "monitor_contact"), "supervisor"),
    "set_status_agent": "supervisor",
    **dict.fromkeys(("list_webhooks", "get_webhook"), "supervisor"),
    **dict.fromkeys(("list_campaigns", "get_campaign", "list_dialing_rules"), "any"),
    **dict.fromkeys(("start_campaign", "stop_campaign", "get_campaign_status", "list_campaign_status"), "supervisor"),
    **dict.fromkeys(("list_campaign_lists", "get_campaign_list", "list_campaign_attempts"), "supervisor"),
    "list_do_not_call": "supervisor",
    "add_do_not_call": "agent",
    **dict.fromkeys(("import_campaign_list", "remove_do_not_call", "import_do_not_call"), "admin"),
    **dict.fromkeys(("get_webhook_deliveries", "ping_webhook"), "admin"),
    **dict.fromkeys(
        ("get_live", "get_agent_why_idle", "report_intervals", "get_config", "get_channel_connection"), "supervisor"
    ),
    **dict.fromkeys(("test_channel", "get_live_rooms", "pick_comment"), "supervisor"),
    **dict.fromkeys(("list_keys", "create_key", "revoke_key", "list_secrets", "put_secret"), "admin"),
    **dict.fromkeys(("create_invite", "plan_config", "put_config"), "admin"),
    **dict.fromkeys(
        (
            f"{verb}_{name}"
            for verb in ("create", "put", "delete")
            for name in ("brand", "channel", "queue", "skill", "rule", "agent", "webhook", "campaign")
        ),
        "admin",
    ),
}
# What everybody may ask of B, and is told: how one signs in there, and no more.
ASKED_OF_B: dict[str, tuple[dict[str, str], int]] = {
    "/v1/login/options": ({"workspace": "b"}, 200),
    "/v1/login/oidc": ({"workspace": "b"}, 302),
    "/v1/login/oidc/callback": ({"state": "never-was", "code": "x"}, 302),
}
RANK = {"open": -1, "any": 0, "app": 0, "agent": 1, "supervisor": 2, "admin": 3, "owner": 4}
FILES = ("create_file", "create_chat_file", "import_campaign_list", "import_do_not_call")
"""Operations whose body is a file."""
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")


def signed(body: bytes, id_: str) -> dict[str, str]:
    stamp = str(int(time.time()))  # noqa: TID251 - a provider's clock
    mac = hmac.digest(b64decode(HOOK_SECRET.removeprefix("whsec_")), f"{id_}.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + b64encode(mac).decode(),
        "content-type": "application/json",
    }


class House:
    """The server, with the keys and the ids of both workspaces."""

    database_url = ""

    def __init__(self, center: Center, b_key: str, login_token: str) -> None:
        self.center = center
        self.client = httpx2.Client(base_url=center.url, timeout=30)
        self.login_token = login_token
        self.b_key = b_key
        self.a_key = center.agent_key("owner", "owner")
        self.document: dict[str, Any] = httpx2.get(f"{center.url}/openapi.json").json()
        self.b_agent_key, self.ids = self._furnish()

    def ask(self, key: str, method: str, path: str, **more: Any) -> httpx2.Response:
        """One client for all, because making one takes longer than most requests."""
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def a(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.ask(self.a_key, method, path, **more)

    def b(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.ask(self.b_key, method, path, **more)

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def say(self, thread: str, id_: str, text: str = "hello from b") -> None:
        body = json.dumps({"thread": thread, "from": {"value": f"person-{thread}"}, "text": text}).encode()
        hook = self.b("GET", "/v1/channels/b-hook/connection").json()["hook"]
        answer = self.client.post(f"/hooks/{hook}", content=body, headers=signed(body, id_))
        assert answer.status_code == 202, answer.text

    def _furnish(self) -> tuple[str, dict[str, str]]:
        """Real objects of every kind in B."""
        made = self.b("POST", "/v1/keys", json={"name": "b", "role": "agent", "agent": "b-mina"}).json()
        key: str = made["key"]
        assert self.b("PUT", "/v1/secrets/b-secret", json={"value": "b's own"}).status_code == 204
        assert self.b("PUT", "/v1/secrets/softphone-b-mina", json={"value": "b-mina's phone"}).status_code == 204

        def mine(method: str, path: str, **more: Any) -> Any:
            answer = self.ask(key, method, path, **more)
            assert answer.status_code < 300, answer.text
            return answer.json()

        def offer() -> dict[str, Any]:
            found: dict[str, Any] = until(lambda: next(iter(mine("GET", "/v1/agents/me/offers")["items"]), None))
            return found

        mine("PUT", "/v1/agents/me/status", json={"presence": "available"})
        ids = {"brand": "b-shop", "channel": "b-hook", "queue": "b-care", "skill": "b-skill", "rule": "b-rule"}
        ids["webhook"] = "b-crm"
        ids |= {"agent": "b-mina", "key": made["id"]}
        for thread, name in (("t0", "ended"), ("t1", "active"), ("t2", "offered")):
            self.say(thread, f"b-{thread}")
            found = offer()
            ids[name] = found["contact"]
            if name == "offered":
                ids |= {"offer": found["id"]}
                continue
            mine("POST", f"/v1/offers/{found['id']}/accept")
            if name == "ended":
                mine("POST", f"/v1/contacts/{ids['ended']}/complete", json={})
        ids |= {"conversation": found["conversation"], "customer": found["customer"]["id"]}
        self.say("t3", "b-t3")
        waiting = until(lambda: [w for w in self.b("GET", "/v1/live").json()["waiting"] if w["id"] != ids["offered"]])
        ids["waiting"] = waiting[0]["id"]
        file = {"file": ("b.txt", b"only b has this", "text/plain")}
        ids["file"] = mine("POST", "/v1/files", files=file)["id"]
        ids["campaign"] = "b-campaign"
        people = {"file": ("people.csv", b"handle,consent\nperson-b,yes\n", "text/csv")}
        ids["list"] = self.b("POST", "/v1/campaigns/b-campaign/lists", files=people).json()["list"]
        path = f"/v1/campaigns/b-campaign/lists/{ids['list']}"
        assert until(lambda: [found for found in [self.b("GET", path).json()] if found["state"] == "done"])
        assert self.b("POST", "/v1/do-not-call", json={"value": "b-refuses@b.test"}).status_code == 201
        return key, ids

    def everything_of_b(self) -> dict[str, Any]:
        """All that B can see of itself, without what moves by the clock."""
        paths = [path for method, path, _ in self.operations() if method == "GET" and "{" not in path]
        paths += [
            path.replace("{id_}", self.ids[name]).replace("{list_}", self.ids["list"])
            for path, names in PATHS.items()
            for name in names
        ]
        found: dict[str, Any] = {}
        for path in paths:
            if path.startswith("/v1/") and "/why" not in path:
                answer = self.ask(self.b_agent_key if "/me" in path else self.b_key, "GET", path)
                if answer.status_code == 200:
                    found[path] = answer.json() if "json" in answer.headers["content-type"] else answer.text
        live = found["/v1/live"]
        live.pop("server_now")
        for queue in live["queues"]:
            queue.pop("longest_wait_s")
        found.pop("/v1/reports/intervals")  # its intervals follow the clock
        found["file"] = self.b("GET", f"/v1/files/{self.ids['file']}").content
        return found


def until(probe: Any, timeout_s: float = 30) -> Any:
    """Bounded polling for what another part of the house does in its own time."""
    end = time.perf_counter() + timeout_s
    while not (found := probe()):
        assert time.perf_counter() < end, "it did not happen"
        time.sleep(0.01)
    return found


async def mint_login_token(folder: Path, database_url: str) -> str:
    """What `naru demo` puts in its links, made on the files before the server has them."""
    house = Naru(Settings(data=str(folder), database_url=database_url))
    await house.start()
    try:
        await house.accounts.ensure_workspace("b", "Other house")
        return await house.accounts.login_token("main", "mina")
    finally:
        await house.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same wall whichever database stands behind it."""
    folder = tmp_path_factory.mktemp("wall") / "data"
    database_url = ""
    if request.param == "postgresql":
        database_url = request.getfixturevalue("postgres").database()
        migrate.upgrade(database_url)
    center = Center(folder, CONFIG, env={"NARU_DATABASE_URL": database_url})
    document = folder.parent / "b.yaml"
    document.write_text(B)
    center.cli("apply", str(document), "--workspace", "b")
    token = asyncio.run(mint_login_token(folder, database_url))
    with center:
        made = House(center, (folder / "local-b.key").read_text().split()[1], token)
        made.database_url = database_url
        yield made
        made.client.close()


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    name = operation["operationId"]
    if name in FILES:
        return {"files": {"file": ("x.txt", b"x", "text/plain")}}
    if name in ("plan_config", "put_config"):
        return {"content": b"name: {}"}  # refused by whoever may ask at all
    return {"json": BODIES[name]} if name in BODIES else {}


# -- the wall


def test_the_tables_know_every_route_of_the_document(house: House) -> None:
    with_parameter = {path for _, path, _ in house.operations() if "{" in path}
    assert with_parameter == set(PATHS) | CAPABILITIES
    assert {operation["operationId"] for _, _, operation in house.operations()} == set(ROLES)
    needs_body = {o["operationId"] for _, _, o in house.operations() if o.get("requestBody", {}).get("required")}
    assert needs_body - set(BODIES) == set(FILES)


def test_every_route_with_a_token_of_a_and_ids_of_b_is_404(house: House) -> None:
    before = house.everything_of_b()
    assert {len(before[f"/v1/{name}"]["items"]) for name in ("keys", "brands", "channels", "queues", "agents")} >= {
        1,
        2,
    }
    wrong: list[str] = []
    tried = 0
    for path, names in PATHS.items():
        listed = {method.upper(): operation for method, operation in house.document["paths"][path].items()}
        for name in names:
            for method in METHODS:
                target = path.replace("{sha256}", house.ids["file"])
                nothing = path.replace("{sha256}", "0" * 64)
                target = target.replace("{id_}", house.ids[name]).replace("{list_}", house.ids["list"])
                nothing = nothing.replace("{id_}", "never-was")
                body = body_of(listed[method]) if method in listed else {}
                answer = house.a(method, target, **body)
                never_was = house.a(method, nothing, **body)
                tried += 1
                # Offers are forgotten when they end, so one that never was is over too: 409, and the same for B's.
                wanted = 405 if method not in listed else 409 if name == "offer" else 404
                if (answer.status_code, answer.json()["status"]) != (wanted, wanted):
                    wrong.append(f"{method} {path} ({name}): {answer.status_code} {answer.text[:100]}")
                if answer.text != never_was.text:
                    wrong.append(f"{method} {path} ({name}): can be told from what never was: {answer.text[:100]}")
    assert not wrong, "\n".join(wrong)
    assert tried >= 5 * len(PATHS)
    assert house.everything_of_b() == before


def test_bs_ids_in_bodies_of_a_are_refused(house: House) -> None:
    before = house.everything_of_b()
    ids = house.ids
    for method, path, body, status in (
        ("POST", "/v1/keys", {"name": "x", "role": "agent", "agent": ids["agent"]}, 404),
        ("POST", "/v1/invites", {"agent": ids["agent"]}, 404),
        ("POST", "/v1/contacts", {"channel": ids["channel"], "to": "someone", "text": "x"}, 404),
        ("POST", "/v1/brands", {"id": "new", "name": "x", "default_queue": ids["queue"]}, 422),
        (
            "POST",
            "/v1/channels",
            {"id": "new", "name": "x", "brand": ids["brand"], "provider": "w", "kind": "sms"},
            422,
        ),
        ("POST", "/v1/agents", {"id": "new", "name": "x", "skills": {ids["skill"]: 1}}, 422),
    ):
        answer = house.a(method, path, json=body)
        assert answer.status_code == status, (path, answer.text)
    assert house.everything_of_b() == before


def test_a_secret_of_the_same_name_is_another_secret(house: House) -> None:
    """A secret's name is chosen by whoever puts it, so here the wall is that there are two."""
    assert house.a("PUT", "/v1/secrets/a-secret", json={"value": "a's own"}).status_code == 204
    assert house.b("GET", "/v1/secrets").json() == {"items": [{"name": "b-secret"}, {"name": "softphone-b-mina"}]}
    assert {"name": "b-secret"} not in house.a("GET", "/v1/secrets").json()["items"]


def test_who_wants_no_calls_of_b_may_be_called_by_a(house: House) -> None:
    """An address is chosen by whoever lists it, as a secret's name is: each house has its own list."""
    value = "b-refuses@b.test"
    assert value not in house.a("GET", "/v1/do-not-call").text
    assert house.a("DELETE", f"/v1/do-not-call/{value}").status_code == 404
    assert house.a("POST", "/v1/do-not-call", json={"value": value}).status_code == 201
    assert house.a("DELETE", f"/v1/do-not-call/{value}").status_code == 204
    assert [row["value"] for row in house.b("GET", "/v1/do-not-call").json()["items"]] == [value]


def test_hooks_and_chat_files_open_to_their_own_token_only(house: House) -> None:
    b_hook = house.b("GET", "/v1/channels/b-web/connection").json()["hook"]
    a_hook = house.center.hook("web")
    for path in ("/hooks/nothing", "/hooks/nothing/status"):
        assert house.a("POST", path, content=b"{}").status_code == 404
    signed_hook = house.b("GET", "/v1/channels/b-hook/connection").json()["hook"]
    assert house.a("POST", f"/hooks/{signed_hook}", content=b"{}").status_code == 403
    for channel in (a_hook, b_hook):
        assert house.a("GET", f"/chat/files/{house.ids['file']}?c={channel}&s=x").status_code == 404


def test_lists_of_a_never_hold_ids_of_b(house: House) -> None:
    foreign = [
        *house.ids.values(),
        "b-web",
        "b-spare",
        "b-owner",
        "only b has this",
        "person-t",
        "b-secret",
        "b-mina's",
        "b-refuses",
    ]
    lists = [path for method, path, _ in house.operations() if method == "GET" and "{" not in path]
    assert len(lists) >= 15
    for path in lists:
        if path == "/metrics":
            continue  # the operator's view of the whole house, not a workspace's
        query, status = ASKED_OF_B.get(path, ({}, 200))
        answer = house.a("GET", path, params=query)
        assert answer.status_code == status, (path, answer.text)
        assert [id_ for id_ in foreign if id_ in answer.text] == [], path


def test_a_phones_password_is_told_to_its_own_agent_alone(house: House) -> None:
    """Not to the house's owner, not in the configuration, and not to somebody of that name in another house."""
    path, password = "/v1/agents/me/softphone", "b-mina's phone"
    mine = house.ask(house.b_agent_key, "GET", path)
    assert mine.json()["registration"] == {
        "url": "wss://127.0.0.1:9/ws",
        "domain": "127.0.0.1",
        "user": "b-1001",
        "password": password,
    }
    assert mine.headers["cache-control"] == "no-store"
    owner = house.b("POST", "/v1/keys", json={"name": "o", "role": "owner", "agent": "b-owner"}).json()["key"]
    for key in (owner, house.a_key, house.center.agent_key("jun")):
        assert house.ask(key, "GET", path).json() == {"registration": None, "missing": None}
    assert house.b("GET", path).status_code == 403, "a key that is no agent's"
    for method, other, operation in house.operations():
        if method == "GET" and "{" not in other and other != path and ROLES[operation["operationId"]] != "open":
            assert password not in house.b("GET", other).text, other


async def test_sockets_of_a_never_see_frames_of_b(house: House) -> None:
    center = house.center
    desk = await AgentDesk.open(center, center.agent_key("jun"))
    await desk.next("view")
    board = await board_of(center, house.a_key)
    page = await ChatPage.open(center, center.hook("web"))
    theirs = await AgentDesk.open(center, house.b_agent_key)
    await theirs.next("view")
    for number in range(3):
        await asyncio.to_thread(house.say, "t1", f"b-more-{number}", "only for b")
        await theirs.next("message")
    assert (await desk.do("status", presence="away"))["status"] == 200
    await desk.next("agent")  # later in the log than all that B did
    await page.say("c1", "hello a")
    for _ in range(2):
        await board.next("live")
    seen = json.dumps([*desk.seen, *board.seen, *page.seen])
    foreign = [*house.ids.values(), "b-web", "b-spare", "b-owner", "only for b", "person-t"]
    assert [id_ for id_ in foreign if id_ in seen] == []
    never_was = await desk.do("accept", offer="never-was")
    answer = await desk.do("accept", offer=house.ids["offer"])
    assert (answer["status"], answer["code"]) == (409, "offer-is-over") == (never_was["status"], never_was["code"])
    answer = await desk.do("message", contact=house.ids["active"], text="x")
    assert answer["status"] == 404
    for frames in (desk, board, page, theirs):
        await frames.close()


async def test_a_visitor_of_b_is_nobody_in_a(house: House) -> None:
    center = house.center
    theirs = await ChatPage.open(center, house.b("GET", "/v1/channels/b-web/connection").json()["hook"])
    await theirs.say("c1", "a word for b")
    page = await ChatPage.open(center, center.hook("web"), visitor=theirs.visitor)
    assert page.visitor != theirs.visitor
    assert page.seen[0]["messages"] == []
    await theirs.close()
    await page.close()


# -- roles


@pytest.fixture(scope="module")
def keys(house: House) -> dict[str, str]:
    """One key for each role, all of them acting as the same agent, so that only the role differs."""
    return {role: house.center.agent_key("jun", role) for role in ("app", "agent", "supervisor", "admin", "owner")}


def ask(house: House, method: str, path: str, operation: dict[str, Any], **more: Any) -> httpx2.Response:
    for name in ("id_", "sha256", "name", "hook", "path", "contact"):
        path = path.replace(f"{{{name}}}", "nothing")
    return house.client.request(method, path, **body_of(operation), **more)


@pytest.mark.parametrize("role", ["app", "agent", "supervisor", "admin", "owner"])
def test_each_role_may_do_what_the_table_says(house: House, keys: dict[str, str], role: str) -> None:
    wrong: list[str] = []
    for method, path, operation in house.operations():
        name = operation["operationId"]
        if ROLES[name] == "open":
            continue
        answer = ask(house, method, path, operation, headers={"Authorization": f"Bearer {keys[role]}"})
        allowed = RANK[role] >= RANK[ROLES[name]]
        known = answer.status_code not in (401, 403, 500) if allowed else answer.status_code == 403
        # There is no agent "nothing", and who may not ask why somebody is idle is told so only of those there are.
        if not known and not (name == "get_agent_why_idle" and answer.status_code == 404):
            wrong.append(f"{role} {method} {path}: {answer.status_code}, allowed: {allowed}")
    assert not wrong, "\n".join(wrong)


def test_why_somebody_else_is_idle_is_for_supervisors(house: House, keys: dict[str, str]) -> None:
    for role, status in (("app", 403), ("agent", 403), ("supervisor", 200)):
        assert house.center.request("GET", "/v1/agents/mina/why-idle", keys[role]).status_code == status
    assert house.center.request("GET", "/v1/agents/jun/why-idle", keys["agent"]).status_code == 200


def test_nobody_gives_a_role_above_their_own(house: House, keys: dict[str, str]) -> None:
    for role, status in (("owner", 403), ("admin", 201)):
        body = {"name": "x", "role": role}
        assert house.ask(keys["admin"], "POST", "/v1/keys", json=body).status_code == status


def test_without_a_token_there_is_only_401(house: House) -> None:
    wrong: list[str] = []
    for method, path, operation in house.operations():
        for headers in ({}, {"Authorization": "Bearer naru_wrong"}, {"Authorization": "Basic eDp4"}):
            answer = ask(house, method, path, operation, headers=headers)
            guarded = ROLES[operation["operationId"]] != "open"
            signs_in = operation["operationId"] in ("login", "login_by_token", "accept_invite")  # 401 of their own
            if (answer.status_code == 401) != guarded and not signs_in:
                wrong.append(f"{method} {path} {headers}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


# -- sessions, tickets, tokens, keys


def invited(house: House, agent: str, password: str = "a long password") -> httpx2.Cookies:
    link = house.a("POST", "/v1/invites", json={"agent": agent}).json()["link"]
    body = {"token": link.partition("#invite=")[2], "password": password}
    answer = httpx2.post(f"{house.center.url}/v1/invites/accept", json=body)
    assert answer.status_code == 200, answer.text
    again = httpx2.post(f"{house.center.url}/v1/invites/accept", json=body)
    assert (again.status_code, again.json()["code"]) == (401, "invite-is-over")
    return answer.cookies


def test_a_session_changes_nothing_without_the_csrf_header(house: House) -> None:
    cookies = invited(house, "owner")
    with httpx2.Client(base_url=house.center.url, cookies=cookies) as browser:
        assert browser.get("/v1/me").json()["agent"] == "owner"
        wrong: list[str] = []
        for method, path, operation in house.operations():
            if method != "GET" and ROLES[operation["operationId"]] != "open":
                target = path.replace("{id_}", "nothing").replace("{name}", "nothing")
                for headers in ({}, {"X-Naru-CSRF": "0"}):
                    answer = browser.request(method, target, headers=headers, **body_of(operation))
                    if (answer.status_code, answer.json()["code"]) != (403, "csrf"):
                        wrong.append(f"{method} {path}: {answer.status_code}")
        assert not wrong, "\n".join(wrong)
        answer = browser.put("/v1/agents/me/status", json={"presence": "away"}, headers={"X-Naru-CSRF": "1"})
        assert answer.status_code in (200, 202, 409), answer.text
        assert browser.post("/v1/logout", headers={"X-Naru-CSRF": "1"}).status_code == 204
    with httpx2.Client(base_url=house.center.url, cookies=cookies) as browser:
        assert browser.get("/v1/me").status_code == 401


def test_a_password_signs_in_to_its_own_workspace_only(house: House) -> None:
    invited(house, "mina")
    url = f"{house.center.url}/v1/login"
    good = {"workspace": "main", "email": "mina@shop.test", "password": "a long password"}
    answer = httpx2.post(url, json=good)
    assert answer.status_code == 200
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags and "samesite=lax" in flags
    for change in ({"workspace": "b"}, {"password": "wrong password"}, {"email": "nobody@shop.test"}):
        refused = httpx2.post(url, json={**good, **change})
        assert (refused.status_code, refused.json()["code"]) == (401, "wrong-name-or-password")
        assert "set-cookie" not in refused.headers


def test_a_login_token_opens_one_session(house: House) -> None:
    url = f"{house.center.url}/v1/login/token"
    assert httpx2.post(url, json={"token": house.login_token}).json()["agent"] == "mina"
    assert httpx2.post(url, json={"token": house.login_token}).status_code == 401


def test_a_revoked_key_is_no_key_and_the_others_stay(house: House) -> None:
    made = house.a("POST", "/v1/keys", json={"name": "gone", "role": "app"}).json()
    assert house.center.request("GET", "/v1/me", made["key"]).status_code == 200
    known = len(house.a("GET", "/v1/keys").json()["items"])
    for not_one in ("%25", "_" * 16, made["id"][:1], made["id"][:15], made["id"] + "0"):
        assert house.a("DELETE", f"/v1/keys/{not_one}").status_code == 404
    assert len(house.a("GET", "/v1/keys").json()["items"]) == known
    assert house.a("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert house.center.request("GET", "/v1/me", made["key"]).status_code == 401
    assert house.a("DELETE", f"/v1/keys/{made['id']}").status_code == 404
    assert len(house.a("GET", "/v1/keys").json()["items"]) == known - 1


async def board_of(center: Center, key: str) -> Frames:
    board = Frames(await connect(center.url.replace("http", "ws") + "/v1/live/ws"))
    await board.send(type="hello", ticket=center.request("POST", "/v1/tickets", key).json()["ticket"])
    return board


async def close_code(center: Center, ticket: str, path: str = "/v1/agents/ws", **more: Any) -> int | None:
    """How the server ends a socket that says hello with this ticket; None when it stays open."""
    socket = await connect(center.url.replace("http", "ws") + path, **more)
    await socket.send(json.dumps({"type": "hello", "ticket": ticket}))
    try:
        while json.loads(await within(socket.recv(), 30))["type"] not in ("view", "live"):
            pass
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    await socket.close()
    return None


async def test_a_ticket_is_good_once(house: House) -> None:
    center = house.center
    ticket = center.request("POST", "/v1/tickets", house.a_key).json()["ticket"]
    assert await close_code(center, ticket) is None
    assert await close_code(center, ticket) == 4401
    assert await close_code(center, "never given") == 4401


async def test_a_wallboard_is_for_supervisors(house: House) -> None:
    center = house.center
    for role, code in (("agent", 4401), ("supervisor", None)):
        ticket = center.request("POST", "/v1/tickets", center.agent_key("jun", role)).json()["ticket"]
        assert await close_code(center, ticket, "/v1/live/ws") == code


@pytest.mark.parametrize("path", ["/v1/agents/ws", "/v1/live/ws"])
async def test_a_page_of_another_site_gets_no_socket(house: House, path: str) -> None:
    center = house.center
    ticket = center.request("POST", "/v1/tickets", house.a_key).json()["ticket"]
    for origin in ("https://evil.test", f"{center.url}.evil.test", "null"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(center.url.replace("http", "ws") + path, additional_headers={"Origin": origin})
        assert refused.value.response.status_code == 403
    assert await close_code(center, ticket, path, additional_headers={"Origin": center.url}) is None


def test_only_the_hash_of_a_key_is_kept(house: House) -> None:
    key = house.a_key.encode()
    digest = hashlib.sha256(key).hexdigest().encode()
    files = [path.read_bytes() for path in house.center.folder.glob("*.sqlite*")]
    if house.database_url:
        # The superuser's eyes: row-level security hides all rows from the role that asks for no workspace.
        url = house.database_url.replace("naru@", "postgres@")
        files.append(subprocess.run(["pg_dump", "--inserts", url], capture_output=True, check=True).stdout)
    assert any(digest in body for body in files)
    assert not any(key in body for body in files)

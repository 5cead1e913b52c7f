"""Two customers are one person, said over REST to a running center, and taken back; the history follows the person."""

import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from agents.customers import MAX_IN_ONE
from naru.store import migrate
from router.intake import customer_id
from router.model import Identity
from support.center import CONFIG, HOOK_SECRET, Center

SHOPS = CONFIG.replace(
    "queues:\n",
    "- {id: hook2, name: Hook 2, brand: shop, provider: webhook, kind: social,"
    " secrets: {signing_secret: 'env:NARU_SECRET_HOOK'}}\nqueues:\n",
    1,
)
NUMBER = "+82 10-1234-5678"


class Shop:
    """A center with two channels by which the same people come, each under a scope of its own."""

    def __init__(self, center: Center) -> None:
        self.center = center
        self.hooks = {name: center.hook(name) for name in ("hook", "hook2")}
        self.agent = center.agent_key("mina")
        self.program = center.request("POST", "/v1/keys", json={"name": "shop", "role": "agent"}).json()["key"]
        self._count = 0

    def comes(self, channel: str, value: str, kind: str = "phone", name: str | None = None) -> str:
        """Somebody writes; the id of the customer that this is."""
        self._count += 1
        id_, stamp = f"m{self._count}", str(int(time.time()))  # noqa: TID251 - a provider's clock
        who = {"kind": kind, "value": value, "name": name}
        body = json.dumps({"thread": f"{channel}-{value}", "from": who, "text": "hello"}).encode()
        mac = hmac.digest(b64decode(HOOK_SECRET.removeprefix("whsec_")), f"{id_}.{stamp}.".encode() + body, "sha256")
        headers = {
            "webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": "v1," + b64encode(mac).decode(),
            "content-type": "application/json",
        }  # fmt: skip
        answer = self.center.request("POST", f"/hooks/{self.hooks[channel]}", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        customer = customer_id(Identity(scope=channel, kind=kind, value=value))  # type: ignore[arg-type]
        end = time.perf_counter() + 30
        while self.center.request("GET", f"/v1/customers/{customer}").status_code == 404:
            assert time.perf_counter() < end, "nobody came"
            time.sleep(0.01)
        return customer

    def ask(self, customer: str, what: str, body: Any, key: str | None = None, **headers: str) -> tuple[int, str]:
        answer = self.center.request(
            "POST", f"/v1/customers/{customer}/{what}", key or self.agent, json=body, headers=headers
        )
        return answer.status_code, answer.json()["code"]

    def person(self, customer: str) -> dict[str, Any]:
        answer = self.center.request("GET", f"/v1/customers/{customer}", self.agent)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def group(self, customer: str) -> set[str]:
        return {each["id"] for each in self.person(customer)["customers"]}

    def history(self, customer: str) -> list[str]:
        answer = self.center.request("GET", f"/v1/customers/{customer}/history", self.agent)
        return [each["customer"] for each in answer.json()["items"]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    database_url = ""
    if request.param == "postgresql":
        database_url = request.getfixturevalue("postgres").database()
        migrate.upgrade(database_url)
    folder = tmp_path_factory.mktemp("customers") / "data"
    with Center(folder, SHOPS, env={"NARU_DATABASE_URL": database_url}) as center:
        yield Shop(center)


def test_who_comes_two_ways_is_suggested_merged_seen_as_one_and_split_again(shop: Shop) -> None:
    one, other = shop.comes("hook", NUMBER, name="Kim"), shop.comes("hook2", "01012345678")
    assert [each["id"] for each in shop.person(one)["maybe_same"]] == [other]
    assert (shop.history(one), shop.history(other)) == ([one], [other])

    assert shop.ask(one, "merge", {"into": other}) == (200, "ok")
    for asked in (one, other):
        found = shop.person(asked)
        assert (found["id"], found["person"], found["name"], found["maybe_same"]) == (asked, one, "Kim", [])
        assert {each["value"] for each in found["identities"]} == {NUMBER, "01012345678"}
        assert [each["by"] for each in found["links"]] == ["mina"]
        assert shop.history(asked) == [other, one]

    assert shop.ask(other, "merge", {"into": one}, shop.program) == (200, "ok"), "again, by a program: nothing changes"
    assert [each["by"] for each in shop.person(one)["links"]] == ["mina"]

    assert shop.ask(one, "split", {"other": other}) == (200, "ok")
    assert (shop.group(one), shop.history(one)) == ({one}, [one])
    assert (shop.group(other), shop.history(other)) == ({other}, [other])


def test_the_same_request_again_is_answered_alike_and_does_nothing_anew(shop: Shop) -> None:
    one, other = shop.comes("hook", "a@shop.test", "email"), shop.comes("hook", "b@shop.test", "email")
    for _ in range(2):
        assert shop.ask(one, "merge", {"into": other}, **{"Idempotency-Key": "once"}) == (200, "ok")
    assert shop.ask(other, "split", None) == (200, "ok")
    assert shop.ask(one, "merge", {"into": other}, **{"Idempotency-Key": "once"}) == (200, "ok"), "an echo"
    assert shop.group(one) == {one}


def test_what_cannot_be_is_refused(shop: Shop) -> None:
    one = shop.comes("hook", "c@shop.test", "email")
    unknown = (404, "unknown-customer")
    assert shop.ask(one, "merge", {"into": one}) == (422, "same-customer")
    assert shop.ask(one, "split", {"other": one}) == (422, "same-customer")
    for nobody in ("nobody", "%00", "💌" * 16):
        assert shop.ask(one, "merge", {"into": nobody}) == unknown
        assert shop.ask(one, "split", {"other": nobody}) == unknown
    assert shop.ask("nobody", "merge", {"into": one}) == unknown
    assert shop.ask(one, "merge", {"into": "\0"}) in (unknown, (422, "invalid"))
    assert shop.ask("nobody", "split", {}) == unknown
    for bad in (None, [], {}, {"into": ""}, {"into": "x" * 65}, {"into": 1}, {"into": one, "more": 1}):
        assert shop.ask(one, "merge", bad)[0] == 422
    assert shop.ask(one, "split", {"from": one})[0] == 422
    assert shop.ask(one, "merge", {"into": one}, shop.center.agent_key("jun", "app")) == (403, "not-allowed")
    assert shop.group(one) == {one}


def test_a_person_has_no_more_than_so_many_customers(shop: Shop) -> None:
    first, *others = [shop.comes("hook", f"many{number}", "handle") for number in range(MAX_IN_ONE + 1)]
    *fit, last = others
    for other in fit:
        assert shop.ask(other, "merge", {"into": first}) == (200, "ok")
    assert shop.ask(fit[0], "merge", {"into": fit[1]}) == (200, "ok"), "among those who are one already"
    assert shop.ask(last, "merge", {"into": fit[-1]}) == (409, "too-many-in-one")
    assert shop.ask(fit[0], "merge", {"into": last}) == (409, "too-many-in-one")
    assert len(shop.group(first)) == MAX_IN_ONE and shop.group(last) == {last}


def test_after_a_restart_it_is_as_it_was_said(shop: Shop) -> None:
    one, other = shop.comes("hook", "d@shop.test", "email"), shop.comes("hook2", "D@shop.test", "email")
    assert shop.ask(one, "merge", {"into": other}) == (200, "ok")
    before = shop.person(other)
    shop.center.kill()
    shop.center.start()
    assert shop.person(other) == before
    assert shop.ask(one, "split", {}) == (200, "ok")
    assert shop.group(other) == {other}

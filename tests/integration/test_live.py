"""A live room through a real center: signed webhooks in, one contact for what many ask, a pick by hand, and a restart."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.center import Center

SECRET = "0123456789abcdef"
CONFIG = """\
version: 1
brands:
- {id: shop, name: Shop, default_queue: live, languages: [ko, en]}
channels:
- {id: show, name: Show, brand: shop, provider: twitch, kind: social,
   settings: {client_id: c, sender_id: '900', live: {per_minute: 8, most_open: 3}},
   secrets: {client_secret: 'env:NARU_SECRET_APP', webhook_secret: 'env:NARU_SECRET_LIVE'}}
- {id: broken, name: Broken, brand: shop, provider: twitch, kind: social,
   settings: {client_id: c, sender_id: '900', live: {per_minute: none}},
   secrets: {client_secret: 'env:NARU_SECRET_APP', webhook_secret: 'env:NARU_SECRET_LIVE'}}
queues:
- {id: live, name: Live}
agents:
- {id: owner, name: Owner, role: owner}
- {id: mina, name: Mina, brands: [shop]}
"""


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    env = {"NARU_SECRET_LIVE": SECRET, "NARU_SECRET_APP": "x"}
    with Center(tmp_path_factory.mktemp("live") / "center", CONFIG, env) as center:
        yield center


class House:
    def __init__(self, center: Center) -> None:
        self.center = center
        self.hook = "/hooks/" + self.get("/v1/channels/show/connection")["hook"]

    def get(self, path: str) -> Any:
        answer = self.center.request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def says(self, text: str, id_: str, who: str, secret: str = SECRET) -> int:
        event = {"broadcaster_user_id": "77", "chatter_user_id": who, "message_id": id_, "message": {"text": text}}
        body = json.dumps({"subscription": {"type": "channel.chat.message"}, "event": event}).encode()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        mac = hmac.new(secret.encode(), f"e{id_}{stamp}".encode() + body, hashlib.sha256).hexdigest()
        names = {"id": f"e{id_}", "timestamp": stamp, "signature": f"sha256={mac}", "type": "notification"}
        headers = {f"twitch-eventsub-message-{name}": value for name, value in names.items()}
        return httpx2.post(self.center.url + self.hook, content=body, headers=headers, timeout=10).status_code

    def picks(self, comment: str) -> int:
        return self.center.request("POST", f"/v1/channels/show/live/{comment}/pick").status_code

    def waiting(self, count: int) -> int:
        """How many wait, once there are so many: what is decided follows what is taken."""
        end = time.perf_counter() + 20
        while (found := self._waiting()) < count and time.perf_counter() < end:
            time.sleep(0.05)
        return found

    def _waiting(self) -> int:
        [queue] = self.get("/v1/live")["queues"]
        waiting: int = queue["waiting"]
        return waiting


def test_a_room_is_heard_picked_from_and_bounded(center: Center) -> None:
    house = House(center)
    assert house.says("몰래", "m0", "v0", secret="wrong") == 403
    assert house.get("/v1/channels/show/live") == {"items": [], "counts": {}}
    for n in range(40):
        assert house.says("배송 언제 와요" + "?" * (n % 4), f"m{n}", f"v{n}") == 204
    assert house.says("와 예뻐요", "nice", "v-nice") == 204
    live = house.get("/v1/channels/show/live")
    assert [(one["text"], one["similar"], one["picked_by"]) for one in live["items"]] == [
        ("와 예뻐요", 1, None),
        ("배송 언제 와요", 40, "question"),
    ]
    assert live["counts"]["77"]["comments"] == 41
    assert house.waiting(1) == 1

    assert [house.picks(comment) for comment in ("nice", "nice", "nothing")] == [202, 409, 404]
    assert center.request("GET", "/v1/channels/other/live").status_code == 404
    assert house.waiting(2) == 2

    for n in range(20):
        house.says(f"{n}번 상품 있나요?", f"q{n}", f"w{n}")
    assert house.waiting(3) == 3, "no more are open than may be"


def test_settings_that_cannot_work_are_said_where_the_owner_looks(center: Center) -> None:
    assert "settings.live" in House(center).get("/v1/channels/broken/connection")["fault"]


def test_only_supervisors_see_and_pick(center: Center) -> None:
    body = {"name": "mina's", "role": "agent", "agent": "mina"}
    made = center.request("POST", "/v1/keys", json=body)
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    assert center.request("GET", "/v1/channels/show/live", key).status_code == 403
    assert center.request("POST", "/v1/channels/show/live/nice/pick", key).status_code == 403


def test_the_room_is_forgotten_with_its_process_and_its_contacts_are_not(center: Center) -> None:
    center.kill()
    center.start()
    house = House(center)
    assert house.get("/v1/channels/show/live")["items"] == []
    assert house.waiting(3) == 3

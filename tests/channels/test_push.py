"""Pushes at three services that open and check what they are sent (`support/pushes.py`), and whom they go to."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from channels import push
from channels.base import Account
from channels.providers.webchat import WebChat
from channels.push import MAX_SHOWN, Device, FcmTokens, Notice, Pusher, is_gone, may_be_pushed_to, notice, serves
from channels.tokens import Tokens
from channels.webpush import public_key, unbase64url
from router.model import Content, Text
from support.channel import NOW, account
from support.pushes import APPLES, GOOGLES, Browser, PushServices, pem
from support.tls import certificate

CONVERSATION = "0f2a6e58-1c1f-5d3e-9d8c-0a1b2c3d4e5f"
SAID = Notice(CONVERSATION, "가게", "새 메시지가 도착했습니다.")
VAPID = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"


class Remembered:
    """The devices of one conversation, in memory; and an empty history for the tokens."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}

    async def put(self, workspace: str, channel: str, conversation: str, device: Device, most: int) -> None:
        self.devices[device.id] = device

    async def of(self, workspace: str, channel: str, conversation: str) -> list[Device]:
        return list(self.devices.values()) if conversation == CONVERSATION else []

    async def remove(self, workspace: str, channel: str, conversation: str, device: str) -> None:
        self.devices.pop(device, None)

    async def kept(self, workspace: str, channel: str) -> dict[str, str]:
        return {}


class World:
    def __init__(self, services: PushServices, client: httpx2.AsyncClient) -> None:
        self.services = services
        self.devices = Remembered()
        self.now = NOW
        self.slept: list[float] = []
        self.drawn = 0
        tokens = Tokens({"webchat": FcmTokens()}, self.devices, client, lambda: self.now)  # type: ignore[arg-type]
        self.pusher = Pusher(self.devices, client, tokens, lambda: self.now, self._chance, self._sleep)
        google = {"project_id": "shop-1", "client_email": "push@shop-1", "private_key": pem(GOOGLES)}
        self.account = account(
            WebChat(),
            {
                "fcm_url": services.url,
                "apns_url": services.url,
                "apns_key_id": "KEY",
                "apns_team_id": "TEAM",
                "apns_topic": "test.shop",
                "vapid_subject": "mailto:it@shop.test",
                "push_hosts": ["localhost"],
            },
            {
                "fcm_service_account": json.dumps({**google, "token_uri": f"{services.url}/token"}),
                "apns_key": pem(APPLES),
                "vapid_private_key": VAPID,
            },
        )

    def _chance(self, size: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_256(str(self.drawn).encode()).digest(size)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def has(self, platform: Any, token: str, id_: str = "device-1") -> None:
        await self.devices.put("ws", "c", CONVERSATION, Device(id_, platform, token), 10)

    async def push(self, account: Account | None = None) -> None:
        await self.pusher.push(account or self.account, SAID)

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.services.got]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server, trusting = certificate(tmp_path, "localhost")
    async with PushServices(server) as services, httpx2.AsyncClient(http2=True, verify=trusting) as client:
        yield World(services, client)


# -- what each service is sent


async def test_fcm_is_told_that_there_is_a_message_by_a_token_that_is_asked_for_once(world: World) -> None:
    await world.has("fcm", "android:token")
    await world.push()
    await world.push()
    (path, head, body), _ = world.services.got
    assert (path, head["authorization"]) == ("/v1/projects/shop-1/messages:send", "Bearer ya29.1")
    said = json.loads(body)["message"]
    assert said["token"] == "android:token"
    assert said["notification"] == {"title": "가게", "body": "새 메시지가 도착했습니다."}
    assert said["data"] == {"conversation": CONVERSATION}
    assert (said["android"]["priority"], said["android"]["collapse_key"]) == ("HIGH", CONVERSATION.replace("-", ""))
    assert world.services.granted == 1
    world.now += 3600
    await world.push()
    assert (world.services.granted, world.services.got[-1][1]["authorization"]) == (2, "Bearer ya29.2")


async def test_a_token_that_google_does_not_take_any_more_is_asked_for_anew(world: World) -> None:
    await world.has("fcm", "t")
    await world.push()
    world.services.granted = 5  # whatever it had said of the first one's life
    await world.push()
    assert [head["authorization"] for _, head, _ in world.services.got[1:]] == ["Bearer ya29.1", "Bearer ya29.6"]


async def test_apns_is_told_over_http_2_by_a_key_that_is_signed_for_anew_every_forty_minutes(world: World) -> None:
    await world.has("apns", "a1b2")
    for pause_s in (0, 2399, 2):
        world.now += pause_s
        await world.push()
    heads = [head for _, head, _ in world.services.got]
    assert world.paths == ["/3/device/a1b2"] * 3
    assert heads[0]["authorization"] == heads[1]["authorization"] != heads[2]["authorization"]
    found = jwt.decode(heads[0]["authorization"].removeprefix("bearer "), ECKey.import_key(pem(APPLES)))
    assert found.claims == {"iss": "TEAM", "iat": int(NOW)}
    assert (heads[0]["apns-push-type"], heads[0]["apns-priority"]) == ("alert", "10")
    assert len(heads[0]["apns-collapse-id"]) <= 64
    said = json.loads(world.services.got[0][2])
    assert said == {
        "aps": {"alert": {"title": "가게", "body": "새 메시지가 도착했습니다."}, "sound": "default"},
        "conversation": CONVERSATION,
    }


async def test_a_browser_opens_what_its_push_service_cannot_read(world: World) -> None:
    browser = Browser(f"{world.services.url}/push/1", "secret")
    await world.has("webpush", json.dumps(browser.subscription))
    await world.push()
    ((path, head, body),) = world.services.got
    assert browser.open(body) == {"conversation": CONVERSATION, "title": "가게", "body": "새 메시지가 도착했습니다."}
    assert "가게".encode() not in body
    assert (path, head["content-encoding"], head["ttl"]) == ("/push/1", "aes128gcm", "86400")
    assert head["topic"] == CONVERSATION.replace("-", "")
    assert head["authorization"].endswith(f"k={public_key(VAPID)}") and len(unbase64url(public_key(VAPID))) == 65


# -- what becomes of it


@pytest.mark.parametrize("platform", ["fcm", "apns", "webpush"])
async def test_a_device_that_its_service_does_not_know_any_more_is_forgotten(world: World, platform: str) -> None:
    browser = Browser(f"{world.services.url}/push/old", "x")
    token = json.dumps(browser.subscription) if platform == "webpush" else "old"
    world.services.gone |= {"old", "/push/old"}
    await world.has(platform, token)
    await world.has("apns", "new", "device-2")
    await world.push()
    assert list(world.devices.devices) == ["device-2"]
    assert world.slept == [], "and not tried again"


async def test_what_passes_is_tried_again_and_what_does_not_is_not(world: World) -> None:
    await world.has("apns", "a")
    world.services.answers = [429, 503, 403]
    await world.push()
    assert (len(world.services.got), world.slept) == (4, [2.0, 15.0, 60.0])
    world.services.answers = [400]
    await world.push()
    assert (len(world.services.got), len(world.slept)) == (5, 3)
    assert "device-1" in world.devices.devices


async def test_a_service_that_is_away_holds_up_nobody_and_harms_nothing(world: World) -> None:
    await world.has("fcm", "t", "device-1")
    await world.has("apns", "t", "device-2")
    there = msgspec.structs.replace(
        world.account, settings={**world.account.settings, "fcm_url": "https://localhost:1"}
    )
    await world.push(there)
    assert world.paths == ["/3/device/t"]
    assert len(world.slept) == 4


async def test_an_owners_key_that_is_none_is_told_and_does_no_harm(world: World) -> None:
    await world.has("apns", "a")
    await world.push(msgspec.structs.replace(world.account, secrets={**world.account.secrets, "apns_key": "nonsense"}))
    assert world.services.got == []


async def test_a_channel_without_keys_asks_for_no_devices(world: World) -> None:
    bare = account(WebChat())
    assert not any(serves(bare, platform) for platform in ("fcm", "apns", "webpush"))
    assert all(serves(world.account, platform) for platform in ("fcm", "apns", "webpush"))
    await world.has("apns", "a")
    world.pusher.tell(bare, SAID)
    assert not world.pusher._tasks


def test_only_what_says_that_it_is_gone_is_gone() -> None:
    assert is_gone("fcm", 404, b"") and not is_gone("fcm", 400, b'{"errorCode": "INVALID_ARGUMENT"}')
    assert is_gone("apns", 410, b"") and not is_gone("apns", 404, b"") and not is_gone("apns", 400, b"BadDeviceToken")
    assert is_gone("webpush", 404, b"") and is_gone("webpush", 410, b"") and not is_gone("webpush", 403, b"")


@pytest.mark.parametrize(
    ("endpoint", "fine"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", True),
        ("https://wns2-par02p.notify.windows.com/w/?token=abc", True),
        ("https://web.push.apple.com/abc", True),
        ("http://fcm.googleapis.com/x", False),
        ("https://fcm.googleapis.com.evil.test/x", False),
        ("https://evilpush.apple.com.test/x", False),
        ("https://notify.windows.com@10.0.0.1/x", False),
        ("https://10.0.0.1/fcm.googleapis.com", False),
        ("https://xfcm.googleapis.com/x", False),
        ("http://169.254.169.254/", False),
        ("https://[::1", False),
        ("", False),
        ("https://own.test/x", True),
        ("http://own.test/x", True),
        ("ftp://own.test/x", False),
    ],
)
def test_nobody_has_us_push_into_our_own_network(endpoint: str, fine: bool) -> None:
    assert may_be_pushed_to(account(WebChat(), {"push_hosts": ["own.test"]}), endpoint) is fine


# -- what it says


def pool(languages: tuple[str, ...] = ("ko", "en"), language: str | None = None) -> Any:
    brand = SimpleNamespace(name="가게", languages=languages)
    known = SimpleNamespace(language=language, channel="c")
    return SimpleNamespace(brand=lambda name: brand, conversations={CONVERSATION: known}, contacts={})


def test_it_says_that_there_is_a_message_in_the_customers_language() -> None:
    content = Content(parts=(Text(text="비밀입니다"),))
    ours = account(WebChat())
    assert notice(ours, pool(), CONVERSATION, content) == Notice(CONVERSATION, "가게", push.SAYS["ko"])
    assert notice(ours, pool(language="en-US"), CONVERSATION, content).body == push.SAYS["en"]
    assert notice(ours, pool(("vi",)), CONVERSATION, content).body == push.SAYS["en"]


def test_what_it_says_is_said_only_where_the_owner_wants_it() -> None:
    content = Content(parts=(Text(text=" 내일 도착합니다 " + "x" * 500),))
    assert notice(account(WebChat(), {"push_text": True}), pool(), CONVERSATION, content).body.startswith("내일 도착")
    assert len(notice(account(WebChat(), {"push_text": True}), pool(), CONVERSATION, content).body) == MAX_SHOWN
    for setting in ("yes", 1, False):
        ours = account(WebChat(), {"push_text": setting})
        assert notice(ours, pool(), CONVERSATION, content).body == push.SAYS["ko"]
    assert notice(account(WebChat(), {"push_text": True}), pool(), CONVERSATION, Content()).body == push.SAYS["ko"]

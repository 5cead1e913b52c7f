"""A user of an app, whom the shop's server vouches for, is told on a closed browser that an agent has answered."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from support.center import CONFIG, AgentDesk, Center, ChatPage
from support.pushes import Browser

SECRET = "the-shops-own-server-has-this-secret"
VAPID = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
APP = CONFIG.replace(
    "provider: webchat, kind: chat}",
    "provider: webchat, kind: chat, settings: {vapid_subject: 'mailto:it@shop.test', push_hosts: [127.0.0.1]},"
    " secrets: {app_secret: 'env:NARU_SECRET_APP', vapid_private_key: 'env:NARU_SECRET_VAPID'}}",
)


def user_token(sub: str = "customer-17", life_s: float = 600) -> str:
    claims = {"sub": sub, "name": "김민지", "email": "minji@shop.test", "exp": int(time.time() + life_s)}  # noqa: TID251
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


class PushService:
    """Takes what it is sent, by plain HTTP."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self.status = 201

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        self.bodies.put_nowait(await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
def center(tmp_path: Path) -> Any:
    with Center(tmp_path / "data", APP, {"NARU_SECRET_APP": SECRET, "NARU_SECRET_VAPID": VAPID}) as up:
        yield up


async def hello(center: Center, **more: Any) -> ChatPage:
    page = ChatPage(await connect(center.url.replace("http", "ws") + "/chat/ws"))
    await page.send(type="hello", channel=center.hook("web"), visitor=None, after=0, **more)
    return page


async def register(center: Center, visitor: str, device: str = "installed-1", **body: Any) -> httpx2.Response:
    headers = {"X-Naru-Channel": center.hook("web"), "X-Naru-Visitor": visitor}
    async with httpx2.AsyncClient(base_url=center.url) as client:
        if not body:
            return await client.delete(f"/chat/devices/{device}", headers=headers)
        return await client.put(f"/chat/devices/{device}", headers=headers, json=body)


async def test_an_agents_answer_is_pushed_to_who_has_closed_the_chat(center: Center) -> None:
    service = PushService()
    desk = await AgentDesk.open(center, center.agent_key("mina"))
    await desk.do("status", presence="available")
    page = await hello(center, user_token=user_token(), name="Somebody else")
    welcome = await page.next("welcome")
    assert len(welcome["vapid_key"]) == 87
    await page.send(type="say", client_id="m1", text="언제 오나요?")
    offer = (await desk.next("offer"))["offer"]
    assert (offer["customer"]["name"], offer["customer"]["address"]) == ("김민지", "customer-17")
    await desk.do("accept", offer=offer["id"])
    async with service.up() as port:
        browser = Browser(f"http://127.0.0.1:{port}/push/1", "secret")
        subscribed = await register(center, welcome["visitor"], platform="webpush", subscription=browser.subscription)
        assert subscribed.status_code == 204, subscribed.text
        await desk.do("message", contact=offer["contact"], text="앞에 있을 때")
        await page.next("message")
        await page.close()
        await asyncio.sleep(0.5)
        assert service.bodies.empty(), "who looks is not pushed to"
        await desk.do("message", contact=offer["contact"], text="내일 도착해요")
        async with asyncio.timeout(10):
            said = browser.open(await service.bodies.get())
        assert said["title"] == "가게 Shop"
        assert said["body"] == "새 메시지가 도착했습니다."
        assert "내일" not in json.dumps(said, ensure_ascii=False)

        service.status = 410
        await desk.do("message", contact=offer["contact"], text="또")
        async with asyncio.timeout(10):
            await service.bodies.get()
        await asyncio.sleep(0.5)
        await desk.do("message", contact=offer["contact"], text="그리고")
        await asyncio.sleep(0.5)
        assert service.bodies.empty(), "it is forgotten"

    back = await hello(center, user_token=user_token())
    texts = [message.get("text") for message in (await back.next("welcome"))["messages"]]
    assert texts == ["언제 오나요?", "앞에 있을 때", "내일 도착해요", "또", "그리고"], "another device, the same thread"
    await back.close()
    await desk.close()


async def test_nobody_is_a_user_whom_the_shop_does_not_vouch_for(center: Center) -> None:
    page = await hello(center, user_token=user_token())
    users = (await page.next("welcome"))["visitor"]
    await page.close()
    for more in ({"user_token": user_token(life_s=-100)}, {"user_token": user_token(life_s=7300)}, {"user_token": "x"}):
        refused = await hello(center, **more)
        with pytest.raises(ConnectionClosed) as closed:
            await refused.next("welcome")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    refused = ChatPage(await connect(center.url.replace("http", "ws") + "/chat/ws"))
    await refused.send(type="hello", channel=center.hook("web"), visitor=users)
    with pytest.raises(ConnectionClosed):
        await refused.next("welcome")


async def test_devices_are_bounded_and_only_ones_own(center: Center) -> None:
    page = await hello(center)
    visitor = (await page.next("welcome"))["visitor"]
    fine = Browser("http://127.0.0.1:1/push/1", "a").subscription
    for device, body, status in (
        ("short", {"platform": "webpush", "subscription": fine}, 422),
        ("installed-1", {"platform": "webpush"}, 422),
        ("installed-1", {"platform": "pager", "token": "x"}, 422),
        ("installed-1", {"platform": "fcm", "token": "x"}, 409),
        ("installed-1", {"platform": "webpush", "subscription": {**fine, "endpoint": "http://10.0.0.1/"}}, 422),
        ("installed-1", {"platform": "webpush", "subscription": {**fine, "keys": {"p256dh": "", "auth": ""}}}, 422),
    ):
        assert (await register(center, visitor, device, **body)).status_code == status, body
    assert (await register(center, "forged.x", platform="webpush", subscription=fine)).status_code == 403
    for number in range(12):
        device = f"installed-{number}"
        assert (await register(center, visitor, device, platform="webpush", subscription=fine)).status_code == 204
    assert (await register(center, visitor, "installed-11")).status_code == 204
    await page.close()

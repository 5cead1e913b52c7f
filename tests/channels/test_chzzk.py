"""Chzzk by its documents, and its stream against a Socket.IO 2 server of ours on loopback."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from websockets.asyncio.server import ServerConnection, serve

from channels.base import Account, Comment, Dial, Line, Outgoing, Result, Token, Unsendable
from channels.providers.chzzk import Chzzk
from channels.streams import Stream
from router.effects import Deliver
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, payloads

SECRETS = {"client_secret": "cs", "refresh_token": "r1"}
OURS = account(Chzzk(), {"client_id": "cid"}, SECRETS, token="tok")
SESSION = b'{"code":200,"message":null,"content":{"url":"https://ssio08.nchat.naver.com:443?auth=TOKEN"}}'
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external="ch1/v1", kind="live_room"),
    identity=Identity(scope="chzzk", kind="handle", value="v1"),
)


def said(text: str) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)), last_headers={"name": "윤채원"})


def test_a_session_is_asked_for_and_dialled_as_socket_io_2() -> None:
    call = Chzzk().dial(OURS, NOW)
    assert (call.method, call.url) == ("GET", "https://openapi.chzzk.naver.com/open/v1/sessions/auth")
    assert call.headers["authorization"] == "Bearer tok"
    dial = Chzzk().dialled(OURS, 200, SESSION, NOW)
    assert isinstance(dial, Dial)
    assert dial.url == "wss://ssio08.nchat.naver.com:443/socket.io/?auth=TOKEN&EIO=3&transport=websocket"
    assert dial.beat == "2" and dial.beat_s < 25


@pytest.mark.parametrize(
    "url", ["https://nchat.naver.com.evil.test?auth=x", "http://ssio08.nchat.naver.com", "https://[::1", "", "x"]
)
def test_an_address_that_is_not_chzzks_is_not_dialled(url: str) -> None:
    body = json.dumps({"content": {"url": url}}).encode()
    assert isinstance(Chzzk().dialled(OURS, 200, body, NOW), Result)


def test_the_session_key_subscribes_chat_and_donations() -> None:
    [connected] = [p for p in payloads("chzzk") if p.path.stem == "connected"]
    frame = connected.said["frame"]
    urls = [call.url.partition("/subscribe/")[2] for call in Chzzk().hear(OURS, {}, frame, NOW).calls]
    assert urls == ["chat?sessionKey=key-1", "donation?sessionKey=key-1"]
    without = account(Chzzk(), {"donations": False}, SECRETS)
    assert len(Chzzk().hear(without, {}, frame, NOW).calls) == 1


def test_frames_of_the_transport() -> None:
    hear = Chzzk().hear
    assert hear(OURS, {"a": 1}, "2probe", NOW).say == ("3probe",)
    for frame in (
        '0{"sid":"s","pingInterval":25000}',
        "40",
        "3",
        "42[]",
        "42[1]",
        '42["CHAT"]',
        "42{",
        "",
        "9",
        "42\ud800",
    ):
        heard = hear(OURS, {"a": 1}, frame, NOW)
        assert (heard.over, heard.comments, heard.state) == (False, (), {"a": 1})
    assert hear(OURS, {}, "41", NOW).over
    assert hear(OURS, {}, '42["SYSTEM",{"type":"revoked","data":{}}]', NOW).over


def test_who_gives_without_a_name_is_somebody_else_each_time() -> None:
    def gift(text: str) -> Comment:
        data = {"channelId": "ch1", "donatorChannelId": "anonymous", "payAmount": "1000", "donationText": text}
        [comment] = Chzzk().hear(OURS, {}, "42" + json.dumps(["DONATION", data]), NOW).comments
        return comment

    assert gift("a").author != gift("b").author
    assert gift("a").id == gift("a").id


def test_an_answer_is_public_and_short() -> None:
    call = Chzzk().write(OURS, DELIVER, said("네, 됩니다."), NOW)
    assert call.url == "https://openapi.chzzk.naver.com/open/v1/chats/send"
    assert json.loads(call.body or b"") == {"message": "@윤채원 네, 됩니다."}
    assert Chzzk().policy(OURS).public and Chzzk().policy(OURS).max_length == 100
    with pytest.raises(Unsendable):
        Chzzk().write(OURS, DELIVER, said("가" * 101), NOW)


def test_ends_of_a_send() -> None:
    outcome = Chzzk().outcome
    assert outcome(200, b'{"code":200,"content":{"messageId":"m7"}}') == Result("accepted", ("m7",))
    assert outcome(200, b'{"code":403,"message":"FORBIDDEN"}').kind == "rejected"
    assert outcome(200, b"{}").kind == "uncertain"
    assert outcome(401, b'{"code":401,"message":"INVALID_TOKEN"}').kind == "retry"
    assert outcome(429, b"").kind == "retry"
    assert outcome(502, b"").kind == "uncertain"


def test_a_refresh_token_is_good_once_and_the_owners_newer_one_wins() -> None:
    answer = {"code": 200, "content": {"accessToken": "a2", "refreshToken": "r2", "expiresIn": "86400"}}
    token = Chzzk().renewed(OURS, {}, 200, json.dumps(answer).encode(), NOW)
    assert isinstance(token, Token)
    assert (token.value, token.expires_at) == ("a2", NOW + 86400)
    assert json.loads(Chzzk().renew(OURS, token.kept, NOW).body or b"")["refreshToken"] == "r2"
    anew = account(Chzzk(), {"client_id": "cid"}, {**SECRETS, "refresh_token": "r9"})
    assert json.loads(Chzzk().renew(anew, token.kept, NOW).body or b"")["refreshToken"] == "r9"
    again = Chzzk().renewed(OURS, token.kept, 200, b'{"content":{"accessToken":"a3"}}', NOW)
    assert isinstance(again, Token) and again.kept == token.kept


class Static:
    """Tokens that are always the same."""

    async def account(self, known: Account) -> Account:
        return known

    def refused(self, known: Account) -> None:
        raise AssertionError("nobody refused it")


async def test_a_stream_joins_subscribes_hears_and_gives_signs_of_life() -> None:
    """Over real sockets: the server speaks frames as Socket.IO 2 does, and closes on whoever does not ping."""
    chat = next(p for p in payloads("chzzk") if p.path.stem == "chat").said["frame"]
    subscribed, pings, heard = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asked: list[str] = []
    comments: list[Comment] = []

    async def session(socket: ServerConnection) -> None:
        assert socket.request is not None and socket.request.path.startswith("/socket.io/?auth=T&EIO=3")
        await socket.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":60000}')
        await socket.send("40")
        await socket.send('42["SYSTEM","{\\"type\\":\\"connected\\",\\"data\\":{\\"sessionKey\\":\\"key-1\\"}}"]')
        await subscribed.wait()
        assert await socket.recv() == "2"
        await socket.send("3")
        pings.set()
        await socket.send(chat)
        await socket.wait_closed()

    async with serve(session, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]

        def rest(request: httpx2.Request) -> httpx2.Response:
            asked.append(request.url.path)
            if request.url.path.endswith("/donation"):
                subscribed.set()
            return httpx2.Response(200, json={"content": {"url": f"http://127.0.0.1:{port}?auth=T"}})

        async def take(found: tuple[Comment, ...]) -> None:
            comments.extend(found)
            heard.set()

        async def rest_a_little(seconds: float) -> None:
            await asyncio.sleep(0)

        ours = account(Chzzk(), {"client_id": "cid", "api_url": "http://api.test"}, SECRETS)
        line: Any = Line(
            take=None,  # type: ignore[arg-type]
            ask=None,  # type: ignore[arg-type]
            comments=take,
            look=lambda call: None,
            cursor=None,  # type: ignore[arg-type]
            move_cursor=None,  # type: ignore[arg-type]
            clock=lambda: NOW,
            sleep=rest_a_little,
        )
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(rest)) as client:
            stream = Stream(ours, Chzzk(), line, client, Static())  # type: ignore[arg-type]
            task = asyncio.create_task(stream.run())
            async with asyncio.timeout(10):
                await heard.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert pings.is_set() and stream.state == "ok"
    assert [comment.text for comment in comments] == ["쿠폰 적용되나요?"]
    assert asked[-2:] == [f"/open/v1/sessions/events/subscribe/{what}" for what in ("chat", "donation")]

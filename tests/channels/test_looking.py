"""Who is pushed to: only where nobody looks at the chat, here or at another gateway, and by one gateway alone."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from channels.accounts import Accounts
from channels.chat import ASLEEP_S, FRESH_S, Chats, Page, Session
from channels.looking import BELIEVED_S, SAY_S, Looking
from channels.providers.webchat import WebChat
from channels.visitors import Visitor
from router.config import Config
from router.events import MessageAdded
from router.model import Content, Text, Thread, conversation_id

CHAT = conversation_id("web", Thread(external="ann"))
CONFIG = {
    "version": 1,
    "name": "Shop",
    "brands": [{"id": "shop", "name": "Shop", "default_queue": "care"}],
    "queues": [{"id": "care", "name": "Care"}],
    "channels": [
        {"id": "web", "name": "Web", "brand": "shop", "provider": "webchat", "kind": "chat"},
    ],
}


class Gateway:
    """One gateway's chats, with the pages that a test opens; `told` is what it says to the others."""

    def __init__(self, minds: bool = True) -> None:
        self.now = 1000.0
        self.pushed: list[str] = []
        self.told: list[tuple[list[str], bool]] = []
        accounts = Accounts({"webchat": WebChat()}, lambda *parts: "-".join(parts), lambda *_: None, "")
        accounts.configure("ws", msgspec.convert(CONFIG, Config))
        known = SimpleNamespace(channel="web", language="ko", contact="k", last_contact=None)
        self.pool: Any = SimpleNamespace(
            brand=lambda name: None, conversations={CHAT: known}, contacts={}, profile=lambda agent: None
        )
        nothing: Any = None
        self.looking = Looking(
            lambda: self.now,
            lambda conversation: minds,
            lambda conversations, are_open: self.told.append((list(conversations), are_open)),
        )
        self.chats = Chats(
            accounts,
            SimpleNamespace(pool=lambda workspace: self.pool),  # type: ignore[arg-type]
            nothing,
            nothing,
            nothing,
            lambda: self.now,
            lambda: "fresh",
            self.looking,
            push=lambda account, notice: self.pushed.append(notice.conversation),
        )
        self.account = accounts.of("ws", "web")

    def open(self) -> Page:
        assert self.account is not None
        session = self.chats._sessions.setdefault(("ws", CHAT), Session(self.account, Visitor(id="ann")))
        socket: Any = None
        page = Page(socket, self.now)
        session.pages.add(page)
        return page

    def close(self) -> None:
        del self.chats._sessions["ws", CHAT]

    def says(self, author: str = "agent", private: bool = False, ago_s: float = 0) -> int:
        """How many pushes a message brings about."""
        before = len(self.pushed)
        event = MessageAdded(
            conversation=CHAT,
            contact="k",
            message="m",
            number=1,
            author=author,  # type: ignore[arg-type]
            private=private,
        )
        content = Content(parts=(Text(text="x"),))
        self.chats.applied("ws", self.pool, (event,), lambda: content, self.now - ago_s)
        return len(self.pushed) - before

    async def second(self) -> None:
        self.now += 1
        await self.chats.expire({})


def test_a_message_of_ours_is_pushed_where_nobody_looks() -> None:
    gateway = Gateway()
    assert gateway.says() == 1
    assert gateway.says(author="bot") == 1
    assert gateway.says(author="customer") == 0
    assert gateway.says(private=True) == 0
    assert gateway.says(ago_s=FRESH_S) == 0, "what the log tells late is old news"


def test_who_looks_is_not_pushed_to_but_an_app_that_sleeps_does_not_look() -> None:
    gateway = Gateway()
    page = gateway.open()
    assert gateway.says() == 0
    gateway.now += ASLEEP_S
    assert gateway.says() == 1
    page.heard = gateway.now
    assert gateway.says() == 0
    gateway.close()
    assert gateway.says() == 1


def test_one_gateway_alone_pushes() -> None:
    assert Gateway(minds=False).says() == 0


async def test_pages_are_told_to_the_others_as_they_come_and_go_and_from_time_to_time() -> None:
    gateway = Gateway()
    await gateway.second()
    page = gateway.open()
    await gateway.second()
    assert gateway.told == [([CHAT], True)]
    for _ in range(int(SAY_S)):
        page.heard = gateway.now
        await gateway.second()
    assert gateway.told == [([CHAT], True)] * 2
    gateway.now += ASLEEP_S
    await gateway.second()
    assert gateway.told[-1] == ([CHAT], False)
    page.heard = gateway.now
    await gateway.second()
    assert gateway.told[-1] == ([CHAT], True)
    gateway.close()
    await gateway.second()
    assert gateway.told[-1] == ([CHAT], False)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_what_others_say_counts_for_a_while_and_what_comes_back_from_us_does_not(comes_back: bool) -> None:
    gateway = Gateway()
    if comes_back:
        gateway.open()
        await gateway.second()
        gateway.looking.told([CHAT])
        gateway.close()
        assert gateway.says() == 1
        return
    gateway.looking.told([CHAT])
    assert gateway.says() == 0
    gateway.now += BELIEVED_S
    assert gateway.says() == 1
    gateway.looking.told([CHAT])
    gateway.looking.told([CHAT], are_open=False)
    assert gateway.says() == 1

"""Web chat has no provider: what it does is tested through the widget's socket (`tests/integration/test_chat_path.py`,
`test_browser.py`). Here only that nothing else comes in by its name."""

import pytest

from channels.base import Unsendable
from channels.providers.webchat import WebChat
from router.effects import EndCaller
from support.channel import account, hook, nobody


def test_no_webhook_speaks_for_it() -> None:
    ours = account(WebChat())
    assert not WebChat().verify(ours, hook(b"{}"))
    reading = WebChat().read(ours, hook(b"{}"), nobody)
    assert (reading.items, reading.reply.status) == ((), 404)


def test_nothing_is_sent_but_by_its_socket() -> None:
    with pytest.raises(Unsendable):
        WebChat().write(account(WebChat()), EndCaller(channel="c", call="x"), None, 0)

"""Connected channels, and the worker that serves them, without a center around them."""

from collections.abc import Callable
from typing import Any, cast

import httpx2

from channels import registry
from channels.accounts import Accounts
from channels.tokens import Tokens
from channels.worker import Worker
from router.config import Brand, Channel, Config, Queue
from support.channel import NOW


def channel(provider: str, kind: Any, settings: dict[str, Any], *secrets: str) -> Channel:
    """Channel `c` of brand `b`, whose secrets are all `s`."""
    told = {name: f"secret:{name}" for name in secrets}
    return Channel(id="c", name="C", brand="b", provider=provider, kind=kind, settings=settings, secrets=told)


def connected(*channels: Channel) -> Accounts:
    """Of workspace `ws`."""
    made = Accounts(registry(), lambda *parts: "-".join(parts[-1:]), lambda workspace, ref: "s", "https://naru.test")
    brand = Brand(id="b", name="B", default_queue="q")
    made.configure("ws", Config(brands=(brand,), queues=(Queue(id="q", name="Q"),), channels=channels))
    return made


def worker(
    answer: Callable[[httpx2.Request], httpx2.Response], *channels: Channel, bus: Any = None, connections: Any = None
) -> Worker:
    """`answer` is whom it reaches over HTTP. What is not given is not there."""
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    tokens = Tokens(registry(), cast(Any, None), client, lambda: NOW)
    nothing = cast(Any, None)
    return Worker(
        connected(*channels), bus, nothing, connections, tokens, nothing, client, "w", "1", lambda: NOW, nothing
    )

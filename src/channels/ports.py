"""What the customers' edge needs from the house, as protocols: it is handed in, never imported."""

from collections.abc import Callable
from typing import Any, Protocol

from channels.base import File, Outgoing
from router import inputs
from router.effects import ReserveAttempt
from router.model import Content, Media
from router.state import Pool
from router.turn import Answer


class Unavailable(Exception):
    """Neither the log nor a spool could take an input. Nothing was done; the sender must try again."""


class Bus(Protocol):
    """`take` returns once the input is durable; `ask` waits for the decision. Both raise Unavailable."""

    async def take(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> str: ...

    async def ask(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> tuple[Answer | None, str]: ...

    def pool(self, workspace: str) -> Pool | None: ...


class Contents(Protocol):
    """What was said, from the history."""

    async def outgoing(self, workspace: str, conversation: str, message: str) -> Outgoing | None:
        """A message of ours; None if there is none. Raises Unavailable while the history cannot tell yet."""
        ...

    async def received(self, workspace: str, conversation: str, message: str) -> Content | None:
        """What a customer's message says. Raises Unavailable while the history cannot tell yet."""
        ...

    async def kept(self, workspace: str, channel: str) -> dict[str, str]:
        """What was kept to renew a channel's access token with. Raises Unavailable."""
        ...

    async def keep(self, workspace: str, channel: str, kept: dict[str, str]) -> None: ...

    async def last_received(self, workspace: str, channel: str) -> float | None:
        """When a customer's last message came by a channel."""
        ...

    async def known(self, workspace: str, channel: str, dedupe_key: str) -> bool: ...

    async def cursor(self, workspace: str, channel: str) -> dict[str, Any]: ...

    async def move_cursor(self, workspace: str, channel: str, cursor: dict[str, Any]) -> None: ...


class Leave(Protocol):
    """Who may be called by a campaign."""

    async def reserve(self, workspace: str, wish: ReserveAttempt) -> inputs.EndReserve:
        """A person, locked and in the ledger, or why there is none. Raises Unavailable."""
        ...


class Files(Protocol):
    async def save(self, workspace: str, name: str, media_type: str, body: bytes) -> Media: ...

    async def about(self, workspace: str, sha256: str) -> Media | None: ...

    async def read(self, workspace: str, sha256: str) -> bytes: ...


Language = Callable[[str, tuple[str, ...]], str | None]
"""(text, the brand's languages) to a language, None when it cannot be told."""

__all__ = ["Bus", "Contents", "File", "Files", "Language", "Unavailable"]

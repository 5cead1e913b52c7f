"""What the agents' edge needs from the house, as protocols: it is handed in, never imported."""

from collections.abc import Callable
from typing import Any, Protocol

from agents.frames import MessageView
from router import inputs
from router.model import Content, Media
from router.state import Pool
from router.turn import Answer


class Unavailable(Exception):
    """The log cannot take anything now. Nothing was done, try again."""


class Bus(Protocol):
    async def ask(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> tuple[Answer | None, str]: ...

    async def take(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> str: ...

    def pool(self, workspace: str) -> Pool | None: ...


class History(Protocol):
    async def messages(self, workspace: str, conversation: str, after: int, limit: int) -> list[MessageView] | None: ...

    async def contact(self, workspace: str, contact: str) -> dict[str, Any] | None: ...

    async def customer(self, workspace: str, customer: str) -> dict[str, Any] | None: ...

    async def customer_contacts(self, workspace: str, customer: str, limit: int) -> list[dict[str, Any]]: ...


class Files(Protocol):
    async def save(self, workspace: str, name: str, media_type: str, body: bytes) -> Media: ...

    async def about(self, workspace: str, sha256: str) -> Media | None: ...

    async def read(self, workspace: str, sha256: str) -> bytes: ...


Clock = Callable[[], float]
Chance = Callable[[], str]

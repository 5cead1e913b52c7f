"""What the agents' edge needs from the house, as protocols: it is handed in, never imported."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from agents.frames import MessageView
from router import inputs
from router.events import Event
from router.model import Content, Media
from router.state import Pool
from router.turn import Answer


class Unavailable(Exception):
    """The log cannot take anything now. Nothing was done, try again."""


class NotRetained(Exception):
    """The journal or its snapshots no longer go back to what is asked for. The text says how far they go."""


T = TypeVar("T")


class Past(Protocol):
    """The pool as it was, folded from the journal and nobody else's. `tell` is pure and runs in a thread.

    Raises NotRetained, and Unavailable when too many ask at once or it takes too long.
    """

    async def now(self, workspace: str, tell: Callable[[Pool], T]) -> T: ...

    async def before(
        self,
        workspace: str,
        sought: tuple[str, Callable[[Event], bool]],
        after: float,
        tell: Callable[[Pool, Event], T],
    ) -> T:
        """The pool just before an event, told with the event.

        `sought` is an id that the event's record names, and the event's mark; it happened at `after` or later.
        """
        ...


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

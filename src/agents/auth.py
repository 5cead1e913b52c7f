"""Who is this: a principal from a session cookie or a bearer key, and what a role may do.

A browser's session is an HttpOnly, SameSite cookie; changing requests must also carry `X-Naru-CSRF`, which another
site cannot send. Programs send `Authorization: Bearer naru_…`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from fastapi import HTTPException, Request

RANK = {"app": 0, "agent": 1, "supervisor": 2, "admin": 3, "owner": 4}
"""Each role may do what the lower ones may. `app` reads and sends for the customers' side only."""

COOKIE = "naru_session"
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Principal(msgspec.Struct, frozen=True):
    """Whoever asks. `agent` is the routing profile a person or a key acts as, if any."""

    workspace: str
    id: str
    role: str
    agent: str | None = None


class Accounts(Protocol):
    async def session(self, token: str) -> Principal | None: ...

    async def key(self, key: str) -> Principal | None: ...

    async def ticket(self, principal: Principal) -> str: ...

    async def redeem_ticket(self, token: str) -> Principal | None: ...


def authenticate(accounts: Accounts) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the request's principal, or ends it with 401."""

    async def principal(request: Request) -> Principal:
        found = await _find(accounts, request)
        if found is None:
            raise HTTPException(401, "not-signed-in", {"WWW-Authenticate": "Bearer"})
        request.state.principal = found
        return found

    return principal


async def _find(accounts: Accounts, request: Request) -> Principal | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if key:
        return await accounts.key(key) if scheme.lower() == "bearer" else None
    session = request.cookies.get(COOKIE)
    if session is None:
        return None
    if request.method not in SAFE and request.headers.get("x-naru-csrf") != "1":
        raise HTTPException(403, "csrf")
    return await accounts.session(session)


def require(role: str, who: Principal) -> None:
    if RANK.get(who.role, -1) < RANK[role]:
        raise HTTPException(403, "not-allowed")


def agent_of(who: Principal) -> str:
    """The routing profile the principal acts as; 403 for those who have none."""
    if who.agent is None:
        raise HTTPException(403, "not-an-agent")
    return who.agent

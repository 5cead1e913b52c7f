"""The routes by which a browser comes in through its workspace's OpenID provider: begun here, finished at the callback.

A state is good once, in the browser that began, for ten minutes, at whichever of our processes. Whatever goes wrong
sends the browser back to its page with a code in the fragment, and opens no session.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from naru.admin.accounts import BEGUN_S, Accounts
from naru.admin.config import Configurations
from naru.admin.issuers import Failed
from naru.admin.oidc import Attempt, Oidc
from router.sign_in import SignIn

STARTED = "naru_oidc"
PATH = "/v1/login/oidc"
OURS = r"^/(desk|wallboard)(\?[A-Za-z0-9_.~=&%-]{0,150})?$"
"""The pages that one can ask to be brought to: ours alone, so that our name lends itself to nobody's links."""

log = structlog.get_logger("naru.sign_in")

Workspace = Annotated[str, Query(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
Page = Annotated[str, Query(pattern=OURS)]
State = Annotated[str, Query(max_length=200)]
Code = Annotated[str, Query(max_length=4000)]
SignedIn = Callable[[Response, str, str], Awaitable[Any]]
"""Open a session for (workspace, person) and put its cookie into the answer."""


class Door:
    def __init__(self, accounts: Accounts, configurations: Configurations, oidc: Oidc, base_url: str) -> None:
        self._accounts = accounts
        self._configurations = configurations
        self._oidc = oidc
        self._base_url = base_url

    async def offered(self, workspace: str) -> SignIn | None:
        _, config = await self._configurations.current(workspace)
        return config.sign_in

    async def begin(self, workspace: str, sign_in: SignIn, page: str) -> tuple[str, str]:
        """(where the browser goes, its cookie). Raises Failed."""
        state = await self._accounts.begin_sign_in(workspace, page)
        return await self._oidc.address(self._attempt(workspace, sign_in, state)), self._oidc.browser(state)

    async def began_here(self, state: str, cookie: str) -> tuple[str, str] | None:
        """(workspace, page), once. Who does not have the cookie cannot even use a state up."""
        if not state or not hmac.compare_digest(cookie.encode(), self._oidc.browser(state).encode()):
            return None
        return await self._accounts.finish_sign_in(state)

    async def person(self, workspace: str, state: str, code: str, issuer: str | None) -> str:
        """Who comes back with a code. Raises Failed."""
        sign_in = await self.offered(workspace)
        if sign_in is None:
            raise Failed("oidc-unready", "the workspace does not sign in by a provider any more")
        email = await self._oidc.email(self._attempt(workspace, sign_in, state), code, issuer)
        person = await self._accounts.by_address(workspace, email)
        if person is None:
            raise Failed("oidc-unknown", "nobody of that address may come in")
        return person

    def _attempt(self, workspace: str, sign_in: SignIn, state: str) -> Attempt:
        return self._oidc.attempt(workspace, sign_in, f"{self._base_url}{PATH}/callback", state)

    def back(self, page: str) -> Response:
        return RedirectResponse(self._base_url + page, 302, {"Cache-Control": "no-store"})

    def refused(self, workspace: str | None, page: str, error: Failed) -> Response:
        log.warning("sign_in.refused", workspace=workspace, code=error.code, reason=str(error))
        return self.back(f"{page}#sign-in={error.code}")


def sign_in_routes(door: Door, signed_in: SignedIn, secure: bool) -> APIRouter:
    router = APIRouter()

    @router.get("/login/options", operation_id="get_login_options")
    async def options(response: Response, workspace: Workspace) -> dict[str, Any]:
        """How one can come in. A workspace that is not there looks like one that has passwords only."""
        response.headers["Cache-Control"] = "no-store"
        sign_in = await door.offered(workspace)
        return {"password": True, "oidc": {"label": sign_in.label} if sign_in is not None else None}

    @router.get("/login/oidc", operation_id="begin_sign_in", status_code=302, response_class=RedirectResponse)
    async def begin(workspace: Workspace, next: Page = "/desk") -> Response:
        """To the provider, with state, nonce and PKCE challenge."""
        sign_in = await door.offered(workspace)
        if sign_in is None:
            raise HTTPException(404, "oidc-not-offered")
        try:
            address, cookie = await door.begin(workspace, sign_in, next)
        except Failed as error:
            return door.refused(workspace, next, error)
        response = RedirectResponse(address, 302, {"Cache-Control": "no-store"})
        response.set_cookie(
            STARTED, cookie, max_age=int(BEGUN_S), path=PATH, httponly=True, samesite="lax", secure=secure
        )
        return response

    @router.get("/login/oidc/callback", operation_id="finish_sign_in", status_code=302, response_class=RedirectResponse)
    async def finish(
        request: Request,
        state: State = "",
        code: Code = "",
        iss: Annotated[str | None, Query(max_length=2000)] = None,
        error: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """Where the provider sends the browser: a session, or the page with the reason why there is none."""
        begun = await door.began_here(state, request.cookies.get(STARTED, ""))
        if begun is None:
            return door.refused(None, "/desk", Failed("oidc-over", "not begun in this browser, finished, or long ago"))
        workspace, page = begun
        try:
            if error is not None or not code:
                raise Failed("oidc-refused", f"the provider says {error!r}")
            person = await door.person(workspace, state, code, iss)
        except Failed as failed:
            response = door.refused(workspace, page, failed)
        else:
            response = door.back(page)
            await signed_in(response, workspace, person)
            log.info("sign_in.done", workspace=workspace, person=person)
        response.delete_cookie(STARTED, path=PATH, httponly=True, samesite="lax", secure=secure)
        return response

    return router

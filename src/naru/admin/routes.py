"""REST for setting up: signing in, invites, keys, secrets, and the configuration as a whole or piece by piece."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from agents.auth import COOKIE, Principal, authenticate, require
from channels.accounts import Accounts as ChannelAccounts
from naru.admin.accounts import MIN_PASSWORD, SESSION_S, Accounts
from naru.admin.config import BadConfig, Configurations, Conflict, check, export, parse
from naru.admin.oidc import Oidc
from naru.admin.secrets import Secrets
from naru.admin.sign_in import Door, sign_in_routes
from router.config import Config

COLLECTIONS = ("brands", "channels", "queues", "skills", "rules", "agents", "webhooks", "campaigns")
READ_BY = {"webhooks": "supervisor"}
"""The least role that may read what not everybody may: a receiver's address may be all that keeps strangers from it."""


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Login(Body):
    workspace: Annotated[str, Field(max_length=64)]
    email: Annotated[str, Field(max_length=320)]
    password: Annotated[str, Field(max_length=1000)]


class Token(Body):
    token: Annotated[str, Field(min_length=20, max_length=200)]


class Accept(Token):
    password: Annotated[str, Field(min_length=MIN_PASSWORD, max_length=1000)]


class Invite(Body):
    agent: Annotated[str, Field(max_length=64)]


class NewKey(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Literal["owner", "admin", "supervisor", "agent", "app"]
    agent: Annotated[str, Field(max_length=64)] | None = None


class NewSecret(Body):
    value: Annotated[str, Field(min_length=1, max_length=10_000)]


def routes(  # noqa: C901 - one list of routes
    accounts: Accounts,
    configurations: Configurations,
    secrets: Secrets,
    channels: ChannelAccounts,
    base_url: str,
    changed: Callable[[str], None],
    oidc: Oidc,
) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["admin"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    # -- signing in

    async def signed_in(response: Response, workspace: str, person: str) -> dict[str, Any]:
        token = await accounts.open_session(workspace, person)
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="lax",
            secure=base_url.startswith("https:"),
        )
        response.headers["Cache-Control"] = "no-store"
        _, config = await configurations.current(workspace)
        profile = next((agent for agent in config.agents if agent.id == person), None)
        name, role = (profile.name, profile.role) if profile else (person, "agent")
        return {"workspace": workspace, "agent": person, "name": name, "role": role}

    @router.post("/login", operation_id="login")
    async def login(response: Response, body: Login) -> dict[str, Any]:
        if not accounts.may_try(body.workspace, body.email):
            raise HTTPException(429, "too-many-tries", {"Retry-After": "600"})
        person = await accounts.login(body.workspace, body.email, body.password)
        if person is None:
            raise HTTPException(401, "wrong-name-or-password")
        return await signed_in(response, body.workspace, person)

    @router.post("/login/token", operation_id="login_by_token")
    async def login_by_token(response: Response, body: Token) -> dict[str, Any]:
        row = await accounts.redeem_login_token(body.token)
        if row is None:
            raise HTTPException(401, "token-is-over")
        return await signed_in(response, *row)

    @router.post("/logout", operation_id="logout", status_code=204)
    async def logout(request: Request, response: Response, who: Who) -> None:
        await accounts.close_session(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE)

    @router.post("/invites", operation_id="create_invite", status_code=201)
    async def invite(who: Who, body: Invite) -> dict[str, Any]:
        require("admin", who)
        token = await accounts.invite(who.workspace, body.agent)
        if token is None:
            raise HTTPException(404, "unknown-agent")
        return {"link": f"{base_url}/desk#invite={token}"}

    @router.post("/invites/accept", operation_id="accept_invite")
    async def accept(response: Response, body: Accept) -> dict[str, Any]:
        row = await accounts.accept_invite(body.token, body.password)
        if row is None:
            raise HTTPException(401, "invite-is-over")
        return await signed_in(response, *row)

    door = Door(accounts, configurations, oidc, base_url)
    router.include_router(sign_in_routes(door, signed_in, base_url.startswith("https:")))

    # -- keys and secrets

    @router.get("/keys", operation_id="list_keys")
    async def keys(who: Who) -> dict[str, Any]:
        require("admin", who)
        return {"items": msgspec.to_builtins(await accounts.keys(who.workspace))}

    @router.post("/keys", operation_id="create_key", status_code=201)
    async def create_key(who: Who, body: NewKey, response: Response) -> dict[str, Any]:
        """The key is in this answer and never again."""
        require("admin", who)
        require(body.role, who)
        _, config = await configurations.current(who.workspace)
        if body.agent is not None and all(agent.id != body.agent for agent in config.agents):
            raise HTTPException(404, "unknown-agent")
        id_, key = await accounts.create_key(who.workspace, body.name, body.role, body.agent)
        response.headers["Cache-Control"] = "no-store"
        return {"id": id_, "key": key}

    @router.delete("/keys/{id_}", operation_id="revoke_key", status_code=204)
    async def revoke(who: Who, id_: str) -> None:
        require("admin", who)
        if not await accounts.revoke_key(who.workspace, id_):
            raise HTTPException(404, "unknown-key")

    @router.get("/secrets", operation_id="list_secrets")
    async def list_secrets(who: Who) -> dict[str, Any]:
        require("admin", who)
        return {"items": [{"name": name} for name in secrets.names(who.workspace)]}

    @router.put("/secrets/{name}", operation_id="put_secret", status_code=204)
    async def put_secret(who: Who, name: str, body: NewSecret) -> None:
        require("admin", who)
        if not 0 < len(name) <= 100 or not name.replace("-", "").replace("_", "").isalnum():
            raise HTTPException(422, "invalid")
        await secrets.put(who.workspace, name, body.value)
        _, config = await configurations.current(who.workspace)
        channels.configure(who.workspace, config)
        changed(who.workspace)

    # -- configuration

    @router.get("/config", operation_id="get_config", responses={200: {"content": {"application/yaml": {}}}})
    async def get_config(who: Who, response: Response, format: Literal["json", "yaml"] = "json") -> Any:
        require("supervisor", who)
        version, config = await configurations.current(who.workspace)
        headers = {"ETag": f'"{version}"', "Cache-Control": "no-store"}
        if format == "yaml":
            return Response(export(config), media_type="application/yaml", headers=headers)
        response.headers.update(headers)
        return msgspec.to_builtins(config)

    @router.post("/config/plan", operation_id="plan_config")
    async def plan(who: Who, request: Request) -> dict[str, Any]:
        """What a document would change, and what that would do to what waits now. Changes nothing."""
        require("admin", who)
        found: dict[str, Any] = msgspec.to_builtins(await configurations.plan(who.workspace, await document(request)))
        return found

    @router.put("/config", operation_id="put_config")
    async def put_config(who: Who, request: Request, response: Response) -> dict[str, Any]:
        """Put a whole document in force; `If-Match` names the version that it was made from."""
        require("admin", who)
        return await applied(who, response, await document(request), wanted(request))

    async def applied(who: Principal, response: Response, config: Config, expected: int | None) -> dict[str, Any]:
        try:
            version = await configurations.apply(who.workspace, config, who.id, expected)
        except Conflict as error:
            raise HTTPException(412, "changed-meanwhile", {"ETag": f'"{error.version}"'}) from error
        response.headers["ETag"] = f'"{version}"'
        return {"version": version}

    for collection in COLLECTIONS:
        _collection(router, collection, Who, configurations, applied)
    return router


def _collection(router: APIRouter, name: str, Who: Any, configurations: Configurations, applied: Any) -> None:
    one = name.removesuffix("s")

    async def list_all(who: Who, response: Response) -> dict[str, Any]:
        require(READ_BY.get(name, "app"), who)
        version, config = await configurations.current(who.workspace)
        response.headers["ETag"] = f'"{version}"'
        return {"items": msgspec.to_builtins(getattr(config, name))}

    async def get_one(who: Who, id_: str) -> dict[str, Any]:
        require(READ_BY.get(name, "app"), who)
        _, config = await configurations.current(who.workspace)
        for item in getattr(config, name):
            if item.id == id_:
                found: dict[str, Any] = msgspec.to_builtins(item)
                return found
        raise HTTPException(404, f"unknown-{one}")

    async def put_one(who: Who, id_: str, body: dict[str, Any], request: Request, response: Response) -> dict[str, Any]:
        """Replace what is there. New ones are posted."""
        require("admin", who)
        found: dict[str, Any] = await applied(who, response, *await changed(who, id_, {**body, "id": id_}, request))
        return found

    async def post_one(who: Who, body: dict[str, Any], request: Request, response: Response) -> dict[str, Any]:
        require("admin", who)
        id_ = str(body.get("id", ""))
        found: dict[str, Any] = await applied(who, response, *await changed(who, id_, body, request, new=True))
        return found

    async def delete_one(who: Who, id_: str, request: Request, response: Response) -> dict[str, Any]:
        require("admin", who)
        found: dict[str, Any] = await applied(who, response, *await changed(who, id_, None, request))
        return found

    async def changed(
        who: Principal, id_: str, body: dict[str, Any] | None, request: Request, new: bool = False
    ) -> tuple[Config, int]:
        """The configuration with that piece changed, and the version it was made from."""
        version, config = await configurations.current(who.workspace)
        if wanted(request) not in (None, version):
            raise HTTPException(412, "changed-meanwhile", {"ETag": f'"{version}"'})
        if any(item.id == id_ for item in getattr(config, name)) == new:
            raise HTTPException(409 if new else 404, f"{one}-exists" if new else f"unknown-{one}")
        return checked(replaced(config, name, id_, body)), version

    router.add_api_route(f"/{name}", list_all, methods=["GET"], operation_id=f"list_{name}")
    router.add_api_route(f"/{name}", post_one, methods=["POST"], operation_id=f"create_{one}", status_code=201)
    router.add_api_route(f"/{name}/{{id_}}", get_one, methods=["GET"], operation_id=f"get_{one}")
    router.add_api_route(f"/{name}/{{id_}}", put_one, methods=["PUT"], operation_id=f"put_{one}")
    router.add_api_route(f"/{name}/{{id_}}", delete_one, methods=["DELETE"], operation_id=f"delete_{one}")


def replaced(config: Config, collection: str, id_: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """The configuration as data, with one piece put in the place of its namesake, added, or (None) left out."""
    data: dict[str, Any] = msgspec.to_builtins(config)
    items = data.get(collection, [])
    places = [index for index, item in enumerate(items) if item["id"] == id_]
    at = places[0] if places else len(items)
    return {**data, collection: [*items[:at], *([] if body is None else [body]), *items[at + len(places) :]]}


def wanted(request: Request) -> int | None:
    """The version that `If-Match` names; None when any will do, -1 when it is none of ours."""
    given = request.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    number = given.removeprefix("W/").strip('"')
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else -1


def checked(data: Any) -> Config:
    try:
        return check(data)
    except BadConfig as error:
        raise HTTPException(422, "bad-config\n" + "\n".join(error.faults)) from error


async def document(request: Request) -> Config:
    """The request's body as a configuration: JSON or YAML by its content type (JSON is YAML too)."""
    body = await request.body()
    try:
        return await asyncio.to_thread(parse, body.decode())
    except UnicodeDecodeError as error:
        raise HTTPException(422, "bad-config\nnot UTF-8") from error
    except BadConfig as error:
        raise HTTPException(422, "bad-config\n" + "\n".join(error.faults)) from error

"""REST for agents and supervisors: read from the fold and the history, command through the log.

An answer that a command got from the log becomes the HTTP answer: 202 when it did not come in time, a problem when it
was refused.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field

from agents import commands
from agents.auth import Accounts, Principal, agent_of, authenticate, require
from agents.commands import Args, Id
from agents.desk import Desk
from agents.frames import agent_view, attended, contact_view, offer_view
from agents.live import live_view
from agents.ports import Bus, Chance, Clock, Files, History, NotRetained, Past
from agents.presence import Leases
from agents.softphone import Resolve, softphone_of
from agents.why import Whys, language_of
from router.inputs import Input, StartContact
from router.memory import Contact
from router.model import Identity, Kind, Thread
from router.state import Pool
from router.turn import Answer

MAX_FILE_BYTES = 25_000_000
SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "audio/wav", "audio/ogg", "audio/mp4")
"""What a browser may show by itself; everything else is only saved."""
POSITION = "Naru-Position"
PATHS = {"message": "messages", "set-status": "status"}
"""What a command is called in an address, where not by its name."""


class Taken(BaseModel):
    """`code` ok; with status 202 the outcome will be seen on the stream."""

    code: str
    contact: str | None = None


class Start(Args):
    """`to` is an address of the channel's kind: a mail address, or a phone number in E.164 form."""

    channel: Id
    to: Annotated[str, Field(min_length=3, max_length=320)]
    queue: Id | None = None
    subject: Annotated[str, Field(max_length=400)] | None = None
    text: Annotated[str, Field(max_length=commands.MAX_TEXT)] = ""


def routes(  # noqa: C901 - one list of routes
    bus: Bus,
    accounts: Accounts,
    history: History,
    files: Files,
    leases: Leases,
    past: Past,
    clock: Clock,
    chance: Chance,
    resolve: Resolve,
) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["agents"])
    desk = Desk(bus, files)
    whys = Whys(bus, history, past)
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    def pool_of(who: Principal) -> Pool:
        return bus.pool(who.workspace) or Pool()

    async def command(request: Request, response: Response, who: Principal, name: str, args: dict[str, Any]) -> Taken:
        require("agent", who)
        if who.agent is not None and who.id.startswith("key:"):
            await leases.renew(who.workspace, who.agent)
        key = key_of(request, chance)
        answer, position = await desk.do(who, key[:200], name, args)
        return passed_on(response, answer, position)

    # -- myself

    @router.get("/me", operation_id="get_me")
    async def me(who: Who) -> dict[str, Any]:
        profile = pool_of(who).profile(who.agent) if who.agent else None
        name = profile.name if profile else who.id
        return {"workspace": who.workspace, "agent": who.agent, "name": name, "role": who.role}

    @router.post("/tickets", operation_id="create_ticket")
    async def ticket(who: Who) -> dict[str, Any]:
        require("agent", who)
        return {"ticket": await accounts.ticket(who), "expires_in_s": 30}

    @router.get("/agents/me/status", operation_id="get_my_status")
    async def my_status(who: Who) -> dict[str, Any]:
        return plain(agent_view(pool_of(who), agent_of(who)))

    @router.put("/agents/me/status", operation_id="put_my_status")
    async def put_status(request: Request, response: Response, who: Who, body: commands.Status) -> Taken:
        return await command(request, response, who, commands.STATUS, body.model_dump())

    @router.get("/agents/me/softphone", operation_id="get_my_softphone")
    async def my_softphone(who: Who, response: Response) -> dict[str, Any]:
        """Where this agent's desk registers its own phone, with the password: for its agent alone, not to be kept."""
        require("agent", who)
        response.headers["Cache-Control"] = "no-store"
        config = pool_of(who).memory.config
        return plain(softphone_of(config, who.workspace, agent_of(who), resolve))

    @router.get("/agents/me/offers", operation_id="list_my_offers")
    async def my_offers(who: Who) -> dict[str, Any]:
        if who.id.startswith("key:"):
            await leases.renew(who.workspace, agent_of(who))
        mine = my_contacts_of(who)
        return {"items": [plain(offer_view(pool_of(who), c)) for c in mine if c.status == "offered"]}

    @router.get("/agents/me/contacts", operation_id="list_my_contacts")
    async def my_contacts(who: Who) -> dict[str, Any]:
        mine = my_contacts_of(who)
        pool = pool_of(who)
        return {"items": [plain(contact_view(pool, c, who.agent)) for c in mine if c.status != "offered"]}

    def my_contacts_of(who: Principal) -> list[Contact]:
        pool = pool_of(who)
        agent = pool.agents.get(agent_of(who))
        return [*pool.assigned(agent), *attended(pool, agent)] if agent else []

    # -- offers and contacts

    def command_route(name: str, known: commands.Command) -> None:
        async def endpoint(request: Request, response: Response, who: Who, id_: str, body: Any = None) -> Taken:
            args = body.model_dump() if body is not None else {}
            return await command(request, response, who, name, {**args, known.of: id_})

        path = PATHS.get(name, name)
        _add(router, f"/{known.of}s/{{id_}}/{path}", f"{name}_{known.of}", endpoint, known.args)

    for name, known in commands.COMMANDS.items():
        command_route(name, known)

    @router.post("/contacts", operation_id="start_contact", status_code=201)
    async def start(request: Request, response: Response, who: Who, body: Start) -> Taken:
        """Begin an own mail, message or call. A call rings the agent's phone first, then the customer's."""
        require("agent", who)
        agent = agent_of(who)
        key = key_of(request, chance)
        wish = start_input(pool_of(who), agent, key, body)
        content = (
            await desk.content(who.workspace, commands.Message(text=body.text, subject=body.subject))
            if (body.text.strip())
            else None
        )
        answer, position = await desk.ask(who.workspace, who.id, key[:200], wish, content)
        return passed_on(response, answer, position)

    @router.get("/contacts/{id_}", operation_id="get_contact")
    async def contact(who: Who, id_: str) -> dict[str, Any]:
        pool = pool_of(who)
        if id_ in pool.contacts:
            return plain(contact_view(pool, pool.contacts[id_], who.agent))
        found = await history.contact(who.workspace, id_)
        if found is None:
            raise HTTPException(404, "unknown-contact")
        return found

    @router.get("/contacts/{id_}/why", operation_id="get_contact_why")
    async def contact_why(
        request: Request,
        who: Who,
        id_: str,
        attempt: Annotated[int | None, Query(ge=1, le=2**31)] = None,
        lang: Literal["ko", "en"] | None = None,
    ) -> dict[str, Any]:
        """Why an offer went to its agent, or why a contact waits: recomputed from the journal, as it was then."""
        language = language_of(lang, request.headers.get("accept-language"))
        with retained():
            return await whys.contact(who.workspace, id_, attempt, language)

    @router.get("/agents/{id_}/why-idle", operation_id="get_agent_why_idle")
    async def agent_why(
        request: Request, who: Who, id_: str, lang: Literal["ko", "en"] | None = None
    ) -> dict[str, Any]:
        """Why an agent has nothing more now."""
        pool = pool_of(who)
        if pool.profile(id_) is None:
            raise HTTPException(404, "unknown-agent")
        if id_ != who.agent:
            require("supervisor", who)
        with retained():
            return await whys.idle(who.workspace, id_, language_of(lang, request.headers.get("accept-language")))

    # -- history

    @router.get("/conversations/{id_}/messages", operation_id="list_messages")
    async def messages(
        who: Who,
        id_: str,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
    ) -> dict[str, Any]:
        found = await history.messages(who.workspace, id_, after, limit)
        if found is None:
            raise HTTPException(404, "unknown-conversation")
        items = [plain(message) for message in found]
        return {"items": items, "next": found[-1].number if len(found) == limit else None}

    # -- what to hand on to, and files

    @router.get("/targets", operation_id="list_targets")
    async def targets(who: Who) -> dict[str, Any]:
        pool = pool_of(who)
        return {
            "queues": [
                {"id": queue.id, "name": queue.name, "waiting": pool.length(queue.id)}
                for queue in pool.memory.config.queues
            ],
            "agents": [
                {
                    "id": view.id,
                    "name": view.name,
                    "presence": view.presence,
                    "reason": view.reason,
                    "connected": view.connected,
                }
                for view in (agent_view(pool, profile.id) for profile in pool.memory.config.agents)
            ],
        }

    @router.get("/live", operation_id="get_live")
    async def live(who: Who) -> dict[str, Any]:
        """What the wallboard shows, once."""
        require("supervisor", who)
        return live_view(pool_of(who), clock())

    @router.post("/files", operation_id="create_file", status_code=201)
    async def upload(who: Who, file: UploadFile) -> dict[str, Any]:
        body = await file.read(MAX_FILE_BYTES + 1)
        if len(body) > MAX_FILE_BYTES:
            raise HTTPException(413, "file-too-large")
        media = await files.save(
            who.workspace,
            (file.filename or "file")[:200],
            (file.content_type or "application/octet-stream")[:100],
            body,
        )
        return {
            "id": media.sha256,
            "name": media.name,
            "media_type": media.media_type,
            "size_bytes": media.size_bytes,
        }

    @router.get("/files/{sha256}", operation_id="get_file")
    async def download(who: Who, sha256: str) -> Response:
        return await file_response(files, who.workspace, sha256)

    return router


@contextlib.contextmanager
def retained() -> Iterator[None]:
    try:
        yield
    except NotRetained as error:
        raise HTTPException(410, f"no-longer-retained\n{error}") from error


async def file_response(files: Files, workspace: str, sha256: str) -> Response:
    """A stored file, as something to be saved and never run by the browser that asked."""
    media = await files.about(workspace, sha256)
    if media is None:
        raise HTTPException(404, "unknown-file")
    shown = media.media_type in SHOWN
    headers = {
        "Content-Disposition": "inline" if shown else "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=86400",
    }
    body = await files.read(workspace, sha256)
    return Response(body, media_type=media.media_type if shown else "application/octet-stream", headers=headers)


def _add(router: APIRouter, path: str, name: str, endpoint: Any, kind: type[Args]) -> None:
    """A command's route, with the body of its own arguments."""
    annotation: Any = kind | None if kind in (commands.OfArgs, commands.Leave) else kind
    endpoint.__annotations__["body"] = annotation
    endpoint.__name__ = name.replace("-", "_")
    router.add_api_route(path, endpoint, methods=["POST"], operation_id=endpoint.__name__, response_model=Taken)


def key_of(request: Request, chance: Chance) -> str:
    """Under which a request is done once, however often it comes: the client's own, else one that is new."""
    return request.headers.get("idempotency-key") or chance()


async def ask(desk: Desk, chance: Chance, request: Request, response: Response, who: Principal, wish: Input) -> Taken:
    """Hand a wish to the log, and pass on what was decided."""
    answer, position = await desk.ask(who.workspace, who.id, key_of(request, chance)[:200], wish)
    return passed_on(response, answer, position)


def passed_on(response: Response, answer: Answer | None, position: str) -> Taken:
    if answer is None:
        response.status_code = 202
        return Taken(code="taken")
    if answer.status >= 400:
        raise HTTPException(answer.status, answer.code)
    if position:
        response.headers[POSITION] = position
    return Taken(code=answer.code, contact=answer.contact)


THREADS: dict[Kind, str] = {"email": "email", "voice": "call"}


def start_input(pool: Pool, agent: str, key: str, body: Start) -> StartContact:
    channel = pool.channel(body.channel)
    if channel is None:
        raise HTTPException(404, "unknown-channel")
    scope, kind = ("e164", "phone") if channel.kind in ("voice", "sms") else ("email", "email")
    own = hashlib.sha256(f"{agent} {key}".encode()).hexdigest()[:24]
    to = body.to.strip().lower()
    external = to if channel.kind == "sms" else own
    return StartContact(
        agent=agent,
        channel=body.channel,
        thread=Thread(external=external, kind=THREADS.get(channel.kind, "dm")),  # type: ignore[arg-type]
        identity=Identity(scope=scope, kind=kind, value=to),  # type: ignore[arg-type]
        queue=body.queue,
    )


def plain(value: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found

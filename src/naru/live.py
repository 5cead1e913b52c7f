"""REST about live broadcasts: what was said last in a channel's rooms, and picking a comment by hand.

A room is in the memory of the process that hears it: the one that holds the channel, or, of comments that come by
webhook, each gateway what came to it. Another process says `held-elsewhere`.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel

from agents.auth import Accounts, Principal, authenticate, require
from channels.live import NotPickable, Rooms
from channels.ports import Unavailable
from naru.admin.config import Configurations


class SaidLive(BaseModel):
    """Comments that say the same, `similar` in number; `id` names the first. `picked_by` is a rule, or `hand`."""

    id: str
    room: str
    author: str
    name: str | None
    text: str
    at: float
    value: float
    similar: int
    picked_by: str | None


class Live(BaseModel):
    """The last 200 groups of each room, the newest first, and what was counted since the room was first heard."""

    items: list[SaidLive]
    counts: dict[str, dict[str, int]]


def routes(
    accounts: Accounts, configurations: Configurations, rooms: Rooms, holds: Callable[[str, str], bool]
) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["live"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    async def heard_here(who: Principal, channel: str) -> None:
        require("supervisor", who)
        _, config = await configurations.current(who.workspace)
        if all(known.id != channel for known in config.channels):
            raise HTTPException(404, "unknown-channel")
        if not rooms.hears(who.workspace, channel) and not holds(who.workspace, channel):
            raise HTTPException(409, "held-elsewhere")

    @router.get("/channels/{id_}/live", operation_id="get_live_rooms")
    async def live(who: Who, id_: str, response: Response) -> Live:
        """What is being said, as this process hears it."""
        await heard_here(who, id_)
        response.headers["Cache-Control"] = "no-store"
        items = [SaidLive.model_validate(one, from_attributes=True) for one in rooms.sample(who.workspace, id_)]
        return Live(items=items, counts=rooms.counts(who.workspace, id_))

    @router.post("/channels/{id_}/live/{comment}/pick", operation_id="pick_comment", status_code=202)
    async def pick(who: Who, id_: str, comment: str) -> None:
        """Make a contact of a comment, whatever the rules and bounds say. Durable on return."""
        await heard_here(who, id_)
        try:
            await rooms.pick(who.workspace, id_, comment)
        except NotPickable as error:
            raise HTTPException(404 if str(error) == "unknown-comment" else 409, str(error)) from error
        except Unavailable as error:
            raise HTTPException(503, "log-unavailable", {"Retry-After": "5"}) from error

    return router

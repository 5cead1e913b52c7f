"""REST about live broadcasts: what was said last in a channel's rooms, and picking a comment by hand.

A room is in the memory of the process that hears it: the one that holds the channel, or, of comments that come by
webhook, each gateway what came to it. Another process says `held-elsewhere`.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Response

from agents.auth import Accounts, Principal, authenticate, require
from channels.live import NotPickable, Rooms
from channels.ports import Unavailable
from naru.admin.config import Configurations


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
    async def live(who: Who, id_: str, response: Response) -> dict[str, Any]:
        """What is being said, as this process hears it: the last 200 groups of each room, the newest first, and what was
        counted since the room was first heard."""
        await heard_here(who, id_)
        response.headers["Cache-Control"] = "no-store"
        items = msgspec.to_builtins(rooms.sample(who.workspace, id_))
        return {"items": items, "counts": rooms.counts(who.workspace, id_)}

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

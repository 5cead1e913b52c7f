"""REST about events that go out: what of a webhook has not arrived, trying it out, and the AsyncAPI document."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel

from agents.auth import Accounts, Principal, authenticate, require
from naru.admin.config import Configurations
from naru.outgoing import asyncapi
from naru.outgoing.webhooks import Deliverer
from router.config import Webhook


class Pinged(BaseModel):
    """`status` is the receiver's, 0 when it gave none."""

    delivered: bool
    status: int
    detail: str | None = None


def routes(accounts: Accounts, configurations: Configurations, deliverer: Deliverer) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["events"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    async def webhook(who: Principal, id_: str) -> Webhook:
        require("admin", who)
        _, config = await configurations.current(who.workspace)
        for known in config.webhooks:
            if known.id == id_:
                return known
        raise HTTPException(404, "unknown-webhook")

    @router.get("/webhooks/{id_}/deliveries", operation_id="get_webhook_deliveries")
    async def deliveries(who: Who, id_: str) -> dict[str, Any]:
        """What waits, what has failed, and the newest that did not arrive at once. What has arrived is not kept."""
        return await deliverer.report(who.workspace, await webhook(who, id_))

    @router.post("/webhooks/{id_}/ping", operation_id="ping_webhook")
    async def ping(who: Who, id_: str) -> Pinged:
        """Send a `naru.webhook.pinged` at once, enabled or not; takes 15 s at most."""
        outcome = await deliverer.ping(who.workspace, await webhook(who, id_))
        return Pinged(delivered=outcome.ok, status=outcome.status, detail=outcome.detail)

    @router.get("/asyncapi.json", operation_id="get_asyncapi")
    async def document() -> dict[str, Any]:
        """Everything that goes out and comes in by events and sockets, as AsyncAPI 3."""
        return asyncapi.document()

    return router

"""Where an app's or a page's devices are registered for pushes: by whoever has the visitor's token of the welcome."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field

from channels import visitors, webpush
from channels.accounts import Accounts
from channels.base import Account
from channels.ports import Unavailable
from channels.push import MAX_DEVICES, Device, Devices, Platform, may_be_pushed_to, serves
from router.model import Thread, conversation_id

DeviceId = Annotated[str, Path(min_length=8, max_length=100)]


class SubscriptionKeys(BaseModel):
    p256dh: Annotated[str, Field(max_length=200)]
    auth: Annotated[str, Field(max_length=100)]


class PushSubscription(BaseModel):
    """`PushSubscription.toJSON()` of a browser."""

    endpoint: Annotated[str, Field(max_length=2_000)]
    keys: SubscriptionKeys


class Registration(BaseModel):
    """`token` for fcm and apns, `subscription` for webpush."""

    platform: Platform
    token: Annotated[str, Field(min_length=1, max_length=4_000)] | None = None
    subscription: PushSubscription | None = None


def routes(accounts: Accounts, devices: Devices) -> APIRouter:
    router = APIRouter(tags=["chat"])

    def whose(request: Request) -> tuple[Account, str]:
        account = accounts.at(request.headers.get("x-naru-channel", ""))
        visitor = visitors.named(account, request.headers.get("x-naru-visitor")) if account else None
        if account is None or account.kind != "chat" or visitor is None:
            raise HTTPException(403, "unknown-visitor")
        return account, conversation_id(account.channel, Thread(external=visitor))

    @router.put("/chat/devices/{device}", operation_id="put_chat_device", status_code=204)
    async def put(request: Request, device: DeviceId, body: Registration) -> None:
        account, conversation = whose(request)
        if not serves(account, body.platform):
            raise HTTPException(409, "push-not-configured")
        known = Device(device, body.platform, _token(account, body))
        with _translated():
            await devices.put(account.workspace, account.channel, conversation, known, MAX_DEVICES)

    @router.delete("/chat/devices/{device}", operation_id="delete_chat_device", status_code=204)
    async def delete(request: Request, device: DeviceId) -> None:
        account, conversation = whose(request)
        with _translated():
            await devices.remove(account.workspace, account.channel, conversation, device)

    @router.options("/chat/devices/{device}", include_in_schema=False, status_code=204)
    async def preflight(device: str) -> None:
        """A browser asks before it registers from another site."""

    return router


def _token(account: Account, body: Registration) -> str:
    """Raises HTTPException for what could never be pushed to."""
    if body.platform != "webpush":
        if body.token is None:
            raise HTTPException(422, "token-missing")
        return body.token
    if body.subscription is None:
        raise HTTPException(422, "subscription-missing")
    found = msgspec.convert(body.subscription.model_dump(), webpush.Subscription)
    if not may_be_pushed_to(account, found.endpoint):
        raise HTTPException(422, "unknown-push-service")
    if fault := webpush.fault(found):
        raise HTTPException(422, "bad-subscription-keys", {"X-Detail": fault})
    return msgspec.json.encode(found).decode()


@contextlib.contextmanager
def _translated() -> Iterator[Any]:
    try:
        yield
    except Unavailable as error:
        raise HTTPException(503, "store-unavailable", {"Retry-After": "5"}) from error

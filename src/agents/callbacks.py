"""REST for callbacks: who is to be called, somebody ordered one, nobody need call any more.

A time may be said as the customer says it, on the clock of where the customer is. That is known of a number whose
country has one clock, and must be said of any other.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import Field

from agents.auth import Accounts, Principal, authenticate, require
from agents.commands import Args, Id
from agents.desk import Desk
from agents.frames import contact_view
from agents.gateway import Taken, ask, plain
from agents.ports import Bus, Chance, Files
from router.calendar import is_zone
from router.inputs import CancelCallback, OrderCallback
from router.model import Identity
from router.state import Pool

Zones = Callable[[str, str], tuple[str, ...]]
"""(workspace, number): each zone in which whoever has this number may be, one of those that go alike; none: no number."""


class Callback(Args):
    """`number` is in E.164 form. `at` is seconds since 1970, `at_local` the time where the customer is, of which `timezone`
    is the zone, else that of the number's country; neither: as soon as it is the customer's turn."""

    channel: Id
    number: Annotated[str, Field(pattern=r"^\+?[0-9][0-9 ()-]{3,30}$")]
    name: Annotated[str, Field(max_length=100)] | None = None
    queue: Id | None = None
    at: Annotated[float, Field(ge=0, le=2**40)] | None = None
    at_local: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$")] | None = None
    timezone: Annotated[str, Field(max_length=60)] | None = None
    agent: Id | None = None
    language: Annotated[str, Field(max_length=10)] | None = None
    attributes: Annotated[dict[Id, Annotated[str, Field(max_length=200)]], Field(max_length=20)] = {}

    def order(self, zones: Callable[[str], tuple[str, ...]]) -> OrderCallback:
        number = "".join(letter for letter in self.number if letter in "+0123456789")
        at = self.at
        if self.at_local is not None:
            if at is not None:
                raise HTTPException(422, "two-times")
            at = moment(self.at_local, self.timezone or _only(zones(number)))
        return OrderCallback(
            channel=self.channel,
            identity=Identity(scope="e164", kind="phone", value=number, name=self.name),
            queue=self.queue,
            at=at,
            prefers=self.agent,
            language=self.language,
            attributes=self.attributes,
        )


def _only(zones: tuple[str, ...]) -> str:
    if len(zones) != 1:
        raise HTTPException(422, "timezone-needed")
    return zones[0]


def moment(local: str, zone: str) -> float:
    """Seconds since 1970 when the clocks of a zone show this time, for the first time if they do twice. Refused (422) where
    they never do, as in the hour that is left out in spring."""
    if not is_zone(zone):
        raise HTTPException(422, "unknown-timezone")
    try:
        shown, there = dt.datetime.fromisoformat(local), zoneinfo.ZoneInfo(zone)
        at = shown.replace(tzinfo=there).astimezone(dt.UTC)
        exists = at.astimezone(there).replace(tzinfo=None) == shown
    except (ValueError, OverflowError) as error:
        raise HTTPException(422, "no-such-time") from error
    if not exists:
        raise HTTPException(422, "no-such-time")
    return at.timestamp()


def routes(bus: Bus, accounts: Accounts, files: Files, chance: Chance, zones: Zones) -> APIRouter:
    router = APIRouter(prefix="/v1/callbacks", tags=["agents"])
    desk = Desk(bus, files)
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    @router.get("", operation_id="list_callbacks")
    async def callbacks(who: Who) -> dict[str, Any]:
        """Who is to be called back: those whose time has not come, and those in line."""
        require("agent", who)
        pool = bus.pool(who.workspace) or Pool()
        known = [contact for id_ in pool.memory.callbacks.values() if (contact := pool.contacts.get(id_))]
        return {"items": [plain(contact_view(pool, contact, who.agent)) for contact in known]}

    @router.post("", operation_id="order_callback", status_code=201)
    async def order_callback(request: Request, response: Response, who: Who, body: Callback) -> Taken:
        """Somebody is to be called, soonest or from a time on. Whose phone rings first is the queue's `call_first`."""
        require("agent", who)
        wish = body.order(lambda number: zones(who.workspace, number))
        return await ask(desk, chance, request, response, who, wish)

    @router.delete("/{id_}", operation_id="cancel_callback")
    async def cancel_callback(request: Request, response: Response, who: Who, id_: str) -> Taken:
        require("agent", who)
        wish = CancelCallback(contact=id_, by=who.agent or who.id)
        return await ask(desk, chance, request, response, who, wish)

    return router

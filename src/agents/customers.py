"""REST for customers: who one is, what was, and that two are one person, which people say and may take back.

A customer is one identity (a number, an address, a visitor); a person is all who were said to be one. That both are
of the workspace is checked here, before the log is asked: the engine does not know the store.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from agents.auth import Accounts, Principal, authenticate, require
from agents.commands import Args, Id
from agents.desk import Desk
from agents.gateway import Taken, ask
from agents.ports import Bus, Chance, Files, History
from router.inputs import MergeCustomer, SplitCustomer

MAX_IN_ONE = 20
"""Customers who are one person. Somebody with more ways to be reached is rather a mistake, or a switchboard."""


class Merge(Args):
    into: Id


class Split(Args):
    """`other`: only that these two are one person is taken back. Without it, that the customer is one with anybody."""

    other: Id | None = None


def routes(bus: Bus, accounts: Accounts, history: History, files: Files, chance: Chance) -> APIRouter:
    router = APIRouter(prefix="/v1/customers", tags=["agents"])
    desk = Desk(bus, files)
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    async def known(who: Principal, id_: str) -> dict[str, Any]:
        found = await history.customer(who.workspace, id_)
        if found is None:
            raise HTTPException(404, "unknown-customer")
        return found

    @router.get("/{id_}", operation_id="get_customer")
    async def customer(who: Who, id_: str) -> dict[str, Any]:
        """A customer with all who are the same person, and some who may be."""
        return await known(who, id_)

    @router.get("/{id_}/history", operation_id="list_customer_history")
    async def customer_history(who: Who, id_: str, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, Any]:
        """The person's contacts, whichever way they came, the newest first."""
        await known(who, id_)
        return {"items": await history.customer_contacts(who.workspace, id_, limit)}

    @router.post("/{id_}/merge", operation_id="merge_customer")
    async def merge(request: Request, response: Response, who: Who, id_: str, body: Merge) -> Taken:
        """This customer and another are one person. Nothing is rewritten; saying it twice changes nothing."""
        require("agent", who)
        both = [await known(who, each) for each in (id_, body.into)]
        if len({customer["id"] for found in both for customer in found["customers"]}) > MAX_IN_ONE:
            raise HTTPException(409, "too-many-in-one")
        wish = MergeCustomer(customer=id_, into=body.into, by=who.agent or who.id)
        return await ask(desk, chance, request, response, who, wish)

    @router.post("/{id_}/split", operation_id="split_customer")
    async def split(request: Request, response: Response, who: Who, id_: str, body: Split | None = None) -> Taken:
        """Takes back what was said of this customer. What was said of others among themselves stays."""
        require("agent", who)
        other = body.other if body else None
        for each in (id_, other) if other else (id_,):
            await known(who, each)
        wish = SplitCustomer(customer=id_, other=other, by=who.agent or who.id)
        return await ask(desk, chance, request, response, who, wish)

    return router

"""What can be connected, where its provider reaches us, and whether it works."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException

from agents.auth import Principal, authenticate, require
from channels import CHANNELS
from channels.accounts import Accounts as ChannelAccounts
from channels.checkup import Checkup
from naru.admin.accounts import Accounts
from naru.admin.config import Configurations
from router.config import Channel


def routes(
    accounts: Accounts, configurations: Configurations, channels: ChannelAccounts, checkup: Checkup, base_url: str
) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["admin"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    async def configured(who: Principal, id_: str) -> Channel:
        _, config = await configurations.current(who.workspace)
        found = next((channel for channel in config.channels if channel.id == id_), None)
        if found is None:
            raise HTTPException(404, "unknown-channel")
        return found

    @router.get("/providers", operation_id="list_providers")
    async def providers(who: Who) -> dict[str, Any]:
        """Every provider that a channel can have, and what can honestly be said of it."""
        return {"items": listed()}

    @router.get("/channels/{id_}/connection", operation_id="get_channel_connection")
    async def connection(who: Who, id_: str) -> dict[str, Any]:
        """Where the channel's provider must be told to reach us, and what keeps the channel from working."""
        require("supervisor", who)
        await configured(who, id_)
        hook = channels.hook(who.workspace, id_)
        return {"hook": hook, "url": f"{base_url}/hooks/{hook}", "fault": channels.fault(who.workspace, id_)}

    @router.post("/channels/{id_}/test", operation_id="test_channel")
    async def test(who: Who, id_: str) -> dict[str, Any]:
        """Try the channel step by step; each step that fails says why, and what mends it. Nothing is sent to anybody."""
        require("supervisor", who)
        channel = await configured(who, id_)
        found = await checkup.of(who.workspace, id_, channel.provider)
        return {"ok": all(step.ok is not False for step in found), "steps": msgspec.to_builtins(found)}

    return router


def listed() -> list[dict[str, Any]]:
    """Every provider and what it says of itself, by family."""
    found = [
        {
            "id": each.name,
            **msgspec.to_builtins(each.about),
            "made_good": MADE_GOOD.get(each.transport, each.about.made_good),
            "kinds": list(each.kinds),
            "transport": each.transport,
        }
        for each in CHANNELS
    ]
    return sorted(found, key=lambda row: (FAMILIES.index(row["family"]), row["id"]))


MADE_GOOD = {"poll": "is asked anyway", "mailbox": "is asked anyway"}
FAMILIES = ("phone", "email", "chat", "sms", "messages", "comments", "mall", "live", "other")
COLUMNS = ("id", "title", "receives", "sends", "receipts", "media", "policy", "made_good", "verified_against")


def provider_table(rows: list[dict[str, Any]], markdown: bool) -> str:
    """What is said of each provider: as a table for people, or for the docs."""
    if markdown:
        head = [
            "| provider | what it is | receives | sends | receipts | media | policy | made good | verified against |",
            "|" + "---|" * 9,
        ]
        return "\n".join(
            head
            + [
                f"| [{row['id']}](channels/{row['id']}.md) | "
                + " | ".join(str(row[name]).replace("|", "/") for name in COLUMNS[1:])
                + " |"
                for row in rows
            ]
        )
    lines = [f"{'provider':20} {'receives':28} {'sends':24} {'receipts':26} verified against"]
    lines += [
        f"{row['id']:20} {row['receives'][:27]:28} {row['sends'][:23]:24} {row['receipts'][:25]:26} {row['verified_against']}"
        for row in rows
    ]
    return "\n".join(lines)

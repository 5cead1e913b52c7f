"""REST for campaigns: start and stop, lists, how it goes and why not faster, the ledger, and those who want no calls."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import structlog
from fastapi import APIRouter, Depends, HTTPException, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from agents.auth import Accounts, Principal, authenticate, require
from naru.campaigns import law
from naru.campaigns.lists import Import, Lists
from naru.campaigns.numbers import normal
from naru.campaigns.sheets import BadFile
from naru.center import Center
from naru.reports.routes import as_csv
from naru.store import tables as db
from naru.store.database import Database
from naru.store.rows import shown
from router import campaigns as rules_of
from router import inputs
from router.config import Campaign
from router.outbound import NEVER
from router.state import Pool

MAX_FILE_BYTES = 25_000_000
CHUNK = 1_000_000
PAGE = 1_000
LEDGER = tuple(column.name for column in db.attempts.columns if column.name != "workspace")
Scope = Annotated[str, Field(pattern=r"^(workspace|brand:[a-z0-9][a-z0-9_.:-]{0,63}|registry:[A-Z]{2})$")]
Country = Annotated[str, Query(pattern=r"^[A-Z]{2}$")]

log = structlog.get_logger("naru.campaigns")


class Refused(BaseModel):
    """Somebody who wants no calls: a number in any form, or a mail address. `country` is a number's that has none."""

    model_config = ConfigDict(extra="forbid")
    value: Annotated[str, Field(min_length=3, max_length=320)]
    scope: Scope = "workspace"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    source: Annotated[str, Field(max_length=500)] = "by hand"


def routes(  # noqa: C901 - one list of routes
    accounts: Accounts,
    center: Center,
    database: Database,
    lists: Lists,
    clock: Callable[[], float],
    chance: Callable[[], str],
    country_of: Callable[[str], str],
) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["campaigns"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]
    running: set[asyncio.Task[None]] = set()

    def pool_of(who: Principal) -> Pool:
        return center.pool(who.workspace) or Pool()

    def campaign_of(who: Principal, id_: str) -> Campaign:
        found = pool_of(who).lookup.campaigns.get(id_)
        if found is None:
            raise HTTPException(404, "unknown-campaign")
        return found

    async def told(who: Principal, wish: inputs.Input) -> None:
        answer, _ = await center.ask(who.workspace, who.id, chance(), wish)
        if answer is not None and answer.status >= 400:
            raise HTTPException(answer.status, answer.code)

    # -- running

    async def set_running(who: Principal, id_: str, running_: bool) -> dict[str, Any]:
        require("supervisor", who)
        campaign_of(who, id_)
        await told(who, inputs.SetCampaign(campaign=id_, running=running_, by=who.agent or who.id))
        return {"campaign": id_, "running": running_}

    @router.post("/campaigns/{id_}/start", operation_id="start_campaign")
    async def start(who: Who, id_: str) -> dict[str, Any]:
        return await set_running(who, id_, True)

    @router.post("/campaigns/{id_}/stop", operation_id="stop_campaign")
    async def stop(who: Who, id_: str) -> dict[str, Any]:
        """What rings goes on; nobody new is called."""
        return await set_running(who, id_, False)

    @router.get("/campaign-status", operation_id="list_campaign_status")
    async def every_status(who: Who) -> dict[str, Any]:
        """How every campaign goes at this moment, without its people: from memory, so it may be asked often."""
        require("supervisor", who)
        pool, now = pool_of(who), clock()
        return {"items": [_live(pool, campaign, now) for campaign in pool.lookup.campaigns.values()]}

    @router.get("/campaigns/{id_}/status", operation_id="get_campaign_status")
    async def status(who: Who, id_: str) -> dict[str, Any]:
        """How it goes: people by what became of them, and how many lines may ring now, with what limits them."""
        require("supervisor", who)
        campaign = campaign_of(who, id_)
        async with database.read(who.workspace) as connection:
            p, a = db.prospects.c, db.attempts.c
            people = await connection.execute(
                select(p.state, p.outcome, func.count())
                .where(p.workspace == who.workspace, p.campaign == id_)
                .group_by(p.state, p.outcome)
            )
            counts = [{"state": state, "outcome": outcome, "people": count} for state, outcome, count in people]
            tried = await connection.execute(
                select(a.outcome, func.count())
                .where(a.workspace == who.workspace, a.campaign == id_)
                .group_by(a.outcome)
            )
            outcomes = {outcome or "open": count for outcome, count in tried}
        return {
            **_live(pool_of(who), campaign, clock()),
            "people": sorted(counts, key=lambda row: (row["state"], row["outcome"] or "")),
            "attempts": outcomes,
        }

    # -- lists

    @router.get("/campaigns/{id_}/lists", operation_id="list_campaign_lists")
    async def all_lists(who: Who, id_: str) -> dict[str, Any]:
        require("supervisor", who)
        campaign_of(who, id_)
        return {"items": await lists.all(who.workspace, id_)}

    @router.get("/campaigns/{id_}/lists/{list_}", operation_id="get_campaign_list")
    async def one_list(who: Who, id_: str, list_: str) -> dict[str, Any]:
        require("supervisor", who)
        found = await lists.one(who.workspace, list_)
        if found is None or found["campaign"] != id_:
            raise HTTPException(404, "unknown-list")
        return found

    @router.post("/campaigns/{id_}/lists", operation_id="import_campaign_list", status_code=202)
    async def import_list(
        who: Who, id_: str, file: UploadFile, country: Country | None = None, skip_bad: bool = False
    ) -> dict[str, Any]:
        """Take in a CSV or XLSX of people. It is read in the background: `get_campaign_list` says how far, and what is
        wrong. With a bad row nothing of it is taken, unless `skip_bad` leaves those rows out."""
        require("admin", who)
        campaign = campaign_of(who, id_)
        channel = pool_of(who).channel(campaign.channel)
        if channel is None:
            raise HTTPException(409, "unknown-channel")
        path = await _saved(file)
        list_, name = chance()[:24], file.filename or "list.csv"
        await lists.begin(who.workspace, id_, name, who.agent or who.id, list_)

        async def read() -> None:
            try:
                work = Import(
                    workspace=who.workspace,
                    id=list_,
                    campaign=id_,
                    kind=channel.kind,
                    path=path,
                    name=name,
                    country=country or country_of(who.workspace),
                    skip_bad=skip_bad,
                )
                found = await lists.take(work)
                if found:
                    await center.take(who.workspace, who.id, chance(), inputs.WakeCampaign(campaign=id_))
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)

        task = asyncio.create_task(read())
        running.add(task)
        task.add_done_callback(running.discard)
        return {"list": list_}

    # -- the ledger

    @router.get("/campaigns/{id_}/attempts", operation_id="list_campaign_attempts")
    async def ledger(
        who: Who,
        id_: str,
        since: Annotated[float, Query(ge=0, le=1e11)] = 0,
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] | None = None,
        newest: bool = False,
        format: Literal["json", "csv"] = "json",
    ) -> Any:
        """Every attempt with what was checked before it and what became of it, the oldest first. For the next page give
        the last row's time as `since` and its id as `after`. `newest`: the last ones, and those the newest first. As CSV
        it is all of them where no `limit` is given."""
        require("supervisor", who)
        campaign_of(who, id_)
        if newest:
            last = await attempts(who, id_, since, after, limit or PAGE, newest=True)
            return _csv(_once(last)) if format == "csv" else {"items": last}
        if format == "csv":
            return _csv(pages(who, id_, since, after, limit))
        return {"items": await attempts(who, id_, since, after, limit or PAGE)}

    async def attempts(
        who: Principal, id_: str, since: float, after: str, limit: int, newest: bool = False
    ) -> list[dict[str, Any]]:
        c = db.attempts.c
        page = (c.reserved_at > since) | ((c.reserved_at == since) & (c.id > after))
        order = (c.reserved_at.desc(), c.id.desc()) if newest else (c.reserved_at, c.id)
        async with database.read(who.workspace) as connection:
            rows = await connection.execute(
                select(db.attempts)
                .where(c.workspace == who.workspace, c.campaign == id_, page)
                .order_by(*order)
                .limit(limit)
            )
            return [shown(row) for row in rows]

    async def pages(
        who: Principal, id_: str, since: float, after: str, limit: int | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Piece by piece, so that no ledger is too long."""
        left = limit
        while left is None or left > 0:
            some = await attempts(who, id_, since, after, PAGE if left is None else min(PAGE, left))
            yield some
            if len(some) < PAGE:
                return
            since, after = some[-1]["reserved_at"], some[-1]["id"]
            left = None if left is None else left - len(some)

    # -- law, and those who want no calls

    @router.get("/dialing-rules", operation_id="list_dialing_rules")
    async def dialing_rules(who: Who) -> dict[str, Any]:
        """Each country's rules as Naru has them, with their sources."""
        return {"items": [msgspec.to_builtins(law.rules_for(*place.split("-"))) for place in law.places()]}

    @router.get("/do-not-call", operation_id="list_do_not_call")
    async def refused(
        who: Who,
        after: Annotated[str, Query(max_length=320)] = "",
        after_scope: Annotated[str, Query(max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Those who want no calls. For the next page give the last row's value and scope as `after` and `after_scope`:
        one number may be on several lists."""
        require("supervisor", who)
        return {"items": await lists.refused(who.workspace, after, after_scope, limit)}

    @router.post("/do-not-call", operation_id="add_do_not_call", status_code=201)
    async def refuse(who: Who, body: Refused) -> dict[str, Any]:
        """From the moment of this answer the number is not called any more by what the list covers."""
        require("agent", who)
        value = _value(body.value, body.country or country_of(who.workspace))
        await lists.refuse(who.workspace, value, body.scope, body.source, who.agent or who.id)
        return {"value": value, "scope": body.scope}

    @router.delete("/do-not-call/{value:path}", operation_id="remove_do_not_call", status_code=204)
    async def allow(who: Who, value: str, scope: Scope = "workspace") -> None:
        require("admin", who)
        if not await lists.allow(who.workspace, value, scope):
            raise HTTPException(404, "not-listed")

    @router.post("/do-not-call/import", operation_id="import_do_not_call")
    async def import_refused(
        who: Who, file: UploadFile, scope: Scope = "workspace", country: Country | None = None
    ) -> dict[str, Any]:
        """A file of numbers onto the list; with `registry:KR` onto the copy of a country's own, which is dated by it."""
        require("admin", who)
        path = await _saved(file)
        where = country or (
            scope.removeprefix("registry:") if scope.startswith("registry:") else country_of(who.workspace)
        )
        try:
            return await lists.import_refused(
                who.workspace, path, file.filename or "list.csv", scope, where, who.agent or who.id
            )
        except BadFile as error:
            raise HTTPException(422, f"bad-file\n{error}") from error
        finally:
            path.unlink(missing_ok=True)

    return router


async def _once(items: list[dict[str, Any]]) -> AsyncIterator[list[dict[str, Any]]]:
    yield items


def _csv(pieces: AsyncIterator[list[dict[str, Any]]]) -> StreamingResponse:
    async def text() -> AsyncIterator[str]:
        heading = True
        async for items in pieces:
            yield as_csv(LEDGER, [{name: _cell(value) for name, value in item.items()} for item in items], heading)
            heading = False

    return StreamingResponse(text(), media_type="text/csv; charset=utf-8")


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _value(written: str, country: str) -> str:
    if "@" in written:
        return written.strip().lower()
    known = normal(written, country)
    if known is None:
        raise HTTPException(422, "no-number")
    return known[0]


async def _saved(file: UploadFile) -> Path:
    """The upload as a file of its own, piece by piece."""
    with tempfile.NamedTemporaryFile(prefix="naru-list-", delete=False) as kept:
        path = Path(kept.name)
        while piece := await file.read(CHUNK):
            kept.write(piece)
            if kept.tell() > MAX_FILE_BYTES:
                break
        else:
            return path
    await asyncio.to_thread(path.unlink)
    raise HTTPException(413, "too-large")


def _live(pool: Pool, campaign: Campaign, now: float) -> dict[str, Any]:
    """What the pool knows of a campaign at this moment."""
    state = pool.memory.campaigns.get(campaign.id)
    if state is None:
        return {"campaign": campaign.id, "mode": campaign.mode, "running": False, "reason": "never-started"}
    pacing = rules_of.pacing(pool, campaign, state, now)
    rests = state.rests_until
    return {
        "campaign": campaign.id,
        "mode": campaign.mode,
        "running": state.running,
        "rests": rests is not None,
        "rests_until": rests if rests is not None and rests < NEVER else None,
        "reason": state.reason,
        "lines": {
            "ringing": len(state.lines),
            "asked": len(state.asked),
            "may_ring": pacing.most,
            "limited_by": pacing.limited_by,
            "wanted": pacing.wanted,
            "spare": pacing.spare if campaign.ceiling < 1 else None,
        },
        "agents": {"kept": pacing.kept, "busy": state.busy, "soon_free": round(pacing.freed, 2)},
        "answers": {
            "live": pacing.live,
            "abandoned": pacing.abandoned,
            "share": pacing.abandoned / pacing.live if pacing.live else None,
            "ceiling": campaign.ceiling,
            "window_days": campaign.window_days,
        },
        "measured": {
            "lines": state.pace.lines,
            "answer_rate": state.pace.live,
            "answer_s": state.pace.answer_s,
            "talk_s": state.pace.talk_s,
            "wrap_up_s": state.pace.wrap_s,
            "margin": state.pace.margin,
        },
    }

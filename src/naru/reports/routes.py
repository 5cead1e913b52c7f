"""REST for reports: contacts by interval, as JSON or CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from agents.auth import Accounts, Principal, authenticate, require
from naru.store.history import StoredHistory

DAY_S = 86_400.0
MAX_INTERVALS = 3000
WIDTHS_MIN = (15, 30, 60, 1440)
FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
FIELDS = ("start", "key", "arrived", "answered", "abandoned", "in_target", "wait_s", "handle_s")


def routes(accounts: Accounts, history: StoredHistory, clock: Callable[[], float]) -> APIRouter:
    router = APIRouter(prefix="/v1/reports", tags=["reports"])
    Who = Annotated[Principal, Depends(authenticate(accounts))]

    @router.get("/intervals", operation_id="report_intervals")
    async def intervals(
        who: Who,
        start: Annotated[float | None, Query(alias="from", ge=0, le=1e11)] = None,
        end: Annotated[float | None, Query(alias="to", ge=0, le=1e11)] = None,
        minutes: Annotated[int, Query(ge=15, le=1440)] = 30,
        by: Literal["queue", "channel", "brand", "agent"] | None = None,
        format: Literal["json", "csv"] = "json",
    ) -> Any:
        require("supervisor", who)
        until = clock() if end is None else end
        since = until - DAY_S if start is None else start
        if minutes not in WIDTHS_MIN or since >= until or (until - since) / (minutes * 60) > MAX_INTERVALS:
            raise HTTPException(422, "bad-range")
        items = await history.intervals(who.workspace, since, until, minutes, by)
        if format == "csv":
            return Response(as_csv(FIELDS, items), media_type="text/csv; charset=utf-8")
        return {"items": items}

    return router


def as_csv(fields: Sequence[str], items: list[dict[str, Any]], heading: bool = True) -> str:
    """RFC 4180, with what a spreadsheet would take for a formula made harmless."""
    out = io.StringIO()
    writer = csv.writer(out)
    if heading:
        writer.writerow(fields)
    for item in items:
        writer.writerow([_harmless(item[field]) for field in fields])
    return out.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_START) else value

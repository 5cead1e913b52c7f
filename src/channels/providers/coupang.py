"""Coupang by the Wing Open API: customers' questions about products, and inquiries that its contact center hands over.

Asked: GET …/vendors/{vendor}/onlineInquiries and …/callCenterInquiries, of those without an answer, by dates in Korea of
at most seven days: {"code": 200, "data": {"content": [{"inquiryId", "content", "inquiryAt": "2017-03-09 17:35:02" (KST),
"vendorItemId", "orderId" or "orderIds", "itemName", "replies": [{"answerId", "partnerTransferStatus", "content",
"replyAt"}]}], "pagination": {"totalPages"}}} (developers.coupangcorp.com, CS API). Each request is signed (CEA); it must
come from an address that Wing knows. An inquiry of the contact center takes one answer, a question may have several.
"""

import datetime as dt
import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from channels import loose, malls, signatures
from channels.base import About, Account, Call, Item, Outgoing, Page, Result, Transport, Unsendable
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

API = "https://api-gateway.coupang.com"
LISTS = ("onlineInquiries", "callCenterInquiries")
NAMES = ("online", "center")
SIZES = (50, 30)
FIRST_S, MOST_S, OVERLAP_S, PAUSE_S = 5 * malls.DAY_S, 5 * malls.DAY_S, malls.DAY_S, 60.0
LATE_S = 24 * 3600.0
PUBLIC = ReplyPolicy(public=True)
ONE_ANSWER = ReplyPolicy(style="one_shot", max_length=1000)


class Coupang(malls.Asked):
    name = "coupang"
    about = About(
        title="Coupang inquiries",
        family="mall",
        receives="product questions, inquiries of the contact center",
        sends="answers",
        policy="one answer to the contact center; 24 h",
        evidence="documents",
        verified_against="signature: a derived vector; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("email", "social")
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("vendor_id", "reply_by")
    required_secrets: tuple[str, ...] = ("access_key", "secret_key")

    def policy(self, account: Account) -> ReplyPolicy:
        return PUBLIC

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        at = malls.place(cursor, now, FIRST_S, MOST_S)
        which = at.which % len(LISTS)
        query = {
            "vendorId": account.setting("vendor_id"),
            ("answeredType", "partnerCounselingStatus")[which]: ("NOANSWER", "NO_ANSWER")[which],
            "inquiryStartAt": malls.day(at.since),
            "inquiryEndAt": malls.day(at.until),
            "pageSize": SIZES[which],
            "pageNum": at.page,
        }
        return self._call(account, "GET", LISTS[which], urlencode(query), None, now)

    def _call(self, account: Account, method: str, path: str, query: str, said: Any, now: float) -> Call:
        version, vendor = account.setting("api_version", "v5"), quote(account.setting("vendor_id"), safe="")
        path = f"/v2/providers/openapi/apis/api/{version}/vendors/{vendor}/{path}"
        signed_at = f"{dt.datetime.fromtimestamp(now, dt.UTC):%y%m%dT%H%M%SZ}"
        signature = signatures.coupang(account.secrets["secret_key"], signed_at, method, path, query)
        key = account.secrets["access_key"]
        return Call(
            method=method,
            url=f"{account.setting('api_url', API)}{path}" + (f"?{query}" if query else ""),
            body=None if said is None else msgspec.json.encode(said),
            headers={
                "authorization": "CEA algorithm=HmacSHA256, "
                f"access-key={key}, signed-date={signed_at}, signature={signature}",
                "content-type": "application/json;charset=UTF-8",
            },
        )

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, at = loose.decoded(body), malls.place(cursor, now, FIRST_S, MOST_S)
        if status != 200 or malls.text(loose.at(said, "code")) != "200":
            return msgspec.structs.replace(malls.refused(cursor, status, said), stale=False)
        rows = malls.rows(loose.at(said, "data", "content"))
        which = at.which % len(LISTS)
        items = [item for row in rows if (item := self._inquiry(account, NAMES[which], row)) is not None]
        pages = loose.at(said, "data", "pagination", "totalPages")
        more = isinstance(pages, int) and at.page < pages and bool(rows)
        after, pause_s = at.on(more, len(LISTS), now, OVERLAP_S, PAUSE_S)
        return Page(items=tuple(items), cursor=after, again_s=pause_s)

    def _inquiry(self, account: Account, name: str, row: dict[str, Any]) -> Item | None:
        """A question; of the contact center the part that waits for an answer, below what it is about."""
        number = malls.text(row.get("inquiryId"))
        if not number:
            return None
        waits = [r for r in malls.rows(row.get("replies")) if r.get("partnerTransferStatus") == "requestAnswer"]
        last = waits[-1] if waits else {}
        answer = malls.text(last.get("answerId"))
        words = [malls.text(one.get("content"), malls.MAX_TEXT) for one in (row, last)]
        asked_at = malls.time(last.get("replyAt")) or malls.time(row.get("inquiryAt"))
        thread = Thread(external=f"{name}:{number}", kind="ticket")
        return malls.item(
            account,
            thread.external + (f":{answer}" if answer else ""),
            thread,
            Identity(
                scope=f"coupang:{account.setting('vendor_id')}",
                kind="external",
                value=thread.external,
                name=malls.text(row.get("buyerEmail")) or None,  # with stars in it
            ),
            html.unescape("\n\n".join(filter(None, words))),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, LATE_S),
            subject=malls.text(row.get("receiptCategory")) or malls.text(row.get("itemName")),
            headers={"parent-answer-id": answer} if answer else {},
            attributes=malls.facts(
                order=row.get("orderId") or _first(row.get("orderIds")),
                product=row.get("sellerProductId") or row.get("productId"),
                option=_first(row.get("vendorItemId")),
                product_name=row.get("itemName"),
                category=row.get("receiptCategory"),
            ),
            policy=ONE_ANSWER if name == "center" else PUBLIC,
        )

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        name, _, number = malls.answer(effect, message)[0].thread.external.partition(":")
        _, words = malls.answer(effect, message, ONE_ANSWER.max_length if name == "center" else None)
        if name not in NAMES or not number.isdecimal():
            raise Unsendable("this is no inquiry of Coupang")
        said = {"vendorId": account.setting("vendor_id"), "content": words, "replyBy": account.setting("reply_by")}
        if name == "center":
            parent = message.last_headers.get("parent-answer-id", "") if message else ""
            if not parent:
                raise Unsendable("the contact center does not wait for an answer; look in Wing")
            said |= {"inquiryId": number, "parentAnswerId": parent}
        path = f"{LISTS[NAMES.index(name)]}/{number}/replies"
        return self._call(account, "POST", path, "", said, now)

    def outcome(self, status: int, body: bytes) -> Result:
        """Success is a code of 200 in the body, too; a second answer to the contact center is an error."""
        said = loose.decoded(body)
        if status < 300 and malls.text(loose.at(said, "code")) not in ("200", "OK", "SUCCESS"):
            return Result("rejected" if isinstance(said, dict) else "uncertain", detail=malls.why(said) or str(status))
        known = malls.outcome(status, said)
        return Result("rejected", detail=known.detail) if status == 401 else known


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value

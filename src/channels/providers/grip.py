"""Grip, a mall of live broadcasts: customers' one-to-one inquiries by the seller API.

Asked in two steps: GET /api/inquiry?needReply=true {"inquiryList": [{"inquirySeq"}]}, then each that is new, GET
/api/inquiry/{seq} {"inquiry": {"title", "content", "userName", "orderSeq", "productId", "createdAt": milliseconds,
"imageUrls"}} (github.com/gripcorp/grip-seller-apis, docs/qna). Every request bears a fingerprint of its method, path and
time. The first answer is a POST, which tells the customer; another takes its place (PUT), which tells too.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from channels import loose, malls, signatures
from channels.base import About, Account, Call, Item, Outgoing, Page, Result, Transport, Unsendable
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

API = "https://seller.grip.show"
SIZE = 50
KNOWN = 500
FIRST_S, MOST_S, OVERLAP_S, PAUSE_S = 7 * malls.DAY_S, 30 * malls.DAY_S, 7 * malls.DAY_S, 60.0
OVERWRITES = ReplyPolicy(style="overwrite", max_length=1000)


class Grip(malls.Asked, malls.AtAddress):
    name = "grip"
    about = About(
        title="Grip one-to-one inquiries",
        family="mall",
        receives="inquiries, pictures",
        sends="answers",
        media="in",
        policy="1,000 characters; a further answer overwrites the first",
        evidence="documents",
        verified_against="fingerprint: a derived vector; the rest: Grip's public documents",
    )
    kinds: tuple[Kind, ...] = ("email", "social")
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("service_id",)
    required_secrets: tuple[str, ...] = ("access_key", "secret_key")

    def policy(self, account: Account) -> ReplyPolicy:
        return OVERWRITES

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        todo = malls.names(cursor, "todo")
        if todo:
            return self._call(account, "GET", f"/api/inquiry/{todo[0]}", None, now)
        at = malls.place(cursor, now, FIRST_S, MOST_S)
        asked = {
            "needReply": "true",
            "searchStartAt": int(at.since * 1000),
            "searchEndAt": int(at.until * 1000),
            "start": (at.page - 1) * SIZE,
            "length": SIZE,
        }
        return self._call(account, "GET", f"/api/inquiry?{urlencode(asked)}", None, now)

    def _call(self, account: Account, method: str, uri: str, said: Any, now: float) -> Call:
        key, stamp = account.secrets["access_key"], str(int(now * 1000))
        return Call(
            method=method,
            url=account.setting("api_url", API) + uri,
            body=None if said is None else msgspec.json.encode(said),
            headers={
                "content-type": "application/json",
                "x-serviceid": account.setting("service_id"),
                "x-accesskey": key,
                "x-fingerprint-timestamp": stamp,
                "x-fingerprint": signatures.ncloud(account.secrets["secret_key"], key, method, uri, stamp),
            },
        )

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, todo, known = loose.decoded(body), malls.names(cursor, "todo"), malls.names(cursor, "known")
        if todo:
            if status in (401, 403, 429):
                return msgspec.structs.replace(malls.refused(cursor, status, said), stale=False)
            found = self._inquiry(account, loose.at(said, "inquiry")) if status == 200 else None
            known = [*known, todo[0]][-KNOWN:] if found else known  # else it is listed, and asked for, again
            return Page(
                items=(found,) if found else (), cursor={**cursor, "todo": todo[1:], "known": known}, again_s=1.0
            )
        if status != 200 or not isinstance(said, dict):
            return msgspec.structs.replace(malls.refused(cursor, status, said), stale=False)
        listed = malls.rows(said.get("inquiryList"))
        names = [name for row in listed if (name := malls.text(row.get("inquirySeq"), 40)).isdecimal()]
        at = malls.place(cursor, now, FIRST_S, MOST_S)
        after, pause_s = at.on(len(listed) >= SIZE, 1, now, OVERLAP_S, PAUSE_S)
        new = [name for name in dict.fromkeys(names) if name not in known]
        return Page(cursor={**after, "todo": new, "known": known}, again_s=1.0 if new else pause_s)

    def _inquiry(self, account: Account, said: Any) -> Item | None:
        number = malls.text(loose.at(said, "inquirySeq"), 40)
        if not number or loose.at(said, "replyAt"):
            return None
        asked_at = malls.epoch(loose.at(said, "createdAt"), 0.001)
        who = malls.text(loose.at(said, "email"))
        name = malls.text(loose.at(said, "userName")) or None
        identity = Identity(scope="email", kind="email", value=who.lower(), name=name)
        return malls.item(
            account,
            number,
            Thread(external=number, kind="ticket"),
            identity if "@" in who else Identity(scope="grip", kind="external", value=f"inquiry:{number}", name=name),
            malls.text(loose.at(said, "content"), malls.MAX_TEXT),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, 0),
            subject=malls.text(loose.at(said, "title")),
            attributes=malls.facts(
                order=loose.at(said, "orderSeq"),
                product=loose.at(said, "productId"),
                product_name=loose.at(said, "productName"),
                category=loose.at(said, "inquiryType"),
            ),
            policy=OVERWRITES,
            files=malls.files(loose.at(said, "imageUrls"), "picture"),
        )

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message, OVERWRITES.max_length)
        number = effect.thread.external
        if not number.isdecimal():
            raise Unsendable("this is no inquiry of Grip")
        is_first = message is not None and message.first
        said = {"reply": words} if is_first else {"reply": words, "noti": True}
        return self._call(account, "POST" if is_first else "PUT", f"/api/inquiry/{number}", said, now)

    def outcome(self, status: int, body: bytes) -> Result:
        """A status of 500 is how Grip used to refuse, and how it fails: nobody can tell which."""
        known = malls.outcome(status, loose.decoded(body))
        return Result("rejected", detail=known.detail) if status == 401 else known

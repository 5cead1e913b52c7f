"""Naver SmartStore by the Commerce API: customers' inquiries about orders, and questions about products.

Asked: GET /v1/pay-user/inquiries {"content": [{"inquiryNo", "title", "inquiryContent", "category", "answered",
"answerContentId", "answerContent", "orderId", "customerId", "customerName", …}], "last"}, and GET /v1/contents/qnas
{"contents": [{"questionId", "question", "productId", "maskedWriterId", "answered", "createDate"}], "last"} of those
without an answer (apicenter.commerce.naver.com, 문의). An inquiry takes one answer (POST); a question's answer is public
and takes the place of any other, without a word (PUT). The token is asked for with a bcrypt signature, for three hours.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from channels import loose, malls, signatures
from channels.base import About, Account, Call, Item, Outgoing, Page, Result, Token, Transport, Unsendable
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

API = "https://api.commerce.naver.com/external"
INQUIRIES, QNAS = 0, 1
SIZE = 100
FIRST_S, MOST_S, OVERLAP_S, PAUSE_S = 7 * malls.DAY_S, 7 * malls.DAY_S, 2 * malls.DAY_S, 60.0
LATE_S = 24 * 3600.0
ALREADY = "ERR-NC-101010"
ONE_ANSWER = ReplyPolicy(style="one_shot")
OVERWRITES = ReplyPolicy(style="overwrite", public=True)


class NaverSmartStore(malls.Asked):
    name = "naver_smartstore"
    about = About(
        title="Naver SmartStore inquiries",
        family="mall",
        receives="inquiries, product questions; answers given in the seller's center",
        sends="answers",
        policy="one answer to an inquiry; a question's is overwritten; 24 h",
        evidence="published vectors",
        verified_against="token signature: Naver's published example; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("email", "social")
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("client_id",)
    required_secrets: tuple[str, ...] = ("client_secret",)

    def policy(self, account: Account) -> ReplyPolicy:
        return ONE_ANSWER

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        at = malls.place(cursor, now, FIRST_S, MOST_S)
        asked: dict[str, Any] = {"page": at.page, "size": SIZE}
        if at.which == QNAS:
            path = "/v1/contents/qnas"
            asked |= {"answered": "false", "fromDate": malls.iso(at.since), "toDate": malls.iso(at.until)}
        else:
            path = "/v1/pay-user/inquiries"
            asked |= {"startSearchDate": malls.day(at.since), "endSearchDate": malls.day(at.until)}
        url = f"{account.setting('api_url', API)}{path}?{urlencode(asked)}"
        return Call(method="GET", url=url, headers=malls.bearer(account))

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, at = loose.decoded(body), malls.place(cursor, now, FIRST_S, MOST_S)
        if status != 200 or not isinstance(said, dict):
            return malls.refused(cursor, status, said)
        rows = malls.rows(said.get("contents" if at.which == QNAS else "content"))
        read = self._question if at.which == QNAS else self._inquiry
        items, told = malls.untold(cursor, [item for row in rows if (item := read(account, row)) is not None])
        more = len(rows) >= SIZE and said.get("last") is not True
        after, pause_s = at.on(more, 2, now, OVERLAP_S, PAUSE_S)
        return Page(items=items, cursor={**after, "told": told}, again_s=pause_s)

    def _inquiry(self, account: Account, row: dict[str, Any]) -> Item | None:
        """The inquiry while it has no answer; then the answer, which whoever answered in the seller's center gave."""
        number, answer = malls.text(row.get("inquiryNo")), malls.text(row.get("answerContentId"))
        if not number or (row.get("answered") and not answer):
            return None
        who = malls.text(row.get("customerId")) or f"inquiry:{number}"
        identity = Identity(
            scope=self._scope(account), kind="external", value=who, name=malls.text(row.get("customerName")) or None
        )
        thread = Thread(external=f"inquiry:{number}", kind="ticket")
        if row.get("answered"):
            words = malls.text(row.get("answerContent"), malls.MAX_TEXT)
            asked_at = malls.time(row.get("answerRegistrationDateTime"))
            return malls.item(
                account, f"answer:{answer}", thread, identity, words, asked_at=asked_at, author="external_console"
            )
        asked_at = malls.time(row.get("inquiryRegistrationDateTime"))
        return malls.item(
            account,
            thread.external,
            thread,
            identity,
            malls.text(row.get("inquiryContent"), malls.MAX_TEXT),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, LATE_S),
            subject=malls.text(row.get("title")),
            attributes=malls.facts(
                order=row.get("orderId"),
                product=row.get("productNo"),
                product_name=row.get("productName"),
                option=row.get("productOrderOption"),
                category=row.get("category"),
            ),
            policy=ONE_ANSWER,
        )

    def _question(self, account: Account, row: dict[str, Any]) -> Item | None:
        number = malls.text(row.get("questionId"))
        if not number or row.get("answered"):
            return None
        thread = Thread(external=f"qna:{number}", kind="ticket")
        asked_at = malls.time(row.get("createDate"))
        name = malls.text(row.get("maskedWriterId")) or None  # with stars in it: no two need be the same person
        return malls.item(
            account,
            thread.external,
            thread,
            Identity(scope=self._scope(account), kind="external", value=thread.external, name=name),
            malls.text(row.get("question"), malls.MAX_TEXT),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, LATE_S),
            attributes=malls.facts(product=row.get("productId"), product_name=row.get("productName")),
            policy=OVERWRITES,
        )

    def _scope(self, account: Account) -> str:
        return f"naver:{account.setting('client_id')}"

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message)
        kind, _, number = effect.thread.external.partition(":")
        api, headers = account.setting("api_url", API), malls.bearer(account)
        if not number.isdecimal():
            raise Unsendable("this is no inquiry of SmartStore")
        if kind == "qna":
            return malls.post(f"{api}/v1/contents/qnas/{number}", {"commentContent": words}, headers, "PUT")
        return malls.post(f"{api}/v1/pay-merchant/inquiries/{number}/answer", {"answerComment": words}, headers)

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.decoded(body)
        if loose.at(said, "code") == ALREADY:
            return Result("rejected", detail=f"{ALREADY} already answered")
        answer = malls.text(loose.at(said, "data", "inquiryCommentNo"))
        return malls.outcome(status, said, (f"answer:{answer}",) if answer else ())

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        client, stamp = account.setting("client_id"), str(int(now * 1000))
        fields = {
            "client_id": client,
            "timestamp": stamp,
            "client_secret_sign": signatures.naver_commerce(client, account.secrets["client_secret"], stamp),
            "grant_type": "client_credentials",
            "type": account.setting("token_type", "SELF"),
        }
        if account.setting("account_id"):
            fields["account_id"] = account.setting("account_id")
        return Call(url=f"{account.setting('api_url', API)}/v1/oauth2/token", form=tuple(fields.items()))

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return malls.token(status, loose.decoded(body), now)

"""Cafe24, where shops of one's own are rented: what customers write on the boards, and answers below it.

Asked, board by board: GET /api/v2/admin/boards/{no}/articles {"articles": [{"article_no", "parent_article_no",
"board_no", "title", "content": HTML, "writer", "member_id", "created_date", "product_no", "order_id", "secret",
"reply_status": "C" when it is answered, "notice", "deleted", "rating", "attach_file_urls": [{"name", "url"}]}]}
(developers.cafe24.com, Boards articles). An answer is an article below the customer's (POST, `reply_article_no`). What the
operator writes in the shop's own pages comes as well. The access token lives two hours; the refresh token is another with
every renewal.
"""

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from channels import loose, mail, malls, oauth
from channels.base import About, Account, Call, Item, Outgoing, Page, Result, Token, Transport, Unsendable
from router.effects import AnyEffect
from router.inputs import ReceiveMessage
from router.model import Elsewhere, Identity, Kind, ReplyPolicy, Thread

SIZE = 100
FIRST_S, MOST_S, OVERLAP_S, PAUSE_S = 7 * malls.DAY_S, 30 * malls.DAY_S, malls.DAY_S, 60.0


DONE = "C"


class Cafe24(malls.Asked, malls.AtAddress):
    name = "cafe24"
    about = About(
        title="Cafe24 boards",
        family="mall",
        receives="articles on boards, files; the operator's own answers",
        sends="answers as articles",
        media="in",
        policy="public unless the customer made it secret",
        evidence="documents",
        verified_against="documents, and a public client's field list",
    )
    kinds: tuple[Kind, ...] = ("email", "social")
    transport: Transport = "poll"
    required_settings: tuple[str, ...] = ("mall_id", "client_id", "boards", "operator_id")
    required_secrets: tuple[str, ...] = ("client_secret", "refresh_token")

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(public=True)

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        at, boards = malls.place(cursor, now, FIRST_S, MOST_S), _boards(account)
        asked = {
            "start_date": malls.day(at.since),
            "end_date": malls.day(at.until),
            "limit": SIZE,
            "offset": (at.page - 1) * SIZE,
        }
        path = f"/admin/boards/{boards[at.which % len(boards)]}/articles?{urlencode(asked)}"
        return Call(method="GET", url=self._url(account, path), headers=malls.bearer(account))

    def _url(self, account: Account, path: str) -> str:
        mall = quote(account.setting("mall_id"), safe="")
        return account.setting("api_url", f"https://{mall}.cafe24api.com") + f"/api/v2{path}"

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, at = loose.decoded(body), malls.place(cursor, now, FIRST_S, MOST_S)
        if status != 200 or not isinstance(said, dict):
            return malls.refused(cursor, status, said)
        rows = malls.rows(said.get("articles"))
        rows.sort(key=lambda row: malls.time(row.get("created_date")) or 0)  # a question before its answer
        found = [item for row in rows if (item := self._article(account, row)) is not None]
        done = {_thread(item) for item in found if getattr(item.body, "author", "") == "external_console"}
        waits = [item for item in found if item.key not in done]  # what was answered before we saw it asks nobody
        items, told = malls.untold(cursor, waits)
        after, pause_s = at.on(len(rows) >= SIZE, len(_boards(account)), now, OVERLAP_S, PAUSE_S)
        return Page(items=items, cursor={**after, "told": told}, again_s=pause_s)

    def _article(self, account: Account, row: dict[str, Any]) -> Item | None:
        board, number = malls.text(row.get("board_no"), 20), malls.text(row.get("article_no"), 20)
        if not board or not number or "T" in (row.get("notice"), row.get("deleted")):
            return None
        parent = malls.text(row.get("parent_article_no"), 20).lstrip("0")
        member = malls.text(row.get("member_id"))
        by_operator = bool(parent) and member in ("", account.setting("operator_id"))
        if row.get("reply_status") == DONE and not by_operator:
            return None
        asked_at = malls.time(row.get("created_date"))
        thread = Thread(external=f"{board}:{parent or number}", kind="ticket")
        return malls.item(
            account,
            f"{board}:{number}",
            thread,
            Identity(
                scope=f"cafe24:{account.setting('mall_id')}",
                kind="external",
                value=member or thread.external,
                name=malls.text(row.get("writer")) or None,
            ),
            mail.text_of(malls.text(row.get("content"), mail.MAX_TEXT)),
            asked_at=asked_at,
            late_at=malls.answer_by(account, asked_at, 0),
            subject=malls.text(row.get("title")),
            attributes=malls.facts(
                board=board, product=row.get("product_no"), order=row.get("order_id"), rating=row.get("rating")
            ),
            policy=ReplyPolicy(public=row.get("secret") != "T"),
            files=tuple(
                Elsewhere(ref=str(one["url"]), name=malls.text(one.get("name"), malls.MAX_NAME) or "file")
                for one in malls.rows(row.get("attach_file_urls"))[:10]
                if malls.is_address(one.get("url"))
            ),
            author="external_console" if by_operator else "customer",
        )

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message)
        board, _, number = effect.thread.external.partition(":")
        if not board.isdecimal() or not number.isdecimal():
            raise Unsendable("this is no article of a board")
        about = " ".join(((message.last_subject if message else "") or "").split())
        article = {
            "writer": account.setting("writer", account.brand),
            "title": f"Re: {about}"[:256],
            "content": html.escape(words).replace("\n", "<br>"),
            "client_ip": account.setting("client_ip", "127.0.0.1"),
            "reply_article_no": int(number),
            "reply": "T",
            "reply_user_id": account.setting("operator_id"),
            "reply_status": "C",
        }
        said = {"shop_no": 1, "requests": [article]}
        return malls.post(self._url(account, f"/admin/boards/{board}/articles"), said, malls.bearer(account))

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.decoded(body)
        made = malls.rows(loose.at(said, "articles"))
        names = [f"{malls.text(row.get('board_no'))}:{malls.text(row.get('article_no'))}" for row in made[:1]]
        return malls.outcome(status, said, tuple(names))

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        return Call(
            url=self._url(account, "/oauth/token"),
            form=(("grant_type", "refresh_token"), ("refresh_token", oauth.refresh_token(account, kept))),
            basic=(account.setting("client_id"), account.secrets["client_secret"]),
        )

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        """`expires_at` is a time in Korea without a zone."""
        said = loose.decoded(body)
        return malls.token(status, said, now, malls.time(loose.at(said, "expires_at")), account)


def _thread(item: Item) -> str:
    return item.body.thread.external if isinstance(item.body, ReceiveMessage) else ""


def _boards(account: Account) -> list[str]:
    named = account.settings.get("boards")
    found = str(named).replace(",", " ").split() if isinstance(named, str | int) else []
    return [board for board in found if board.isdecimal() and len(board) <= 9][:50] or ["6"]
